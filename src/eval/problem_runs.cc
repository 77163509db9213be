#include "eval/problem_runs.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "base/stopwatch.h"
#include "eval/decoding_cost.h"
#include "format/files.h"
#include "format/json.h"

namespace tidar {
namespace {

/// One sample on its way.
struct Sample {
  size_t problem = 0;
  int number = 0;
  std::string text{};
};

Json result_line(const Problem& problem, const Sample& sample, const Update& last,
                 const Verdict& verdict, double seconds) {
  Json line = {{"item", problem.id},
               {"sample", sample.number},
               {"text", sample.text},
               {"finish_reason", name_of(last.finish)}};
  put_cost(line, *last.totals, seconds);
  for (const auto& [name, right] : verdict.checks) line[std::string(name)] = right ? 1 : 0;
  if (!verdict.why.empty()) line["why"] = verdict.why;
  return line;
}

/// Text that a model makes up may be cut inside a character.
std::string text_of(const Json& line) {
  return line.dump(-1, ' ', false, Json::error_handler_t::replace);
}

class ProblemRun {
 public:
  ProblemRun(const ProblemTask& task, const Tokenizer& tokenizer, Engine& engine,
             const Judge& judge, ResultsFile& results, const RunHooks& hooks)
      : task_(task),
        tokenizer_(tokenizer),
        engine_(engine),
        judge_(judge),
        results_(results),
        hooks_(hooks) {}

  Result<void> go();

 private:
  /// Submits the next sample without a result; false when there is none.
  Result<bool> submit();
  Result<void> take(const Update& update);
  void cancel_all();

  const ProblemTask& task_;
  const Tokenizer& tokenizer_;
  Engine& engine_;
  const Judge& judge_;
  ResultsFile& results_;
  const RunHooks& hooks_;

  std::map<RequestId, Sample> running_;
  Sample next_;
  int64_t done_ = 0;
  double seconds_ = 0;  // of steps since the last result
};

Result<bool> ProblemRun::submit() {
  for (; next_.problem < task_.problems.size(); ++next_.problem, next_.number = 0) {
    const Problem& problem = task_.problems[next_.problem];
    for (; next_.number < task_.samples; ++next_.number) {
      if (results_.find(problem.id, next_.number) != nullptr) {
        ++done_;
        continue;
      }
      Request request = task_.request;
      TIDAR_TRY(request.sequence.prompt, prompt_tokens(task_, problem, tokenizer_));
      Sampling& sampling = request.sequence.sampling;
      sampling.seed =
          seed_of_sample(sampling.seed, next_.problem, static_cast<uint64_t>(next_.number));
      const auto id = engine_.submit(std::move(request));
      if (!id.ok()) return error("problem {}: {}", problem.id, id.error().message);
      running_.emplace(*id, next_);
      ++next_.number;
      return true;
    }
  }
  return false;
}

Result<void> ProblemRun::take(const Update& update) {
  Sample& sample = running_.at(update.id);
  sample.text += update.text;
  if (update.finish == FinishReason::none) return {};
  const Problem& problem = task_.problems[sample.problem];
  if (update.finish == FinishReason::no_choice) {
    return error("problem {}: {}", problem.id, kNoChoice);
  }
  TIDAR_TRY(const Verdict verdict, judge_.judge(problem, sample.text));
  const Json line = result_line(problem, sample, update, verdict, std::exchange(seconds_, 0.0));
  TIDAR_TRY_VOID(results_.add(problem.id, sample.number, text_of(line)));
  running_.erase(update.id);
  hooks_.tell(++done_, static_cast<int64_t>(task_.problems.size()) * task_.samples);
  return {};
}

void ProblemRun::cancel_all() {
  for (const auto& [id, sample] : running_) engine_.cancel(id);
}

Result<void> ProblemRun::go() {
  for (bool more = true; !hooks_.stopped();) {
    while (more && static_cast<int>(running_.size()) < task_.together) {
      TIDAR_TRY(more, submit());
    }
    if (running_.empty()) return {};
    const Stopwatch watch;
    const std::vector<Update> updates = engine_.step();
    seconds_ += watch.seconds();
    for (const Update& update : updates) TIDAR_TRY_VOID(take(update));
  }
  cancel_all();
  return {};
}

Result<void> check_names(std::span<const Problem> problems) {
  std::set<std::string> names;
  for (const Problem& problem : problems) {
    if (!names.insert(problem.id).second) {
      return error("two problems of the task have the id {}", problem.id);
    }
  }
  return {};
}

/// The results of one problem's samples, as far as there are any.
std::vector<Json> lines_of(const ProblemTask& task, const Problem& problem,
                           const ResultsFile& results) {
  std::vector<Json> lines;
  for (int sample = 0; sample < task.samples; ++sample) {
    const std::string* line = results.find(problem.id, sample);
    if (line != nullptr) lines.push_back(Json::parse(*line));
  }
  return lines;
}

/// The chance of at least one right among `k` samples, one value for each problem that has as many.
Score pass_score(const std::vector<std::vector<Json>>& problems, const char* check, int k) {
  std::vector<double> values;
  for (const std::vector<Json>& lines : problems) {
    const auto n = static_cast<int>(lines.size());
    if (n >= k) values.push_back(pass_at_k(n, static_cast<int>(sum(lines, check)), k));
  }
  return score_of(values);
}

EvalSummary summary_of(const ProblemTask& task, const ResultsFile& results) {
  std::vector<std::vector<Json>> problems;
  std::vector<Json> all;
  for (const Problem& problem : task.problems) {
    problems.push_back(lines_of(task, problem, results));
    all.insert(all.end(), problems.back().begin(), problems.back().end());
  }
  EvalSummary summary;
  summary.done = static_cast<int64_t>(all.size());
  summary.all = static_cast<int64_t>(task.problems.size()) * task.samples;
  if (runs_programs(task.kind)) {
    summary.scores.emplace_back("pass@1", pass_score(problems, "passed", 1));
    if (task.samples > 1) {
      summary.scores.emplace_back(fmt::format("pass@{}", task.samples),
                                  pass_score(problems, "passed", task.samples));
    }
  } else {
    // One sample's chance is the mean of all.
    for (const char* name : {"strict", "flexible"}) {
      summary.scores.emplace_back(name, pass_score(problems, name, 1));
    }
  }
  add_cost(summary, all);
  return summary;
}

/// The first check that failed; "" when none did.
std::string failed_check(const Verdict& verdict) {
  for (const auto& [name, right] : verdict.checks) {
    if (!right) return verdict.why.empty() ? std::string(name) : verdict.why;
  }
  return "";
}

}  // namespace

Result<std::vector<int32_t>> prompt_tokens(const ProblemTask& task, const Problem& problem,
                                           const Tokenizer& tokenizer) {
  TIDAR_TRY(const std::string prompt, prompt_with_shots(problem, task.shots, task.shot_count));
  return tokenizer.encode(prompt);
}

Result<EvalSummary> run_problems(const ProblemTask& task, const Tokenizer& tokenizer,
                                 Engine& engine, const Judge& judge, ResultsFile& results,
                                 const RunHooks& hooks) {
  TIDAR_TRY_VOID(check_names(task.problems));
  TIDAR_TRY_VOID(ProblemRun(task, tokenizer, engine, judge, results, hooks).go());
  return summary_of(task, results);
}

Result<void> write_samples(const ProblemTask& task, const ResultsFile& results) {
  std::string text;
  for (const Problem& problem : task.problems) {
    for (const Json& line : lines_of(task, problem, results)) {
      const Json sample = {{"task_id", problem.id},
                           {"solution", problem.before + line.value("text", "")}};
      text += text_of(sample) + "\n";
    }
  }
  return write_text_file(results.folder() / "samples.jsonl", text);
}

Result<std::vector<WrongSolution>> check_solutions(std::span<const Problem> problems,
                                                   const Judge& judge, const RunHooks& hooks) {
  std::vector<WrongSolution> wrong;
  int64_t done = 0;
  for (const Problem& problem : problems) {
    if (hooks.stopped()) break;
    TIDAR_TRY(const Verdict verdict, judge.judge(problem, problem.target));
    if (std::string why = failed_check(verdict); !why.empty()) {
      wrong.push_back({problem.id, std::move(why)});
    }
    hooks.tell(++done, static_cast<int64_t>(problems.size()));
  }
  return wrong;
}

}  // namespace tidar
