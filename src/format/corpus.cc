#include "format/corpus.h"

#include <simdjson.h>

#include <algorithm>
#include <utility>

#include "format/files.h"

namespace tidar {

namespace {

constexpr size_t kLongestLine = size_t{64} << 20;
constexpr size_t kLongestText = size_t{1} << 30;

/// The character that a backslash and `c` stand for, or 0.
char escaped(char c) {
  switch (c) {
    case 'n':
      return '\n';
    case 't':
      return '\t';
    case '\\':
      return '\\';
    default:
      return 0;
  }
}

/// Appends what a field holds. Returns a problem, or "".
std::string append_field(const simdjson::dom::object& object, const std::string& name,
                         std::string& text) {
  simdjson::dom::element value;
  if (object.at_key(name).get(value) != simdjson::SUCCESS) {
    return fmt::format("has no field {}", in_quotes(name));
  }
  std::string_view string;
  if (value.get(string) == simdjson::SUCCESS) {
    text += string;
    return "";
  }
  if (value.is_int64() || value.is_uint64() || value.is_double()) {
    text += simdjson::minify(value);
    return "";
  }
  return fmt::format("field {} is neither text nor a number", in_quotes(name));
}

std::string render(const DocumentTemplate& form, const simdjson::dom::object& object,
                   std::string& text) {
  text.clear();
  for (const auto& part : form.parts()) {
    if (!part.is_field) {
      text += part.text;
    } else if (std::string problem = append_field(object, part.text, text); !problem.empty()) {
      return problem;
    }
  }
  return "";
}

/// Whether the object has messages, and nothing of what texts are made of.
bool is_conversation(const DocumentForm& form, const simdjson::dom::object& object) {
  simdjson::dom::element value;
  const bool has_text = std::any_of(
      form.text.parts().begin(), form.text.parts().end(), [&](const DocumentTemplate::Part& part) {
        return part.is_field && object.at_key(part.text).get(value) == simdjson::SUCCESS;
      });
  return !has_text && object.at_key("messages").get(value) == simdjson::SUCCESS && value.is_array();
}

bool is_lines(const std::filesystem::path& path) {
  const auto inner = path.extension() == ".zst" ? path.stem() : path.filename();
  return inner.extension() == ".jsonl" || inner.extension() == ".ndjson";
}

}  // namespace

DocumentTemplate DocumentTemplate::field(std::string name) {
  DocumentTemplate form;
  form.parts_.push_back({std::move(name), true});
  return form;
}

Result<DocumentTemplate> DocumentTemplate::parse(std::string_view text) {
  DocumentTemplate form;
  std::string literal;
  const auto finish_literal = [&] {
    if (!literal.empty()) form.parts_.push_back({std::exchange(literal, ""), false});
  };
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i], next = i + 1 < text.size() ? text[i + 1] : '\0';
    if (c == '\\') {
      if (escaped(next) == 0) {
        return error("the template {} has a backslash at byte {} that is none of \\n, \\t, \\\\",
                     in_quotes(text), i);
      }
      literal += escaped(next);
      ++i;
    } else if ((c == '{' || c == '}') && next == c) {
      literal += c;
      ++i;
    } else if (c == '{') {
      const size_t end = text.find_first_of("{}", i + 1);
      if (end == std::string_view::npos || text[end] == '{' || end == i + 1) {
        return error(
            "the template {} has a {{ at byte {} without the name of a field and a }}; "
            "write {{{{ for a brace",
            in_quotes(text), i);
      }
      finish_literal();
      form.parts_.push_back({std::string(text.substr(i + 1, end - i - 1)), true});
      i = end;
    } else if (c == '}') {
      return error("the template {} has a }} at byte {} without a {{; write }}}} for a brace",
                   in_quotes(text), i);
    } else {
      literal += c;
    }
  }
  finish_literal();
  return form;
}

struct CorpusReader::Parser {
  simdjson::dom::parser json;
  std::string line;
};

CorpusReader::CorpusReader(InputFile file, DocumentForm form, bool lines)
    : file_(std::move(file)),
      form_(std::move(form)),
      lines_(lines),
      parser_(std::make_unique<Parser>()) {}
CorpusReader::CorpusReader(CorpusReader&&) noexcept = default;
CorpusReader& CorpusReader::operator=(CorpusReader&&) noexcept = default;
CorpusReader::~CorpusReader() = default;

Result<CorpusReader> CorpusReader::open(const std::filesystem::path& path, DocumentForm form) {
  TIDAR_TRY(InputFile file, InputFile::open(path));
  return CorpusReader(std::move(file), std::move(form), is_lines(path));
}

Result<bool> CorpusReader::next(CorpusDocument& document) {
  document = {};
  if (!lines_) return next_text(document);
  for (;;) {
    TIDAR_TRY(const auto got, file_.next_line(parser_->line, kLongestLine));
    if (got == InputFile::Line::none) return false;
    document.line = ++line_;
    if (got == InputFile::Line::too_long) {
      document.problem = fmt::format("has more than {} bytes", kLongestLine);
      return true;
    }
    if (parser_->line.find_first_not_of(" \t") == std::string::npos) continue;
    read_line(parser_->line, document);
    return true;
  }
}

Result<bool> CorpusReader::next_text(CorpusDocument& document) {
  if (std::exchange(line_, 1) == 1) return false;
  document.line = 1;
  TIDAR_TRY(document.text, file_.rest(kLongestText));
  if (document.text.empty() && !form_.may_be_empty) document.problem = "is empty";
  if (form_.prompt) {
    for (const auto& part : form_.prompt->parts()) {
      if (!part.is_field) {
        document.prompt += part.text;
      } else {
        document.problem = fmt::format("has no field {}: it is a text file", in_quotes(part.text));
      }
    }
  }
  return true;
}

void CorpusReader::read_line(std::string_view line, CorpusDocument& document) {
  simdjson::dom::element value;
  simdjson::dom::object object;
  const auto failure = parser_->json.parse(line.data(), line.size(), true).get(value);
  if (failure != simdjson::SUCCESS) {
    document.problem = fmt::format("is not valid JSON: {}", simdjson::error_message(failure));
  } else if (value.get(object) != simdjson::SUCCESS) {
    document.problem = "is not a JSON object";
  } else if (form_.conversations && is_conversation(form_, object)) {
    document.conversation = line;
  } else {
    document.problem = render(form_.text, object, document.text);
    if (document.problem.empty() && form_.prompt) {
      document.problem = render(*form_.prompt, object, document.prompt);
    }
    if (document.problem.empty() && document.text.empty() && !form_.may_be_empty) {
      document.problem = "is empty";
    }
    std::string_view reason;
    if (object.at_key("finish_reason").get(reason) == simdjson::SUCCESS) {
      document.finish_reason = reason;
    }
  }
}

}  // namespace tidar
