#include "decode/decoder.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <string>
#include <utility>

#include "decode/ar.h"
#include "decode/tidar.h"

namespace tidar {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

constexpr EvaluatorLimits kDecoderLimits{
    .max_rows = 16, .pages = 4, .max_position = 8, .vocabulary = 100};

SequenceSpec right_spec() {
  SequenceSpec spec;
  spec.prompt = {1, 2, 99};
  spec.sampling = {.temperature = 1, .top_k = 5, .top_p = 0.5f, .min_p = 0.1f, .seed = 1};
  spec.penalties.bias = {{.token = 3, .add = -kInfinity}, {.token = 4, .add = 2}};
  spec.mask_token = 98;
  return spec;
}

// The message when `change` has made the spec wrong.
std::string complaint(const std::function<void(SequenceSpec&)>& change) {
  SequenceSpec spec = right_spec();
  change(spec);
  const auto result = check_spec(spec, kDecoderLimits);
  return result.ok() ? "" : result.error().message;
}

std::string complaint_about(const TidarOptions& options) {
  PagePool pool(1);
  const auto made = make_decoder(options, right_spec(), SequenceCache(pool), kDecoderLimits);
  return made.ok() ? "" : made.error().message;
}

TEST(CheckSpec, AcceptsWhatIsRight) {
  EXPECT_EQ(complaint([](SequenceSpec&) {}), "");
  EXPECT_EQ(complaint([](SequenceSpec& s) { s.prompt.assign(7, 0); }), "");
  EXPECT_EQ(complaint([](SequenceSpec& s) { s.mask_token = -1; }), "");
}

TEST(CheckSpec, SaysWhatIsWrong) {
  const auto has = [](const std::string& text, const char* part) {
    EXPECT_NE(text.find(part), std::string::npos) << "'" << text << "' lacks '" << part << "'";
  };
  using S = SequenceSpec&;
  has(complaint([](S s) { s.prompt = {}; }), "prompt: expected at least one token");
  has(complaint([](S s) { s.prompt.assign(8, 0); }), "8 tokens leave no room");
  has(complaint([](S s) { s.prompt = {100}; }), "prompt: token 100");
  has(complaint([](S s) { s.prompt = {-1}; }), "prompt: token -1");
  has(complaint([](S s) { s.mask_token = 100; }), "mask token: token 100");
  has(complaint([](S s) { s.mask_token = -2; }), "mask token: token -2");
  for (const float wrong : {-1.0f, kNan, kInfinity})
    has(complaint([&](S s) { s.sampling.temperature = wrong; }), "temperature");
  has(complaint([](S s) { s.sampling.top_k = -1; }), "top_k");
  for (const float wrong : {0.0f, 1.1f, kNan})
    has(complaint([&](S s) { s.sampling.top_p = wrong; }), "top_p");
  for (const float wrong : {-0.1f, 1.1f, kNan})
    has(complaint([&](S s) { s.sampling.min_p = wrong; }), "min_p");
  for (const float wrong : {0.0f, -1.0f, kNan, kInfinity})
    has(complaint([&](S s) { s.penalties.repetition = wrong; }), "repetition");
  for (const float wrong : {kNan, kInfinity}) {
    has(complaint([&](S s) { s.penalties.presence = wrong; }), "presence");
    has(complaint([&](S s) { s.penalties.frequency = wrong; }), "frequency");
    has(complaint([&](S s) { s.penalties.bias[1].add = wrong; }), "bias of token 4");
  }
  has(complaint([](S s) { s.penalties.bias[0].token = 100; }), "bias: token 100");
  has(complaint([](S s) { s.penalties.bias[0].token = 4; }), "token 4 is listed twice");
  has(complaint([](S s) { s.penalties.bias[0].scale = 2; }), "only add");
}

TEST(MakeDecoder, PassesComplaintsOn) {
  PagePool pool(1);
  SequenceSpec spec = right_spec();
  spec.prompt = {};
  EXPECT_FALSE(make_decoder(ArOptions{}, spec, SequenceCache(pool), kDecoderLimits).ok());
  EXPECT_FALSE(make_decoder(TidarOptions{}, spec, SequenceCache(pool), kDecoderLimits).ok());
  EXPECT_EQ(complaint_about({.draft_length = 16}), "");
  EXPECT_NE(complaint_about({.draft_length = 17}).find("draft length"), std::string::npos);
  EXPECT_NE(complaint_about({.draft_length = 0}).find("draft length"), std::string::npos);
  for (const float wrong : {-0.1f, 1.1f, kNan})
    EXPECT_NE(complaint_about({.trust = wrong}).find("trust"), std::string::npos);
  spec = right_spec();
  spec.mask_token = -1;
  EXPECT_TRUE(make_decoder(ArOptions{}, spec, SequenceCache(pool), kDecoderLimits).ok());
  const auto made = make_decoder(TidarOptions{}, spec, SequenceCache(pool), kDecoderLimits);
  ASSERT_FALSE(made.ok());
  EXPECT_NE(made.error().message.find("mask token"), std::string::npos);
}

TEST(DecoderDeathTest, StopsAtMisuse) {
  PagePool pool(2);
  SequenceCache whole(pool);
  ASSERT_TRUE(whole.reserve(3));
  whole.commit(3);
  EXPECT_DEATH((void)make_decoder(ArOptions{}, right_spec(), std::move(whole), kDecoderLimits),
               "prompt_size_");
  SequenceCache begun(pool);
  ASSERT_TRUE(begun.reserve(2));
  begun.commit(2);
  const TidarOptions whole_steps{.draft_length = 3, .trust = 0.5f};
  auto tidar = make_decoder(whole_steps, right_spec(), std::move(begun), kDecoderLimits).value();
  Pass pass;
  EXPECT_EQ(tidar->min_rows(), 1 + 3);
  EXPECT_DEATH(tidar->plan(pass, 3), "row_budget >= min_rows");
  EXPECT_EQ(tidar->plan(pass, 5), 4);
  EXPECT_DEATH(tidar->take({}), "answers.size");
}

}  // namespace
}  // namespace tidar
