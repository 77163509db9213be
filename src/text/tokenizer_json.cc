#include "text/tokenizer_json.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "format/json.h"
#include "text/byte_level.h"
#include "text/json_object.h"
#include "text/tokenizer_stages.h"

namespace tidar {
namespace {

// --- the model -----------------------------------------------------------------------------------

/// Appends what the vocabulary knows a token by: at byte level the bytes that it writes in that
/// alphabet, otherwise its own. False, and nothing appended, when it is not of the alphabet.
bool append_token(BpeUnit unit, std::string_view token, std::string& bytes) {
  if (unit == BpeUnit::byte) return append_byte_level(token, bytes);
  bytes += token;
  return true;
}

/// The same; of a token that is not of the alphabet, its own bytes. The latter is how <|a token
/// with spaces|> decodes.
std::string bytes_of(BpeUnit unit, std::string_view token) {
  std::string bytes;
  if (!append_token(unit, token, bytes)) bytes = token;
  return bytes;
}

/// Whether text can lead to the token.
bool is_reachable(BpeUnit unit, std::string_view token) {
  std::string bytes;
  return append_token(unit, token, bytes);
}

Result<void> read_vocabulary(const JsonObject& model, BpeUnit unit, Vocabulary& vocabulary) {
  TIDAR_TRY(const auto object, model.object("vocab"));
  const simdjson::dom::object tokens = model.find("vocab")->get_object().value_unsafe();
  size_t bytes = 0;
  for (const auto& [token, value] : tokens) bytes += token.size();
  vocabulary.reserve(tokens.size(), bytes);
  for (const auto& [token, value] : tokens) {
    int64_t id = 0;
    if (value.get(id) || id < 0 || id >= kMaxVocabularySize) {
      return error("{}: the id of \"{}\" must be an integer between 0 and {}", object.path(), token,
                   kMaxVocabularySize - 1);
    }
    if (vocabulary.has(id)) {
      return error("{}: two tokens have the id {}, \"{}\" is one of them", object.path(), id,
                   token);
    }
    vocabulary.add(static_cast<int32_t>(id), bytes_of(unit, token));
    // Tokens outside the alphabet can be decoded, but no text leads to them.
    if (is_reachable(unit, token) && !vocabulary.index(static_cast<int32_t>(id))) {
      return error("{}: the token \"{}\" occurs twice", object.path(), token);
    }
  }
  return {};
}

struct MergeText {
  std::string_view left;
  std::string_view right;
};

/// One element of "merges": "left right", or ["left", "right"].
std::optional<MergeText> merge_text(simdjson::dom::element element) {
  std::string_view both;
  if (!element.get(both)) {
    const size_t space = both.find(' ');
    if (space == std::string_view::npos || both.find(' ', space + 1) != std::string_view::npos) {
      return std::nullopt;
    }
    return MergeText{both.substr(0, space), both.substr(space + 1)};
  }
  simdjson::dom::array pair;
  MergeText text;
  if (element.get(pair) || pair.size() != 2 || pair.at(0).get(text.left) ||
      pair.at(1).get(text.right)) {
    return std::nullopt;
  }
  return text;
}

Result<void> read_merges(const JsonObject& model, BpeUnit unit, const Vocabulary& vocabulary,
                         std::vector<Merge>& merges) {
  TIDAR_TRY(const auto items, model.array("merges"));
  merges.reserve(items.size());
  std::string bytes;
  size_t index = 0;
  for (simdjson::dom::element item : items) {
    const auto where = [&] { return fmt::format("{}[{}]", model.path_of("merges"), index); };
    const auto text = merge_text(item);
    if (!text) return error("{} must be two tokens, as \"a b\" or [\"a\", \"b\"]", where());
    bytes.clear();
    const bool left_fits = append_token(unit, text->left, bytes);
    const size_t middle = bytes.size();
    if (!left_fits || !append_token(unit, text->right, bytes)) {
      return error(
          "{} (\"{}\" and \"{}\") holds characters that are not of the byte-level alphabet",
          where(), text->left, text->right);
    }
    const std::string_view view = bytes;
    const Merge merge{vocabulary.find(view.substr(0, middle)), vocabulary.find(view.substr(middle)),
                      vocabulary.find(view)};
    if (merge.left < 0 || merge.right < 0 || merge.merged < 0) {
      return error("{}: \"{}\", \"{}\" and both together must be in the vocabulary", where(),
                   text->left, text->right);
    }
    merges.push_back(merge);
    ++index;
  }
  return {};
}

Result<void> check_bpe(const JsonObject& model) {
  TIDAR_TRY(const auto type, model.text("type"));
  if (type != "BPE") return unsupported_type(model, type, "BPE");
  TIDAR_TRY_VOID(
      model.only({"type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix",
                  "fuse_unk", "byte_fallback", "ignore_merges", "vocab", "merges"}));
  for (std::string_view key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    if (!model.find(key)) continue;
    TIDAR_TRY(const auto affix, model.text(key));
    if (!affix.empty()) return model.unsupported(fmt::format("{} \"{}\"", key, affix));
  }
  if (const auto dropout = model.find("dropout")) {
    double rate = 0;
    if (dropout->get(rate) || rate != 0) return model.unsupported("a dropout other than 0");
  }
  return {};
}

Result<bool> read_byte_fallback(const JsonObject& model, BpeUnit unit,
                                const Vocabulary& vocabulary) {
  TIDAR_TRY(const bool byte_fallback, model.flag("byte_fallback", false));
  if (!byte_fallback) return false;
  if (unit == BpeUnit::byte) return model.unsupported("byte_fallback beside a ByteLevel decoder");
  for (int byte = 0; byte < 256; ++byte) {
    const std::string token = fmt::format("<0x{:02X}>", byte);
    if (vocabulary.find(token) < 0) {
      return error("{}: the token {} is missing, and byte_fallback needs it",
                   model.path_of("vocab"), token);
    }
  }
  return true;
}

Result<void> read_rules(const JsonObject& model, const Vocabulary& vocabulary, BpeRules& rules) {
  TIDAR_TRY(rules.byte_fallback, read_byte_fallback(model, rules.unit, vocabulary));
  TIDAR_TRY(rules.fuse_unknown, model.flag("fuse_unk", false));
  TIDAR_TRY(rules.ignore_merges, model.flag("ignore_merges", false));
  if (!model.find("unk_token")) return {};
  TIDAR_TRY(const auto unknown, model.text("unk_token"));
  rules.unknown = vocabulary.find(bytes_of(rules.unit, unknown));
  if (rules.unknown >= 0 || rules.byte_fallback) return {};
  if (rules.unit == BpeUnit::character) {
    return error("{} \"{}\" is not in the vocabulary", model.path_of("unk_token"), unknown);
  }
  for (int byte = 0; byte < 256; ++byte) {
    const char text = static_cast<char>(byte);
    if (vocabulary.find({&text, 1}) < 0) {
      return error("{} \"{}\" is not in the vocabulary and byte {} needs it",
                   model.path_of("unk_token"), unknown, byte);
    }
  }
  return {};
}

// --- what surrounds it ---------------------------------------------------------------------------

/// The ids of the special token that an element of a template names.
Result<std::vector<int32_t>> template_ids(const JsonObject& processor, const JsonObject& special,
                                          int32_t vocabulary_size) {
  TIDAR_TRY(const auto name, special.text("id"));
  TIDAR_TRY(const auto table, processor.object("special_tokens"));
  TIDAR_TRY(const auto entry, table.object(name));
  TIDAR_TRY(const auto array, entry.array("ids"));
  std::vector<int32_t> ids;
  for (simdjson::dom::element item : array) {
    int64_t id = -1;
    if (item.get(id) || id < 0 || id >= vocabulary_size) {
      return error("{} must hold ids of this vocabulary", entry.path_of("ids"));
    }
    ids.push_back(static_cast<int32_t>(id));
  }
  return ids;
}

/// Puts the template's tokens around what earlier processors have put around the text.
Result<void> read_template(const JsonObject& processor, TokenizerParts& parts) {
  TIDAR_TRY_VOID(processor.only({"type", "single", "pair", "special_tokens"}));
  TIDAR_TRY(const auto pieces, processor.objects("single"));
  std::vector<int32_t> before, after;
  bool seen_text = false;
  for (const JsonObject& piece : pieces) {
    TIDAR_TRY_VOID(piece.only({"SpecialToken", "Sequence"}));
    if (piece.find("SpecialToken")) {
      TIDAR_TRY(const auto special, piece.object("SpecialToken"));
      TIDAR_TRY(const auto ids, template_ids(processor, special, parts.vocabulary.size()));
      auto& side = seen_text ? after : before;
      side.insert(side.end(), ids.begin(), ids.end());
      continue;
    }
    TIDAR_TRY(const auto sequence, piece.object("Sequence"));
    TIDAR_TRY(const auto name, sequence.text("id"));
    if (name != "A" || seen_text) return piece.unsupported("anything but the text A once");
    seen_text = true;
  }
  if (!seen_text) return processor.unsupported("a template without the text A");
  parts.prefix.insert(parts.prefix.begin(), before.begin(), before.end());
  parts.suffix.insert(parts.suffix.end(), after.begin(), after.end());
  return {};
}

Result<void> read_post_processor(const JsonObject& file, TokenizerParts& parts) {
  TIDAR_TRY(const auto elements, elements_of(file, "post_processor", "processors"));
  for (const JsonObject& element : elements) {
    TIDAR_TRY(const auto type, element.text("type"));
    if (type == "TemplateProcessing") {
      TIDAR_TRY_VOID(read_template(element, parts));
    } else if (type != "ByteLevel") {  // which only corrects offsets, and there are none here
      return unsupported_type(element, type, "TemplateProcessing, ByteLevel, Sequence");
    }
  }
  return {};
}

// --- added tokens --------------------------------------------------------------------------------

Result<AddedToken> read_added_token(const JsonObject& object) {
  TIDAR_TRY_VOID(object.only(
      {"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special", "__type"}));
  AddedToken token;
  TIDAR_TRY(const auto content, object.text("content"));
  if (content.empty()) return error("{} must not be empty", object.path_of("content"));
  token.content = content;
  TIDAR_TRY(token.special, object.flag("special", false));
  TIDAR_TRY(token.lstrip, object.flag("lstrip", false));
  TIDAR_TRY(token.rstrip, object.flag("rstrip", false));
  TIDAR_TRY(token.single_word, object.flag("single_word", false));
  TIDAR_TRY(token.normalized, object.flag("normalized", !token.special));
  return token;
}

/// Gives the token its place in the vocabulary, unless the model has it there already.
Result<void> place_added_token(const AddedToken& token, const std::string& path,
                               TokenizerParts& parts) {
  const BpeUnit unit = parts.rules.unit;
  const std::string bytes = bytes_of(unit, token.content);
  const int32_t known = is_reachable(unit, token.content) ? parts.vocabulary.find(bytes) : -1;
  if (known >= 0 && known != token.id) {
    return error("{}: \"{}\" has the id {}, and {} in the model's vocabulary", path, token.content,
                 token.id, known);
  }
  if (!parts.vocabulary.has(token.id)) {
    // It decodes to what it is looked for by: behind a Prepend, to a text with a space before it.
    std::string scratch;
    const std::string_view found =
        token.normalized ? parts.normalizer.apply(token.content, scratch) : token.content;
    parts.vocabulary.add(token.id, bytes_of(unit, found));
  } else if (parts.vocabulary.bytes(token.id) != bytes) {
    return error("{}: the id {} of \"{}\" belongs to the token \"{}\"", path, token.id,
                 token.content, parts.vocabulary.bytes(token.id));
  }
  if (parts.special.size() <= static_cast<size_t>(token.id)) {
    parts.special.resize(static_cast<size_t>(token.id) + 1);
  }
  if (token.special) parts.special[static_cast<size_t>(token.id)] = true;
  return {};
}

Result<std::vector<AddedToken>> read_added_tokens(const JsonObject& file, TokenizerParts& parts) {
  std::vector<AddedToken> tokens;
  if (!file.find("added_tokens")) return tokens;
  TIDAR_TRY(const auto objects, file.objects("added_tokens"));
  for (const JsonObject& object : objects) {
    TIDAR_TRY(AddedToken token, read_added_token(object));
    TIDAR_TRY(token.id, object.integer("id", kMaxVocabularySize));
    TIDAR_TRY_VOID(place_added_token(token, object.path(), parts));
    tokens.push_back(std::move(token));
  }
  return tokens;
}

/// Tokens that tokenizer_config.json declares ("added_tokens_decoder": {"7": {"content": …}}) and
/// tokenizer.json does not: transformers adds them when it loads the folder.
Result<void> read_config_tokens(const JsonObject& config, TokenizerParts& parts,
                                std::vector<AddedToken>& tokens) {
  if (!config.find("added_tokens_decoder")) return {};
  TIDAR_TRY(const auto table, config.object("added_tokens_decoder"));
  const auto fields = config.find("added_tokens_decoder")->get_object().value_unsafe();
  const size_t declared = tokens.size();
  for (const auto& [key, value] : fields) {
    TIDAR_TRY(const auto object, JsonObject::of(value, table.path_of(key)));
    TIDAR_TRY(AddedToken token, read_added_token(object));
    const auto same = [&](const AddedToken& other) { return other.content == token.content; };
    const auto end = tokens.begin() + static_cast<ptrdiff_t>(declared);
    if (std::any_of(tokens.begin(), end, same)) continue;
    const auto parsed = std::from_chars(key.data(), key.data() + key.size(), token.id);
    if (parsed.ec != std::errc() || parsed.ptr != key.data() + key.size() || token.id < 0 ||
        token.id >= kMaxVocabularySize) {
      return error("{}: the name must be an id between 0 and {}", object.path(),
                   kMaxVocabularySize - 1);
    }
    TIDAR_TRY_VOID(place_added_token(token, object.path(), parts));
    tokens.push_back(std::move(token));
  }
  return {};
}

/// Sorts tokens by the text that they are looked for in.
Result<void> build_added_tokens(std::vector<AddedToken> tokens, TokenizerParts& parts) {
  std::vector<AddedToken> raw, normalized;
  std::string scratch;
  for (AddedToken& token : tokens) {
    if (!token.normalized) {
      raw.push_back(std::move(token));
      continue;
    }
    const std::string_view content = parts.normalizer.apply(token.content, scratch);
    if (content.empty()) {
      return error("the added token \"{}\" is empty when normalized; no text can hold it",
                   token.content);
    }
    token.content = std::string(content);
    normalized.push_back(std::move(token));
  }
  TIDAR_TRY(parts.raw_tokens, AddedTokens::build(std::move(raw)));
  TIDAR_TRY(parts.normalized_tokens, AddedTokens::build(std::move(normalized)));
  return {};
}

Result<JsonObject> parse_file(simdjson::dom::parser& parser, std::string_view text) {
  simdjson::dom::element root;
  const auto failure = parser.parse(text.data(), text.size()).get(root);
  if (failure) return error("this is not valid JSON: {}", simdjson::error_message(failure));
  simdjson::dom::object fields;
  if (root.get(fields)) return error("the file must hold a JSON object");
  return JsonObject::of(root, "");
}

Result<TokenizerParts> parse_parts(const JsonObject& file) {
  TIDAR_TRY_VOID(file.only({"version", "truncation", "padding", "added_tokens", "normalizer",
                            "pre_tokenizer", "post_processor", "decoder", "model"}));
  TokenizerParts parts;
  TIDAR_TRY(const JsonObject model, file.object("model"));
  TIDAR_TRY_VOID(check_bpe(model));
  TIDAR_TRY(parts.decoding, read_decoder(file));
  const BpeUnit unit = parts.decoding ? BpeUnit::character : BpeUnit::byte;
  parts.rules.unit = unit;
  TIDAR_TRY_VOID(read_vocabulary(model, unit, parts.vocabulary));
  TIDAR_TRY_VOID(read_merges(model, unit, parts.vocabulary, parts.merges));
  TIDAR_TRY_VOID(read_rules(model, parts.vocabulary, parts.rules));
  TIDAR_TRY(parts.normalizer, read_normalizer(file));
  TIDAR_TRY(parts.pre_tokenizer, read_pre_tokenizer(file, unit));
  return parts;
}

/// What simdjson takes for the file's "added_tokens_decoder" alone. The rest of the file may hold
/// numbers that it refuses: "model_max_length" is 1000000000000000019884624838656 where there is no
/// limit.
Result<std::string> added_tokens_of(const NamedText& config) {
  TIDAR_TRY(const Json file, parse_json_object(config.text, config.name));
  const auto tokens = file.find("added_tokens_decoder");
  Json wanted = Json::object();
  if (tokens != file.end()) wanted["added_tokens_decoder"] = *tokens;
  return wanted.dump();
}

}  // namespace

Result<TokenizerParts> parse_tokenizer_json(const NamedText& tokenizer, const NamedText& config) {
  const auto named = [](const NamedText& file, const Error& cause) {
    return error("{}: {}", file.name, cause.message);
  };
  simdjson::dom::parser parser;
  const auto file = parse_file(parser, tokenizer.text);
  if (!file.ok()) return named(tokenizer, file.error());
  auto parts = parse_parts(*file);
  if (!parts.ok()) return named(tokenizer, parts.error());
  auto added = read_added_tokens(*file, *parts);
  if (!added.ok()) return named(tokenizer, added.error());
  if (!config.text.empty()) {
    TIDAR_TRY(const std::string declared, added_tokens_of(config));
    simdjson::dom::parser config_parser;
    TIDAR_TRY(const JsonObject object, parse_file(config_parser, declared));
    const auto read = read_config_tokens(object, *parts, *added);
    if (!read.ok()) return named(config, read.error());
  }
  const auto built = build_added_tokens(std::move(*added), *parts);
  if (!built.ok()) return named(tokenizer, built.error());
  const auto surrounded = read_post_processor(*file, *parts);
  if (!surrounded.ok()) return named(tokenizer, surrounded.error());
  return parts;
}

}  // namespace tidar
