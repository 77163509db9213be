#pragma once
// For tests of what is told of passes.

#include "engine/explanation.h"

namespace tidar {

/// Two guesses were offered, two groups of masks and a guessed one; both guesses and the first
/// group were granted. The guesses were right, and the next draft is made of that group's masks.
inline Explanation offered_pass() {
  Explanation pass;
  pass.offer = Offer{
      .base = {.size = {1, 1}, .worth = 1},
      .bundles = {{.size = {1, 1}, .worth = 0.9, .chance = 0.9},
                  {.size = {1, 1}, .worth = 0.45, .chance = 0.5},
                  {.size = {4, 2}, .worth = 0.8, .group = 3, .chance = 0.45},
                  {.size = {4, 1}, .worth = 0.5, .group = 1, .chance = 0.1},
                  {.size = {4, 1}, .worth = 0.05, .group = 2, .guessed = true, .chance = 0.02}}};
  pass.granted = 7;
  pass.report.decoding = true;
  pass.report.rows = 7;
  pass.report.committed.resize(3);
  pass.report.drafted = 2;
  pass.report.accepted = 2;
  pass.report.groups = {{.accepted = 3, .masks = 4, .first_row = 3}};
  pass.report.used = {.first_row = 4, .masks = 3};
  pass.asked = 6;
  pass.pass = {.size = {.rows = 7, .asked = 6}, .expected_s = 1.5e-3, .seconds = 12.345e-3};
  return pass;
}

}  // namespace tidar
