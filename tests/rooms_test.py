#!/usr/bin/env python3
"""The map of rooms is kept: docs/house.md draws it, CMake links along it, every #include and every
name obey it.

    python3 tests/rooms_test.py [root]

The last class plants one violation of each rule in a small tree and demands that it is found.
"""

import pathlib
import re
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
SOURCES = {".h", ".cc", ".cu", ".cuh", ".cpp", ".hpp", ".inc"}

# Outside headers that only some folders may include, whatever their room links.
FENCED_HEADERS = [
    (re.compile(r"cuda|cublas|cudnn|cutlass|nvml|thrust/|cub/"), ("src/ops/cuda", "src/comm")),
    (re.compile(r"nccl|mpi\.h"), ("src/comm",)),
    (re.compile(r"dnnl|oneapi/dnnl"), ("tools",)),
    (re.compile(r"CLI/"), ("src/apps", "tools")),
    (re.compile(r"boost/context/"), ("src/ops/cuda/host",)),
    (re.compile(r"boost/(?!context/)"), ("src/serve",)),
    (re.compile(r"pcre2|utf8proc"), ("src/text",)),
]
# What is there for tests only, and who may include it.
FOR_TESTS = re.compile(r"_testing\.\w+$|^ops/cases/")
TESTS = re.compile(r"_(test|fuzz|testing)\.\w+$|^src/ops/cases/")
# Words that mean something else, or say a name from elsewhere, outside their rooms.
OTHER_MEANINGS = {
    ("src/comm/mpi/mpi_ranks.cc", "request"),  # MPI_Request
    ("src/engine/request.cc", "draft"),  # MethodFacts::draft_keys
    ("src/engine/stats.cc", "draft"),  # DraftPlace: how guesses fared
    ("src/engine/stats.h", "draft"),
    ("src/format/token_shards.cc", "head"),  # of a file
    ("src/ops/cpu/isa.cc", "request"),  # to the kernel of the system
    ("src/sandbox/syscall_filter.cc", "request"),  # SYS_request_key
    ("src/serve/api_request.cc", "draft"),  # a field of what clients send
    ("src/serve/api_request.h", "draft"),
    ("src/serve/metrics.cc", "draft"),  # DraftPlace
    ("src/serve/server.cc", "accept"),  # a connection
    ("src/train/gradient_exchange.cc", "layer"),  # whose weights are neighbours
    ("src/train/initial_weights.cc", "layer"),  # the depth of the network
}
# Pairs of folders that may not know each other though they are of one room.
STRANGERS = [("ops/cpu", "ops/cuda"), ("ops/cuda", "ops/cpu")]
# What has flags of its own, and so is never compiled together with others of its room.
BY_THEMSELVES = re.compile(r"_(kernel|fuzz|main)\.cc$|^src/(ops|apps)/(no_)?cuda/")
TYPE = re.compile(r"(?:class|struct|union|enum(?: class)?) (\w+)(?: final)?\s*(?:[:{]|$)")
CONSTANT = re.compile(r"(?:inline |static )?const(?:expr)? [^({=]*?\b(k[A-Z]\w*)\s*[\[={]")
ENVIRONMENT = re.compile(r"\b(?:secure_)?getenv\s*\(|\benviron\b")


def read_map(root):
    """Rooms in the order of docs/house.md: name -> set of rooms behind its arrow, or {'all'}."""
    rooms = {}
    text = (root / "docs/house.md").read_text(encoding="utf-8")
    for name, arrow in re.findall(r"^ {4}(\w+)/ .*-> (.*)$", text, re.MULTILINE):
        rooms[name] = set(arrow.replace("(nothing)", "").split())
    return rooms


def read_methods(root):
    """The methods of decode/, from its line in docs/house.md: 'methods: ar, tidar'."""
    text = (root / "docs/house.md").read_text(encoding="utf-8")
    line = re.search(r"^ {4}decode/ .*?methods: ([\w, ]+?) *->", text, re.MULTILINE)
    return re.split(r", *", line.group(1)) if line else []


def read_vocabulary(root):
    """Word -> rooms whose code may say it, from the lines 'draft accept   in plan decode'."""
    text = (root / "docs/house.md").read_text(encoding="utf-8")
    lines = re.findall(r"^ {4}([a-z ]+?) +in ([a-z ]+)$", text, re.MULTILINE)
    return {word: set(rooms.split()) for words, rooms in lines for word in words.split()}


def read_cmake(root):
    """Room -> set of rooms after DEPENDS, for the rooms that call tidar_room()."""
    rooms = {}
    for path in sorted(root.glob("src/*/CMakeLists.txt")):
        text = re.sub(r"#.*", "", path.read_text(encoding="utf-8"))
        call = re.search(r"tidar_room\(\s*(\w+)([^)]*)\)", text)
        if call:
            depends = re.search(r"\bDEPENDS\b([a-z_\s]*)", call.group(2))
            rooms[path.parent.name] = set(depends.group(1).split()) if depends else set()
    return rooms


def without_comments(text):
    """The text with comments blanked; line numbers stay. Strings are kept as they are."""
    pattern = re.compile(r'"(?:\\.|[^"\\\n])*"|//[^\n]*|/\*.*?\*/', re.DOTALL)

    def blank(match):
        found = match.group(0)
        return found if found.startswith('"') else re.sub(r"[^\n]", " ", found)

    return pattern.sub(blank, text)


def words_of(code):
    """The words of all names: 'kDraftLength' and 'draft_length' are a draft and a length."""
    without_strings = re.sub(r'"(?:\\.|[^"\\\n])*"', "", code)
    return re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", without_strings)


def foreign_words(root):
    """(file, word) wherever a room says a word of other rooms."""
    vocabulary = read_vocabulary(root)
    found = set()
    for path in sorted((root / "src").rglob("*")):
        name = path.relative_to(root).as_posix()
        room = name.split("/")[1]
        if path.suffix not in SOURCES or TESTS.search(name) or room == "apps":
            continue
        for word in words_of(without_comments(path.read_text(encoding="utf-8"))):
            word = word.lower()
            word = word if word in vocabulary else word.removesuffix("s")
            if word in vocabulary and room not in vocabulary[word]:
                found.add((name, word))
    return found


def map_violations(root):
    rooms, links = read_map(root), read_cmake(root)
    folders = {path.parent.name for path in root.glob("src/*/CMakeLists.txt")}
    found = []
    for name in sorted(folders - rooms.keys()):
        found.append(f"src/{name}: a room that docs/house.md does not list")
    for name in sorted(rooms.keys() - folders):
        found.append(f"docs/house.md: lists {name}/, but there is no src/{name}/CMakeLists.txt")
    lower = set()
    for name, behind in rooms.items():
        for other in sorted(behind - lower - {"all"}):
            found.append(f"docs/house.md: {name}/ -> {other}, which is not a room listed above it")
        lower.add(name)
        if name in links and behind != {"all"} and links[name] != behind:
            found.append(
                f"src/{name}/CMakeLists.txt: DEPENDS {' '.join(sorted(links[name]))},"
                f" but docs/house.md says {' '.join(sorted(behind))}"
            )
    return found


class Reader:
    """Checks the lines of source files against the map of one tree."""

    def __init__(self, root):
        self.root = root
        self.rooms = read_map(root)
        self.methods = read_methods(root)

    def allowed(self, place):
        """Rooms that a file in `place` ('src/net', 'tools', …) may include."""
        if not place.startswith("src/"):
            return self.rooms.keys() - {"apps"}
        room = place[len("src/"):]
        behind = self.rooms.get(room, set())
        return (self.rooms.keys() if "all" in behind else behind) | {room}

    def file_violations(self, path):
        name = path.relative_to(self.root).as_posix()
        place = "/".join(name.split("/")[:2]) if name.startswith("src/") else name.split("/")[0]
        text = without_comments(path.read_text(encoding="utf-8"))
        for number, line in enumerate(text.splitlines(), 1):
            include = re.match(r'\s*#\s*include\s*(["<])([^">]+)[">]', line)
            if include:
                quoted = include.group(1) == '"'
                check = self.own_header if quoted else self.outside_header
                for what in check(name, place, include.group(2)):
                    yield f"{name}:{number}: {what}"
            if place != "src/apps" and ENVIRONMENT.search(line):
                yield f"{name}:{number}: the environment is read in apps/ only"

    def outside_header(self, name, _place, header):
        for pattern, folders in FENCED_HEADERS:
            if pattern.match(header) and not name.startswith(tuple(f + "/" for f in folders)):
                yield f"<{header}> may be included in {' and '.join(folders)} only"
        if header.startswith("gtest/") and not TESTS.search(name):
            yield f"<{header}> may be included by tests only"

    def own_header(self, name, place, header):
        room = header.split("/")[0]
        if place in ("tools", "lab") and (self.root / place / header).exists():
            return
        written = self.root / "src" / (header + ".in")  # what CMake makes the header of
        if not (self.root / "src" / header).exists() and not written.exists():
            yield f'"{header}" is not a file of src/; own headers are named by room and file'
        elif room not in self.allowed(place):
            yield f'{place} may not include "{header}"; see the arrows in docs/house.md'
        elif FOR_TESTS.search(header) and not TESTS.search(name):
            yield f'"{header}" may be included by tests only'
        for here, there in STRANGERS:
            if name.startswith(f"src/{here}/") and header.startswith(there + "/"):
                yield f'{here} may not include "{header}"'
        stem, including = pathlib.PurePath(name).stem, pathlib.PurePath(header)
        if place == "src/decode" and stem in self.methods and room == "decode":
            if including.stem in self.methods and including.stem != stem:
                yield f'one method may not include another: "{header}"'


def nameless_helpers(root):
    """Headers without a source of their own that only tests include, and whose names hide it."""
    includers = {}
    for path in sorted((root / "src").rglob("*")):
        if path.suffix in SOURCES and path.is_file():
            name = path.relative_to(root).as_posix()
            text = without_comments(path.read_text(encoding="utf-8"))
            for header in re.findall(r'^\s*#\s*include\s*"([^"]+)"', text, re.MULTILINE):
                includers.setdefault(header, []).append(name)
    for header, names in sorted(includers.items()):
        path = root / "src" / header
        alone = path.exists() and not path.with_suffix(".cc").exists()
        if alone and not FOR_TESTS.search(header) and all(map(TESTS.search, names)):
            yield f"src/{header}: only tests include it; a helper of tests is named *_testing.h"


def declared(text, *kinds):
    """(namespace, name) of what stands at the margin and is of these kinds, such as TYPE; the unnamed
    namespace is ''."""
    namespaces = []
    for line in text.splitlines():
        opened = re.match(r"namespace ?([\w:]*) ?\{$", line)
        if opened:
            namespaces.append(opened.group(1))
        elif line.startswith("}  // namespace") and namespaces:
            namespaces.pop()
        for name in filter(None, (kind.match(line) for kind in kinds)):
            yield "::".join(namespaces), name.group(1)


def names_said_twice(root):
    """A type in two headers would be two types under one name for the linker. A name that a file
    keeps to itself is no other's of its room, since files of a room are compiled together."""
    files = {}
    for path in sorted((root / "src").rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.suffix not in (".h", ".cc") or BY_THEMSELVES.search(name):
            continue
        hidden = path.suffix == ".cc"
        kinds = (TYPE, CONSTANT) if hidden else (TYPE,)
        for namespace, word in set(declared(path.read_text(encoding="utf-8"), *kinds)):
            if hidden and not namespace.endswith("::"):
                continue
            kind = (name.split("/")[1], bool(TESTS.search(name))) if hidden else ()
            files.setdefault((kind, namespace, word), []).append(name)
    for (_, _, word), names in sorted(files.items()):
        if len(names) > 1:
            yield f"{names[1]}: says {word}, as {names[0]} does; names of a room are said once"


def violations(root):
    reader = Reader(root)
    found = map_violations(root)
    found.extend(nameless_helpers(root))
    found.extend(names_said_twice(root))
    for name, word in sorted(foreign_words(root) - OTHER_MEANINGS):
        found.append(f"{name}: says '{word}', a word of other rooms; see docs/house.md")
    for folder in ("src", "tools", "lab"):
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in SOURCES and path.is_file():
                found.extend(reader.file_violations(path))
    return found


class TheTree(unittest.TestCase):
    def test_keeps_the_map(self):
        self.assertEqual([], violations(ROOT))

    def test_exceptions_are_needed(self):
        self.assertEqual(set(), OTHER_MEANINGS - foreign_words(ROOT))

    def test_the_map_was_read(self):
        rooms = read_map(ROOT)
        self.assertEqual({"model", "ops", "net"}, read_vocabulary(ROOT)["rope"])
        self.assertEqual(set(), rooms["base"])
        self.assertEqual({"all"}, rooms["apps"])
        self.assertIn("plan", rooms["net"])
        self.assertIn("tidar", read_methods(ROOT))
        self.assertGreater(len(read_cmake(ROOT)), 8)


class Planted(unittest.TestCase):
    """Each test plants one violation in a tree that has none."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        self.write(
            "docs/house.md",
            "    base/    things   -> (nothing)\n"
            "    ops/     verbs    -> base\n"
            "    decode/  methods: ar, tidar   -> base\n"
            "    apps/    main()   -> all\n"
            "    draft accept   in decode\n",
        )
        self.write("src/base/CMakeLists.txt", "tidar_room(base LIBRARIES fmt::fmt)\n")
        self.write("src/ops/CMakeLists.txt", "tidar_room(ops DEPENDS base)\n")
        self.write("src/decode/CMakeLists.txt", "tidar_room(decode DEPENDS base)\n")
        self.write("src/apps/CMakeLists.txt", "add_executable(tidar)\n")
        self.write("src/base/check.h", '#include <vector>\nauto no = "draft";  // draft\n')
        self.write("src/ops/ops.h", '#include "base/check.h"\n')
        self.write("src/decode/ar.h", '// like "decode/tidar.h"\n')
        self.write("src/decode/tidar.h", "#pragma once\n")
        self.write("src/decode/ar.cc", '#include "decode/ar.h"\n')
        self.write("src/decode/tidar_test.cc", '#include <gtest/gtest.h>\n#include "decode/ar.h"\n')
        self.write(
            "src/apps/main.cc",
            '#include <CLI/CLI.hpp>\n#include "ops/ops.h"\nauto home = getenv("HOME");\n',
        )
        self.write("lab/try.cc", '#include "ops/ops.h"\n')
        self.assertEqual([], violations(self.root))

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def expect(self, where, name, text):
        self.write(name, text)
        found = violations(self.root)
        self.assertEqual(1, len(found), found)
        self.assertTrue(found[0].startswith(where), found)

    def test_upward_include(self):
        self.expect("src/ops/a.cc:2:", "src/ops/a.cc", '\n#include "decode/ar.h"\n')

    def test_sideways_include_in_a_test(self):
        self.expect("src/decode/a_test.cc:1:", "src/decode/a_test.cc", '#include "ops/ops.h"\n')

    def test_include_of_apps(self):
        self.write("src/apps/flags.h", "")
        self.expect("tools/a.cc:1:", "tools/a.cc", '#include "apps/flags.h"\n')

    def test_include_of_lab(self):
        self.write("lab/trick.h", "")
        self.expect("src/ops/a.cc:1:", "src/ops/a.cc", '#include "lab/trick.h"\n')

    def test_include_without_its_room(self):
        self.expect("src/ops/a.cc:1:", "src/ops/a.cc", '#include "ops.h"\n')

    def test_header_that_is_made_of_another(self):
        self.write("src/base/made.h.in", "")
        self.write("src/ops/a.cc", '#include "base/made.h"\n')
        self.assertEqual([], violations(self.root))
        self.expect("src/ops/b.cc:1:", "src/ops/b.cc", '#include "base/not_made.h"\n')

    def test_cuda_header_outside_its_folder(self):
        self.write("src/ops/cuda/a.cc", "#include <cuda_runtime.h>\n")
        self.expect("src/ops/cpu/a.cc:1:", "src/ops/cpu/a.cc", "#include <cuda_runtime.h>\n")

    def test_backends_are_strangers(self):
        self.write("src/ops/cpu/tile.h", "")
        self.expect("src/ops/cuda/a.cu:1:", "src/ops/cuda/a.cu", '#include "ops/cpu/tile.h"\n')

    def test_command_line_outside_apps(self):
        self.expect("src/ops/a.cc:1:", "src/ops/a.cc", "#include <CLI/CLI.hpp>\n")

    def test_test_framework_outside_tests(self):
        self.expect("src/ops/a.h:1:", "src/ops/a.h", "#include <gtest/gtest.h>\n")

    def test_helper_of_tests_outside_tests(self):
        self.write("src/decode/mock_testing.h", "")
        self.write("src/decode/mock_test.cc", '#include "decode/mock_testing.h"\n')
        self.expect("src/decode/ar.cc:1:", "src/decode/ar.cc", '#include "decode/mock_testing.h"\n')

    def test_type_in_two_headers(self):
        self.write("src/base/a.h", "namespace tidar {\nstruct Thing {\n};\n}  // namespace tidar\n")
        self.write("src/base/b.h", "namespace other {\nstruct Thing;\nclass Thing {};\n"
                                   "}  // namespace other\n")
        self.expect("src/ops/a.h:", "src/ops/a.h", "namespace tidar {\nclass Thing : Base {\n};\n"
                                                   "}  // namespace tidar\n")

    def test_hidden_name_in_two_files(self):
        hidden = "namespace tidar {\nnamespace {\n%s\n}  // namespace\n}  // namespace tidar\n"
        self.write("src/ops/a.cc", hidden % "constexpr int kMost[] = {1};\nstruct Part {};")
        self.write("src/base/a.cc", hidden % "constexpr int kMost = 3;")
        self.write("src/ops/a_kernel.cc", hidden % "constexpr int kMost = 3;")
        self.write("src/ops/a_test.cc", hidden % "constexpr int kMost = 3;")
        self.write("src/ops/c.cc", "namespace tidar {\nint f() {\n}\n"
                                   "}  // namespace tidar\nint kMost = 3;\n")
        self.expect("src/ops/b.cc:", "src/ops/b.cc", hidden % "class Part final : public Base {\n};")

    def test_cases_outside_tests(self):
        self.write("src/ops/cases/cases.h", "")
        self.write("src/ops/cases/cases.cc", '#include "ops/cases/cases.h"\n')
        self.expect("src/ops/a.cc:1:", "src/ops/a.cc", '#include "ops/cases/cases.h"\n')

    def test_helper_of_tests_without_its_name(self):
        self.write("src/decode/mock.h", "")
        self.expect("src/decode/mock.h:", "src/decode/a_test.cc", '#include "decode/mock.h"\n')

    def test_word_of_another_room(self):
        self.expect("src/ops/a.h: says 'draft'", "src/ops/a.h", "int kDraftLength = 1;\n")

    def test_plural_of_a_word_of_another_room(self):
        self.expect("src/ops/a.h: says 'draft'", "src/ops/a.h", "int many_drafts = 1;\n")

    def test_environment(self):
        self.expect("src/base/a.cc:2:", "src/base/a.cc",
                    '// getenv()\nauto v = std::getenv("V");\n')

    def test_method_includes_method(self):
        self.expect("src/decode/ar.cc:1:", "src/decode/ar.cc", '#include "decode/tidar.h"\n')

    def test_room_without_a_line_in_the_house(self):
        self.expect("src/attic:", "src/attic/CMakeLists.txt", "tidar_room(attic)\n")

    def test_line_in_the_house_without_a_room(self):
        text = (self.root / "docs/house.md").read_text(encoding="utf-8")
        self.expect("docs/house.md: lists attic/", "docs/house.md", text + "    attic/  -> base\n")

    def test_link_that_the_house_does_not_show(self):
        self.expect(
            "src/decode/CMakeLists.txt:",
            "src/decode/CMakeLists.txt",
            "tidar_room(decode\n  DEPENDS ops base  # ops?\n  LIBRARIES fmt::fmt)\n",
        )

    def test_arrow_upwards(self):
        text = (self.root / "docs/house.md").read_text(encoding="utf-8")
        text = text.replace("verbs    -> base", "verbs    -> base decode")
        self.write("src/ops/CMakeLists.txt", "tidar_room(ops DEPENDS base decode)\n")
        self.expect("docs/house.md: ops/ -> decode", "docs/house.md", text)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        ROOT = pathlib.Path(sys.argv.pop(1)).resolve()
    unittest.main()
