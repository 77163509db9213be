// Products in codes: every instruction set, any number of rows and of threads gives the bits of the
// reference in float, with the largest codes that there are, too.

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "base/half.h"
#include "base/rng.h"
#include "ops/cpu/cpu_ops.h"
#include "ops/ref/ref_ops.h"
#include "ops/wrap/verb.h"

namespace tidar {
namespace {

constexpr WeightFormat kCodedFormats[] = {WeightFormat::w8, WeightFormat::w4};

// A matrix of codes, and rows of operands for it.
struct Product {
  Product(Rng& rng, WeightFormat weight_format, int rows, int outputs_, int inputs_)
      : format(weight_format), outputs(outputs_), inputs(inputs_) {
    const WeightFormatFacts& facts = facts_of(format);
    codes.resize(static_cast<size_t>(facts.element_bytes(outputs, inputs)));
    scales.resize(static_cast<size_t>(outputs * facts.scales(inputs)));
    x.resize(static_cast<size_t>(rows * inputs));
    for (uint8_t& byte : codes) byte = static_cast<uint8_t>(rng.below(256));
    for (Half& scale : scales) scale = nearest_half(0.01f * rng.normal());
    for (float& number : x) number = rng.normal();
  }

  HostMatrix matrix() const {
    HostMatrix matrix = {reinterpret_cast<const std::byte*>(codes.data()), DType::f32, outputs,
                         inputs};
    matrix.scales = std::as_bytes(std::span(scales));
    return matrix;
  }

  // Of rows [first, first + count).
  std::vector<float> on(Ops& ops, Verb verb, int first, int count) const {
    const HostMatrix part = matrix();
    const std::vector<HostMatrix> parts(verb == Verb::linear_swiglu ? 2 : 1, part);
    const auto weight = ops.pack(
        verb == Verb::linear_swiglu ? PackOrder::interleaved : PackOrder::stacked, parts, format);
    std::vector<float> out(static_cast<size_t>(count * outputs), 0.25f);
    const Matrix from(const_cast<float*>(x.data()) + first * inputs, DType::f32, count, inputs);
    const Matrix to(out.data(), DType::f32, count, outputs);
    if (verb == Verb::linear) ops.linear(from, *weight, nullptr, to);
    if (verb == Verb::linear_add) ops.linear_add(from, *weight, to);
    if (verb == Verb::linear_swiglu) ops.linear_swiglu(from, *weight, to);
    return out;
  }

  WeightFormat format;
  int outputs, inputs;
  std::vector<uint8_t> codes;
  std::vector<Half> scales;
  std::vector<float> x;
};

// Index of the first bit pattern that differs, or -1.
int first_difference(const std::vector<float>& a, const std::vector<float>& b) {
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::bit_cast<uint32_t>(a[i]) != std::bit_cast<uint32_t>(b[i])) return static_cast<int>(i);
  }
  return -1;
}

class LinearCodes : public testing::TestWithParam<Isa> {
 protected:
  void expect_bits_of_reference(const Product& product, int rows) {
    const auto ref = make_ref_ops(DType::f32);
    for (const Verb verb : {Verb::linear, Verb::linear_add}) {
      const std::vector<float> expected = product.on(*ref, verb, 0, rows);
      for (const int count : {1, 2}) {
        Threads threads(count);
        const auto ops = make_cpu_ops(threads, {.isa = GetParam()});
        EXPECT_EQ(first_difference(product.on(*ops, verb, 0, rows), expected), -1)
            << name_of(product.format) << " R " << rows << " N " << product.outputs << " K "
            << product.inputs << " " << name_of(verb) << ", " << count << " threads";
      }
    }
  }
};

TEST_P(LinearCodes, AreTheReferenceToTheBit) {
  Rng rng(1);
  for (const WeightFormat format : kCodedFormats) {
    for (int rows = 1; rows <= 40; ++rows) {
      expect_bits_of_reference({rng, format, rows, 1 + rng.below(100), 1 + rng.below(300)}, rows);
    }
    for (const int rows : {64, 100, 257, 512}) {
      expect_bits_of_reference({rng, format, rows, 48, 96}, rows);
    }
  }
}

// Where sums of two products leave 16 bits, if the kernel adds them there.
TEST_P(LinearCodes, OfTheLargestCodesAreExact) {
  Rng rng(2);
  for (const WeightFormat format : kCodedFormats) {
    for (const uint8_t byte : {uint8_t{0x00}, uint8_t{0xff}}) {
      Product product(rng, format, 20, 33, 129);
      std::fill(product.codes.begin(), product.codes.end(), byte);
      for (size_t i = 0; i < product.x.size(); ++i) {
        const bool alternating = i / static_cast<size_t>(product.inputs) % 3 == 2;
        product.x[i] =
            (alternating ? i : i / static_cast<size_t>(product.inputs)) % 2 == 0 ? 1 : -1;
      }
      expect_bits_of_reference(product, 20);
    }
  }
}

// The reference has another exponential.
TEST_P(LinearCodes, OfGateAndUpAreEqualOnAllInstructionSets) {
  Rng rng(3);
  Threads threads(2);
  const auto ops = make_cpu_ops(threads, {.isa = GetParam()});
  const auto least = make_cpu_ops(threads, {.isa = usable_isas().front()});
  for (const WeightFormat format : kCodedFormats) {
    for (const int rows : {1, 3, 16, 50}) {
      const Product product(rng, format, rows, 37, 200);
      EXPECT_EQ(first_difference(product.on(*ops, Verb::linear_swiglu, 0, rows),
                                 product.on(*least, Verb::linear_swiglu, 0, rows)),
                -1)
          << name_of(format) << " " << rows;
    }
  }
}

TEST_P(LinearCodes, OfANumberThatIsNotFiniteAreNaNInItsRowAlone) {
  Rng rng(4);
  Threads threads(2);
  const auto ops = make_cpu_ops(threads, {.isa = GetParam()});
  for (const WeightFormat format : kCodedFormats) {
    for (const float wrong :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
      Product product(rng, format, 5, 40, 100);
      const auto before = product.on(*ops, Verb::linear, 0, 5);
      product.x[static_cast<size_t>(2 * product.inputs + rng.below(100))] = wrong;
      const auto after = product.on(*ops, Verb::linear, 0, 5);
      for (size_t i = 0; i < after.size(); ++i) {
        if (i / 40 == 2) {
          EXPECT_TRUE(std::isnan(after[i]));
        } else {
          EXPECT_EQ(after[i], before[i]);
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Isas, LinearCodes, testing::ValuesIn(usable_isas()), [](const auto& isa) {
  std::string name(name_of(isa.param));
  for (char& c : name) {
    if (c == '-') c = '_';
  }
  return name;
});

}  // namespace
}  // namespace tidar
