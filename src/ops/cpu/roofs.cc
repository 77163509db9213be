#include "ops/cpu/roofs.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "base/check.h"
#include "base/stopwatch.h"
#include "ops/cpu/kernels.h"

namespace tidar {

namespace {

constexpr int kRuns = 5;

// The best rate of some runs of work(), which returns how much it did, in 10^9 a second.
template <class Work>
double best_rate(int runs, Work&& work) {
  double best = 0;
  for (int run = 0; run < runs; ++run) {
    const Stopwatch watch;
    const double done = work();
    best = std::max(best, done / watch.seconds() / 1e9);
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

double measure_product_gflops(Threads& threads, Isa isa, DType operand) {
  TIDAR_CHECK(operand == DType::f32 || operand == DType::bf16 || operand == DType::i8);
  const cpu::Kernels& kernels = cpu::kernels_for(isa);
  if (operand == DType::i8) return spin_rate(threads, kernels.spin_i8);
  return spin_rate(threads, operand == DType::bf16 ? kernels.spin_bf16 : kernels.spin_f32);
}

CpuRoofs measure_roofs(Threads& threads, Isa isa) {
  return {.memory_gbps = measure_memory_gbps(threads, isa),
          .f32_gflops = measure_product_gflops(threads, isa, DType::f32),
          .bf16_gflops = measure_product_gflops(threads, isa, DType::bf16),
          .i8_gops = measure_product_gflops(threads, isa, DType::i8)};
}

}  // namespace tidar
