#include "eval/solution_runs.h"

#include <utility>
#include <vector>

#include "base/check.h"
#include "base/stopwatch.h"
#include "decode/methods.h"
#include "eval/decoding_cost.h"
#include "format/json.h"

namespace tidar {
namespace {

/// A request, and all that it is to say, its prompt included.
struct Recital {
  Request request;
  std::vector<int32_t> text;
};

Result<Recital> recital_of(const ProblemTask& task, const Problem& problem,
                           const Tokenizer& tokenizer) {
  Recital recital{task.request, {}};
  Request& request = recital.request;
  TIDAR_TRY(request.sequence.prompt, prompt_tokens(task, problem, tokenizer));
  // It goes on where the prompt ends: what the tokenizer puts around a text stands there already.
  auto solution = tokenizer.encode(problem.shot.substr(problem.prompt.size()), AddSpecial::no);
  if (!request.eos.empty()) solution.push_back(request.eos.front());
  if (solution.empty()) return error("problem {}: has an empty solution", problem.id);
  recital.text = request.sequence.prompt;
  recital.text.insert(recital.text.end(), solution.begin(), solution.end());
  request.max_new = static_cast<int>(solution.size());
  request.stop.clear();
  return recital;
}

/// The line of a problem's results.
Result<Json> decode(Engine& engine, Request request, const Problem& problem) {
  const auto id = engine.submit(std::move(request));
  if (!id.ok()) return error("problem {}: {}", problem.id, id.error().message);
  Json line = {{"item", problem.id}, {"sample", 0}};
  double logprob = 0;
  const Stopwatch watch;
  TIDAR_TRY_VOID(run_until_idle(engine, [&](const Update& update) -> Result<void> {
    for (const TokenLogprob& token : update.tokens) logprob += token.logprob;
    if (update.finish == FinishReason::no_choice) {
      return error("problem {}: {}", problem.id, kNoChoice);
    }
    if (update.totals) put_cost(line, *update.totals, watch.seconds());
    return {};
  }));
  line["nll"] = -logprob;
  return line;
}

}  // namespace

Result<EvalSummary> run_solutions(const ProblemTask& task, const Tokenizer& tokenizer,
                                  Engine& engine, GivenText& evaluator, ResultsFile& results,
                                  const RunHooks& hooks) {
  TIDAR_CHECK(facts_of(task.request.method).equals_ar);
  EvalSummary summary;
  summary.all = static_cast<int64_t>(task.problems.size());
  std::vector<Json> lines;
  for (const Problem& problem : task.problems) {
    if (hooks.stopped()) break;
    if (const std::string* line = results.find(problem.id)) {
      lines.push_back(Json::parse(*line));
    } else {
      TIDAR_TRY(Recital recital, recital_of(task, problem, tokenizer));
      evaluator.say(std::move(recital.text));
      TIDAR_TRY(Json found, decode(engine, std::move(recital.request), problem));
      TIDAR_TRY_VOID(results.add(problem.id, 0, found.dump()));
      lines.push_back(std::move(found));
    }
    hooks.tell(static_cast<int64_t>(lines.size()), summary.all);
  }
  summary.done = static_cast<int64_t>(lines.size());
  const double tokens = sum(lines, "tokens");
  if (tokens > 0) summary.numbers.emplace_back("nll", sum(lines, "nll") / tokens);
  add_cost(summary, lines);
  return summary;
}

}  // namespace tidar
