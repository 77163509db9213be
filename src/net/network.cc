#include "net/network.h"

#include <array>

#include "base/out_of_memory.h"
#include "net/head.h"
#include "net/planes.h"
#include "net/served_block.h"

namespace tidar {

struct Network::Impl {
  ModelConfig config;
  Ops& ops;
  EvaluatorLimits limits;
  std::unique_ptr<PackedWeight> embedding;
  std::vector<ServedBlock> blocks;
  std::unique_ptr<PackedWeight> own_head;  // nullptr: the embedding is the head
  std::unique_ptr<KvStore> kv;
  std::unique_ptr<RopeTable> rope;
  std::unique_ptr<PreparedPass> prepared;
  std::unique_ptr<ServedPlanes> planes;
  std::unique_ptr<AdaptedRows> adapted;  // nullptr: no adapter
  std::unique_ptr<Head> head;
  int32_t rows = 0;               // of the last pass
  std::vector<int> page_holders;  // sequences of the pass that is checked

  Impl(const ModelConfig& config_, Ops& ops_) : config(config_), ops(ops_) {}

  void pack(const ModelWeights& weights, const WeightFormats& formats, const Adapter* adapter) {
    const auto pack_one = [&](WeightRole role) {
      const std::array roles = {role};
      return pack_tensors(ops, weights, PackOrder::stacked, roles, -1,
                          formats.of({*packed_role(role)}));
    };
    embedding = pack_one(WeightRole::embedding);
    for (int layer = 0; layer < config.layers; ++layer) {
      blocks.emplace_back(ops, config, weights, layer, formats, adapter);
    }
    if (config.head == HeadWeight::own) own_head = pack_one(WeightRole::head);
    const std::array norm = {&weights.get(WeightRole::final_norm)};
    head = std::make_unique<Head>(config, ops, own_head ? *own_head : *embedding,
                                  pack_vectors(ops, weights, norm), limits.max_rows);
  }

  void allocate_keys(const NetworkOptions& options) {
    KvShape shape;
    shape.layers = config.layers;
    shape.kv_heads = config.kv_heads;
    shape.head_size = config.head_size;
    shape.pages = limits.pages;
    shape.rows = limits.max_rows;
    shape.dtype = options.kv;
    kv = ops.make_kv(shape);
    rope = ops.make_rope(config.rope.frequencies(config.head_size), config.rope.attention_factor(),
                         limits.max_position);
  }

  void allocate_activations(const NetworkOptions& options) {
    planes = std::make_unique<ServedPlanes>(config, ops, options.weights, options.adapter,
                                            limits.max_rows);
    if (options.adapter != nullptr) {
      adapted =
          std::make_unique<AdaptedRows>(config, ops, options.adapter->config(), limits.max_rows);
    }
  }

  // Every page of the pass is one of ours, and where one sequence writes no other sees anything.
  void check_pages(const Pass& pass) {
    page_holders.assign(static_cast<size_t>(limits.pages), 0);
    for (const PassSequence& sequence : pass.sequences) {
      for (const PageId page : sequence.pages) {
        TIDAR_CHECK_GE(page, 0);
        TIDAR_CHECK_LT(page, limits.pages);
        ++page_holders[static_cast<size_t>(page)];
      }
    }
    for (const PassSequence& sequence : pass.sequences) {
      const auto first_written = static_cast<size_t>(sequence.cached / kPageSlots);
      for (size_t i = first_written; i < sequence.pages.size(); ++i)
        check_unshared(sequence.pages[i]);
    }
    for (const SlotMove& move : pass.moves) check_unshared(move.to / kPageSlots);
  }
  void check_unshared(PageId page) const {
    TIDAR_CHECK_LE(page_holders[static_cast<size_t>(page)], 1);
  }

  void forward(const Pass& pass) {
    TIDAR_CHECK_LE(pass.rows(), limits.max_rows);
    pass.check();
    check_pages(pass);
    rows = pass.rows();
    if (!pass.moves.empty()) ops.move_kv(pass.moves, *kv);
    ops.prepare(pass, kv.get(), prepared);
    ops.embed(*prepared, *embedding, planes->stream(rows));
    if (adapted) adapted->take(pass);
    for (const ServedBlock& block : blocks) {
      block.forward(ops, config, {*prepared, *rope, *kv, adapted.get()}, *planes);
    }
  }

  void answer(const Asks& asks, std::span<Answer> answers) {
    asks.check(rows);
    head->answer(planes->stream(rows), asks, answers);
  }
};

Network::Network(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Network::~Network() = default;

namespace {

Result<EvaluatorLimits> limits_of(const ModelConfig& config, const NetworkOptions& options) {
  if (options.max_rows < 1) {
    return error("a network for passes of at most {} rows was asked for; 1 is the least",
                 options.max_rows);
  }
  if (options.pages < 0) {
    return error("a network with {} pages for keys was asked for; 0 means enough for one sequence",
                 options.pages);
  }
  if (options.max_position < 0 || options.max_position > config.max_positions) {
    return error("a network for {} positions was asked for; this model has 1 to {} (0: all)",
                 options.max_position, config.max_positions);
  }
  const int positions = options.max_position > 0 ? options.max_position : config.max_positions;
  const int64_t pages =
      options.pages > 0 ? options.pages : (int64_t{positions} + kPageSlots - 1) / kPageSlots;
  if (pages * kPageSlots > kMostKeys || options.max_rows > kMostRows) {
    return error("room for {} keys and {} rows was asked for; at most {} and {} can be had",
                 pages * kPageSlots, options.max_rows, kMostKeys, kMostRows);
  }
  return EvaluatorLimits{.max_rows = options.max_rows,
                         .pages = static_cast<int>(pages),
                         .max_position = positions,
                         .vocabulary = config.vocabulary};
}

}  // namespace

Result<std::unique_ptr<Network>> Network::build(const ModelConfig& config,
                                                const ModelWeights& weights, Ops& ops,
                                                const NetworkOptions& options) {
  TIDAR_TRY(const EvaluatorLimits limits, limits_of(config, options));
  if (!ops.supports_kv(options.kv)) {
    return error("keys and values cannot be {} with the {} kernels; choose f32",
                 name_of(options.kv), ops.name());
  }
  auto impl = std::make_unique<Impl>(config, ops);
  impl->limits = limits;
  TIDAR_TRY_VOID(with_memory_for(
      "the weights",
      "--weights bf16 takes half of what f32 takes, w8 and w4 a half and a quarter of that",
      [&] { impl->pack(weights, options.weights, options.adapter); }));
  TIDAR_TRY_VOID(with_memory_for(
      fmt::format("keys and values of {} tokens", int64_t{limits.pages} * kPageSlots),
      "a smaller --context, --kv bf16, passes of fewer rows (--rows) or fewer texts at the same "
      "time "
      "take less",
      [&] { impl->allocate_keys(options); }));
  TIDAR_TRY_VOID(with_memory_for(
      fmt::format("the activations of {} rows", limits.max_rows),
      "passes of fewer rows take less: --rows, shorter drafts, or fewer texts at the same time",
      [&] { impl->allocate_activations(options); }));
  return std::unique_ptr<Network>(new Network(std::move(impl)));
}

const EvaluatorLimits& Network::limits() const { return impl_->limits; }

void Network::evaluate(const Pass& pass, std::span<Answer> answers) {
  impl_->forward(pass);
  impl_->answer(pass.asks, answers);
}

void Network::answer(const Asks& asks, std::span<Answer> answers) { impl_->answer(asks, answers); }

std::vector<MemoryUse> Network::memory() const {
  int64_t packed = weight_bytes(true);
  if (impl_->own_head) packed += impl_->embedding->bytes;
  return {{"weights", packed},
          {"keys and values", impl_->kv->bytes},
          {"activations", impl_->planes->bytes() + impl_->rope->bytes +
                              (impl_->adapted ? impl_->adapted->bytes() : 0)},
          {"logits", impl_->head->bytes()}};
}

int64_t Network::weight_bytes(bool with_head) const {
  int64_t bytes = 0;
  for (const ServedBlock& block : impl_->blocks) bytes += block.bytes();
  return with_head ? bytes + impl_->head->weight_bytes() : bytes;
}

}  // namespace tidar
