#include "sandbox/process_tree.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace tidar {

std::vector<pid_t> children_of(pid_t process) {
  std::vector<pid_t> children;
  std::error_code gone;
  const std::string tasks = "/proc/" + std::to_string(process) + "/task";
  for (std::filesystem::directory_iterator task(tasks, gone), end; !gone && task != end;
       task.increment(gone)) {
    std::ifstream file(task->path() / "children");
    for (pid_t child = 0; file >> child;) children.push_back(child);
  }
  return children;
}

int64_t resident_bytes(pid_t process) {
  std::ifstream file("/proc/" + std::to_string(process) + "/statm");
  int64_t all = 0, resident = 0;
  file >> all >> resident;
  int64_t bytes = resident * sysconf(_SC_PAGESIZE);
  for (const pid_t child : children_of(process)) bytes += resident_bytes(child);
  return bytes;
}

}  // namespace tidar
