#include "apps/backend.h"

#include <algorithm>
#include <charconv>

#include "apps/ranges.h"
#include "ops/cpu/cpu_backward.h"
#include "ops/cuda/open_cuda.h"
#include "ops/ref/ref_backward.h"
#include "ops/ref/ref_ops.h"

namespace tidar {
namespace {

constexpr Isa kIsas[] = {Isa::avx2, Isa::avx512, Isa::avx512_bf16, Isa::amx};

std::string names_of(const std::vector<Isa>& isas) {
  std::string names = "ref";
  for (const Isa isa : isas) names += fmt::format(", {}", name_of(isa));
  return names;
}

Result<Backend> make_gpu_backend(int gpu, const BackendFlags& flags) {
  if (flags.isa != "best") {
    return error("--isa {}: names kernels of the CPU, and --device {} computes on a GPU; give one",
                 flags.isa, flags.device);
  }
  auto ops = cuda::open_cuda(gpu, {.exact_rows = flags.exact});
  if (!ops.ok()) return error("--device {}: {}", flags.device, ops.error().message);
  return Backend{
      .ops = std::move(*ops), .cpu = nullptr, .isa = {}, .gpu = gpu, .precision = flags.precision};
}

}  // namespace

std::vector<std::string> isa_choices() {
  std::vector<std::string> choices = {"best"};
  for (const Isa isa : kIsas) choices.emplace_back(name_of(isa));
  choices.emplace_back("ref");
  return choices;
}

void add_device_flags(CLI::App& command, BackendFlags& flags) {
  command
      .add_option("--device", flags.device,
                  "Where to compute: cpu, or cuda or cuda:N for a GPU, counted from 0")
      ->check(parsed_by(parse_device))
      ->type_name("")
      ->capture_default_str();
  command.add_flag("--exact", flags.exact,
                   "On a GPU: a row's bits are the same whatever other rows share its pass; "
                   "passes of more than 8 rows take longer, since weights are read once for every "
                   "64 of them, and not by cuBLASLt. On the CPU that always holds");
}

void add_isa_flag(CLI::App& command, std::string& isa) {
  command.add_option("--isa", isa, "Instruction set")
      ->check(CLI::IsMember(isa_choices()))
      ->type_name("")
      ->capture_default_str();
}

void add_threads_flag(CLI::App& command, int& threads) {
  command.add_option("--threads", threads, "Threads (0: all that this process may use)")
      ->check(whole_number(0, 1024))
      ->type_name("N")
      ->capture_default_str();
}

Result<std::optional<int>> parse_device(const std::string& device) {
  if (device == "cpu") return std::optional<int>();
  if (device == "cuda") return std::optional<int>(0);
  const std::string_view named = "cuda:";
  if (device.starts_with(named)) {
    int index = 0;
    const char* const end = device.data() + device.size();
    const auto [last, failure] = std::from_chars(device.data() + named.size(), end, index);
    if (failure == std::errc() && last == end && index >= 0) return std::optional<int>(index);
  }
  return error("expected cpu, cuda, or cuda:N for the GPU of that number, found '{}'", device);
}

Result<Backend> make_backend(const BackendFlags& flags, Threads& threads) {
  TIDAR_TRY(const std::optional<int> gpu, parse_device(flags.device));
  if (gpu) return make_gpu_backend(*gpu, flags);
  const std::string& isa = flags.isa;
  const Precision precision = flags.precision;
  const std::vector<Isa> usable = usable_isas();
  if (isa == "ref" || (isa == "best" && usable.empty())) {
    return Backend{.ops = make_ref_ops(DType::f32),
                   .cpu = nullptr,
                   .isa = {},
                   .gpu = {},
                   .precision = precision};
  }
  const Isa chosen = isa == "best" ? usable.back() : isa_named(isa).value();
  if (std::find(usable.begin(), usable.end(), chosen) == usable.end()) {
    return error("--isa {}: this processor and this build have only {}", isa, names_of(usable));
  }
  std::unique_ptr<CpuOps> ops = make_cpu_ops(threads, {.isa = chosen, .precision = precision});
  const CpuOps* cpu = ops.get();
  return Backend{
      .ops = std::move(ops), .cpu = cpu, .isa = chosen, .gpu = {}, .precision = precision};
}

std::unique_ptr<BackwardOps> make_backward(const Backend& backend, Threads& threads) {
  if (!backend.isa) return make_ref_backward(*backend.ops);
  return make_cpu_backward(threads, {.isa = *backend.isa, .precision = backend.precision},
                           *backend.ops);
}

}  // namespace tidar
