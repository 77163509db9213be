#!/usr/bin/env python3
"""Training from outside: `tidar train` as its users run, stop, kill and misuse it.

    python3 tests/train_test.py build/release/tidar
"""

import fcntl
import json
import os
import pathlib
import pty
import random
import resource
import select
import signal
import struct
import subprocess
import tempfile
import termios
import time
import unittest

from outside import PROGRAM, SMALL_MODEL, Case, main, run, small_run

FOLDER, FIELDS = pathlib.Path(), {}  # what setUpModule makes
STEPS = 60


def setUpModule():
    """A tokenizer, shards and a model's config, for all tests."""
    global FOLDER, FIELDS
    holder = tempfile.TemporaryDirectory()
    unittest.addModuleCleanup(holder.cleanup)
    FOLDER = pathlib.Path(holder.name)
    FIELDS = small_run(FOLDER, steps=STEPS)


def tensors(folder, file="model.safetensors", prefix=""):
    """Bytes by name, of the tensors whose names begin so."""
    data = (folder / file).read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8:8 + size])
    header.pop("__metadata__", None)
    return {name.removeprefix(prefix): data[8 + size + of["data_offsets"][0]:
                                            8 + size + of["data_offsets"][1]]
            for name, of in header.items() if name.startswith(prefix)}


class TrainCase(Case):
    def config(self, **changes):
        fields = {**FIELDS, "out": str(self.out), **changes}
        return self.put("run.json", json.dumps({k: v for k, v in fields.items() if v is not None}))

    def train(self, *args, **changes):
        code, out, err = run("train", "--config", self.config(**changes), *args)
        self.assertEqual(code, 0, err)
        self.assertEqual(out, "")
        return err

    def refuse_run(self, *parts, args=(), **changes):
        return self.refuse(1, "train", "--config", self.config(**changes), *args, holds=parts,
                           alone=False)

    def log(self, out=None):
        text = ((out or self.out) / "log.jsonl").read_text()
        return [json.loads(line) for line in text.split("\n")[:-1]]

    def losses(self, out=None):
        return {line["step"]: line["loss"] for line in self.log(out) if "loss" in line}

    def saved(self, out=None):
        """The newest weights and the state of the optimizer, byte by byte."""
        latest = (out or self.out) / "latest"
        return [(latest / name).read_bytes()
                for name in ("model.safetensors", "optimizer.safetensors", "training.json")]

    def unbroken(self):
        """The same run, elsewhere, without a break."""
        kept, self.out = self.out, self.folder / "unbroken"
        self.train()
        self.out, unbroken = kept, self.out
        return unbroken

    def assertSameAs(self, unbroken):
        self.assertEqual(self.losses(), self.losses(unbroken))
        mine, other = self.saved(), self.saved(unbroken)
        self.assertEqual(mine[:2], other[:2])
        mine, other = json.loads(mine[2]), json.loads(other[2])
        mine.pop("run"), other.pop("run")  # the texts name different folders
        self.assertEqual(mine, other)


class Run(TrainCase):
    def test_from_nothing_to_a_model_that_decodes(self):
        prompts = self.folder / "prompts.jsonl"
        prompts.write_text("".join(f'{{"prompt": "{i} + 3 = "}}\n' for i in range(5)))
        err = self.train(
            objective="tidar:4", validate_every=30,
            validation={"held": [str(FOLDER / "text.tokens")]}, validation_packs=4,
            prompts_file=str(prompts), draft_lengths=[2, 4], max_new=20)
        for part in ("parameters", "memory", "optimizer's moments", "total",
                     "tokens per pass, ", "at temperature 1, as AR"):
            self.assertIn(part, err)
        lines = self.log()
        steps = [line for line in lines if "loss" in line]
        self.assertEqual([line["step"] for line in steps], list(range(1, STEPS + 1)))
        for line in steps:
            self.assertAlmostEqual(line["loss"], (4 * line["ar"] + line["diffusion"]) / 5, places=5)
        held = [line for line in lines if "held" in line]
        self.assertEqual([line["step"] for line in held], [0, 30, 60])
        self.assertEqual(list(held[0]["held"]["place_probability"]), ["1", "2", "3", "4"])
        self.assertLess(held[2]["held"]["place_loss"]["1"], held[2]["held"]["place_loss"]["4"])
        self.assertLess(held[1]["held"]["ar"], held[0]["held"]["ar"])
        self.assertLess(held[2]["held"]["ar"], held[1]["held"]["ar"])
        for draft in ("draft_2", "draft_4"):
            self.assertEqual(held[2][draft]["same_as_ar"], 5)
            self.assertGreaterEqual(held[2][draft]["tokens_per_pass"], 1)
            self.assertGreaterEqual(held[2][draft]["sampled_tokens_per_pass"], 1)
        # Texts of the model as it was then: drawn from the same noise each time, and as AR draws.
        for line in held:
            self.assertEqual([one["prompt"] for one in line["samples"]],
                             ["0 + 3 = ", "1 + 3 = ", "2 + 3 = "])
        self.assertNotEqual(held[0]["samples"], held[2]["samples"])
        for seed, one in enumerate(held[2]["samples"]):
            text, _ = self.succeed("generate", "--model", self.out / "latest", "--prompt",
                                   one["prompt"], "--method", "ar", "--max-new", 20, "--weights",
                                   "f32", "--temperature", 1, "--seed", 3 + seed, "--json")
            self.assertEqual(json.loads(text)["text"], one["text"])
        self.assertEqual(err.count('sample: "0 + 3 = " → "'), 3)
        events = next(self.out.glob("events.out.tfevents.*")).read_bytes()
        self.assertEqual(events.count(b"validation/samples"), 3)
        self.assertEqual(len(list(self.out.glob("events.out.tfevents.*"))), 1)
        self.assertEqual(len(list(self.out.glob("step-*"))), 2)

        text, _ = self.succeed("generate", "--model", self.out / "latest", "--prompt", "1 + 2 = ",
                               "--method", "tidar", "--max-new", 12, "--compare", "--json")
        self.assertTrue(json.loads(text)["compare"]["tokens_agree"])

    def test_checkpoints_decode_as_they_were_trained(self):
        ask = ["--prompt", "1 + 2 = ", "--max-new", 8, "--json"]
        for objective, method, extra in (("ar", "ar", []), ("tidar:4", "tidar", []),
                                         ("block:4", "block-diffusion",
                                          ["--block-keys", "block", "--block-borders", "multiples"]),
                                         ("masked", "masked-diffusion", [])):
            with self.subTest(objective=objective):
                self.out = self.folder / method
                self.train(objective=objective, steps=5)
                model = ["generate", "--model", self.out / "latest", *ask]
                by_default = json.loads(self.succeed(*model)[0])
                named = json.loads(self.succeed(*model, "--method", method, *extra)[0])
                self.assertEqual(by_default["method"], method)
                self.assertEqual(by_default["tokens"], named["tokens"])
                self.assertEqual(by_default["passes"], named["passes"])

    def test_arms_of_the_recipe(self):
        """Each trains some steps, and lowers what validation measures the same for all."""
        arms = {"anchors": {"block_start": "anchors", "prompts": "given"},
                "decay": {"block_start": "anchors", "place_decay": 4},
                "l1": {"target": {"kind": "l1", "share": 0.5}},
                "stages": {"block_sizes": [2], "block_stages": {"10": [2, 4]}},
                "kl": {"target": {"kind": "kl", "share": 1}, "block_start": "anchors"}}
        for name, fields in arms.items():
            with self.subTest(arm=name):
                self.out = self.folder / name
                self.train(objective="tidar:4", steps=20, validate_every=20, validation_packs=4,
                           validation={"held": [str(FOLDER / "text.tokens")]}, **fields)
                held = [line["held"] for line in self.log() if "held" in line]
                self.assertLess(held[1]["ar"], held[0]["ar"])
                self.assertLess(held[1]["diffusion"], held[0]["diffusion"])
                places = ["1", "2"] if name == "stages" else ["1", "2", "3", "4"]
                self.assertEqual(list(held[1]["place_loss"]), places)

    def test_baselines_as_their_authors_train_them(self):
        arms = {"block": {"objective": "block:4", "block_end": "end_tokens", "noise": [0.3, 0.8]},
                "block_before": {"objective": "block:4", "label_shift": "one"},
                "masked": {"objective": "masked", "padding": 16},
                "masked_before": {"objective": "masked", "label_shift": "one"}}
        for name, fields in arms.items():
            with self.subTest(arm=name):
                self.out = self.folder / name
                self.train(steps=20, validate_every=20, validation_packs=4,
                           validation={"held": [str(FOLDER / "text.tokens")]}, **fields)
                held = [line["held"] for line in self.log() if "held" in line]
                self.assertLess(held[1]["diffusion"], held[0]["diffusion"])
        self.succeed("generate", "--model", self.out / "latest", "--prompt", "1 + 2 = ",
                     "--max-new", 8, "--shifted-logits")
        self.out = self.folder / "refused"
        self.refuse_run("end_token", "<|nope|>", objective="masked", padding=4, end_token="<|nope|>")

    def test_goes_on_from_another_runs_checkpoint(self):
        self.train(objective="ar", mask_token=None)
        start, first = self.out / "latest", self.losses()
        self.out = self.folder / "second"
        self.train(model_config=None, tokenizer=None, init=str(start))
        second = self.log()
        self.assertLess(second[0]["ar"], first[1] - 0.2, "what was learnt is still there")

    def test_weights_in_bf16_are_half_the_bytes(self):
        self.train(steps=1)
        wide = (self.out / "latest/model.safetensors").stat().st_size
        self.out = self.folder / "narrow"
        self.train(steps=1, weights="bf16")
        narrow = (self.out / "latest/model.safetensors").stat().st_size
        self.assertLess(narrow, 0.6 * wide)

    def test_some_weights_stay_and_a_mean_is_kept(self):
        self.train(steps=3)
        start = self.out / "latest"
        config = json.loads((start / "config.json").read_text())
        self.assertEqual(config["torch_dtype"], "float32")
        (start / "config.json").write_text(json.dumps({**config, "initializer_range": 0.02}))
        before = tensors(start)
        self.out = self.folder / "second"
        err = self.train(model_config=None, tokenizer=None, init=str(start), steps=20,
                         frozen=["*embed*", "model.layers.0.*"], no_decay=["*down_proj*"],
                         rates={"*mlp.up*": 0}, ema=0.9, activation_gib=0.001, logit_gib=0.001,
                         weights="bf16", keep=1, validate_every=5, validation_packs=2,
                         validation={"held": [str(FOLDER / "text.tokens")]}, best="held.ar")
        self.assertIn("of them frozen", err)
        self.assertIn("average of weights", err)
        self.assertRegex(err, r"best: step \d+, where held\.ar was")
        config = json.loads((self.out / "latest/config.json").read_text())
        self.assertEqual((config["torch_dtype"], config["initializer_range"]), ("bfloat16", 0.02))
        after = tensors(self.out / "best", "optimizer.safetensors", "master.")
        for name, values in before.items():
            stays = "embed" in name or "layers.0." in name
            self.assertEqual(after[name] == values, stays or "mlp.up" in name, name)
        held = {line["step"]: line["held"]["ar"] for line in self.log() if "held" in line}
        best = min((value, step) for step, value in held.items() if step > 0)[1]
        self.assertEqual(os.readlink(self.out / "best"), f"step-{best:08}")
        self.assertEqual(os.readlink(self.out / "latest"), "step-00000020")

    def test_another_seed_is_another_run(self):
        self.train(steps=2)
        first = self.losses()
        self.out = self.folder / "other"
        self.train(steps=2, seed=4)
        self.assertNotEqual(self.losses(), first)

    def test_fields_from_the_command_line(self):
        self.train("--set", "steps=2", "--set", "seed=4")
        other, self.out = self.out, self.folder / "file"
        self.train(steps=2, seed=4)
        self.assertEqual(self.saved()[:2], self.saved(other)[:2])
        self.refuse_run("--set steps=100", args=["--set", "steps"])
        self.refuse_run("did you mean 'steps'?", args=["--set", "stps=3"])

    def test_progress_is_for_terminals_and_fits_them(self):
        self.assertNotIn("\r", self.train(steps=3))
        self.out = self.folder / "terminal"
        config = self.config(steps=6)
        pid, terminal = pty.fork()
        if pid == 0:
            fcntl.ioctl(2, termios.TIOCSWINSZ, struct.pack("4H", 24, 45, 0, 0))
            os.execv(PROGRAM, [PROGRAM, "train", "--config", str(config)])
        shown = b""
        while select.select([terminal], [], [], 60)[0]:
            try:
                shown += os.read(terminal, 4096)
            except OSError:
                break
        self.assertEqual(os.waitpid(pid, 0)[1], 0)
        bars = [bar.split("\r")[0] for bar in shown.decode().split("\r\x1b[K") if "loss" in bar]
        self.assertGreaterEqual(len(bars), 6)
        for bar in bars:
            self.assertRegex(bar, r"^\[[#.]+\] step \d/6  loss [\d.]+")
            self.assertLessEqual(len(bar), 45)


class Broken(TrainCase):
    """However a run ends, going on gives what an unbroken run gives, to the bit."""

    def start(self):
        return subprocess.Popen([PROGRAM, "train", "--config", str(self.config()), "--resume"],
                                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def interrupt(self):
        """Begins, and stops by Ctrl-C after some steps."""
        process = self.start()
        while not (self.out / "log.jsonl").exists() or len(self.losses()) < 5:
            self.assertIsNone(process.poll(), "it ended before it could be interrupted")
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130, err)
        return err.decode()

    def test_killed_at_random_moments(self):
        unbroken = self.unbroken()
        rng = random.Random(time.time())
        started = time.monotonic()
        self.train(steps=1)
        one = time.monotonic() - started  # mostly what starting takes
        for path in self.out.iterdir():
            if path.name.startswith("step-"):
                for file in path.iterdir():
                    file.unlink()
                path.rmdir()
        for _ in range(8):
            process = self.start()
            time.sleep(rng.uniform(0.5 * one, 1.6 * one))
            process.send_signal(signal.SIGKILL)
            process.communicate()
            for saved in self.out.glob("step-*"):
                if not saved.name.endswith(".partial"):
                    self.assertTrue((saved / "training.json").exists(), "a half checkpoint")
        self.train("--resume")
        self.assertSameAs(unbroken)

    def test_interrupted(self):
        unbroken = self.unbroken()
        self.assertIn("--resume", self.interrupt())
        self.train("--resume")
        self.assertSameAs(unbroken)

    def test_without_room_on_the_disk(self):
        unbroken = self.unbroken()
        self.interrupt()

        def no_large_files():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

        config = self.config()
        before = self.saved()
        code, _, err = run("train", "--config", config, "--resume", preexec_fn=no_large_files)
        self.assertEqual(code, 1)
        self.assertIn("could not be written", err)
        self.assertEqual(self.saved(), before)
        self.assertEqual(list(self.out.glob("*.partial")), [])
        self.train("--resume")
        self.assertSameAs(unbroken)

    def test_a_second_run_does_not_write_over_the_first(self):
        self.train(steps=1)
        self.refuse_run("holds checkpoints", "--resume")

    def test_one_process_a_folder(self):
        config = self.config(steps=100_000)
        first = subprocess.Popen([PROGRAM, "train", "--config", str(config)],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while not (self.out / "log.jsonl").exists():
                self.assertIsNone(first.poll())
                time.sleep(0.005)
            self.refuse_run(str(self.out), "another process works in this folder",
                            args=["--resume"])
        finally:
            first.kill()
            first.wait()
        self.train("--resume", steps=max(self.losses()) + 1)

    def test_resume_says_when_the_config_has_changed(self):
        self.train(steps=2)
        self.assertIn("is not the one", self.train("--resume", steps=3))
        self.assertEqual(max(self.losses()), 3)

    def test_goes_on_from_an_older_checkpoint_when_the_newest_is_damaged(self):
        unbroken = self.unbroken()
        self.interrupt()
        self.train("--resume", steps=STEPS)
        older, newest = sorted(self.out.glob("step-*"))
        file = newest / "optimizer.safetensors"
        data = bytearray(file.read_bytes())
        data[-7] ^= 16
        file.write_bytes(data)
        step = int(older.name[5:])
        self.refuse_run(f"{file}: is damaged", f"--resume-from {step}", args=["--resume"])
        self.refuse_run("--resume-from 7", f"{step}, {STEPS}", args=["--resume-from", 7])
        self.train("--resume-from", step)
        self.assertSameAs(unbroken)
        self.assertEqual(list(self.out.glob("*.left")), [self.out / (newest.name + ".left")])
        for saved in self.out.glob("step-*[0-9]"):
            (saved / "training.json").write_text("{}")
        message = self.refuse_run("training.json", args=["--resume"])
        self.assertNotIn("--resume-from", message)

    def test_resume_refuses_another_text(self):
        self.train(steps=2)
        self.refuse_run("other token shards", args=["--resume"], seed=9)


class Refusals(TrainCase):
    def shard(self, documents, name="bad.tokens"):
        path = self.folder / "bad.jsonl"
        path.write_text("".join(json.dumps({"text": text}) + "\n" for text in documents))
        args = ["data", "tokens", path, "--tokenizer", FOLDER / "words", "--out",
                self.folder / name, "--no-end", "--force"]
        code, _, err = run(*args)
        self.assertEqual(code, 0, err)
        return [str(self.folder / name)]

    def test_numbers_that_are_not(self):
        message = self.refuse_run("step ", "learning rate", "shard:document", learning_rate=1e30,
                              clip=0, warmup_steps=0, spike_factor=0)
        self.assertRegex(message, r"(nan|inf)")

    def test_texts(self):
        self.refuse_run("no document of at least two tokens", train=self.shard(["a", "b"]))
        self.refuse_run("nowhere.tokens", train=["nowhere.tokens"])
        empty = self.folder / "empty.tokens"
        empty.write_bytes(b"")
        self.refuse_run("empty.tokens", train=[str(empty)])
        self.train(steps=2, train=self.shard(["3 + 4 is 7, " * 200]))  # longer than the sequence

    def test_ids_outside_the_vocabulary(self):
        path = pathlib.Path(self.shard(["3 + 4 is 7"])[0])
        data = bytearray(path.read_bytes())
        data[40:42] = (319 + 300).to_bytes(2, "little")
        path.write_bytes(data)
        self.refuse_run("bad.tokens", "619", train=[str(path)])

    def test_a_tokenizer_that_does_not_fit(self):
        small = self.folder / "small.json"
        small.write_text(json.dumps({**SMALL_MODEL, "vocab_size": 260, "eos_token_id": 0}))
        self.refuse_run("the model 260; it does not fit", model_config=str(small))
        self.refuse_run("260", "fit", model_config=str(small), tokenizer=None, mask_token=7)

    def test_objectives(self):
        self.refuse_run("block size 65", "64", objective="tidar:65")
        self.refuse_run("mask token", mask_token=None)
        self.refuse_run("<|nothing|>", mask_token="<|nothing|>")
        self.refuse_run("outside the vocabulary", mask_token=320)
        self.refuse_run("positions", sequence=513)

    def test_fields(self):
        self.refuse_run("did you mean 'learning_rate'?", lerning_rate=1)
        self.refuse_run("'steps' is missing", steps=None)
        self.refuse_run("no such folder", model_config=None, init="nowhere")
        config = self.config()
        config.write_text("{\"out\": ")
        code, _, err = run("train", "--config", config)
        self.assertEqual(code, 1)
        self.assertIn("JSON", err)
        self.assertEqual(run("train")[0], 2)
        self.assertEqual(run("train", "--config", "nowhere.json")[0], 1)

    def test_what_names_nothing(self):
        self.refuse_run("frozen", "embd", "model.embed_tokens.weight", frozen=["embd"])
        self.refuse_run("nothing is left", frozen=["*"])
        self.refuse_run("'repeat' names", "b.tokens", repeat={"b.tokens": 2})
        self.refuse_run("best", "held.ar", "held.ar", best="held.ar")
        held = {"validation": {"held": [str(FOLDER / "text.tokens")]}, "validation_packs": 1}
        self.refuse_run("best", "validate_every", best="held.ar", validate_every=0, **held)
        self.refuse_run("held.arr", "log.jsonl", best="held.arr", validate_every=5, **held)

    def test_prompts(self):
        prompts = self.folder / "prompts.jsonl"
        prompts.write_text('{"question": 1}\n')
        self.refuse_run("prompts.jsonl", "\"prompt\"", prompts_file=str(prompts))
        self.refuse_run("tokenizer", prompts_file=str(prompts), tokenizer=None, mask_token=319)


if __name__ == "__main__":
    main()
