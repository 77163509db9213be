#!/usr/bin/env python3
"""GGUF files against llama.cpp: small random models of every architecture and every format, their
logits and the ids of texts. Skipped where scripts/fetch-llama-cpp has brought nothing.

    python3 tests/llama_cpp_test.py build/release/tidar
"""

import array
import json
import math
import random
import sys
import unittest

from outside import ROOT, Case, comma, load, main

sys.path.insert(0, str(ROOT / "tests"))
import gguf  # noqa: E402
import hugging_face  # noqa: E402
import llama_cpp_library  # noqa: E402

IDS = [5, 71, 3, 260, 19, 19, 300, 44, 8, 131, 0, 77]
TEXTS = ["Hello world", " 12 + 345 = 357!\n\n  if x:\n\treturn", "na\u00efve \u4e2d\u6587 \U0001f600 it's",
         "a<|mask|>b<|endoftext|>"]

# Keys and values are f16 there, and the operands of products are of the weights' type: what is left
# of 11 bits, or of BF16's 8, after a dozen roundings that each move a logit (of size 1) by less than
# the last of them.
PLAIN = 12 * 2.0 ** -11
PLAIN_BF16 = 12 * 2.0 ** -8
# Activations become 8 bits in groups of 32 or 256 (a step of 1/127 of the largest of a group, which
# is about 3 deviations), in seven products a layer and the head; each moves its outputs by a
# deviation of 3 / 127 / sqrt(12) of theirs. Together about sqrt(15) of it, and the largest of some
# hundred logits is 3.5 deviations of that off.
QUANTISED = 3.5 * math.sqrt(15) * 3 / 127 / math.sqrt(12)


def small_config(model_type):
    return {"model_type": model_type, "hidden_size": 256, "num_hidden_layers": 2,
            "num_attention_heads": 8, "num_key_value_heads": 2, "head_dim": 32,
            "intermediate_size": 512, "vocab_size": 320, "max_position_embeddings": 256,
            "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
            "tie_word_embeddings": model_type == "qwen2", "eos_token_id": 319}


def random_model(path, config, kind, rng):
    """A file whose matrices are random blocks of a format, about as large as trained ones."""
    entries = gguf.model_entries(config) | {
        "tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": ["a", "b", "ab", *(
            f"<{index}>" for index in range(3, config["vocab_size"]))],
        "tokenizer.ggml.merges": ["a b"],
        "tokenizer.ggml.token_type": [1] * config["vocab_size"]}
    tensors = []
    for name, shape in hugging_face.weights(config).items():
        if len(shape) == 1:
            middle = 0.0 if name.endswith("bias") else 1.0
            data = gguf.plain("F32", [middle + rng.uniform(-.3, .3) for _ in range(shape[0])])
            tensors.append((gguf.tensor_name(name), "F32", shape, data))
        else:
            reach = 1.7 / math.sqrt(shape[1])
            data = gguf.random_tensor(rng, kind, shape, reach)
            tensors.append((gguf.tensor_name(name), kind, shape, data))
    return gguf.write(path, entries, tensors)


@unittest.skipUnless(llama_cpp_library.present(),
                     "llama.cpp is not there; scripts/fetch-llama-cpp downloads it")
class LlamaCpp(Case):
    @classmethod
    def setUpClass(cls):
        cls.library = llama_cpp_library.Library()

    def ours(self, model, *args):
        self.succeed("logits", "--model", model, "--ids", comma(IDS), "--out", self.out, *args)
        values = array.array("f")
        values.frombytes(self.out.read_bytes())
        return values[-(len(values) // len(IDS)):]

    def compare(self, path, tolerance, *args):
        found = self.ours(path, *args)
        with self.library.open(path) as model:
            expected = model.logits(IDS)
        self.assertEqual(len(found), len(expected))
        size = math.sqrt(sum(value * value for value in expected) / len(expected))
        self.assertGreater(size, 0.1)
        worst = max(abs(a - b) for a, b in zip(found, expected))
        self.assertLessEqual(worst, tolerance * size)

    def test_every_format(self):
        rng = random.Random(5)
        for kind in gguf.FORMATS:
            with self.subTest(format=kind):
                path = random_model(self.folder / f"{kind}.gguf", small_config("llama"), kind, rng)
                if kind in gguf.REACH:
                    self.compare(path, QUANTISED, "--weights", "f32")
                    # As it is kept: our operands are rounded in the same way, once more.
                    self.compare(path, math.sqrt(2) * QUANTISED)
                else:
                    self.compare(path, PLAIN_BF16 if kind == "BF16" else PLAIN)

    def test_every_architecture(self):
        rng = random.Random(6)
        for model_type in ("llama", "qwen2", "qwen3"):
            with self.subTest(architecture=model_type):
                path = random_model(self.folder / f"{model_type}.gguf", small_config(model_type),
                                    "F32", rng)
                self.compare(path, PLAIN)

    def test_tokens_of_the_bundled_model(self):
        config = load(ROOT / "models/tidar-mini/config.json")
        tokenizer = load(ROOT / "models/tidar-mini/tokenizer.json")
        self.same_ids(gguf.model_entries(config) | gguf.tokenizer_entries(tokenizer, "qwen2"),
                      config)

    def test_tokens_by_other_rules(self):
        config = load(ROOT / "models/tidar-mini/config.json")
        tokenizer = load(ROOT / "models/tidar-mini/tokenizer.json")
        for pre in ("llama-bpe", "gpt-2", "smollm", "default"):
            with self.subTest(pre=pre):
                self.same_ids(gguf.model_entries(config) |
                              gguf.tokenizer_entries(tokenizer, pre) |
                              {"tokenizer.ggml.bos_token_id": 7}, config)

    def test_tokens_by_scores(self):
        """SentencePiece's kind, with random scores over random strings of few letters."""
        rng = random.Random(7)
        config = small_config("llama")
        words = {"\u2581", *"abcd"}
        while len(words) < 56:
            words.add("".join(rng.sample(sorted(words), 2))[:6])
        words = sorted(words, key=lambda word: (len(word), word))
        tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *words]
        config["vocab_size"] = len(tokens)
        scores = rng.sample(range(1000), len(tokens))
        entries = gguf.model_entries(config) | {
            "tokenizer.ggml.model": "llama", "tokenizer.ggml.tokens": tokens,
            "tokenizer.ggml.scores": [-float(score) for score in scores],
            "tokenizer.ggml.token_type": [2, 3, 3] + [6] * 256 + [1] * len(words),
            "tokenizer.ggml.bos_token_id": 1, "tokenizer.ggml.eos_token_id": 2,
            "tokenizer.ggml.unknown_token_id": 0}
        texts = ["".join(rng.choice("abcd  e\u00e9") for _ in range(rng.randrange(1, 60)))
                 for _ in range(40)]
        self.same_ids(entries, config, texts)

    def same_ids(self, entries, config, texts=TEXTS):
        """The ids of the texts by a file of these entries, whose weights do not matter."""
        tensors = [(gguf.tensor_name(name), "F32", shape, bytes(gguf.size_of("F32", shape)))
                   for name, shape in hugging_face.weights(config).items()]
        path = gguf.write(self.folder / "tokens.gguf", entries, tensors)
        with self.library.open(path) as model:
            for text in texts:
                out, _ = self.succeed("tokenize", "--model", path, text=text)
                self.assertEqual(json.loads(out), model.ids(text), text)


if __name__ == "__main__":
    main()
