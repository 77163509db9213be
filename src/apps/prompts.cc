#include "apps/prompts.h"

#include "apps/output.h"
#include "format/corpus.h"

namespace tidar {

Result<std::vector<NumberedPrompt>> read_prompts(const std::string& path,
                                                 const Tokenizer& tokenizer,
                                                 const PromptChoice& choice) {
  std::vector<NumberedPrompt> prompts;
  TIDAR_TRY(
      CorpusReader reader,
      CorpusReader::open(
          path, {.text = DocumentTemplate::field("prompt"), .prompt = {}, .may_be_empty = true}));
  CorpusDocument document;
  const auto fewest_too_many = static_cast<size_t>(choice.shorter_than);
  while (static_cast<int>(prompts.size()) < choice.most) {
    TIDAR_TRY(const bool more, reader.next(document));
    if (!more) break;
    auto ids = tokenizer.encode(document.text, choice.special);
    if (ids.empty() && choice.start >= 0) ids = {choice.start};
    if (document.problem.empty() && ids.empty()) {
      document.problem = "its prompt is empty, and the model has no token for texts to begin with";
    } else if (document.problem.empty() && fewest_too_many <= ids.size()) {
      document.problem =
          fmt::format("its prompt has {}; expected 1 to {}",
                      counted(static_cast<int64_t>(ids.size()), "token"), fewest_too_many - 1);
    }
    if (document.problem.empty()) {
      prompts.push_back({document.line, std::move(ids), std::move(document.text)});
    } else {
      pass_over(path, document.line, document.problem);
    }
  }
  if (prompts.empty()) return error("{}: no line has a \"prompt\" to continue", path);
  return prompts;
}

void pass_over(const std::string& path, int64_t line, std::string_view problem) {
  print_note(fmt::format("{}:{}: {}", path, line, problem));
}

}  // namespace tidar
