#include "text/tokenizer.h"
#include "text/utf8.h"

namespace tidar {

Detokenizer::Detokenizer(const Tokenizer& tokenizer, SkipSpecial special)
    : tokenizer_(&tokenizer), special_(special) {}

std::string Detokenizer::push(int32_t id) {
  if (special_ == SkipSpecial::no || !tokenizer_->is_special(id)) pending_ += tokenizer_->bytes(id);
  const size_t complete = complete_utf8_size(pending_);
  std::string text;
  append_lossy(text, std::string_view(pending_).substr(0, complete));
  pending_.erase(0, complete);
  return text;
}

std::string Detokenizer::finish() {
  std::string text;
  append_lossy(text, pending_);
  pending_.clear();
  return text;
}

}  // namespace tidar
