#!/usr/bin/env python3
"""The bundled model: it solves fresh items of its own generator, and drafts as its card says.

    python3 tests/mini_model_test.py build/release/tidar
"""

import json
import subprocess
import sys

from outside import PROGRAM, ROOT, Case, main, write_lines

MODEL = ROOT / "models/tidar-mini"
sys.path.insert(0, str(ROOT / "tools"))

import mini_corpus  # noqa: E402

ITEMS = 12
SEED = 2  # items that neither the training nor its test set has drawn
TOKENS_PER_PASS = {4: 3.2, 8: 5, 16: 6.5}


def evaluate(kind, task, out, *method):
    items = mini_corpus.drawn_items(kind, SEED, "test")
    file = out.with_suffix(".jsonl")
    write_lines(file, ({"task_id": str(number), **next(items)} for number in range(ITEMS)))
    done = subprocess.run(
        [PROGRAM, "eval", "--model", MODEL, "--task", f"{task}:{file}", "--max-new", "200", "--out",
         out, "--json", *method], stdout=subprocess.PIPE, check=True, timeout=600)
    lines = (out / "results.jsonl").read_text().splitlines()
    return json.loads(done.stdout), {line["item"]: line["text"] for line in map(json.loads, lines)}


class MiniModel(Case):
    def test_size(self):
        self.assertLess(sum(file.stat().st_size for file in MODEL.iterdir()), 16e6)

    def check(self, kind, task, score):
        ar, ar_texts = evaluate(kind, task, self.folder / "ar", "--method", "ar")
        self.assertGreaterEqual(ar["scores"][score]["mean"], 0.8)
        for length, least in TOKENS_PER_PASS.items():
            tidar, texts = evaluate(kind, task, self.folder / str(length), "--method", "tidar",
                                    "--draft-length", str(length), "--groups", "all")
            self.assertEqual(texts, ar_texts, f"K = {length}")
            self.assertGreaterEqual(tidar["tokens_per_pass"], least, f"K = {length}")
        _, texts = evaluate(kind, task, self.folder / "default", "--method", "tidar")
        self.assertEqual(texts, ar_texts)

    def test_word_problems(self):
        self.check("math", "gsm8k", "strict")

    def test_functions(self):
        self.check("code", "humaneval", "pass@1")


if __name__ == "__main__":
    main()
