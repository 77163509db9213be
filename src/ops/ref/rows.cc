#include <algorithm>

#include "ops/ref/verbs.h"

namespace tidar::ref {

template <class T>
void embed(std::span<const int32_t> tokens, const Weight<T>& table, Matrix out) {
  for (int64_t r = 0; r < out.rows; ++r) {
    std::copy_n(table.row(tokens[static_cast<size_t>(r)]), out.cols, out.row<T>(r));
  }
}

template <class T>
void gather(Matrix x, std::span<const int32_t> rows, Matrix out) {
  for (int64_t r = 0; r < out.rows; ++r) {
    std::copy_n(x.row<T>(rows[static_cast<size_t>(r)]), out.cols, out.row<T>(r));
  }
}

template void embed<float>(std::span<const int32_t>, const Weight<float>&, Matrix);
template void embed<double>(std::span<const int32_t>, const Weight<double>&, Matrix);
template void gather<float>(Matrix, std::span<const int32_t>, Matrix);
template void gather<double>(Matrix, std::span<const int32_t>, Matrix);

}  // namespace tidar::ref
