#include <algorithm>
#include <cmath>

#include "ops/ref/verbs.h"

namespace tidar::ref {

template <class T>
void embed(std::span<const int32_t> tokens, const Weight<T>& table, Matrix out) {
  const int group = facts_of(table.format).group;
  for (int64_t r = 0; r < out.rows; ++r) {
    const int32_t token = tokens[static_cast<size_t>(r)];
    T* const to = out.row<T>(r);
    std::copy_n(table.row(token), out.cols, to);
    if (group == 0) continue;
    for (int64_t k = 0; k < out.cols; ++k) to[k] *= table.row_scales(token)[k / group];
  }
}

template <class T>
void gather(Matrix x, std::span<const int32_t> rows, Matrix out) {
  for (int64_t r = 0; r < out.rows; ++r) {
    std::copy_n(x.row<T>(rows[static_cast<size_t>(r)]), out.cols, out.row<T>(r));
  }
}

template <class T>
void scatter_add(Matrix x, std::span<const int32_t> rows, T scale, Matrix out) {
  for (int64_t i = 0; i < x.rows; ++i) {
    T* const to = out.row<T>(rows[static_cast<size_t>(i)]);
    for (int64_t k = 0; k < x.cols; ++k) to[k] += scale * x.row<T>(i)[k];
  }
}

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

template <class T>
void rotate(Matrix x, int heads, std::span<const int32_t> positions, const HostRope& table,
            int direction) {
  for (int64_t r = 0; r < x.rows; ++r) {
    const auto angle =
        static_cast<size_t>(positions[static_cast<size_t>(r)]) * static_cast<size_t>(table.half);
    for (int head = 0; head < heads; ++head) {
      T* const low = x.row<T>(r) + int64_t{2} * table.half * head;
      T* const high = low + table.half;
      for (int i = 0; i < table.half; ++i) {
        const T cosine = static_cast<T>(table.cosines[angle + static_cast<size_t>(i)]);
        const T sine =
            static_cast<T>(direction) * static_cast<T>(table.sines[angle + static_cast<size_t>(i)]);
        const T a = low[i], b = high[i];
        low[i] = a * cosine - b * sine;
        high[i] = b * cosine + a * sine;
      }
    }
  }
}

template void embed<float>(std::span<const int32_t>, const Weight<float>&, Matrix);
template void embed<double>(std::span<const int32_t>, const Weight<double>&, Matrix);
template void gather<float>(Matrix, std::span<const int32_t>, Matrix);
template void gather<double>(Matrix, std::span<const int32_t>, Matrix);
template void scatter_add<float>(Matrix, std::span<const int32_t>, float, Matrix);
template void scatter_add<double>(Matrix, std::span<const int32_t>, double, Matrix);
template void rms_norm<float>(Matrix, std::span<const float>, double, int, Matrix);
template void rms_norm<double>(Matrix, std::span<const float>, double, int, Matrix);
template void rotate<float>(Matrix, int, std::span<const int32_t>, const HostRope&, int);
template void rotate<double>(Matrix, int, std::span<const int32_t>, const HostRope&, int);

}  // namespace tidar::ref
