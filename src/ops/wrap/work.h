#pragma once
// What a call of a verb must do at least: bytes moved to and from memory once each, and floating
// point operations (a multiply-add counts two). The base of every GB/s, GFLOP/s and share of a
// roof.

#include <span>

#include "ops/ops.h"

namespace tidar {

struct Work {
  double bytes = 0;
  double flops = 0;
  Work& operator+=(const Work& other) {
    bytes += other.bytes;
    flops += other.flops;
    return *this;
  }
};

/// Rows copied.
Work embed_work(const PackedWeight& table, Matrix out);
Work gather_work(Matrix out);
/// Rows added to others.
Work scatter_add_work(Matrix x);
Work rms_norm_work(Matrix x, Matrix out);
/// linear, linear_add, linear_swiglu. `reads_out`: out is added to.
Work linear_work(Matrix x, const PackedWeight& weight, Matrix out, bool reads_out);
Work swiglu_work(Matrix gate_up, Matrix out);
Work rope_work(Matrix x);
Work store_kv_work(Matrix k, const KvStore& kv);
Work move_kv_work(std::span<const SlotMove> moves, const KvStore& kv);
/// Keys are read as often as the backend says (PreparedPass::keys_read); the products are of those
/// that rows see.
Work attend_work(Matrix q, const PreparedPass& pass, const KvStore& kv, Matrix out);
Work read_logits_work(Matrix logits, const Asks& asks);

}  // namespace tidar
