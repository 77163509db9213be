#pragma once
// What subcommands that hold conversations share.

#include <ctime>
#include <filesystem>

#include "base/result.h"
#include "text/chat_template.h"

namespace tidar {

/// The chat template of a model's folder. An Error that says what to do when it has none.
Result<ChatTemplate> open_chat_template(const std::filesystem::path& folder);

/// Now, where this program runs.
std::tm local_time();

}  // namespace tidar
