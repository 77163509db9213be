#include "sandbox/examination.h"

#include "base/check.h"
#include "format/files.h"
#include "format/json.h"

namespace tidar {

extern const char* const kExaminer;  // examiner.py

namespace {

constexpr std::string_view kPassed = "passed";
constexpr std::string_view kRaised = "raised ";
constexpr std::string_view kEnded = "ended ";

/// The last line that is not blank: of a traceback, the exception.
std::string last_line(std::string_view text) {
  const size_t end = text.find_last_not_of(" \n\r\t");
  if (end == text.npos) return "";
  const size_t begin = text.find_last_of('\n', end);
  return std::string(text.substr(begin == text.npos ? 0 : begin + 1, end - begin));
}

/// Why there is no verdict of the examiner's.
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
  if (outcome.exit_code > 128)
    return fmt::format("was ended by signal {}", outcome.exit_code - 128);
  const std::string line = last_line(outcome.errors);
  return line.empty() ? fmt::format("exit code {}", outcome.exit_code) : in_quotes(line);
}

}  // namespace

Result<Finding> examine(const Sandbox& sandbox, std::string_view program,
                        const Examination& examination) {
  const Json task = {{"program", program},
                     {"solution", examination.solution},
                     {"function", examination.function},
                     {"tests", examination.tests}};
  // What a model makes up may be cut inside a character.
  TIDAR_TRY(const SandboxOutcome outcome,
            sandbox.run(kExaminer, task.dump(-1, ' ', true, Json::error_handler_t::replace)));
  const std::string_view verdict = outcome.output;
  if (outcome.end != SandboxEnd::exited || outcome.exit_code != 0) {
    return Finding{.passed = false, .why = failure_of(outcome)};
  }
  if (verdict == kPassed) return Finding{.passed = true, .why = std::string(kPassed)};
  if (verdict.starts_with(kRaised)) {
    return Finding{.passed = false, .why = in_quotes(verdict.substr(kRaised.size()))};
  }
  TIDAR_CHECK(verdict.starts_with(kEnded));
  return Finding{.passed = false, .why = std::string(verdict.substr(kEnded.size()))};
}

}  // namespace tidar
