#include "ops/host_ops.h"

#include <cmath>
#include <cstring>

#include "base/buffer.h"
#include "ops/checks.h"
#include "ops/host_matrix.h"

namespace tidar {

namespace {

struct HostMemory final : Memory {
  explicit HostMemory(int64_t size) : buffer(static_cast<size_t>(size)) {
    data = buffer.data();
    bytes = size;
  }
  Buffer buffer;
};

size_t row_bytes(Matrix x) { return static_cast<size_t>(x.cols) * size_of(x.dtype); }

KeyRange moved(const KeyRange& range, int32_t by) { return {range.from + by, range.to + by}; }

}  // namespace

void HostPass::take(const Pass& pass) {
  rows = pass.rows();
  tokens.assign(pass.tokens.begin(), pass.tokens.end());
  positions.assign(pass.positions.begin(), pass.positions.end());
  row_sights.clear();
  keys_seen = keys_read = 0;
  for (const Sight& sight : pass.sights) keys_seen += sight.prefix.size() + sight.block.size();
}

void HostPass::take_rows(const Pass& pass) {
  take(pass);
  for (const PassSequence& sequence : pass.sequences) {
    TIDAR_CHECK_EQ(sequence.cached + sequence.stored, 0);
    const int32_t first = sequence.first_row;
    for (int32_t row = first; row < first + sequence.rows; ++row) {
      const Sight& sight = pass.sights[static_cast<size_t>(row)];
      row_sights.push_back({moved(sight.prefix, first), moved(sight.block, first)});
    }
  }
}

std::unique_ptr<Memory> HostOps::allocate(int64_t bytes) {
  return std::make_unique<HostMemory>(bytes);
}

void HostOps::copy(Matrix from, Matrix to) {
  check_copy(from, to);
  for (int64_t r = 0; r < from.rows; ++r) {
    std::memcpy(to.row_range(r, r + 1).data, from.row_range(r, r + 1).data, row_bytes(from));
  }
}

void HostOps::clear(Matrix x) {
  for (int64_t r = 0; r < x.rows; ++r) std::memset(x.row_range(r, r + 1).data, 0, row_bytes(x));
}

std::unique_ptr<PackedVector> HostOps::pack_vector(std::span<const HostMatrix> parts) {
  auto vector = std::make_unique<HostVector>();
  for (const HostMatrix& part : parts) {
    TIDAR_CHECK_EQ(part.rows, 1);
    const size_t before = vector->values.size();
    vector->values.resize(before + static_cast<size_t>(part.cols));
    read_row(part, 0, vector->values.data() + before);
  }
  vector->size = static_cast<int64_t>(vector->values.size());
  vector->bytes = vector->size * static_cast<int64_t>(sizeof(float));
  return vector;
}

std::unique_ptr<RopeTable> HostOps::make_rope(std::span<const double> frequencies, double factor,
                                              int64_t positions) {
  auto table = std::make_unique<HostRope>();
  const size_t count = frequencies.size() * static_cast<size_t>(positions);
  table->half = static_cast<int>(frequencies.size());
  table->positions = positions;
  table->bytes = static_cast<int64_t>(2 * count * sizeof(float));
  table->cosines.reserve(count);
  table->sines.reserve(count);
  for (int64_t position = 0; position < positions; ++position) {
    for (const double frequency : frequencies) {
      const double angle = static_cast<double>(position) * frequency;
      table->cosines.push_back(static_cast<float>(factor * std::cos(angle)));
      table->sines.push_back(static_cast<float>(factor * std::sin(angle)));
    }
  }
  return table;
}

}  // namespace tidar
