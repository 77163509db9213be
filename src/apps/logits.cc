// tidar logits: the logits of every row of one pass, for comparing with other programs.

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "apps/command.h"
#include "apps/ids.h"
#include "apps/output.h"
#include "apps/ranges.h"
#include "apps/session.h"
#include "plan/layouts.h"

namespace tidar {
namespace {

/// Causal passes are cut into pieces of this many rows, which changes nothing in their logits.
constexpr int kCausalRows = 512;
/// Rows whose logits are held at once.
constexpr int kRowsAtOnce = 16;

enum class Layout : uint8_t { causal, tidar_train, tidar_step, block, full };

struct LogitsFlags {
  ModelFlags model;
  std::string ids;
  std::string pass = "causal";
  int mask_token = -1;
  std::string out;
  bool json = false;

  Layout layout = Layout::causal;
  int block_size = 0;
};

/// Splits "tidar-train:4" into layout and block size.
void parse_pass(LogitsFlags& flags) {
  const size_t colon = flags.pass.find(':');
  const std::string name = flags.pass.substr(0, colon);
  const bool sized = name == "tidar-train" || name == "tidar-step" || name == "block";
  const bool plain = name == "causal" || name == "full";
  const std::string size = colon == std::string::npos ? "" : flags.pass.substr(colon + 1);
  if (!(plain && size.empty()) && !(sized && CLI::detail::lexical_cast(size, flags.block_size) &&
                                    flags.block_size >= 1 && flags.block_size <= 4096)) {
    throw CLI::ValidationError(
        "--pass", "expected causal, tidar-train:K, tidar-step:K, block:K or full, found '" +
                      flags.pass + "'");
  }
  flags.layout = name == "causal"        ? Layout::causal
                 : name == "tidar-train" ? Layout::tidar_train
                 : name == "tidar-step"  ? Layout::tidar_step
                 : name == "block"       ? Layout::block
                                         : Layout::full;
}

/// Writes rows of logits to a file.
class LogitsFile {
 public:
  static Result<LogitsFile> create(const std::string& path) {
    LogitsFile out;
    out.path_ = path;
    out.file_.reset(std::fopen(path.c_str(), "wb"));
    if (!out.file_) return error("{}: {}", path, std::strerror(errno));
    return out;
  }

  Result<void> write(std::span<const float> values) {
    const size_t done = std::fwrite(values.data(), sizeof(float), values.size(), file_.get());
    return done == values.size() ? Result<void>() : failed();
  }

  Result<void> close() { return std::fclose(file_.release()) == 0 ? Result<void>() : failed(); }

 private:
  struct Close {
    void operator()(FILE* file) const { std::fclose(file); }
  };
  Error failed() const { return error("{}: {}", path_, std::strerror(errno)); }

  std::string path_;
  std::unique_ptr<FILE, Close> file_;
};

/// Evaluates the pass and writes the logits of all its rows, in order.
Result<void> write_pass(Evaluator& evaluator, const Pass& pass, LogitsFile& out) {
  evaluator.evaluate(pass, {});
  Asks asks;
  std::vector<Answer> answers;
  for (int32_t first = 0; first < pass.rows(); first += kRowsAtOnce) {
    asks.clear();
    for (int32_t row = first; row < std::min(first + kRowsAtOnce, pass.rows()); ++row) {
      asks.add({.kind = AskKind::logits, .row = row});
    }
    answers.assign(asks.size(), {});
    evaluator.answer(asks, answers);
    for (const Answer& answer : answers) TIDAR_TRY_VOID(out.write(answer.logits));
  }
  return {};
}

/// A causal pass over any number of ids, piece by piece through the cache.
Result<void> write_causal(Evaluator& evaluator, std::span<const int32_t> ids, LogitsFile& out) {
  PagePool pool(evaluator.limits().pages);
  SequenceCache cache(pool);
  TIDAR_CHECK(cache.reserve(static_cast<int>(ids.size())));
  Pass pass;
  while (!ids.empty()) {
    const auto piece = ids.first(std::min(ids.size(), size_t{kCausalRows}));
    pass.clear();
    pass.begin_sequence(cache);
    add_causal(pass, piece, Keep::page);
    TIDAR_TRY_VOID(write_pass(evaluator, pass, out));
    cache.commit(static_cast<int>(piece.size()));
    ids = ids.subspan(piece.size());
  }
  return {};
}

/// The last K ids are the drafts of a TiDAR step, the others its prefix.
void add_step(Pass& pass, std::span<const int32_t> ids, int draft_length, int mask_token) {
  const size_t prefix = ids.size() - static_cast<size_t>(draft_length);
  if (prefix > 0) add_causal(pass, ids.first(prefix), Keep::page);
  std::vector<MaskGroup> groups;
  for (int accepted = 1; accepted <= draft_length; ++accepted) {
    groups.push_back({.accepted = accepted, .masks = draft_length});
  }
  add_tidar_step(pass, ids.subspan(prefix), mask_token, groups);
}

int pass_rows(const LogitsFlags& flags, int ids) {
  switch (flags.layout) {
    case Layout::causal:
      return std::min(ids, kCausalRows);
    case Layout::tidar_train:
      return 2 * ids;
    case Layout::tidar_step:
      return ids + flags.block_size * flags.block_size;
    case Layout::block:
    case Layout::full:
      return ids;
  }
  return 0;
}

Result<void> write_layout(Evaluator& evaluator, const LogitsFlags& flags,
                          std::span<const int32_t> ids, LogitsFile& out) {
  PagePool pool(evaluator.limits().pages);
  SequenceCache cache(pool);
  Pass pass;
  switch (flags.layout) {
    case Layout::causal:
      return write_causal(evaluator, ids, out);
    case Layout::tidar_train:
      pass.begin_sequence();
      add_tidar_training(pass, ids, flags.block_size, flags.mask_token);
      break;
    case Layout::tidar_step:
      TIDAR_CHECK(cache.reserve(static_cast<int>(ids.size())));
      pass.begin_sequence(cache);
      add_step(pass, ids, flags.block_size, flags.mask_token);
      break;
    case Layout::block:
      pass.begin_sequence();
      add_block_causal(pass, ids, flags.block_size);
      break;
    case Layout::full:
      pass.begin_sequence();
      add_bidirectional(pass, ids);
      break;
  }
  return write_pass(evaluator, pass, out);
}

Result<int> mask_token(const LogitsFlags& flags, const ModelConfig& config) {
  const bool needed = flags.layout == Layout::tidar_train || flags.layout == Layout::tidar_step;
  if (!needed) return -1;
  return mask_token_of(config, flags.mask_token, "--pass " + flags.pass);
}

Result<int> logits(LogitsFlags flags) {
  if (flags.ids == "-") {
    TIDAR_TRY(flags.ids, read_text("-"));
  }
  TIDAR_TRY(const std::vector<int32_t> ids, parse_ids(flags.ids, "--ids"));
  if (ids.empty()) return error("--ids: at least one token id is needed");
  TIDAR_TRY(Session session, Session::open(flags.model));
  const ModelConfig& config = session.config();
  TIDAR_TRY_VOID(check_ids(ids, config.vocabulary, "--ids"));
  TIDAR_TRY(flags.mask_token, mask_token(flags, config));
  const int count = static_cast<int>(ids.size());
  const int drafts = flags.layout == Layout::tidar_step ? flags.block_size : 0;
  if (count < drafts) {
    return error("--pass {}: needs at least {} ids, found {}", flags.pass, drafts, count);
  }
  if (count + drafts > config.max_positions) {
    return error("--ids: {} positions are more than the model's {}", count + drafts,
                 config.max_positions);
  }
  TIDAR_TRY_VOID(session.build_network({.rows = pass_rows(flags, count), .keys_each = count}));
  TIDAR_TRY(LogitsFile out, LogitsFile::create(flags.out));
  TIDAR_TRY_VOID(write_layout(session.network(), flags, ids, out));
  TIDAR_TRY_VOID(out.close());
  const int rows = flags.layout == Layout::causal ? count : pass_rows(flags, count);
  if (flags.json) {
    print_json({{"out", flags.out}, {"rows", rows}, {"vocabulary", config.vocabulary}});
  } else {
    print_note(fmt::format("{}: float32 [{}, {}]", flags.out, rows, config.vocabulary));
  }
  return kDone;
}

}  // namespace

void add_logits(CLI::App& program, Action& action) {
  CLI::App& command =
      *program.add_subcommand("logits", "The logits of every row of one pass, as raw float32");
  const auto flags = std::make_shared<LogitsFlags>();  // shared by the parser and the action
  flags->model.backend.precision =
      Precision::f32;  // a tool for verification: exact unless told otherwise
  add_model_flags(command, flags->model);
  command.option_defaults()->group("Pass");
  command.add_option("--ids", flags->ids, "Token ids: 1,2,3 or a JSON array; - reads stdin")
      ->required()
      ->check(listed_ids())
      ->type_name("IDS");
  command
      .add_option("--pass", flags->pass,
                  "Who sees whom: causal, tidar-train:K, tidar-step:K (the last K ids are drafts), "
                  "block:K, full")
      ->type_name("LAYOUT")
      ->capture_default_str();
  command.add_option("--mask-token", flags->mask_token, "Mask id (default: the checkpoint's)")
      ->check(whole_number(0))
      ->type_name("ID");
  command.add_option("--out", flags->out, "File for float32 [rows, vocabulary]")
      ->required()
      ->type_name("FILE");
  command.add_flag("--json", flags->json, "Say on stdout what was written, as JSON");
  command.callback([flags, &action] {
    parse_pass(*flags);
    action = [flags] { return logits(*flags); };
  });
}

}  // namespace tidar
