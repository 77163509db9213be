#pragma once
// The page at /: what Vite makes of web/, as a part of the program.

#include <span>
#include <string_view>

namespace tidar {

struct PageFile {
  std::string_view path;  ///< "/", "/assets/index-….js"
  std::string_view type;  ///< as Content-Type has it
  std::string_view tag;   ///< of its content, as ETag has it
  std::string_view body;
  std::string_view zipped;  ///< the body as gzip has it
};

/// All of them; none where the program was built without Node. Made by CMake.
std::span<const PageFile> page_files();

}  // namespace tidar
