#pragma once
// Reading the elements of weights as files hold them: any alignment, any of four types.

#include <cstring>
#include <type_traits>

#include "ops/ops.h"

namespace tidar {

/// Copies `count` elements of row `row` of `matrix`, from column `first` on, to `out`, converted to
/// T. bf16 and f16 widen exactly.
template <class T>
void read_numbers(const HostMatrix& matrix, int64_t row, int64_t first, int64_t count, T* out) {
  with_float_type(matrix.dtype, [&]<class Stored>(Stored*) {
    const std::byte* bytes =
        matrix.data + static_cast<size_t>(row * matrix.cols + first) * sizeof(Stored);
    for (int64_t i = 0; i < count; ++i) {
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

/// All elements of row `row`: out [K].
template <class T>
void read_row(const HostMatrix& matrix, int64_t row, T* out) {
  read_numbers(matrix, row, 0, matrix.cols, out);
}

}  // namespace tidar
