#include "apps/bench_frame.h"

namespace tidar {
namespace {

/// Between two readings of the memory roof.
constexpr double kRoofSeconds = 0.25;

const std::string& name_of(const Session& session) {
  const ModelFlags& flags = session.flags();
  return flags.shape.empty() ? flags.model : flags.shape;
}

OrderedJson to_json(const BenchRoofs& roofs) {
  return {{"memory_gb_per_s", roofs.memory_gbps},
          {"memory_spread", roofs.memory_spread},
          {"f32_gflop_per_s", roofs.f32_gflops},
          {"bf16_gflop_per_s", roofs.bf16_gflops},
          {"i8_gop_per_s", roofs.i8_gops}};
}

}  // namespace

Result<Session> open_bench_session(const ModelFlags& flags, Progress& progress) {
  progress.show("reading or making weights");
  TIDAR_TRY(Session session, Session::open(flags));
  if (!session.isa())
    return error("--isa ref: the reference is not made to be fast; choose another");
  return session;
}

void RoofReader::read() {
  if (memory_.count() > 0 && since_reading_.seconds() < kRoofSeconds) return;
  memory_.add(memory_reader_.measure_gbps());
  since_reading_ = Stopwatch();
}

BenchRoofs RoofReader::roofs() const {
  BenchRoofs roofs = roofs_;
  roofs.memory_gbps = memory_.median();
  roofs.memory_spread = memory_.spread();
  return roofs;
}

std::string heading(const Session& session, const BenchRoofs& roofs) {
  const ModelConfig& config = session.config();
  std::string text;
  text += fmt::format("{}: {} parameters\n", name_of(session), format_count(config.parameters()));
  text += fmt::format("weights {}, operands {}, keys and values {};\n  {} kernels, {} threads\n",
                      session.weights_text(), session.operands_text(), name_of(session.kv_type()),
                      session.ops().name(), session.threads().size());
  text += fmt::format("roofs: memory {:.1f} GB/s +- {:.0f}% between the passes;\n",
                      roofs.memory_gbps, 100 * roofs.memory_spread);
  text += fmt::format("  products in registers: f32 {:.0f} GFLOP/s, bf16 {:.0f}, i8 {:.0f}\n",
                      roofs.f32_gflops, roofs.bf16_gflops, roofs.i8_gops);
  return text;
}

OrderedJson heading_json(const Session& session, const BenchRoofs& roofs) {
  OrderedJson json;
  json["model"] = name_of(session);
  json["parameters"] = session.config().parameters();
  json["weights"] = session.weights_text();
  json["operands"] = session.operands_text();
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

void print_verbs(const Session& session, const BenchRoofs& roofs, bool beside_json) {
  if (session.timed_ops() == nullptr) return;
  const std::string verbs = session.timed_ops()->table(
      {.bytes_per_s = 1e9 * roofs.memory_gbps,
       .flops_per_s = 1e9 * roofs.products_of(session.usual_operand_type())});
  beside_json ? print_note(verbs) : print("\n" + verbs);
}

}  // namespace tidar
