#include "train/moments.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace tidar {

namespace {

constexpr int64_t kLeastCoded = 4096;

/// What a shard has of the elements `of`, counted from their beginning.
Range part_of(const Shard& shard, Range of) {
  Range found = {0, 0};
  for (const Range& range : shard) {
    const int64_t begin = std::max(range.begin, of.begin), end = std::min(range.end, of.end);
    if (begin >= end) continue;
    if (found.size() == 0) found = {begin - of.begin, begin - of.begin};
    TIDAR_CHECK_EQ(found.end, begin - of.begin);
    found.end = end - of.begin;
  }
  return found;
}

}  // namespace

Shard whole_shard(const Parameters& parameters) {
  int64_t count = 0;
  for (const Parameter& parameter : parameters.all()) count += parameter.trained_elements();
  return {{0, count}};
}

int64_t Moments::blocks_of(const Kept& kept) {
  return (kept.elements.size() + kMomentBlock - 1) / kMomentBlock;
}

// Two arrays of f32; or two of whole blocks' codes, and then two of scales.
size_t Moments::bytes_of(const Kept& kept) {
  const int64_t bytes = kept.codes ? 2 * blocks_of(kept) * (kMomentBlock + int64_t{sizeof(float)})
                                   : 2 * kept.elements.size() * int64_t{sizeof(float)};
  return static_cast<size_t>(bytes);
}

Moments::Moments(const Parameters& parameters, const Shard& shard, MomentFormat format) {
  int64_t at = 0;
  size_t bytes = 0;
  for (const Parameter& parameter : parameters.all()) {
    const int64_t count = parameter.trained_elements();
    const bool coded =
        format == MomentFormat::bits8 && parameter.spec.shape.size() == 2 && count >= kLeastCoded;
    const Kept kept = {part_of(shard, {at, at + count}), coded, bytes};
    if (coded) {
      TIDAR_CHECK_EQ(kept.elements.begin % kMomentBlock, 0);
      TIDAR_CHECK(kept.elements.end % kMomentBlock == 0 || kept.elements.end == count);
    }
    bytes += bytes_of(kept);
    at += count;
    kept_.push_back(kept);
  }
  memory_ = Buffer(bytes);  // of zeros, as blocks with a scale of 0 are, whatever their codes
}

std::vector<MomentArray> Moments::arrays(size_t parameter) const {
  const Kept& kept = kept_[parameter];
  const auto count = static_cast<size_t>(kept.elements.size());
  if (count == 0) return {};
  const std::span<std::byte> bytes(memory_.data() + kept.begin, bytes_of(kept));
  if (!kept.codes) {
    const size_t half = bytes.size() / 2;
    return {{"first", DType::f32, 1, bytes.first(half)},
            {"second", DType::f32, 1, bytes.last(half)}};
  }
  const auto blocks = static_cast<size_t>(blocks_of(kept));
  const size_t codes = blocks * size_t{kMomentBlock}, scales = blocks * sizeof(float);
  return {{"first_codes", DType::i8, 1, bytes.first(count)},
          {"second_codes", DType::i8, 1, bytes.subspan(codes, count)},
          {"first_scales", DType::f32, kMomentBlock, bytes.subspan(2 * codes, scales)},
          {"second_scales", DType::f32, kMomentBlock, bytes.last(scales)}};
}

float* Moments::first(size_t parameter, int64_t at) const {
  const Kept& kept = kept_[parameter];
  TIDAR_CHECK(!kept.codes && kept.elements.begin <= at && at < kept.elements.end);
  return reinterpret_cast<float*>(memory_.data() + kept.begin) + (at - kept.elements.begin);
}

float* Moments::second(size_t parameter, int64_t at) const {
  return first(parameter, at) + kept_[parameter].elements.size();
}

Moments::Block Moments::block(size_t parameter, int64_t at) const {
  const Kept& kept = kept_[parameter];
  const int64_t place = at - kept.elements.begin, blocks = blocks_of(kept);
  TIDAR_CHECK(kept.codes && at < kept.elements.end && place >= 0 && place % kMomentBlock == 0);
  auto* const codes = reinterpret_cast<uint8_t*>(memory_.data() + kept.begin);
  auto* const scales = reinterpret_cast<float*>(codes + 2 * blocks * kMomentBlock);
  const int64_t block = place / kMomentBlock;
  return {codes + place, codes + blocks * kMomentBlock + place, scales + block,
          scales + blocks + block};
}

void Moments::copy_from(const Moments& other) {
  TIDAR_CHECK_EQ(kept_.size(), other.kept_.size());
  for (size_t p = 0; p < kept_.size(); ++p) {
    const Range mine = held(p), theirs = other.held(p);
    const int64_t begin = std::max(mine.begin, theirs.begin);
    const int64_t end = std::min(mine.end, theirs.end);
    if (begin >= end) continue;
    const std::vector<MomentArray> to = arrays(p), from = other.arrays(p);
    TIDAR_CHECK_EQ(to.size(), from.size());
    for (size_t i = 0; i < to.size(); ++i) {
      const size_t bytes = size_of(to[i].dtype);
      const auto item = [&](int64_t elements) {
        return static_cast<size_t>(to[i].items_of(elements)) * bytes;
      };
      std::memcpy(to[i].items.data() + item(begin - mine.begin),
                  from[i].items.data() + item(begin - theirs.begin), item(end - begin));
    }
  }
}

}  // namespace tidar
