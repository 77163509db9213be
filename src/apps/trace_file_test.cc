#include "apps/trace_file.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "format/files_testing.h"

namespace tidar {
namespace {

// Two texts; K is 2 and 1.
constexpr const char* kTraces =
    R"({"version":2,"model":"a \"model\"","vocabulary":9,"draft_length":2,"prompt":[1,2],)"
    R"("answer":[3,4],"guesses":[3,5,6,4,-1,-1],"logprobs":[-0.1,-2.5,-1e-05,-3,0,0],)"
    R"("runners_up":[4,4,-1,2,-1,-1],"runner_up_logprobs":[-3,-0.5,0,-4,0,0]})"
    "\n"
    R"({"version":2,"model":"a \"model\"","vocabulary":9,"draft_length":1,"prompt":[8],)"
    R"("answer":[7],"guesses":[7],"logprobs":[-0.25],"runners_up":[6],"runner_up_logprobs":[-2]})"
    "\n";

class TraceFileTest : public testing::Test {
 protected:
  std::string error_with(const std::string& part, const std::string& other) {
    std::string text = kTraces;
    const size_t at = text.find(part);
    EXPECT_NE(at, std::string::npos) << part;
    const auto found = read_trace(folder_.put("trace.jsonl", text.replace(at, part.size(), other)));
    return found.ok() ? "" : found.error().message;
  }

  ScratchFolder folder_;
};

TEST_F(TraceFileTest, IsWrittenAsItIsRead) {
  const auto read = read_trace(folder_.put("trace.jsonl", kTraces));
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read->model, "a \"model\"");
  EXPECT_EQ(read->draft_length(), 1);
  EXPECT_EQ(read->longest(), 4);
  ASSERT_EQ(read->texts.size(), 2u);
  const DraftTrace& text = read->texts[0];
  EXPECT_EQ(text.text(), (std::vector<int32_t>{1, 2, 3, 4}));
  EXPECT_EQ(text.prompt_tokens(), 2);
  EXPECT_EQ(text.draft(3, 1)[0], (Guess{5, -2.5f, {4, -0.5f}}));
  EXPECT_EQ(text.draft(2, 2)[1], (Guess{4, -3, {2, -4}}));
  EXPECT_EQ(text.draft(3, 2)[0].token, -1);

  auto writer = TraceWriter::create(folder_.path() / "again.jsonl", read->model, 9);
  ASSERT_TRUE(writer.ok());
  for (const DraftTrace& trace : read->texts) ASSERT_TRUE(writer->add(trace).ok());
  ASSERT_TRUE(writer->commit().ok());
  EXPECT_EQ(bytes_of_file(folder_.path() / "again.jsonl"), kTraces);
}

TEST_F(TraceFileTest, SaysWhatIsWrongWithIt) {
  struct Wrong {
    std::string part, other, says;
  };
  for (const auto& [part, other, says] : std::vector<Wrong>{
           {"\"version\":2", "\"version\":1", "trace.jsonl:1: field 'version' is 1"},
           {"\"version\":2,", "", "'version' is missing"},
           {"\"answer\"", "\"answers\"", "did you mean 'answer'?"},
           {"[8]", "[9]", "trace.jsonl:2: field 'prompt'"},
           {"\"vocabulary\":9", "\"vocabulary\":6", "'guesses' is a list of 6; expected"},
           {"[3,4]", "[]", "'answer' is a list of 0; expected a list of 1 to"},
           {"[1,2]", "[1,-2]", "'prompt'"},
           {"\"draft_length\":2", "\"draft_length\":65", "from 1 to 64"},
           {"\"draft_length\":2", "\"draft_length\":3",
            "'guesses' is a list of 6; expected a list of 12: 6 for each token of the answer"},
           {"-3,0,0]", "-3,0]", "'logprobs' is a list of 5; expected a list of 6"},
           {"-2.5", "null", "'logprobs'"},
           {"[4,4,-1,2,-1,-1]", "[4,4,-1]", "'runners_up' is a list of 3; expected a list of 6"},
           {"[-2]", "[]", "'runner_up_logprobs' is a list of 0; expected a list of 1"},
           {"\"model\":\"a \\\"model\\\"\",", "", "'model' is missing"},
           {"{", "", "trace.jsonl"}}) {
    EXPECT_NE(error_with(part, other).find(says), std::string::npos)
        << part << " -> " << other << ": " << error_with(part, other);
  }
  EXPECT_FALSE(read_trace(folder_.put("empty.jsonl", "\n")).ok());
  EXPECT_FALSE(read_trace(folder_.path() / "nowhere.jsonl").ok());
}

}  // namespace
}  // namespace tidar
