#include "apps/price_source.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <span>
#include <system_error>
#include <utility>

#include "apps/prices_file.h"
#include "base/check.h"
#include "cache/pages.h"
#include "engine/measure_prices.h"
#include "format/crc32c.h"

namespace tidar {
namespace {

std::string processor() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

/// All that the time of a pass depends on.
std::string priced(const Session& session) {
  const ModelConfig& config = session.config();
  return fmt::format(
      "{} of {} layers, hidden {}, heads {} and {} of {}, ffn {}, vocabulary {}; weights {}, "
      "operands {}, keys and values {}; {} kernels, {} threads on {}",
      config.architecture, config.layers, config.hidden, config.heads, config.kv_heads,
      config.head_size, config.ffn, config.vocabulary, name_of(session.weight_format()),
      name_of(session.operand_type()), name_of(session.kv_type()), session.ops().name(),
      session.threads().size(), processor());
}

/// By the XDG base directory specification; empty where the user has no folder.
std::filesystem::path cache_folder() {
  const auto absolute = [](const char* name) {
    const char* value = std::getenv(name);
    const std::filesystem::path path = value == nullptr ? "" : value;
    return path.is_absolute() ? path : std::filesystem::path();
  };
  if (const auto cache = absolute("XDG_CACHE_HOME"); !cache.empty()) return cache / "tidar";
  const auto home = absolute("HOME");
  return home.empty() ? home : home / ".cache" / "tidar";
}

/// Keys that passes see while they are measured: as many as a text of some length has, where there
/// is room. Every mask reads them, so that rows are cheaper without.
int measured_keys(const Session& session) {
  constexpr int kKeys = 256;
  const EvaluatorLimits& limits = session.network().limits();
  return std::min({kKeys, limits.pages * kPageSlots / 2, limits.max_position / 2});
}

Prices measured(const Session& session, double budget_s = PriceMeasuring().budget_s) {
  const int keys = measured_keys(session);
  PagePool pool(session.network().limits().pages);
  SequenceCache cache(pool);
  TIDAR_CHECK(cache.reserve(keys));
  cache.commit(keys);
  return measure_prices(session.network(), {.budget_s = budget_s, .cache = &cache});
}

/// Of this model, on this machine; nowhere where the user has no folder.
struct KeptPrices {
  std::string of;
  std::filesystem::path path;

  std::optional<Prices> read() const {
    if (path.empty()) return {};
    auto found = read_prices(path);
    if (!found.ok() || found->of != of) return {};
    return std::move(found->prices);
  }

  /// Where nothing can be written, the next run measures again.
  void write(const Prices& prices) const {
    if (path.empty()) return;
    std::error_code ignored;
    std::filesystem::create_directories(path.parent_path(), ignored);
    static_cast<void>(write_prices(path, {of, prices}));
  }
};

KeptPrices kept_prices(const Session& session) {
  KeptPrices kept;
  kept.of = fmt::format("{}; {} cached keys", priced(session), measured_keys(session));
  const std::filesystem::path folder = cache_folder();
  if (folder.empty()) return kept;
  kept.path = folder / fmt::format("prices-{:08x}.json", crc32c(std::as_bytes(std::span(kept.of))));
  return kept;
}

Prices kept_or_measured(const Session& session, const KeptPrices& file) {
  constexpr double kRecheck_s = 0.05;  // the machine may have been busy
  const std::optional<Prices> kept = file.read();
  return kept ? lowered(*kept, measured(session, kRecheck_s)) : measured(session);
}

}  // namespace

bool goes_by_prices(const Method& method) {
  const auto* tidar = std::get_if<TidarOptions>(&method);
  return tidar != nullptr && tidar->groups.kind == GroupPolicy::Kind::paying;
}

Result<std::optional<EnginePrices>> engine_prices(const std::string& flag, const Method& method,
                                                  const Session& session) {
  using Found = std::optional<EnginePrices>;
  if (!goes_by_prices(method) || flag == "none") return Found();
  if (flag.empty() || flag == "measure") {
    const KeptPrices file = kept_prices(session);
    Prices prices = flag.empty() ? kept_or_measured(session, file) : measured(session);
    file.write(prices);
    return Found({std::move(prices), PriceUse::follows});
  }
  TIDAR_TRY(PricesFile file, read_prices(flag));
  return Found({std::move(file.prices), PriceUse::fixed});
}

}  // namespace tidar
