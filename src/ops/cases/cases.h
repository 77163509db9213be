#pragma once
// One generator of calls per verb, and what is asked of every backend with them.
//
// A case is a verb with a shape; its inputs follow from a seed. It can be prepared on any backend
// and run there on any of its rows in any order, which serves for three things: to compare a
// backend with the truth (run it over CheckedOps), to see that rows do not depend on their company
// (run it on some rows and on all), and to time a verb (run it over TimedOps, which counts the
// work).

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ops/ops.h"
#include "ops/wrap/verb.h"

namespace tidar {

/// What a call gave: one list of numbers a row, holding the exact bits of the outputs.
using Rows = std::vector<std::vector<double>>;

/// A case with its weights packed by one backend. The backend must outlive it.
class PreparedCase {
 public:
  virtual ~PreparedCase() = default;
  /// Lays out the inputs of these rows of the case, in this order (none twice), and resets outputs.
  virtual void load(std::span<const int32_t> rows) = 0;
  /// Calls the verb once, on what was loaded. Calling it again is for timing only: a verb in place
  /// then works on its own output.
  virtual void run() = 0;
  /// The outputs of the rows loaded, in their order.
  virtual Rows results() const = 0;
};

struct Case {
  Verb verb = Verb::embed;
  std::string name;  ///< verb and shape: "linear_add R 17 N 100 K 33 bf16"
  int32_t rows = 0;
  std::function<std::unique_ptr<PreparedCase>(Ops&)> prepare;
};

struct EmbedShape {
  int rows = 1, vocabulary = 1, cols = 1;
  WeightFormat weight = WeightFormat::f32;
};
struct GatherShape {
  int rows = 1, source_rows = 1, cols = 1;
};
struct ScatterAddShape {
  int rows = 1, target_rows = 1, cols = 1;  ///< rows at most target_rows
};
/// N = `outputs`.
struct SwigluShape {
  int rows = 1, outputs = 1;
  /// Format of weight whose operand the output is.
  WeightFormat weight = WeightFormat::f32;
};
struct RmsNormShape {
  int rows = 1, cols = 1, heads = 1;
  /// Format of weight whose operand the output is; in place (out = x) where it is the activation
  /// type.
  WeightFormat weight = WeightFormat::f32;
};
/// linear (with or without bias), linear_add, or linear_swiglu (N = `outputs` pairs).
struct LinearShape {
  Verb verb = Verb::linear;
  int rows = 1, outputs = 1, inputs = 1;
  WeightFormat weight = WeightFormat::f32;
  DType stored = DType::f32;  ///< type in the file
  bool has_bias = false;
};
struct RopeShape {
  int rows = 1, heads = 1, head_size = 2, positions = 1;
};
enum class SightPattern : uint8_t {
  random,  ///< prefixes and blocks of every kind, panels in no order
  causal,  ///< row i sees all keys but the last R - 1 - i: a prefill, or a step over a long context
};
struct AttendShape {
  int rows = 1, heads = 1, kv_heads = 1, head_size = 16;
  int keys = 1;  ///< cached
  DType kv = DType::f32;
  SightPattern pattern = SightPattern::random;
};
/// Each ask draws its kind (greedy or sampled, cuts, changes, mixed, scored, top n, the whole row)
/// from the seed.
struct ReadLogitsShape {
  int asks = 1, vocabulary = 1;
};

Case make_case(const EmbedShape& shape, uint64_t seed);
Case make_case(const GatherShape& shape, uint64_t seed);
Case make_case(const ScatterAddShape& shape, uint64_t seed);
Case make_case(const SwigluShape& shape, uint64_t seed);
Case make_case(const RmsNormShape& shape, uint64_t seed);
Case make_case(const LinearShape& shape, uint64_t seed);
Case make_case(const RopeShape& shape, uint64_t seed);
/// Fills every slot of a store through store_kv first and moves some keys, so it stands for these
/// verbs too.
Case make_case(const AttendShape& shape, uint64_t seed);
Case make_case(const ReadLogitsShape& shape, uint64_t seed);

/// Formats of weights that a backend has.
using Formats = std::span<const WeightFormatFacts>;

/// Which cases to run.
struct Selection {
  Formats formats = kWeightFormats;  ///< of weights
  std::optional<Verb> verb = {};     ///< of this one alone
};

/// Cases of the verbs that `ops` supports: no rows, one, a few, a tile's border, several tiles; odd
/// lengths, columns that fill no panel, heads of 8 to 128. Shapes and inputs follow from the seed,
/// and are the same whatever the verb that was selected.
std::vector<Case> all_cases(const Ops& ops, uint64_t seed, const Selection& which = {});

}  // namespace tidar
