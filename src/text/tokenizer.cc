#include "text/tokenizer.h"

#include <system_error>
#include <utility>

#include "format/files.h"
#include "format/gguf.h"
#include "text/gguf_tokenizer.h"
#include "text/tokenizer_json.h"
#include "text/utf8.h"

namespace tidar {

struct Tokenizer::Impl {
  explicit Impl(TokenizerParts parts_)
      : parts(std::move(parts_)), bpe(parts.vocabulary, parts.merges, parts.rules) {
    decoding =
        parts.decoding ? Decoding(parts.vocabulary, *parts.decoding) : Decoding(parts.vocabulary);
    parts.merges = {};  // the encoder has them in its own form
  }
  Impl(const Impl&) = delete;  // the encoder points into the parts
  Impl& operator=(const Impl&) = delete;

  TokenizerParts parts;
  Bpe bpe;
  Decoding decoding;
};

namespace {

/// One call of encode(): the text on its way through the parts, and the memory that this takes.
class TextEncoding {
 public:
  TextEncoding(const TokenizerParts& parts, const Bpe& bpe) : parts_(parts), bpe_(bpe) {}

  std::vector<int32_t> run(std::string_view text, AddSpecial special) {
    ids_.reserve(text.size() / 3 + parts_.prefix.size() + parts_.suffix.size() + 1);
    if (special == AddSpecial::yes) append(parts_.prefix);
    std::vector<TextSection> sections;
    parts_.raw_tokens.split(text, matcher_, sections);
    for (const TextSection& section : sections) {
      if (section.id >= 0) {
        ids_.push_back(section.id);
      } else {
        encode_raw(section.text, section.text.data() == text.data());
      }
    }
    if (special == AddSpecial::yes) append(parts_.suffix);
    return std::move(ids_);
  }

  std::vector<int32_t> run(const MarkedText& prompt) {
    ids_.reserve(prompt.size() / 3 + 1);
    std::vector<TextSection> sections;
    parts_.raw_tokens.split(prompt, matcher_, sections);
    for (const TextSection& section : sections) {
      const auto begin = static_cast<size_t>(section.text.data() - prompt.bytes().data());
      if (section.id >= 0) {
        ids_.push_back(section.id);
      } else if (parts_.normalized_tokens.empty()) {
        encode_raw(section.text, begin == 0);
      } else {
        encode_marked(prompt.slice({begin, begin + section.text.size()}), begin == 0);
      }
    }
    return std::move(ids_);
  }

 private:
  void append(const std::vector<int32_t>& ids) { ids_.insert(ids_.end(), ids.begin(), ids.end()); }

  /// `begins`: nothing stands before it.
  void encode_raw(std::string_view text, bool begins) {
    text = parts_.normalizer.apply(text, normalized_);
    std::vector<TextSection> sections;
    parts_.normalized_tokens.split(text, matcher_, sections);
    encode_sections(sections, text, begins);
  }

  void encode_marked(const MarkedText& text, bool begins) {
    const MarkedText marked = normalized(text);
    std::vector<TextSection> sections;
    parts_.normalized_tokens.split(marked, matcher_, sections);
    encode_sections(sections, marked.bytes(), begins);
  }

  /// The normalised text, with its marks. Where a mark's border is normalised together with what
  /// lies around it, all of the text counts as the user's.
  MarkedText normalized(const MarkedText& text) {
    const std::string whole(parts_.normalizer.apply(text.bytes(), normalized_));
    std::string_view rest = whole;
    MarkedText marked;
    const auto take_until = [&](size_t border, Origin origin) {
      const std::string_view raw(text.bytes().data(), border);
      const std::string_view before = parts_.normalizer.apply(raw, normalized_);
      if (!whole.starts_with(before) || before.size() < marked.size()) return false;
      const size_t size = before.size() - marked.size();
      marked.append(rest.substr(0, size), origin);
      rest.remove_prefix(size);
      return true;
    };
    for (const Span& span : text.user()) {
      if (!take_until(span.begin, Origin::author) || !take_until(span.end, Origin::user)) {
        return {whole, Origin::user};
      }
    }
    marked.append(rest, Origin::author);
    return marked;
  }

  void encode_sections(const std::vector<TextSection>& sections, std::string_view text,
                       bool begins) {
    for (const TextSection& section : sections) {
      if (section.id >= 0) {
        ids_.push_back(section.id);
        continue;
      }
      const bool first = begins && section.text.data() == text.data();
      parts_.pre_tokenizer.split(
          section.text, first ? TextPlace::begin : TextPlace::inside, matcher_,
          [this](std::string_view piece) { bpe_.encode(piece, scratch_, ids_); });
    }
  }

  const TokenizerParts& parts_;
  const Bpe& bpe_;
  Matcher matcher_;
  Bpe::Scratch scratch_;
  std::string normalized_;
  std::vector<int32_t> ids_;
};

}  // namespace

Tokenizer::Tokenizer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

Result<Tokenizer> Tokenizer::open(const std::filesystem::path& model) {
  if (is_gguf_path(model)) {
    TIDAR_TRY(const GgufFile file, GgufFile::open(model));
    TIDAR_TRY(const std::string json, tokenizer_json_of(file.content()));
    return parse(json, fmt::format("{}, as a tokenizer.json", model.string()));
  }
  const auto path = model / "tokenizer.json";
  TIDAR_TRY(const std::string json, read_text_file(path));
  const auto config_path = model / "tokenizer_config.json";
  std::string config;
  std::error_code ignored;
  if (std::filesystem::exists(config_path, ignored)) {
    TIDAR_TRY(config, read_text_file(config_path));
  }
  TIDAR_TRY(auto parts,
            parse_tokenizer_json({json, path.string()}, {config, config_path.string()}));
  return Tokenizer(std::make_unique<Impl>(std::move(parts)));
}

Result<std::optional<Tokenizer>> Tokenizer::find(const std::filesystem::path& model) {
  if (is_gguf_path(model)) {
    TIDAR_TRY(const GgufFile file, GgufFile::open(model));
    if (!has_tokenizer(file.content())) return std::optional<Tokenizer>();
  } else {
    std::error_code ignored;
    const bool there = std::filesystem::exists(model / "tokenizer.json", ignored);
    if (!there) return std::optional<Tokenizer>();
  }
  TIDAR_TRY(Tokenizer tokenizer, open(model));
  return std::optional(std::move(tokenizer));
}

Result<Tokenizer> Tokenizer::parse(std::string_view json, const std::string& where) {
  TIDAR_TRY(auto parts, parse_tokenizer_json({json, where}, {}));
  return Tokenizer(std::make_unique<Impl>(std::move(parts)));
}

std::vector<int32_t> Tokenizer::encode(std::string_view text, AddSpecial special) const {
  std::string repaired;
  if (!is_utf8(text)) {
    append_lossy(repaired, text);
    text = repaired;
  }
  return TextEncoding(impl_->parts, impl_->bpe).run(text, special);
}

std::vector<int32_t> Tokenizer::encode_prompt(const MarkedText& prompt) const {
  TIDAR_CHECK(is_utf8(prompt.bytes()));
  return TextEncoding(impl_->parts, impl_->bpe).run(prompt);
}

std::string Tokenizer::decode(std::span<const int32_t> ids, SkipSpecial special) const {
  std::string text;
  Decoding::State state;
  for (int32_t id : ids) {
    if (special == SkipSpecial::no || !is_special(id)) impl_->decoding.push(id, state, text);
  }
  impl_->decoding.finish(state, text);
  return text;
}

std::string_view Tokenizer::bytes(int32_t id) const { return impl_->decoding.bytes(id); }

const Decoding& Tokenizer::decoding() const { return impl_->decoding; }

bool Tokenizer::is_special(int32_t id) const {
  const std::vector<bool>& special = impl_->parts.special;
  return id >= 0 && static_cast<size_t>(id) < special.size() && special[static_cast<size_t>(id)];
}

int32_t Tokenizer::id_of(std::string_view token) const {
  const TokenizerParts& parts = impl_->parts;
  for (const AddedTokens* added : {&parts.raw_tokens, &parts.normalized_tokens}) {
    if (const int32_t id = added->find(token); id >= 0) return id;
  }
  return parts.vocabulary.find(token);
}

int32_t Tokenizer::size() const { return impl_->parts.vocabulary.size(); }

}  // namespace tidar
