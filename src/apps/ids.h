#pragma once
// Token ids as people and programs write them.

#include <CLI/CLI.hpp>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/config.h"
#include "text/tokenizer.h"

namespace tidar {

/// Non-negative integers between commas or blanks, in square brackets or not: "1,2,3", "[1, 2, 3]",
/// "1 2 3". An empty text gives none. `where` names the source in errors ("--ids", or "" where
/// something else does), and `what` what the numbers are.
Result<std::vector<int32_t>> parse_ids(std::string_view text, std::string_view where,
                                       std::string_view what = "token ids");

/// What a flag takes for ids: a list that is not empty, or "-", which means stdin.
CLI::Validator listed_ids();

/// An Error that names the first id outside [0, vocabulary).
Result<void> check_ids(std::span<const int32_t> ids, int vocabulary, std::string_view where);

/// The id that a text means: a whole number, which is held against nothing and may be negative, or
/// the text of a token. An Error when it is no number, and there is no tokenizer or it has no such
/// token.
Result<int32_t> token_named(std::string_view text, const Tokenizer* tokenizer);

/// An Error when a tokenizer cannot belong to a model: it has more ids than the vocabulary, or so
/// few that what is missing is no padding (more than 4096 and an eighth of the vocabulary; the most
/// that published models pad is a few thousand). `where` names the tokenizer in errors.
Result<void> check_fits(const Tokenizer& tokenizer, int vocabulary, std::string_view where);

/// `given`, or where that is negative the mask token that the checkpoint names; -1 for none. Not
/// checked against the vocabulary.
int known_mask_token(int given, const ModelConfig& config);

/// The mask token: `flag`, or the checkpoint's where that is negative. An Error when there is none,
/// which says that `needed_by` needs one, or when it is outside the vocabulary.
Result<int> mask_token_of(const ModelConfig& config, int flag, std::string_view needed_by);

/// All of a file, or of stdin when `path` is "-", without the byte order mark that it may begin
/// with. An Error when it is more than 256 MiB, as a file without an end is.
Result<std::string> read_text(const std::string& path);

}  // namespace tidar
