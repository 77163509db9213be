#include "apps/ids.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>

#include "apps/ranges.h"
#include "format/files.h"
#include "format/input_file.h"

namespace tidar {

namespace {

constexpr int kMostPadding = 4096;
constexpr size_t kMostText = size_t{256} << 20;

}  // namespace

Result<std::vector<int32_t>> parse_ids(std::string_view text, std::string_view where,
                                       std::string_view what) {
  constexpr std::string_view kBlanks = " \t\r\n";
  constexpr std::string_view kBetween = ", \t\r\n";
  const auto skip = [&](std::string_view chars) {
    text.remove_prefix(std::min(text.find_first_not_of(chars), text.size()));
  };
  const std::string prefix = where.empty() ? "" : fmt::format("{}: ", where);
  std::vector<int32_t> ids;
  skip(kBlanks);
  const bool bracket = text.starts_with("[");
  if (bracket) text.remove_prefix(1);
  for (skip(kBetween); !text.empty() && text[0] != ']'; skip(kBetween)) {
    int32_t id = 0;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), id);
    if (code != std::errc{} || id < 0) {
      const std::string_view found = text.substr(0, text.find_first_of(", \t\r\n]"));
      return error("{}expected {} such as 1,2,3, found '{}'", prefix, what,
                   std::string(found.substr(0, 40)));
    }
    text.remove_prefix(static_cast<size_t>(end - text.data()));
    ids.push_back(id);
    const bool ends = text.empty() || (kBetween.find(text[0]) != kBetween.npos) || text[0] == ']';
    if (!ends) return error("{}expected a comma after {}, found '{}'", prefix, id, text[0]);
  }
  if (text.starts_with("]") != bracket) return error("{}unbalanced square brackets", prefix);
  if (bracket) text.remove_prefix(1);
  skip(kBlanks);
  if (!text.empty()) return error("{}unexpected text after the {}", prefix, what);
  return ids;
}

CLI::Validator listed_ids() {
  return parsed_by([](const std::string& text) -> Result<void> {
    if (text == "-") return {};
    TIDAR_TRY(const auto ids, parse_ids(text, ""));
    if (ids.empty()) return error("at least one token id is needed");
    return {};
  });
}

Result<void> check_ids(std::span<const int32_t> ids, int vocabulary, std::string_view where) {
  for (const int32_t id : ids) {
    if (id < 0 || id >= vocabulary) {
      return error("{}: token id {} is outside the vocabulary (0 to {})", where, id,
                   vocabulary - 1);
    }
  }
  return {};
}

Result<int32_t> token_named(std::string_view text, const Tokenizer* tokenizer) {
  int32_t id = -1;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (code == std::errc{} && end == text.data() + text.size()) return id;
  id = tokenizer == nullptr ? -1 : tokenizer->id_of(text);
  if (id < 0) return error("the tokenizer has no token {}", in_quotes(text));
  return id;
}

Result<void> check_fits(const Tokenizer& tokenizer, int vocabulary, std::string_view where) {
  const int padding = vocabulary - tokenizer.size();
  if (padding >= 0 && padding <= std::max(kMostPadding, vocabulary / 8)) return {};
  return error("{}: the tokenizer has {} tokens, but the model {}; it does not fit", where,
               tokenizer.size(), vocabulary);
}

int known_mask_token(int given, const ModelConfig& config) {
  if (given >= 0) return given;
  return config.tidar ? config.tidar->mask_token : -1;
}

Result<int> mask_token_of(const ModelConfig& config, int flag, std::string_view needed_by) {
  const int token = known_mask_token(flag, config);
  if (token < 0) {
    return error("{}: the checkpoint names no mask token; give --mask-token ID", needed_by);
  }
  TIDAR_TRY_VOID(check_ids({&token, 1}, config.vocabulary, "--mask-token"));
  return token;
}

Result<std::string> read_text(const std::string& path) {
  const bool standard_input = path == "-";
  FILE* file = standard_input ? stdin : std::fopen(path.c_str(), "rb");
  if (file == nullptr) return error("{}: {}", path, std::strerror(errno));
  const std::string where = standard_input ? "stdin" : path;
  std::string text;
  char chunk[1 << 16];
  size_t read = 0;
  while (text.size() <= kMostText && (read = std::fread(chunk, 1, sizeof chunk, file)) > 0) {
    text.append(chunk, read);
  }
  const bool failed = std::ferror(file) != 0;
  const int reason = errno;
  if (!standard_input) std::fclose(file);
  if (failed) return error("{}: {}", where, std::strerror(reason));
  if (text.size() > kMostText) {
    return error("{}: holds more than {} MiB of text; give less", where, kMostText >> 20);
  }
  if (text.starts_with(kByteOrderMark)) text.erase(0, kByteOrderMark.size());
  return text;
}

}  // namespace tidar
