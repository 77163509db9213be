// TiDAR decoding written down from the paper (arXiv 2511.08923, sections 3.2 and 3.3) with whole
// boolean matrices, no cache and no decoder, against the decoder: at every trust, where the tokens
// depend on the masks as well.

#include <gtest/gtest.h>

#include <array>
#include <set>
#include <string>
#include <vector>

#include "decode/drive_testing.h"
#include "decode/text_testing.h"

namespace tidar {
namespace {

using Tokens = std::vector<int32_t>;

struct Method {
  int draft_length = 0;  // K
  double trust = 1;
  std::set<int> kept;
};

struct TrustOutcome {
  Tokens output;
  std::vector<int64_t> accepted;
};

class TrustSimulation {
 public:
  TrustSimulation(const MockModel& model, const SequenceSpec& spec, const Method& method)
      : model_(model), spec_(spec), method_(method), text_(spec.prompt) {}

  TrustOutcome run(int wanted) {
    first_pass();
    while (static_cast<int>(outcome_.output.size()) < wanted) step();
    return outcome_;
  }

 private:
  // Rows of a pass: the text with the draft behind it, then groups of masks. Group j sees the text,
  // `drafts` up to d_{j-1}, and itself.
  struct Rows {
    Tokens tokens;
    std::vector<int32_t> positions;
    std::vector<std::string> allowed;
    std::vector<int> first_mask;  // of group j
    std::vector<int> masks;       // of group j
  };

  // masks[j]: masks of group j; group 0 stands directly behind the text.
  Rows lay_out(const Tokens& drafts, const std::vector<int>& masks) const {
    Rows rows;
    const auto length = static_cast<int>(text_.size());
    rows.tokens = text_;
    rows.tokens.insert(rows.tokens.end(), drafts.begin(), drafts.end());
    const auto causal = static_cast<int>(rows.tokens.size());
    std::vector<int> group_of(static_cast<size_t>(causal), -1);
    for (int i = 0; i < causal; ++i) rows.positions.push_back(i);
    for (int j = 0; j < static_cast<int>(masks.size()); ++j) {
      rows.first_mask.push_back(static_cast<int>(rows.tokens.size()));
      rows.masks.push_back(masks[static_cast<size_t>(j)]);
      for (int m = 0; m < masks[static_cast<size_t>(j)]; ++m) {
        rows.tokens.push_back(spec_.mask_token);
        rows.positions.push_back(length + j + m);
        group_of.push_back(j);
      }
    }
    const auto all = static_cast<int>(rows.tokens.size());
    for (int q = 0; q < all; ++q) {
      const int group = group_of[static_cast<size_t>(q)];
      std::string& line = rows.allowed.emplace_back();
      for (int k = 0; k < all; ++k) {
        bool sees = false;
        if (group < 0)
          sees = k <= q;
        else if (k < causal)
          sees = k < length + group;
        else
          sees = group_of[static_cast<size_t>(k)] == group;
        line += sees ? '1' : '0';
      }
    }
    return rows;
  }

  // Chooses the token for `position` from logits, after a text whose output part is `said`.
  int32_t choose(const std::vector<float>& logits, size_t position, const Tokens& said) const {
    const auto changes = plain_changes(spec_, said, model_.vocabulary);
    const Ask ask{.sampling = spec_.sampling, .changes = all_of(changes), .draw = position};
    return mock_answer(ask, logits, nullptr, changes).token;
  }

  void first_pass() {
    const int block = method_.draft_length;
    const Rows rows = lay_out({}, {block});
    const auto logits = dense_logits(model_, rows.tokens, rows.positions, rows.allowed);
    const size_t length = text_.size();
    draft_ = {choose(logits[length - 1], length, {})};
    outcome_.output = draft_;
    for (int m = 1; m < block; ++m) {
      const auto place = length + static_cast<size_t>(m);
      draft_.push_back(choose(logits[place], place, outcome_.output));
    }
  }

  void step() {
    const auto drafts = static_cast<int>(draft_.size());
    std::vector<int> masks{0};  // there is no group 0
    for (int j = 1; j <= drafts; ++j) {
      const bool whole = drafts == 1 || method_.kept.count(j) > 0;
      masks.push_back(whole ? method_.draft_length : method_.trust < 1 ? 1 : 0);
    }
    const Rows rows = lay_out(draft_, masks);
    const auto logits = dense_logits(model_, rows.tokens, rows.positions, rows.allowed);
    const size_t length = text_.size();

    Tokens predicted;
    for (int i = 0; i < drafts; ++i) {
      std::vector<float> mix = logits[length + static_cast<size_t>(i)];
      if (method_.trust < 1) {
        const auto mask = static_cast<size_t>(rows.first_mask[static_cast<size_t>(i) + 1]);
        for (size_t v = 0; v < mix.size(); ++v)
          mix[v] =
              static_cast<float>(method_.trust * mix[v] + (1 - method_.trust) * logits[mask][v]);
      }
      Tokens said = outcome_.output;  // holds d_0 already
      said.insert(said.end(), draft_.begin() + 1, draft_.begin() + 1 + i);
      predicted.push_back(choose(mix, length + static_cast<size_t>(i) + 1, said));
    }
    int accepted = 1;
    while (accepted < drafts &&
           predicted[static_cast<size_t>(accepted) - 1] == draft_[static_cast<size_t>(accepted)])
      ++accepted;
    text_.insert(text_.end(), draft_.begin(), draft_.begin() + accepted);
    outcome_.output.insert(outcome_.output.end(), predicted.begin(), predicted.begin() + accepted);
    outcome_.accepted.push_back(accepted);
    draft_ = next_draft(rows, logits, accepted);
  }

  // The chosen token, then what the masks of the nearest group say of the positions behind it.
  Tokens next_draft(const Rows& rows, const std::vector<std::vector<float>>& logits,
                    int accepted) const {
    Tokens draft{outcome_.output.back()};
    for (int j = accepted; j >= 1; --j) {
      const int masks = rows.masks[static_cast<size_t>(j)];
      const int offset = accepted - j;
      if (masks <= offset + 1) continue;
      for (int m = offset + 1; m < masks; ++m) {
        const auto row = static_cast<size_t>(rows.first_mask[static_cast<size_t>(j)] + m);
        draft.push_back(
            choose(logits[row], static_cast<size_t>(rows.positions[row]), outcome_.output));
      }
      break;
    }
    return draft;
  }

  MockModel model_;
  SequenceSpec spec_;
  Method method_;
  Tokens text_;   // committed, with keys in a real cache
  Tokens draft_;  // d_0 is certain and already in the output
  TrustOutcome outcome_;
};

class Trust : public testing::TestWithParam<uint64_t> {};

TEST_P(Trust, DecodesAsThePaperSays) {
  Rng rng(GetParam());
  const EvaluatorLimits limits{.max_rows = 512, .pages = 16, .max_position = 300, .vocabulary = 11};
  for (const int draft_length : {1, 2, 3, 4, 8, 16}) {
    for (const double trust : {0.0, 0.25, 0.75, 1.0}) {
      const MockModel model{.seed = rng.bits(),
                            .agreement = std::array{0.3, 0.7, 0.95}[GetParam() % 3]};
      const SequenceSpec spec = random_spec(rng);
      Method method{.draft_length = draft_length, .trust = trust, .kept = {}};
      const bool all = rng.below(2) == 0;
      for (int j = 1; j <= draft_length; ++j)
        if (all || rng.below(2) == 0) method.kept.insert(j);
      SCOPED_TRACE(testing::Message() << "draft length " << draft_length << ", trust " << trust
                                      << ", groups " << testing::PrintToString(method.kept));
      const int wanted = 25;
      const TrustOutcome truth = TrustSimulation(model, spec, method).run(wanted);

      MockEvaluator evaluator(model, limits);
      PagePool pool(limits.pages);
      const TidarOptions options{
          .draft_length = draft_length,
          .trust = static_cast<float>(trust),
          .groups = only_groups(std::vector<int>(method.kept.begin(), method.kept.end()))};
      Driven tidar{.decoder = make_decoder(options, spec, SequenceCache(pool), limits).value(),
                   .wanted = wanted};
      drive(evaluator, tidar);
      EXPECT_EQ(tidar.tokens(), truth.output);
      std::vector<int64_t> histogram;
      for (const int64_t accepted : truth.accepted) {
        if (static_cast<int64_t>(histogram.size()) <= accepted)
          histogram.resize(static_cast<size_t>(accepted) + 1);
        ++histogram[static_cast<size_t>(accepted)];
      }
      EXPECT_EQ(tidar.totals.accepted, histogram);
      EXPECT_EQ(tidar.totals.passes, static_cast<int64_t>(truth.accepted.size()));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, Trust, testing::Range<uint64_t>(0, 30));

}  // namespace
}  // namespace tidar
