#include "eval/problems.h"

#include <algorithm>
#include <array>
#include <utility>

#include "eval/shots.h"
#include "format/jsonl.h"

namespace tidar {
namespace {

Result<Problem> read_gsm8k(const JsonFields& fields, int64_t line) {
  Problem problem;
  TIDAR_TRY(const std::string question, fields.text("question"));
  TIDAR_TRY(problem.target, fields.text("answer"));
  problem.id = std::to_string(line);
  TIDAR_TRY(problem.prompt, fields.text("prompt", "Question: " + question + "\nAnswer:"));
  problem.shot = problem.prompt + (fields.has("prompt") ? "" : " ") + problem.target;
  return problem;
}

Result<Problem> read_humaneval(const JsonFields& fields, int64_t /*line*/) {
  Problem problem;
  TIDAR_TRY(problem.id, fields.text("task_id"));
  TIDAR_TRY(problem.prompt, fields.text("prompt"));
  TIDAR_TRY(problem.target, fields.text("canonical_solution"));
  TIDAR_TRY(const std::string test, fields.text("test"));
  TIDAR_TRY(problem.function, fields.text("entry_point"));
  problem.shot = problem.prompt + problem.target;
  problem.before = problem.prompt;
  problem.tests = test + "\ncheck(" + problem.function + ")\n";
  return problem;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

/// The full file says "text" and "test_setup_code", the sanitised one "prompt" and "test_imports".
Result<Problem> read_mbpp(const JsonFields& fields, int64_t /*line*/) {
  TIDAR_TRY(const int number, fields.integer("task_id", {0, 1 << 30}));
  TIDAR_TRY(const std::string text, fields.text(fields.has("text") ? "text" : "prompt"));
  TIDAR_TRY(const std::string code, fields.text("code"));
  TIDAR_TRY(const std::string setup, fields.text("test_setup_code", ""));
  TIDAR_TRY(const std::vector<std::string> imports, fields.texts("test_imports"));
  TIDAR_TRY(const std::vector<std::string> tests, fields.texts("test_list"));
  if (tests.empty()) return fields.wrong("test_list", "a list of at least one test");
  Problem problem;
  problem.id = fmt::format("Mbpp/{}", number);
  constexpr size_t kShown = 3;  // tests in the prompt
  const std::vector<std::string> shown(
      tests.begin(), tests.begin() + static_cast<int>(std::min(kShown, tests.size())));
  problem.prompt = "You are an expert Python programmer, and here is your task: " + text +
                   " Your code should pass these tests:\n\n" + joined(shown) + "[BEGIN]\n";
  problem.target = code;
  problem.shot = problem.prompt + code + "\n[DONE]";
  problem.tests = joined(imports) + setup + "\n" + joined(tests);
  return problem;
}

struct ProblemKindInfo {
  std::string_view name;
  Result<Problem> (*read)(const JsonFields&, int64_t);
  std::vector<std::string> stop;
};

const ProblemKindInfo& info(ProblemKind kind) {
  static const std::array<ProblemKindInfo, 3> kinds = {{
      {"gsm8k", read_gsm8k, {"Question:", "</s>", "<|im_end|>"}},
      {"humaneval", read_humaneval, {"\nclass", "\ndef", "\n#", "\nif", "\nprint"}},
      {"mbpp", read_mbpp, {"[DONE]"}},
  }};
  return kinds[static_cast<size_t>(kind)];
}

}  // namespace

std::string_view name_of(ProblemKind kind) { return info(kind).name; }

std::vector<std::string> stop_strings(ProblemKind kind) { return info(kind).stop; }

Result<std::vector<Problem>> read_problems(ProblemKind kind, const std::filesystem::path& path) {
  return read_items<Problem>(path, info(kind).read);
}

Result<std::string> prompt_with_shots(const Problem& problem, std::span<const Problem> shots,
                                      int count) {
  TIDAR_TRY(const std::string before,
            text_of_shots(
                shots, count, problem.id,
                [&](const Problem& shot) { return shot.prompt == problem.prompt; },
                [](const Problem& shot) { return shot.shot; }));
  return before + problem.prompt;
}

std::string program_of(const Problem& problem, std::string_view completion) {
  return problem.before + std::string(completion) + "\n";
}

}  // namespace tidar
