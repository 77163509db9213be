// What a tokenizer.json may say, and that the rest is refused by name.

#include "text/tokenizer_json.h"

#include <gtest/gtest.h>

#include <functional>

#include "text/small_tokenizer_testing.h"
#include "text/tokenizer.h"

namespace tidar {
namespace {

using nlohmann::json;

std::string error_of(const json& file) {
  const auto parsed = Tokenizer::parse(file.dump(), "the file");
  return parsed.ok() ? "" : parsed.error().message;
}

Result<TokenizerParts> parse(const std::string& tokenizer, const std::string& config) {
  return parse_tokenizer_json({tokenizer, "tokenizer.json"}, {config, "tokenizer_config.json"});
}

struct Refused {
  const char* what;
  std::function<void(json&)> change;
  const char* sentence;  // a part of it
};

json split(const std::string& pattern) {
  return {{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}};
}

json sequence(const char* list, json elements) {
  return {{"type", "Sequence"}, {list, std::move(elements)}};
}

json bos_template(json single) {
  return {{"type", "TemplateProcessing"},
          {"single", std::move(single)},
          {"special_tokens", {{"<bos>", {{"id", "<bos>"}, {"ids", {266}}}}}}};
}

const json kBos = {{"SpecialToken", {{"id", "<bos>"}, {"type_id", 0}}}};
const json kText = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};

TEST(TokenizerJson, RefusesByName) {
  const std::vector<Refused> cases = {
      {"top", [](json& f) { f["extra"] = 1; }, "the field extra is not supported"},
      {"no model", [](json& f) { f.erase("model"); }, "model must be an object, found nothing"},
      {"list", [](json& f) { f["model"] = json::array(); },
       "model must be an object, found an arr"},
      {"unigram", [](json& f) { f["model"]["type"] = "Unigram"; }, "\"Unigram\" (known: BPE)"},
      {"field", [](json& f) { f["model"]["new"] = 1; }, "the field model.new is not supported"},
      {"dropout", [](json& f) { f["model"]["dropout"] = 0.1; }, "a dropout other than 0"},
      {"prefix", [](json& f) { f["model"]["continuing_subword_prefix"] = "##"; }, "prefix \"##\""},
      {"suffix", [](json& f) { f["model"]["end_of_word_suffix"] = "</w>"; }, "suffix \"</w>\""},
      {"fallback", [](json& f) { f["model"]["byte_fallback"] = true; }, "byte_fallback beside"},
      {"no bytes",
       [](json& f) {
         f["model"]["byte_fallback"] = true;
         f["decoder"] = {{"type", "Fuse"}};
       },
       "the token <0x00> is missing"},
      {"pattern",
       [](json& f) {
         f["normalizer"] = {{"type", "Replace"}, {"pattern", {{"Regex", "a"}}}, {"content", ""}};
       },
       "normalizer.pattern: a Regex to replace is not supported"},
      {"empty pattern",
       [](json& f) {
         f["normalizer"] = {{"type", "Replace"}, {"pattern", {{"String", ""}}}, {"content", ""}};
       },
       "normalizer.pattern.String must not be empty"},
      {"no content",
       [](json& f) {
         f["normalizer"] = {
             {"type", "Replace"}, {"pattern", {{"String", "<tool>"}}}, {"content", ""}};
         f["added_tokens"][1]["normalized"] = true;
       },
       "the added token \"<tool>\" is empty when normalized"},
      {"strip",
       [](json& f) {
         f["decoder"] = {{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}};
       },
       "decoder: a Strip at this place is not supported"},
      {"order",
       [](json& f) {
         f["decoder"] = sequence("decoders", {{{"type", "Fuse"}}, {{"type", "ByteFallback"}}});
       },
       "decoder.decoders[1]: a ByteFallback at this place"},
      {"scheme",
       [](json& f) {
         f["decoder"] = {
             {"type", "Metaspace"}, {"replacement", "_"}, {"prepend_scheme", "sometimes"}};
       },
       "the prepend_scheme \"sometimes\""},
      {"disagree",
       [](json& f) {
         f["decoder"] = {{"type", "Metaspace"},
                         {"replacement", "_"},
                         {"add_prefix_space", false},
                         {"prepend_scheme", "first"}};
       },
       "they must agree"},
      {"mark",
       [](json& f) {
         f["decoder"] = {{"type", "Metaspace"}, {"replacement", "__"}};
       },
       "decoder.replacement must be one character"},
      {"flag", [](json& f) { f["model"]["fuse_unk"] = 1; }, "fuse_unk must be true or false"},
      {"unk",
       [](json& f) {
         f["model"]["vocab"].erase("a");
         f["model"]["merges"] = json::array();
         f["model"]["unk_token"] = "<none>";
       },
       "byte 97 needs it"},
      {"id", [](json& f) { f["model"]["vocab"]["a"] = -1; }, "the id of \"a\" must be an integer"},
      {"big id", [](json& f) { f["model"]["vocab"]["a"] = 1 << 22; }, "between 0 and 4194303"},
      {"text id", [](json& f) { f["model"]["vocab"]["a"] = "1"; }, "the id of \"a\" must be"},
      {"same id", [](json& f) { f["model"]["vocab"]["a"] = 98; }, "two tokens have the id 98"},
      {"no merges", [](json& f) { f["model"].erase("merges"); }, "model.merges must be an array"},
      {"one token", [](json& f) { f["model"]["merges"][3] = "ab"; }, "model.merges[3] must be two"},
      {"three", [](json& f) { f["model"]["merges"][3] = "a b c"; }, "model.merges[3] must be two"},
      {"three",
       [](json& f) {
         f["model"]["merges"][3] = {"a", "b", "c"};
       },
       "merges[3] must be two"},
      {"number",
       [](json& f) {
         f["model"]["merges"][3] = {"a", 1};
       },
       "model.merges[3] must be two"},
      {"alphabet",
       [](json& f) {
         f["model"]["merges"][0] = {"a", " "};
       },
       "byte-level alphabet"},
      {"unknown", [](json& f) { f["model"]["merges"][0] = "a z"; }, "must be in the vocabulary"},
      {"lower",
       [](json& f) {
         f["normalizer"] = {{"type", "Lowercase"}};
       },
       "type \"Lowercase\""},
      {"no type", [](json& f) { f["normalizer"] = json::object(); }, "normalizer.type must be"},
      {"inner",
       [](json& f) {
         f["normalizer"] = sequence("normalizers", {{{"type", "NFC"}}, 3});
       },
       "normalizer.normalizers[1] must be an object, found a number"},
      {"none", [](json& f) { f["pre_tokenizer"] = nullptr; }, "must end in a ByteLevel"},
      {"other",
       [](json& f) {
         f["pre_tokenizer"] = {{"type", "Metaspace"}};
       },
       "\"Metaspace\""},
      {"no end", [](json& f) { f["pre_tokenizer"] = split("a"); }, "must end in a ByteLevel"},
      {"order",
       [](json& f) {
         f["pre_tokenizer"] = sequence("pretokenizers", {f["pre_tokenizer"], split("a")});
       },
       "pre_tokenizer.pretokenizers[0]: a ByteLevel that is not the last"},
      {"regex", [](json& f) { f["pre_tokenizer"] = split("a{2}+"); }, "pre_tokenizer.pattern: reg"},
      {"behavior",
       [](json& f) {
         f["pre_tokenizer"] = split("a");
         f["pre_tokenizer"]["behavior"] = "Kept";
       },
       "behavior \"Kept\""},
      {"decoder", [](json& f) { f["decoder"] = nullptr; }, "decoder must be one ByteLevel"},
      {"cut", [](json& f) { f["decoder"]["type"] = "WordPiece"; }, "\"WordPiece\" (known: ByteL"},
      {"roberta",
       [](json& f) {
         f["post_processor"] = {{"type", "RobertaProcessing"}};
       },
       "\"RobertaProcessing\""},
      {"no A", [](json& f) { f["post_processor"] = bos_template({kBos}); }, "without the text A"},
      {"two A",
       [](json& f) {
         f["post_processor"] = bos_template({kText, kText});
       },
       "A once"},
      {"special",
       [](json& f) {
         f["post_processor"] = bos_template({kBos, kText});
         f["post_processor"]["special_tokens"] = json::object();
       },
       "special_tokens.<bos> must be an object, found nothing"},
      {"ids",
       [](json& f) {
         f["post_processor"] = bos_template({kBos, kText});
         f["post_processor"]["special_tokens"]["<bos>"]["ids"] = {268};
       },
       "special_tokens.<bos>.ids must hold ids of this vocabulary"},
      {"content", [](json& f) { f["added_tokens"][1]["content"] = ""; }, "must not be empty"},
      {"added id", [](json& f) { f["added_tokens"][1]["id"] = 5; }, "the id 5 of \"<tool>\""},
      {"two ids",
       [](json& f) {
         f["added_tokens"][1]["content"] = "the";
         f["model"]["vocab"]["the"] = 300;
       },
       "\"the\" has the id 267, and 300 in the model's"},
      {"far id", [](json& f) { f["added_tokens"][1]["id"] = 1 << 30; }, "between 0 and 4194303"},
      {"flag", [](json& f) { f["added_tokens"][1]["upper"] = true; }, "added_tokens[1].upper"},
  };
  EXPECT_EQ(error_of(small_tokenizer()), "");
  for (const Refused& refused : cases) {
    json file = small_tokenizer();
    refused.change(file);
    const std::string message = error_of(file);
    EXPECT_TRUE(message.starts_with("the file: ")) << refused.what << ": " << message;
    EXPECT_NE(message.find(refused.sentence), std::string::npos) << refused.what << ": " << message;
  }
}

TEST(TokenizerJson, RefusesWhatIsNoJsonObject) {
  for (const char* text : {"", "{", "[]", "3", "{\"model\": \"\xFF\"}", "{} {}", "\"\\ud800\""}) {
    const auto parsed = Tokenizer::parse(text, "the file");
    ASSERT_FALSE(parsed.ok()) << text;
    EXPECT_TRUE(parsed.error().message.starts_with("the file: ")) << parsed.error().message;
  }
  const auto twice = Tokenizer::parse(R"({"decoder": null, "decoder": null})", "the file");
  ASSERT_FALSE(twice.ok());
  EXPECT_EQ(twice.error().message, "the file: the field decoder is given twice");
  EXPECT_FALSE(Tokenizer::parse(std::string(100'000, '['), "the file").ok());
}

TEST(TokenizerJson, TokensThatOccurTwice) {
  std::string text = small_tokenizer().dump();
  const std::string vocabulary = "\"vocab\":{";
  text.insert(text.find(vocabulary) + vocabulary.size(), "\"a\":9999,");
  const auto parsed = Tokenizer::parse(text, "the file");
  ASSERT_FALSE(parsed.ok());
  EXPECT_EQ(parsed.error().message, "the file: model.vocab: the token \"a\" occurs twice");
}

TEST(TokenizerJson, TokensOnlyTheConfigDeclares) {
  const std::string file = small_tokenizer().dump();
  json config = {{"added_tokens_decoder",
                  {{"299", {{"content", "<bos>"}, {"special", true}}},  // tokenizer.json has it

                   {"300", {{"content", "<extra>"}, {"special", true}, {"normalized", false}}}}}};
  const auto parts = parse(file, config.dump());
  ASSERT_TRUE(parts.ok()) << parts.error().message;
  EXPECT_EQ(parts->raw_tokens.find("<extra>"), 300);
  EXPECT_EQ(parts->vocabulary.bytes(300), "<extra>");
  EXPECT_TRUE(parts->special[300]);
  EXPECT_EQ(parts->raw_tokens.find("<bos>"), 266);
  EXPECT_FALSE(parts->vocabulary.has(299));

  for (const char* id : {"5", "-1", "x", "4194304", "99999999999", "30 "}) {
    config["added_tokens_decoder"] = {{id, {{"content", "<extra>"}}}};
    const auto wrong = parse(file, config.dump());
    ASSERT_FALSE(wrong.ok()) << id;
    EXPECT_TRUE(wrong.error().message.starts_with("tokenizer_config.json: added_tokens_decoder."))
        << wrong.error().message;
  }
  EXPECT_FALSE(parse(file, "[]").ok());
}

// What transformers writes where there is no limit; no integer type holds it.
TEST(TokenizerJson, TheConfigMayHoldNumbersOfAnyLength) {
  const auto parts = parse(small_tokenizer().dump(),
                           R"({"model_max_length": 1000000000000000019884624838656,
      "added_tokens_decoder": {"300": {"content": "<extra>"}}})");
  ASSERT_TRUE(parts.ok()) << parts.error().message;
  EXPECT_EQ(parts->vocabulary.bytes(300), "<extra>");
}

TEST(TokenizerJson, ErrorsNameTheFileThatIsWrongAndNoOther) {
  const std::string good = small_tokenizer().dump();
  for (const char* config : {"[]", "{", R"({"added_tokens_decoder": 3})"}) {
    const auto wrong = parse(good, config);
    ASSERT_FALSE(wrong.ok());
    EXPECT_TRUE(wrong.error().message.starts_with("tokenizer_config.json"))
        << wrong.error().message;
  }
  const auto wrong = parse("{}", "{}");
  ASSERT_FALSE(wrong.ok());
  EXPECT_EQ(wrong.error().message, "tokenizer.json: model must be an object, found nothing");
}

TEST(TokenizerJson, TemplatesNest) {
  json file = small_tokenizer();
  json outer = bos_template({kBos, kText, kBos});
  outer["special_tokens"]["<bos>"]["ids"] = {267, 1};
  file["post_processor"] = sequence("processors", {bos_template({kBos, kText}), outer});
  const auto parts = parse(file.dump(), "");
  ASSERT_TRUE(parts.ok()) << parts.error().message;
  EXPECT_EQ(parts->prefix, (std::vector<int32_t>{267, 1, 266}));
  EXPECT_EQ(parts->suffix, (std::vector<int32_t>{267, 1}));
}

TEST(TokenizerJson, ByteLevelPutsASpaceInFrontAndSplitsUnlessItSaysOtherwise) {
  json file = small_tokenizer();
  file["pre_tokenizer"] = {{"type", "ByteLevel"}};
  const auto tokenizer = Tokenizer::parse(file.dump(), "the file");
  ASSERT_TRUE(tokenizer.ok());
  EXPECT_EQ(tokenizer->encode("the  b"), (std::vector<int32_t>{258, ' ', ' ', 'b'}));
}

TEST(TokenizerJson, NormalizedTokensAreLookedForInNormalizedText) {
  json file = small_tokenizer();
  file["normalizer"] = {{"type", "NFC"}};
  file["added_tokens"].push_back(added_token(268, "<e\u0301>", false));
  for (bool normalized : {false, true}) {
    file["added_tokens"][2]["normalized"] = normalized;
    const auto tokenizer = Tokenizer::parse(file.dump(), "the file");
    ASSERT_TRUE(tokenizer.ok());
    const std::vector<int32_t> found = {268}, spelled = {'<', 263, '>'};
    EXPECT_EQ(tokenizer->encode("<e\u0301>"), found);
    EXPECT_EQ(tokenizer->encode("<\u00E9>"), normalized ? found : spelled);
  }
}

}  // namespace
}  // namespace tidar
