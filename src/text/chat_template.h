#pragma once
// How a conversation becomes the prompt of a model: the chat template that comes with it, written
// in Jinja and rendered as transformers renders it. What users wrote stays marked in the prompt, so
// that Tokenizer::encode_prompt() finds special tokens in the template's own text only.

#include <array>
#include <ctime>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "format/json.h"
#include "text/jinja/limits.h"
#include "text/marked_text.h"

namespace tidar {

/// Roles whose names a template may make special tokens of (<|user|>). Other roles are text of the
/// user.
inline constexpr std::array<std::string_view, 9> kKnownRoles = {
    "system", "developer", "user", "assistant", "tool", "function", "ipython", "model", "context"};

/// What a template is rendered with besides the messages.
struct ChatOptions {
  bool add_generation_prompt = true;  ///< the answer's beginning stands at the end of the prompt
  OrderedJson tools = nullptr;        ///< a list of JSON schemas, or null
  OrderedJson variables = OrderedJson::object();  ///< more names: {"enable_thinking": false}
  std::optional<std::tm> now;  ///< local time; without one, templates cannot ask for the date
  jinja::Limits limits;
};

/// Immutable; render() may be called from several threads at once.
class ChatTemplate {
 public:
  /// Names that the template knows, and their texts: {"bos_token", "<s>"}.
  using Names = std::vector<std::pair<std::string, std::string>>;

  /// Errors say the line.
  static Result<ChatTemplate> parse(std::string_view source, Names names);

  /// The template of a Hugging Face folder: its chat_template.jinja, or else "chat_template" of its
  /// tokenizer_config.json, which may be a list of templates: "default", and "tool_use" for
  /// conversations with tools; or that of a GGUF file. Names are the file's special tokens. Nothing
  /// when there is none.
  static Result<std::optional<ChatTemplate>> open(const std::filesystem::path& model);

  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;
  ~ChatTemplate();

  /// The text of a name, "" for one that it does not know.
  std::string_view text_of(std::string_view name) const;

  /// The prompt for `messages`, a list of objects with "role" and "content". Text of the user is
  /// all text of messages, tools and variables, but for the names of kKnownRoles. Numbers, true
  /// and false are no text: what is printed of them is the template's. Errors: messages that the
  /// template refuses, in its own words; a mistake in the template; a limit.
  Result<MarkedText> render(const OrderedJson& messages, const ChatOptions& options) const;

 private:
  struct Impl;
  explicit ChatTemplate(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace tidar
