#include "ops/cpu/stores.h"

#include <cmath>
#include <limits>
#include <vector>

#include "ops/host_matrix.h"

namespace tidar::cpu {

namespace {

// Element of a panel: input k of column c.
template <class T>
int64_t place(int64_t k, int64_t c) {
  if constexpr (std::is_same_v<T, BFloat16>) return k / 2 * 2 * kPanel + 2 * c + k % 2;
  return k * kPanel + c;
}

template <class T>
void pack_panel(PackOrder order, std::span<const HostMatrix> parts, int64_t p, T* panel) {
  const int64_t inputs = parts[0].cols;
  std::vector<float> row(static_cast<size_t>(inputs));
  for (int64_t c = 0; c < kPanel; ++c) {
    const PanelColumn column = column_of(order, parts, p, c);
    if (column.part == nullptr) continue;  // buffers start as zeros
    read_row(*column.part, column.row, row.data());
    for (int64_t k = 0; k < inputs; ++k) panel[place<T>(k, c)] = T(row[static_cast<size_t>(k)]);
  }
}

}  // namespace

PanelColumn column_of(PackOrder order, std::span<const HostMatrix> parts, int64_t panel,
                      int64_t c) {
  if (order == PackOrder::interleaved) {
    const HostMatrix& part = parts[static_cast<size_t>(panel % 2)];
    const int64_t row = panel / 2 * kPanel + c;
    return {row < part.rows ? &part : nullptr, row};
  }
  int64_t row = panel * kPanel + c;
  for (const HostMatrix& part : parts) {
    if (row < part.rows) return {&part, row};
    row -= part.rows;
  }
  return {nullptr, 0};
}

std::unique_ptr<PanelWeight> make_panels(PackOrder order, std::span<const HostMatrix> parts,
                                         DType dtype) {
  auto weight = std::make_unique<PanelWeight>();
  weight->dtype = dtype;
  weight->inputs = parts[0].cols;
  for (const HostMatrix& part : parts) weight->outputs += part.rows;
  weight->panels_ = order == PackOrder::interleaved ? 2 * round_up(parts[0].rows, kPanel) / kPanel
                                                    : round_up(weight->outputs, kPanel) / kPanel;
  weight->bytes = weight->panels_ * weight_panel_elements(dtype, weight->inputs) *
                  static_cast<int64_t>(size_of(dtype));
  weight->buffer_ = Buffer(static_cast<size_t>(weight->bytes));
  return weight;
}

std::unique_ptr<PanelWeight> pack_panels(Threads& threads, PackOrder order,
                                         std::span<const HostMatrix> parts, DType dtype) {
  auto weight = make_panels(order, parts, dtype);
  const int64_t elements = weight_panel_elements(dtype, weight->inputs);
  threads.split(weight->panels(), 1, [&](Range range, int) {
    for (int64_t p = range.begin; p < range.end; ++p) {
      if (dtype == DType::bf16) {
        pack_panel(order, parts, p, reinterpret_cast<BFloat16*>(weight->data()) + p * elements);
      } else {
        pack_panel(order, parts, p, reinterpret_cast<float*>(weight->data()) + p * elements);
      }
    }
  });
  return weight;
}

void PanelWeight::copy_row(int64_t output, float* out) const {
  const int64_t elements = weight_panel_elements(dtype, inputs);
  const int64_t p = output / kPanel, c = output % kPanel;
  const auto copy = [&]<class T>(const T* panel) {
    for (int64_t k = 0; k < inputs; ++k) out[k] = static_cast<float>(panel[place<T>(k, c)]);
  };
  if (dtype == DType::bf16) {
    copy(buffer_.as<BFloat16>() + p * elements);
  } else {
    copy(buffer_.as<float>() + p * elements);
  }
}

PanelKv::PanelKv(const KvShape& kv_shape)
    : panel_bytes_(int64_t{kKeyPanel} * padded_head(kv_shape.head_size) *
                   static_cast<int64_t>(size_of(kv_shape.dtype))) {
  shape = kv_shape;
  const int64_t half = scratch_offset(shape.kv_heads);
  keys_ = Buffer(static_cast<size_t>(half));
  values_ = Buffer(static_cast<size_t>(half));
  bytes = 2 * half;
}

void PanelKv::put(int layer, int head, int32_t slot, const float* key, const float* value) {
  const int64_t panel = slot / kKeyPanel;
  const int64_t at = panel < own_panels()
                         ? own_offset(layer, head) + panel * panel_bytes_
                         : scratch_offset(head) + (panel - own_panels()) * panel_bytes_;
  const int64_t column = slot % kKeyPanel;
  const int64_t padded = padded_head(shape.head_size);
  const auto write = [&]<class T>(T* key_panel, T* value_panel) {
    // The values' inputs are keys and their columns a head's elements.
    constexpr int64_t kPairing = sizeof(T) == 2 ? 2 : 1;
    T* values_row = value_panel + column / kPairing * kPairing * padded + column % kPairing;
    bool finite = true;
    for (int64_t e = 0; e < shape.head_size; ++e) {
      key_panel[place<T>(e, column)] = T(key[e]);
      values_row[e * kPairing] = T(value[e]);
      finite = finite && std::isfinite(static_cast<float>(T(value[e])));
    }
    if (finite) return;
    for (int64_t e = 0; e < shape.head_size; ++e) {
      key_panel[place<T>(e, column)] = T(std::numeric_limits<float>::quiet_NaN());
      values_row[e * kPairing] = T(0.0f);
    }
  };
  std::byte* keys_at = keys() + at;
  std::byte* values_at = values() + at;
  if (shape.dtype == DType::bf16) {
    write(reinterpret_cast<BFloat16*>(keys_at), reinterpret_cast<BFloat16*>(values_at));
  } else {
    write(reinterpret_cast<float*>(keys_at), reinterpret_cast<float*>(values_at));
  }
}

}  // namespace tidar::cpu
