#include "text/chat_documents.h"

#include <algorithm>
#include <span>
#include <utility>

namespace tidar {
namespace {

/// An answer within the texts that the template makes of the messages up to it.
struct Answer {
  MarkedText text;   ///< with the answer, and nothing behind it
  size_t begin = 0;  ///< where the template asks for it
};

class ChatEncoding {
 public:
  ChatEncoding(const ChatTemplate& chat_template, const Tokenizer& tokenizer)
      : chat_template_(chat_template), tokenizer_(tokenizer) {}

  Result<void> read(const OrderedJson& conversation) {
    if (!conversation.is_object() || !conversation.contains("messages") ||
        !conversation["messages"].is_array()) {
      return error("is no conversation; expected an object with a list \"messages\"");
    }
    if (conversation.contains("tools")) options_.tools = conversation["tools"];
    if (const auto more = conversation.find("chat_template_kwargs"); more != conversation.end()) {
      if (!more->is_object()) return error("field 'chat_template_kwargs' is no object");
      options_.variables = *more;
    }
    OrderedJson before = OrderedJson::array();
    for (const OrderedJson& message : conversation["messages"]) {
      const bool answers =
          message.is_object() && message.contains("role") && message["role"] == "assistant";
      if (!answers) {
        before.push_back(message);
        continue;
      }
      TIDAR_TRY(const MarkedText asked, render(before, true));
      before.push_back(message);
      TIDAR_TRY(MarkedText text, render(before, false));
      if (!text.bytes().starts_with(asked.bytes())) {
        return error(
            "the chat template asks for message {} otherwise than it writes it, so that nobody "
            "knows where it begins",
            before.size());
      }
      answers_.push_back({std::move(text), asked.size()});
    }
    if (!answers_.empty()) return {};
    return error("has no message of the role 'assistant', and only those are learnt");
  }

  EncodedConversation encoded() const {
    EncodedConversation conversation;
    conversation.text = answers_.back().text.bytes();
    const bool one = is_one_text();
    size_t at = 0;
    for (const Answer& answer : answers_) {
      if (conversation.documents.empty() || !one) conversation.documents.emplace_back();
      add(answer, one ? at : 0, conversation.documents.back());
      at = answer.text.size();
    }
    for (ChatDocument& document : conversation.documents) cut_behind_answer(document);
    return conversation;
  }

 private:
  Result<MarkedText> render(const OrderedJson& messages, bool asks) {
    options_.add_generation_prompt = asks;
    return chat_template_.render(messages, options_);
  }

  /// Whether each answer stands in the text of the next one as it stood in its own.
  bool is_one_text() const {
    for (size_t i = 0; i + 1 < answers_.size(); ++i) {
      const std::string& text = answers_[i].text.bytes();
      const Answer& next = answers_[i + 1];
      if (next.begin < text.size() || !next.text.bytes().starts_with(text)) return false;
    }
    return true;
  }

  /// Adds what stands before an answer, from byte `from` on, and the answer.
  void add(const Answer& answer, size_t from, ChatDocument& document) const {
    const MarkedText& text = answer.text;
    add_given(tokenizer_.encode_prompt(text.slice({from, answer.begin})), document);
    const auto said = tokenizer_.encode_prompt(text.slice({answer.begin, text.size()}));
    const auto special = std::find_if(said.rbegin(), said.rend(),
                                      [&](int32_t id) { return tokenizer_.is_special(id); });
    const auto end = special == said.rend() ? said.end() : special.base();
    document.tokens.insert(document.tokens.end(), said.begin(), end);
    add_given({end, said.end()}, document);
  }

  static void add_given(std::span<const int32_t> ids, ChatDocument& document) {
    const auto begin = std::ssize(document.tokens), count = std::ssize(ids);
    if (count == 0) return;
    document.tokens.insert(document.tokens.end(), ids.begin(), ids.end());
    if (document.prompt == begin) {
      document.prompt += count;
    } else if (!document.given.empty() && document.given.back().end == begin) {
      document.given.back().end += count;
    } else {
      document.given.push_back({begin, begin + count});
    }
  }

  /// What is given at the end belongs to no answer.
  static void cut_behind_answer(ChatDocument& document) {
    if (document.given.empty() || document.given.back().end != std::ssize(document.tokens)) return;
    document.tokens.resize(static_cast<size_t>(document.given.back().begin));
    document.given.pop_back();
  }

  const ChatTemplate& chat_template_;
  const Tokenizer& tokenizer_;
  ChatOptions options_;
  std::vector<Answer> answers_;
};

}  // namespace

Result<EncodedConversation> encode_conversation(const ChatTemplate& chat_template,
                                                const Tokenizer& tokenizer,
                                                const OrderedJson& conversation) {
  ChatEncoding encoding(chat_template, tokenizer);
  TIDAR_TRY_VOID(encoding.read(conversation));
  return encoding.encoded();
}

}  // namespace tidar
