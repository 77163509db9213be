#pragma once
// `tidar generate --explain`: what the passes of a text were offered, held and brought.

#include <string>
#include <string_view>

#include "engine/explanation.h"

namespace tidar {

/// What stands above the lines.
extern const std::string_view kExplainedHeading;

/// Pass number `pass` in one line of at most 80 columns, of which the end is cut off where a pass
/// was offered too much:
///
///     pass new right rows asked     ms priced worth  guesses %; groups x masks %
///        7   4   3/5   12    10  1.213  1.330  3.42  98 95 90 62 51; 6x8 25* | 4x8 22
///
/// `new` tokens became certain; 3 of 5 guesses were `right`; the pass held so many `rows` of the
/// text, and logits were computed of those `asked`; it took so many `ms`, and was `priced` at so
/// many; in tokens it was `worth` so much. Then, of what was offered, the chance of each guess to
/// be right where those before it are; and each group, its masks and the chance that its case
/// happens. What stands behind | was not granted. The next draft came from the group with a *.
/// Methods that make no offers have no chances; of a guessed group stands "4+3": for the case that
/// 4 tokens are committed, its token and 3 masks.
std::string explained_line(int pass, const Explanation& explanation);

}  // namespace tidar
