#!/usr/bin/env python3
"""Quantised Hugging Face folders against their twins of F32, whose numbers are computed here.

    python3 tests/quantized_test.py build/release/tidar
"""

import json
import math
import random
import struct
import sys

from outside import ROOT, Case, comma, main

sys.path.insert(0, str(ROOT / "tests"))
import gguf  # noqa: E402
import hugging_face  # noqa: E402

CONFIG = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 128,
          "num_hidden_layers": 1, "num_attention_heads": 4, "num_key_value_heads": 2,
          "head_dim": 32, "intermediate_size": 256, "vocab_size": 96,
          "max_position_embeddings": 64, "tie_word_embeddings": False}
IDS = [3, 95, 17, 17, 40]


def f32(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


def f16(value):
    return struct.unpack("<e", struct.pack("<e", value))[0]


def bf16(value):
    return struct.unpack("<f", struct.pack("<I", struct.unpack("<I", struct.pack(
        "<f", value))[0] & 0xFFFF0000))[0]


def pack(kind, numbers):
    if kind == "BF16":
        return b"".join(struct.pack("<f", number)[2:] for number in numbers)
    letter = {"F32": "f", "F16": "e", "I8": "b", "U8": "B", "F8_E4M3": "B", "I32": "I",
              "I64": "q"}[kind]
    return struct.pack(f"<{len(numbers)}{letter}", *numbers)


def words(nibbles, bits=4):
    """Codes to 32-bit words, the first in the lowest bits."""
    count = 32 // bits
    return [sum(code << bits * place for place, code in enumerate(nibbles[at : at + count]))
            for at in range(0, len(nibbles), count)]


def transposed(matrix):
    return [list(column) for column in zip(*matrix)]


def flat(matrix):
    return [item for row in matrix for item in row]


def float8(byte):
    """The number of an E4M3 byte."""
    exponent, mantissa = byte >> 3 & 15, byte & 7
    size = mantissa / 512 if exponent == 0 else (1 + mantissa / 8) * 2.0 ** (exponent - 7)
    return -size if byte & 128 else size


class Scheme:
    """A way of quantising: makes a random matrix [rows, cols] as (tensors, numbers)."""

    def __init__(self, rng):
        self.rng = rng

    def scale(self, cols, codes):
        """So that numbers are as large as trained ones."""
        return self.rng.uniform(.5, 1) * 1.7 / math.sqrt(cols) / codes

    def matrix(self, rows, cols):
        raise NotImplementedError


class IntQuantized(Scheme):
    config = {"quant_method": "compressed-tensors", "format": "int-quantized", "config_groups": {
        "group_0": {"targets": ["Linear"], "weights": {
            "num_bits": 8, "type": "int", "symmetric": True, "strategy": "channel"}}},
        "ignore": ["lm_head"]}

    def matrix(self, rows, cols):
        codes = [[self.rng.randrange(-128, 128) for _ in range(cols)] for _ in range(rows)]
        scales = [bf16(self.scale(cols, 128)) for _ in range(rows)]
        return ({"weight": ("I8", (rows, cols), pack("I8", flat(codes))),
                 "weight_scale": ("BF16", (rows, 1), pack("BF16", scales))},
                [[code * scale for code in row] for row, scale in zip(codes, scales)])


class PackQuantized(Scheme):
    config = {"quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups": {
        "group_0": {"targets": ["Linear"], "weights": {
            "num_bits": 4, "type": "int", "symmetric": True, "strategy": "group",
            "group_size": 32}}}, "ignore": ["lm_head"]}

    def matrix(self, rows, cols):
        codes = [[self.rng.randrange(-8, 8) for _ in range(cols)] for _ in range(rows)]
        scales = [[f16(self.scale(cols, 8)) for _ in range(cols // 32)] for _ in range(rows)]
        packed = flat(words([code + 8 for code in row]) for row in codes)
        return ({"weight_packed": ("I32", (rows, cols // 8), pack("I32", packed)),
                 "weight_scale": ("F16", (rows, cols // 32), pack("F16", flat(scales))),
                 "weight_shape": ("I64", (2,), pack("I64", [rows, cols]))},
                [[code * scales[r][c // 32] for c, code in enumerate(row)]
                 for r, row in enumerate(codes)])


class Gptq(Scheme):
    """With zeros of their own, which files hold less one."""
    config = {"quant_method": "gptq", "bits": 4, "group_size": 64, "desc_act": False, "sym": False}
    less = 1

    def matrix(self, rows, cols):
        codes = [[self.rng.randrange(16) for _ in range(cols)] for _ in range(rows)]
        zeros = [[self.rng.randrange(5, 12) for _ in range(rows)] for _ in range(cols // 64)]
        scales = [[f16(self.scale(cols, 8)) for _ in range(rows)] for _ in range(cols // 64)]
        # Inputs share a word, so words stand in columns of outputs.
        packed = flat(transposed([words(row) for row in codes]))
        packed_zeros = flat(words([zero - self.less for zero in row]) for row in zeros)
        return ({"qweight": ("I32", (cols // 8, rows), pack("I32", packed)),
                 "qzeros": ("I32", (cols // 64, rows // 8), pack("I32", packed_zeros)),
                 "scales": ("F16", (cols // 64, rows), pack("F16", flat(scales))),
                 "g_idx": ("I32", (cols,), pack("I32", [c // 64 for c in range(cols)]))},
                [[(code - zeros[c // 64][r]) * scales[c // 64][r] for c, code in enumerate(row)]
                 for r, row in enumerate(codes)])


class GptqOfVersion2(Gptq):
    config = {**Gptq.config, "checkpoint_format": "gptq_v2"}
    less = 0


class Awq(Scheme):
    config = {"quant_method": "awq", "bits": 4, "group_size": 32, "zero_point": True,
              "version": "gemm", "modules_to_not_convert": ["lm_head"]}
    order = (0, 2, 4, 6, 1, 3, 5, 7)

    def packed(self, outputs):
        """Eight outputs a word, in an order of their own."""
        return flat(words([outputs[at + place] for place in self.order])
                    for at in range(0, len(outputs), 8))

    def matrix(self, rows, cols):
        codes = [[self.rng.randrange(16) for _ in range(rows)] for _ in range(cols)]
        zeros = [[self.rng.randrange(5, 12) for _ in range(rows)] for _ in range(cols // 32)]
        scales = [[f16(self.scale(cols, 8)) for _ in range(rows)] for _ in range(cols // 32)]
        return ({"qweight": ("I32", (cols, rows // 8), pack("I32", flat(map(self.packed, codes)))),
                 "qzeros": ("I32", (cols // 32, rows // 8),
                            pack("I32", flat(map(self.packed, zeros)))),
                 "scales": ("F16", (cols // 32, rows), pack("F16", flat(scales)))},
                [[(codes[c][r] - zeros[c // 32][r]) * scales[c // 32][r] for c in range(cols)]
                 for r in range(rows)])


class Fp8OfBlocks(Scheme):
    config = {"quant_method": "fp8", "weight_block_size": [128, 128],
              "activation_scheme": "dynamic"}

    def codes(self, rows, cols):
        return [[self.rng.choice([byte for byte in range(256) if byte & 127 < 120])
                 for _ in range(cols)] for _ in range(rows)]

    def matrix(self, rows, cols):
        codes = self.codes(rows, cols)
        shape = (-(-rows // 128), -(-cols // 128))
        scales = [[f32(self.scale(cols, 64)) for _ in range(shape[1])] for _ in range(shape[0])]
        return ({"weight": ("F8_E4M3", (rows, cols), pack("F8_E4M3", flat(codes))),
                 "weight_scale_inv": ("F32", shape, pack("F32", flat(scales)))},
                [[float8(code) * scales[r // 128][c // 128] for c, code in enumerate(row)]
                 for r, row in enumerate(codes)])


class Fp8OfRows(Fp8OfBlocks):
    config = {"quant_method": "compressed-tensors", "format": "float-quantized", "config_groups": {
        "group_0": {"weights": {"num_bits": 8, "type": "float", "strategy": "channel"}}}}

    def matrix(self, rows, cols):
        codes = self.codes(rows, cols)
        scales = [bf16(self.scale(cols, 64)) for _ in range(rows)]
        return ({"weight": ("F8_E4M3", (rows, cols), pack("F8_E4M3", flat(codes))),
                 "weight_scale": ("BF16", (rows, 1), pack("BF16", scales))},
                [[float8(code) * scale for code in row] for row, scale in zip(codes, scales)])


class Fp8OfTensors(Fp8OfBlocks):
    config = {"quant_method": "fp8", "activation_scheme": "static"}

    def matrix(self, rows, cols):
        codes, scale = self.codes(rows, cols), f32(self.scale(cols, 64))
        return ({"weight": ("F8_E4M3", (rows, cols), pack("F8_E4M3", flat(codes))),
                 "weight_scale": ("F32", (), pack("F32", [scale])),
                 "input_scale": ("F32", (), pack("F32", [1.0]))},
                [[float8(code) * scale for code in row] for row in codes])


SCHEMES = {"int-quantized": IntQuantized, "pack-quantized": PackQuantized, "GPTQ": Gptq,
           "GPTQ v2": GptqOfVersion2, "AWQ": Awq, "FP8 of blocks": Fp8OfBlocks,
           "FP8 of rows": Fp8OfRows, "FP8 of tensors": Fp8OfTensors}


def random_model(scheme):
    """Tensors of a folder whose matrices in layers are quantised, and those of its F32 twin."""
    quantised, twin = {}, {}
    for name, shape in hugging_face.weights(CONFIG).items():
        if "_proj" in name:
            parts, numbers = scheme.matrix(*shape)
            stem = name.removesuffix("weight")
            quantised |= {stem + end: part for end, part in parts.items()}
            twin[name] = ("F32", shape, pack("F32", flat(numbers)))
            continue
        middle = 1.0 if len(shape) == 1 else 0.0
        reach = .3 if len(shape) == 1 else 1.7 / math.sqrt(shape[1])
        numbers = [bf16(middle + scheme.rng.uniform(-reach, reach)) for _ in range(
            math.prod(shape))]
        quantised[name] = ("BF16", shape, pack("BF16", numbers))
        twin[name] = ("F32", shape, pack("F32", numbers))
    return quantised, twin


class QuantizedFolders(Case):
    def write(self, scheme, **changes):
        quantised, twin = random_model(scheme(random.Random(4)))
        config = {**CONFIG, "quantization_config": {**scheme.config, **changes}}
        return (hugging_face.write_folder(self.folder / "quantised", config, quantised),
                hugging_face.write_folder(self.folder / "twin", CONFIG, twin))

    def logits(self, model, *args):
        self.succeed("logits", "--model", model, "--ids", comma(IDS), "--out", self.out, *args)
        return self.out.read_bytes()

    def test_equal_their_twins_to_the_bit(self):
        for name, scheme in SCHEMES.items():
            with self.subTest(scheme=name):
                quantised, twin = self.write(scheme)
                plain = ("--weights", "f32")
                self.assertEqual(self.logits(quantised, *plain), self.logits(twin, *plain))

    def test_codes_are_kept_in_the_format_that_holds_them(self):
        """Without --weights: codes around their middle stay what they are, others become w8."""
        kept = {"int-quantized": "w8", "pack-quantized": "w4"}
        for name, scheme in SCHEMES.items():
            with self.subTest(scheme=name):
                quantised, _ = self.write(scheme)
                found = json.loads(self.succeed("inspect", "--model", quantised, "--json")[0])
                for weight in found["weights"]:
                    role = weight["role"]
                    expected = ("bf16" if role in ("embedding", "head")
                                else "f32" if role is None else kept.get(name, "w8"))
                    self.assertEqual(weight["kept_as"], {expected: weight["count"]}, role)
                said = f"{kept.get(name, 'w8')},embedding=bf16,head=bf16"
                self.assertEqual(found["weight_type"], said)
                self.assertEqual(self.logits(quantised), self.logits(quantised, "--weights", said))

    def test_codes_are_those_of_a_file(self):
        """The same codes and scales as Q4_0 blocks of a GGUF file: the same bits, though many groups
        have no code that is far from the middle."""
        rng = random.Random(9)
        folder, tensors = {}, []
        for name, shape in hugging_face.weights(CONFIG).items():
            stem, own = name.removesuffix("weight"), gguf.tensor_name(name)
            if "_proj" not in name:
                middle = 1.0 if len(shape) == 1 else 0.0
                numbers = [bf16(middle + rng.uniform(-.1, .1)) for _ in range(math.prod(shape))]
                folder[name] = ("BF16", shape, pack("BF16", numbers))
                kind = "F32" if len(shape) == 1 else "BF16"
                tensors.append((own, kind, shape, pack(kind, numbers)))
                continue
            rows, cols = shape
            codes, scales, blocks = [], [], b""
            for _ in range(rows * cols // 32):
                reach = rng.choice((1, 3, 8))
                group = [8 + rng.randrange(-reach, reach) for _ in range(32)]
                scale = f16(rng.choice((-1, 1)) * rng.uniform(.5, 1) / math.sqrt(cols) / reach)
                codes += group
                scales.append(scale)
                blocks += struct.pack("<e16B", scale, *(
                    group[i] | group[i + 16] << 4 for i in range(16)))
            folder[stem + "weight_packed"] = ("I32", (rows, cols // 8), pack("I32", words(codes)))
            folder[stem + "weight_scale"] = ("F16", (rows, cols // 32), pack("F16", scales))
            folder[stem + "weight_shape"] = ("I64", (2,), pack("I64", shape))
            if "q_proj" in name or "k_proj" in name:
                blocks = gguf.paired_rows(blocks, rows, CONFIG["head_dim"])
            tensors.append((own, "Q4_0", shape, blocks))
        config = {**CONFIG, "rms_norm_eps": 1e-6, "rope_theta": 10000.0}
        model = hugging_face.write_folder(
            self.folder / "folder", {**config, "quantization_config": PackQuantized.config}, folder)
        file = gguf.write(self.folder / "m.gguf", gguf.model_entries(config), tensors)
        for weights in ((), ("--weights", "w4"), ("--weights", "f32"), ("--weights", "w8")):
            self.assertEqual(self.logits(model, *weights), self.logits(file, *weights), weights)
        self.assertNotEqual(self.logits(model), self.logits(model, "--weights", "w8"))
        # Nothing was rounded a second time.
        self.succeed("quantize", "--model", file, "--weights", "w4", "--out", self.folder / "again")
        again = hugging_face.read_tensors(self.folder / "again/model.safetensors")
        for name, stored in folder.items():
            if "_proj" in name:
                self.assertEqual(again[name], stored, name)

    def test_inspect_names_the_scheme(self):
        quantised, _ = self.write(Awq)
        weights = json.loads(self.succeed("inspect", "--model", quantised, "--json")[0])["weights"]
        stored = {weight["name"].split(".")[-2]: weight["stored_as"] for weight in weights}
        self.assertEqual(stored["q_proj"], {"AWQ": 1})
        self.assertEqual(stored["lm_head"], {"BF16": 1})

    def test_act_order_is_refused(self):
        quantised, _ = self.write(Gptq)
        path = quantised / "model.safetensors"
        tensors = hugging_face.read_tensors(path)
        name = "model.layers.0.mlp.up_proj.g_idx"
        tensors[name] = (*tensors[name][:2], pack("I32", [1] * CONFIG["hidden_size"]))
        hugging_face.write_tensors(path, tensors)
        self.refuse(1, "inspect", "--model", quantised, holds=[name, "act-order", "GGUF"])
        quantised, _ = self.write(Gptq, desc_act=True)
        self.refuse(1, "inspect", "--model", quantised, holds=["act-order (desc_act)"])

    def test_other_schemes_are_refused_by_name(self):
        quantised, _ = self.write(Gptq, quant_method="aqlm")
        self.refuse(1, "inspect", "--model", quantised,
                    holds=["quantised by 'aqlm', which is not supported", "gptq", "GGUF"])

    def test_a_missing_part_is_named(self):
        quantised, _ = self.write(Awq)
        path = quantised / "model.safetensors"
        tensors = hugging_face.read_tensors(path)
        del tensors["model.layers.0.self_attn.k_proj.scales"]
        hugging_face.write_tensors(path, tensors)
        self.refuse(1, "inspect", "--model", quantised,
                    holds=["'model.layers.0.self_attn.k_proj.scales' is missing"])

    def test_another_group_size_is_found_out(self):
        quantised, _ = self.write(PackQuantized)
        path = quantised / "config.json"
        path.write_text(path.read_text().replace('"group_size": 32', '"group_size": 128'))
        self.refuse(1, "inspect", "--model", quantised,
                    holds=["weight_scale", "of shape [128, 4]; expected", "of shape [128, 1]"])


if __name__ == "__main__":
    main()
