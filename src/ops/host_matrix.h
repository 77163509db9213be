#pragma once
// Reading the elements of weights as files hold them: any alignment, any of four types, or made.

#include <algorithm>
#include <cstring>
#include <type_traits>
#include <vector>

#include "ops/ops.h"

namespace tidar {

/// All elements of row `row` of `matrix`, converted to T: out [K]. bf16 and f16 widen exactly.
template <class T>
void read_row(const HostMatrix& matrix, int64_t row, T* out) {
  if (matrix.made != nullptr) {
    std::vector<float> numbers(static_cast<size_t>(matrix.cols));
    matrix.made->read(row, numbers);
    std::copy(numbers.begin(), numbers.end(), out);
    return;
  }
  with_float_type(matrix.dtype, [&]<class Stored>(Stored*) {
    const std::byte* bytes = matrix.data + static_cast<size_t>(row * matrix.cols) * sizeof(Stored);
    for (int64_t i = 0; i < matrix.cols; ++i) {
      Stored element;
      std::memcpy(&element, bytes + static_cast<size_t>(i) * sizeof(Stored), sizeof(Stored));
      if constexpr (std::is_same_v<Stored, double> || std::is_same_v<Stored, float>) {
        out[i] = static_cast<T>(element);
      } else {
        out[i] = static_cast<T>(static_cast<float>(element));
      }
    }
  });
}

}  // namespace tidar
