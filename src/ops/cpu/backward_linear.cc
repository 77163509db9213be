#include "ops/cpu/backward_linear.h"

#include <algorithm>

namespace tidar::cpu {

namespace {

constexpr int64_t kSlabOutputs = 1024;
// Elements between rows of an operand, beyond their length: rows that lie a power of two apart
// would fight for the same few lines of the cache.
constexpr int64_t kSpacing = 32;

int64_t bytes_of(DType dtype) { return static_cast<int64_t>(size_of(dtype)); }

// Inputs of a panel that hold `count` of them.
int64_t padded_inputs(DType dtype, int64_t count) {
  return weight_panel_elements(dtype, count) / kPanel;
}

int64_t panels_of_columns(int64_t columns) { return (columns + kPanel - 1) / kPanel; }

// Rows whose columns are put into all panels before the next rows are read.
constexpr int64_t kRowsAtOnce = 64;

int64_t row_blocks(int64_t rows) { return (rows + kRowsAtOnce - 1) / kRowsAtOnce; }

// A matrix by columns: panels of `call.count` inputs each, one behind the other from call.panel on.
struct ByColumns {
  ColumnsCall call;
  int64_t columns;

  // Rows of block `i` of all panels.
  void fill(const BackwardKernels& kernels, int64_t i) const {
    const int64_t padded = padded_inputs(call.dtype, call.count), first = i * kRowsAtOnce;
    ColumnsCall part = call;
    part.rows = call.rows + first;
    part.count = std::min(kRowsAtOnce, call.count - first);
    part.padded = std::min(kRowsAtOnce, padded - first);
    for (int64_t p = 0; p < panels_of_columns(columns); ++p) {
      part.first = p * kPanel;
      part.columns = std::min<int64_t>(kPanel, columns - p * kPanel);
      part.panel = static_cast<std::byte*>(call.panel) +
                   (p * padded + first) * kPanel * bytes_of(call.dtype);
      kernels.by_columns(part);
    }
  }
};

std::vector<HostMatrix> as_parts(std::span<const Matrix> masters) {
  std::vector<HostMatrix> parts;
  for (const Matrix& master : masters) {
    parts.push_back({master.data, master.dtype, master.rows, master.cols});
  }
  return parts;
}

}  // namespace

TrainedPanels::TrainedPanels(PackOrder order, std::span<const Matrix> masters, WeightFormat format)
    : order_(order),
      masters_(masters.begin(), masters.end()),
      parts_(as_parts(masters)),
      forward_(order, parts_, format) {
  for (const Matrix& master : masters) {
    for (int64_t n = 0; n < master.rows; ++n) rows_.push_back(master.row<float>(n));
  }
  backward_ = Buffer(static_cast<size_t>(slab_offset(slabs())));
}

int64_t TrainedPanels::slabs() const {
  return (forward_.outputs + kSlabOutputs - 1) / kSlabOutputs;
}

Range TrainedPanels::slab(int64_t i) const {
  return {i * kSlabOutputs, std::min((i + 1) * kSlabOutputs, forward_.outputs)};
}

int64_t TrainedPanels::slab_panel_bytes(int64_t i) const {
  return weight_panel_elements(dtype(), slab(i).size()) * bytes_of(dtype());
}

int64_t TrainedPanels::slab_offset(int64_t i) const {
  // All slabs but the last are whole.
  const int64_t panels = panels_of_columns(forward_.inputs);
  const int64_t whole = std::min(i, forward_.outputs / kSlabOutputs);
  const int64_t offset = whole * panels * kPanel * kSlabOutputs * bytes_of(dtype());
  return whole < i ? offset + panels * slab_panel_bytes(whole) : offset;
}

void TrainedPanels::refresh(Threads& threads, const BackwardKernels& kernels) {
  const int64_t inputs = forward_.inputs;
  threads.split(forward_.panels(), 1, [&](Range range, int) {
    for (int64_t p = range.begin; p < range.end; ++p) {
      const float* rows[kPanel];
      for (int64_t c = 0; c < kPanel; ++c) {
        const PanelColumn column = column_of(order_, parts_, p, c);
        rows[c] = column.part == nullptr
                      ? nullptr
                      : reinterpret_cast<const float*>(column.part->data) + column.row * inputs;
      }
      kernels.by_rows(rows, inputs, padded_inputs(dtype(), inputs), forward_.panel(p).elements,
                      dtype());
    }
  });
  const int64_t blocks = row_blocks(kSlabOutputs);
  threads.split(row_blocks(forward_.outputs), 1, [&](Range range, int) {
    for (int64_t item = range.begin; item < range.end; ++item) {
      const int64_t s = item / blocks;
      ByColumns matrix;
      matrix.call.rows = rows_.data() + slab(s).begin;
      matrix.call.count = slab(s).size();
      matrix.call.panel = backward_.data() + slab_offset(s);
      matrix.call.dtype = dtype();
      matrix.columns = inputs;
      matrix.fill(kernels, item % blocks);
    }
  });
}

LinearBackward::LinearBackward(Threads& threads, const CpuOptions& options)
    : threads_(threads),
      products_(options),
      backward_(backward_kernels_for(options.isa)),
      partial_(static_cast<size_t>(threads.size())) {}

// Some outputs of a product, with their part of d_out as operands of type `operand`.
struct LinearBackward::Slab {
  Slab(int64_t index_, Range outputs_, int64_t rows_, DType operand_)
      : index(index_),
        outputs(outputs_),
        rows(rows_),
        padded_rows(padded_inputs(DType::bf16, rows_)),
        operand(operand_),
        rows_stride(kSlabOutputs + kSpacing),
        columns_stride(padded_rows + kSpacing) {}
  int64_t index;
  Range outputs;
  int64_t rows, padded_rows;
  DType operand;
  int64_t rows_stride, columns_stride;
};

void LinearBackward::run(Matrix x, const TrainedPanels& weight, Matrix d_out,
                         const LinearGradients& gradients) {
  if (x.rows == 0) return;
  int64_t column = 0;
  for (const Matrix& d_bias : gradients.d_biases) {
    if (d_bias.data != nullptr) add_bias(d_out.col_range(column, column + d_bias.cols), d_bias);
    column += d_bias.cols;
  }
  const auto wanted = [](const Matrix& d_part) { return d_part.data != nullptr; };
  if (std::any_of(gradients.d_parts.begin(), gradients.d_parts.end(), wanted)) pack_x(x);
  for (int64_t i = 0; i < weight.slabs(); ++i) {
    const Slab slab(i, weight.slab(i), x.rows, x.dtype);
    lay_out(slab, d_out);
    multiply(slab, weight, gradients);
  }
}

void LinearBackward::add_bias(Matrix d_out, Matrix d_bias) {
  constexpr int64_t kColumns = 256;
  threads_.split((d_out.cols + kColumns - 1) / kColumns, 1, [&](Range range, int) {
    const int64_t from = range.begin * kColumns;
    const int64_t count = std::min(range.end * kColumns, d_out.cols) - from;
    for (int64_t first = from; first < from + count; first += kColumns) {
      // Summed up apart: a large gradient would swallow the rows one by one.
      float sums[kColumns] = {};
      const int64_t columns = std::min(kColumns, from + count - first);
      for (int64_t r = 0; r < d_out.rows; ++r) {
        backward_.add(d_out.row<float>(r) + first, columns, sums);
      }
      backward_.add(sums, columns, d_bias.row<float>(0) + first);
    }
  });
}

// x [R, K] as a weight with K outputs and R inputs.
void LinearBackward::pack_x(Matrix x) {
  const int64_t bytes = weight_panel_elements(x.dtype, x.rows) * bytes_of(x.dtype);
  std::vector<const void*> rows;
  for (int64_t r = 0; r < x.rows; ++r) {
    rows.push_back(x.data + r * x.stride * bytes_of(x.dtype));
  }
  ByColumns matrix;
  matrix.call.rows = rows.data();
  matrix.call.source = x.dtype;
  matrix.call.count = x.rows;
  matrix.call.panel = x_panels_.at_least(panels_of_columns(x.cols) * bytes);
  matrix.call.dtype = x.dtype;
  matrix.columns = x.cols;
  threads_.split(row_blocks(x.rows), 1, [&](Range range, int) {
    for (int64_t block = range.begin; block < range.end; ++block) matrix.fill(backward_, block);
  });
}

// A few rows at a time, so that they are read from memory once for both layouts.
void LinearBackward::lay_out(const Slab& slab, Matrix d_out) {
  const int64_t element = bytes_of(slab.operand);
  std::byte* const as_rows = d_rows_.at_least(slab.rows * slab.rows_stride * element);
  std::byte* const as_columns = d_columns_.at_least(kSlabOutputs * slab.columns_stride * element);
  threads_.split(slab.padded_rows / kTileDepth, 1, [&](Range range, int) {
    for (int64_t first = range.begin * kTileDepth; first < range.end * kTileDepth;
         first += kTileDepth) {
      const int64_t count = std::min<int64_t>(kTileDepth, slab.rows - first);
      const float* rows[kTileDepth];
      for (int64_t r = 0; r < count; ++r) {
        rows[r] = d_out.row<float>(first + r) + slab.outputs.begin;
        backward_.narrow(rows[r], slab.outputs.size(), slab.outputs.size(),
                         as_rows + (first + r) * slab.rows_stride * element, slab.operand);
      }
      TransposeCall call;
      call.rows = rows;
      call.count = count;
      call.padded = kTileDepth;
      call.columns = slab.outputs.size();
      call.padded_columns = round_up(call.columns, kPanel);
      call.out = as_columns + first * element;
      call.out_stride = slab.columns_stride;
      call.dtype = slab.operand;
      backward_.transpose(call);
    }
  });
}

// Each thread has some of the inputs: their columns of d_x, and of every row of the d_parts.
void LinearBackward::multiply(const Slab& slab, const TrainedPanels& weight,
                              const LinearGradients& gradients) {
  const PackedWeight& packed = weight.forward();
  const int64_t panels = panels_of_columns(packed.inputs), pairs = (panels + 1) / 2;
  const int64_t element = bytes_of(slab.operand);
  threads_.split(pairs, 1, [&](Range range, int thread) {
    LinearCall call;
    call.outputs = packed.inputs;
    call.panel_begin = 2 * range.begin;
    call.panel_end = std::min(2 * range.end, panels);
    if (gradients.d_x.data != nullptr) {
      call.x = d_rows_.data();
      call.x_stride = slab.rows_stride;
      call.rows = slab.rows;
      call.panels = weight.slab_panels(slab.index);
      call.inputs = slab.outputs.size();
      call.epilogue = slab.index == 0 ? Epilogue::store : Epilogue::add;
      call.out = gradients.d_x.data;
      call.out_stride = gradients.d_x.stride;
      multiply_panels(call, products_.of(packed.format), thread);
    }
    int64_t first = 0;  // output of the part
    for (const Matrix& d_part : gradients.d_parts) {
      const int64_t from = std::max(slab.outputs.begin, first);
      const int64_t to = std::min(slab.outputs.end, first + d_part.rows);
      if (from < to && d_part.data != nullptr) {
        call.x = d_columns_.data() + (from - slab.outputs.begin) * slab.columns_stride * element;
        call.x_stride = slab.columns_stride;
        call.rows = to - from;
        call.panels = x_panels_.data();
        call.inputs = slab.rows;
        call.epilogue = Epilogue::add;
        call.out = d_part.row<float>(from - first);
        call.out_stride = d_part.stride;
        multiply_panels(call, products_.of_operands(slab.operand), thread);
      }
      first += d_part.rows;
    }
  });
}

// In blocks of rows of which all inputs fit the cache, so that no sum has to rest in between.
void LinearBackward::multiply_panels(LinearCall call, const Product& product, int thread) {
  constexpr int64_t kOperandBytes = int64_t{1} << 20;
  const int64_t fitting =
      kOperandBytes / (bytes_of(product.operand) * std::max<int64_t>(call.inputs, 1));
  const int64_t block = std::max<int64_t>(64, fitting / 32 * 32);
  const int64_t rows = call.rows;
  std::byte* const out = static_cast<std::byte*>(call.out);
  const auto* const x = static_cast<const std::byte*>(call.x);
  for (int64_t first = 0; first < rows; first += block) {
    call.rows = std::min(block, rows - first);
    call.x = x + first * call.x_stride * bytes_of(product.operand);
    call.out = out + first * call.out_stride * static_cast<int64_t>(sizeof(float));
    if (product.needs_partial) {
      const int64_t floats =
          amx_partial_floats(call.rows, call.inputs, call.panel_end - call.panel_begin);
      call.partial = reinterpret_cast<float*>(partial_[static_cast<size_t>(thread)].at_least(
          floats * static_cast<int64_t>(sizeof(float))));
    }
    product.kernel(call);
  }
}

void LinearBackward::gate_up(Matrix x, const TrainedPanels& weight, Matrix gate_up) {
  if (x.rows == 0) return;
  const PanelWeight& panels = weight.panels();
  threads_.split(panels.panels() / 2, 1, [&](Range range, int thread) {
    LinearCall call;
    call.x = x.data;
    call.x_stride = x.stride;
    call.rows = x.rows;
    call.panels = panels.panel(0).elements;
    call.inputs = panels.inputs;
    call.outputs = panels.outputs;
    call.panel_begin = 2 * range.begin;
    call.panel_end = 2 * range.end;
    call.epilogue = Epilogue::halves;
    call.out = gate_up.data;
    call.out_stride = gate_up.stride;
    multiply_panels(call, products_.of(panels.format), thread);
  });
}

int64_t LinearBackward::scratch_bytes() const {
  int64_t bytes = x_panels_.bytes() + d_rows_.bytes() + d_columns_.bytes();
  for (const Scratch& partial : partial_) bytes += partial.bytes();
  return bytes;
}

}  // namespace tidar::cpu
