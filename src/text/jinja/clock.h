#pragma once
// Dates in templates.

#include <ctime>

#include "text/marked_text.h"

namespace tidar::jinja {

/// `time` by strftime's letters Y m d b B a A H I M S p y j and %, in English. Others stay as they
/// stand.
MarkedText time_text(const std::tm& time, const MarkedText& format);

}  // namespace tidar::jinja
