#include "eval/task_kind.h"

#include <gtest/gtest.h>

#include "format/files_testing.h"

namespace tidar {
namespace {

TEST(TaskKinds, AreToldByTheFirstLine) {
  const ScratchFolder folder;
  const auto kind = [&](const std::string& content) -> std::string {
    const auto task = find_task(folder.put("task", content).string());
    return task.ok() ? std::string(name_of(task->kind)) : task.error().message;
  };
  EXPECT_EQ(kind("{\"context\": \"\", \"choices\": []}"), "choices");
  EXPECT_EQ(kind("\n{\"question\": 1}\nnonsense"), "gsm8k");
  EXPECT_EQ(kind("{\"canonical_solution\": 1}"), "humaneval");
  EXPECT_EQ(kind("{\"test_list\": 1}"), "mbpp");
  EXPECT_EQ(kind("{\"text\": \"\", \"test_list\": 1}"), "mbpp");
  EXPECT_EQ(kind("{\"text\": 1}"), "documents");
  EXPECT_EQ(kind("tidartok and more"), "documents");
  EXPECT_EQ(kind("Call me Ishmael."), "text");
  EXPECT_EQ(kind("[1]"), "text");
  EXPECT_TRUE(says(kind("{\"story\": 1}"), "task: its fields are those of no task"));
}

TEST(TaskKinds, CanBeGiven) {
  const auto task = find_task("text:no/such:file");
  ASSERT_TRUE(task.ok());
  EXPECT_EQ(task->kind, TaskKind::text);
  EXPECT_EQ(task->file, "no/such:file");
  EXPECT_FALSE(find_task("no/such:file").ok());
  EXPECT_EQ(problem_kind(TaskKind::mbpp), ProblemKind::mbpp);
  EXPECT_EQ(problem_kind(TaskKind::choices), std::nullopt);
}

}  // namespace
}  // namespace tidar
