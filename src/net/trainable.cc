#include "net/trainable.h"

#include <algorithm>
#include <array>

#include "net/trained_block.h"

namespace tidar {

namespace {

// Rows of logits that are computed at a time, as in net/head.h; more, since all rows have labels.
constexpr int kHeadRows = 256;

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
  std::vector<Plane> entrances;  // the residual stream before each block
  BlockWorkspace work;
  Plane x, d_x;
  Plane head_x, head_normed, d_head, logits;  // kHeadRows rows

  Impl(const ModelConfig& config_, const ModelWeights& weights, BackwardOps& ops_,
       const TrainableOptions& options)
      : config(config_),
        ops(ops_),
        max_rows(options.max_rows),
        parameters(config, weights, forward().activation()),
        work(config, forward(), options.compute, max_rows),
        x(forward().activation(), max_rows, config.hidden),
        d_x(forward().activation(), max_rows, config.hidden),
        head_x(forward().activation(), kHeadRows, config.hidden),
        head_normed(forward().operand(options.compute), kHeadRows, config.hidden),
        d_head(forward().activation(), kHeadRows, config.hidden),
        logits(forward().activation(), kHeadRows, config.vocabulary) {
    rope = make_rope_table(config.rope.frequencies(config.head_size),
                           options.max_position > 0 ? options.max_position : config.max_positions);
    embedding = make(WeightRole::embedding, options.compute);
    if (config.head == HeadWeight::own) own_head = make(WeightRole::head, options.compute);
    for (int layer = 0; layer < config.layers; ++layer) {
      blocks.emplace_back(config, parameters, layer, ops, options.compute);
      entrances.emplace_back(forward().activation(), max_rows, config.hidden);
    }
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

  std::span<const int32_t> all_rows(int64_t rows) const {
    return std::span(work.every_row).first(static_cast<size_t>(rows));
  }

  // x becomes the residual stream behind the last block; `entrances` hold those before each.
  void run_forward(const Pass& pass, const TrainedBlockInputs& inputs) {
    const Matrix stream = x.first(pass.rows());
    forward().embed(pass.tokens, embedding->forward(), stream);
    for (size_t layer = 0; layer < blocks.size(); ++layer) {
      forward().gather(stream, all_rows(stream.rows), entrances[layer].first(stream.rows));
      blocks[layer].forward(inputs, work, stream);
    }
  }

  enum class Gradients : uint8_t { none, add };

  // Losses of up to kHeadRows labels; with gradients, also adds to d_x and to the parameters'.
  void read_labels(int64_t rows, std::span<const Label> labels, std::span<double> losses,
                   Gradients gradients) {
    std::vector<int32_t> labelled;
    for (const Label& label : labels) labelled.push_back(label.row);
    const auto count = static_cast<int64_t>(labels.size());
    Parameter& norm = parameters.get(WeightRole::final_norm);
    const Matrix picked = head_x.first(count), normed = head_normed.first(count);
    const Matrix scores = logits.first(count), d_normed = d_head.first(count);
    forward().gather(x.first(rows), labelled, picked);
    forward().rms_norm(picked, norm.vector(), config.norm_eps, 1, normed);
    forward().linear(normed, head_weight().forward(), {}, scores);
    ops.cross_entropy(scores, labels, losses);
    if (gradients == Gradients::none) return;

    const std::array d_weight = {head_parameter().gradient};
    ops.linear(normed, head_weight(), scores, {.d_x = d_normed, .d_parts = d_weight});
    ops.rms_norm({picked, norm.vector(), config.norm_eps}, d_normed, Into::overwrite, d_normed,
                 norm.gradient);
    ops.gather(d_normed, labelled, d_x.first(rows));
  }

  void run(const Pass& pass, std::span<const Label> labels, std::span<double> losses,
           Gradients gradients) {
    TIDAR_CHECK_EQ(labels.size(), losses.size());
    TIDAR_CHECK_LE(pass.rows(), max_rows);
    pass.check();
    const std::vector<TileSight> sights = row_sights(pass);
    const TrainedBlockInputs inputs = {pass.positions, sights, &rope};
    run_forward(pass, inputs);

    const int64_t rows = pass.rows();
    const Matrix d_stream = d_x.first(rows);
    if (gradients == Gradients::add) {
      std::fill_n(d_stream.data, static_cast<size_t>(d_stream.bytes()), std::byte{0});
    }
    for (size_t begin = 0; begin < labels.size(); begin += kHeadRows) {
      const size_t count = std::min<size_t>(kHeadRows, labels.size() - begin);
      read_labels(rows, labels.subspan(begin, count), losses.subspan(begin, count), gradients);
    }
    if (gradients == Gradients::none) return;
    run_backward(inputs, d_stream);
    ops.embed(pass.tokens, d_stream, parameters.get(WeightRole::embedding).gradient);
  }

  // d_stream: from the gradient behind the last block to that before the first.
  void run_backward(const TrainedBlockInputs& inputs, Matrix d_stream) {
    const Matrix stream = x.first(d_stream.rows);
    for (size_t layer = blocks.size(); layer-- > 0;) {
      const Matrix entrance = entrances[layer].first(d_stream.rows);
      // `work` still holds the inside of the last block.
      if (layer + 1 < blocks.size()) {
        forward().gather(entrance, all_rows(d_stream.rows), stream);
        blocks[layer].forward(inputs, work, stream);
      }
      blocks[layer].backward(inputs, work, entrance, d_stream);
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

std::vector<MemoryUse> Trainable::memory() const {
  const Impl& impl = *impl_;
  int64_t weights = impl.embedding->bytes() + (impl.own_head ? impl.own_head->bytes() : 0);
  for (const TrainedBlock& block : impl.blocks) weights += block.bytes();
  int64_t entrances = impl.x.bytes() + impl.d_x.bytes();
  for (const Plane& plane : impl.entrances) entrances += plane.bytes();
  int64_t head = 0;
  for (const Plane* plane : {&impl.head_x, &impl.head_normed, &impl.d_head, &impl.logits}) {
    head += plane->bytes();
  }
  return {{"masters and gradients", impl.parameters.bytes()},
          {"weights as products read them", weights},
          {"residual stream before each layer", entrances},
          {"inside of one layer", impl.work.bytes()},
          {"logits", head}};
}

}  // namespace tidar
