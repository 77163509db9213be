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

/// What computes.
std::string priced_backend(const Session& session) {
  if (session.gpu()) return session.backend_text();
  return fmt::format("{} on {}", session.backend_text(), processor());
}

/// All that the time of a pass depends on.
std::string priced(const Session& session) {
  const ModelConfig& config = session.config();
  return fmt::format(
      "{} of {} layers, hidden {}, heads {} and {} of {}, ffn {}, vocabulary {}; weights {}, "
      "operands {}, keys and values {}; {}",
      config.architecture, config.layers, config.hidden, config.heads, config.kv_heads,
      config.head_size, config.ffn, config.vocabulary, session.weights_text(),
      session.operands_text(), name_of(session.kv_type()), priced_backend(session));
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

/// Keys that passes see while they are measured.
struct MeasuredKeys {
  int usual = 0;  ///< as many as a text of some length has, where there is room
  int many = 0;   ///< those of a long text; 0: there is no room for so many more that it shows
};

MeasuredKeys measured_keys(const Session& session) {
  constexpr int kUsual = 256, kMany = 2048, kFewer = 384;
  const EvaluatorLimits& limits = session.network().limits();
  const int room = std::min(limits.pages * kPageSlots, limits.max_position);
  MeasuredKeys keys{.usual = std::min(kUsual, room / 2)};
  const int left = room - pages_for(keys.usual) * kPageSlots;
  if (left >= kFewer + keys.usual) keys.many = std::min(kMany, left);
  return keys;
}

/// Whatever lies in its pages: passes take as long with any keys.
SequenceCache cache_of(PagePool& pool, int keys) {
  SequenceCache cache(pool);
  TIDAR_CHECK(cache.reserve(keys));
  cache.commit(keys);
  return cache;
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
  const MeasuredKeys keys = measured_keys(session);
  kept.of = fmt::format("{}; {} and {} cached keys", priced(session), keys.usual, keys.many);
  const std::filesystem::path folder = cache_folder();
  if (folder.empty()) return kept;
  kept.path = folder / fmt::format("prices-{:08x}.json", crc32c(std::as_bytes(std::span(kept.of))));
  return kept;
}

Prices kept_or_measured(const Session& session, const KeptPrices& file) {
  constexpr double kRecheckSeconds = 0.05;  // the machine may have been busy
  const std::optional<Prices> kept = file.read();
  return kept ? lowered(*kept, measure_prices_of(session, kRecheckSeconds))
              : measure_prices_of(session);
}

}  // namespace

Prices measure_prices_of(const Session& session, double budget_s) {
  const MeasuredKeys keys = measured_keys(session);
  PagePool pool(session.network().limits().pages);
  const SequenceCache usual = cache_of(pool, keys.usual), many = cache_of(pool, keys.many);
  return measure_prices(session.network(),
                        {.budget_s = budget_s, .cache = &usual, .many_keys = &many});
}

bool goes_by_prices(const Method& method) {
  if (std::holds_alternative<LookupMethodOptions>(method)) return true;
  const auto* tidar = std::get_if<TidarOptions>(&method);
  return tidar != nullptr && tidar->groups.kind == GroupPolicy::Kind::paying;
}

Result<std::optional<EnginePrices>> engine_prices(const std::string& flag, const Method& method,
                                                  const Session& session) {
  using Found = std::optional<EnginePrices>;
  if (!goes_by_prices(method) || flag == "none") return Found();
  if (flag.empty() || flag == "measure") {
    const KeptPrices file = kept_prices(session);
    Prices prices = flag.empty() ? kept_or_measured(session, file) : measure_prices_of(session);
    file.write(prices);
    return Found({std::move(prices), PriceUse::follows});
  }
  TIDAR_TRY(PricesFile file, read_prices(flag));
  return Found({std::move(file.prices), PriceUse::fixed});
}

}  // namespace tidar
