#pragma once
// Chooses the arithmetic.

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/threads.h"
#include "ops/ops.h"

namespace tidar {

/// How operands of products are rounded. `fastest` is bf16 where the processor multiplies bf16
/// directly, f32 otherwise.
enum class Precision : uint8_t { fastest, f32, bf16 };

/// What --isa may be: "best", "ref" (plain code that everything else is tested against), and the
/// names of instruction sets.
std::vector<std::string> isa_choices();

/// An Error when this processor lacks the instruction set. `threads` must outlive the result.
Result<std::unique_ptr<Ops>> make_ops(const std::string& isa, Precision precision,
                                      Threads& threads);

}  // namespace tidar
