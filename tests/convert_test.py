#!/usr/bin/env python3
"""An AR checkpoint becomes a TiDAR model, as its users do it.

    python3 tests/convert_test.py build/release/tidar
"""

import json
import pathlib
import signal
import subprocess
import tempfile
import time
import unittest

from outside import PROGRAM, Case, load, main, run, small_run, wait_until_caught

FOLDER = pathlib.Path()  # what setUpModule makes


def setUpModule():
    """A corpus, and an AR checkpoint that has begun to know it."""
    global FOLDER
    holder = tempfile.TemporaryDirectory()
    unittest.addModuleCleanup(holder.cleanup)
    FOLDER = pathlib.Path(holder.name)
    fields = small_run(FOLDER, steps=40, objective="ar", out=str(FOLDER / "ar"))
    del fields["mask_token"]
    (FOLDER / "ar.json").write_text(json.dumps(fields))
    code, _, err = run("train", "--config", FOLDER / "ar.json")
    assert code == 0, err
    # The end of text is the tokenizer's, as in checkpoints that people publish.
    added = load(FOLDER / "words" / "tokenizer.json")["added_tokens"]
    end, = (token["id"] for token in added if token["content"] == "<|endoftext|>")
    set_end(end)


def set_end(token):
    config = FOLDER / "ar" / "latest" / "config.json"
    config.write_text(json.dumps({**load(config), "eos_token_id": token}))


class Convert(Case):
    def command(self, *more, data=None):
        return ["convert", "--model", FOLDER / "ar" / "latest", "--data",
                data or FOLDER / "corpus.jsonl", "--prompt", "{prompt}", "--out", self.out,
                "--block-size", 4, *more]

    def test_one_command_makes_a_measured_model(self):
        page, err = self.succeed(*self.command("--budget", "40ktokens", "--control"))
        for part in ("data: ", "end of text: ", "mask token: ", "which is made for it", "plan: "):
            self.assertIn(part, err)
        for part in ("What it costs the AR model", "| before |", "| after |", "AR alone",
                     "What it drafts", "| 4 |", "greedily", "at temperature 1", "lookup", "How it was trained", "What next"):
            self.assertIn(part, page)
        for place in (self.out, self.out / "latest"):
            self.assertEqual((place / "README.md").read_text(), page)
        fields = load(self.out / "run.json")
        self.assertEqual(fields["objective"], "tidar:4")
        self.assertEqual(fields["prompts"], "given")
        lines = [json.loads(line) for line in (self.out / "log.jsonl").read_text().splitlines()]
        held = [line for line in lines if "held_out" in line]
        self.assertEqual((held[0]["step"], held[-1]["step"]), (0, fields["steps"]))
        self.assertLess(held[-1]["held_out"]["diffusion"], held[0]["held_out"]["diffusion"])
        self.assertAlmostEqual(lines[-2]["tokens"], 40_000, delta=8_000)

        text, _ = self.succeed("generate", "--model", self.out / "latest", "--prompt", "1 + 2 = ",
                               "--max-new", 12, "--compare", "--json")
        answer = json.loads(text)
        self.assertEqual(answer["method"], "tidar")
        self.assertTrue(answer["compare"]["tokens_agree"])

        # The same command has nothing left to do; another one is another conversion.
        again, _ = self.succeed(*self.command("--budget", "40ktokens", "--control"))
        self.assertEqual(again, page)
        self.refuse(1, *self.command("--budget", "50ktokens"), holds=["other flags"])

        # What it wrote can be changed and run by hand.
        other = self.folder / "other"
        _, err = self.succeed("train", "--config", self.out / "run.json", "--set", f"out={other}",
                              "--set", "steps=12", "--set", "warmup_steps=2")
        self.assertTrue((other / "latest" / "model.safetensors").exists())

    def test_goes_on_after_an_interrupt(self):
        args = list(map(str, self.command("--budget", "200ktokens")))
        child = subprocess.Popen([PROGRAM, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        log = self.out / "log.jsonl"
        deadline = time.monotonic() + 120
        while not (log.exists() and '"loss"' in log.read_text()):
            self.assertLess(time.monotonic(), deadline)
            self.assertIsNone(child.poll())
            time.sleep(0.05)
        wait_until_caught(child, signal.SIGINT)
        child.send_signal(signal.SIGINT)
        out, _ = child.communicate(timeout=120)
        self.assertEqual((child.returncode, out), (130, b""))
        self.assertTrue((self.out / "latest").exists())
        page, err = self.succeed(*args)
        self.assertIn("going on at step", err)
        self.assertIn("What next", page)

    def test_rates_are_tried_on_request(self):
        _, err = self.succeed(*self.command("--set", "epochs=1", "--range-test"))
        self.assertGreaterEqual(err.count("after 60 steps"), 3)
        self.assertFalse((self.out / "trial").exists())

    def test_what_cannot_be_converted_is_said(self):
        self.refuse(1, *self.command(data=self.folder / "none"), holds=["none"], alone=False)
        first = int.from_bytes((FOLDER / "text.tokens").read_bytes()[40:42], "little")
        self.refuse(1, *self.command("--mask-token", first), holds=["stands in the text"],
                    alone=False)
        self.refuse(1, *self.command("--mask-token", "<|endoftext|>"), holds=["ends texts"],
                    alone=False)
        self.refuse(1, *self.command("--mask-token", "<none>"), holds=["<none>"], alone=False)
        self.refuse(1, *self.command("--end", "1"), holds=["--end", "config.json"], alone=False)
        self.refuse(2, *self.command("--budget", "long"), holds=["30min"])
        for field, value in (("out", "elsewhere"), ("objective", "ar"), ("validation", "{}")):
            self.refuse(1, *self.command("--set", f"{field}={value}"), holds=[f"--set {field}"],
                        alone=False)
        self.refuse(1, *self.command("--set", "stps=1"), holds=["did you mean 'steps'"],
                    alone=False)
        end = load(FOLDER / "ar" / "latest" / "config.json")["eos_token_id"]
        self.addCleanup(set_end, end)
        set_end(319)
        self.refuse(1, *self.command(), holds=["319", "eos_token_id"], alone=False)
        set_end(end)
        empty = self.put("empty.jsonl", "")
        self.refuse(1, *self.command(data=empty), holds=["no document"], alone=False)
        self.assertFalse((self.out / "run.json").exists())
        command = self.command()
        command[2] = self.folder / "none"
        self.refuse(1, *command, holds=["none: no such folder"])


if __name__ == "__main__":
    main()
