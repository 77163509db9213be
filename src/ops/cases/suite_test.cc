#include "ops/cases/suite.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <set>

#include "ops/ref/ref_ops.h"
#include "ops/wrap/forward_ops.h"

namespace tidar {
namespace {

constexpr uint64_t kSuiteSeed = 20240607;

TEST(Cases, CoverEveryVerb) {
  const auto ops = make_ref_ops(DType::f32);
  std::set<Verb> verbs;
  std::set<std::string> names;
  for (const Case& one : all_cases(*ops, kSuiteSeed)) {
    verbs.insert(one.verb);
    names.insert(one.name);
  }
  // store_kv and move_kv are part of the cases of attend.
  EXPECT_EQ(verbs.size(), kVerbs - 2);
  EXPECT_GT(names.size(), 200u);
}

TEST(Cases, TheFloatReferenceMatchesTheDoubleOne) {
  const auto ops = make_ref_ops(DType::f32);
  for (uint64_t seed = kSuiteSeed; seed < kSuiteSeed + 2; ++seed) {
    std::string shares;
    for (const auto& failure : match_truth(*ops, seed, &shares)) ADD_FAILURE() << failure;
    std::printf("%s", shares.c_str());
  }
}

TEST(Cases, ReferencesAreRowInvariant) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    const auto ops = make_ref_ops(dtype);
    for (const auto& failure : match_rows(*ops, kSuiteSeed)) ADD_FAILURE() << failure;
  }
}

// Backends with one small mistake each, of the kinds that kernels make, and the verb it is in.

// The last output column of every row lacks its last input.
class ShortProduct final : public ForwardOps {
 public:
  static constexpr Verb kVerb = Verb::linear;
  using ForwardOps::ForwardOps;
  void linear(Matrix x, const PackedWeight& weight, const PackedVector* bias, Matrix out) override {
    ForwardOps::linear(x, weight, bias, out);
    if (weight.inputs < 2 || x.rows == 0) return;
    const Matrix last = out.row_range(out.rows - 1, out.rows);
    std::vector<float> shorter(x.row<float>(x.rows - 1), x.row<float>(x.rows - 1) + x.cols);
    shorter.back() = 0;
    ForwardOps::linear(Matrix(shorter.data(), DType::f32, 1, x.cols), weight, bias, last);
  }
};

// Every row sees one key less of its prefix, where it sees several.
class ShortSight final : public ForwardOps {
 public:
  static constexpr Verb kVerb = Verb::attend;
  using ForwardOps::ForwardOps;
  void prepare(const Pass& pass, const KvStore* kv,
               std::unique_ptr<PreparedPass>& prepared) override {
    Pass wrong = pass;
    for (Sight& sight : wrong.sights) {
      if (sight.prefix.size() > 1) --sight.prefix.to;
    }
    ForwardOps::prepare(wrong, kv, prepared);
  }
};

// Takes the highest id where logits tie, by looking at the vocabulary backwards.
class LastOfTies final : public ForwardOps {
 public:
  static constexpr Verb kVerb = Verb::read_logits;
  using ForwardOps::ForwardOps;
  void read_logits(Matrix logits, const Asks& asks, std::span<Answer> answers) override {
    ForwardOps::read_logits(logits, asks, answers);
    for (size_t i = 0; i < asks.size(); ++i) {
      if (asks[i].kind != AskKind::choose || !asks[i].sampling.greedy() || asks[i].other_row >= 0)
        continue;
      if (!asks[i].changes.empty() || !asks[i].own_changes.empty()) continue;
      const float* row = logits.row<float>(asks[i].row);
      for (int32_t token = 0; token < logits.cols; ++token) {
        if (row[token] == row[answers[i].token]) answers[i].token = token;
      }
    }
  }
};

// Draws with a seed that is off by one.
class OtherSeed final : public ForwardOps {
 public:
  static constexpr Verb kVerb = Verb::read_logits;
  using ForwardOps::ForwardOps;
  void read_logits(Matrix logits, const Asks& asks, std::span<Answer> answers) override {
    Asks wrong = asks;
    for (Ask& ask : wrong) ++ask.sampling.seed;
    ForwardOps::read_logits(logits, wrong, answers);
  }
};

// Gives whole rows with the last logit moved by one part in a million.
class MovedLogit final : public ForwardOps {
 public:
  static constexpr Verb kVerb = Verb::read_logits;
  using ForwardOps::ForwardOps;
  void read_logits(Matrix logits, const Asks& asks, std::span<Answer> answers) override {
    ForwardOps::read_logits(logits, asks, answers);
    for (Answer& answer : answers)
      if (!answer.logits.empty()) answer.logits.back() *= 1 + 1e-6f;
  }
};

// Tells the model's log-probability as the policy's.
class ModelAsPolicy final : public ForwardOps {
 public:
  static constexpr Verb kVerb = Verb::read_logits;
  using ForwardOps::ForwardOps;
  void read_logits(Matrix logits, const Asks& asks, std::span<Answer> answers) override {
    ForwardOps::read_logits(logits, asks, answers);
    for (size_t i = 0; i < asks.size(); ++i)
      if (!asks[i].sampling.greedy()) answers[i].policy_logprob = answers[i].logprob;
  }
};

// A row's norm depends on how many rows there are.
class CompanyMatters final : public ForwardOps {
 public:
  static constexpr Verb kVerb = Verb::rms_norm;
  using ForwardOps::ForwardOps;
  void rms_norm(Matrix x, const PackedVector& weight, double eps, int heads, Matrix out) override {
    ForwardOps::rms_norm(x, weight, eps * (1 + 1e-3 * static_cast<double>(x.rows % 2)), heads, out);
  }
};

// Adds a little more than was asked for, to the last row only.
class HeavyLastRow final : public ForwardOps {
 public:
  static constexpr Verb kVerb = Verb::scatter_add;
  using ForwardOps::ForwardOps;
  void scatter_add(Matrix x, std::span<const int32_t> rows, double scale, Matrix out) override {
    ForwardOps::scatter_add(x, rows, scale, out);
    if (x.rows == 0) return;
    ForwardOps::scatter_add(x.row_range(x.rows - 1, x.rows), rows.last(1), 1e-4 * scale, out);
  }
};

// Adds to a row that nobody named, which no result shows: out is looked at as a whole.
class OneRowTooMany final : public ForwardOps {
 public:
  static constexpr Verb kVerb = Verb::scatter_add;
  using ForwardOps::ForwardOps;
  void scatter_add(Matrix x, std::span<const int32_t> rows, double scale, Matrix out) override {
    ForwardOps::scatter_add(x, rows, scale, out);
    for (int32_t r = 0; r < out.rows && x.rows > 0; ++r) {
      if (std::ranges::find(rows, r) == rows.end()) {
        return ForwardOps::scatter_add(x.row_range(0, 1), {&r, 1}, scale, out);
      }
    }
  }
};

// Takes gate for up.
class Swapped final : public ForwardOps {
 public:
  static constexpr Verb kVerb = Verb::swiglu;
  using ForwardOps::ForwardOps;
  void swiglu(Matrix gate_up, Matrix out) override {
    std::vector<float> swapped;
    for (int64_t r = 0; r < out.rows; ++r) {
      const float* const row = gate_up.row<float>(r);
      swapped.insert(swapped.end(), row + out.cols, row + 2 * out.cols);
      swapped.insert(swapped.end(), row, row + out.cols);
    }
    ForwardOps::swiglu(Matrix(swapped.data(), DType::f32, out.rows, 2 * out.cols), out);
  }
};

template <class Broken>
class BrokenBackend : public testing::Test {};
using WrongResults = testing::Types<ShortProduct, ShortSight, LastOfTies, OtherSeed, MovedLogit,
                                    ModelAsPolicy, HeavyLastRow, Swapped>;
TYPED_TEST_SUITE(BrokenBackend, WrongResults);

TYPED_TEST(BrokenBackend, IsCaught) {
  const auto good = make_ref_ops(DType::f32);
  TypeParam broken(*good);
  const Selection which = {.verb = TypeParam::kVerb};
  EXPECT_FALSE(match_truth(broken, kSuiteSeed, nullptr, which).empty());
  EXPECT_FALSE(match_bits(*good, broken, kSuiteSeed, which).empty());
}

TEST(Cases, RowsThatNobodyNamedAreCaught) {
  const auto good = make_ref_ops(DType::f32);
  OneRowTooMany broken(*good);
  EXPECT_FALSE(match_truth(broken, kSuiteSeed, nullptr, {.verb = OneRowTooMany::kVerb}).empty());
}

TEST(Cases, SwigluWithOtherBitsThanTheProductIsCaught) {
  const auto good = make_ref_ops(DType::f32);
  Swapped broken(*good);
  EXPECT_FALSE(match_rows(broken, kSuiteSeed, {.verb = Swapped::kVerb}).empty());
}

TEST(Cases, CompanyThatMattersIsCaught) {
  const auto good = make_ref_ops(DType::f32);
  CompanyMatters broken(*good);
  EXPECT_FALSE(match_rows(broken, kSuiteSeed, {.verb = CompanyMatters::kVerb}).empty());
}

}  // namespace
}  // namespace tidar
