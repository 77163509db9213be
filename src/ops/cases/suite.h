#pragma once
// What every backend must pass. In a test:
//
//   for (const std::string& failure : run_all_cases(*ops, seed)) ADD_FAILURE() << failure;

#include <cstdint>
#include <string>
#include <vector>

#include "ops/cases/cases.h"

namespace tidar {

/// Sentences about what went wrong, each with the case's name and the seed; empty when all is well.
using Failures = std::vector<std::string>;

// Backends that lack some formats of weights are tested with those that they have; one that is
// known to be wrong, with the verb that is.

/// Every case against the float64 reference, within wrap/tolerance.h. `shares`, where given, gets a
/// line a verb: the largest share of its tolerance that was used.
Failures match_truth(Ops& backend, uint64_t seed, std::string* shares = nullptr,
                     const Selection& which = {});

/// Every case on all its rows, then on single ones, on some and in another order: each row's result
/// must have the same bits. And linear_swiglu() must have those of linear() and swiglu() in a row.
Failures match_rows(Ops& backend, uint64_t seed, const Selection& which = {});

/// Every case on two backends that must agree bit by bit: one backend with different threads.
Failures match_bits(Ops& a, Ops& b, uint64_t seed, const Selection& which = {});

/// match_truth and match_rows.
Failures run_all_cases(Ops& backend, uint64_t seed, const Selection& which = {});

}  // namespace tidar
