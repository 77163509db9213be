// tidar bench: what passes of different sizes cost on this machine, beside what it could do at
// best.

#include <algorithm>
#include <memory>

#include "apps/command.h"
#include "apps/ids.h"
#include "apps/output.h"
#include "apps/pass_bench.h"
#include "apps/ranges.h"
#include "apps/session.h"
#include "base/stopwatch.h"
#include "ops/cpu/roofs.h"

namespace tidar {
namespace {

constexpr int kPrefillRows = 512;
/// Passes of up to this many rows ask every row for its next token, as decoding does; longer ones
/// ask the last row only, as reading a prompt does.
constexpr int kMostAsked = 64;
/// Between two readings of the memory roof.
constexpr double kRoofSeconds = 0.25;

struct BenchFlags {
  ModelFlags model;
  int depth = 0;
  std::string rows = "1,2,4,8,16,32,64,128,256,512";
  std::string ask = "auto";
  double seconds = 1;
  bool ops = false;
  bool json = false;
};

int rows_asked(const std::string& ask, int rows) {
  if (ask == "all") return rows;
  return ask == "last" || rows > kMostAsked ? 1 : rows;
}

/// Prefill, decoding, and passes of the given rows.
std::vector<PassSpec> make_specs(const BenchFlags& flags, const std::vector<int32_t>& rows) {
  std::vector<PassSpec> specs = {
      {.name = "prefill", .rows = kPrefillRows},
      {.name = "decode", .rows = 1, .cached = flags.depth, .commits = true}};
  for (const int32_t count : rows) {
    specs.push_back({.name = std::to_string(count),
                     .rows = count,
                     .asked = rows_asked(flags.ask, count),
                     .cached = flags.depth});
  }
  return specs;
}

/// The pass of one row, by which others are divided; nullptr if there is none.
const PassTimes* one_row(const std::vector<PassTimes>& all) {
  for (const PassTimes& times : all) {
    if (times.spec.rows == 1 && !times.spec.commits) return &times;
  }
  return nullptr;
}

OrderedJson to_json(const PassTimes& times, const PassTimes* one) {
  OrderedJson json;
  json["name"] = times.spec.name;
  json["rows"] = times.spec.rows;
  json["asked"] = times.spec.asked;
  json["context"] = times.spec.cached;
  json["median_ms"] = 1e3 * times.seconds.median();
  json["spread"] = times.seconds.spread();
  json["samples"] = times.seconds.count();
  json["tokens_per_s"] = times.spec.rows / times.seconds.median();
  json["gb_per_s"] = times.bytes_per_s() / 1e9;
  json["gflop_per_s"] = times.flops_per_s() / 1e9;
  if (one != nullptr) json["ratio_to_one_row"] = times.seconds.median() / one->seconds.median();
  return json;
}

/// What the passes stand under. Neighbours on a shared machine take bandwidth for minutes, so the
/// memory is read again and again between the passes and its median counts, as theirs does.
struct BenchRoofs : CpuRoofs {
  double memory_spread = 0;  ///< Samples::spread()
};

OrderedJson to_json(const BenchRoofs& roofs) {
  return {{"memory_gb_per_s", roofs.memory_gbps},
          {"memory_spread", roofs.memory_spread},
          {"f32_gflop_per_s", roofs.f32_gflops},
          {"bf16_gflop_per_s", roofs.bf16_gflops}};
}

std::string passes_table(const std::vector<PassTimes>& all, const CpuRoofs& roofs,
                         double peak_gflops) {
  Table table({"rows", "asked", "ms", "+-", "x 1 row", "tokens/s", "GB/s", "%", "GFLOP/s", "%"});
  const PassTimes* one = one_row(all);
  for (const PassTimes& times : all) {
    const double seconds = times.seconds.median();
    const double gbps = times.bytes_per_s() / 1e9, gflops = times.flops_per_s() / 1e9;
    const bool prefill = times.spec.name == "prefill";
    table.add({prefill ? fmt::format("prefill {}", times.spec.rows) : times.spec.name,
               std::to_string(times.spec.asked), fmt::format("{:.2f}", 1e3 * seconds),
               fmt::format("{:.0f}%", 100 * times.seconds.spread()),
               one == nullptr ? "-" : fmt::format("{:.2f}", seconds / one->seconds.median()),
               fmt::format("{:.1f}", times.spec.rows / seconds), fmt::format("{:.1f}", gbps),
               fmt::format("{:.0f}", 100 * gbps / roofs.memory_gbps), fmt::format("{:.0f}", gflops),
               fmt::format("{:.0f}", 100 * gflops / peak_gflops)});
  }
  return table.text();
}

/// What was measured, on what; lines of at most 80 columns.
std::string heading(const BenchFlags& flags, const Session& session, const BenchRoofs& roofs) {
  const ModelConfig& config = session.config();
  const std::string name = flags.model.shape.empty() ? flags.model.model : flags.model.shape;
  std::string text;
  text += fmt::format("{}: {} parameters\n", name, format_count(config.parameters()));
  text += fmt::format("weights {}, operands {}, keys and values {}, {} kernels, {} threads\n",
                      name_of(session.weight_type()), name_of(session.operand_type()),
                      name_of(session.kv_type()), session.ops().name(), session.threads().size());
  text += fmt::format("roofs: memory {:.1f} GB/s +- {:.0f}% between the passes;\n",
                      roofs.memory_gbps, 100 * roofs.memory_spread);
  text += fmt::format("  products in registers: f32 {:.0f} GFLOP/s, bf16 {:.0f}\n",
                      roofs.f32_gflops, roofs.bf16_gflops);
  text += fmt::format("{} keys cached (prefill: 0); 'asked' rows go through the head; +- is half\n",
                      flags.depth);
  text += "  the distance between quartiles; the last % is of the products in registers\n";
  return text;
}

Result<std::vector<int32_t>> parse_rows(const std::string& text) {
  TIDAR_TRY(std::vector<int32_t> rows, parse_ids(text, "", "numbers of rows"));
  for (const int32_t count : rows) {
    if (count < 1) return error("a pass has at least 1 row, found {}", count);
  }
  return rows;
}

/// The sizes of passes that the flags name.
Result<std::vector<int32_t>> rows_of(const BenchFlags& flags, const ModelConfig& config) {
  TIDAR_TRY(std::vector<int32_t> rows, parse_rows(flags.rows));
  int most = kPrefillRows;
  for (const int32_t count : rows) most = std::max(most, flags.depth + count);
  if (most > config.max_positions) {
    return error("--context {}: {} positions are more than the model's {}", flags.depth, most,
                 config.max_positions);
  }
  return rows;
}

/// The account of each verb over all timed passes.
std::string verbs_table(const TimedOps& ops, const CpuRoofs& roofs, double peak_gflops) {
  return ops.table({.bytes_per_s = 1e9 * roofs.memory_gbps, .flops_per_s = 1e9 * peak_gflops});
}

Result<int> bench(BenchFlags flags) {
  flags.model.timed = flags.ops;
  Progress progress;
  progress.show("reading or making weights");
  TIDAR_TRY(Session session, Session::open(flags.model));
  if (!session.isa())
    return error("--isa ref: the reference is not made to be fast; choose another");
  TIDAR_TRY(const std::vector<int32_t> rows, rows_of(flags, session.config()));
  const int most = rows.empty()
                       ? kPrefillRows
                       : std::max(kPrefillRows, *std::max_element(rows.begin(), rows.end()));
  progress.show("packing weights");
  TIDAR_TRY_VOID(
      session.build_network({.rows = most, .keys_each = flags.depth + most + kPageSlots}));
  progress.show("measuring the machine");
  BenchRoofs roofs{measure_roofs(session.threads(), *session.isa())};
  const double peak_gflops = roofs.products_of(session.operand_type());

  if (session.timed_ops() != nullptr) session.timed_ops()->reset();
  PassBench passes(session);
  MemoryReader reader(session.threads(), *session.isa());
  Samples memory;
  Stopwatch since_reading;
  const std::vector<PassTimes> all =
      passes.run(make_specs(flags, rows), flags.seconds, [&](int round) {
        progress.show(fmt::format("timing passes, round {}", round));
        if (memory.count() > 0 && since_reading.seconds() < kRoofSeconds) return;
        memory.add(reader.measure_gbps());
        since_reading = Stopwatch();
      });
  roofs.memory_gbps = memory.median();
  roofs.memory_spread = memory.spread();
  if (flags.json) {
    OrderedJson json;
    json["model"] = flags.model.shape.empty() ? flags.model.model : flags.model.shape;
    json["parameters"] = session.config().parameters();
    json["weights"] = name_of(session.weight_type());
    json["operands"] = name_of(session.operand_type());
    json["kv"] = name_of(session.kv_type());
    json["kernels"] = session.ops().name();
    json["threads"] = session.threads().size();
    json["context"] = flags.depth;
    json["roofs"] = to_json(roofs);
    json["passes"] = OrderedJson::array();
    for (const PassTimes& times : all) json["passes"].push_back(to_json(times, one_row(all)));
    for (const MemoryUse& use : session.memory()) json["memory"][use.purpose] = use.bytes;
    json["peak_resident"] = peak_resident_bytes();
    print_json(json);
  } else {
    print(heading(flags, session, roofs) + "\n" + passes_table(all, roofs, peak_gflops));
  }
  if (session.timed_ops() != nullptr) {
    const std::string verbs = verbs_table(*session.timed_ops(), roofs, peak_gflops);
    flags.json ? print_note(verbs) : print("\n" + verbs);
  }
  return kDone;
}

}  // namespace

void add_bench(CLI::App& program, Action& action) {
  CLI::App& command = *program.add_subcommand(
      "bench", "Times passes beside what the machine could do: prefill, decoding, 1 to 512 rows");
  const auto flags = std::make_shared<BenchFlags>();  // shared by the parser and the action
  command.option_defaults()->group("Model (one of these)");
  CLI::Option* shape =
      command.add_option("--shape", flags->model.shape, "A named shape with random weights")
          ->check(CLI::IsMember(shape_names()))
          ->type_name("");
  CLI::Option* model =
      command.add_option("--model", flags->model.model, "Hugging Face folder of a model")
          ->type_name("DIR")
          ->excludes(shape);
  add_computing_flags(command, flags->model);
  command.option_defaults()->group("Measurement");
  command.add_option("--context", flags->depth, "Keys that are cached before each pass")
      ->check(whole_number(0, 1 << 24))
      ->type_name("N")
      ->capture_default_str();
  command.add_option("--rows", flags->rows, "Sizes of passes")
      ->check(parsed_by(parse_rows))
      ->type_name("N,N,...")
      ->capture_default_str();
  command
      .add_option("--ask", flags->ask,
                  "Rows whose next token is chosen: auto is all up to 64 rows, else the last")
      ->check(CLI::IsMember({"auto", "all", "last"}))
      ->type_name("")
      ->capture_default_str();
  command.add_option("--seconds", flags->seconds, "Time for each size")
      ->check(number(0.0, 3600.0))
      ->type_name("S")
      ->capture_default_str();
  command.add_flag("--ops", flags->ops, "Also a table of the time that each verb took");
  command.add_flag("--json", flags->json, "JSON on stdout");
  command.callback([flags, shape, model, &action] {
    if (shape->empty() && model->empty()) throw CLI::RequiredError("--shape or --model");
    action = [flags] { return bench(*flags); };
  });
}

}  // namespace tidar
