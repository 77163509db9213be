#include "serve/pass_event.h"

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

#include "engine/explanation_json.h"

namespace tidar {
namespace {

/// What is known of a row besides what it holds and sees.
struct RowKind {
  std::string_view name;
  int group = 0;  ///< 0: none
};

std::vector<RowKind> kinds_of(const Explanation& explanation) {
  const ShownRows& shown = explanation.rows;
  const StepReport& report = explanation.report;
  std::vector<RowKind> kinds;
  for (const ShownRow& row : shown.rows) {
    kinds.push_back({row.keep == Keep::page ? "text" : "canvas"});
  }
  const auto name = [&](int32_t first_row, int rows, RowKind kind) {
    const auto begin = kinds.begin() + (first_row - shown.first_row);
    std::fill(begin, begin + rows, kind);
  };
  for (const GuessedGroup& group : report.guessed) {
    name(group.token_row, group.rows(), {"guess", group.accepted});
  }
  for (const MaskGroup& group : report.groups) {
    name(group.first_row, group.masks, {"mask", group.accepted});
  }
  int guesses = report.drafted;
  for (auto kind = kinds.rbegin(); kind != kinds.rend() && guesses > 0; ++kind) {
    if (kind->name != "text") continue;
    kind->name = "draft";
    --guesses;
  }
  return kinds;
}

class Teller {
 public:
  Teller(const Tokenizer& tokenizer, int32_t mask_token)
      : tokenizer_(tokenizer), mask_token_(mask_token) {}

  OrderedJson text(int32_t token) const {
    return token == mask_token_ ? OrderedJson() : OrderedJson(token_text(tokenizer_, token));
  }

  OrderedJson texts(std::span<const int32_t> tokens) const {
    OrderedJson list = OrderedJson::array();
    for (const int32_t token : tokens) list.push_back(text(token));
    return list;
  }

  OrderedJson rows(const Explanation& explanation) const {
    const std::vector<RowKind> kinds = kinds_of(explanation);
    OrderedJson list = OrderedJson::array();
    for (size_t i = 0; i < kinds.size(); ++i) {
      const ShownRow& row = explanation.rows.rows[i];
      OrderedJson told = {
          {"kind", kinds[i].name}, {"text", text(row.token)}, {"position", row.position}};
      if (kinds[i].group > 0) told["group"] = kinds[i].group;
      told["sees"] = OrderedJson::array();
      for (const KeyRange& keys : {row.prefix, row.block}) {
        if (keys.size() > 0) told["sees"].push_back({keys.from, keys.to});
      }
      list.push_back(std::move(told));
    }
    return list;
  }

 private:
  const Tokenizer& tokenizer_;
  int32_t mask_token_;
};

}  // namespace

OrderedJson pass_json(int index, const Update& update, RowsTold rows, int32_t mask_token,
                      const Tokenizer& tokenizer) {
  const Explanation& explanation = *update.explanation;
  const StepReport& report = explanation.report;
  const Teller teller(tokenizer, mask_token);
  const std::span<const int32_t> provisional(report.provisional);
  OrderedJson json = {{"index", index}, {"committed", OrderedJson::array()}};
  for (const TokenLogprob& token : update.tokens) {
    json["committed"].push_back(teller.text(token.token));
  }
  json["rejected"] =
      teller.texts(std::span(report.guesses).subspan(static_cast<size_t>(report.accepted)));
  json["provisional"] =
      teller.texts(provisional.first(std::min(provisional.size(), kMostProvisional)));
  json["pass"] = to_json(explanation);
  json["seen"] = nullptr;
  if (rows == RowsTold::yes && explanation.rows.rows.size() <= kMostRowsTold) {
    json["seen"] = {{"cached", explanation.rows.cached}, {"rows", teller.rows(explanation)}};
  }
  return json;
}

std::string pass_event(ApiKind kind, const Envelope& envelope, OrderedJson pass) {
  OrderedJson json = frame_json(kind, envelope);
  json["draft"] = std::move(pass);
  return "event: draft\n" + event_of(json);
}

}  // namespace tidar
