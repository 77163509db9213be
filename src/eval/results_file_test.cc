#include "eval/results_file.h"

#include <gtest/gtest.h>

#include "eval/fingerprint.h"
#include "format/files_testing.h"

namespace tidar {
namespace {

const RunIdentity kRun = {{"model", "a"}, {"task", "b"}};

std::string line(const std::string& item, int sample) {
  return fmt::format("{{\"item\":\"{}\",\"sample\":{}}}", item, sample);
}

std::string failure(const std::filesystem::path& folder, const RunIdentity& identity = kRun) {
  const auto results = ResultsFile::open(folder, identity);
  return results.ok() ? "none" : results.error().message;
}

class Results : public testing::Test {
 protected:
  void SetUp() override {
    auto results = ResultsFile::open(folder_.path() / "out", kRun);
    ASSERT_TRUE(results.ok()) << results.error().message;
    EXPECT_EQ(results->resumed(), 0);
    ASSERT_TRUE(results->add("x", 0, line("x", 0)).ok());
    ASSERT_TRUE(results->add("x", 3, line("x", 3)).ok());
    EXPECT_NE(results->find("x", 3), nullptr);
  }
  std::filesystem::path out() const { return folder_.path() / "out"; }
  std::filesystem::path file() const { return out() / "results.jsonl"; }

  ScratchFolder folder_;
};

TEST_F(Results, AreThereAfterwards) {
  const auto again = ResultsFile::open(out(), kRun);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->resumed(), 2);
  ASSERT_NE(again->find("x", 0), nullptr);
  EXPECT_EQ(*again->find("x", 3), line("x", 3));
  EXPECT_EQ(again->find("x", 1), nullptr);
  EXPECT_EQ(again->find("y", 0), nullptr);
}

TEST_F(Results, ALineThatWasCutIsTakenOut) {
  std::ofstream(file(), std::ios::app) << line("y", 0).substr(0, 9);
  {
    auto again = ResultsFile::open(out(), kRun);
    ASSERT_TRUE(again.ok());
    EXPECT_EQ(again->resumed(), 2);
    ASSERT_TRUE(again->add("z", 0, line("z", 0)).ok());
  }
  EXPECT_EQ(bytes_of_file(file()), line("x", 0) + "\n" + line("x", 3) + "\n" + line("z", 0) + "\n");
}

TEST_F(Results, OfAnotherRunAreRefused) {
  EXPECT_TRUE(says(failure(out(), {{"model", "a"}, {"task", "c"}}),
                   "out: holds results of another run|task is 'b' instead of 'c'"));
  EXPECT_TRUE(says(failure(out(), {{"model", "a"}, {"task", "b"}, {"shots", "5"}}),
                   "shots is '' instead of '5'"));
  EXPECT_EQ(failure(out()), "none");
}

TEST_F(Results, ThatDoNotExistAreNobodys) {
  std::filesystem::resize_file(file(), 0);
  EXPECT_EQ(failure(out(), {{"task", "c"}}), "none");
  EXPECT_TRUE(says(bytes_of_file(out() / "run.json"), "task|c"));
}

TEST_F(Results, DamageIsSaid) {
  std::ofstream(file(), std::ios::app) << "nonsense\n" << line("y", 0) << "\n";
  EXPECT_TRUE(says(failure(out()), "results.jsonl:3|not valid JSON"));
  std::filesystem::remove(out() / "run.json");
  EXPECT_TRUE(says(failure(out()), "out: has results.jsonl but no run.json"));
}

TEST_F(Results, ValuesOfAnotherTypeAreSaid) {
  const std::string before = bytes_of_file(file());
  for (const auto& [value, part] : {std::pair(R"("acc": null)", "acc"),
                                    {R"("acc": "x")", "acc"},
                                    {R"("accepted": [1, "2"])", "accepted"},
                                    {R"("tokens": {})", "tokens"},
                                    {R"("text": 5)", "text"},
                                    {R"("finish_reason": null)", "finish_reason"}}) {
    std::ofstream(file()) << before << R"({"item": "y", "sample": 0, )" << value << "}\n";
    EXPECT_TRUE(says(failure(out()), std::string("results.jsonl:3|field '") + part)) << value;
  }
}

TEST(Fingerprints, TellContentsApart) {
  const ScratchFolder a, b;
  const std::string weights(200'000, 'w');
  const auto put = [](const ScratchFolder& folder, const std::string& bytes) {
    folder.put("config.json", "{}");
    folder.put("model.safetensors", bytes);
    folder.put("README.md", folder.path().string());
    return *fingerprint_of_model(folder.path());
  };
  const std::string first = put(a, weights);
  EXPECT_EQ(first.size(), 16u);
  EXPECT_EQ(put(b, weights), first) << "a copy, but for files that are no part of the model";
  EXPECT_NE(put(b, weights + "w"), first);
  EXPECT_NE(put(b, std::string(200'000, 'v')), first);
  put(b, weights);
  b.put("config.json", "{ }");
  EXPECT_NE(*fingerprint_of_model(b.path()), first);
  EXPECT_NE(*fingerprint_of_file(a.put("f", "1")), *fingerprint_of_file(a.put("g", "2")));
  EXPECT_FALSE(fingerprint_of_model(a.path() / "none").ok());
}

}  // namespace
}  // namespace tidar
