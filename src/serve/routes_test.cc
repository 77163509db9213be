#include "serve/routes.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <ctime>
#include <future>
#include <map>
#include <string>

#include "serve/answering_testing.h"
#include "serve/page_files.h"

namespace tidar {
namespace {

using RoutesTest = AnsweringTest;

TEST_F(RoutesTest, RoutesAreFoundByPathAndMethod) {
  EXPECT_EQ(ask("GET", "/health?x=1", "").json["status"], "ok");
  EXPECT_EQ(ask("GET", "/v1/models", "").json["data"][0]["id"], "mock");
  EXPECT_EQ(ask("GET", "/nothing", "").refusal->status, 404);
  const Heard wrong = ask("GET", "/v1/completions", "");
  EXPECT_EQ(wrong.refusal->status, 405);
  EXPECT_EQ(wrong.refusal->allow, "POST");
  EXPECT_EQ(ask("POST", "/tokenize", "{").refusal->status, 400);
}

TEST_F(RoutesTest, ThePageIsAtTheRoot) {
  const Heard page = ask("GET", "/?x", "");
  ASSERT_TRUE(page.content);
  EXPECT_EQ(page.content->first, 200);
  EXPECT_EQ(ask("POST", "/", "").refusal->allow, "GET");
  if (page_files().empty()) {
    EXPECT_NE(page.content->second.find("without its page"), std::string::npos);
    return;
  }
  for (const PageFile& file : page_files()) {
    const auto get = [&](std::string_view encodings, std::string_view tag) {
      Heard heard;
      routes_.handle({.method = "GET",
                      .target = file.path,
                      .authorization = {},
                      .body = {},
                      .encodings = encodings,
                      .known_tag = tag},
                     heard);
      return heard;
    };
    Heard plain = get("br", "\"another\"");
    EXPECT_EQ(plain.content->second, file.body);
    EXPECT_EQ(plain.fields["ETag"], file.tag);
    EXPECT_EQ(plain.fields.count("Content-Encoding"), 0u);
    EXPECT_NE(plain.fields["Content-Security-Policy"].find("default-src 'none'"),
              std::string::npos);
    EXPECT_EQ(plain.fields["Vary"], "Accept-Encoding");
    EXPECT_EQ(plain.fields["X-Content-Type-Options"], "nosniff");
    EXPECT_EQ(plain.fields["Referrer-Policy"], "no-referrer");
    if (file.path != "/") {
      EXPECT_NE(plain.fields["Cache-Control"].find("immutable"), std::string::npos);
    }
    Heard zipped = get("gzip, deflate", "");
    EXPECT_EQ(zipped.content->second, file.zipped);
    EXPECT_EQ(zipped.fields["Content-Encoding"], "gzip");
    EXPECT_EQ(get("gzip", file.tag).content->first, 304);
    if (file.path == "/") {
      EXPECT_EQ(plain.fields["Cache-Control"], "no-cache");
      for (const PageFile& other : page_files()) {
        if (other.path == "/") continue;
        EXPECT_NE(file.body.find(other.path), std::string::npos) << other.path;
      }
    }
  }
}

TEST_F(RoutesTest, PropsNameTheMethodsThatARequestMayName) {
  const auto methods = [&] { return ask("GET", "/props", "").json["methods"].dump(); };
  EXPECT_NE(methods().find("\"tidar\""), std::string::npos);
  model_.mask_token = -1;
  EXPECT_EQ(methods().find("\"tidar\""), std::string::npos);
  EXPECT_NE(methods().find("\"ar\""), std::string::npos);
}

TEST_F(RoutesTest, PropsAndModelsSayWhatIsServed) {
  model_.method = "ar";
  model_.created = 12;
  const OrderedJson props = ask("GET", "/props", "").json;
  EXPECT_EQ(props["model"], "mock");
  EXPECT_EQ(props["context"], kMockLimits.max_position);
  EXPECT_EQ(props["vocabulary"], tokenizer_.size());
  EXPECT_EQ(props["method"], "ar");
  EXPECT_EQ(props["chat"], true);
  EXPECT_EQ(props["most_outputs"], 8);
  model_.chat_template = nullptr;
  EXPECT_EQ(ask("GET", "/props", "").json["chat"], false);
  EXPECT_EQ(ask("GET", "/v1/models", "").json,
            OrderedJson::parse(R"({"object": "list", "data": [{"id": "mock", "object": "model",
                "created": 12, "owned_by": "tidar", "max_model_len": 200}]})"));
  model_.tokenizer_info = {{"bos_token", "<bos>"}};
  EXPECT_EQ(ask("GET", "/tokenizer_info", "").json, model_.tokenizer_info);
}

TEST_F(RoutesTest, AnswersHaveNamesOfTheirOwn) {
  const OrderedJson one = complete({{"prompt", "a"}}).json,
                    other = complete({{"prompt", "a"}}).json;
  EXPECT_TRUE(one["id"].get<std::string>().starts_with("cmpl-"));
  EXPECT_NE(one["id"], other["id"]);
  EXPECT_EQ(one["model"], "mock");
  EXPECT_NEAR(one["created"].get<double>(), static_cast<double>(std::time(nullptr)), 60);
  const OrderedJson chat =
      ask("POST", "/v1/chat/completions",
          R"({"messages": [{"role": "user", "content": "a"}], "max_tokens": 1})")
          .json;
  EXPECT_TRUE(chat["id"].get<std::string>().starts_with("chatcmpl-"));
}

// Where requests bring no seeds.
TEST_F(RoutesTest, ServersDrawFromSeedsOfTheirOwn) {
  Routes other({model_, thread_, worker_, metrics_}, {});
  const std::string body = R"({"prompt": "a", "max_tokens": 20, "ignore_eos": true})";
  const auto hear = [&](Routes& routes) {
    Heard heard;
    const auto answering = routes.handle(
        {.method = "POST", .target = "/v1/completions", .authorization = {}, .body = body}, heard);
    while (!heard.done()) (*calls_.pop())();
    return heard.json["choices"][0]["text"];
  };
  EXPECT_NE(hear(routes_), hear(other));
}

TEST_F(RoutesTest, WhoComesWhenTooMuchIsToBeReadIsToldToComeAgain) {
  std::promise<void> begun, released;
  Worker busy(1, [](const std::function<void()>&) {});
  busy.submit([&] {
    begun.set_value();
    released.get_future().wait();
    return [] {};
  });
  begun.get_future().wait();
  busy.submit([] { return [] {}; });
  Routes routes({model_, thread_, busy, metrics_}, {});
  Heard heard;
  routes.handle({.method = "POST", .target = "/tokenize", .authorization = {}, .body = "{}"},
                heard);
  released.set_value();
  ASSERT_TRUE(heard.refusal);
  EXPECT_EQ(heard.refusal->status, 503);
}

TEST_F(RoutesTest, SpecialTokensAreAddedUnlessTheyAreUnwanted) {
  nlohmann::json file = small_tokenizer();
  file["post_processor"] = nlohmann::json::parse(R"({"type": "TemplateProcessing",
      "single": [{"SpecialToken": {"id": "<bos>"}}, {"Sequence": {"id": "A"}}],
      "special_tokens": {"<bos>": {"id": "<bos>", "ids": [266]}}})");
  const Tokenizer tokenizer = Tokenizer::parse(file.dump(), "small").value();
  model_.tokenizer = &tokenizer;
  EXPECT_EQ(ask("POST", "/tokenize", R"({"prompt": "a"})").json,
            OrderedJson::parse(R"({"tokens": [266, 97], "count": 2, "max_model_len": 200})"));
  EXPECT_EQ(ask("POST", "/tokenize", R"({"prompt": "a", "add_special_tokens": false})").json,
            OrderedJson::parse(R"({"tokens": [97], "count": 1, "max_model_len": 200})"));
}

TEST_F(RoutesTest, TokensAndTexts) {
  const auto post = [&](const char* path, const OrderedJson& body) {
    return ask("POST", path, body.dump());
  };
  EXPECT_EQ(post("/tokenize", {{"prompt", "he<bos>"}, {"add_special_tokens", false}})
                .json["tokens"]
                .size(),
            2u);
  EXPECT_EQ(post("/tokenize", {{"add_special_tokens", false}}).refusal->param, "prompt");
  EXPECT_EQ(post("/detokenize", {{"tokens", {'h', 'i'}}}).json["prompt"], "hi");
  EXPECT_EQ(post("/detokenize", {{"tokens", {"a"}}}).refusal->param, "tokens");
  EXPECT_EQ(post("/apply-template", {{"messages", {{{"role", "user"}, {"content", "x"}}}}})
                .json["prompt"],
            "user: x\n");
}

TEST_F(RoutesTest, AKeyIsAskedForWhereThereIsOne) {
  Routes guarded({model_, thread_, worker_, metrics_}, {.api_keys = {"secret", "other"}});
  const auto status = [&](std::string_view target, std::string_view authorization) {
    Heard heard;
    guarded.handle({.method = "GET", .target = target, .authorization = authorization, .body = {}},
                   heard);
    return heard.refusal ? heard.refusal->status : 200;
  };
  EXPECT_EQ(status("/v1/models", "Bearer secret"), 200);
  EXPECT_EQ(status("/v1/models", "Bearer other"), 200);
  EXPECT_EQ(status("/health", ""), 200);
  for (const char* path : {"/v1/models", "/v1/models/mock", "/v1/completions", "/v1/nothing"}) {
    for (const char* wrong : {"", "Bearer ", "secret", "Bearer secre", "Bearer secretx"}) {
      EXPECT_EQ(status(path, wrong), 401) << path << wrong;
    }
  }
}

TEST_F(RoutesTest, AModelIsFoundByItsName) {
  model_.name = "a b/c";
  EXPECT_EQ(ask("GET", "/v1/models/a%20b%2fc", "").json["id"], "a b/c");
  EXPECT_EQ(ask("GET", "/v1/models/a%20b/c?x", "").json["id"], "a b/c");
  for (const char* wrong : {"", "a", "a%20b%2fcc", "a%2", "%", "%zz", "a%20b/c%00"}) {
    const Heard heard = ask("GET", fmt::format("/v1/models/{}", wrong), "");
    EXPECT_EQ(heard.refusal->status, 404) << wrong;
    EXPECT_EQ(heard.refusal->code, "model_not_found");
  }
}

TEST_F(RoutesTest, HeadIsAnsweredLikeGet) {
  EXPECT_EQ(ask("HEAD", "/health", "").json["status"], "ok");
  EXPECT_EQ(ask("HEAD", "/", "").content->first, 200);
  EXPECT_EQ(ask("HEAD", "/v1/completions", "").refusal->status, 405);
}

TEST_F(RoutesTest, PagesOfOneOriginMayAsk) {
  Routes open({model_, thread_, worker_, metrics_},
              {.api_keys = {"secret"}, .origin = "https://example.org"});
  const auto hear = [](Routes& routes, std::string_view method) {
    Heard heard;
    routes.handle({.method = method, .target = "/v1/models", .authorization = {}, .body = {}},
                  heard);
    return heard;
  };
  // A browser brings no key when it asks whether it may ask.
  Heard first = hear(open, "OPTIONS");
  EXPECT_EQ(first.content->first, 204);
  EXPECT_EQ(first.fields["Access-Control-Allow-Origin"], "https://example.org");
  EXPECT_NE(first.fields["Access-Control-Allow-Headers"].find("Authorization"), std::string::npos);
  Heard refused = hear(open, "GET");
  EXPECT_EQ(refused.refusal->status, 401);
  EXPECT_EQ(refused.fields["Access-Control-Allow-Origin"], "https://example.org")
      << "so that the page can read why";
  EXPECT_EQ(refused.fields["Vary"], "Origin");
  EXPECT_EQ(refused.fields["Access-Control-Expose-Headers"],
            "Tidar-Method, Tidar-Equals-AR, Retry-After");
  EXPECT_EQ(first.fields["Access-Control-Allow-Methods"], "GET, HEAD, POST");
  EXPECT_NE(first.fields["Access-Control-Allow-Headers"].find("Content-Type"), std::string::npos);
  EXPECT_NE(first.fields["Access-Control-Allow-Headers"].find("X-Request-Timeout"),
            std::string::npos);
  EXPECT_EQ(first.fields["Access-Control-Max-Age"], "86400");
  Routes to_all({model_, thread_, worker_, metrics_}, {.origin = "*"});
  Heard any = hear(to_all, "GET");
  EXPECT_EQ(any.fields["Access-Control-Allow-Origin"], "*");
  EXPECT_EQ(any.fields.count("Vary"), 0u);
  Heard closed = hear(routes_, "OPTIONS");
  EXPECT_EQ(closed.refusal->status, 405);
  EXPECT_EQ(closed.fields.count("Access-Control-Allow-Origin"), 0u);
}

TEST_F(RoutesTest, MetricsAreSumsOfUsage) {
  std::map<std::string, double> wanted;
  int answers = 0;
  for (const char* method : {"ar", "tidar", "lookup", "tidar"}) {
    const Heard heard = complete({{"prompt", {"he", "abab"}},
                                  {"n", 2},
                                  {"max_tokens", 20},
                                  {"seed", ++answers},
                                  {"method", method}});
    const OrderedJson& usage = heard.json["usage"];
    const OrderedJson& details = usage["completion_tokens_details"];
    wanted["tidar:prompt_tokens_total"] += 2 * usage["prompt_tokens"].get<double>();
    wanted["tidar:generation_tokens_total"] += usage["completion_tokens"].get<double>();
    wanted["tidar:spec_decode_num_accepted_tokens_total"] +=
        details["accepted_prediction_tokens"].get<double>();
    wanted["tidar:spec_decode_num_draft_tokens_total"] +=
        details["accepted_prediction_tokens"].get<double>() +
        details["rejected_prediction_tokens"].get<double>();
    wanted["tidar:tokens_per_pass_count"] += usage["tidar"]["passes"].get<double>();
  }
  wanted["tidar:time_to_first_token_seconds_count"] = 4 * answers;
  wanted["tidar:e2e_request_latency_seconds_count"] = answers;
  wanted["tidar:num_requests_running"] = 0;
  wanted["tidar:kv_cache_usage_perc"] = 0;
  wanted["tidar:pages{state=\"free\"}"] = kMockLimits.pages;
  const auto found = samples_of(ask("GET", "/metrics", "").content->second);
  for (const auto& [name, value] : wanted) {
    ASSERT_TRUE(found.contains(name)) << name;
    EXPECT_EQ(found.at(name), value) << name;
  }
  EXPECT_GT(found.at("tidar:spec_decode_num_accepted_tokens_total"), 0);
  EXPECT_GT(found.at("tidar:request_queue_time_seconds_sum"), 0);
  const double firsts = found.at("tidar:time_to_first_token_seconds_count");
  EXPECT_EQ(found.at("tidar:inter_token_latency_seconds_count") + firsts,
            found.at("tidar:generation_tokens_total"));
}

TEST_F(RoutesTest, RoutesAreCountedByFewNames) {
  for (const auto& [path, route] :
       std::map<std::string, std::string>{{"/health", "/health"},
                                          {"/v1/completions", "/v1/completions"},
                                          {"/", "page"},
                                          {"/../etc/passwd", "other"},
                                          {"", "other"}}) {
    EXPECT_EQ(Routes::route_of(path), route);
  }
}

}  // namespace
}  // namespace tidar
