// tidar quantize: a model as a folder of codes, which other programs can open, too.

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <system_error>

#include "apps/backend.h"
#include "apps/command.h"
#include "apps/interrupt.h"
#include "apps/output.h"
#include "apps/quantized_folder.h"
#include "apps/weight_choice.h"
#include "format/gguf.h"

namespace tidar {
namespace {

struct QuantizeFlags {
  std::string model;
  std::string out;
  WeightChoice weights = {.all = WeightFormat::w8, .others = {}};
  int threads = 0;
  bool json = false;
};

Result<void> check_paths(const QuantizeFlags& flags) {
  const std::filesystem::path model = flags.model, out = flags.out;
  std::error_code ignored;
  if (!std::filesystem::is_directory(model, ignored) && !is_gguf_path(model)) {
    return error(
        "{}: no such folder or file; --model names a folder with config.json, or a GGUF file",
        flags.model);
  }
  if (std::filesystem::exists(std::filesystem::symlink_status(out, ignored))) {
    return error("--out: {} is there already; name a folder that is not", flags.out);
  }
  return {};
}

/// Tensors of one role: how they are stored, and in which way they are written.
struct RoleWritten {
  std::map<std::string, int> stored, written;
};

std::map<PackedRole, RoleWritten> by_role(const std::vector<TensorPlan>& plan,
                                          const ModelWeights& weights) {
  std::map<PackedRole, RoleWritten> roles;
  for (const TensorPlan& tensor : plan) {
    const WeightSpec& spec = tensor.spec;
    const auto role = packed_role(spec.role);
    if (!role) continue;
    RoleWritten& one = roles[*role];
    one.stored[std::string(weights.stored_as(spec.role, spec.layer))] += 1;
    const std::string_view plain = name_of(weights.look_at(spec.role, spec.layer).dtype);
    one.written[std::string(tensor.as_codes ? name_of(tensor.format) : plain)] += 1;
  }
  return roles;
}

std::string counts_text(const std::map<std::string, int>& counts) {
  if (counts.size() == 1) return counts.begin()->first;
  std::vector<std::string> parts;
  for (const auto& [name, count] : counts) parts.push_back(fmt::format("{} {}", name, count));
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::string report(const QuantizeFlags& flags, const std::map<PackedRole, RoleWritten>& roles,
                   const WrittenFolder& written, const std::string& formats) {
  Table table({"role", "stored as", "written as"});
  for (const auto& [role, one] : roles) {
    table.add({std::string(name_of(role)), counts_text(one.stored), counts_text(one.written)});
  }
  std::string text = table.text();
  text += fmt::format("\n{}: {} of weights\n", flags.out, format_bytes(written.weight_bytes));
  if (!written.beside.copied.empty()) {
    std::vector<std::string> parts = written.beside.copied;
    parts.front() = "beside them " + parts.front();
    text += in_lines(parts) + "\n";
  }
  if (!written.beside.left_out.empty()) {
    std::vector<std::string> parts = written.beside.left_out;
    parts.front() = "left out " + parts.front();
    text += in_lines(parts) + "\n";
  }
  text += fmt::format(
      "embedding and head are plain, as other programs want them;\n"
      "  tidar keeps them in codes, too, with --weights {}\n",
      formats);
  return text;
}

OrderedJson report_json(const QuantizeFlags& flags, const std::map<PackedRole, RoleWritten>& roles,
                        const WrittenFolder& written, const std::string& formats) {
  OrderedJson json = {{"out", flags.out}, {"weights", formats}};
  for (const auto& [role, one] : roles) {
    json["roles"][std::string(name_of(role))] = {{"stored_as", one.stored},
                                                 {"written_as", one.written}};
  }
  json["weight_bytes"] = written.weight_bytes;
  json["copied"] = written.beside.copied;
  json["left_out"] = written.beside.left_out;
  json["peak_resident"] = peak_resident_bytes();
  return json;
}

Result<int> quantize(const QuantizeFlags& flags) {
  TIDAR_TRY_VOID(check_paths(flags));
  TIDAR_TRY(const ModelConfig config, read_model_config(flags.model));
  TIDAR_TRY(const ModelWeights weights, ModelWeights::open(flags.model, config));
  TIDAR_TRY(const WeightFormats formats,
            chosen_formats(flags.weights, config, stored_formats(config, weights)));
  Threads threads(flags.threads);
  const std::vector<TensorPlan> plan = plan_quantized(config, formats);
  const std::string said = text_of(formats, config);
  if (std::none_of(plan.begin(), plan.end(), [](const auto& one) { return one.as_codes; })) {
    return error("--weights {}: leaves every matrix as it is stored; w8 or w4 make codes", said);
  }
  const auto roles = by_role(plan, weights);
  WrittenFolder written;
  {
    const Interrupt interrupt;
    Progress progress;
    const auto proceed = [&](size_t done, size_t of, std::string_view name) {
      progress.show(fmt::format("quantising  {} of {} tensors  {}", done, of, name));
      return !interrupt.requested();
    };
    TIDAR_TRY(written, write_quantized_folder({.model = flags.model,
                                               .out = flags.out,
                                               .config = config,
                                               .weights = weights,
                                               .threads = threads,
                                               .proceed = proceed},
                                              plan));
  }
  if (!written.finished) {
    print_note("interrupted; nothing was written");
    return kInterrupted;
  }
  flags.json ? print_json(report_json(flags, roles, written, said))
             : print(report(flags, roles, written, said));
  return kDone;
}

}  // namespace

void add_quantize(CLI::App& program, Action& action) {
  CLI::App& command = *program.add_subcommand(
      "quantize", "Writes a model as a folder of 8- or 4-bit weights that vLLM can open, too");
  const auto flags = std::make_shared<QuantizeFlags>();  // shared by the parser and the action
  command.option_defaults()->group("Model");
  command.add_option("--model", flags->model, "Hugging Face folder of the model, or GGUF file")
      ->required()
      ->type_name("PATH");
  command.add_option("--out", flags->out, "Folder to be written, which must not exist")
      ->required()
      ->type_name("PATH");
  add_weights_flag(command, flags->weights,
                   "Format of the matrices: w8 or w4, and other ones by role, as in w4,down=w8 "
                   "(default: w8); f32 and bf16 leave a role as it is stored");
  command.option_defaults()->group("Computing");
  add_threads_flag(command, flags->threads);
  command.option_defaults()->group("Report");
  command.add_flag("--json", flags->json, "JSON on stdout");
  command.footer(
      "The folder has the form pack-quantized of compressed-tensors: symmetric codes\n"
      "with an f16 scale for 32 of them. Embedding and head are written plain, as\n"
      "other programs want them; tidar makes codes of them, too, when it is given the\n"
      "same --weights again, and has then the same bits as from the model itself.");
  command.callback([flags, &action] { action = [flags] { return quantize(*flags); }; });
}

}  // namespace tidar
