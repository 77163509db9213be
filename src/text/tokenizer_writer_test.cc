#include "text/tokenizer_writer.h"

#include <gtest/gtest.h>

#include "format/files_testing.h"
#include "text/small_tokenizer_testing.h"
#include "text/tokenizer.h"

namespace tidar {
namespace {

using nlohmann::json;

/// The tokenizer that becomes of a file.
Tokenizer with_token(const std::string& file, const NewToken& token) {
  return Tokenizer::parse(with_special_token(file, token).value(), "changed").value();
}

class SpecialToken : public testing::Test {
 protected:
  json file_ = small_tokenizer();
  Tokenizer before_ = Tokenizer::parse(file_.dump(), "before").value();
  NewToken token_ = {before_.size(), "<\"mask\">"};
};

TEST_F(SpecialToken, IsFoundInTextsAndChangesNoOther) {
  const Tokenizer after = with_token(file_.dump(2), token_);
  EXPECT_EQ(after.size(), before_.size() + 1);
  EXPECT_EQ(after.id_of(token_.content), token_.id);
  EXPECT_TRUE(after.is_special(token_.id));
  std::vector<int32_t> ids = before_.encode("the thing");
  EXPECT_EQ(after.encode("the thing"), ids);
  ids.push_back(token_.id);
  EXPECT_EQ(after.encode("the thing" + token_.content), ids);
}

TEST_F(SpecialToken, StandsWhateverTheListWasBefore) {
  file_["added_tokens"] = json::array();
  token_.id = Tokenizer::parse(file_.dump(), "before")->size();
  for (const std::string& text : {file_.dump(), file_.dump(4)}) {
    EXPECT_EQ(with_token(text, token_).id_of(token_.content), token_.id) << text.substr(0, 40);
  }
  file_.erase("added_tokens");
  EXPECT_EQ(with_token(file_.dump(), token_).id_of(token_.content), token_.id);
  file_ = small_tokenizer();  // brackets within texts are none
  file_["added_tokens"][1]["content"] = "[x]";
  token_.id = before_.size();
  const Tokenizer after = with_token(file_.dump(), token_);
  EXPECT_EQ(after.id_of(token_.content), token_.id);
  EXPECT_EQ(after.id_of("[x]"), token_.id - 1);
}

TEST_F(SpecialToken, AllElseStaysToTheByte) {
  const std::string text = file_.dump(1);
  const std::string changed = with_special_token(text, token_).value();
  const size_t same = static_cast<size_t>(
      std::mismatch(text.begin(), text.end(), changed.begin()).first - text.begin());
  const size_t more = changed.size() - text.size();
  EXPECT_EQ(changed.substr(0, same) + changed.substr(same + more), text);
  EXPECT_LT(more, 160u);
}

TEST_F(SpecialToken, WithoutTheNextIdStaysOut) {
  const std::string text = file_.dump();
  token_.id += 1;
  EXPECT_EQ(with_special_token(text, token_).value(), text);
  EXPECT_FALSE(with_special_token("{}", token_).ok());
}

TEST_F(SpecialToken, IsTheConfigsMask) {
  const auto changed = [&](const json& config) {
    return json::parse(config_with_mask_token(config.dump(), token_).value());
  };
  const json alone = changed(json::object());
  EXPECT_EQ(alone["mask_token"], token_.content);
  const std::string id = std::to_string(token_.id);
  EXPECT_EQ(alone["added_tokens_decoder"][id]["content"], token_.content);
  EXPECT_EQ(alone["added_tokens_decoder"][id]["special"], true);
  const json config = {{"added_tokens_decoder", {{"7", {{"content", "x"}}}}},
                       {"mask_token", "[M]"},
                       {"eos_token", "x"}};
  const json more = changed(config);
  EXPECT_EQ(more["mask_token"], "[M]");
  EXPECT_EQ(more["eos_token"], "x");
  EXPECT_EQ(more["added_tokens_decoder"].size(), 2u);
  EXPECT_EQ(changed({{"mask_token", nullptr}})["mask_token"], token_.content);
  EXPECT_FALSE(config_with_mask_token("[1]", token_).ok());
  EXPECT_FALSE(config_with_mask_token(R"({"added_tokens_decoder": []})", token_).ok());
}

}  // namespace
}  // namespace tidar
