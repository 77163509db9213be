#include "decode/step_report.h"

#include <utility>

namespace tidar {

void StepReport::clear() {
  StepReport empty;
  empty.committed.swap(committed);
  empty.groups.swap(groups);
  empty.committed.clear();
  empty.groups.clear();
  *this = std::move(empty);
}

}  // namespace tidar
