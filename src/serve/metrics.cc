#include "serve/metrics.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <numeric>

namespace tidar {
namespace {

/// Writes families of samples: first what they mean, then the samples.
class MetricsWriter {
 public:
  void family(std::string_view name, std::string_view type, std::string_view help) {
    name_ = name;
    fmt::format_to(std::back_inserter(text_), "# HELP {0} {1}\n# TYPE {0} {2}\n", name, help, type);
  }
  /// `labels` as they stand between braces: name="value".
  template <class Number>
  void sample(Number value, std::string_view labels = "", std::string_view suffix = "") {
    fmt::format_to(std::back_inserter(text_), "{}{}", name_, suffix);
    if (!labels.empty()) fmt::format_to(std::back_inserter(text_), "{{{}}}", labels);
    fmt::format_to(std::back_inserter(text_), " {}\n", value);
  }
  template <class Number>
  void single(std::string_view name, std::string_view type, std::string_view help, Number value) {
    family(name, type, help);
    sample(value);
  }

  /// `counts` has one more than `bounds`, for what is more than all of them.
  void histogram(std::string_view name, std::string_view help, std::span<const double> bounds,
                 std::span<const int64_t> counts, double sum) {
    family(name, "histogram", help);
    int64_t total = 0;
    for (size_t i = 0; i < bounds.size(); ++i) {
      total += counts[i];
      sample(total, fmt::format("le=\"{}\"", bounds[i]), "_bucket");
    }
    total += counts[bounds.size()];
    sample(total, "le=\"+Inf\"", "_bucket");
    sample(sum, "", "_sum");
    sample(total, "", "_count");
  }
  void histogram(std::string_view name, std::string_view help, const Histogram& values) {
    histogram(name, help, values.bounds(), values.counts(), values.sum());
  }

  std::string take() { return std::move(text_); }

 private:
  std::string_view name_;
  std::string text_;
};

/// Memory of this process that is in RAM; 0 where the system does not tell.
int64_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  int64_t all = 0, resident = 0;
  file >> all >> resident;
  return file ? resident * sysconf(_SC_PAGESIZE) : 0;
}

void write_requests(const Metrics& metrics, const EngineTotals& totals, const EngineState& state,
                    MetricsWriter& out) {
  out.single("tidar:num_requests_running", "gauge", "Outputs that are at work", state.active);
  out.single("tidar:num_requests_waiting", "gauge", "Outputs that wait for room", state.waiting);
  out.family("tidar:request_success_total", "counter", "Outputs that ended, by what ended them");
  for (size_t i = 1; i < totals.finished.size(); ++i) {
    const auto name = name_of(static_cast<FinishReason>(i));
    out.sample(totals.finished[i], fmt::format("finished_reason=\"{}\"", name));
  }
  out.family("tidar:request_queue_time_seconds", "summary",
             "How long outputs that ended had waited for room");
  out.sample(totals.sum.waiting_s, "", "_sum");
  out.sample(std::accumulate(totals.finished.begin(), totals.finished.end(), int64_t{0}), "",
             "_count");
  out.histogram("tidar:time_to_first_token_seconds",
                "From the request of an output to its first token", metrics.first_token_s);
  out.histogram("tidar:inter_token_latency_seconds",
                "Between two tokens of an output; those of one pass share the time since the last",
                metrics.inter_token_s);
  out.histogram("tidar:e2e_request_latency_seconds",
                "From a request to the end of its answer, of completions and chats",
                metrics.request_s);
  out.family("tidar:http_requests_total", "counter", "Answers, by route and status");
  for (const auto& [key, count] : metrics.answers) {
    out.sample(count, fmt::format("route=\"{}\",status=\"{}\"", key.first, key.second));
  }
  out.single("tidar:request_body_bytes", "gauge",
             "Bytes of bodies that are being read or wait to be understood",
             metrics.body_bytes.load());
  out.single("tidar:connections", "gauge", "Connections that are open", metrics.connections);
}

void write_tokens(const RequestStats& sum, MetricsWriter& out) {
  out.single("tidar:prompt_tokens_total", "counter", "Tokens of prompts of outputs that ended",
             sum.prompt_tokens);
  out.single("tidar:generation_tokens_total", "counter", "New tokens of outputs", sum.new_tokens);
  constexpr std::array<double, 13> kTokens = {0, 1, 2, 3, 4, 5, 6, 8, 12, 16, 24, 32, 64};
  Histogram tokens(kTokens);
  for (size_t n = 0; n < sum.accepted.size(); ++n) {
    tokens.add(static_cast<double>(n), sum.accepted[n]);
  }
  out.histogram("tidar:tokens_per_pass", "New tokens that a decoding pass brought an output",
                tokens);
}

void write_guesses(const RequestStats& sum, MetricsWriter& out) {
  const DraftPlace all = sum.guesses();
  out.single("tidar:spec_decode_num_drafts_total", "counter", "Drafts that were verified",
             sum.places.empty() ? 0 : sum.places.front().drafted);
  out.single("tidar:spec_decode_num_draft_tokens_total", "counter",
             "Guesses of drafts that were verified", all.drafted);
  out.single("tidar:spec_decode_num_accepted_tokens_total", "counter",
             "Guesses of drafts that were right", all.accepted);
  const auto by_place = [&](std::string_view name, std::string_view help,
                            int64_t DraftPlace::*count) {
    out.family(name, "counter", help);
    for (size_t i = 0; i < sum.places.size(); ++i) {
      out.sample(sum.places[i].*count, fmt::format("position=\"{}\"", i));
    }
  };
  by_place("tidar:spec_decode_num_draft_tokens_per_pos_total",
           "Guesses that were verified, by their place in the draft", &DraftPlace::drafted);
  by_place("tidar:spec_decode_num_accepted_tokens_per_pos_total",
           "Guesses that were right, by their place in the draft", &DraftPlace::accepted);
  out.family("tidar:group_hits_total", "counter",
             "Passes whose next draft came from one of their groups of masks, and those in which a "
             "guessed group brought a token");
  out.sample(sum.used_groups, "kind=\"masks\"");
  out.sample(sum.guessed_right, "kind=\"guessed\"");
  out.single("tidar:masks_total", "counter", "Masks of groups, for a next draft", sum.masks);
  out.single("tidar:masks_wasted_total", "counter", "Masks of groups that no draft came from",
             sum.masks - sum.used_masks);
}

std::string rows_label(size_t size) {
  if (size + 1 == PassTallies::kSizes) return "rows=\"more\"";
  return fmt::format("rows=\"{}\"", PassTallies::most_rows(size));
}

void write_passes(const PassTallies& passes, MetricsWriter& out) {
  std::array<double, PassTallies::kSizes - 1> bounds;
  std::array<int64_t, PassTallies::kSizes> counts;
  double rows = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    if (i < bounds.size()) bounds[i] = PassTallies::most_rows(i);
    counts[i] = passes.of_size[i].passes;
    rows += static_cast<double>(passes.of_size[i].rows);
  }
  out.histogram("tidar:rows_per_pass", "Rows of a forward pass, all outputs together", bounds,
                counts, rows);
  out.family("tidar:pass_seconds", "summary",
             "Times of forward passes of up to so many rows, more than the label before");
  for (size_t i = 0; i < counts.size(); ++i) {
    out.sample(passes.of_size[i].seconds, rows_label(i), "_sum");
    out.sample(passes.of_size[i].passes, rows_label(i), "_count");
  }
}

void write_memory(const EngineState& state, MetricsWriter& out) {
  const int held = state.pages - state.free_pages - state.spare_pages;
  out.single("tidar:kv_cache_usage_perc", "gauge", "Share of pages that outputs hold, from 0 to 1",
             static_cast<double>(held) / std::max(1, state.pages));
  out.family("tidar:pages", "gauge",
             "Pages of keys and values: held by outputs, kept for prompts to come, or free");
  out.sample(held, "state=\"held\"");
  out.sample(state.spare_pages, "state=\"kept\"");
  out.sample(state.free_pages, "state=\"free\"");
  out.single("tidar:prefix_cache_queries_total", "counter",
             "Tokens of prompts whose keys were looked for", state.stats.prefix_queries);
  out.single("tidar:prefix_cache_hits_total", "counter", "Tokens of prompts whose keys were found",
             state.stats.prefix_hits);
  out.single("tidar:num_preemptions_total", "counter",
             "Outputs that gave back their pages to go on later", state.stats.preemptions);
  out.single("process_resident_memory_bytes", "gauge", "Memory of the process", resident_bytes());
}

}  // namespace

void Histogram::add(double value, int64_t times) {
  const auto bound = std::lower_bound(bounds_.begin(), bounds_.end(), value);
  counts_[static_cast<size_t>(bound - bounds_.begin())] += times;
  sum_ += value * static_cast<double>(times);
}

std::string metrics_text(const Metrics& metrics, const EngineTotals& totals,
                         const EngineState& state) {
  MetricsWriter out;
  write_requests(metrics, totals, state, out);
  write_tokens(totals.sum, out);
  write_guesses(totals.sum, out);
  write_passes(state.passes, out);
  write_memory(state, out);
  return out.take();
}

}  // namespace tidar
