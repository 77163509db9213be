// tidar inspect: what a model is, and what memory it takes.

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "apps/command.h"
#include "apps/output.h"
#include "apps/ranges.h"
#include "apps/session.h"
#include "plan/layouts.h"

namespace tidar {
namespace {

/// What generate would have: the usual length of a conversation, or the model's if that is less.
constexpr int kDefaultContext = 4096;

struct InspectFlags {
  ModelFlags model;
  int rows = 512;
  bool json = false;
};

/// The weights of one role, over all layers.
struct RoleSummary {
  std::string name;  ///< of the first, "layers.*." for its layer
  std::vector<int64_t> shape;
  int count = 0;
  int64_t elements = 0;
  std::map<std::string_view, int> stored{};  ///< how many are stored in which way
  std::map<std::string_view, int> kept{};    ///< and are kept in which format
  int64_t kept_bytes = 0;                    ///< of all, without what kernels pad
  std::optional<PackedRole> packed{};        ///< nothing: a vector
};

/// What one weight is kept in, and its bytes.
std::pair<std::string_view, int64_t> kept(const WeightSpec& spec, const WeightFormats& formats) {
  const auto packed = packed_role(spec.role);
  const WeightFormatFacts& facts =
      facts_of(packed ? formats.of({*packed, spec.layer}) : WeightFormat::f32);
  return {facts.name, facts.bytes(spec.shape.size() == 2 ? spec.shape[0] : 1, spec.shape.back())};
}

std::vector<RoleSummary> summarize(const Session& session) {
  const ModelConfig& config = session.config();
  const ModelWeights& weights = session.weights();
  std::vector<RoleSummary> roles;
  std::map<WeightRole, size_t> place;
  for (const WeightSpec& spec : weight_table(config)) {
    const auto [found, added] = place.try_emplace(spec.role, roles.size());
    if (added) {
      std::string name = spec.name;
      const size_t layer = name.find(".0.");
      if (spec.layer >= 0 && layer != std::string::npos) name.replace(layer, 3, ".*.");
      roles.push_back({.name = name, .shape = spec.shape, .packed = packed_role(spec.role)});
    }
    RoleSummary& role = roles[found->second];
    role.count += 1;
    role.stored[weights.stored_as(spec.role, spec.layer)] += 1;
    const auto [format, bytes] = kept(spec, session.weight_formats());
    role.kept[format] += 1;
    role.kept_bytes += bytes;
    int64_t elements = 1;
    for (const int64_t size : spec.shape) elements *= size;
    role.elements += elements;
  }
  return roles;
}

std::string shape_text(const std::vector<int64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

/// "Q4_K", or of several "Q4_K 12, Q6_K 4".
std::string counts_text(const std::map<std::string_view, int>& counts) {
  if (counts.size() == 1) return std::string(counts.begin()->first);
  std::vector<std::string> parts;
  for (const auto& [name, count] : counts) parts.push_back(fmt::format("{} {}", name, count));
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::string print_weights(const std::vector<RoleSummary>& roles) {
  Table table({"weight", "shape", "count", "elements", "stored as"});
  for (const RoleSummary& role : roles) {
    std::string_view name = role.name;
    if (name.ends_with(".weight")) name.remove_suffix(7);
    table.add({std::string(name), shape_text(role.shape), std::to_string(role.count),
               format_count(role.elements), counts_text(role.stored)});
  }
  return table.text();
}

/// What the roles of --weights become: tensors that are packed as one count together.
std::string print_kept(const std::vector<RoleSummary>& roles) {
  std::map<std::optional<PackedRole>, RoleSummary> packed;
  for (const RoleSummary& role : roles) {
    RoleSummary& sum = packed[role.packed];
    for (const auto& [name, count] : role.stored) sum.stored[name] += count;
    for (const auto& [name, count] : role.kept) sum.kept[name] += count;
    sum.kept_bytes += role.kept_bytes;
  }
  Table table({"role", "stored as", "kept as", "bytes"});
  for (const auto& [role, sum] : packed) {
    if (!role) continue;
    table.add({std::string(name_of(*role)), counts_text(sum.stored), counts_text(sum.kept),
               format_count(sum.kept_bytes)});
  }
  const RoleSummary& vectors = packed[std::nullopt];
  table.add({"norms and biases", counts_text(vectors.stored), counts_text(vectors.kept),
             format_count(vectors.kept_bytes)});
  return table.text();
}

OrderedJson weights_json(const std::vector<RoleSummary>& roles) {
  OrderedJson weights = OrderedJson::array();
  for (const RoleSummary& role : roles) {
    weights.push_back({{"name", role.name},
                       {"shape", role.shape},
                       {"count", role.count},
                       {"elements", role.elements},
                       {"stored_as", role.stored},
                       {"role", role.packed ? OrderedJson(name_of(*role.packed)) : OrderedJson()},
                       {"kept_as", role.kept},
                       {"kept_bytes", role.kept_bytes}});
  }
  return weights;
}

/// null: none.
OrderedJson adapter_json(const Session& session) {
  if (session.adapter() == nullptr) return {};
  const AdapterConfig& config = session.adapter()->config();
  return {{"rank", config.rank},
          {"scale", config.scale()},
          {"target_modules", module_names(config.targets)},
          {"rows", name_of(config.rows)},
          {"parameters", session.adapter()->parameters()}};
}

std::string print_memory(const Session& session, int64_t peak) {
  const std::vector<MemoryUse> uses = session.memory();
  Table table({session.gpu() ? "memory of the GPU" : "memory", "bytes", ""});
  int64_t total = 0;
  for (const MemoryUse& use : uses) {
    table.add({use.purpose, format_count(use.bytes), format_bytes(use.bytes)});
    total += use.bytes;
  }
  table.add({"planned, in all", format_count(total), format_bytes(total)});
  table.add({session.gpu() ? "peak resident on the host" : "peak resident", format_count(peak),
             format_bytes(peak)});
  return table.text();
}

OrderedJson memory_json(const std::vector<MemoryUse>& uses) {
  OrderedJson memory = OrderedJson::object();
  int64_t total = 0;
  for (const MemoryUse& use : uses) {
    memory[use.purpose] = use.bytes;
    total += use.bytes;
  }
  memory["total"] = total;
  return memory;
}

/// One pass of as many rows as there may be, so that the memory is in use as it is in real work.
void use_memory(Evaluator& evaluator) {
  const EvaluatorLimits& limits = evaluator.limits();
  PagePool pool(limits.pages);
  SequenceCache cache(pool);
  const int rows = std::min({limits.max_rows, limits.pages * kPageSlots, limits.max_position});
  TIDAR_CHECK(cache.reserve(rows));
  Pass pass;
  pass.begin_sequence(cache);
  add_causal(pass, std::vector<int32_t>(static_cast<size_t>(rows), 0), Keep::page);
  pass.asks.add({.row = rows - 1});
  Answer answer;
  evaluator.evaluate(pass, {&answer, 1});
}

Result<int> inspect(const InspectFlags& flags) {
  TIDAR_TRY(Session session, Session::open(flags.model));
  const ModelConfig& config = session.config();
  const std::vector<RoleSummary> roles = summarize(session);
  TIDAR_TRY_VOID(session.build_network({.rows = flags.rows, .keys_each = kDefaultContext}));
  use_memory(session.network());
  const int64_t peak = peak_resident_bytes();
  const int context = session.network().limits().pages * kPageSlots;
  if (flags.json) {
    print_json({{"config", OrderedJson::parse(to_json(config))},
                {"parameters", config.parameters()},
                {"weights", weights_json(roles)},
                {"adapter", adapter_json(session)},
                {"weight_type", session.weights_text()},
                {"operand_type", session.operands_text()},
                {"kv_type", name_of(session.kv_type())},
                {"kernels", session.ops().name()},
                {"rows", flags.rows},
                {"context", context},
                {"device", session.flags().backend.device},
                {"memory", memory_json(session.memory())},
                {"peak_resident", peak}});
    return kDone;
  }
  print(fmt::format("{}: {} parameters, {} head\n", config.architecture,
                    format_count(config.parameters()),
                    config.head == HeadWeight::tied ? "tied" : "own"));
  print(fmt::format("layers {}, hidden {}, heads {} of {}, heads of keys and values {}\n",
                    config.layers, config.hidden, config.heads, config.head_size, config.kv_heads));
  print(fmt::format("ffn {}, vocabulary {}, positions {}, rope theta {}\n", config.ffn,
                    config.vocabulary, config.max_positions, config.rope.theta));
  if (config.tidar) {
    const TidarConfig& tidar = *config.tidar;
    print(
        fmt::format("trained layout {}, mask token {}{}\n", name_of(tidar.layout), tidar.mask_token,
                    tidar.block_size > 0 ? fmt::format(", block size {}", tidar.block_size) : ""));
  }
  if (session.adapter() != nullptr) print(fmt::format("adapter {}\n", session.adapter_text()));
  print("\n" + print_weights(roles) + "\n" + print_kept(roles) + "\n");
  print(fmt::format("weights {}\n", session.weights_text()));
  print(fmt::format("{}, products {}, keys and values {}\n", session.backend_text(),
                    session.operands_text(), name_of(session.kv_type())));
  print(fmt::format("passes of {} rows, room for {} keys\n\n", flags.rows, context));
  print(print_memory(session, peak));
  return kDone;
}

}  // namespace

void add_inspect(CLI::App& program, Action& action) {
  CLI::App& command =
      *program.add_subcommand("inspect", "Config, weights, parameters, memory by purpose");
  const auto flags = std::make_shared<InspectFlags>();  // shared by the parser and the action
  add_model_flags(command, flags->model);
  add_context_flag(command, flags->model);
  command.option_defaults()->group("Report");
  command.add_option("--rows", flags->rows, "Rows of a pass")
      ->check(whole_number(1, 65536))
      ->type_name("N")
      ->capture_default_str();
  command.add_flag("--json", flags->json, "JSON on stdout");
  command.callback([flags, &action] { action = [flags] { return inspect(*flags); }; });
}

}  // namespace tidar
