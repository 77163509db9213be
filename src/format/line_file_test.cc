#include "format/line_file.h"

#include <gtest/gtest.h>

#include <vector>

#include "format/files_testing.h"

namespace tidar {
namespace {

std::vector<std::string> lines_of(LineFile& file) {
  std::vector<std::string> lines;
  const auto read = file.read([&](std::string_view line, int64_t number) -> Result<void> {
    lines.emplace_back(line);
    EXPECT_EQ(number, static_cast<int64_t>(lines.size()));
    return {};
  });
  EXPECT_TRUE(read.ok());
  return lines;
}

std::string failure_of(const std::filesystem::path& path) {
  const auto file = LineFile::open(path);
  return file.ok() ? "none" : file.error().message;
}

TEST(LineFiles, GoOnBehindTheLastWholeLine) {
  const ScratchFolder folder;
  const auto path = folder.path() / "lines";
  {
    auto file = LineFile::open(path);
    ASSERT_TRUE(file.ok());
    EXPECT_TRUE(*file->empty());
    EXPECT_TRUE(lines_of(*file).empty());
    ASSERT_TRUE(file->add("one").ok());
    ASSERT_TRUE(file->add("").ok());
  }
  for (const char* cut : {"", "tw"}) {
    std::ofstream(path, std::ios::app) << cut;
    auto file = LineFile::open(path);
    EXPECT_FALSE(*file->empty());
    EXPECT_EQ(lines_of(*file), (std::vector<std::string>{"one", ""}));
    EXPECT_EQ(bytes_of_file(path), "one\n\n");
  }
  auto file = LineFile::open(path);
  lines_of(*file);
  ASSERT_TRUE(file->add("two").ok());
  EXPECT_EQ(bytes_of_file(path), "one\n\ntwo\n");
}

TEST(LineFiles, AnErrorLeavesThemAsTheyAre) {
  const ScratchFolder folder;
  const auto path = folder.put("lines", "one\ntwo\nthr");
  auto file = LineFile::open(path);
  const auto read = file->read([](std::string_view line, int64_t) -> Result<void> {
    if (line == "two") return error("not this one");
    return {};
  });
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().message, "not this one");
  EXPECT_EQ(bytes_of_file(path), "one\ntwo\nthr");
}

TEST(LineFiles, HaveOneWriter) {
  const ScratchFolder folder;
  const auto path = folder.path() / "lines";
  auto file = LineFile::open(path);
  EXPECT_TRUE(says(failure_of(path), "lines: another process writes this file"));
  {
    const LineFile moved = std::move(*file);
    EXPECT_TRUE(says(failure_of(path), "another process"));
  }
  EXPECT_EQ(failure_of(path), "none");
}

TEST(LineFiles, AreFiles) {
  const ScratchFolder folder;
  EXPECT_TRUE(says(failure_of(folder.path()), "cannot be written"));
  EXPECT_TRUE(says(failure_of("/dev/null"), "/dev/null: expected a file"));
  EXPECT_TRUE(says(failure_of(folder.path() / "none" / "lines"), "none/lines: cannot be written"));
}

}  // namespace
}  // namespace tidar
