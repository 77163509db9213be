#include "serve/routes.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>
#include <functional>
#include <new>
#include <optional>
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

/// Parses the body and has `read` make a reply of its fields, unless they are wrong.
template <class Read>
Reply reply_from(std::string_view text, const Read& read) {
  const Body body = parse_body(text);
  if (body.refusal) return *body.refusal;
  BodyReader reader(body.json);
  Reply reply = read(reader);
  if (!reader.ok()) return *reader.refusal();
  return reply;
}

/// What stands for %41 in a path; nothing where that is wrong.
std::optional<std::string> percent_decoded(std::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    unsigned char byte = 0;
    const char* const digits = text.data() + i + 1;
    if (text.size() - i < 3 || std::from_chars(digits, digits + 2, byte, 16).ptr != digits + 2) {
      return std::nullopt;
    }
    decoded += static_cast<char>(byte);
    i += 2;
  }
  return decoded;
}

/// A number of seconds; nothing where it is none, or out of range.
std::optional<float> seconds_of(std::string_view text) {
  float seconds = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, code] = std::from_chars(text.data(), end, seconds);
  const bool good =
      code == std::errc{} && stop == end && seconds >= kTimeouts.from && seconds <= kTimeouts.to;
  return good ? std::optional(seconds) : std::nullopt;
}

/// Where both are given, the shorter.
std::optional<float> shorter(std::optional<float> a, std::optional<float> b) {
  if (!a || !b) return a ? a : b;
  return std::min(*a, *b);
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

Routes::Routes(const RouteParts& parts, Access access)
    : model_(parts.model),
      engine_(parts.engine),
      worker_(parts.worker),
      metrics_(parts.metrics),
      access_(std::move(access)) {
  std::random_device device;
  turn_.seed = uint64_t{device()} << 32 | device();
}

std::span<const Routes::Route> Routes::all() {
  static constexpr std::array<Route, 11> kRoutes = {{
      {.path = "/health", .show = &Routes::health},
      {.path = "/metrics", .show = &Routes::metrics},
      {.path = "/props", .show = &Routes::props},
      {.path = "/v1/models", .show = &Routes::models},
      {.path = "/v1/models/", .show = &Routes::model},
      {.path = "/tokenizer_info", .show = &Routes::tokenizer_info},
      {.path = "/tokenize", .prepare = &Routes::tokenize},
      {.path = "/detokenize", .prepare = &Routes::detokenize},
      {.path = "/apply-template", .prepare = &Routes::apply_template},
      {.path = "/v1/completions", .prepare = &Routes::completions},
      {.path = "/v1/chat/completions", .prepare = &Routes::chat_completions},
  }};
  return kRoutes;
}

const Routes::Route* Routes::find(std::string_view path) {
  const auto found = std::find_if(all().begin(), all().end(),
                                  [&](const Route& route) { return route.matches(path); });
  return found == all().end() ? nullptr : &*found;
}

std::unique_ptr<Answering> Routes::handle(HttpRequest request, Client& client) {
  const std::string_view path = request.target.substr(0, request.target.find('?'));
  if (answer_preflight(request, client)) return nullptr;
  if (path.starts_with("/v1/") && !knows(request.authorization)) {
    client.refuse({.status = 401,
                   .message = "the API key is missing or wrong; send Authorization: Bearer KEY",
                   .code = "invalid_api_key"});
    return nullptr;
  }
  // What HEAD asks for is answered like GET, and its body is left out as it is sent.
  if (request.method == "HEAD") request.method = "GET";
  const Route* const route = find(path);
  if (route == nullptr && answer_page(path, request, client)) return nullptr;
  if (route == nullptr) {
    client.refuse({.status = 404, .message = fmt::format("there is no {}", path)});
    return nullptr;
  }
  if (route->method() != request.method) {
    client.refuse(only_answers(path, route->method()));
    return nullptr;
  }
  if (route->prepare != nullptr) return begin(route->prepare, std::move(request), client);
  (this->*route->show)(path, client);
  return nullptr;
}

// Pages of other servers: a browser asks first whether they may ask, and shows them no answer
// without leave.
bool Routes::answer_preflight(const HttpRequest& request, Client& client) const {
  if (access_.origin.empty()) return false;
  client.add_field("Access-Control-Allow-Origin", access_.origin);
  client.add_field("Access-Control-Expose-Headers", "Tidar-Method, Tidar-Equals-AR, Retry-After");
  if (access_.origin != "*") client.add_field("Vary", "Origin");
  if (request.method != "OPTIONS") return false;
  client.add_field("Access-Control-Allow-Methods", "GET, HEAD, POST");
  client.add_field("Access-Control-Allow-Headers",
                   fmt::format("Authorization, Content-Type, {}", kTimeoutHeader));
  client.add_field("Access-Control-Max-Age", "86400");
  client.answer_content(204, "", "");
  return true;
}

// The body is read, and its texts tokenized, where that holds up nobody else's answers.
std::unique_ptr<Answering> Routes::begin(Prepare prepare, HttpRequest request, Client& client) {
  turn_.timeout_s = seconds_of(request.timeout);
  if (!turn_.timeout_s && !request.timeout.empty()) {
    client.refuse({.message = fmt::format("{} must be a number of seconds from {} to {}",
                                          kTimeoutHeader, kTimeouts.from, kTimeouts.to)});
    return nullptr;
  }
  turn_.number += 1;
  // Outputs of one request draw from seeds that follow each other; another request is far away.
  turn_.seed += 0x9e3779b97f4a7c15u;
  auto answering = std::make_unique<Answering>(*model_.tokenizer, engine_, metrics_, client);
  const bool taken = worker_.submit(
      [this, prepare, body = std::move(request.body), share = std::move(request.share),
       turn = turn_, life = answering->life(), asked = answering.get()]() -> std::function<void()> {
        try {
          return [reply = (this->*prepare)(body, turn), life, asked]() mutable {
            if (!life.expired()) asked->take(std::move(reply));
          };
        } catch (const std::bad_alloc&) {
          return [life, asked] {
            if (life.expired()) return;
            asked->give_up({.status = 503, .message = "there is no memory to read it; try later"});
          };
        }
      });
  if (!taken) {
    answering->give_up({.status = 503, .message = "too many requests wait to be read; try later"});
  }
  return answering;
}

std::string_view Routes::route_of(std::string_view path) {
  if (const Route* const route = find(path)) return route->path;
  const auto files = page_files();
  const bool page = path == "/" || std::any_of(files.begin(), files.end(),
                                               [&](const auto& file) { return file.path == path; });
  return page ? "page" : "other";
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
  const auto& keys = access_.api_keys;
  if (keys.empty()) return true;
  if (!authorization.starts_with(kScheme)) return false;
  const std::string_view brought = authorization.substr(kScheme.size());
  // All of them are compared, so that the time does not tell which one it was.
  return std::count_if(keys.begin(), keys.end(),
                       [&](const auto& key) { return same_secret(brought, key); }) > 0;
}

void Routes::health(std::string_view, Client& client) { client.answer({{"status", "ok"}}); }

void Routes::metrics(std::string_view, Client& client) {
  client.answer_content(200, kMetricsType,
                        metrics_text(metrics_, engine_.totals(), engine_.state()));
}

void Routes::props(std::string_view, Client& client) {
  client.answer({{"model", model_.name},
                 {"context", model_.context},
                 {"vocabulary", model_.tokenizer->size()},
                 {"method", model_.method},
                 {"methods", methods_of(model_)},
                 {"chat", model_.chat_template != nullptr},
                 {"most_outputs", engine_.most()}});
}

void Routes::models(std::string_view, Client& client) {
  client.answer({{"object", "list"}, {"data", OrderedJson::array({model_json(model_)})}});
}

void Routes::model(std::string_view path, Client& client) {
  const auto name = percent_decoded(path.substr(std::string_view("/v1/models/").size()));
  if (name == model_.name) return client.answer(model_json(model_));
  client.refuse(
      {.status = 404,
       .message = fmt::format("there is no model of this name; {} is served", model_.name),
       .param = "model",
       .code = "model_not_found"});
}

void Routes::tokenizer_info(std::string_view, Client& client) {
  client.answer(model_.tokenizer_info);
}

Reply Routes::tokenize(const std::string& body, const Turn&) const {
  return reply_from(body, [&](BodyReader& fields) -> Reply {
    std::vector<int32_t> tokens;
    if (fields.find("messages") != nullptr) {
      const Conversation conversation = read_conversation(fields);
      if (!fields.ok()) return {};
      const ConversationPrompt prompt = render(model_, conversation);
      if (prompt.refusal) return *prompt.refusal;
      tokens = model_.tokenizer->encode_prompt(prompt.text);
    } else {
      std::string text;
      bool special = true;
      if (fields.find("prompt") == nullptr) fields.wrong("prompt", "a text");
      fields.read("prompt", text);
      fields.read("add_special_tokens", special);
      tokens = model_.tokenizer->encode(text, special ? AddSpecial::yes : AddSpecial::no);
    }
    const size_t count = tokens.size();
    return OrderedJson{
        {"tokens", std::move(tokens)}, {"count", count}, {"max_model_len", model_.context}};
  });
}

Reply Routes::detokenize(const std::string& body, const Turn&) const {
  return reply_from(body, [&](BodyReader& fields) -> Reply {
    const OrderedJson* const list = fields.find("tokens");
    const auto tokens = list == nullptr ? std::nullopt : token_ids(*list);
    if (!tokens) {
      fields.wrong("tokens", "a list of token ids");
      return {};
    }
    return OrderedJson{{"prompt", model_.tokenizer->decode(*tokens)}};
  });
}

Reply Routes::apply_template(const std::string& body, const Turn&) const {
  return reply_from(body, [&](BodyReader& fields) -> Reply {
    const Conversation conversation = read_conversation(fields);
    if (!fields.ok()) return {};
    const ConversationPrompt prompt = render(model_, conversation);
    if (prompt.refusal) return *prompt.refusal;
    return OrderedJson{{"prompt", prompt.text.bytes()}};
  });
}

Reply Routes::completions(const std::string& body, const Turn& turn) const {
  return reply_from(body, [&](BodyReader& fields) -> Reply {
    CompletionRequest request = read_completion_request(fields);
    if (!fields.ok()) return {};
    if (auto refusal = too_many(request.prompts.size(), request.output.n)) return *refusal;
    request.output.timeout_s = shorter(request.output.timeout_s, turn.timeout_s);
    return planned(form_of(ApiKind::completion, request.output, turn),
                   plan_completion(model_, request, turn.seed));
  });
}

Reply Routes::chat_completions(const std::string& body, const Turn& turn) const {
  return reply_from(body, [&](BodyReader& fields) -> Reply {
    ChatRequest request = read_chat_request(fields);
    if (!fields.ok()) return {};
    if (auto refusal = too_many(1, request.output.n)) return *refusal;
    request.output.timeout_s = shorter(request.output.timeout_s, turn.timeout_s);
    return planned(form_of(ApiKind::chat, request.output, turn),
                   plan_chat(model_, request, turn.seed));
  });
}

// Before they are planned: each has its prompt, and all that is said of it, by itself.
std::optional<Refusal> Routes::too_many(size_t prompts, int outputs_each) const {
  const auto outputs = static_cast<int64_t>(prompts) * outputs_each;
  if (outputs <= engine_.most()) return std::nullopt;
  return Refusal{.message = fmt::format("{} outputs are wanted, and {} can be under way at most; "
                                        "ask for fewer at a time",
                                        outputs, engine_.most())};
}

Reply Routes::planned(AnswerForm form, PlannedOutputs outputs) {
  if (outputs.refusal) return *outputs.refusal;
  return Planned{std::move(form), std::move(outputs)};
}

AnswerForm Routes::form_of(ApiKind kind, const OutputWish& output, const Turn& turn) const {
  const std::string_view prefix = kind == ApiKind::chat ? "chatcmpl" : "cmpl";
  return {.kind = kind,
          .envelope = {.id = fmt::format("{}-{}", prefix, turn.number),
                       .created = static_cast<int64_t>(std::time(nullptr)),
                       .model = model_.name},
          .told = output.listed.has_value(),
          .stream = output.stream,
          .include_usage = output.include_usage,
          .include_passes = output.include_passes,
          .rows = output.include_rows ? RowsTold::yes : RowsTold::no,
          .mask_token = model_.mask_token};
}

}  // namespace tidar
