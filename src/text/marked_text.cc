#include "text/marked_text.h"

#include <algorithm>

#include "base/check.h"

namespace tidar {
namespace {

/// The first of `spans` that ends behind `at`.
std::vector<Span>::const_iterator first_behind(const std::vector<Span>& spans, size_t at) {
  return std::partition_point(spans.begin(), spans.end(),
                              [at](const Span& span) { return span.end <= at; });
}

}  // namespace

void MarkedText::mark(Span span) {
  if (span.size() == 0) return;
  if (!user_.empty() && user_.back().end == span.begin) {
    user_.back().end = span.end;
  } else {
    user_.push_back(span);
  }
}

void MarkedText::append(std::string_view bytes, Origin origin) {
  const size_t begin = size();
  bytes_ += bytes;
  if (origin == Origin::user) mark({begin, size()});
}

void MarkedText::append(const MarkedText& text, Span part) {
  TIDAR_CHECK(&text != this && part.begin <= part.end && part.end <= text.size());
  const size_t begin = size();
  bytes_.append(text.bytes_, part.begin, part.size());
  for (auto span = first_behind(text.user_, part.begin);
       span != text.user_.end() && span->begin < part.end; ++span) {
    mark({begin + std::max(span->begin, part.begin) - part.begin,
          begin + std::min(span->end, part.end) - part.begin});
  }
}

MarkedText MarkedText::slice(Span part) const {
  MarkedText result;
  result.append(*this, part);
  return result;
}

Origin MarkedText::origin(size_t at) const {
  const auto span = first_behind(user_, at);
  return span != user_.end() && span->begin <= at ? Origin::user : Origin::author;
}

}  // namespace tidar
