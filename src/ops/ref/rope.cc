#include "ops/ref/verbs.h"

namespace tidar::ref {

template <class T>
void rope(Matrix x, int heads, std::span<const int32_t> positions, const RopeTable& table) {
  for (int64_t r = 0; r < x.rows; ++r) {
    const auto angle =
        static_cast<size_t>(positions[static_cast<size_t>(r)]) * static_cast<size_t>(table.half);
    for (int head = 0; head < heads; ++head) {
      T* const low = x.row<T>(r) + int64_t{2} * table.half * head;
      T* const high = low + table.half;
      for (int i = 0; i < table.half; ++i) {
        const T cosine = static_cast<T>(table.cosines[angle + static_cast<size_t>(i)]);
        const T sine = static_cast<T>(table.sines[angle + static_cast<size_t>(i)]);
        const T a = low[i], b = high[i];
        low[i] = a * cosine - b * sine;
        high[i] = b * cosine + a * sine;
      }
    }
  }
}

template void rope<float>(Matrix, int, std::span<const int32_t>, const RopeTable&);
template void rope<double>(Matrix, int, std::span<const int32_t>, const RopeTable&);

}  // namespace tidar::ref
