#include "ops/cpu/roofs.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <dnnl.hpp>

#include "base/check.h"
#include "ops/cpu/kernels.h"

// Of the OpenMP runtime that oneDNN brings along; weak, because it may bring another one.
extern "C" [[gnu::weak]] void omp_set_num_threads(int);

namespace tidar {

namespace {

constexpr int kRuns = 5;
// Of products, each some milliseconds long: on a busy machine, some of them are not interrupted.
constexpr int kProductRuns = 40;

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// The best rate of some runs of work(), which returns how much it did, in 10^9 a second.
template <class Work>
double best_rate(int runs, Work&& work) {
  double best = 0;
  for (int run = 0; run < runs; ++run) {
    const double start = seconds_now();
    const double done = work();
    best = std::max(best, done / (seconds_now() - start) / 1e9);
  }
  return best;
}

double spin_rate(Threads& threads, double (*spin)(int64_t)) {
  std::atomic<double> done{0};
  return best_rate(kRuns, [&] {
    done = 0;
    threads.run([&](int) { done.fetch_add(spin(2'000'000)); });
    return done.load();
  });
}

double onednn_rate(dnnl::memory::data_type type) {
  using dnnl::memory;
  constexpr int64_t kRows = 512, kInputs = 2048, kOutputs = 2048;
  const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  dnnl::stream stream(engine);
  const memory::desc x({kRows, kInputs}, type, memory::format_tag::ab);
  const memory::desc w({kInputs, kOutputs}, type, memory::format_tag::any);
  const memory::desc out({kRows, kOutputs}, memory::data_type::f32, memory::format_tag::ab);
  const dnnl::matmul::primitive_desc chosen(dnnl::matmul::desc(x, w, out), engine);
  const dnnl::matmul product(chosen);
  memory x_memory(x, engine), w_memory(chosen.weights_desc(), engine), out_memory(out, engine);
  std::memset(x_memory.get_data_handle(), 0, x.get_size());
  std::memset(w_memory.get_data_handle(), 0, chosen.weights_desc().get_size());
  return best_rate(kProductRuns, [&] {
    product.execute(
        stream,
        {{DNNL_ARG_SRC, x_memory}, {DNNL_ARG_WEIGHTS, w_memory}, {DNNL_ARG_DST, out_memory}});
    stream.wait();
    return 2.0 * kRows * kInputs * kOutputs;
  });
}

}  // namespace

MemoryReader::MemoryReader(Threads& threads, Isa isa)
    : threads_(threads), read_(cpu::kernels_for(isa).read_memory), buffer_(size_t{1} << 30) {
  // Touched by all threads, so that every page is there and where it is read from.
  threads_.split(static_cast<int64_t>(buffer_.bytes()), 1, [&](Range range, int) {
    std::memset(buffer_.data() + range.begin, 1, static_cast<size_t>(range.size()));
  });
}

double MemoryReader::measure_gbps() {
  const auto bytes = static_cast<int64_t>(buffer_.bytes());
  return best_rate(1, [&] {
    threads_.split(bytes, 64,
                   [&](Range range, int) { read_(buffer_.data() + range.begin, range.size()); });
    return static_cast<double>(bytes);
  });
}

double measure_memory_gbps(Threads& threads, Isa isa) {
  MemoryReader reader(threads, isa);
  double best = 0;
  for (int run = 0; run < kRuns; ++run) best = std::max(best, reader.measure_gbps());
  return best;
}

double measure_product_gflops(Threads& threads, DType dtype) {
  TIDAR_CHECK(dtype == DType::f32 || dtype == DType::bf16);
  if (omp_set_num_threads != nullptr) omp_set_num_threads(threads.size());
  using Type = dnnl::memory::data_type;
  return onednn_rate(dtype == DType::bf16 ? Type::bf16 : Type::f32);
}

CpuRoofs measure_roofs(Threads& threads, Isa isa) {
  const cpu::Kernels& kernels = cpu::kernels_for(isa);
  CpuRoofs roofs;
  roofs.memory_gbps = measure_memory_gbps(threads, isa);
  roofs.f32_gflops = spin_rate(threads, kernels.spin_f32);
  roofs.bf16_gflops = spin_rate(threads, kernels.spin_bf16);
  roofs.f32_product_gflops = measure_product_gflops(threads, DType::f32);
  roofs.bf16_product_gflops = measure_product_gflops(threads, DType::bf16);
  return roofs;
}

}  // namespace tidar
