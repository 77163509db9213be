// Our products beside oneDNN's: why ops/cpu has kernels of its own.
//
//   product_bench [--rows 1,8,…] [--shape K,N] [--isa NAME] [--threads N]
//
// Weights are not in any cache: copies of them, 600 MB in all, are used in turn. Each line is the
// median of at least 20 calls.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <dnnl.hpp>
#include <functional>
#include <memory>
#include <vector>

#include "base/buffer.h"
#include "base/rng.h"
#include "base/threads.h"
#include "onednn.h"
#include "ops/cpu/cpu_ops.h"
#include "ops/cpu/roofs.h"

namespace tidar {
namespace {

struct Shape {
  int64_t inputs, outputs;
};

constexpr int64_t kWeightBytes = 600'000'000;
constexpr int kCalls = 20;

int copies_of(Shape shape) {
  return static_cast<int>(std::max<int64_t>(2, kWeightBytes / (2 * shape.inputs * shape.outputs)));
}

// Median seconds of call(i) for i = 0, 1, …, each with another copy of the weights.
double median_seconds(int copies, const std::function<void(int)>& call) {
  std::vector<double> seconds;
  for (int i = 0; i < std::max(copies, kCalls) + 1; ++i) {
    const auto start = std::chrono::steady_clock::now();
    call(i % copies);
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    if (i > 0) seconds.push_back(taken.count());
  }
  std::nth_element(seconds.begin(),
                   seconds.begin() + static_cast<std::ptrdiff_t>(seconds.size() / 2),
                   seconds.end());
  return seconds[seconds.size() / 2];
}

std::vector<BFloat16> random_values(int64_t count) {
  Rng rng(1);
  std::vector<BFloat16> values;
  values.reserve(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) values.emplace_back(rng.uniform() - 0.5f);
  return values;
}

// Both products of one shape, with all copies of its packed weights.
class Ours {
 public:
  Ours(Ops& ops, Shape shape, const std::vector<BFloat16>& weight) : ops_(ops), shape_(shape) {
    const HostMatrix part = {reinterpret_cast<const std::byte*>(weight.data()), DType::bf16,
                             shape.outputs, shape.inputs};
    for (int i = 0; i < copies_of(shape); ++i) {
      weights_.push_back(ops.pack(PackOrder::stacked, {&part, 1}, WeightFormat::bf16));
    }
  }
  double seconds(int64_t rows) {
    const DType operand = ops_.operand(WeightFormat::bf16);
    Buffer x(static_cast<size_t>(rows * shape_.inputs) * size_of(operand));
    Buffer out(static_cast<size_t>(rows * shape_.outputs) * sizeof(float));
    return median_seconds(copies_of(shape_), [&](int copy) {
      ops_.linear(Matrix(x.data(), operand, rows, shape_.inputs),
                  *weights_[static_cast<size_t>(copy)], nullptr,
                  Matrix(out.data(), DType::f32, rows, shape_.outputs));
    });
  }

 private:
  Ops& ops_;
  Shape shape_;
  std::vector<std::unique_ptr<PackedWeight>> weights_;
};

double onednn_seconds(Shape shape, int64_t rows, const std::vector<BFloat16>& weight) {
  using dnnl::memory;
  using Type = memory::data_type;
  using Tag = memory::format_tag;
  const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  dnnl::stream stream(engine);
  const memory::desc x({rows, shape.inputs}, Type::bf16, Tag::ab);
  const memory::desc plain({shape.inputs, shape.outputs}, Type::bf16, Tag::ba);
  const memory::desc out({rows, shape.outputs}, Type::f32, Tag::ab);
  const memory::desc any({shape.inputs, shape.outputs}, Type::bf16, Tag::any);
  const dnnl::matmul::primitive_desc chosen(dnnl::matmul::desc(x, any, out), engine);
  const dnnl::matmul product(chosen);
  memory x_memory(x, engine), out_memory(out, engine);
  memory plain_memory(plain, engine, const_cast<BFloat16*>(weight.data()));
  std::vector<memory> weights;
  for (int i = 0; i < copies_of(shape); ++i) {
    weights.emplace_back(chosen.weights_desc(), engine);
    dnnl::reorder(plain_memory, weights.back()).execute(stream, plain_memory, weights.back());
  }
  stream.wait();
  return median_seconds(copies_of(shape), [&](int copy) {
    product.execute(stream, {{DNNL_ARG_SRC, x_memory},
                             {DNNL_ARG_WEIGHTS, weights[static_cast<size_t>(copy)]},
                             {DNNL_ARG_DST, out_memory}});
    stream.wait();
  });
}

void compare(Ops& ops, Shape shape, const std::vector<int64_t>& rows) {
  const auto weight = random_values(shape.inputs * shape.outputs);
  const double weight_bytes = 2.0 * static_cast<double>(shape.inputs * shape.outputs);
  std::vector<double> ours;
  {
    Ours product(ops, shape, weight);
    for (const int64_t r : rows) ours.push_back(product.seconds(r));
  }
  for (size_t i = 0; i < rows.size(); ++i) {
    const double work = weight_bytes * static_cast<double>(rows[i]);
    const double theirs = onednn_seconds(shape, rows[i], weight);
    std::printf("%5lld x %-5lld %5lld  %9.0f %7.0f %6.1f  %9.0f %7.0f %6.1f\n",
                static_cast<long long>(shape.inputs), static_cast<long long>(shape.outputs),
                static_cast<long long>(rows[i]), ours[i] * 1e6, work / ours[i] / 1e9,
                weight_bytes / ours[i] / 1e9, theirs * 1e6, work / theirs / 1e9,
                weight_bytes / theirs / 1e9);
  }
}

}  // namespace
}  // namespace tidar

int main(int argc, char** argv) {
  CLI::App app{"Products with bf16 weights: our kernels beside oneDNN's"};
  std::vector<int64_t> rows = {1, 8, 16, 32, 64, 128, 272, 512};
  std::vector<int64_t> shape;
  std::string isa_name = "best";
  int thread_count = 0;
  app.add_option("--rows", rows, "Numbers of rows")->delimiter(',');
  app.add_option("--shape", shape, "Inputs and outputs; default: those of Qwen2.5-0.5B")
      ->delimiter(',')
      ->expected(2);
  app.add_option("--isa", isa_name, "Instruction set of our kernels");
  app.add_option("--threads", thread_count, "Threads of our kernels; oneDNN's: OMP_NUM_THREADS");
  CLI11_PARSE(app, argc, argv);

  const auto usable = tidar::usable_isas();
  const auto isa = isa_name == "best" ? std::optional(usable.back()) : tidar::isa_named(isa_name);
  if (!isa || std::find(usable.begin(), usable.end(), *isa) == usable.end()) {
    std::fprintf(stderr, "this processor has no instruction set '%s'\n", isa_name.c_str());
    return 2;
  }
  tidar::Threads threads(thread_count);
  const auto ops = tidar::make_cpu_ops(threads, {*isa, tidar::Precision::bf16});
  const auto roofs = tidar::measure_roofs(threads, *isa);
  std::printf("roofs: %.1f GB/s; %s %.0f GFLOP/s; a large oneDNN product %.0f GFLOP/s\n\n",
              roofs.memory_gbps, std::string(ops->name()).c_str(), roofs.bf16_gflops,
              tidar::onednn_product_gflops(threads, tidar::DType::bf16));
  std::printf("inputs x outputs rows  ours: us GFLOP/s   GB/s  oneDNN: us GFLOP/s GB/s\n");
  std::vector<tidar::Shape> shapes = {{896, 1152}, {896, 9728}, {4864, 896}};
  if (!shape.empty()) shapes = {{shape[0], shape[1]}};
  for (const auto& one : shapes) tidar::compare(*ops, one, rows);
  return 0;
}
