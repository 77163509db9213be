#pragma once
// The JSON header of a safetensors file, which says where its tensors lie.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/dtype.h"
#include "base/result.h"

namespace tidar {

/// One tensor as the header describes it: bytes [begin, end) of the data part.
struct HeaderEntry {
  std::string name;
  DType dtype = DType::f32;
  std::vector<int64_t> shape;
  int64_t begin = 0;
  int64_t end = 0;
};

/// Parses a header. Checked here is what one entry says by itself: a name used once, a known dtype,
/// a shape of at most 8 dimensions whose bytes fit 63 bits and are just what the offsets hold. How
/// the entries lie to each other and to the file is the caller's to check. Memory stays in
/// proportion to `json`.
Result<std::vector<HeaderEntry>> parse_tensor_header(std::string_view json,
                                                     const std::string& where);

/// "F32", "BF16", …: a dtype as safetensors writes it.
std::string_view header_name(DType dtype);

/// "[512, 64]"; "[]" for a scalar.
std::string shape_text(const std::vector<int64_t>& shape);

}  // namespace tidar
