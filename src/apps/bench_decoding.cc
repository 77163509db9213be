#include "apps/bench_decoding.h"

#include <optional>

#include "apps/bench_frame.h"
#include "apps/command.h"
#include "apps/decode_bench.h"
#include "apps/ids.h"
#include "apps/method_list.h"
#include "apps/output.h"
#include "apps/ranges.h"

namespace tidar {
namespace {

Result<std::vector<int32_t>> parse_batches(const std::string& text) {
  TIDAR_TRY(std::vector<int32_t> batches, parse_ids(text, "", "numbers of texts"));
  for (const int32_t batch : batches) {
    if (batch < 1 || batch > 1024) return error("expected 1 to 1024 texts, found {}", batch);
  }
  return batches;
}

/// Those that a trace can have.
Result<std::vector<int32_t>> parse_traced_lengths(const std::string& text) {
  return parse_draft_lengths(text, kLongestTracedDraft);
}

/// The prices that one of them goes by, if any does.
Result<std::optional<EnginePrices>> prices_for(const std::vector<DecodingSpec>& specs,
                                               const DecodingFlags& flags, const Session& session) {
  for (const DecodingSpec& spec : specs) {
    if (goes_by_prices(spec.method)) return engine_prices(flags.prices_from, spec.method, session);
  }
  return std::optional<EnginePrices>();
}

/// Said beside every result of bench_decoding.
std::string played_from(const DecodingFlags& flags, const TraceFile& trace) {
  return fmt::format("acceptance is played from {}:\n  {} of {}, drafts of up to {}\n", flags.trace,
                     counted(static_cast<int64_t>(trace.texts.size()), "text"), trace.model,
                     counted(trace.draft_length(), "token"));
}

OrderedJson decodings_json(const DecodingFlags& flags, const Session& session,
                           const BenchRoofs& roofs, const TraceFile& trace,
                           const std::vector<DecodingTimes>& all) {
  OrderedJson json = heading_json(session, roofs);
  json["trace"] = {{"file", flags.trace},
                   {"model", trace.model},
                   {"texts", trace.texts.size()},
                   {"draft_length", trace.draft_length()}};
  json["decoding"] = OrderedJson::array();
  for (const DecodingTimes& times : all) json["decoding"].push_back(to_json(times));
  put_memory(json, session);
  return json;
}

std::string decodings_text(const DecodingFlags& flags, const Session& session,
                           const BenchRoofs& roofs, const TraceFile& trace,
                           const std::vector<DecodingTimes>& all) {
  std::string text = heading(session, roofs) + played_from(flags, trace);
  text += "'a pass': tokens of a text in a pass; 'rows' of a pass, 'brought': the share of\n";
  text += "  them that brought a token; 'choice': the share of the time in which rows were\n";
  text += "  chosen; +- is half the distance between quartiles\n";
  return text + "\n" + decodings_table(all);
}

/// Flags that have been checked.
std::vector<DecodingSpec> specs_of(const DecodingFlags& flags, const TraceFile& trace) {
  const std::string lengths =
      flags.draft_lengths.empty() ? std::to_string(trace.draft_length()) : flags.draft_lengths;
  const std::vector<Method> methods = with_draft_lengths(parse_methods(flags.methods).value(),
                                                         parse_traced_lengths(lengths).value());
  return decoding_specs(methods, parse_batches(flags.batches).value());
}

}  // namespace

Result<int> bench_decoding(const DecodingFlags& flags, const ModelFlags& model, double seconds,
                           bool json) {
  TIDAR_TRY(const TraceFile trace, read_trace(flags.trace));
  const std::vector<DecodingSpec> specs = specs_of(flags, trace);
  Progress progress;
  TIDAR_TRY(Session session, open_bench_session(model, progress));
  TIDAR_TRY(const Room room, room_for(specs, trace, session.config()));
  progress.show("packing weights");
  TIDAR_TRY_VOID(session.build_network(room));
  progress.show("measuring the machine");
  TIDAR_TRY(const auto prices, prices_for(specs, flags, session));
  TIDAR_TRY(RoofReader reader, RoofReader::of(session));
  if (session.timed_ops() != nullptr) session.timed_ops()->reset();
  DecodeBench bench(session, trace, prices);
  const auto on_turn = [&](int round) {
    progress.show(fmt::format("decoding, round {}", round));
    reader.read();
  };
  TIDAR_TRY(const std::vector<DecodingTimes> all, bench.run(specs, seconds, on_turn));
  progress.clear();
  const BenchRoofs roofs = reader.roofs();
  json ? print_json(decodings_json(flags, session, roofs, trace, all))
       : print(decodings_text(flags, session, roofs, trace, all));
  print_verbs(session, roofs, json);
  return kDone;
}

void add_decoding_flags(CLI::App& command, DecodingFlags& flags,
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
      ->check(parsed_by(parse_traced_lengths))
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

}  // namespace tidar
