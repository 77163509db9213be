#include "ops/cuda/pending_heads.h"

#include <algorithm>
#include <utility>

namespace tidar::cuda {

namespace {

constexpr size_t kMostVerbs = 2;  // of q and of k

bool is_same(const View& a, const View& b) {
  return a.data == b.data && a.rows == b.rows && a.cols == b.cols && a.stride == b.stride;
}

}  // namespace

bool PendingHeads::take_norm(const View& x, int heads, const float* weight, float eps) {
  Verb* const verb = add(x, heads);
  if (verb == nullptr || verb->part.norm != nullptr || verb->part.rotates) return false;
  verb->part.norm = weight;
  verb->part.eps = eps;
  return true;
}

bool PendingHeads::take_rotation(const View& x, int heads, const int32_t* positions,
                                 const Angles& angles) {
  Verb* const verb = add(x, heads);
  if (verb == nullptr || verb->part.rotates) return false;
  verb->part.rotates = true;
  verb->part.angles = angles;
  verb->positions = positions;
  return true;
}

std::optional<HeadsCall> PendingHeads::take_store(const View& k, const int32_t* positions) {
  if (verbs_.empty() || !is_same(verbs_.back().part.x, k)) return std::nullopt;
  const bool fits = std::all_of(verbs_.begin(), verbs_.end(), [&](const Verb& verb) {
    return verb.part.x.rows == k.rows && (!verb.part.rotates || verb.positions == positions);
  });
  if (!fits) return std::nullopt;
  HeadsCall call;
  call.k = verbs_.back().part;
  if (verbs_.size() == kMostVerbs) call.q = verbs_.front().part;
  call.positions = positions;
  verbs_.clear();
  return call;
}

std::vector<PendingHeads::Verb> PendingHeads::take_all() { return std::exchange(verbs_, {}); }

PendingHeads::Verb* PendingHeads::add(const View& x, int heads) {
  if (x.cols / heads > kMostHead) return nullptr;
  const auto own = std::find_if(verbs_.begin(), verbs_.end(),
                                [&](const Verb& verb) { return is_same(verb.part.x, x); });
  if (own != verbs_.end()) return own->part.heads == heads ? &*own : nullptr;
  if (verbs_.size() == kMostVerbs) return nullptr;
  verbs_.emplace_back();
  verbs_.back().part.x = x;
  verbs_.back().part.heads = heads;
  return &verbs_.back();
}

}  // namespace tidar::cuda
