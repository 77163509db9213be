#include "ops/cpu/stores.h"

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

// What fills and reads the panels of a format, one column at a time: this one of plain numbers.
template <class T>
struct PlainPacker {
  static constexpr int64_t kDepth = weight_panel_depth(DTypeOf<T>::value);  // of a panel's inputs

  static void put(std::span<const float> numbers, const PanelPlace& panel, int64_t c) {
    T* const elements = reinterpret_cast<T*>(panel.elements);
    for (size_t k = 0; k < numbers.size(); ++k) {
      elements[place<T>(static_cast<int64_t>(k), c)] = T(numbers[k]);
    }
  }
  static void get(const PanelPlace& panel, int64_t c, std::span<float> numbers) {
    const T* const elements = reinterpret_cast<const T*>(panel.elements);
    for (size_t k = 0; k < numbers.size(); ++k) {
      numbers[k] = static_cast<float>(elements[place<T>(static_cast<int64_t>(k), c)]);
    }
  }
};

// Calls f(Packer()) with the packer of the format.
template <class F>
decltype(auto) with_packer(WeightFormat format, F&& f) {
  switch (format) {
    case WeightFormat::f32:
      return f(PlainPacker<float>());
    case WeightFormat::bf16:
      return f(PlainPacker<BFloat16>());
  }
  fail_check(__FILE__, __LINE__, "not a format of weights");
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

PanelWeight::PanelWeight(PackOrder order, std::span<const HostMatrix> parts,
                         WeightFormat weight_format) {
  format = weight_format;
  inputs = parts[0].cols;
  for (const HostMatrix& part : parts) outputs += part.rows;
  panels_ = order == PackOrder::interleaved ? 2 * round_up(parts[0].rows, kPanel) / kPanel
                                            : round_up(outputs, kPanel) / kPanel;
  const int64_t padded =
      with_packer(format, [&]<class Packer>(Packer) { return round_up(inputs, Packer::kDepth); });
  element_bytes_ = facts_of(format).element_bytes(kPanel, padded);
  scale_bytes_ = facts_of(format).scale_bytes(kPanel, padded);
  bytes = panels_ * (element_bytes_ + scale_bytes_);
  buffer_ = Buffer(static_cast<size_t>(bytes));
}

std::unique_ptr<PanelWeight> pack_panels(Threads& threads, PackOrder order,
                                         std::span<const HostMatrix> parts, WeightFormat format) {
  auto weight = std::make_unique<PanelWeight>(order, parts, format);
  with_packer(format, [&]<class Packer>(Packer) {
    threads.split(weight->panels(), 1, [&](Range range, int) {
      std::vector<float> row(static_cast<size_t>(weight->inputs));
      for (int64_t p = range.begin; p < range.end; ++p) {
        for (int64_t c = 0; c < kPanel; ++c) {
          const PanelColumn column = column_of(order, parts, p, c);
          if (column.part == nullptr) continue;  // buffers start as zeros
          read_row(*column.part, column.row, row.data());
          Packer::put(row, weight->panel(p), c);
        }
      }
    });
  });
  return weight;
}

void PanelWeight::copy_row(int64_t output, std::span<float> out) const {
  with_packer(format, [&]<class Packer>(Packer) {
    Packer::get(panel(output / kPanel), output % kPanel, out);
  });
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

KvColumn PanelKv::column(int layer, int head, int32_t slot) const {
  const int64_t panel = slot / kKeyPanel;
  const int64_t at = panel < own_panels()
                         ? own_offset(layer, head) + panel * panel_bytes_
                         : scratch_offset(head) + (panel - own_panels()) * panel_bytes_;
  KvColumn column;
  column.head_size = shape.head_size;
  column.padded_size = padded_head(shape.head_size);
  column.column = slot % kKeyPanel;
  column.key_panel = keys() + at;
  column.value_panel = values() + at;
  return column;
}

}  // namespace tidar::cpu
