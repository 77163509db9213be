#pragma once
// Calls of the backward verbs, with how far each number of a result may lie from the truth. A case
// holds its inputs, which follow from a seed, as numbers that every backend can hold; it can be run
// on any backend whose memory is the host's.

#include <memory>
#include <string>
#include <vector>

#include "ops/backward.h"
#include "ops/wrap/grid.h"

namespace tidar {

/// One result of a call.
struct Outcome {
  std::string name;  ///< "d_x"
  Grid values;       ///< f64
};

/// What a backend rounds to, in epsilons (base/dtype.h).
struct Roundings {
  double sums = 0;      ///< of activations
  double operands = 0;  ///< of the operands of products that the call itself makes; 0: not rounded
};

/// Of `ops` in products with weights of this type. Attention rounds as with bf16 weights.
Roundings roundings_of(const Ops& ops, WeightFormat weight);

class BackwardCase {
 public:
  virtual ~BackwardCase() = default;
  /// Verb and shape: "linear R 17 N 100 K 33 bf16".
  virtual std::string name() const = 0;
  virtual std::vector<Outcome> run(BackwardOps& ops) const = 0;
  /// The largest errors that rounding explains on `ops`, shaped as the results; see
  /// wrap/tolerance.h. `truth` is what the float64 reference gave.
  virtual std::vector<Grid> bounds(const Ops& ops, const std::vector<Outcome>& truth) const = 0;
};

using BackwardCases = std::vector<std::unique_ptr<BackwardCase>>;

/// Cases of one kind for so many rows.
void add_product_cases(BackwardCases& cases, int rows, uint64_t seed);
void add_row_cases(BackwardCases& cases, int rows, uint64_t seed);
void add_attend_cases(BackwardCases& cases, int rows, uint64_t seed);

/// Every verb: no rows, one, a few, both sides of the borders of tiles, several tiles; odd lengths.
BackwardCases all_backward_cases(uint64_t seed);

}  // namespace tidar
