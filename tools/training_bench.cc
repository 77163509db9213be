// What a step of training costs: forward, backward and update of one pass of TiDAR's loss over a
// model with random weights, beside what products reach in the same run.
//
//   training_bench [--shape mini] [--vocabulary 16384] [--tokens 512] [--block 16]
//                  [--precision bf16|f32] [--activation-bytes N] [--isa NAME] [--threads N]
//                  [--steps 15] [--parts] [--busy] [--json] [--export FOLDER]
//
// Useful operations are those of net/flops.h. What layers whose inside was not kept compute a
// second time is not useful, and told apart.

#include <fmt/format.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <memory>
#include <optional>

#include "base/rng.h"
#include "format/files.h"
#include "format/json.h"
#include "format/tensors.h"
#include "net/flops.h"
#include "net/trainable.h"
#include "onednn.h"
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
  return values[static_cast<size_t>(std::lround(share * static_cast<double>(values.size() - 1)))];
}

// What is computed a second time. A layer's last product is not: the stream behind it is there.
double second_flops(const ModelConfig& config, const Pass& pass, int recomputed_layers) {
  ModelConfig layer = config;
  layer.layers = 1;
  const double down = 2.0 * pass.rows() * config.ffn * config.hidden;
  return recomputed_layers * (forward_flops(layer, pass, 0) - down);
}

WeightFormat compute_format(const Flags& flags) {
  return flags.precision == "bf16" ? WeightFormat::bf16 : WeightFormat::f32;
}

struct Times {
  std::vector<double> gradients, update, refresh, step;
};

class Bench {
 public:
  Bench(const Flags& flags, Isa isa, const ModelConfig& config)
      : flags_(flags),
        config_(config),
        threads_(flags.threads),
        seconds_(flags.busy ? processor_seconds : wall_seconds),
        parts_(seconds_) {
    const WeightFormat compute = compute_format(flags);
    const CpuOptions cpu = {isa, compute == WeightFormat::bf16 ? Precision::bf16 : Precision::f32};
    ops_ = make_cpu_ops(threads_, cpu);
    backward_ = make_cpu_backward(threads_, cpu, *ops_);
    if (flags.parts) timed_.emplace(*backward_, parts_);
  }

  Result<void> run() {
    TIDAR_TRY_VOID(make_model());
    lay_out();
    // What another program needs to carry out the same step.
    if (!flags_.export_to.empty()) TIDAR_TRY_VOID(write_model());
    first_loss_ = step();
    step();
    peak_bytes_ = peak_bytes();  // before oneDNN takes memory
    look_for_roof();
    times_ = {};
    parts_.clear();
    for (int i = 0; i < flags_.steps; ++i) {
      last_loss_ = step();
      if (i % 4 == 3) look_for_roof();
    }
    look_for_roof();
    std::fputs((flags_.json ? describe().dump() + "\n" : report()).c_str(), stdout);
    return {};
  }

 private:
  Result<void> make_model() {
    BackwardOps& backward = timed_ ? static_cast<BackwardOps&>(*timed_) : *backward_;
    const TrainableOptions options = {.max_rows = 2 * flags_.tokens,
                                      .compute = compute_format(flags_),
                                      .activation_bytes = flags_.activation_bytes};
    const ModelWeights weights = ModelWeights::random(config_, DType::f32, kSeed);
    TIDAR_TRY(model_, Trainable::build(config_, weights, backward, options));
    optimizer_ = std::make_unique<AdamW>(model_->parameters(), AdamWOptions{}, threads_);
    return {};
  }

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

  // Other programs can only lower a roof, so it is looked for as the run goes on.
  void look_for_roof() {
    const DType operand = ops_->operand(compute_format(flags_));
    roof_gflops_ = std::max(roof_gflops_, onednn_product_gflops(threads_, operand));
  }
  double useful_flops() const {
    return training_flops(config_, pass_.pass, static_cast<int64_t>(pass_.labels.size()));
  }
  std::vector<MemoryUse> memory() const;
  Json describe() const;
  std::string report() const;

  const Flags& flags_;
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
  double roof_gflops_ = 0;  // of oneDNN's product in this run's precision
};

std::vector<MemoryUse> Bench::memory() const {
  std::vector<MemoryUse> uses = model_->memory();
  uses.push_back({"moments of the optimizer", optimizer_->bytes()});
  uses.push_back({"scratch of kernels", ops_->scratch_bytes() + backward_->scratch_bytes()});
  return uses;
}

Json Bench::describe() const {
  const double seconds = quantile(times_.step, 0.5);
  return {{"precision", flags_.precision},
          {"threads", threads_.size()},
          {"parameters", config_.parameters()},
          {"loss", first_loss_},
          {"last_loss", last_loss_},
          {"ms", 1e3 * seconds},
          {"best_ms", 1e3 * quantile(times_.step, 0)},
          {"tokens_per_s", flags_.tokens / seconds},
          {"gflop_per_s", useful_flops() / seconds / 1e9},
          {"roof_gflop_per_s", roof_gflops_},
          {"peak_bytes", peak_bytes_}};
}

std::string Bench::report() const {
  std::string text = fmt::format(
      "D {} layers {} H {} G {} E {} F {} V {}: {} parameters\n"
      "{} tokens, {} rows, K {}; {} kernels, {} threads, {}; {} of {} layers computed twice\n",
      config_.hidden, config_.layers, config_.heads, config_.kv_heads, config_.head_size,
      config_.ffn, config_.vocabulary, config_.parameters(), flags_.tokens, pass_.pass.rows(),
      flags_.block, ops_->name(), threads_.size(), flags_.precision, model_->recomputed_layers(),
      config_.layers);
  text += fmt::format(
      "oneDNN's product of these operands, at best in this run: {:.0f} GFLOP/s\n"
      "loss at step 0: {:.6f}\n\n",
      roof_gflops_, first_loss_);
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
  const double seconds = quantile(times_.step, 0.5), useful = useful_flops();
  const double all = useful + second_flops(config_, pass_.pass, model_->recomputed_layers());
  const auto rate = [&](double flops) { return flops / seconds / 1e9; };
  text += fmt::format(
      "{:.0f} tokens/s; {:.1f} GFLOP a step: {:.0f} GFLOP/s, {:.0f} % of the product roof "
      "({:.0f} GFLOP/s, {:.0f} %, with what is computed twice)\n",
      flags_.tokens / seconds, useful / 1e9, rate(useful), 100 * rate(useful) / roof_gflops_,
      rate(all), 100 * rate(all) / roof_gflops_);
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
