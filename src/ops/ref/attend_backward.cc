// Attention of training, with a row's probabilities written out in full.

#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/ref/backward_verbs.h"

namespace tidar::ref {

namespace {

// One row and head, and the head of keys and values that it belongs to.
template <class T>
struct BackwardHead {
  BackwardHead(const AttendRows& rows, int64_t row, int64_t head)
      : size(rows.k.cols / rows.kv_heads),
        q_column(head * size),
        kv_column(head / (rows.q.cols / rows.k.cols) * size),
        scale(1 / std::sqrt(static_cast<T>(size))),
        q(rows.q.row<T>(row) + q_column) {
    const Sight& sight = host(*rows.pass).row_sights[static_cast<size_t>(row)];
    for (const KeyRange& range : {sight.prefix, sight.block}) {
      for (int32_t key = range.from; key < range.to; ++key) seen.push_back(key);
    }
  }

  T score(const AttendRows& rows, int32_t key) const { return dot(q, rows.k, key) * scale; }
  // Of `ours` with the head's part of a row of k or v.
  T dot(const T* ours, Matrix matrix, int32_t key) const {
    const T* const theirs = matrix.row<T>(key) + kv_column;
    T sum = 0;
    for (int64_t e = 0; e < size; ++e) sum += ours[e] * theirs[e];
    return sum;
  }
  // to[e] += factor * from[e]
  void add(T factor, const T* from, T* to) const {
    for (int64_t e = 0; e < size; ++e) to[e] += factor * from[e];
  }

  int64_t size, q_column, kv_column;
  T scale;
  const T* q;
  std::vector<int32_t> seen;  // keys
};

void fill_zero(Matrix matrix) {
  for (int64_t r = 0; r < matrix.rows; ++r) {
    std::byte* const row =
        matrix.data + r * matrix.stride * static_cast<int64_t>(size_of(matrix.dtype));
    std::fill_n(row, matrix.cols * static_cast<int64_t>(size_of(matrix.dtype)), std::byte{0});
  }
}

}  // namespace

template <class T>
void attend_rows(const AttendRows& rows, Matrix out, Matrix log_sums) {
  fill_zero(out);
  for (int64_t r = 0; r < out.rows; ++r) {
    for (int64_t h = 0; h < log_sums.cols; ++h) {
      const BackwardHead<T> head(rows, r, h);
      T largest = -std::numeric_limits<T>::infinity();
      for (const int32_t key : head.seen) largest = std::max(largest, head.score(rows, key));
      T sum = 0;
      for (const int32_t key : head.seen) sum += std::exp(head.score(rows, key) - largest);
      const T log_sum = head.seen.empty() ? largest : largest + std::log(sum);
      log_sums.row<T>(r)[h] = log_sum;
      for (const int32_t key : head.seen) {
        head.add(std::exp(head.score(rows, key) - log_sum), rows.v.row<T>(key) + head.kv_column,
                 out.row<T>(r) + head.q_column);
      }
    }
  }
}

// With p = softmax(s): d_p = d_out · v, and d_s = p (d_p - sum p d_p), where sum p d_p = d_out ·
// out.
template <class T>
void attend_rows_backward(const AttendRows& rows, Matrix out, Matrix log_sums, Matrix d_out,
                          const AttendGradients& gradients) {
  for (const Matrix& d : {gradients.d_q, gradients.d_k, gradients.d_v}) fill_zero(d);
  for (int64_t r = 0; r < out.rows; ++r) {
    for (int64_t h = 0; h < log_sums.cols; ++h) {
      const BackwardHead<T> head(rows, r, h);
      const T* const d = d_out.row<T>(r) + head.q_column;
      T mean = 0;
      for (int64_t e = 0; e < head.size; ++e) mean += d[e] * out.row<T>(r)[head.q_column + e];
      for (const int32_t key : head.seen) {
        const T p = std::exp(head.score(rows, key) - log_sums.row<T>(r)[h]);
        const T d_score = p * (head.dot(d, rows.v, key) - mean) * head.scale;
        head.add(p, d, gradients.d_v.row<T>(key) + head.kv_column);
        head.add(d_score, head.q, gradients.d_k.row<T>(key) + head.kv_column);
        head.add(d_score, rows.k.row<T>(key) + head.kv_column,
                 gradients.d_q.row<T>(r) + head.q_column);
      }
    }
  }
}

template void attend_rows<float>(const AttendRows&, Matrix, Matrix);
template void attend_rows<double>(const AttendRows&, Matrix, Matrix);
template void attend_rows_backward<float>(const AttendRows&, Matrix, Matrix, Matrix,
                                          const AttendGradients&);
template void attend_rows_backward<double>(const AttendRows&, Matrix, Matrix, Matrix,
                                           const AttendGradients&);

}  // namespace tidar::ref
