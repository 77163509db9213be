#include "model/quantization.h"

#include <gtest/gtest.h>

#include <map>

#include "base/rng.h"
#include "format/files_testing.h"

namespace tidar {
namespace {

/// A folder's tensors, whose bytes are random, but for scales of 1.
class Folder {
 public:
  void add(const TensorToWrite& like) {
    TensorToWrite tensor = like;
    int64_t elements = 1;
    for (const int64_t size : tensor.shape) elements *= size;
    std::string& data = bytes_[tensor.name];
    for (int64_t i = 0; i < elements; ++i) {
      if (tensor.dtype == DType::f16)
        data += std::string("\x00\x3c", 2);  // 1
      else
        for (size_t b = 0; b < size_of(tensor.dtype); ++b) data += static_cast<char>(rng_.bits());
    }
    tensor.data = std::as_bytes(std::span(data));
    tensors_.push_back(tensor);
  }
  TensorFolder open() const {
    TIDAR_CHECK(write_tensors(folder_.path() / "model.safetensors", tensors_).ok());
    return TensorFolder::open(folder_.path()).value();
  }

 private:
  Rng rng_{6};
  std::map<std::string, std::string> bytes_;
  std::vector<TensorToWrite> tensors_;
  ScratchFolder folder_;
};

std::vector<Quantization> read_back(const OrderedJson& quantization) {
  const Json config = Json::parse(OrderedJson{{"quantization_config", quantization}}.dump());
  return read_quantizations(JsonFields(config, "config.json")).value();
}

// What is written is read, and each matrix by the group that it is of.
TEST(PackedConfig, IsReadBack) {
  const std::vector<PackedMatrices> groups = {{4, {"a", "b"}}, {8, {"c"}}};
  const std::vector<Quantization> read = read_back(packed_config(groups, {"lm_head"}));
  ASSERT_EQ(read.size(), 2u);
  Folder folder;
  for (const PackedMatrices& group : groups) {
    for (const std::string& name : group.names) {
      for (const TensorToWrite& tensor : packed_tensors(name, 6, 96, group.bits)) {
        folder.add(tensor);
      }
    }
  }
  const TensorFolder tensors = folder.open();
  for (const PackedMatrices& group : groups) {
    for (const std::string& name : group.names) {
      std::set<std::string> used;
      const auto found = find_quantized(tensors, read, name + ".weight", 6, 96, used);
      ASSERT_TRUE(found.ok()) << found.error().message;
      EXPECT_EQ(found->scheme, "pack-quantized");
      EXPECT_EQ(found->matrix.even_codes(), group.bits);
      EXPECT_EQ(found->matrix.scales.block_cols, 32);
      EXPECT_TRUE(used.contains(name + ".weight_shape"));
    }
  }
  std::set<std::string> used;
  EXPECT_FALSE(find_quantized(tensors, read, "d.weight", 6, 96, used).ok());
  EXPECT_FALSE(find_quantized(tensors, read, "a.weight", 6, 128, used).ok());
}

TEST(PackedConfig, OfOneGroupIsThatOfAllLinearLayers) {
  const std::vector<PackedMatrices> groups = {{8, {"a"}}};
  const OrderedJson config = packed_config(groups, {"lm_head", "b"});
  EXPECT_EQ(config["config_groups"]["group_0"]["targets"], OrderedJson({"Linear"}));
  EXPECT_EQ(config["ignore"], OrderedJson({"lm_head", "b"}));
}

}  // namespace
}  // namespace tidar
