#!/usr/bin/env python3
"""The bundled model: it solves fresh items of its own generator, and drafts as well as its card says.

    python3 tests/mini_model_test.py build/release/tidar

Needs Python's standard library only.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
MODEL = ROOT / "models/tidar-mini"
sys.path.insert(0, str(ROOT / "tools"))

import mini_corpus  # noqa: E402

PROGRAM = ""
ITEMS = 12
SEED = 2  # items that neither the training nor its test set has drawn
TOKENS_PER_PASS = {4: 3.2, 8: 5, 16: 6.5}


def evaluate(kind, task, out, *method):
    items = mini_corpus.drawn_items(kind, SEED, "test")
    file = out.with_suffix(".jsonl")
    file.write_text("".join(json.dumps({"task_id": str(number), **next(items)}) + "\n"
                            for number in range(ITEMS)))
    done = subprocess.run(
        [PROGRAM, "eval", "--model", MODEL, "--task", f"{task}:{file}", "--max-new", "200", "--out",
         out, "--json", *method], stdout=subprocess.PIPE, check=True, timeout=600)
    lines = (out / "results.jsonl").read_text().splitlines()
    return json.loads(done.stdout), {line["item"]: line["text"] for line in map(json.loads, lines)}


class MiniModel(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def test_size(self):
        self.assertLess(sum(file.stat().st_size for file in MODEL.iterdir()), 16e6)

    def check(self, kind, task, score):
        ar, ar_texts = evaluate(kind, task, self.folder / "ar", "--method", "ar")
        self.assertGreaterEqual(ar["scores"][score]["mean"], 0.8)
        for length, least in TOKENS_PER_PASS.items():
            tidar, texts = evaluate(kind, task, self.folder / str(length), "--method", "tidar",
                                    "--draft-length", str(length))
            self.assertEqual(texts, ar_texts, f"K = {length}")
            self.assertGreaterEqual(tidar["tokens_per_pass"], least, f"K = {length}")

    def test_word_problems(self):
        self.check("math", "gsm8k", "strict")

    def test_functions(self):
        self.check("code", "humaneval", "pass@1")


if __name__ == "__main__":
    PROGRAM = os.path.abspath(sys.argv[1])
    unittest.main(argv=sys.argv[:1] + sys.argv[2:])
