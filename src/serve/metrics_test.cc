#include "serve/metrics.h"

#include <gtest/gtest.h>

#include <set>
#include <sstream>

#include "base/rng.h"

namespace tidar {
namespace {

TEST(Histogram, CountsEachValueAtTheFirstBoundThatIsNotLess) {
  constexpr std::array<double, 3> kBounds = {1, 2, 5};
  Histogram values(kBounds);
  for (const double value : {0.0, 1.0, 1.5, 2.0, 5.0}) values.add(value);
  values.add(7, 3);
  EXPECT_EQ(std::vector(values.counts().begin(), values.counts().end()),
            (std::vector<int64_t>{2, 2, 1, 3}));
  EXPECT_DOUBLE_EQ(values.sum(), 9.5 + 3 * 7);
}

void fill(Metrics& metrics) {
  Rng rng(3);
  for (int i = 0; i < 50; ++i) metrics.request_s.add(rng.uniform() * 2000);
  metrics.answers[{"/health", 200}] = 7;
  metrics.answers[{"other", 404}] = 2;
  metrics.body_bytes = 12345;
  metrics.connections = 3;
}

EngineTotals some_totals() {
  EngineTotals totals;
  totals.sum.add(StepStats{.tokens = 3,
                           .decoding = true,
                           .drafted = 4,
                           .accepted = 2,
                           .rows = 9,
                           .masks = 4,
                           .used_masks = 3,
                           .guessed_right = true});
  totals.sum.waiting_s = 1.5;
  totals.sum.prompt_tokens = 77;
  totals.finished[static_cast<size_t>(FinishReason::stop)] = 2;
  totals.finished[static_cast<size_t>(FinishReason::length)] = 5;
  return totals;
}

EngineState some_state() {
  EngineState state{.active = 2, .waiting = 1, .pages = 16, .free_pages = 8, .spare_pages = 4};
  state.passes.add(9, 0.25);
  state.passes.add(1, 0.5);
  state.passes.add(5000, 2);
  state.stats.prefix_queries = 40;
  state.stats.prefix_hits = 30;
  state.stats.preemptions = 6;
  return state;
}

std::string some_text() {
  Metrics metrics;
  fill(metrics);
  return metrics_text(metrics, some_totals(), some_state());
}

// https://prometheus.io/docs/instrumenting/exposition_formats: HELP and TYPE of a family stand once
// and before its samples, which stand together; a histogram's buckets add up.
TEST(Metrics, TheTextIsPrometheuss) {
  std::istringstream lines(some_text());
  std::set<std::string> families;
  std::string family, type;
  double bucket = 0;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string word, what, name;
    words >> word;
    if (word == "#") {
      words >> what >> name;
      if (what == "HELP") {
        EXPECT_TRUE(families.insert(name).second) << name;
        family = name;
        type.clear();
      } else {
        ASSERT_EQ(what, "TYPE");
        ASSERT_EQ(name, family);
        words >> type;
        EXPECT_TRUE((std::set<std::string>{"counter", "gauge", "histogram", "summary"}.count(type)))
            << type;
        EXPECT_EQ(type == "counter", name.ends_with("_total")) << name;
      }
      continue;
    }
    ASSERT_FALSE(type.empty()) << line;
    const std::string rest = word.substr(family.size());
    ASSERT_TRUE(word.starts_with(family)) << line;
    const double value = std::stod(line.substr(line.rfind(' ') + 1));
    if (type != "histogram") continue;
    if (rest.starts_with("_bucket{le=\"")) {
      EXPECT_GE(value, bucket) << line;
      bucket = value;
    } else if (rest == "_count") {
      EXPECT_EQ(value, bucket) << line;
      bucket = 0;
    } else {
      EXPECT_EQ(rest, "_sum");
    }
  }
  EXPECT_GT(families.size(), 20u);
}

TEST(Metrics, TellWhatTheyAreTold) {
  const std::string text = some_text();
  for (const char* line :
       {"tidar:num_requests_running 2\n",
        "tidar:num_requests_waiting 1\n",
        "tidar:connections 3\n",
        "tidar:request_body_bytes 12345\n",
        "tidar:request_success_total{finished_reason=\"stop\"} 2\n",
        "tidar:request_success_total{finished_reason=\"length\"} 5\n",
        "tidar:request_success_total{finished_reason=\"cancelled\"} 0\n",
        "tidar:request_queue_time_seconds_sum 1.5\n",
        "tidar:request_queue_time_seconds_count 7\n",
        "tidar:http_requests_total{route=\"other\",status=\"404\"} 2\n",
        "tidar:e2e_request_latency_seconds_count 50\n",
        "tidar:prompt_tokens_total 77\n",
        "tidar:generation_tokens_total 3\n",
        "tidar:tokens_per_pass_bucket{le=\"2\"} 0\n",
        "tidar:tokens_per_pass_bucket{le=\"3\"} 1\n",
        "tidar:spec_decode_num_drafts_total 1\n",
        "tidar:spec_decode_num_draft_tokens_total 4\n",
        "tidar:spec_decode_num_accepted_tokens_total 2\n",
        "tidar:spec_decode_num_accepted_tokens_per_pos_total{position=\"1\"} 1\n",
        "tidar:spec_decode_num_accepted_tokens_per_pos_total{position=\"2\"} 0\n",
        "tidar:spec_decode_num_draft_tokens_per_pos_total{position=\"3\"} 1\n",
        "tidar:group_hits_total{kind=\"masks\"} 1\n",
        "tidar:group_hits_total{kind=\"guessed\"} 1\n",
        "tidar:masks_total 4\n",
        "tidar:masks_wasted_total 1\n",
        "tidar:rows_per_pass_bucket{le=\"1\"} 1\n",
        "tidar:rows_per_pass_bucket{le=\"8\"} 1\n",
        "tidar:rows_per_pass_bucket{le=\"16\"} 2\n",
        "tidar:rows_per_pass_bucket{le=\"4096\"} 2\n",
        "tidar:rows_per_pass_count 3\n",
        "tidar:rows_per_pass_sum 5010\n",
        "tidar:pass_seconds_sum{rows=\"16\"} 0.25\n",
        "tidar:pass_seconds_count{rows=\"1\"} 1\n",
        "tidar:pass_seconds_sum{rows=\"more\"} 2\n",
        "tidar:kv_cache_usage_perc 0.25\n",
        "tidar:pages{state=\"held\"} 4\n",
        "tidar:pages{state=\"kept\"} 4\n",
        "tidar:pages{state=\"free\"} 8\n",
        "tidar:prefix_cache_queries_total 40\n",
        "tidar:prefix_cache_hits_total 30\n",
        "tidar:num_preemptions_total 6\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line;
  }
  EXPECT_EQ(text.find("\nprocess_resident_memory_bytes 0\n"), std::string::npos);
}

TEST(PassTallies, PassesAreCountedByTheirRows) {
  PassTallies tallies;
  for (const int rows : {1, 2, 3, 4, 5, 4096, 4097, 9000}) tallies.add(rows, 0.5);
  std::vector<int64_t> passes, rows;
  for (const PassTally& tally : tallies.of_size) {
    passes.push_back(tally.passes);
    rows.push_back(tally.rows);
    EXPECT_DOUBLE_EQ(tally.seconds, 0.5 * static_cast<double>(tally.passes));
  }
  EXPECT_EQ(passes, (std::vector<int64_t>{1, 1, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2}));
  EXPECT_EQ(rows, (std::vector<int64_t>{1, 2, 7, 5, 0, 0, 0, 0, 0, 0, 0, 0, 4096, 13097}));
}

}  // namespace
}  // namespace tidar
