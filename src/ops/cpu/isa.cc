#include "ops/cpu/isa.h"

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>

#include "ops/cpu/built_isas.h"

namespace tidar {

namespace {

struct NamedIsa {
  Isa isa;
  std::string_view name;
};
constexpr std::array<NamedIsa, 4> kIsas = {{{Isa::avx2, "avx2"},
                                            {Isa::avx512, "avx512"},
                                            {Isa::avx512_bf16, "avx512-bf16"},
                                            {Isa::amx, "amx"}}};

// Linux keeps the 8 KiB of tile registers away from a process until it asks (arch_prctl with
// ARCH_REQ_XCOMP_PERM for state 18, tile data).
bool request_amx() {
  constexpr long kRequestPermission = 0x1023;
  constexpr long kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

bool has_amx_bf16() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return false;
  constexpr unsigned kAmxBf16 = 1u << 22, kAmxTile = 1u << 24;
  return (d & kAmxBf16) != 0 && (d & kAmxTile) != 0;
}

bool has_f16c() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
}

/// What this processor and system can run, the best last.
std::vector<Isa> find_runnable() {
  std::vector<Isa> found;
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !has_f16c()) {
    return found;
  }
  found.push_back(Isa::avx2);
  if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
      !__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512vl")) {
    return found;
  }
  found.push_back(Isa::avx512);
  if (!__builtin_cpu_supports("avx512bf16") || !__builtin_cpu_supports("avx512vnni")) return found;
  found.push_back(Isa::avx512_bf16);
  if (has_amx_bf16() && request_amx()) found.push_back(Isa::amx);
  return found;
}

bool is_built(Isa isa) {
#define TIDAR_IS(name) \
  if (isa == Isa::name) return true;
  TIDAR_EACH_BUILT_ISA(TIDAR_IS)
#undef TIDAR_IS
  return false;
}

std::vector<Isa> find_usable() {
  std::vector<Isa> found = find_runnable();
  std::erase_if(found, [](Isa isa) { return !is_built(isa); });
  return found;
}

}  // namespace

std::string_view name_of(Isa isa) { return kIsas[static_cast<size_t>(isa)].name; }

std::optional<Isa> isa_named(std::string_view name) {
  for (const auto& entry : kIsas) {
    if (entry.name == name) return entry.isa;
  }
  return std::nullopt;
}

std::vector<Isa> usable_isas() {
  static const std::vector<Isa> usable = find_usable();
  return usable;
}

}  // namespace tidar
