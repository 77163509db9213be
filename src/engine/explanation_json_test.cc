#include "engine/explanation_json.h"

#include <gtest/gtest.h>

#include "engine/explanation_testing.h"

namespace tidar {
namespace {

TEST(ExplanationJson, HoldsWhatWasOfferedHeldAndBrought) {
  Explanation pass = offered_pass();
  pass.report.guessed = {{.accepted = 2, .token = 5, .masks = 3, .token_row = 190}};
  EXPECT_EQ(to_json(pass), OrderedJson::parse(R"({
              "decoding": true, "tokens": 3, "rows": 7, "asked": 6, "drafted": 2, "accepted": 2,
              "groups": [{"group": 3, "masks": 4, "used": true}],
              "guessed": [{"group": 2, "token": 5, "masks": 3, "used": false}],
              "offer": {"guesses": [{"chance": 0.9, "worth": 0.9}, {"chance": 0.5, "worth": 0.45}],
                        "groups": [{"group": 3, "masks": 4, "chance": 0.45, "worth": 0.8},
                                   {"group": 1, "masks": 4, "chance": 0.1, "worth": 0.5}],
                        "guessed": [{"group": 2, "masks": 3, "chance": 0.02, "worth": 0.05}],
                        "granted": 7},
              "pass": {"rows": 7, "asked": 6.0, "expected_s": 0.0015, "seconds": 0.012345}})"));
  pass.report.used = {.first_row = 191, .masks = 3};
  EXPECT_EQ(to_json(pass)["guessed"][0]["used"], true);
}

TEST(ExplanationJson, WhatThereIsNoneOfIsNull) {
  const OrderedJson json = to_json(Explanation{});
  EXPECT_TRUE(json["offer"].is_null());
  EXPECT_TRUE(json["pass"]["expected_s"].is_null());
}

}  // namespace
}  // namespace tidar
