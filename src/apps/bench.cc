// tidar bench: what passes of different sizes cost on this machine, and what decoding by a recorded
// trace brings, beside what the machine could do at best; and what a server brings its clients.

#include <algorithm>
#include <iterator>
#include <memory>
#include <utility>

#include "apps/bench_decoding.h"
#include "apps/bench_frame.h"
#include "apps/bench_serving.h"
#include "apps/command.h"
#include "apps/ids.h"
#include "apps/output.h"
#include "apps/pass_bench.h"
#include "apps/price_bench.h"
#include "apps/ranges.h"
#include "apps/session.h"
#include "engine/measure_prices.h"
#include "format/files.h"
#include "ops/cpu/roofs.h"
#include "report/plot.h"

namespace tidar {
namespace {

constexpr int kPrefillRows = 512;
/// Passes of up to this many rows ask every row for its next token, as decoding does; longer ones
/// ask the last row only, as reading a prompt does.
constexpr int kMostAsked = 64;
constexpr int kMostDrafts = 64;

struct BenchFlags {
  ModelFlags model;
  std::string contexts = "0";
  std::string rows = "1,2,4,8,16,32,64,128,256,512";
  bool rows_given = false;
  std::string steps;  ///< numbers of drafts; "": none
  std::string ask = "auto";
  double seconds = 1;
  bool prices = false;
  std::string plot;  ///< a file; "": none
  bool json = false;
  DecodingFlags decoding;
  ServingFlags serving;
};

/// The passes to be timed, as the flags name them.
struct BenchSizes {
  std::vector<int32_t> contexts;
  std::vector<int32_t> rows;   ///< none: those that prices are measured of
  std::vector<int32_t> steps;  ///< of TiDAR: drafts
  int most_rows = 0, most_keys = 0;
};

int rows_asked(const std::string& ask, int rows) {
  if (ask == "all") return rows;
  return ask == "last" || rows > kMostAsked ? 1 : rows;
}

const PassSpec kPrefill = {.name = "prefill", .rows = kPrefillRows};

/// Decoding, passes of the given rows, and steps of TiDAR.
std::vector<PassSpec> make_specs(const BenchFlags& flags, const BenchSizes& sizes, int context) {
  std::vector<PassSpec> specs = {{.name = "decode", .rows = 1, .cached = context, .commits = true}};
  for (const int32_t count : sizes.rows) {
    specs.push_back({.name = std::to_string(count),
                     .rows = count,
                     .asked = rows_asked(flags.ask, count),
                     .cached = context});
  }
  for (const int32_t drafts : sizes.steps) specs.push_back(tidar_step(drafts, context));
  return specs;
}

using AllPassTimes = std::vector<PassTimes>;

/// The pass of one row, by which others are divided; nullptr if there is none.
const PassTimes* one_row(const AllPassTimes& all) {
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

std::string passes_table(const AllPassTimes& all, const CpuRoofs& roofs, double peak_gflops) {
  Table table({"rows", "asked", "ms", "+-", "x 1 row", "tokens/s", "GB/s", "%", "GFLOP/s", "%"});
  const PassTimes* one = one_row(all);
  for (const PassTimes& times : all) {
    const double seconds = times.seconds.median();
    const double gbps = times.bytes_per_s() / 1e9, gflops = times.flops_per_s() / 1e9;
    const bool tells_rows = times.spec.name == "prefill" || times.spec.drafts > 0;
    table.add(
        {tells_rows ? fmt::format("{} {}", times.spec.name, times.spec.rows) : times.spec.name,
         std::to_string(times.spec.asked), fmt::format("{:.2f}", 1e3 * seconds),
         fmt::format("{:.0f}%", 100 * times.seconds.spread()),
         one == nullptr ? "-" : fmt::format("{:.2f}", seconds / one->seconds.median()),
         fmt::format("{:.1f}", times.spec.rows / seconds), fmt::format("{:.1f}", gbps),
         fmt::format("{:.0f}", 100 * gbps / roofs.memory_gbps), fmt::format("{:.0f}", gflops),
         peak_gflops > 0 ? fmt::format("{:.0f}", 100 * gflops / peak_gflops) : "-"});
  }
  return table.text();
}

Result<std::vector<int32_t>> parse_rows(const std::string& text) {
  TIDAR_TRY(std::vector<int32_t> rows, parse_ids(text, "", "numbers of rows"));
  for (const int32_t count : rows) {
    if (count < 1) return error("a pass has at least 1 row, found {}", count);
  }
  return rows;
}

Result<std::vector<int32_t>> parse_contexts(const std::string& text) {
  TIDAR_TRY(std::vector<int32_t> contexts, parse_ids(text, "", "numbers of keys"));
  for (const int32_t context : contexts) {
    if (context > 1 << 24) return error("expected at most {} keys, found {}", 1 << 24, context);
  }
  return contexts;
}

Result<std::vector<int32_t>> parse_steps(const std::string& text) {
  if (text.empty()) return std::vector<int32_t>();
  TIDAR_TRY(std::vector<int32_t> steps, parse_ids(text, "", "numbers of drafts"));
  for (const int32_t drafts : steps) {
    if (drafts < 1 || drafts > kMostDrafts) {
      return error("a step has 1 to {} drafts, found {}", kMostDrafts, drafts);
    }
  }
  return steps;
}

Result<BenchSizes> sizes_of(const BenchFlags& flags, const ModelConfig& config) {
  BenchSizes sizes;
  TIDAR_TRY(sizes.contexts, parse_contexts(flags.contexts));
  if (!flags.prices || flags.rows_given) {
    TIDAR_TRY(sizes.rows, parse_rows(flags.rows));
  }
  if (flags.prices) {  // each is held against the one before
    std::sort(sizes.rows.begin(), sizes.rows.end());
    sizes.rows.erase(std::unique(sizes.rows.begin(), sizes.rows.end()), sizes.rows.end());
  }
  sizes.most_rows = flags.prices ? kMostPricedRows : kPrefillRows;
  TIDAR_TRY(sizes.steps, parse_steps(flags.steps));
  for (const int32_t count : sizes.rows) sizes.most_rows = std::max(sizes.most_rows, count);
  for (const int32_t drafts : sizes.steps) {
    sizes.most_rows = std::max(sizes.most_rows, tidar_step(drafts, 0).rows);
  }
  const int context = *std::max_element(sizes.contexts.begin(), sizes.contexts.end());
  sizes.most_keys = context + sizes.most_rows;
  // As much room as decoding long texts has, so that prices know what keys cost.
  constexpr int kPricedKeys = 4096;
  if (flags.prices) sizes.most_keys = std::max(sizes.most_keys, kPricedKeys);
  // Prices are measured as far as there is room.
  int needed = flags.prices ? context + 1 : kPrefillRows;
  for (const int32_t count : sizes.rows) needed = std::max(needed, context + count);
  for (const int32_t drafts : sizes.steps) needed = std::max(needed, context + 2 * drafts);
  if (needed > config.max_positions) {
    return error("--context {}: {} positions are more than the model's {}", flags.contexts, needed,
                 config.max_positions);
  }
  return sizes;
}

/// What a run measured: passes, or prices.
struct Measured {
  BenchRoofs roofs;
  std::vector<AllPassTimes> passes;  ///< one a context
  PriceTimes prices;
  std::string verbs;  ///< accounts of them, if they were asked for
};

/// The account of each verb in each of the passes, carried out anew.
std::string verbs_of(PassBench& bench, const std::vector<AllPassTimes>& all, const Roofs& roofs) {
  std::string text;
  for (const AllPassTimes& passes : all) {
    for (const PassTimes& times : passes) {
      const PassSpec& spec = times.spec;
      text += fmt::format("{}{}: {} rows behind {} keys, {} asked\n{}", text.empty() ? "" : "\n",
                          spec.name, spec.rows, spec.cached, spec.asked, bench.verbs(spec, roofs));
    }
  }
  return text;
}

Result<Measured> measure(const BenchFlags& flags, const BenchSizes& sizes, Session& session,
                         Progress& progress) {
  Measured measured;
  TIDAR_TRY(RoofReader reader, RoofReader::of(session));
  if (session.timed_ops() != nullptr) session.timed_ops()->reset();
  PassBench bench(session);
  const auto on_round = [&](int round) {
    progress.show(fmt::format("timing passes, round {}", round));
    reader.read();
  };
  if (flags.prices) {
    const auto asked = [&](int rows) { return rows_asked(flags.ask, rows); };
    measured.prices =
        bench_prices(session, bench, sizes.contexts, sizes.rows, asked, flags.seconds, on_round);
  } else {
    for (const int32_t context : sizes.contexts) {
      std::vector<PassSpec> specs = make_specs(flags, sizes, context);
      AllPassTimes passes;
      if (context == 0) {
        specs.insert(specs.begin(), kPrefill);
      } else if (measured.passes.empty()) {
        // By itself: in turn with the others, it would have their keys read anew each time.
        passes = bench.run({kPrefill}, flags.seconds, on_round);
      }
      std::ranges::move(bench.run(specs, flags.seconds, on_round), std::back_inserter(passes));
      measured.passes.push_back(std::move(passes));
    }
  }
  measured.roofs = reader.roofs();
  if (session.timed_ops() != nullptr) {
    const Roofs roofs = verb_roofs(session, measured.roofs);
    measured.verbs =
        flags.prices ? session.timed_ops()->table(roofs) : verbs_of(bench, measured.passes, roofs);
  }
  return measured;
}

OrderedJson to_json(const BenchFlags& flags, const Session& session, const Measured& measured) {
  OrderedJson json = heading_json(session, measured.roofs);
  if (flags.prices) {
    json["prices"] = to_json(measured.prices);
  } else {
    json["passes"] = OrderedJson::array();
    for (const AllPassTimes& passes : measured.passes) {
      const PassTimes* one = one_row(passes);
      for (const PassTimes& times : passes) {
        json[times.spec.drafts > 0 ? "tidar_steps" : "passes"].push_back(to_json(times, one));
      }
    }
  }
  put_memory(json, session);
  return json;
}

std::string tables(const BenchFlags& flags, const Session& session, const Measured& measured,
                   double peak_gflops) {
  std::string text = heading(session, measured.roofs);
  if (!flags.prices) {
    text += "'asked' rows go through the head; +- is half the distance between quartiles;\n";
    text += "  the last % is of the products above\n";
    for (const AllPassTimes& passes : measured.passes) {
      text += fmt::format("\n{} keys cached (prefill: 0)\n", passes.back().spec.cached);
      text += passes_table(passes, measured.roofs, peak_gflops);
    }
    return text;
  }
  const PriceTimes& prices = measured.prices;
  const KeyPrice& key = prices.prices.key();
  text += fmt::format(
      "'ms' are prices, measured in {:.2f} s: of rows behind {} cached keys, and {}\n",
      prices.measuring_s, key.cached,
      key.seconds > 0
          ? fmt::format("{:.1f} ns\n  for each other key that a row sees", 1e9 * key.seconds)
          : "nothing\n  for other keys");
  text += "'timed ms' are medians of passes, +- half the distance between their quartiles,\n";
  text += "  'off' how far prices are from them\n";
  return text + "\n" + prices_tables(measured.prices);
}

Result<int> bench(const BenchFlags& flags) {
  Progress progress;
  TIDAR_TRY(Session session, open_bench_session(flags.model, progress));
  TIDAR_TRY(const BenchSizes sizes, sizes_of(flags, session.config()));
  progress.show("packing weights");
  TIDAR_TRY_VOID(
      session.build_network({.rows = sizes.most_rows, .keys_each = sizes.most_keys + kPageSlots}));
  progress.show("measuring the machine");
  TIDAR_TRY(const Measured measured, measure(flags, sizes, session, progress));
  progress.clear();
  const double peak_gflops = measured.roofs.products_of(session.usual_operand_type());
  flags.json ? print_json(to_json(flags, session, measured))
             : print(tables(flags, session, measured, peak_gflops));
  if (!measured.verbs.empty()) {
    flags.json ? print_note(measured.verbs) : print("\n" + measured.verbs);
  }
  if (!flags.plot.empty()) {
    TIDAR_TRY_VOID(write_text_file(flags.plot, draw_svg(prices_plot(measured.prices))));
  }
  return kDone;
}

}  // namespace

void add_bench(CLI::App& program, Action& action) {
  CLI::App& command = *program.add_subcommand(
      "bench", "Times passes of 1 to 512 rows, or decoding, beside what the machine could do");
  const auto flags = std::make_shared<BenchFlags>();  // shared by the parser and the action
  command.option_defaults()->group("Model (one of these)");
  CLI::Option* shape =
      command.add_option("--shape", flags->model.shape, "A named shape with random weights")
          ->check(CLI::IsMember(shape_names()))
          ->type_name("");
  CLI::Option* model =
      command
          .add_option("--model", flags->model.model, "Hugging Face folder of a model, or GGUF file")
          ->type_name("PATH")
          ->excludes(shape);
  add_adapter_flag(command, flags->model);
  add_computing_flags(command, flags->model);
  command.option_defaults()->group("Measurement");
  CLI::Option* contexts =
      command.add_option("--context", flags->contexts, "Keys that are cached before each pass")
          ->check(parsed_by(parse_contexts))
          ->type_name("N,N,...")
          ->capture_default_str();
  CLI::Option* rows = command.add_option("--rows", flags->rows, "Sizes of passes")
                          ->check(parsed_by(parse_rows))
                          ->type_name("N,N,...")
                          ->capture_default_str();
  CLI::Option* ask =
      command
          .add_option("--ask", flags->ask,
                      "Rows whose next token is chosen: auto is all up to 64 rows, else the last")
          ->check(CLI::IsMember({"auto", "all", "last"}))
          ->type_name("")
          ->capture_default_str();
  CLI::Option* steps =
      command
          .add_option("--tidar-steps", flags->steps,
                      "Also steps of TiDAR with so many drafts, K (K + 1) rows each")
          ->check(parsed_by(parse_steps))
          ->type_name("K,K,...");
  command.add_option("--seconds", flags->seconds, "Time for each size")
      ->check(number(0.0, 3600.0))
      ->type_name("S")
      ->capture_default_str();
  command.add_flag("--ops", flags->model.timed,
                   "Also a table of the time that each verb took, for each pass; on a GPU it is "
                   "waited for, so that passes take longer");
  CLI::Option* prices = command.add_flag(
      "--prices", flags->prices,
      "What decoding takes passes to cost, from less than a second of measuring, beside passes "
      "that are timed for --seconds each, of --rows or of the sizes that were measured");
  command
      .add_option("--plot", flags->plot,
                  "Writes a figure of the prices: time over rows, a line for each --context")
      ->type_name("FILE.svg")
      ->needs(prices);
  command.add_flag("--json", flags->json, "JSON on stdout");
  prices->excludes(steps);
  add_decoding_flags(command, flags->decoding, {contexts, rows, steps, ask, prices});
  add_serving_flags(command, flags->serving, {shape, model, contexts, rows, steps, ask, prices});
  command.callback([flags, shape, model, rows, &action] {
    flags->rows_given = !rows->empty();
    const bool serving = !flags->serving.url.empty();
    if (shape->empty() && model->empty() && !serving) {
      throw CLI::RequiredError("--shape, --model or --serve");
    }
    if (serving && flags->decoding.decode) {
      throw CLI::ValidationError("--serve: excludes --decode");
    }
    action = [flags] {
      if (!flags->serving.url.empty()) {
        return bench_serving(flags->serving, flags->seconds, flags->json);
      }
      if (!flags->decoding.decode) return bench(*flags);
      return bench_decoding(flags->decoding, flags->model, flags->seconds, flags->json);
    };
  });
}

}  // namespace tidar
