#include "serve/api_request.h"

#include <array>
#include <charconv>
#include <limits>
#include <utility>

namespace tidar {
namespace {

constexpr int kMostOutputs = 128;  // of a prompt
constexpr int kMostPriority = 1000;
constexpr int kMostPrompts = 1024;
constexpr size_t kMostStops = 16;
constexpr int kMostTokens = 1 << 30;
constexpr int kLongestDraft = 64;
/// Logits of trained models lie within a few tens.
constexpr NumberRange kPenalty = {-100, 100};
constexpr double kLeastAbove0 = std::numeric_limits<float>::min();

void read_sampling(BodyReader& body, Sampling& sampling) {
  body.read("temperature", sampling.temperature, NumberRange{0, 1e6});
  body.read("top_p", sampling.top_p, NumberRange{0, 1});
  // Nothing less than the most probable token can be left.
  if (sampling.top_p == 0) sampling.top_p = std::numeric_limits<float>::min();
  body.read("min_p", sampling.min_p, NumberRange{0, 1});
  body.read("top_k", sampling.top_k, IntegerRange{-1, std::numeric_limits<int>::max()});
  if (sampling.top_k < 0) sampling.top_k = 0;  // both mean all
}

void read_bias(BodyReader& body, std::vector<LogitChange>& bias) {
  const OrderedJson* const field = body.find("logit_bias");
  if (field == nullptr) return;
  constexpr auto kExpected = "an object of token ids and numbers from -100 to 100";
  if (!field->is_object()) return body.wrong("logit_bias", kExpected);
  for (const auto& [key, value] : field->items()) {
    LogitChange change;
    const char* const end = key.data() + key.size();
    const auto [stop, code] = std::from_chars(key.data(), end, change.token);
    const double add = value.is_number() ? value.get<double>() : 1e9;
    if (code != std::errc{} || stop != end || change.token < 0 || !(add >= -100 && add <= 100)) {
      return body.wrong("logit_bias", kExpected);
    }
    change.add = static_cast<float>(add);
    bias.push_back(change);
  }
}

void read_penalties(BodyReader& body, Penalties& penalties) {
  body.read("repetition_penalty", penalties.repetition, NumberRange{kLeastAbove0, 1e6});
  body.read("presence_penalty", penalties.presence, kPenalty);
  body.read("frequency_penalty", penalties.frequency, kPenalty);
  read_bias(body, penalties.bias);
}

/// A schema, as an object or, as some clients send it, as a text.
void read_schema(BodyReader& body, const char* key, const OrderedJson& schema, OutputForm& form) {
  if (!schema.is_object() && !schema.is_string()) {
    return body.wrong(key, "a JSON schema, as an object");
  }
  form.kind = OutputForm::Kind::json_schema;
  form.text = schema.is_string() ? schema.get<std::string>() : to_text(schema);
}

void read_expression(BodyReader& body, const char* key, const OrderedJson& value,
                     OutputForm& form) {
  if (!value.is_string()) return body.wrong(key, "a regular expression, as a text");
  form.kind = OutputForm::Kind::expression;
  form.text = value.get<std::string>();
}

/// As OpenAI has it.
void read_response_format(BodyReader& body, const OrderedJson& field, OutputForm& form) {
  constexpr auto kKey = "response_format";
  const auto type = field.is_object() ? field.value("type", OrderedJson()) : OrderedJson();
  if (type == "text") return;
  if (type == "json_object") {
    form.kind = OutputForm::Kind::json_object;
    return;
  }
  if (type != "json_schema") {
    return body.wrong(kKey, "an object whose type is text, json_object or json_schema");
  }
  const auto described = field.find("json_schema");
  if (described == field.end() || !described->is_object() || !described->contains("schema")) {
    return body.wrong(kKey, "an object with \"json_schema\": {\"name\": …, \"schema\": {…}}");
  }
  read_schema(body, kKey, described->at("schema"), form);
}

/// As vLLM has it.
void read_structured_outputs(BodyReader& body, const OrderedJson& field, OutputForm& form) {
  constexpr auto kKey = "structured_outputs";
  constexpr auto kExpected = "an object with one of regex, json, and json_object, which is true";
  if (!field.is_object() || field.size() != 1) return body.wrong(kKey, kExpected);
  const auto& [name, value] = *field.get_ref<const OrderedJson::object_t&>().begin();
  if (name == "regex") return read_expression(body, kKey, value, form);
  if (name == "json") return read_schema(body, kKey, value, form);
  if (name != "json_object" || value != true) return body.wrong(kKey, kExpected);
  form.kind = OutputForm::Kind::json_object;
}

/// What the output must look like; at most one of the fields may say so.
void read_form(BodyReader& body, OutputWish& output) {
  using Read = void (*)(BodyReader&, const OrderedJson&, OutputForm&);
  constexpr std::array<std::pair<const char*, Read>, 4> kFields = {{
      {"response_format", read_response_format},
      {"structured_outputs", read_structured_outputs},
      {"regex", [](BodyReader& all, const OrderedJson& value,
                   OutputForm& read) { read_expression(all, "regex", value, read); }},
      {"guided_regex", [](BodyReader& all, const OrderedJson& value,
                          OutputForm& read) { read_expression(all, "guided_regex", value, read); }},
  }};
  for (const auto& [key, read] : kFields) {
    const OrderedJson* const field = body.find(key);
    if (field == nullptr) continue;
    OutputForm one;
    read(body, *field, one);
    if (one.kind == OutputForm::Kind::free) continue;
    if (!output.form_field.empty()) {
      return body.wrong(
          key, fmt::format("left out where '{}' says what the output is like", output.form_field));
    }
    output.form_field = key;
    output.form = std::move(one);
  }
}

void read_method(BodyReader& body, MethodWish& method) {
  body.read("method", method.name);
  body.read("draft_length", method.draft_length, IntegerRange{1, kLongestDraft});
  body.read("trust", method.trust, NumberRange{0, 1});
  if (body.find("groups") != nullptr) body.read("groups", method.groups.emplace());
}

void read_stream(BodyReader& body, OutputWish& output) {
  body.read("stream", output.stream);
  const OrderedJson* const options = body.find("stream_options");
  if (options == nullptr) return;
  if (!options->is_object()) return body.wrong("stream_options", "an object");
  BodyReader fields(*options);
  fields.read("include_usage", output.include_usage);
  fields.read("include_drafts", output.include_passes);
  fields.read("include_rows", output.include_rows);
  if (fields.ok()) return;
  body.wrong("stream_options",
             "an object whose include_usage, include_drafts and include_rows are true or false");
}

OutputWish read_output(BodyReader& body) {
  OutputWish output;
  body.read("n", output.n, IntegerRange{1, kMostOutputs});
  body.read("max_tokens", output.max_tokens, IntegerRange{0, kMostTokens});
  body.read_texts("stop", output.stop, kMostStops);
  body.read("ignore_eos", output.ignore_eos);
  body.read("priority", output.priority, IntegerRange{-kMostPriority, kMostPriority});
  body.read("timeout", output.timeout_s, kTimeouts);
  read_form(body, output);
  if (output.ignore_eos && output.form.kind != OutputForm::Kind::free) {
    body.wrong("ignore_eos",
               "false where the form of the output is given: it says where that ends");
  }
  body.read_seed("seed", output.seed);
  read_sampling(body, output.sampling);
  read_penalties(body, output.penalties);
  read_method(body, output.method);
  read_stream(body, output);
  return output;
}

/// A text, a list of ids, or a list of either.
void read_prompts(BodyReader& body, std::vector<PromptText>& prompts) {
  const OrderedJson* const field = body.find("prompt");
  constexpr auto kExpected = "a text, a list of token ids, or a list of up to 1024 of either";
  if (field == nullptr) return body.wrong("prompt", kExpected);
  if (field->is_string()) {
    prompts.emplace_back(field->get<std::string>());
    return;
  }
  if (!field->is_array() || field->empty()) return body.wrong("prompt", kExpected);
  if (auto ids = token_ids(*field)) {
    prompts.emplace_back(std::move(*ids));
    return;
  }
  if (field->size() > kMostPrompts) return body.wrong("prompt", kExpected);
  for (const OrderedJson& item : *field) {
    if (item.is_string()) {
      prompts.emplace_back(item.get<std::string>());
    } else if (auto ids = token_ids(item)) {
      prompts.emplace_back(std::move(*ids));
    } else {
      return body.wrong("prompt", kExpected);
    }
  }
}

/// "content" may also be a list of parts; those of text are joined.
void join_parts(BodyReader& body, OrderedJson& message) {
  const auto content = message.find("content");
  if (content == message.end() || content->is_null() || content->is_string()) return;
  if (!content->is_array()) return body.wrong("messages", "a list whose contents are texts");
  std::string joined;
  for (const OrderedJson& part : *content) {
    const bool is_text = part.is_object() && part.value("type", OrderedJson()) == "text" &&
                         part.value("text", OrderedJson()).is_string();
    if (!is_text) return body.wrong("messages", "of texts alone: no pictures, sounds or files");
    joined += part["text"].get_ref<const std::string&>();
  }
  *content = joined;
}

}  // namespace

CompletionRequest read_completion_request(BodyReader& body) {
  CompletionRequest request;
  read_prompts(body, request.prompts);
  request.output = read_output(body);
  body.read("echo", request.echo);
  body.read("logprobs", request.output.listed, IntegerRange{0, kMostListed});
  if (request.output.max_tokens == 0 && !request.echo) {
    body.wrong("max_tokens", "at least 1, unless the prompt is to be echoed");
  }
  if (request.output.max_tokens == 0 && request.output.stream) {
    body.wrong("stream", "false where there is nothing to come: max_tokens is 0");
  }
  return request;
}

ChatRequest read_chat_request(BodyReader& body) {
  ChatRequest request;
  request.conversation = read_conversation(body);
  OutputWish& output = request.output = read_output(body);
  body.read("max_completion_tokens", output.max_tokens, IntegerRange{1, kMostTokens});
  if (output.max_tokens == 0) body.wrong("max_tokens", "at least 1");
  bool logprobs = false;
  body.read("logprobs", logprobs);
  int listed = 0;
  body.read("top_logprobs", listed, IntegerRange{0, kMostListed});
  if (logprobs) output.listed = listed;
  return request;
}

Conversation read_conversation(BodyReader& body) {
  Conversation conversation;
  const OrderedJson* const messages = body.find("messages");
  constexpr auto kExpected = "a list of at least one object with \"role\" and \"content\"";
  if (messages == nullptr || !messages->is_array() || messages->empty()) {
    body.wrong("messages", kExpected);
    return conversation;
  }
  conversation.messages = *messages;
  for (OrderedJson& message : conversation.messages) {
    const auto role = message.is_object() ? message.find("role") : message.end();
    if (role == message.end() || !role->is_string()) {
      body.wrong("messages", kExpected);
      return conversation;
    }
    join_parts(body, message);
  }
  if (const OrderedJson* const tools = body.find("tools")) {
    if (!tools->is_array()) body.wrong("tools", "a list");
    conversation.tools = *tools;
  }
  if (const OrderedJson* const variables = body.find("chat_template_kwargs")) {
    if (!variables->is_object()) body.wrong("chat_template_kwargs", "an object");
    conversation.variables = *variables;
  }
  body.read("add_generation_prompt", conversation.add_generation_prompt);
  return conversation;
}

}  // namespace tidar
