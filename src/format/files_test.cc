#include "format/files.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>

#include "format/files_testing.h"

namespace tidar {
namespace {

std::span<const std::byte> bytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

TEST(InQuotes, ShowsOnlyPrintableAscii) {
  EXPECT_EQ(in_quotes("plain text"), "'plain text'");
  EXPECT_EQ(in_quotes(std::string_view("a\0b\n\x1b[2J\x7f\xff", 10)),
            "'a\\x00b\\x0a\\x1b[2J\\x7f\\xff'");
  EXPECT_EQ(in_quotes(std::string(81, 'x')), "'" + std::string(80, 'x') + "...'");
}

TEST(ReadTextFile, ReadsUpToTheLimitAndNoMore) {
  const ScratchFolder folder;
  const auto path = folder.put("f", "12345");
  EXPECT_EQ(read_text_file(path, 5).value(), "12345");
  EXPECT_TRUE(says(read_text_file(path, 4).error().message, "/f: has 5 bytes|at most 4"));
}

TEST(ReadTextFile, RefusesWhatIsNoFile) {
  const ScratchFolder folder;
  EXPECT_TRUE(says(read_text_file(folder.path()).error().message, "expected a file"));
  EXPECT_TRUE(says(read_text_file(folder.path() / "none").error().message,
                   "/none: cannot be opened: No such file"));
  ASSERT_EQ(mkfifo((folder.path() / "pipe").c_str(), 0600), 0);
  EXPECT_TRUE(says(read_text_file(folder.path() / "pipe").error().message, "expected a file"));
}

TEST(WriteFile, ReplacesTheOldFileAndLeavesNothingElse) {
  const ScratchFolder folder;
  const auto path = folder.put("f", "a much longer old text");
  folder.put("f.partial", "left by a run that was killed, longer than the new text");
  const std::array parts = {bytes("new "), bytes(""), bytes("text")};
  ASSERT_TRUE(write_file(path, parts).ok());
  EXPECT_EQ(bytes_of_file(path), "new text");
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "f.partial"));
}

TEST(WriteFile, KeepsTheOldFileWhenThereIsNoRoom) {
  const ScratchFolder folder;
  const auto path = folder.put("f", "old");
  // A limit on the size of files stands for a disk that fills up on the way.
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  rlimit small = before;
  small.rlim_cur = 4096;
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const std::string large(10'000, 'n');
  const std::array parts = {bytes(large)};
  const auto result = write_file(path, parts);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, handler);

  ASSERT_FALSE(result.ok());
  EXPECT_TRUE(says(result.error().message, "/f: could not be written|after 4096 bytes|is kept"));
  EXPECT_EQ(bytes_of_file(path), "old");
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "f.partial"));
}

TEST(WriteFile, NamesAFolderThatIsNotThere) {
  const ScratchFolder folder;
  const auto result = write_file(folder.path() / "none" / "f", {});
  EXPECT_TRUE(says(result.error().message, "/none/f.partial: cannot be created: No such file"));
}

TEST(FileWriter, WritesPieceByPieceAndOver) {
  const ScratchFolder folder;
  const auto path = folder.put("f", "old");
  auto file = FileWriter::create(path).value();
  ASSERT_TRUE(file.append(bytes("----")).ok());
  ASSERT_TRUE(file.append(bytes("text")).ok());
  ASSERT_TRUE(file.overwrite(1, bytes("abc")).ok());
  EXPECT_EQ(file.written(), 8u);
  EXPECT_EQ(bytes_of_file(path), "old");
  ASSERT_TRUE(file.commit().ok());
  EXPECT_EQ(bytes_of_file(path), "-abctext");
}

TEST(FileWriter, WithoutCommitNothingHasHappened) {
  const ScratchFolder folder;
  const auto path = folder.put("f", "old");
  {
    auto file = FileWriter::create(path).value();
    ASSERT_TRUE(file.append(bytes("new")).ok());
    EXPECT_TRUE(std::filesystem::exists(folder.path() / "f.partial"));
  }
  EXPECT_EQ(bytes_of_file(path), "old");
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "f.partial"));
}

TEST(MappedFile, ShowsTheBytesOfAFile) {
  const ScratchFolder folder;
  EXPECT_TRUE(MappedFile::open(folder.put("empty", ""))->bytes().empty());
  MappedFile file = MappedFile::open(folder.put("f", "12345")).value();
  const MappedFile moved = std::move(file);
  EXPECT_EQ(moved.bytes().size(), 5u);
  EXPECT_EQ(static_cast<char>(moved.bytes()[4]), '5');
}

TEST(MappedFile, RefusesWhatIsNoFile) {
  const ScratchFolder folder;
  EXPECT_TRUE(says(MappedFile::open(folder.path()).error().message, "expected a file"));
  EXPECT_TRUE(says(MappedFile::open(folder.path() / "none").error().message,
                   "/none: cannot be opened: No such file"));
}

TEST(WriteFile, WritesIntoTheCurrentFolder) {
  const ScratchFolder folder;
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  const std::array parts = {bytes("x")};
  const auto result = write_file("bare-name", parts);
  std::filesystem::current_path(before);
  EXPECT_TRUE(result.ok());
  EXPECT_EQ(bytes_of_file(folder.path() / "bare-name"), "x");
}

}  // namespace
}  // namespace tidar
