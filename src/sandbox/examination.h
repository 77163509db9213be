#pragma once
// Examines a program that nobody has looked at, by tests that it cannot see: see examiner.py, which
// runs in the sandbox.

#include <string>
#include <string_view>

#include "base/result.h"
#include "sandbox/sandbox.h"

namespace tidar {

/// What a program is held against. All are Python.
struct Examination {
  /// A program that passes. What the tests name of it, beside what is tested, is its own also where
  /// the program under test has something of that name.
  std::string solution;
  /// What is tested: the tests find the program's here. "" is all that the tests name of what the
  /// solution defines.
  std::string function;
  /// Statements that raise an exception where the program is wrong.
  std::string tests;
};

struct Finding {
  bool passed = false;
  std::string why;  ///< "passed", or how it failed, in a few words
};

/// Takes as long as the program, at most the sandbox's limit. Limits of one process count for
/// program and tests each. An Error when the sandbox does not work any more.
Result<Finding> examine(const Sandbox& sandbox, std::string_view program,
                        const Examination& examination);

}  // namespace tidar
