#include "serve/pass_event.h"

#include <gtest/gtest.h>

#include "text/small_tokenizer_testing.h"

namespace tidar {
namespace {

OrderedJson told(size_t rows, size_t provisional) {
  const Tokenizer tokenizer = Tokenizer::parse(small_tokenizer().dump(), "small").value();
  Update update;
  Explanation& explanation = update.explanation.emplace();
  explanation.rows.rows.resize(rows);
  explanation.report.provisional.assign(provisional, 7);
  return pass_json(0, update, RowsTold::yes, 267, tokenizer);
}

ShownRow row(int32_t token, int32_t position, KeyRange prefix, KeyRange block) {
  return {.token = token, .position = position, .prefix = prefix, .block = block};
}

// A pass behind five cached keys: a text's last token, a draft of two of which the first is right,
// a guessed group for the other case, and a group of masks.
TEST(PassEvent, TellsWhatEachRowIsAndSees) {
  const Tokenizer tokenizer = Tokenizer::parse(small_tokenizer().dump(), "small").value();
  constexpr int32_t kMask = 267;
  Update update;
  update.tokens = {{'b', 0, 0}, {'e', 0, 0}};
  Explanation& pass = update.explanation.emplace();
  pass.rows = {.cached = 5,
               .first_row = 20,
               .rows = {row('a', 5, {0, 5}, {5, 6}), row('b', 6, {0, 5}, {5, 7}),
                        row('c', 7, {0, 5}, {5, 8}), row('d', 7, {0, 7}, {8, 9}),
                        row(kMask, 8, {0, 7}, {8, 10}), row(kMask, 7, {0, 7}, {10, 11})}};
  pass.rows.rows.back().keep = Keep::scratch;
  pass.report.drafted = 2;
  pass.report.accepted = 1;
  pass.report.guesses = {'b', 'c'};
  pass.report.guessed = {{.accepted = 1, .token = 'd', .masks = 1, .token_row = 23}};
  pass.report.groups = {{.accepted = 2, .masks = 1, .first_row = 25}};
  pass.report.provisional = {'f', kMask, 0xC3};
  const OrderedJson json = pass_json(3, update, RowsTold::yes, kMask, tokenizer);
  EXPECT_EQ(json["index"], 3);
  EXPECT_EQ(json["committed"].dump(), R"(["b","e"])");
  EXPECT_EQ(json["rejected"].dump(), R"(["c"])");
  EXPECT_EQ(json["provisional"].dump(), R"(["f",null,"bytes:\\xc3"])");
  EXPECT_EQ(json["seen"], OrderedJson::parse(R"({"cached": 5, "rows": [
      {"kind": "text", "text": "a", "position": 5, "sees": [[0, 5], [5, 6]]},
      {"kind": "draft", "text": "b", "position": 6, "sees": [[0, 5], [5, 7]]},
      {"kind": "draft", "text": "c", "position": 7, "sees": [[0, 5], [5, 8]]},
      {"kind": "guess", "text": "d", "position": 7, "group": 1, "sees": [[0, 7], [8, 9]]},
      {"kind": "guess", "text": null, "position": 8, "group": 1, "sees": [[0, 7], [8, 10]]},
      {"kind": "mask", "text": null, "position": 7, "group": 2, "sees": [[0, 7], [10, 11]]}]})"));
  EXPECT_TRUE(pass_json(3, update, RowsTold::no, kMask, tokenizer)["seen"].is_null());
  EXPECT_EQ(pass_event(ApiKind::completion, {.id = "i", .created = 1, .model = "m"}, {{"a", 1}}),
            "event: draft\ndata: {\"id\":\"i\",\"object\":\"text_completion\",\"created\":1,"
            "\"model\":\"m\",\"choices\":[],\"draft\":{\"a\":1}}\n\n");
}

TEST(PassEvent, TellsNoMoreThanClientsCanBear) {
  const OrderedJson most = told(kMostRowsTold, kMostProvisional);
  EXPECT_EQ(most["seen"]["rows"].size(), kMostRowsTold);
  EXPECT_EQ(most["provisional"].size(), kMostProvisional);
  const OrderedJson more = told(kMostRowsTold + 1, kMostProvisional + 1);
  EXPECT_TRUE(more["seen"].is_null());
  EXPECT_EQ(more["provisional"].size(), kMostProvisional);
}

}  // namespace
}  // namespace tidar
