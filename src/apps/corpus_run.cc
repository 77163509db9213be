#include "apps/corpus_run.h"

#include <filesystem>
#include <utility>

#include "apps/interrupt.h"
#include "apps/ranges.h"
#include "base/stopwatch.h"

namespace tidar {
namespace {

constexpr int64_t kNamed = 20;
constexpr size_t kKept = 100;

/// The bytes of all files; opens each, so that the last of them is missed now and not in an hour.
Result<int64_t> bytes_of_files(const CorpusFlags& flags) {
  int64_t bytes = 0;
  for (const std::string& path : flags.files) {
    if (std::filesystem::is_fifo(path)) continue;  // opening it would take what it holds
    TIDAR_TRY(const InputFile file, InputFile::open(path));
    bytes += file.bytes_in_all();
  }
  return bytes;
}

/// Tells how far the reading is, a few times a second.
class ReadingProgress {
 public:
  explicit ReadingProgress(int64_t bytes_in_all) : bytes_in_all_(bytes_in_all) {}

  void show(int64_t bytes_read, int64_t documents) {
    if (shown_.seconds() < 0.2) return;
    shown_ = Stopwatch();
    const double share = bytes_in_all_ > 0
                             ? static_cast<double>(bytes_read) / static_cast<double>(bytes_in_all_)
                             : 0;
    const auto rate = static_cast<int64_t>(static_cast<double>(bytes_read) / reading_.seconds());
    line_.show(fmt::format("{:3.0f} %  {} of {}  {}/s  {} documents", 100 * share,
                           format_bytes(bytes_read), format_bytes(bytes_in_all_),
                           format_bytes(rate), format_count(documents)));
  }

 private:
  int64_t bytes_in_all_;
  Stopwatch reading_, shown_;
  Progress line_;
};

void note_bad_line(CorpusAccount& account, const std::string& file,
                   const CorpusDocument& document) {
  if (account.bad_lines < kNamed) {
    print_note(fmt::format("{}:{}: {}", file, document.line, document.problem));
  } else if (account.bad_lines == kNamed) {
    print_note("further bad lines are counted only");
  }
  if (account.first_bad_lines.size() < kKept) {
    account.first_bad_lines.push_back({file, document.line, document.problem});
  }
  ++account.bad_lines;
}

}  // namespace

Result<DocumentForm> form_of(const CorpusFlags& flags) {
  DocumentForm form;
  form.text = DocumentTemplate::field(flags.field);
  if (!flags.text_template.empty()) {
    TIDAR_TRY(form.text, DocumentTemplate::parse(flags.text_template));
  }
  if (!flags.prompt.empty()) {
    TIDAR_TRY(form.prompt, DocumentTemplate::parse(flags.prompt));
  }
  form.conversations = flags.conversations;
  return form;
}

void add_corpus_flags(CLI::App& command, CorpusFlags& flags) {
  command.option_defaults()->group("Corpus");
  command
      .add_option("files", flags.files,
                  "Text files, a document each, and .jsonl or .ndjson files, a document or a "
                  "conversation (\"messages\") a line; "
                  "zstd-compressed ones, too")
      ->required()
      ->type_name("FILE...");
  add_document_flags(command, flags);
}

void add_document_flags(CLI::App& command, CorpusFlags& flags) {
  CLI::Option* field =
      command.add_option("--field", flags.field, "The field of a JSONL line that is the document")
          ->type_name("NAME")
          ->capture_default_str();
  command
      .add_option(
          "--template", flags.text_template,
          "The document as a text with fields: \"Q: {question}\\nA: {answer}\"; \\n and \\t "
          "are a line end and a tab, {{ and }} braces")
      ->check(parsed_by(DocumentTemplate::parse))
      ->type_name("TEMPLATE")
      ->excludes(field);
  command
      .add_option("--prompt", flags.prompt,
                  "A template for what goes before every document, and is marked as its prompt")
      ->check(parsed_by(DocumentTemplate::parse))
      ->type_name("TEMPLATE");
}

OrderedJson CorpusAccount::json() const {
  OrderedJson bad = OrderedJson::array();
  for (const BadLine& line : first_bad_lines) {
    bad.push_back({{"file", line.file}, {"line", line.line}, {"problem", line.problem}});
  }
  return {{"documents", documents},
          {"text_bytes", text_bytes},
          {"bad_lines", bad_lines},
          {"first_bad_lines", std::move(bad)}};
}

Result<CorpusAccount> read_corpus(const CorpusFlags& flags,
                                  const std::function<Result<void>(CorpusDocument&)>& use) {
  TIDAR_TRY(const DocumentForm form, form_of(flags));
  TIDAR_TRY(const int64_t bytes_in_all, bytes_of_files(flags));
  CorpusAccount account;
  const Interrupt interrupt;
  ReadingProgress progress(bytes_in_all);
  int64_t bytes_before = 0;
  for (const std::string& path : flags.files) {
    TIDAR_TRY(CorpusReader reader, CorpusReader::open(path, form));
    CorpusDocument document;
    for (;;) {
      account.interrupted = interrupt.requested();
      if (account.interrupted) return account;
      TIDAR_TRY(const bool more, reader.next(document));
      if (!more) break;
      if (document.problem.empty()) TIDAR_TRY_VOID(use(document));
      if (document.problem.empty()) {
        ++account.documents;
        account.text_bytes += static_cast<int64_t>(document.prompt.size() + document.text.size());
      } else {
        note_bad_line(account, path, document);
      }
      progress.show(bytes_before + reader.bytes_read(), account.documents);
    }
    bytes_before += reader.bytes_read();
  }
  if (account.documents == 0) {
    return error("{}{}: no document was found ({}); there is nothing to work on",
                 flags.files.front(), flags.files.size() > 1 ? " and the other files" : "",
                 counted(account.bad_lines, "bad line"));
  }
  return account;
}

}  // namespace tidar
