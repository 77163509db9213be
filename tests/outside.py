"""What the tests from outside share: they run the finished program as its users do.

Each such test is started with the program as its first argument; what follows is unittest's.
Needs Python's standard library only.
"""

import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

PROGRAM = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else ""
ROOT = pathlib.Path(__file__).resolve().parent.parent
FIXTURES = ROOT / "tests/fixtures"
# What the program keeps between runs is not the user's.
CACHE = tempfile.TemporaryDirectory()
os.environ["XDG_CACHE_HOME"] = CACHE.name

# A model that learns within seconds.
SMALL_MODEL = {
    "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "vocab_size": 320,
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1,
    "head_dim": 16, "intermediate_size": 64, "max_position_embeddings": 512,
    "tie_word_embeddings": True, "eos_token_id": 318}


def run(*args, text="", **options):
    """Returns (exit code, stdout, stderr); `text`, str or bytes, is what stands on stdin."""
    data = text.encode() if isinstance(text, str) else text
    done = subprocess.run([PROGRAM, *map(str, args)], input=data, capture_output=True, timeout=600,
                          check=False, **options)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def wait_until_caught(child, number):
    """Until the process catches the signal, so that it does not end by it."""
    status = pathlib.Path(f"/proc/{child.pid}/status")
    while not int(re.search(r"^SigCgt:\s*(\w+)", status.read_text(), re.M)[1], 16) >> number - 1 & 1:
        assert child.poll() is None, "it ended before it caught the signal"
        time.sleep(0.005)


def has_sanitizer():
    """Whether the program is built with one, which has memory of its own."""
    program = pathlib.Path(PROGRAM).read_bytes()
    return b"__asan_init" in program or b"__tsan_init" in program


NODE = ROOT / "build/node"
# Why other programs' tokenizers cannot be asked; "" where they can.
WITHOUT_OTHER_TOKENIZERS = (
    "node is not installed" if not shutil.which("node") else
    "" if (NODE / "node_modules").is_dir() else
    f"{NODE} is not there; scripts/fetch-node-tokenizers makes it")


def other_tokenizers(folder, texts):
    """{library: [{"ids", "decoded"}]}: what other programs make of the texts by a folder's
    tokenizer."""
    done = subprocess.run(["node", ROOT / "tests/other_tokenizers/encode.mjs", NODE],
                          input=json.dumps({"folder": str(folder), "texts": texts}).encode(),
                          capture_output=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr.decode()
    libraries = json.loads(done.stdout)
    assert len(libraries) == 2
    return libraries


def comma(ids):
    return ",".join(map(str, ids))


def load(path):
    return json.loads(pathlib.Path(path).read_text(encoding="utf-8"))


def write_lines(path, objects):
    """JSONL."""
    path.write_text("".join(json.dumps(item) + "\n" for item in objects), encoding="utf-8")
    return path


def small_run(folder, **changes):
    """What `tidar train` needs for SMALL_MODEL, into the folder where it is not yet there: its
    config, a tokenizer, and shards of sums. Returns the fields of a training's config."""
    if not (folder / "text.tokens").exists():
        rng = random.Random(1)
        sums = [(rng.randrange(20), rng.randrange(20)) for _ in range(400)]
        write_lines(folder / "corpus.jsonl",
                    ({"prompt": f"{a} + {b} = ", "text": f"{a + b}, and {b} + {a} is the same."}
                     for a, b in sums))
        (folder / "config.json").write_text(json.dumps(SMALL_MODEL))
        for args in (
                ["tokenizer", folder / "corpus.jsonl", "--prompt", "{prompt}", "--out",
                 folder / "words", "--vocabulary", SMALL_MODEL["vocab_size"]],
                ["tokens", folder / "corpus.jsonl", "--prompt", "{prompt}", "--tokenizer",
                 folder / "words", "--out", folder / "text.tokens"]):
            code, _, err = run("data", *args)
            assert code == 0, err
    return {"model_config": str(folder / "config.json"), "tokenizer": str(folder / "words"),
            "objective": "tidar:4", "mask_token": "<|mask|>",
            "train": [str(folder / "text.tokens")], "sequence": 64, "packs": 2, "seed": 3,
            "learning_rate": 1e-3, "checkpoint_every": 5, "log_every": 1, "validate_every": 0,
            **changes}


class Case(unittest.TestCase):
    """A test with a folder of its own."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.out = self.folder / "out"

    def put(self, name, text):
        (self.folder / name).write_text(text, encoding="utf-8")
        return self.folder / name

    def succeed(self, *args, **options):
        code, out, err = run(*args, **options)
        self.assertEqual(code, 0, err)
        return out, err

    def refuse(self, code, *args, holds=(), alone=True, **options):
        """Expects the exit code, nothing on stdout, and one sentence with the given parts as the
        last line of stderr; alone: as its only line. Returns that line."""
        found, out, err = run(*args, **options)
        self.assertEqual((found, out), (code, ""), err)
        self.assertRegex(err, r"\Atidar: [^\n]+\n\Z" if alone else r"(?m)^tidar: [^\n]+\n\Z")
        last = err.rstrip("\n").split("\n")[-1]
        for part in holds:
            self.assertIn(part, last)
        return last


class FixtureCase(Case):
    """Copies of the fixtures' models to change."""

    def copy_model(self, name):
        model = self.folder / name
        shutil.copytree(FIXTURES / name, model, dirs_exist_ok=True)
        return model

    def edit_config(self, model, **changes):
        path = model / "config.json"
        path.write_text(json.dumps({**load(path), **changes}))
        return model

    def lettered_model(self, name="qwen2"):
        """A fixture's model with a tokenizer: id 0 … 255 are the bytes, others are <w256> …"""
        model = self.copy_model(name)
        size = load(model / "config.json")["vocab_size"]
        # The byte-level alphabet: printable Latin-1 is itself, the rest follows from 256 on.
        kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
        alphabet, following = {}, 256
        for byte in range(256):
            alphabet[byte] = chr(byte if byte in kept else following)
            following += byte not in kept
        vocabulary = {alphabet[byte]: byte for byte in range(256)}
        vocabulary.update({f"<w{n}>": n for n in range(256, size - 3)})
        added = [
            {"id": size - 3 + n, "content": content, "single_word": False,
             "lstrip": False, "rstrip": False, "normalized": False, "special": True}
            for n, content in enumerate(["<bos>", "<eos>", "<mask>"])
        ]
        level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True,
                 "use_regex": True}
        (model / "tokenizer.json").write_text(json.dumps({
            "version": "1.0", "truncation": None, "padding": None, "added_tokens": added,
            "normalizer": None, "pre_tokenizer": level, "post_processor": None, "decoder": level,
            "model": {"type": "BPE", "vocab": vocabulary, "merges": []}}))
        return model


def main():
    """Runs the tests of the file that was started."""
    unittest.main(module="__main__", argv=[sys.argv[0], *sys.argv[2:]])
