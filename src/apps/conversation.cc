#include "apps/conversation.h"

#include <algorithm>

#include "format/gguf.h"

namespace tidar {

Result<ChatTemplate> open_chat_template(const std::filesystem::path& model) {
  TIDAR_TRY(auto found, ChatTemplate::open(model));
  if (!found && is_gguf_path(model)) {
    return error(
        "{}: has no chat template, so it knows no conversations; use tidar generate, or a file "
        "with the entry tokenizer.chat_template",
        model.string());
  }
  if (!found) {
    return error(
        "{}: has no chat template, so it knows no conversations; put one into {} (that of "
        "the model it was made from may do), or use tidar generate",
        model.string(), (model / "chat_template.jinja").string());
  }
  return std::move(*found);
}

std::vector<int32_t> with_end_of_turn(std::vector<int32_t> eos, const ChatTemplate& chat_template,
                                      const Tokenizer& tokenizer) {
  const int32_t end = tokenizer.id_of(chat_template.text_of("eos_token"));
  const bool known = std::find(eos.begin(), eos.end(), end) != eos.end();
  if (end >= 0 && !known) eos.push_back(end);
  return eos;
}

std::tm local_time() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  return local;
}

}  // namespace tidar
