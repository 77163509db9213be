#pragma once
// A study: which evaluations are compared, as which rows and points of a report, and what they
// found. The file that says so is read by study_file.h.

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/scores.h"

namespace tidar {

/// What an entry is to the headline.
enum class Role : uint8_t {
  other,
  ar,               ///< AR before anything else was trained
  baseline,         ///< AR trained on: what TiDAR is compared with
  tidar,            ///< a row of the headline
  block_diffusion,  ///< a point of the curve on which the equal of each TiDAR is looked up
};

/// Where an entry appears.
enum class Section : uint8_t {
  likelihood,
  generation,
  strategies,
  masks,
  trade_off,
  trust,
  histogram,
  recipes,  ///< trainings beside the baseline's
};

/// How a score is shown.
enum class ScoreKind : uint8_t {
  generated,   ///< strict, flexible, pass@N: a share of right answers that were generated
  likelihood,  ///< acc, acc_norm: a share of right choices
  loss,        ///< nll, perplexity, bits_per_byte: a number, less is better
};

struct StudyTask {
  std::string name;   ///< letters, digits, '-' and '_'
  std::string label;  ///< what readers see
  std::string score;  ///< field of summary.json
  ScoreKind kind = ScoreKind::generated;
};

/// What was found of one item.
struct ItemResult {
  double value = 0;     ///< of answers the share that was right, of losses nats of all tokens
  int64_t tokens = 0;   ///< that were generated or given
  int64_t decoded = 0;  ///< of these, what decoding passes brought
  int64_t passes = 0;   ///< these passes
  int answers = 0;      ///< that all of this is of: samples, where it was answered several times
};

/// What one folder of `tidar eval` holds, or several that differ in the seed of the training.
struct TaskResult {
  int64_t done = 0;
  int64_t all = 0;
  Score score;                  ///< only the mean where it is a plain number of the summary
  double tokens_per_pass = 0;   ///< T/NFE; 0: not told
  double rows_per_pass = 0;     ///< likewise
  double tokens_per_s = 0;      ///< likewise
  std::vector<int64_t> passes;  ///< passes[a]: decoding passes that brought a tokens
  std::map<std::string, ItemResult> items;  ///< of one folder, by name; as far as it tells them

  bool finished() const { return done >= all; }
};

struct StudyEntry {
  std::string label;
  std::string series;  ///< entries of one series share a line and a colour
  Role role = Role::other;
  std::set<Section> sections;
  int draft_length = 0;              ///< K; 0: not told, as without flags
  std::string masking;               ///< "full", "random", or ""
  std::optional<double> alpha;       ///< weight α of the AR loss in training
  std::optional<double> trust_ar;    ///< β: 0 is diffusion alone, 1 AR alone
  std::optional<double> confidence;  ///< τ, above which tokens are revealed
  /// By the name of a task; a folder for each seed.
  std::map<std::string, std::vector<std::filesystem::path>> folders;
  /// By seed, of the tasks whose folders all hold results.
  std::map<std::string, std::vector<TaskResult>> runs;
  std::map<std::string, TaskResult> results;  ///< the same, over all seeds
};

/// How long passes of one model take.
struct LatencyCurve {
  struct Point {
    int rows = 1;
    double ms = 0;
  };
  std::string label;
  std::vector<Point> points;  ///< by rows, upwards
};

struct Study {
  std::string title;
  std::string notes;  ///< Markdown
  std::vector<std::string> facts;
  std::vector<StudyTask> tasks;
  std::vector<StudyEntry> entries;
  std::vector<LatencyCurve> latency;
  std::vector<std::string> missing;  ///< folders and files without results, one sentence each
};

}  // namespace tidar
