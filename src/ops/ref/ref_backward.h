#pragma once
// The backward halves in the plain backend: every formula as a textbook has it, on one thread. The
// truth that other backends are tested against; itself tested by finite differences.

#include <memory>

#include "ops/backward.h"

namespace tidar {

/// `forward` is what make_ref_ops() made; it must outlive the result.
std::unique_ptr<BackwardOps> make_ref_backward(Ops& forward);

}  // namespace tidar
