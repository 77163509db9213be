// How fast text becomes ids and ids become text, in MB/s of text on one core.
//
// usage: tokenizer_bench FOLDER [TEXT_FILE] [--benchmark_…]
//   FOLDER holds a tokenizer.json. Without TEXT_FILE a text of made-up words is used. Besides the
//   text itself, what is hard for tokenizers is timed: one word of a megabyte, no letters at all,
//   nothing but spaces.

#include <benchmark/benchmark.h>

#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "base/rng.h"
#include "format/files.h"
#include "text/tokenizer.h"

namespace {

using tidar::Tokenizer;

constexpr size_t kTextSize = 1 << 20;

/// Words of two to nine letters, drawn from 4000 different ones, in sentences.
std::string made_up_text() {
  tidar::Rng rng(1);
  std::vector<std::string> words(4000);
  for (std::string& word : words) {
    for (int length = 2 + rng.below(8); length > 0; --length) {
      word += static_cast<char>('a' + rng.below(26));
    }
  }
  std::string text;
  while (text.size() < kTextSize) {
    text += words[static_cast<size_t>(rng.below(static_cast<int>(words.size())))];
    text += rng.below(12) == 0 ? ".\n" : " ";
  }
  return text;
}

std::string repeated(std::string_view unit) {
  std::string text;
  while (text.size() < kTextSize) text += unit;
  return text;
}

void count(benchmark::State& state, size_t text_bytes, size_t tokens) {
  state.counters["MB/s"] = benchmark::Counter(static_cast<double>(text_bytes) * 1e-6,
                                              benchmark::Counter::kIsIterationInvariantRate);
  state.counters["tokens"] = static_cast<double>(tokens);
}

void time_encoding(benchmark::State& state, const Tokenizer& tokenizer, const std::string& text) {
  size_t tokens = 0;
  for (auto _ : state) tokens = tokenizer.encode(text).size();
  count(state, text.size(), tokens);
}

void time_decoding(benchmark::State& state, const Tokenizer& tokenizer, const std::string& text) {
  const auto ids = tokenizer.encode(text);
  for (auto _ : state) benchmark::DoNotOptimize(tokenizer.decode(ids));
  count(state, text.size(), ids.size());
}

void time_streaming(benchmark::State& state, const Tokenizer& tokenizer, const std::string& text) {
  const auto ids = tokenizer.encode(text);
  for (auto _ : state) {
    tidar::Detokenizer detokenizer(tokenizer);
    for (int32_t id : ids) benchmark::DoNotOptimize(detokenizer.push(id));
    benchmark::DoNotOptimize(detokenizer.finish());
  }
  count(state, text.size(), ids.size());
}

void time_loading(benchmark::State& state, const std::string& folder) {
  for (auto _ : state) benchmark::DoNotOptimize(Tokenizer::open(folder).ok());
}

int fail(const std::string& message) {
  std::fprintf(stderr, "tokenizer_bench: %s\n", message.c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (argc < 2 || argc > 3) {
    std::fprintf(stderr, "usage: tokenizer_bench FOLDER [TEXT_FILE] [--benchmark_...]\n");
    return 2;
  }
  const std::string folder = argv[1];
  const auto tokenizer = Tokenizer::open(folder);
  if (!tokenizer.ok()) return fail(tokenizer.error().message);
  std::string text = made_up_text();
  if (argc == 3) {
    auto file = tidar::read_text_file(argv[2]);
    if (!file.ok()) return fail(file.error().message);
    text = std::move(*file);
  }

  const auto add = [](const char* name, std::function<void(benchmark::State&)> run) {
    benchmark::RegisterBenchmark(name, std::move(run))->Unit(benchmark::kMillisecond);
  };
  add("load", [&](auto& state) { time_loading(state, folder); });
  add("encode", [&](auto& state) { time_encoding(state, *tokenizer, text); });
  add("decode", [&](auto& state) { time_decoding(state, *tokenizer, text); });
  add("detokenize one by one", [&](auto& state) { time_streaming(state, *tokenizer, text); });
  const std::pair<const char*, const char*> hard[] = {
      {"encode aaaa…", "a"},           {"encode random letters", nullptr},
      {"encode spaces", " "},          {"encode !!!!…", "!"},
      {"encode 中文", "中文信息处理"}, {"encode combining marks", "\u0301\u0323"},
      {"encode digits", "1234567890"}, {"encode <|<|<|…", "<|"}};
  for (const auto& [name, unit] : hard) {
    std::string hard_text = unit != nullptr ? repeated(unit) : "";
    tidar::Rng rng(2);
    while (hard_text.size() < kTextSize) hard_text += static_cast<char>('a' + rng.below(26));
    add(name,
        [&tokenizer, hard_text](auto& state) { time_encoding(state, *tokenizer, hard_text); });
  }
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
