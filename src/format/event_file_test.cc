#include "format/event_file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <array>
#include <csignal>
#include <cstring>
#include <string>

#include "format/crc32c.h"
#include "format/files.h"
#include "format/files_testing.h"

namespace tidar {
namespace {

// A plain reader of the format's description.
struct Reader {
  std::string_view bytes;

  template <class T>
  T raw() {
    T value;
    std::memcpy(&value, bytes.data(), sizeof value);
    bytes.remove_prefix(sizeof value);
    return value;
  }
  std::string_view take(size_t count) {
    const auto taken = bytes.substr(0, count);
    bytes.remove_prefix(count);
    return taken;
  }
  uint64_t varint() {
    uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
      const auto byte = raw<uint8_t>();
      value |= uint64_t{byte & 0x7fu} << shift;
      if (byte < 0x80) return value;
    }
  }
  std::string_view text() { return take(varint()); }
};

uint32_t unmasked(uint32_t masked) {
  const uint32_t rotated = masked - 0xa282ead8u;
  return rotated >> 17 | rotated << 15;
}

std::string_view next_event(Reader& file) {
  const std::string_view length_bytes = file.bytes.substr(0, 8);
  const auto length = file.raw<uint64_t>();
  EXPECT_EQ(unmasked(file.raw<uint32_t>()), crc32c(std::as_bytes(std::span(length_bytes))));
  const std::string_view event = file.take(length);
  EXPECT_EQ(unmasked(file.raw<uint32_t>()), crc32c(std::as_bytes(std::span(event))));
  return event;
}

TEST(EventFile, HoldsStepsTagsAndValues) {
  const ScratchFolder folder;
  std::string path;
  {
    auto file = EventFile::create(folder.path());
    ASSERT_TRUE(file.ok()) << file.error().message;
    path = file->path().string();
    const std::array scalars = {Scalar{"train/loss", 2.5}, Scalar{"train/norm", 0.125}};
    const std::array texts = {TextSummary{"validation/samples", "a **b** é"}};
    ASSERT_TRUE(file->add(300, scalars, texts).ok());
    auto second = EventFile::create(folder.path());  // in the same second
    ASSERT_TRUE(second.ok());
    EXPECT_NE(second->path(), file->path());
  }
  const std::string bytes = read_text_file(path).value();
  Reader file{bytes};
  Reader head{next_event(file)};
  EXPECT_EQ(head.varint(), 1 << 3 | 1);
  EXPECT_GT(head.raw<double>(), 1.7e9);
  EXPECT_EQ(head.varint(), 3 << 3 | 2);
  EXPECT_EQ(head.text(), "brain.Event:2");

  Reader event{next_event(file)};
  EXPECT_TRUE(file.bytes.empty());
  EXPECT_EQ(event.varint(), 1 << 3 | 1);
  event.raw<double>();
  EXPECT_EQ(event.varint(), 2 << 3 | 0);
  EXPECT_EQ(event.varint(), 300u);
  EXPECT_EQ(event.varint(), 5 << 3 | 2);
  Reader summary{event.text()};
  EXPECT_TRUE(event.bytes.empty());
  for (const auto& [tag, number] :
       {std::pair("train/loss", 2.5f), std::pair("train/norm", 0.125f)}) {
    EXPECT_EQ(summary.varint(), 1 << 3 | 2);
    Reader value{summary.text()};
    EXPECT_EQ(value.varint(), 1 << 3 | 2);
    EXPECT_EQ(value.text(), tag);
    EXPECT_EQ(value.varint(), 2 << 3 | 5);
    EXPECT_EQ(value.raw<float>(), number);
  }
  // A text: its tag, a tensor of one string, and the plugin that shows it.
  EXPECT_EQ(summary.varint(), 1 << 3 | 2);
  Reader value{summary.text()};
  EXPECT_TRUE(summary.bytes.empty());
  EXPECT_EQ(value.varint(), 1 << 3 | 2);
  EXPECT_EQ(value.text(), "validation/samples");
  EXPECT_EQ(value.varint(), 8 << 3 | 2);
  EXPECT_EQ(value.text(), std::string("\x08\x07\x12\x04\x12\x02\x08\x01\x42\x0a") + "a **b** é");
  EXPECT_EQ(value.varint(), 9 << 3 | 2);
  EXPECT_EQ(value.text(), std::string("\x0a\x06\x0a\x04text\x20\x02"));
  EXPECT_TRUE(value.bytes.empty());
}

TEST(EventFile, SaysWhereItCannotBe) {
  const auto file = EventFile::create("/nonexistent/folder");
  ASSERT_FALSE(file.ok());
  EXPECT_NE(file.error().message.find("/nonexistent/folder"), std::string::npos);
}

TEST(EventFile, AnEventThatDoesNotFitLeavesNoPartOfItself) {
  const ScratchFolder folder;
  auto file = EventFile::create(folder.path());
  ASSERT_TRUE(file.ok()) << file.error().message;
  const std::array scalars = {Scalar{"train/loss", 2.5}};
  ASSERT_TRUE(file->add(1, scalars).ok());
  const auto before = std::filesystem::file_size(file->path());

  rlimit limit{};
  getrlimit(RLIMIT_FSIZE, &limit);
  const rlimit small = {before + 10, limit.rlim_max};
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &small);
  const auto failed = file->add(2, scalars);
  setrlimit(RLIMIT_FSIZE, &limit);
  std::signal(SIGXFSZ, handler);

  ASSERT_FALSE(failed.ok());
  EXPECT_NE(failed.error().message.find("File too large"), std::string::npos)
      << failed.error().message;
  EXPECT_EQ(std::filesystem::file_size(file->path()), before);
}

}  // namespace
}  // namespace tidar
