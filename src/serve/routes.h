#pragma once
// Which path does what. Nothing here knows sockets.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "serve/answering.h"
#include "serve/body_share.h"
#include "serve/engine_thread.h"
#include "serve/metrics.h"
#include "serve/served_model.h"
#include "serve/worker.h"

namespace tidar {

struct HttpRequest {
  std::string_view method;
  std::string_view target;         ///< path, and perhaps a query, which is ignored
  std::string_view authorization;  ///< "" where there is none
  std::string body;
  std::shared_ptr<const BodyShare> share{};  ///< goes with the body
  std::string_view encodings{};              ///< Accept-Encoding
  std::string_view known_tag{};              ///< If-None-Match
  std::string_view timeout{};                ///< kTimeoutHeader
};

/// Who may ask.
struct Access {
  std::vector<std::string> api_keys{};  ///< requests to /v1/ must bring one of them; none: nothing
  std::string origin{};  ///< whose pages may ask, "*" for all; "": only those that come from here
};

/// What works on all that there is to answer from; each must outlive the Routes.
struct RouteParts {
  const ServedModel& model;
  EngineThread& engine;
  Worker& worker;  ///< reads bodies
  Metrics& metrics;
};

class Routes {
 public:
  Routes(const RouteParts& parts, Access access);

  /// Answers at once, or begins to and returns what is under way, which must not outlive `client`.
  std::unique_ptr<Answering> handle(HttpRequest request, Client& client);

  /// What the path of a request belongs to, for counts: one of few texts, which live on.
  static std::string_view route_of(std::string_view path);

 private:
  /// What no two requests share.
  struct Turn {
    int64_t number = 0;
    uint64_t seed = 0;  ///< where the request brings none
    std::optional<float> timeout_s{};
  };
  using Show = void (Routes::*)(std::string_view path, Client& client);
  /// Of a body, on the worker's thread.
  using Prepare = Reply (Routes::*)(const std::string& body, const Turn& turn) const;
  /// One of the two.
  struct Route {
    std::string_view path;      ///< with "/" at its end: what begins like that
    Show show = nullptr;        ///< GET
    Prepare prepare = nullptr;  ///< POST

    std::string_view method() const { return show != nullptr ? "GET" : "POST"; }
    bool matches(std::string_view asked) const {
      return path.ends_with('/') ? asked.starts_with(path) : asked == path;
    }
  };
  static std::span<const Route> all();
  static const Route* find(std::string_view path);

  /// Answers with a file of the page; false: there is none at that path.
  static bool answer_page(std::string_view path, const HttpRequest& request, Client& client);
  bool knows(std::string_view authorization) const;
  bool answer_preflight(const HttpRequest& request, Client& client) const;
  std::unique_ptr<Answering> begin(Prepare prepare, HttpRequest request, Client& client);
  AnswerForm form_of(ApiKind kind, const OutputWish& output, const Turn& turn) const;
  /// A refusal where so many outputs could never be under way.
  std::optional<Refusal> too_many(size_t prompts, int outputs_each) const;
  static Reply planned(AnswerForm form, PlannedOutputs outputs);

  void health(std::string_view path, Client& client);
  void metrics(std::string_view path, Client& client);
  void props(std::string_view path, Client& client);
  void models(std::string_view path, Client& client);
  void model(std::string_view path, Client& client);
  void tokenizer_info(std::string_view path, Client& client);
  Reply tokenize(const std::string& body, const Turn& turn) const;
  Reply detokenize(const std::string& body, const Turn& turn) const;
  Reply apply_template(const std::string& body, const Turn& turn) const;
  Reply completions(const std::string& body, const Turn& turn) const;
  Reply chat_completions(const std::string& body, const Turn& turn) const;

  const ServedModel& model_;
  EngineThread& engine_;
  Worker& worker_;
  Metrics& metrics_;
  const Access access_;
  Turn turn_;  // the last one
};

}  // namespace tidar
