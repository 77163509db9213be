#include "train/gradient_exchange.h"

#include <algorithm>

#include "base/check.h"

namespace tidar {

namespace {

int64_t trained_elements(const Parameter& parameter) {
  return parameter.frozen() ? 0 : parameter.value.rows * parameter.value.cols;
}

Range moved(Range range, int64_t by) { return {range.begin + by, range.end + by}; }

std::vector<Range> moved(std::vector<Range> ranges, int64_t by) {
  for (Range& range : ranges) range = moved(range, by);
  return ranges;
}

/// What is left of ranges within `within`, counted from its beginning.
std::vector<Range> cut_out(const std::vector<Range>& ranges, Range within) {
  std::vector<Range> cut;
  for (const Range& range : ranges) {
    const int64_t begin = std::clamp(range.begin, within.begin, within.end);
    const int64_t end = std::clamp(range.end, within.begin, within.end);
    cut.push_back({begin - within.begin, end - within.begin});
  }
  return cut;
}

}  // namespace

GradientExchange::GradientExchange(Parameters& parameters, Communicator& ranks)
    : parameters_(parameters), ranks_(ranks) {
  const auto all = parameters.all();
  int64_t elements = 0;
  for (size_t first = 0, end = 0; first < all.size(); first = end) {
    Group group = {{static_cast<int64_t>(first), 0}, {elements, 0}, {}};
    for (; end < all.size() && all[end].spec.layer == all[first].spec.layer; ++end) {
      elements += trained_elements(all[end]);
    }
    group.parameters.end = static_cast<int64_t>(end);
    group.elements.end = elements;
    group.parts = parts_of(group.elements, ranks.ranks());
    const Range& mine = group.parts[static_cast<size_t>(ranks.rank())];
    if (mine.size() > 0) shard_.push_back(mine);
    groups_.push_back(std::move(group));
  }
  if (ranks.ranks() == 1) shard_ = whole_shard(parameters);
}

void GradientExchange::begin(Range parameters) {
  if (ranks_.ranks() == 1) return;
  const auto group = std::find_if(groups_.begin(), groups_.end(), [&](const Group& one) {
    return one.parameters.begin == parameters.begin && one.parameters.end == parameters.end;
  });
  TIDAR_CHECK(group != groups_.end());
  if (group->elements.size() == 0) return;
  // Gradients stand one after another, frozen parameters being left out.
  const auto& all = parameters_.all();
  size_t first = static_cast<size_t>(parameters.begin);
  while (all[first].frozen()) ++first;
  TIDAR_CHECK(all[first].gradient.dtype == DType::f32);
  ranks_.progress();
  ranks_.begin_sum_parts(
      {all[first].gradient.row<float>(0), static_cast<size_t>(group->elements.size())},
      moved(group->parts, -group->elements.begin));
}

void GradientExchange::share_masters() {
  if (ranks_.ranks() == 1) return;
  for (const Group& group : groups_) {
    int64_t at = group.elements.begin;
    for (int64_t i = group.parameters.begin; i < group.parameters.end; ++i) {
      const Parameter& parameter = parameters_.all()[static_cast<size_t>(i)];
      const int64_t count = trained_elements(parameter);
      if (count == 0) continue;
      ranks_.share_parts({parameter.value.row<float>(0), static_cast<size_t>(count)},
                         cut_out(group.parts, {at, at + count}));
      at += count;
    }
  }
}

void GradientExchange::share(const AllMoments& moments) {
  if (ranks_.ranks() == 1) return;
  for (const Group& group : groups_) {
    const auto begin = static_cast<size_t>(group.elements.begin);
    const auto count = static_cast<size_t>(group.elements.size());
    for (const std::span<float> all : {moments.first, moments.second}) {
      ranks_.share_parts(all.subspan(begin, count), moved(group.parts, -group.elements.begin));
    }
  }
}

}  // namespace tidar
