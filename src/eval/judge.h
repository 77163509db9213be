#pragma once
// Whether a completion solves its problem.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "eval/problems.h"
#include "sandbox/sandbox.h"

namespace tidar {

/// What was found of one completion.
struct Verdict {
  struct Check {
    std::string_view name;  ///< "strict", "flexible"; "passed"
    bool right = false;
  };
  std::vector<Check> checks;  ///< the same ones for all problems of a kind
  std::string why;            ///< programs: "passed", or how it failed, in a few words
};

class Judge {
 public:
  /// `sandbox` may be missing for kinds that run no programs.
  Judge(ProblemKind kind, std::optional<Sandbox> sandbox);

  /// An Error when the sandbox does not work any more. Takes as long as the program, at most the
  /// sandbox's limit.
  Result<Verdict> judge(const Problem& problem, std::string_view completion) const;

 private:
  Result<Verdict> run(const Problem& problem, std::string_view completion) const;

  ProblemKind kind_;
  std::optional<Sandbox> sandbox_;
};

/// Whether problems of the kind are programs, which need a sandbox.
bool runs_programs(ProblemKind kind);

}  // namespace tidar
