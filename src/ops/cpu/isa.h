#pragma once
// The instruction sets that kernels are compiled for.

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace tidar {

/// Each includes those before it. `amx` multiplies bf16 matrices in tiles of 16 x 32 by 32 x 16.
enum class Isa : uint8_t { avx2, avx512, avx512_bf16, amx };

/// "avx2", "avx512", "avx512-bf16", "amx".
std::string_view name_of(Isa isa);
std::optional<Isa> isa_named(std::string_view name);

/// Those that this processor and system can run and that kernels were compiled for, the best last;
/// empty on a processor without AVX2. The first call asks the system for the use of AMX tiles on
/// behalf of the whole process.
std::vector<Isa> usable_isas();

}  // namespace tidar
