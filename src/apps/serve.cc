// tidar serve: the model behind an HTTP interface that clients of OpenAI's know.

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <memory>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "apps/command.h"
#include "apps/conversation.h"
#include "apps/draft_model.h"
#include "apps/ids.h"
#include "apps/method_flags.h"
#include "apps/output.h"
#include "apps/price_source.h"
#include "apps/ranges.h"
#include "apps/session.h"
#include "constrain/output_form.h"
#include "engine/engine.h"
#include "format/files.h"
#include "serve/server.h"
#include "text/tokenizer_config.h"

namespace tidar {
namespace {

/// Tokens of prompt and output where --context does not say.
constexpr int kServedContext = 4096;

struct ServeFlags {
  ModelFlags model;
  MethodFlags method;
  ServerOptions server;
  std::string api_key, api_key_file;
  int body_mib = 8;
  int all_bodies_mib = 256;
  std::string log = "text";
  std::string name;  ///< "": the folder's
  int most_active = 8;
  int most_waiting = 256;
  int prompt_rows = 128;
};

LogStyle log_style(const std::string& name) {
  if (name == "none") return LogStyle::none;
  return name == "json" ? LogStyle::json : LogStyle::text;
}

/// Keys of a file, one a line. An Error where there is none, or one that no header can bring.
Result<std::vector<std::string>> read_api_keys(const std::string& path) {
  TIDAR_TRY(const std::string text, read_text_file(path));
  std::vector<std::string> keys;
  std::istringstream lines(text);
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (line.ends_with('\r')) line.pop_back();
    if (line.empty()) continue;
    if (std::any_of(line.begin(), line.end(), [](char c) { return c <= ' ' || c > '~'; })) {
      return error("{}:{}: expected a key of ASCII without spaces, alone on its line", path,
                   number);
    }
    keys.push_back(std::move(line));
  }
  if (keys.empty()) return error("{}: holds no key; write one a line", path);
  return keys;
}

Result<ServerOptions> server_options(const ServeFlags& flags) {
  ServerOptions options = flags.server;
  if (!flags.api_key_file.empty()) {
    TIDAR_TRY(options.access.api_keys, read_api_keys(flags.api_key_file));
  }
  if (!flags.api_key.empty()) options.access.api_keys.push_back(flags.api_key);
  if (flags.all_bodies_mib < flags.body_mib) {
    return error("--max-bodies {} must not be less than --max-body {}", flags.all_bodies_mib,
                 flags.body_mib);
  }
  options.http.body_bytes = static_cast<uint64_t>(flags.body_mib) << 20;
  options.http.all_bodies_bytes = int64_t{flags.all_bodies_mib} << 20;
  options.most_outputs = flags.most_active + flags.most_waiting;
  options.log = log_style(flags.log);
  options.log_file = fileno(stderr);
  return options;
}

/// As many files at the same time as the system lets a program have: each connection is one.
void allow_open_files() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

/// What programs that tokenize by this server want to know of its tokenizer.
Result<OrderedJson> tokenizer_info(const std::filesystem::path& path, const Tokenizer& tokenizer,
                                   const ModelConfig& model) {
  TIDAR_TRY(const Json config, read_tokenizer_config(path));
  OrderedJson info;
  for (const char* name : {"bos_token", "eos_token", "pad_token", "unk_token"}) {
    const auto token = special_token(config, name);
    info[name] = token ? OrderedJson(*token) : OrderedJson();
  }
  if (info["eos_token"].is_null() && !model.eos_tokens.empty()) {
    info["eos_token"] = tokenizer.bytes(model.eos_tokens.front());
  }
  const auto template_path = path / "chat_template.jinja";
  std::error_code ignored;
  if (std::filesystem::exists(template_path, ignored)) {
    TIDAR_TRY(info["chat_template"], read_text_file(template_path));
  } else {
    info["chat_template"] = config.contains("chat_template") ? config["chat_template"] : Json();
  }
  return info;
}

/// The method that a request wishes for: the server's, with what it says itself in its place.
Result<Method> wished_method(const MethodWish& wish, const MethodFlags& server,
                             const Method& standard, const ModelConfig& config, int max_new) {
  const bool same = wish.name.empty() || wish.name == name_of(standard);
  // Its drafters are the server's.
  if (same && std::holds_alternative<SpeculativeOptions>(standard)) return standard;
  MethodFlags flags = server;
  if (!same) {
    flags.name = wish.name;
    flags.of_methods.clear();  // what the command line says of another method has no meaning here
  }
  if (wish.draft_length) flags.draft_length = *wish.draft_length;
  if (wish.trust) flags.trust_ar = *wish.trust;
  if (wish.groups) {
    flags.groups = *wish.groups;
    flags.prices.clear();  // they are the engine's, whatever the request says
  }
  return make_method(flags, config, max_new);
}

/// A request as the server was told to decode it.
Result<Request> standard_request(const ServeFlags& flags, const ModelConfig& config, int context) {
  Request request;
  request.sequence.mask_token = known_mask_token(flags.method.mask_token, config);
  request.max_new = context;
  TIDAR_TRY(request.method, make_method(flags.method, config, context));
  return request;
}

/// A method that goes by prices, where any request can have one.
Method priced_method(const Request& standard) {
  if (standard.sequence.mask_token < 0) return standard.method;
  return TidarOptions{.groups = {.kind = GroupPolicy::Kind::paying}};
}

Result<ServedModel> served_model(const ServeFlags& flags, const Session& session,
                                 const ChatTemplate* chat_template, const Request& standard,
                                 int context) {
  const std::filesystem::path path = flags.model.model;
  const ModelConfig& config = session.config();
  ServedModel model;
  model.name =
      flags.name.empty() ? std::filesystem::canonical(path).filename().string() : flags.name;
  model.created = static_cast<int64_t>(std::time(nullptr));
  model.tokenizer = session.tokenizer();
  model.chat_template = chat_template;
  model.context = context;
  model.mask_token = standard.sequence.mask_token;
  model.eos.assign(config.eos_tokens.begin(), config.eos_tokens.end());
  model.chat_eos = chat_template == nullptr
                       ? model.eos
                       : with_end_of_turn(model.eos, *chat_template, *model.tokenizer);
  TIDAR_TRY(model.tokenizer_info, tokenizer_info(path, *model.tokenizer, config));
  model.method = name_of(standard.method);
  model.now = local_time;
  model.make_constraint = [forms = std::make_shared<OutputForms>(*model.tokenizer)](
                              const OutputForm& form, const std::vector<int32_t>& eos) {
    return forms->constraint_of(form, eos);
  };
  model.make_method = [server = flags.method, method = standard.method, config](
                          const MethodWish& wish, int max_new) {
    return wished_method(wish, server, method, config, max_new);
  };
  return model;
}

Result<int> serve(const ServeFlags& flags) {
  TIDAR_TRY(const ServerOptions options, server_options(flags));
  allow_open_files();
  TIDAR_TRY(const auto chat_template, ChatTemplate::open(flags.model.model));
  TIDAR_TRY(Session session, Session::open(flags.model));
  if (session.tokenizer() == nullptr) {
    return error("{}: has no tokenizer.json, which clients need", flags.model.model);
  }
  if (session.adapter() != nullptr) print_note("adapter " + session.adapter_text());
  const int context = std::min(flags.model.context > 0 ? flags.model.context : kServedContext,
                               session.config().max_positions);
  TIDAR_TRY(Request standard, standard_request(flags, session.config(), context));
  const Room room = {.rows = std::max(kPromptRows, useful_rows(standard)),
                     .sequences = flags.most_active,
                     .keys_each = context};
  TIDAR_TRY_VOID(session.build_network(room));
  TIDAR_TRY(const auto draft_model,
            DraftModel::attach(flags.method.draft_model, session, room, standard));
  TIDAR_TRY(const auto prices,
            engine_prices(flags.method.prices, priced_method(standard), session));
  Engine engine(session.network(), session.tokenizer());
  engine.share_prefixes();
  engine.limit_prompt_rows(flags.prompt_rows);
  if (prices) engine.set_prices(prices->prices, prices->use);
  TIDAR_TRY(
      ServedModel model,
      served_model(flags, session, chat_template ? &*chat_template : nullptr, standard, context));
  TIDAR_TRY(Server server, Server::listen(std::move(model), engine, options));
  print(fmt::format("listening on http://{}:{}\n", options.host, server.port()));
  TIDAR_TRY_VOID(flush_output());
  server.run();
  return kDone;
}

/// Whole seconds of something that may take long.
CLI::Option* add_seconds(CLI::App& command, const char* name, std::chrono::seconds& value, int from,
                         const std::string& description) {
  constexpr int kDay = 24 * 60 * 60;
  return command
      .add_option_function<int>(
          name, [&value](int seconds) { value = std::chrono::seconds(seconds); }, description)
      ->check(whole_number(from, kDay))
      ->type_name("S")
      ->default_str(std::to_string(value.count()));
}

void add_address_flags(CLI::App& command, ServeFlags& flags) {
  command.option_defaults()->group("Server");
  command.add_option("--host", flags.server.host, "Name or address to listen at")
      ->type_name("HOST")
      ->capture_default_str();
  command.add_option("--port", flags.server.port, "Port; 0: any that is free, which is printed")
      ->check(whole_number(0, 65535))
      ->type_name("N")
      ->capture_default_str();
  command.add_option("--name", flags.name, "What clients call the model (default: its folder's)")
      ->type_name("NAME");
  command
      .add_option("--log", flags.log,
                  "Lines on stderr, one an answer: text, json (an object a line), none")
      ->check(CLI::IsMember({"text", "json", "none"}))
      ->type_name("STYLE")
      ->capture_default_str();
}

void add_access_flags(CLI::App& command, ServeFlags& flags) {
  command.option_defaults()->group("Who may ask");
  command
      .add_option("--api-key", flags.api_key,
                  "What requests to /v1/ must bring as Authorization: Bearer KEY")
      ->type_name("KEY");
  command
      .add_option("--api-key-file", flags.api_key_file,
                  "A file of such keys, one a line, of which requests bring any; unlike --api-key "
                  "it shows them to nobody who lists processes")
      ->type_name("FILE");
  command
      .add_option("--cors", flags.server.access.origin,
                  "Pages of this origin may ask, as https://example.org; *: those of any")
      ->type_name("ORIGIN");
}

void add_limit_flags(CLI::App& command, ServeFlags& flags) {
  command.option_defaults()->group("Limits");
  command
      .add_option("--max-concurrent", flags.most_active,
                  "Outputs with room for --context tokens each at the same time")
      ->check(whole_number(1, 4096))
      ->type_name("N")
      ->capture_default_str();
  command
      .add_option("--max-waiting", flags.most_waiting,
                  "Outputs that wait for room; whoever comes then is told to try again (429)")
      ->check(whole_number(0, 1 << 20))
      ->type_name("N")
      ->capture_default_str();
  command
      .add_option("--max-connections", flags.server.most_connections,
                  "Connections at the same time; whoever comes then is told to try again (503)")
      ->check(whole_number(1, 1 << 20))
      ->type_name("N")
      ->capture_default_str();
  command
      .add_option("--prompt-rows", flags.prompt_rows,
                  "Tokens of prompts that a pass reads at most while others stream; fewer keep the "
                  "gaps in their streams short, more bring the first token earlier")
      ->check(whole_number(1, kPromptRows))
      ->type_name("N")
      ->capture_default_str();
  command.add_option("--max-body", flags.body_mib, "MiB of a request's body (else 413)")
      ->check(whole_number(1, 1024))
      ->type_name("MIB")
      ->capture_default_str();
  command
      .add_option("--max-bodies", flags.all_bodies_mib,
                  "MiB of bodies that come in or wait to be read, of all requests together; whose "
                  "body comes then is told to try again (503)")
      ->check(whole_number(1, 1 << 20))
      ->type_name("MIB")
      ->capture_default_str();
  HttpLimits& http = flags.server.http;
  add_seconds(
      command, "--timeout", http.answer, 0,
      "Seconds for a whole answer (else 504, or an error as a stream's last event); 0: any");
  add_seconds(command, "--read-timeout", http.read, 1,
              "Seconds for a request to arrive (else 408), and that a connection may stay idle");
  add_seconds(command, "--grace", flags.server.grace, 0,
              "Seconds that answers under way still have after SIGTERM or Ctrl-C");
}

}  // namespace

void add_serve(CLI::App& program, Action& action) {
  CLI::App& command = *program.add_subcommand(
      "serve", "Answers over HTTP, as OpenAI's interface has it, until Ctrl-C");
  const auto flags = std::make_shared<ServeFlags>();  // shared by the parser and the action
  add_address_flags(command, *flags);
  add_access_flags(command, *flags);
  add_limit_flags(command, *flags);
  add_method_flags(command, flags->method);
  add_model_flags(command, flags->model);
  add_context_flag(command, flags->model);
  command.callback([flags, &action] {
    check_method_flags(flags->method);
    action = [flags] { return serve(*flags); };
  });
}

}  // namespace tidar
