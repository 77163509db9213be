#include "ops/cpu/cpu_ops.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "base/buffer.h"
#include "ops/checks.h"
#include "ops/cpu/grain.h"
#include "ops/cpu/kernels.h"
#include "ops/cpu/logits.h"
#include "ops/cpu/products.h"
#include "ops/cpu/scratch.h"
#include "ops/cpu/stores.h"
#include "ops/group_codes.h"

namespace tidar {

namespace {

using cpu::AttendPlan;
using cpu::AttendTile;
using cpu::AttentionPlanner;
using cpu::Epilogue;
using cpu::Kernels;
using cpu::kGrainElements;
using cpu::KvColumn;
using cpu::LinearCall;
using cpu::OperandCodes;
using cpu::PanelKv;
using cpu::PanelPass;
using cpu::PanelWeight;
using cpu::Product;
using cpu::Products;
using cpu::row_grain;
using cpu::Scratch;

class VectorOps final : public CpuOps {
 public:
  VectorOps(Threads& threads, const CpuOptions& options)
      : threads_(threads),
        kernels_(cpu::kernels_for(options.isa)),
        products_(options),
        isa_(options.isa),
        scratch_(static_cast<size_t>(threads.size())) {}

  std::string_view name() const override { return name_of(isa_); }
  DType activation() const override { return DType::f32; }
  DType operand(WeightFormat weight) const override { return products_.of(weight).operand; }
  bool supports_kv(DType dtype) const override {
    return dtype == DType::f32 || dtype == DType::bf16 || dtype == DType::i8;
  }
  int64_t scratch_bytes() const override {
    int64_t bytes = 0;
    for (const Buffer& buffer : scratch_) bytes += static_cast<int64_t>(buffer.bytes());
    return bytes + operand_codes_.bytes();
  }

  std::unique_ptr<PackedWeight> pack(PackOrder order, std::span<const HostMatrix> parts,
                                     WeightFormat format) override {
    check_pack(order, parts, format);
    return cpu::pack_panels(threads_, order, parts, format);
  }

  std::unique_ptr<KvStore> make_kv(const KvShape& shape) override {
    check_kv_shape(*this, shape);
    return std::make_unique<PanelKv>(shape);
  }

  void copy(Matrix from, Matrix to) override {
    check_copy(from, to);
    threads_.split(from.rows, row_grain(from.cols), [&](Range rows, int) {
      HostOps::copy(from.row_range(rows.begin, rows.end), to.row_range(rows.begin, rows.end));
    });
  }

  void prepare(const Pass& pass, const KvStore* kv,
               std::unique_ptr<PreparedPass>& prepared) override;

  void embed(const PreparedPass& pass, const PackedWeight& table, Matrix out) override {
    const std::vector<int32_t>& tokens = host(pass).tokens;
    check_embed(*this, tokens, table, out);
    const auto& panels = static_cast<const PanelWeight&>(table);
    threads_.split(out.rows, row_grain(out.cols), [&](Range rows, int) {
      for (int64_t r = rows.begin; r < rows.end; ++r) {
        panels.copy_row(tokens[static_cast<size_t>(r)],
                        {out.row<float>(r), static_cast<size_t>(out.cols)});
      }
    });
  }

  void gather(Matrix x, std::span<const int32_t> rows, Matrix out) override {
    check_gather(*this, x, rows, out);
    threads_.split(out.rows, row_grain(out.cols), [&](Range range, int) {
      for (int64_t r = range.begin; r < range.end; ++r) {
        const float* from = x.row<float>(rows[static_cast<size_t>(r)]);
        std::copy(from, from + x.cols, out.row<float>(r));
      }
    });
  }

  void scatter_add(Matrix x, std::span<const int32_t> rows, double scale, Matrix out) override {
    check_scatter_add(*this, x, rows, out);
    threads_.split(x.rows, row_grain(x.cols), [&](Range range, int) {
      for (int64_t r = range.begin; r < range.end; ++r) {
        kernels_.add_scaled(x.row<float>(r), static_cast<float>(scale), x.cols,
                            out.row<float>(rows[static_cast<size_t>(r)]));
      }
    });
  }

  void rms_norm(Matrix x, const PackedVector& weight, double eps, int heads, Matrix out) override {
    check_rms_norm(*this, x, weight, heads, out);
    const float* const factors = values_of(weight).data();
    const int64_t size = x.cols / heads;
    const auto element = static_cast<int64_t>(size_of(out.dtype));
    threads_.split(x.rows, row_grain(x.cols), [&](Range rows, int) {
      for (int64_t r = rows.begin; r < rows.end; ++r) {
        for (int64_t h = 0; h < heads; ++h) {
          kernels_.rms_norm(x.row<float>(r) + h * size, factors, eps, size,
                            out.data + (r * out.stride + h * size) * element, out.dtype);
        }
      }
    });
  }

  void linear(Matrix x, const PackedWeight& weight, const PackedVector* bias, Matrix out) override {
    check_linear(*this, x, weight, bias, out);
    multiply(x, weight, Epilogue::store, bias == nullptr ? nullptr : values_of(*bias).data(), out);
  }

  void linear_add(Matrix x, const PackedWeight& weight, Matrix out) override {
    check_linear(*this, x, weight, nullptr, out);
    multiply(x, weight, Epilogue::add, nullptr, out);
  }

  void linear_swiglu(Matrix x, const PackedWeight& gate_up, Matrix out) override {
    check_linear_swiglu(*this, x, gate_up, out);
    multiply(x, gate_up, Epilogue::swiglu, nullptr, out);
  }

  void swiglu(Matrix gate_up, Matrix out) override {
    check_swiglu(*this, gate_up, out);
    const auto element = static_cast<int64_t>(size_of(out.dtype));
    threads_.split(out.rows, row_grain(out.cols), [&](Range rows, int) {
      for (int64_t r = rows.begin; r < rows.end; ++r) {
        const float* const gate = gate_up.row<float>(r);
        kernels_.swiglu(gate, gate + out.cols, out.cols, out.data + r * out.stride * element,
                        out.dtype);
      }
    });
  }

  void rope(Matrix x, int heads, const PreparedPass& pass, const RopeTable& table) override {
    const std::vector<int32_t>& positions = host(pass).positions;
    check_rope(*this, x, heads, positions, table);
    const HostRope& angles = host(table);
    const int64_t half = table.half;
    threads_.split(x.rows, row_grain(x.cols), [&](Range rows, int) {
      for (int64_t r = rows.begin; r < rows.end; ++r) {
        const int64_t angle = positions[static_cast<size_t>(r)] * half;
        for (int64_t h = 0; h < heads; ++h) {
          kernels_.rope(x.row<float>(r) + h * 2 * half, angles.cosines.data() + angle,
                        angles.sines.data() + angle, half);
        }
      }
    });
  }

  void store_kv(Matrix k, Matrix v, const PreparedPass& pass, KvStore& kv, int layer) override {
    check_store_kv(*this, k, v, pass, kv, layer);
    const auto& store = static_cast<const PanelKv&>(kv);
    const AttentionPlanner& plan = planner_of(pass);
    const int64_t size = kv.shape.head_size;
    auto* const put_column = cpu::kv_kernels(kernels_, kv.shape.dtype).put;
    // By heads, so that two threads never write to the same pair of keys.
    threads_.split(kv.shape.kv_heads, k.rows * size < kGrainElements ? kv.shape.kv_heads : 1,
                   [&](Range heads, int) {
                     for (int64_t h = heads.begin; h < heads.end; ++h) {
                       const int head = static_cast<int>(h);
                       for (int64_t r = 0; r < k.rows; ++r) {
                         KvColumn column =
                             store.column(layer, head, plan.slots()[static_cast<size_t>(r)]);
                         column.key = k.row<float>(r) + h * size;
                         column.value = v.row<float>(r) + h * size;
                         put_column(column);
                       }
                       for (const SlotMove& copy : plan.copies())
                         copy_slot(store, layer, head, copy);
                     }
                   });
  }

  void move_kv(std::span<const SlotMove> moves, KvStore& kv) override {
    check_move_kv(moves, kv);
    const auto& store = static_cast<const PanelKv&>(kv);
    for (int layer = 0; layer < kv.shape.layers; ++layer)
      for (int head = 0; head < kv.shape.kv_heads; ++head)
        for (const SlotMove& move : moves) copy_slot(store, layer, head, move);
  }

  void attend(Matrix q, const PreparedPass& pass, const KvStore& kv, int layer,
              Matrix out) override;

  void read_logits(Matrix logits, const Asks& asks, std::span<Answer> answers) override {
    check_read_logits(*this, logits, asks, answers);
    threads_.split(static_cast<int64_t>(asks.size()), 1, [&](Range range, int thread) {
      float* scratch = thread_scratch(thread, 2 * logits.cols);
      for (auto i = static_cast<size_t>(range.begin); i < static_cast<size_t>(range.end); ++i) {
        answers[i] = cpu::answer(kernels_, logits, asks[i], asks, scratch);
      }
    });
  }

 private:
  void multiply(Matrix x, const PackedWeight& weight, Epilogue epilogue, const float* bias,
                Matrix out);
  // Of all rows of x, for weights of this format; good until the next ones.
  OperandCodes round_operands(Matrix x, WeightFormat format);
  void attend_tile(const AttendTile& tile, int head, Matrix q, const PanelKv& kv, int layer,
                   const AttendPlan& plan, Matrix out, int thread);

  void copy_slot(const PanelKv& store, int layer, int head, const SlotMove& move) const {
    const cpu::KvKernels& kernels = cpu::kv_kernels(kernels_, store.shape.dtype);
    kernels.copy(store.column(layer, head, move.from), store.column(layer, head, move.to));
  }

  static const AttentionPlanner& planner_of(const PreparedPass& pass) {
    return *static_cast<const PanelPass&>(pass).planner;
  }

  // At least `floats` of scratch that only this thread uses; grows once for each larger call.
  float* thread_scratch(int thread, int64_t floats) {
    Buffer& buffer = scratch_[static_cast<size_t>(thread)];
    const auto bytes = static_cast<size_t>(floats) * sizeof(float);
    if (buffer.bytes() < bytes) buffer = Buffer(bytes);
    return buffer.as<float>();
  }

  Threads& threads_;
  const Kernels& kernels_;
  const Products products_;
  Isa isa_;
  std::vector<Buffer> scratch_;
  Scratch operand_codes_;
};

OperandCodes VectorOps::round_operands(Matrix x, WeightFormat format) {
  const int64_t groups = groups_of(x.cols), count = x.rows * groups;
  std::byte* const memory = operand_codes_.at_least(
      count * static_cast<int64_t>(kGroup + sizeof(float) + sizeof(int32_t)));
  auto* const codes = reinterpret_cast<int8_t*>(memory);
  auto* const scales = reinterpret_cast<float*>(memory + count * kGroup);
  auto* const starts = reinterpret_cast<int32_t*>(scales + count);
  threads_.split(x.rows, row_grain(x.cols), [&](Range rows, int) {
    for (int64_t r = rows.begin; r < rows.end; ++r) {
      kernels_.round_operands(x.row<float>(r), x.cols, facts_of(format).zero_code(),
                              codes + r * groups * kGroup, scales + r * groups,
                              starts + r * groups);
    }
  });
  return {groups, codes, scales, starts};
}

void VectorOps::multiply(Matrix x, const PackedWeight& weight, Epilogue epilogue, const float* bias,
                         Matrix out) {
  const auto& panels = static_cast<const PanelWeight&>(weight);
  const Product& product = products_.of(weight.format);
  LinearCall call;
  call.x = x.data;
  call.x_stride = x.stride;
  if (product.takes_codes) call.codes = round_operands(x, weight.format);
  call.rows = x.rows;
  call.panels = panels.panel(0).elements;
  call.scales = panels.panel(0).scales;
  call.inputs = weight.inputs;
  call.outputs = weight.outputs;
  call.epilogue = epilogue;
  call.bias = bias;
  call.out = out.data;
  call.out_dtype = out.dtype;
  call.out_stride = out.stride;
  // Pairs of panels stay together: gate and up, and the two that AMX multiplies at once.
  const int64_t pairs = (panels.panels() + 1) / 2;
  const int64_t work = weight.inputs * 2 * cpu::kPanel * std::max<int64_t>(x.rows, 1);
  const int64_t grain = std::max<int64_t>(1, kGrainElements / work);
  threads_.split(
      pairs, grain, [this, call, product, end = panels.panels()](Range range, int thread) {
        LinearCall mine = call;
        mine.panel_begin = 2 * range.begin;
        mine.panel_end = std::min(2 * range.end, end);
        if (product.needs_partial) {
          mine.partial = thread_scratch(
              thread,
              cpu::amx_partial_floats(mine.rows, mine.inputs, mine.panel_end - mine.panel_begin));
        }
        product.kernel(mine);
      });
}

void VectorOps::prepare(const Pass& pass, const KvStore* kv,
                        std::unique_ptr<PreparedPass>& prepared) {
  auto& made = made_in<PanelPass>(prepared);
  if (kv == nullptr) {
    made.take_rows(pass);
    return;
  }
  made.take(pass);
  if (!made.planner) made.planner.emplace(static_cast<const PanelKv&>(*kv).scratch());
  made.planner->plan(pass);
  made.keys_read = made.planner->attend().keys_read();
}

void VectorOps::attend(Matrix q, const PreparedPass& pass, const KvStore& kv, int layer,
                       Matrix out) {
  check_attend(*this, q, pass, kv, layer, out);
  const AttendPlan& plan = planner_of(pass).attend();
  const auto& store = static_cast<const PanelKv&>(kv);
  const int kv_heads = kv.shape.kv_heads;
  const int64_t items = static_cast<int64_t>(plan.tiles.size()) * kv_heads;
  // Later tiles of a prompt see more keys: threads take items as they become free.
  const int64_t takers = std::min<int64_t>(items, threads_.size());
  std::atomic<int64_t> next{takers};
  threads_.split(takers, 1, [=, this, &next, &plan, &store](Range first, int thread) {
    for (int64_t item = first.begin; item < items; item = next.fetch_add(1)) {
      attend_tile(plan.tiles[static_cast<size_t>(item / kv_heads)],
                  static_cast<int>(item % kv_heads), q, store, layer, plan, out, thread);
    }
  });
}

void VectorOps::attend_tile(const AttendTile& tile, int head, Matrix q, const PanelKv& kv,
                            int layer, const AttendPlan& plan, Matrix out, int thread) {
  const KvShape& shape = kv.shape;
  cpu::AttendCall call;
  call.rows = tile.rows;
  call.head_size = shape.head_size;
  call.padded_size = cpu::padded_head(shape.head_size);
  call.heads = static_cast<int>(q.cols / shape.head_size / shape.kv_heads);
  const int64_t first_column = int64_t{head} * call.heads * shape.head_size;
  call.q = q.row<float>(tile.first_row) + first_column;
  call.q_stride = q.stride;
  call.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(shape.head_size)));
  call.keys = kv.keys() + kv.own_offset(layer, head);
  call.values = kv.values() + kv.own_offset(layer, head);
  call.scratch_keys = kv.keys() + kv.scratch_offset(head);
  call.scratch_values = kv.values() + kv.scratch_offset(head);
  call.own_panels = kv.own_panels();
  call.panel_bytes = kv.panel_bytes();
  call.panels = plan.panels.data() + tile.first_panel;
  call.prefix_panels = tile.prefix_panels;
  call.block_panels = tile.block_panels;
  static_assert(sizeof(Sight) == 4 * sizeof(int32_t));
  call.sights = &plan.sights[static_cast<size_t>(tile.first_row)].prefix.from;
  call.out = out.data + (tile.first_row * out.stride + first_column) *
                            static_cast<int64_t>(size_of(out.dtype));
  call.out_dtype = out.dtype;
  call.out_stride = out.stride;
  call.scratch = thread_scratch(
      thread, cpu::attend_scratch_floats(int64_t{call.rows} * call.heads, call.padded_size));
  cpu::kv_kernels(kernels_, shape.dtype).attend(call);
}

}  // namespace

std::unique_ptr<CpuOps> make_cpu_ops(Threads& threads, const CpuOptions& options) {
  return std::make_unique<VectorOps>(threads, options);
}

}  // namespace tidar
