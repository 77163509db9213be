#include "text/tokenizer_writer.h"

#include "format/json.h"
#include "text/byte_level.h"

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
    OrderedJson token = {{"id", learnt.tokens.size() + added.size()}};
    token.update(added_token(content));
    added.push_back(std::move(token));
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

}  // namespace tidar
