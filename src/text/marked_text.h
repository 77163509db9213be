#pragma once
// A text that remembers which of its bytes a user wrote, whatever it is cut from or put together
// of: so that words in a message never become the special tokens of the prompt around it.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/span.h"

namespace tidar {

/// Who wrote a text: the template's author, who is trusted with special tokens, or a user.
enum class Origin : uint8_t { author, user };

/// UTF-8, if all that is put into it is.
class MarkedText {
 public:
  MarkedText() = default;
  MarkedText(std::string_view bytes, Origin origin) { append(bytes, origin); }

  const std::string& bytes() const { return bytes_; }
  /// The user's parts, from the left; none is empty, and no two touch.
  const std::vector<Span>& user() const { return user_; }
  size_t size() const { return bytes_.size(); }
  bool empty() const { return bytes_.empty(); }

  void append(std::string_view bytes, Origin origin);
  void append(const MarkedText& text) { append(text, {0, text.size()}); }
  /// Appends bytes `part` of another text, which may not be this one.
  void append(const MarkedText& text, Span part);

  MarkedText slice(Span part) const;
  /// Who wrote byte `at`.
  Origin origin(size_t at) const;
  /// The user, if he wrote any of it.
  Origin origin() const { return user_.empty() ? Origin::author : Origin::user; }

 private:
  void mark(Span span);

  std::string bytes_;
  std::vector<Span> user_;
};

}  // namespace tidar
