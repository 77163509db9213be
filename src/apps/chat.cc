// tidar chat: a conversation, one line of the user at a time, with answers as their tokens come.

#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <memory>
#include <string>
#include <utility>

#include "apps/command.h"
#include "apps/conversation.h"
#include "apps/draft_model.h"
#include "apps/generate_flags.h"
#include "apps/interrupt.h"
#include "apps/output.h"
#include "apps/price_source.h"
#include "apps/session.h"
#include "engine/engine.h"

namespace tidar {
namespace {

/// Tokens that a conversation has room for where --context does not say.
constexpr int kChatContext = 8192;

constexpr std::string_view kHelp =
    "/reset begins a new conversation, /help shows this, /exit or Ctrl-D ends the program; Ctrl-C "
    "stops an answer";

struct ChatFlags {
  GenerateFlags decoding;
  std::string system;
};

/// Messages so far, and how the next one is answered.
class Chat {
 public:
  /// `request` is what every turn asks for, but for its prompt. All must outlive the chat.
  Chat(const ChatTemplate& chat_template, const Tokenizer& tokenizer, Engine& engine,
       Request request, std::string system)
      : template_(chat_template),
        tokenizer_(tokenizer),
        engine_(engine),
        request_(std::move(request)),
        system_(std::move(system)) {
    reset();
  }

  void reset() {
    messages_ = OrderedJson::array();
    if (!system_.empty()) say("system", system_);
  }

  /// Answers `text` on stdout. An answer that is interrupted stays in the conversation as far as it
  /// came; on an Error the message is taken back.
  Result<void> turn(const std::string& text) {
    say("user", text);
    const auto answered = answer();
    if (!answered.ok()) {
      messages_.erase(messages_.size() - 1);
      return answered.error();
    }
    say("assistant", *answered);
    return {};
  }

 private:
  void say(const std::string& role, const std::string& text) {
    messages_.push_back({{"role", role}, {"content", text}});
  }

  Result<std::string> answer() {
    ChatOptions options;
    options.now = local_time();
    TIDAR_TRY(const MarkedText prompt, template_.render(messages_, options));
    Request request = request_;
    request.sequence.prompt = tokenizer_.encode_prompt(prompt);
    TIDAR_TRY(const RequestId id, engine_.submit(std::move(request)));
    const Interrupt interrupt;
    std::string answer;
    const auto show = [&](const Update& update) -> Result<void> {
      print(update.text);
      answer += update.text;
      if (update.finish == FinishReason::no_choice) return error("{}", kNoChoice);
      return flush_output();
    };
    TIDAR_TRY_VOID(run_until_idle(engine_, show, [&] { return interrupt.requested(); }));
    if (const auto cut_off = engine_.cancel(id)) TIDAR_TRY_VOID(show(*cut_off));
    print("\n");
    TIDAR_TRY_VOID(flush_output());
    return answer;
  }

  const ChatTemplate& template_;
  const Tokenizer& tokenizer_;
  Engine& engine_;
  Request request_;
  std::string system_;
  OrderedJson messages_;
};

/// Reads lines until there are no more. At a terminal an Error is shown and the chat goes on.
Result<int> converse(Chat& chat) {
  const bool terminal = isatty(STDIN_FILENO) != 0;
  if (terminal) print_note(kHelp);
  std::string line;
  while (true) {
    if (terminal) {
      print("> ");
      TIDAR_TRY_VOID(flush_output());
    }
    if (!std::getline(std::cin, line)) break;
    if (line.ends_with('\r')) line.pop_back();
    if (line.empty()) continue;
    if (line == "/exit") return kDone;
    if (line == "/reset") {
      chat.reset();
    } else if (line.starts_with('/')) {
      print_note(line == "/help" ? std::string(kHelp) : fmt::format("no such command; {}", kHelp));
    } else if (const auto said = chat.turn(line); !said.ok()) {
      if (!terminal) return said.error();
      print_error(said.error().message);
    }
  }
  if (terminal) print("\n");
  return kDone;
}

Result<int> chat(const ChatFlags& flags) {
  const GenerateFlags& decoding = flags.decoding;
  TIDAR_TRY(const ChatTemplate chat_template, open_chat_template(decoding.model.model));
  TIDAR_TRY(Session session, Session::open(decoding.model));
  const Tokenizer* const tokenizer = session.tokenizer();
  if (tokenizer == nullptr) {
    return error("{}: has no tokenizer.json, which a conversation needs", decoding.model.model);
  }
  TIDAR_TRY(Request request, make_request(decoding, session.config(), tokenizer, {}));
  if (!decoding.ignore_eos) {
    request.eos = with_end_of_turn(std::move(request.eos), chat_template, *tokenizer);
  }
  const Room room = {.rows = std::max(kPromptRows, useful_rows(request)),
                     .keys_each = std::min(session.config().max_positions, kChatContext)};
  TIDAR_TRY_VOID(session.build_network(room));
  TIDAR_TRY(const auto draft_model,
            DraftModel::attach(decoding.method.draft_model, session, room, request));
  TIDAR_TRY(const auto prices, engine_prices(decoding.method.prices, request.method, session));
  Engine engine(session.network(), tokenizer);
  if (prices) engine.set_prices(prices->prices, prices->use);
  Chat conversation(chat_template, *tokenizer, engine, std::move(request), flags.system);
  return converse(conversation);
}

}  // namespace

void add_chat(CLI::App& program, Action& action) {
  CLI::App& command = *program.add_subcommand(
      "chat", "A conversation: a line of yours, the model's answer, and so on (/help)");
  const auto flags = std::make_shared<ChatFlags>();  // shared by the parser and the action
  command.option_defaults()->group("Conversation");
  command.add_option("--system", flags->system, "What the model is told before all else")
      ->type_name("TEXT");
  add_decoding_flags(command, flags->decoding);
  command.callback([flags, &action] {
    check_method_flags(flags->decoding.method);
    action = [flags] { return chat(*flags); };
  });
}

}  // namespace tidar
