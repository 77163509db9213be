#include "apps/shard_maker.h"

#include <algorithm>
#include <string>

#include "apps/conversation.h"
#include "eval/documents.h"
#include "format/files.h"
#include "text/chat_documents.h"

namespace tidar {

Result<void> ShardMaker::add(CorpusDocument& document) {
  if (!document.conversation.empty()) return add_conversation(document);
  auto [ids, prompt] = encode_document(tokenizer_, document.prompt, document.text);
  for (const int32_t id : ids) ++counts_[static_cast<size_t>(id)];
  const bool cut = was_cut(document.finish_reason);
  cut_documents_ += cut;
  if (end_ >= 0 && !cut) ids.push_back(end_);
  if (ids.empty()) return {};  // a normaliser may leave nothing
  return write(ids, prompt, {});
}

Result<void> ShardMaker::write(std::span<const int32_t> ids, int64_t prompt,
                               std::span<const Range> given) {
  prompt_tokens_ += prompt;
  for (const Range& stretch : given) prompt_tokens_ += stretch.size();
  longest_ = std::max(longest_, static_cast<int64_t>(ids.size()));
  one_token_documents_ += ids.size() == 1;
  return writer_.add(ids, prompt, given);
}

Result<void> ShardMaker::add_conversation(CorpusDocument& document) {
  if (!chat_template_) {
    TIDAR_TRY(chat_template_, open_chat_template(model_));
  }
  const OrderedJson line = OrderedJson::parse(document.conversation, nullptr, false);
  auto encoded = encode_conversation(*chat_template_, tokenizer_, line);
  if (!encoded.ok()) {
    document.problem = encoded.error().message;
    return {};
  }
  document.text = std::move(encoded->text);
  conversations_ += 1;
  if (encoded->documents.size() > 1) answer_documents_ += std::ssize(encoded->documents);
  for (const ChatDocument& one : encoded->documents) {
    TIDAR_TRY_VOID(write(one.tokens, one.prompt, one.given));
  }
  return {};
}

OrderedJson ShardMaker::json() const {
  OrderedJson special = OrderedJson::object();
  for (size_t id = 0; id < counts_.size(); ++id) {
    const auto token = static_cast<int32_t>(id);
    if (counts_[id] > 0 && tokenizer_.is_special(token)) {
      special[std::string(tokenizer_.bytes(token))] = counts_[id];
    }
  }
  return {{"tokens", writer_.tokens()},
          {"prompt_tokens", prompt_tokens_},
          {"longest_document", longest_},
          {"one_token_documents", one_token_documents_},
          {"cut_documents", cut_documents_},
          {"conversations", conversations_},
          {"answer_documents", answer_documents_},
          {"special_tokens_in_text", std::move(special)},
          {"bytes", writer_.bytes()}};
}

}  // namespace tidar
