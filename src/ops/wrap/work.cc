#include "ops/wrap/work.h"

namespace tidar {

namespace {

double bytes_of(Matrix x) { return static_cast<double>(x.bytes()); }

double elements_of(Matrix x) { return static_cast<double>(x.rows) * static_cast<double>(x.cols); }

double slot_bytes(const KvShape& shape) { return static_cast<double>(shape.slot_bytes()); }

}  // namespace

Work embed_work(const PackedWeight& table, Matrix out) {
  const int64_t read = facts_of(table.format).bytes(out.rows, out.cols);
  return {bytes_of(out) + static_cast<double>(read), 0};
}

Work gather_work(Matrix out) { return {2 * bytes_of(out), 0}; }

Work scatter_add_work(Matrix x) { return {3 * bytes_of(x), 2 * elements_of(x)}; }

Work rms_norm_work(Matrix x, Matrix out) {
  return {bytes_of(x) + bytes_of(out), 4 * elements_of(x)};
}

Work linear_work(Matrix x, const PackedWeight& weight, Matrix out, bool reads_out) {
  const double outputs = static_cast<double>(weight.outputs);
  return {bytes_of(x) + static_cast<double>(weight.bytes) + bytes_of(out) * (reads_out ? 2 : 1),
          2 * elements_of(x) * outputs};
}

Work swiglu_work(Matrix gate_up, Matrix out) {
  return {bytes_of(gate_up) + bytes_of(out), 4 * elements_of(out)};
}

Work rope_work(Matrix x) { return {2 * bytes_of(x), 3 * elements_of(x)}; }

Work store_kv_work(Matrix k, const KvStore& kv) {
  return {2 * bytes_of(k) + static_cast<double>(k.rows) * slot_bytes(kv.shape), 0};
}

Work move_kv_work(std::span<const SlotMove> moves, const KvStore& kv) {
  const double slots = 2.0 * static_cast<double>(moves.size()) * kv.shape.layers;
  return {slots * slot_bytes(kv.shape), 0};
}

Work attend_work(Matrix q, const PreparedPass& pass, const KvStore& kv, Matrix out) {
  return {bytes_of(q) + bytes_of(out) + static_cast<double>(pass.keys_read) * slot_bytes(kv.shape),
          4 * static_cast<double>(pass.keys_seen) * static_cast<double>(q.cols)};
}

Work read_logits_work(Matrix logits, const Asks& asks) {
  const double row = static_cast<double>(logits.cols) * static_cast<double>(size_of(logits.dtype));
  Work work;
  for (const Ask& ask : asks) {
    work += {row * (ask.other_row < 0 ? 1 : 2), 2 * static_cast<double>(logits.cols)};
  }
  return work;
}

}  // namespace tidar
