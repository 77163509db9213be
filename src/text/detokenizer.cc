#include "text/tokenizer.h"

namespace tidar {

Detokenizer::Detokenizer(const Tokenizer& tokenizer, SkipSpecial special)
    : tokenizer_(&tokenizer), special_(special) {}

std::string Detokenizer::push(int32_t id) {
  std::string text;
  if (special_ == SkipSpecial::no || !tokenizer_->is_special(id)) {
    tokenizer_->decoding().push(id, state_, text);
  }
  return text;
}

std::string Detokenizer::finish() {
  std::string text;
  tokenizer_->decoding().finish(state_, text);
  return text;
}

}  // namespace tidar
