#include "apps/trace_file.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <span>
#include <string_view>
#include <utility>

#include "format/json.h"
#include "format/jsonl.h"

namespace tidar {
namespace {

constexpr int kTraceVersion = 2;
constexpr int kMostTraceTokens = 1 << 24;
/// A logarithm of a probability may be rounded to a little more than 0.
constexpr NumberRange kLogprobs = {-1e30, 1};

Result<std::vector<int>> tokens_of(const JsonFields& fields, const std::string& key,
                                   int vocabulary) {
  TIDAR_TRY(std::vector<int> tokens, fields.integers(key, {0, vocabulary - 1}));
  if (tokens.empty() || tokens.size() > kMostTraceTokens) {
    return fields.wrong(key, fmt::format("a list of 1 to {} token ids", kMostTraceTokens));
  }
  return tokens;
}

Result<void> fill(DraftTrace& trace, const JsonFields& fields, int vocabulary) {
  const IntegerRange ids = {-1, vocabulary - 1};
  TIDAR_TRY(const std::vector<int> guesses, fields.integers("guesses", ids));
  TIDAR_TRY(const std::vector<double> logprobs, fields.numbers("logprobs", kLogprobs));
  TIDAR_TRY(const std::vector<int> runners_up, fields.integers("runners_up", ids));
  TIDAR_TRY(const std::vector<double> their_logprobs,
            fields.numbers("runner_up_logprobs", kLogprobs));
  const int64_t each = int64_t{trace.draft_length()} * (trace.draft_length() + 1) / 2;
  const auto count = static_cast<size_t>(trace.answer_tokens() * each);
  for (const auto& [key, size] :
       {std::pair("guesses", guesses.size()), std::pair("logprobs", logprobs.size()),
        std::pair("runners_up", runners_up.size()),
        std::pair("runner_up_logprobs", their_logprobs.size())}) {
    if (size == count) continue;
    return fields.wrong(key,
                        fmt::format("a list of {}: {} for each token of the answer", count, each));
  }
  size_t next = 0;
  for (int masks = 1; masks <= trace.draft_length(); ++masks) {
    for (Guess& guess : trace.drafts(masks)) {
      guess = {.token = guesses[next],
               .logprob = static_cast<float>(logprobs[next]),
               .runner_up = {runners_up[next], static_cast<float>(their_logprobs[next])}};
      ++next;
    }
  }
  return {};
}

Result<DraftTrace> parse_trace(const JsonFields& fields) {
  TIDAR_TRY_VOID(fields.integer("version", {kTraceVersion, kTraceVersion}));
  constexpr std::array<std::string_view, 10> kKnown = {
      "version", "model",   "vocabulary", "draft_length", "prompt",
      "answer",  "guesses", "logprobs",   "runners_up",   "runner_up_logprobs"};
  TIDAR_TRY_VOID(fields.refuse_others(kKnown));
  TIDAR_TRY(const int vocabulary, fields.integer("vocabulary", {1, 1 << 30}));
  TIDAR_TRY(const int draft_length, fields.integer("draft_length", {1, kLongestTracedDraft}));
  TIDAR_TRY(std::vector<int> text, tokens_of(fields, "prompt", vocabulary));
  TIDAR_TRY(const std::vector<int> answer, tokens_of(fields, "answer", vocabulary));
  const auto prompt_tokens = static_cast<int>(text.size());
  text.insert(text.end(), answer.begin(), answer.end());
  DraftTrace trace(std::move(text), prompt_tokens, draft_length);
  TIDAR_TRY_VOID(fill(trace, fields, vocabulary));
  return trace;
}

}  // namespace

int TraceFile::draft_length() const {
  const auto shorter = [](const DraftTrace& a, const DraftTrace& b) {
    return a.draft_length() < b.draft_length();
  };
  return std::min_element(texts.begin(), texts.end(), shorter)->draft_length();
}

int TraceFile::longest() const {
  const auto shorter = [](const DraftTrace& a, const DraftTrace& b) { return a.size() < b.size(); };
  return std::max_element(texts.begin(), texts.end(), shorter)->size();
}

Result<TraceFile> read_trace(const std::filesystem::path& path) {
  TraceFile file;
  const auto use = [&](const JsonFields& fields, int64_t) -> Result<void> {
    TIDAR_TRY(DraftTrace trace, parse_trace(fields));
    TIDAR_TRY(std::string model, fields.text("model"));
    if (file.texts.empty()) file.model = std::move(model);
    file.texts.push_back(std::move(trace));
    return {};
  };
  TIDAR_TRY_VOID(read_jsonl(path, use));
  return file;
}

Result<TraceWriter> TraceWriter::create(const std::filesystem::path& path, std::string model,
                                        int vocabulary) {
  TIDAR_TRY(FileWriter file, FileWriter::create(path));
  return TraceWriter(std::move(file), std::move(model), vocabulary);
}

Result<void> TraceWriter::add(const DraftTrace& trace) {
  const auto text = std::span(trace.text());
  const auto prompt_tokens = static_cast<size_t>(trace.prompt_tokens());
  std::vector<int32_t> tokens, runners_up;
  std::vector<float> logprobs, their_logprobs;  // printed with as few digits as tell them apart
  for (int masks = 1; masks <= trace.draft_length(); ++masks) {
    for (const Guess& guess : trace.drafts(masks)) {
      tokens.push_back(guess.token);
      logprobs.push_back(guess.logprob);
      runners_up.push_back(guess.runner_up.token);
      their_logprobs.push_back(guess.runner_up.logprob);
    }
  }
  const OrderedJson model = model_;
  const std::string line = fmt::format(
      "{{\"version\":{},\"model\":{},\"vocabulary\":{},\"draft_length\":{},\"prompt\":[{}],"
      "\"answer\":[{}],\"guesses\":[{}],\"logprobs\":[{}],\"runners_up\":[{}],"
      "\"runner_up_logprobs\":[{}]}}\n",
      kTraceVersion, model.dump(-1, ' ', false, OrderedJson::error_handler_t::replace), vocabulary_,
      trace.draft_length(), fmt::join(text.first(prompt_tokens), ","),
      fmt::join(text.subspan(prompt_tokens), ","), fmt::join(tokens, ","), fmt::join(logprobs, ","),
      fmt::join(runners_up, ","), fmt::join(their_logprobs, ","));
  return file_.append(std::as_bytes(std::span(line)));
}

}  // namespace tidar
