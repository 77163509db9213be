#include "apps/ends_of_text.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "apps/ids.h"
#include "apps/session.h"
#include "eval/causal_scorer.h"
#include "format/files.h"
#include "format/token_shards.h"

namespace tidar {

namespace {

constexpr size_t kAskedDocuments = 8;
constexpr int kAskedTokens = 512;  // of a document that is asked about

/// The first documents of text files, without an end, of those that are not long.
Result<std::vector<std::vector<int32_t>>> first_documents(const CorpusFlags& data,
                                                          const Tokenizer& tokenizer, int most) {
  std::vector<std::vector<int32_t>> documents;
  for (const std::string& file : data.files) {
    if (is_token_shard(file)) continue;
    TIDAR_TRY(const DocumentForm form, form_of(data));
    TIDAR_TRY(CorpusReader reader, CorpusReader::open(file, form));
    CorpusDocument document;
    while (documents.size() < kAskedDocuments) {
      TIDAR_TRY(const bool more, reader.next(document));
      if (!more) break;
      if (!document.problem.empty()) continue;
      auto ids = tokenizer.encode(document.prompt + document.text);
      if (!ids.empty() && static_cast<int>(ids.size()) < most) documents.push_back(std::move(ids));
    }
  }
  return documents;
}

/// The mean probability of each end behind the documents.
Result<std::vector<double>> probabilities(const std::filesystem::path& model,
                                          const std::vector<int>& ends,
                                          const std::vector<std::vector<int32_t>>& documents,
                                          int threads) {
  ModelFlags flags;
  flags.model = model.string();
  flags.threads = threads;
  TIDAR_TRY(Session session, Session::open(flags));
  TIDAR_TRY_VOID(session.build_network({.rows = kAskedTokens, .keys_each = kAskedTokens}));
  const auto scorer = make_causal_scorer(session.network(), 1);
  size_t next = 0;
  const auto group = [&]() -> std::optional<TextGroup> {
    if (next == documents.size()) return std::nullopt;
    const std::vector<int32_t>& document = documents[next];
    TextGroup texts{static_cast<int64_t>(next++), {}};
    for (const int end : ends) {
      ScoredText text{document, static_cast<int32_t>(document.size())};
      text.tokens.push_back(end);
      texts.texts.push_back(std::move(text));
    }
    return texts;
  };
  std::vector<double> means(ends.size());
  const auto take = [&](int64_t, const std::vector<TextScore>& scores) -> Result<bool> {
    for (size_t i = 0; i < scores.size(); ++i) {
      means[i] += std::exp(scores[i].logprob) / static_cast<double>(documents.size());
    }
    return true;
  };
  TIDAR_TRY_VOID(scorer->score(group, take));
  return means;
}

}  // namespace

Result<EndOfText> end_of_text(std::string_view named, const std::filesystem::path& model,
                              const ModelConfig& config, const Tokenizer& tokenizer,
                              const CorpusFlags& data, int threads) {
  const std::vector<int>& ends = config.eos_tokens;
  const auto told = [&](int32_t id) {
    return fmt::format("{} ({})", in_quotes(tokenizer.bytes(id)), id);
  };
  if (!named.empty()) {
    TIDAR_TRY(const int32_t id, token_named(named, &tokenizer));
    if (std::find(ends.begin(), ends.end(), id) != ends.end()) {
      return EndOfText{id, fmt::format("{}, as asked for", told(id))};
    }
    return error(
        "--end: {} is no end of text to the model's config.json, so that decoding would not end "
        "there; name it there as eos_token_id, or give another",
        told(id));
  }
  for (const int end : ends) {
    if (end < tokenizer.size()) continue;
    return error(
        "{}: config.json names {} as eos_token_id, which the tokenizer of {} tokens does not have; "
        "name the token that ends texts there",
        model.string(), end, tokenizer.size());
  }
  if (ends.empty()) return EndOfText{-1, "none: the model's config.json names no eos_token_id"};
  if (ends.size() == 1) return EndOfText{ends.front(), told(ends.front())};
  const int most = std::min(kAskedTokens, config.max_positions);
  TIDAR_TRY(const auto documents, first_documents(data, tokenizer, most));
  if (documents.empty()) {
    return EndOfText{ends.front(),
                     fmt::format("{}, the first of the config's", told(ends.front()))};
  }
  TIDAR_TRY(const std::vector<double> means, probabilities(model, ends, documents, threads));
  const auto likeliest = std::max_element(means.begin(), means.end());
  const int32_t id = ends[static_cast<size_t>(likeliest - means.begin())];
  return EndOfText{id, fmt::format("{}, of the config's {} the one that the model expects behind "
                                   "texts (probability {:.3f})",
                                   told(id), ends.size(), *likeliest)};
}

}  // namespace tidar
