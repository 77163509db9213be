#include "apps/output.h"

#include <gtest/gtest.h>

namespace tidar {
namespace {

TEST(Output, PrintableTextDoesNothingToATerminal) {
  EXPECT_EQ(printable("h\u00e9llo \u4f60\tof\ntwo lines"), "h\u00e9llo \u4f60\tof\ntwo lines");
  EXPECT_EQ(printable("\x1b[31m \x7f \r"), "\\x1b[31m \\x7f \\x0d");
  EXPECT_EQ(printable("\u009b2J"), "\\xc2\\x9b2J");  // one character that begins a command
  EXPECT_EQ(printable("\xff\xe4\xbd"), "\\xff\\xe4\\xbd");
  EXPECT_EQ(printable(std::string_view("\0", 1)), "\\x00");
}

TEST(Output, PartsInLines) {
  EXPECT_EQ(in_lines({}), "");
  EXPECT_EQ(in_lines({"one"}, 3), "one");
  EXPECT_EQ(in_lines({"one", "two", "three"}, 16), "one, two, three");
  EXPECT_EQ(in_lines({"one", "two", "three"}, 15), "one, two, three");
  EXPECT_EQ(in_lines({"one", "two", "three"}, 14), "one, two,\n  three");
  EXPECT_EQ(in_lines({"one", "two", "three"}, 8), "one,\n  two,\n  three");
  EXPECT_EQ(in_lines({"one", "longer than that", "two"}, 8), "one,\n  longer than that,\n  two");
}

TEST(Output, ProgressIsLinesNowAndThenWhereThereIsNoTerminal) {
  testing::internal::CaptureStderr();
  {
    Progress at_once(0), later;
    at_once.show("1 of 2  a minute left");
    later.show("1 of 2");
    at_once.show("2 of 2");
    at_once.clear();
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "1 of 2  a minute left\n2 of 2\n");
}

TEST(Output, Numbers) {
  EXPECT_EQ(format_count(0), "0");
  EXPECT_EQ(format_count(999), "999");
  EXPECT_EQ(format_count(1000), "1,000");
  EXPECT_EQ(format_count(494032768), "494,032,768");
  EXPECT_EQ(format_count(-123456), "-123,456");
  EXPECT_EQ(format_bytes(999), "999 B");
  EXPECT_EQ(format_bytes(1000), "1.00 kB");
  EXPECT_EQ(format_bytes(9994), "9.99 kB");
  EXPECT_EQ(format_bytes(9996), "10.0 kB");
  EXPECT_EQ(format_bytes(999600), "1.00 MB");
  EXPECT_EQ(format_bytes(988065536), "988 MB");
  EXPECT_EQ(format_bytes(1543000000000), "1.54 TB");
}

TEST(Output, TablesAreAligned) {
  Table table({"rows", "ms"});
  table.add({"1", "12.5"});
  table.add({"prefill", "3"});
  EXPECT_EQ(table.text(), "rows       ms\n1        12.5\nprefill     3\n");
}

TEST(Output, LinesAreCutBetweenTheirParts) {
  const std::string_view line = "step 3/6  loss 1.25  90 tokens/s";
  EXPECT_EQ(fit(line, 80), line);
  EXPECT_EQ(fit(line, line.size()), line);
  EXPECT_EQ(fit(line, line.size() - 1), "step 3/6  loss 1.25");
  EXPECT_EQ(fit(line, 19), "step 3/6  loss 1.25");
  EXPECT_EQ(fit(line, 18), "step 3/6");
  EXPECT_EQ(fit(line, 8), "step 3/6");
  EXPECT_EQ(fit(line, 5), "step ");
}

}  // namespace
}  // namespace tidar
