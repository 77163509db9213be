#include "eval/judge.h"

#include <utility>

#include "base/check.h"
#include "eval/number_answer.h"
#include "sandbox/examination.h"

namespace tidar {
namespace {

Verdict judge_number(const Problem& problem, std::string_view completion) {
  const auto right = [&](const std::optional<std::string>& answer) {
    return answer.has_value() && same_answer(*answer, problem.target);
  };
  return {.checks = {{"strict", right(strict_answer(completion))},
                     {"flexible", right(flexible_answer(completion))}},
          .why = ""};
}

}  // namespace

bool runs_programs(ProblemKind kind) { return kind != ProblemKind::gsm8k; }

Judge::Judge(ProblemKind kind, std::optional<Sandbox> sandbox)
    : kind_(kind), sandbox_(std::move(sandbox)) {
  TIDAR_CHECK(!runs_programs(kind) || sandbox_.has_value());
}

Result<Verdict> Judge::judge(const Problem& problem, std::string_view completion) const {
  if (!runs_programs(kind_)) return judge_number(problem, completion);
  return run(problem, completion);
}

Result<Verdict> Judge::run(const Problem& problem, std::string_view completion) const {
  TIDAR_TRY(Finding found, examine(*sandbox_, program_of(problem, completion),
                                   {.solution = program_of(problem, problem.target),
                                    .function = problem.function,
                                    .tests = problem.tests}));
  return Verdict{.checks = {{"passed", found.passed}}, .why = std::move(found.why)};
}

}  // namespace tidar
