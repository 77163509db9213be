#pragma once
// What subcommands that hold conversations share.

#include <ctime>
#include <filesystem>
#include <vector>

#include "base/result.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace tidar {

/// The chat template of a model's folder. An Error that says what to do when it has none.
Result<ChatTemplate> open_chat_template(const std::filesystem::path& model);

/// What ends a turn: what ends any text of the model, and the token that the template's file names
/// so.
std::vector<int32_t> with_end_of_turn(std::vector<int32_t> eos, const ChatTemplate& chat_template,
                                      const Tokenizer& tokenizer);

/// Now, where this program runs.
std::tm local_time();

}  // namespace tidar
