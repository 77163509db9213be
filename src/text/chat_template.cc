#include "text/chat_template.h"

#include <algorithm>
#include <system_error>

#include "format/files.h"
#include "format/gguf.h"
#include "text/jinja/from_json.h"
#include "text/jinja/interpreter.h"
#include "text/jinja/parser.h"
#include "text/tokenizer_config.h"
#include "text/utf8.h"

namespace tidar {

struct ChatTemplate::Impl {
  jinja::Syntax usual;
  std::optional<jinja::Syntax> with_tools;
  Names names;
};

namespace {

/// The texts of the templates that a folder has.
struct Sources {
  std::optional<std::string> usual;
  std::optional<std::string> with_tools;
};

Origin origin_of_text(std::string_view key, std::string_view text) {
  const bool role =
      key == "role" && std::find(kKnownRoles.begin(), kKnownRoles.end(), text) != kKnownRoles.end();
  return role ? Origin::author : Origin::user;
}

Result<jinja::Syntax> parse_source(std::string_view source) {
  if (!is_utf8(source)) return error("the chat template is not UTF-8");
  auto syntax = jinja::parse(source);
  if (!syntax.ok()) return error("the chat template, {}", syntax.error().message);
  return std::move(*syntax);
}

/// "chat_template" of a tokenizer_config.json: a text, or a list of {"name", "template"}.
Result<Sources> sources_of(const Json& config, const std::string& where) {
  Sources sources;
  const auto field = config.find("chat_template");
  if (field == config.end() || field->is_null()) return sources;
  if (field->is_string()) {
    sources.usual = field->get<std::string>();
    return sources;
  }
  if (!field->is_array()) {
    return error("{}: field 'chat_template' is {}; expected a text or a list", where,
                 field->type_name());
  }
  for (const Json& entry : *field) {
    if (!entry.is_object()) return error("{}: a chat template in a list is no object", where);
    const JsonFields fields(entry, where + ": chat_template");
    TIDAR_TRY(const std::string name, fields.text("name"));
    TIDAR_TRY(std::string source, fields.text("template"));
    if (name == "default") {
      sources.usual = std::move(source);
    } else if (name == "tool_use") {
      sources.with_tools = std::move(source);
    }
  }
  if (!sources.usual) return error("{}: no chat template has the name 'default'", where);
  return sources;
}

/// The fields that end in _token: a text, or an object with the text as "content".
ChatTemplate::Names names_of(const Json& config) {
  ChatTemplate::Names names;
  for (const auto& [key, value] : config.items()) {
    if (!key.ends_with("_token")) continue;
    if (auto text = special_token(config, key)) names.emplace_back(key, std::move(*text));
  }
  return names;
}

/// The text of a file; nothing when it is not there.
Result<std::optional<std::string>> read_if_there(const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return std::optional<std::string>();
  TIDAR_TRY(std::string text, read_text_file(path));
  return std::optional(std::move(text));
}

}  // namespace

ChatTemplate::ChatTemplate(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;
ChatTemplate::~ChatTemplate() = default;

Result<ChatTemplate> ChatTemplate::parse(std::string_view source, Names names) {
  TIDAR_TRY(jinja::Syntax syntax, parse_source(source));
  return ChatTemplate(
      std::make_unique<Impl>(Impl{std::move(syntax), std::nullopt, std::move(names)}));
}

Result<std::optional<ChatTemplate>> ChatTemplate::open(const std::filesystem::path& model) {
  TIDAR_TRY(const Json config, read_tokenizer_config(model));
  const bool in_file = is_gguf_path(model);
  const auto own_path = model / "chat_template.jinja";
  std::optional<std::string> own_text;
  if (!in_file) {
    TIDAR_TRY(own_text, read_if_there(own_path));
  }
  const auto config_path = in_file ? model : model / "tokenizer_config.json";
  const auto where = own_text ? own_path : config_path;
  Sources sources{std::move(own_text), std::nullopt};
  if (!sources.usual) {
    TIDAR_TRY(sources, sources_of(config, config_path.string()));
  }
  if (!sources.usual) return std::optional<ChatTemplate>();
  auto parsed = parse(*sources.usual, names_of(config));
  if (!parsed.ok()) return error("{}: {}", where.string(), parsed.error().message);
  if (sources.with_tools) {
    auto syntax = parse_source(*sources.with_tools);
    if (!syntax.ok()) return error("{}: tool_use: {}", where.string(), syntax.error().message);
    parsed->impl_->with_tools = std::move(*syntax);
  }
  return std::optional(std::move(*parsed));
}

std::string_view ChatTemplate::text_of(std::string_view name) const {
  for (const auto& [known, text] : impl_->names) {
    if (known == name) return text;
  }
  return "";
}

Result<MarkedText> ChatTemplate::render(const OrderedJson& messages,
                                        const ChatOptions& options) const {
  if (!messages.is_array()) return error("messages are not a list");
  if (!options.variables.is_object()) return error("the variables of a template are no object");
  jinja::Heap heap(options.limits);
  jinja::Scope globals;
  for (const auto& [name, text] : impl_->names) {
    TIDAR_TRY(globals.names[name], heap.text(text));
  }
  TIDAR_TRY(globals.names["messages"], jinja::from_json(heap, messages, origin_of_text));
  TIDAR_TRY(globals.names["tools"], jinja::from_json(heap, options.tools, origin_of_text));
  globals.names["add_generation_prompt"] = options.add_generation_prompt;
  for (const auto& [name, value] : options.variables.items()) {
    TIDAR_TRY(const jinja::Value given, jinja::from_json(heap, value, origin_of_text));
    TIDAR_TRY(const jinja::Value key, heap.text(name));
    globals.names[key.text()->bytes()] = given;
  }
  const bool tools = impl_->with_tools && !options.tools.is_null();
  auto prompt =
      jinja::render(tools ? *impl_->with_tools : impl_->usual, heap, globals, options.now);
  if (!prompt.ok()) return error("the chat template: {}", prompt.error().message);
  return prompt;
}

}  // namespace tidar
