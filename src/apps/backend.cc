#include "apps/backend.h"

#include <algorithm>

#include "apps/ranges.h"
#include "ops/cpu/cpu_backward.h"
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

}  // namespace

std::vector<std::string> isa_choices() {
  std::vector<std::string> choices = {"best"};
  for (const Isa isa : kIsas) choices.emplace_back(name_of(isa));
  choices.emplace_back("ref");
  return choices;
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

Result<Backend> make_backend(const std::string& isa, Precision precision, Threads& threads) {
  const std::vector<Isa> usable = usable_isas();
  if (isa == "ref" || (isa == "best" && usable.empty())) {
    return Backend{make_ref_ops(DType::f32), nullptr, std::nullopt, precision};
  }
  const Isa chosen = isa == "best" ? usable.back() : isa_named(isa).value();
  if (std::find(usable.begin(), usable.end(), chosen) == usable.end()) {
    return error("--isa {}: this processor has only {}", isa, names_of(usable));
  }
  std::unique_ptr<CpuOps> ops = make_cpu_ops(threads, {.isa = chosen, .precision = precision});
  const CpuOps* cpu = ops.get();
  return Backend{std::move(ops), cpu, chosen, precision};
}

std::unique_ptr<BackwardOps> make_backward(const Backend& backend, Threads& threads) {
  if (!backend.isa) return make_ref_backward(*backend.ops);
  return make_cpu_backward(threads, {.isa = *backend.isa, .precision = backend.precision},
                           *backend.ops);
}

}  // namespace tidar
