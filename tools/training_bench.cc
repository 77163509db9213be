// What a step of training costs: forward, backward and update of one pass of TiDAR's loss over a
// model with random weights, beside what products reach in the same run.
//
//   training_bench [--shape mini] [--vocabulary 16384] [--tokens 512] [--block 16]
//                  [--precision bf16|f32] [--activation-bytes N] [--isa NAME] [--threads N]
//                  [--steps 15] [--parts] [--busy] [--json] [--export FOLDER]
//
// Useful operations of a step, with R rows, of which Y have labels, T pairs of a row and a row that
// it sees, and W weights in the matrices of all layers:
//
//   6 R W + 6 Y V D + 12 T H E layers
//
// Forward, gradient of the input and gradient of the weight are 2 operations each per row and
// weight; attention has 2 products forward and 4 backward. What is computed a second time (layers
// whose inside was not kept, scores in the backward of attention) is not useful; "computed" counts
// it, and still no pair that nobody sees.

#include <fmt/format.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <memory>
#include <optional>

#include "base/rng.h"
#include "format/files.h"
#include "format/json.h"
#include "format/tensors.h"
#include "net/trainable.h"
#include "ops/cpu/cpu_backward.h"
#include "ops/cpu/roofs.h"
#include "part_times.h"
#include "train/objective.h"
#include "train/optimizer.h"

namespace tidar {
namespace {

constexpr uint64_t kSeed = 1;
constexpr double kRate = 1e-4;

struct Flags {
  std::string shape = "mini";
  int vocabulary = 16384;
  int tokens = 512;
  int block = 16;
  std::string precision = "bf16";
  int64_t activation_bytes = TrainableOptions().activation_bytes;
  std::string isa = "best";
  int threads = 0;
  int steps = 15;
  bool parts = false, busy = false, json = false;
  std::string export_to;
};

double wall_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double processor_seconds() {
  timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

double peak_bytes() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return 1024.0 * static_cast<double>(usage.ru_maxrss);
}

double quantile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  return values[static_cast<size_t>(share * static_cast<double>(values.size() - 1) + 0.5)];
}

// The better of each rate of both.
CpuRoofs better(const CpuRoofs& a, const CpuRoofs& b) {
  return {.memory_gbps = std::max(a.memory_gbps, b.memory_gbps),
          .f32_gflops = std::max(a.f32_gflops, b.f32_gflops),
          .bf16_gflops = std::max(a.bf16_gflops, b.bf16_gflops),
          .f32_product_gflops = std::max(a.f32_product_gflops, b.f32_product_gflops),
          .bf16_product_gflops = std::max(a.bf16_product_gflops, b.bf16_product_gflops)};
}

double layer_weights(const ModelConfig& config) {
  double weights = 0;
  for (const WeightSpec& spec : weight_table(config)) {
    if (spec.layer < 0 || spec.shape.size() != 2) continue;
    weights += static_cast<double>(spec.shape[0] * spec.shape[1]);
  }
  return weights;
}

struct StepFlops {
  double useful = 0, computed = 0;
};

StepFlops step_flops(const ModelConfig& config, const TrainingPass& step, int recomputed_layers) {
  double pairs = 0;
  for (const Sight& sight : step.pass.sights) {
    pairs += sight.prefix.to - sight.prefix.from + sight.block.to - sight.block.from;
  }
  const double rows = step.pass.rows(), layers = config.layers;
  const double weights = layer_weights(config) / layers;
  const double down = static_cast<double>(config.ffn) * config.hidden;
  const double attention = pairs * config.heads * config.head_size;
  const double head = static_cast<double>(step.labels.size()) * config.vocabulary * config.hidden;
  StepFlops flops;
  flops.useful = layers * (6 * rows * weights + 12 * attention) + 6 * head;
  // A layer's last product is not computed again: the stream behind it is there.
  flops.computed = flops.useful + layers * 2 * attention +
                   recomputed_layers * (2 * rows * (weights - down) + 4 * attention);
  return flops;
}

DType compute_type(const Flags& flags) {
  return flags.precision == "bf16" ? DType::bf16 : DType::f32;
}

struct Times {
  std::vector<double> gradients, update, refresh, step;
};

class Bench {
 public:
  Bench(const Flags& flags, Isa isa, const ModelConfig& config)
      : flags_(flags),
        isa_(isa),
        config_(config),
        threads_(flags.threads),
        seconds_(flags.busy ? processor_seconds : wall_seconds),
        parts_(seconds_) {
    const DType compute = compute_type(flags);
    const CpuOptions cpu = {isa, compute == DType::bf16 ? Precision::bf16 : Precision::f32};
    ops_ = make_cpu_ops(threads_, cpu);
    backward_ = make_cpu_backward(threads_, cpu, *ops_);
    if (flags.parts) timed_.emplace(*backward_, parts_);
    BackwardOps& backward = timed_ ? static_cast<BackwardOps&>(*timed_) : *backward_;
    const TrainableOptions options = {.max_rows = 2 * flags.tokens,
                                      .compute = compute,
                                      .activation_bytes = flags.activation_bytes};
    model_ = std::make_unique<Trainable>(config, ModelWeights::random(config, DType::f32, kSeed),
                                         backward, options);
    optimizer_ = std::make_unique<AdamW>(model_->parameters(), AdamWOptions{}, threads_);
    lay_out();
  }

  Result<void> run() {
    // What another program needs to carry out the same step.
    if (!flags_.export_to.empty()) TIDAR_TRY_VOID(write_model());
    first_loss_ = step();
    step();
    peak_bytes_ = peak_bytes();  // before the roofs take memory
    CpuRoofs roofs = measure_roofs(threads_, isa_);
    times_ = {};
    parts_.clear();
    for (int i = 0; i < flags_.steps; ++i) {
      last_loss_ = step();
      // Other programs can only lower a roof: it is looked for again as the run goes on.
      if (i == flags_.steps / 2) roofs = better(roofs, measure_roofs(threads_, isa_));
    }
    roofs = better(roofs, measure_roofs(threads_, isa_));
    std::fputs((flags_.json ? describe(roofs).dump() + "\n" : report(roofs)).c_str(), stdout);
    return {};
  }

 private:
  void lay_out() {
    Rng rng(kSeed);
    for (int i = 0; i <= flags_.tokens; ++i) text_.push_back(rng.below(config_.vocabulary - 2));
    ObjectiveOptions options;
    options.kind = ObjectiveKind::tidar;
    options.block_size = flags_.block;
    options.mask_token = config_.tidar->mask_token;
    objective_ = std::move(make_objective(options, {flags_.tokens, config_.vocabulary}).value());
    const std::span<const int32_t> tokens = std::span(text_).first(text_.size() - 1);
    const std::vector<std::vector<Document>> packs = {{{tokens, text_.back()}}};
    pass_ = std::move(lay_out_step(*objective_, packs, {kSeed, 0})[0]);
  }

  // Returns the loss before the update.
  double step() {
    const double start = seconds_();
    Parameters& parameters = model_->parameters();
    parameters.zero_gradients();
    std::vector<double> losses(pass_.labels.size());
    model_->add_gradients(pass_.pass, pass_.labels, losses);
    const double computed = seconds_();
    const double norm = gradient_norm(parameters, threads_);
    optimizer_->update(parameters, kRate, clip_scale(norm, 1));
    const double updated = seconds_();
    model_->refresh();
    const double end = seconds_();
    times_.gradients.push_back(computed - start);
    times_.update.push_back(updated - computed);
    times_.refresh.push_back(end - updated);
    times_.step.push_back(end - start);
    std::vector<double> means(objective_->terms().size(), 0.0);
    add_term_means(pass_, losses, means);
    return total_loss(objective_->terms(), means);
  }

  Result<void> write_model() const {
    const std::filesystem::path folder = flags_.export_to;
    std::filesystem::create_directories(folder);
    std::vector<TensorToWrite> tensors;
    for (const Parameter& parameter : model_->parameters().all()) {
      const Matrix& value = parameter.value;
      tensors.push_back({parameter.spec.name,
                         DType::f32,
                         parameter.spec.shape,
                         {value.data, static_cast<size_t>(value.bytes())}});
    }
    TIDAR_TRY_VOID(write_tensors(folder / "model.safetensors", tensors));
    TIDAR_TRY_VOID(write_text_file(folder / "config.json", to_json(config_)));
    const Json step = {{"text", text_}, {"block", flags_.block}, {"rate", kRate}};
    return write_text_file(folder / "step.json", step.dump());
  }

  /// The roof of products in this run's precision.
  double roof_gflops(const CpuRoofs& roofs) const {
    return is_narrow() ? roofs.bf16_product_gflops : roofs.f32_product_gflops;
  }
  bool is_narrow() const { return ops_->operand(compute_type(flags_)) == DType::bf16; }
  std::vector<MemoryUse> memory() const;
  Json describe(const CpuRoofs& roofs) const;
  std::string report(const CpuRoofs& roofs) const;

  const Flags& flags_;
  Isa isa_;
  ModelConfig config_;
  Threads threads_;
  double (*seconds_)();
  PartTimes parts_;
  std::unique_ptr<CpuOps> ops_;
  std::unique_ptr<CpuBackward> backward_;
  std::optional<TimedBackward> timed_;
  std::unique_ptr<Trainable> model_;
  std::unique_ptr<AdamW> optimizer_;
  std::vector<int32_t> text_;
  std::unique_ptr<Objective> objective_;
  TrainingPass pass_;
  Times times_;
  double first_loss_ = 0, last_loss_ = 0, peak_bytes_ = 0;
};

std::vector<MemoryUse> Bench::memory() const {
  std::vector<MemoryUse> uses = model_->memory();
  uses.push_back({"moments of the optimizer", optimizer_->bytes()});
  uses.push_back({"scratch of kernels", ops_->scratch_bytes() + backward_->scratch_bytes()});
  return uses;
}

Json Bench::describe(const CpuRoofs& roofs) const {
  const double seconds = quantile(times_.step, 0.5);
  const StepFlops flops = step_flops(config_, pass_, model_->recomputed_layers());
  return {{"precision", flags_.precision},
          {"threads", threads_.size()},
          {"parameters", config_.parameters()},
          {"loss", first_loss_},
          {"last_loss", last_loss_},
          {"ms", 1e3 * seconds},
          {"best_ms", 1e3 * quantile(times_.step, 0)},
          {"tokens_per_s", flags_.tokens / seconds},
          {"gflop_per_s", flops.useful / seconds / 1e9},
          {"roof_gflop_per_s", roof_gflops(roofs)},
          {"peak_bytes", peak_bytes_}};
}

std::string Bench::report(const CpuRoofs& roofs) const {
  const StepFlops flops = step_flops(config_, pass_, model_->recomputed_layers());
  std::string text = fmt::format(
      "D {} layers {} H {} G {} E {} F {} V {}: {} parameters\n"
      "{} tokens, {} rows, K {}; {} kernels, {} threads, {}; {} of {} layers computed twice\n",
      config_.hidden, config_.layers, config_.heads, config_.kv_heads, config_.head_size,
      config_.ffn, config_.vocabulary, config_.parameters(), flags_.tokens, pass_.pass.rows(),
      flags_.block, ops_->name(), threads_.size(), flags_.precision, model_->recomputed_layers(),
      config_.layers);
  text += fmt::format(
      "roofs of this run: memory {:.1f} GB/s; in registers f32 {:.0f}, bf16 {:.0f} GFLOP/s; "
      "oneDNN's product f32 {:.0f}, bf16 {:.0f}\nloss at step 0: {:.6f}\n\n",
      roofs.memory_gbps, roofs.f32_gflops, roofs.bf16_gflops, roofs.f32_product_gflops,
      roofs.bf16_product_gflops, first_loss_);
  const auto line = [&](const char* name, const std::vector<double>& seconds) {
    const double median = quantile(seconds, 0.5);
    const double spread = (quantile(seconds, 0.75) - quantile(seconds, 0.25)) / 2 / median;
    text += fmt::format("{:20} {:9.2f} ms  +- {:.0f} %, best {:.2f}\n", name, 1e3 * median,
                        100 * spread, 1e3 * quantile(seconds, 0));
  };
  line("forward, backward", times_.gradients);
  line("update", times_.update);
  line("refresh", times_.refresh);
  line("step", times_.step);
  const double seconds = quantile(times_.step, 0.5), roof = roof_gflops(roofs);
  text += fmt::format(
      "{:.0f} tokens/s; {:.1f} GFLOP a step: {:.0f} GFLOP/s, {:.0f} % of the product roof "
      "({:.0f} GFLOP/s, {:.0f} %, with what is computed twice)\n",
      flags_.tokens / seconds, flops.useful / 1e9, flops.useful / seconds / 1e9,
      100 * flops.useful / seconds / 1e9 / roof, flops.computed / seconds / 1e9,
      100 * flops.computed / seconds / 1e9 / roof);
  text += fmt::format("memory: at most {:.0f} MB resident; of it\n", peak_bytes_ / 1e6);
  for (const MemoryUse& use : memory()) {
    text += fmt::format("  {:36} {:8.1f} MB\n", use.purpose, static_cast<double>(use.bytes) / 1e6);
  }
  if (flags_.parts) {
    double total = 0;
    for (const double one : times_.step) total += one;
    text += "\n" + parts_.table(flags_.steps, total);
  }
  return text;
}

Result<ModelConfig> make_config(const Flags& flags) {
  TIDAR_TRY(ModelConfig config, named_shape(flags.shape));
  if (flags.vocabulary > 0) {
    config.vocabulary = flags.vocabulary;
    config.tidar->mask_token = flags.vocabulary - 1;
    config.bos_token = flags.vocabulary - 2;
    config.eos_tokens = {config.bos_token};
  }
  return config;
}

Result<void> run(const Flags& flags) {
  const auto usable = usable_isas();
  const auto isa = flags.isa == "best" ? std::optional(usable.back()) : isa_named(flags.isa);
  if (!isa || std::find(usable.begin(), usable.end(), *isa) == usable.end()) {
    return error("this processor has no instruction set '{}'", flags.isa);
  }
  TIDAR_TRY(const ModelConfig config, make_config(flags));
  return Bench(flags, *isa, config).run();
}

}  // namespace
}  // namespace tidar

int main(int argc, char** argv) {
  CLI::App app{"What a step of training costs"};
  tidar::Flags flags;
  app.add_option("--shape", flags.shape, "A named shape");
  app.add_option("--vocabulary", flags.vocabulary, "Instead of the shape's; 0: the shape's")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--tokens", flags.tokens, "Of the text; a pass has twice as many rows")
      ->check(CLI::PositiveNumber);
  app.add_option("--block", flags.block, "Block size of the loss");
  app.add_option("--precision", flags.precision, "Of weights and operands in products")
      ->check(CLI::IsMember({"bf16", "f32"}));
  app.add_option("--activation-bytes", flags.activation_bytes, "For the inside of layers");
  app.add_option("--isa", flags.isa, "Instruction set of the kernels");
  app.add_option("--threads", flags.threads, "0: all processors");
  app.add_option("--steps", flags.steps, "To take the median of")->check(CLI::PositiveNumber);
  app.add_flag("--parts", flags.parts, "Tell where the time goes");
  app.add_flag("--busy", flags.busy, "Count processor time, for one thread on a busy machine");
  app.add_flag("--json", flags.json, "One line of JSON");
  app.add_option("--export", flags.export_to, "Folder to write the model and the text to");
  CLI11_PARSE(app, argc, argv);
  if (const auto done = tidar::run(flags); !done.ok()) {
    std::fprintf(stderr, "training_bench: %s\n", done.error().message.c_str());
    return 1;
  }
  return 0;
}
