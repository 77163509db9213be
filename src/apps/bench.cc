// tidar bench: what passes of different sizes cost on this machine, and what decoding by a recorded
// trace brings, beside what the machine could do at best.

#include <algorithm>
#include <memory>

#include "apps/command.h"
#include "apps/decode_bench.h"
#include "apps/ids.h"
#include "apps/output.h"
#include "apps/pass_bench.h"
#include "apps/price_bench.h"
#include "apps/ranges.h"
#include "apps/session.h"
#include "base/stopwatch.h"
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
/// Between two readings of the memory roof.
constexpr double kRoofSeconds = 0.25;

struct BenchFlags {
  ModelFlags model;
  std::string contexts = "0";
  std::string rows = "1,2,4,8,16,32,64,128,256,512";
  bool rows_given = false;
  std::string ask = "auto";
  double seconds = 1;
  bool ops = false;
  bool prices = false;
  std::string plot;  ///< a file; "": none
  bool json = false;

  // Decoding instead of passes.
  bool decode = false;
  std::string trace;
  std::string batches = "1,2,4,8,16,32,64";
  std::string draft_lengths;  ///< "": that of the trace
  std::string methods = "ar,tidar,tidar:all,tidar:last,self-speculative,lookup";
  std::string prices_from;  ///< as --prices of generate
};

/// The passes to be timed, as the flags name them.
struct BenchSizes {
  std::vector<int32_t> contexts;  ///< one, but for prices
  std::vector<int32_t> rows;      ///< none: those that prices are measured of
  int most_rows = 0, most_keys = 0;
};

int rows_asked(const std::string& ask, int rows) {
  if (ask == "all") return rows;
  return ask == "last" || rows > kMostAsked ? 1 : rows;
}

/// Prefill, decoding, and passes of the given rows.
std::vector<PassSpec> make_specs(const BenchFlags& flags, const BenchSizes& sizes) {
  const int context = sizes.contexts.front();
  std::vector<PassSpec> specs = {{.name = "prefill", .rows = kPrefillRows},
                                 {.name = "decode", .rows = 1, .cached = context, .commits = true}};
  for (const int32_t count : sizes.rows) {
    specs.push_back({.name = std::to_string(count),
                     .rows = count,
                     .asked = rows_asked(flags.ask, count),
                     .cached = context});
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
  text += fmt::format("weights {}, operands {}, keys and values {};\n  {} kernels, {} threads\n",
                      name_of(session.weight_format()), name_of(session.operand_type()),
                      name_of(session.kv_type()), session.ops().name(), session.threads().size());
  text += fmt::format("roofs: memory {:.1f} GB/s +- {:.0f}% between the passes;\n",
                      roofs.memory_gbps, 100 * roofs.memory_spread);
  text += fmt::format("  products in registers: f32 {:.0f} GFLOP/s, bf16 {:.0f}\n",
                      roofs.f32_gflops, roofs.bf16_gflops);
  return text;
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

Result<std::vector<int32_t>> parse_batches(const std::string& text) {
  TIDAR_TRY(std::vector<int32_t> batches, parse_ids(text, "", "numbers of texts"));
  for (const int32_t batch : batches) {
    if (batch < 1 || batch > 1024) return error("expected 1 to 1024 texts, found {}", batch);
  }
  return batches;
}

Result<std::vector<int32_t>> parse_draft_lengths(const std::string& text) {
  TIDAR_TRY(std::vector<int32_t> lengths, parse_ids(text, "", "numbers of tokens"));
  for (const int32_t length : lengths) {
    if (length >= 1 && length <= kLongestTracedDraft) continue;
    return error("expected 1 to {} tokens, found {}", kLongestTracedDraft, length);
  }
  return lengths;
}

Result<BenchSizes> sizes_of(const BenchFlags& flags, const ModelConfig& config) {
  BenchSizes sizes;
  TIDAR_TRY(sizes.contexts, parse_contexts(flags.contexts));
  if (!flags.prices || flags.rows_given) {
    TIDAR_TRY(sizes.rows, parse_rows(flags.rows));
  }
  sizes.most_rows = flags.prices ? kMostPricedRows : kPrefillRows;
  for (const int32_t count : sizes.rows) sizes.most_rows = std::max(sizes.most_rows, count);
  const int context = *std::max_element(sizes.contexts.begin(), sizes.contexts.end());
  sizes.most_keys = context + sizes.most_rows;
  // Prices are measured as far as there is room.
  int needed = flags.prices ? context + 1 : kPrefillRows;
  for (const int32_t count : sizes.rows) needed = std::max(needed, context + count);
  if (needed > config.max_positions) {
    return error("--context {}: {} positions are more than the model's {}", flags.contexts, needed,
                 config.max_positions);
  }
  return sizes;
}

/// The account of each verb over all that was timed, if it was asked for.
void print_verbs(const BenchFlags& flags, const Session& session, const BenchRoofs& roofs) {
  if (session.timed_ops() == nullptr) return;
  const std::string verbs =
      session.timed_ops()->table({.bytes_per_s = 1e9 * roofs.memory_gbps,
                                  .flops_per_s = 1e9 * roofs.products_of(session.operand_type())});
  flags.json ? print_note(verbs) : print("\n" + verbs);
}

/// Measures the roofs of a run: those of products once, that of memory between what is timed.
class RoofReader {
 public:
  explicit RoofReader(const Session& session)
      : roofs_{measure_roofs(session.threads(), *session.isa())},
        memory_reader_(session.threads(), *session.isa()) {}

  /// To be called often, at least once.
  void read() {
    if (memory_.count() > 0 && since_reading_.seconds() < kRoofSeconds) return;
    memory_.add(memory_reader_.measure_gbps());
    since_reading_ = Stopwatch();
  }
  BenchRoofs roofs() const {
    BenchRoofs roofs = roofs_;
    roofs.memory_gbps = memory_.median();
    roofs.memory_spread = memory_.spread();
    return roofs;
  }

 private:
  BenchRoofs roofs_;
  MemoryReader memory_reader_;
  Samples memory_;
  Stopwatch since_reading_;
};

/// What a run measured: passes, or prices.
struct Measured {
  BenchRoofs roofs;
  std::vector<PassTimes> passes;
  std::vector<PriceCurve> curves;
};

Measured measure(const BenchFlags& flags, const BenchSizes& sizes, Session& session,
                 Progress& progress) {
  Measured measured;
  RoofReader reader(session);
  if (session.timed_ops() != nullptr) session.timed_ops()->reset();
  PassBench bench(session);
  const auto on_round = [&](int round) {
    progress.show(fmt::format("timing passes, round {}", round));
    reader.read();
  };
  if (flags.prices) {
    const auto asked = [&](int rows) { return rows_asked(flags.ask, rows); };
    for (const int32_t context : sizes.contexts) {
      measured.curves.push_back(bench_prices(bench, session.network(), context, sizes.rows, asked,
                                             flags.seconds, on_round));
    }
  } else {
    measured.passes = bench.run(make_specs(flags, sizes), flags.seconds, on_round);
  }
  measured.roofs = reader.roofs();
  return measured;
}

/// What every kind of bench says of the model and the machine.
OrderedJson heading_json(const BenchFlags& flags, const Session& session, const BenchRoofs& roofs) {
  OrderedJson json;
  json["model"] = flags.model.shape.empty() ? flags.model.model : flags.model.shape;
  json["parameters"] = session.config().parameters();
  json["weights"] = name_of(session.weight_format());
  json["operands"] = name_of(session.operand_type());
  json["kv"] = name_of(session.kv_type());
  json["kernels"] = session.ops().name();
  json["threads"] = session.threads().size();
  json["roofs"] = to_json(roofs);
  return json;
}

void put_memory(OrderedJson& json, const Session& session) {
  for (const MemoryUse& use : session.memory()) json["memory"][use.purpose] = use.bytes;
  json["peak_resident"] = peak_resident_bytes();
}

OrderedJson to_json(const BenchFlags& flags, const Session& session, const Measured& measured) {
  OrderedJson json = heading_json(flags, session, measured.roofs);
  if (flags.prices) {
    json["prices"] = OrderedJson::array();
    for (const PriceCurve& curve : measured.curves) json["prices"].push_back(to_json(curve));
  } else {
    json["context"] = measured.passes.back().spec.cached;
    json["passes"] = OrderedJson::array();
    const PassTimes* one = one_row(measured.passes);
    for (const PassTimes& times : measured.passes) json["passes"].push_back(to_json(times, one));
  }
  put_memory(json, session);
  return json;
}

std::string tables(const BenchFlags& flags, const Session& session, const Measured& measured,
                   double peak_gflops) {
  std::string text = heading(flags, session, measured.roofs);
  if (!flags.prices) {
    text +=
        fmt::format("{} keys cached (prefill: 0); 'asked' rows go through the head; +- is half\n",
                    measured.passes.back().spec.cached);
    text += "  the distance between quartiles; the last % is of the products in registers\n";
    return text + "\n" + passes_table(measured.passes, measured.roofs, peak_gflops);
  }
  text += "'ms' are prices, measured in the time that is said; 'timed ms' are medians of\n";
  text +=
      "  passes, +- half the distance between their quartiles, 'off' how far prices are\n  from "
      "them\n";
  for (const PriceCurve& curve : measured.curves) text += "\n" + prices_table(curve);
  return text;
}

Result<Session> open_session(BenchFlags& flags, Progress& progress) {
  flags.model.timed = flags.ops;
  progress.show("reading or making weights");
  TIDAR_TRY(Session session, Session::open(flags.model));
  if (!session.isa())
    return error("--isa ref: the reference is not made to be fast; choose another");
  return session;
}

Result<int> bench(BenchFlags flags) {
  Progress progress;
  TIDAR_TRY(Session session, open_session(flags, progress));
  TIDAR_TRY(const BenchSizes sizes, sizes_of(flags, session.config()));
  progress.show("packing weights");
  TIDAR_TRY_VOID(
      session.build_network({.rows = sizes.most_rows, .keys_each = sizes.most_keys + kPageSlots}));
  progress.show("measuring the machine");
  const Measured measured = measure(flags, sizes, session, progress);
  progress.clear();
  const double peak_gflops = measured.roofs.products_of(session.operand_type());
  flags.json ? print_json(to_json(flags, session, measured))
             : print(tables(flags, session, measured, peak_gflops));
  print_verbs(flags, session, measured.roofs);
  if (!flags.plot.empty()) {
    TIDAR_TRY_VOID(write_text_file(flags.plot, draw_svg(prices_plot(measured.curves))));
  }
  return kDone;
}

/// The prices that one of them goes by, if any does.
Result<std::optional<EnginePrices>> prices_for(const std::vector<DecodingSpec>& specs,
                                               const BenchFlags& flags, const Session& session) {
  for (const DecodingSpec& spec : specs) {
    if (goes_by_prices(spec.method)) return engine_prices(flags.prices_from, spec.method, session);
  }
  return std::optional<EnginePrices>();
}

/// Said beside every result of bench_decoding.
std::string played_from(const BenchFlags& flags, const TraceFile& trace) {
  return fmt::format("acceptance is played from {}:\n  {} of {}, drafts of up to {}\n", flags.trace,
                     counted(static_cast<int64_t>(trace.texts.size()), "text"), trace.model,
                     counted(trace.draft_length(), "token"));
}

void print_decodings(const BenchFlags& flags, const Session& session, const BenchRoofs& roofs,
                     const TraceFile& trace, const std::vector<DecodingTimes>& all) {
  if (flags.json) {
    OrderedJson json = heading_json(flags, session, roofs);
    json["trace"] = {{"file", flags.trace},
                     {"model", trace.model},
                     {"texts", trace.texts.size()},
                     {"draft_length", trace.draft_length()}};
    json["decoding"] = OrderedJson::array();
    for (const DecodingTimes& times : all) json["decoding"].push_back(to_json(times));
    put_memory(json, session);
    return print_json(json);
  }
  std::string text = heading(flags, session, roofs);
  text += played_from(flags, trace);
  text += "'a pass': tokens of a text in a pass; 'rows' of a pass, 'brought': the share of\n";
  text += "  them that brought a token; +- is half the distance between quartiles\n";
  print(text + "\n" + decodings_table(all));
}

Result<int> bench_decoding(BenchFlags flags) {
  TIDAR_TRY(const TraceFile trace, read_trace(flags.trace));
  if (flags.draft_lengths.empty()) flags.draft_lengths = std::to_string(trace.draft_length());
  const std::vector<DecodingSpec> specs = decoding_specs(
      parse_methods(flags.methods).value(), parse_draft_lengths(flags.draft_lengths).value(),
      parse_batches(flags.batches).value());
  Progress progress;
  TIDAR_TRY(Session session, open_session(flags, progress));
  TIDAR_TRY(const Room room, room_for(specs, trace, session.config()));
  progress.show("packing weights");
  TIDAR_TRY_VOID(session.build_network(room));
  progress.show("measuring the machine");
  TIDAR_TRY(const auto prices, prices_for(specs, flags, session));
  RoofReader reader(session);
  if (session.timed_ops() != nullptr) session.timed_ops()->reset();
  DecodeBench bench(session, trace, prices);
  TIDAR_TRY(const std::vector<DecodingTimes> all, bench.run(specs, flags.seconds, [&](int round) {
    progress.show(fmt::format("decoding, round {}", round));
    reader.read();
  }));
  progress.clear();
  const BenchRoofs roofs = reader.roofs();
  print_decodings(flags, session, roofs, trace, all);
  print_verbs(flags, session, roofs);
  return kDone;
}

void add_decoding_flags(CLI::App& command, BenchFlags& flags,
                        const std::vector<CLI::Option*>& of_passes) {
  command.option_defaults()->group("Decoding");
  CLI::Option* decode = command.add_flag(
      "--decode", flags.decode,
      "Times decoding instead of passes, --seconds for each method and batch in turn, while the "
      "acceptance of drafts is played from --trace: so weights of any kind do");
  for (CLI::Option* option : of_passes) decode->excludes(option);
  CLI::Option* trace =
      command
          .add_option("--trace", flags.trace, "What a model drafted, from tidar generate --trace")
          ->type_name("FILE.jsonl")
          ->needs(decode);
  decode->needs(trace);
  command.add_option("--batch", flags.batches, "Texts side by side")
      ->check(parsed_by(parse_batches))
      ->type_name("N,N,...")
      ->needs(decode)
      ->capture_default_str();
  command
      .add_option("--draft-length", flags.draft_lengths, "Tokens of a draft (default: the trace's)")
      ->check(parsed_by(parse_draft_lengths))
      ->type_name("K,K,...")
      ->needs(decode);
  command
      .add_option("--methods", flags.methods,
                  "Names between commas; behind tidar perhaps its groups, else auto")
      ->check(parsed_by(parse_methods))
      ->type_name("METHODS")
      ->needs(decode)
      ->capture_default_str();
  command
      .add_option("--prices-from", flags.prices_from,
                  "What passes cost, for groups auto: as --prices of tidar generate")
      ->option_text("FILE|measure|none")
      ->needs(decode);
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
      command.add_option("--model", flags->model.model, "Hugging Face folder of a model")
          ->type_name("DIR")
          ->excludes(shape);
  add_computing_flags(command, flags->model);
  command.option_defaults()->group("Measurement");
  CLI::Option* contexts =
      command
          .add_option("--context", flags->contexts,
                      "Keys that are cached before each pass; several numbers with --prices")
          ->check(parsed_by(parse_contexts))
          ->type_name("N")
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
  command.add_option("--seconds", flags->seconds, "Time for each size")
      ->check(number(0.0, 3600.0))
      ->type_name("S")
      ->capture_default_str();
  command.add_flag("--ops", flags->ops, "Also a table of the time that each verb took");
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
  add_decoding_flags(command, *flags, {contexts, rows, ask, prices});
  command.callback([flags, shape, model, rows, &action] {
    flags->rows_given = !rows->empty();
    if (!flags->prices && parse_contexts(flags->contexts)->size() > 1) {
      throw CLI::ValidationError("--context: several numbers of keys need --prices");
    }
    if (shape->empty() && model->empty()) throw CLI::RequiredError("--shape or --model");
    action = [flags] { return flags->decode ? bench_decoding(*flags) : bench(*flags); };
  });
}

}  // namespace tidar
