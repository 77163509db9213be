#include "decode/lookup.h"

#include <algorithm>
#include <memory>
#include <vector>

namespace tidar {
namespace {

class LookupDrafter final : public Drafter {
 public:
  explicit LookupDrafter(const LookupOptions& options) : options_(options) {}

  std::span<const int32_t> draft(std::span<const int32_t> text, int most) override {
    draft_.clear();
    const size_t from = continuation(text);
    if (from == 0) return {};
    for (size_t at = from; draft_.size() < static_cast<size_t>(most); ++at)
      draft_.push_back(at < text.size() ? text[at] : draft_[at - text.size()]);
    return draft_;
  }

  bool is_free() const override { return true; }

 private:
  // Where the text goes on behind the best earlier occurrence of its last tokens; 0: none.
  size_t continuation(std::span<const int32_t> text) const {
    const auto most = static_cast<size_t>(options_.most_matched);
    size_t best = 0, longest = static_cast<size_t>(options_.least_matched) - 1;
    for (size_t end = text.size() - 1; end > longest && longest < most; --end) {
      const size_t matched = common_end(text.first(end), text, most);
      if (matched <= longest) continue;
      longest = matched;
      best = end;
    }
    return best;
  }

  // How many of the last tokens of both are the same, at most `most`.
  static size_t common_end(std::span<const int32_t> a, std::span<const int32_t> b, size_t most) {
    size_t same = 0;
    while (same < std::min(most, a.size()) && a[a.size() - 1 - same] == b[b.size() - 1 - same])
      ++same;
    return same;
  }

  LookupOptions options_;
  std::vector<int32_t> draft_;
};

}  // namespace

DrafterFactory lookup_drafters(const LookupOptions& options) {
  return [options](const SequenceSpec&) -> Result<std::unique_ptr<Drafter>> {
    if (options.least_matched < 1 || options.least_matched > options.most_matched)
      return error(
          "lookup: expected 1 <= least matched <= most matched tokens, found least {} and most {}",
          options.least_matched, options.most_matched);
    return std::unique_ptr<Drafter>(std::make_unique<LookupDrafter>(options));
  };
}

}  // namespace tidar
