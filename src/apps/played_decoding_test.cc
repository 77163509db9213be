// What a trace promises, on the bundled model: over a network of another shape with random weights,
// decoding by its trace takes the passes that decoding with the model itself takes.

#include <gtest/gtest.h>

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "apps/session.h"
#include "apps/trace_file.h"
#include "decode/played_evaluator.h"
#include "engine/engine.h"
#include "format/files_testing.h"

namespace tidar {
namespace {

constexpr int kRows = 300;
constexpr const char* kQuestion =
    "Question: On 10 shelves of a library stand 9 books each. People borrow 27 and bring 13 others "
    "back. How many books are there now?\nAnswer:\n";

Session open_session(const ModelFlags& flags) {
  Session session = Session::open(flags).value();
  TIDAR_CHECK(session.build_network({.rows = kRows, .keys_each = 300}).ok());
  return session;
}

Session bundled_model() {
  ModelFlags flags;
  flags.model = std::string(TIDAR_FIXTURES) + "/../../models/tidar-mini";
  flags.threads = 2;
  return open_session(flags);
}

Session random_shape() {
  ModelFlags flags;
  flags.shape = "mini";
  flags.threads = 2;
  return open_session(flags);
}

struct Outcome {
  std::vector<int32_t> tokens;
  RequestStats stats;
};

// Prices make groups auto choose among more than nothing and all.
Outcome run(Evaluator& evaluator, const Request& request) {
  Engine engine(evaluator);
  engine.set_prices(Prices({{1, 1e-3}, {64, 3e-3}}, 1e-5), PriceUse::fixed);
  EXPECT_TRUE(engine.submit(request).ok());
  Outcome outcome;
  while (!engine.idle()) {
    for (const Update& update : engine.step()) {
      for (const TokenLogprob& token : update.tokens) outcome.tokens.push_back(token.token);
      if (update.totals) outcome.stats = *update.totals;
    }
  }
  return outcome;
}

std::vector<Method> methods_of(int draft_length) {
  std::vector<Method> methods = {SelfSpeculativeOptions{.draft_length = draft_length}};
  for (const auto kind :
       {GroupPolicy::Kind::all, GroupPolicy::Kind::last, GroupPolicy::Kind::paying}) {
    methods.emplace_back(TidarOptions{.draft_length = draft_length, .groups = {.kind = kind}});
  }
  return methods;
}

/// A trace as it comes back from its file.
TraceFile written_and_read(const DraftTrace& trace, int vocabulary) {
  const ScratchFolder folder;
  const auto path = folder.path() / "trace.jsonl";
  auto writer = TraceWriter::create(path, "tidar-mini", vocabulary).value();
  EXPECT_TRUE(writer.add(trace).ok());
  EXPECT_TRUE(writer.commit().ok());
  return read_trace(path).value();
}

TEST(PlayedDecoding, TakesThePassesOfTheModelItself) {
  Session model = bundled_model();
  Request request;
  request.sequence.prompt = model.tokenizer()->encode(kQuestion, AddSpecial::yes);
  request.sequence.mask_token = model.config().tidar->mask_token;
  request.eos.assign(model.config().eos_tokens.begin(), model.config().eos_tokens.end());
  request.max_new = 100;
  const Outcome ar = run(model.network(), request);
  ASSERT_GT(ar.tokens.size(), 20u);
  const DraftTrace trace = record_drafts(model.network(), request.sequence, ar.tokens, 8);

  Session other = random_shape();
  const TraceFile file = written_and_read(trace, model.config().vocabulary);
  const std::vector<DraftTrace> texts = {
      file.texts[0].in_vocabulary(other.config().vocabulary, other.config().tidar->mask_token)};
  PlayedEvaluator played(other.network(), texts);
  for (const int draft_length : {4, 8}) {
    for (const Method& method : methods_of(draft_length)) {
      SCOPED_TRACE(testing::Message() << name_of(method) << ", K = " << draft_length);
      request.method = method;
      const Outcome real = run(model.network(), request);
      Request again = request;
      again.sequence.sampling.seed = 0;
      again.sequence.mask_token = other.config().tidar->mask_token;
      again.eos.clear();
      again.max_new = static_cast<int>(ar.tokens.size());
      const Outcome found = run(played, again);
      EXPECT_EQ(real.tokens, ar.tokens);
      EXPECT_EQ(found.tokens, ar.tokens);
      EXPECT_EQ(found.stats.passes, real.stats.passes);
      EXPECT_EQ(found.stats.accepted, real.stats.accepted);
      EXPECT_GT(real.stats.tokens_per_pass(), 1.5);
    }
  }
}

}  // namespace
}  // namespace tidar
