#include "text/pre_tokenizer.h"

#include <string>

#include "text/normalizer.h"
#include "text/utf8.h"

namespace tidar {
namespace {

/// Whether a segment belongs to the piece of the segment before it. Segments are the matches of a
/// pattern and what lies between them.
bool joins(SplitBehavior behavior, bool previous_matches, bool matches) {
  switch (behavior) {
    case SplitBehavior::isolated:
    case SplitBehavior::removed:
      return false;
    case SplitBehavior::merged_with_previous:
      return matches && !previous_matches;
    case SplitBehavior::merged_with_next:
      return previous_matches && !matches;
    case SplitBehavior::contiguous:
      return matches == previous_matches;
  }
  return false;
}

/// Calls use(span, matches) with the matches of `pattern` and what lies between them, in order. An
/// empty match right behind another match is none.
template <class F>
void for_each_segment(const Regex& pattern, std::string_view text, Matcher& matcher, F&& use) {
  size_t done = 0, from = 0;
  bool found_any = false;
  Span match;
  while (from <= text.size() && matcher.find(pattern, text, from, match)) {
    if (match.size() == 0 && found_any && match.begin == done) {
      if (from == text.size()) break;
      from += utf8_front(text.substr(from)).size;
      continue;
    }
    if (match.begin > done) use(Span{done, match.begin}, false);
    use(match, true);
    done = from = match.end;
    found_any = true;
  }
  if (done < text.size()) use(Span{done, text.size()}, false);
}

template <class F>
void for_each_piece(const Split& split, std::string_view text, Matcher& matcher, F&& use) {
  Span piece;
  bool piece_matches = false;  // of its last segment
  const auto finish = [&] {
    const bool dropped = piece_matches && split.behavior == SplitBehavior::removed;
    if (piece.size() > 0 && !dropped) use(text.substr(piece.begin, piece.size()));
  };
  bool first = true;
  for_each_segment(split.pattern, text, matcher, [&](Span segment, bool matches) {
    matches = matches != split.invert;
    if (!first && joins(split.behavior, piece_matches, matches)) {
      piece.end = segment.end;
    } else {
      finish();
      piece = segment;
    }
    piece_matches = matches;
    first = false;
  });
  finish();
}

std::string with_marks(const Metaspace& metaspace, std::string_view text, TextPlace place) {
  std::string marked = replace_all(text, " ", metaspace.mark);
  const bool wanted = metaspace.prepend == Metaspace::Prepend::always ||
                      (metaspace.prepend == Metaspace::Prepend::first && place == TextPlace::begin);
  if (wanted && !marked.empty() && !marked.starts_with(metaspace.mark)) {
    marked.insert(0, metaspace.mark);
  }
  return marked;
}

}  // namespace

void PreTokenizer::split(std::string_view text, TextPlace place, Matcher& matcher,
                         const Use& use) const {
  if (metaspace_) {
    run(0, with_marks(*metaspace_, text, place), matcher, use);
  } else {
    run(0, text, matcher, use);
  }
}

void PreTokenizer::run(size_t stage, std::string_view text, Matcher& matcher,
                       const Use& use) const {
  std::string spaced;
  if (space_before_ == stage && !text.empty() && text.front() != ' ') {
    spaced.reserve(text.size() + 1);
    spaced += ' ';
    spaced += text;
    text = spaced;
  }
  if (stage == splits_.size()) {
    use(text);
    return;
  }
  for_each_piece(splits_[stage], text, matcher,
                 [&](std::string_view piece) { run(stage + 1, piece, matcher, use); });
}

}  // namespace tidar
