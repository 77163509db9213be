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
  # Half of the time in which a sanitized program starts went into moving the addresses of which a
  # sanitizer's tables consist; tests start it thousands of times.
  target_link_options(tidar_flags INTERFACE
    $<$<STREQUAL:$<TARGET_PROPERTY:TYPE>,EXECUTABLE>:-no-pie>)
  # In what sanitizers put in, GCC sees uses of what was never set. Builds without them keep the warning.
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(tidar_flags INTERFACE -Wno-maybe-uninitialized)
  endif()
endif()
if(TIDAR_FUZZERS)
  target_compile_options(tidar_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

# Headers that most files read are read once for all of them. A set is what its users share: the rooms,
# the tests. Sources include what they use all the same; a build with -DTIDAR_PRECOMPILED=OFF shows that
# they do.
set(tidar_common_set
  <algorithm> <array> <chrono> <cmath> <cstdint> <filesystem> <fmt/format.h> <functional> <memory>
  <numeric> <optional> <span> <string> <string_view> <variant> <vector> <nlohmann/json.hpp>)
set(tidar_test_set ${tidar_common_set} <gtest/gtest.h>)

# tidar_precompile(TARGET common|test): the target's sources start from that set.
function(tidar_precompile target set)
  if(NOT TIDAR_PRECOMPILED)
    return()
  endif()
  set(owner tidar_${set}_headers)
  if(NOT TARGET ${owner})
    file(WRITE ${CMAKE_BINARY_DIR}/${owner}.cc "")
    add_library(${owner} OBJECT ${CMAKE_BINARY_DIR}/${owner}.cc)
    target_link_libraries(${owner} PRIVATE tidar_flags fmt::fmt nlohmann_json::nlohmann_json)
    if(set STREQUAL test)
      target_link_libraries(${owner} PRIVATE GTest::gtest)
    endif()
    target_precompile_headers(${owner} PRIVATE ${tidar_${set}_set})
  endif()
  target_precompile_headers(${target} REUSE_FROM ${owner})
endfunction()

# Most of what a compiler reads of a file are headers: up to 16 files of a room are compiled as one, so
# that these are read once for all of them. Files with flags of their own stay by themselves. What a file
# keeps to itself has names that no other file of its room says; a build with -DTIDAR_TOGETHER=OFF
# shows that each file still includes what it uses.
# Over what sanitizers put in, optimisers take more than twice as long for twice as much.
set(tidar_most_together 16)
if(TIDAR_SANITIZE)
  set(tidar_most_together 4)
endif()
function(tidar_together target)
  set_target_properties(${target} PROPERTIES
    UNITY_BUILD ${TIDAR_TOGETHER} UNITY_BUILD_BATCH_SIZE ${tidar_most_together})
endfunction()

# Where the time of a run is not spent, code is compiled in half the time. At this level GCC 12 takes
# the moves of temporary strings for writes behind their ends.
set(tidar_cheap_flags $<$<CONFIG:Release>:-O1>)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  list(APPEND tidar_cheap_flags -Wno-array-bounds -Wno-restrict -Wno-stringop-overflow)
endif()

# tidar_library(TARGET source...): a static library, compiled as rooms are.
function(tidar_library target)
  add_library(${target} STATIC ${ARGN})
  target_link_libraries(${target} PUBLIC tidar_flags)
  tidar_precompile(${target} common)
  tidar_together(${target})
endfunction()

# tidar_room(NAME DEPENDS room... LIBRARIES target... OBJECTS object... EXCEPT part...
#            FOR_TESTS folder)
# Every .cc file below the calling folder belongs to the room, except tests, fuzzers, *_main.cc,
# *_kernel.cc, and the folders and files EXCEPT, of which the caller makes something else. A main()
# becomes a program that links its room, as tests do. A kernel is compiled once per instruction
# set by the room itself, and comes in through OBJECTS. What lies in the folder FOR_TESTS becomes a
# library tidar_NAME_for_tests, which the room's tests link.
function(tidar_room name)
  cmake_parse_arguments(ROOM "" "FOR_TESTS" "DEPENDS;LIBRARIES;OBJECTS;EXCEPT" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  list(FILTER sources EXCLUDE REGEX "_(test|fuzz|kernel|main)\\.cc$")
  foreach(part ${ROOM_EXCEPT})
    list(FILTER sources EXCLUDE REGEX "^${CMAKE_CURRENT_SOURCE_DIR}/${part}(/|$)")
  endforeach()
  set(for_tests ${sources})
  if(ROOM_FOR_TESTS)
    list(FILTER sources EXCLUDE REGEX "^${CMAKE_CURRENT_SOURCE_DIR}/${ROOM_FOR_TESTS}/")
  endif()
  list(REMOVE_ITEM for_tests ${sources})
  list(TRANSFORM ROOM_DEPENDS PREPEND tidar_)
  if(sources)
    tidar_library(tidar_${name} ${sources} ${ROOM_OBJECTS})
    target_link_libraries(tidar_${name} PUBLIC ${ROOM_DEPENDS} ${ROOM_LIBRARIES})
  else()
    add_library(tidar_${name} INTERFACE)
    target_link_libraries(tidar_${name} INTERFACE tidar_flags ${ROOM_DEPENDS} ${ROOM_LIBRARIES})
  endif()

  if(TIDAR_TESTS)
    if(for_tests)
      tidar_library(tidar_${name}_for_tests ${for_tests})
      target_link_libraries(tidar_${name}_for_tests PUBLIC tidar_${name})
    endif()
    file(GLOB_RECURSE tests CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*_test.cc)
    foreach(part ${ROOM_EXCEPT})
      list(FILTER tests EXCLUDE REGEX "^${CMAKE_CURRENT_SOURCE_DIR}/${part}/")
    endforeach()
    if(tests)
      add_executable(${name}_test ${tests})
      target_link_libraries(${name}_test PRIVATE tidar_${name} GTest::gtest GTest::gtest_main)
      if(for_tests)
        target_link_libraries(${name}_test PRIVATE tidar_${name}_for_tests)
      endif()
      target_compile_options(${name}_test PRIVATE ${tidar_cheap_flags})
      tidar_precompile(${name}_test test)
      tidar_together(${name}_test)
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
