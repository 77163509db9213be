#include "ops/cpu/kernels.h"

#include "base/check.h"

namespace tidar::cpu {

namespace avx2 {
extern const Kernels kKernels;
}
namespace avx512 {
extern const Kernels kKernels;
}
namespace avx512_bf16 {
extern const Kernels kKernels;
}
namespace amx {
extern const Kernels kKernels;
}

const Kernels& kernels_for(Isa isa) {
  switch (isa) {
    case Isa::avx2:
      return avx2::kKernels;
    case Isa::avx512:
      return avx512::kKernels;
    case Isa::avx512_bf16:
      return avx512_bf16::kKernels;
    case Isa::amx:
      return amx::kKernels;
  }
  fail_check(__FILE__, __LINE__, "no such instruction set");
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
