#pragma once
// What the drafts of a converted model bring, on documents that it was not trained on.

#include <filesystem>
#include <string>
#include <vector>

#include "apps/session.h"
#include "base/result.h"
#include "eval/run.h"

namespace tidar {

struct HeldOutDecoding {
  ModelFlags model;                               ///< the converted one
  std::vector<std::filesystem::path> validation;  ///< token shards
  std::filesystem::path results;                  ///< folder; measuring goes on there
  float temperature = 0;
};

/// AR beside TiDAR by default and with all groups at each draft length that was trained, and
/// lookup, on the first documents of the first shard: the tables of eval/document_runs.h, as text.
/// After Ctrl-C what is done so far.
Result<std::string> decode_held_out(const HeldOutDecoding& what, const RunHooks& hooks);

}  // namespace tidar
