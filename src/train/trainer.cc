#include "train/trainer.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

namespace tidar {

// The text of a step; `documents` look into `packs`.
struct Trainer::Batch {
  std::vector<TokenPack> packs;
  std::vector<std::vector<Document>> documents;
};

std::vector<Document> documents_of(const TokenPack& pack) {
  std::vector<Document> documents;
  for (size_t i = 0; i < pack.pieces.size(); ++i) {
    const Piece& piece = pack.pieces[i];
    documents.push_back({pack.tokens_of(piece), piece.next, piece.prompt, pack.given[i]});
  }
  return documents;
}

Trainer::Trainer(Trainable& model, const Objective& objective, TokenStream stream,
                 const TrainerOptions& options, Communicator& ranks, Threads& threads)
    : model_(model),
      objective_(objective),
      stream_(std::move(stream)),
      options_(options),
      ranks_(ranks),
      threads_(threads),
      exchange_(model.parameters(), ranks, options.adamw.moments),
      optimizer_(model.parameters(), options.adamw, threads, options.updates, exchange_.shard()),
      guard_(options.spike_factor) {
  if (options.ema > 0) average_.emplace(model.parameters(), options.ema, threads);
}

Result<Trainer::Batch> Trainer::read_batch() {
  Batch batch;
  for (int i = 0; i < options_.packs * ranks_.ranks(); ++i) {
    TIDAR_TRY(TokenPack pack, stream_.next());
    batch.packs.push_back(std::move(pack));
  }
  // Only now: packs that move take their tokens with them, but a growing vector moves packs.
  for (const TokenPack& pack : batch.packs) batch.documents.push_back(documents_of(pack));
  return batch;
}

Error Trainer::not_finite(const Batch& batch, const TrainedStep& report) const {
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

Result<TrainedStep> Trainer::step() {
  TIDAR_CHECK(!done());
  TrainedStep report;
  report.epoch = stream_.position().epoch;
  TIDAR_TRY(const Batch batch, read_batch());
  const auto number = static_cast<uint64_t>(state_.step);
  const auto passes = lay_out_step(objective_, batch.documents, {options_.seed, number});

  report.step = state_.step + 1;
  report.rate = options_.schedule.rate(state_.step);
  report.terms.assign(objective_.terms().size(), 0.0);
  model_.parameters().zero_gradients();
  const auto own_packs = static_cast<size_t>(options_.packs);
  const std::span<const TrainingPass> own =
      std::span(passes).subspan(static_cast<size_t>(ranks_.rank()) * own_packs, own_packs);
  std::vector<double> losses;
  for (const TrainingPass& pass : own) {
    losses.assign(pass.labels.size(), 0.0);
    const bool last = &pass == &own.back();
    model_.add_gradients(pass.pass, pass.labels, losses,
                         last ? [this](Range ready) { exchange_.begin(ready); } : GradientsReady());
    add_term_means(pass, losses, report.terms);
  }
  exchange_.finish();
  ranks_.sum(report.terms);
  for (const TrainingPass& pass : passes) {
    report.rows += pass.pass.rows();
    report.flops += model_.flops(pass.pass, static_cast<int64_t>(pass.labels.size()));
  }
  for (const TokenPack& pack : batch.packs) {
    report.tokens += static_cast<int64_t>(pack.tokens.size());
  }
  report.loss = total_loss(objective_.terms(), report.terms);
  double squares = gradient_squares(model_.parameters(), exchange_.shard(), threads_);
  ranks_.sum({&squares, 1});
  report.gradient_norm = std::sqrt(squares);
  if (!std::isfinite(report.loss) || !std::isfinite(report.gradient_norm)) {
    return not_finite(batch, report);
  }
  report.left_out = guard_.is_spike(report.loss, report.gradient_norm);
  if (!report.left_out) {
    optimizer_.update(model_.parameters(), report.rate,
                      clip_scale(report.gradient_norm, options_.clip));
    exchange_.share_masters();
    if (average_) average_->take(model_.parameters(), optimizer_.updates());
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

RunMemory Trainer::memory(std::optional<Moments>& gathered) {
  const RunMemory memory = memory_to_restore(gathered);
  if (gathered) exchange_.share(*gathered);
  return memory;
}

RunMemory Trainer::memory_to_restore(std::optional<Moments>& gathered) {
  const Parameters& parameters = model_.parameters();
  const WeightAverage* const average = average_ ? &*average_ : nullptr;
  if (ranks_.ranks() == 1) return {parameters, optimizer_.moments(), average};
  gathered.emplace(parameters, whole_shard(parameters), options_.adamw.moments);
  gathered->copy_from(optimizer_.moments());
  return {parameters, *gathered, average};
}

void Trainer::take(const std::optional<Moments>& gathered) {
  if (gathered) optimizer_.moments().copy_from(*gathered);
}

void Trainer::exchange_average() {
  if (!average_) return;
  average_->exchange(model_.parameters());
  model_.refresh();
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

/// How many places of blocks have labels.
int places_of(std::span<const TrainingPass> passes) {
  int places = 0;
  for (const TrainingPass& pass : passes) {
    for (const LabelShare& share : pass.shares) places = std::max(places, share.place + 1);
  }
  return places;
}

/// Adds to the sums of the places.
void add_places(const TrainingPass& pass, std::span<const double> losses,
                std::span<PlaceLoss> places) {
  for (size_t i = 0; i < losses.size(); ++i) {
    if (pass.shares[i].place < 0) continue;
    PlaceLoss& place = places[static_cast<size_t>(pass.shares[i].place)];
    place.labels += 1;
    place.loss += losses[i];
    place.probability += std::exp(-losses[i]);
  }
}

/// Sums of each rank become those of all.
void add_up(Communicator& ranks, TextLoss& loss) {
  ranks.sum(loss.terms);
  for (PlaceLoss& place : loss.places) {
    std::array sums = {static_cast<double>(place.labels), place.loss, place.probability};
    ranks.sum(sums);
    place = {std::llround(sums[0]), sums[1], sums[2]};
  }
}

}  // namespace

Result<TextLoss> text_loss(Trainable& model, const Objective& objective, TokenStream& stream,
                           int packs, Communicator& ranks) {
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
  const std::vector<TrainingPass> passes = lay_out_step(objective, documents, {0, 0});
  result.places.resize(static_cast<size_t>(places_of(passes)));
  for (size_t i = 0; i < passes.size(); ++i) {
    if (static_cast<int>(i) % ranks.ranks() != ranks.rank()) continue;
    const TrainingPass& pass = passes[i];
    std::vector<double> losses(pass.labels.size());
    model.evaluate(pass.pass, pass.labels, losses);
    add_term_means(pass, losses, result.terms);
    add_places(pass, losses, result.places);
  }
  add_up(ranks, result);
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
