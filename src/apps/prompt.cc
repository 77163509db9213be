// tidar prompt: a conversation on stdin to the prompt that the model's chat template makes of it.

#include <ctime>
#include <memory>

#include "apps/command.h"
#include "apps/conversation.h"
#include "apps/ids.h"
#include "apps/output.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace tidar {
namespace {

struct PromptFlags {
  std::string model;
  bool ids = false;
};

/// {"messages", "tools", "add_generation_prompt", …}, or the messages alone.
Result<MarkedText> render(const ChatTemplate& chat_template, const std::string& text) {
  OrderedJson given = OrderedJson::parse(text, nullptr, false);
  if (given.is_array()) given = OrderedJson{{"messages", std::move(given)}};
  if (!given.is_object() || !given.contains("messages")) {
    return error(
        "stdin: is no conversation; expected a JSON array of messages, or an object with "
        "\"messages\"");
  }
  ChatOptions options;
  options.now = local_time();
  const OrderedJson messages = given["messages"];
  if (given.contains("tools")) options.tools = given["tools"];
  if (const auto wanted = given.find("add_generation_prompt"); wanted != given.end()) {
    if (!wanted->is_boolean()) {
      return error("stdin: field 'add_generation_prompt' is {}; expected true or false",
                   wanted->type_name());
    }
    options.add_generation_prompt = wanted->get<bool>();
  }
  for (const char* known : {"messages", "tools", "add_generation_prompt"}) given.erase(known);
  options.variables = std::move(given);
  return chat_template.render(messages, options);
}

Result<int> prompt(const PromptFlags& flags) {
  TIDAR_TRY(const ChatTemplate chat_template, open_chat_template(flags.model));
  TIDAR_TRY(const std::string text, read_text("-"));
  TIDAR_TRY(const MarkedText rendered, render(chat_template, text));
  if (flags.ids) {
    TIDAR_TRY(const Tokenizer tokenizer, Tokenizer::open(flags.model));
    print_json(tokenizer.encode_prompt(rendered));
  } else {
    print(rendered.bytes());
  }
  return kDone;
}

}  // namespace

void add_prompt(CLI::App& program, Action& action) {
  CLI::App& command = *program.add_subcommand(
      "prompt", "A conversation from stdin (JSON messages) to the prompt that the model reads");
  const auto flags = std::make_shared<PromptFlags>();  // shared by the parser and the action
  command
      .add_option("--model", flags->model,
                  "Folder with chat_template.jinja or tokenizer_config.json, or GGUF file")
      ->required()
      ->type_name("PATH");
  command.add_flag("--ids", flags->ids, "Token ids, a JSON array, instead of text");
  command.callback([flags, &action] { action = [flags] { return prompt(*flags); }; });
}

}  // namespace tidar
