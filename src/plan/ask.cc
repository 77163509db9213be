#include "plan/ask.h"

#include <cmath>

#include "base/check.h"

namespace tidar {

void Ask::check(int32_t rows) const {
  TIDAR_CHECK_GE(row, 0);
  TIDAR_CHECK_LT(row, rows);
  TIDAR_CHECK_GE(other_row, -1);
  TIDAR_CHECK_LT(other_row, rows);
  TIDAR_CHECK(kind != AskKind::logits || other_row < 0);
  TIDAR_CHECK(std::isfinite(trust));
  if (kind == AskKind::score) TIDAR_CHECK_GE(token, 0);
  TIDAR_CHECK_GE(top, 0);
}

}  // namespace tidar
