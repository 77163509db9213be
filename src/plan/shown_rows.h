#pragma once
// The rows of one sequence of a pass as plain data for people: what a picture of them needs.

#include <cstdint>
#include <vector>

#include "plan/pass.h"

namespace tidar {

struct ShownRow {
  int32_t token = 0;
  int32_t position = 0;
  Keep keep = Keep::page;
  KeyRange prefix, block;  ///< the keys that it sees; either may be empty

  friend bool operator==(const ShownRow&, const ShownRow&) = default;
};

/// In the key order of the sequence (plan/pass.h): first its cached keys, then these rows.
struct ShownRows {
  int32_t cached = 0;
  int32_t first_row = 0;  ///< of the pass, that is rows[0]
  std::vector<ShownRow> rows;
};

ShownRows shown_rows(const Pass& pass, const PassSequence& sequence);

}  // namespace tidar
