#include "eval/problems.h"

#include <gtest/gtest.h>

#include "format/files_testing.h"

namespace tidar {
namespace {

std::vector<Problem> read(ProblemKind kind, const std::string& lines) {
  const ScratchFolder folder;
  const auto problems = read_problems(kind, folder.put("task.jsonl", lines));
  if (problems.ok()) return *problems;
  ADD_FAILURE() << problems.error().message;
  return {};
}

std::string failure(ProblemKind kind, const std::string& lines) {
  const ScratchFolder folder;
  const auto problems = read_problems(kind, folder.put("task.jsonl", lines));
  return problems.ok() ? "none" : problems.error().message;
}

TEST(Problems, Gsm8k) {
  const auto problems = read(ProblemKind::gsm8k,
                             "{\"question\": \"1 + 1?\", \"answer\": \"It is 2.\\n#### 2\"}\n"
                             "{\"question\": \"2 + 2?\", \"answer\": \"#### 4\"}\n");
  ASSERT_EQ(problems.size(), 2u);
  EXPECT_EQ(problems[1].id, "2");
  EXPECT_EQ(problems[0].target, "It is 2.\n#### 2");
  EXPECT_EQ(*prompt_with_shots(problems[1], problems, 1),
            "Question: 1 + 1?\nAnswer: It is 2.\n#### 2\n\nQuestion: 2 + 2?\nAnswer:");
  EXPECT_TRUE(says(prompt_with_shots(problems[1], problems, 2).error().message, "too few|2"));
}

TEST(Problems, Gsm8kWithAPromptOfItsOwn) {
  const auto problems =
      read(ProblemKind::gsm8k,
           "{\"question\": \"1?\", \"answer\": \"#### 1\", \"prompt\": \"Q: 1?\\nA:\\n\"}\n"
           "{\"question\": \"2?\", \"answer\": \"#### 2\", \"prompt\": \"Q: 2?\\nA:\\n\"}\n");
  ASSERT_EQ(problems.size(), 2u);
  EXPECT_EQ(*prompt_with_shots(problems[1], problems, 1), "Q: 1?\nA:\n#### 1\n\nQ: 2?\nA:\n");
}

TEST(Problems, HumanEval) {
  const auto problems =
      read(ProblemKind::humaneval,
           "{\"task_id\": \"HumanEval/9\", \"prompt\": \"def f(x):\\n\", \"entry_point\": \"f\", "
           "\"canonical_solution\": \"    return x\\n\", "
           "\"test\": \"def check(candidate):\\n    assert candidate(1) == 1\\n\"}");
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_EQ(problems[0].id, "HumanEval/9");
  EXPECT_EQ(*prompt_with_shots(problems[0], {}, 0), "def f(x):\n");
  EXPECT_EQ(program_of(problems[0], problems[0].target), "def f(x):\n    return x\n\n");
  EXPECT_EQ(problems[0].function, "f");
  EXPECT_EQ(problems[0].tests, "def check(candidate):\n    assert candidate(1) == 1\n\ncheck(f)\n");
}

TEST(Problems, Mbpp) {
  const auto problems =
      read(ProblemKind::mbpp,
           "{\"task_id\": 2, \"text\": \"Double it.\", \"code\": \"def f(x):\\n  return 2 * x\", "
           "\"test_setup_code\": \"import math\", "
           "\"test_list\": [\"assert f(1) == 2\", \"assert 1\", \"assert 2\", \"assert 3\"]}\n"
           "{\"task_id\": 3, \"prompt\": \"Halve it.\", \"code\": \"pass\", "
           "\"test_imports\": [\"import re\"], \"test_list\": [\"assert 4\"]}\n");
  ASSERT_EQ(problems.size(), 2u);
  EXPECT_EQ(*prompt_with_shots(problems[1], problems, 1),
            "You are an expert Python programmer, and here is your task: Double it. Your code "
            "should pass these tests:\n\nassert f(1) == 2\nassert 1\nassert 2\n[BEGIN]\n"
            "def f(x):\n  return 2 * x\n[DONE]\n\n"
            "You are an expert Python programmer, and here is your task: Halve it. Your code "
            "should pass these tests:\n\nassert 4\n[BEGIN]\n");
  EXPECT_EQ(program_of(problems[0], "code"), "code\n");
  EXPECT_EQ(problems[0].tests, "import math\nassert f(1) == 2\nassert 1\nassert 2\nassert 3\n");
  EXPECT_EQ(problems[1].tests, "import re\n\nassert 4\n");
}

TEST(Problems, WhatIsWrongIsSaid) {
  EXPECT_TRUE(says(failure(ProblemKind::gsm8k, "{\"question\": \"x\"}"), "task.jsonl:1|answer"));
  EXPECT_TRUE(says(failure(ProblemKind::humaneval, "{\"task_id\": 3}"), "task_id|3"));
  EXPECT_TRUE(says(failure(ProblemKind::mbpp,
                           "{\"task_id\": 3, \"text\": \"x\", \"code\": \"\", \"test_list\": []}"),
                   "test_list|at least one"));
}

}  // namespace
}  // namespace tidar
