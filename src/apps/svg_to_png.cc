#include "apps/svg_to_png.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>

namespace tidar {

Result<PngOutcome> svg_to_png(const std::filesystem::path& svg, const std::filesystem::path& png) {
  std::string program = "rsvg-convert", zoom = "--zoom=2.5", source = svg.string();
  const std::string partial = png.string() + ".partial";
  std::string target = "--output=" + partial;
  // A path that begins with '-' is no flag.
  std::string flags_end = "--";
  const std::array<char*, 6> arguments = {program.data(),   zoom.data(),   target.data(),
                                          flags_end.data(), source.data(), nullptr};
  pid_t child = 0;
  const int failure =
      posix_spawnp(&child, program.c_str(), nullptr, nullptr, arguments.data(), environ);
  if (failure == ENOENT) return PngOutcome::no_converter;
  if (failure != 0) return error("{}: cannot be started: {}", program, strerror(failure));
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return error("{}: got lost: {}", program, strerror(errno));
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    ::unlink(partial.c_str());
    return error("{}: {} could not draw it; --no-png leaves pictures out", svg.string(), program);
  }
  std::error_code failed;
  std::filesystem::rename(partial, png, failed);
  if (failed) return error("{}: cannot be written: {}", png.string(), failed.message());
  return PngOutcome::written;
}

}  // namespace tidar
