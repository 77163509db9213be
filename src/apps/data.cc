// tidar data: tokenizers and token shards from text.

#include <filesystem>
#include <memory>
#include <span>
#include <system_error>

#include "apps/command.h"
#include "apps/corpus_run.h"
#include "apps/output.h"
#include "apps/ranges.h"
#include "apps/shard_maker.h"
#include "base/stopwatch.h"
#include "format/files.h"
#include "format/token_shards.h"
#include "text/bpe_trainer.h"
#include "text/tokenizer.h"
#include "text/tokenizer_config.h"

namespace tidar {
namespace {

// --- tidar data tokenizer ------------------------------------------------------------------------

struct TokenizerFlags {
  CorpusFlags corpus;
  BpeTrainerOptions options;
  std::string out;
  bool force = false;
  bool json = false;
};

/// An Error when `path`, which --out leads to, is there already and nobody said --force.
Result<void> keep_existing(const std::filesystem::path& path, bool force) {
  std::error_code ignored;
  if (force || !std::filesystem::exists(path, ignored)) return {};
  return error("--out: {} is there already; --force replaces it", path.string());
}

Result<void> write_text(const std::filesystem::path& path, const std::string& text) {
  const auto bytes = std::as_bytes(std::span(text));
  return write_file(path, {&bytes, 1});
}

Result<void> write_tokenizer(const std::filesystem::path& folder, const LearntBpe& learnt,
                             const SpecialTokens& special) {
  std::error_code failure;
  std::filesystem::create_directories(folder, failure);
  if (failure) return error("{}: cannot be created: {}", folder.string(), failure.message());
  TIDAR_TRY_VOID(
      write_text(folder / "tokenizer_config.json", tokenizer_config_json(learnt, special)));
  return write_text(folder / "tokenizer.json", tokenizer_json(learnt, special));
}

Result<int> make_tokenizer(const TokenizerFlags& flags) {
  const Stopwatch watch;
  TIDAR_TRY_VOID(keep_existing(std::filesystem::path(flags.out) / "tokenizer.json", flags.force));
  TIDAR_TRY(BpeTrainer trainer, BpeTrainer::create(flags.options));
  TIDAR_TRY(const CorpusAccount account,
            read_corpus(flags.corpus, [&](const CorpusDocument& document) -> Result<void> {
              trainer.add(document.prompt);
              trainer.add(document.text);
              return {};
            }));
  if (account.interrupted) return kInterrupted;
  const LearntBpe learnt = trainer.learn();
  const SpecialTokens& special = flags.options.special;
  TIDAR_TRY_VOID(write_tokenizer(flags.out, learnt, special));

  const auto size = static_cast<int64_t>(learnt.tokens.size() + special.all().size());
  if (size < flags.options.vocabulary) {
    print_note(fmt::format("the text has too few pairs for {} tokens; the vocabulary has {}",
                           flags.options.vocabulary, size));
  }
  OrderedJson report = {{"out", flags.out},
                        {"vocabulary", size},
                        {"merges", learnt.merges.size()},
                        {"pieces", trainer.pieces()},
                        {"seconds", watch.seconds()}};
  report.update(account.json());
  if (flags.json) {
    print_json(report);
    return kDone;
  }
  print(fmt::format("{}: {} ({}) from {}, {} of text, in {:.1f} s\n", flags.out,
                    counted(size, "token"), counted(report["merges"], "merge"),
                    counted(account.documents, "document"), format_bytes(account.text_bytes),
                    watch.seconds()));
  if (account.bad_lines > 0) print(counted(account.bad_lines, "bad line") + "\n");
  return kDone;
}

void add_tokenizer(CLI::App& data, Action& action) {
  CLI::App& command =
      *data.add_subcommand("tokenizer",
                           "Learn a byte-level BPE tokenizer from text; writes tokenizer.json and "
                           "tokenizer_config.json");
  const auto flags = std::make_shared<TokenizerFlags>();  // shared by the parser and the action
  add_corpus_flags(command, flags->corpus);
  command.option_defaults()->group("Tokenizer");
  command.add_option("--out", flags->out, "Folder to write into")->required()->type_name("DIR");
  command.add_flag("--force", flags->force, "Replace a tokenizer that is there");
  command.add_option("--vocabulary", flags->options.vocabulary, "Tokens in all")
      ->type_name("N")
      ->capture_default_str();
  command
      .add_option("--min-count", flags->options.min_count,
                  "Pairs that are met less often do not become a token")
      ->check(whole_number(1, 1 << 30))
      ->type_name("N")
      ->capture_default_str();
  SpecialTokens& special = flags->options.special;
  command.add_option("--end", special.end, "The token that ends a document")
      ->type_name("TOKEN")
      ->capture_default_str();
  command.add_option("--mask", special.mask, "The token that stands for unknown ones")
      ->type_name("TOKEN")
      ->capture_default_str();
  command.add_option("--special", special.more, "A further one; may be given several times")
      ->type_name("TOKEN")
      ->allow_extra_args(false);
  command.option_defaults()->group("Report");
  command.add_flag("--json", flags->json, "JSON on stdout");
  command.callback([flags, &action] { action = [flags] { return make_tokenizer(*flags); }; });
}

// --- tidar data tokens ---------------------------------------------------------------------------

struct TokensFlags {
  CorpusFlags corpus;
  std::string tokenizer;
  std::string end;
  bool no_end = false;
  std::string out;
  bool force = false;
  bool json = false;
};

/// The id behind every document, or -1 for none.
Result<int32_t> end_id(const TokensFlags& flags, const Tokenizer& tokenizer) {
  if (flags.no_end) return -1;
  std::string end = flags.end;
  if (end.empty()) {
    TIDAR_TRY(const Json config, read_tokenizer_config(flags.tokenizer));
    end = special_token(config, "eos_token").value_or("");
  }
  if (end.empty()) {
    return error("{}: names no eos_token; give --end TOKEN or --no-end", flags.tokenizer);
  }
  const int32_t id = tokenizer.id_of(end);
  if (id < 0) return error("{}: has no token {}", flags.tokenizer, in_quotes(end));
  return id;
}

void print_report(const OrderedJson& report, const CorpusAccount& account) {
  print(fmt::format("{}: {} of {}, {}; {:.2f} bytes of text a token; {:.1f} s\n",
                    report["out"].get<std::string>(), counted(report["tokens"], "token"),
                    counted(account.documents, "document"), format_bytes(report["bytes"]),
                    static_cast<double>(account.text_bytes) / report["tokens"].get<double>(),
                    report["seconds"].get<double>()));
  print(fmt::format("longest document: {}; prompts: {}\n",
                    counted(report["longest_document"], "token"),
                    counted(report["prompt_tokens"], "token")));
  if (const int64_t count = report["one_token_documents"]; count > 0) {
    print(counted(count, "document") + " of one token, from which nothing can be learnt\n");
  }
  if (const int64_t count = report["conversations"]; count > 0) {
    print(counted(count, "conversation") +
          ": their answers are learnt where \"prompts\" are given\n");
  }
  if (const int64_t count = report["answer_documents"]; count > 0) {
    print(counted(count, "document") +
          " of one answer each: the chat template writes earlier answers otherwise\n");
  }
  if (const int64_t count = report["cut_documents"]; count > 0) {
    print(counted(count, "document") + " that were cut, as their finish_reason says: no end\n");
  }
  for (const auto& [token, times] : report["special_tokens_in_text"].items()) {
    print(
        fmt::format("the special token {} stands in the text {}\n", token, counted(times, "time")));
  }
  if (account.bad_lines > 0) print(counted(account.bad_lines, "bad line") + "\n");
}

/// An Error when the shard would be written over one of the files that it is made of.
Result<void> keep_inputs(const TokensFlags& flags) {
  for (const std::string& file : flags.corpus.files) {
    std::error_code ignored;
    if (std::filesystem::equivalent(file, flags.out, ignored)) {
      return error("--out {}: is one of the files to read; name another file to write", flags.out);
    }
  }
  return {};
}

Result<int> make_tokens(const TokensFlags& flags) {
  const Stopwatch watch;
  TIDAR_TRY_VOID(keep_inputs(flags));
  TIDAR_TRY_VOID(keep_existing(flags.out, flags.force));
  TIDAR_TRY(const Tokenizer tokenizer, Tokenizer::open(flags.tokenizer));
  TIDAR_TRY(const int32_t end, end_id(flags, tokenizer));
  TIDAR_TRY(TokenShardWriter writer, TokenShardWriter::create(flags.out, tokenizer.size()));
  ShardMaker tokens(flags.tokenizer, tokenizer, std::move(writer), end);
  CorpusFlags corpus = flags.corpus;
  corpus.conversations = true;
  TIDAR_TRY(const CorpusAccount account,
            read_corpus(corpus, [&](CorpusDocument& document) { return tokens.add(document); }));
  if (account.interrupted) return kInterrupted;
  TIDAR_TRY_VOID(tokens.finish());

  OrderedJson report = {{"out", flags.out}, {"vocabulary", tokenizer.size()}};
  report.update(tokens.json());
  report["seconds"] = watch.seconds();
  report.update(account.json());
  if (flags.json) {
    print_json(report);
  } else {
    print_report(report, account);
  }
  return kDone;
}

void add_tokens(CLI::App& data, Action& action) {
  CLI::App& command =
      *data.add_subcommand("tokens",
                           "Turn text, or conversations by the tokenizer's chat template, into a "
                           "token shard, which training reads");
  const auto flags = std::make_shared<TokensFlags>();  // shared by the parser and the action
  add_corpus_flags(command, flags->corpus);
  command.option_defaults()->group("Tokens");
  command.add_option("--tokenizer", flags->tokenizer, "Folder with tokenizer.json")
      ->required()
      ->type_name("DIR");
  command.add_option("--out", flags->out, "The shard to write")->required()->type_name("FILE");
  command.add_flag("--force", flags->force, "Replace a shard that is there");
  CLI::Option* end =
      command
          .add_option("--end", flags->end,
                      "The token behind every document (default: the tokenizer's eos_token), but "
                      "those of lines whose finish_reason is length or another that says that "
                      "their text was cut")
          ->type_name("TOKEN");
  command.add_flag("--no-end", flags->no_end, "Put no token behind documents")->excludes(end);
  command.option_defaults()->group("Report");
  command.add_flag("--json", flags->json, "JSON on stdout");
  command.callback([flags, &action] { action = [flags] { return make_tokens(*flags); }; });
}

}  // namespace

void add_data(CLI::App& program, Action& action) {
  CLI::App& data = *program.add_subcommand("data", "Tokenizers and token shards from text");
  data.require_subcommand(1);
  add_tokenizer(data, action);
  add_tokens(data, action);
}

}  // namespace tidar
