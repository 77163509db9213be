#!/usr/bin/env python3
"""`tidar generate --prompts` from outside: documents of the model's own, and files that go on.

    python3 tests/documents_test.py build/release/tidar
"""

import json
import signal
import subprocess
import time

from generated import GenerateCase
from outside import FIXTURES, PROGRAM, load, main, run, write_lines


class Documents(GenerateCase):
    def documents(self, lines):
        """By line and sample, without what depends on the company that a text had in passes."""
        kept = ("line", "sample", "seed", "prompt", "text", "tokens", "logprobs",
                "policy_logprobs", "prompt_tokens", "n", "finish_reason")
        found = {(item["line"], item["sample"]): {key: item[key] for key in kept}
                 for item in map(json.loads, lines.splitlines())}
        self.assertEqual(len(found), lines.count("\n"), "a text was written twice")
        return found

    def test_many_prompts(self):
        model = self.lettered_model()
        texts = ["hello", "a" * 60, "?", "two\nlines\n", "x" * 600, "once upon a time"]
        lines = [json.dumps({"prompt": text, "other": 1}) for text in texts]
        lines[3:3] = ["not JSON", ""]
        file = self.folder / "prompts.jsonl"
        file.write_text("\n".join(lines))
        # Groups auto would go by what passes take, and numbers of passes with them.
        ask = ["--mask-token", 511, "--max-new", 30, "--draft-length", 4, "--groups", "all"]
        out, err = self.succeed("generate", "--model", model, "--prompts", file, *ask)
        found = {item["line"]: item for item in map(json.loads, out.splitlines())}
        self.assertEqual(sorted(found), [1, 2, 3, 6, 8])  # 600 letters have no room
        self.assertIn("prompts.jsonl:4: is not valid", err)
        self.assertIn("prompts.jsonl:7: ", err)
        for line, item in found.items():
            alone, _ = self.generate(model, *ask, "--prompt", json.loads(lines[line - 1])["prompt"])
            for key in ("tokens", "logprobs", "policy_logprobs", "text", "prompt_tokens", "n", "finish_reason", "passes",
                        "tokens_per_pass"):
                self.assertEqual(item[key], alone[key], (line, key))
            self.expect_rows(item, item["decoded"])
        decoded = sum(item["decoded"] for item in found.values())
        passes = sum(item["passes"] for item in found.values())
        self.assertRegex(
            err, rf"5 texts: \d+ tokens in .* {decoded / passes:.2f} tokens per pass")

    def test_each_line_of_many_prompts_has_a_seed(self):
        model, prompts = self.lettered_model(), self.folder / "same.jsonl"
        prompts.write_text('{"prompt": "Answer:"}\n' * 8)
        ask = ["generate", "--model", model, "--temperature", 1.5, "--max-new", 12, "--ignore-eos"]
        out, _ = self.succeed(*ask, "--prompts", prompts, "--seed", 5)
        lines = sorted(map(json.loads, out.splitlines()), key=lambda line: line["line"])
        self.assertEqual([line["seed"] for line in lines], list(range(5, 13)))
        self.assertGreater(len({line["text"] for line in lines}), 4)
        for line in (lines[0], lines[7]):
            alone, _ = self.succeed(*ask, "--prompt", "Answer:", "--seed", line["seed"], "--json")
            for key in ("tokens", "logprobs", "policy_logprobs"):
                self.assertEqual(json.loads(alone)[key], line[key])

    # Sampled, so that a text that was drawn from the wrong seed is seen.
    SAMPLED = ["--temperature", 1.5, "--max-new", 12, "--mask-token", 511, "--draft-length", 4,
               "--groups", "all"]

    def test_samples_of_prompts(self):
        model, prompts = self.lettered_model(), self.folder / "prompts.jsonl"
        write_lines(prompts, [{"prompt": "hello"}, {"prompt": "hello"}, {"prompt": "x"}])
        ask = ["generate", "--model", model, *self.SAMPLED]
        out = self.folder / "docs.jsonl"
        stdout, err = self.succeed(*ask, "--prompts", prompts, "--samples", 5, "--seed", 7,
                                   "--out", out)
        self.assertEqual(stdout, "")
        self.assertIn("15 texts: ", err)
        found = self.documents(out.read_text())
        self.assertEqual(sorted(found), [(line, sample) for line in (1, 2, 3)
                                         for sample in range(5)])
        self.assertEqual([found[line, 0]["seed"] for line in (1, 2, 3)], [7, 8, 9])
        self.assertEqual(len({item["seed"] for item in found.values()}), 15)
        self.assertGreater(len({item["text"] for item in found.values()}), 10)
        for key in ((1, 0), (2, 3), (3, 4)):
            item = found[key]
            alone, _ = self.succeed(*ask, "--prompt", item["prompt"], "--seed", item["seed"],
                                    "--json")
            for field in ("text", "tokens", "logprobs", "policy_logprobs", "finish_reason"):
                self.assertEqual(item[field], json.loads(alone)[field], (key, field))
        # However many share passes, and wherever the texts go.
        for together in (1, 3, 40):
            lines, _ = self.succeed(*ask, "--prompts", prompts, "--samples", 5, "--seed", 7,
                                    "--together", together)
            self.assertEqual(self.documents(lines), found, together)

    def test_documents_go_on(self):
        model, prompts = self.lettered_model(), self.folder / "prompts.jsonl"
        write_lines(prompts, [{"prompt": "hello " * i} for i in range(1, 9)])
        ask = ["generate", "--model", model, "--prompts", prompts, *self.SAMPLED, "--samples", 3]
        whole, out = self.folder / "whole.jsonl", self.folder / "parts.jsonl"
        self.succeed(*ask, "--out", whole)
        self.succeed(*ask[:-1], 2, "--out", out)
        lines = out.read_text().splitlines(keepends=True)
        out.write_text("".join(lines[:7]) + lines[7][:-9])  # as a kill within a line leaves it
        _, err = self.succeed(*ask, "--out", out)
        self.assertIn("17 texts: ", err)
        expected = self.documents(whole.read_text())
        self.assertEqual(self.documents(out.read_text()), expected)
        self.assertEqual(out.read_text().splitlines(keepends=True)[:7], lines[:7])
        _, err = self.succeed(*ask, "--out", out)
        self.assertIn("0 texts: ", err)
        self.assertEqual(self.documents(out.read_text()), expected)

        other = write_lines(self.folder / "other.jsonl", [{"prompt": "hello"}])
        for part, wrong in (("file of prompts", ["--prompts", other]),
                            ("sampling", ["--temperature", 1]), ("sampling", ["--seed", 1]),
                            ("end", ["--max-new", 13]), ("end", ["--stop", "x"]),
                            ("end", ["--ignore-eos"]), ("method", ["--draft-length", 5]),
                            ("choice", ["--presence-penalty", 1]), ("form", ["--regex", "a*"]),
                            ("computing", ["--weights", "w8"]),
                            ("special tokens", ["--no-special"])):
            flags = [*ask, "--out", out]
            if wrong[0] in flags:
                at = flags.index(wrong[0])
                del flags[at:at + 2]
            self.refuse(1, *flags, *wrong, holds=["parts.jsonl: holds results of another run",
                                                  f"whose {part} is"])
        self.edit_config(model, rms_norm_eps=1e-4)
        self.refuse(1, *ask, "--out", out, holds=["whose model is"])
        out.with_name("parts.jsonl.run").unlink()
        self.refuse(1, *ask, "--out", out, holds=["has parts.jsonl but no parts.jsonl.run"])

    def test_interrupted_documents(self):
        model, prompts = self.lettered_model(), self.folder / "prompts.jsonl"
        write_lines(prompts, [{"prompt": "hello"}] * 4)
        ask = ["generate", "--model", model, "--prompts", prompts, *self.SAMPLED, "--samples"]
        out = self.folder / "docs.jsonl"
        child = subprocess.Popen([PROGRAM, *map(str, ask), "100000", "--out", out],
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(child.kill)
        while not out.exists() or out.stat().st_size < 10000:
            self.assertIsNone(child.poll())
            time.sleep(0.01)
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=60)
        self.assertEqual(child.returncode, 130)
        count = len(self.documents(out.read_text()))
        self.assertRegex(err.decode(), rf"docs.jsonl: holds {count:,} of 400,000 texts; "
                                       r"the same command goes on from there\n\Z")
        samples = count // 4 + 3
        _, err = self.succeed(*ask, samples, "--out", out)
        found = self.documents(out.read_text())
        lines, _ = self.succeed(*ask, samples)
        for key, item in self.documents(lines).items():
            self.assertEqual(found[key], item)

    def test_empty_prompts(self):
        model, prompts = self.lettered_model(), self.folder / "prompts.jsonl"
        write_lines(prompts, [{"prompt": ""}, {"prompt": "x"}])
        self.edit_config(model, eos_token_id=509)
        ask = ["generate", "--model", model, "--prompts", prompts, *self.SAMPLED]

        def first(model_flags=()):
            lines, err = self.succeed(*ask, *model_flags)
            return {item["line"]: item for item in map(json.loads, lines.splitlines())}, err

        found, _ = first()
        alone, _ = self.succeed("generate", "--model", model, "--prompt-ids", 509, *self.SAMPLED,
                                "--json")
        self.assertEqual(found[1]["tokens"], json.loads(alone)["tokens"])
        self.assertEqual((found[1]["prompt"], found[1]["prompt_tokens"]), ("", 1))
        # What the tokenizer puts before a text comes first.
        words = load(model / "tokenizer.json")
        words["post_processor"] = {
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<bos>"}}, {"Sequence": {"id": "A"}}],
            "special_tokens": {"<bos>": {"id": "<bos>", "ids": [509]}}}
        self.edit_config(model, eos_token_id=510)
        plain = (model / "tokenizer.json").read_text()
        (model / "tokenizer.json").write_text(json.dumps(words))
        self.assertEqual(first()[0][1]["tokens"][:3], found[1]["tokens"][:3])
        (model / "tokenizer.json").write_text(plain)
        self.edit_config(model, eos_token_id=None)
        found, err = first()
        self.assertEqual(list(found), [2])
        self.assertIn("prompts.jsonl:1: its prompt is empty", err)

    def test_many_prompts_beside_ar(self):
        model, prompts = self.lettered_model(), self.folder / "prompts.jsonl"
        write_lines(prompts, [{"prompt": "hello"}, {"prompt": "x"}])
        ask = ["generate", "--model", model, "--prompts", prompts, "--temperature", 1, "--max-new",
               20, "--mask-token", 511, "--draft-length", 4, "--samples", 3, "--compare"]
        _, err = self.succeed(*ask)
        self.assertIn("6 of 6 texts are the tokens of ar, which took", err)
        _, err = self.succeed(*ask, "--trust-ar", 0)
        self.assertRegex(err, r"[0-5] of 6 texts are the tokens of ar, the others differ, as")

    def test_wrong_use_of_many_prompts(self):
        model = self.lettered_model()
        for flags in (["--samples", 2], ["--out", self.out], ["--together", 2]):
            self.refuse(2, "generate", "--model", model, "-p", "x", *flags, holds=["--prompts"])
        prompts = write_lines(self.folder / "prompts.jsonl", [{"prompt": "x"}])
        ask = ["generate", "--model", model, "--prompts", prompts]
        self.refuse(1, *ask, "--out", self.folder / "none" / "x", holds=["none/x: cannot be"])
        self.refuse(2, *ask, "--out", self.out, "--trace", self.folder / "t", holds=["--out"])

    def test_many_prompts_of_which_none_is_good(self):
        file = self.folder / "prompts.jsonl"
        file.write_text("{}\n")
        code, out, err = run("generate", "--model", self.lettered_model(), "--prompts", file)
        self.assertEqual((code, out), (1, ""))
        self.assertIn("no line has a \"prompt\" to continue", err)
        self.refuse(1, "generate", "--model", FIXTURES / "qwen2", "--prompts", file,
                    holds=["tokenizer.json"])
        self.refuse(2, "generate", "--model", FIXTURES / "qwen2", "--prompts", file, "-p", "x",
                    holds=["--prompt"])


if __name__ == "__main__":
    main()
