#include "format/gguf.h"

#include <gtest/gtest.h>

#include <limits>

#include "format/files_testing.h"
#include "format/gguf_testing.h"

namespace tidar {
namespace {

constexpr uint32_t kF32 = 0;

TEST(GgufFiles, HoldEntriesListsAndTensors) {
  for (const uint32_t version : {2u, 3u}) {
    GgufBuilder builder;
    builder.version = version;
    builder.set("a.u8", uint8_t{200}).set("a.i8", int8_t{-3}).set("a.u16", uint16_t{65535});
    builder.set("a.i16", int16_t{-300}).set("a.u32", uint32_t{1u << 31}).set("a.i32", int32_t{-7});
    builder.set("a.f32", 1e-6f).set("a.f64", 0.1).set("a.bool", true).set("a.text", "t\xC3\xA9xt");
    builder.set("a.u64", uint64_t{1} << 40).set("a.i64", -(int64_t{1} << 40));
    builder.texts("l.texts", {"one", "", "three"}).list("l.i32", std::vector<int32_t>{1, -2});
    builder.list("l.u8", std::vector<uint8_t>{255}).list("l.f32", std::vector<float>{0.5f, -1.0f});
    builder.tensor("matrix", BlockFormat::f32, {2, 3}, std::string(24, 'm'));
    builder.tensor("blocks", BlockFormat::q8_0, {2, 64}, std::string(4 * 34, 'b'));
    const std::string file = builder.file();
    const auto gguf = parse_gguf(file);
    ASSERT_TRUE(gguf.ok()) << gguf.error().message;

    const JsonFields fields = gguf->fields();
    EXPECT_EQ(*fields.integer("a.u8", {0, 255}), 200);
    EXPECT_EQ(*fields.integer("a.i8", {-128, 127}), -3);
    EXPECT_EQ(*fields.integer("a.u16", {0, 65535}), 65535);
    EXPECT_EQ(*fields.integer("a.i16", {-999, 0}), -300);
    EXPECT_EQ(*fields.count("a.u32", 0), int64_t{1} << 31);
    EXPECT_EQ(*fields.integer("a.i32", {-9, 0}), -7);
    EXPECT_EQ(*fields.number("a.f32", {0, 1}), 1e-6);  // the decimal, not the float next to it
    EXPECT_EQ(*fields.number("a.f64", {0, 1}), 0.1);
    EXPECT_TRUE(*fields.boolean("a.bool"));
    EXPECT_EQ(*fields.text("a.text"), "t\xC3\xA9xt");
    EXPECT_EQ(*fields.count("a.u64", 0), int64_t{1} << 40);
    EXPECT_EQ(*fields.number("a.i64", {-2e12, 0}), -1099511627776.0);

    EXPECT_EQ(*gguf->texts("l.texts"), (std::vector<std::string_view>{"one", "", "three"}));
    EXPECT_EQ(*gguf->integers("l.i32"), (std::vector<int64_t>{1, -2}));
    EXPECT_EQ(*gguf->integers("l.u8"), (std::vector<int64_t>{255}));
    EXPECT_EQ(*gguf->numbers("l.f32"), (std::vector<double>{0.5, -1}));
    EXPECT_TRUE(gguf->has_list("l.texts"));
    EXPECT_FALSE(gguf->has_list("a.text"));

    ASSERT_EQ(gguf->tensors().size(), 2u);
    const GgufTensor* matrix = gguf->find("matrix");
    ASSERT_NE(matrix, nullptr);
    EXPECT_EQ(matrix->shape, (std::vector<int64_t>{2, 3}));
    EXPECT_EQ(matrix->format, BlockFormat::f32);
    const GgufTensor* blocks = gguf->find("blocks");
    ASSERT_NE(blocks, nullptr);
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(blocks->data.data()), blocks->data.size()),
              std::string(4 * 34, 'b'));
    EXPECT_EQ(gguf->find("other"), nullptr);
  }
}

TEST(GgufFiles, MayAlignTheirTensorsOtherwise) {
  for (const size_t alignment : {1, 8, 4096}) {
    GgufBuilder builder;
    builder.alignment = alignment;
    builder.set("general.alignment", static_cast<uint32_t>(alignment));
    builder.tensor("a", BlockFormat::f16, {3}, "aaaaaa").tensor("b", BlockFormat::f16, {1}, "bb");
    const std::string file = builder.file();
    const auto gguf = parse_gguf(file);
    ASSERT_TRUE(gguf.ok()) << gguf.error().message;
    EXPECT_EQ(std::to_integer<char>(gguf->find("a")->data.back()), 'a');
    EXPECT_EQ(std::to_integer<char>(gguf->find("b")->data.front()), 'b');
  }
}

TEST(GgufFiles, SayWhatAListHoldsInstead) {
  GgufBuilder builder;
  builder.texts("texts", {"a"}).list("floats", std::vector<float>{1}).set("number", 1);
  const std::string file = builder.file();
  const auto gguf = parse_gguf(file);
  ASSERT_TRUE(gguf.ok()) << gguf.error().message;
  EXPECT_TRUE(says(gguf->texts("floats").error().message,
                   "f.gguf: field 'floats' is a list of 1 values of the type f32; expected a list "
                   "of texts"));
  EXPECT_TRUE(says(gguf->integers("texts").error().message, "type text; expected a list of int"));
  EXPECT_TRUE(says(gguf->numbers("texts").error().message, "expected a list of f32 or f64"));
  EXPECT_TRUE(says(gguf->numbers("none").error().message, "field 'none' is missing"));
  EXPECT_TRUE(says(gguf->texts("number").error().message, "field 'number' is 1"));
}

TEST(GgufFiles, CutAnywhereGiveOneSentence) {
  GgufBuilder builder;
  builder.set("key", uint32_t{1}).texts("texts", {"one", "two"}).set("text", "text");
  builder.list("list", std::vector<int16_t>{1, 2, 3});
  builder.tensor("tensor", BlockFormat::f32, {8}, std::string(32, 'd'));
  const std::string whole = builder.file();
  ASSERT_TRUE(parse_gguf(whole).ok());
  for (size_t size = 0; size < whole.size(); ++size) {
    const std::string cut = whole.substr(0, size);
    const auto result = parse_gguf(cut);
    ASSERT_FALSE(result.ok()) << size;
    EXPECT_TRUE(says(result.error().message, "f.gguf: "));
    EXPECT_EQ(result.error().message.find('\n'), std::string::npos);
  }
}

struct BadGgufFile {
  const char* name;
  std::string file;
  const char* says;
};

class BadGguf : public ::testing::TestWithParam<BadGgufFile> {};

TEST_P(BadGguf, GivesOneSentence) {
  const auto result = parse_gguf(GetParam().file);
  ASSERT_FALSE(result.ok());
  EXPECT_TRUE(says(result.error().message, "f.gguf: "));
  EXPECT_TRUE(says(result.error().message, GetParam().says));
}

std::string with_version(uint32_t version) {
  GgufBuilder builder;
  builder.version = version;
  return builder.file();
}

std::string announcing(uint64_t tensors, uint64_t entries) {
  GgufBuilder builder;
  builder.tensor_count = tensors;
  builder.entry_count = entries;
  return builder.file();
}

std::string with_entry(uint32_t type, std::string_view value) {
  return GgufBuilder().entry("key", type, value).file();
}

/// One tensor of 64 bytes of data.
std::string with_info(const std::vector<uint64_t>& sizes, uint32_t format, uint64_t offset) {
  return GgufBuilder().info("t", sizes, format, offset).data(std::string(64, 'd')).file();
}

std::string aligned_at(uint32_t alignment) {
  return GgufBuilder().set("general.alignment", alignment).file();
}

constexpr auto kHuge = std::numeric_limits<uint64_t>::max();
constexpr uint64_t kExa = uint64_t{1} << 60;

INSTANTIATE_TEST_SUITE_P(
    Header, BadGguf,
    ::testing::Values(
        BadGgufFile{"empty", "", "is no GGUF file: it begins with ''"},
        BadGgufFile{"other", "{\"a\": 1}", "it begins with '{\"a\"', not with 'GGUF'"},
        BadGgufFile{"no_version", "GGUF", "ends within its version|takes 4 bytes, but only 0"},
        BadGgufFile{"version_1", with_version(1), "version 1; expected 2 or 3"},
        BadGgufFile{"version_4", with_version(4), "version 4; expected 2 or 3"},
        BadGgufFile{"big_endian", with_version(0x03000000), "is a big-endian GGUF file"},
        BadGgufFile{"exa_tensors", announcing(kExa, 0),
                    "announces 1152921504606846976 tensors, but"},
        BadGgufFile{"exa_entries", announcing(0, kExa),
                    "announces 1152921504606846976 entries, but"},
        BadGgufFile{"all_tensors", announcing(kHuge, 0), "announces 18446744073709551615 tensors"}),
    CaseName());

INSTANTIATE_TEST_SUITE_P(
    Entries, BadGguf,
    ::testing::Values(
        BadGgufFile{"type_255", with_entry(255, raw(1)),
                    "'key' has the type 255; expected one below"},
        BadGgufFile{"twice", GgufBuilder().set("key", 1).set("key", 2).file(),
                    "'key' is there twice"},
        BadGgufFile{"list_twice", GgufBuilder().texts("key", {}).set("key", 2).file(),
                    "'key' is ther"},
        BadGgufFile{"long_text", with_entry(8, raw(kHuge)),
                    "'key': it takes 18446744073709551615 by"},
        BadGgufFile{
            "long_key", announcing(0, 1).substr(0, 24) + raw(kHuge) + "12345",
            "the key of an entry: it takes 18446744073709551615 bytes, but only 5 are left"},
        BadGgufFile{"list_of_lists", with_entry(9, raw(9u) + raw(kHuge)),
                    "is a list of the type 9"},
        BadGgufFile{"list_of_255", with_entry(9, raw(255u) + raw(kHuge)),
                    "is a list of the type 255"},
        BadGgufFile{"long_list", with_entry(9, raw(4u) + raw(kExa)), "values in entry 'key', but"},
        BadGgufFile{"wrapping_list", with_entry(9, raw(10u) + raw(kHuge / 8 + 2)),
                    "values in entry"},
        BadGgufFile{"many_texts", with_entry(9, raw(8u) + raw(kExa)),
                    "texts in entry 'key', but the"},
        BadGgufFile{"alignment_0", aligned_at(0), "'general.alignment' is 0; expected"},
        BadGgufFile{"alignment_48", aligned_at(48), "'general.alignment' is 48; expected a power"},
        BadGgufFile{"alignment_2_31", aligned_at(1u << 31),
                    "is 2147483648; expected a power of two"},
        BadGgufFile{"split", GgufBuilder().set("split.count", uint16_t{4}).file(),
                    "is one of 4 parts of a model; join them with"}),
    CaseName());

INSTANTIATE_TEST_SUITE_P(
    Tensors, BadGguf,
    ::testing::Values(
        BadGgufFile{"no_dimensions", with_info({}, kF32, 0),
                    "'t' has 0 dimensions; expected 1 to 4"},
        BadGgufFile{"five", with_info({1, 1, 1, 1, 1}, kF32, 0), "'t' has 5 dimensions"},
        BadGgufFile{"no_elements", with_info({4, 0}, kF32, 0),
                    "has a dimension of 0; expected a pos"},
        BadGgufFile{"huge", with_info({kHuge}, kF32, 0), "a dimension of 18446744073709551615"},
        BadGgufFile{"product", with_info({1u << 30, 1u << 30}, kF32, 0), "elements in all"},
        BadGgufFile{"wraps", with_info({kHuge / 2 + 1, 2}, kF32, 0), "has a dimension of"},
        BadGgufFile{"format_255", with_info({4}, 255, 0),
                    "'t' has the format 255, which is none of"},
        BadGgufFile{"foreign", with_info({256}, 17, 0),
                    "is stored as IQ2_XS, which is not supported"},
        BadGgufFile{"half_a_block", with_info({48}, 8, 0),
                    "rows of 48 elements; Q8_0 wants a multipl"},
        BadGgufFile{"half_a_row", with_info({16, 2}, 2, 0),
                    "rows of 16 elements; Q4_0 wants a multi"},
        BadGgufFile{"unaligned", with_info({4}, kF32, 4), "begins at byte 4|a multiple of 32"},
        BadGgufFile{"behind", with_info({4}, kF32, 96), "takes 16 bytes from byte 96|holds 64"},
        BadGgufFile{"too_long", with_info({17}, kF32, 0), "takes 68 bytes from byte 0|holds 64"},
        BadGgufFile{"cyclic", with_info({4}, kF32, kHuge - 31),
                    "from byte 18446744073709551584 of"},
        BadGgufFile{"overlap",
                    GgufBuilder()
                        .info("a", {9}, kF32, 0)
                        .info("b", {8}, kF32, 32)
                        .data(std::string(64, 'd'))
                        .file(),
                    "the tensors 'a' and 'b' overlap"},
        BadGgufFile{"same_place",
                    GgufBuilder()
                        .info("a", {8}, kF32, 0)
                        .info("b", {8}, kF32, 0)
                        .data(std::string(64, 'd'))
                        .file(),
                    "overlap"},
        BadGgufFile{"twice",
                    GgufBuilder()
                        .info("a", {8}, kF32, 0)
                        .info("a", {8}, kF32, 32)
                        .data(std::string(64, 'd'))
                        .file(),
                    "tensor 'a' is there twice"}),
    CaseName());

TEST(GgufPaths, AreFiles) {
  const ScratchFolder folder;
  EXPECT_FALSE(is_gguf_path(folder.path()));
  EXPECT_FALSE(is_gguf_path(folder.path() / "none"));
  const auto path = folder.put("m.gguf", GgufBuilder().set("a", 1).file());
  EXPECT_TRUE(is_gguf_path(path));
  const auto file = GgufFile::open(path);
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_EQ(*file->content().fields().integer("a", {0, 1}), 1);
}

}  // namespace
}  // namespace tidar
