#pragma once
// Strings <-> token ids, as the tokenizer.json of a Hugging Face folder says: byte-level BPE, and
// BPE of characters as SentencePiece does it (Llama 2, Mistral, Gemma).

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/decoding.h"
#include "text/marked_text.h"

namespace tidar {

/// Special tokens: those of the template that the tokenizer puts around every text (<bos>).
enum class AddSpecial : uint8_t { no, yes };
/// Whether decoding keeps the text of special tokens.
enum class SkipSpecial : uint8_t { no, yes };

/// Immutable after loading; encode() and decode() may be called from several threads at once.
class Tokenizer {
 public:
  /// Reads tokenizer.json of a folder, and of tokenizer_config.json, if it is there, the added
  /// tokens that only it declares; or what a GGUF file says in their place. What the file asks for
  /// and is not supported is an Error that names it. "truncation" and "padding" are left to the
  /// caller.
  static Result<Tokenizer> open(const std::filesystem::path& model);
  /// The same; nothing where the model has no tokenizer.
  static Result<std::optional<Tokenizer>> find(const std::filesystem::path& model);
  /// Parses the text of a tokenizer.json. `where` names it in errors.
  static Result<Tokenizer> parse(std::string_view json, const std::string& where);

  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  /// Ids of `text`. Added tokens inside the text are recognised. Invalid UTF-8 becomes U+FFFD, as
  /// in decode(). The pre-tokenizer knows the letters and digits of Unicode 14; later ones are
  /// symbols to it. Takes no lock and keeps nothing; time grows as n log n for any text.
  std::vector<int32_t> encode(std::string_view text, AddSpecial special = AddSpecial::yes) const;

  /// Ids of a prompt that a chat template made, without the template that the tokenizer puts around
  /// other texts. As encode(), but that no special token is found in what a user wrote, nor where
  /// that meets what the template wrote. The text must be UTF-8.
  std::vector<int32_t> encode_prompt(const MarkedText& prompt) const;

  /// Text of the ids; bytes that are not UTF-8 become U+FFFD (Decoding::push). Unknown ids give
  /// nothing.
  std::string decode(std::span<const int32_t> ids, SkipSpecial special = SkipSpecial::no) const;

  /// The bytes that one token has inside a text ("" for an unknown id), and whether it is special.
  std::string_view bytes(int32_t id) const;
  bool is_special(int32_t id) const;

  /// Id of the token with exactly this text (" the", in a vocabulary of characters as it is written
  /// there; "<|im_end|>"; an added token before one of the model), or -1.
  int32_t id_of(std::string_view token) const;

  /// One more than the largest id.
  int32_t size() const;

 private:
  friend class Detokenizer;
  const Decoding& decoding() const;

  struct Impl;
  explicit Tokenizer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// Turns a stream of ids into a stream of text: what push() returns never ends inside a UTF-8
/// character, and all returned pieces and finish() together equal Tokenizer::decode() of all ids.
/// What following ids can still change is held back: an unfinished character, a run of fallback
/// bytes.
/// The tokenizer must outlive it.
class Detokenizer {
 public:
  explicit Detokenizer(const Tokenizer& tokenizer, SkipSpecial special = SkipSpecial::yes);
  std::string push(int32_t id);
  /// What was held back; of an unfinished character U+FFFD.
  std::string finish();

 private:
  const Tokenizer* tokenizer_;
  SkipSpecial special_;
  Decoding::State state_;
};

}  // namespace tidar
