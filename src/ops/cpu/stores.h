#pragma once
// What the CPU backend owns on behalf of others: packed weights, and keys and values. Layouts stand
// in kernels.h.

#include <memory>
#include <span>

#include "base/buffer.h"
#include "base/threads.h"
#include "ops/cpu/attention_plan.h"
#include "ops/cpu/kernels.h"
#include "ops/ops.h"

namespace tidar::cpu {

/// Where one panel of a weight lies.
struct PanelPlace {
  std::byte* elements = nullptr;
  std::byte* scales = nullptr;  ///< nullptr: its format has none
};

/// Panel by panel: first the elements of all, then the scales of all.
class PanelWeight final : public PackedWeight {
 public:
  /// Zeros, with room for parts of these shapes, whose elements are not read.
  PanelWeight(PackOrder order, std::span<const HostMatrix> parts, WeightFormat format);

  int64_t panels() const { return panels_; }
  PanelPlace panel(int64_t p) const {
    std::byte* const scales = buffer_.data() + panels_ * element_bytes_ + p * scale_bytes_;
    return {buffer_.data() + p * element_bytes_, scale_bytes_ == 0 ? nullptr : scales};
  }

  /// Row `output` of a stacked weight, widened: out [inputs].
  void copy_row(int64_t output, std::span<float> out) const;

 private:
  int64_t panels_ = 0;
  int64_t element_bytes_ = 0, scale_bytes_ = 0;  // of one panel
  Buffer buffer_;
};

/// Where column c of a panel comes from; part nullptr: padding.
struct PanelColumn {
  const HostMatrix* part = nullptr;
  int64_t row = 0;
};
PanelColumn column_of(PackOrder order, std::span<const HostMatrix> parts, int64_t panel, int64_t c);

/// Packs on all threads. Interleaved parts take the even and the odd panels.
std::unique_ptr<PanelWeight> pack_panels(Threads& threads, PackOrder order,
                                         std::span<const HostMatrix> parts, WeightFormat format);

class PanelKv final : public KvStore {
 public:
  explicit PanelKv(const KvShape& shape);

  int64_t panel_bytes() const { return panel_bytes_; }
  /// Panels of one layer and KV head; panel numbers from here on are scratch.
  int64_t own_panels() const { return int64_t{shape.pages} * kPageSlots / kKeyPanel; }
  /// Byte at which panel 0 of a layer and KV head lies in keys() and in values().
  int64_t own_offset(int layer, int head) const {
    return (int64_t{layer} * shape.kv_heads + head) * own_panels() * panel_bytes_;
  }
  /// The same for the first scratch panel.
  int64_t scratch_offset(int head) const {
    return own_offset(shape.layers, 0) + head * (scratch_slots() / kKeyPanel) * panel_bytes_;
  }
  /// Slots behind the pages, for rows that are kept nowhere and for copies.
  ScratchSlots scratch() const {
    return {shape.pages * kPageSlots, static_cast<int32_t>(scratch_slots())};
  }
  std::byte* keys() const { return keys_.data(); }
  std::byte* values() const { return values_.data(); }

  /// Where a slot keeps what one head of a row has; the key and the value are still to be named.
  KvColumn column(int layer, int head, int32_t slot) const;

 private:
  int64_t scratch_slots() const {
    return round_up(int64_t{shape.rows} * kScratchSlotsPerRow, kKeyPanel);
  }

  int64_t panel_bytes_;
  Buffer keys_, values_;
};

}  // namespace tidar::cpu
