#include "format/tensors.h"

#include <gtest/gtest.h>

#include <cstring>
#include <numeric>
#include <random>

#include "base/rng.h"
#include "format/files_testing.h"

namespace tidar {
namespace {

const std::filesystem::path kFixtures = TIDAR_FIXTURES;

Result<std::vector<StoredTensor>> parse(const std::string& file) {
  return parse_tensors(std::as_bytes(std::span(file.data(), file.size())), "f.safetensors");
}

std::string entry(const char* dtype, const char* shape, const char* offsets) {
  return fmt::format(R"({{"dtype":"{}","shape":{},"data_offsets":{}}})", dtype, shape, offsets);
}

std::string only(const std::string& described) { return "{\"t\":" + described + "}"; }

struct BadFile {
  const char* name;
  std::string file;
  const char* says;
};

class BadTensors : public ::testing::TestWithParam<BadFile> {};

TEST_P(BadTensors, GiveOneSentence) {
  const auto result = parse(GetParam().file);
  ASSERT_FALSE(result.ok());
  EXPECT_TRUE(says(result.error().message, "f.safetensors"));
  EXPECT_TRUE(says(result.error().message, GetParam().says));
}

const std::string kGood = entry("F32", "[2]", "[0,8]");

INSTANTIATE_TEST_SUITE_P(
    Length, BadTensors,
    ::testing::Values(
        BadFile{"empty", "", "has 0 bytes|begins with 8 bytes"},
        BadFile{"seven_bytes", "1234567", "has 7 bytes"},
        BadFile{"absurd", tensor_file("{}", 0, UINT64_MAX),
                "announces a header of 18446744073709551615 bytes, but only 2 follow"},
        BadFile{"wraps", tensor_file("{}", 0, UINT64_MAX - 7), "but only 2 follow"},
        BadFile{"one_too_long", tensor_file("{}", 0, 3), "a header of 3 bytes, but only 2 follow"},
        BadFile{"above_limit", tensor_file("{}", 100'000'001, 100'000'001), "at most 100000000"},
        BadFile{"zero", tensor_file("", 0), "header, line 1, column 0: the JSON ends too early"},
        BadFile{"lfs", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
                "is a Git LFS pointer|git lfs pull"}),
    CaseName());

INSTANTIATE_TEST_SUITE_P(
    Header, BadTensors,
    ::testing::Values(
        BadFile{"cut", tensor_file("{\"t\":", 0),
                "header, line 1, column 5: the JSON ends too early"},
        BadFile{"list", tensor_file("[]", 0), "the header is a list; expected an object"},
        BadFile{"number", tensor_file("7", 0), "the header is 7; expected an object"},
        BadFile{"tail", tensor_file("{}{}", 0), "header, line 1, column 3: not valid JSON"},
        BadFile{"deep", tensor_file(std::string(1'000'000, '['), 0), "the header is a list"},
        BadFile{"tensor_is_number", tensor_file(R"({"t":1})", 0),
                "tensor 't': is described by 1; expected an object"},
        BadFile{"tensor_is_list", tensor_file(R"({"t":[]})", 0),
                "tensor 't': is described by a list"},
        BadFile{"metadata_number", tensor_file(R"({"__metadata__":{"a":1}})", 0),
                "__metadata__ holds 1; expected texts"},
        BadFile{"metadata_deep", tensor_file(R"({"__metadata__":{"a":{}}})", 0),
                "__metadata__ holds an object; expected texts"},
        BadFile{"twice", tensor_file("{\"t\":" + kGood + ",\"t\":" + kGood + "}", 8),
                "tensor 't': is given twice"},
        BadFile{"control_characters", tensor_file(R"({"a\u001b\u0000\n":1})", 0),
                "tensor 'a\\x1b\\x00\\x0a': is described by 1"}),
    CaseName());

INSTANTIATE_TEST_SUITE_P(
    Fields, BadTensors,
    ::testing::Values(
        BadFile{"unknown_dtype", tensor_file(only(entry("F8_E5M2", "[8]", "[0,8]")), 8),
                "tensor 't': dtype is 'F8_E5M2'; expected F32, F64, BF16, F16, F8_E4M3, I8, I32 or "
                "I64"},
        BadFile{"dtype_number", tensor_file(R"({"t":{"dtype":4}})", 0),
                "tensor 't': dtype is 4; expected a text"},
        BadFile{"dtype_null", tensor_file(R"({"t":{"dtype":null}})", 0), "dtype is null"},
        BadFile{"dtype_twice", tensor_file(R"({"t":{"dtype":"F32","dtype":"F32"}})", 0),
                "tensor 't': gives dtype twice"},
        BadFile{"no_dtype", tensor_file(R"({"t":{"shape":[2],"data_offsets":[0,8]}})", 8),
                "tensor 't': has no dtype"},
        BadFile{"no_shape", tensor_file(R"({"t":{"dtype":"F32","data_offsets":[0,8]}})", 8),
                "tensor 't': has no shape"},
        BadFile{"no_offsets", tensor_file(R"({"t":{"dtype":"F32","shape":[2]}})", 8),
                "tensor 't': has no data_offsets"},
        BadFile{"other_field", tensor_file(R"({"t":{"stride":[1]}})", 0),
                "tensor 't': has the field 'stride'"},
        BadFile{"shape_text", tensor_file(R"({"t":{"shape":"2"}})", 0),
                "tensor 't': shape is text '2'; expected a list of integers"},
        BadFile{"shape_object", tensor_file(R"({"t":{"shape":{}}})", 0), "shape is an object"},
        BadFile{"shape_nested", tensor_file(R"({"t":{"shape":[[2]]}})", 0), "shape holds a list"},
        BadFile{"shape_negative", tensor_file(only(entry("F32", "[-2]", "[0,8]")), 8),
                "tensor 't': shape holds -2; expected integers that are not negative"},
        BadFile{"shape_fraction", tensor_file(only(entry("F32", "[2.0]", "[0,8]")), 8),
                "shape holds 2.0; expected integers"},
        BadFile{"shape_true", tensor_file(only(entry("F32", "[true]", "[0,8]")), 8),
                "shape holds true; expected integers"},
        BadFile{"shape_of_64_bits",
                tensor_file(only(entry("F32", "[9223372036854775808]", "[0,8]")), 8),
                "tensor 't': shape holds a number beyond 63 bits"},
        BadFile{"nine_dimensions",
                tensor_file(only(entry("F32", "[1,1,1,1,1,1,1,1,2]", "[0,8]")), 8),
                "tensor 't': shape has more than 8 dimensions"}),
    CaseName());

INSTANTIATE_TEST_SUITE_P(
    Sizes, BadTensors,
    ::testing::Values(
        BadFile{"product_overflows",
                tensor_file(only(entry("F32", "[4294967296,4294967296]", "[0,8]")), 8),
                "tensor 't': shape [4294967296, 4294967296] of F32 has more bytes than 63 bits"},
        BadFile{"bytes_overflow",
                tensor_file(only(entry("F64", "[1152921504606846976]", "[0,8]")), 8),
                "shape [1152921504606846976] of F64 has more bytes than 63 bits"},
        BadFile{"overflow_beside_zero",
                tensor_file(only(entry("F32", "[4294967296,4294967296,0]", "[0,0]")), 0),
                "has more bytes than 63 bits"},
        BadFile{"offsets_too_small", tensor_file(only(entry("F32", "[2]", "[0,4]")), 4),
                "tensor 't': shape [2] of F32 takes 8 bytes, but data_offsets [0, 4] hold 4"},
        BadFile{"scalar_of_two", tensor_file(only(entry("F32", "[]", "[0,8]")), 8),
                "tensor 't': shape [] of F32 takes 4 bytes, but data_offsets [0, 8] hold 8"},
        BadFile{"offsets_reversed", tensor_file(only(entry("F32", "[2]", "[8,0]")), 8),
                "tensor 't': data_offsets are [8, 0]; expected [begin, end]"},
        BadFile{"one_offset", tensor_file(only(entry("F32", "[2]", "[8]")), 8),
                "tensor 't': data_offsets are [8]; expected [begin, end]"},
        BadFile{"three_offsets", tensor_file(only(entry("F32", "[2]", "[0,8,8]")), 8),
                "tensor 't': data_offsets has more than 2 numbers"}),
    CaseName());

std::string two(const char* first, const char* second) {
  return fmt::format("{{\"a\":{},\"b\":{}}}", entry("F32", "[2]", first),
                     entry("F32", "[2]", second));
}

INSTANTIATE_TEST_SUITE_P(
    Layout, BadTensors,
    ::testing::Values(
        BadFile{"truncated", tensor_file(two("[0,8]", "[8,16]"), 15),
                "tensor 'b' ends at byte 16 of the data, but the file holds 15; it is truncated"},
        BadFile{
            "far_beyond",
            tensor_file(only(entry("F32", "[2]", "[9223372036854775799,9223372036854775807]")), 8),
            "tensor 't' ends at byte 9223372036854775807 of the data, but the file holds 8"},
        BadFile{"overlap", tensor_file(two("[0,8]", "[4,12]"), 12),
                "tensor 'b' begins at byte 4 of the data, but tensor 'a' ends at 8: expected no "
                "overlap"},
        BadFile{"same_bytes", tensor_file(two("[0,8]", "[0,8]"), 8),
                "ends at 8: expected no overlap"},
        BadFile{
            "gap", tensor_file(two("[12,20]", "[0,8]"), 20),
            "tensor 'a' begins at byte 12 of the data, but tensor 'b' ends at 8: expected no gap"},
        BadFile{"gap_at_start", tensor_file(only(entry("F32", "[2]", "[4,12]")), 12),
                "tensor 't' begins at byte 4 of the data, but what is before it ends at 0"},
        BadFile{"data_left", tensor_file(only(kGood), 9),
                "the tensors end at byte 8 of the data, but the file holds 9"},
        BadFile{"data_without_tensors", tensor_file("{}", 1),
                "the tensors end at byte 0 of the data, but the file holds 1"},
        BadFile{"empty_inside_other",
                tensor_file(fmt::format("{{\"a\":{},\"b\":{}}}", entry("F32", "[2]", "[0,8]"),
                                        entry("F32", "[0]", "[4,4]")),
                            8),
                "tensor 'b' begins at byte 4 of the data, but tensor 'a' ends at 8"}),
    CaseName());

TEST(ParseTensors, AcceptsWhatIsOddButValid) {
  EXPECT_TRUE(parse(tensor_file("{}", 0)).value().empty());
  EXPECT_TRUE(parse(tensor_file("{}   ", 0)).value().empty());
  EXPECT_TRUE(parse(tensor_file(R"({"__metadata__":{"format":"pt","x":""}})", 0)).value().empty());
  const auto file = tensor_file("{\"e\":" + entry("I64", "[3,0]", "[4,4]") +
                                    ",\"s\":" + entry("F32", "[]", "[0,4]") +
                                    ",\"\":" + entry("F16", "[1,2]", "[4,8]") + "}",
                                8);
  const auto tensors = parse(file).value();
  ASSERT_EQ(tensors.size(), 3u);
  EXPECT_EQ(tensors[0].shape, (std::vector<int64_t>{3, 0}));
  EXPECT_TRUE(tensors[0].data.empty());
  EXPECT_EQ(tensors[1].data.size(), 4u);
  EXPECT_TRUE(tensors[1].shape.empty());
  EXPECT_EQ(tensors[2].name, "");
  EXPECT_EQ(tensors[2].dtype, DType::f16);
}

// A real file, every byte of whose header is damaged in turn: it parses to tensors that fill the
// file, or gives a sentence. Run under the sanitizers this is a small, repeatable fuzzer.
TEST(ParseTensors, SurvivesAnyDamagedByteAndAnyCut) {
  const auto whole = bytes_of_file(kFixtures / "qwen2" / "model.safetensors");
  const auto good = parse(whole);
  ASSERT_TRUE(good.ok());
  const size_t header_end = static_cast<size_t>(good->front().data.data() -
                                                reinterpret_cast<const std::byte*>(whole.data()));
  Rng rng(std::random_device{}());
  size_t refused = 0;
  for (size_t i = 0; i < header_end; ++i) {
    std::string damaged = whole.substr(0, header_end + 64);
    damaged[i] = static_cast<char>(rng.bits());
    refused += parse(damaged).ok() ? 0 : 1;
    EXPECT_FALSE(parse(whole.substr(0, i)).ok()) << "cut at " << i;
  }
  EXPECT_EQ(refused, header_end);  // each of them is truncated too
}

TEST(TensorFile, RefusesWhatIsNoFile) {
  const ScratchFolder folder;
  EXPECT_TRUE(says(TensorFile::open(folder.path()).error().message, "expected a file"));
  EXPECT_TRUE(says(TensorFile::open(folder.path() / "none").error().message,
                   "/none: cannot be opened: No such file"));
  EXPECT_TRUE(says(TensorFile::open(folder.put("e", "")).error().message, "/e: has 0 bytes"));
}

// An independent reading of the same bytes: offsets taken from the header as text.
TEST(TensorFile, ReadsAFixture) {
  const auto path = kFixtures / "qwen2" / "model.safetensors";
  const auto file = TensorFile::open(path).value();
  const auto bytes = bytes_of_file(path);
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), 8);
  ASSERT_EQ(file.tensors().size(), 26u);
  for (const auto& tensor : file.tensors()) {
    const size_t at = bytes.find("\"" + tensor.name + "\"");
    const size_t offsets = bytes.find("\"data_offsets\":[", at) + 16;
    const size_t begin = std::stoul(bytes.substr(offsets));
    const auto data = bytes.substr(8 + length + begin, tensor.data.size());
    EXPECT_EQ(std::memcmp(data.data(), tensor.data.data(), data.size()), 0) << tensor.name;
    EXPECT_EQ(tensor.dtype, DType::f32);
    EXPECT_EQ(tensor.file, path.string());
  }
}

TEST(TensorFolder, ReadsShards) {
  const auto folder = TensorFolder::open(kFixtures / "qwen3_bf16").value();
  const auto single = TensorFolder::open(kFixtures / "qwen3").value();
  EXPECT_EQ(folder.names(), single.names());
  EXPECT_EQ(folder.names().size(), 25u);
  EXPECT_EQ(folder.find("none"), nullptr);
  for (const auto& name : folder.names()) {
    const auto& rounded = *folder.find(name);
    const auto& exact = *single.find(name);
    ASSERT_EQ(rounded.dtype, DType::bf16);
    ASSERT_EQ(rounded.shape, exact.shape);
    for (size_t i = 0; i * 2 < rounded.data.size(); ++i) {
      float value = 0;
      BFloat16 half;
      std::memcpy(&value, exact.data.data() + 4 * i, 4);
      std::memcpy(&half, rounded.data.data() + 2 * i, 2);
      ASSERT_EQ(half.bits, BFloat16(value).bits) << name << " " << i;
    }
  }
}

TEST(TensorFolder, NamesItsFiles) {
  EXPECT_EQ(weight_files_of(kFixtures / "qwen3").value(),
            (std::vector<std::string>{"model.safetensors"}));
  const auto shards = weight_files_of(kFixtures / "qwen3_bf16").value();
  EXPECT_GT(shards.size(), 2u);
  EXPECT_EQ(std::ranges::count(shards, "model.safetensors.index.json"), 1);
  for (const std::string& name : shards) {
    EXPECT_TRUE(std::filesystem::exists(kFixtures / "qwen3_bf16" / name)) << name;
  }
  EXPECT_FALSE(weight_files_of(kFixtures).ok());
}

TEST(TensorFolder, GivesReleasedTensorsAgain) {
  const auto folder = TensorFolder::open(kFixtures / "qwen3_bf16").value();
  const auto& tensor = *folder.find("model.layers.1.mlp.up_proj.weight");
  const std::vector<std::byte> before(tensor.data.begin(), tensor.data.end());
  for (const auto& name : folder.names()) release_pages(folder.find(name)->data);
  EXPECT_TRUE(std::equal(before.begin(), before.end(), tensor.data.begin()));
}

struct BadIndex {
  const char* name;
  const char* index;  // the folder also has x.safetensors with a, y.safetensors with b
  const char* says;
};

class BadShards : public ::testing::TestWithParam<BadIndex> {};

TEST_P(BadShards, GiveOneSentence) {
  const ScratchFolder folder;
  folder.put("x.safetensors", tensor_file("{\"a\":" + kGood + "}", 8));
  folder.put("y.safetensors", tensor_file("{\"b\":" + kGood + "}", 8));
  folder.put("z.safetensors", tensor_file("{\"b\":" + kGood + "}", 7));
  folder.put("model.safetensors.index.json", GetParam().index);
  const auto result = TensorFolder::open(folder.path());
  ASSERT_FALSE(result.ok());
  EXPECT_TRUE(says(result.error().message, GetParam().says));
}

INSTANTIATE_TEST_SUITE_P(
    Index, BadShards,
    ::testing::Values(
        BadIndex{"no_json", "{", "model.safetensors.index.json, line 1"},
        BadIndex{"no_map", "{}", "index.json: field 'weight_map' is missing; expected an object"},
        BadIndex{"map_is_list", R"({"weight_map": []})", "field 'weight_map' is a list of 0"},
        BadIndex{"file_is_number", R"({"weight_map": {"a": 1}})",
                 "tensor 'a' is placed in 'number'"},
        BadIndex{"leads_out", R"({"weight_map": {"a": "../x.safetensors"}})",
                 "tensor 'a' is placed in '../x.safetensors'; expected the name of a file"},
        BadIndex{"absolute", R"({"weight_map": {"a": "/etc/passwd"}})", "placed in '/etc/passwd'"},
        BadIndex{"no_such_file", R"({"weight_map": {"a": "w.safetensors"}})",
                 "w.safetensors: cannot be opened|index.json names for tensor 'a'"},
        BadIndex{"bad_shard", R"({"weight_map": {"a": "x.safetensors", "b": "z.safetensors"}})",
                 "z.safetensors: tensor 'b' ends at byte 8"},
        BadIndex{
            "no_such_tensor", R"({"weight_map": {"a": "x.safetensors", "c": "x.safetensors"}})",
            "index.json: tensor 'c' is placed in 'x.safetensors', but that file does not hold it"},
        BadIndex{"unnamed_tensor", R"({"weight_map": {"c": "x.safetensors"}})",
                 "x.safetensors: tensor 'a' is stored here, but|index.json does not name it"},
        BadIndex{"wrong_place", R"({"weight_map": {"a": "y.safetensors", "b": "x.safetensors"}})",
                 "x.safetensors: tensor 'a' is stored here, but|places it in 'y.safetensors'"},
        BadIndex{"twice", R"({"weight_map": {"a": "x.safetensors", "a": "y.safetensors"}})",
                 "field 'a' is given twice"}),
    CaseName());

TEST(TensorFolder, NamesWhatIsMissing) {
  const ScratchFolder folder;
  EXPECT_TRUE(says(TensorFolder::open(folder.path()).error().message,
                   "holds no weights; expected a folder with model.safetensors"));
}

// Random tensors of all types, written and read back.
TEST(WriteTensors, RoundTrips) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  Rng rng(seed);
  constexpr std::array kTypes = {DType::f32, DType::f64, DType::bf16,
                                 DType::f16, DType::i32, DType::i64};
  const ScratchFolder folder;
  for (int round = 0; round < 50; ++round) {
    std::vector<std::vector<std::byte>> data;
    std::vector<TensorToWrite> tensors;
    const int count = rng.below(8);
    for (int i = 0; i < count; ++i) {
      TensorToWrite tensor{.name = fmt::format("tensor \"{}\" \\ \u00e9", i),
                           .dtype = kTypes[static_cast<size_t>(rng.below(6))],
                           .shape = {},
                           .data = {}};
      size_t bytes = size_of(tensor.dtype);
      for (int axis = rng.below(4); axis > 0; --axis) {
        tensor.shape.push_back(rng.below(7));
        bytes *= static_cast<size_t>(tensor.shape.back());
      }
      auto& values = data.emplace_back(bytes);
      for (auto& value : values) value = static_cast<std::byte>(rng.bits());
      tensor.data = values;
      tensors.push_back(tensor);
    }
    const auto path = folder.path() / "model.safetensors";
    ASSERT_TRUE(write_tensors(path, tensors).ok());
    const auto file = TensorFolder::open(folder.path()).value();
    ASSERT_EQ(file.names().size(), tensors.size());
    for (const auto& tensor : tensors) {
      const StoredTensor* stored = file.find(tensor.name);
      ASSERT_NE(stored, nullptr) << tensor.name;
      EXPECT_EQ(stored->dtype, tensor.dtype);
      EXPECT_EQ(stored->shape, tensor.shape);
      ASSERT_EQ(stored->data.size(), tensor.data.size());
      EXPECT_TRUE(std::equal(tensor.data.begin(), tensor.data.end(), stored->data.begin()));
      EXPECT_EQ(reinterpret_cast<uintptr_t>(stored->data.data()) % size_of(tensor.dtype), 0u);
    }
  }
}

TEST(TensorFileWriter, TakesPiecesInAnyOrder) {
  const std::vector<uint16_t> halves = {1, 2, 3};
  const std::vector<int64_t> wide = {4, 5};
  const auto bytes = std::as_bytes(std::span(halves));
  const std::vector<TensorToWrite> tensors = {
      {"halves", DType::f16, {3}, bytes},
      {"wide", DType::i64, {2}, std::as_bytes(std::span(wide))},
      {"none", DType::f32, {0, 4}, {}}};
  const ScratchFolder folder;
  const auto whole = folder.path() / "whole.safetensors", pieces = folder.path() / "pieces";
  ASSERT_TRUE(write_tensors(whole, tensors).ok());
  auto writer = TensorFileWriter::create(pieces, tensors);
  ASSERT_TRUE(writer.ok());
  EXPECT_TRUE(writer->write("halves", 2, bytes.subspan(2)).ok());
  EXPECT_TRUE(writer->write("wide", 0, tensors[1].data).ok());
  EXPECT_TRUE(writer->write("halves", 0, bytes.first(2)).ok());
  EXPECT_FALSE(std::filesystem::exists(pieces));
  ASSERT_TRUE(writer->commit().ok());
  EXPECT_EQ(read_text_file(pieces).value(), read_text_file(whole).value());
  // One that is given up leaves nothing.
  { ASSERT_TRUE(TensorFileWriter::create(folder.path() / "never", tensors).ok()); }
  size_t left = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    left += entry.path().extension() == ".partial";
  }
  EXPECT_EQ(left, 0u);
  EXPECT_DEATH(
      {
        auto short_one = TensorFileWriter::create(folder.path() / "short", tensors);
        (void)short_one->commit();
      },
      "0 against");
}

TEST(WriteTensors, StopsAtWhatOnlyAMistakeCanAsk) {
  const std::array<std::byte, 8> data{};
  const std::array wrong_size = {TensorToWrite{"t", DType::f32, {3}, data}};
  EXPECT_DEATH((void)write_tensors("unused", wrong_size), "8 against 12");
  const TensorToWrite good{"t", DType::f32, {2}, data};
  const std::array twice = {good, good};
  EXPECT_DEATH((void)write_tensors("unused", twice), "does not hold");
}

}  // namespace
}  // namespace tidar
