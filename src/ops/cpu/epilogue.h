#pragma once
// What happens to the finished sums of a product, while they are still in registers: they are
// stored or added, get their bias, or two of them become one value of the feed-forward network. For
// *_kernel.cc only.

#include "ops/cpu/kernels.h"
#include "ops/cpu/simd.h"

namespace tidar::cpu::TIDAR_ISA {

/// Columns of a panel that exist, at most 16: those behind the last of `columns` are padding, whose
/// sums are nobody's.
inline int columns_of(int64_t columns, int64_t panel) {
  const int64_t left = columns - panel * kPanel;
  return static_cast<int>(left < kPanel ? left : kPanel);
}

/// Stores or adds the 16 sums of one row and panel. With Epilogue::halves, whose weight interleaves
/// two parts panel by panel, even panels go to the left half of the row and odd ones to the right.
inline void write_sums(const LinearCall& call, int64_t row, int64_t panel, const Floats* sums) {
  const bool halves = call.epilogue == Epilogue::halves;
  const int64_t width = halves ? call.outputs / 2 : call.outputs;
  const int64_t place = halves ? panel / 2 : panel;
  const int columns = columns_of(width, place);
  float* out = static_cast<float*>(call.out) + row * call.out_stride + place * kPanel +
               (halves && panel % 2 == 1 ? width : 0);
  for (int v = 0; v < kPanelVectors; ++v) {
    const int count = columns - v * kLanes;
    if (count <= 0) break;
    Floats value = sums[v];
    if (call.epilogue == Epilogue::add) {
      value = add(load_first(out + v * kLanes, count), value);
    } else if (call.bias != nullptr) {
      value = add(value, load_first(call.bias + panel * kPanel + v * kLanes, count));
    }
    store_first(out + v * kLanes, value, count);
  }
}

/// silu(gate) * up of one row, f32 or rounded to bf16; `panel` is the gate's, an even one, and the
/// next one is the up's.
inline void write_swiglu(const LinearCall& call, int64_t row, int64_t panel, const Floats* gate,
                         const Floats* up) {
  const int columns = columns_of(call.outputs / 2, panel / 2);
  for (int v = 0; v < kPanelVectors; ++v) {
    const int count = columns - v * kLanes;
    if (count <= 0) break;
    const Floats value = mul(silu(gate[v]), up[v]);
    const int64_t at = row * call.out_stride + panel / 2 * kPanel + v * kLanes;
    store_first(call.out, call.out_dtype, at, value, count);
  }
}

}  // namespace tidar::cpu::TIDAR_ISA
