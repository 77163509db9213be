#include "decode/mask_groups.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>

#include "base/check.h"

namespace tidar {

namespace {

constexpr std::string_view kLikeliest = "likeliest:";

// A number from 1 on, and nothing else; 0: it is none.
int parse_count(std::string_view text) {
  int number = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool whole = problem == std::errc() && end == text.data() + text.size();
  return whole && number > 0 ? number : 0;
}

// All groups of a step, those first that are most likely to be used.
std::vector<int> by_likelihood(std::span<const float> confidences) {
  std::vector<double> chances;  // of group 1 + index
  double right = 1;             // that all drafts so far are
  for (size_t j = 1; j < confidences.size(); ++j) {
    const double sure = std::exp(static_cast<double>(confidences[j]));
    chances.push_back(right * (1 - sure));
    right *= sure;
  }
  chances.push_back(right);
  std::vector<int> groups(chances.size());
  std::iota(groups.begin(), groups.end(), 1);
  std::stable_sort(groups.begin(), groups.end(), [&](int a, int b) {
    return chances[static_cast<size_t>(a) - 1] > chances[static_cast<size_t>(b) - 1];
  });
  return groups;
}

}  // namespace

std::string text_of(const GroupPolicy& policy) {
  switch (policy.kind) {
    case GroupPolicy::Kind::all:
      return "all";
    case GroupPolicy::Kind::paying:
      return "auto";
    case GroupPolicy::Kind::last:
      return "last";
    case GroupPolicy::Kind::likeliest:
      return fmt::format("{}{}", kLikeliest, policy.count);
    case GroupPolicy::Kind::listed:
      return policy.groups.empty() ? "none" : fmt::format("{}", fmt::join(policy.groups, ","));
  }
  return "";
}

Result<GroupPolicy> parse_policy(std::string_view text) {
  using Kind = GroupPolicy::Kind;
  if (text == "all") return GroupPolicy{};
  if (text == "auto") return GroupPolicy{.kind = Kind::paying};
  if (text == "last") return GroupPolicy{.kind = Kind::last};
  if (text == "first") return only_groups({1});
  if (text == "none") return no_groups();
  const auto wrong = [text] {
    return error(
        "expected auto, all, first, last, none, likeliest:N, or numbers such as 1,3,4, found '{}'",
        text);
  };
  if (text.starts_with(kLikeliest)) {
    const int count = parse_count(text.substr(kLikeliest.size()));
    if (count == 0) return wrong();
    return GroupPolicy{.kind = Kind::likeliest, .count = count};
  }
  GroupPolicy policy = no_groups();
  for (size_t from = 0; from <= text.size();) {
    const size_t comma = std::min(text.find(',', from), text.size());
    const std::string_view number = text.substr(from, comma - from);
    const int group = parse_count(number);
    if (group == 0 && number != "0") return wrong();
    policy.groups.push_back(group);
    from = comma + 1;
  }
  return policy;
}

Result<void> check_policy(const GroupPolicy& policy, int draft_length) {
  for (auto group = policy.groups.begin(); group != policy.groups.end(); ++group) {
    if (*group < 1 || *group > draft_length)
      return error("a draft of {} tokens has the groups 1 to {}, and no group {}", draft_length,
                   draft_length, *group);
    if (std::find(policy.groups.begin(), group, *group) != group)
      return error("group {} is named twice", *group);
  }
  return {};
}

std::vector<int> kept_groups(const GroupPolicy& policy, int draft_length,
                             std::span<const float> confidences) {
  switch (policy.kind) {
    case GroupPolicy::Kind::all:
    case GroupPolicy::Kind::paying:
      break;
    case GroupPolicy::Kind::last:
      return {draft_length};
    case GroupPolicy::Kind::listed:
      return policy.groups;
    case GroupPolicy::Kind::likeliest: {
      std::vector<int> groups = by_likelihood(confidences);
      groups.resize(std::min(groups.size(), static_cast<size_t>(policy.count)));
      return groups;
    }
  }
  std::vector<int> groups(confidences.size());
  std::iota(groups.begin(), groups.end(), 1);
  return groups;
}

int fit_drafts(int wanted, const StepFrame& frame) {
  const int rows_each = frame.mixes ? 2 : 1;
  return std::min({wanted, frame.positions_left - 1, frame.row_budget / rows_each});
}

std::vector<MaskGroup> fit_groups(int drafts, std::span<const int> kept, const StepFrame& frame) {
  const int mixed_in = frame.mixes ? 1 : 0;
  int rows_left = frame.row_budget - drafts * (1 + mixed_in);
  TIDAR_CHECK_GE(rows_left, 0);
  std::vector<int> masks(static_cast<size_t>(drafts) + 1, mixed_in);  // [0] stays unused

  const auto keep = [&](int accepted) {
    if (accepted < 1 || accepted > drafts) return;
    int& held = masks[static_cast<size_t>(accepted)];
    // The last position needs no draft: the row before it already chooses its token.
    const int useful = frame.positions_left - 1 - accepted;
    const int granted = std::min({frame.draft_length, useful, held + rows_left});
    // Mask 0 is only ever mixed in, so a group drafts something from its second mask on.
    if (granted < 2 || granted <= held) return;
    rows_left -= granted - held;
    held = granted;
  };
  if (drafts == 1) {
    keep(1);
  } else {
    for (const int accepted : kept) keep(accepted);
  }

  std::vector<MaskGroup> groups;
  for (int accepted = 1; accepted <= drafts; ++accepted) {
    const int held = masks[static_cast<size_t>(accepted)];
    if (held > 0) groups.push_back({.accepted = accepted, .masks = held, .first_row = 0});
  }
  return groups;
}

MaskRun next_draft(std::span<const MaskGroup> groups, int accepted) {
  for (size_t i = groups.size(); i-- > 0;) {
    const MaskGroup& group = groups[i];
    if (group.accepted > accepted) continue;
    // The mask at the first position behind the accepted drafts gives way to the chosen token.
    const int skipped = accepted - group.accepted + 1;
    if (group.masks > skipped) return {group.first_row + skipped, group.masks - skipped};
  }
  return {};
}

int32_t group_row(std::span<const MaskGroup> groups, int accepted) {
  for (const MaskGroup& group : groups)
    if (group.accepted == accepted) return group.first_row;
  return -1;
}

}  // namespace tidar
