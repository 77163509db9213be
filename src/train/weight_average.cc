#include "train/weight_average.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace tidar {

namespace {

constexpr int64_t kGrain = 1 << 14;  // elements that are worth a thread

int64_t elements(const Matrix& matrix) { return matrix.rows * matrix.cols; }

/// Calls f(weight, mean, count) for stretches of all that is trained.
template <class F>
void for_each_stretch(std::span<const Parameter> parameters, std::span<const Matrix> means,
                      Threads& threads, F&& f) {
  TIDAR_CHECK_EQ(parameters.size(), means.size());
  for (size_t p = 0; p < parameters.size(); ++p) {
    if (means[p].data == nullptr) continue;
    threads.split(elements(means[p]), kGrain, [&](Range range, int) {
      f(parameters[p].value.row<float>(0) + range.begin, means[p].row<float>(0) + range.begin,
        range.size());
    });
  }
}

}  // namespace

WeightAverage::WeightAverage(const Parameters& parameters, double decay, Threads& threads)
    : decay_(decay), threads_(threads) {
  TIDAR_CHECK(decay > 0 && decay < 1);
  int64_t count = 0;
  for (const Parameter& parameter : parameters.all()) {
    if (!parameter.frozen()) count += elements(parameter.value);
  }
  memory_ = Buffer(static_cast<size_t>(count) * sizeof(float));
  float* at = memory_.as<float>();
  for (const Parameter& parameter : parameters.all()) {
    const Matrix& value = parameter.value;
    means_.emplace_back(parameter.frozen() ? nullptr : at, DType::f32, value.rows, value.cols);
    if (!parameter.frozen()) at += elements(value);
  }
  for_each_stretch(parameters.all(), means_, threads_,
                   [](const float* weight, float* mean, int64_t some) {
                     std::memcpy(mean, weight, static_cast<size_t>(some) * sizeof(float));
                   });
}

void WeightAverage::take(const Parameters& parameters, int64_t update) {
  const auto t = static_cast<double>(update);
  const auto part = static_cast<float>(1 - std::min(decay_, t / (t + 9)));
  for_each_stretch(parameters.all(), means_, threads_,
                   [part](const float* weight, float* mean, int64_t count) {
                     for (int64_t i = 0; i < count; ++i) mean[i] += part * (weight[i] - mean[i]);
                   });
}

void WeightAverage::exchange(Parameters& parameters) {
  for_each_stretch(parameters.all(), means_, threads_,
                   [](float* weight, float* mean, int64_t count) {
                     std::swap_ranges(weight, weight + count, mean);
                   });
}

}  // namespace tidar
