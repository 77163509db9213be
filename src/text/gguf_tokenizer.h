#pragma once
// What a GGUF file says of its tokenizer, in the words of the two files of a Hugging Face folder:
// there is one reader of tokenizers (tokenizer_json.h), and this is what it is given.

#include <string>

#include "base/result.h"
#include "format/gguf.h"
#include "format/json.h"

namespace tidar {

/// Whether the file has a tokenizer.
bool has_tokenizer(const Gguf& file);

/// Its tokenizer.json: the entry tokenizer.huggingface.json where there is one, else made of
/// tokenizer.ggml.*. Of its kinds ("model"), "gpt2" is byte-level BPE, which cuts text by the rule
/// that "pre" names; "llama" is SentencePiece's BPE: what to merge follows from the scores of
/// tokens. Errors: a kind or a rule that is not known, lists that do not fit each other, tokens
/// that are not UTF-8.
Result<std::string> tokenizer_json_of(const Gguf& file);

/// Its tokenizer_config.json: the special tokens by their purposes, and the chat templates.
Result<Json> tokenizer_config_of(const Gguf& file);

}  // namespace tidar
