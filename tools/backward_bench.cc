// How fast the backward halves are: products beside oneDNN's, attention over the sights of TiDAR's
// training, and what is done to every number once.
//
//   backward_bench [--rows 1024] [--isa NAME] [--threads N] [--precision bf16|f32]
//                  [--part products|attention|rows] [--busy]
//
// Each figure is the best of many calls: other programs can only lower it.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <dnnl.hpp>
#include <functional>
#include <memory>
#include <vector>

#include "base/buffer.h"
#include "base/rng.h"
#include "base/threads.h"
#include "onednn.h"
#include "ops/cpu/cpu_backward.h"
#include "ops/cpu/roofs.h"
#include "plan/layouts.h"

namespace tidar {
namespace {

constexpr int kCalls = 100;

// Of the processor, all threads together: what one thread takes on a busy machine.
double processor_seconds() {
  timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

double wall_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// The clock, and the best of many calls by it.
struct Stopwatch {
  double (*seconds)() = wall_seconds;

  double best(const std::function<void()>& call) const {
    double least = 1e9;
    for (int i = 0; i < kCalls; ++i) {
      const double start = seconds();
      call();
      least = std::min(least, seconds() - start);
    }
    return least;
  }
};

// A matrix of normal numbers that owns its elements.
class Numbers {
 public:
  Numbers(DType dtype, int64_t rows, int64_t cols)
      : buffer_(static_cast<size_t>(rows * cols) * size_of(dtype)),
        view_(buffer_.data(), dtype, rows, cols) {
    Rng rng(static_cast<uint64_t>(rows + cols));
    for (int64_t i = 0; i < rows * cols; ++i) {
      const float value = 0.1f * rng.normal();
      if (dtype == DType::bf16) {
        buffer_.as<BFloat16>()[i] = BFloat16(value);
      } else {
        buffer_.as<float>()[i] = value;
      }
    }
  }
  operator Matrix() const { return view_; }
  void* data() const { return buffer_.data(); }

 private:
  Buffer buffer_;
  Matrix view_;
};

// d_x = d_out W and d_W += d_out^T x by oneDNN, operands given as bf16.
double onednn_seconds(const Stopwatch& watch, int64_t rows, int64_t inputs, int64_t outputs) {
  using dnnl::memory;
  using Type = memory::data_type;
  using Tag = memory::format_tag;
  const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  dnnl::stream stream(engine);
  const Numbers x(DType::bf16, rows, inputs), d_out(DType::bf16, rows, outputs);
  const Numbers weight(DType::bf16, outputs, inputs);
  const Numbers d_x(DType::f32, rows, inputs), d_weight(DType::f32, outputs, inputs);
  const auto at = [&](const Numbers& numbers, const memory::dims& dims, Type type, Tag tag) {
    return memory({dims, type, tag}, engine, numbers.data());
  };
  memory d_rows = at(d_out, {rows, outputs}, Type::bf16, Tag::ab);
  memory d_columns = at(d_out, {outputs, rows}, Type::bf16, Tag::ba);
  memory x_memory = at(x, {rows, inputs}, Type::bf16, Tag::ab);
  memory w_memory = at(weight, {outputs, inputs}, Type::bf16, Tag::ab);
  memory d_x_memory = at(d_x, {rows, inputs}, Type::f32, Tag::ab);
  memory d_w_memory = at(d_weight, {outputs, inputs}, Type::f32, Tag::ab);
  const dnnl::matmul to_x(dnnl::matmul::primitive_desc(
      dnnl::matmul::desc(d_rows.get_desc(), w_memory.get_desc(), d_x_memory.get_desc()), engine));
  dnnl::post_ops adds;
  adds.append_sum(1);
  dnnl::primitive_attr attributes;
  attributes.set_post_ops(adds);
  const dnnl::matmul to_weight(dnnl::matmul::primitive_desc(
      dnnl::matmul::desc(d_columns.get_desc(), x_memory.get_desc(), d_w_memory.get_desc()),
      attributes, engine));
  return watch.best([&] {
    to_x.execute(
        stream, {{DNNL_ARG_SRC, d_rows}, {DNNL_ARG_WEIGHTS, w_memory}, {DNNL_ARG_DST, d_x_memory}});
    to_weight.execute(
        stream,
        {{DNNL_ARG_SRC, d_columns}, {DNNL_ARG_WEIGHTS, x_memory}, {DNNL_ARG_DST, d_w_memory}});
    stream.wait();
  });
}

struct Bench {
  CpuBackward& backward;
  WeightFormat weight;
  int64_t rows;
  double roof;  // GFLOP/s
  Stopwatch watch;

  void linear(int64_t inputs, int64_t outputs) const {
    const Numbers x(backward.forward().operand(weight), rows, inputs);
    const Numbers d_out(DType::f32, rows, outputs), master(DType::f32, outputs, inputs);
    const Numbers d_x(DType::f32, rows, inputs), d_part(DType::f32, outputs, inputs);
    const Matrix masters[] = {master}, d_parts[] = {d_part};
    const auto trained = backward.make_weight(PackOrder::stacked, masters, weight);
    const double refresh = watch.best([&] { backward.refresh(*trained); });
    const double ours = watch.best([&] {
      backward.linear(x, *trained, d_out, {d_x, d_parts, {}});
    });
    const double theirs = onednn_seconds(watch, rows, inputs, outputs);
    const double work = 4e-9 * static_cast<double>(rows * inputs * outputs);
    std::printf(
        "%5lld -> %-5lld  %8.3f ms %6.0f GFLOP/s %3.0f %%   oneDNN %8.3f ms %6.0f   "
        "refresh %.3f ms\n",
        static_cast<long long>(inputs), static_cast<long long>(outputs), ours * 1e3, work / ours,
        100 * work / ours / roof, theirs * 1e3, work / theirs, refresh * 1e3);
  }

  void attention(int heads, int kv_heads, int size, int block) const {
    const auto clean = static_cast<int32_t>(rows / 2);
    Pass pass;
    pass.begin_sequence();
    add_tidar_training(pass, std::vector<int32_t>(static_cast<size_t>(clean)), block, 0);
    std::unique_ptr<PreparedPass> prepared;
    backward.forward().prepare(pass, nullptr, prepared);
    const auto pairs = static_cast<double>(prepared->keys_seen);
    const int64_t q_cols = int64_t{heads} * size, kv_cols = int64_t{kv_heads} * size;
    const Numbers q(DType::f32, rows, q_cols), k(DType::f32, rows, kv_cols),
        v(DType::f32, rows, kv_cols);
    const Numbers out(backward.forward().operand(weight), rows, q_cols);
    const Numbers log_sums(DType::f32, rows, heads), d_out(DType::f32, rows, q_cols);
    const Numbers d_q(DType::f32, rows, q_cols), d_k(DType::f32, rows, kv_cols),
        d_v(DType::f32, rows, kv_cols);
    const AttendRows call = {q, k, v, prepared.get(), kv_heads};
    const double forward = watch.best([&] { backward.attend(call, out, log_sums); });
    const double back = watch.best([&] {
      backward.attend_backward(call, out, log_sums, d_out, {d_q, d_k, d_v});
    });
    const double product = 2e-9 * pairs * static_cast<double>(q_cols);
    std::printf(
        "attention H %d G %d E %d K %d: forward %.3f ms %.0f GFLOP/s, backward %.3f ms "
        "%.0f GFLOP/s\n",
        heads, kv_heads, size, block, forward * 1e3, 2 * product / forward, back * 1e3,
        5 * product / back);
  }

  void elementwise(int64_t hidden, int64_t ffn, int64_t vocabulary) const {
    const auto report = [&](const char* verb, double bytes, const std::function<void()>& call) {
      const double seconds = watch.best(call);
      std::printf("%-16s %8.3f ms %6.1f GB/s\n", verb, seconds * 1e3, bytes / seconds / 1e9);
    };
    const double row_bytes = 4.0 * static_cast<double>(rows);
    const Numbers gate_up(DType::f32, rows, 2 * ffn), d_ffn(DType::f32, rows, ffn);
    const Numbers d_gate_up(DType::f32, rows, 2 * ffn);
    const Numbers gated(backward.forward().operand(weight), rows, ffn);
    report("swiglu", row_bytes * 2.5 * static_cast<double>(ffn),
           [&] { backward.forward().swiglu(gate_up, gated); });
    report("swiglu_backward", row_bytes * 5 * static_cast<double>(ffn),
           [&] { backward.swiglu_backward(gate_up, d_ffn, d_gate_up); });
    const Numbers x(DType::f32, rows, hidden), d(DType::f32, rows, hidden),
        d_x(DType::f32, rows, hidden), d_weight(DType::f32, 1, hidden);
    const Matrix masters[] = {d_weight};
    const auto weights = backward.make_vector(masters);
    report("rms_norm", row_bytes * 4 * static_cast<double>(hidden), [&] {
      backward.rms_norm({x, &weights->forward(), 1e-6, 1}, d, Into::add, d_x, d_weight);
    });
    const Numbers logits(DType::f32, rows, vocabulary);
    std::vector<Label> labels(static_cast<size_t>(rows), Label{0, 1, 1e-3f});
    std::vector<double> losses(labels.size());
    report("cross_entropy", row_bytes * 2 * static_cast<double>(vocabulary),
           [&] { backward.cross_entropy(logits, labels, losses); });
  }
};

}  // namespace
}  // namespace tidar

int main(int argc, char** argv) {
  CLI::App app{"Backward kernels: products beside oneDNN's, attention, and the rest"};
  int64_t rows = 1024;
  std::string isa_name = "best", precision = "bf16";
  int thread_count = 0;
  app.add_option("--rows", rows, "Rows of the pass");
  app.add_option("--isa", isa_name, "Instruction set of our kernels");
  app.add_option("--precision", precision, "Of weights and operands")
      ->check(CLI::IsMember({"bf16", "f32"}));
  app.add_option("--threads", thread_count, "Threads of our kernels; oneDNN's: OMP_NUM_THREADS");
  std::string part = "all";
  app.add_option("--part", part, "What to measure")
      ->check(CLI::IsMember({"all", "products", "attention", "rows"}));
  bool busy = false;
  app.add_flag("--busy", busy, "Count processor time, for one thread on a busy machine");
  CLI11_PARSE(app, argc, argv);

  const auto usable = tidar::usable_isas();
  const auto isa = isa_name == "best" ? std::optional(usable.back()) : tidar::isa_named(isa_name);
  if (!isa || std::find(usable.begin(), usable.end(), *isa) == usable.end()) {
    std::fprintf(stderr, "this processor has no instruction set '%s'\n", isa_name.c_str());
    return 2;
  }
  const bool narrow = precision == "bf16";
  tidar::Threads threads(thread_count);
  const tidar::CpuOptions options = {*isa, narrow ? tidar::Precision::bf16 : tidar::Precision::f32};
  const auto ops = tidar::make_cpu_ops(threads, options);
  const auto backward = tidar::make_cpu_backward(threads, options, *ops);
  const auto roofs = tidar::measure_roofs(threads, *isa);
  const double product =
      tidar::onednn_product_gflops(threads, narrow ? tidar::DType::bf16 : tidar::DType::f32);
  std::printf(
      "%s, %d threads: %.1f GB/s; f32 %.0f, bf16 %.0f GFLOP/s; a large oneDNN product of %s %.0f "
      "GFLOP/s\n\n%lld rows; d_x and d_W, share of that product\n",
      std::string(ops->name()).c_str(), threads.size(), roofs.memory_gbps, roofs.f32_gflops,
      roofs.bf16_gflops, precision.c_str(), product, static_cast<long long>(rows));
  const tidar::Bench bench = {*backward,
                              narrow ? tidar::WeightFormat::bf16 : tidar::WeightFormat::f32,
                              rows,
                              product,
                              {busy ? tidar::processor_seconds : tidar::wall_seconds}};
  const auto wanted = [&](const char* name) { return part == "all" || part == name; };
  if (wanted("products")) {
    bench.linear(512, 1536);
    bench.linear(512, 512);
    bench.linear(512, 2816);
    bench.linear(1408, 512);
    bench.linear(512, 16384);
  }
  if (wanted("attention")) {
    bench.attention(8, 8, 64, 16);
    bench.attention(8, 2, 64, 16);
  }
  if (wanted("rows")) bench.elementwise(512, 1408, 16384);
  return 0;
}
