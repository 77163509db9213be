#include "apps/mask_choice.h"

#include <algorithm>
#include <array>

#include "apps/ids.h"
#include "apps/output.h"
#include "format/files.h"

namespace tidar {

namespace {

constexpr std::array<std::string_view, 5> kMasks = {"<|mask|>", "<mask>", "[MASK]", "<|MASK|>",
                                                    "<|mdm_mask|>"};
/// Parts of the names of tokens that are there for later uses.
constexpr std::array<std::string_view, 5> kReserved = {"reserved", "unused", "extra", "placeholder",
                                                       "fim_"};
/// The first of the bytes that stand in no UTF-8, from the last one down.
constexpr int kLastOfUtf8 = 0xF4;

class Choosing {
 public:
  Choosing(const ModelConfig& config, const Tokenizer& tokenizer, std::span<const int64_t> counts)
      : config_(config), tokenizer_(tokenizer), counts_(counts) {}

  Result<MaskChoice> given(int32_t id, std::string why) const {
    TIDAR_TRY_VOID(check_ids({&id, 1}, config_.vocabulary, "mask token"));
    if (ends_or_begins(id)) {
      return error("the mask token {} is one that begins or ends texts; give another", told(id));
    }
    if (count(id) > 0) {
      return error("the mask token {} stands in the text {}; give one that never does", told(id),
                   counted(count(id), "time"));
    }
    return MaskChoice{id, std::move(why), {}};
  }

  Result<MaskChoice> chosen() const {
    for (const std::string_view name : kMasks) {
      if (const int32_t id = tokenizer_.id_of(name); is_free(id)) {
        return choice(id, "which is made for it");
      }
    }
    if (tokenizer_.size() < config_.vocabulary) {
      return choice(tokenizer_.size(), "a row of the vocabulary that the tokenizer never gives");
    }
    for (int32_t id = tokenizer_.size() - 1; id >= 0; --id) {
      if (is_free(id) && is_reserved(id)) return choice(id, "which is reserved and in no text");
    }
    for (int byte = 0xFF; byte > kLastOfUtf8; --byte) {
      for (int32_t id = 0; id < tokenizer_.size(); ++id) {
        const std::string_view bytes = tokenizer_.bytes(id);
        if (bytes.size() == 1 && static_cast<uint8_t>(bytes[0]) == byte && is_free(id)) {
          return choice(id, "a byte that no UTF-8 text has");
        }
      }
    }
    return new_mask(config_, tokenizer_);
  }

 private:
  int64_t count(int32_t id) const {
    const auto place = static_cast<size_t>(id);
    return place < counts_.size() ? counts_[place] : 0;
  }
  bool ends_or_begins(int32_t id) const {
    const auto& ends = config_.eos_tokens;
    return id == config_.bos_token || std::find(ends.begin(), ends.end(), id) != ends.end();
  }
  bool is_free(int32_t id) const { return id >= 0 && count(id) == 0 && !ends_or_begins(id); }

  bool is_reserved(int32_t id) const {
    if (!tokenizer_.is_special(id)) return false;
    const std::string_view name = tokenizer_.bytes(id);
    return std::any_of(kReserved.begin(), kReserved.end(),
                       [&](std::string_view part) { return name.find(part) != name.npos; });
  }

  std::string told(int32_t id) const {
    const std::string_view name = tokenizer_.bytes(id);
    return name.empty() ? std::to_string(id) : fmt::format("{} ({})", in_quotes(name), id);
  }
  MaskChoice choice(int32_t id, std::string_view why) const {
    return {id, fmt::format("{}, {}", told(id), why), {}};
  }

  const ModelConfig& config_;
  const Tokenizer& tokenizer_;
  std::span<const int64_t> counts_;
};

}  // namespace

MaskChoice new_mask(const ModelConfig& config, const Tokenizer& tokenizer) {
  MaskChoice choice;
  choice.token = tokenizer.size();
  const auto known = [&](const std::string& name) { return tokenizer.id_of(name) >= 0; };
  std::string name(kMasks.front());
  for (int i = 1; known(name); ++i) {
    name = static_cast<size_t>(i) < kMasks.size() ? kMasks[static_cast<size_t>(i)]
                                                  : fmt::format("<|mask_{}|>", i);
  }
  choice.why = fmt::format(
      "{} ({}), which is added to the tokenizer{}", in_quotes(name), choice.token,
      choice.token < config.vocabulary ? "" : " and to the vocabulary, with the mean of all rows");
  choice.added = {choice.token, std::move(name)};
  return choice;
}

Result<MaskChoice> choose_mask(std::string_view named, const ModelConfig& config,
                               const Tokenizer& tokenizer, std::span<const int64_t> counts) {
  const Choosing choosing(config, tokenizer, counts);
  if (!named.empty()) {
    TIDAR_TRY(const int32_t id, token_named(named, &tokenizer));
    return choosing.given(id, fmt::format("{}, as asked for", named));
  }
  if (config.tidar) {
    const int32_t id = config.tidar->mask_token;
    return choosing.given(id, fmt::format("{}, the checkpoint's own", id));
  }
  return choosing.chosen();
}

}  // namespace tidar
