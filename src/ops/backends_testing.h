#pragma once
// For tests: every backend that runs here, bare and behind the fence. Where TIDAR_KERNELS_ON_HOST
// is defined: that for GPUs, its kernels carried out on the CPU.

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/threads.h"
#include "ops/cpu/cpu_ops.h"
#include "ops/ref/ref_ops.h"
#include "ops/wrap/fenced_ops.h"
#ifdef TIDAR_KERNELS_ON_HOST
#include "ops/cuda/host/host_backend_testing.h"
#endif

namespace tidar {

struct TestedBackend {
  std::string name;  ///< of letters, digits and _
  std::function<std::unique_ptr<Ops>(Threads&)> make;
};

inline std::vector<TestedBackend> tested_backends() {
#ifdef TIDAR_KERNELS_ON_HOST
  return {{"kernels", [](Threads&) -> std::unique_ptr<Ops> {
             return std::make_unique<cuda::host::OpsOnHost>(1,
                                                            cuda::CudaOptions{.exact_rows = true});
           }}};
#else
  std::vector<TestedBackend> all = {{"ref_f32", [](Threads&) { return make_ref_ops(DType::f32); }},
                                    {"ref_f64", [](Threads&) { return make_ref_ops(DType::f64); }}};
  for (const Isa isa : usable_isas()) {
    std::string name(name_of(isa));
    std::replace(name.begin(), name.end(), '-', '_');
    for (const Precision precision : {Precision::f32, Precision::bf16}) {
      all.push_back({name + (precision == Precision::f32 ? "_f32" : "_bf16"),
                     [=](Threads& threads) -> std::unique_ptr<Ops> {
                       return make_cpu_ops(threads, {isa, precision});
                     }});
    }
  }
  return all;
#endif
}

/// The name of a test over one of them.
inline std::string name_of_backend(const testing::TestParamInfo<TestedBackend>& tested) {
  return tested.param.name;
}

/// One of them, and the same behind a fence.
class BothSides {
 public:
  explicit BothSides(const TestedBackend& backend)
      : bare_(backend.make(threads_)), fenced_(*bare_) {}

  std::vector<Ops*> both() { return {bare_.get(), &fenced_}; }

 private:
  Threads threads_{2};
  std::unique_ptr<Ops> bare_;
  FencedOps fenced_;
};

}  // namespace tidar
