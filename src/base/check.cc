#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace tidar {

void fail_check(const char* file, int line, std::string_view what) {
  std::fputs(fmt::format("{}:{}: {}\n", file, line, what).c_str(), stderr);
  std::abort();
}

}  // namespace tidar
