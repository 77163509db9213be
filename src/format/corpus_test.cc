#include "format/corpus.h"

#include <gtest/gtest.h>
#include <zstd.h>

#include "base/rng.h"
#include "format/files_testing.h"

namespace tidar {
namespace {

std::string compressed(std::string_view text) {
  std::string out(ZSTD_compressBound(text.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 3));
  return out;
}

DocumentTemplate form(std::string_view text) {
  auto parsed = DocumentTemplate::parse(text);
  EXPECT_TRUE(parsed.ok()) << parsed.error().message;
  return std::move(*parsed);
}

std::vector<CorpusDocument> read_all(const std::filesystem::path& path, DocumentForm how = {}) {
  std::vector<CorpusDocument> documents;
  auto reader = CorpusReader::open(path, std::move(how));
  EXPECT_TRUE(reader.ok()) << reader.error().message;
  for (CorpusDocument document; reader->next(document).value();) documents.push_back(document);
  EXPECT_EQ(reader->bytes_read(), static_cast<int64_t>(std::filesystem::file_size(path)));
  return documents;
}

TEST(InputFile, AByteOrderMarkIsNoText) {
  const ScratchFolder folder;
  const std::string mark(kByteOrderMark);
  const auto rest = [&](const std::string& content) {
    return InputFile::open(folder.put("f", content)).value().rest(1 << 20).value();
  };
  EXPECT_EQ(rest(mark + "{}\n" + mark), "{}\n" + mark);
  EXPECT_EQ(rest(mark), "");
  EXPECT_EQ(rest(mark.substr(0, 2)), mark.substr(0, 2));
  EXPECT_EQ(rest(""), "");
}

TEST(InputFile, LinesAreTheSamePlainAndCompressed) {
  const ScratchFolder folder;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    Rng rng(seed);
    std::string text;
    std::vector<std::string> expected;
    for (int n = rng.below(30); n > 0; --n) {
      expected.emplace_back(static_cast<size_t>(rng.below(n == 7 ? 700'000 : 90)), 'x');
      text += expected.back() + (rng.below(3) == 0 ? "\r\n" : "\n");
    }
    // A last line without an end; and two frames, one after the other, are one file.
    if (rng.below(2) == 0) text += expected.emplace_back("tail");
    const size_t cut = text.size() / 2;
    for (const auto& path :
         {folder.put("plain", text),
          folder.put("packed", compressed(text.substr(0, cut)) + compressed(text.substr(cut)))}) {
      auto file = InputFile::open(path);
      ASSERT_TRUE(file.ok()) << file.error().message;
      std::vector<std::string> lines;
      std::string line;
      while (file->next_line(line, 1 << 20).value() == InputFile::Line::read) lines.push_back(line);
      ASSERT_EQ(lines, expected) << "seed " << seed << ", " << path;
      EXPECT_EQ(InputFile::open(path)->rest(1 << 25).value(), text);
    }
  }
}

TEST(InputFile, LinesThatAreTooLongArePassedOver) {
  const ScratchFolder folder;
  auto file = InputFile::open(
      folder.put("f", "12345\n123456\r\n1234567\n" + std::string(900'000, 'x') + "\nlast"));
  std::string line;
  EXPECT_EQ(file->next_line(line, 6).value(), InputFile::Line::read);
  EXPECT_EQ(file->next_line(line, 6).value(), InputFile::Line::read);
  EXPECT_EQ(line, "123456");
  EXPECT_EQ(file->next_line(line, 6).value(), InputFile::Line::too_long);
  EXPECT_EQ(line, "123456");
  EXPECT_EQ(file->next_line(line, 6).value(), InputFile::Line::too_long);
  EXPECT_EQ(file->next_line(line, 6).value(), InputFile::Line::read);
  EXPECT_EQ(line, "last");
  EXPECT_EQ(file->next_line(line, 6).value(), InputFile::Line::none);
}

TEST(InputFile, DamageIsAnError) {
  const ScratchFolder folder;
  const std::string packed = compressed("some text that is long enough to be compressed, text");
  const auto rest = [&](std::string_view bytes) {
    const auto got = InputFile::open(folder.put("f.zst", bytes))->rest(1000);
    return got.ok() ? *got : got.error().message;
  };
  EXPECT_TRUE(says(rest(packed.substr(0, packed.size() - 3)), "/f.zst: its compressed data ends"));
  EXPECT_TRUE(says(rest(packed + "not a frame"), "/f.zst: its compressed data is damaged"));
  EXPECT_TRUE(says(InputFile::open(folder.put("g", "12345"))->rest(4).error().message,
                   "/g: holds more than 4 bytes"));
  EXPECT_TRUE(says(InputFile::open(folder.path()).error().message, "found a folder"));
  EXPECT_TRUE(says(InputFile::open(folder.path() / "none").error().message, "cannot be opened"));
}

TEST(InputFile, WhatHasNoEndIsAnError) {
  const ScratchFolder folder;
  const auto lines_of = [](const std::filesystem::path& path) -> Result<int> {
    TIDAR_TRY(InputFile file, InputFile::open(path));
    std::string line;
    for (int count = 0;; ++count) {
      TIDAR_TRY(const auto kind, file.next_line(line, 100));
      if (kind == InputFile::Line::none) return count;
    }
  };
  const auto packed = [](char c, int mebibytes) {
    const std::string one = compressed(std::string(size_t{1} << 20, c));
    std::string all;
    for (int i = 0; i < mebibytes; ++i) all += one;
    return all;
  };
  const std::string_view long_line = "holds a line of more than 1024 MiB";
  EXPECT_TRUE(says(lines_of("/dev/zero").error().message, long_line));
  EXPECT_TRUE(says(lines_of(folder.put("a", packed('a', 1025))).error().message, long_line));
  EXPECT_EQ(lines_of(folder.put("b", packed('a', 3))).value(), 1);
  EXPECT_EQ(lines_of(folder.put("c", packed('\n', 16))).value(), 16 << 20);
  EXPECT_TRUE(says(lines_of(folder.put("d", packed('\n', 17))).error().message,
                   "holds more than 16777216 blank lines in a row"));
}

TEST(DocumentTemplate, ReadsFieldsAndEscapes) {
  const DocumentTemplate parsed = form("Q: {question}\\nA:\\t{a b}{{x}}\\\\");
  ASSERT_EQ(parsed.parts().size(), 5u);
  EXPECT_EQ(parsed.parts()[0].text, "Q: ");
  EXPECT_EQ(parsed.parts()[1].text, "question");
  EXPECT_TRUE(parsed.parts()[1].is_field);
  EXPECT_EQ(parsed.parts()[2].text, "\nA:\t");
  EXPECT_EQ(parsed.parts()[3].text, "a b");
  EXPECT_EQ(parsed.parts()[4].text, "{x}\\");
  EXPECT_FALSE(parsed.parts()[4].is_field);
}

TEST(DocumentTemplate, RefusesWhatIsUnclear) {
  for (const char* text : {"{", "{}", "{a", "a}", "{a{b}", "\\x", "end\\"}) {
    EXPECT_FALSE(DocumentTemplate::parse(text).ok()) << text;
  }
  EXPECT_TRUE(says(DocumentTemplate::parse("ab{c").error().message, "'ab{c'|at byte 2"));
}

TEST(CorpusReader, MakesDocumentsOfLines) {
  const ScratchFolder folder;
  const std::string lines = R"({"q": "one", "a": 1}

{"q": "two\n\u00e9", "a": -2.5, "more": []}
)";
  const DocumentForm how{form("A: {a}"), form("Q: {q}\\n")};
  for (const auto& path :
       {folder.put("c.jsonl", lines), folder.put("c.ndjson.zst", compressed(lines))}) {
    const auto documents = read_all(path, how);
    ASSERT_EQ(documents.size(), 2u);
    EXPECT_EQ(documents[0].prompt, "Q: one\n");
    EXPECT_EQ(documents[0].text, "A: 1");
    EXPECT_EQ(documents[1].prompt, "Q: two\n\u00e9\n");
    EXPECT_EQ(documents[1].text, "A: -2.5");
    EXPECT_EQ(documents[1].line, 3);
    EXPECT_EQ(documents[1].problem, "");
  }
}

TEST(CorpusReader, SaysWhatIsWrongWithALineAndGoesOn) {
  const ScratchFolder folder;
  const auto path = folder.put("c.jsonl",
                               "{\"text\": \"good\"}\n{\"text\": \n[1]\n{\"txt\": \"\"}\n"
                               "{\"text\": null}\n{\"text\": \"\"}\n{\"text\": \"\xFF\"}\n"
                               "{\"text\": \"good\"} more\n{\"text\": \"also good\"}");
  const auto documents = read_all(path);
  ASSERT_EQ(documents.size(), 9u);
  EXPECT_EQ(documents[0].problem, "");
  EXPECT_TRUE(says(documents[1].problem, "is not valid JSON"));
  EXPECT_EQ(documents[2].problem, "is not a JSON object");
  EXPECT_EQ(documents[3].problem, "has no field 'text'");
  EXPECT_EQ(documents[4].problem, "field 'text' is neither text nor a number");
  EXPECT_EQ(documents[5].problem, "is empty");
  EXPECT_TRUE(says(documents[6].problem, "is not valid JSON"));
  EXPECT_TRUE(says(documents[7].problem, "is not valid JSON"));
  EXPECT_EQ(documents[8].text, "also good");
  EXPECT_EQ(documents[8].line, 9);
}

TEST(CorpusReader, ATextFileIsOneDocument) {
  const ScratchFolder folder;
  for (const auto& path :
       {folder.put("a.txt", "one\n\ntwo\n"), folder.put("a.zst", compressed("one\n\ntwo\n"))}) {
    const auto documents = read_all(path, {form("{unused}"), form("File:\\n")});
    ASSERT_EQ(documents.size(), 1u);
    EXPECT_EQ(documents[0].prompt, "File:\n");
    EXPECT_EQ(documents[0].text, "one\n\ntwo\n");
  }
  EXPECT_EQ(read_all(folder.put("none.txt", ""))[0].problem, "is empty");
}

}  // namespace
}  // namespace tidar
