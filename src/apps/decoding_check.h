#pragma once
// How well a model under training drafts: the same prompts continued by AR and by TiDAR. That the
// texts agree is a test of the whole machine, besides: at trust 1 they must, however well it
// drafts.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "apps/backend.h"
#include "apps/prompts.h"
#include "base/result.h"
#include "net/trainable.h"

namespace tidar {

struct DecodingCheckOptions {
  std::vector<int> draft_lengths;  ///< K, each tried by itself
  int mask_token = -1;             ///< an id; there must be one
  int max_new = 256;               ///< tokens of a continuation at most; it ends at an EOS before
  WeightFormat weights = WeightFormat::f32;  ///< in products
  /// So many first prompts are continued at temperature 1, to be read: where there are no draft
  /// lengths by the method that the model's config names.
  int samples = 0;
  uint64_t seed = 0;  ///< of sampling; prompt i draws from seed + i
};

/// What TiDAR at trust 1 did with the prompts at one draft length.
struct DecodedAt {
  int draft_length = 0;
  int64_t tokens = 0;  ///< that decoding passes brought
  int64_t passes = 0;  ///< decoding passes
  int same_as_ar = 0;  ///< prompts with the very tokens of AR
  int prompts = 0;
  int64_t sampled_tokens = 0;  ///< likewise at temperature 1
  int64_t sampled_passes = 0;

  double tokens_per_pass() const { return share(tokens, passes); }
  double sampled_tokens_per_pass() const { return share(sampled_tokens, sampled_passes); }

  static double share(int64_t tokens, int64_t passes) {
    return passes == 0 ? 0 : static_cast<double>(tokens) / static_cast<double>(passes);
  }
};

struct DecodingCheck {
  std::vector<DecodedAt> at;                  ///< one for each draft length
  std::vector<std::vector<int32_t>> samples;  ///< tokens that continue the first prompts
};

/// Decodes with the masters of `model` as they are now, greedily by AR and at each draft length,
/// and there at temperature 1, too, through a serving network that is built for it and thrown away.
/// The config names the EOS.
Result<DecodingCheck> check_decoding(Trainable& model, const Backend& backend,
                                     std::span<const NumberedPrompt> prompts,
                                     const DecodingCheckOptions& options);

}  // namespace tidar
