// Pass::picture: who sees whom, as text.

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plan/pass.h"

namespace tidar {
namespace {

// Cached keys get a cell each up to this many; more of them share this many cells.
constexpr int32_t kCachedCells = 16;

std::string_view cell(int32_t seen, int32_t of) {
  if (seen == 0) return "·";
  return seen == of ? "█" : "▒";
}

int digits(int64_t number) { return static_cast<int>(fmt::formatted_size("{}", number)); }

int widest(const std::vector<int32_t>& numbers, std::string_view title) {
  int width = static_cast<int>(title.size());
  for (const int32_t number : numbers) width = std::max(width, digits(number));
  return width;
}

// One cell a key, or one for several cached keys; the bar stands behind the cached ones.
std::vector<std::string_view> cells_of(const PassSequence& sequence, const Sight& sight,
                                       int32_t keys_per_cell) {
  std::vector<std::string_view> cells;
  for (int32_t key = 0; key < sequence.cached; key += keys_per_cell) {
    const int32_t end = std::min(key + keys_per_cell, sequence.cached);
    int32_t seen = 0;
    for (int32_t k = key; k < end; ++k) seen += sight.sees(k) ? 1 : 0;
    cells.push_back(cell(seen, end - key));
  }
  if (sequence.cached > 0) cells.emplace_back("│");
  for (int32_t key = sequence.cached; key < sequence.keys(); ++key)
    cells.push_back(cell(sight.sees(key) ? 1 : 0, 1));
  return cells;
}

void append_cells(const std::vector<std::string_view>& cells, int room, std::string& out) {
  const bool cut = static_cast<int>(cells.size()) > room;
  const size_t shown = cut ? static_cast<size_t>(room - 1) : cells.size();
  for (size_t i = 0; i < shown; ++i) out += cells[i];
  if (cut) out += "…";
}

class Painter {
 public:
  Painter(const Pass& pass, int width)
      : pass_(pass),
        width_(width),
        row_width_(std::max(3, digits(pass.rows() - 1))),
        token_width_(widest(pass.tokens, "token")),
        position_width_(widest(pass.positions, "pos")),
        asked_(static_cast<size_t>(pass.rows()), false) {
    for (const Ask& ask : pass.asks) {
      asked_[static_cast<size_t>(ask.row)] = true;
      if (ask.other_row >= 0) asked_[static_cast<size_t>(ask.other_row)] = true;
    }
  }

  void paint(const PassSequence& sequence, std::string& out) const {
    const int32_t keys_per_cell = std::max(1, (sequence.cached + kCachedCells - 1) / kCachedCells);
    if (keys_per_cell > 1)
      fmt::format_to(std::back_inserter(out), "left of the bar, a cell is {} keys\n",
                     keys_per_cell);
    fmt::format_to(std::back_inserter(out), "{:>{}}  {:>{}}   {:>{}}  kept     sees\n", "row",
                   row_width_, "token", token_width_, "pos", position_width_);
    for (int32_t i = 0; i < sequence.rows; ++i) {
      const int32_t row = sequence.first_row + i;
      const std::string facts = facts_of(row);
      out += facts;
      const Sight& sight = pass_.sights[static_cast<size_t>(row)];
      append_cells(cells_of(sequence, sight, keys_per_cell),
                   std::max(1, width_ - static_cast<int>(facts.size())), out);
      out += '\n';
    }
  }

 private:
  std::string facts_of(int32_t index) const {
    const auto row = static_cast<size_t>(index);
    return fmt::format("{:>{}}  {:>{}}{}  {:>{}}  {:<7}  ", index, row_width_, pass_.tokens[row],
                       token_width_, asked_[row] ? '?' : ' ', pass_.positions[row], position_width_,
                       pass_.keeps[row] == Keep::page ? "page" : "scratch");
  }

  const Pass& pass_;
  int width_;
  int row_width_, token_width_, position_width_;
  std::vector<bool> asked_;
};

}  // namespace

std::string Pass::picture(int width) const {
  const Painter painter(*this, width);
  std::string out;
  for (size_t i = 0; i < sequences.size(); ++i) {
    const PassSequence& sequence = sequences[i];
    fmt::format_to(std::back_inserter(out),
                   "sequence {}: {} cached keys, {} rows, {} kept in pages\n", i, sequence.cached,
                   sequence.rows, sequence.stored);
    painter.paint(sequence, out);
  }
  for (const SlotMove& move : moves)
    fmt::format_to(std::back_inserter(out), "first, slot {} goes to slot {}\n", move.from, move.to);
  return out;
}

}  // namespace tidar
