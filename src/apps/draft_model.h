#pragma once
// The model that drafts for another one in speculative decoding: a second network on the same
// machine, with keys of its own. How its tokens are used stands in decode/model_drafter.h.

#include <memory>

#include "apps/session.h"
#include "cache/pages.h"
#include "engine/request.h"

namespace tidar {

/// Owns that network and the pages of its keys.
class DraftModel {
 public:
  /// Opens the model in `folder`, computed as that of `target` is, with the room for keys that
  /// `target` has, and makes it the drafter of requests like this one. nullptr where the method is
  /// another than speculative decoding; an Error where the two do not share their tokens. Must
  /// outlive the engine that decodes them.
  static Result<std::unique_ptr<DraftModel>> attach(const std::string& folder,
                                                    const Session& target, Room room,
                                                    Request& request);

 private:
  explicit DraftModel(Session session) : session_(std::move(session)) {}

  Session session_;
  std::unique_ptr<PagePool> pool_;
};

}  // namespace tidar
