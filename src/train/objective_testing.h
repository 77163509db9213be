#pragma once
// Random documents for tests of objectives.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "base/rng.h"
#include "train/objective.h"

namespace tidar {

inline constexpr int kVocabulary = 50;
inline constexpr int32_t kMask = 49;
inline constexpr int kLongest = 40;

using Ids = std::vector<int32_t>;

/// Documents in packs, and the options of an objective.
struct ObjectiveCase {
  ObjectiveOptions options;
  std::vector<Ids> texts;  ///< of all packs, in order
  std::vector<std::vector<Range>> given;
  std::vector<std::vector<Document>> packs;
  StepSeed seed;

  std::unique_ptr<Objective> objective() const {
    return std::move(make_objective(options, {kLongest, kVocabulary}).value());
  }
  std::vector<TrainingPass> passes() const { return lay_out_step(*objective(), packs, seed); }
};

/// Texts of 1 … kLongest tokens, some of which are masks, cut at random into packs.
inline ObjectiveCase random_case(Rng& rng, ObjectiveKind kind) {
  ObjectiveCase one;
  one.options.kind = kind;
  one.options.mask_token = kind == ObjectiveKind::ar ? -1 : kMask;
  one.options.block_size = 1 + rng.below(20);
  one.options.alpha = 2.0 * rng.uniform();
  one.options.place_decay = rng.below(2) == 0 ? 0 : 0.5 + 10.0 * rng.uniform();
  one.options.masking = rng.below(2) == 0 ? Masking::full : Masking::random;
  one.options.block_start = rng.below(2) == 0 ? BlockStart::aligned : BlockStart::random;
  one.options.prompts = rng.below(2) == 0 ? Prompts::learnt : Prompts::given;
  one.seed = {rng.bits(), rng.bits()};
  one.texts.resize(static_cast<size_t>(1 + rng.below(8)));
  for (Ids& text : one.texts) {
    text.resize(static_cast<size_t>(1 + rng.below(rng.below(3) == 0 ? 3 : kLongest)));
    for (int32_t& id : text) id = rng.below(10) == 0 ? kMask : rng.below(kMask);
  }
  for (const Ids& text : one.texts) {
    if (one.packs.empty() || rng.below(3) == 0) one.packs.emplace_back();
    const int32_t next = rng.below(3) == 0 ? -1 : rng.below(kVocabulary);
    const int32_t prompt = rng.below(static_cast<int>(text.size()) + 1);
    std::vector<Range>& given = one.given.emplace_back();
    for (int64_t at = prompt + rng.below(4); at <= std::ssize(text); at += 1 + rng.below(9)) {
      given.push_back({at, at + 1 + rng.below(5)});
      at = given.back().end;
    }
    one.packs.back().push_back({text, next, prompt, given});
  }
  return one;
}

/// Whether token i of a document, or the one behind it, is given and not learnt.
inline bool is_given(const ObjectiveCase& one, const Document& document, int32_t i) {
  if (one.options.prompts == Prompts::learnt) return false;
  return i < document.prompt ||
         std::any_of(document.given.begin(), document.given.end(),
                     [&](const Range& given) { return given.begin <= i && i < given.end; });
}

/// What the mask at a place of its block counts.
inline double place_weight(const ObjectiveOptions& options, int32_t place) {
  return options.place_decay == 0 ? 1 : std::exp(-place / options.place_decay);
}

/// Calls body(case) for fresh random cases of every kind.
template <class Body>
void for_random_cases(Body&& body) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    for (const auto kind : {ObjectiveKind::ar, ObjectiveKind::tidar, ObjectiveKind::block_diffusion,
                            ObjectiveKind::masked_diffusion}) {
      SCOPED_TRACE(testing::Message() << "seed " << seed << ", kind " << static_cast<int>(kind));
      Rng rng(seed * 4 + static_cast<uint64_t>(kind));
      body(random_case(rng, kind));
      if (testing::Test::HasFailure()) return;
    }
  }
}

}  // namespace tidar
