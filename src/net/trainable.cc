#include "net/trainable.h"

#include <algorithm>
#include <array>
#include <numeric>

#include "net/trained_block.h"

namespace tidar {

namespace {

// Rows of logits that are computed at a time.
int64_t head_rows_of(const ModelConfig& config, const Ops& ops, const TrainableOptions& options) {
  const int64_t row_bytes =
      int64_t{config.vocabulary} * static_cast<int64_t>(size_of(ops.activation()));
  return std::clamp<int64_t>(options.logit_bytes / row_bytes, 1, options.max_rows);
}

// What each row sees, counted in rows of the pass: sequences follow each other, nothing is cached.
std::vector<TileSight> row_sights(const Pass& pass) {
  std::vector<TileSight> sights;
  sights.reserve(static_cast<size_t>(pass.rows()));
  for (const PassSequence& sequence : pass.sequences) {
    TIDAR_CHECK_EQ(sequence.cached + sequence.stored, 0);
    const int32_t first = sequence.first_row;
    for (int32_t row = first; row < first + sequence.rows; ++row) {
      const Sight& sight = pass.sights[static_cast<size_t>(row)];
      sights.push_back({first + sight.prefix.from, first + sight.prefix.to,
                        first + sight.block.from, first + sight.block.to});
    }
  }
  return sights;
}

}  // namespace

struct Trainable::Impl {
  ModelConfig config;
  BackwardOps& ops;
  int max_rows;
  Parameters parameters;
  RopeTable rope;
  std::unique_ptr<TrainedWeight> embedding;
  std::unique_ptr<TrainedWeight> own_head;  // nullptr: the embedding is the head
  std::vector<TrainedBlock> blocks;
  std::vector<Plane> streams;        // the residual stream before each block and behind the last
  std::vector<BlockInside> insides;  // of the last blocks; others use the first of them
  BlockGradients gradients;
  Plane d_x;
  int64_t head_rows;
  Plane head_x, head_normed, d_head, logits;  // head_rows rows
  std::vector<int32_t> every_row;             // 0, 1, 2 …

  Impl(const ModelConfig& config_, const ModelWeights& weights, BackwardOps& ops_,
       const TrainableOptions& options)
      : config(config_),
        ops(ops_),
        max_rows(options.max_rows),
        parameters(config, weights, forward().activation()),
        gradients(config, forward(), max_rows),
        d_x(forward().activation(), max_rows, config.hidden),
        head_rows(head_rows_of(config, forward(), options)),
        head_x(forward().activation(), head_rows, config.hidden),
        head_normed(forward().operand(options.compute), head_rows, config.hidden),
        d_head(forward().activation(), head_rows, config.hidden),
        logits(forward().activation(), head_rows, config.vocabulary),
        every_row(static_cast<size_t>(max_rows)) {
    std::iota(every_row.begin(), every_row.end(), 0);
    rope = make_rope_table(config.rope.frequencies(config.head_size),
                           options.max_position > 0 ? options.max_position : config.max_positions,
                           config.rope.attention_factor());
    embedding = make(WeightRole::embedding, options.compute);
    if (config.head == HeadWeight::own) own_head = make(WeightRole::head, options.compute);
    for (int layer = 0; layer < config.layers; ++layer) {
      blocks.emplace_back(config, parameters, layer, ops, options.compute);
    }
    for (int i = 0; i <= config.layers; ++i) {
      streams.emplace_back(forward().activation(), max_rows, config.hidden);
    }
    int64_t left = options.activation_bytes;
    do {
      insides.emplace_back(config, forward(), options.compute, max_rows);
      left -= insides[0].bytes();
    } while (insides.size() < blocks.size() && left >= insides[0].bytes());
  }

  Ops& forward() const { return ops.forward(); }

  std::unique_ptr<TrainedWeight> make(WeightRole role, DType dtype) {
    const std::array masters = {parameters.get(role).value};
    auto weight = ops.make_weight(PackOrder::stacked, masters, dtype);
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
    for (TrainedBlock& block : blocks) block.refresh();
  }

  bool is_recomputed(size_t layer) const { return layer + insides.size() < blocks.size(); }
  BlockInside& inside_of(size_t layer) {
    return insides[is_recomputed(layer) ? 0 : layer + insides.size() - blocks.size()];
  }

  void run_forward(const Pass& pass, const TrainedBlockInputs& inputs) {
    const int64_t rows = pass.rows();
    forward().embed(pass.tokens, embedding->forward(), streams[0].first(rows));
    for (size_t layer = 0; layer < blocks.size(); ++layer) {
      blocks[layer].forward(inputs, streams[layer].first(rows), inside_of(layer),
                            streams[layer + 1].first(rows));
    }
  }

  enum class Gradients : uint8_t { none, add };

  // Losses of up to head_rows labels; with gradients, also adds to d_x and to the parameters'.
  void read_labels(int64_t rows, std::span<const Label> labels, std::span<double> losses,
                   Gradients wanted) {
    std::vector<int32_t> labelled;
    for (const Label& label : labels) labelled.push_back(label.row);
    const auto count = static_cast<int64_t>(labels.size());
    Parameter& norm = parameters.get(WeightRole::final_norm);
    const Matrix picked = head_x.first(count), normed = head_normed.first(count);
    const Matrix scores = logits.first(count), d_normed = d_head.first(count);
    forward().gather(streams.back().first(rows), labelled, picked);
    forward().rms_norm(picked, norm.vector(), config.norm_eps, 1, normed);
    forward().linear(normed, head_weight().forward(), {}, scores);
    ops.cross_entropy(scores, labels, losses);
    if (wanted == Gradients::none) return;

    const std::array d_weight = {head_parameter().gradient};
    ops.linear(normed, head_weight(), scores, {.d_x = d_normed, .d_parts = d_weight});
    ops.rms_norm({picked, norm.vector(), config.norm_eps}, d_normed, Into::overwrite, d_normed,
                 norm.gradient);
    ops.gather(d_normed, labelled, d_x.first(rows));
  }

  void run(const Pass& pass, std::span<const Label> labels, std::span<double> losses,
           Gradients wanted) {
    TIDAR_CHECK_EQ(labels.size(), losses.size());
    TIDAR_CHECK_LE(pass.rows(), max_rows);
    pass.check();
    const std::vector<TileSight> sights = row_sights(pass);
    const int64_t rows = pass.rows();
    const TrainedBlockInputs inputs = {
        pass.positions, sights, std::span(every_row).first(static_cast<size_t>(rows)), &rope};
    run_forward(pass, inputs);

    const Matrix d_stream = d_x.first(rows);
    if (wanted == Gradients::add) {
      std::fill_n(d_stream.data, static_cast<size_t>(d_stream.bytes()), std::byte{0});
    }
    const auto most = static_cast<size_t>(head_rows);
    for (size_t begin = 0; begin < labels.size(); begin += most) {
      const size_t count = std::min(most, labels.size() - begin);
      read_labels(rows, labels.subspan(begin, count), losses.subspan(begin, count), wanted);
    }
    if (wanted == Gradients::none) return;
    run_backward(inputs, d_stream);
    ops.embed(pass.tokens, d_stream, parameters.get(WeightRole::embedding).gradient);
  }

  // d_stream: from the gradient behind the last block to that before the first.
  void run_backward(const TrainedBlockInputs& inputs, Matrix d_stream) {
    for (size_t layer = blocks.size(); layer-- > 0;) {
      const Matrix entrance = streams[layer].first(d_stream.rows);
      BlockInside& inside = inside_of(layer);
      if (is_recomputed(layer)) blocks[layer].forward(inputs, entrance, inside, {});
      blocks[layer].backward(inputs, entrance, inside, gradients, d_stream);
    }
  }
};

Trainable::Trainable(const ModelConfig& config, const ModelWeights& weights, BackwardOps& ops,
                     const TrainableOptions& options)
    : impl_(std::make_unique<Impl>(config, weights, ops, options)) {}
Trainable::~Trainable() = default;

const ModelConfig& Trainable::config() const { return impl_->config; }
Parameters& Trainable::parameters() { return impl_->parameters; }
void Trainable::refresh() { impl_->refresh(); }

void Trainable::add_gradients(const Pass& pass, std::span<const Label> labels,
                              std::span<double> losses) {
  impl_->run(pass, labels, losses, Impl::Gradients::add);
}

void Trainable::evaluate(const Pass& pass, std::span<const Label> labels,
                         std::span<double> losses) {
  impl_->run(pass, labels, losses, Impl::Gradients::none);
}

int Trainable::recomputed_layers() const {
  return static_cast<int>(impl_->blocks.size() - impl_->insides.size());
}

std::vector<MemoryUse> Trainable::memory() const {
  const Impl& impl = *impl_;
  int64_t weights = impl.embedding->bytes() + (impl.own_head ? impl.own_head->bytes() : 0);
  for (const TrainedBlock& block : impl.blocks) weights += block.bytes();
  int64_t streams = impl.d_x.bytes();
  for (const Plane& plane : impl.streams) streams += plane.bytes();
  int64_t insides = impl.gradients.bytes();
  for (const BlockInside& inside : impl.insides) insides += inside.bytes();
  int64_t head = 0;
  for (const Plane* plane : {&impl.head_x, &impl.head_normed, &impl.d_head, &impl.logits}) {
    head += plane->bytes();
  }
  return {{"masters and gradients", impl.parameters.bytes()},
          {"weights as products read them", weights},
          {"residual stream before each layer", streams},
          {"inside of layers", insides},
          {"logits", head}};
}

}  // namespace tidar
