#pragma once
// The model that drafts for another one in speculative decoding.

#include <memory>

#include "apps/session.h"
#include "cache/pages.h"
#include "engine/request.h"

namespace tidar {

class DraftModel {
 public:
  /// Opens the model in `folder`, computed as `target` says, with room for `sequences` requests
  /// like this one, and makes it their drafter. nullptr where the method is another than
  /// speculative decoding. Must outlive the engine that decodes them.
  static Result<std::unique_ptr<DraftModel>> attach(const std::string& folder, ModelFlags target,
                                                    int sequences, Request& request);

 private:
  explicit DraftModel(Session session) : session_(std::move(session)) {}

  Session session_;
  std::unique_ptr<PagePool> pool_;
};

}  // namespace tidar
