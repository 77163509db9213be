#include "onednn.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <dnnl.hpp>

// Of the OpenMP runtime that oneDNN brings along; weak, because it may bring another one.
extern "C" [[gnu::weak]] void omp_set_num_threads(int);

namespace tidar {

double onednn_product_gflops(const Threads& threads, DType operand) {
  using dnnl::memory;
  // Each takes some milliseconds: on a busy machine, some of them are not interrupted.
  constexpr int kRuns = 40;
  constexpr int64_t kRows = 512, kInputs = 2048, kOutputs = 2048;
  if (omp_set_num_threads != nullptr) omp_set_num_threads(threads.size());
  const auto type = operand == DType::bf16 ? memory::data_type::bf16 : memory::data_type::f32;
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
  double best_seconds = 1e9;
  for (int run = 0; run < kRuns; ++run) {
    const auto start = std::chrono::steady_clock::now();
    product.execute(
        stream,
        {{DNNL_ARG_SRC, x_memory}, {DNNL_ARG_WEIGHTS, w_memory}, {DNNL_ARG_DST, out_memory}});
    stream.wait();
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    best_seconds = std::min(best_seconds, taken.count());
  }
  return 2e-9 * kRows * kInputs * kOutputs / best_seconds;
}

}  // namespace tidar
