#include "apps/session.h"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <limits>
#include <set>

#include "apps/ids.h"
#include "apps/output.h"
#include "apps/ranges.h"
#include "format/gguf.h"
#include "ops/cuda/kernels.h"

namespace tidar {
namespace {

/// Any seed would do; a fixed one makes every run of one shape the same model.
constexpr uint64_t kRandomWeightsSeed = 1;

/// A flag that is one of `choices`; take() gets which.
void add_choice_flag(CLI::App& command, const std::string& name,
                     const std::vector<std::string>& choices,
                     const std::function<void(const std::string&)>& take, const std::string& help) {
  command.add_option_function<std::string>(name, take, help)
      ->check(CLI::IsMember(choices))
      ->type_name("");
}

/// Keys are as precise as the products that make them. Beside codes as beside bf16 weights: those
/// are rounded further than keys are.
DType kv_type_beside(const WeightFormats& weights, const ModelConfig& config, const Ops& ops) {
  for (int layer = 0; layer < config.layers; ++layer) {
    const WeightFormat format = weights.of({PackedRole::qkv, layer});
    if (format == WeightFormat::f32) return ops.operand(format);
  }
  return ops.operand(WeightFormat::bf16);
}

/// An Error where the kernels for GPUs lack something that the model needs.
Result<void> check_fits_gpu(const ModelConfig& config, const WeightFormats& weights) {
  for (const PackedPlace& place : packed_weights(config)) {
    const WeightFormat format = weights.of(place);
    if (facts_of(format).plain) continue;
    return error(
        "--weights {}: on a GPU weights are f32 or bf16; choose one of them, or compute on the CPU",
        name_of(format));
  }
  if (config.head_size > cuda::kMostHead) {
    return error(
        "the model's heads have {} elements; on a GPU they have {} at most: compute on the "
        "CPU",
        config.head_size, cuda::kMostHead);
  }
  return {};
}

/// The adapter that the flag or the model's config.json names.
Result<std::optional<Adapter>> open_adapter(const ModelFlags& flags, const ModelConfig& config) {
  if (flags.adapter.empty() && config.adapter.empty()) return std::optional<Adapter>();
  const std::filesystem::path own = std::filesystem::path(flags.model) / config.adapter;
  if (!flags.adapter.empty() && !config.adapter.empty()) {
    return error(
        "--adapter {}: the model has an adapter of its own, {}, and takes one only; give its base "
        "as --model",
        flags.adapter, own.string());
  }
  const std::filesystem::path folder =
      flags.adapter.empty() ? own : std::filesystem::path(flags.adapter);
  TIDAR_TRY(Adapter adapter, Adapter::open(folder, config));
  const int mask = adapter.config().mask_token;
  if (mask >= 0 && config.tidar && config.tidar->mask_token != mask) {
    return error("{}: acts on rows of token {}, but the model's mask token is {}", folder.string(),
                 mask, config.tidar->mask_token);
  }
  return std::optional(std::move(adapter));
}

}  // namespace

void add_adapter_flag(CLI::App& command, ModelFlags& flags) {
  command
      .add_option("--adapter", flags.adapter,
                  "PEFT folder of a LoRA adapter for the model (default: the one that its "
                  "config.json names, if any)")
      ->type_name("DIR");
}

void add_computing_flags(CLI::App& command, ModelFlags& flags) {
  command.option_defaults()->group("Computing");
  add_weights_flag(
      command, flags.weights,
      "Format of packed weights: f32, bf16, w8 or w4, and other ones by role, as in w4,head=w8 "
      "(default: as stored); w8 and w4 are codes of 8 and 4 bits with a scale for 32 of them, "
      "multiplied as whole numbers");
  add_choice_flag(
      command, "--kv", {"f32", "bf16", "i8"},
      [&flags](const std::string& name) {
        flags.kv = name == "i8" ? DType::i8 : name == "bf16" ? DType::bf16 : DType::f32;
      },
      "Type of keys and values (default: that of products); i8 is codes of 8 bits with a scale a "
      "head, on the CPU");
  add_choice_flag(
      command, "--precision", {"f32", "bf16"},
      [&flags](const std::string& name) {
        flags.backend.precision = name == "bf16" ? Precision::bf16 : Precision::f32;
      },
      flags.backend.precision == Precision::f32
          ? "Operands of products with bf16 weights, on the CPU (default: f32)"
          : "Operands of products with bf16 weights, on the CPU (default: bf16 if it can)");
  add_device_flags(command, flags.backend);
  add_isa_flag(command, flags.backend.isa);
  add_threads_flag(command, flags.threads);
}

void add_model_flags(CLI::App& command, ModelFlags& flags) {
  command.option_defaults()->group("Model");
  command.add_option("--model", flags.model, "Hugging Face folder of the model, or GGUF file")
      ->required()
      ->type_name("PATH");
  add_adapter_flag(command, flags);
  add_computing_flags(command, flags);
}

void add_context_flag(CLI::App& command, ModelFlags& flags) {
  command
      .add_option("--context", flags.context,
                  "Tokens of one sequence to make room for (0: what is needed)")
      ->check(whole_number(0, 1 << 30))
      ->type_name("N")
      ->capture_default_str();
}

Result<Session> Session::open(const ModelFlags& flags) {
  Session session;
  session.flags_ = flags;
  session.threads_ = std::make_unique<Threads>(flags.threads);
  if (flags.shape.empty()) {
    const std::filesystem::path model = flags.model;
    if (!std::filesystem::is_directory(model) && !is_gguf_path(model)) {
      return error(
          "{}: no such folder or file; --model names a folder with config.json, or a GGUF file",
          flags.model);
    }
    TIDAR_TRY(session.config_, read_model_config(model));
    TIDAR_TRY(session.tokenizer_, Tokenizer::find(model));
    if (session.tokenizer_) {
      TIDAR_TRY_VOID(check_fits(*session.tokenizer_, session.config_.vocabulary, model.string()));
    }
    TIDAR_TRY(session.weights_, ModelWeights::open(model, session.config_));
    TIDAR_TRY(session.adapter_, open_adapter(flags, session.config_));
  } else {
    TIDAR_TRY(session.config_, named_shape(flags.shape));
    const WeightFormatFacts& facts = facts_of(flags.weights.all.value_or(WeightFormat::bf16));
    session.weights_ = ModelWeights::random(session.config_, facts.plain.value_or(DType::bf16),
                                            kRandomWeightsSeed, session.threads_.get());
  }
  TIDAR_TRY(session.weight_formats_,
            chosen_formats(flags.weights, session.config_,
                           stored_formats(session.config_, *session.weights_)));
  TIDAR_TRY(const std::optional<int> gpu, parse_device(flags.backend.device));
  if (gpu) TIDAR_TRY_VOID(check_fits_gpu(session.config_, session.weight_formats_));
  TIDAR_TRY(session.backend_, make_backend(flags.backend, *session.threads_));
  if (flags.timed) {
    session.timed_ = std::make_unique<TimedOps>(
        *session.backend_.ops, session.gpu() ? VerbEnds::done : VerbEnds::returned);
  }
  const Ops& ops = *session.backend_.ops;
  const DType products = kv_type_beside(session.weight_formats_, session.config_, ops);
  session.kv_type_ = flags.kv.value_or(ops.supports_kv(products) ? products : DType::f32);
  if (!ops.supports_kv(session.kv_type_)) {
    return error("--kv {}: {} keeps keys and values in other types only", name_of(session.kv_type_),
                 ops.name());
  }
  return session;
}

Result<void> Session::build_network(Room room) {
  TIDAR_CHECK(weights_.has_value());
  if (flags_.context > config_.max_positions) {
    return error("--context {}: this model has positions for {} tokens at most", flags_.context,
                 config_.max_positions);
  }
  if (flags_.context > 0) room.keys_each = flags_.context;
  const int pages_each = pages_for(std::clamp(room.keys_each, 1, config_.max_positions));
  const int64_t pages = int64_t{room.sequences} * pages_each;
  if (pages > std::numeric_limits<int32_t>::max() / kPageSlots) {
    return error(
        "room for {} sequences of {} tokens is more than can be counted; fewer of them, "
        "or a smaller --context, may do",
        room.sequences, pages_each * kPageSlots);
  }
  NetworkOptions options;
  options.max_rows = room.rows;
  options.pages = static_cast<int>(pages);
  // The rows of a pass stand behind the keys of a sequence, none further than there are rows; what
  // the user says is a limit for them, too.
  options.max_position = static_cast<int>(
      flags_.context > 0
          ? flags_.context
          : std::min<int64_t>(config_.max_positions, int64_t{pages_each} * kPageSlots + room.rows));
  options.weights = weight_formats_;
  options.kv = kv_type_;
  options.adapter = adapter();
  TIDAR_TRY(network_, Network::build(config_, *weights_, ops(), options));
  weights_.reset();
  return {};
}

Result<void> Session::build_trainable(int rows) {
  TIDAR_CHECK(weights_.has_value());
  if (gpu()) {
    return error("--device {}: gradients are computed on the CPU only", flags_.backend.device);
  }
  if (adapter_) {
    return error("{}: gradients are of a model without an adapter; give its base as --model",
                 flags_.adapter.empty() ? flags_.model : flags_.adapter);
  }
  backward_ = make_backward(backend_, *threads_);
  WeightFormat compute = usual_format(weight_formats_, config_);
  if (flags_.weights.is_default()) {
    // What is stored as codes is learnt further in f32.
    compute = plain_format(weights_->matrix_dtype()).value_or(WeightFormat::f32);
  } else if (text_of(weight_formats_, config_) != name_of(compute)) {
    return error("--weights {}: what is trained has one format for all weights, f32 or bf16",
                 weights_text());
  }
  const TrainableOptions options = {.max_rows = rows, .compute = compute};
  TIDAR_TRY(trainable_, Trainable::build(config_, *weights_, *backward_, options));
  weights_.reset();
  return {};
}

std::string Session::operands_text() const {
  std::set<std::string_view> names;
  for (const PackedPlace& place : packed_weights(config_)) {
    names.insert(name_of(operand_type(weight_formats_.of(place))));
  }
  return fmt::format("{}", fmt::join(names, "+"));
}

std::string Session::adapter_text() const {
  if (!adapter_) return "";
  return fmt::format("{}, {} parameters", text_of(adapter_->config()),
                     format_count(adapter_->parameters()));
}

std::string Session::backend_text() const {
  if (gpu()) {
    return fmt::format("{}, GPU number {}{}", ops().name(), *gpu(),
                       flags_.backend.exact ? ", exact rows" : "");
  }
  return fmt::format("{} kernels, {} threads", ops().name(), threads().size());
}

std::vector<MemoryUse> Session::memory() const {
  std::vector<MemoryUse> uses = network_ ? network_->memory() : trainable_->memory();
  if (backend_.cpu != nullptr) uses.push_back({"kernels' scratch", backend_.scratch_bytes()});
  return uses;
}

int64_t Session::key_bytes() const {
  const KvShape shape = {
      .kv_heads = config_.kv_heads, .head_size = config_.head_size, .dtype = kv_type_};
  return config_.layers * shape.slot_bytes();
}

}  // namespace tidar
