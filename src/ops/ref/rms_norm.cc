#include <cmath>

#include "ops/ref/verbs.h"

namespace tidar::ref {

template <class T>
void rms_norm(Matrix x, std::span<const float> weight, double eps, int heads, Matrix out) {
  const int64_t size = x.cols / heads;
  for (int64_t r = 0; r < x.rows; ++r) {
    for (int64_t first = 0; first < x.cols; first += size) {
      const T* const in = x.row<T>(r) + first;
      T* const to = out.row<T>(r) + first;
      T squares = 0;
      for (int64_t i = 0; i < size; ++i) squares += in[i] * in[i];
      const T scale = 1 / std::sqrt(squares / static_cast<T>(size) + static_cast<T>(eps));
      for (int64_t i = 0; i < size; ++i) {
        to[i] = in[i] * scale * static_cast<T>(weight[static_cast<size_t>(i)]);
      }
    }
  }
}

template void rms_norm<float>(Matrix, std::span<const float>, double, int, Matrix);
template void rms_norm<double>(Matrix, std::span<const float>, double, int, Matrix);

}  // namespace tidar::ref
