#include "apps/ids.h"

#include <gtest/gtest.h>

#include "format/files_testing.h"

namespace tidar {
namespace {

TEST(Ids, ReadsWhatIsUsuallyWritten) {
  const std::vector<int32_t> expected = {1, 20, 300};
  for (const char* text : {"1,20,300", "[1, 20, 300]", " 1 20\n300 \n", "1, 20, 300,"}) {
    const auto ids = parse_ids(text, "here");
    ASSERT_TRUE(ids.ok()) << text;
    EXPECT_EQ(*ids, expected) << text;
  }
  EXPECT_TRUE(parse_ids("", "here")->empty());
  EXPECT_TRUE(parse_ids(" [ ] ", "here")->empty());
}

TEST(Ids, ATokenizerMayHaveFewerIdsThanItsModel) {
  const Tokenizer tokenizer =
      Tokenizer::parse(R"({"model": {"type": "BPE", "vocab": {"a": 511}, "merges": []},
                           "pre_tokenizer": {"type": "ByteLevel"}, "decoder": {"type": "ByteLevel"}})",
                       "test")
          .value();
  for (const auto& [vocabulary, fits] :
       {std::pair{511, false}, {512, true}, {4608, true}, {4609, false}, {49152, false}}) {
    EXPECT_EQ(check_fits(tokenizer, vocabulary, "here").ok(), fits) << vocabulary;
  }
}

TEST(Ids, RefusesEverythingElse) {
  for (const char* text :
       {"x", "1,x", "-1", "1.5", "2147483648", "[1", "1]", "[1]2", "1;2", "[[1]]", "1a"}) {
    EXPECT_FALSE(parse_ids(text, "here").ok()) << text;
  }
  EXPECT_EQ(parse_ids("7,zebra", "--ids").error().message,
            "--ids: expected token ids such as 1,2,3, found 'zebra'");
  EXPECT_EQ(parse_ids("1,x", "--rows", "numbers of rows").error().message,
            "--rows: expected numbers of rows such as 1,2,3, found 'x'");
  EXPECT_TRUE(check_ids(std::vector<int32_t>{0, 9}, 10, "--ids").ok());
  EXPECT_FALSE(check_ids(std::vector<int32_t>{0, 10}, 10, "--ids").ok());
}

TEST(ReadText, AFileWithoutAnEndIsRefused) {
  const auto text = read_text("/dev/zero");
  ASSERT_FALSE(text.ok());
  EXPECT_EQ(text.error().message, "/dev/zero: holds more than 256 MiB of text; give less");
}

TEST(ReadText, AByteOrderMarkIsNoText) {
  const ScratchFolder folder;
  EXPECT_EQ(read_text(folder.put("marked", "\xEF\xBB\xBFone \xEF\xBB\xBF")).value(),
            "one \xEF\xBB\xBF");
  EXPECT_EQ(read_text(folder.put("cut", "\xEF\xBB")).value(), "\xEF\xBB");
}

}  // namespace
}  // namespace tidar
