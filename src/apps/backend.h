#pragma once
// Chooses the arithmetic: the one place of the program that knows which backends there are.

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/threads.h"
#include "ops/backward.h"
#include "ops/cpu/cpu_ops.h"
#include "ops/ops.h"

namespace tidar {

/// How arithmetic is done, as the flags name it.
struct BackendFlags {
  std::string device = "cpu";             ///< or "cuda", or "cuda:N": the GPU of that number
  std::string isa = "best";               ///< of the CPU
  Precision precision = Precision::bf16;  ///< of the CPU
  bool exact = false;                     ///< of GPUs: CudaOptions::exact_rows
};

/// What --isa may be: "best", the names of the instruction sets, and "ref": the plain float code
/// that everything else is tested against.
std::vector<std::string> isa_choices();

/// Adds --device and --exact; --isa; and --threads: 0 for as many as this process may run on. What
/// they are given holds the default, and must outlive the parsing.
void add_device_flags(CLI::App& command, BackendFlags& flags);
void add_isa_flag(CLI::App& command, std::string& isa);
void add_threads_flag(CLI::App& command, int& threads);

/// The verbs, and what they allocate besides what they are asked for.
struct Backend {
  std::unique_ptr<Ops> ops;
  const CpuOps* cpu = nullptr;  ///< `ops`, if it is one
  std::optional<Isa> isa;       ///< of `cpu`
  std::optional<int> gpu;       ///< the number of the GPU, if `ops` is on one
  Precision precision = Precision::f32;

  int64_t scratch_bytes() const { return cpu == nullptr ? 0 : cpu->scratch_bytes(); }
};

/// The number of the GPU that --device names; none: the CPU. An Error when it names nothing.
Result<std::optional<int>> parse_device(const std::string& device);

/// An Error when this processor lacks the instruction set, when there is no such GPU, and when
/// flags contradict each other. `threads` must outlive the result.
Result<Backend> make_backend(const BackendFlags& flags, Threads& threads);

/// The backward halves of a backend's verbs, which is on the CPU. Both arguments must outlive the
/// result.
std::unique_ptr<BackwardOps> make_backward(const Backend& backend, Threads& threads);

}  // namespace tidar
