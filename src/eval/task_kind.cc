#include "eval/task_kind.h"

#include <algorithm>
#include <array>

#include "format/files.h"
#include "format/input_file.h"
#include "format/json.h"
#include "format/token_shards.h"

namespace tidar {
namespace {

struct TaskKindInfo {
  std::string_view name;
  std::string_view field;  ///< that its lines have; "": none
  std::optional<ProblemKind> problem;
};

// The first whose field a line has: published lines of mbpp have a text, too.
constexpr std::array<TaskKindInfo, 6> kKinds = {{
    {"choices", "choices", {}},
    {"text", "", {}},
    {"gsm8k", "question", ProblemKind::gsm8k},
    {"humaneval", "canonical_solution", ProblemKind::humaneval},
    {"mbpp", "test_list", ProblemKind::mbpp},
    {"documents", "text", {}},
}};

const TaskKindInfo& info(TaskKind kind) { return kKinds[static_cast<size_t>(kind)]; }

Result<std::string> first_line(const std::filesystem::path& file) {
  TIDAR_TRY(InputFile input, InputFile::open(file));
  std::string line;
  for (;;) {
    TIDAR_TRY(const InputFile::Line read, input.next_line(line, kTextFileLimit));
    if (read != InputFile::Line::read || line.find_first_not_of(" \t\r") != line.npos) return line;
  }
}

Result<TaskKind> kind_of_file(const std::filesystem::path& file) {
  if (is_token_shard(file)) return TaskKind::documents;
  TIDAR_TRY(const std::string line, first_line(file));
  const Json object = Json::parse(line, nullptr, false);
  if (!object.is_object()) return TaskKind::text;
  for (size_t i = 0; i < kKinds.size(); ++i) {
    const std::string field(kKinds[i].field);
    if (!field.empty() && object.contains(field)) return static_cast<TaskKind>(i);
  }
  return error(
      "{}: its fields are those of no task; expected choices, question, canonical_solution, "
      "test_list or text",
      file.string());
}

}  // namespace

std::string_view name_of(TaskKind kind) { return info(kind).name; }

std::optional<ProblemKind> problem_kind(TaskKind kind) { return info(kind).problem; }

Result<TaskSource> find_task(std::string_view text) {
  for (size_t i = 0; i < kKinds.size(); ++i) {
    const std::string prefix = std::string(kKinds[i].name) + ":";
    if (text.starts_with(prefix)) {
      return TaskSource{static_cast<TaskKind>(i), text.substr(prefix.size())};
    }
  }
  TIDAR_TRY(const TaskKind kind, kind_of_file(text));
  return TaskSource{kind, text};
}

}  // namespace tidar
