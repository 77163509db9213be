#include "apps/generate_flags.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <memory>
#include <utility>

#include "apps/ids.h"
#include "apps/ranges.h"
#include "apps/sampling_flags.h"
#include "constrain/output_form.h"
#include "format/files.h"

namespace tidar {
namespace {

/// Logits of trained models lie within a few tens; what is usual is -2 to 2.
constexpr double kLargestPenalty = 100;

Result<LogitChange> parse_bias(const std::string& text) {
  LogitChange change;
  const char* const end = text.data() + text.size();
  const auto [colon, id_code] = std::from_chars(text.data(), end, change.token);
  const bool separated = id_code == std::errc{} && colon != end && *colon == ':';
  if (separated) {
    const char* const value = colon + (colon + 1 != end && colon[1] == '+' ? 2 : 1);
    const auto [stop, code] = std::from_chars(value, end, change.add);
    if (code == std::errc{} && stop == end && !std::isnan(change.add) &&
        change.add != std::numeric_limits<float>::infinity()) {
      return change;
    }
  }
  return error("expected ID:VALUE such as 42:-1.5 or 42:-inf, found '{}'", text);
}

void add_prompt_flags(CLI::App& command, GenerateFlags& flags) {
  command.option_defaults()->group("Prompt (one of these, or text on stdin)");
  CLI::Option* text = command.add_option("--prompt,-p", flags.prompt, "Text")->type_name("TEXT");
  CLI::Option* file = command
                          .add_option("--prompt-file,-f", flags.prompt_file,
                                      "File of text; a line end at its end is left out")
                          ->type_name("FILE")
                          ->excludes(text);
  command
      .add_option("--prompt-ids", flags.prompt_ids,
                  "Token ids: 1,2,3 or a JSON array; - reads them from stdin")
      ->check(listed_ids())
      ->type_name("IDS")
      ->excludes(text)
      ->excludes(file);
  command
      .add_option("--prompts", flags.prompts,
                  "JSONL file whose fields \"prompt\" are continued, some at a time; writes a JSON "
                  "object a line, in the order in which they end; an empty prompt becomes what the "
                  "tokenizer puts before a text, else the model's end-of-text token")
      ->type_name("FILE")
      ->excludes(text)
      ->excludes(file)
      ->excludes("--prompt-ids");
  command.add_flag("--no-special", flags.no_special,
                   "Leave out what the tokenizer puts around every text");
}

void add_documents_flags(CLI::App& command, GenerateFlags& flags) {
  command.option_defaults()->group("Documents of the model's own (with --prompts)");
  command
      .add_option("--samples", flags.samples,
                  "Texts for each prompt; the first of line i samples from seed --seed + i - 1, "
                  "further ones from hashes of --seed, line and sample")
      ->check(whole_number(1, 1 << 30))
      ->type_name("N")
      ->needs("--prompts")
      ->capture_default_str();
  command
      .add_option("--out", flags.out,
                  "Write to this file instead of stdout, and go on with one that is there: where a "
                  "run was ended, the same command goes on; FILE.run says of what run it is")
      ->type_name("FILE.jsonl")
      ->needs("--prompts");
  command.add_option("--together", flags.together, "Texts that share passes; none depends on it")
      ->check(whole_number(1, 1024))
      ->type_name("N")
      ->needs("--prompts")
      ->capture_default_str();
}

void add_stop_flags(CLI::App& command, GenerateFlags& flags) {
  command.option_defaults()->group("End of the output");
  command.add_option("--max-new,-n", flags.max_new, "New tokens at most")
      ->check(whole_number(1, 1 << 30))
      ->type_name("N")
      ->capture_default_str();
  command.add_option("--stop", flags.stop, "Text that ends the output; may be given several times")
      ->type_name("TEXT")
      ->allow_extra_args(false);
  command.add_flag("--ignore-eos", flags.ignore_eos, "Forbid end-of-text tokens");
}

void add_form_flags(CLI::App& command, GenerateFlags& flags) {
  command.option_defaults()->group("Form of the output (one of these)");
  CLI::Option* regex =
      command
          .add_option("--regex", flags.regex, "Regular expression that all of the output matches")
          ->type_name("EXPRESSION");
  CLI::Option* schema =
      command
          .add_option("--json-schema", flags.json_schema,
                      "File of a JSON schema; the output is a JSON value that it allows, with "
                      "properties in its order")
          ->type_name("FILE.json")
          ->excludes(regex);
  command.add_flag("--json-object", flags.json_object, "The output is a JSON object")
      ->excludes(regex)
      ->excludes(schema);
}

/// The form that the flags ask for.
Result<OutputForm> read_form(const GenerateFlags& flags) {
  using Kind = OutputForm::Kind;
  if (flags.regex) return OutputForm{.kind = Kind::expression, .text = *flags.regex};
  if (flags.json_object) return OutputForm{.kind = Kind::json_object};
  if (flags.json_schema.empty()) return OutputForm{};
  TIDAR_TRY(std::string schema, read_text_file(flags.json_schema));
  return OutputForm{.kind = Kind::json_schema, .text = std::move(schema)};
}

/// What holds outputs to it.
Result<std::shared_ptr<const Constraint>> read_constraint(const GenerateFlags& flags,
                                                          const ModelConfig& config,
                                                          const Tokenizer* tokenizer) {
  TIDAR_TRY(const OutputForm form, read_form(flags));
  if (form.kind == OutputForm::Kind::free) return std::shared_ptr<const Constraint>();
  if (tokenizer == nullptr) {
    return error("{}: has no tokenizer.json, which a form of the output needs", flags.model.model);
  }
  if (flags.ignore_eos) {
    return error(
        "--ignore-eos cannot be met where the form of the output says where it ends; "
        "leave one of them out");
  }
  std::vector<int32_t> eos(config.eos_tokens.begin(), config.eos_tokens.end());
  return OutputForms(*tokenizer).constraint_of(form, eos);
}

void add_choice_flags(CLI::App& command, GenerateFlags& flags) {
  command.option_defaults()->group("Choice of tokens");
  add_sampling_flags(command, flags.sampling);
  Penalties& penalties = flags.penalties;
  command
      .add_option("--repetition-penalty,--repeat-penalty", penalties.repetition,
                  "Divides logits of tokens in prompt and output")
      ->check(number_above(0))
      ->type_name("X")
      ->capture_default_str();
  command
      .add_option("--presence-penalty", penalties.presence,
                  "Taken from logits of output tokens (-100 to 100)")
      ->check(number(-kLargestPenalty, kLargestPenalty))
      ->type_name("X")
      ->capture_default_str();
  command
      .add_option("--frequency-penalty", penalties.frequency,
                  "Taken from them as often as they occurred (-100 to 100)")
      ->check(number(-kLargestPenalty, kLargestPenalty))
      ->type_name("X")
      ->capture_default_str();
  command
      .add_option("--logit-bias", flags.logit_bias,
                  "Added to a token's logit; -inf forbids it; may be given several times")
      ->check(parsed_by(parse_bias))
      ->option_text("ID:VALUE")
      ->allow_extra_args(false);
}

/// The last bias of a token counts.
void set_bias(std::vector<LogitChange>& bias, const LogitChange& change) {
  std::erase_if(bias, [&](const LogitChange& other) { return other.token == change.token; });
  bias.push_back(change);
}

void drop_line_end(std::string& text) {
  if (text.ends_with('\n')) text.pop_back();
  if (text.ends_with('\r')) text.pop_back();
}

Result<std::vector<int32_t>> read_prompt(const GenerateFlags& flags, const Tokenizer* tokenizer) {
  if (!flags.prompt_ids.empty()) {
    if (flags.prompt_ids != "-") return parse_ids(flags.prompt_ids, "--prompt-ids");
    TIDAR_TRY(const std::string ids, read_text("-"));
    return parse_ids(ids, "stdin");
  }
  if (tokenizer == nullptr) {
    return error("{}: has no tokenizer.json, so the prompt can only be given as --prompt-ids",
                 flags.model.model);
  }
  std::string text;
  if (flags.prompt) {
    text = *flags.prompt;
  } else {
    TIDAR_TRY(text, read_text(flags.prompt_file.empty() ? "-" : flags.prompt_file));
    drop_line_end(text);
  }
  return tokenizer->encode(text, flags.no_special ? AddSpecial::no : AddSpecial::yes);
}

}  // namespace

void add_decoding_flags(CLI::App& command, GenerateFlags& flags) {
  add_method_flags(command, flags.method);
  add_stop_flags(command, flags);
  add_choice_flags(command, flags);
  add_model_flags(command, flags.model);
  add_context_flag(command, flags.model);
}

void add_generate_flags(CLI::App& command, GenerateFlags& flags) {
  add_prompt_flags(command, flags);
  add_documents_flags(command, flags);
  add_form_flags(command, flags);
  add_decoding_flags(command, flags);
  command.option_defaults()->group("Report");
  command.add_flag("--compare", flags.compare,
                   "Also decode with ar, and say whether the tokens agree; with --prompts, of how "
                   "many of the texts of this run");
  command
      .add_flag("--print-pass", flags.print_pass,
                "Draw the first decoding pass on stderr: who sees whom")
      ->excludes("--prompts");
  command.add_flag(
      "--explain", flags.explain,
      "Tell of each pass on stderr, in a line, what came of its rows: tokens that became certain; "
      "guesses that were right, of how many; rows, and those of them whose logits were asked for; "
      "milliseconds, and those that prices foresaw; the tokens that the rows were thought to be "
      "worth. Then what --groups auto offered: for each guess the chance in % to be right where "
      "those before it are, and for each group its masks and the chance of its case; | stands "
      "before what was not granted, * behind the group that the next draft came from. The text "
      "comes at the end. In JSON, of --json and of --prompts: \"explained\", an object a pass");
  command
      .add_option("--reliability", flags.reliability,
                  "Draw how often guesses were right, and groups' cases happened, over the chance "
                  "that --groups auto gave them before")
      ->type_name("FILE.svg")
      ->needs("--prompts")
      ->excludes("--out");
  command
      .add_option(
          "--trace", flags.trace,
          "Write what drafts the model would have made at every place of the texts, for "
          "tidar bench --decode: a JSON object a text, with its ids (\"prompt\", "
          "\"answer\"), and for 1 to K masks and each token of the answer the ids that they "
          "guess from there on (\"guesses\") with their \"logprobs\"; needs --method tidar")
      ->type_name("FILE.jsonl")
      ->excludes("--out");
  command.add_flag(
      "--json", flags.json,
      "One JSON object on stdout instead of text; for each token, \"logprobs\" are the "
      "model's, \"policy_logprobs\" those of what it was drawn from: after penalties, "
      "temperature and cuts");
}

Result<Request> make_request(const GenerateFlags& flags, const ModelConfig& config,
                             const Tokenizer* tokenizer) {
  std::vector<int32_t> prompt;
  if (flags.prompts.empty()) {
    TIDAR_TRY(prompt, read_prompt(flags, tokenizer));
  }
  return make_request(flags, config, tokenizer, std::move(prompt));
}

Result<Request> make_request(const GenerateFlags& flags, const ModelConfig& config,
                             const Tokenizer* tokenizer, std::vector<int32_t> prompt) {
  Request request;
  request.sequence.prompt = std::move(prompt);
  request.sequence.sampling = flags.sampling;
  request.sequence.penalties = flags.penalties;
  for (const std::string& text : flags.logit_bias) {
    TIDAR_TRY(const LogitChange change, parse_bias(text));
    TIDAR_TRY_VOID(check_ids({&change.token, 1}, config.vocabulary, "--logit-bias"));
    set_bias(request.sequence.penalties.bias, change);
  }
  TIDAR_TRY(request.sequence.constraint, read_constraint(flags, config, tokenizer));
  request.sequence.mask_token = known_mask_token(flags.method.mask_token, config);
  const int room = config.max_positions - static_cast<int>(request.sequence.prompt.size());
  TIDAR_TRY(request.method,
            make_method(flags.method, config, std::max(1, std::min(flags.max_new, room))));
  request.max_new = flags.max_new;
  request.stop = flags.stop;
  if (!flags.ignore_eos) {
    request.eos.assign(config.eos_tokens.begin(), config.eos_tokens.end());
  } else {
    constexpr float kNever = -std::numeric_limits<float>::infinity();
    for (const int token : config.eos_tokens) {
      set_bias(request.sequence.penalties.bias, {.token = token, .add = kNever});
    }
  }
  return request;
}

}  // namespace tidar
