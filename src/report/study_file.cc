#include "report/study_file.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "base/nearest.h"
#include "format/files.h"
#include "format/json.h"
#include "report/study_results.h"

namespace tidar {
namespace {

constexpr std::array<std::string_view, 6> kStudyFields = {"title", "notes",   "facts",
                                                          "tasks", "entries", "latency"};
constexpr std::array<std::string_view, 3> kTaskFields = {"name", "label", "score"};
constexpr std::array<std::string_view, 10> kEntryFields = {
    "label",   "series", "role",     "in",         "draft_length",
    "masking", "alpha",  "trust_ar", "confidence", "results"};
constexpr std::array<std::string_view, 2> kLatencyFields = {"label", "bench"};

/// A word and what it stands for.
template <class T>
struct Word {
  std::string_view word;
  T value;
};

constexpr std::array kRoles = {Word<Role>{"other", Role::other}, Word<Role>{"ar", Role::ar},
                               Word<Role>{"baseline", Role::baseline},
                               Word<Role>{"tidar", Role::tidar},
                               Word<Role>{"block-diffusion", Role::block_diffusion}};
constexpr std::array kSections = {Word<Section>{"likelihood", Section::likelihood},
                                  Word<Section>{"generation", Section::generation},
                                  Word<Section>{"strategies", Section::strategies},
                                  Word<Section>{"masks", Section::masks},
                                  Word<Section>{"trade-off", Section::trade_off},
                                  Word<Section>{"trust", Section::trust},
                                  Word<Section>{"histogram", Section::histogram},
                                  Word<Section>{"recipes", Section::recipes}};
constexpr std::array kScores = {Word<ScoreKind>{"strict", ScoreKind::generated},
                                Word<ScoreKind>{"flexible", ScoreKind::generated},
                                Word<ScoreKind>{"pass@N", ScoreKind::generated},
                                Word<ScoreKind>{"acc", ScoreKind::likelihood},
                                Word<ScoreKind>{"acc_norm", ScoreKind::likelihood},
                                Word<ScoreKind>{"nll", ScoreKind::loss},
                                Word<ScoreKind>{"perplexity", ScoreKind::loss},
                                Word<ScoreKind>{"bits_per_byte", ScoreKind::loss}};
constexpr std::array kMaskings = {Word<std::string_view>{"full", "full"},
                                  Word<std::string_view>{"random", "random"}};

template <class T, size_t N>
Result<T> choose(const JsonFields& fields, std::string_view key, const std::string& word,
                 const std::array<Word<T>, N>& words) {
  std::vector<std::string> known;
  std::string list;
  for (const Word<T>& choice : words) {
    if (word == choice.word) return choice.value;
    known.emplace_back(choice.word);
    list += (list.empty() ? "" : ", ") + known.back();
  }
  const std::string meant = nearest(word, known);
  return error("{}: field '{}' has {}; {}", fields.where(), key, in_quotes(word),
               meant.empty() ? "known are " + list : "did you mean '" + meant + "'?");
}

/// A field that must be there and must say something.
Result<std::string> label_in(const JsonFields& fields, std::string_view key) {
  TIDAR_TRY(std::string text, fields.text(key));
  if (text.empty()) return fields.wrong(key, "a text that is not empty");
  return text;
}

Result<std::optional<double>> share_in(const JsonFields& fields, std::string_view key,
                                       NumberRange range) {
  if (!fields.has(key)) return std::optional<double>();
  TIDAR_TRY(const double number, fields.number(key, range));
  return std::optional(number);
}

/// Calls parse(fields) for each object of a list; an absent list is empty.
template <class Parse>
Result<void> each_object(const Json& document, const JsonFields& fields, const std::string& key,
                         std::string_view noun, const Parse& parse) {
  if (!fields.has(key)) return {};
  const Json& list = document.at(key);
  if (!list.is_array()) return fields.wrong(key, "a list of objects");
  int number = 0;
  for (const Json& item : list) {
    if (!item.is_object()) return fields.wrong(key, "a list of objects");
    TIDAR_TRY_VOID(
        parse(JsonFields(item, fmt::format("{}, {} {}", fields.where(), noun, ++number))));
  }
  return {};
}

bool is_name(std::string_view text) {
  constexpr std::string_view kLetters =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
  return !text.empty() && text.find_first_not_of(kLetters) == std::string_view::npos;
}

/// "pass@1", "pass@10" are kinds of one score.
std::string score_word(const std::string& score) {
  const bool counted = score.starts_with("pass@") && score.size() > 5 &&
                       score.find_first_not_of("0123456789", 5) == std::string::npos;
  return counted ? "pass@N" : score;
}

Result<void> parse_task(const JsonFields& fields, Study& study) {
  TIDAR_TRY_VOID(fields.refuse_others(kTaskFields));
  StudyTask task;
  TIDAR_TRY(task.name, label_in(fields, "name"));
  if (!is_name(task.name)) return fields.wrong("name", "letters, digits, '-' and '_'");
  for (const StudyTask& other : study.tasks) {
    if (other.name == task.name)
      return error("{}: task '{}' is there twice", fields.where(), task.name);
  }
  TIDAR_TRY(task.label, fields.text("label", task.name));
  TIDAR_TRY(task.score, label_in(fields, "score"));
  TIDAR_TRY(task.kind, choose(fields, "score", score_word(task.score), kScores));
  study.tasks.push_back(std::move(task));
  return {};
}

Result<void> parse_folders(const JsonFields& fields, const Study& study,
                           const std::filesystem::path& base, StudyEntry& entry) {
  TIDAR_TRY(const auto folders, fields.object("results"));
  if (!folders) return fields.wrong("results", "an object: names of tasks and their folders");
  std::vector<std::string_view> names;
  for (const StudyTask& task : study.tasks) names.push_back(task.name);
  TIDAR_TRY_VOID(folders->refuse_others(names));
  for (const std::string& name : folders->keys()) {
    if (!folders->has(name)) continue;
    std::vector<std::string> seeds;
    if (const auto single = folders->text(name); single.ok()) {
      seeds = {*single};
    } else {
      TIDAR_TRY(seeds, folders->texts(name));
    }
    for (const std::string& folder : seeds) {
      if (!folder.empty()) entry.folders[name].push_back(base / folder);
    }
    if (seeds.empty() || entry.folders[name].size() < seeds.size()) {
      return folders->wrong(name, "a folder, or one for each seed");
    }
  }
  return {};
}

Result<void> parse_entry(const JsonFields& fields, const std::filesystem::path& base,
                         Study& study) {
  TIDAR_TRY_VOID(fields.refuse_others(kEntryFields));
  StudyEntry entry;
  TIDAR_TRY(entry.label, label_in(fields, "label"));
  TIDAR_TRY(entry.series, fields.text("series", entry.label));
  TIDAR_TRY(const std::string role, fields.text("role", "other"));
  TIDAR_TRY(entry.role, choose(fields, "role", role, kRoles));
  TIDAR_TRY(const std::vector<std::string> sections, fields.texts("in"));
  for (const std::string& section : sections) {
    TIDAR_TRY(const Section known, choose(fields, "in", section, kSections));
    entry.sections.insert(known);
  }
  TIDAR_TRY(entry.draft_length, fields.integer("draft_length", {1, 1024}, 0));
  TIDAR_TRY(entry.masking, fields.text("masking", ""));
  if (!entry.masking.empty()) {
    TIDAR_TRY(const auto known, choose(fields, "masking", entry.masking, kMaskings));
    entry.masking = known;
  }
  TIDAR_TRY(entry.alpha, share_in(fields, "alpha", {0, 1e9}));
  TIDAR_TRY(entry.trust_ar, share_in(fields, "trust_ar", {0, 1}));
  // Above 1, a pass takes one token.
  TIDAR_TRY(entry.confidence, share_in(fields, "confidence", {0, 1e9}));
  const auto needs = [&](Section section, bool there, std::string_view key) -> Result<void> {
    if (entry.sections.count(section) == 0 || there) return {};
    return fields.wrong(key, "one, since the entry is in a section that is drawn over it");
  };
  TIDAR_TRY_VOID(needs(Section::masks, entry.draft_length > 0, "draft_length"));
  TIDAR_TRY_VOID(needs(Section::masks, !entry.masking.empty(), "masking"));
  TIDAR_TRY_VOID(needs(Section::trust, entry.trust_ar.has_value(), "trust_ar"));
  TIDAR_TRY_VOID(parse_folders(fields, study, base, entry));
  study.entries.push_back(std::move(entry));
  return {};
}

Result<void> read_results(Study& study) {
  for (StudyEntry& entry : study.entries) {
    for (const StudyTask& task : study.tasks) {
      const auto folders = entry.folders.find(task.name);
      if (folders == entry.folders.end()) continue;
      std::vector<TaskResult> runs;
      for (const std::filesystem::path& folder : folders->second) {
        TIDAR_TRY(auto result, read_task_result(folder, task));
        if (result) {
          runs.push_back(*std::move(result));
        } else {
          study.missing.push_back(fmt::format("{}: has no results yet; {} of {} is left out",
                                              folder.string(), task.name, entry.label));
        }
      }
      if (runs.size() < folders->second.size()) continue;
      entry.results[task.name] = over_seeds(runs);
      entry.runs[task.name] = std::move(runs);
    }
  }
  return {};
}

Result<void> parse_latency(const JsonFields& fields, const std::filesystem::path& base,
                           Study& study) {
  TIDAR_TRY_VOID(fields.refuse_others(kLatencyFields));
  TIDAR_TRY(std::string label, label_in(fields, "label"));
  TIDAR_TRY(const std::string file, label_in(fields, "bench"));
  std::error_code ignored;
  if (!std::filesystem::exists(base / file, ignored)) {
    study.missing.push_back(
        fmt::format("{}: is not there yet; its latencies are left out", (base / file).string()));
    return {};
  }
  TIDAR_TRY(LatencyCurve curve, read_latency(base / file, std::move(label)));
  study.latency.push_back(std::move(curve));
  return {};
}

Result<void> check_baseline(const Study& study, const std::string& where) {
  const auto is_baseline = [](const StudyEntry& entry) { return entry.role == Role::baseline; };
  if (std::count_if(study.entries.begin(), study.entries.end(), is_baseline) <= 1) return {};
  return error("{}: several entries have the role 'baseline'; there is one to compare with", where);
}

}  // namespace

Result<Study> read_study(const std::filesystem::path& path) {
  const std::string where = path.string();
  const std::filesystem::path base = path.parent_path();
  TIDAR_TRY(const std::string text, read_text_file(path));
  TIDAR_TRY(const Json document, parse_json_object(text, where));
  const JsonFields fields(document, where);
  TIDAR_TRY_VOID(fields.refuse_others(kStudyFields));
  Study study;
  TIDAR_TRY(study.title, label_in(fields, "title"));
  TIDAR_TRY(study.facts, fields.texts("facts"));
  TIDAR_TRY(const std::string notes, fields.text("notes", ""));
  if (!notes.empty()) {
    TIDAR_TRY(study.notes, read_text_file(base / notes));
  }
  TIDAR_TRY_VOID(each_object(document, fields, "tasks", "task",
                             [&](const JsonFields& task) { return parse_task(task, study); }));
  TIDAR_TRY_VOID(each_object(document, fields, "entries", "entry", [&](const JsonFields& entry) {
    return parse_entry(entry, base, study);
  }));
  TIDAR_TRY_VOID(check_baseline(study, where));
  TIDAR_TRY_VOID(
      each_object(document, fields, "latency", "latency",
                  [&](const JsonFields& latency) { return parse_latency(latency, base, study); }));
  TIDAR_TRY_VOID(read_results(study));
  return study;
}

}  // namespace tidar
