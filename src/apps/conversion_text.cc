#include "apps/conversion_text.h"

#include <algorithm>
#include <functional>
#include <span>
#include <utility>

#include "apps/shard_maker.h"
#include "format/files.h"
#include "format/token_shards.h"

namespace tidar {

namespace {

constexpr int64_t kOneIn = 20;
constexpr int64_t kMostHeldOut = 500;

/// Counts the documents of shards.
class Counting {
 public:
  Counting(int32_t end, ConversionText& text) : end_(end), text_(text) {}

  void add(std::span<const int32_t> ids, int64_t prompt, std::span<const Range> given) {
    for (const int32_t id : ids) {
      const auto place = static_cast<size_t>(id);
      if (text_.counts.size() <= place) text_.counts.resize(place + 1);
      ++text_.counts[place];
    }
    text_.documents += 1;
    text_.tokens += static_cast<int64_t>(ids.size());
    text_.prompt_tokens += prompt;
    for (const Range& stretch : given) text_.prompt_tokens += stretch.size();
    text_.longest = std::max(text_.longest, static_cast<int64_t>(ids.size()));
    text_.ended += end_ >= 0 && ids.back() == end_;
  }

 private:
  int32_t end_;
  ConversionText& text_;
};

using UseDocument = std::function<Result<void>(std::span<const int32_t> ids, int64_t prompt,
                                               std::span<const Range> given)>;

Result<void> read_shard(const std::filesystem::path& path, const Tokenizer& tokenizer,
                        const UseDocument& use) {
  TIDAR_TRY(const TokenShardFile file, TokenShardFile::open(path));
  const TokenShard& shard = file.shard();
  if (shard.vocabulary() > tokenizer.size()) {
    return error(
        "{}: was made with a tokenizer of {} tokens, but the model's has {}; make it anew with "
        "tidar data tokens, or give the text itself",
        path.string(), shard.vocabulary(), tokenizer.size());
  }
  std::vector<int32_t> ids;
  for (int64_t document = 0; document < shard.documents(); ++document) {
    ids.resize(static_cast<size_t>(shard.size_of(document)));
    TIDAR_TRY_VOID(shard.read(document, 0, ids));
    TIDAR_TRY_VOID(use(ids, shard.prompt_of(document), shard.given_of(document)));
  }
  return {};
}

/// A shard of text files.
Result<std::filesystem::path> tokenise(const ConversionSources& sources,
                                       std::vector<std::string> files, const Tokenizer& tokenizer,
                                       const std::filesystem::path& out) {
  CorpusFlags corpus = sources.data;
  corpus.files = std::move(files);
  corpus.conversations = true;
  TIDAR_TRY(TokenShardWriter writer, TokenShardWriter::create(out, tokenizer.size()));
  ShardMaker maker(sources.model, tokenizer, std::move(writer), sources.end);
  TIDAR_TRY(const CorpusAccount account,
            read_corpus(corpus, [&](CorpusDocument& document) { return maker.add(document); }));
  if (account.interrupted) return error("interrupted while the text was read; nothing was begun");
  TIDAR_TRY_VOID(maker.finish());
  return out;
}

/// The files as shards: as they are, or made in `out`.
Result<std::vector<std::filesystem::path>> as_shards(const ConversionSources& sources,
                                                     const std::vector<std::string>& files,
                                                     const Tokenizer& tokenizer,
                                                     const std::filesystem::path& out) {
  const auto shards = std::count_if(files.begin(), files.end(),
                                    [](const std::string& file) { return is_token_shard(file); });
  if (shards == static_cast<int64_t>(files.size())) {
    return std::vector<std::filesystem::path>(files.begin(), files.end());
  }
  if (shards > 0) {
    return error("{}: texts and token shards are mixed; give one or the other", files.front());
  }
  TIDAR_TRY(auto made, tokenise(sources, files, tokenizer, out));
  return std::vector{std::move(made)};
}

/// Deals the documents of shards out to two new ones.
Result<void> hold_out(ConversionText& text, const Tokenizer& tokenizer, Counting& counting,
                      const std::filesystem::path& folder) {
  const auto train = folder / "train.tokens", held = folder / "validation.tokens";
  TIDAR_TRY(TokenShardWriter training, TokenShardWriter::create(train, tokenizer.size()));
  TIDAR_TRY(TokenShardWriter validation, TokenShardWriter::create(held, tokenizer.size()));
  for (const auto& shard : text.train) {
    TIDAR_TRY_VOID(read_shard(
        shard, tokenizer,
        [&](std::span<const int32_t> ids, int64_t prompt, std::span<const Range> given) {
          counting.add(ids, prompt, given);
          const bool apart =
              (text.documents % kOneIn == 0 || text.documents == 2) && text.held_out < kMostHeldOut;
          text.held_out += apart;
          return (apart ? validation : training).add(ids, prompt, given);
        }));
  }
  if (text.held_out == 0) {
    return error("the data is one document, of which nothing can be held out; give --validation");
  }
  TIDAR_TRY_VOID(training.finish());
  TIDAR_TRY_VOID(validation.finish());
  text.train = {train};
  text.validation = {held};
  return {};
}

}  // namespace

Result<ConversionText> gather_text(const ConversionSources& sources, const Tokenizer& tokenizer,
                                   const std::filesystem::path& folder) {
  ConversionText text;
  Counting counting(sources.end, text);
  TIDAR_TRY(text.train, as_shards(sources, sources.data.files, tokenizer, folder / "all.tokens"));
  if (sources.validation.empty()) {
    const bool made = text.train.front() == folder / "all.tokens";
    TIDAR_TRY_VOID(hold_out(text, tokenizer, counting, folder));
    if (made) std::filesystem::remove(folder / "all.tokens");
    return text;
  }
  TIDAR_TRY(text.validation,
            as_shards(sources, sources.validation, tokenizer, folder / "validation.tokens"));
  const auto count = [&](std::span<const int32_t> ids, int64_t prompt,
                         std::span<const Range> given) -> Result<void> {
    counting.add(ids, prompt, given);
    return {};
  };
  for (const auto& shard : text.validation) TIDAR_TRY_VOID(read_shard(shard, tokenizer, count));
  text.held_out = text.documents;
  for (const auto& shard : text.train) TIDAR_TRY_VOID(read_shard(shard, tokenizer, count));
  return text;
}

}  // namespace tidar
