#include "eval/documents.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "engine/request.h"
#include "format/jsonl.h"
#include "format/token_shards.h"

namespace tidar {
namespace {

/// Adds what it is given to a set, as far as the reading says.
class Collector {
 public:
  explicit Collector(const DocumentReading& reading) : reading_(reading) {}

  size_t longest() const { return static_cast<size_t>(reading_.longest); }

  /// `cut`: there was more of it.
  void add(int64_t number, std::vector<int32_t> tokens, int64_t prompt, bool cut) {
    if (tokens.size() > longest()) {
      tokens.resize(longest());
      cut = true;
    }
    const auto size = static_cast<int64_t>(tokens.size());
    if (prompt == 0) prompt = std::min<int64_t>(reading_.prompt_tokens, size / 2);
    if (prompt == 0 || prompt >= size) {
      ++set_.too_short;
      return;
    }
    set_.shortened += cut;
    set_.documents.push_back(
        {std::to_string(number), std::move(tokens), static_cast<int32_t>(prompt)});
  }

  Result<DocumentSet> set(const std::filesystem::path& path, std::string_view expected) {
    if (!set_.documents.empty()) return std::move(set_);
    return error("{}: {}", path.string(), expected);
  }

 private:
  const DocumentReading& reading_;
  DocumentSet set_;
};

int64_t most_of(const DocumentReading& reading) {
  return reading.limit > 0 ? reading.limit : std::numeric_limits<int64_t>::max();
}

Result<DocumentSet> read_shard(const std::filesystem::path& path, const DocumentReading& reading) {
  TIDAR_TRY(const TokenShardFile file, TokenShardFile::open(path));
  const TokenShard& shard = file.shard();
  const int64_t own = reading.tokenizer != nullptr ? reading.tokenizer->size() : reading.vocabulary;
  const bool from_before = shard.vocabulary() == own - 1 && reading.mask_token == own - 1;
  const bool same = shard.vocabulary() == own || from_before;
  if (reading.tokenizer != nullptr ? !same : shard.vocabulary() > own) {
    return error(
        "{}: is a shard of a vocabulary of {}, but the model's has {}; make one with the model's "
        "tokenizer",
        path.string(), shard.vocabulary(), own);
  }
  Collector collector(reading);
  const int64_t all = std::min(shard.documents(), most_of(reading));
  for (int64_t i = 0; i < all; ++i) {
    // Of a conversation the first answer is measured.
    const std::vector<Range> given = shard.given_of(i);
    const auto size = static_cast<size_t>(given.empty() ? shard.size_of(i) : given.front().begin);
    std::vector<int32_t> tokens(std::min(size, collector.longest()));
    TIDAR_TRY_VOID(shard.read(i, 0, tokens));
    collector.add(i + 1, std::move(tokens), shard.prompt_of(i), size > collector.longest());
  }
  return collector.set(path, "no document has a token behind its prompt");
}

/// The document of a line; nothing in it where the line has no text.
Result<EncodedDocument> document_of(const JsonFields& fields, const DocumentReading& reading) {
  TIDAR_TRY(const std::string text, fields.text("text", ""));
  TIDAR_TRY(const std::string prompt, fields.text("prompt", ""));
  TIDAR_TRY(const std::string finish_reason, fields.text("finish_reason", ""));
  if (text.empty()) return EncodedDocument{};
  EncodedDocument document = encode_document(*reading.tokenizer, prompt, text);
  if (reading.end >= 0 && !was_cut(finish_reason)) document.tokens.push_back(reading.end);
  for (const int32_t id : document.tokens) {
    if (id >= reading.vocabulary) {
      return error("{}: its token {} is outside the model's vocabulary of {}", fields.where(), id,
                   reading.vocabulary);
    }
  }
  return document;
}

Result<DocumentSet> read_lines(const std::filesystem::path& path, const DocumentReading& reading) {
  if (reading.tokenizer == nullptr) {
    return error("{}: the model has no tokenizer.json for its text; give a token shard",
                 path.string());
  }
  Collector collector(reading);
  const auto use = [&](const JsonFields& fields, int64_t line) -> Result<void> {
    TIDAR_TRY(EncodedDocument document, document_of(fields, reading));
    collector.add(line, std::move(document.tokens), document.prompt, false);
    return {};
  };
  TIDAR_TRY_VOID(read_jsonl(path, use, most_of(reading)));
  return collector.set(path, "no line has a \"text\" of two tokens or behind a prompt");
}

}  // namespace

bool was_cut(std::string_view finish_reason) {
  constexpr std::array kCut = {FinishReason::length, FinishReason::context, FinishReason::no_choice,
                               FinishReason::cancelled, FinishReason::deadline};
  return std::any_of(kCut.begin(), kCut.end(),
                     [&](FinishReason reason) { return name_of(reason) == finish_reason; });
}

EncodedDocument encode_document(const Tokenizer& tokenizer, std::string_view prompt,
                                std::string_view text) {
  EncodedDocument document;
  if (!prompt.empty()) document.tokens = tokenizer.encode(prompt);
  document.prompt = static_cast<int64_t>(document.tokens.size());
  const auto behind =
      tokenizer.encode(text, document.prompt == 0 ? AddSpecial::yes : AddSpecial::no);
  document.tokens.insert(document.tokens.end(), behind.begin(), behind.end());
  return document;
}

Result<DocumentSet> read_documents(const std::filesystem::path& path,
                                   const DocumentReading& reading) {
  return is_token_shard(path) ? read_shard(path, reading) : read_lines(path, reading);
}

}  // namespace tidar
