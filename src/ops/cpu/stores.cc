#include "ops/cpu/stores.h"

#include <vector>

#include "ops/group_codes.h"
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

  static void put(const PanelColumn& column, const PanelPlace& panel, int64_t c) {
    std::vector<float> numbers(static_cast<size_t>(column.part->cols));
    read_row(*column.part, column.row, numbers.data());
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

// Of codes with scales.
template <WeightFormat kFormat>
struct GroupPacker {
  static constexpr int64_t kDepth = kGroup;
  static constexpr int kBits = facts_of(kFormat).element_bits;
  static constexpr int kCode = (1 << kBits) - 1;  // all bits of one

  // Where the code of input i of a group stands: at which byte of the group, how far to the left.
  struct Place {
    int64_t byte;
    int shift;
  };
  static Place place_in_group(int64_t i, int64_t c) {
    constexpr int64_t kInputs = kGroup * kBits / 8;  // of which the first code of a byte can be
    const int64_t low = i % kInputs;
    return {low / 4 * 4 * kPanel + c * 4 + low % 4, static_cast<int>(i / kInputs) * kBits};
  }

  static void put(const PanelColumn& column, const PanelPlace& panel, int64_t c) {
    auto* codes = reinterpret_cast<uint8_t*>(panel.elements);
    Half* scales = reinterpret_cast<Half*>(panel.scales);
    const WeightRow row(kFormat, *column.part, column.row);
    for (int64_t g = 0; g < groups_of(column.part->cols); ++g) {
      const WeightGroup group = row.group(g);
      for (int64_t i = 0; i < kGroup; ++i) {
        const auto [byte, shift] = place_in_group(i, c);
        codes[byte] =
            static_cast<uint8_t>(codes[byte] | group.codes[static_cast<size_t>(i)] << shift);
      }
      scales[c] = group.scale;
      codes += kGroup * kPanel * kBits / 8;
      scales += kPanel;
    }
  }
  static void get(const PanelPlace& panel, int64_t c, std::span<float> numbers) {
    const auto* const codes = reinterpret_cast<const uint8_t*>(panel.elements);
    const Half* const scales = reinterpret_cast<const Half*>(panel.scales);
    for (size_t k = 0; k < numbers.size(); ++k) {
      const auto g = static_cast<int64_t>(k) / kGroup, i = static_cast<int64_t>(k) % kGroup;
      const auto [byte, shift] = place_in_group(i, c);
      const int code = codes[g * kGroup * kPanel * kBits / 8 + byte] >> shift & kCode;
      numbers[k] = static_cast<float>(code - facts_of(kFormat).zero_code()) *
                   static_cast<float>(scales[g * kPanel + c]);
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
    case WeightFormat::w8:
      return f(GroupPacker<WeightFormat::w8>());
    case WeightFormat::w4:
      return f(GroupPacker<WeightFormat::w4>());
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
      for (int64_t p = range.begin; p < range.end; ++p) {
        for (int64_t c = 0; c < kPanel; ++c) {
          const PanelColumn column = column_of(order, parts, p, c);
          if (column.part == nullptr) continue;  // buffers start as zeros
          Packer::put(column, weight->panel(p), c);
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
  if (kv_shape.dtype == DType::i8) panel_bytes_ += kKeyPanel * int64_t{sizeof(float)};
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
