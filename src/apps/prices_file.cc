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

constexpr int kVersion = 1;
constexpr NumberRange kSeconds = {0, 1e6};

Result<PricePoint> parse_point(const JsonFields& fields, int rows_before) {
  constexpr std::array<std::string_view, 2> kKnown = {"rows", "seconds"};
  TIDAR_TRY_VOID(fields.refuse_others(kKnown));
  PricePoint point;
  // The first point is of one row, and all have more than those before.
  const int most = rows_before == 0 ? 1 : 1 << 20;
  TIDAR_TRY(point.rows, fields.integer("rows", {rows_before + 1, most}));
  TIDAR_TRY(point.seconds, fields.number("seconds", kSeconds));
  if (point.seconds == 0) return fields.wrong("seconds", "a number above 0");
  return point;
}

Result<std::vector<PricePoint>> parse_points(const Json& document, const JsonFields& fields) {
  const auto wrong = [&] { return fields.wrong("points", "a list of objects, not empty"); };
  if (!fields.has("points")) return wrong();
  const Json& list = document.at("points");
  if (!list.is_array() || list.empty()) return wrong();
  std::vector<PricePoint> points;
  for (const Json& item : list) {
    if (!item.is_object()) return wrong();
    const JsonFields one(item, fmt::format("{}, point {}", fields.where(), points.size() + 1));
    TIDAR_TRY(const PricePoint point, parse_point(one, points.empty() ? 0 : points.back().rows));
    points.push_back(point);
  }
  return points;
}

}  // namespace

Result<PricesFile> read_prices(const std::filesystem::path& path) {
  TIDAR_TRY(const std::string text, read_text_file(path));
  TIDAR_TRY(const Json document, parse_json_object(text, path.string()));
  const JsonFields fields(document, path.string());
  TIDAR_TRY_VOID(fields.integer("version", {kVersion, kVersion}));
  constexpr std::array<std::string_view, 4> kKnown = {"version", "of", "ask_seconds", "points"};
  TIDAR_TRY_VOID(fields.refuse_others(kKnown));
  PricesFile file;
  TIDAR_TRY(file.of, fields.text("of"));
  TIDAR_TRY(const double ask_s, fields.number("ask_seconds", kSeconds));
  TIDAR_TRY(std::vector<PricePoint> points, parse_points(document, fields));
  file.prices = Prices(std::move(points), ask_s);
  return file;
}

Result<void> write_prices(const std::filesystem::path& path, const PricesFile& file) {
  std::vector<std::string> points;
  for (const PricePoint& point : file.prices.points()) {
    points.push_back(OrderedJson({{"rows", point.rows}, {"seconds", point.seconds}}).dump());
  }
  const OrderedJson of = file.of;
  const std::string text = fmt::format(
      "{{\"version\": {},\n \"of\": {},\n \"ask_seconds\": {},\n \"points\": [\n  {}\n ]}}\n",
      kVersion, of.dump(-1, ' ', false, OrderedJson::error_handler_t::replace),
      OrderedJson(file.prices.ask_s()).dump(), fmt::join(points, ",\n  "));
  return write_text_file(path, text);
}

}  // namespace tidar
