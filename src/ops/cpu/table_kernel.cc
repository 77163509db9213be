// The table of this instruction set's kernels.

#include "ops/cpu/kernels.h"
#include "ops/cpu/simd.h"

namespace tidar::cpu::TIDAR_ISA {

void linear_f32(const LinearCall& call);
void linear_bf16(const LinearCall& call);
void linear_bf16_pairs(const LinearCall& call);
void linear_bf16_tiles(const LinearCall& call);
void linear_w8(const LinearCall& call);
void linear_w4(const LinearCall& call);
void round_operands(const float* x, int64_t count, int zero_code, int8_t* codes, float* scales,
                    int32_t* starts);
void attend_f32(const AttendCall& call);
void attend_bf16(const AttendCall& call);
void attend_i8(const AttendCall& call);
void attend_bf16_tiles(const AttendCall& call);
void put_kv_f32(const KvColumn& call);
void put_kv_bf16(const KvColumn& call);
void put_kv_i8(const KvColumn& call);
void copy_kv_f32(const KvColumn& from, const KvColumn& to);
void copy_kv_bf16(const KvColumn& from, const KvColumn& to);
void copy_kv_i8(const KvColumn& from, const KvColumn& to);
void rms_norm(const float* x, const float* weight, double eps, int64_t count, void* out,
              DType out_dtype);
void swiglu(const float* gate, const float* up, int64_t count, void* out, DType out_dtype);
void add_scaled(const float* x, float scale, int64_t count, float* out);
void rope(float* head, const float* cosines, const float* sines, int64_t half);
void mix(const float* a, const float* b, float trust, int64_t count, float* out);
LogitSummary summarize(const float* logits, int64_t count);
float log_weight(const float* logits, float largest, float inverse_temperature, int64_t count);
int32_t race(const float* logits, float inverse_temperature, uint64_t seed, uint64_t draw,
             int64_t count);
double spin_f32(int64_t rounds);
double spin_bf16(int64_t rounds);
double spin_i8(int64_t rounds);
void read_memory(const std::byte* from, int64_t bytes);

#if defined(__AMX_BF16__)
constexpr auto* kAttendBf16 = &attend_bf16_tiles;
#else
constexpr auto* kAttendBf16 = &attend_bf16;
#endif

#if defined(__AMX_BF16__)
constexpr auto* kLinearBf16Operands = &linear_bf16_tiles;
#elif defined(__AVX512BF16__)
constexpr auto* kLinearBf16Operands = &linear_bf16_pairs;
#else
constexpr LinearKernel* kLinearBf16Operands = nullptr;
#endif

extern const Kernels kKernels;
const Kernels kKernels = {
    .linear_f32 = linear_f32,
    .linear_bf16 = linear_bf16,
    .linear_bf16_bf16 = kLinearBf16Operands,
    .linear_w8 = linear_w8,
    .linear_w4 = linear_w4,
    .round_operands = round_operands,
    .kv_f32 = {attend_f32, put_kv_f32, copy_kv_f32},
    .kv_bf16 = {kAttendBf16, put_kv_bf16, copy_kv_bf16},
    .kv_i8 = {attend_i8, put_kv_i8, copy_kv_i8},
    .rms_norm = rms_norm,
    .swiglu = swiglu,
    .add_scaled = add_scaled,
    .rope = rope,
    .mix = mix,
    .summarize = summarize,
    .log_weight = log_weight,
    .race = race,
    .spin_f32 = spin_f32,
    .spin_bf16 = spin_bf16,
    .spin_i8 = spin_i8,
    .read_memory = read_memory,
};

}  // namespace tidar::cpu::TIDAR_ISA
