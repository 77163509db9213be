#include "ops/cpu/backward_kernels.h"

#include "base/check.h"

namespace tidar::cpu {

namespace avx2 {
extern const BackwardKernels kBackwardKernels;
}
namespace avx512 {
extern const BackwardKernels kBackwardKernels;
}
namespace avx512_bf16 {
extern const BackwardKernels kBackwardKernels;
}
namespace amx {
extern const BackwardKernels kBackwardKernels;
}

const BackwardKernels& backward_kernels_for(Isa isa) {
  switch (isa) {
    case Isa::avx2:
      return avx2::kBackwardKernels;
    case Isa::avx512:
      return avx512::kBackwardKernels;
    case Isa::avx512_bf16:
      return avx512_bf16::kBackwardKernels;
    case Isa::amx:
      return amx::kBackwardKernels;
  }
  fail_check(__FILE__, __LINE__, "no such instruction set");
}

}  // namespace tidar::cpu
