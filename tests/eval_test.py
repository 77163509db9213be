#!/usr/bin/env python3
"""Evaluation from outside: `tidar eval` as its users run, kill, continue and misuse it.

    python3 tests/eval_test.py build/release/tidar

Where the environment names the published files (TIDAR_HUMAN_EVAL, TIDAR_GSM8K: paths of JSONL
files), they are run as well.
"""

import array
import json
import math
import os
import pathlib
import random
import signal
import subprocess
import tempfile
import time
import unittest

from outside import PROGRAM, Case, comma, load, main, run, small_run, write_lines

TRAINED = pathlib.Path()  # what setUpModule trains

HUMAN_EVAL = [
    {"task_id": "HumanEval/0", "prompt": "def double(x):\n", "entry_point": "double",
     "canonical_solution": "    return 2 * x\n",
     "test": "def check(candidate):\n    assert candidate(3) == 6\n"},
    {"task_id": "HumanEval/1", "prompt": "def hang():\n", "entry_point": "hang",
     "canonical_solution": "    return 1\n",
     "test": "def check(candidate):\n    assert candidate() == 1\n"}]

MBPP = [
    {"task_id": 11, "text": "Double it.", "code": "def double(x):\n    return 2 * x",
     "test_setup_code": "", "test_list": ["assert double(1) == 2", "assert double(0) == 0"]}]

SUMS = [{"question": f"{a} + {b}?", "answer": f"{a} + {b} = {a + b}\n#### {a + b}"}
        for a in range(8) for b in range(5)]

CHOICES = [{"context": f"{a} + 1 =", "choices": [str(a + 1), str(a + 2), "many"], "answer": 0}
           for a in range(30)]


def setUpModule():
    """A model that has learnt for a moment, for all tests."""
    global TRAINED
    holder = tempfile.TemporaryDirectory()
    unittest.addModuleCleanup(holder.cleanup)
    folder = pathlib.Path(holder.name)
    config = small_run(folder, out=str(folder / "run"), steps=5)
    (folder / "train.json").write_text(json.dumps(config))
    code, _, err = run("train", "--config", folder / "train.json")
    assert code == 0, err
    TRAINED = folder / "run" / "latest"


class EvalCase(Case):
    def task(self, objects, name="task.jsonl"):
        return write_lines(self.folder / name, objects)

    def flags(self, task, *args, out=None):
        return ["eval", "--model", TRAINED, "--task", task, "--out", out or self.out, *args]

    def eval(self, task, *args, out=None):
        text, _ = self.succeed(*self.flags(task, *args, "--json", out=out))
        summary = json.loads(text)
        self.assertEqual(load((out or self.out) / "summary.json"), summary)
        return summary

    def logprobs_of(self, ids):
        """Of each token but the first, as `tidar logits` has it."""
        path = self.folder / "logits.f32"
        self.succeed("logits", "--model", TRAINED, "--ids", comma(ids), "--out", path)
        rows = array.array("f")
        rows.frombytes(path.read_bytes())
        size = len(rows) // len(ids)
        found = []
        for i, token in enumerate(ids[1:]):
            row = rows[i * size:(i + 1) * size]
            found.append(row[token] - math.log(sum(math.exp(logit) for logit in row)))
        return found

    def results(self, out=None):
        """Lines by item and sample, without what depends on the clock."""
        lines = [json.loads(line) for line in
                 ((out or self.out) / "results.jsonl").read_text().splitlines()]
        found = {(line["item"], line["sample"]): line for line in lines}
        self.assertEqual(len(found), len(lines), "an item was done twice")
        for line in lines:
            self.assertGreaterEqual(line.pop("seconds"), 0)
        return found


class Likelihood(EvalCase):
    def logprobs(self, text):
        ids = json.loads(self.succeed("tokenize", "--model", TRAINED, text=text)[0])
        return ids, self.logprobs_of(ids)

    def test_choices(self):
        summary = self.eval(self.task(CHOICES), "--shots", 2, "--shots-file", self.task(CHOICES))
        self.assertEqual((summary["done"], summary["all"]), (30, 30))
        lines = self.results()
        self.assertEqual(summary["scores"]["acc"]["mean"],
                         sum(line["acc"] for line in lines.values()) / 30)
        shots = "1 + 1 = 2\n\n2 + 1 = 3\n\n"
        for i, choice in enumerate(CHOICES[0]["choices"]):
            context, whole = shots + "0 + 1 =", shots + "0 + 1 = " + choice
            before, (_, logprobs) = len(self.logprobs(context)[0]), self.logprobs(whole)
            self.assertAlmostEqual(lines["1", 0]["logprobs"][i], sum(logprobs[before - 1:]),
                                   delta=1e-3)

    def test_text(self):
        text = "3 + 4 = 7, and 4 + 3 is the same."
        file = self.folder / "story.txt"
        file.write_text(text)
        summary = self.eval(file)
        ids, logprobs = self.logprobs(text)
        nll = -sum(logprobs) / len(logprobs)
        self.assertEqual(summary["tokens"], len(ids) - 1)
        self.assertAlmostEqual(summary["scores"]["nll"]["mean"], nll, delta=1e-4)
        self.assertAlmostEqual(summary["perplexity"], math.exp(nll), delta=1e-3 * math.exp(nll))
        windows = self.eval(file, "--window", 8, "--stride", 3, out=self.folder / "windows")
        self.assertEqual(windows["tokens"], len(ids) - 1)
        self.assertGreater(windows["all"], 1)

    def test_texts_read_together_change_nothing(self):
        # Long texts: whoever gets a smaller share of the room than it needs is cut.
        items = [{**item, "context": "3 + 4 = 7. " * (20 + 3 * i) + item["context"]}
                 for i, item in enumerate(CHOICES[:12])]
        task = self.task(items)
        found = []
        for together in (1, 2, 7, 64):
            out = self.folder / f"together {together}"
            self.assertEqual(self.eval(task, "--together", together, out=out)["truncated"], 0)
            found.append(self.results(out))
        self.assertTrue(all(lines == found[0] for lines in found[1:]))

    def test_a_text_longer_than_the_window_by_default(self):
        file = self.folder / "long.txt"
        file.write_text("3 + 4 = 7, and 4 + 3 is the same.\n" * 200)
        self.assertGreater(self.eval(file)["tokens"], 1000)

    def test_diffusion_methods_estimate(self):
        task = self.task(CHOICES[:3])
        for method in ["masked-diffusion", "block-diffusion"]:
            out = self.folder / method
            self.eval(task, "--method", method, "--mc-samples", 16, out=out)
            for line in self.results(out).values():
                self.assertTrue(all(error > 0 for error in line["standard_errors"]), line)
            other = self.folder / (method + " again")
            self.eval(task, "--method", method, "--mc-samples", 16, "--together", 1, out=other)
            self.assertEqual(self.results(out), self.results(other))

    def test_company_changes_nothing(self):
        task = self.task(CHOICES)
        self.eval(task, "--together", 1)
        self.eval(task, "--together", 7, out=self.folder / "seven")
        self.assertEqual(self.results(), self.results(self.folder / "seven"))


class Generation(EvalCase):
    def test_sums(self):
        task = self.task(SUMS)
        summary = self.eval(task, "--limit", 6, "--shots", 2, "--shots-file", task, "--max-new", 24)
        self.assertEqual(summary["all"], 6)
        self.assertGreaterEqual(summary["tokens_per_pass"], 1)
        self.assertGreater(summary["tokens_per_s"], 0)
        for line in self.results().values():
            self.assertLessEqual(line["tokens"], 24)
            self.assertIn("strict", line)
        ar = self.folder / "ar"
        self.eval(task, "--limit", 6, "--shots", 2, "--shots-file", task, "--max-new", 24,
                  "--method", "ar", out=ar)
        self.assertEqual({key: line["text"] for key, line in self.results().items()},
                         {key: line["text"] for key, line in self.results(ar).items()})

    def test_programs(self):
        summary = self.eval(self.task(HUMAN_EVAL), "--samples", 2, "--temperature", 1, "--max-new",
                            16)
        self.assertEqual(set(summary["scores"]), {"pass@1", "pass@2"})
        samples = [json.loads(line) for line in
                   (self.out / "samples.jsonl").read_text().splitlines()]
        lines = self.results()
        self.assertEqual([sample["task_id"] for sample in samples],
                         ["HumanEval/0"] * 2 + ["HumanEval/1"] * 2)
        self.assertEqual(samples[1]["solution"],
                         HUMAN_EVAL[0]["prompt"] + lines["HumanEval/0", 1]["text"])
        self.assertTrue(all(line["why"] for line in lines.values()))

    def test_solutions_of_the_file(self):
        for objects in (HUMAN_EVAL, MBPP, SUMS):
            code, out, err = run("eval", "--task", self.task(objects), "--check-solutions")
            self.assertEqual(code, 0, err)
            self.assertEqual(out, f"{len(objects)} of {len(objects)} solutions are right\n")
        bad = [HUMAN_EVAL[0], {**HUMAN_EVAL[1], "canonical_solution": "    while True: pass\n"}]
        code, out, err = run("eval", "--task", self.task(bad), "--check-solutions", "--time-limit",
                             1, "--json")
        self.assertEqual(code, 1, err)
        self.assertEqual(json.loads(out), {"solutions": 2, "wrong": [
            {"id": "HumanEval/1", "why": "was ended by signal 9"}]})

    def test_more_samples_later(self):
        task = self.task(HUMAN_EVAL)
        args = ["--temperature", 1, "--max-new", 8]
        self.eval(task, *args, "--limit", 1)
        first = self.results()
        summary = self.eval(task, *args, "--samples", 2)
        self.assertEqual((summary["done"], summary["all"]), (4, 4))
        self.assertEqual(self.results()["HumanEval/0", 0], first["HumanEval/0", 0])


class Documents(EvalCase):
    # Without prices, so that passes do not depend on the clock.
    ARGS = ["--methods", "tidar,lookup", "--draft-lengths", "2,4", "--max-new", 20, "--prices",
            "none"]

    def documents(self):
        rng = random.Random(4)
        lines = [{"prompt": f"{a} + {b} = ", "text": f"{a + b}, and {b} + {a} is the same."}
                 for a, b in ((rng.randrange(20), rng.randrange(20)) for _ in range(6))]
        lines.append({"text": "12 + 3 = 15, and 3 + 12 is the same.", "finish_reason": "length"})
        return self.task(lines), lines

    def test_methods(self):
        task, lines = self.documents()
        for temperature in (0, 1):
            out = self.folder / f"at {temperature}"
            found = self.eval(f"documents:{task}", *self.ARGS, "--temperature", temperature,
                              out=out)
            self.assertEqual((found["done"], found["all"]), (7, 7))
            self.assertEqual([(m["method"], m.get("draft_length")) for m in found["methods"]],
                             [("ar", None), ("tidar", 2), ("tidar", 4), ("lookup", 2),
                              ("lookup", 4)])
            for method in found["methods"]:
                own = method["own"]
                self.assertEqual((own["texts"], own["same_as_ar"]), (7, 7), method)
                self.assertEqual(own["tokens"], found["methods"][0]["own"]["tokens"])
                self.assertGreater(own["tokens_per_s"], 0)
                self.assertGreater(own["ratio_to_ar"], 0)
                self.assertEqual("given" in method, method["method"] != "ar")
                if "given" in method:
                    self.assertEqual(method["given"]["tokens"], found["tokens"])
                    places = method["draft_length"] - (method["method"] == "tidar")
                    self.assertEqual(len(method["given"]["places"]), places)
            self.assertEqual(found["methods"][0]["own"]["ratio_to_ar"], 1)
        text, _ = self.succeed(*self.flags(f"documents:{task}", *self.ARGS, "--temperature", 1,
                                           out=out))
        self.assertIn(f"7 of 7 documents, {found['tokens']:,} tokens of text; nll ", text)
        self.assertRegex(text, r"(?m)^tidar +4 +auto .* 7/7$")
        self.assertLessEqual(max(map(len, text.splitlines())), 80)

    def test_a_model_that_drafts_for_itself(self):
        task, _ = self.documents()
        found = self.eval(f"documents:{task}", "--method", "speculative", "--draft-model", TRAINED,
                          "--draft-length", 3, "--max-new", 20)
        own = found["methods"][1]["own"]
        self.assertEqual(own["same_as_ar"], 7)
        for place in own["places"]:
            self.assertEqual(place["right"], place["guesses"])
        self.assertEqual(len(own["places"]), 3)

    def test_likelihood_and_shards(self):
        task, lines = self.documents()
        words = TRAINED.parent.parent / "words"
        shard = self.folder / "d.tokens"
        self.succeed("data", "tokens", self.task(lines[:-1]), "--prompt", "{prompt}", "--tokenizer",
                     words, "--out", shard)
        found = self.eval(shard, "--max-new", 5, "--prices", "none")
        self.assertEqual([m["method"] for m in found["methods"]], ["ar", "tidar"])
        self.assertEqual(found["methods"][1]["draft_length"], 4)
        encode = lambda text: json.loads(
            self.succeed("tokenize", "--model", TRAINED, text=text)[0])

        def expect(found, end):
            """What `tidar logits` has, where the token `end` ends documents."""
            nats, tokens = 0, 0
            for line in lines[:-1]:
                prompt = encode(line["prompt"])
                ids = prompt + encode(line["text"]) + [end]
                nats -= sum(self.logprobs_of(ids)[len(prompt) - 1:])
                tokens += len(ids) - len(prompt)
            self.assertEqual(found["tokens"], tokens)
            self.assertAlmostEqual(found["scores"]["nll"]["mean"], nats / tokens, delta=1e-5)

        expect(found, *encode("<|endoftext|>"))  # the tokenizer's
        expect(self.eval(self.task(lines[:-1]), "--max-new", 5, "--prices", "none",
                         out=self.folder / "lines"), 318)  # the config's

    def test_more_documents_later(self):
        task, _ = self.documents()
        flags = [f"documents:{task}", *self.ARGS]
        self.eval(*flags, "--limit", 3)
        first = self.results()
        self.assertEqual(len(first), 3 * 5)
        found = self.eval(*flags)
        self.assertEqual((found["done"], found["all"]), (7, 7))
        for key, line in first.items():
            self.assertEqual(self.results()[key], line)
        for wrong in (["--draft-lengths", "2"], ["--max-new", 21], ["--prompt-tokens", 3],
                      ["--temperature", 1]):
            at = flags.index(wrong[0]) if wrong[0] in flags else len(flags)
            self.refuse(1, *self.flags(*flags[:at], *wrong, *flags[at + 2:]),
                        holds=["holds results of another run"])

    def test_misuse(self):
        task, lines = self.documents()
        for part, flags in {"meaning beside --methods": ["--methods", "ar", "--draft-length", 4],
                            "methods to compare are": ["--methods", "block-diffusion"],
                            "expected 1 to 64": ["--draft-lengths", "4,65"]}.items():
            self.refuse(2, *self.flags(task, *flags), holds=[part])
        self.refuse(1, *self.flags(task, "--shots", 1, "--shots-file", task), holds=["--shots"])
        self.refuse(1, *self.flags(task, "--say-solutions"), holds=["has none"])
        shard = self.folder / "d.tokens"
        self.succeed("data", "tokenizer", task, "--out", self.folder / "other", "--vocabulary", 270)
        self.succeed("data", "tokens", task, "--tokenizer", self.folder / "other", "--out", shard)
        self.refuse(1, *self.flags(shard), holds=["d.tokens: is a shard of a vocabulary of"])
        other = self.task([{"story": "x"}], "none.jsonl")
        self.refuse(1, *self.flags(f"documents:{other}"), holds=["none.jsonl: no line has a"])


class Killed(EvalCase):
    # Without prices, so that passes do not depend on the clock.
    ARGS = ["--max-new", 200, "--samples", 3, "--temperature", 1, "--together", 2,
            "--prices", "none"]

    def test_goes_on(self):
        task = self.task(SUMS)
        whole = self.folder / "whole"
        self.eval(task, *self.ARGS, out=whole)
        for _ in range(2):
            process = subprocess.Popen([PROGRAM, *map(str, self.flags(task, *self.ARGS))],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            self.wait_for_lines(3)
            process.kill()
            process.wait()
        lines = (self.out / "results.jsonl").read_text()
        self.assertLess(lines.count("\n"), len(SUMS) * 3, "the run was not killed in its midst")
        (self.out / "results.jsonl").write_text(lines[:-5])  # as a kill within a line leaves it
        self.eval(task, *self.ARGS)
        self.assertEqual(self.results(), self.results(whole))

    def wait_for_lines(self, more):
        def count():
            path = self.out / "results.jsonl"
            return path.read_text().count("\n") if path.exists() else 0
        wanted = count() + more
        end = time.monotonic() + 120
        while count() < wanted and time.monotonic() < end:
            time.sleep(0.002)

    def test_interrupt(self):
        process = subprocess.Popen(
            [PROGRAM, *map(str, self.flags(self.task(SUMS), *self.ARGS))],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.wait_for_lines(2)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 130, err)
        self.assertIn(b"goes on from there", err)
        self.assertIn(b"strict", out)

    def test_results_of_another_run_are_refused(self):
        task = self.task(CHOICES[:2])
        self.eval(task)
        for part, args in (("task", self.flags(self.task(CHOICES[:3], "other.jsonl"))),
                           ("shots", self.flags(task, "--shots", 1, "--shots-file", task)),
                           ("computing", self.flags(task, "--kv", "bf16", "--weights", "bf16")),
                           ("likelihood", self.flags(task, "--method", "masked-diffusion"))):
            self.refuse(1, *args, holds=["holds results of another run", f"whose {part} is"])
        other = self.folder / "other model"
        subprocess.run(["cp", "-rL", TRAINED, other], check=True)
        args = self.flags(task)
        args[args.index(TRAINED)] = other
        self.assertEqual(run(*args)[0], 0, "a copy is the same model")
        config = json.loads((other / "config.json").read_text())
        (other / "config.json").write_text(json.dumps({**config, "rms_norm_eps": 1e-4}))
        self.refuse(1, *args, holds=["whose model is"])


class Misuse(EvalCase):
    def test_flags(self):
        task = self.task(SUMS)
        _, out, _ = run("eval", "--help")
        self.assertLessEqual(max(map(len, out.splitlines())), 80)
        wrong = {"--model is required": ["eval", "--task", task, "--out", self.out],
                 "--out is required": ["eval", "--task", task, "--model", TRAINED],
                 "--task is required": ["eval", "--model", TRAINED, "--out", self.out],
                 "--shots needs": self.flags(task, "--shots", 2),
                 "less than the window": self.flags(task, "--window", 8, "--stride", 8)}
        for part, args in wrong.items():
            self.refuse(2, *args, holds=[part])

    def test_files(self):
        def refuse(content, *flags, holds):
            self.refuse(1, *self.flags(self.task(content), *flags), holds=holds)

        self.refuse(1, *self.flags(self.folder / "nowhere.jsonl"), holds=["nowhere.jsonl"])
        refuse([{"story": 1}], holds=["no task"])
        refuse([{"question": "x"}], holds=["task.jsonl:1", "answer"])
        shots = self.task(SUMS[:2], "shots.jsonl")
        refuse(SUMS[:2], "--shots", 2, "--shots-file", shots, holds=["too few"])
        refuse([{"question": "1 + 1 = 2, " * 400, "answer": "#### 2"}], holds=["problem 1"])
        empty = self.task([], "empty.txt")
        self.refuse(1, *self.flags(empty, out=self.folder / "text"), holds=["at least two tokens"])
        self.refuse(1, "eval", "--task", self.task(CHOICES), "--check-solutions",
                    holds=["has none"])
        self.refuse(2, "eval", "--task", self.task(SUMS), "--check-solutions", "--out", self.out,
                    holds=["--out"])


class Published(EvalCase):
    def check(self, name, count):
        path = os.environ.get(name)
        if not path:
            self.skipTest(f"{name} names no file")
        code, out, err = run("eval", "--task", path, "--check-solutions")
        self.assertEqual(code, 0, out + err)
        self.assertEqual(out, f"{count} of {count} solutions are right\n")
        summary = self.eval(path, "--limit", 3, "--max-new", 8)
        self.assertEqual(summary["done"], 3)

    def test_human_eval(self):
        self.check("TIDAR_HUMAN_EVAL", 164)

    def test_gsm8k(self):
        self.check("TIDAR_GSM8K", 1319)


if __name__ == "__main__":
    main()
