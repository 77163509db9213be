#!/usr/bin/env python3
"""Writes the numbers of the bundled model into its card.

    tools/mini_card.py build/mini mini/README.md

Reads what scripts/train-mini left in its folder: corpus.json, the logs of the three trainings,
their times, and scores.json. The numbers stand between the two "measured" comments of the card.
"""

import json
import pathlib
import struct
import sys

from measured import processor, with_block

TRAININGS = {"ar": "AR, from nothing", "ar-on": "AR, trained on", "tidar": "TiDAR, from AR"}
RUNS = {"ar_on": "AR, trained on", "ar": "TiDAR's weights by AR", "tidar_4": "TiDAR, K = 4",
        "tidar_8": "TiDAR, K = 8", "tidar_16": "TiDAR, K = 16"}


def load(path):
    return json.loads(path.read_text(encoding="utf-8"))


def table(heading, rows):
    lines = [heading, ["---"] * len(heading), *rows]
    return ["| " + " | ".join(map(str, cells)) + " |" for cells in lines]


def clock(seconds):
    return f"{int(seconds) // 3600} h {int(seconds) // 60 % 60:02d} min"


def parameters(path):
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
    count = 0
    for name, tensor in header.items():
        if name != "__metadata__":
            size = 1
            for length in tensor["shape"]:
                size *= length
            count += size
    return count


def corpus_lines(work):
    report = load(work / "corpus/corpus.json")
    made = {}
    for name in ("train.jsonl", "drills.jsonl"):
        for kind, items in report["files"][name]["items"].items():
            made[kind] = items, report["files"][name]["text_bytes"][kind]
    rows = [[kind, f"{items:,}", f"{size / 1e6:.1f} MB"] for kind, (items, size) in made.items()]
    digest = report["files"]["train.jsonl"]["sha256"]
    return [f"Corpus of seed {report['seed']}, with the standard library of Python "
            f"{report['python']}; SHA-256 of train.jsonl {digest[:16]}….", "",
            *table(["documents of", "number", "text"], rows)]


def training_row(work, name, title):
    log = [json.loads(line) for line in
           (work / name / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    step = [line for line in log if "tokens" in line][-1]
    losses = [line for line in log if "items" in line][-1]
    seconds = float((work / f"{name}.seconds").read_text())
    cells = [f"{losses[part]['ar']:.4f}" for part in ("items", "plain", "test_plain")]
    return [title, f"{step['step']:,}", f"{step['tokens'] / 1e6:.1f} M", clock(seconds), *cells]


def score_lines(scores):
    heading = ["", *RUNS.values()]
    rows = []
    for kind in ("math", "code", "choice", "all"):
        items = scores["ar"][kind]["items"]
        rows.append([f"{kind}, of {items:,}",
                     *(f"{100 * scores[run][kind]['accuracy']:.1f} %" for run in RUNS)])
    for kind in ("math", "code", "written", "all"):
        rows.append([f"T/NFE, {kind}",
                     *(f"{scores[run][kind]['tokens_per_pass']:.2f}" for run in RUNS)])
    same = [f"{sum(scores[run][kind]['same_as_ar'] for kind in ('math', 'code', 'choice')):,}"
            if run.startswith("tidar") else "" for run in RUNS]
    ended = [f"{100 * scores[run]['all']['ended'] / scores[run]['all']['items']:.1f} %"
             for run in RUNS]
    return table(heading, [*rows, ["ended by themselves", *ended],
                           ["the very tokens of AR", *same]])


def measured(work):
    weights = work / "tidar/latest/model.safetensors"
    lines = corpus_lines(work)
    lines += ["", f"Trained on {processor()}. {parameters(weights):,} parameters, "
              f"{weights.stat().st_size / 1e6:.1f} MB. Losses are those of the next token.", ""]
    lines += table(["training", "steps", "tokens", "time", "loss of items", "plain text",
                    "plain text of the test set"],
                   [training_row(work, name, title) for name, title in TRAININGS.items()])
    lines += ["", "On the test items; T/NFE is tokens per decoding pass, to the end-of-text token, "
              "prompts not counted; \"written\" is math and code together.", ""]
    lines += score_lines(load(work / "scores.json"))
    return "\n".join(lines)


def main():
    work, card = map(pathlib.Path, sys.argv[1:])
    text = card.read_text(encoding="utf-8")
    card.write_text(with_block(text, "measured", measured(work)), encoding="utf-8")


if __name__ == "__main__":
    main()
