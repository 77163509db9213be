#include "ops/cpu/kernels.h"

#include "base/check.h"
#include "ops/cpu/built_isas.h"

namespace tidar::cpu {

#define TIDAR_DECLARE(isa)       \
  namespace isa {                \
  extern const Kernels kKernels; \
  }
TIDAR_EACH_BUILT_ISA(TIDAR_DECLARE)
#undef TIDAR_DECLARE

const Kernels& kernels_for(Isa isa) {
#define TIDAR_CHOOSE(name) \
  if (isa == Isa::name) return name::kKernels;
  TIDAR_EACH_BUILT_ISA(TIDAR_CHOOSE)
#undef TIDAR_CHOOSE
  fail_check(__FILE__, __LINE__, "an instruction set that usable_isas() does not list");
}

const KvKernels& kv_kernels(const Kernels& kernels, DType dtype) {
  switch (dtype) {
    case DType::f32:
      return kernels.kv_f32;
    case DType::bf16:
      return kernels.kv_bf16;
    case DType::i8:
      return kernels.kv_i8;
    default:
      fail_check(__FILE__, __LINE__, "not a type of keys and values");
  }
}

int64_t attend_scratch_floats(int64_t queries, int64_t padded_size) {
  constexpr int64_t kChunkKeys = 64;
  queries = round_up(queries, kPanel);
  // Scores, sums, three statistics; then queries and weights as operands, at most floats.
  return queries * (2 * kChunkKeys + 2 * padded_size + 3);
}

}  // namespace tidar::cpu
