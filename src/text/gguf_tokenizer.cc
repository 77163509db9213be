#include "text/gguf_tokenizer.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "text/utf8.h"
#include "text/vocabulary.h"

namespace tidar {
namespace {

/// Of tokenizer.ggml.token_type.
enum class Kind : uint8_t { normal = 1, unknown, control, user_defined, unused, byte };

/// Far above the longest token of any vocabulary; splitting one takes the square of its length.
constexpr size_t kLongestToken = 1024;

/// SentencePiece's space.
constexpr std::string_view kMark = "\xE2\x96\x81";

OrderedJson split_by(std::string_view pattern) {
  return {{"type", "Split"},
          {"pattern", {{"Regex", pattern}}},
          {"behavior", "Isolated"},
          {"invert", false}};
}

/// Contractions, words with the character before them, numbers, punctuation, line ends, blanks.
std::string words_and(std::string_view numbers) {
  return fmt::format(
      R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|{}| ?[^\s\p{{L}}\p{{N}}]+)"
      R"([\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
      numbers);
}

/// How text is cut before it is encoded: what tokenizer.ggml.pre names.
struct Cutting {
  std::vector<OrderedJson> splits;
  bool gpt2_pattern = false;  ///< of ByteLevel, after the splits
  bool nfc = false;
  bool ignore_merges = false;
  bool begins = false;  ///< texts begin with bos where the file does not say whether
};

/// The rules that are known: those of Llama 3, Qwen2, GPT-2, and SmolLM; and what llama.cpp does
/// where a file names none.
constexpr std::string_view kKnownRules =
    "'llama-bpe', 'qwen2', 'deepseek-r1-qwen', 'gpt-2', 'smollm', 'starcoder', 'default'";

std::optional<Cutting> cutting_named(std::string_view name) {
  if (name == "llama-bpe" || name == "llama-v3" || name == "llama3") {
    return Cutting{
        .splits = {split_by(words_and(R"(\p{N}{1,3})"))}, .ignore_merges = true, .begins = true};
  }
  if (name == "qwen2" || name == "deepseek-r1-qwen") {
    return Cutting{.splits = {split_by(words_and(R"(\p{N})"))}, .nfc = true};
  }
  if (name == "gpt-2") return Cutting{.splits = {}, .gpt2_pattern = true};
  if (name == "smollm" || name == "starcoder") {
    return Cutting{.splits = {{{"type", "Digits"}, {"individual_digits", true}}},
                   .gpt2_pattern = true};
  }
  if (name == "default") {
    return Cutting{
        .splits = {split_by(R"([\p{P}\$\+<=>\^~\|]+)"),
                   split_by(R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|)"
                            R"(\s+(?!\S))"),
                   split_by(R"(\p{N}+)"), split_by("[0-9][0-9][0-9]")}};
  }
  return std::nullopt;
}

/// One name of a special token: in a file, and in tokenizer_config.json.
struct Purpose {
  std::string_view ours;
  std::string_view config;
};
constexpr std::array<Purpose, 6> kPurposes = {{{"bos", "bos_token"},
                                               {"eos", "eos_token"},
                                               {"unknown", "unk_token"},
                                               {"padding", "pad_token"},
                                               {"seperator", "sep_token"},  // as files spell it
                                               {"mask", "mask_token"}}};

/// The lists of one file's vocabulary.
class Tokens {
 public:
  static Result<Tokens> read(const Gguf& file) {
    Tokens tokens;
    TIDAR_TRY(tokens.texts_, file.texts("tokenizer.ggml.tokens"));
    for (size_t id = 0; id < tokens.texts_.size(); ++id) {
      if (is_utf8(tokens.texts_[id])) continue;
      return error("{}: token {} in tokenizer.ggml.tokens is not UTF-8", file.where(), id);
    }
    if (tokens.texts_.size() > kMaxVocabularySize) {
      return error("{}: tokenizer.ggml.tokens has {} tokens; expected at most {}", file.where(),
                   tokens.texts_.size(), kMaxVocabularySize);
    }
    if (!file.has_list("tokenizer.ggml.token_type")) return tokens;
    TIDAR_TRY(tokens.kinds_, file.integers("tokenizer.ggml.token_type"));
    if (tokens.kinds_.size() == tokens.texts_.size()) return tokens;
    return error("{}: tokenizer.ggml.token_type has {} entries for {} tokens", file.where(),
                 tokens.kinds_.size(), tokens.texts_.size());
  }

  size_t size() const { return texts_.size(); }
  std::string_view text(size_t id) const { return texts_[id]; }
  bool is(size_t id, Kind kind) const {
    return kinds_.empty() ? kind == Kind::normal : kinds_[id] == static_cast<int64_t>(kind);
  }

 private:
  std::vector<std::string_view> texts_;
  std::vector<int64_t> kinds_;  // empty: all are normal
};

/// The id that an entry holds, which must be a token's; nothing where the file has none.
Result<std::optional<size_t>> id_of(const Gguf& file, std::string_view purpose, size_t tokens) {
  const std::string key = fmt::format("tokenizer.ggml.{}_token_id", purpose);
  const JsonFields fields = file.fields();
  if (!fields.has(key)) return std::optional<size_t>();
  TIDAR_TRY(const int64_t id, fields.count(key, 0));
  if (id < static_cast<int64_t>(tokens)) return std::optional(static_cast<size_t>(id));
  return fields.wrong(key, fmt::format("an id below {}", tokens));
}

/// Makes the tokenizer.json of one file.
class Writer {
 public:
  Writer(const Gguf& file, Tokens tokens) : file_(file), tokens_(std::move(tokens)) {}

  Result<OrderedJson> write() {
    TIDAR_TRY(const std::string model, file_.fields().text("tokenizer.ggml.model"));
    if (model == "gpt2") return write_byte_level();
    if (model == "llama") return write_characters();
    return file_.fields().wrong("tokenizer.ggml.model",
                                "'gpt2' (byte-level BPE) or 'llama' (SentencePiece's BPE)");
  }

 private:
  Result<bool> flag(std::string_view name, bool absent) const {
    return file_.fields().boolean(fmt::format("tokenizer.ggml.{}", name), absent);
  }

  Result<OrderedJson> write_byte_level() const {
    TIDAR_TRY(const std::string name, file_.fields().text("tokenizer.ggml.pre", "default"));
    const auto cutting = cutting_named(name);
    if (!cutting) return file_.fields().wrong("tokenizer.ggml.pre", kKnownRules);
    TIDAR_TRY(const bool space, flag("add_space_prefix", false));
    TIDAR_TRY(OrderedJson processor, post_processor(cutting->begins));
    TIDAR_TRY(const auto merges, file_.texts("tokenizer.ggml.merges"));
    OrderedJson list = OrderedJson::array();
    for (const std::string_view merge : merges) {
      if (!is_utf8(merge)) {
        return error("{}: merge {} in tokenizer.ggml.merges is not UTF-8", file_.where(),
                     list.size());
      }
      list.push_back(merge);
    }
    OrderedJson cuts = cutting->splits;
    OrderedJson byte_level = {{"type", "ByteLevel"},
                              {"add_prefix_space", space},
                              {"trim_offsets", true},
                              {"use_regex", cutting->gpt2_pattern}};
    cuts.push_back(byte_level);
    return OrderedJson{
        {"added_tokens", added_tokens()},
        {"normalizer", cutting->nfc ? OrderedJson{{"type", "NFC"}} : OrderedJson()},
        {"pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", std::move(cuts)}}},
        {"post_processor", std::move(processor)},
        {"decoder", std::move(byte_level)},
        {"model",
         {{"type", "BPE"},
          {"ignore_merges", cutting->ignore_merges},
          {"vocab", vocabulary({Kind::normal})},
          {"merges", std::move(list)}}}};
  }

  Result<OrderedJson> write_characters() const {
    TIDAR_TRY(const bool space, flag("add_space_prefix", true));
    TIDAR_TRY(OrderedJson processor, post_processor(/*begins=*/true));
    TIDAR_TRY(OrderedJson merges, merges_by_score());
    OrderedJson normalizers = OrderedJson::array(), decoders = OrderedJson::array();
    if (space) normalizers.push_back({{"type", "Prepend"}, {"prepend", kMark}});
    normalizers.push_back(
        {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", kMark}});
    decoders.push_back({{"type", "Replace"}, {"pattern", {{"String", kMark}}}, {"content", " "}});
    decoders.push_back({{"type", "ByteFallback"}});
    decoders.push_back({{"type", "Fuse"}});
    if (space) {
      decoders.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
    }
    OrderedJson model = {{"type", "BPE"},
                         {"fuse_unk", true},
                         {"byte_fallback", has_all_bytes()},
                         {"vocab", vocabulary({Kind::normal, Kind::byte, Kind::unknown})},
                         {"merges", std::move(merges)}};
    TIDAR_TRY(const auto unknown, id_of(file_, "unknown", tokens_.size()));
    const size_t id = unknown.value_or(0);
    if (id < tokens_.size() && tokens_.is(id, Kind::unknown)) model["unk_token"] = tokens_.text(id);
    return OrderedJson{
        {"added_tokens", added_tokens()},
        {"normalizer", {{"type", "Sequence"}, {"normalizers", std::move(normalizers)}}},
        {"post_processor", std::move(processor)},
        {"decoder", {{"type", "Sequence"}, {"decoders", std::move(decoders)}}},
        {"model", std::move(model)}};
  }

  bool is_any(size_t id, std::initializer_list<Kind> kinds) const {
    return std::any_of(kinds.begin(), kinds.end(), [&](Kind kind) { return tokens_.is(id, kind); });
  }

  OrderedJson vocabulary(std::initializer_list<Kind> kinds) const {
    OrderedJson object = OrderedJson::object();
    // Not by operator[]: an ordered object searches all keys for the one that is to be set.
    auto& entries = object.get_ref<OrderedJson::object_t&>();
    for (size_t id = 0; id < tokens_.size(); ++id) {
      if (is_any(id, kinds)) entries.emplace_back(std::string(tokens_.text(id)), id);
    }
    return object;
  }

  /// Tokens that are found in the text as they stand. Those of no text (unused) are left out.
  OrderedJson added_tokens() const {
    OrderedJson added = OrderedJson::array();
    for (size_t id = 0; id < tokens_.size(); ++id) {
      const bool special = is_any(id, {Kind::control, Kind::unknown});
      if (!special && !tokens_.is(id, Kind::user_defined)) continue;
      if (tokens_.text(id).empty()) continue;
      added.push_back(
          {{"id", id}, {"content", tokens_.text(id)}, {"normalized", false}, {"special", special}});
    }
    return added;
  }

  bool has_all_bytes() const {
    size_t bytes = 0;
    for (size_t id = 0; id < tokens_.size(); ++id) bytes += tokens_.is(id, Kind::byte) ? 1 : 0;
    return bytes == 256;
  }

  /// What stands around every text. `begins`: whether bos does where the file does not say.
  Result<OrderedJson> post_processor(bool begins) const {
    TIDAR_TRY(const bool bos, flag("add_bos_token", begins));
    TIDAR_TRY(const bool eos, flag("add_eos_token", false));
    OrderedJson single = OrderedJson::array(), table = OrderedJson::object();
    const auto add = [&](bool wanted, std::string_view purpose) -> Result<void> {
      TIDAR_TRY(const auto id, id_of(file_, purpose, tokens_.size()));
      if (!wanted || !id) return {};
      single.push_back({{"SpecialToken", {{"id", purpose}, {"type_id", 0}}}});
      table[std::string(purpose)] = {{"id", purpose}, {"ids", {*id}}};
      return {};
    };
    TIDAR_TRY_VOID(add(bos, "bos"));
    single.push_back({{"Sequence", {{"id", "A"}, {"type_id", 0}}}});
    TIDAR_TRY_VOID(add(eos, "eos"));
    return OrderedJson{{"type", "TemplateProcessing"},
                       {"single", std::move(single)},
                       {"special_tokens", std::move(table)}};
  }

  /// SentencePiece merges the neighbours whose token has the highest score. So each way to put a
  /// token together from two is a merge, and the scores are their order; of ways to one token those
  /// with the longer left part come first, as text is merged from the left.
  Result<OrderedJson> merges_by_score() const {
    TIDAR_TRY(const auto scores, file_.numbers("tokenizer.ggml.scores"));
    if (scores.size() != tokens_.size()) {
      return error("{}: tokenizer.ggml.scores has {} entries for {} tokens", file_.where(),
                   scores.size(), tokens_.size());
    }
    std::vector<size_t> order;
    std::unordered_map<std::string_view, size_t> known;
    for (size_t id = 0; id < tokens_.size(); ++id) {
      if (!tokens_.is(id, Kind::normal)) continue;
      if (tokens_.text(id).size() > kLongestToken) {
        return error("{}: token {} has {} bytes; expected at most {}", file_.where(), id,
                     tokens_.text(id).size(), kLongestToken);
      }
      if (!(scores[id] == scores[id])) {
        return error("{}: the score of token {} is not a number", file_.where(), id);
      }
      order.push_back(id);
      known.emplace(tokens_.text(id), id);
    }
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return scores[a] > scores[b]; });
    OrderedJson merges = OrderedJson::array();
    for (const size_t id : order) {
      const std::string_view whole = tokens_.text(id);
      for (size_t at = whole.size(); at-- > 1;) {
        if ((static_cast<uint8_t>(whole[at]) & 0xC0u) == 0x80u) continue;  // within a character
        const std::string_view left = whole.substr(0, at), right = whole.substr(at);
        if (known.contains(left) && known.contains(right)) {
          merges.push_back(OrderedJson::array({left, right}));
        }
      }
    }
    return merges;
  }

  const Gguf& file_;
  Tokens tokens_;
};

}  // namespace

bool has_tokenizer(const Gguf& file) {
  return file.has_list("tokenizer.ggml.tokens") || file.fields().has("tokenizer.huggingface.json");
}

Result<std::string> tokenizer_json_of(const Gguf& file) {
  constexpr std::string_view whole = "tokenizer.huggingface.json";
  if (file.fields().has(whole)) return file.fields().text(whole);
  TIDAR_TRY(Tokens tokens, Tokens::read(file));
  TIDAR_TRY(const OrderedJson json, Writer(file, std::move(tokens)).write());
  return json.dump();
}

Result<Json> tokenizer_config_of(const Gguf& file) {
  Json config = Json::object();
  if (file.has_list("tokenizer.ggml.tokens")) {
    TIDAR_TRY(const Tokens tokens, Tokens::read(file));
    for (const auto& [ours, name] : kPurposes) {
      TIDAR_TRY(const auto id, id_of(file, ours, tokens.size()));
      if (id) config[std::string(name)] = tokens.text(*id);
    }
  }
  const JsonFields fields = file.fields();
  if (!fields.has("tokenizer.chat_template")) return config;
  TIDAR_TRY(std::string usual, fields.text("tokenizer.chat_template"));
  if (!fields.has("tokenizer.chat_template.tool_use")) {
    config["chat_template"] = std::move(usual);
    return config;
  }
  TIDAR_TRY(std::string tools, fields.text("tokenizer.chat_template.tool_use"));
  config["chat_template"] = {{{"name", "default"}, {"template", std::move(usual)}},
                             {{"name", "tool_use"}, {"template", std::move(tools)}}};
  return config;
}

}  // namespace tidar
