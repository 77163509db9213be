#include "ops/cuda/blas_lt.h"

// Some toolkits come without it. What is built there has no such products.
#if __has_include(<cublasLt.h>)
#include <cublasLt.h>
#include <cuda_runtime.h>
#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <string_view>
#include <utility>

#include "base/check.h"

namespace tidar::cuda {
namespace {

constexpr size_t kWorkspaceBytes = size_t{32} << 20;
/// Pointers that are aligned further bring nothing more.
constexpr uint64_t kMostAlignment = 256;
/// What is called here is the same in both.
constexpr const char* kLibraries[] = {
    "libcublasLt.so.13", "libcublasLt.so.12", "/usr/local/cuda/lib64/libcublasLt.so.13",
    "/usr/local/cuda/lib64/libcublasLt.so.12", "/usr/local/cuda/lib/libcublasLt.so.13"};

void check_blas(cublasStatus_t status, std::string_view what) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  fail_check(__FILE__, __LINE__,
             fmt::format("cuBLASLt refuses {}: status {}", what, static_cast<int>(status)));
}

/// The functions of the library, under their own names.
struct Library {
  decltype(&cublasLtCreate) create = nullptr;
  decltype(&cublasLtDestroy) destroy = nullptr;
  decltype(&cublasLtMatmul) matmul = nullptr;
  decltype(&cublasLtMatmulAlgoGetHeuristic) choose = nullptr;
  decltype(&cublasLtMatmulDescCreate) create_product = nullptr;
  decltype(&cublasLtMatmulDescDestroy) destroy_product = nullptr;
  decltype(&cublasLtMatmulDescSetAttribute) set_product = nullptr;
  decltype(&cublasLtMatrixLayoutCreate) create_layout = nullptr;
  decltype(&cublasLtMatrixLayoutDestroy) destroy_layout = nullptr;
  decltype(&cublasLtMatmulPreferenceCreate) create_preference = nullptr;
  decltype(&cublasLtMatmulPreferenceDestroy) destroy_preference = nullptr;
  decltype(&cublasLtMatmulPreferenceSetAttribute) set_preference = nullptr;

  /// False where `name` is no such library, or lacks a function. One that was loaded stays.
  bool load(const char* name) {
    void* library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) return false;
    bool complete = true;
    const auto find = [&]<class Function>(Function& function, const char* symbol) {
      function = reinterpret_cast<Function>(dlsym(library, symbol));
      complete = complete && function != nullptr;
    };
    find(create, "cublasLtCreate");
    find(destroy, "cublasLtDestroy");
    find(matmul, "cublasLtMatmul");
    find(choose, "cublasLtMatmulAlgoGetHeuristic");
    find(create_product, "cublasLtMatmulDescCreate");
    find(destroy_product, "cublasLtMatmulDescDestroy");
    find(set_product, "cublasLtMatmulDescSetAttribute");
    find(create_layout, "cublasLtMatrixLayoutCreate");
    find(destroy_layout, "cublasLtMatrixLayoutDestroy");
    find(create_preference, "cublasLtMatmulPreferenceCreate");
    find(destroy_preference, "cublasLtMatmulPreferenceDestroy");
    find(set_preference, "cublasLtMatmulPreferenceSetAttribute");
    return complete;
  }
};

uint64_t alignment_of(const void* pointer) {
  const auto address = reinterpret_cast<uintptr_t>(pointer);
  return std::min<uint64_t>(address & (~address + 1), kMostAlignment);
}

/// How one shape is computed. The library counts elements down the columns; to it, our rows are
/// columns, and the product is out^T = W x^T with W transposed.
struct Plan {
  cublasLtMatrixLayout_t weight = nullptr, x = nullptr, out = nullptr;
  cublasLtMatmulAlgo_t algorithm{};
};

/// All that a plan depends on.
using Shape = std::array<int64_t, 10>;

Shape shape_of(const BlasOperands& operands, BlasResult result) {
  const auto aligned = [](const void* pointer) {
    return static_cast<int64_t>(alignment_of(pointer));
  };
  return {operands.rows,          operands.inputs,
          operands.outputs,       operands.x_stride,
          operands.weight_stride, operands.out_stride,
          aligned(operands.x),    aligned(operands.weight),
          aligned(operands.out),  static_cast<int64_t>(result)};
}

class LoadedBlasLt final : public BlasLt {
 public:
  explicit LoadedBlasLt(const Library& library) : library_(library) {
    check_blas(library_.create(&handle_), "a handle");
    const cudaError_t status = cudaMalloc(&workspace_, kWorkspaceBytes);
    if (status != cudaSuccess) {
      fail_check(
          __FILE__, __LINE__,
          fmt::format("no workspace of {} bytes: {}", kWorkspaceBytes, cudaGetErrorString(status)));
    }
    check_blas(library_.create_product(&product_, CUBLAS_COMPUTE_32F, CUDA_R_32F), "a product");
    set(CUBLASLT_MATMUL_DESC_TRANSA, CUBLAS_OP_T);
    set(CUBLASLT_MATMUL_DESC_TRANSB, CUBLAS_OP_N);
  }
  LoadedBlasLt(const LoadedBlasLt&) = delete;
  LoadedBlasLt& operator=(const LoadedBlasLt&) = delete;
  ~LoadedBlasLt() override {
    for (const auto& [shape, plan] : plans_) {
      for (cublasLtMatrixLayout_t layout : {plan.weight, plan.x, plan.out}) {
        library_.destroy_layout(layout);
      }
    }
    library_.destroy_product(product_);
    library_.destroy(handle_);
    cudaFree(workspace_);
  }

  void multiply(void* stream, const BlasOperands& operands, BlasResult result) override {
    const Shape shape = shape_of(operands, result);
    auto found = plans_.find(shape);
    if (found == plans_.end()) found = plans_.emplace(shape, make_plan(operands)).first;
    const Plan& plan = found->second;
    const float one = 1, kept = result == BlasResult::adds ? 1 : 0;
    check_blas(
        library_.matmul(handle_, product_, &one, operands.weight, plan.weight, operands.x, plan.x,
                        &kept, operands.out, plan.out, operands.out, plan.out, &plan.algorithm,
                        workspace_, kWorkspaceBytes, static_cast<cudaStream_t>(stream)),
        "to multiply");
  }

 private:
  void set(cublasLtMatmulDescAttributes_t attribute, cublasOperation_t operation) {
    const auto value = static_cast<int32_t>(operation);
    check_blas(library_.set_product(product_, attribute, &value, sizeof value), "an operation");
  }

  cublasLtMatrixLayout_t layout(cudaDataType_t type, int64_t length, int64_t count,
                                int64_t stride) const {
    cublasLtMatrixLayout_t made = nullptr;
    check_blas(library_.create_layout(&made, type, static_cast<uint64_t>(length),
                                      static_cast<uint64_t>(count), stride),
               "a layout");
    return made;
  }

  Plan make_plan(const BlasOperands& operands) const {
    Plan plan{
        .weight = layout(CUDA_R_16BF, operands.inputs, operands.outputs, operands.weight_stride),
        .x = layout(CUDA_R_16BF, operands.inputs, operands.rows, operands.x_stride),
        .out = layout(CUDA_R_32F, operands.outputs, operands.rows, operands.out_stride)};
    cublasLtMatmulPreference_t preference = nullptr;
    check_blas(library_.create_preference(&preference), "a preference");
    const uint64_t workspace = kWorkspaceBytes;
    check_blas(library_.set_preference(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                       &workspace, sizeof workspace),
               "a size of workspace");
    const std::pair<cublasLtMatmulPreferenceAttributes_t, const void*> aligned[] = {
        {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, operands.weight},
        {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, operands.x},
        {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, operands.out},
        {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, operands.out}};
    for (const auto& [attribute, pointer] : aligned) {
      const auto bytes = static_cast<uint32_t>(alignment_of(pointer));
      check_blas(library_.set_preference(preference, attribute, &bytes, sizeof bytes),
                 "an alignment");
    }
    cublasLtMatmulHeuristicResult_t choice{};
    int found = 0;
    const cublasStatus_t status = library_.choose(handle_, product_, plan.weight, plan.x, plan.out,
                                                  plan.out, preference, 1, &choice, &found);
    library_.destroy_preference(preference);
    check_blas(status, fmt::format("a product of {} rows, {} of {}", operands.rows,
                                   operands.outputs, operands.inputs));
    TIDAR_CHECK_EQ(found, 1);
    plan.algorithm = choice.algo;
    return plan;
  }

  Library library_;
  cublasLtHandle_t handle_ = nullptr;
  cublasLtMatmulDesc_t product_ = nullptr;
  void* workspace_ = nullptr;
  std::map<Shape, Plan> plans_;
};

}  // namespace

std::unique_ptr<BlasLt> BlasLt::find() {
  for (const char* name : kLibraries) {
    Library library;
    if (library.load(name)) return std::make_unique<LoadedBlasLt>(library);
  }
  return nullptr;
}

}  // namespace tidar::cuda

#else

namespace tidar::cuda {

std::unique_ptr<BlasLt> BlasLt::find() { return nullptr; }

}  // namespace tidar::cuda

#endif
