#include "ops/cpu/cpu_ops.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <limits>
#include <vector>

#include "base/rng.h"
#include "ops/cases/suite.h"
#include "ops/ref/ref_ops.h"

namespace tidar {
namespace {

constexpr uint64_t kForwardSeed = 20251108;

struct Variant {
  Isa isa;
  Precision precision;
};

std::vector<Variant> usable_variants() {
  std::vector<Variant> variants;
  for (const Isa isa : usable_isas()) {
    variants.push_back({isa, Precision::f32});
    variants.push_back({isa, Precision::bf16});
  }
  return variants;
}

std::string name_of_variant(const testing::TestParamInfo<Variant>& info) {
  std::string name(name_of(info.param.isa));
  for (char& c : name) {
    if (c == '-') c = '_';
  }
  return name + (info.param.precision == Precision::f32 ? "_f32" : "_bf16");
}

class CpuOpsTest : public testing::TestWithParam<Variant> {
 protected:
  std::unique_ptr<CpuOps> make(Threads& threads) {
    return make_cpu_ops(threads, {GetParam().isa, GetParam().precision});
  }
};

TEST_P(CpuOpsTest, MatchesTheReference) {
  Threads threads(2);
  const auto ops = make(threads);
  std::string shares;
  for (uint64_t seed = kForwardSeed; seed < kForwardSeed + 2; ++seed) {
    for (const std::string& failure : match_truth(*ops, seed, &shares)) ADD_FAILURE() << failure;
  }
  std::printf("%s", shares.c_str());
}

TEST_P(CpuOpsTest, RowsDoNotDependOnTheirCompany) {
  Threads threads(2);
  const auto ops = make(threads);
  for (const std::string& failure : match_rows(*ops, kForwardSeed)) ADD_FAILURE() << failure;
}

TEST_P(CpuOpsTest, ResultsDoNotDependOnTheNumberOfThreads) {
  Threads one(1), three(3);
  const auto a = make(one), b = make(three);
  for (const std::string& failure : match_bits(*a, *b, kForwardSeed)) ADD_FAILURE() << failure;
}

// In whatever type keys and values are kept: who sees such a value has no number, and nobody else.
TEST_P(CpuOpsTest, AValueThatIsNotFiniteIsSeenByWhoSeesItsKey) {
  Threads threads(1);
  const auto ops = make(threads);
  constexpr int kSize = 20, kRows = 3;
  for (const DType type : {DType::f32, DType::bf16, DType::i8}) {
    for (const float wrong :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
      SCOPED_TRACE(fmt::format("{} {}", name_of(type), wrong));
      const auto kv = ops->make_kv({.layers = 1,
                                    .kv_heads = 1,
                                    .head_size = kSize,
                                    .pages = 1,
                                    .rows = kRows,
                                    .dtype = type});
      Rng rng(kForwardSeed);
      std::array<float, kRows * kSize> q, k, v, out;
      for (auto* numbers : {&q, &k, &v}) {
        for (float& number : *numbers) number = rng.normal();
      }
      v[kSize + 7] = wrong;
      const auto rows = [](std::array<float, kRows * kSize>& numbers) {
        return Matrix(numbers.data(), DType::f32, kRows, kSize);
      };
      Pass pass;
      pass.begin_sequence();
      for (const Sight& sight : {Sight{{0, 1}, {}}, Sight{{0, 2}, {}}, Sight{{0, 1}, {2, 3}}}) {
        pass.add_row(0, 0, sight, Keep::scratch);
      }
      std::unique_ptr<PreparedPass> prepared;
      ops->prepare(pass, kv.get(), prepared);
      ops->store_kv(rows(k), rows(v), *prepared, *kv, 0);
      ops->attend(rows(q), *prepared, *kv, 0, rows(out));
      for (size_t row = 0; row < kRows; ++row) {
        const auto* const numbers = out.data() + row * kSize;
        EXPECT_EQ(std::all_of(numbers, numbers + kSize, [](float x) { return std::isfinite(x); }),
                  row != 1)
            << "row " << row;
      }
    }
  }
}

// A row of logits is a distribution, or it says that it is none.
TEST_P(CpuOpsTest, LogitsThatAreNoDistributionChooseNothing) {
  Threads threads(1);
  const auto ops = make(threads);
  const auto ref = make_ref_ops(DType::f32);
  constexpr int kVocabulary = 77;
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  Rng rng(kForwardSeed);
  for (const float wrong : {kNaN, kInfinity, -kInfinity}) {
    for (const int everywhere : {0, 1}) {
      for (const Sampling& sampling :
           {Sampling{}, Sampling{.temperature = 1}, Sampling{.temperature = 1, .top_k = 5},
            Sampling{.temperature = 0.7f, .top_p = 0.9f},
            Sampling{.temperature = 2, .min_p = 0.1f}}) {
        std::vector<float> row(kVocabulary);
        for (float& logit : row) logit = everywhere ? wrong : rng.normal();
        row[static_cast<size_t>(rng.below(kVocabulary))] = wrong;
        const Matrix logits(row.data(), DType::f32, 1, kVocabulary);
        const Ask choice = {.sampling = sampling, .top = 3},
                  score = {.kind = AskKind::score, .token = 7};
        for (Ops* some : {static_cast<Ops*>(ops.get()), ref.get()}) {
          SCOPED_TRACE(fmt::format("{} {} {}", some->name(), wrong, everywhere));
          std::array<Answer, 2> answers;
          some->read_logits(logits, {choice, score}, answers);
          EXPECT_EQ(answers[1].token, 7);
          if (wrong == -kInfinity && !everywhere) {
            EXPECT_GE(answers[0].token, 0);
            EXPECT_TRUE(std::isfinite(answers[0].logprob));
            continue;
          }
          EXPECT_EQ(answers[0].token, -1);
          EXPECT_TRUE(std::isnan(answers[0].logprob));
          EXPECT_TRUE(std::isnan(answers[1].logprob));
          EXPECT_TRUE(answers[0].top.empty());
        }
      }
    }
  }
}

TEST_P(CpuOpsTest, WhereEveryTokenIsForbiddenNothingIsChosen) {
  Threads threads(1);
  const auto ops = make(threads);
  const auto ref = make_ref_ops(DType::f32);
  constexpr int kVocabulary = 19;
  std::vector<float> row(kVocabulary);
  std::vector<LogitChange> changes;
  Rng rng(kForwardSeed);
  for (int32_t token = 0; token < kVocabulary; ++token) {
    row[static_cast<size_t>(token)] = rng.normal();
    changes.push_back({.token = token, .add = -std::numeric_limits<float>::infinity()});
  }
  const Matrix logits(row.data(), DType::f32, 1, kVocabulary);
  for (const Sampling& sampling :
       {Sampling{}, Sampling{.temperature = 1}, Sampling{.temperature = 1, .top_k = 5},
        Sampling{.temperature = 1, .top_p = 0.5f}}) {
    for (Ops* some : {static_cast<Ops*>(ops.get()), ref.get()}) {
      Asks asks = {{.sampling = sampling, .changes = {0, kVocabulary}}};
      asks.add_changes(changes);
      Answer answer;
      some->read_logits(logits, asks, {&answer, 1});
      EXPECT_EQ(answer.token, -1) << some->name();
      asks[0].changes.from = 1;  // token 0 is left
      some->read_logits(logits, asks, {&answer, 1});
      EXPECT_EQ(answer.token, 0) << some->name();
    }
  }
}

// Tokens come as often as the policy's log-probabilities say, and these are of a distribution.
TEST_P(CpuOpsTest, PolicyLogprobsAreHowOftenTokensAreDrawn) {
  Threads threads(1);
  const auto ops = make(threads);
  const auto ref = make_ref_ops(DType::f32);
  constexpr int kVocabulary = 77, kDraws = 3000;
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  Rng rng(kForwardSeed);
  std::vector<float> rows(2 * kVocabulary);
  for (float& logit : rows) logit = 2 * rng.normal();
  rows[5] = -kInfinity;
  const Matrix logits(rows.data(), DType::f32, 2, kVocabulary);
  const std::vector<LogitChange> changes = {
      {.token = 3, .scale = 1.5f}, {.token = 9, .add = 4}, {.token = 20, .add = -kInfinity}};
  for (const Sampling& sampling :
       {Sampling{}, Sampling{.temperature = 1}, Sampling{.temperature = 0.6f},
        Sampling{.temperature = 1.7f}, Sampling{.temperature = 1.3f, .top_k = 5},
        Sampling{.temperature = 1.3f, .top_p = 0.8f}, Sampling{.temperature = 0.8f, .min_p = 0.1f},
        Sampling{.temperature = 2, .top_k = 30, .top_p = 0.9f, .min_p = 0.05f}}) {
    for (const Ask& how : {Ask{}, Ask{.changes = {0, 3}}, Ask{.other_row = 1, .trust = 0.3f}}) {
      for (Ops* some : {static_cast<Ops*>(ops.get()), ref.get()}) {
        SCOPED_TRACE(fmt::format("{} T {} k {} p {} min {}, {} changes, other row {}", some->name(),
                                 sampling.temperature, sampling.top_k, sampling.top_p,
                                 sampling.min_p, how.changes.to, how.other_row));
        Asks scores, draws;
        for (Asks* asks : {&scores, &draws}) asks->add_changes(changes);
        Ask ask = how;
        ask.sampling = sampling;
        for (int i = 0; i < kDraws; ++i) {
          ask.draw = static_cast<uint64_t>(i);
          draws.add(ask);
        }
        ask.kind = AskKind::score;
        for (ask.token = 0; ask.token < kVocabulary; ++ask.token) scores.add(ask);
        std::vector<Answer> scored(scores.size()), drawn(draws.size());
        some->read_logits(logits, scores, scored);
        some->read_logits(logits, draws, drawn);

        double sum = 0;
        for (const Answer& answer : scored) sum += std::exp(double{answer.policy_logprob});
        EXPECT_NEAR(sum, 1, 1e-5);
        std::vector<int> counts(kVocabulary);
        for (const Answer& answer : drawn) {
          const auto token = static_cast<size_t>(answer.token);
          ++counts[token];
          EXPECT_EQ(answer.policy_logprob, scored[token].policy_logprob);
        }
        for (size_t token = 0; token < counts.size(); ++token) {
          const double p = std::exp(double{scored[token].policy_logprob});
          // Five standard deviations of a count, and one for those that are rare.
          EXPECT_NEAR(counts[token], p * kDraws, 5 * std::sqrt(p * (1 - p) * kDraws) + (p > 0))
              << "token " << token;
          if (sampling == Sampling{.temperature = 1} && how.changes.empty()) {
            // What is forbidden by the model itself has -infinity for both.
            EXPECT_NEAR(p, std::exp(double{scored[token].logprob}), 1e-6);
          }
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Isas, CpuOpsTest, testing::ValuesIn(usable_variants()), name_of_variant);

TEST(CpuOps, RoundsOperandsOnlyWhereAsked) {
  Threads threads(1);
  for (const Isa isa : usable_isas()) {
    const bool has_bf16 = isa == Isa::avx512_bf16 || isa == Isa::amx;
    const auto fast = make_cpu_ops(threads, {isa, Precision::bf16});
    EXPECT_EQ(fast->operand(WeightFormat::bf16), has_bf16 ? DType::bf16 : DType::f32)
        << name_of(isa);
    EXPECT_EQ(fast->operand(WeightFormat::f32), DType::f32) << name_of(isa);
    const auto exact = make_cpu_ops(threads, {isa, Precision::f32});
    EXPECT_EQ(exact->operand(WeightFormat::bf16), DType::f32) << name_of(isa);
  }
}

}  // namespace
}  // namespace tidar
