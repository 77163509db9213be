#include "serve/routes.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <random>
#include <utility>

#include "serve/api_request.h"
#include "serve/body_reader.h"
#include "serve/page_files.h"

namespace tidar {
namespace {

/// Takes as long wherever the two differ.
bool same_secret(std::string_view a, std::string_view b) {
  unsigned char difference = a.size() == b.size() ? 0 : 1;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    difference |= static_cast<unsigned char>(a[i] ^ b[i]);
  }
  return difference == 0;
}

OrderedJson model_json(const ServedModel& model) {
  return {{"id", model.name},
          {"object", "model"},
          {"created", model.created},
          {"owned_by", "tidar"},
          {"max_model_len", model.context}};
}

/// Parses the body and has `read` make an answer of its fields; refuses it where they are wrong.
template <class Read>
void answer_from(std::string_view text, Client& client, const Read& read) {
  const Body body = parse_body(text);
  if (body.refusal) return client.refuse(*body.refusal);
  BodyReader reader(body.json);
  const OrderedJson answer = read(reader);
  reader.ok() ? client.answer(answer) : client.refuse(*reader.refusal());
}

/// Those that a request may name.
OrderedJson methods_of(const ServedModel& model) {
  OrderedJson names = OrderedJson::array();
  for (const MethodInfo& info : all_methods()) {
    MethodWish wish;
    wish.name = info.name;
    const auto method = model.make_method(wish, 1);
    if (!method.ok()) continue;
    if (!facts_of(*method).needs_mask || model.mask_token >= 0) names.push_back(info.name);
  }
  return names;
}

Refusal only_answers(std::string_view path, std::string_view method) {
  return {.status = 405,
          .message = fmt::format("{} answers {} alone", path, method),
          .allow = std::string(method)};
}

constexpr std::string_view kNoPage =
    "tidar serve is running, without its page: Node or the page's packages were not there when the "
    "program was built. Run scripts/fetch-page-tools and build again, or ask /v1/completions.\n";

// All that the page needs comes from here, and nothing else may come in.
constexpr std::string_view kPagePolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

// The names of files but the first say what is in them: they never change.
void answer_file(const PageFile& file, const HttpRequest& request, Client& client) {
  const bool named_by_content = file.path != "/";
  client.add_field("ETag", file.tag);
  client.add_field("Cache-Control",
                   named_by_content ? "public, max-age=31536000, immutable" : "no-cache");
  client.add_field("Vary", "Accept-Encoding");
  client.add_field("Content-Security-Policy", kPagePolicy);
  client.add_field("X-Content-Type-Options", "nosniff");
  client.add_field("Referrer-Policy", "no-referrer");
  if (request.known_tag.find(file.tag) != std::string_view::npos) {
    return client.answer_content(304, file.type, "");
  }
  const bool zipped = request.encodings.find("gzip") != std::string_view::npos;
  if (zipped) client.add_field("Content-Encoding", "gzip");
  client.answer_content(200, file.type, zipped ? file.zipped : file.body);
}

}  // namespace

Routes::Routes(const ServedModel& model, EngineThread& engine, std::string api_key)
    : model_(model), engine_(engine), api_key_(std::move(api_key)) {
  std::random_device device;
  seed_ = uint64_t{device()} << 32 | device();
}

std::span<const Routes::Route> Routes::all() {
  static constexpr std::array<Route, 9> kRoutes = {{
      {"GET", "/health", &Routes::health},
      {"GET", "/props", &Routes::props},
      {"GET", "/v1/models", &Routes::models},
      {"GET", "/tokenizer_info", &Routes::tokenizer_info},
      {"POST", "/tokenize", &Routes::tokenize},
      {"POST", "/detokenize", &Routes::detokenize},
      {"POST", "/apply-template", &Routes::apply_template},
      {"POST", "/v1/completions", &Routes::completions},
      {"POST", "/v1/chat/completions", &Routes::chat_completions},
  }};
  return kRoutes;
}

std::unique_ptr<Answering> Routes::handle(const HttpRequest& request, Client& client) {
  const std::string_view path = request.target.substr(0, request.target.find('?'));
  if (path.starts_with("/v1/") && !knows(request.authorization)) {
    client.refuse({.status = 401,
                   .message = "the API key is missing or wrong; send Authorization: Bearer KEY",
                   .code = "invalid_api_key"});
    return nullptr;
  }
  const auto found = std::find_if(all().begin(), all().end(),
                                  [&](const Route& route) { return route.path == path; });
  if (found == all().end() && answer_page(path, request, client)) return nullptr;
  if (found == all().end()) {
    client.refuse({.status = 404, .message = fmt::format("there is no {}", path)});
    return nullptr;
  }
  if (found->method != request.method) {
    client.refuse(only_answers(path, found->method));
    return nullptr;
  }
  return (this->*found->handle)(request.body, client);
}

bool Routes::answer_page(std::string_view path, const HttpRequest& request, Client& client) {
  const auto files = page_files();
  const auto file = std::find_if(files.begin(), files.end(),
                                 [&](const PageFile& known) { return known.path == path; });
  const bool left_out = files.empty() && path == "/";
  if (file == files.end() && !left_out) return false;
  if (request.method != "GET") {
    client.refuse(only_answers(path, "GET"));
  } else if (left_out) {
    client.answer_content(200, "text/plain; charset=utf-8", kNoPage);
  } else {
    answer_file(*file, request, client);
  }
  return true;
}

bool Routes::knows(std::string_view authorization) const {
  constexpr std::string_view kScheme = "Bearer ";
  if (api_key_.empty()) return true;
  return authorization.starts_with(kScheme) &&
         same_secret(authorization.substr(kScheme.size()), api_key_);
}

std::unique_ptr<Answering> Routes::health(std::string_view, Client& client) {
  client.answer({{"status", "ok"}});
  return nullptr;
}

std::unique_ptr<Answering> Routes::props(std::string_view, Client& client) {
  client.answer({{"model", model_.name},
                 {"context", model_.context},
                 {"vocabulary", model_.tokenizer->size()},
                 {"method", model_.method},
                 {"methods", methods_of(model_)},
                 {"chat", model_.chat_template != nullptr},
                 {"most_outputs", engine_.most()}});
  return nullptr;
}

std::unique_ptr<Answering> Routes::models(std::string_view, Client& client) {
  client.answer({{"object", "list"}, {"data", OrderedJson::array({model_json(model_)})}});
  return nullptr;
}

std::unique_ptr<Answering> Routes::tokenizer_info(std::string_view, Client& client) {
  client.answer(model_.tokenizer_info);
  return nullptr;
}

std::unique_ptr<Answering> Routes::tokenize(std::string_view body, Client& client) {
  answer_from(body, client, [&](BodyReader& fields) -> OrderedJson {
    std::vector<int32_t> tokens;
    if (fields.find("messages") != nullptr) {
      const Conversation conversation = read_conversation(fields);
      if (!fields.ok()) return {};
      const ConversationPrompt prompt = render(model_, conversation);
      if (prompt.refusal) fields.refuse(*prompt.refusal);
      tokens = model_.tokenizer->encode_prompt(prompt.text);
    } else {
      std::string text;
      bool special = true;
      if (fields.find("prompt") == nullptr) fields.wrong("prompt", "a text");
      fields.read("prompt", text);
      fields.read("add_special_tokens", special);
      tokens = model_.tokenizer->encode(text, special ? AddSpecial::yes : AddSpecial::no);
    }
    return {{"tokens", tokens}, {"count", tokens.size()}, {"max_model_len", model_.context}};
  });
  return nullptr;
}

std::unique_ptr<Answering> Routes::detokenize(std::string_view body, Client& client) {
  answer_from(body, client, [&](BodyReader& fields) -> OrderedJson {
    const OrderedJson* const list = fields.find("tokens");
    const auto tokens = list == nullptr ? std::nullopt : token_ids(*list);
    if (!tokens) {
      fields.wrong("tokens", "a list of token ids");
      return {};
    }
    return {{"prompt", model_.tokenizer->decode(*tokens)}};
  });
  return nullptr;
}

std::unique_ptr<Answering> Routes::apply_template(std::string_view body, Client& client) {
  answer_from(body, client, [&](BodyReader& fields) -> OrderedJson {
    const Conversation conversation = read_conversation(fields);
    if (!fields.ok()) return {};
    const ConversationPrompt prompt = render(model_, conversation);
    if (prompt.refusal) fields.refuse(*prompt.refusal);
    return {{"prompt", prompt.text.bytes()}};
  });
  return nullptr;
}

std::unique_ptr<Answering> Routes::completions(std::string_view body, Client& client) {
  const Body parsed = parse_body(body);
  BodyReader fields(parsed.json);
  if (parsed.refusal) fields.refuse(*parsed.refusal);
  const CompletionRequest request = read_completion_request(fields);
  if (!fields.ok()) {
    client.refuse(*fields.refusal());
    return nullptr;
  }
  return begin(form_of(ApiKind::completion, request.output),
               plan_completion(model_, request, next_seed()), client);
}

std::unique_ptr<Answering> Routes::chat_completions(std::string_view body, Client& client) {
  const Body parsed = parse_body(body);
  BodyReader fields(parsed.json);
  if (parsed.refusal) fields.refuse(*parsed.refusal);
  const ChatRequest request = read_chat_request(fields);
  if (!fields.ok()) {
    client.refuse(*fields.refusal());
    return nullptr;
  }
  return begin(form_of(ApiKind::chat, request.output), plan_chat(model_, request, next_seed()),
               client);
}

std::unique_ptr<Answering> Routes::begin(AnswerForm form, PlannedOutputs planned, Client& client) {
  if (planned.refusal) {
    client.refuse(*planned.refusal);
    return nullptr;
  }
  if (static_cast<int>(planned.outputs.size()) > engine_.most()) {
    client.refuse({.message = fmt::format("{} outputs are wanted, and {} can be under way at most; "
                                          "ask for fewer at a time",
                                          planned.outputs.size(), engine_.most())});
    return nullptr;
  }
  auto answering = std::make_unique<Answering>(std::move(form), *model_.tokenizer, engine_, client);
  answering->begin(std::move(planned));
  return answering;
}

AnswerForm Routes::form_of(ApiKind kind, const OutputWish& output) {
  const std::string_view prefix = kind == ApiKind::chat ? "chatcmpl" : "cmpl";
  return {.kind = kind,
          .envelope = {.id = fmt::format("{}-{}", prefix, ++answers_),
                       .created = static_cast<int64_t>(std::time(nullptr)),
                       .model = model_.name},
          .told = output.listed.has_value(),
          .stream = output.stream,
          .include_usage = output.include_usage,
          .include_passes = output.include_passes,
          .rows = output.include_rows ? RowsTold::yes : RowsTold::no,
          .mask_token = model_.mask_token};
}

// Outputs of one request draw from seeds that follow each other; another request is far away.
uint64_t Routes::next_seed() { return seed_ += 0x9e3779b97f4a7c15u; }

}  // namespace tidar
