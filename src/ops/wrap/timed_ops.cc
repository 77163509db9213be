#include "ops/wrap/timed_ops.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "base/stopwatch.h"

namespace tidar {

namespace {

double ratio(double a, double b) { return b > 0 ? a / b : 0; }

std::string line(std::string_view name, const VerbTimes& times, double all_seconds,
                 const Roofs& roofs) {
  return fmt::format("{:<14}{:>8}{:>11.3f}{:>7.1f}%{:>9.1f}{:>10.1f}{:>8.1f}%\n", name, times.calls,
                     times.seconds * 1e3, 100 * ratio(times.seconds, all_seconds),
                     ratio(times.work.bytes, times.seconds) * 1e-9,
                     ratio(times.work.flops, times.seconds) * 1e-9,
                     100 * times.share_of_roof(roofs));
}

}  // namespace

double VerbTimes::share_of_roof(const Roofs& roofs) const {
  const double ideal =
      std::max(ratio(work.bytes, roofs.bytes_per_s), ratio(work.flops, roofs.flops_per_s));
  return ratio(ideal, seconds);
}

TimedOps::TimedOps(Ops& inner, VerbEnds ends) : ForwardOps(inner) {
  if (ends == VerbEnds::done) awaited_ = inner.allocate(sizeof(float));
}

template <class Call>
void TimedOps::measure(Verb verb, const Work& work, Call&& call) {
  const Stopwatch watch;
  call();
  if (awaited_ != nullptr) {
    float number = 0;
    inner().read(Matrix(awaited_->data, DType::f32, 1, 1), Matrix(&number, DType::f32, 1, 1));
  }
  const double seconds = watch.seconds();
  VerbTimes& times = times_[static_cast<size_t>(verb)];
  ++times.calls;
  times.seconds += seconds;
  times.work += work;
}

VerbTimes TimedOps::total() const {
  VerbTimes sum;
  for (const VerbTimes& times : times_) {
    sum.calls += times.calls;
    sum.seconds += times.seconds;
    sum.work += times.work;
  }
  return sum;
}

std::string TimedOps::table(const Roofs& roofs) const {
  std::array<size_t, kVerbs> order;
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return times_[a].seconds > times_[b].seconds; });
  const VerbTimes all = total();
  std::string text = fmt::format("{:<14}{:>8}{:>11}{:>8}{:>9}{:>10}{:>9}\n", "verb", "calls", "ms",
                                 "time", "GB/s", "GFLOP/s", "of roof");
  for (const size_t verb : order) {
    if (times_[verb].calls == 0) continue;
    text += line(name_of(static_cast<Verb>(verb)), times_[verb], all.seconds, roofs);
  }
  return text + line("all", all, all.seconds, roofs);
}

void TimedOps::embed(const PreparedPass& pass, const PackedWeight& table, Matrix out) {
  measure(Verb::embed, embed_work(table, out), [&] { inner().embed(pass, table, out); });
}

void TimedOps::gather(Matrix x, std::span<const int32_t> rows, Matrix out) {
  measure(Verb::gather, gather_work(out), [&] { inner().gather(x, rows, out); });
}

void TimedOps::scatter_add(Matrix x, std::span<const int32_t> rows, double scale, Matrix out) {
  measure(Verb::scatter_add, scatter_add_work(x),
          [&] { inner().scatter_add(x, rows, scale, out); });
}

void TimedOps::rms_norm(Matrix x, const PackedVector& weight, double eps, int heads, Matrix out) {
  measure(Verb::rms_norm, rms_norm_work(x, out),
          [&] { inner().rms_norm(x, weight, eps, heads, out); });
}

void TimedOps::linear(Matrix x, const PackedWeight& weight, const PackedVector* bias, Matrix out) {
  measure(Verb::linear, linear_work(x, weight, out, false),
          [&] { inner().linear(x, weight, bias, out); });
}

void TimedOps::linear_add(Matrix x, const PackedWeight& weight, Matrix out) {
  measure(Verb::linear_add, linear_work(x, weight, out, true),
          [&] { inner().linear_add(x, weight, out); });
}

void TimedOps::linear_swiglu(Matrix x, const PackedWeight& gate_up, Matrix out) {
  measure(Verb::linear_swiglu, linear_work(x, gate_up, out, false),
          [&] { inner().linear_swiglu(x, gate_up, out); });
}

void TimedOps::swiglu(Matrix gate_up, Matrix out) {
  measure(Verb::swiglu, swiglu_work(gate_up, out), [&] { inner().swiglu(gate_up, out); });
}

void TimedOps::rope(Matrix x, int heads, const PreparedPass& pass, const RopeTable& table) {
  measure(Verb::rope, rope_work(x), [&] { inner().rope(x, heads, pass, table); });
}

void TimedOps::store_kv(Matrix k, Matrix v, const PreparedPass& pass, KvStore& kv, int layer) {
  measure(Verb::store_kv, store_kv_work(k, kv), [&] { inner().store_kv(k, v, pass, kv, layer); });
}

void TimedOps::move_kv(std::span<const SlotMove> moves, KvStore& kv) {
  measure(Verb::move_kv, move_kv_work(moves, kv), [&] { inner().move_kv(moves, kv); });
}

void TimedOps::attend(Matrix q, const PreparedPass& pass, const KvStore& kv, int layer,
                      Matrix out) {
  measure(Verb::attend, attend_work(q, pass, kv, out),
          [&] { inner().attend(q, pass, kv, layer, out); });
}

void TimedOps::read_logits(Matrix logits, const Asks& asks, std::span<Answer> answers) {
  measure(Verb::read_logits, read_logits_work(logits, asks),
          [&] { inner().read_logits(logits, asks, answers); });
}

}  // namespace tidar
