#pragma once
// Conversations as documents to learn from: the prompt of a chat template (text/chat_template.h),
// of which the answers are learnt and all else is given.

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/threads.h"
#include "format/json.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace tidar {

struct ChatDocument {
  std::vector<int32_t> tokens;
  int64_t prompt = 0;        ///< so many first tokens are given
  std::vector<Range> given;  ///< and these behind them; ascending, apart
};

struct EncodedConversation {
  /// One; or one for each answer, with all that goes before it as its prompt, where the template
  /// writes an answer otherwise once more follows it (as those do that leave out what a model
  /// thought): then no one text holds all answers as the model has to give them.
  std::vector<ChatDocument> documents;
  std::string text;  ///< of the whole conversation, up to its last answer
};

/// Documents of {"messages": [{"role", "content"} …]}, and with "tools" and "chat_template_kwargs"
/// where the object has them. An answer begins where the template asks for it (with
/// add_generation_prompt) and ends with the last special token that it writes behind it
/// (<|im_end|>; not the line end behind that), or where it has none with all that it writes. Each
/// part is encoded by itself, as a prompt is when it is answered. What follows the last answer is
/// left out. Templates cannot ask for the date: a document is the same every day. Errors: no answer
/// (a message of the role "assistant"), what the template refuses, and one that begins answers
/// otherwise than it asks for them.
Result<EncodedConversation> encode_conversation(const ChatTemplate& chat_template,
                                                const Tokenizer& tokenizer,
                                                const OrderedJson& conversation);

}  // namespace tidar
