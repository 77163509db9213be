"""Plain English and Python from what every machine with Python has: the sources of its standard
library, their docstrings, and the topics of its built-in help. Nothing of it is kept in the
repository; it is read where it is installed.
"""

import ast
import inspect
import pathlib
import sysconfig

# Tests, tables of numbers, and what does not belong to the library proper.
LEFT_OUT = {"test", "tests", "idle_test", "__pycache__", "site-packages", "dist-packages",
            "encodings",
            "lib2to3", "idlelib", "turtledemo", "pydoc_data", "ensurepip", "distutils", "tkinter",
            "__phello__"}
LARGEST_FILE = 400_000
SHORTEST_DOCSTRING = 200


def sources(stdlib):
    """(name, text) of the library's modules, in the order of their names."""
    for path in sorted(stdlib.rglob("*.py")):
        name = path.relative_to(stdlib)
        if LEFT_OUT.intersection(name.parts[:-1]) or name.name.startswith("_sysconfigdata"):
            continue
        if any("config-" in part for part in name.parts) or path.stat().st_size > LARGEST_FILE:
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        if text.strip():
            yield name.as_posix(), text


def docstrings(text):
    """The longer docstrings of a module's source."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(tree):
        if isinstance(node, kinds):
            doc = ast.get_docstring(node)
            if doc and len(doc) >= SHORTEST_DOCSTRING:
                yield doc


def topics(stdlib):
    """(name, text) of the help topics: the language reference in plain text."""
    path = stdlib / "pydoc_data/topics.py"
    if not path.is_file():
        return
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "topics":
            for name, text in sorted(ast.literal_eval(node.value).items()):
                yield "topic " + name, text


def documents(stdlib=None):
    """(key, kind, text) of all documents. What comes from one file has one key, so that a text that
    is held out is not trained on as a part of another."""
    stdlib = pathlib.Path(stdlib or sysconfig.get_path("stdlib"))
    for name, text in topics(stdlib):
        yield ("plain", name), "english", inspect.cleandoc(text) + "\n"
    for name, text in sources(stdlib):
        for doc in docstrings(text):
            yield ("plain", name), "english", doc + "\n"
        yield ("plain", name), "python", text
