#pragma once
// What backends share whose memory is the host's: buffers, vectors, rope tables, and what a pass
// says of its rows.

#include <span>
#include <vector>

#include "ops/ops.h"

namespace tidar {

struct HostVector final : PackedVector {
  std::vector<float> values;
};

/// cosines and sines [positions, half].
struct HostRope final : RopeTable {
  std::vector<float> cosines, sines;
};

/// The part of a prepared pass that needs no layout of keys.
struct HostPass : PreparedPass {
  std::vector<int32_t> tokens, positions;
  /// Without a store: what each row sees, in rows of the pass. Empty with one.
  std::vector<Sight> row_sights;

  /// Takes over the pass's tokens and positions, and counts its keys.
  void take(const Pass& pass);
  /// Also its sights; its sequences keep nothing and have nothing cached.
  void take_rows(const Pass& pass);
};

/// The arguments of verbs, which must have been made by a backend of this kind.
inline std::span<const float> values_of(const PackedVector& vector) {
  return static_cast<const HostVector&>(vector).values;
}
inline const HostRope& host(const RopeTable& table) { return static_cast<const HostRope&>(table); }
inline const HostPass& host(const PreparedPass& pass) { return static_cast<const HostPass&>(pass); }

/// Verbs complete before they return, and the host may look at memory at any time.
class HostOps : public Ops {
 public:
  std::unique_ptr<Memory> allocate(int64_t bytes) override;
  void read(Matrix from, Matrix host) override { copy(from, host); }
  void write(Matrix host, Matrix to) override { copy(host, to); }
  void copy(Matrix from, Matrix to) override;
  void clear(Matrix x) override;
  std::unique_ptr<PackedVector> pack_vector(std::span<const HostMatrix> parts) override;
  std::unique_ptr<RopeTable> make_rope(std::span<const double> frequencies, double factor,
                                       int64_t positions) override;
};

}  // namespace tidar
