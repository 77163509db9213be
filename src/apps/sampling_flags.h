#pragma once
// The flags that say how tokens are drawn.

#include <CLI/CLI.hpp>

#include "base/sampling.h"

namespace tidar {

/// Adds --temperature, --top-k, --top-p, --min-p and --seed to the group of options under way.
/// `sampling` must outlive the parsing; what it holds is the default.
void add_sampling_flags(CLI::App& command, Sampling& sampling);

}  // namespace tidar
