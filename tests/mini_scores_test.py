#!/usr/bin/env python3
"""The scores of the bundled model, and its card: a program with known answers gets known numbers.

    python3 tests/mini_scores_test.py
"""

import json
import pathlib
import struct
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

import mini_scores  # noqa: E402

MATH = {"prompt": "Question: 1 + 1?\nAnswer:\n", "answer": "It is 1 + 1 = 2.\n#### 2"}
CODE = {"prompt": "def twice(x):\n", "entry_point": "twice",
        "test": "def check(candidate):\n    assert candidate(3) == 6\n"}
CHOICE = {"prompt": "Question: Which is bigger, a bee or a cat?\nAnswer:", "text": " a cat"}

# Answers by the kind of prompt, as `tidar generate --prompts` would write them; the last first, as
# prompts may finish in any order. AR of the second model gets the sum wrong.
PROGRAM = """#!{python}
import json, sys
flags = dict(zip(sys.argv[2::2], sys.argv[3::2]))
answers = {{"Quest": "It is 2.\\n#### 2", "def t": "    return 2 * x\\n"}}
prompts = [json.loads(line)["prompt"] for line in open(flags["--prompts"])]
for line, prompt in reversed(list(enumerate(prompts, 1))):
    text = answers[prompt[:5]] if "bee" not in prompt else " a cat"
    if flags["--model"] == "other" and "1 + 1" in prompt:
        text = "#### 3"
    tokens = list(text.encode()) + [0]
    passes = 1 + len(tokens) // int(flags.get("--draft-length", 1))
    print(json.dumps({{"line": line, "text": text, "tokens": tokens, "finish_reason": "stop",
                       "decoded": len(tokens), "passes": passes}}))
"""


class Right(unittest.TestCase):
    def test_numbers(self):
        self.assertTrue(mini_scores.is_right("math", MATH, "Otherwise.\n#### 2"))
        self.assertTrue(mini_scores.is_right("math", MATH, "#### 2\n"))
        for wrong in ("", "#### 22", "#### 2\nMore.", "2", "#### -2"):
            self.assertFalse(mini_scores.is_right("math", MATH, wrong), wrong)

    def test_choices(self):
        self.assertTrue(mini_scores.is_right("choice", CHOICE, " a cat"))
        self.assertFalse(mini_scores.is_right("choice", CHOICE, " a cat and more"))

    def test_functions(self):
        for body in ("    return 2 * x\n", "    return x + x"):
            self.assertTrue(mini_scores.is_right("code", CODE, body), body)
        for body in ("    return x\n", "    return 2 *\n", "", "    while True: pass\n",
                     "    return [0] * 10**10\n", "    import sys; sys.exit(1)\n"):
            self.assertFalse(mini_scores.is_right("code", CODE, body), body)

    def test_a_function_cannot_fill_files(self):
        with tempfile.TemporaryDirectory() as folder:
            victim = pathlib.Path(folder) / "victim"
            body = f"    open({str(victim)!r}, 'w').write('here')\n    return 2 * x\n"
            mini_scores.is_right("code", CODE, body)
            self.assertFalse(victim.exists() and victim.read_text())


class Scores(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.work = pathlib.Path(folder.name)
        corpus = cls.work / "corpus"
        corpus.mkdir()
        for kind, item in (("math", MATH), ("code", CODE), ("choice", CHOICE)):
            wrong = {**item, "answer": "#### 7", "text": " a bee", "test": "x = 1 / 0\n"}
            lines = [json.dumps(item), json.dumps(item), json.dumps(wrong), json.dumps(wrong)]
            (corpus / f"test_{kind}.jsonl").write_text("\n".join(lines) + "\n")
        program = cls.work / "program"
        program.write_text(PROGRAM.format(python=sys.executable))
        program.chmod(0o755)
        subprocess.run([sys.executable, ROOT / "tools/mini_scores.py", "--program", program,
                        "--corpus", corpus, "--model", "model", "--ar", "other", "--out",
                        cls.work / "scores.json", "--items", "3"], check=True,
                       stderr=subprocess.DEVNULL)
        cls.scores = json.loads((cls.work / "scores.json").read_text())

    def test_accuracy(self):
        self.assertEqual(list(self.scores), ["ar_on", "ar", "tidar_4", "tidar_8", "tidar_16"])
        for run, right in (("ar_on", 0), ("ar", 2), ("tidar_8", 2)):
            self.assertEqual(self.scores[run]["math"]["right"], right)
            self.assertEqual(self.scores[run]["code"]["right"], 2)
            self.assertAlmostEqual(self.scores[run]["choice"]["accuracy"], 2 / 3)
            self.assertEqual(self.scores[run]["all"]["items"], 9)
            self.assertAlmostEqual(self.scores[run]["all"]["accuracy"], (right + 4) / 9)

    def test_tokens_per_pass(self):
        written = self.scores["tidar_4"]["written"]
        sizes = [len("It is 2.\n#### 2") + 1, len("    return 2 * x\n") + 1]
        self.assertEqual(written["decoded"], 3 * sum(sizes))
        self.assertAlmostEqual(written["tokens_per_pass"],
                               sum(sizes) / sum(1 + size // 4 for size in sizes))
        self.assertEqual(self.scores["tidar_16"]["math"]["same_as_ar"], 3)

    def test_card(self):
        self.make_results()
        card = self.work / "card.md"
        card.write_text("before\n<!-- measured: begin -->\nold\n<!-- measured: end -->\nafter\n")
        for _ in range(2):  # the second time the numbers of the first are in the way
            subprocess.run([sys.executable, ROOT / "tools/mini_card.py", self.work, card],
                           check=True)
        text = card.read_text()
        self.assertTrue(text.startswith("before\n") and text.endswith("-->\nafter\n"))
        self.assertNotIn("old", text)
        self.assertEqual(text.count("measured: begin"), 1)
        for part in ("| math, of 3 | 0.0 % | 66.7 % |", "6 parameters", "1 h 01 min",
                     "| TiDAR, from AR | 20 | 2.0 M |", "1.2500 | 2.5000 | 2.7500 |"):
            self.assertIn(part, text)

    def make_results(self):
        """What trainings leave behind, as far as the card reads it."""
        report = {"seed": 1, "python": "3.11", "files": {
            name: {"items": {"math": 1}, "text_bytes": {"math": 1}, "sha256": "0" * 64}
            for name in ("train.jsonl", "drills.jsonl")}}
        (self.work / "corpus/corpus.json").write_text(json.dumps(report))
        losses = {"items": {"ar": 1.25}, "plain": {"ar": 2.5}, "test_plain": {"ar": 2.75}}
        log = [{"step": 10, "tokens": 1}, {"step": 20, "tokens": 2e6}, {"step": 20, **losses}]
        for name in ("ar", "ar-on", "tidar"):
            (self.work / name / "latest").mkdir(parents=True)
            (self.work / name / "log.jsonl").write_text("\n".join(map(json.dumps, log)))
            (self.work / f"{name}.seconds").write_text("3660")
        header = json.dumps({"w": {"dtype": "BF16", "shape": [2, 3], "data_offsets": [0, 12]}})
        (self.work / "tidar/latest/model.safetensors").write_bytes(
            struct.pack("<Q", len(header)) + header.encode() + bytes(12))


if __name__ == "__main__":
    unittest.main()
