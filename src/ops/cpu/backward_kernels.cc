#include "ops/cpu/backward_kernels.h"

#include "base/check.h"
#include "ops/cpu/built_isas.h"

namespace tidar::cpu {

#define TIDAR_DECLARE(isa)                       \
  namespace isa {                                \
  extern const BackwardKernels kBackwardKernels; \
  }
TIDAR_EACH_BUILT_ISA(TIDAR_DECLARE)
#undef TIDAR_DECLARE

const BackwardKernels& backward_kernels_for(Isa isa) {
#define TIDAR_CHOOSE(name) \
  if (isa == Isa::name) return name::kBackwardKernels;
  TIDAR_EACH_BUILT_ISA(TIDAR_CHOOSE)
#undef TIDAR_CHOOSE
  fail_check(__FILE__, __LINE__, "an instruction set that usable_isas() does not list");
}

}  // namespace tidar::cpu
