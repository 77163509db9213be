// tidar tokenize: text on stdin to ids on stdout.

#include <memory>

#include "apps/command.h"
#include "apps/ids.h"
#include "apps/output.h"
#include "text/tokenizer.h"

namespace tidar {
namespace {

struct TokenizeFlags {
  std::string model;
  bool no_special = false;
};

Result<int> tokenize(const TokenizeFlags& flags) {
  TIDAR_TRY(const Tokenizer tokenizer, Tokenizer::open(flags.model));
  TIDAR_TRY(const std::string text, read_text("-"));
  const AddSpecial special = flags.no_special ? AddSpecial::no : AddSpecial::yes;
  print_json(tokenizer.encode(text, special));
  return kDone;
}

}  // namespace

void add_tokenize(CLI::App& program, Action& action) {
  CLI::App& command =
      *program.add_subcommand("tokenize", "Text from stdin to token ids, a JSON array on stdout");
  const auto flags = std::make_shared<TokenizeFlags>();  // shared by the parser and the action
  command.add_option("--model", flags->model, "Folder with tokenizer.json, or GGUF file")
      ->required()
      ->type_name("PATH");
  command.add_flag("--no-special", flags->no_special,
                   "Leave out what the tokenizer puts around every text");
  command.callback([flags, &action] { action = [flags] { return tokenize(*flags); }; });
}

}  // namespace tidar
