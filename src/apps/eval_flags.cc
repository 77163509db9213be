#include "apps/eval_flags.h"

#include "apps/method_list.h"
#include "apps/ranges.h"
#include "apps/sampling_flags.h"

namespace tidar {
namespace {

void add_task_flags(CLI::App& command, EvalFlags& flags) {
  command.option_defaults()->group("Task");
  command
      .add_option("--task", flags.task,
                  "What to evaluate on; its kind (choices, text, gsm8k, humaneval, mbpp, "
                  "documents) is told by its first line, or given before a colon; a token shard "
                  "holds documents")
      ->required()
      ->option_text("[KIND:]FILE");
  command
      .add_option("--out", flags.out,
                  "Folder for the results, a line an item; a run that was ended goes on there")
      ->type_name("DIR");
  command.add_option("--limit", flags.limit, "Only the first N items (0: all)")
      ->check(whole_number(0))
      ->type_name("N")
      ->capture_default_str();
  CLI::Option* shots =
      command.add_option("--shots", flags.shots, "Solved examples before each item")
          ->check(whole_number(0))
          ->type_name("N")
          ->capture_default_str();
  command
      .add_option("--shots-file", flags.shots_file,
                  "Where the examples stand, first ones first: a file like the task's")
      ->type_name("FILE")
      ->needs(shots);
  command.add_flag("--check-solutions", flags.check_solutions,
                   "Judge the solutions of the task's file itself; needs no model");
  command.add_flag("--say-solutions", flags.say_solutions,
                   "Say those solutions instead of the model's own: how probable they are, and "
                   "how many of their tokens a pass brings");
}

void add_generation_flags(CLI::App& command, EvalFlags& flags) {
  command.option_defaults()->group("Generation (gsm8k, humaneval, mbpp, documents)");
  command.add_option("--samples", flags.samples, "Answers to each problem, for pass@N")
      ->check(whole_number(1, 10000))
      ->type_name("N")
      ->capture_default_str();
  command
      .add_option("--max-new,-n", flags.max_new,
                  "New tokens of an answer at most (0: 512 for programs, else 256)")
      ->check(whole_number(0))
      ->type_name("N")
      ->capture_default_str();
  add_sampling_flags(command, flags.sampling);
  command.add_option("--time-limit", flags.sandbox.cpu_s, "Seconds that a program may compute")
      ->check(whole_number(1, 3600))
      ->type_name("S")
      ->capture_default_str();
  command
      .add_option_function<int>(
          "--memory-limit", [&flags](int mib) { flags.sandbox.memory_bytes = int64_t{mib} << 20; },
          "Memory of a program, in MiB (default: 1024)")
      ->check(whole_number(64, 1 << 20))
      ->type_name("MIB");
}

void add_documents_flags(CLI::App& command, EvalFlags& flags) {
  command.option_defaults()->group("Documents");
  command
      .add_option("--methods", flags.methods,
                  "Methods to compare, names between commas; behind tidar perhaps its groups, else "
                  "auto (default: ar and the checkpoint's own)")
      ->check(parsed_by(parse_methods))
      ->type_name("METHODS");
  command
      .add_option("--draft-lengths", flags.draft_lengths,
                  "Tokens of a draft, each tried with each method that drafts (default: the "
                  "checkpoint's block size, or 8)")
      ->check(parsed_by(
          [](const std::string& text) { return parse_draft_lengths(text, kLongestDraft); }))
      ->type_name("K,K,...");
  command
      .add_option("--prompt-tokens", flags.prompt_tokens,
                  "First tokens that are the prompt of a document without one, but not more than "
                  "half of it")
      ->check(whole_number(1))
      ->type_name("N")
      ->capture_default_str();
}

void add_likelihood_flags(CLI::App& command, EvalFlags& flags) {
  command.option_defaults()->group("Likelihood (choices, text)");
  command
      .add_option("--mc-samples", flags.monte_carlo_samples,
                  "With a diffusion method: random maskings of each text, from --seed")
      ->check(whole_number(2, 1 << 20))
      ->type_name("N")
      ->capture_default_str();
  command
      .add_option("--window", flags.window,
                  "text: tokens that are read together (0: up to 2048, as far as the model goes)")
      ->check(whole_number(0))
      ->type_name("N")
      ->capture_default_str();
  command.add_option("--stride", flags.stride, "text: tokens between windows (0: half a window)")
      ->check(whole_number(0))
      ->type_name("N")
      ->capture_default_str();
}

}  // namespace

void add_eval_flags(CLI::App& command, EvalFlags& flags) {
  add_task_flags(command, flags);
  add_generation_flags(command, flags);
  add_documents_flags(command, flags);
  add_likelihood_flags(command, flags);
  add_method_flags(command, flags.method);
  add_model_flags(command, flags.model);
  command.get_option("--model")->required(false);  // --check-solutions needs none
  add_context_flag(command, flags.model);
  command
      .add_option("--together", flags.together,
                  "Items that share passes; their texts and scores do not depend on it; of "
                  "documents it is always one")
      ->check(whole_number(1, 256))
      ->type_name("N")
      ->capture_default_str();
  command.option_defaults()->group("Report");
  command.add_flag("--json", flags.json, "One JSON object on stdout instead of text");
}

void check_eval_flags(const EvalFlags& flags) {
  const auto refuse = [](const std::string& what) { throw CLI::ValidationError(what); };
  if (flags.shots > 0 && flags.shots_file.empty()) refuse("--shots needs --shots-file");
  if (flags.check_solutions) {
    if (!flags.out.empty()) refuse("--check-solutions writes no results; leave --out out");
    return;
  }
  if (flags.model.model.empty()) refuse("--model is required");
  check_method_flags(flags.method);
  if (!flags.methods.empty()) {
    const auto& of_methods = flags.method.of_methods;
    for (const FlagOfMethods& flag : of_methods) {
      if (flag.option->count() == 0 || flag.option->get_name() == "--prices") continue;
      refuse(flag.option->get_name() + " has no meaning beside --methods; leave one of them out");
    }
    if (!flags.method.name.empty()) refuse("--method has no meaning beside --methods");
  }
  if (flags.out.empty()) refuse("--out is required");
  if (flags.window == 1) refuse("--window: expected at least 2 tokens, of which one is predicted");
  if (flags.window > 0 && flags.stride >= flags.window) {
    refuse("--stride: expected less than the window");
  }
}

}  // namespace tidar
