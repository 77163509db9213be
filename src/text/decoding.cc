#include "text/decoding.h"

#include <utility>

#include "text/normalizer.h"
#include "text/utf8.h"

namespace tidar {
namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

}  // namespace

int fallback_byte(std::string_view written) {
  if (written.size() != 6 || !written.starts_with("<0x") || written[5] != '>') return -1;
  const int high = hex_digit(written[3]), low = hex_digit(written[4]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

Decoding::Decoding(const Vocabulary& vocabulary, CharacterDecoding rules)
    : vocabulary_(&vocabulary),
      rules_(std::move(rules)),
      fallback_byte_(static_cast<size_t>(vocabulary.size())) {
  for (int32_t id = 0; id < vocabulary.size(); ++id) {
    if (!vocabulary.has(id)) continue;
    std::string text(vocabulary.bytes(id));
    for (const auto& [pattern, content] : rules_.replacements) {
      text = replace_all(text, pattern, content);
    }
    const int byte = rules_.byte_fallback ? fallback_byte(text) : -1;
    if (byte >= 0) text.assign(1, static_cast<char>(byte));
    fallback_byte_[static_cast<size_t>(id)] = byte >= 0;
    decoded_.add(id, text);
  }
}

std::string_view Decoding::bytes(int32_t id) const {
  return by_characters() ? decoded_.bytes(id) : vocabulary_->bytes(id);
}

void Decoding::push(int32_t id, State& state, std::string& text) const {
  if (!vocabulary_->has(id)) return;
  if (!by_characters()) {
    state.pending += vocabulary_->bytes(id);
    const size_t complete = complete_utf8_size(state.pending);
    append_lossy(text, std::string_view(state.pending).substr(0, complete));
    state.pending.erase(0, complete);
    return;
  }
  const bool first = !std::exchange(state.begun, true);
  if (fallback_byte_[static_cast<size_t>(id)]) {
    state.pending += decoded_.bytes(id);
    return;
  }
  flush_run(state, text);
  if (first && !rules_.drop_in_first.empty()) {
    append(replace_all(vocabulary_->bytes(id), rules_.drop_in_first, ""), state, text);
  } else {
    append(decoded_.bytes(id), state, text);
  }
}

void Decoding::finish(State& state, std::string& text) const {
  if (by_characters()) {
    flush_run(state, text);
  } else {
    append_lossy(text, state.pending);
    state.pending.clear();
  }
}

void Decoding::flush_run(State& state, std::string& text) const {
  if (is_utf8(state.pending)) {
    append(state.pending, state, text);
  } else {
    for (size_t i = 0; i < state.pending.size(); ++i) append(kReplacementCharacter, state, text);
  }
  state.pending.clear();
}

void Decoding::append(std::string_view piece, State& state, std::string& text) const {
  while (state.stripped < rules_.strip_count && !piece.empty()) {
    if (piece.starts_with(rules_.strip)) {
      piece.remove_prefix(rules_.strip.size());
      ++state.stripped;
    } else {
      state.stripped = rules_.strip_count;
    }
  }
  text += piece;
}

}  // namespace tidar
