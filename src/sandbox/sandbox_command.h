#pragma once
// The command line behind the sandbox: setpriv, bwrap, prlimit, python3, each in its turn.

#include <string>
#include <vector>

#include "sandbox/sandbox.h"

namespace tidar {

/// Descriptors that the command expects to be open.
inline constexpr int kProgramFd = 3;  ///< the program's text, read from its beginning
inline constexpr int kFilterFd = 4;   ///< its system call filter
inline constexpr int kStatusFd = 5;   ///< where bwrap writes what became of it, as JSON

/// The words of the command. Where this process is root it becomes nobody first, for root is
/// exempt from limits on processes; prlimit comes last, for such a limit counts all processes of a
/// user, and only inside are they those of the program alone.
std::vector<std::string> sandbox_command(const SandboxLimits& limits, const std::string& bwrap);

}  // namespace tidar
