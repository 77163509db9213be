#include "apps/prices_file.h"

#include <fmt/ranges.h>

#include <array>
#include <string_view>
#include <utility>
#include <vector>

#include "format/files.h"
#include "format/json.h"

namespace tidar {
namespace {

constexpr int kPricesVersion = 1;
constexpr NumberRange kSeconds = {0, 1e6}, kPassSeconds = {1e-12, 1e6};

Result<PricePoint> parse_point(const JsonFields& fields, int rows_before, NumberRange seconds) {
  constexpr std::array<std::string_view, 2> kKnown = {"rows", "seconds"};
  TIDAR_TRY_VOID(fields.refuse_others(kKnown));
  PricePoint point;
  // The first one is of one row, and all have more than those before.
  const int most = rows_before == 0 ? 1 : 1 << 20;
  TIDAR_TRY(point.rows, fields.integer("rows", {rows_before + 1, most}));
  TIDAR_TRY(point.seconds, fields.number("seconds", seconds));
  return point;
}

/// Files that do not say what a key costs are of passes without keys.
Result<KeyPrice> parse_key(const Json& document, const JsonFields& fields) {
  KeyPrice key;
  if (!fields.has("key")) return key;
  if (!document.at("key").is_object()) return fields.wrong("key", "an object");
  const JsonFields one(document.at("key"), fmt::format("{}, key", fields.where()));
  constexpr std::array<std::string_view, 2> kKnown = {"cached", "seconds"};
  TIDAR_TRY_VOID(one.refuse_others(kKnown));
  TIDAR_TRY(key.cached, one.integer("cached", {0, 1 << 30}));
  TIDAR_TRY(key.seconds, one.number("seconds", kSeconds));
  return key;
}

Result<std::vector<PricePoint>> parse_points(const Json& document, const JsonFields& fields,
                                             const std::string& key, NumberRange seconds) {
  const auto wrong = [&] { return fields.wrong(key, "a list of objects, not empty"); };
  if (!fields.has(key)) return wrong();
  const Json& list = document.at(key);
  if (!list.is_array() || list.empty()) return wrong();
  std::vector<PricePoint> points;
  for (const Json& item : list) {
    if (!item.is_object()) return wrong();
    const JsonFields one(item, fmt::format("{}, {} {}", fields.where(), key, points.size() + 1));
    TIDAR_TRY(const PricePoint point,
              parse_point(one, points.empty() ? 0 : points.back().rows, seconds));
    points.push_back(point);
  }
  return points;
}

std::string text_of(const std::vector<PricePoint>& points) {
  std::vector<std::string> lines;
  for (const PricePoint& point : points) {
    lines.push_back(OrderedJson({{"rows", point.rows}, {"seconds", point.seconds}}).dump());
  }
  return fmt::format("[\n  {}\n ]", fmt::join(lines, ",\n  "));
}

}  // namespace

Result<PricesFile> read_prices(const std::filesystem::path& path) {
  TIDAR_TRY(const std::string text, read_text_file(path));
  TIDAR_TRY(const Json document, parse_json_object(text, path.string()));
  const JsonFields fields(document, path.string());
  TIDAR_TRY_VOID(fields.integer("version", {kPricesVersion, kPricesVersion}));
  constexpr std::array<std::string_view, 5> kKnown = {"version", "of", "passes", "asks", "key"};
  TIDAR_TRY_VOID(fields.refuse_others(kKnown));
  PricesFile file;
  TIDAR_TRY(file.of, fields.text("of"));
  TIDAR_TRY(std::vector<PricePoint> passes, parse_points(document, fields, "passes", kPassSeconds));
  TIDAR_TRY(std::vector<PricePoint> asks, parse_points(document, fields, "asks", kSeconds));
  TIDAR_TRY(const KeyPrice key, parse_key(document, fields));
  file.prices = Prices(std::move(passes), std::move(asks), key);
  return file;
}

Result<void> write_prices(const std::filesystem::path& path, const PricesFile& file) {
  const OrderedJson of = file.of;
  const KeyPrice& key = file.prices.key();
  const OrderedJson key_json = {{"cached", key.cached}, {"seconds", key.seconds}};
  return write_text_file(
      path,
      fmt::format(
          "{{\"version\": {},\n \"of\": {},\n \"passes\": {},\n \"asks\": {},\n \"key\": {}}}\n",
          kPricesVersion, of.dump(-1, ' ', false, OrderedJson::error_handler_t::replace),
          text_of(file.prices.points()), text_of(file.prices.asks()), key_json.dump()));
}

}  // namespace tidar
