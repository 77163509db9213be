#include "train/objective.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "base/nearest.h"
#include "base/rng.h"
#include "train/objective_kinds.h"

namespace tidar {

namespace {

struct NamedKind {
  std::string_view name;
  ObjectiveKind kind;
  bool has_blocks;
};
constexpr std::array kKinds = {
    NamedKind{"ar", ObjectiveKind::ar, false},
    NamedKind{"tidar", ObjectiveKind::tidar, true},
    NamedKind{"block", ObjectiveKind::block_diffusion, true},
    NamedKind{"masked", ObjectiveKind::masked_diffusion, false},
};

const NamedKind& entry(ObjectiveKind kind) {
  for (const NamedKind& one : kKinds) {
    if (one.kind == kind) return one;
  }
  fail_check(__FILE__, __LINE__, "no such objective");
}

Result<void> check_baseline(const ObjectiveOptions& options, const ObjectiveLimits& limits,
                            std::string_view name) {
  const auto& [low, high] = options.noise;
  if (!(0 < low && low <= high && high <= 1)) {
    return error("objective {}: noise of levels {} to {}; expected two numbers above 0 and up to 1",
                 name, low, high);
  }
  if (options.kind == ObjectiveKind::tidar && options.label_shift == LabelShift::one) {
    return error(
        "objective {}: its masks predict their own places; label_shift is of block and "
        "masked",
        name);
  }
  if (options.padding < 0) {
    return error("objective {}: padding is {}; expected at least 0 tokens", name, options.padding);
  }
  if (options.block_end != BlockEnd::end_tokens && options.padding == 0) return {};
  if (options.end_token < 0) {
    return error("objective {}: needs an end token to put behind texts, and none is named", name);
  }
  if (options.end_token >= limits.vocabulary || options.end_token == options.mask_token) {
    return error(
        "objective {}: end token {} must be in the vocabulary (0 to {}) and not the mask "
        "token {}",
        name, options.end_token, limits.vocabulary - 1, options.mask_token);
  }
  return {};
}

Result<void> check_sizes(std::span<const int> sizes, int most, std::string_view name) {
  for (const int size : sizes) {
    if (size >= 1 && size <= most) continue;
    return error("objective {}: a document cannot have blocks of {}; expected 1 to {}", name, size,
                 most);
  }
  return {};
}

Result<void> check_stages(const ObjectiveOptions& options, std::string_view name) {
  int64_t before = 0;
  for (const BlockStage& stage : options.block_stages) {
    if (stage.step <= before || stage.sizes.empty()) {
      return error(
          "objective {}: a stage of block sizes begins with step {} behind {} and has {} sizes; "
          "expected later steps each time, and at least one size",
          name, stage.step, before, stage.sizes.size());
    }
    TIDAR_TRY_VOID(check_sizes(stage.sizes, options.block_size, name));
    before = stage.step;
  }
  return {};
}

Result<void> check_options(const ObjectiveOptions& options, const ObjectiveLimits& limits) {
  const NamedKind& named = entry(options.kind);
  if (options.kind != ObjectiveKind::ar) {
    if (options.mask_token < 0) {
      return error("objective {}: needs a mask token, and none is named", named.name);
    }
    if (options.mask_token >= limits.vocabulary) {
      return error("objective {}: mask token {} is outside the vocabulary (0 to {})", named.name,
                   options.mask_token, limits.vocabulary - 1);
    }
  }
  if (named.has_blocks && (options.block_size < 1 || options.block_size > limits.tokens)) {
    return error(
        "objective {}: block size {} does not fit sequences of {} tokens; expected 1 to {}",
        named.name, options.block_size, limits.tokens, limits.tokens);
  }
  if (named.has_blocks) {
    TIDAR_TRY_VOID(check_sizes(options.block_sizes, options.block_size, named.name));
    TIDAR_TRY_VOID(check_stages(options, named.name));
  }
  if (named.has_blocks && options.block_start == BlockStart::anchors &&
      (options.kind != ObjectiveKind::tidar || options.masking == Masking::random)) {
    return error("objective {}: only blocks of tidar that are all masks can start at anchors",
                 named.name);
  }
  if (!(options.alpha >= 0) || std::isinf(options.alpha)) {
    return error("objective {}: alpha is {}; expected a number of at least 0", named.name,
                 options.alpha);
  }
  if (!(options.place_decay >= 0) || std::isinf(options.place_decay)) {
    return error(
        "objective {}: the loss of places cannot decay with a length of {}; expected a number of "
        "places, or 0 for none",
        named.name, options.place_decay);
  }
  if (!(options.target.share >= 0 && options.target.share <= 1)) {
    return error("objective {}: the share of a target is {}; expected 0 to 1", named.name,
                 options.target.share);
  }
  if (options.kind != ObjectiveKind::ar) return check_baseline(options, limits, named.name);
  return {};
}

// Shares become parts of a mean over the whole step, and weights follow.
void divide(std::span<const LossTerm> terms, std::span<const double> counts, TrainingPass& pass) {
  for (size_t i = 0; i < pass.labels.size(); ++i) {
    LabelShare& share = pass.shares[i];
    const auto term = static_cast<size_t>(share.term);
    const double part = counts[term] > 0 ? double{share.share} / counts[term] : 0;
    share.share = static_cast<float>(part);
    pass.labels[i].weight = static_cast<float>(terms[term].weight * part);
  }
}

}  // namespace

void TrainingPass::add_label(int32_t row, int32_t token, const LabelShare& share,
                             const SoftTarget& target) {
  labels.push_back({.row = row, .token = token, .weight = 0, .target = target});
  shares.push_back(share);
}

float DocumentNoise::uniform(Purpose purpose, int32_t place) const {
  // Counters whose upper half is 0 belong to the shuffle of the data.
  const auto words =
      philox(seed_, step_ + 1, uint64_t{document_} << 32 | static_cast<uint32_t>(place));
  return open_unit(words[static_cast<size_t>(purpose)]);
}

namespace {

Result<ObjectiveKind> objective_named(std::string_view name) {
  std::vector<std::string> names;
  std::string list;
  for (const NamedKind& one : kKinds) {
    if (one.name == name) return one.kind;
    names.emplace_back(one.name);
    list += fmt::format("{}{}", list.empty() ? "" : ", ", one.name);
  }
  const std::string meant = nearest(name, names);
  return error("unknown objective '{}'; {}", name,
               meant.empty() ? "expected one of " + list : "did you mean " + meant + "?");
}

}  // namespace

Result<ObjectiveOptions> parse_objective(std::string_view text) {
  const size_t colon = text.find(':');
  ObjectiveOptions options;
  TIDAR_TRY(options.kind, objective_named(text.substr(0, colon)));
  if (colon == text.npos) return options;
  const std::string_view size = text.substr(colon + 1);
  if (!entry(options.kind).has_blocks) {
    return error("objective {}: has no block size, found '{}'", text.substr(0, colon), size);
  }
  const char* const end = size.data() + size.size();
  const auto [stop, code] = std::from_chars(size.data(), end, options.block_size);
  if (code != std::errc{} || stop != end || options.block_size < 1) {
    return error("objective {}: expected a block size behind the colon, found '{}'",
                 text.substr(0, colon), size);
  }
  return options;
}

Result<std::unique_ptr<Objective>> make_objective(const ObjectiveOptions& options,
                                                  const ObjectiveLimits& limits) {
  TIDAR_TRY_VOID(check_options(options, limits));
  switch (options.kind) {
    case ObjectiveKind::ar:
      return make_ar_objective(options);
    case ObjectiveKind::tidar:
      return make_tidar_objective(options);
    case ObjectiveKind::block_diffusion:
      return make_block_diffusion_objective(options);
    case ObjectiveKind::masked_diffusion:
      return make_masked_diffusion_objective(options);
  }
  fail_check(__FILE__, __LINE__, "no such objective");
}

ObjectiveOptions measured(ObjectiveOptions options) {
  options.place_decay = 0;
  options.target = {};
  options.noise = {};
  options.padding = 0;
  options.block_stages.clear();
  if (options.block_end == BlockEnd::end_tokens) options.block_end = BlockEnd::whole;
  return options;
}

std::vector<TrainingPass> lay_out_step(const Objective& objective,
                                       std::span<const std::vector<Document>> packs,
                                       const StepSeed& seed) {
  std::vector<TrainingPass> passes(packs.size());
  std::vector<double> counts(objective.terms().size(), 0.0);
  uint32_t number = 0;
  for (size_t i = 0; i < packs.size(); ++i) {
    for (const Document& document : packs[i]) {
      TIDAR_CHECK(!document.tokens.empty());
      objective.add(document, DocumentNoise(seed.seed, seed.step, number++), passes[i], counts);
    }
  }
  for (TrainingPass& pass : passes) divide(objective.terms(), counts, pass);
  return passes;
}

void add_term_means(const TrainingPass& pass, std::span<const double> losses,
                    std::span<double> means) {
  TIDAR_CHECK_EQ(losses.size(), pass.shares.size());
  for (size_t i = 0; i < losses.size(); ++i) {
    means[static_cast<size_t>(pass.shares[i].term)] += double{pass.shares[i].share} * losses[i];
  }
}

double total_loss(std::span<const LossTerm> terms, std::span<const double> means) {
  TIDAR_CHECK_EQ(terms.size(), means.size());
  double loss = 0;
  for (size_t i = 0; i < terms.size(); ++i) loss += terms[i].weight * means[i];
  return loss;
}

}  // namespace tidar
