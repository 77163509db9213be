#include "apps/shard_maker.h"

#include <algorithm>
#include <string>

#include "eval/documents.h"
#include "format/files.h"

namespace tidar {

std::string end_of_config(const std::filesystem::path& folder) {
  const auto text = read_text_file(folder / "tokenizer_config.json");
  if (!text.ok()) return "";
  const auto config = nlohmann::json::parse(*text, nullptr, false);
  if (!config.is_object() || !config.contains("eos_token")) return "";
  const auto& token = config["eos_token"];
  if (token.is_object() && token.contains("content") && token["content"].is_string()) {
    return token["content"];
  }
  return token.is_string() ? token.get<std::string>() : "";
}

Result<void> ShardMaker::add(const CorpusDocument& document) {
  auto [ids, prompt] = encode_document(tokenizer_, document.prompt, document.text);
  for (const int32_t id : ids) ++counts_[static_cast<size_t>(id)];
  const bool cut = was_cut(document.finish_reason);
  cut_documents_ += cut;
  if (end_ >= 0 && !cut) ids.push_back(end_);
  if (ids.empty()) return {};  // a normaliser may leave nothing
  prompt_tokens_ += prompt;
  longest_ = std::max(longest_, static_cast<int64_t>(ids.size()));
  one_token_documents_ += ids.size() == 1;
  return writer_.add(ids, prompt);
}

OrderedJson ShardMaker::json() const {
  OrderedJson special = OrderedJson::object();
  for (size_t id = 0; id < counts_.size(); ++id) {
    const auto token = static_cast<int32_t>(id);
    if (counts_[id] > 0 && tokenizer_.is_special(token)) {
      special[std::string(tokenizer_.bytes(token))] = counts_[id];
    }
  }
  return {{"tokens", writer_.tokens()},      {"prompt_tokens", prompt_tokens_},
          {"longest_document", longest_},    {"one_token_documents", one_token_documents_},
          {"cut_documents", cut_documents_}, {"special_tokens_in_text", std::move(special)},
          {"bytes", writer_.bytes()}};
}

}  // namespace tidar
