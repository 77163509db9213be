#pragma once
// Which path does what. Nothing here knows sockets.

#include <memory>
#include <string>
#include <string_view>

#include "serve/answering.h"
#include "serve/engine_thread.h"
#include "serve/served_model.h"

namespace tidar {

struct HttpRequest {
  std::string_view method;
  std::string_view target;         ///< path, and perhaps a query, which is ignored
  std::string_view authorization;  ///< "" where there is none
  std::string_view body;
  std::string_view encodings{};  ///< Accept-Encoding
  std::string_view known_tag{};  ///< If-None-Match
};

class Routes {
 public:
  /// `api_key`: what requests to /v1/ must bring; "": nothing. Both must outlive it.
  Routes(const ServedModel& model, EngineThread& engine, std::string api_key);

  /// Answers at once, or begins to and returns what is under way, which must not outlive `client`.
  /// Nothing of the request is used after it returns.
  std::unique_ptr<Answering> handle(const HttpRequest& request, Client& client);

 private:
  struct Route {
    std::string_view method;
    std::string_view path;
    std::unique_ptr<Answering> (Routes::*handle)(std::string_view body, Client& client);
  };
  static std::span<const Route> all();

  /// Answers with a file of the page; false: there is none at that path.
  static bool answer_page(std::string_view path, const HttpRequest& request, Client& client);
  bool knows(std::string_view authorization) const;
  std::unique_ptr<Answering> begin(AnswerForm form, PlannedOutputs planned, Client& client);
  AnswerForm form_of(ApiKind kind, const OutputWish& output);
  uint64_t next_seed();

  std::unique_ptr<Answering> health(std::string_view body, Client& client);
  std::unique_ptr<Answering> props(std::string_view body, Client& client);
  std::unique_ptr<Answering> models(std::string_view body, Client& client);
  std::unique_ptr<Answering> tokenizer_info(std::string_view body, Client& client);
  std::unique_ptr<Answering> tokenize(std::string_view body, Client& client);
  std::unique_ptr<Answering> detokenize(std::string_view body, Client& client);
  std::unique_ptr<Answering> apply_template(std::string_view body, Client& client);
  std::unique_ptr<Answering> completions(std::string_view body, Client& client);
  std::unique_ptr<Answering> chat_completions(std::string_view body, Client& client);

  const ServedModel& model_;
  EngineThread& engine_;
  std::string api_key_;
  uint64_t seed_;  // of the next request that brings none
  int64_t answers_ = 0;
};

}  // namespace tidar
