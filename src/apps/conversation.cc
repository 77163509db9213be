#include "apps/conversation.h"

namespace tidar {

Result<ChatTemplate> open_chat_template(const std::filesystem::path& folder) {
  TIDAR_TRY(auto found, ChatTemplate::open(folder));
  if (!found) {
    return error(
        "{}: has no chat template, so it knows no conversations; put one into {} (that of "
        "the model it was made from may do), or use tidar generate",
        folder.string(), (folder / "chat_template.jinja").string());
  }
  return std::move(*found);
}

std::tm local_time() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  return local;
}

}  // namespace tidar
