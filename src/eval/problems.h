#pragma once
// Problems that are solved by generated text, and their files as others publish them: GSM8K,
// HumanEval, MBPP. Prompts, stop strings and checks are those of lm-evaluation-harness.

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace tidar {

enum class ProblemKind : uint8_t { gsm8k, humaneval, mbpp };

struct Problem {
  std::string id;      ///< "HumanEval/0", "Mbpp/11"; of GSM8K the number of the line
  std::string prompt;  ///< what the model continues, behind the shots
  std::string target;  ///< the solution that stands in the file, as the model could have said it
  std::string shot;    ///< prompt and target, as an example for other problems
  // Programs:
  std::string before;    ///< what stands before the completion
  std::string function;  ///< what is tested; "" means what the tests name of the solution
  std::string tests;     ///< statements that fail where the program is wrong
};

/// "gsm8k", "humaneval", "mbpp".
std::string_view name_of(ProblemKind kind);

/// All problems of a file. An Error names the line and the field.
Result<std::vector<Problem>> read_problems(ProblemKind kind, const std::filesystem::path& path);

/// Texts that end a completion.
std::vector<std::string> stop_strings(ProblemKind kind);

/// The prompt behind the first `count` of `shots` that are other problems, an empty line after
/// each. An Error when there are fewer.
Result<std::string> prompt_with_shots(const Problem& problem, std::span<const Problem> shots,
                                      int count);

/// The whole program that a completion makes, without its tests.
std::string program_of(const Problem& problem, std::string_view completion);

}  // namespace tidar
