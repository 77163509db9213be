#include "ops/cases/suite.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <numeric>

#include "base/rng.h"
#include "ops/cases/inputs.h"
#include "ops/ref/ref_ops.h"
#include "ops/wrap/checked_ops.h"

namespace tidar {

namespace {

std::vector<int32_t> first_rows(int32_t count) {
  std::vector<int32_t> rows(static_cast<size_t>(count));
  std::iota(rows.begin(), rows.end(), 0);
  return rows;
}

Rows run_rows(PreparedCase& prepared, std::span<const int32_t> rows) {
  prepared.load(rows);
  prepared.run();
  return prepared.results();
}

// Index of the first number whose bits differ, or -1.
int first_difference(const std::vector<double>& a, const std::vector<double>& b) {
  if (a.size() != b.size()) return 0;
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::bit_cast<uint64_t>(a[i]) != std::bit_cast<uint64_t>(b[i])) return static_cast<int>(i);
  }
  return -1;
}

// Compares results of `rows` with those of the same rows among `all`.
void match(const Rows& all, const Rows& found, std::span<const int32_t> rows,
           const std::string& what, Failures& failures) {
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto& expected = all[static_cast<size_t>(rows[i])];
    const int column = first_difference(expected, found[i]);
    if (column < 0) continue;
    failures.push_back(
        fmt::format("{}: row {} has other bits at column {}", what, rows[i], column));
    return;
  }
}

// Orders of rows to try: each of a few alone, all of them shuffled, and about half of them.
std::vector<std::vector<int32_t>> selections(int32_t rows, Rng& rng) {
  constexpr int kAlone = 6;
  std::vector<std::vector<int32_t>> tried;
  for (int i = 0; i < std::min(kAlone, rows); ++i) {
    tried.push_back({rows <= kAlone ? i : rng.below(rows)});
  }
  auto shuffled = first_rows(rows);
  for (int i = rows - 1; i > 0; --i) {
    std::swap(shuffled[static_cast<size_t>(i)], shuffled[static_cast<size_t>(rng.below(i + 1))]);
  }
  tried.push_back(shuffled);
  std::erase_if(shuffled, [&](int32_t) { return rng.below(2) == 0; });
  tried.push_back(shuffled);
  return tried;
}

// The products of gate and up by themselves, and then swiglu(), against linear_swiglu().
void match_swiglu(Ops& backend, uint64_t seed, WeightFormat format, int32_t rows,
                  Failures& failures) {
  Rng rng(seed);
  const int64_t inputs = 1 + rng.below(300), outputs = 1 + rng.below(100);
  Input x(backend, rng, backend.operand(format), rows, inputs);
  x.load(first_rows(rows));
  const FileWeight gate(rng, DType::f32, outputs, inputs), up(rng, DType::f32, outputs, inputs);
  const std::array parts = {gate.matrix(), up.matrix()};
  const Slice sums(backend, backend.activation(), rows, 2 * outputs);
  const Slice together(backend, backend.operand(format), rows, outputs);
  const Slice apart(backend, backend.operand(format), rows, outputs);
  const auto interleaved = backend.pack(PackOrder::interleaved, parts, format);
  const auto stacked = backend.pack(PackOrder::stacked, parts, format);
  backend.linear_swiglu(x.view(), *interleaved, together.first_rows(rows));
  backend.linear(x.view(), *stacked, nullptr, sums.first_rows(rows));
  backend.swiglu(sums.first_rows(rows), apart.first_rows(rows));
  match(rows_of(backend, together.first_rows(rows)), rows_of(backend, apart.first_rows(rows)),
        first_rows(rows),
        fmt::format("seed {}, linear and swiglu R {} N {} K {} {} against linear_swiglu", seed,
                    rows, outputs, inputs, name_of(format)),
        failures);
}

}  // namespace

Failures match_truth(Ops& backend, uint64_t seed, std::string* shares, const Selection& which) {
  Failures failures;
  std::string name;
  const auto truth = make_ref_ops(DType::f64);
  CheckedOps checked(backend, *truth, [&](const Difference& difference) {
    failures.push_back(fmt::format("seed {}, {}: {}", seed, name, difference.text()));
  });
  for (const Case& one : all_cases(backend, seed, which)) {
    name = one.name;
    run_rows(*one.prepare(checked), first_rows(one.rows));
  }
  if (shares != nullptr) {
    for (size_t verb = 0; verb < kVerbs; ++verb) {
      *shares += fmt::format("{:<14} {:.3f} of the tolerance\n", name_of(static_cast<Verb>(verb)),
                             checked.worst(static_cast<Verb>(verb)));
    }
  }
  return failures;
}

Failures match_rows(Ops& backend, uint64_t seed, const Selection& which) {
  Failures failures;
  Rng rng(seed + 1);
  for (const Case& one : all_cases(backend, seed, which)) {
    const auto prepared = one.prepare(backend);
    const Rows all = run_rows(*prepared, first_rows(one.rows));
    for (const auto& rows : selections(one.rows, rng)) {
      match(all, run_rows(*prepared, rows), rows,
            fmt::format("seed {}, {}, {} of its rows", seed, one.name, rows.size()), failures);
    }
  }
  if (which.verb.value_or(Verb::swiglu) != Verb::swiglu) return failures;
  for (const WeightFormatFacts& facts : which.formats) {
    for (const int32_t rows : {1, 2, 9, 33, 70}) {
      match_swiglu(backend, rng.bits(), facts.format, rows, failures);
    }
  }
  return failures;
}

Failures match_bits(Ops& a, Ops& b, uint64_t seed, const Selection& which) {
  Failures failures;
  for (const Case& one : all_cases(a, seed, which)) {
    const auto rows = first_rows(one.rows);
    const Rows expected = run_rows(*one.prepare(a), rows);
    match(expected, run_rows(*one.prepare(b), rows), rows,
          fmt::format("seed {}, {}, {} against {}", seed, one.name, a.name(), b.name()), failures);
  }
  return failures;
}

Failures run_all_cases(Ops& backend, uint64_t seed, const Selection& which) {
  Failures failures = match_truth(backend, seed, nullptr, which);
  for (auto& failure : match_rows(backend, seed, which)) failures.push_back(std::move(failure));
  return failures;
}

}  // namespace tidar
