#pragma once
// The page that a conversion ends with: what became of the model, in numbers, and what to do next.

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"

namespace tidar {

struct ConversionPage {
  std::string model;              ///< what was converted
  std::filesystem::path out;      ///< of the run, which has ended
  std::filesystem::path control;  ///< of the run of AR alone; "": none
  std::vector<std::string> data;  ///< files of text

  struct Decoding {
    std::string how;     ///< "greedily"
    std::string tables;  ///< apps/documents_report.h
  };
  std::vector<Decoding> decoding;
};

/// Makes the page, in Markdown, of the logs of the runs, and writes it as README.md beside the
/// newest checkpoint's weights and into `out`. The value is its text.
Result<std::string> write_page(const ConversionPage& page);

}  // namespace tidar
