#!/usr/bin/env python3
"""How many tokens a pass brings where the form of the output is given: the bundled model's own word
problems and functions, without a form and with some, by TiDAR and by prompt lookup. Prints the table
of docs/serving.md.

    tools/form_passes.py --program build/release/tidar [--model DIR] [--items N]

Passes carry all their rows whatever these cost (--prices none), so that every run counts the same.
Each output is also that of AR under the same form, or this fails. Needs Python's standard library
only.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
LONGEST = 120
METHODS = {
    "tidar 6": ["--method", "tidar", "--draft-length", "6", "--prices", "none"],
    "tidar 16": ["--method", "tidar", "--draft-length", "16", "--prices", "none"],
    "lookup": ["--method", "lookup", "--prices", "none"],
}


def array_of(item, most):
    return {"type": "array", "items": item, "minItems": 1, "maxItems": most}


def object_of(**properties):
    return {"type": "object", "properties": properties, "required": list(properties),
            "additionalProperties": False}


STEP = {"type": "string", "maxLength": 60}
# (what is written, kind of prompt, what the form is, its flag and value)
CASES = [
    ("word problems", "math", "any text", None, None),
    ("", "math", "lines, the last of which is `#### N`", "--regex", r"([^\n#]+\n)+#### \d{1,6}"),
    ("", "math", "the same in JSON: `{steps, answer}`", "--json-schema",
     object_of(steps=array_of(STEP, 6), answer={"type": "integer"})),
    ("", "math", "`{answer, unit, certain}`, few choices", "--json-schema",
     object_of(answer={"type": "integer"}, unit={"enum": ["cups", "dollars", "hours", "other"]},
               certain={"type": "boolean"})),
    ("", "math", "any JSON object", "--json-object", None),
    ("functions", "code", "any text", None, None),
    ("", "code", "indented lines", "--regex", r"( {4,12}[^ \n][^\n]*\n)+"),
    ("", "code", "the same in JSON: `{lines}`", "--json-schema", object_of(lines=array_of(STEP, 8))),
]


def prompts(folder, items):
    """By kind: prompts that the model was not trained on."""
    subprocess.run([sys.executable, ROOT / "tools/mini_corpus.py", folder, "--megabytes", "0.1",
                    "--test-items", str(items)], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    return {kind: folder / f"test_{kind}.jsonl" for kind in ("math", "code")}


def outputs(program, model, file, form, method):
    done = subprocess.run(
        [program, "generate", "--model", model, "--prompts", file, "--max-new", str(LONGEST),
         *form, *method], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        check=True)
    return sorted(map(json.loads, done.stdout.splitlines()), key=lambda output: output["line"])


def form_flags(folder, flag, value):
    if flag is None:
        return []
    if flag == "--json-schema":
        path = folder / "schema.json"
        path.write_text(json.dumps(value), encoding="utf-8")
        value = path
    return [flag] if value is None else [flag, value]


def mean(outputs):
    """New tokens a pass, of all of them together."""
    return (sum(output["n"] for output in outputs) / sum(output["passes"] for output in outputs))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--program", required=True)
    parser.add_argument("--model", default=ROOT / "models/tidar-mini")
    parser.add_argument("--items", type=int, default=100)
    flags = parser.parse_args()
    print("| text | form | tokens | " + " | ".join(METHODS) + " |")
    print("|---|---|---|" + "---|" * len(METHODS))
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        files = prompts(folder, flags.items)
        for text, kind, form_name, flag, value in CASES:
            form = form_flags(folder, flag, value)
            wanted = outputs(flags.program, flags.model, files[kind], form, ["--method", "ar"])
            rates = []
            for method in METHODS.values():
                found = outputs(flags.program, flags.model, files[kind], form, method)
                for one, other in zip(wanted, found, strict=True):
                    if one["tokens"] != other["tokens"]:
                        sys.exit(f"{form_name}, {method}: prompt {one['line']} is not that of AR")
                rates.append(f"{mean(found):.2f}")
            length = sum(output["n"] for output in wanted) / len(wanted)
            print(f"| {text} | {form_name} | {length:.0f} | " + " | ".join(rates) + " |", flush=True)


if __name__ == "__main__":
    main()
