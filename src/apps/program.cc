#include "apps/program.h"

#include <sys/mman.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include "apps/help.h"
#include "apps/output.h"
#include "base/nearest.h"
#include "base/out_of_memory.h"

namespace tidar {
namespace {

/// The innermost subcommand that was named on the command line.
const CLI::App& innermost(const CLI::App& app) {
  const auto chosen = app.get_subcommands();
  return chosen.empty() ? app : innermost(*chosen.front());
}

std::vector<std::string> flags_of(const CLI::App& app) {
  std::vector<std::string> flags;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) flags.push_back("--" + name);
  }
  return flags;
}

std::vector<std::string> subcommands_of(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands(nullptr)) names.push_back(command->get_name());
  return names;
}

/// "unknown flag --modle; did you mean --model?"
std::string describe_unknown(const CLI::App& program) {
  const CLI::App& command = innermost(program);
  std::vector<std::string> unknown = program.remaining(true);
  if (unknown.empty()) return "unexpected argument";
  const std::string word = unknown.front().substr(0, unknown.front().find('='));
  const bool flag = word.starts_with("-");
  const bool names_command = !flag && !command.get_subcommands(nullptr).empty();
  const std::vector<std::string> known = flag ? flags_of(command) : subcommands_of(command);
  std::string text = fmt::format("unknown {} {}",
                                 flag            ? "flag"
                                 : names_command ? "subcommand"
                                                 : "argument",
                                 word);
  const std::string meant = flag || names_command ? nearest(word, known) : "";
  if (!meant.empty()) text += fmt::format("; did you mean {}?", meant);
  return text;
}

/// "tidar data tokens"
std::string full_name(const CLI::App& command) {
  const CLI::App* parent = command.get_parent();
  return (parent != nullptr ? full_name(*parent) + " " : "") + command.get_name();
}

int wrong_use(const CLI::App& program, const std::string& what) {
  const std::string name = full_name(innermost(program));
  print_error(fmt::format("{} (see {} --help)", what, name));
  return kWrongUse;
}

/// "…; a smaller model, --context, --weights bf16 may do", with those flags that the command has.
Error no_memory(const std::exception& failure, const CLI::App& command) {
  std::string advice = "a smaller model";
  for (const std::string flag : {"--context", "--rows"}) {
    if (command.get_option_no_throw(flag) != nullptr) advice += ", a smaller " + flag;
  }
  if (command.get_option_no_throw("--weights") != nullptr) advice += ", --weights bf16";
  return error("{}; {} may do", describe(failure, "this run"), advice);
}

/// What nobody has caught is said, too: memory for something small, a thread that cannot be
/// started.
Result<int> guarded(const Action& action, const CLI::App& command) {
  try {
    return action();
  } catch (const std::bad_alloc& failure) {
    return no_memory(failure, command);
  } catch (const std::length_error& failure) {
    return no_memory(failure, command);
  } catch (const std::filesystem::filesystem_error& failure) {
    return error("{}: {}", failure.path1().string(), failure.code().message());
  } catch (const std::system_error& failure) {
    return error("the system lets no more threads be started ({}); --threads 1 needs none",
                 failure.what());
  } catch (const std::exception& failure) {
    return error("{}", failure.what());
  }
}

/// As run_program(), but for what it catches.
int run(const ProgramFacts& facts, int argc, char** argv) {
  CLI::App program(facts.description, "tidar");
  program.require_subcommand(1);
  program.set_version_flag("--version", facts.version);
  program.formatter(std::make_shared<HelpFormatter>());
  Action action;
  for (const AddCommand add : facts.commands) add(program, action);
  try {
    program.parse(argc, argv);
  } catch (const CLI::Success& help) {  // --help and --version
    return program.exit(help);
  } catch (const CLI::ExtrasError&) {
    return wrong_use(program, describe_unknown(program));
  } catch (const CLI::ParseError& error) {
    const bool unknown_command = dynamic_cast<const CLI::RequiredError*>(&error) != nullptr &&
                                 !program.remaining(true).empty();
    return wrong_use(program, unknown_command ? describe_unknown(program) : error.what());
  }

  Result<int> outcome = guarded(action, innermost(program));
  if (outcome.ok()) {
    if (const Result<void> flushed = flush_output(); !flushed.ok()) outcome = flushed.error();
  }
  if (outcome.ok()) return *outcome;
  print_error(outcome.error().message);
  return kFailed;
}

// The stack of main() grows as it is used; where no memory is left for that, a program ends by a
// signal and without a word. So what this one uses, 0.3 MB, is had before anything else is.
constexpr size_t kStackBytes = 512 << 10;

bool has_room_for_stack() {
  void* const room =
      mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return room != MAP_FAILED && munmap(room, kStackBytes) == 0;
}

[[gnu::noinline]] void touch_stack() {
  constexpr size_t kPage = 4096;
  [[maybe_unused]] volatile char stack[kStackBytes];
  for (size_t i = 0; i < kStackBytes; i += kPage) stack[i] = 0;
}

int no_memory_to_begin() {
  std::fputs("tidar: no memory to begin with\n", stderr);
  return kFailed;
}

}  // namespace

int run_program(const ProgramFacts& facts, int argc, char** argv) {
  if (!has_room_for_stack()) return no_memory_to_begin();
  touch_stack();
  try {
    return run(facts, argc, argv);
  } catch (const std::bad_alloc&) {  // before there is anything to do
    return no_memory_to_begin();
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "tidar: %s\n", failure.what());
    return kFailed;
  }
}

}  // namespace tidar
