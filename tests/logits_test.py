#!/usr/bin/env python3
"""`tidar logits` and `tidar gradients` against numbers that other programs made.

    python3 tests/logits_test.py build/release/tidar
"""

import array
import json
import pathlib
import struct

from outside import FIXTURES, FixtureCase, comma, load, main

TOLERANCE = 2e-4  # that of the fixtures' README for a float32 engine


def read_floats(path):
    values = array.array("f")
    values.frombytes(pathlib.Path(path).read_bytes())
    return values


def worst(found, expected):
    return max(abs(a - b) for a, b in zip(found, expected))


class Logits(FixtureCase):
    """Every row of every fixture, through the real program."""

    def logits(self, model, ids, *args):
        out = self.folder / "out.f32"
        self.succeed("logits", "--model", FIXTURES / model, "--ids", comma(ids), "--out", out,
                     *args)
        return read_floats(out)

    def check_model(self, name, *args):
        for sequence in load(FIXTURES / name / "expected.json")["sequences"]:
            with self.subTest(model=name, tokens=len(sequence["tokens"])):
                rows, vocabulary = sequence["logits_shape"]
                found = self.logits(name, sequence["tokens"], *args)
                expected = read_floats(FIXTURES / name / sequence["logits_file"])
                self.assertEqual(len(found), rows * vocabulary)
                self.assertLessEqual(worst(found, expected), TOLERANCE)
                greedy = [max(range(vocabulary), key=found[r * vocabulary:(r + 1) * vocabulary]
                              .__getitem__) for r in range(rows)]
                self.assertEqual(greedy, sequence["greedy_next"])

    def test_causal(self):
        for name in ["qwen2", "qwen3", "qwen3_bf16", "llama", "smollm2"]:
            self.check_model(name)

    def test_reference_kernels(self):
        self.check_model("llama", "--isa", "ref")

    def test_one_thread(self):
        self.check_model("qwen3", "--threads", 1)

    def test_masked(self):
        for name in ["qwen2", "qwen3"]:
            masked = load(FIXTURES / name / "masked/masked.json")
            mask = masked["mask_token_id"]
            for entry in masked["passes"]:
                tokens = entry["tokens"]
                if entry["name"] == "tidar_train":
                    ids, layout = tokens[:entry["S"]], f"tidar-train:{entry['K']}"
                elif entry["name"] == "tidar_decode":
                    count = entry["prefix_length"] + entry["K"]
                    ids, layout = tokens[:count], f"tidar-step:{entry['K']}"
                elif entry["name"] in ("block_0", "block_1"):
                    ids, layout = tokens, f"block:{entry['block_size']}"
                elif entry["name"] == "full":
                    ids, layout = tokens, "full"
                else:
                    continue
                with self.subTest(model=name, layout=entry["name"]):
                    found = self.logits(name, ids, "--pass", layout, "--mask-token", mask)
                    expected = read_floats(FIXTURES / name / "masked" / entry["logits_file"])
                    self.assertEqual(len(found), len(expected))
                    self.assertLessEqual(worst(found, expected), TOLERANCE)

    def test_long_sequences_go_through_the_cache_in_pieces(self):
        # The same model may be given more positions: the first rows must not change.
        model = self.edit_config(self.copy_model("llama"), max_position_embeddings=4096)
        sequence = load(model / "expected.json")["sequences"][3]
        ids = (sequence["tokens"] * 8)[:1100]
        out = self.folder / "long.f32"
        self.succeed("logits", "--model", model, "--ids", "-", "--out", out, text=json.dumps(ids))
        found, expected = read_floats(out), read_floats(model / sequence["logits_file"])
        self.assertEqual(len(found), 1100 * 512)
        self.assertLessEqual(worst(found, expected), TOLERANCE)
        # What stands behind the border of two pieces sees what stands before it.
        self.succeed("logits", "--model", model, "--ids", comma(ids[:513]), "--out", out)
        shorter = read_floats(out)
        self.assertEqual(found[512 * 512:513 * 512], shorter[512 * 512:])
        self.succeed("logits", "--model", model, "--ids", comma([7] + ids[1:513]), "--out", out)
        self.assertGreater(worst(read_floats(out)[512 * 512:], shorter[512 * 512:]), 1e-3)

    def test_wrong_input(self):
        model, out = FIXTURES / "qwen2", self.folder / "x.f32"
        logits = ["logits", "--model", model, "--out", out, "--ids"]
        self.refuse(1, *logits, "1,512", holds=["512", "0 to 511"])
        self.refuse(2, *logits, "1,x", holds=["'x'"])
        self.refuse(2, *logits, "[]")
        self.refuse(1, *logits, "1,2", "--pass", "tidar-train:4", holds=["--mask-token"])
        self.refuse(1, *logits, "1,2", "--pass", "tidar-step:4", "--mask-token", 511,
                    holds=["at least 4"])
        self.refuse(2, *logits, "1,2", "--pass", "tidar-train", holds=["tidar-train:K"])
        self.refuse(2, *logits, "1,2", "--pass", "causal:4", holds=["causal:4"])
        self.refuse(1, "logits", "--model", model, "--ids", "1", "--out", "/no/such/folder/x",
                    holds=["/no/such/folder/x", "No such file"])
        self.refuse(1, "logits", "--model", model, "--ids", "1,2", "--out", "/dev/full",
                    holds=["No space left"])


class Gradients(FixtureCase):
    """The TiDAR loss of a text against another program's autograd; others by their own labels."""

    def gradients(self, model, ids, *args):
        path = self.folder / "gradients.safetensors"
        out, _ = self.succeed("gradients", "--model", FIXTURES / model, "--ids", comma(ids),
                              "--out", path, "--json", *args)
        return json.loads(out), self.read_tensors(path)

    def read_tensors(self, path):
        content = path.read_bytes()
        size = struct.unpack("<Q", content[:8])[0]
        header = json.loads(content[8:8 + size])
        header.pop("__metadata__", None)
        tensors = {}
        for name, entry in header.items():
            begin, end = entry["data_offsets"]
            self.assertEqual(entry["dtype"], "F32")
            values = array.array("f")
            values.frombytes(content[8 + size + begin:8 + size + end])
            tensors[name] = (entry["shape"], values)
        return tensors

    def test_tidar_equals_autograd(self):
        for name in ["qwen2", "qwen3"]:
            expected = load(FIXTURES / name / "masked/masked.json")
            mask, expected = expected["mask_token_id"], expected["tidar_train_loss"]
            for kernels in ["ref", "best"]:
                with self.subTest(model=name, kernels=kernels):
                    found, tensors = self.gradients(
                        name, expected["text"], "--objective", "tidar:4", "--mask-token", mask,
                        "--isa", kernels)
                    self.assertAlmostEqual(found["loss"], expected["total_loss"], delta=1e-5)
                    self.assertAlmostEqual(found["ar"], expected["ar_loss"], delta=1e-5)
                    self.assertAlmostEqual(found["diffusion"], expected["diffusion_loss"],
                                           delta=1e-5)
                    self.assertAlmostEqual(found["gradient_norm"], expected["grad_global_l2"],
                                           delta=1e-4)
                    self.assertEqual(tensors.keys(), expected["gradients"].keys())
                    for tensor, entry in expected["gradients"].items():
                        shape, values = tensors[tensor]
                        truth = read_floats(FIXTURES / name / "masked" / entry["file"])
                        self.assertEqual(shape, entry["shape"])
                        self.assertEqual(len(values), len(truth))
                        self.assertLessEqual(worst(values, truth), 1e-4 * entry["max_abs"], tensor)

    def test_other_objectives_say_what_they_computed(self):
        ids, mask = list(range(3, 33)), 511
        for model in ["llama", "smollm2"]:
            for objective in ["ar", "tidar:8", "block:8", "masked"]:
                with self.subTest(model=model, objective=objective):
                    found, tensors = self.gradients(model, ids, "--objective", objective,
                                                    "--mask-token", mask, "--seed", 5)
                    labels = found["labels"]
                    weighted = sum(label["weight"] * label["loss"] for label in labels)
                    self.assertAlmostEqual(found["loss"], weighted, delta=1e-5)
                    for label in labels:
                        read = found["tokens"][label["row"]]
                        position = found["positions"][label["row"]]
                        if read == mask:
                            self.assertEqual(label["token"], ids[position])
                        else:
                            self.assertEqual(label["token"], ids[position + 1])
                    self.assertEqual({label["token"] for label in labels} & {mask}, set())
                    self.assertIn("model.norm.weight", tensors)
                    again, _ = self.gradients(model, ids, "--objective", objective,
                                              "--mask-token", mask, "--seed", 5)
                    self.assertEqual(again, found)

    def test_alpha_weighs_the_terms(self):
        found, _ = self.gradients("llama", [5, 6, 7, 8, 9], "--objective", "tidar:2",
                                  "--mask-token", 511, "--alpha", 3)
        self.assertAlmostEqual(found["loss"], 0.75 * found["ar"] + 0.25 * found["diffusion"],
                               delta=1e-6)

    def test_wrong_input(self):
        out = self.folder / "x"
        gradients = ["gradients", "--model", FIXTURES / "llama", "--out", out, "--ids"]
        self.refuse(2, *gradients, "1,2", "--objective", "tiadr", holds=["did you mean tidar?"])
        self.refuse(2, *gradients, "1,2", "--objective", "tidar:0", holds=["'0'"])
        self.refuse(1, *gradients, "1,2", "--objective", "tidar:1", holds=["--mask-token"])
        self.refuse(1, *gradients, "1,2,3", "--objective", "tidar:3", "--mask-token", 511,
                    holds=["block size 3", "2 tokens"])
        self.refuse(1, *gradients, "1,2", "--objective", "masked", "--mask-token", 512,
                    holds=["512", "0 to 511"])
        self.refuse(1, *gradients, "1", "--objective", "ar", holds=["no loss"])
        self.refuse(2, *gradients, "[]", "--objective", "ar")
        self.refuse(1, *gradients, "1,600", "--objective", "ar", holds=["600"])
        self.assertFalse(out.exists())


if __name__ == "__main__":
    main()
