#include "format/folder_lock.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "format/files_testing.h"

namespace tidar {
namespace {

TEST(FolderLock, IsHeldByOneAtATime) {
  const ScratchFolder scratch;
  const auto folder = scratch.path() / "a" / "b";
  {
    const auto first = FolderLock::take(folder);
    ASSERT_TRUE(first.ok()) << first.error().message;
    const auto second = FolderLock::take(folder);
    ASSERT_FALSE(second.ok());
    EXPECT_TRUE(says(second.error().message, folder.string() + "|another process works in"));
    EXPECT_TRUE(FolderLock::take(scratch.path()).ok()) << "another folder";
  }
  EXPECT_TRUE(FolderLock::take(folder).ok());
}

TEST(FolderLock, IsGoneWithAKilledProcess) {
  const ScratchFolder scratch;
  int told[2];
  ASSERT_EQ(pipe(told), 0);
  const pid_t child = fork();
  if (child == 0) {
    const auto lock = FolderLock::take(scratch.path());
    const char held = lock.ok() ? 'y' : 'n';
    if (write(told[1], &held, 1) == 1) pause();
    _exit(0);
  }
  char held = 0;
  ASSERT_EQ(read(told[0], &held, 1), 1);
  EXPECT_EQ(held, 'y');
  EXPECT_FALSE(FolderLock::take(scratch.path()).ok());
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_TRUE(FolderLock::take(scratch.path()).ok());
  close(told[0]);
  close(told[1]);
}

TEST(FolderLock, SaysThatAFolderCannotBeMade) {
  const auto lock = FolderLock::take("/proc/nowhere");
  ASSERT_FALSE(lock.ok());
  EXPECT_TRUE(says(lock.error().message, "/proc/nowhere|cannot be created"));
}

}  // namespace
}  // namespace tidar
