#pragma once
// For tests of decoders: constraints without a language. What is allowed is a hash of where the
// output stands, and that a hash of the token before.

#include <cstdint>
#include <memory>

#include "base/constraint.h"
#include "base/rng.h"
#include "decode/mock_evaluator_testing.h"

namespace tidar {

/// Places of a constraint are numbers.
struct MockLanguage {
  uint64_t seed = 0;
  int32_t vocabulary = 11;
  uint64_t places = 5;
  double allowed_share = 0.4;
  double dead_share = 0;  ///< of places where nothing is allowed

  bool allows(uint64_t place, int32_t token) const {
    const double dead = MockModel::in_unit(MockModel::hash(seed + 1, place));
    const auto which = static_cast<uint64_t>(token);
    return dead >= dead_share &&
           MockModel::in_unit(MockModel::hash(MockModel::hash(seed, place), which)) < allowed_share;
  }
  uint64_t next(uint64_t place, int32_t token) const {
    return MockModel::hash(MockModel::hash(~seed, place), static_cast<uint64_t>(token)) % places;
  }
};

class MockConstraint final : public Constraint {
 public:
  explicit MockConstraint(const MockLanguage& language, uint64_t place = 0)
      : language_(language), place_(place) {}

  std::shared_ptr<const TokenSet> allowed() const override {
    auto allowed = std::make_shared<TokenSet>(language_.vocabulary);
    for (int32_t token = 0; token < language_.vocabulary; ++token)
      if (language_.allows(place_, token)) allowed->insert(token);
    return allowed;
  }
  std::shared_ptr<const Constraint> after(int32_t token) const override {
    if (!language_.allows(place_, token)) return nullptr;
    return std::make_shared<MockConstraint>(language_, language_.next(place_, token));
  }

 private:
  MockLanguage language_;
  uint64_t place_;
};

/// In one of three the output can come to an end.
inline std::shared_ptr<const Constraint> random_constraint(Rng& rng, int32_t vocabulary = 11) {
  MockLanguage language{.seed = rng.bits(), .vocabulary = vocabulary};
  language.places = 1 + static_cast<uint64_t>(rng.below(20));
  language.allowed_share = 0.15 + 0.8 * rng.uniform();
  if (rng.below(3) == 0) language.dead_share = 0.1;
  return std::make_shared<MockConstraint>(language);
}

}  // namespace tidar
