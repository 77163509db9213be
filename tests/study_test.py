#!/usr/bin/env python3
"""The study from outside: a plan of two small models is carried out, stopped, continued, changed.

    python3 tests/study_test.py build/release/tidar
"""

import json
import pathlib
import random
import subprocess
import sys
import unittest

from outside import PROGRAM, ROOT, SMALL_MODEL, Case, load, main, write_lines

sys.path.insert(0, str(ROOT / "tools"))

import study  # noqa: E402

PLAN = {
    "title": "A study", "notes": "notes.md", "out": "out", "publish": "page.md",
    "before": [
        ["{program}", "data", "tokenizer", "sums.jsonl", "--template", "{question} {answer}",
         "--vocabulary", "320", "--force", "--out", "words"],
        ["{program}", "data", "tokens", "sums.jsonl", "--template", "{question} {answer}",
         "--tokenizer", "words", "--force", "--out", "text.tokens"]],
    "training": {"tokenizer": "words", "mask_token": "<|mask|>", "train": ["text.tokens"],
                 "validation": {"sums": ["text.tokens"]}, "validate_every": 4,
                 "sequence": 64, "packs": 2, "steps": 4, "learning_rate": 1e-3},
    "models": {"ar": {"training": {"model_config": "config.json", "objective": "ar"}},
               "tidar-4": {"from": "ar", "training": {"objective": "tidar:4"}}},
    "tasks": [{"name": "sums", "label": "Sums", "score": "strict", "file": "gsm8k:sums.jsonl",
               "flags": ["--limit", "3", "--max-new", "12"]}],
    "entries": [
        {"label": "AR", "series": "AR", "role": "baseline", "model": "ar", "in": ["generation"],
         "flags": ["--method", "ar"], "tasks": ["sums"]},
        {"each": {"draft_length": [2, 4]}, "label": "TiDAR, K = {draft_length}", "series": "TiDAR",
         "role": "tidar", "model": "tidar-4", "in": ["generation", "trade-off"],
         "flags": ["--method", "tidar", "--draft-length", "{draft_length}"],
         "draft_length": "{draft_length}", "tasks": ["sums"]}],
    "latency": [{"label": "small", "model": "ar", "flags": ["--rows", "1,2", "--seconds", "0.01"]}]}


class Expansion(unittest.TestCase):
    def test_every_combination(self):
        entries = list(study.expanded(
            {"each": {"alpha": [0.5, 1], "trust_ar": [0, 1]}, "label": "{alpha} and {trust_ar}",
             "alpha": "{alpha}", "flags": ["--trust-ar", "{trust_ar}"], "model": "{other}"}))
        self.assertEqual([entry["label"] for entry in entries],
                         ["0.5 and 0", "0.5 and 1", "1 and 0", "1 and 1"])
        self.assertEqual(entries[1], {"label": "0.5 and 1", "alpha": 0.5, "model": "{other}",
                                      "flags": ["--trust-ar", 1]})

    def test_models_too(self):
        models = study.expanded_models(
            {"plain": {"folder": "x"},
             "tidar-{k}": {"each": {"k": [4, 8]}, "from": "plain",
                           "training": {"objective": "tidar:{k}", "steps": "{k}"}}})
        self.assertEqual(list(models), ["plain", "tidar-4", "tidar-8"])
        self.assertEqual(models["tidar-8"], {"from": "plain", "training": {
            "objective": "tidar:8", "steps": 8}})
        with self.assertRaisesRegex(study.StudyError, "two of the name 'tidar'"):
            study.expanded_models({"tidar": {"each": {"k": [4, 8]}, "folder": "{k}"}})

    def test_plans_of_the_tree(self):
        for path in (ROOT / "study").glob("*.json"):
            if path.name.endswith("config.json"):
                continue
            plan = study.read_plan(path, {"data": "somewhere"})
            labels = [(entry["label"], tuple(entry["in"])) for entry in plan["entries"]]
            self.assertEqual(len(labels), len(set(labels)), path)
            if "publish" in plan:
                self.assertIn(f"<!-- {pathlib.Path(plan['out']).name}: begin -->",
                              (ROOT / plan["publish"]).read_text(encoding="utf-8"))


class Run(Case):
    def setUp(self):
        super().setUp()
        rng = random.Random(1)
        sums = [(rng.randrange(20), rng.randrange(20)) for _ in range(200)]
        write_lines(self.folder / "sums.jsonl",
                    ({"question": f"{a} + {b}?", "answer": f"#### {a + b}"}
                     for a, b in dict.fromkeys(sums)))
        self.put("config.json", json.dumps({**SMALL_MODEL, "max_position_embeddings": 1024}))
        self.put("notes.md", "What was found.\n")
        (self.folder / "page").mkdir()
        self.put("page/out-old.svg", "<svg/>")
        self.put("page.md", "Before.\n\n<!-- out: begin -->\nold\n<!-- out: end -->\n\nBehind.\n")
        self.put_plan(PLAN)

    def put_plan(self, plan):
        self.put("plan.json", json.dumps(plan))

    def study(self, *args):
        done = subprocess.run(
            [sys.executable, ROOT / "tools/study.py", "--program", PROGRAM, "plan.json",
             "--set", f"program={PROGRAM}", *args], cwd=self.folder, capture_output=True, text=True,
            timeout=600, check=False)
        return done.returncode, done.stderr

    def times(self):
        """When each file of the models and results was written last."""
        return {path: path.stat().st_mtime_ns for part in ("models", "results", "latency")
                for path in (self.folder / "out" / part).rglob("*")
                if path.is_file() and not path.name.endswith(".partial")}

    def test_whole(self):
        code, err = self.study()
        self.assertEqual(code, 0, err)
        page = (self.folder / "page.md").read_text()
        self.assertTrue(page.startswith("Before.\n") and page.endswith("\nBehind.\n"), page)
        for part in ("## A study", "What was found.", "TiDAR, K = 2", "| ar | ar |"):
            self.assertIn(part, page)
        self.assertNotIn("\nold\n", page)
        self.assertFalse((self.folder / "page/out-old.svg").exists())
        for figure in (self.folder / "out/report/figures").glob("*.svg"):
            self.assertTrue((self.folder / "page" / f"out-{figure.name}").exists())
        done = self.times()

        # Nothing is done twice, and only what the plan has changed is done again.
        code, err = self.study()
        self.assertEqual(code, 0, err)
        self.assertEqual(self.times(), done)
        longer = json.loads(json.dumps(PLAN))
        longer["tasks"][0]["flags"][1] = "5"
        self.put_plan(longer)
        code, err = self.study()
        self.assertEqual(code, 0, err)
        summaries = list((self.folder / "out/results").rglob("summary.json"))
        self.assertEqual([load(path)["done"] for path in summaries], [5, 5, 5])

        # A model of another plan is not taken for this one's.
        longer["training"]["steps"] = 5
        self.put_plan(longer)
        code, err = self.study()
        self.assertEqual(code, 1)
        self.assertIn("trained by another plan", err)

    def test_seeds(self):
        plan = json.loads(json.dumps(PLAN))
        plan["seeds"] = [2, 3]
        plan["models"]["other"] = {**plan["models"]["tidar-4"], "seeds": [7]}
        plan["tasks"].append({"name": "given", "label": "Sums", "score": "nll",
                              "file": "documents:text.tokens",
                              "flags": ["--limit", "4", "--methods", "ar,tidar:all",
                                        "--max-new", "4"]})
        plan["entries"] = [
            {"label": "four", "role": "baseline", "model": "tidar-4", "in": ["recipes"],
             "tasks": ["sums", "given"]},
            {"label": "seven", "model": "other", "in": ["recipes"], "tasks": ["given"]}]
        self.put_plan(plan)
        code, err = self.study("--jobs", "2")
        self.assertEqual(code, 0, err)
        models = self.folder / "out/models"
        self.assertEqual({path.stem for path in models.glob("*.json")},
                         {"ar", "tidar-4-2", "tidar-4-3", "other-7"})
        for run, seed in (("tidar-4-2", 2), ("tidar-4-3", 3), ("other-7", 7)):
            config = load(models / f"{run}.json")["config"]
            self.assertEqual((config["seed"], config["init"]), (seed, "out/models/ar/latest"))
        weights = {(models / run / "latest/model.safetensors").read_bytes()
                   for run in ("tidar-4-2", "tidar-4-3", "other-7")}
        self.assertEqual(len(weights), 3)
        shown = load(self.folder / "out/study.json")["entries"]
        self.assertEqual([path.split("/")[1] for path in shown[0]["results"]["given"]],
                         ["tidar-4-2", "tidar-4-3"])
        page = (self.folder / "page.md").read_text()
        self.assertRegex(page, r"\| tidar-4 \| tidar:4 \| 2 \|")
        self.assertRegex(page, r"\| four \| 2 \| [\d.]+ \| – \| – \| – \|")
        self.assertRegex(page, r"\| seven \| 1 \| [\d.]+ \| [\d.]+ \([\d.]+ to [\d.]+\) \| ")
        done = self.times()
        code, err = self.study()
        self.assertEqual((code, self.times()), (0, done), err)

    def test_errors(self):
        for change, part in (({"entries": [{"labels": "x"}]}, "unknown field 'labels'"),
                             ({"models": {}}, "there is no model 'ar'"),
                             ({"tasks": None}, "needs the field 'tasks'"),
                             ({"out": "{where}"}, "--set where=")):
            plan = {**PLAN, **change}
            self.put_plan({name: value for name, value in plan.items() if value is not None})
            code, err = self.study()
            self.assertEqual(code, 1, err)
            self.assertIn(part, err)
        self.put("plan.json", "{")
        code, err = self.study()
        self.assertEqual((code, err.count("\n")), (1, 1), err)


if __name__ == "__main__":
    main()
