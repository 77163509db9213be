# A room is a folder of src/ that becomes one static library, linked only with the rooms it may
# include. Its tests (*_test.cc) become one program, its fuzzers (*_fuzz.cc) one program each.

add_library(tidar_flags INTERFACE)
target_include_directories(tidar_flags INTERFACE ${CMAKE_SOURCE_DIR}/src)
# -ffp-contract=off: a product and a sum become one fused operation only where the source says so.
# Otherwise two instances of one template could round differently, and a row's result would depend
# on how many rows share its pass.
target_compile_options(tidar_flags INTERFACE
  -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Werror -ffp-contract=off)
if(TIDAR_SANITIZE)
  target_compile_options(tidar_flags INTERFACE
    -fsanitize=${TIDAR_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(tidar_flags INTERFACE -fsanitize=${TIDAR_SANITIZE})
endif()
if(TIDAR_FUZZERS)
  target_compile_options(tidar_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

# tidar_room(NAME DEPENDS room... LIBRARIES target... OBJECTS object...)
# Every .cc file below the calling folder belongs to the room, except tests, fuzzers, *_main.cc and
# *_kernel.cc. A main() becomes a program that links its room, as tests do. A kernel is compiled once per instruction set by the room itself, and comes in through OBJECTS.
function(tidar_room name)
  cmake_parse_arguments(ROOM "" "" "DEPENDS;LIBRARIES;OBJECTS" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  list(FILTER sources EXCLUDE REGEX "_(test|fuzz|kernel|main)\\.cc$")
  list(TRANSFORM ROOM_DEPENDS PREPEND tidar_)
  if(sources)
    add_library(tidar_${name} STATIC ${sources} ${ROOM_OBJECTS})
    target_link_libraries(tidar_${name} PUBLIC tidar_flags ${ROOM_DEPENDS} ${ROOM_LIBRARIES})
  else()
    add_library(tidar_${name} INTERFACE)
    target_link_libraries(tidar_${name} INTERFACE tidar_flags ${ROOM_DEPENDS} ${ROOM_LIBRARIES})
  endif()

  if(TIDAR_TESTS)
    file(GLOB_RECURSE tests CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*_test.cc)
    if(tests)
      add_executable(${name}_test ${tests})
      target_link_libraries(${name}_test PRIVATE tidar_${name} GTest::gtest GTest::gtest_main)
      target_compile_definitions(${name}_test PRIVATE
        TIDAR_FIXTURES="${CMAKE_SOURCE_DIR}/tests/fixtures"
        TIDAR_TOKENIZERS="${CMAKE_BINARY_DIR}/../tokenizers")
      add_test(NAME ${name} COMMAND ${name}_test)
    endif()
  endif()
  if(TIDAR_FUZZERS)
    file(GLOB_RECURSE fuzzers CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*_fuzz.cc)
    foreach(source ${fuzzers})
      get_filename_component(stem ${source} NAME_WE)
      add_executable(${stem} ${source})
      target_link_libraries(${stem} PRIVATE tidar_${name})
      target_link_options(${stem} PRIVATE -fsanitize=fuzzer)
      add_dependencies(fuzzers ${stem})
    endforeach()
  endif()
endfunction()
