#include "train/trainer.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "net/flops.h"

namespace tidar {

// The text of a step; `documents` look into `packs`.
struct Trainer::Batch {
  std::vector<TokenPack> packs;
  std::vector<std::vector<Document>> documents;
};

std::vector<Document> documents_of(const TokenPack& pack) {
  std::vector<Document> documents;
  for (const Piece& piece : pack.pieces) {
    documents.push_back({pack.tokens_of(piece), piece.next, piece.prompt});
  }
  return documents;
}

Trainer::Trainer(Trainable& model, const Objective& objective, TokenStream stream,
                 const TrainerOptions& options, Threads& threads)
    : model_(model),
      objective_(objective),
      stream_(std::move(stream)),
      options_(options),
      threads_(threads),
      optimizer_(model.parameters(), options.adamw, threads),
      guard_(options.spike_factor) {}

Result<Trainer::Batch> Trainer::read_batch() {
  Batch batch;
  for (int i = 0; i < options_.packs; ++i) {
    TIDAR_TRY(TokenPack pack, stream_.next());
    batch.packs.push_back(std::move(pack));
  }
  // Only now: packs that move take their tokens with them, but a growing vector moves packs.
  for (const TokenPack& pack : batch.packs) batch.documents.push_back(documents_of(pack));
  return batch;
}

Error Trainer::not_finite(const Batch& batch, const StepReport& report) const {
  std::string where;
  for (const TokenPack& pack : batch.packs) {
    for (const Piece& piece : pack.pieces) {
      if (where.size() > 400) continue;
      where += fmt::format("{}{}:{}", where.empty() ? "" : ", ", piece.shard, piece.document);
    }
  }
  return error(
      "step {}: the loss is {} and the norm of its gradient {}; the weights are still those of "
      "step {}; a smaller learning rate or warm-up may help; the batch begins with "
      "(shard:document) "
      "{}",
      report.step, report.loss, report.gradient_norm, report.step - 1, where);
}

Result<StepReport> Trainer::step() {
  TIDAR_CHECK(!done());
  StepReport report;
  report.epoch = stream_.position().epoch;
  TIDAR_TRY(const Batch batch, read_batch());
  const auto number = static_cast<uint64_t>(state_.step);
  const auto passes = lay_out_step(objective_, batch.documents, {options_.seed, number});

  report.step = state_.step + 1;
  report.rate = options_.schedule.rate(state_.step);
  report.terms.assign(objective_.terms().size(), 0.0);
  model_.parameters().zero_gradients();
  std::vector<double> losses;
  for (const TrainingPass& pass : passes) {
    losses.assign(pass.labels.size(), 0.0);
    model_.add_gradients(pass.pass, pass.labels, losses);
    add_term_means(pass, losses, report.terms);
    report.rows += pass.pass.rows();
    report.flops +=
        training_flops(model_.config(), pass.pass, static_cast<int64_t>(pass.labels.size()));
  }
  for (const TokenPack& pack : batch.packs) {
    report.tokens += static_cast<int64_t>(pack.tokens.size());
  }
  report.loss = total_loss(objective_.terms(), report.terms);
  report.gradient_norm = gradient_norm(model_.parameters(), threads_);
  if (!std::isfinite(report.loss) || !std::isfinite(report.gradient_norm)) {
    return not_finite(batch, report);
  }
  report.left_out = guard_.is_spike(report.loss, report.gradient_norm);
  if (!report.left_out) {
    optimizer_.update(model_.parameters(), report.rate,
                      clip_scale(report.gradient_norm, options_.clip));
    model_.refresh();
  }
  state_.step = report.step;
  state_.tokens += report.tokens;
  return report;
}

TrainingState Trainer::state() const {
  TrainingState state = state_;
  state.updates = optimizer_.updates();
  state.position = stream_.position();
  state.spikes = guard_.history();
  return state;
}

Result<void> Trainer::restore(const TrainingState& state) {
  TIDAR_TRY_VOID(stream_.seek(state.position));
  state_ = state;
  optimizer_.set_updates(state.updates);
  guard_.restore(state.spikes);
  model_.refresh();
  return {};
}

namespace {

/// Adds to the sums of the places.
void add_places(const TrainingPass& pass, std::span<const double> losses,
                std::vector<PlaceLoss>& places) {
  for (size_t i = 0; i < losses.size(); ++i) {
    if (pass.shares[i].place < 0) continue;
    const auto place = static_cast<size_t>(pass.shares[i].place);
    if (places.size() <= place) places.resize(place + 1);
    places[place].labels += 1;
    places[place].loss += losses[i];
    places[place].probability += std::exp(-losses[i]);
  }
}

}  // namespace

Result<TextLoss> text_loss(Trainable& model, const Objective& objective, TokenStream& stream,
                           int packs) {
  std::vector<TokenPack> texts;
  const int64_t epoch = stream.position().epoch;
  while (static_cast<int>(texts.size()) < packs && stream.position().epoch == epoch) {
    TIDAR_TRY(TokenPack pack, stream.next());
    texts.push_back(std::move(pack));
  }
  std::vector<std::vector<Document>> documents;
  for (const TokenPack& pack : texts) documents.push_back(documents_of(pack));
  TextLoss result;
  result.terms.assign(objective.terms().size(), 0.0);
  for (const TrainingPass& pass : lay_out_step(objective, documents, {0, 0})) {
    std::vector<double> losses(pass.labels.size());
    model.evaluate(pass.pass, pass.labels, losses);
    add_term_means(pass, losses, result.terms);
    add_places(pass, losses, result.places);
  }
  for (PlaceLoss& place : result.places) {
    const double labels = static_cast<double>(std::max<int64_t>(1, place.labels));
    place.loss /= labels;
    place.probability /= labels;
  }
  for (const TokenPack& pack : texts) result.tokens += static_cast<int64_t>(pack.tokens.size());
  result.loss = total_loss(objective.terms(), result.terms);
  if (!std::isfinite(result.loss)) {
    return error(
        "the loss of the validation text is {}, which is not finite; go on from an earlier "
        "checkpoint, with a smaller learning rate",
        result.loss);
  }
  return result;
}

}  // namespace tidar
