#pragma once
// What every kind of `tidar bench` shares: its session, the roofs that all it times stands under,
// and what it says of both.

#include <memory>
#include <string>

#include "apps/output.h"
#include "apps/samples.h"
#include "apps/session.h"
#include "base/result.h"
#include "base/stopwatch.h"
#include "format/json.h"
#include "ops/cpu/roofs.h"

namespace tidar {

/// An Error also for the reference, which is not made to be fast.
Result<Session> open_bench_session(const ModelFlags& flags, Progress& progress);

/// What passes stand under; 0 is what was not measured. Neighbours on a shared machine take the
/// bandwidth of its memory for minutes, so that is read again and again between the passes and its
/// median counts, as theirs does. A GPU has none, and is measured once.
struct BenchRoofs : CpuRoofs {
  double memory_spread = 0;  ///< Samples::spread()
  double copy_gbps = 0;      ///< of a GPU: bytes read and bytes written
};

/// Measures the roofs of a run: those of products once, that of memory between what is timed.
class RoofReader {
 public:
  /// Of the session's machine; it must outlive the result. An Error where a GPU cannot be measured.
  static Result<RoofReader> of(const Session& session);

  /// To be called often, at least once before roofs(); reads now and then.
  void read();
  BenchRoofs roofs() const;

 private:
  RoofReader() = default;

  BenchRoofs roofs_;
  std::unique_ptr<MemoryReader> memory_reader_;  // none: a GPU
  Samples memory_;
  Stopwatch since_reading_;
};

/// What was measured, on what; lines of at most 80 columns.
std::string heading(const Session& session, const BenchRoofs& roofs);
/// The same as fields.
OrderedJson heading_json(const Session& session, const BenchRoofs& roofs);
/// Memory by purpose, and the most that was resident.
void put_memory(OrderedJson& json, const Session& session);

/// For accounts of verbs: memory, and the products that the session computes most.
Roofs verb_roofs(const Session& session, const BenchRoofs& roofs);
/// The account of each verb over all that was timed, if it was asked for; beside JSON on stderr.
void print_verbs(const Session& session, const BenchRoofs& roofs, bool beside_json);

}  // namespace tidar
