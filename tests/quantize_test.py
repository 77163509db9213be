#!/usr/bin/env python3
"""tidar quantize: what it writes, read here by the layout that compressed-tensors describes, and
what tidar makes of it.

    python3 tests/quantize_test.py build/release/tidar
"""

import json
import math
import os
import random
import signal
import struct
import subprocess
import sys
import time

from outside import FIXTURES, PROGRAM, ROOT, FixtureCase, comma, has_sanitizer, load, main

sys.path.insert(0, str(ROOT / "tests"))
import gguf  # noqa: E402
import hugging_face  # noqa: E402

IDS = [3, 1, 4, 1, 5, 9, 2, 6, 500]


def unpacked(words, count, bits):
    """The first numbers of a row of 32-bit words: the lowest bits of a word first, and all moved up
    by half of what they can be."""
    per_word, mask, middle = 32 // bits, (1 << bits) - 1, 1 << (bits - 1)
    codes = [word >> bits * place & mask for word in words for place in range(per_word)]
    return [code - middle for code in codes[:count]]


def scheme_of(quantization, module):
    """The "weights" of the group that a module belongs to; None where it is plain."""
    if module in quantization["ignore"]:
        return None
    for group in quantization["config_groups"].values():
        if group["targets"] == ["Linear"] or module in group["targets"]:
            assert group["input_activations"] is None
            return group["weights"]
    return None


def dequantised(folder):
    """Name -> rows of numbers of every quantised matrix of a folder, and those of their scales."""
    quantization = load(folder / "config.json")["quantization_config"]
    assert quantization["quant_method"] == "compressed-tensors"
    assert quantization["format"] == "pack-quantized"
    tensors = hugging_face.read_tensors(folder / "model.safetensors")
    matrices, scales_of = {}, {}
    for name in tensors:
        module, dot, end = name.rpartition(".")
        if end != "weight_packed":
            continue
        weights = scheme_of(quantization, module)
        assert weights["type"] == "int" and weights["symmetric"] is True
        assert weights["strategy"] == "group" and weights["dynamic"] is False
        bits, group = weights["num_bits"], weights["group_size"]
        kind, shape, data = tensors[module + ".weight_shape"]
        assert (kind, shape) == ("I64", (2,))
        rows, cols = struct.unpack("<2q", data)
        kind, shape, data = tensors[name]
        assert (kind, shape) == ("I32", (rows, cols * bits // 32)), (name, kind, shape)
        words = struct.unpack(f"<{len(data) // 4}I", data)
        kind, shape, data = tensors[module + ".weight_scale"]
        assert (kind, shape) == ("F16", (rows, cols // group))
        scales = hugging_face.floats(kind, data)
        matrix = []
        for row in range(rows):
            width = len(words) // rows
            codes = unpacked(words[row * width : (row + 1) * width], cols, bits)
            matrix.append([code * scales[row * (cols // group) + col // group]
                           for col, code in enumerate(codes)])
        matrices[module + ".weight"] = matrix
        scales_of[module + ".weight"] = (scales, group)
    return matrices, scales_of


class Quantize(FixtureCase):
    def quantize(self, model, *args, name="quantised"):
        out = self.folder / name
        report, err = self.succeed("quantize", "--model", model, "--out", out, "--json", *args)
        self.assertEqual(err, "")
        return out, json.loads(report)

    def logits(self, model, *args, ids=IDS):
        self.succeed("logits", "--model", model, "--ids", comma(ids), "--out", self.out, *args)
        return self.out.read_bytes()

    def test_gives_the_bits_of_quantising_while_loading(self):
        for name, weights in [("qwen3", "w8"), ("qwen3", "w4"), ("qwen3_bf16", "w4,down=w8"),
                              ("llama", "w8,embedding=w4"), ("qwen2", "w4,qkv=bf16")]:
            with self.subTest(model=name, weights=weights):
                model = FIXTURES / name
                out, _ = self.quantize(model, "--weights", weights, name=f"{name} {weights}")
                self.assertEqual(self.logits(out, "--weights", weights),
                                 self.logits(model, "--weights", weights))
                # And without being told what it is.
                stored = json.loads(self.succeed("inspect", "--model", out, "--json")[0])
                head = "bf16" if name.endswith("bf16") else "f32"
                said = ",".join(part for part in weights.split(",") if "embedding" not in part)
                self.assertEqual(
                    self.logits(out),
                    self.logits(model, "--weights", f"{said.replace('qkv=bf16', 'qkv=f32')},"
                                                    f"embedding={head},head={head}"))
                self.assertEqual(stored["weight_type"].split(",")[0], weights.split(",")[0])

    def test_is_what_compressed_tensors_describes(self):
        """Read here: each number is within half a step of its own, and a network of those numbers is
        what tidar makes of the folder."""
        model = FIXTURES / "qwen3"
        plain = hugging_face.read_tensors(model / "model.safetensors")
        for weights, bits in [("w8", {8}), ("w4", {4}), ("w4,down=w8,qkv=w8", {4, 8})]:
            with self.subTest(weights=weights):
                out, _ = self.quantize(model, "--weights", weights, name=weights)
                found, scales_of = dequantised(out)
                groups = load(out / "config.json")["quantization_config"]["config_groups"]
                self.assertEqual({g["weights"]["num_bits"] for g in groups.values()}, bits)
                projections = {name for name in plain if "_proj" in name}
                self.assertEqual(set(found), projections)
                twin = {}
                for name, (kind, shape, data) in plain.items():
                    if name not in found:
                        twin[name] = (kind, shape, data)
                        continue
                    numbers = hugging_face.floats(kind, data)
                    flat = [number for row in found[name] for number in row]
                    scales, group = scales_of[name]
                    largest = max(map(abs, numbers))
                    for i, (a, b) in enumerate(zip(flat, numbers)):
                        scale = abs(scales[i // group])
                        # Eight bits reach as far as the largest of a group; four may fall short
                        # of it by a step.
                        reach = 0.5 if len(bits) == 1 and bits == {8} else 1.51
                        self.assertLessEqual(abs(a - b), reach * scale + 1e-6 * largest,
                                             (name, i))
                    twin[name] = ("F32", shape, struct.pack(f"<{len(flat)}f", *flat))
                twin_folder = hugging_face.write_folder(
                    self.folder / f"twin {weights}", load(model / "config.json"), twin)
                plainly = ("--weights", "f32")
                self.assertEqual(self.logits(out, *plainly), self.logits(twin_folder, *plainly))

    def test_other_files_stay(self):
        model = self.lettered_model("qwen3")
        (model / "README.md").write_text("# A model\n")
        (model / "chat_template.jinja").write_text("{{ messages }}")
        (model / "pytorch_model.bin").write_bytes(b"old")
        (model / "original").mkdir()
        (model / "empty.txt").touch()
        os.symlink(model / "README.md", model / "linked.md")
        out, report = self.quantize(model, "--weights", "w4")
        others = {"config.json", "model.safetensors", "pytorch_model.bin"}
        kept = sorted(path.name for path in model.iterdir()
                      if path.is_file() and path.name not in others)
        self.assertLessEqual({"README.md", "chat_template.jinja", "empty.txt", "linked.md",
                              "tokenizer.json"}, set(kept))
        self.assertEqual(sorted(report["copied"]), kept)
        self.assertEqual(sorted(report["left_out"]), ["masked/", "original/", "pytorch_model.bin"])
        self.assertEqual(sorted(path.name for path in out.iterdir()),
                         sorted([*kept, "config.json", "model.safetensors"]))
        for name in kept:
            self.assertEqual((out / name).read_bytes(), (model / name).read_bytes())
            self.assertFalse((out / name).is_symlink())
        before, after = load(model / "config.json"), load(out / "config.json")
        self.assertEqual(before, {key: value for key, value in after.items()
                                  if key != "quantization_config"})
        self.assertEqual(list(after)[: len(before)], list(before))
        self.assertEqual(after["quantization_config"]["ignore"], ["lm_head"])
        text, _ = self.succeed("generate", "--model", out, "--prompt", "ab", "--max-new", 4,
                               "--ignore-eos")
        self.assertGreater(len(text), 0)

    def test_a_folder_that_is_codes_already(self):
        out, _ = self.quantize(FIXTURES / "qwen3", "--weights", "w4")
        again, report = self.quantize(out, "--weights", "w4", name="again")
        self.assertEqual((again / "model.safetensors").read_bytes(),
                         (out / "model.safetensors").read_bytes())
        self.assertEqual((again / "config.json").read_bytes(), (out / "config.json").read_bytes())
        self.assertEqual(report["roles"]["down"],
                         {"stored_as": {"pack-quantized": 2}, "written_as": {"w4": 2}})
        wider, _ = self.quantize(out, "--weights", "w8", name="wider")
        self.assertEqual(self.logits(wider, "--weights", "w8"), self.logits(out, "--weights", "w8"))

    def test_a_gguf_file(self):
        config = load(FIXTURES / "qwen3/config.json")
        rng, tensors = random.Random(7), []
        for name, shape in hugging_face.weights({**config, "head_dim": 32}).items():
            kind = "F32" if len(shape) == 1 else "Q4_0" if "_proj" in name else "Q8_0"
            reach = .3 if len(shape) == 1 else 1.7 / math.sqrt(shape[1])
            tensors.append((gguf.tensor_name(name), kind, shape,
                            gguf.random_tensor(rng, kind, shape, reach)))
        file = gguf.write(self.folder / "m.gguf",
                          gguf.model_entries({**config, "head_dim": 32}), tensors)
        # Codes are kept as they are, whatever the largest of a group is.
        out, report = self.quantize(file, "--weights", "w4")
        self.assertEqual(report["roles"]["gate_up"],
                         {"stored_as": {"Q4_0": 4}, "written_as": {"w4": 4}})
        self.assertEqual(report["roles"]["head"],
                         {"stored_as": {"Q8_0": 1}, "written_as": {"f32": 1}})
        self.assertEqual(self.logits(out, "--weights", "f32"), self.logits(file, "--weights", "f32"))
        self.assertEqual(self.logits(out, "--weights", "w4"), self.logits(file, "--weights", "w4"))
        self.assertEqual(sorted(path.name for path in out.iterdir()),
                         ["config.json", "model.safetensors"])

    def test_matrices_that_do_not_fit_stay_plain(self):
        model = FIXTURES / "smollm2"  # 48 inputs
        out, report = self.quantize(model, "--weights", "w8")
        self.assertEqual(report["roles"]["qkv"]["written_as"], {"f32": 9})
        self.assertEqual(report["roles"]["down"]["written_as"], {"w8": 3})
        ignored = load(out / "config.json")["quantization_config"]["ignore"]
        self.assertIn("model.layers.2.self_attn.q_proj", ignored)
        self.assertNotIn("model.layers.2.mlp.down_proj", ignored)
        self.assertEqual(self.logits(out, "--weights", "w8"), self.logits(model, "--weights", "w8"))

    def test_what_it_says(self):
        text, err = self.succeed("quantize", "--model", FIXTURES / "qwen3", "--out", self.folder / "q",
                                 "--weights", "w4,down=w8")
        self.assertEqual(err, "")
        self.assertRegex(text, r"(?m)^embedding +F32 +f32$")
        self.assertRegex(text, r"(?m)^down +F32 +w8$")
        self.assertIn("--weights w4,down=w8", text)
        for line in text.splitlines():
            self.assertLessEqual(len(line), max(80, len(str(self.folder)) + 40))

    def test_refusals(self):
        model = ["--model", FIXTURES / "qwen3"]
        self.out.mkdir()
        self.refuse(1, "quantize", *model, "--out", self.out, holds=["--out", "is there already"])
        self.assertEqual(list(self.out.iterdir()), [])
        os.symlink(self.folder / "nowhere", self.folder / "link")
        self.refuse(1, "quantize", *model, "--out", self.folder / "link", holds=["is there already"])
        new = ["--out", self.folder / "new"]
        self.refuse(1, "quantize", "--model", self.folder / "no", *new, holds=["no such folder"])
        self.refuse(1, "quantize", *model, *new, "--weights", "bf16", holds=["w8 or w4"])
        self.refuse(2, "quantize", *model, *new, "--weights", "w5", holds=["'w5'"])
        self.refuse(2, "quantize", *model, holds=["--out"])
        self.refuse(1, "quantize", *model, "--out", "/proc/no/new", holds=["cannot be created"])
        self.assertFalse((self.folder / "new").exists())
        self.assertEqual([path.name for path in self.folder.glob("*.partial")], [])

    def large_model(self):
        """Of 57 MB, a third of it the embedding; and the bytes of that."""
        shape = {"hidden_size": 512, "num_hidden_layers": 6, "num_attention_heads": 8,
                 "num_key_value_heads": 8, "head_dim": 64, "intermediate_size": 1536,
                 "vocab_size": 16384, "model_type": "llama", "tie_word_embeddings": True}
        config = {**load(FIXTURES / "llama/config.json"), **shape}
        tensors = {name: ("BF16", size, b"\x01\x3c" * math.prod(size))
                   for name, size in hugging_face.weights(shape).items()}
        model = hugging_face.write_folder(self.folder / "large", config, tensors)
        return model, 2 * 512 * 16384

    def test_memory_is_that_of_a_tensor(self):
        if has_sanitizer():
            self.skipTest("a sanitizer has memory of its own")
        model, largest = self.large_model()
        _, small = self.quantize(FIXTURES / "qwen3", "--weights", "w4", name="small")
        _, report = self.quantize(model, "--weights", "w4")
        slack = 8e6  # of allocators, and of pages that are read ahead
        self.assertLessEqual(report["peak_resident"] - small["peak_resident"], largest + slack)

    def test_ctrl_c_leaves_nothing(self):
        model, _ = self.large_model()
        out = self.folder / "stopped"
        program = subprocess.Popen(
            [PROGRAM, "quantize", "--model", model, "--out", out, "--weights", "w4", "--threads",
             "1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        until = time.monotonic() + 60
        while not list(self.folder.glob("stopped.partial/model*")) and time.monotonic() < until:
            time.sleep(0.001)
        program.send_signal(signal.SIGINT)
        text, err = program.communicate(timeout=120)
        self.assertEqual((program.returncode, text), (130, ""), err)
        self.assertIn("nothing was written", err)
        self.assertFalse(out.exists())
        self.assertEqual(list(self.folder.glob("*.partial")), [])


if __name__ == "__main__":
    main()
