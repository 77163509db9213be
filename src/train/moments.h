#pragma once
// Where AdamW's running means of gradients and of their squares are kept: of all parameters, or of
// those elements that one of several ranks updates; as f32, or in 8 bits (train/dynamic_codes.h).

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/buffer.h"
#include "base/dtype.h"
#include "base/threads.h"
#include "net/parameters.h"
#include "train/dynamic_codes.h"

namespace tidar {

enum class MomentFormat : uint8_t {
  f32,
  /// Codes of matrices of at least 4096 elements: 2.03 bytes an element in place of 8. Vectors and
  /// small matrices stay f32: they take no room, and their blocks would be few.
  bits8,
};

/// Which elements, counted over all parameters that are not frozen, one of several ranks updates
/// (comm/communicator.h). Ascending; of one parameter a single stretch.
using Shard = std::vector<Range>;

/// All elements.
Shard whole_shard(const Parameters& parameters);

/// The maps of the two moments.
struct MomentCodes {
  DynamicCodes first{CodeSign::either}, second{CodeSign::positive};
};

/// One list that moments of a parameter are made of. Items are in the order of elements.
struct MomentArray {
  std::string_view name;      ///< "first", "second", or those with "_codes" and "_scales" behind
  DType dtype = DType::f32;   ///< of an item; i8 for codes, which are bytes
  int64_t elements_each = 1;  ///< elements of the parameter that an item stands for, at most
  std::span<std::byte> items;

  /// Items of so many elements.
  int64_t items_of(int64_t elements) const {
    return (elements + elements_each - 1) / elements_each;
  }
};

/// Of a parameter that is frozen, or of which the shard has nothing, there are no arrays.
/// Move-only.
class Moments {
 public:
  /// All 0. `parameters` is only looked at for its shapes. Where there are codes, the shard cuts
  /// parameters between blocks only, counted from their beginning.
  Moments(const Parameters& parameters, const Shard& shard, MomentFormat format);

  /// Which elements of a parameter, by its index among all, these are of.
  Range held(size_t parameter) const { return kept_[parameter].elements; }
  bool has_codes(size_t parameter) const { return kept_[parameter].codes; }
  /// Views; they may be written to.
  std::vector<MomentArray> arrays(size_t parameter) const;

  /// The f32 moments of element `at` of a parameter and of those behind it.
  float* first(size_t parameter, int64_t at) const;
  float* second(size_t parameter, int64_t at) const;

  /// A block of codes.
  struct Block {
    uint8_t* first_codes;
    uint8_t* second_codes;
    float* first_scale;
    float* second_scale;
  };
  /// That which begins at element `at`.
  Block block(size_t parameter, int64_t at) const;

  /// Takes over what `other`, of the same parameters and format, has of the same elements.
  void copy_from(const Moments& other);

  int64_t bytes() const { return static_cast<int64_t>(memory_.bytes()); }

 private:
  /// What is kept of one parameter.
  struct Kept {
    Range elements;
    bool codes = false;
    size_t begin = 0;  ///< of its bytes in memory
  };
  static int64_t blocks_of(const Kept& kept);
  static size_t bytes_of(const Kept& kept);

  std::vector<Kept> kept_;
  Buffer memory_;
};

}  // namespace tidar
