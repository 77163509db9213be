// tidar detokenize: ids on stdin to text on stdout.

#include <filesystem>
#include <memory>

#include "apps/command.h"
#include "apps/ids.h"
#include "apps/output.h"
#include "format/gguf.h"
#include "text/tokenizer.h"

namespace tidar {
namespace {

struct DetokenizeFlags {
  std::string model;
  bool skip_special = false;
};

/// How many ids there are: those of the model beside the tokenizer, which may be padded with ids
/// that have no text; those of the tokenizer where it stands alone.
Result<int> vocabulary_of(const std::filesystem::path& model, const Tokenizer& tokenizer) {
  const bool alone = !is_gguf_path(model) && !std::filesystem::exists(model / "config.json");
  if (alone) return tokenizer.size();
  TIDAR_TRY(const ModelConfig config, read_model_config(model));
  TIDAR_TRY_VOID(check_fits(tokenizer, config.vocabulary, model.string()));
  return config.vocabulary;
}

Result<int> detokenize(const DetokenizeFlags& flags) {
  TIDAR_TRY(const Tokenizer tokenizer, Tokenizer::open(flags.model));
  TIDAR_TRY(const std::string text, read_text("-"));
  TIDAR_TRY(const std::vector<int32_t> ids, parse_ids(text, "stdin"));
  TIDAR_TRY(const int vocabulary, vocabulary_of(flags.model, tokenizer));
  TIDAR_TRY_VOID(check_ids(ids, vocabulary, "stdin"));
  print(tokenizer.decode(ids, flags.skip_special ? SkipSpecial::yes : SkipSpecial::no));
  return kDone;
}

}  // namespace

void add_detokenize(CLI::App& program, Action& action) {
  CLI::App& command =
      *program.add_subcommand("detokenize", "Token ids from stdin (1,2,3 or a JSON array) to text");
  const auto flags = std::make_shared<DetokenizeFlags>();  // shared by the parser and the action
  command.add_option("--model", flags->model, "Folder with tokenizer.json, or GGUF file")
      ->required()
      ->type_name("PATH");
  command.add_flag("--skip-special", flags->skip_special, "Leave out special tokens");
  command.callback([flags, &action] { action = [flags] { return detokenize(*flags); }; });
}

}  // namespace tidar
