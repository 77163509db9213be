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
