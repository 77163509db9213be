#!/usr/bin/env python3
"""An AR checkpoint becomes a TiDAR model, as its users do it.

    python3 tests/convert_test.py build/release/tidar
"""

import json
import math
import pathlib
import signal
import struct
import subprocess
import tempfile
import time
import unittest

import hugging_face
from gguf_test import convert as write_gguf
from outside import (PROGRAM, WITHOUT_OTHER_TOKENIZERS, Case, comma, load, main, other_tokenizers,
                     run, small_run, wait_until_caught)

FOLDER = pathlib.Path()  # what setUpModule makes
SIZE = 0  # tokens of its tokenizer


def setUpModule():
    """A corpus, an AR checkpoint that has begun to know it, and one whose vocabulary is full."""
    global FOLDER, SIZE
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
    SIZE = 1 + max(token["id"] for token in added)
    config = {**load(FOLDER / "config.json"), "vocab_size": SIZE, "eos_token_id": end,
              "rope_theta": 10000, "rms_norm_eps": 1e-6}
    (FOLDER / "full.json").write_text(json.dumps(config))
    fields |= {"model_config": str(FOLDER / "full.json"), "out": str(FOLDER / "full"), "steps": 5}
    (FOLDER / "run.json").write_text(json.dumps(fields))
    code, _, err = run("train", "--config", FOLDER / "run.json")
    assert code == 0, err


def write_shard(path, vocabulary, documents):
    """By the grammar of src/format/token_shards.h, version 1."""
    ids = [token for document in documents for token in document]
    ends = [sum(map(len, documents[: n + 1])) for n in range(len(documents))]
    data = struct.pack("<8sIIQQQ", b"tidartok", 1, 2, vocabulary, len(ids), len(documents))
    data += struct.pack(f"<{len(ids)}H", *ids)
    data += bytes(-len(data) % 8)
    data += struct.pack(f"<{len(ends)}Q{len(ends)}I", *ends, *[0] * len(ends))
    path.write_bytes(data)
    return path


def set_end(token):
    config = FOLDER / "ar" / "latest" / "config.json"
    config.write_text(json.dumps({**load(config), "eos_token_id": token}))


class ConvertCase(Case):
    def command(self, *more, data=None, model=None):
        return ["convert", "--model", model or FOLDER / "ar" / "latest", "--data",
                data or FOLDER / "corpus.jsonl", "--prompt", "{prompt}", "--out", self.out,
                "--block-size", 4, *more]

    def logits(self, model, ids, vocabulary):
        """A row for each id."""
        file = self.folder / "logits"
        self.succeed("logits", "--model", model, "--ids", comma(ids), "--out", file)
        row = 4 * vocabulary
        data = file.read_bytes()
        self.assertEqual(len(data), row * len(ids))
        return [data[at : at + row] for at in range(0, len(data), row)]


class AddedMask(ConvertCase):
    """A model whose tokenizer, text and vocabulary are full gets one token more."""

    IDS = [5, 9, 200, 250, 7]

    def command(self, *more, data=None, model=None):
        return super().command(*more, data=data, model=model or FOLDER / "full" / "latest")

    def check_rows(self, before, after):
        """The new row of each matrix is the mean of the others, and those are what they were."""
        old = hugging_face.read_tensors(before / "model.safetensors")
        new = hugging_face.read_tensors(after / "model.safetensors")
        self.assertEqual(old.keys(), new.keys())
        for name, (kind, shape, data) in old.items():
            with_row = shape[0] == SIZE
            self.assertEqual(new[name][:2], (kind, (shape[0] + with_row, *shape[1:])), name)
            self.assertEqual(new[name][2][: len(data)], data, name)
            if not with_row:
                continue
            columns = shape[1]
            numbers = hugging_face.floats(*new[name][::2])
            rows, last = numbers[: SIZE * columns], numbers[SIZE * columns :]
            for column, value in enumerate(last):
                mean = math.fsum(rows[column::columns]) / SIZE
                self.assertAlmostEqual(value, mean, delta=abs(mean) / 200 + 1e-9)

    def check_logits(self, before, after):
        """Those of all other ids are the same to the bit; the new one's is their mean."""
        old = self.logits(before, self.IDS, SIZE)
        new = self.logits(after, self.IDS, SIZE + 1)
        for one, other in zip(old, new):
            self.assertEqual(other[:-4], one)
            *others, added = struct.unpack(f"<{SIZE + 1}f", other)
            self.assertAlmostEqual(added, math.fsum(others) / SIZE, delta=2e-3)

    def check_tokenizer(self, folder):
        decoder = load(folder / "tokenizer_config.json")["added_tokens_decoder"]
        self.assertEqual(decoder[str(SIZE)]["content"], "<mask>")
        added = load(folder / "tokenizer.json")["added_tokens"][-1]
        self.assertEqual((added["id"], added["content"], added["special"]),
                         (SIZE, "<mask>", True))
        if WITHOUT_OTHER_TOKENIZERS:
            self.skipTest(WITHOUT_OTHER_TOKENIZERS)
        texts = ["1 + 2 = <mask>", "<mask><mask> is", "a<|mask|>b <mask>", "no such", " <mas k>"]
        for library, answers in other_tokenizers(folder, texts).items():
            for text, answer in zip(texts, answers):
                ours, _ = self.succeed("tokenize", "--model", folder, text=text)
                self.assertEqual(answer["ids"], json.loads(ours), (library, text))
                self.assertEqual(answer["ids"].count(SIZE), text.count("<mask>"), text)

    def test_is_added_on_request(self):
        _, err = self.succeed(*self.command("--add-mask-token", "--budget", "30ktokens"))
        self.assertIn(f"mask token: '<mask>' ({SIZE}), which is added to the tokenizer and to the "
                      "vocabulary, with the mean of all rows", err)
        model, init = FOLDER / "full" / "latest", self.out / "init"
        config = load(init / "config.json")
        self.assertEqual({**config, "vocab_size": SIZE}, load(model / "config.json"))
        self.assertEqual(config["vocab_size"], SIZE + 1)
        self.check_rows(model, init)
        self.check_logits(model, init)
        trained = load(self.out / "latest" / "config.json")
        self.assertEqual((trained["vocab_size"], trained["tidar"]["mask_token_id"]),
                         (SIZE + 1, SIZE))
        text, _ = self.succeed("generate", "--model", self.out / "latest", "--prompt", "1 + 2 = ",
                               "--max-new", 12, "--compare", "--json")
        self.assertTrue(json.loads(text)["compare"]["tokens_agree"])
        self.assertNotIn(SIZE, json.loads(text)["tokens"])
        self.check_tokenizer(self.out / "latest")

    def test_is_added_where_every_token_is_in_use(self):
        end = load(FOLDER / "full.json")["eos_token_id"]
        ids = [token for token in range(SIZE) if token != end]
        full = write_shard(self.folder / "full.tokens", SIZE,
                           [[*ids[n:], *ids[:n], end] for n in range(0, 250, 5)])
        _, err = self.succeed(*self.command("--budget", "10ktokens", data=full))
        self.assertIn(f"({SIZE}), which is added", err)
        self.assertEqual(load(self.out / "run.json")["init"], str(self.out / "init"))
        self.assertEqual(load(self.out / "run.json")["mask_token"], SIZE)
        self.refuse(2, *self.command("--add-mask-token", "--mask-token", "7"), holds=["excludes"])

    def test_has_a_row_of_the_padding_where_there_is_one(self):
        model = self.folder / "padded"
        self.succeed(*self.command("--add-mask-token", "--set", "epochs=1"))
        hugging_face.write_folder(model, load(self.out / "init/config.json"),
                                  hugging_face.read_tensors(self.out / "init/model.safetensors"))
        for name in ("tokenizer.json", "tokenizer_config.json"):
            (model / name).write_bytes((FOLDER / "words" / name).read_bytes())
        self.out = self.folder / "second"
        _, err = self.succeed(*self.command("--add-mask-token", "--set", "epochs=1", model=model))
        self.assertIn(f"({SIZE}), which is added to the tokenizer\n", err)
        self.assertEqual(load(self.out / "init/config.json")["vocab_size"], SIZE + 1)
        self.check_tokenizer(self.out / "latest")


class Gguf(ConvertCase):
    def test_becomes_a_folder_and_a_model(self):
        model = FOLDER / "full" / "latest"
        file = write_gguf(model, self.folder / "ar.gguf", "F32")
        _, err = self.succeed(*self.command("--budget", "20ktokens", model=file))
        self.assertIn("becomes a Hugging Face folder", err)
        self.assertIn("stays behind", err)
        init = self.out / "init"
        self.assertEqual(hugging_face.read_tensors(init / "model.safetensors"),
                         hugging_face.read_tensors(model / "model.safetensors"))
        self.assertEqual(self.logits(init, [3, 4, 5], SIZE), self.logits(model, [3, 4, 5], SIZE))
        # The same run as from the folder that the file was made of.
        held = [json.loads(line)["held_out"]["ar"] for line in
                (self.out / "log.jsonl").read_text().splitlines() if "held_out" in line]
        self.out = self.folder / "second"
        self.succeed(*self.command("--budget", "20ktokens", model=model))
        other = [json.loads(line)["held_out"]["ar"] for line in
                 (self.out / "log.jsonl").read_text().splitlines() if "held_out" in line]
        self.assertEqual(held, other)
        text, _ = self.succeed("generate", "--model", self.out / "latest", "--prompt", "1 + 2 = ",
                               "--max-new", 12, "--compare", "--json")
        self.assertTrue(json.loads(text)["compare"]["tokens_agree"])

    def test_can_get_a_token_more(self):
        file = write_gguf(FOLDER / "full" / "latest", self.folder / "ar.gguf", "BF16")
        self.succeed(*self.command("--add-mask-token", "--set", "epochs=1", model=file))
        self.assertEqual(load(self.out / "init/config.json")["vocab_size"], SIZE + 1)
        before, after = (self.logits(model, [3, 4, 5], size) for model, size in
                         ((file, SIZE), (self.out / "init", SIZE + 1)))
        self.assertEqual([row[:-4] for row in after], before)


class Convert(ConvertCase):

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
