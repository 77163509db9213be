#include "ops/ref/backward_verbs.h"

namespace tidar::ref {

// A rotation's transpose is the rotation by the opposite angle.
template <class T>
void rope_backward(Matrix d_x, int heads, std::span<const int32_t> positions,
                   const RopeTable& table) {
  for (int64_t r = 0; r < d_x.rows; ++r) {
    const auto angle =
        static_cast<size_t>(positions[static_cast<size_t>(r)]) * static_cast<size_t>(table.half);
    for (int head = 0; head < heads; ++head) {
      T* const low = d_x.row<T>(r) + int64_t{2} * table.half * head;
      T* const high = low + table.half;
      for (int i = 0; i < table.half; ++i) {
        const T cosine = static_cast<T>(table.cosines[angle + static_cast<size_t>(i)]);
        const T sine = static_cast<T>(table.sines[angle + static_cast<size_t>(i)]);
        const T a = low[i], b = high[i];
        low[i] = a * cosine + b * sine;
        high[i] = b * cosine - a * sine;
      }
    }
  }
}

template <class T>
void add_rows_at(Matrix from, std::span<const int32_t> rows, Matrix to) {
  for (int64_t i = 0; i < from.rows; ++i) {
    T* const target = to.row<T>(rows[static_cast<size_t>(i)]);
    for (int64_t k = 0; k < from.cols; ++k) target[k] += from.row<T>(i)[k];
  }
}

template void rope_backward<float>(Matrix, int, std::span<const int32_t>, const RopeTable&);
template void rope_backward<double>(Matrix, int, std::span<const int32_t>, const RopeTable&);
template void add_rows_at<float>(Matrix, std::span<const int32_t>, Matrix);
template void add_rows_at<double>(Matrix, std::span<const int32_t>, Matrix);

}  // namespace tidar::ref
