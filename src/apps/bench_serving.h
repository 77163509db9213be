#pragma once
// `tidar bench --serve`: its flags, and what it prints of a server under so many clients.

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "base/result.h"

namespace tidar {

struct ServingFlags {
  std::string url;  ///< "": no server is timed
  std::string api_key;
  std::string clients = "1,4,16,64";
  std::string methods = "ar,default";
  std::string prompt = "Question: How much is {n} and 7?\nAnswer:";
  int max_new = 64;
};

/// Adds the flags. `of_others` say nothing about a server, and are refused beside it. `flags` must
/// outlive the parsing.
void add_serving_flags(CLI::App& command, ServingFlags& flags,
                       const std::vector<CLI::Option*>& of_others);

/// Prints a table, or JSON. Returns the exit code.
Result<int> bench_serving(const ServingFlags& flags, double seconds, bool json);

}  // namespace tidar
