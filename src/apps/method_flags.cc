#include "apps/method_flags.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "apps/ids.h"
#include "apps/method_list.h"
#include "apps/price_source.h"
#include "apps/ranges.h"

namespace tidar {
namespace {

/// Where neither the flags nor the checkpoint name them: the middle of the draft lengths that the
/// paper trains, and the longest.
constexpr int kDefaultDraftLength = 8;
constexpr int kDefaultBlockSize = 16;
/// A pass of block diffusion holds two blocks.
constexpr int kLargestBlock = 4096;

constexpr std::array<std::pair<std::string_view, RevealOrder>, 5> kOrders = {
    {{"confidence", RevealOrder::confidence},
     {"margin", RevealOrder::margin},
     {"entropy", RevealOrder::entropy},
     {"random", RevealOrder::random},
     {"left-to-right", RevealOrder::left_to_right}}};

std::vector<std::string> method_names() {
  std::vector<std::string> names;
  for (const MethodInfo& info : all_methods()) names.emplace_back(info.name);
  return names;
}

std::vector<std::string> order_names() {
  std::vector<std::string> names;
  for (const auto& [name, order] : kOrders) names.emplace_back(name);
  return names;
}

/// A group of flags in the help: those that some of these methods read.
class FlagGroup {
 public:
  FlagGroup(CLI::App& command, MethodFlags& flags, std::vector<std::string_view> methods)
      : command_(command), of_methods_(flags.of_methods), methods_(std::move(methods)) {
    command_.option_defaults()->group(fmt::format("Method: {}", fmt::join(methods_, ", ")));
  }

  /// A flag that all of them read.
  template <class Value>
  CLI::Option* add(const std::string& name, Value& value, const std::string& what) {
    return add(methods_, name, value, what);
  }
  /// A flag that one of them reads.
  template <class Value>
  CLI::Option* add_for(std::string_view method, const std::string& name, Value& value,
                       const std::string& what) {
    return add({method}, name, value, fmt::format("{}: {}", method, what));
  }
  /// A flag that several of them read.
  template <class Value>
  CLI::Option* add_for_all(const std::vector<std::string_view>& methods, const std::string& name,
                           Value& value, const std::string& what) {
    return add(methods, name, value, fmt::format("{}: {}", fmt::join(methods, ", "), what));
  }

 private:
  template <class Value>
  CLI::Option* add(const std::vector<std::string_view>& methods, const std::string& name,
                   Value& value, const std::string& what) {
    CLI::Option* option = nullptr;
    if constexpr (std::is_same_v<Value, bool>) {
      option = command_.add_flag(name, value, what);
    } else {
      option = command_.add_option(name, value, what);
    }
    of_methods_.push_back({option, methods});
    return option;
  }

  CLI::App& command_;
  std::vector<FlagOfMethods>& of_methods_;
  std::vector<std::string_view> methods_;
};

void add_draft_flags(CLI::App& command, MethodFlags& flags) {
  FlagGroup group(command, flags, {"tidar", "self-speculative", "lookup", "speculative"});
  group
      .add("--draft-length", flags.draft_length,
           "Tokens of a draft, K (0: the checkpoint's block size, or 8)")
      ->check(whole_number(0, kLongestDraft))
      ->type_name("K")
      ->capture_default_str();
  group
      .add_for("tidar", "--trust-ar", flags.trust_ar,
               "weight of the causal reading; the rest is the mask's")
      ->check(number(0.0, 1.0))
      ->type_name("B")
      ->capture_default_str();
  group
      .add_for("tidar", "--groups", flags.groups,
               "groups of masks in a step: all, first, last, none, numbers such as 1,3,4, "
               "likeliest:N by the draft's own probabilities, or auto: those that bring more than "
               "their rows cost, all where prices are none")
      ->check(parsed_by(parse_policy))
      ->type_name("GROUPS")
      ->capture_default_str();
  group
      .add_for("tidar", "--guessed", flags.guessed,
               "further groups of masks in a step, at most: behind second candidates of the "
               "draft's places, the likeliest")
      ->check(whole_number(0, kLongestDraft))
      ->type_name("N")
      ->capture_default_str();
  group
      .add_for_all({"tidar", "lookup"}, "--prices", flags.prices,
                   "what passes cost, so that they carry the guesses and masks that pay: a file; "
                   "measure, which takes up to a second and is kept; or none (default: what an "
                   "earlier run kept in ~/.cache/tidar, else measured)")
      ->option_text("FILE|measure|none");
  group
      .add_for("lookup", "--least-match", flags.lookup.least_matched,
               "last tokens that must have occurred before, at least")
      ->check(whole_number(1))
      ->type_name("N")
      ->capture_default_str();
  group.add_for("lookup", "--most-match", flags.lookup.most_matched, "and at most")
      ->check(whole_number(1))
      ->type_name("N")
      ->capture_default_str();
  group
      .add_for("speculative", "--draft-model", flags.draft_model,
               "folder or GGUF file of the model that drafts; its tokens must be this one's")
      ->type_name("PATH");
}

void add_denoising_flags(CLI::App& command, MethodFlags& flags) {
  FlagGroup group(command, flags, {"block-diffusion", "masked-diffusion"});
  group
      .add("--block-size", flags.block_size,
           "Tokens of a block (0: the checkpoint's or 16; masked: all at once)")
      ->check(whole_number(0, kLargestBlock))
      ->type_name("K")
      ->capture_default_str();
  group.add("--order", flags.order, "Which tokens first (default: confidence)")
      ->check(CLI::IsMember(order_names()))
      ->type_name("");
  group
      .add("--confidence", flags.confidence,
           "Also all that are more probable than this; above 1, none are")
      ->check(number_from(0))
      ->type_name("P");
  group
      .add("--entropy-bound", flags.entropy_bound,
           "Also the next ones while their entropies sum up to this, in nats")
      ->check(number_from(0))
      ->type_name("H");
  group.add_for("block-diffusion", "--per-pass", flags.per_pass, "tokens of a pass, at least")
      ->check(whole_number(1))
      ->type_name("N")
      ->capture_default_str();
  group
      .add_for("block-diffusion", "--block-keys", flags.block_keys,
               "how the model reads finished text (default: as it was "
               "trained, else causal)")
      ->check(CLI::IsMember({"causal", "block"}))
      ->type_name("");
  group
      .add_for("block-diffusion", "--block-borders", flags.block_borders,
               "where blocks begin: with the output, or at multiples of K "
               "(default: as it was trained, else output)")
      ->check(CLI::IsMember({"output", "multiples"}))
      ->type_name("");
  group.add_for("masked-diffusion", "--steps", flags.steps, "passes in all (0: one a token)")
      ->check(whole_number(0))
      ->type_name("N")
      ->capture_default_str();
  group.add_for("masked-diffusion", "--shifted-logits", flags.shifted_logits,
                "the row before a mask tells its token (Dream)");
}

/// A flag that was given and changes nothing is a mistake of whoever gave it.
Result<void> check_given(const MethodFlags& flags, std::string_view method) {
  for (const FlagOfMethods& flag : flags.of_methods) {
    const bool read =
        std::find(flag.methods.begin(), flag.methods.end(), method) != flag.methods.end();
    if (read || flag.option->count() == 0) continue;
    return error("{} has no meaning for --method {}, only for {}; leave it out or choose another",
                 flag.option->get_name(), method, fmt::join(flag.methods, ", "));
  }
  return {};
}

/// Of drafts of `draft_length` tokens.
Result<GroupPolicy> group_policy_of(const MethodFlags& flags, int draft_length) {
  TIDAR_TRY(GroupPolicy policy, parse_policy(flags.groups));
  const auto checked = check_policy(policy, draft_length);
  if (!checked.ok()) return error("--groups: {}", checked.error().message);
  return policy;
}

int first_positive(int a, int b, int c) { return a > 0 ? a : b > 0 ? b : c; }

RevealRule reveal_rule(const MethodFlags& flags) {
  RevealRule rule{
      .count = flags.per_pass, .threshold = flags.confidence, .entropy_bound = flags.entropy_bound};
  if (flags.order.empty() && flags.entropy_bound) rule.order = RevealOrder::entropy;
  for (const auto& [name, order] : kOrders)
    if (name == flags.order) rule.order = order;
  return rule;
}

/// Writes what the flags say into a method with default options.
struct FromFlags {
  const MethodFlags& flags;
  const TidarConfig* trained;  ///< nullptr: unknown
  int max_new;

  int trained_block() const { return trained == nullptr ? 0 : trained->block_size; }
  int draft_length() const {
    return first_positive(flags.draft_length, trained_block(), kDefaultDraftLength);
  }

  Result<void> operator()(ArOptions&) const { return {}; }
  Result<void> operator()(TidarOptions& tidar) const {
    tidar.draft_length = draft_length();
    tidar.trust = flags.trust_ar;
    TIDAR_TRY(tidar.groups, group_policy_of(flags, tidar.draft_length));
    if (!flags.prices.empty() && !goes_by_prices(tidar)) {
      return error("--prices has no meaning for --groups {}, only for auto; leave it out",
                   flags.groups);
    }
    if (flags.guessed > 0 && goes_by_prices(tidar) && flags.prices != "none") {
      return error(
          "--guessed has no meaning where prices choose the rows of a step; give --groups all or "
          "others, or --prices none");
    }
    tidar.guessed = flags.guessed;
    return {};
  }
  Result<void> operator()(SelfSpeculativeOptions& self) const {
    self.draft_length = draft_length();
    return {};
  }
  Result<void> operator()(LookupMethodOptions& lookup) const {
    lookup.draft_length = draft_length();
    lookup.lookup = flags.lookup;
    return {};
  }
  Result<void> operator()(SpeculativeOptions& speculative) const {
    if (flags.draft_model.empty())
      return error("--method speculative needs a model that drafts; give --draft-model DIR");
    speculative.draft_length = draft_length();
    return {};
  }
  Result<void> operator()(BlockDiffusionOptions& block) const {
    block.block_size = first_positive(flags.block_size, trained_block(), kDefaultBlockSize);
    block.reveal = reveal_rule(flags);
    const bool trained_so = trained != nullptr && trained->layout == TrainedLayout::block;
    const auto chosen = [&](const std::string& flag, std::string_view name) {
      return flag.empty() ? trained_so : flag == name;
    };
    if (chosen(flags.block_keys, "block")) block.keys = BlockKeys::block;
    if (chosen(flags.block_borders, "multiples")) block.borders = BlockBorders::multiples;
    return {};
  }
  Result<void> operator()(MaskedDiffusionOptions& masked) const {
    masked.length = max_new;
    masked.steps = flags.steps;
    masked.block_size = flags.block_size;
    masked.reveal = reveal_rule(flags);
    if (flags.shifted_logits) masked.shift = LogitShift::one;
    return {};
  }
};

std::string_view default_method(const TidarConfig* trained, bool has_mask) {
  if (trained == nullptr) return has_mask ? "tidar" : "ar";
  switch (trained->layout) {
    case TrainedLayout::block:
      return "block-diffusion";
    case TrainedLayout::masked:
      return "masked-diffusion";
    default:
      return "tidar";
  }
}

}  // namespace

void add_method_flags(CLI::App& command, MethodFlags& flags) {
  command.option_defaults()->group("Method");
  command
      .add_option("--method", flags.name,
                  "How to decode: " + fmt::format("{}", fmt::join(method_names(), ", ")) +
                      " (default: as the checkpoint was trained, or tidar where "
                      "--mask-token is given, else ar)")
      ->check(CLI::IsMember(method_names()))
      ->option_text("NAME");
  command.add_option("--mask-token", flags.mask_token, "Mask id (default: the checkpoint's)")
      ->check(whole_number(0))
      ->type_name("ID");
  add_draft_flags(command, flags);
  add_denoising_flags(command, flags);
}

void check_method_flags(const MethodFlags& flags) {
  // What the checkpoint will say is not known: its drafts may be the longest.
  MethodFlags widest = flags;
  if (flags.draft_length == 0) widest.draft_length = kLongestDraft;
  const auto check = [&]() -> Result<void> {
    if (!flags.name.empty()) TIDAR_TRY_VOID(check_given(flags, flags.name));
    TIDAR_TRY(Method method, method_named(flags.name.empty() ? "tidar" : flags.name));
    return std::visit(FromFlags{widest, nullptr, 1}, method);
  };
  if (const auto checked = check(); !checked.ok()) {
    throw CLI::ValidationError(checked.error().message);
  }
}

Result<Method> make_method(const MethodFlags& flags, const ModelConfig& config, int max_new) {
  const bool has_mask = known_mask_token(flags.mask_token, config) >= 0;
  const TidarConfig* trained = config.tidar ? &*config.tidar : nullptr;
  TIDAR_TRY(Method method,
            method_named(flags.name.empty() ? default_method(trained, has_mask) : flags.name));
  if (facts_of(method).needs_mask && !has_mask) {
    return error(
        "--method {} needs a mask token, and the checkpoint names none; give --mask-token ID, or "
        "use --method ar",
        name_of(method));
  }
  TIDAR_TRY_VOID(check_given(flags, name_of(method)));
  TIDAR_TRY_VOID(std::visit(FromFlags{flags, trained, max_new}, method));
  return method;
}

}  // namespace tidar
