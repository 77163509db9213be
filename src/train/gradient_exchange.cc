#include "train/gradient_exchange.h"

#include <algorithm>

#include "base/check.h"

namespace tidar {

namespace {

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

/// A border between parts of a group, moved down to that of a block of the parameter in which it
/// falls. `group`: parameters by index, of which the first begins at element `at`.
int64_t between_blocks(int64_t border, std::span<const Parameter> group, int64_t at) {
  for (const Parameter& parameter : group) {
    const int64_t count = parameter.trained_elements();
    if (border < at + count) return at + (border - at) / kMomentBlock * kMomentBlock;
    at += count;
  }
  return border;
}

}  // namespace

GradientExchange::GradientExchange(Parameters& parameters, Communicator& ranks,
                                   MomentFormat moments)
    : parameters_(parameters), ranks_(ranks) {
  const auto all = parameters.all();
  int64_t elements = 0;
  for (size_t first = 0, end = 0; first < all.size(); first = end) {
    Group group = {{static_cast<int64_t>(first), 0}, {elements, 0}, {}};
    for (; end < all.size() && all[end].spec.layer == all[first].spec.layer; ++end) {
      elements += all[end].trained_elements();
    }
    group.parameters.end = static_cast<int64_t>(end);
    group.elements.end = elements;
    group.parts = parts_of(group.elements, ranks.ranks());
    if (moments == MomentFormat::bits8) {
      const auto members = std::span<const Parameter>(all).subspan(first, end - first);
      for (Range& part : group.parts) {
        part.begin = between_blocks(part.begin, members, group.elements.begin);
        part.end = between_blocks(part.end, members, group.elements.begin);
      }
    }
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

template <class F>
void GradientExchange::for_each_trained(F&& f) const {
  for (const Group& group : groups_) {
    int64_t at = group.elements.begin;
    for (int64_t i = group.parameters.begin; i < group.parameters.end; ++i) {
      const auto index = static_cast<size_t>(i);
      const int64_t count = parameters_.all()[index].trained_elements();
      if (count == 0) continue;
      f(index, cut_out(group.parts, {at, at + count}));
      at += count;
    }
  }
}

void GradientExchange::share_masters() {
  if (ranks_.ranks() == 1) return;
  for_each_trained([&](size_t index, const std::vector<Range>& parts) {
    const Matrix& value = parameters_.all()[index].value;
    ranks_.share_parts({value.row<float>(0), static_cast<size_t>(value.rows * value.cols)}, parts);
  });
}

void GradientExchange::share(const Moments& moments) {
  if (ranks_.ranks() == 1) return;
  for_each_trained([&](size_t index, const std::vector<Range>& parts) {
    for (const MomentArray& array : moments.arrays(index)) {
      // As floats, four codes in each: a block has a whole number of them, and behind the last
      // block there is room.
      const auto floats = [&](int64_t elements) {
        const auto bytes = array.items_of(elements) * static_cast<int64_t>(size_of(array.dtype));
        return (bytes + int64_t{sizeof(float)} - 1) / int64_t{sizeof(float)};
      };
      std::vector<Range> of_array;
      for (const Range& part : parts) of_array.push_back({floats(part.begin), floats(part.end)});
      const auto count = static_cast<size_t>(of_array.back().end);
      ranks_.share_parts({reinterpret_cast<float*>(array.items.data()), count}, of_array);
    }
  });
}

}  // namespace tidar
