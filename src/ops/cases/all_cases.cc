#include "base/rng.h"
#include "ops/cases/cases.h"
#include "ops/cases/sizes.h"

namespace tidar {

namespace {

// None, one, odd, and both sides of the borders of tiles of 8, 12, 16 and 32 rows.
constexpr int kRowCounts[] = {0, 1, 2, 5, 11, 16, 17, 33, 64};
constexpr int kVocabularies[] = {2, 7, 64, 500, 1003};
constexpr DType kTypes[] = {DType::f32, DType::bf16};

class CaseList {
 public:
  explicit CaseList(uint64_t seed) : rng_(seed) {}
  template <class Shape>
  void add(const Shape& shape) {
    cases_.push_back(make_case(shape, next_seed(rng_)));
  }
  Rng& rng() { return rng_; }
  std::vector<Case> take() { return std::move(cases_); }

 private:
  Rng rng_;
  std::vector<Case> cases_;
};

void add_row_cases(CaseList& list, Formats formats, int rows) {
  Rng& rng = list.rng();
  for (const WeightFormatFacts& facts : formats) {
    list.add(EmbedShape{rows, 1 + rng.below(90), one_of(rng, kLengths), facts.format});
    list.add(RmsNormShape{rows, one_of(rng, kLengths), 1, facts.format});
    list.add(SwigluShape{rows, one_of(rng, kLengths), facts.format});
    const int heads = 1 + rng.below(5);
    list.add(RmsNormShape{rows, heads * one_of(rng, kHeadSizes), heads, facts.format});
  }
  list.add(GatherShape{rows, 1 + rng.below(70), one_of(rng, kLengths)});
  list.add(ScatterAddShape{rows, rows + rng.below(9), one_of(rng, kLengths)});
  list.add(RopeShape{rows, 1 + rng.below(5), one_of(rng, kHeadSizes), 1 + rng.below(2000)});
}

void add_products(CaseList& list, Formats formats, int rows) {
  Rng& rng = list.rng();
  for (const Verb verb : {Verb::linear, Verb::linear_add, Verb::linear_swiglu}) {
    for (const WeightFormatFacts& facts : formats) {
      for (const DType stored : kTypes) {
        const bool has_bias = verb == Verb::linear && rng.below(2) == 0;
        list.add(LinearShape{verb, rows, one_of(rng, kOutputs), one_of(rng, kLengths), facts.format,
                             stored, has_bias});
      }
    }
  }
}

void add_attention(CaseList& list, const Ops& ops, int rows) {
  Rng& rng = list.rng();
  for (const DType kv : {DType::f32, DType::bf16, DType::i8}) {
    if (!ops.supports_kv(kv)) continue;
    for (int i = 0; i < 3; ++i) {
      const int kv_heads = 1 + rng.below(3), group = 1 + rng.below(7);
      list.add(AttendShape{rows, kv_heads * group, kv_heads, one_of(rng, kHeadSizes),
                           1 + rng.below(150), kv, SightPattern::random});
    }
    list.add(AttendShape{rows, 4, 2, one_of(rng, kHeadSizes), rows + rng.below(200) + 1, kv,
                         SightPattern::causal});
  }
}

}  // namespace

std::vector<Case> all_cases(const Ops& ops, uint64_t seed, const Selection& which) {
  CaseList list(seed);
  for (const int rows : kRowCounts) {
    add_row_cases(list, which.formats, rows);
    add_products(list, which.formats, rows);
    add_attention(list, ops, rows);
    list.add(ReadLogitsShape{rows, one_of(list.rng(), kVocabularies)});
  }
  // Long enough for kernels that divide a reduction.
  for (const WeightFormatFacts& facts : which.formats) {
    for (const Verb verb : {Verb::linear, Verb::linear_add, Verb::linear_swiglu}) {
      list.add(
          LinearShape{verb, 130, 36, 2100, facts.format, facts.plain.value_or(DType::f32), false});
    }
  }
  list.add(ReadLogitsShape{40, 20011});
  std::vector<Case> cases = list.take();
  if (which.verb) std::erase_if(cases, [&](const Case& one) { return one.verb != *which.verb; });
  return cases;
}

}  // namespace tidar
