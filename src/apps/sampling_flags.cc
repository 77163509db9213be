#include "apps/sampling_flags.h"

#include "apps/ranges.h"

namespace tidar {

void add_sampling_flags(CLI::App& command, Sampling& sampling) {
  command.add_option("--temperature,--temp", sampling.temperature, "0 is greedy")
      ->check(number(0.0, 1e6))
      ->type_name("T")
      ->capture_default_str();
  command.add_option("--top-k", sampling.top_k, "Only the N most probable (0: all)")
      ->check(whole_number(0))
      ->type_name("N")
      ->capture_default_str();
  command.add_option("--top-p", sampling.top_p, "Only the most probable that sum to P")
      ->check(number(0.0, 1.0))
      ->type_name("P")
      ->capture_default_str();
  command.add_option("--min-p", sampling.min_p, "Only those P times as probable as the first")
      ->check(number(0.0, 1.0))
      ->type_name("P")
      ->capture_default_str();
  command.add_option("--seed", sampling.seed, "The same seed gives the same text")
      ->check(seed_number())
      ->type_name("S")
      ->capture_default_str();
}

}  // namespace tidar
