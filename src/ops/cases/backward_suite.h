#pragma once
// What the backward halves of every backend must pass. In a test:
//
//   for (const std::string& failure : match_truth(*backward, seed)) ADD_FAILURE() << failure;

#include "ops/cases/backward_cases.h"
#include "ops/cases/suite.h"

namespace tidar {

/// Every backward case against the float64 reference, within its bounds. `shares`, where given,
/// gets a line a result: the largest share of its bound that was used.
Failures match_truth(BackwardOps& backend, uint64_t seed, std::string* shares = nullptr);

/// Every backward case on two backends that must agree bit by bit: one with different threads.
Failures match_bits(BackwardOps& a, BackwardOps& b, uint64_t seed);

}  // namespace tidar
