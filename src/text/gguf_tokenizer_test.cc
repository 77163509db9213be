// Tokenizers of GGUF files: those of real models, converted, against what the Rust library of
// Hugging Face makes of the same texts with the files that they were made from.

#include "text/gguf_tokenizer.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "format/files_testing.h"
#include "format/gguf_testing.h"
#include "text/chat_template.h"
#include "text/small_tokenizer_testing.h"
#include "text/tokenizer.h"

namespace tidar {
namespace {

using nlohmann::json;
using Ids = std::vector<int32_t>;

constexpr int32_t kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6;

struct GgufVocabulary {
  std::vector<std::string> tokens;
  std::vector<int32_t> kinds;

  void put(size_t id, const std::string& text, int32_t kind) {
    if (id >= tokens.size()) {
      tokens.resize(id + 1, "[PAD]");
      kinds.resize(id + 1, kUnused);
    }
    tokens[id] = text;
    kinds[id] = kind;
  }
  void add_to(GgufBuilder& builder) const {
    builder.texts("tokenizer.ggml.tokens", tokens).list("tokenizer.ggml.token_type", kinds);
  }
};

/// The tokens of a tokenizer.json, as the converter sorts them.
GgufVocabulary vocabulary_of(const json& file) {
  GgufVocabulary vocabulary;
  for (const auto& [text, id] : file["model"]["vocab"].items()) {
    const bool byte = text.size() == 6 && text.starts_with("<0x");
    vocabulary.put(id.get<size_t>(), text, byte ? kByte : kNormal);
  }
  for (const json& token : file["added_tokens"]) {
    const auto text = token["content"].get<std::string>();
    const int32_t kind = text == "<unk>"                ? kUnknown
                         : token["special"].get<bool>() ? kControl
                                                        : kUserDefined;
    vocabulary.put(token["id"].get<size_t>(), text, kind);
  }
  return vocabulary;
}

std::vector<std::string> merges_of(const json& file) {
  std::vector<std::string> merges;
  for (const json& merge : file["model"]["merges"]) {
    merges.push_back(merge.is_string()
                         ? merge.get<std::string>()
                         : merge[0].get<std::string>() + " " + merge[1].get<std::string>());
  }
  return merges;
}

/// Scores by which SentencePiece merges in the order of a tokenizer.json: the earlier a token is
/// merged, the higher.
std::vector<float> scores_of(const json& file) {
  std::vector<float> scores(file["model"]["vocab"].size(), -1e9f);
  float next = 0;
  for (const std::string& merge : merges_of(file)) {
    std::string token = merge;
    token.erase(token.find(' '), 1);
    float& score = scores[file["model"]["vocab"][token].get<size_t>()];
    if (score == -1e9f) score = next--;
  }
  return scores;
}

json read_json(const std::filesystem::path& path) {
  json file = json::parse(std::ifstream(path), nullptr, false);
  EXPECT_FALSE(file.is_discarded()) << path << "; run scripts/fetch-tokenizers, which downloads it";
  return file;
}

Tokenizer opened(const GgufBuilder& builder) {
  const ScratchFolder folder;
  auto tokenizer = Tokenizer::open(folder.put("t.gguf", builder.file()));
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  return std::move(*tokenizer);
}

struct RealTokenizer {
  const char* name;
  const char* pre;  ///< nullptr: SentencePiece's
};

class RealTokenizers : public testing::TestWithParam<RealTokenizer> {};

TEST_P(RealTokenizers, GiveTheIdsOfTheirTwins) {
  const auto [name, pre] = GetParam();
  const json file = read_json(std::filesystem::path(TIDAR_TOKENIZERS) / name / "tokenizer.json");
  const json fixture = read_json(std::string(TIDAR_FIXTURES "/tokenizer/") + name + ".json");
  const GgufVocabulary vocabulary = vocabulary_of(file);
  GgufBuilder builder;
  vocabulary.add_to(builder);
  if (pre != nullptr) {
    builder.set("tokenizer.ggml.model", "gpt2").set("tokenizer.ggml.pre", pre);
    builder.texts("tokenizer.ggml.merges", merges_of(file));
  } else {
    builder.set("tokenizer.ggml.model", "llama").list("tokenizer.ggml.scores", scores_of(file));
  }
  const auto bos = fixture["bos_prefix_with_special_tokens"].get<Ids>();
  if (!bos.empty()) {
    builder.set("tokenizer.ggml.bos_token_id", static_cast<uint32_t>(bos[0]));
    builder.set("tokenizer.ggml.add_bos_token", true);
  }
  const Tokenizer tokenizer = opened(builder);
  ASSERT_FALSE(fixture["cases"].empty());
  for (const json& item : fixture["cases"]) {
    const auto text = item["text"].get<std::string>();
    const auto ids = item["ids"].get<Ids>();
    Ids with_special = bos;
    with_special.insert(with_special.end(), ids.begin(), ids.end());
    EXPECT_EQ(tokenizer.encode(text, AddSpecial::no), ids) << item["category"] << " " << text;
    EXPECT_EQ(tokenizer.encode(text), with_special) << text;
    EXPECT_EQ(tokenizer.decode(ids), item.value("decoded", text)) << item["category"];
  }
  for (const json& item : fixture["decode_cases"]) {
    const auto ids = item["ids"].get<Ids>();
    EXPECT_EQ(tokenizer.decode(ids), item["text"].get<std::string>()) << item["ids"];
    EXPECT_EQ(tokenizer.decode(ids, SkipSpecial::yes),
              item["text_skip_special"].get<std::string>());
  }
}

INSTANTIATE_TEST_SUITE_P(Fixtures, RealTokenizers,
                         testing::Values(RealTokenizer{"qwen2.5", "qwen2"},
                                         RealTokenizer{"qwen3", "qwen2"},
                                         RealTokenizer{"llama3.2", "llama-bpe"},
                                         RealTokenizer{"llama2", nullptr}),
                         [](const auto& instance) {
                           std::string name = instance.param.name;
                           std::erase(name, '.');
                           return name;
                         });

/// The small tokenizer of the tests, as a file: <bos> is control, <tool> user-defined.
GgufBuilder small_gguf(const char* pre) {
  const json file = small_tokenizer();
  GgufBuilder builder;
  vocabulary_of(file).add_to(builder);
  builder.set("tokenizer.ggml.model", "gpt2").texts("tokenizer.ggml.merges", merges_of(file));
  if (pre != nullptr) builder.set("tokenizer.ggml.pre", pre);
  return builder;
}

/// The pieces that a text is cut into, as a rule leaves them: every byte is a token, and a piece of
/// equal letters one (merges of a and a, b and b … up to a length of 8).
std::vector<std::string> pieces(const char* pre, const std::string& text) {
  GgufVocabulary vocabulary;
  for (size_t byte = 0; byte < 256; ++byte) {
    vocabulary.put(byte, byte_level_text(std::string(1, static_cast<char>(byte))), kNormal);
  }
  std::vector<std::string> merges;
  const auto merge = [&](const std::string& left, const std::string& right) {
    const std::string both = byte_level_text(left + right);
    if (std::find(vocabulary.tokens.begin(), vocabulary.tokens.end(), both) ==
        vocabulary.tokens.end()) {
      vocabulary.put(vocabulary.tokens.size(), both, kNormal);
    }
    merges.push_back(byte_level_text(left) + " " + byte_level_text(right));
  };
  // All beginnings of the text's runs, so that whatever is one piece becomes one token.
  for (size_t begin = 0; begin < text.size(); ++begin) {
    for (size_t size = 2; begin + size <= text.size(); ++size) {
      merge(text.substr(begin, size - 1), text.substr(begin + size - 1, 1));
    }
  }
  GgufBuilder builder;
  vocabulary.add_to(builder);
  builder.set("tokenizer.ggml.model", "gpt2").texts("tokenizer.ggml.merges", merges);
  builder.set("tokenizer.ggml.add_bos_token", false);
  if (pre != nullptr) builder.set("tokenizer.ggml.pre", pre);
  const Tokenizer tokenizer = opened(builder);
  std::vector<std::string> found;
  for (const int32_t id : tokenizer.encode(text)) found.emplace_back(tokenizer.bytes(id));
  return found;
}

TEST(GgufTokenizers, CutAsTheirRulesSay) {
  using Pieces = std::vector<std::string>;
  const std::string text = "ab 12345, cd!?";
  EXPECT_EQ(pieces("qwen2", text), (Pieces{"ab", " ", "1", "2", "3", "4", "5", ",", " cd", "!?"}));
  EXPECT_EQ(pieces("llama-bpe", text), (Pieces{"ab", " ", "123", "45", ",", " cd", "!?"}));
  EXPECT_EQ(pieces("gpt-2", text), (Pieces{"ab", " 12345", ",", " cd", "!?"}));
  EXPECT_EQ(pieces("smollm", text), (Pieces{"ab", " ", "1", "2", "3", "4", "5", ",", " cd", "!?"}));
  const Pieces usual = {"ab", " ", "123", "45", ",", " cd", "!?"};
  EXPECT_EQ(pieces("default", text), usual);
  EXPECT_EQ(pieces(nullptr, text), usual);
}

TEST(GgufTokenizers, PutAroundTextsWhatTheFileSays) {
  const auto ids = [](const std::function<void(GgufBuilder&)>& change, const char* pre) {
    GgufBuilder builder = small_gguf(pre);
    builder.set("tokenizer.ggml.bos_token_id", 266u).set("tokenizer.ggml.eos_token_id", 267u);
    change(builder);
    return opened(builder).encode("a");
  };
  const auto nothing = [](GgufBuilder&) {};
  EXPECT_EQ(ids(nothing, "gpt-2"), (Ids{'a'}));
  EXPECT_EQ(ids(nothing, "llama-bpe"), (Ids{266, 'a'}));
  EXPECT_EQ(ids([](GgufBuilder& b) { b.set("tokenizer.ggml.add_bos_token", false); }, "llama-bpe"),
            (Ids{'a'}));
  EXPECT_EQ(ids(
                [](GgufBuilder& b) {
                  b.set("tokenizer.ggml.add_bos_token", true);
                  b.set("tokenizer.ggml.add_eos_token", true);
                },
                "gpt-2"),
            (Ids{266, 'a', 267}));
}

TEST(GgufTokenizers, KnowTheKindsOfTokens) {
  GgufBuilder builder = small_gguf("gpt-2");
  const Tokenizer tokenizer = opened(builder);
  EXPECT_TRUE(tokenizer.is_special(266));
  EXPECT_FALSE(tokenizer.is_special(267));
  EXPECT_EQ(tokenizer.encode("a<bos><tool>a"), (Ids{'a', 266, 267, 'a'}));
  EXPECT_EQ(tokenizer.decode(Ids{266, 267, 'a'}, SkipSpecial::yes), "<tool>a");
  EXPECT_EQ(tokenizer.id_of("<tool>"), 267);
}

TEST(GgufTokenizers, AreTheWholeFileWhereThereIsOne) {
  GgufBuilder builder;
  builder.set("tokenizer.huggingface.json", small_tokenizer().dump().c_str());
  const Tokenizer tokenizer = opened(builder);
  EXPECT_EQ(tokenizer.encode("the"),
            Tokenizer::parse(small_tokenizer().dump(), "t")->encode("the"));
}

/// SentencePiece's kind: bytes, "▁" and letters, and tokens with scores.
GgufBuilder characters(const std::vector<std::pair<std::string, float>>& tokens) {
  GgufVocabulary vocabulary;
  std::vector<float> scores(259);
  vocabulary.put(0, "<unk>", kUnknown);
  vocabulary.put(1, "<s>", kControl);
  vocabulary.put(2, "</s>", kControl);
  for (size_t byte = 0; byte < 256; ++byte) {
    vocabulary.put(3 + byte, fmt::format("<0x{:02X}>", byte), kByte);
  }
  for (const auto& [text, score] : tokens) {
    vocabulary.put(vocabulary.tokens.size(), text, kNormal);
    scores.push_back(score);
  }
  GgufBuilder builder;
  vocabulary.add_to(builder);
  builder.set("tokenizer.ggml.model", "llama").list("tokenizer.ggml.scores", scores);
  builder.set("tokenizer.ggml.bos_token_id", 1u);
  return builder;
}

TEST(GgufTokenizers, MergeByScores) {
  const std::string mark = "\xE2\x96\x81";
  GgufBuilder builder = characters(
      {{mark, -9}, {"a", -9}, {"b", -9}, {"c", -9}, {"ab", -2}, {"bc", -1}, {mark + "a", -3}});
  const Tokenizer tokenizer = opened(builder);
  // "▁abc": bc (-1) before ab (-2), then ▁a.
  EXPECT_EQ(tokenizer.encode("abc"), (Ids{1, 265, 264}));
  EXPECT_EQ(tokenizer.encode("ab", AddSpecial::no), (Ids{259, 263}));
  EXPECT_EQ(tokenizer.encode("\n", AddSpecial::no), (Ids{259, 3 + 10}));
  EXPECT_EQ(tokenizer.decode(Ids{265, 264}), "abc");
  builder.set("tokenizer.ggml.add_space_prefix", false);
  const Tokenizer bare = opened(builder);
  EXPECT_EQ(bare.encode("abc a"), (Ids{1, 260, 264, 265}));
  EXPECT_EQ(bare.decode(Ids{265}), " a");
}

TEST(GgufTokenizers, SayWhatIsWrong) {
  const auto complaint = [](const GgufBuilder& builder) {
    const std::string file = builder.file();
    const auto gguf = parse_gguf(file);
    EXPECT_TRUE(gguf.ok()) << gguf.error().message;
    const auto result = tokenizer_json_of(*gguf);
    return result.ok() ? "" : result.error().message;
  };
  GgufBuilder none;
  none.set("a", 1);
  EXPECT_TRUE(says(complaint(none), "f.gguf: field 'tokenizer.ggml.tokens' is missing"));
  EXPECT_TRUE(says(complaint(small_gguf("klingon")),
                   "field 'tokenizer.ggml.pre' is the text 'klingon'; expected 'llama-bpe', 'qw"));
  GgufBuilder model;
  model.texts("tokenizer.ggml.tokens", {"a"}).set("tokenizer.ggml.model", "bert");
  EXPECT_TRUE(says(complaint(model), "field 'tokenizer.ggml.model' is the text 'bert'; expected"));
  GgufBuilder bytes;
  bytes.texts("tokenizer.ggml.tokens", {"a", "\xff"}).set("tokenizer.ggml.model", "gpt2");
  EXPECT_TRUE(says(complaint(bytes), "token 1 in tokenizer.ggml.tokens is not UTF-8"));
  GgufBuilder kinds;
  kinds.texts("tokenizer.ggml.tokens", {"a"}).list("tokenizer.ggml.token_type", Ids{1, 1});
  EXPECT_TRUE(says(complaint(kinds), "tokenizer.ggml.token_type has 2 entries for 1 tokens"));
  GgufBuilder scores;
  scores.texts("tokenizer.ggml.tokens", {"a"}).set("tokenizer.ggml.model", "llama");
  EXPECT_TRUE(says(complaint(scores), "field 'tokenizer.ggml.scores' is missing"));
  scores.list("tokenizer.ggml.scores", std::vector<float>{1, 2});
  EXPECT_TRUE(says(complaint(scores), "tokenizer.ggml.scores has 2 entries for 1 tokens"));
  GgufBuilder nan = characters({{"a", NAN}});
  EXPECT_TRUE(says(complaint(nan), "the score of token 259 is not a number"));
  GgufBuilder bos = small_gguf("gpt-2");
  bos.set("tokenizer.ggml.bos_token_id", 300u);
  EXPECT_TRUE(says(complaint(bos), "'tokenizer.ggml.bos_token_id' is 300; expected an id below 2"));
}

TEST(GgufTokenizers, BringTheirChatTemplates) {
  GgufBuilder builder = small_gguf("gpt-2");
  builder.set("tokenizer.ggml.bos_token_id", 266u);
  builder.set("tokenizer.chat_template",
              "{{ bos_token }}{% for m in messages %}{{ m['content'] }}{% endfor %}");
  const ScratchFolder folder;
  const auto path = folder.put("c.gguf", builder.file());
  auto chat = ChatTemplate::open(path);
  ASSERT_TRUE(chat.ok()) << chat.error().message;
  ASSERT_TRUE(chat->has_value());
  const OrderedJson messages = {{{"role", "user"}, {"content", "hi"}}};
  EXPECT_EQ((*chat)->render(messages, {})->bytes(), "<bos>hi");

  builder.set("tokenizer.chat_template.tool_use", "tools");
  auto both = ChatTemplate::open(folder.put("d.gguf", builder.file()));
  ASSERT_TRUE(both.ok()) << both.error().message;
  ChatOptions options;
  options.tools = OrderedJson::array();
  EXPECT_EQ((*both)->render(messages, options)->bytes(), "tools");
  EXPECT_EQ((*both)->render(messages, {})->bytes(), "<bos>hi");

  const auto without = ChatTemplate::open(folder.put("e.gguf", small_gguf("gpt-2").file()));
  ASSERT_TRUE(without.ok()) << without.error().message;
  EXPECT_FALSE(without->has_value());
}

TEST(GgufTokenizers, AreFoundWhereThereIsOne) {
  const ScratchFolder folder;
  EXPECT_FALSE(Tokenizer::find(folder.path())->has_value());
  EXPECT_FALSE(
      Tokenizer::find(folder.put("n.gguf", GgufBuilder().set("a", 1).file()))->has_value());
  EXPECT_TRUE(Tokenizer::find(folder.put("s.gguf", small_gguf("gpt-2").file()))->has_value());
  folder.put("tokenizer.json", small_tokenizer().dump());
  EXPECT_TRUE(Tokenizer::find(folder.path())->has_value());
}

}  // namespace
}  // namespace tidar
