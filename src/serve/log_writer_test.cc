#include "serve/log_writer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <sstream>
#include <utility>

namespace tidar {
namespace {

std::string lost_line(int64_t lost) { return fmt::format("{} lost\n", lost); }

class LogWriterTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(pipe(ends_.data()), 0); }
  void TearDown() override {
    close_reader();
    if (ends_[1] >= 0) close(ends_[1]);
  }
  void close_reader() {
    if (int reader = std::exchange(ends_[0], -1); reader >= 0) close(reader);
  }
  int writer() const { return ends_[1]; }

  /// What comes next, once there is something.
  std::string read_some() {
    std::array<char, 4096> part;
    const ssize_t size = read(ends_[0], part.data(), part.size());
    return {part.data(), static_cast<size_t>(std::max<ssize_t>(size, 0))};
  }
  /// All that comes until the log has ended, by a reader that looks after a while.
  std::string read_to_the_end(std::unique_ptr<LogWriter> log,
                              std::chrono::milliseconds pause = {}) {
    std::thread ends([&] {
      log.reset();
      close(std::exchange(ends_[1], -1));
    });
    std::this_thread::sleep_for(pause);
    std::string text;
    for (std::string part = read_some(); !part.empty(); part = read_some()) text += part;
    ends.join();
    return text;
  }

 private:
  std::array<int, 2> ends_{-1, -1};
};

TEST_F(LogWriterTest, AllLinesComeInTheirOrder) {
  auto log = std::make_unique<LogWriter>(writer(), lost_line);
  std::string wanted;
  for (int i = 0; i < 500; ++i) {
    const std::string line = fmt::format("line {} {}\n", i, std::string(i % 3 == 0 ? 0 : i, 'x'));
    log->write(line);
    wanted += line;
  }
  const std::string long_line = std::string(20000, 'y') + "\n";
  log->write(long_line);
  EXPECT_EQ(read_to_the_end(std::move(log)), wanted + long_line);
}

// Where the missing ones would have stood there is a line that says how many they are.
TEST_F(LogWriterTest, WhoWritesNeverWaitsForAPipeThatNobodyReads) {
  auto log = std::make_unique<LogWriter>(writer(), lost_line, 10);
  int written = 0;
  const auto write_one = [&] {
    log->write(fmt::format("{} {}\n", written++, std::string(90, 'x')));
  };
  while (written < 20000) write_one();  // a pipe holds fewer
  std::string text;
  while (text.rfind("x\n") < text.find(" lost\n") || text.find(" lost\n") == text.npos) {
    write_one();
    text += read_some();
  }
  text += read_to_the_end(std::move(log));
  int next = 0;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const int number = std::stoi(line);
    if (line.ends_with(" lost")) {
      next += number;
    } else {
      EXPECT_EQ(number, next++);
    }
  }
  EXPECT_EQ(next, written);
}

TEST_F(LogWriterTest, ItEndsThoughNobodyReads) {
  {
    LogWriter log(writer(), lost_line);
    for (int i = 0; i < 4000; ++i) log.write(std::string(99, 'x') + "\n");
  }
  EXPECT_EQ(read_some().substr(0, 3), "xxx");
}

// The second that it waits begins with the end, not with the last line.
TEST_F(LogWriterTest, AtTheEndAReaderHasASecondToComeBack) {
  auto log = std::make_unique<LogWriter>(writer(), lost_line);
  log->write("first\n");
  EXPECT_EQ(read_some(), "first\n");
  // No room for another line.
  const std::string filling(4096, 'x');
  fcntl(writer(), F_SETFL, O_NONBLOCK);
  while (::write(writer(), filling.data(), filling.size()) > 0) {
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(1200));
  log->write("last\n");
  EXPECT_TRUE(read_to_the_end(std::move(log), std::chrono::milliseconds(300)).ends_with("last\n"));
}

TEST_F(LogWriterTest, WhatIsLostLastIsToldAtTheEnd) {
  auto log = std::make_unique<LogWriter>(writer(), lost_line, 1);
  for (int i = 0; i < 20000; ++i) log->write(std::string(99, 'x') + "\n");
  EXPECT_TRUE(read_to_the_end(std::move(log)).ends_with(" lost\n"));
}

TEST_F(LogWriterTest, AReaderThatHasGoneEndsNothing) {
  close_reader();
  LogWriter log(writer(), lost_line);
  for (int i = 0; i < 100; ++i) log.write("a\n");
}

}  // namespace
}  // namespace tidar
