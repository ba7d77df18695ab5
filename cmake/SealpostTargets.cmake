# How each folder becomes a target: the same warnings, hardening and banned functions everywhere.

add_library(sealpost_flags INTERFACE)
target_include_directories(sealpost_flags INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_definitions(sealpost_flags INTERFACE _GNU_SOURCE SEALPOST_VERSION="${PROJECT_VERSION}")
target_compile_options(sealpost_flags INTERFACE
  -Wall -Wextra -Wconversion -Wshadow -Wvla -Wstrict-prototypes -Wmissing-prototypes
  -Wformat=2 -Werror -Wno-error=deprecated-declarations
  -fno-strict-aliasing -fno-common
  -include ${CMAKE_SOURCE_DIR}/base/banned.h)
target_link_libraries(sealpost_flags INTERFACE Threads::Threads)

if(SEALPOST_SANITIZE)
  target_compile_options(sealpost_flags INTERFACE
    -fsanitize=${SEALPOST_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(sealpost_flags INTERFACE -fsanitize=${SEALPOST_SANITIZE})
else()
  target_compile_options(sealpost_flags INTERFACE
    -fstack-protector-strong -fstack-clash-protection -fcf-protection=full -fPIE)
  target_compile_options(sealpost_flags INTERFACE $<$<CONFIG:Release>:-D_FORTIFY_SOURCE=3>)
  target_link_options(sealpost_flags INTERFACE -Wl,-z,relro,-z,now,-z,noexecstack)
endif()

set(CMAKE_POSITION_INDEPENDENT_CODE ON)
include(CheckPIESupported)
check_pie_supported()

# sealpost_library(FOLDER [USES lib...] [PKG pkg-config-name...] [EXCLUDE file...])
# makes sealpost_FOLDER from every .c of the current folder.
function(sealpost_library folder)
  cmake_parse_arguments(ARG "" "" "USES;PKG;EXCLUDE" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.c)
  foreach(file ${ARG_EXCLUDE})
    list(REMOVE_ITEM sources ${CMAKE_CURRENT_SOURCE_DIR}/${file})
  endforeach()
  add_library(sealpost_${folder} STATIC ${sources})
  target_link_libraries(sealpost_${folder} PRIVATE sealpost_flags PUBLIC ${ARG_USES})
  foreach(pkg ${ARG_PKG})
    string(MAKE_C_IDENTIFIER ${pkg} id)
    pkg_check_modules(${id} REQUIRED IMPORTED_TARGET ${pkg})
    target_link_libraries(sealpost_${folder} PUBLIC PkgConfig::${id})
  endforeach()
endfunction()

# sealpost_program(NAME main.c... USES lib...)
function(sealpost_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;USES" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE sealpost_flags ${ARG_USES})
endfunction()

# sealpost_unit_test(NAME file.c USES lib...): a cmocka program that ctest runs.
function(sealpost_unit_test name source)
  cmake_parse_arguments(ARG "" "" "USES" ${ARGN})
  if(NOT SEALPOST_TESTS)
    return()
  endif()
  pkg_check_modules(cmocka REQUIRED IMPORTED_TARGET cmocka)
  add_executable(${name} ${source})
  target_link_libraries(${name} PRIVATE sealpost_flags ${ARG_USES} PkgConfig::cmocka)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT 120)
endfunction()

# sealpost_fuzz_target(NAME file.c USES lib...): a libFuzzer program; seeds in tests/fuzz/corpus/NAME.
function(sealpost_fuzz_target name source)
  cmake_parse_arguments(ARG "" "" "USES" ${ARGN})
  if(NOT SEALPOST_FUZZ)
    return()
  endif()
  add_executable(${name} ${source})
  target_compile_options(${name} PRIVATE -fsanitize=fuzzer)
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  target_link_libraries(${name} PRIVATE sealpost_flags ${ARG_USES})
endfunction()
