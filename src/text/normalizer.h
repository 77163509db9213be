#pragma once
// Unicode normalisation of text before it is split into pieces.

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tidar {

enum class NormalForm : uint8_t { nfc, nfd, nfkc, nfkd };

/// The forms of a tokenizer.json, one after another; usually NFC alone, or none. Immutable.
class Normalizer {
 public:
  Normalizer() = default;
  explicit Normalizer(std::vector<NormalForm> forms) : forms_(std::move(forms)) {}

  /// The normalised text: `text` itself when nothing changes, otherwise a view of `scratch`, which
  /// is overwritten. `text` must be UTF-8 and must not lie in `scratch`.
  std::string_view apply(std::string_view text, std::string& scratch) const;

 private:
  std::vector<NormalForm> forms_;
};

/// `text` in one normal form. `text` must be UTF-8.
std::string normalize(std::string_view text, NormalForm form);

}  // namespace tidar
