#include "apps/bench_serving.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>
#include <thread>

#include "apps/command.h"
#include "apps/ids.h"
#include "apps/output.h"
#include "apps/ranges.h"
#include "base/stopwatch.h"
#include "serve/stream_client.h"

namespace tidar {
namespace {

/// Clients take turns with the other methods, so that a machine that slows down slows down all.
constexpr int kRounds = 3;
/// What --methods calls that of the server.
constexpr std::string_view kDefault = "default";

Result<std::vector<int32_t>> parse_clients(const std::string& text) {
  TIDAR_TRY(std::vector<int32_t> clients, parse_ids(text, "", "numbers of clients"));
  for (const int32_t count : clients) {
    if (count < 1 || count > 1024) return error("expected 1 to 1024 clients, found {}", count);
  }
  return clients;
}

Result<std::vector<std::string>> parse_method_names(const std::string& text) {
  std::vector<std::string> names;
  for (size_t from = 0; from <= text.size();) {
    const size_t comma = std::min(text.find(',', from), text.size());
    names.push_back(text.substr(from, comma - from));
    if (names.back().empty()) return error("expected names between commas, found '{}'", text);
    from = comma + 1;
  }
  return names;
}

/// Numbers of which some stay under others.
class Times {
 public:
  void add(double value) { values_.push_back(value); }
  size_t count() const { return values_.size(); }
  /// The least that this share of them does not exceed; at least one value is needed.
  double quantile(double share) const {
    std::vector<double> sorted = values_;
    const size_t place = std::min(static_cast<size_t>(share * static_cast<double>(sorted.size())),
                                  sorted.size() - 1);
    std::nth_element(sorted.begin(), sorted.begin() + static_cast<ptrdiff_t>(place), sorted.end());
    return sorted[place];
  }

 private:
  std::vector<double> values_;
};

/// So many clients that each ask again as soon as they are answered, with one method.
struct Crowd {
  int clients = 1;
  std::string method;
  Times tokens_per_s{};  ///< of all clients, one a round
  Times first_s{};       ///< from a request to its first text
  Times gaps_s{};        ///< between two events with text
};

OrderedJson body_of(const ServingFlags& flags, const std::string& method, int64_t number) {
  std::string prompt = flags.prompt;
  if (const size_t place = prompt.find("{n}"); place != std::string::npos) {
    prompt.replace(place, 3, std::to_string(number));
  }
  OrderedJson body = {
      {"prompt", prompt}, {"max_tokens", flags.max_new}, {"temperature", 0}, {"ignore_eos", true}};
  if (method != kDefault) body["method"] = method;
  return body;
}

/// One round of a crowd.
class Round {
 public:
  Round(const ServingFlags& flags, const ServerAddress& address, double seconds, Crowd& crowd,
        std::atomic<int64_t>& number)
      : flags_(flags), address_(address), seconds_(seconds), crowd_(crowd), number_(number) {}

  Result<void> run() {
    std::vector<std::thread> clients;
    for (int i = 0; i < crowd_.clients; ++i)
      clients.emplace_back([this] { ask_again_and_again(); });
    for (std::thread& client : clients) client.join();
    if (error_) return *error_;
    crowd_.tokens_per_s.add(tokens_per_s_);
    return {};
  }

 private:
  void ask_again_and_again() {
    const Stopwatch watch;
    int64_t tokens = 0;
    do {
      const auto stream = stream_completion(address_, body_of(flags_, crowd_.method, ++number_));
      const std::lock_guard lock(mutex_);
      if (!stream.ok()) error_ = stream.error();
      if (error_) return;
      tokens += stream->tokens;
      add(*stream);
    } while (watch.seconds() < seconds_);
    const std::lock_guard lock(mutex_);
    // Each by its own time: the others may still be at their last answers.
    tokens_per_s_ += static_cast<double>(tokens) / watch.seconds();
  }

  void add(const TimedStream& stream) {
    if (stream.texts_s.empty()) return;
    crowd_.first_s.add(stream.texts_s.front());
    for (size_t i = 1; i < stream.texts_s.size(); ++i) {
      crowd_.gaps_s.add(stream.texts_s[i] - stream.texts_s[i - 1]);
    }
  }

  const ServingFlags& flags_;
  const ServerAddress& address_;
  const double seconds_;
  Crowd& crowd_;
  std::atomic<int64_t>& number_;  // no prompt is asked for twice
  std::mutex mutex_;
  double tokens_per_s_ = 0;
  std::optional<Error> error_;
};

std::string in_ms(const Times& times, double share) {
  return times.count() == 0 ? "-" : fmt::format("{:.1f}", 1e3 * times.quantile(share));
}

std::string crowds_table(const std::vector<Crowd>& crowds) {
  Table table({"clients", "method", "tokens/s", "first ms", "90%", "99%", "gap ms", "90%", "99%"});
  for (const Crowd& crowd : crowds) {
    table.add({std::to_string(crowd.clients), crowd.method,
               fmt::format("{:.1f}", crowd.tokens_per_s.quantile(0.5)), in_ms(crowd.first_s, 0.5),
               in_ms(crowd.first_s, 0.9), in_ms(crowd.first_s, 0.99), in_ms(crowd.gaps_s, 0.5),
               in_ms(crowd.gaps_s, 0.9), in_ms(crowd.gaps_s, 0.99)});
  }
  return table.text();
}

OrderedJson percentiles(const Times& times) {
  if (times.count() == 0) return nullptr;
  return {{"50", times.quantile(0.5)},
          {"90", times.quantile(0.9)},
          {"99", times.quantile(0.99)},
          {"count", times.count()}};
}

OrderedJson crowds_json(const ServingFlags& flags, const std::vector<Crowd>& crowds) {
  OrderedJson json = {
      {"server", flags.url}, {"max_new", flags.max_new}, {"serving", OrderedJson::array()}};
  for (const Crowd& crowd : crowds) {
    json["serving"].push_back({{"clients", crowd.clients},
                               {"method", crowd.method},
                               {"tokens_per_s", crowd.tokens_per_s.quantile(0.5)},
                               {"first_s", percentiles(crowd.first_s)},
                               {"gap_s", percentiles(crowd.gaps_s)}});
  }
  return json;
}

}  // namespace

Result<int> bench_serving(const ServingFlags& flags, double seconds, bool json) {
  TIDAR_TRY(ServerAddress address, parse_server_url(flags.url));
  address.api_key = flags.api_key;
  Progress progress;
  std::vector<Crowd> all;
  std::atomic<int64_t> number = 0;
  const auto numbers = parse_clients(flags.clients).value();
  const auto methods = parse_method_names(flags.methods).value();
  for (const int32_t clients : numbers) {
    std::vector<Crowd> crowds;
    for (const std::string& method : methods) {
      crowds.push_back({.clients = clients, .method = method});
    }
    for (int round = 0; round < kRounds; ++round) {
      for (Crowd& crowd : crowds) {
        progress.show(
            fmt::format("{}, {}, round {}", counted(clients, "client"), crowd.method, round + 1));
        TIDAR_TRY_VOID(Round(flags, address, seconds / kRounds, crowd, number).run());
      }
    }
    all.insert(all.end(), crowds.begin(), crowds.end());
  }
  progress.clear();
  if (json) {
    print_json(crowds_json(flags, all));
  } else {
    print(
        "'first': from a request to its first text; 'gap': between two events with text, of\n"
        "  which one of TiDAR's brings several tokens; medians, and what so many stay under\n\n" +
        crowds_table(all));
  }
  return kDone;
}

void add_serving_flags(CLI::App& command, ServingFlags& flags,
                       const std::vector<CLI::Option*>& of_others) {
  command.option_defaults()->group("Serving");
  CLI::Option* serve =
      command
          .add_option("--serve", flags.url,
                      "Times a server that runs, of tidar serve: --seconds for each method and "
                      "number of clients, who each ask again as soon as they are answered")
          ->check(parsed_by(parse_server_url))
          ->type_name("URL");
  for (CLI::Option* option : of_others) serve->excludes(option);
  command.add_option("--api-key", flags.api_key, "What it wants to be brought")
      ->type_name("KEY")
      ->needs(serve);
  command.add_option("--clients", flags.clients, "Clients at the same time")
      ->check(parsed_by(parse_clients))
      ->type_name("N,N,...")
      ->needs(serve)
      ->capture_default_str();
  command
      .add_option("--served-methods", flags.methods,
                  "Names between commas; default is that of the server")
      ->check(parsed_by(parse_method_names))
      ->type_name("METHODS")
      ->needs(serve)
      ->capture_default_str();
  command
      .add_option("--served-prompt", flags.prompt,
                  "What is continued; {n} is another number in each request")
      ->type_name("TEXT")
      ->needs(serve);
  command.add_option("--served-new", flags.max_new, "New tokens of each answer")
      ->check(whole_number(1, 1 << 20))
      ->type_name("N")
      ->needs(serve)
      ->capture_default_str();
}

}  // namespace tidar
