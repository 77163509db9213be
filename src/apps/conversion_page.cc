#include "apps/conversion_page.h"

#include <algorithm>
#include <optional>
#include <string_view>

#include "apps/output.h"
#include "format/files.h"
#include "format/json.h"
#include "train/run_config.h"

namespace tidar {

namespace {

/// What the log of a run says of its validations.
struct Validated {
  OrderedJson before,
      after;  // {"ar": …, "diffusion": …, "place_probability": {…}}, means over sets
  int64_t steps = 0;
  int64_t tokens = 0;  // read
};

/// Adds the numbers of `json`, divided, to those of `sum`.
void add_share(const OrderedJson& json, double divisor, OrderedJson& sum) {
  for (const auto& [name, value] : json.items()) {
    if (value.is_object()) {
      if (!sum.contains(name)) sum[name] = OrderedJson::object();
      add_share(value, divisor, sum[name]);
    } else if (value.is_number()) {
      sum[name] = sum.value(name, 0.0) + value.get<double>() / divisor;
    }
  }
}

/// The mean of each number of the sets of one line; empty where the line is none of a validation.
OrderedJson mean_of_sets(const OrderedJson& line) {
  std::vector<OrderedJson> sets;
  for (const auto& [name, set] : line.items()) {
    if (set.is_object() && set.contains("ar")) sets.push_back(set);
  }
  OrderedJson mean = OrderedJson::object();
  for (const OrderedJson& set : sets) add_share(set, static_cast<double>(sets.size()), mean);
  return mean;
}

Result<Validated> read_log(const std::filesystem::path& out) {
  const auto path = out / "log.jsonl";
  TIDAR_TRY(const std::string text, read_text_file(path));
  Validated log;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const OrderedJson line =
        OrderedJson::parse(text.begin() + static_cast<std::ptrdiff_t>(begin),
                           text.begin() + static_cast<std::ptrdiff_t>(end), nullptr, false);
    begin = end + 1;
    if (!line.is_object()) continue;
    if (line.contains("tokens")) log.tokens = line["tokens"];
    log.steps = line.value("step", log.steps);
    const OrderedJson means = mean_of_sets(line);
    if (means.empty()) continue;
    if (log.before.is_null()) log.before = means;
    log.after = means;
  }
  if (!log.after.is_null()) return log;
  return error("{}: has no validation; train with \"validation\" and \"validate_every\"",
               path.string());
}

double loss_of(const OrderedJson& means, const char* term) { return means.value(term, 0.0); }

/// "+0.3 %"
std::string change(double from, double to) {
  return fmt::format("{:+.1f} %", 100 * (to - from) / from);
}

std::string losses(const Validated& run, const std::optional<Validated>& control) {
  const double before = loss_of(run.before, "ar"), after = loss_of(run.after, "ar");
  std::string text = "## What it costs the AR model\n\n";
  text += "Loss on held-out text, in nats a token:\n\n| | AR | masks |\n|---|---:|---:|\n";
  text += fmt::format("| before | {:.4f} | {:.4f} |\n", before, loss_of(run.before, "diffusion"));
  text += fmt::format("| after | {:.4f} ({}) | {:.4f} |\n", after, change(before, after),
                      loss_of(run.after, "diffusion"));
  if (control) {
    const double other = loss_of(control->after, "ar");
    text += fmt::format("| AR alone, trained as long | {:.4f} | |\n", other);
    text += fmt::format("\nAgainst AR trained as long: {}.\n", change(other, after));
  }
  return text;
}

std::string places(const Validated& run) {
  if (!run.after.contains("place_probability")) return "";
  std::string text = "## What it drafts\n\n";
  text +=
      "What the mask at each place of a block gives to the token that stands there in held-out "
      "text,\nwhen all before the block is known:\n\n| place | before | after |\n|---|---:|---:|\n";
  const OrderedJson before = run.before.value("place_probability", OrderedJson::object());
  for (const auto& [place, value] : run.after["place_probability"].items()) {
    text += fmt::format("| {} | {:.3f} | {:.3f} |\n", place, before.value(place, 0.0),
                        value.get<double>());
  }
  return text;
}

std::string decoding(const ConversionPage& page) {
  std::string text = "## What that brings in decoding\n\n";
  for (const auto& [how, tables] : page.decoding) {
    text += fmt::format("On held-out documents, {}:\n\n```\n{}```\n\n", how, tables);
  }
  return text;
}

std::string advice(const ConversionPage& page, const Validated& run) {
  std::vector<std::string> items;
  const double before = loss_of(run.before, "ar"), after = loss_of(run.after, "ar");
  if (after > 1.01 * before) {
    items.emplace_back(
        "The AR loss rose: a lower learning rate (`--range-test` looks for one) or more text.");
  }
  const OrderedJson places = run.after.value("place_probability", OrderedJson::object());
  if (places.value("2", 1.0) < 0.3) {
    items.emplace_back(
        "Behind the first place masks tell little: train longer (`--budget`), or on text that the "
        "model itself has written (`tidar generate --samples`), which is easier to foresee.");
  }
  items.push_back(
      fmt::format("`tidar bench --model {0} --decode` and `tidar serve --model {0}` "
                  "show what drafts bring on this machine.",
                  (page.out / "latest").string()));
  items.push_back(
      fmt::format("`{}` is the config of the training: change it and run `tidar train "
                  "--config` by hand.",
                  (page.out / "run.json").string()));
  std::string text = "## What next\n\n";
  for (const std::string& item : items) text += "- " + item + "\n";
  return text;
}

std::string training(const OrderedJson& fields, const Validated& run, const ConversionPage& page) {
  std::string text = "## How it was trained\n\n| | |\n|---|---|\n";
  for (const std::string& file : page.data) text += fmt::format("| data | `{}` |\n", file);
  text += fmt::format("| tokens read | {} in {} steps |\n", format_count(run.tokens),
                      format_count(run.steps));
  for (const auto& [name, value] : fields.items()) {
    if (name == "out" || name == "init" || name == "train" || name == "validation") continue;
    text += fmt::format("| {} | {} |\n", name, value.dump());
  }
  return text;
}

/// What is trained where the weights are not.
std::string adapter(const RunConfig& run) {
  if (!run.lora) return "";
  const bool on_masks = run.lora->adapter.rows == AdapterRows::masks;
  return fmt::format(
      "What was trained is a low-rank adapter: {}, {}.\n{}\n", text_of(run.lora->adapter),
      run.lora->merges ? "merged into the weights" : "kept beside the weights in `adapter/`",
      on_masks
          ? "Where no mask stands, the model says what its base says, to the bit: AR is as good "
            "as it was.\n"
          : "");
}

/// That of the folder, or where it is a run's checkpoint, of the run's.
std::string name_of_model(const ConversionPage& page) {
  const auto folder = std::filesystem::weakly_canonical(page.model);
  const std::string name = folder.filename().string();
  return name.starts_with("step-") ? folder.parent_path().filename().string() : name;
}

}  // namespace

Result<std::string> write_page(const ConversionPage& page) {
  TIDAR_TRY(const Validated run, read_log(page.out));
  std::optional<Validated> control;
  if (!page.control.empty()) {
    TIDAR_TRY(control, read_log(page.control));
  }
  TIDAR_TRY(const std::string config, read_text_file(page.out / "run.json"));
  const std::string name = name_of_model(page);
  std::string text = fmt::format(
      "---\nbase_model: {0}\ntags: [tidar, text-generation]\n---\n# {0}, converted to TiDAR\n\n"
      "    tidar generate --model {1} --prompt \"…\"\n\n",
      name, (page.out / "latest").string());
  TIDAR_TRY(const RunConfig fields, parse_run_config(config, "run.json"));
  text += adapter(fields) + losses(run, control) + "\n" + places(run) + "\n" + decoding(page) +
          training(OrderedJson::parse(config), run, page) + "\n" + advice(page, run);
  TIDAR_TRY_VOID(write_text_file(page.out / "README.md", text));
  TIDAR_TRY_VOID(write_text_file(page.out / "latest" / "README.md", text));
  return text;
}

}  // namespace tidar
