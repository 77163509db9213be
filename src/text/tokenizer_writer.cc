#include "text/tokenizer_writer.h"

#include <simdjson.h>

#include "format/json.h"
#include "text/byte_level.h"
#include "text/tokenizer.h"

namespace tidar {
namespace {

// Of Qwen2's tokenizer.json: contractions, words with the space before them, single digits,
// punctuation, line ends, blanks.
constexpr const char* kPattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

OrderedJson added_token(const std::string& content) {
  return {{"content", content}, {"single_word", false}, {"lstrip", false},
          {"rstrip", false},    {"normalized", false},  {"special", true}};
}

OrderedJson added_token(const NewToken& token) {
  OrderedJson json = {{"id", token.id}};
  json.update(added_token(token.content));
  return json;
}

/// The text of the list "added_tokens" within that of a tokenizer.json; empty where it has none.
std::string_view added_tokens_of(const simdjson::padded_string& text) {
  simdjson::ondemand::parser parser;
  simdjson::ondemand::document document;
  simdjson::ondemand::array array;
  std::string_view list;
  if (parser.iterate(text).get(document)) return "";
  if (document["added_tokens"].get_array().get(array) || array.raw_json().get(list)) return "";
  return list.substr(0, list.rfind(']') + 1);
}

OrderedJson model_json(const LearntBpe& learnt) {
  OrderedJson vocabulary = OrderedJson::object();
  // Not by operator[]: an ordered object searches all keys for the one that is to be set.
  auto& entries = vocabulary.get_ref<OrderedJson::object_t&>();
  std::vector<std::string> texts;
  for (const std::string& token : learnt.tokens) {
    texts.push_back(byte_level_text(token));
    entries.push_back({texts.back(), texts.size() - 1});
  }
  OrderedJson merges = OrderedJson::array();
  for (const auto& [left, right] : learnt.merges) {
    merges.push_back(texts[static_cast<size_t>(left)] + " " + texts[static_cast<size_t>(right)]);
  }
  return {{"type", "BPE"},
          {"dropout", nullptr},
          {"unk_token", nullptr},
          {"continuing_subword_prefix", ""},
          {"end_of_word_suffix", ""},
          {"fuse_unk", false},
          {"byte_fallback", false},
          {"ignore_merges", false},
          {"vocab", std::move(vocabulary)},
          {"merges", std::move(merges)}};
}

}  // namespace

std::vector<std::string> SpecialTokens::all() const {
  std::vector<std::string> tokens = {end, mask};
  tokens.insert(tokens.end(), more.begin(), more.end());
  return tokens;
}

std::string tokenizer_json(const LearntBpe& learnt, const SpecialTokens& special) {
  OrderedJson added = OrderedJson::array();
  for (const std::string& content : special.all()) {
    const auto id = static_cast<int32_t>(learnt.tokens.size() + added.size());
    added.push_back(added_token({id, content}));
  }
  const OrderedJson byte_level = {{"type", "ByteLevel"},
                                  {"add_prefix_space", false},
                                  {"trim_offsets", false},
                                  {"use_regex", false}};
  const OrderedJson split = {{"type", "Split"},
                             {"pattern", {{"Regex", kPattern}}},
                             {"behavior", "Isolated"},
                             {"invert", false}};
  const OrderedJson file = {
      {"version", "1.0"},
      {"truncation", nullptr},
      {"padding", nullptr},
      {"added_tokens", std::move(added)},
      {"normalizer", {{"type", "NFC"}}},
      {"pre_tokenizer",
       {{"type", "Sequence"}, {"pretokenizers", OrderedJson::array({split, byte_level})}}},
      {"post_processor", byte_level},
      {"decoder", byte_level},
      {"model", model_json(learnt)}};
  return file.dump(2) + "\n";
}

std::string tokenizer_config_json(const LearntBpe& learnt, const SpecialTokens& special) {
  OrderedJson decoder = OrderedJson::object();
  size_t id = learnt.tokens.size();
  for (const std::string& content : special.all()) {
    decoder[std::to_string(id++)] = added_token(content);
  }
  const OrderedJson file = {{"add_prefix_space", false},
                            {"added_tokens_decoder", std::move(decoder)},
                            {"additional_special_tokens", special.more},
                            {"bos_token", nullptr},
                            {"clean_up_tokenization_spaces", false},
                            {"eos_token", special.end},
                            {"mask_token", special.mask},
                            {"pad_token", special.end},
                            {"split_special_tokens", false},
                            {"tokenizer_class", "PreTrainedTokenizerFast"},
                            {"unk_token", nullptr}};
  return file.dump(2) + "\n";
}

Result<std::string> with_special_token(const std::string& tokenizer_json, const NewToken& token) {
  TIDAR_TRY(const Tokenizer tokenizer, Tokenizer::parse(tokenizer_json, "tokenizer.json"));
  if (tokenizer.size() != token.id) return tokenizer_json;
  const simdjson::padded_string text(tokenizer_json);
  const std::string_view list = added_tokens_of(text);
  const std::string added = added_token(token).dump();
  std::string changed = tokenizer_json;
  if (list.empty()) {
    changed.insert(changed.find('{') + 1, "\"added_tokens\": [" + added + "],");
    return changed;
  }
  const bool first = list.find_first_not_of(" \t\r\n", 1) == list.size() - 1;
  const auto end = static_cast<size_t>(list.data() + list.size() - 1 - text.data());
  changed.insert(end, (first ? "" : ",") + added);
  return changed;
}

Result<std::string> config_with_mask_token(const std::string& tokenizer_config_json,
                                           const NewToken& token) {
  OrderedJson json = OrderedJson::parse(tokenizer_config_json, nullptr, false);
  if (!json.is_object()) return error("tokenizer_config.json: is no JSON object");
  if (json.contains("added_tokens_decoder") && !json["added_tokens_decoder"].is_object()) {
    return error("tokenizer_config.json: field 'added_tokens_decoder' is no object");
  }
  json["added_tokens_decoder"][std::to_string(token.id)] = added_token(token.content);
  if (!json.contains("mask_token") || json["mask_token"].is_null()) {
    json["mask_token"] = token.content;
  }
  return json.dump(2) + "\n";
}

}  // namespace tidar
