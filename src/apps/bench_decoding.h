#pragma once
// `tidar bench --decode`: its flags, and what it prints (decode_bench.h times).

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "apps/session.h"
#include "base/result.h"

namespace tidar {

struct DecodingFlags {
  bool decode = false;
  std::string trace;  ///< a file
  std::string batches = "1,2,4,8,16,32,64";
  std::string draft_lengths;  ///< "": that of the trace
  std::string methods = "ar,tidar,tidar:all,tidar:last,self-speculative,lookup";
  std::string prices_from;  ///< as --prices of generate
};

/// Adds the flags. `of_passes` say nothing about decoding, and are refused beside it. `flags` must
/// outlive the parsing.
void add_decoding_flags(CLI::App& command, DecodingFlags& flags,
                        const std::vector<CLI::Option*>& of_passes);

/// Prints a table, or JSON. Returns the exit code.
Result<int> bench_decoding(const DecodingFlags& flags, const ModelFlags& model, double seconds,
                           bool json);

}  // namespace tidar
