#include "net/trainable.h"

#include <algorithm>
#include <array>

#include "base/out_of_memory.h"
#include "net/flops.h"
#include "net/label_chunks.h"
#include "net/planes.h"
#include "net/trained_block.h"

namespace tidar {

namespace {

// Rows of logits that are computed at a time.
int64_t head_rows_of(const ModelConfig& config, const Ops& ops, const TrainableOptions& options) {
  const int64_t row_bytes =
      int64_t{config.vocabulary} * static_cast<int64_t>(size_of(ops.activation()));
  return std::clamp<int64_t>(options.logit_bytes / row_bytes, 1, options.max_rows);
}

}  // namespace

struct Trainable::Impl {
  // A residual stream [max_rows, D], or its gradient.
  class Stream {
   public:
    Stream(const ModelConfig& config, Ops& ops, int max_rows)
        : planes_(ops, max_rows, {{&x_, ops.activation(), config.hidden}}) {}
    Matrix rows(int64_t count) const { return first(x_, count); }
    int64_t bytes() const { return planes_.bytes(); }

   private:
    Matrix x_;
    Planes planes_;
  };

  ModelConfig config;
  BackwardOps& ops;
  int max_rows;
  std::optional<AdapterConfig> adapter;
  Parameters parameters;
  std::unique_ptr<RopeTable> rope;
  std::unique_ptr<PreparedPass> prepared;
  std::unique_ptr<TrainedWeight> embedding;
  std::unique_ptr<TrainedWeight> own_head;      // nullptr: the embedding is the head
  std::unique_ptr<TrainedAdapterRows> adapted;  // nullptr: no adapter
  std::vector<TrainedBlock> blocks;
  std::unique_ptr<TrainedVector> final_norm;
  std::vector<Stream> streams;       // before each block and behind the last
  std::vector<BlockInside> insides;  // of the last blocks; others use the first of them
  BlockGradients gradients;
  Stream d_x;
  int64_t head_rows;
  Matrix head_x, head_normed, d_head, logits;  // head_rows rows, or two: a label and a target
  Planes head_planes;

  Impl(const ModelConfig& config_, const ModelWeights& weights, BackwardOps& ops_,
       const TrainableOptions& options)
      : config(config_),
        ops(ops_),
        max_rows(options.max_rows),
        adapter(options.adapter),
        parameters(config, weights, forward().activation(), options.frozen,
                   adapter ? &*adapter : nullptr),
        gradients(config, forward(), max_rows),
        d_x(config, forward(), max_rows),
        head_rows(head_rows_of(config, forward(), options)),
        head_planes(forward(), std::max<int64_t>(head_rows, 2),
                    {{&head_x, forward().activation(), config.hidden},
                     {&head_normed, forward().operand(options.compute), config.hidden},
                     {&d_head, forward().activation(), config.hidden},
                     {&logits, forward().activation(), config.vocabulary}}) {
    rope = forward().make_rope(
        config.rope.frequencies(config.head_size), config.rope.attention_factor(),
        options.max_position > 0 ? options.max_position : config.max_positions);
    const std::array norm = {parameters.get(WeightRole::final_norm).value};
    final_norm = ops.make_vector(norm);
    ops.refresh(*final_norm);
    embedding = make(WeightRole::embedding, options.compute);
    if (config.head == HeadWeight::own) own_head = make(WeightRole::head, options.compute);
    if (adapter) adapted = std::make_unique<TrainedAdapterRows>(config, ops, *adapter, max_rows);
    for (int layer = 0; layer < config.layers; ++layer) {
      blocks.emplace_back(config, parameters, layer, ops, options.compute, adapted.get());
    }
    for (int i = 0; i <= config.layers; ++i) {
      streams.emplace_back(config, forward(), max_rows);
    }
    int64_t left = options.activation_bytes;
    do {
      insides.emplace_back(config, forward(), options.compute, max_rows);
      left -= insides[0].bytes();
    } while (insides.size() < blocks.size() && left >= insides[0].bytes());
  }

  Ops& forward() const { return ops.forward(); }

  std::unique_ptr<TrainedWeight> make(WeightRole role, WeightFormat format) {
    const std::array masters = {parameters.get(role).value};
    auto weight = ops.make_weight(PackOrder::stacked, masters, format);
    ops.refresh(*weight);
    return weight;
  }

  const TrainedWeight& head_weight() const { return own_head ? *own_head : *embedding; }
  Parameter& head_parameter() {
    return parameters.get(own_head ? WeightRole::head : WeightRole::embedding);
  }

  void refresh() {
    ops.refresh(*embedding);
    if (own_head) ops.refresh(*own_head);
    ops.refresh(*final_norm);
    for (TrainedBlock& block : blocks) block.refresh();
  }

  bool is_recomputed(size_t layer) const { return layer + insides.size() < blocks.size(); }
  BlockInside& inside_of(size_t layer) {
    return insides[is_recomputed(layer) ? 0 : layer + insides.size() - blocks.size()];
  }

  void run_forward(const TrainedPass& pass) {
    const int64_t rows = pass.pass.rows;
    forward().embed(pass.pass, embedding->forward(), streams[0].rows(rows));
    for (size_t layer = 0; layer < blocks.size(); ++layer) {
      blocks[layer].forward(pass, streams[layer].rows(rows), inside_of(layer),
                            streams[layer + 1].rows(rows));
    }
  }

  enum class Gradients : uint8_t { none, add };

  // Losses of a chunk's labels; with gradients, also adds to d_x and to the parameters'.
  void read_labels(int64_t rows, const LabelChunk& chunk, std::span<double> losses,
                   Gradients wanted) {
    const std::span<const int32_t> read = chunk.rows;
    const Matrix all_picked = first(head_x, std::ssize(read));
    const Matrix all_normed = first(head_normed, std::ssize(read));
    const Matrix all_scores = first(logits, std::ssize(read));
    forward().gather(streams.back().rows(rows), read, all_picked);
    forward().rms_norm(all_picked, final_norm->forward(), config.norm_eps, 1, all_normed);
    forward().linear(all_normed, head_weight().forward(), nullptr, all_scores);
    ops.cross_entropy(all_scores, chunk.labels, losses);
    if (wanted == Gradients::none) return;

    const int64_t count = std::ssize(chunk.labels);
    const std::span<const int32_t> labelled = read.first(chunk.labels.size());
    const Matrix picked = first(all_picked, count), normed = first(all_normed, count);
    const Matrix scores = first(all_scores, count), d_normed = first(d_head, count);
    const std::array d_weight = {head_parameter().gradient};
    ops.linear(normed, head_weight(), scores, {.d_x = d_normed, .d_parts = d_weight});
    ops.rms_norm({picked, &final_norm->forward(), config.norm_eps}, d_normed, Into::overwrite,
                 d_normed, parameters.get(WeightRole::final_norm).gradient);
    forward().scatter_add(d_normed, labelled, 1, d_x.rows(rows));
  }

  /// The parameters behind all layers, of a layer, or before all of them.
  Range of_layer(int layer) const {
    const auto all = parameters.all();
    const auto is_of = [&](const Parameter& one) { return one.spec.layer == layer; };
    const auto first = std::find_if(all.begin(), all.end(), is_of);
    const auto end = std::find_if_not(first, all.end(), is_of);
    return {first - all.begin(), end - all.begin()};
  }
  Range behind_layers() const {
    return {of_layer(config.layers - 1).end, std::ssize(parameters.all())};
  }

  void run(const Pass& pass, std::span<const Label> labels, std::span<double> losses,
           Gradients wanted, const GradientsReady& ready = {}) {
    TIDAR_CHECK_EQ(labels.size(), losses.size());
    TIDAR_CHECK_LE(pass.rows(), max_rows);
    pass.check();
    forward().prepare(pass, nullptr, prepared);
    const int64_t rows = pass.rows();
    if (adapted) adapted->take(pass);
    const TrainedPass trained = {*prepared, *rope};
    run_forward(trained);

    const Matrix d_stream = d_x.rows(rows);
    if (wanted == Gradients::add) forward().clear(d_stream);
    std::vector<double> found;
    for (const LabelChunk& chunk : chunks_of(labels, head_rows)) {
      found.resize(chunk.labels.size());
      read_labels(rows, chunk, found, wanted);
      for (size_t i = 0; i < found.size(); ++i) losses[chunk.numbers[i]] = found[i];
    }
    if (wanted == Gradients::none) return;
    run_backward(trained, d_stream, ready);
    const Parameter& table = parameters.get(WeightRole::embedding);
    if (!table.frozen()) ops.embed(*prepared, d_stream, table.gradient);
    ops.finish();
    if (ready) ready({0, of_layer(0).begin});
  }

  // d_stream: from the gradient behind the last block to that before the first.
  void run_backward(const TrainedPass& pass, Matrix d_stream, const GradientsReady& ready) {
    const auto tell = [&](Range done) {
      if (!ready) return;
      ops.finish();
      ready(done);
    };
    tell(behind_layers());
    for (size_t layer = blocks.size(); layer-- > 0;) {
      const Matrix entrance = streams[layer].rows(d_stream.rows);
      BlockInside& inside = inside_of(layer);
      if (is_recomputed(layer)) blocks[layer].forward(pass, entrance, inside, {});
      blocks[layer].backward(pass, entrance, inside, gradients, d_stream);
      tell(of_layer(static_cast<int>(layer)));
    }
  }
};

namespace {

Result<void> check_options(const ModelConfig& config, const TrainableOptions& options) {
  if (!facts_of(options.compute).plain) {
    return error("training in {} was asked for; it computes with plain weights only, f32 or bf16",
                 name_of(options.compute));
  }
  if (options.max_rows < 1 || options.max_rows > kMostRows) {
    return error("training with passes of at most {} rows was asked for; 1 to {} can be had",
                 options.max_rows, kMostRows);
  }
  const int64_t most = int64_t{config.max_positions} + options.max_rows;
  if (options.max_position < 0 || options.max_position > most) {
    return error(
        "training with {} positions was asked for; this model has {}, and passes of {} rows may "
        "reach {} (0: the model's)",
        options.max_position, config.max_positions, options.max_rows, most);
  }
  if (options.activation_bytes < 0 || options.logit_bytes < 0) {
    return error(
        "training with {} bytes for the inside of layers and {} for logits was asked for; 0 is "
        "the least",
        options.activation_bytes, options.logit_bytes);
  }
  return {};
}

}  // namespace

Trainable::Trainable(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Trainable::~Trainable() = default;

Result<std::unique_ptr<Trainable>> Trainable::build(const ModelConfig& config,
                                                    const ModelWeights& weights, BackwardOps& ops,
                                                    const TrainableOptions& options) {
  TIDAR_TRY_VOID(check_options(config, options));
  std::unique_ptr<Impl> impl;
  TIDAR_TRY_VOID(with_memory_for(
      "masters, gradients and activations",
      "a smaller model or fewer rows need less: a smaller \"sequence\" or a shorter text",
      [&] { impl = std::make_unique<Impl>(config, weights, ops, options); }));
  return std::unique_ptr<Trainable>(new Trainable(std::move(impl)));
}

const ModelConfig& Trainable::config() const { return impl_->config; }
const AdapterConfig* Trainable::adapter() const {
  return impl_->adapter ? &*impl_->adapter : nullptr;
}
Parameters& Trainable::parameters() { return impl_->parameters; }
void Trainable::refresh() { impl_->refresh(); }

void Trainable::add_gradients(const Pass& pass, std::span<const Label> labels,
                              std::span<double> losses, const GradientsReady& ready) {
  impl_->run(pass, labels, losses, Impl::Gradients::add, ready);
}

void Trainable::evaluate(const Pass& pass, std::span<const Label> labels,
                         std::span<double> losses) {
  impl_->run(pass, labels, losses, Impl::Gradients::none);
}

double Trainable::flops(const Pass& pass, int64_t labels) const {
  return training_flops(impl_->config, impl_->parameters, pass, labels);
}

int Trainable::recomputed_layers() const {
  return static_cast<int>(impl_->blocks.size() - impl_->insides.size());
}

std::vector<MemoryUse> Trainable::memory() const {
  const Impl& impl = *impl_;
  int64_t weights = impl.embedding->bytes() + (impl.own_head ? impl.own_head->bytes() : 0);
  for (const TrainedBlock& block : impl.blocks) weights += block.bytes();
  int64_t streams = impl.d_x.bytes();
  for (const Impl::Stream& stream : impl.streams) streams += stream.bytes();
  int64_t insides = impl.gradients.bytes() + (impl.adapted ? impl.adapted->bytes() : 0);
  for (const BlockInside& inside : impl.insides) insides += inside.bytes();
  return {{"masters and gradients", impl.parameters.bytes()},
          {"weights as products read them", weights},
          {"residual stream before each layer", streams},
          {"inside of layers", insides},
          {"logits", impl.head_planes.bytes()}};
}

}  // namespace tidar
