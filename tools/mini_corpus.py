#!/usr/bin/env python3
"""Makes the corpus of the bundled model tidar-mini from a seed: word problems with worked steps,
drills in arithmetic, small Python functions, questions with choices, and plain text from Python's
standard library.

    tools/mini_corpus.py OUT [--seed N] [--megabytes N] [--math W --drill W --code W …]

Writes into the folder OUT
    train.jsonl        {"kind", "prompt", "text"}: a document is the prompt and then the text
    drills.jsonl       the same fields: nothing but sums, for the beginning of a training
    test_math.jsonl    {"question", "answer", …}, as GSM8K; the answer ends in "#### N"
    test_code.jsonl    {"task_id", "prompt", "canonical_solution", "test", "entry_point", …}, as
                       HumanEval
    test_choice.jsonl  {"context", "choices", "answer", …}; the answer is an index of choices
    test_plain.jsonl   {"text", …}: whole files and docstrings that were held out
    validation_*.jsonl  the same four, of other held-out items: to watch a training by
    corpus.json        what was made, and the SHA-256 of each file
All held-out items have the fields of train.jsonl, too. Which items are held out is a matter of
their parameters alone (tools/corpus/draw.py), so none of them is in the training text, whatever the
seed.
The same seed and the same Python give the same bytes. Needs Python's standard library only.
"""

import argparse
import hashlib
import json
import os
import pathlib
import sys

from corpus import choices, drills, functions, plain_text, word_problems
from corpus.draw import HELD_OUT, Draw, side_of

MATH_PROMPT = "Question: {}\nAnswer:\n"


def math_item(draw):
    problem = word_problems.draw_problem(draw)
    solution = problem.solution()
    return problem.key, {
        "kind": "math",
        "prompt": MATH_PROMPT.format(problem.question),
        "text": solution,
        "question": problem.question,
        "answer": solution,
    }


def code_item(draw):
    function = functions.draw_function(draw)
    return function.key, {
        "kind": "code",
        "prompt": function.prompt,
        "text": function.body,
        "canonical_solution": function.body,
        "test": function.test(),
        "entry_point": function.name,
    }


def choice_item(draw):
    question = choices.draw_question(draw)
    prompt, text = choices.frame(draw, question)
    return question.key, {
        "kind": "choice",
        "prompt": prompt,
        "text": text,
        "context": f"Question: {question.context}\nAnswer:",
        "choices": [" " + choice for choice in question.choices],
        "answer": question.answer,
    }


SEED = 1
MAKERS = {"math": math_item, "code": code_item, "choice": choice_item}
TRAIN_FIELDS = ("kind", "prompt", "text")


def drawn_items(kind, seed, side):
    """An endless stream of items of one side, each text once while new ones come."""
    draw = Draw(f"{seed}/{kind}/{side}")
    seen = set()
    misses = 0
    while True:
        key, item = MAKERS[kind](draw)
        if side_of(key) != side:
            continue
        mark = (item["prompt"], item["text"])
        # A small space of items is used up at some time; from then on items come again.
        if mark in seen and misses < 50:
            misses += 1
            continue
        misses = 0
        seen.add(mark)
        yield item


def drill_items(seed):
    draw = Draw(f"{seed}/drills")
    while True:
        yield {"kind": "drill", "prompt": "", "text": drills.draw_drill(draw)}


def statements(seed):
    """Paragraphs of facts in random order."""
    draw = Draw(f"{seed}/statements")
    while True:
        text = " ".join(choices.draw_statement(draw) for _ in range(draw.randint(3, 8)))
        yield {"kind": "choice", "prompt": "", "text": text}


def size(item):
    return len((item["prompt"] + item["text"]).encode())


def upto(items, budget):
    """Items until they have `budget` bytes of text."""
    for item in items:
        if budget <= 0:
            return
        budget -= size(item)
        yield item


class Writer:
    """A JSONL file that appears whole or not at all, and what it holds."""

    def __init__(self, path):
        self.path = path
        self.partial = path.with_name(path.name + ".partial")
        self.file = open(self.partial, "wb")
        self.digest = hashlib.sha256()
        self.items = {}
        self.bytes = {}

    def write(self, item):
        line = (json.dumps(item, ensure_ascii=False) + "\n").encode()
        self.file.write(line)
        self.digest.update(line)
        self.items[item["kind"]] = self.items.get(item["kind"], 0) + 1
        self.bytes[item["kind"]] = self.bytes.get(item["kind"], 0) + size(item)

    def finish(self):
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()
        self.partial.replace(self.path)
        return {"items": self.items, "text_bytes": self.bytes, "sha256": self.digest.hexdigest()}


def write_plain(writers, budget, stdlib):
    """As much plain text as there is room for, in the order of a hash, so that a smaller corpus is
    a fair part of a larger one. Held-out text is written whatever the budget."""
    documents = sorted(plain_text.documents(stdlib),
                       key=lambda d: hashlib.sha256(repr((d[0], d[2])).encode()).digest())
    for key, kind, text in documents:
        item = {"kind": kind, "prompt": "", "text": text}
        side = side_of(key)
        if side != "train":
            writers[side].write(item)
        elif budget > 0:
            writers[side].write(item)
            budget -= size(item)


def write_as_one_text(path):
    """The documents of a file, an empty line between them, beside it: for perplexity."""
    with open(path, encoding="utf-8") as file:
        texts = [json.loads(line)["text"] for line in file]
    path.with_suffix(".txt").write_text("\n\n".join(texts), encoding="utf-8")


def write_held_out(writer, kind, seed, side, count):
    items = drawn_items(kind, seed, side)
    for number in range(count):
        item = next(items)
        if kind == "code":
            item = {"task_id": f"mini/{number}", **item}
        writer.write(item)


def make_corpus(out, options):
    weights = {kind: getattr(options, kind) for kind in (*MAKERS, "drill", "plain")}
    unit = options.megabytes * 1e6 / sum(weights.values())
    out.mkdir(parents=True, exist_ok=True)
    python = sys.version.split()[0]
    report = {"seed": options.seed, "weights": weights, "python": python, "files": {}}
    train = Writer(out / "train.jsonl")
    drill = Writer(out / "drills.jsonl")
    for item in upto(drill_items(options.seed), weights["drill"] * unit):
        drill.write(item)
    report["files"][drill.path.name] = drill.finish()
    for kind in MAKERS:
        budget = weights[kind] * unit
        if kind == "choice":  # a tenth of it as plain statements of the same facts
            for item in upto(statements(options.seed), budget * 0.1):
                train.write(item)
            budget *= 0.9
        for item in upto(drawn_items(kind, options.seed, "train"), budget):
            train.write({field: item[field] for field in TRAIN_FIELDS})
        for side in HELD_OUT:
            writer = Writer(out / f"{side}_{kind}.jsonl")
            write_held_out(writer, kind, options.seed, side, options.test_items)
            report["files"][writer.path.name] = writer.finish()
    writers = {side: Writer(out / f"{side}_plain.jsonl") for side in HELD_OUT}
    writers["train"] = train
    write_plain(writers, weights["plain"] * unit, options.stdlib)
    for writer in writers.values():
        report["files"][writer.path.name] = writer.finish()
    for side in HELD_OUT:
        write_as_one_text(writers[side].path)
    (out / "corpus.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return report


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0],
                                     formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("out", type=pathlib.Path, help="folder to write into")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--megabytes", type=float, default=58,
                        help="text for training; less when the plain text is used up")
    parser.add_argument("--math", type=float, default=50, help="weight of word problems")
    parser.add_argument("--drill", type=float, default=7, help="weight of drills in arithmetic")
    parser.add_argument("--code", type=float, default=19, help="weight of functions")
    parser.add_argument("--choice", type=float, default=7, help="weight of questions")
    parser.add_argument("--plain", type=float, default=17, help="weight of plain text")
    parser.add_argument("--test-items", type=int, default=1000, help="items of each held-out set")
    parser.add_argument("--stdlib", type=pathlib.Path,
                        help="folder of the standard library; None: that of this Python")
    return parser.parse_args(arguments)


def main():
    options = parse(sys.argv[1:])
    report = make_corpus(options.out, options)
    for name, file in report["files"].items():
        total = sum(file["text_bytes"].values())
        kinds = ", ".join(f"{count} {kind}" for kind, count in file["items"].items())
        print(f"{options.out / name}: {total / 1e6:.1f} MB of text: {kinds}")


if __name__ == "__main__":
    main()
