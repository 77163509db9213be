#include "apps/bench_frame.h"

#include "ops/cuda/roofs.h"

namespace tidar {
namespace {

/// Between two readings of the memory roof.
constexpr double kRoofSeconds = 0.25;

const std::string& name_of(const Session& session) {
  const ModelFlags& flags = session.flags();
  return flags.shape.empty() ? flags.model : flags.shape;
}

/// A rate, or null where it was not measured.
OrderedJson rate(double value) { return value > 0 ? OrderedJson(value) : OrderedJson(); }

OrderedJson to_json(const BenchRoofs& roofs) {
  OrderedJson json = {{"memory_gb_per_s", roofs.memory_gbps},
                      {"memory_spread", roofs.memory_spread},
                      {"f32_gflop_per_s", rate(roofs.f32_gflops)},
                      {"bf16_gflop_per_s", rate(roofs.bf16_gflops)},
                      {"i8_gop_per_s", rate(roofs.i8_gops)}};
  if (roofs.copy_gbps > 0) json["copy_gb_per_s"] = roofs.copy_gbps;
  return json;
}

std::string roofs_text(const Session& session, const BenchRoofs& roofs) {
  if (session.gpu()) {
    return fmt::format(
        "roofs: memory {:.0f} GB/s read, {:.0f} copied (read and written);\n"
        "  a product of 8192 by 8192 by 8192 in bf16 by cuBLASLt: {}\n",
        roofs.memory_gbps, roofs.copy_gbps,
        roofs.bf16_gflops > 0 ? fmt::format("{:.0f} GFLOP/s", roofs.bf16_gflops)
                              : "not measured, it is not installed");
  }
  return fmt::format(
      "roofs: memory {:.1f} GB/s +- {:.0f}% between the passes;\n"
      "  products in registers: f32 {:.0f} GFLOP/s, bf16 {:.0f}, i8 {:.0f}\n",
      roofs.memory_gbps, 100 * roofs.memory_spread, roofs.f32_gflops, roofs.bf16_gflops,
      roofs.i8_gops);
}

}  // namespace

Result<Session> open_bench_session(const ModelFlags& flags, Progress& progress) {
  progress.show("reading or making weights");
  TIDAR_TRY(Session session, Session::open(flags));
  if (!session.isa() && !session.gpu())
    return error("--isa ref: the reference is not made to be fast; choose another");
  return session;
}

Result<RoofReader> RoofReader::of(const Session& session) {
  RoofReader reader;
  if (session.gpu()) {
    TIDAR_TRY(const cuda::GpuRoofs gpu, cuda::measure_gpu_roofs(*session.gpu()));
    reader.roofs_.memory_gbps = gpu.read_gbps;
    reader.roofs_.copy_gbps = gpu.copy_gbps;
    reader.roofs_.bf16_gflops = gpu.bf16_gflops;
    return reader;
  }
  static_cast<CpuRoofs&>(reader.roofs_) = measure_roofs(session.threads(), *session.isa());
  reader.memory_reader_ = std::make_unique<MemoryReader>(session.threads(), *session.isa());
  return reader;
}

void RoofReader::read() {
  if (memory_reader_ == nullptr) return;
  if (memory_.count() > 0 && since_reading_.seconds() < kRoofSeconds) return;
  memory_.add(memory_reader_->measure_gbps());
  since_reading_ = Stopwatch();
}

BenchRoofs RoofReader::roofs() const {
  BenchRoofs roofs = roofs_;
  if (memory_reader_ == nullptr) return roofs;
  roofs.memory_gbps = memory_.median();
  roofs.memory_spread = memory_.spread();
  return roofs;
}

std::string heading(const Session& session, const BenchRoofs& roofs) {
  const ModelConfig& config = session.config();
  std::string text;
  text += fmt::format("{}: {} parameters\n", name_of(session), format_count(config.parameters()));
  if (session.adapter() != nullptr) text += fmt::format("adapter {}\n", session.adapter_text());
  text +=
      fmt::format("weights {}, operands {}, keys and values {};\n  {}\n", session.weights_text(),
                  session.operands_text(), name_of(session.kv_type()), session.backend_text());
  return text + roofs_text(session, roofs);
}

OrderedJson heading_json(const Session& session, const BenchRoofs& roofs) {
  OrderedJson json;
  json["model"] = name_of(session);
  json["parameters"] = session.config().parameters();
  if (session.adapter() != nullptr) json["adapter"] = session.adapter_text();
  json["weights"] = session.weights_text();
  json["operands"] = session.operands_text();
  json["kv"] = name_of(session.kv_type());
  json["kernels"] = session.ops().name();
  json["device"] = session.flags().backend.device;
  json["exact"] = session.flags().backend.exact;
  json["threads"] = session.threads().size();
  json["roofs"] = to_json(roofs);
  return json;
}

void put_memory(OrderedJson& json, const Session& session) {
  for (const MemoryUse& use : session.memory()) json["memory"][use.purpose] = use.bytes;
  json["peak_resident"] = peak_resident_bytes();
}

Roofs verb_roofs(const Session& session, const BenchRoofs& roofs) {
  return {.bytes_per_s = 1e9 * roofs.memory_gbps,
          .flops_per_s = 1e9 * roofs.products_of(session.usual_operand_type())};
}

void print_verbs(const Session& session, const BenchRoofs& roofs, bool beside_json) {
  if (session.timed_ops() == nullptr) return;
  const std::string verbs = session.timed_ops()->table(verb_roofs(session, roofs));
  beside_json ? print_note(verbs) : print("\n" + verbs);
}

}  // namespace tidar
