#!/usr/bin/env python3
"""GGUF files wherever a model's folder can stand, against their twins.

    python3 tests/gguf_test.py build/release/tidar
"""

import json
import sys

from outside import ROOT, Case, comma, load, main

sys.path.insert(0, str(ROOT / "tests"))
import gguf  # noqa: E402
import hugging_face  # noqa: E402

MINI = ROOT / "models/tidar-mini"
TEMPLATE = "{% for message in messages %}<|im_start|>{{ message.content }}{% endfor %}"


def convert(folder, path, kind):
    """The folder's model as a GGUF file, its matrices as F32 or BF16, which must hold them."""
    config, tokenizer = load(folder / "config.json"), load(folder / "tokenizer.json")
    entries = gguf.model_entries(config) | gguf.tokenizer_entries(tokenizer, "qwen2")
    entries["tokenizer.chat_template"] = TEMPLATE
    tensors = []
    for name, (stored, shape, data) in hugging_face.read_tensors(
            folder / "model.safetensors").items():
        if stored != kind:
            data = gguf.plain(kind, hugging_face.floats(stored, data))
        tensors.append((gguf.tensor_name(name), kind, shape, data))
    return gguf.write(path, entries, tensors)


class MiniModel(Case):
    """The bundled model and the same in a file."""

    def setUp(self):
        super().setUp()
        self.file = convert(MINI, self.folder / "mini.gguf", "BF16")

    def both(self, command, *args, text="", model=None):
        outs = [self.succeed(command, "--model", path, *args, text=text)[0]
                for path in (MINI, model or self.file)]
        self.assertEqual(*outs)
        return outs[0]

    def test_generates_the_same(self):
        prompt = ("--prompt", "Tom has 3 apples and buys 4 more. ", "--max-new", 48)
        for kind in ("BF16", "F32"):
            model = convert(MINI, self.folder / f"{kind}.gguf", kind)
            for method in ((), ("--method", "ar"), ("--temperature", 1, "--seed", 3)):
                text = self.both("generate", *prompt, "--weights", "bf16", *method, model=model)
                self.assertGreater(len(text), 20)

    def test_logits_are_the_same(self):
        outs = []
        for model in (MINI, self.file):
            self.succeed("logits", "--model", model, "--ids", comma(range(40)), "--out", self.out)
            outs.append(self.out.read_bytes())
        self.assertEqual(*outs)

    def test_tokens_are_the_same(self):
        text = "def f(x):\n    return 12 + x  # \u00e9\u0301 \u4e2d<|mask|>\r\n\n"
        ids = self.both("tokenize", text=text)
        self.both("detokenize", text=ids)

    def test_shards_are_the_same(self):
        corpus = self.put("corpus.jsonl", '{"text": "Tom has 3 apples."}\n')
        shards = [self.folder / name for name in ("folder.tokens", "file.tokens")]
        for model, shard in zip((MINI, self.file), shards):
            self.succeed("data", "tokens", corpus, "--tokenizer", model, "--out", shard)
        self.assertEqual(*(shard.read_bytes() for shard in shards))

    def test_prompt(self):
        messages = json.dumps([{"role": "user", "content": "Hi <|mask|>"}])
        out, _ = self.succeed("prompt", "--model", self.file, text=messages)
        self.assertEqual(out.rstrip("\n"), "<|im_start|>Hi <|mask|>")

    def test_inspect(self):
        folder, file = (json.loads(self.succeed("inspect", "--model", model, "--json")[0])
                        for model in (MINI, self.file))
        self.assertEqual(folder["config"], file["config"])
        self.assertEqual(folder["weight_type"], file["weight_type"])

    def test_eval_takes_it(self):
        task = self.put("task.jsonl", json.dumps({"text": "one and one is two"}) + "\n")
        out, _ = self.succeed("eval", "--model", self.file, "--task", f"text:{task}",
                              "--out", self.out, "--json")
        self.assertIn("scores", json.loads(out))


class Refusals(Case):
    def test_a_file_that_is_none(self):
        path = self.put("model.gguf", "not a model at all")
        for command in ("inspect", "tokenize"):
            self.refuse(1, command, "--model", path, holds=["is no GGUF file", "'not '"])

    def test_a_cut_file(self):
        whole = convert(MINI, self.folder / "whole.gguf", "BF16").read_bytes()
        path = self.folder / "cut.gguf"
        path.write_bytes(whole[: len(whole) // 2])
        self.refuse(1, "inspect", "--model", path, holds=["cut.gguf", "it is truncated"])

    def test_numbers_that_are_none(self):
        path = convert(MINI, self.folder / "nan.gguf", "BF16")
        with open(path, "r+b") as file:
            file.seek(-100, 2)
            file.write(b"\xff\x7f")
        self.refuse(1, "inspect", "--model", path, holds=["is not a finite number"])


if __name__ == "__main__":
    main()
