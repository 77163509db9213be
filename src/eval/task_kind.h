#pragma once
// What kind of task a file holds.

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "eval/problems.h"

namespace tidar {

enum class TaskKind : uint8_t { choices, text, gsm8k, humaneval, mbpp, documents };

/// "choices", "text", "gsm8k", "humaneval", "mbpp", "documents".
std::string_view name_of(TaskKind kind);

/// Of kinds that are solved by generated text.
std::optional<ProblemKind> problem_kind(TaskKind kind);

struct TaskSource {
  TaskKind kind = TaskKind::text;
  std::filesystem::path file;
};

/// "FILE" or "KIND:FILE". Without a kind it is told by the beginning: a token shard holds
/// documents, the fields of a JSON object in the first line say which kind, and anything else is
/// text. An Error when the file cannot be read, or its fields are those of no kind.
Result<TaskSource> find_task(std::string_view text);

}  // namespace tidar
