#pragma once
// What every subcommand that computes is made of, built from its flags once: config, weights,
// threads, arithmetic, network, tokenizer.

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apps/backend.h"
#include "apps/weight_choice.h"
#include "base/dtype.h"
#include "base/result.h"
#include "base/threads.h"
#include "model/adapter.h"
#include "model/config.h"
#include "model/weights.h"
#include "net/network.h"
#include "net/trainable.h"
#include "ops/ops.h"
#include "ops/wrap/timed_ops.h"
#include "text/tokenizer.h"

namespace tidar {

/// Which model, and how it is computed.
struct ModelFlags {
  std::string model;    ///< a folder or a file; or
  std::string shape;    ///< a named shape, with random weights
  std::string adapter;  ///< PEFT folder of an adapter; "": the model's own, if it has one
  WeightChoice weights;
  std::optional<DType> kv;  ///< none: as precise as the products
  BackendFlags backend;
  int threads = 0;     ///< 0: as many as this process may run on
  int context = 0;     ///< tokens of one sequence to make room for; 0: what the task needs
  bool timed = false;  ///< measure every verb
};

/// Adds --weights, --kv, --precision, --device, --exact, --isa and --threads. `flags` must outlive
/// the parsing; what it holds is the default.
void add_computing_flags(CLI::App& command, ModelFlags& flags);
/// Adds --adapter.
void add_adapter_flag(CLI::App& command, ModelFlags& flags);
/// Adds --model, required, --adapter, and the flags above.
void add_model_flags(CLI::App& command, ModelFlags& flags);
/// Adds --context.
void add_context_flag(CLI::App& command, ModelFlags& flags);

/// Rows of a pass in which a long prompt is read, and in which texts are scored.
inline constexpr int kPromptRows = 512;
inline constexpr int kReadingRows = 256;

/// What a network makes room for.
struct Room {
  int rows = 1;       ///< of one pass
  int sequences = 1;  ///< that have keys at the same time
  int keys_each = 1;  ///< of one sequence; more than the model has positions for are not kept
};

/// A model that is ready to be built, and then to be run. Move-only.
class Session {
 public:
  /// Reads the model's files, or makes random weights; starts the threads and chooses the kernels.
  static Result<Session> open(const ModelFlags& flags);

  /// Packs the weights and allocates the memory of the network (--context overrides
  /// room.keys_each). Lets go of the files. To be called once.
  Result<void> build_network(Room room);

  /// Instead of a network that serves: one that learns, in the format of --weights. To be called
  /// once.
  Result<void> build_trainable(int rows);

  const ModelFlags& flags() const { return flags_; }
  const ModelConfig& config() const { return config_; }
  const Tokenizer* tokenizer() const { return tokenizer_ ? &*tokenizer_ : nullptr; }
  /// Until the network is built.
  const ModelWeights& weights() const { return *weights_; }
  /// nullptr: none.
  const Adapter* adapter() const { return adapter_ ? &*adapter_ : nullptr; }
  /// "LoRA of rank 16, …, 1,234 parameters", or "".
  std::string adapter_text() const;
  Threads& threads() const { return *threads_; }
  Ops& ops() const { return timed_ ? static_cast<Ops&>(*timed_) : *backend_.ops; }
  /// nullptr unless the flags asked for it.
  TimedOps* timed_ops() const { return timed_.get(); }
  Network& network() const { return *network_; }
  Trainable& trainable() const { return *trainable_; }
  /// What the CPU's kernels are compiled for; none with the reference, and on a GPU.
  std::optional<Isa> isa() const { return backend_.isa; }
  /// The number of the GPU that computes; none: the CPU does.
  std::optional<int> gpu() const { return backend_.gpu; }
  /// What computes, for people: "avx512 kernels, 8 threads"; of a GPU its name.
  std::string backend_text() const;
  const WeightFormats& weight_formats() const { return weight_formats_; }
  /// As --weights would say them: "w4,head=w8".
  std::string weights_text() const { return text_of(weight_formats_, config_); }
  DType kv_type() const { return kv_type_; }
  /// Operand type of products with weights of this format; i8 where these are codes.
  DType operand_type(WeightFormat format) const {
    return facts_of(format).group > 0 ? DType::i8 : backend_.ops->operand(format);
  }
  /// Of most products.
  DType usual_operand_type() const { return operand_type(usual_format(weight_formats_, config_)); }
  /// Of all that there are: "i8", or "bf16+i8".
  std::string operands_text() const;

  /// Memory by purpose, that of the kernels included. To be asked once one is built.
  std::vector<MemoryUse> memory() const;

  /// Bytes of keys and values that one cached key stands for, in all layers.
  int64_t key_bytes() const;

 private:
  Session() = default;

  ModelFlags flags_;
  ModelConfig config_;
  std::unique_ptr<Threads> threads_;  // which may make the weights
  std::optional<ModelWeights> weights_;
  std::optional<Adapter> adapter_;
  std::optional<Tokenizer> tokenizer_;
  WeightFormats weight_formats_;
  DType kv_type_ = DType::f32;
  // Each after those that it uses, so that it ends before them.
  Backend backend_;
  std::unique_ptr<TimedOps> timed_;
  std::unique_ptr<Network> network_;
  std::unique_ptr<BackwardOps> backward_;
  std::unique_ptr<Trainable> trainable_;
};

}  // namespace tidar
