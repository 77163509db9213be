#include "apps/documents_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "apps/method_list.h"
#include "apps/output.h"

namespace tidar {
namespace {

OrderedJson to_json(const DecodedTexts& texts) {
  const RequestStats& stats = texts.stats;
  OrderedJson places = OrderedJson::array();
  for (const auto& place : stats.places) {
    places.push_back({{"guesses", place.drafted}, {"right", place.accepted}});
  }
  return {{"texts", texts.texts},
          {"tokens", stats.new_tokens},
          {"passes", stats.passes},
          {"tokens_per_pass", stats.tokens_per_pass()},
          {"rows_per_pass", stats.rows_per_pass()},
          {"accepted", stats.accepted},
          {"places", std::move(places)}};
}

/// The places whose share is shown: those near a draft's beginning decide most.
constexpr int kShownPlaces[] = {1, 2, 3, 4, 6, 8, 12, 16};

std::vector<std::string> label_of(const Method& method) {
  const int length = draft_length_of(method);
  return {std::string(name_of(method)), length == 0 ? "" : std::to_string(length),
          groups_of(method)};
}

std::string methods_table(const DocumentSummary& summary) {
  Table table({"method", "K", "groups", "given", "own", "rows", "tokens/s", "x AR", "as AR"});
  const double ar = summary.methods.front().own.tokens_per_s();
  for (const MethodOnDocuments& method : summary.methods) {
    const RequestStats& own = method.own.stats;
    std::vector<std::string> cells = label_of(method.method);
    cells.push_back(method.given ? fmt::format("{:.2f}", method.given->stats.tokens_per_pass())
                                 : "-");
    cells.push_back(fmt::format("{:.2f}", own.tokens_per_pass()));
    cells.push_back(fmt::format("{:.1f}", own.rows_per_pass()));
    cells.push_back(fmt::format("{:.1f}", method.own.tokens_per_s()));
    cells.push_back(ar > 0 ? fmt::format("{:.2f}", method.own.tokens_per_s() / ar) : "-");
    cells.push_back(fmt::format("{}/{}", method.same_as_ar, method.own.texts));
    table.add(std::move(cells));
  }
  return table.text();
}

/// "" where no method drafts.
std::string places_table(const DocumentSummary& summary) {
  std::vector<std::string> heading = {"method", "K", "groups", "texts"};
  for (const int place : kShownPlaces) heading.push_back(std::to_string(place));
  Table table(heading);
  bool any = false;
  const auto add = [&](const Method& method, const char* texts, const RequestStats& stats) {
    if (stats.places.empty()) return;
    any = true;
    std::vector<std::string> cells = label_of(method);
    cells.emplace_back(texts);
    for (const int place : kShownPlaces) {
      const auto i = static_cast<size_t>(place - 1);
      const bool has = i < stats.places.size() && stats.places[i].drafted > 0;
      cells.push_back(has ? fmt::format("{:.0f}", 100 * share_of(stats.places[i].accepted,
                                                                 stats.places[i].drafted))
                          : "");
    }
    table.add(std::move(cells));
  };
  for (const MethodOnDocuments& method : summary.methods) {
    if (method.given) add(method.method, "given", method.given->stats);
    add(method.method, "own", method.own.stats);
  }
  return any ? table.text() : "";
}

}  // namespace

std::string documents_text(const DocumentSummary& summary) {
  std::string text =
      fmt::format("{} of {}, {} of text; nll {:.4f} +- {:.4f} nats a token\n\n", summary.done,
                  counted(summary.all, "document"), counted(summary.tokens, "token"),
                  summary.nll.mean, summary.nll.standard_error);
  text += methods_table(summary);
  text += "\n'given' and 'own': tokens a pass on the documents' text, and on what the method\n";
  text += "  itself says behind their prompts; rows, speed and 'as AR', the texts that are\n";
  text += "  token for token those of AR, are of its own text\n";
  if (const std::string places = places_table(summary); !places.empty()) {
    text += "\n" + places;
    text += "\n% of drafts that were right up to their 1st, 2nd, … place\n";
  }
  return text;
}

OrderedJson to_json(const DocumentSummary& summary) {
  OrderedJson json = {{"done", summary.done},
                      {"all", summary.all},
                      {"scores", {{"nll", to_json(summary.nll)}}},
                      {"tokens", summary.tokens},
                      {"methods", OrderedJson::array()}};
  const double ar = summary.methods.front().own.tokens_per_s();
  for (const MethodOnDocuments& method : summary.methods) {
    OrderedJson item;
    put_method(item, method.method);
    if (method.given) item["given"] = to_json(*method.given);
    OrderedJson own = to_json(method.own);
    own["seconds"] = method.own.stats.decode_s;
    own["tokens_per_s"] = method.own.tokens_per_s();
    own["ratio_to_ar"] = ar > 0 ? OrderedJson(method.own.tokens_per_s() / ar) : OrderedJson();
    own["same_as_ar"] = method.same_as_ar;
    item["own"] = std::move(own);
    json["methods"].push_back(std::move(item));
  }
  return json;
}

}  // namespace tidar
