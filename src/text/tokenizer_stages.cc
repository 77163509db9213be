#include "text/tokenizer_stages.h"

#include <algorithm>
#include <array>
#include <utility>

#include "text/utf8.h"

namespace tidar {
namespace {

/// The elements of {"type": T, …}, or of its nested {"type": "Sequence", `list`: […]}, one after
/// another.
Result<void> flatten(const JsonObject& object, std::string_view list,
                     std::vector<JsonObject>& elements) {
  TIDAR_TRY(const auto type, object.text("type"));
  if (type != "Sequence") {
    elements.push_back(object);
    return {};
  }
  TIDAR_TRY_VOID(object.only({"type", list}));
  TIDAR_TRY(const auto inner, object.objects(list));
  for (const JsonObject& element : inner) TIDAR_TRY_VOID(flatten(element, list, elements));
  return {};
}

}  // namespace

Result<std::vector<JsonObject>> elements_of(const JsonObject& file, std::string_view key,
                                            std::string_view list) {
  std::vector<JsonObject> elements;
  if (!file.find(key)) return elements;
  TIDAR_TRY(const auto object, file.object(key));
  TIDAR_TRY_VOID(flatten(object, list, elements));
  return elements;
}

Error unsupported_type(const JsonObject& object, std::string_view type, std::string_view known) {
  return object.unsupported(fmt::format("the type \"{}\" (known: {})", type, known));
}

namespace {

Result<Replace> read_replace(const JsonObject& object) {
  TIDAR_TRY_VOID(object.only({"type", "pattern", "content"}));
  TIDAR_TRY(const auto pattern, object.object("pattern"));
  if (pattern.find("Regex")) return pattern.unsupported("a Regex to replace");
  TIDAR_TRY_VOID(pattern.only({"String"}));
  TIDAR_TRY(const auto text, pattern.text("String"));
  TIDAR_TRY(const auto content, object.text("content"));
  if (text.empty()) return error("{} must not be empty", pattern.path_of("String"));
  return Replace{std::string(text), std::string(content)};
}

Result<NormalStep> read_step(const JsonObject& element, std::string_view type) {
  if (type == "Replace") {
    TIDAR_TRY(Replace replace, read_replace(element));
    return NormalStep(std::move(replace));
  }
  if (type == "Prepend") {
    TIDAR_TRY_VOID(element.only({"type", "prepend"}));
    TIDAR_TRY(const auto text, element.text("prepend"));
    return NormalStep(Prepend{std::string(text)});
  }
  TIDAR_TRY_VOID(element.only({"type"}));
  if (type == "NFC") return NormalStep(NormalForm::nfc);
  if (type == "NFD") return NormalStep(NormalForm::nfd);
  if (type == "NFKC") return NormalStep(NormalForm::nfkc);
  if (type == "NFKD") return NormalStep(NormalForm::nfkd);
  return unsupported_type(element, type, "NFC, NFD, NFKC, NFKD, Prepend, Replace, Sequence");
}

}  // namespace

Result<Normalizer> read_normalizer(const JsonObject& file) {
  TIDAR_TRY(const auto elements, elements_of(file, "normalizer", "normalizers"));
  std::vector<NormalStep> steps;
  for (const JsonObject& element : elements) {
    TIDAR_TRY(const auto type, element.text("type"));
    TIDAR_TRY(NormalStep step, read_step(element, type));
    steps.push_back(std::move(step));
  }
  return Normalizer(std::move(steps));
}

namespace {

Result<SplitBehavior> read_behavior(const JsonObject& object) {
  TIDAR_TRY(const auto name, object.text("behavior"));
  if (name == "Isolated") return SplitBehavior::isolated;
  if (name == "Removed") return SplitBehavior::removed;
  if (name == "MergedWithPrevious") return SplitBehavior::merged_with_previous;
  if (name == "MergedWithNext") return SplitBehavior::merged_with_next;
  if (name == "Contiguous") return SplitBehavior::contiguous;
  return object.unsupported(fmt::format("the behavior \"{}\"", name));
}

Result<Split> read_split(const JsonObject& object) {
  TIDAR_TRY_VOID(object.only({"type", "pattern", "behavior", "invert"}));
  TIDAR_TRY(const auto behavior, read_behavior(object));
  TIDAR_TRY(const bool invert, object.flag("invert", false));
  TIDAR_TRY(const auto pattern, object.object("pattern"));
  TIDAR_TRY_VOID(pattern.only({"Regex", "String"}));
  const bool literal = pattern.find("String").has_value();
  TIDAR_TRY(const auto text, pattern.text(literal ? "String" : "Regex"));
  auto regex = literal ? Regex::literal(text) : Regex::compile(text);
  if (!regex.ok()) return error("{}: {}", pattern.path(), regex.error().message);
  return Split{std::move(*regex), behavior, invert};
}

Result<Split> read_digits(const JsonObject& object) {
  TIDAR_TRY_VOID(object.only({"type", "individual_digits"}));
  TIDAR_TRY(const bool individual, object.flag("individual_digits", false));
  TIDAR_TRY(auto digit, Regex::compile("\\p{N}"));
  return Split{std::move(digit), individual ? SplitBehavior::isolated : SplitBehavior::contiguous};
}

/// With the field "add_prefix_space" of older files.
Result<Metaspace> read_metaspace(const JsonObject& object) {
  TIDAR_TRY_VOID(object.only(
      {"type", "replacement", "add_prefix_space", "prepend_scheme", "split", "str_rep"}));
  Metaspace metaspace;
  TIDAR_TRY(const auto mark, object.text("replacement"));
  if (mark.empty() || utf8_front(mark).size != mark.size()) {
    return error("{} must be one character", object.path_of("replacement"));
  }
  metaspace.mark = mark;
  TIDAR_TRY(const bool prefix, object.flag("add_prefix_space", true));
  std::string_view scheme = prefix ? "always" : "never";
  if (object.find("prepend_scheme")) {
    TIDAR_TRY(scheme, object.text("prepend_scheme"));
  }
  if (scheme == "always") {
    metaspace.prepend = Metaspace::Prepend::always;
  } else if (scheme == "first") {
    metaspace.prepend = Metaspace::Prepend::first;
  } else if (scheme == "never") {
    metaspace.prepend = Metaspace::Prepend::never;
  } else {
    return object.unsupported(fmt::format("the prepend_scheme \"{}\"", scheme));
  }
  if (!prefix && metaspace.prepend != Metaspace::Prepend::never) {
    return error("{}: add_prefix_space is false and prepend_scheme \"{}\"; they must agree",
                 object.path(), scheme);
  }
  return metaspace;
}

}  // namespace

Result<PreTokenizer> read_pre_tokenizer(const JsonObject& file, BpeUnit unit) {
  // The pattern of GPT-2, which "use_regex" stands for.
  constexpr std::string_view gpt2 =
      R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
  TIDAR_TRY(const auto elements, elements_of(file, "pre_tokenizer", "pretokenizers"));
  std::vector<Split> splits;
  std::optional<Metaspace> metaspace;
  for (size_t i = 0; i < elements.size(); ++i) {
    const JsonObject& element = elements[i];
    TIDAR_TRY(const auto type, element.text("type"));
    if (type == "Split") {
      TIDAR_TRY(Split split, read_split(element));
      splits.push_back(std::move(split));
    } else if (type == "Digits") {
      TIDAR_TRY(Split split, read_digits(element));
      splits.push_back(std::move(split));
    } else if (type == "Metaspace" && unit == BpeUnit::character) {
      if (i > 0) return element.unsupported("a Metaspace that is not the first");
      TIDAR_TRY(metaspace, read_metaspace(element));
      TIDAR_TRY(const bool split, element.flag("split", true));
      if (!split) continue;
      TIDAR_TRY(auto mark, Regex::literal(metaspace->mark));
      splits.push_back({std::move(mark), SplitBehavior::merged_with_next});
    } else if (type == "ByteLevel" && unit == BpeUnit::byte) {
      if (i + 1 < elements.size()) return element.unsupported("a ByteLevel that is not the last");
      TIDAR_TRY_VOID(element.only({"type", "add_prefix_space", "trim_offsets", "use_regex"}));
      TIDAR_TRY(const bool prefix, element.flag("add_prefix_space", true));
      TIDAR_TRY(const bool use_regex, element.flag("use_regex", true));
      const size_t place = splits.size();
      if (use_regex) {
        TIDAR_TRY(auto pattern, Regex::compile(gpt2));
        splits.push_back({std::move(pattern)});
      }
      return PreTokenizer(std::move(splits), prefix ? std::optional(place) : std::nullopt);
    } else {
      const char* own = unit == BpeUnit::byte ? "ByteLevel" : "Metaspace";
      return unsupported_type(element, type, fmt::format("Split, Digits, {}, Sequence", own));
    }
  }
  if (unit == BpeUnit::byte) {
    return error("pre_tokenizer must end in a ByteLevel, as the decoder is one");
  }
  if (metaspace) return PreTokenizer(std::move(*metaspace), std::move(splits));
  return PreTokenizer(std::move(splits));
}

namespace {

Result<void> read_strip(const JsonObject& object, CharacterDecoding& decoding) {
  TIDAR_TRY_VOID(object.only({"type", "content", "start", "stop"}));
  TIDAR_TRY(const auto content, object.text("content"));
  if (content.empty() || utf8_front(content).size != content.size()) {
    return error("{} must be one character", object.path_of("content"));
  }
  decoding.strip = content;
  TIDAR_TRY(const int32_t count, object.integer("start", 1 << 20));
  TIDAR_TRY(const int32_t stop, object.integer("stop", 1 << 20));
  if (stop != 0) return object.unsupported("a stop other than 0");
  decoding.strip_count = static_cast<size_t>(count);
  return {};
}

/// Where in the order of CharacterDecoding an element of this type stands; -1 for an unknown one.
int stage_of(std::string_view type) {
  constexpr std::array<std::string_view, 5> stages = {"Metaspace", "Replace", "ByteFallback",
                                                      "Fuse", "Strip"};
  const auto at = std::find(stages.begin(), stages.end(), type);
  return at == stages.end() ? -1 : static_cast<int>(at - stages.begin());
}

Result<void> read_decoder_element(const JsonObject& element, std::string_view type,
                                  CharacterDecoding& decoding) {
  if (type == "Metaspace") {
    TIDAR_TRY(const Metaspace metaspace, read_metaspace(element));
    decoding.replacements.push_back({metaspace.mark, " "});
    if (metaspace.prepend != Metaspace::Prepend::never) decoding.drop_in_first = metaspace.mark;
  } else if (type == "Replace") {
    TIDAR_TRY(Replace replace, read_replace(element));
    decoding.replacements.push_back({std::move(replace.pattern), std::move(replace.content)});
  } else if (type == "Strip") {
    return read_strip(element, decoding);
  } else {
    TIDAR_TRY_VOID(element.only({"type"}));
    decoding.byte_fallback = decoding.byte_fallback || type == "ByteFallback";
  }
  return {};
}

}  // namespace

Result<std::optional<CharacterDecoding>> read_decoder(const JsonObject& file) {
  TIDAR_TRY(const auto elements, elements_of(file, "decoder", "decoders"));
  if (elements.empty())
    return error("decoder must be one ByteLevel, or the Sequence of a SentencePiece vocabulary");
  CharacterDecoding decoding;
  bool fused = false;
  int stage = 0;
  for (const JsonObject& element : elements) {
    TIDAR_TRY(const auto type, element.text("type"));
    if (type == "ByteLevel" && elements.size() == 1) return std::optional<CharacterDecoding>();
    const int next = stage_of(type);
    if (next < 0) {
      return unsupported_type(element, type,
                              "ByteLevel alone, Metaspace, Replace, ByteFallback, Fuse, Strip");
    }
    fused = fused || type == "Fuse";
    if (next < stage || (type == "Strip" && !fused)) {
      return element.unsupported(fmt::format("a {} at this place", type));
    }
    stage = next;
    TIDAR_TRY_VOID(read_decoder_element(element, type, decoding));
  }
  return std::optional(std::move(decoding));
}

}  // namespace tidar
