#include "apps/help.h"

#include <gtest/gtest.h>

#include "base/rng.h"

namespace tidar {
namespace {

TEST(Help, WrapsAtBlanksAndLosesNothing) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    std::string text;
    for (int words = rng.below(30); words > 0; --words) {
      text += std::string(1 + static_cast<size_t>(rng.below(9)), 'x') + (words > 1 ? " " : "");
    }
    const size_t width = 10 + static_cast<size_t>(rng.below(20));
    std::string joined;
    std::string wrapped = wrap(text, width, 4);
    for (size_t line = 0; !wrapped.empty(); ++line) {
      const size_t end = std::min(wrapped.find('\n'), wrapped.size());
      std::string piece = wrapped.substr(0, end);
      wrapped.erase(0, end + 1);
      if (line > 0) {
        ASSERT_EQ(piece.substr(0, 4), "    ");
        piece.erase(0, 4);
      }
      ASSERT_LE(piece.size(), width);
      joined += (line > 0 ? " " : "") + piece;
    }
    ASSERT_EQ(joined, text);
  }
}

}  // namespace
}  // namespace tidar
