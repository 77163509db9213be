// The table of one instruction set's backward kernels.

#include "ops/cpu/backward_kernels.h"
#include "ops/cpu/simd.h"

namespace tidar::cpu::TIDAR_ISA {

void narrow(const float*, int64_t, int64_t, void*, DType);
void transpose(const TransposeCall&);
void by_rows(const float* const*, int64_t, int64_t, void*, DType);
void by_columns(const ColumnsCall&);
void gather_columns(const float* const*, int, int64_t, int, float* const*, int64_t);
void swiglu_backward(const float* const (&)[2], const float*, int64_t, float* const (&)[2]);
void backward_rms_norm(const RmsNormVector&);
void backward_rope(float*, const float*, const float*, int64_t);
void add_to(const float*, int64_t, float*);
float dot(const float*, const void*, DType, int64_t);
double cross_entropy(float*, int64_t, int32_t, float);
double soft_cross_entropy(float*, const float*, int64_t, const Label&);
void attend_rows_f32(const AttendBlock&);
void attend_rows_backward_f32(const AttendBlock&);
#if defined(__AVX512BF16__)
void attend_rows_bf16(const AttendBlock&);
void attend_rows_backward_bf16(const AttendBlock&);
#endif

namespace {

#if defined(__AVX512BF16__)
constexpr auto kAttendBf16 = attend_rows_bf16;
constexpr auto kAttendBackwardBf16 = attend_rows_backward_bf16;
#else
constexpr void (*kAttendBf16)(const AttendBlock&) = nullptr;
constexpr void (*kAttendBackwardBf16)(const AttendBlock&) = nullptr;
#endif

}  // namespace

extern const BackwardKernels kBackwardKernels;
const BackwardKernels kBackwardKernels = {
    .narrow = narrow,
    .transpose = transpose,
    .by_rows = by_rows,
    .by_columns = by_columns,
    .swiglu_backward = swiglu_backward,
    .rms_norm = backward_rms_norm,
    .rope = backward_rope,
    .add = add_to,
    .dot = dot,
    .cross_entropy = cross_entropy,
    .soft_cross_entropy = soft_cross_entropy,
    .attend_f32 = attend_rows_f32,
    .attend_bf16 = kAttendBf16,
    .attend_backward_f32 = attend_rows_backward_f32,
    .attend_backward_bf16 = kAttendBackwardBf16,
    .gather_columns = gather_columns,
};

}  // namespace tidar::cpu::TIDAR_ISA
