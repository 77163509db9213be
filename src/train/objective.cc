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

// LLaDA's smallest noise level.
constexpr float kLeastNoise = 1e-3f;

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
  for (const int size : options.block_sizes) {
    if (named.has_blocks && (size < 1 || size > options.block_size)) {
      return error("objective {}: a document cannot have blocks of {}; expected 1 to {}",
                   named.name, size, options.block_size);
    }
  }
  if (!(options.alpha >= 0) || std::isinf(options.alpha)) {
    return error("objective {}: alpha is {}; expected a number of at least 0", named.name,
                 options.alpha);
  }
  return {};
}

// Shares become parts of a mean over the whole step, and weights follow.
void divide(std::span<const LossTerm> terms, std::span<const int64_t> counts, TrainingPass& pass) {
  for (size_t i = 0; i < pass.labels.size(); ++i) {
    LabelShare& share = pass.shares[i];
    const auto term = static_cast<size_t>(share.term);
    const double part = double{share.share} / static_cast<double>(counts[term]);
    share.share = static_cast<float>(part);
    pass.labels[i].weight = static_cast<float>(terms[term].weight * part);
  }
}

}  // namespace

void TrainingPass::add_label(int32_t row, int32_t token, const LabelShare& share) {
  labels.push_back({.row = row, .token = token, .weight = 0});
  shares.push_back(share);
}

float DocumentNoise::uniform(Purpose purpose, int32_t place) const {
  // Counters whose upper half is 0 belong to the shuffle of the data.
  const auto words =
      philox(seed_, step_ + 1, uint64_t{document_} << 32 | static_cast<uint32_t>(place));
  return open_unit(words[static_cast<size_t>(purpose)]);
}

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

std::vector<TrainingPass> lay_out_step(const Objective& objective,
                                       std::span<const std::vector<Document>> packs,
                                       const StepSeed& seed) {
  std::vector<TrainingPass> passes(packs.size());
  std::vector<int64_t> counts(objective.terms().size(), 0);
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

// ---- what objectives share ----

bool is_learnt(const ObjectiveOptions& options, const Document& document, int32_t place) {
  const auto i = static_cast<size_t>(place);
  const int32_t token = i < document.tokens.size() ? document.tokens[i] : document.next;
  if (token < 0 || token == options.mask_token) return false;
  return options.prompts == Prompts::learnt || place >= document.prompt;
}

Blocks blocks_of(const ObjectiveOptions& options, const DocumentNoise& noise) {
  using enum DocumentNoise::Purpose;
  const auto below = [&](DocumentNoise::Purpose purpose, int count) {
    return static_cast<int>(noise.uniform(purpose, 0) * static_cast<float>(count));
  };
  const auto& sizes = options.block_sizes;
  const int size = sizes.empty() ? options.block_size
                                 : sizes[static_cast<size_t>(below(block_size, int(sizes.size())))];
  if (options.block_start == BlockStart::aligned) return size;
  return {size, 1 + below(start, size)};
}

int32_t size_with_last_block(const ObjectiveOptions& options, const Document& document,
                             const Blocks& blocks) {
  const auto size = static_cast<int32_t>(document.tokens.size());
  if (options.block_end == BlockEnd::cut) return size;
  return std::min(blocks.around(size - 1, INT32_MAX).to, size + size / 2);
}

PassExtent extent_of_two_halves(const ObjectiveOptions& options, int tokens) {
  if (options.block_end == BlockEnd::cut) return {2 * tokens, tokens};
  return {2 * tokens + tokens / 2, tokens + std::min(options.block_size - 1, tokens / 2)};
}

void add_next_token_labels(const ObjectiveOptions& options, const Document& document,
                           int32_t first_row, TrainingPass& out, std::span<int64_t> counts) {
  const auto size = static_cast<int32_t>(document.tokens.size());
  for (int32_t i = 0; i < size; ++i) {
    if (!is_learnt(options, document, i + 1)) continue;
    const bool is_last = i + 1 == size;
    out.add_label(first_row + i,
                  is_last ? document.next : document.tokens[static_cast<size_t>(i + 1)], {0, 1});
    ++counts[0];
  }
}

NoisedText add_noise(const ObjectiveOptions& options, const Document& document,
                     const DocumentNoise& noise, const Blocks& blocks) {
  using enum DocumentNoise::Purpose;
  NoisedText text;
  text.tokens.assign(document.tokens.begin(), document.tokens.end());
  text.levels.assign(text.tokens.size(), 0.0f);
  const auto size = static_cast<int32_t>(text.tokens.size());
  for (int32_t i = 0; i < size; ++i) {
    if (!is_learnt(options, document, i)) continue;
    const int32_t block = blocks.around(i, size).from;
    const float t = kLeastNoise + (1 - kLeastNoise) * noise.uniform(level, block);
    text.levels[static_cast<size_t>(i)] = t;
    if (noise.uniform(mask, i) >= t) continue;
    text.tokens[static_cast<size_t>(i)] = options.mask_token;
    text.masked.push_back(i);
  }
  return text;
}

void add_denoising_labels(const Document& document, const NoisedText& text, int32_t first_row,
                          TrainingPass& out, std::span<int64_t> counts) {
  for (const int32_t place : text.masked) {
    const auto i = static_cast<size_t>(place);
    out.add_label(first_row + place, document.tokens[i], {0, 1 / text.levels[i]});
  }
  for (const float level : text.levels) counts[0] += level > 0;
}

}  // namespace tidar
