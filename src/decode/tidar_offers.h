#pragma once
// Which step of TiDAR brings tokens fastest: how many guesses to verify, how long the next draft
// should be, and for which outcomes of this step it is made ready.

#include <span>
#include <vector>

#include "base/sampling.h"
#include "decode/experience.h"
#include "decode/guessed_groups.h"
#include "decode/offer.h"

namespace tidar {

/// Of one sequence, step by step. No token depends on it, but how many passes they take does.
class TidarOffers {
 public:
  /// Drafts are never longer than `draft_length` tokens, the certain one included.
  explicit TidarOffers(int draft_length) : draft_length_(draft_length) {}

  /// Guessed groups that a step holds at most.
  static constexpr int kMostGuessed = 2;

  /// What a step carries if all is granted.
  struct Step {
    int drafts = 1;           ///< the certain one, and guesses
    int masks = 0;            ///< of each group
    std::vector<int> groups;  ///< the likeliest first
    /// So many of them, the first ones, are asked together with the drafts; the others once it is
    /// known which is used. To ask later reads the head a second time, but only if it comes to it.
    int asked_at_once = 0;
    std::vector<GuessedChance> guessed;  ///< those first that bring most more than they cost
  };

  /// Chooses the best step for a draft whose guesses have these log-probabilities, the certain
  /// token's before them, and such second candidates in their places, and offers its parts. At most
  /// `most_drafts` of them have a place. False: there is nothing to offer beside the certain token,
  /// since drafts do not pay, and `offer` is as it was.
  bool make(const PassOutlook& outlook, Experience& experience, std::span<const float> logprobs,
            std::span<const ListedToken> runners_up, int most_drafts, Offer& offer);
  const Step& step() const { return step_; }

  /// The step was carried out, and so many drafts were accepted.
  void learn(Experience& experience, int accepted);

 private:
  const Course& course(const PassOutlook& outlook, Experience& experience) const;
  Course best_course(const PassOutlook& outlook, const Acceptance& acceptance) const;

  // Chances that the step turns out so: [j - 1], that exactly j drafts are right.
  using Chances = std::vector<double>;
  double best_groups(const PassOutlook& outlook, const Course& course, double tokens,
                     const Chances& chances);
  double price_of_try(const PassOutlook& outlook, double rate) const;
  void list_guessed(double least_chance, const Acceptance& acceptance,
                    std::span<const float> logprobs, std::span<const ListedToken> runners_up);
  void choose_guessed(const PassOutlook& outlook, const Course& course,
                      const Acceptance& acceptance, std::span<const float> logprobs,
                      std::span<const ListedToken> runners_up);
  PassSize size_of_step() const;
  bool holds_group(int group) const;
  double worth_of(const GuessedChance& guess, const Course& course) const;
  void offer_step(const Course& course, Offer& offer);

  int draft_length_;
  Step step_;
  Chances chances_;  // of step_

  bool began_ = false;
  bool tries_ = false;  // a draft that is not expected to pay is on its way

  // Kept for their memory.
  Chances tried_chances_;
  std::vector<int> likeliest_;
  std::vector<GuessedChance> possible_guessed_;
  int best_count_ = 0, best_at_once_ = 0;
};

}  // namespace tidar
