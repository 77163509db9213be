#pragma once
// For tests: parts of a study.

#include "report/study.h"

namespace tidar {

/// What a finished run of ten items came to.
inline TaskResult finished_result(double mean, double standard_error, double tokens_per_pass,
                                  double tokens_per_s) {
  TaskResult result;
  result.done = result.all = 10;
  result.score = {mean, standard_error, 10};
  result.tokens_per_pass = tokens_per_pass;
  result.tokens_per_s = tokens_per_s;
  return result;
}

}  // namespace tidar
