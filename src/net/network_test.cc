#include "net/network.h"

#include <cmath>

#include "net/head.h"
#include "net/network_testing.h"
#include "ops/wrap/checked_ops.h"

namespace tidar {
namespace {

const BackendUnderTest kRef = {"ref", [](Threads&) { return make_ref_ops(DType::f32); },
                               WeightFormat::f32, DType::f32, false};

class NetworkTest : public testing::Test {
 protected:
  Result<std::unique_ptr<Network>> build(const NetworkOptions& options) {
    return Network::build(config_, weights_, *ops_, options);
  }

  Rng rng_{77};
  ModelConfig config_ = random_model(rng_, 1);
  ModelWeights weights_ = ModelWeights::random(config_, DType::f32, 3);
  std::unique_ptr<Ops> ops_ = make_ref_ops(DType::f32);
};

// ---- asks ----

TEST_F(NetworkTest, AsksAreAnsweredInTheirOrderHoweverMany) {
  NetworkOnBackend on(config_, weights_, kRef);
  Pass pass;
  pass.begin_sequence();
  add_causal(pass, random_tokens(rng_, 2 * Head::kRows + 7, config_.vocabulary), Keep::scratch);
  const Logits logits = on.logits(pass);

  pass.asks.clear();
  for (int i = 0; i < 3 * Head::kRows; ++i) {
    Ask ask;
    ask.kind = i % 3 == 0 ? AskKind::score : AskKind::choose;
    ask.row = rng_.below(pass.rows());
    if (i % 4 == 0) ask.other_row = rng_.below(pass.rows());
    ask.trust = 0.25f;
    ask.token = rng_.below(config_.vocabulary);
    ask.top = i % 5 == 0 ? 3 : 0;
    pass.asks.add(ask);
  }
  std::vector<Answer> answers(pass.asks.size());
  on.network().evaluate(pass, answers);
  for (size_t i = 0; i < answers.size(); ++i) {
    SCOPED_TRACE(i);
    const Ask& ask = pass.asks[i];
    std::vector<float> mixed = logits[static_cast<size_t>(ask.row)];
    for (size_t t = 0; t < mixed.size() && ask.other_row >= 0; ++t) {
      mixed[t] = 0.25f * mixed[t] + 0.75f * logits[static_cast<size_t>(ask.other_row)][t];
    }
    const auto best = std::max_element(mixed.begin(), mixed.end()) - mixed.begin();
    EXPECT_EQ(answers[i].token, ask.kind == AskKind::score ? ask.token : best);
    EXPECT_NEAR(answers[i].logprob,
                mixed[static_cast<size_t>(answers[i].token)] - log_sum_exp(mixed), 1e-5);
    ASSERT_EQ(answers[i].top.size(), static_cast<size_t>(ask.top));
    if (ask.top > 0) {
      EXPECT_EQ(answers[i].top[0].token, best);
    }
    EXPECT_TRUE(answers[i].logits.empty());
  }

  // A second round about the same pass.
  std::vector<Answer> again(answers.size());
  on.network().answer(pass.asks, again);
  for (size_t i = 0; i < answers.size(); ++i) {
    EXPECT_EQ(again[i].token, answers[i].token);
    EXPECT_EQ(again[i].logprob, answers[i].logprob);
  }
}

TEST_F(NetworkTest, APassOfOneRowAndOneOfNone) {
  NetworkOptions options;
  options.max_rows = 1;
  const auto network = build(options).value();
  Pass pass;
  std::vector<Answer> answers;
  network->evaluate(pass, answers);
  pass.begin_sequence();
  const Tokens token = {5};
  pass.asks.add({.row = add_causal(pass, token, Keep::scratch)});
  answers.resize(1);
  network->evaluate(pass, answers);
  EXPECT_GE(answers[0].token, 0);
  EXPECT_LT(answers[0].token, config_.vocabulary);
}

// ---- options, limits, memory ----

TEST_F(NetworkTest, FillsInItsLimits) {
  const auto network = build({.max_rows = 32}).value();
  EXPECT_EQ(network->limits().max_rows, 32);
  EXPECT_EQ(network->limits().max_position, config_.max_positions);
  EXPECT_EQ(network->limits().pages, pages_for(config_.max_positions));
  EXPECT_EQ(network->limits().vocabulary, config_.vocabulary);
  const auto smaller = build({.max_rows = 8, .pages = 3, .max_position = 100}).value();
  EXPECT_EQ(smaller->limits().max_position, 100);
  EXPECT_EQ(smaller->limits().pages, 3);
}

TEST_F(NetworkTest, MoreKeysThanCanBeNumberedAreAnError) {
  const auto network = build({.max_rows = 8, .pages = 1 << 26});
  ASSERT_FALSE(network.ok());
  EXPECT_NE(network.error().message.find("room for"), std::string::npos);
}

TEST_F(NetworkTest, OptionsOutOfRangeAreErrors) {
  const auto message = [&](const NetworkOptions& options) {
    const auto network = build(options);
    return network.ok() ? "" : network.error().message;
  };
  EXPECT_EQ(message({.max_rows = 0}),
            "a network for passes of at most 0 rows was asked for; 1 is the least");
  EXPECT_EQ(message({.max_rows = 8, .pages = -1}),
            "a network with -1 pages for keys was asked for; 0 means enough for one sequence");
  const int all = config_.max_positions;
  EXPECT_EQ(message({.max_rows = 8, .max_position = all}), "");
  for (const int positions : {-1, all + 1}) {
    EXPECT_EQ(
        message({.max_rows = 8, .max_position = positions}),
        fmt::format("a network for {} positions was asked for; this model has 1 to {} (0: all)",
                    positions, all));
  }
}

TEST_F(NetworkTest, AccountsForItsMemory) {
  const auto network = build({.max_rows = 16, .pages = 2}).value();
  int64_t weights = 0, kv = 0;
  for (const MemoryUse& use : network->memory()) {
    EXPECT_GT(use.bytes, 0) << use.purpose;
    if (use.purpose == "weights") weights = use.bytes;
    if (use.purpose == "keys and values") kv = use.bytes;
  }
  // The plain backend pads nothing: four bytes a parameter, and two vectors a key.
  EXPECT_EQ(weights, 4 * config_.parameters());
  const int64_t keys = 2 * kPageSlots * config_.layers + 16;
  EXPECT_EQ(kv, 2 * 4 * keys * config_.kv_heads * config_.head_size);
  const int64_t head = int64_t{config_.vocabulary} * config_.hidden * 4;
  EXPECT_GE(network->weight_bytes(true) - network->weight_bytes(false), head);
}

TEST_F(NetworkTest, BrokenPassesStopTheProgram) {
  const auto network = build({.max_rows = 4, .pages = 1, .max_position = 50}).value();
  const auto run = [&](const Tokens& tokens, int32_t position) {
    Pass pass;
    pass.begin_sequence();
    for (const int32_t token : tokens) {
      pass.add_row(token, position, {{0, 1}, {}}, Keep::scratch);
    }
    network->evaluate(pass, {});
  };
  run({1, 2, 3, 4}, 49);
  EXPECT_DEATH(run({1, 2, 3, 4, 5}, 0), "max_rows");
  EXPECT_DEATH(run({config_.vocabulary}, 0), "");
  EXPECT_DEATH(run({1}, 50), "");
  const Ask outside = {.row = 4};
  std::vector<Answer> answers(1);
  EXPECT_DEATH(network->answer({outside}, answers), "row < rows");

  PagePool pool(2);
  SequenceCache cache(pool);
  ASSERT_TRUE(cache.reserve(2 * kPageSlots));
  Pass pass;
  pass.begin_sequence(cache);
  pass.add_row(1, 0, {.prefix = {0, 1}, .block = {}}, Keep::page);
  const auto with_page = [&](PageId page) {
    pass.sequences[0].pages[0] = page;
    network->evaluate(pass, {});
  };
  with_page(0);
  EXPECT_DEATH(with_page(-1), "page >= 0");
  EXPECT_DEATH(with_page(network->limits().pages), "page < limits.pages");
  with_page(0);
  pass.begin_sequence(cache);
  pass.add_row(1, 0, {.prefix = {0, 1}, .block = {}}, Keep::page);
  EXPECT_DEATH(pass.sequences[1].pages = pass.sequences[0].pages;
               network->evaluate(pass, {}), "page_holders");
}

// ---- every verb of a whole pass against float64 ----

class CheckedNetwork : public NetworkSuite {};

TEST_P(CheckedNetwork, EveryVerbOfAPassMatchesTheReference) {
  Rng rng(5);
  const auto truth = make_ref_ops(DType::f64);
  for (int kind = 0; kind < kModelKinds; ++kind) {
    SCOPED_TRACE(kind);
    const ModelConfig config = random_model(rng, kind);
    const BackendUnderTest& backend = GetParam();
    Threads threads(2);
    const auto tested = backend.make(threads);
    CheckedOps checked(*tested, *truth,
                       [](const Difference& difference) { ADD_FAILURE() << difference.text(); });
    const NetworkOptions options = {
        .max_rows = 128, .pages = 1, .weights = backend.formats(), .kv = backend.kv};
    const auto network =
        Network::build(config, ModelWeights::random(config, DType::f32, 9), checked, options);
    Pass pass;
    pass.begin_sequence();
    add_tidar_training(pass, random_tokens(rng, 45, config.vocabulary), 4, 1);
    for (int32_t row = 0; row < pass.rows(); row += 9) {
      pass.asks.add({.row = row, .sampling = {.temperature = 0.7f, .top_p = 0.9f}, .top = 2});
    }
    std::vector<Answer> answers(pass.asks.size());
    (*network)->evaluate(pass, answers);
    EXPECT_GT(checked.compared(), 10000);
  }
}

TIDAR_TEST_BACKENDS(CheckedNetwork, all_backends());

}  // namespace
}  // namespace tidar
