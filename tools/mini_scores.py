#!/usr/bin/env python3
"""Scores the bundled model on the test items of its own corpus: how many answers are right, and how
many tokens a pass brings.

    tools/mini_scores.py --program tidar --corpus DIR --model DIR --ar DIR --out scores.json

--model is the TiDAR model: it answers by AR and by TiDAR at each draft length. --ar is the model to
compare with, which was trained on with the AR loss alone: it answers by AR. An answer is right
    math    when its last line is the number of the solution, "#### N"
    code    when the function passes its unit tests, each run in a process of its own
    choice  when it is the right choice, word for word
Greedy, to the end-of-text token. Needs Python's standard library only.
"""

import argparse
import functools
import json
import pathlib
import resource
import subprocess
import sys
import tempfile

KINDS = ("math", "code", "choice")
LONGEST = 200  # tokens of an answer; solutions have at most about 130
TEST_SECONDS = 5
TEST_BYTES = 1 << 29


def read_lines(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


# --- what is right --------------------------------------------------------------------------------


def limit_resources():
    resource.setrlimit(resource.RLIMIT_CPU, (TEST_SECONDS, TEST_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (TEST_BYTES, TEST_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


@functools.cache  # most answers of one method are those of another
def passes_tests(program):
    """Whether a program of a model ends well. It runs with little time and memory, and can write
    nothing into files."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            done = subprocess.run([sys.executable, "-I", "-S", "-c", program], cwd=folder, env={},
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL, timeout=2 * TEST_SECONDS,
                                  preexec_fn=limit_resources, check=False)
        except subprocess.TimeoutExpired:
            return False
    return done.returncode == 0


def is_right(kind, item, text):
    if kind == "math":
        return text.rstrip("\n").split("\n")[-1] == item["answer"].split("\n")[-1]
    if kind == "code":
        check = f"check({item['entry_point']})"
        return passes_tests(f"{item['prompt']}{text}\n{item['test']}\n{check}\n")
    return text == item["text"]


# --- answers --------------------------------------------------------------------------------------


def answers_of(program, model, items, method):
    """The program's answer to each item, in their order."""
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as prompts:
        for item in items:
            prompts.write(json.dumps({"prompt": item["prompt"]}) + "\n")
        prompts.flush()
        done = subprocess.run([program, "generate", "--model", model, "--prompts", prompts.name,
                               "--max-new", str(LONGEST), *method], stdout=subprocess.PIPE,
                              check=True)
    found = {answer["line"]: answer for answer in map(json.loads, done.stdout.splitlines())}
    return [found[line] for line in range(1, len(items) + 1)]


def summary(kind, items, answers):
    return {
        "items": len(items),
        "right": sum(is_right(kind, item, answer["text"]) for item, answer in zip(items, answers)),
        "ended": sum(answer["finish_reason"] == "stop" for answer in answers),
        "decoded": sum(answer["decoded"] for answer in answers),
        "passes": sum(answer["passes"] for answer in answers),
    }


def add_rates(scores):
    scores["accuracy"] = scores["right"] / scores["items"]
    scores["tokens_per_pass"] = scores["decoded"] / max(1, scores["passes"])
    return scores


def total(parts):
    return add_rates({key: sum(part[key] for part in parts)
                      for key in ("items", "right", "ended", "decoded", "passes")})


def score(options):
    items = {kind: read_lines(options.corpus / f"test_{kind}.jsonl")[:options.items]
             for kind in KINDS}
    runs = {"ar_on": (options.ar, ["--method", "ar"]), "ar": (options.model, ["--method", "ar"])}
    for length in options.draft_lengths:
        runs[f"tidar_{length}"] = (options.model, ["--method", "tidar", "--draft-length",
                                                   str(length)])
    report = {}
    tokens = {}
    for name, (model, method) in runs.items():
        report[name] = {}
        for kind in KINDS:
            answers = answers_of(options.program, model, items[kind], method)
            report[name][kind] = add_rates(summary(kind, items[kind], answers))
            tokens[name, kind] = [answer["tokens"] for answer in answers]
            if name.startswith("tidar"):
                report[name][kind]["same_as_ar"] = sum(
                    a == b for a, b in zip(tokens[name, kind], tokens["ar", kind]))
        # Answers to questions are two or three tokens, so passes cannot bring more: where texts are
        # written is told apart.
        report[name]["written"] = total([report[name]["math"], report[name]["code"]])
        report[name]["all"] = total([report[name][kind] for kind in KINDS])
        line = ", ".join(f"{kind} {100 * of['accuracy']:.1f} % ({of['tokens_per_pass']:.2f} tokens "
                         f"per pass)" for kind, of in report[name].items())
        print(f"{name}: {line}", file=sys.stderr)
    return report


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", type=pathlib.Path, required=True)
    parser.add_argument("--corpus", type=pathlib.Path, required=True)
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--ar", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--draft-lengths", type=int, nargs="+", default=[4, 8, 16])
    parser.add_argument("--items", type=int, help="of each kind, at most")
    return parser.parse_args(arguments)


def main():
    options = parse(sys.argv[1:])
    report = score(options)
    partial = options.out.with_name(options.out.name + ".partial")
    partial.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    partial.replace(options.out)


if __name__ == "__main__":
    main()
