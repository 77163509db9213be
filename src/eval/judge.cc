#include "eval/judge.h"

#include <random>
#include <utility>

#include "base/check.h"
#include "eval/number_answer.h"
#include "format/files.h"

namespace tidar {
namespace {

/// The last line that is not blank: of a traceback, the exception.
std::string last_line(std::string_view text) {
  const size_t end = text.find_last_not_of(" \n\r\t");
  if (end == text.npos) return "";
  const size_t begin = text.find_last_of('\n', end);
  return std::string(text.substr(begin == text.npos ? 0 : begin + 1, end - begin));
}

Verdict judge_number(const Problem& problem, std::string_view completion) {
  const auto right = [&](const std::optional<std::string>& answer) {
    return answer.has_value() && same_answer(*answer, problem.target);
  };
  return {.checks = {{"strict", right(strict_answer(completion))},
                     {"flexible", right(flexible_answer(completion))}},
          .why = ""};
}

std::string make_password() {
  std::random_device random;
  return fmt::format("{:08x}{:08x}{:08x}{:08x}", random(), random(), random(), random());
}

/// Why a program that did not say the password has failed.
std::string failure_of(const SandboxOutcome& outcome) {
  switch (outcome.end) {
    case SandboxEnd::time:
      return "used up its time";
    case SandboxEnd::memory:
      return "used up its memory";
    case SandboxEnd::output:
      return "wrote too much";
    case SandboxEnd::exited:
      break;
  }
  if (outcome.exit_code == 0) return "ended before its tests";
  if (outcome.exit_code > 128)
    return fmt::format("was ended by signal {}", outcome.exit_code - 128);
  const std::string line = last_line(outcome.errors);
  return line.empty() ? fmt::format("exit code {}", outcome.exit_code) : in_quotes(line);
}

}  // namespace

bool runs_programs(ProblemKind kind) { return kind != ProblemKind::gsm8k; }

Judge::Judge(ProblemKind kind, std::optional<Sandbox> sandbox)
    : kind_(kind), sandbox_(std::move(sandbox)), password_(make_password()) {
  TIDAR_CHECK(!runs_programs(kind) || sandbox_.has_value());
}

Result<Verdict> Judge::judge(const Problem& problem, std::string_view completion) const {
  if (!runs_programs(kind_)) return judge_number(problem, completion);
  return run(problem, completion);
}

Result<Verdict> Judge::run(const Problem& problem, std::string_view completion) const {
  // An exit code of 0 does not show that the tests ran: the completion could have called exit().
  const std::string program = program_of(problem, completion) +
                              fmt::format("\n__import__('os').write(1, b'{}')\n", password_);
  TIDAR_TRY(const SandboxOutcome outcome, sandbox_->run(program));
  const bool passed = outcome.end == SandboxEnd::exited && outcome.exit_code == 0 &&
                      outcome.output.find(password_) != std::string::npos;
  return Verdict{.checks = {{"passed", passed}}, .why = passed ? "passed" : failure_of(outcome)};
}

}  // namespace tidar
