#!/usr/bin/env python3
"""The program from outside: its command line, its answers to broken files, and the smaller verbs.

    python3 tests/cli_test.py build/release/tidar
"""

import json
import os
import pathlib
import re
import resource
import shutil
import signal
import struct
import subprocess

import gguf
import hugging_face
from outside import (FIXTURES, PROGRAM, ROOT, SMALL_MODEL, FixtureCase, comma, has_sanitizer, load,
                     main, run, small_run)

TOKENIZERS = ROOT / "build/tokenizers"
SUBCOMMANDS = ["generate", "chat", "logits", "gradients", "tokenize", "detokenize", "prompt", "inspect",
               "bench", "quantize", "data", "train", "eval", "report"]


class CommandLine(FixtureCase):
    def test_help_is_complete_and_fits_the_terminal(self):
        for command in [[], *([name] for name in SUBCOMMANDS)]:
            out, err = self.succeed(*command, "--help")
            self.assertEqual(err, "")
            for line in out.splitlines():
                self.assertLessEqual(len(line), 80, line)
        out, _ = self.succeed("--help")
        for name in SUBCOMMANDS:
            self.assertIn(f"  {name} ", out)
        flags = """--model --prompt --prompt-file --prompt-ids --method --draft-length --trust-ar
            --max-new --temperature --top-k --top-p --min-p --seed --mask-token --threads --compare
            --json --stop --repetition-penalty --presence-penalty --frequency-penalty --logit-bias
            --ignore-eos --draft-model --least-match --most-match --block-size --order --confidence
            --entropy-bound --per-pass --block-keys --block-borders --steps --shifted-logits
            --groups --guessed --prices --weights --kv --device --exact --isa --precision --context --print-pass --trace"""
        out, _ = self.succeed("generate", "--help")
        self.assertNotRegex(out, r"(?m)^[a-z]", "a description that left its column")
        for flag in flags.split():
            self.assertRegex(out, rf"(?m)^  (-\w,)?{flag}\b")
        out, _ = self.succeed("--version")
        self.assertRegex(out, r"^\d+\.\d+\.\d+\n$")

    def test_wrong_use(self):
        model = ["--model", FIXTURES / "qwen2"]
        self.refuse(2, holds=["subcommand"])
        self.refuse(2, "genrate", holds=["unknown subcommand genrate", "generate?"])
        self.refuse(2, "generate", "--modle", "x", holds=["--modle", "did you mean --model?"])
        self.refuse(2, "generate", *model, "--temprature=1", holds=["did you mean --temperature?"])
        self.refuse(2, "logits", *model, "--idds", "1", "--out", "x", holds=["did you mean --ids?"])
        self.refuse(2, "generate", *model, "--zzzzzzzz", holds=["unknown flag --zzzzzzzz"])
        self.refuse(2, "generate", *model, "stray", holds=["stray"])
        self.refuse(2, "generate", holds=["--model"])
        self.refuse(2, "generate", *model, "--method", "magic", holds=["magic", "tidar"])
        self.refuse(2, "generate", *model, "--top-p", "2", holds=["--top-p"])
        self.refuse(2, "generate", *model, "--trust-ar", "-0.5", holds=["--trust-ar"])
        self.refuse(2, "generate", *model, "--max-new", "0", holds=["--max-new"])
        self.refuse(2, "generate", *model, "--max-new", "many", holds=["--max-new"])
        self.refuse(2, "generate", *model, "--prompt", "a", "--prompt-ids", "1", holds=["--prompt"])
        self.refuse(2, "inspect", *model, "--kv", "f8", holds=["f8"])
        self.refuse(2, "bench", holds=["--shape"])
        self.refuse(2, "bench", "--shape", "gpt-5", holds=["gpt-5", "mini"])

    def test_exit_codes(self):
        """2: the words of the command line are wrong, whatever files there are. 1: something that
        they name is, or fails."""
        model = ["--model", FIXTURES / "qwen2"]
        nowhere = ["--model", self.folder / "nowhere"]
        text = self.put("text.txt", "text")
        tokenizer = ["data", "tokenizer", text, "--out", self.folder / "words"]
        tokens = ["data", "tokens", text, "--out", self.folder / "text.tokens", "--tokenizer"]
        task = ["--task", text, "--out", self.out]
        for code, args in [
                (2, ["generate", *model, "--prompt-ids", "1,x"]),
                (2, ["generate", *model, "--prompt-ids", ""]),
                (2, ["generate", *model, "--prompt-ids", "1", "--logit-bias", "3:nan"]),
                (2, ["generate", *model, "--prompt-ids", "1", "--groups", "some"]),
                (2, ["generate", *nowhere, "--prompt-ids", "1", "--groups", "0"]),
                (2, ["chat", *nowhere, "--method", "speculative"]),
                (2, ["serve", *nowhere, "--method", "ar", "--trust-ar", "1"]),
                (2, ["eval", *nowhere, *task, "--method", "ar", "--trust-ar", "1"]),
                (1, ["generate", *model, "--prompt-ids", "1,512"]),
                (1, ["generate", *model, "--prompt-ids", "1", "--logit-bias", "512:1"]),
                (1, ["generate", *model, "--prompt-ids", "1", "--method", "tidar"]),
                (1, ["generate", *nowhere, "--prompt-ids", "1"]),
                (2, ["logits", *model, "--out", self.out, "--ids", "x"]),
                (2, ["logits", *model, "--out", self.out, "--ids", "1", "--pass", "some"]),
                (1, ["logits", *model, "--out", self.out, "--ids", "512"]),
                (2, ["gradients", *model, "--out", self.out, "--objective", "ar", "--ids", "[1"]),
                (2, ["gradients", *model, "--out", self.out, "--objective", "some", "--ids", "1"]),
                (1, ["gradients", *model, "--out", self.out, "--objective", "ar", "--ids", "512"]),
                (2, ["tokenize"]),
                (1, ["tokenize", *nowhere]),
                (2, ["detokenize", *nowhere, "--some"]),
                (1, ["detokenize", *nowhere]),
                (2, ["prompt"]),
                (1, ["prompt", *nowhere]),
                (2, ["inspect", *model, "--rows", "0"]),
                (1, ["inspect", *nowhere]),
                (2, ["bench", *model, "--rows", "0"]),
                (1, ["bench", *model, "--context", "1000"]),
                (2, ["bench", *model, "--decode"]),
                (2, ["bench", *model, "--trace", text]),
                (2, ["bench", *model, "--decode", "--trace", text, "--rows", "1"]),
                (2, ["bench", *model, "--decode", "--trace", text, "--batch", "0"]),
                (2, ["bench", *model, "--decode", "--trace", text, "--draft-length", "65"]),
                (2, ["bench", *model, "--decode", "--trace", text, "--methods", "ar:all"]),
                (2, ["bench", *model, "--decode", "--trace", text, "--methods", "tidar:some"]),
                (2, ["bench", *model, "--decode", "--trace", text, "--methods", "block-diffusion"]),
                (1, ["bench", *model, "--decode", "--trace", text]),
                (1, ["bench", *model, "--decode", "--trace", self.folder / "nowhere"]),
                (2, [*tokenizer, "--template", "{"]),
                (2, [*tokenizer, "--prompt", "}"]),
                (1, [*tokenizer, "--vocabulary", "3"]),
                (2, [*tokens]),
                (1, [*tokens, self.folder / "nowhere"]),
                (2, ["train"]),
                (1, ["train", "--config", self.folder / "nowhere"]),
                (2, ["eval", *model, *task, "--shots", "-1"]),
                (1, ["eval", *nowhere, *task]),
                (2, ["report"]),
                (1, ["report", self.folder / "nowhere", "--out", self.out])]:
            with self.subTest(args=args):
                self.refuse(code, *args)

    def test_numbers_that_a_flag_does_not_take(self):
        generate = ["generate", "--model", FIXTURES / "qwen2", "--prompt-ids", "1,2", "-n", 2]
        whole = "expected a whole number from"
        for flag, value, expected in [
                ("--top-k", "-1", f"{whole} 0 to 2147483647"),
                ("--max-new", "many", f"{whole} 1 to 1073741824"),
                ("--steps", "2.5", f"{whole} 0 to 2147483647"),
                ("--seed", 2 ** 64, f"{whole} 0 to 18446744073709551615"),
                ("--top-p", "1.5", "expected a number from 0 to 1"),
                ("--top-p", "nan", "expected a number from 0 to 1"),
                ("--confidence", "-0.5", "expected a number of at least 0"),
                ("--presence-penalty", "inf", "expected a number from -100 to 100"),
                ("--frequency-penalty", "-101", "expected a number from -100 to 100"),
                ("--repetition-penalty", "0", "expected a number above 0")]:
            with self.subTest(flag=flag, value=value):
                self.refuse(2, *generate, flag, value,
                            holds=[f"{flag}: {expected}, found '{value}'"])
        self.succeed(*generate, "--seed", 2 ** 64 - 1, "--top-p", "0.5", "--temperature", "1e-1",
                     "--repetition-penalty", "1.1", "--presence-penalty=-2")
        self.refuse(2, "bench", "--model", FIXTURES / "qwen2", "--rows", "1,x",
                    holds=["--rows: expected numbers of rows such as 1,2,3, found 'x'"])

    def test_messages_do_nothing_to_a_terminal(self):
        for text, shown in [("\x1b[31mred", "\\x1b[31mred"), ("\udcff", "\\xff")]:
            self.refuse(1, "generate", "--model", text, "--prompt", "a", holds=[shown])
            self.refuse(2, "generate", text, holds=[shown])
            corpus = self.folder / f"{text}.jsonl"
            corpus.write_text("no JSON\n")
            _, _, err = run("data", "tokenizer", corpus, "--out", self.out)
            self.assertIn(f"{shown}.jsonl:1: is not valid JSON", err)
            self.assertNotIn("\x1b", err)

    def test_output_that_nobody_reads(self):
        model = self.lettered_model()
        for args in [["tokenize"], ["inspect"], ["inspect", "--json"],
                     ["generate", "-p", "hello", "-n", "50"]]:
            with self.subTest(args=args):
                read_end, write_end = os.pipe()
                os.close(read_end)
                done = subprocess.run([PROGRAM, args[0], "--model", model, *args[1:]],
                                      input=b"hello", stdout=write_end, stderr=subprocess.PIPE,
                                      timeout=60)
                os.close(write_end)
                self.assertEqual(done.returncode, -signal.SIGPIPE)
                with open("/dev/full", "wb") as full:
                    done = subprocess.run([PROGRAM, args[0], "--model", model, *args[1:]],
                                          input=b"hello", stdout=full, stderr=subprocess.PIPE,
                                          timeout=60)
                self.assertEqual(done.returncode, 1)
                self.assertIn("No space left", done.stderr.decode())

    def test_instruction_sets(self):
        prompt = load(FIXTURES / "qwen2/expected.json")["greedy"]
        for isa in ["avx2", "avx512", "avx512-bf16", "amx", "ref", "best"]:
            args = ["generate", "--model", FIXTURES / "qwen2", "--json", "--isa", isa,
                    "--prompt-ids", comma(prompt["prompt"]), "-n", 48]
            code, out, err = run(*args)
            if code == 0:
                self.assertEqual(json.loads(out)["tokens"], prompt["tokens"], isa)
            else:
                self.assertEqual(code, 1)
                self.assertRegex(err, f"--isa {isa}: this processor and this build have only ref")


    def test_devices(self):
        """What is refused wherever it runs; whether there is a GPU, the test does not know."""
        args = ["generate", "--model", FIXTURES / "qwen2", "--prompt-ids", "1,2", "--mask-token", 511]
        for wrong in ["gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:1x", "cuda:99999999999", ""]:
            self.refuse(2, *args, "--device", wrong, holds=["--device", "cuda:N", f"'{wrong}'"])
        self.refuse(1, *args, "--device", "cuda:999", holds=["--device cuda:999: "])
        self.refuse(1, *args, "--device", "cuda", "--isa", "ref", holds=["--isa ref", "give one"])
        for weights in ["w8", "w4", "bf16,head=w8"]:
            self.refuse(1, *args, "--device", "cuda", "--weights", weights,
                        holds=[f"--weights {weights[-2:]}", "f32 or bf16"])
        self.refuse(1, "bench", "--shape", "mini", "--device", "cuda:999", holds=["cuda:999"])
        self.refuse(2, "train", "--device", "cuda", holds=["unknown flag --device"])
        here, _ = self.succeed(*args, "-n", 8)
        named, _ = self.succeed(*args, "-n", 8, "--device", "cpu", "--exact")
        self.assertEqual(here, named)


class Text(FixtureCase):
    def test_round_trip(self):
        model = self.lettered_model()
        for text in ["", "hello\n", "h\u00e9llo \u4f60\u597d \U0001f600", "  two\r\n\r\nlines \n"]:
            ids, _ = self.succeed("tokenize", "--model", model, text=text)
            self.assertEqual(json.loads(ids), list(text.encode()))
            self.assertTrue(ids.endswith("]\n"))
            back, _ = self.succeed("detokenize", "--model", model, text=ids)
            self.assertEqual(back, text)

    def test_special_tokens_and_ids(self):
        model = self.lettered_model()
        ids, _ = self.succeed("tokenize", "--model", model, text="a<eos>b")
        self.assertEqual(json.loads(ids), [97, 510, 98])
        for text in ["97,510,98", "[97, 510, 98]", "97 510\n98\n"]:
            out, _ = self.succeed("detokenize", "--model", model, text=text)
            self.assertEqual(out, "a<eos>b")
        out, _ = self.succeed("detokenize", "--model", model, "--skip-special", text="97,510,98")
        self.assertEqual(out, "ab")
        for text in ["[1,2", "1,2]", "1;2", "-1", "1 99999999999", "97 98 512"]:
            self.refuse(1, "detokenize", "--model", model, text=text, holds=["stdin"])

    def test_a_model_may_have_more_ids_than_its_tokenizer(self):
        model = self.lettered_model()
        self.edit_config(model, vocab_size=600)
        out, _ = self.succeed("detokenize", "--model", model, text="97,512,599,98")
        self.assertEqual(out, "ab")
        self.refuse(1, "detokenize", "--model", model, text="97,600", holds=["600", "0 to 599"])

    def test_the_tokenizer_of_another_model(self):
        model = self.lettered_model()
        for size in [49152, 511]:
            self.edit_config(model, vocab_size=size, eos_token_id=1, bos_token_id=1)
            for args in [["inspect"], ["detokenize"], ["generate", "--prompt", "a"]]:
                self.refuse(1, *args, "--model", model, text="1", holds=[
                    f"{model}: the tokenizer has 512 tokens, but the model {size}"])

    def test_only_tokenizer_files_are_needed(self):
        model = self.lettered_model()
        alone = self.folder / "alone"
        alone.mkdir()
        shutil.copy(model / "tokenizer.json", alone)
        ids, _ = self.succeed("tokenize", "--model", alone, text="abc")
        self.assertEqual(json.loads(ids), [97, 98, 99])
        self.refuse(1, "tokenize", "--model", FIXTURES / "qwen2", text="abc",
                    holds=["tokenizer.json"])

    def test_real_tokenizers(self):
        if not (TOKENIZERS / "qwen2.5").exists():
            self.skipTest(f"{TOKENIZERS}: run scripts/fetch-tokenizers")
        for name in ["qwen2.5", "llama3.2", "llama2"]:
            cases = load(FIXTURES / "tokenizer" / f"{name}.json")
            start = cases["bos_prefix_with_special_tokens"]
            for case in cases["cases"][::60]:
                text, ids = case["text"], case["ids"]
                for flags, expected in [(["--no-special"], ids), ([], start + ids)]:
                    out, _ = self.succeed("tokenize", "--model", TOKENIZERS / name, *flags,
                                          text=text.encode("utf-8", "surrogatepass"))
                    self.assertEqual(json.loads(out), expected)


class BrokenFiles(FixtureCase):
    """One clear sentence, exit code 1, never a crash."""

    def inspect(self, model, *holds):
        self.refuse(1, "inspect", "--model", model, holds=holds)

    def edited_qwen2(self, **changes):
        return self.edit_config(self.copy_model("qwen2"), **changes)

    def test_folders(self):
        self.inspect(self.folder / "nowhere", "nowhere", "no such folder")
        self.inspect(self.folder, "config.json")
        model = self.copy_model("qwen2")
        (model / "model.safetensors").unlink()
        self.inspect(model, "safetensors")

    def test_configs(self):
        self.inspect(self.edited_qwen2(architectures=["MambaForCausalLM"]), "MambaForCausalLM")
        self.inspect(self.edited_qwen2(hidden_size=10 ** 12), "hidden_size")
        self.inspect(self.edited_qwen2(num_hidden_layers=3), "model.layers.2")
        self.inspect(self.edited_qwen2(vocab_size=513), "model.embed_tokens.weight", "513")
        (self.folder / "qwen2" / "config.json").write_text('{"architectures": [')
        self.inspect(self.folder / "qwen2", "config.json")

    def test_every_cut_of_the_weights(self):
        model = self.copy_model("qwen2")
        whole = (model / "model.safetensors").read_bytes()
        header = struct.unpack("<Q", whole[:8])[0]
        for size in [0, 4, 8, 9, 8 + header - 1, 8 + header, len(whole) // 2, len(whole) - 1]:
            (model / "model.safetensors").write_bytes(whole[:size])
            with self.subTest(size=size):
                self.inspect(model, "model.safetensors")
        for size in [1 << 62, (1 << 64) - 1, len(whole)]:
            (model / "model.safetensors").write_bytes(struct.pack("<Q", size) + whole[8:])
            with self.subTest(header=size):
                self.inspect(model, "model.safetensors")

    def edit_header(self, change):
        model = self.copy_model("qwen2")
        whole = (FIXTURES / "qwen2" / "model.safetensors").read_bytes()
        size = struct.unpack("<Q", whole[:8])[0]
        header = json.loads(whole[8:8 + size])
        change(header)
        text = json.dumps(header).encode()
        (model / "model.safetensors").write_bytes(
            struct.pack("<Q", len(text)) + text + whole[8 + size:])
        return model

    def test_tensors(self):
        norm = "model.norm.weight"
        data = {}

        def rename(header):
            header["model.extra.weight"] = header.pop(norm)

        def reshape(header):
            header[norm]["shape"] = [8, 8]

        def retype(header):
            header[norm]["dtype"] = "I32"

        def overlap(header):
            data.update(header["model.layers.0.input_layernorm.weight"])
            header[norm]["data_offsets"] = data["data_offsets"]

        self.inspect(self.edit_header(rename), norm)
        self.inspect(self.edit_header(reshape), norm, "8")
        self.inspect(self.edit_header(retype), norm, "I32")
        self.inspect(self.edit_header(overlap), "model.safetensors")

    def test_index_and_tokenizer(self):
        model = self.copy_model("qwen3_bf16")
        (model / "model-00002-of-00002.safetensors").unlink()
        self.inspect(model, "model-00002-of-00002.safetensors")
        model = self.lettered_model()
        text = (model / "tokenizer.json").read_text()
        (model / "tokenizer.json").write_text(text[:len(text) // 2])
        self.inspect(model, "tokenizer.json")


class Memory(FixtureCase):
    """What cannot be had is a sentence, wherever it is noticed."""

    def under(self, megabytes, *args):
        def limit():
            resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))
        return run(*args, preexec_fn=limit)

    def with_ever_more(self, sizes, *args, before=lambda: None):
        """Runs it with each of so many megabytes: it ends well, or with one sentence. Returns the
        sentences."""
        before()
        if self.under(2000, *args)[0] != 0:
            self.skipTest("a sanitizer maps more than it uses")
        codes, said = set(), set()
        for megabytes in sizes:
            before()
            code, _, err = self.under(megabytes, *args)
            codes.add(code)
            if code == 127:  # not even its libraries fit
                continue
            # They fit, but not what C++ sets aside for throwing: nothing can be said, whatever runs.
            if code == -signal.SIGABRT and self.under(megabytes, "--version")[0] == code:
                continue
            self.assertIn(code, (0, 1), (megabytes, err))
            if code == 1:
                self.assertRegex(err, r"(?m)^tidar: [^\n]+\n\Z")
                self.assertNotIn(".cc", err)
                said.add(err.rstrip("\n").split("\n")[-1])
        self.assertTrue({0, 1} <= codes, codes)
        return said

    def test_little_memory(self):
        self.with_ever_more(range(12, 60, 2), "generate", "--model", ROOT / "models/tidar-mini",
                            "--prompt", "Answer:", "--max-new", 2, "--threads", 2)

    def test_little_memory_for_an_evaluation(self):
        text = self.put("text.txt", "So many words. " * 40)
        said = self.with_ever_more(
            range(12, 80, 4), "eval", "--model", ROOT / "models/tidar-mini", "--task",
            f"text:{text}", "--out", self.out, "--threads", 2,
            before=lambda: shutil.rmtree(self.out, ignore_errors=True))
        self.assertTrue(any("--context" in sentence for sentence in said), said)

    def training(self, **model):
        """The flags of one step that trains a model of such changes."""
        config = small_run(self.folder, steps=1, out=str(self.out), tokenizer=None, mask_token=300)
        changed = self.put("changed.json", json.dumps({**SMALL_MODEL, **model}))
        run_config = self.put("run.json", json.dumps({**config, "model_config": str(changed)}))
        return ["train", "--config", run_config, "--threads", 1]

    def test_little_memory_for_training(self):
        said = self.with_ever_more(
            range(12, 80, 2), *self.training(hidden_size=256, num_hidden_layers=4),
            before=lambda: shutil.rmtree(self.out, ignore_errors=True))
        for part in ["no memory for masters, gradients and activations",
                     "a smaller model or fewer rows need less", "the optimizer's moments"]:
            self.assertTrue(any(part in sentence for sentence in said), said)
        self.assertFalse([sentence for sentence in said if "--context" in sentence], "has none")

    def test_an_absurd_model(self):
        absurd = {"hidden_size": 1 << 20, "num_hidden_layers": 4096, "intermediate_size": 1 << 22,
                  "vocab_size": 1 << 26, "max_position_embeddings": 1 << 30}
        self.refuse(1, *self.training(**absurd), alone=False, holds=[
            "no memory for masters, gradients and activations", "GB", "a smaller model"])
        self.refuse(1, *self.training(num_hidden_layers=4097), holds=["'num_hidden_layers' is 4097"])

    def test_what_for(self):
        ask = ["inspect", "--model", FIXTURES / "qwen2"]
        if self.under(1000, *ask)[0] != 0:
            self.skipTest("a sanitizer maps more than it uses")
        code, out, err = self.under(200, *ask, "--rows", 65536)
        self.assertEqual((code, out), (1, ""))
        self.assertRegex(err, r"no memory for (keys and values of|the activations of) .*--rows")


class Inspect(FixtureCase):
    def inspect(self, *args):
        out, _ = self.succeed("inspect", "--json", *args)
        return json.loads(out)

    def test_json(self):
        for name, parameters in [("qwen2", 119360), ("qwen3", 176576), ("llama", 115008),
                                 ("smollm2", 107856)]:
            found = self.inspect("--model", FIXTURES / name)
            self.assertEqual(found["parameters"], parameters)
            self.assertEqual(sum(weight["elements"] for weight in found["weights"]), parameters)
            self.assertEqual(found["config"]["vocab_size"], 512)
            uses = found["memory"]
            self.assertEqual(uses["total"], sum(uses.values()) - uses["total"])
        out, _ = self.succeed("inspect", "--model", FIXTURES / "qwen3")
        for line in out.splitlines():
            self.assertLessEqual(len(line), 80)
        self.assertRegex(out, r"(?m)^model.layers.\*.self_attn.q_norm +\[32\] +2 +64 +F32$")

    def test_weights_by_role(self):
        model = ["--model", FIXTURES / "llama"]  # with a tied head
        plain = {weight["name"]: weight for weight in self.inspect(*model)["weights"]}
        self.assertEqual({name: sum(weight["kept_as"].values()) for name, weight in plain.items()},
                         {name: weight["count"] for name, weight in plain.items()})
        found = self.inspect(*model, "--weights", "w4,head=w8,down=bf16")
        self.assertEqual(found["weight_type"], "w4,embedding=w8,down=bf16")
        bits = {"w4": 4.5, "w8": 8.5, "bf16": 16, "f32": 32}
        expected = {"embedding": "w8", "qkv": "w4", "attention_out": "w4", "gate_up": "w4",
                    "down": "bf16", None: "f32"}
        total = 0
        for weight in found["weights"]:
            kept = expected[weight["role"]]
            self.assertEqual(weight["kept_as"], {kept: weight["count"]}, weight["name"])
            self.assertEqual(weight["kept_bytes"], weight["elements"] * bits[kept] / 8)
            total += weight["kept_bytes"]
        self.assertEqual(total, found["memory"]["weights"])
        out, _ = self.succeed("inspect", *model, "--weights", "w4,head=w8,down=bf16")
        self.assertRegex(out, r"(?m)^embedding +F32 +w8 +34,816$")
        self.assertRegex(out, r"(?m)^down +F32 +bf16 +")
        for line in out.splitlines():
            self.assertLessEqual(len(line), 80)

        for weights, holds in [
                ("w5", ["--weights", "'w5'", "f32, bf16, w8, w4"]),
                ("w4,lm_head=w8", ["'lm_head'", "qkv, attention_out, gate_up, down, head"]),
                ("w4,head=w8,head=w4", ["head", "twice"]), ("head=w8,w4", ["first"])]:
            self.refuse(2, "inspect", *model, "--weights", weights, holds=holds)
        self.refuse(1, "inspect", *model, "--weights", "embedding=w4,head=w8",
                    holds=["one weight", "w4 and w8"])
        self.refuse(1, "gradients", *model, "--objective", "ar", "--ids", "1,2", "--out", self.out,
                    "--weights", "f32,head=bf16", holds=["f32,embedding=bf16", "one format"])

    def test_formats_of_roles_change_what_they_name_and_nothing_else(self):
        def logits(name, weights):
            # Operands that are rounded once do not differ between formats.
            self.succeed("logits", "--model", FIXTURES / name, "--ids", "3,1,4,1,5", "--out",
                         self.out, "--weights", weights, "--precision", "f32", "--kv", "f32")
            return self.out.read_bytes()

        for name, roles in [("qwen2", "embedding qkv attention_out gate_up down"),
                            ("qwen3", "embedding qkv attention_out gate_up down head")]:
            seen = {logits(name, "bf16")}
            for role in roles.split():
                seen.add(logits(name, f"bf16,{role}=w8"))
            self.assertEqual(len(seen), 1 + len(roles.split()))
            every = ",".join(f"{role}=w4" for role in roles.split())
            self.assertEqual(logits(name, f"f32,{every}"), logits(name, "w4"))

    def write_model(self, layers):
        """A model of 10 MB a layer; zeros do."""
        hidden, ffn, heads, vocabulary = 512, 1536, 8, 512
        model = self.folder / f"layers{layers}"
        model.mkdir()
        (model / "config.json").write_text(json.dumps({
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": hidden,
            "num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": heads,
            "intermediate_size": ffn, "vocab_size": vocabulary, "max_position_embeddings": 2048,
            "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": True,
            "hidden_act": "silu", "bos_token_id": 1, "eos_token_id": 2}))
        shapes = {"model.embed_tokens.weight": [vocabulary, hidden], "model.norm.weight": [hidden]}
        for layer in range(layers):
            base = f"model.layers.{layer}."
            for name in "qkvo":
                shapes[f"{base}self_attn.{name}_proj.weight"] = [hidden, hidden]
            shapes[base + "mlp.gate_proj.weight"] = [ffn, hidden]
            shapes[base + "mlp.up_proj.weight"] = [ffn, hidden]
            shapes[base + "mlp.down_proj.weight"] = [hidden, ffn]
            shapes[base + "input_layernorm.weight"] = [hidden]
            shapes[base + "post_attention_layernorm.weight"] = [hidden]
        header, end = {}, 0
        for name, shape in shapes.items():
            size = 4
            for length in shape:
                size *= length
            header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [end, end + size]}
            end += size
        text = json.dumps(header).encode()
        with open(model / "model.safetensors", "wb") as file:
            file.write(struct.pack("<Q", len(text)) + text)
            for _ in range(end >> 20):
                file.write(bytes(1 << 20))
            file.write(bytes(end & ((1 << 20) - 1)))
        return model

    def test_peak_memory(self):
        if has_sanitizer():
            self.skipTest("a sanitizer has memory of its own")
        # The program itself takes some memory; a tiny model shows how much.
        args = ["--rows", 64, "--context", 64]
        tiny = self.inspect("--model", FIXTURES / "smollm2", "--rows", 1, "--context", 64)
        own = tiny["peak_resident"] - tiny["memory"]["total"]
        self.assertLess(own, 60e6)
        for weights in ["f32", "bf16"]:
            found = self.inspect("--model", self.write_model(12), *args, "--weights", weights)
            shutil.rmtree(self.folder / "layers12")
            planned = found["memory"]["total"]
            self.assertGreater(planned, 60e6)
            self.assertLessEqual(found["peak_resident"] - own, 1.15 * planned, weights)
            # What is planned is also used: the plan is not generous.
            self.assertGreaterEqual(found["peak_resident"] - own, 0.85 * planned, weights)


    def write_gguf(self, kind):
        """A model of 12 layers and a large embedding, zeros in blocks of this format."""
        config = {"model_type": "llama", "hidden_size": 512, "num_hidden_layers": 12,
                  "num_attention_heads": 8, "num_key_value_heads": 8, "head_dim": 64,
                  "intermediate_size": 1536, "vocab_size": 32768, "max_position_embeddings": 2048,
                  "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": True}
        tensors = []
        for name, shape in hugging_face.weights(config).items():
            stored = kind if len(shape) == 2 else "F32"
            tensors.append((gguf.tensor_name(name), stored, shape,
                            bytes(gguf.size_of(stored, shape))))
        return gguf.write(self.folder / f"{kind}.gguf", gguf.model_entries(config), tensors)

    def test_peak_memory_of_codes(self):
        """Loading holds what is kept, and of what is read a tensor at a time, never its numbers."""
        if has_sanitizer():
            self.skipTest("a sanitizer has memory of its own")
        tiny = self.inspect("--model", FIXTURES / "smollm2", "--rows", 1, "--context", 64)
        own = tiny["peak_resident"] - tiny["memory"]["total"]
        slack = 1.1  # what allocators and huge pages round up
        for kind, weights, kept in [("Q8_0", None, "w8"), ("Q4_0", None, "w4"), ("Q6_K", None, "w8"),
                                    ("Q5_0", "w4", "w4"), ("BF16", "w8", "w8")]:
            with self.subTest(stored=kind, weights=weights):
                path = self.write_gguf(kind)
                flags = () if weights is None else ("--weights", weights)
                found = self.inspect("--model", path, "--rows", 64, "--context", 64, *flags)
                path.unlink()
                self.assertEqual(found["weight_type"], kept)
                planned = found["memory"]["total"]
                self.assertGreater(planned, 30e6)
                self.assertLessEqual(found["peak_resident"] - own, slack * planned)


class Bench(FixtureCase):
    def assert_quiet(self, err):
        """But for a line of progress every half a minute, which is there with a sanitizer alone."""
        self.assertRegex(err, r"\A([a-z ]+, round \d+\n)*\Z" if has_sanitizer() else r"\A\Z")

    def test_json_and_table(self):
        args = ["bench", "--model", FIXTURES / "qwen2", "--rows", "1,4,64", "--seconds", 0.01]
        out, _ = self.succeed(*args, "--json")
        found = json.loads(out)
        names = [entry["name"] for entry in found["passes"]]
        self.assertEqual(names, ["prefill", "decode", "1", "4", "64"])
        self.assertEqual([entry["asked"] for entry in found["passes"]], [1, 1, 1, 4, 64])
        for entry in found["passes"]:
            self.assertGreater(entry["median_ms"], 0)
            self.assertGreaterEqual(entry["samples"], 3)
            self.assertGreater(entry["gb_per_s"], 0)
            self.assertGreater(entry["gflop_per_s"], 0)
        for roof in ["memory_gb_per_s", "f32_gflop_per_s", "bf16_gflop_per_s"]:
            self.assertGreater(found["roofs"][roof], 0)
        out, err = self.succeed(*args, "--context", 40, "--ops")
        self.assert_quiet(err)
        for line in out.splitlines():
            self.assertLessEqual(len(line), 80, line)
        self.assertRegex(out, r"(?m)^prefill 512 +1 ")
        self.assertRegex(out, r"(?m)^64: 64 rows behind 40 keys, 64 asked$")
        self.assertEqual(len(re.findall(r"(?m)^linear +\d", out)), 5)

    def test_contexts_and_steps_of_tidar(self):
        args = ["bench", "--model", FIXTURES / "qwen2", "--rows", "1,6", "--seconds", 0,
                "--context", "0,40", "--tidar-steps", "2,4"]
        found = json.loads(self.succeed(*args, "--json")[0])
        passes, steps = ([(entry["context"], entry["name"], entry["rows"], entry["asked"])
                          for entry in found[kind]] for kind in ["passes", "tidar_steps"])
        here = [("decode", 1, 1), ("1", 1, 1), ("6", 6, 6)]
        self.assertEqual(passes, [(0, "prefill", 512, 1), *((context, *one) for context in [0, 40]
                                                            for one in here)])
        self.assertEqual(steps, [(context, *one) for context in [0, 40]
                                 for one in [("K = 2", 6, 4), ("K = 4", 20, 8)]])
        # Of the step two rows less go through the head, and six rows see 1, 2; 3, 3; 4, 4 keys.
        causal, step = found["passes"][3], found["tidar_steps"][0]
        more, less = (round(1e6 * times["gflop_per_s"] * times["median_ms"])
                      for times in [causal, step])
        config = load(FIXTURES / "qwen2/config.json")
        head = 2 * config["vocab_size"] * config["hidden_size"]
        key = 4 * config["num_hidden_layers"] * config["hidden_size"]  # heads of one in all
        self.assertEqual(more - less, 2 * head + (21 - 17) * key)
        out, _ = self.succeed(*args)
        self.assertEqual(len(re.findall(r"(?m)^\d+ keys cached", out)), 2)
        self.assertRegex(out, r"(?m)^K = 4 20 +8 ")
        for steps in ["0", "65", "x"]:
            self.refuse(2, "bench", "--model", FIXTURES / "qwen2", "--tidar-steps", steps,
                        holds=["--tidar-steps"])

    def trace(self, draft_length, tokens=40):
        path = self.folder / f"trace-{draft_length}-{tokens}.jsonl"
        self.succeed("generate", "--model", FIXTURES / "qwen2", "--prompt-ids", "5,6,7",
                     "--mask-token", 511, "-n", tokens, "--draft-length", draft_length, "--trace",
                     path)
        return path

    def test_decoding_by_a_trace(self):
        args = ["bench", "--decode", "--trace", self.trace(3), "--seconds", 0.01, "--batch", "1,3"]
        for model in [FIXTURES / "qwen2", FIXTURES / "llama"]:
            out, _ = self.succeed(*args, "--model", model, "--json", "--draft-length", "2,3")
            found = json.loads(out)
            self.assertEqual((found["trace"]["texts"], found["trace"]["draft_length"]), (1, 3))
            self.assertGreater(found["roofs"]["memory_gb_per_s"], 0)
            tidar = [("tidar", k, groups) for groups in ["auto", "all", "last"] for k in [2, 3]]
            others = [(name, k, None) for name in ["self-speculative", "lookup"] for k in [2, 3]]
            self.assertEqual(
                [(item["batch"], item["method"], item.get("draft_length"), item.get("groups"))
                 for item in found["decoding"]],
                [(batch, *one) for batch in [1, 3] for one in [("ar", None, None), *tidar, *others]])
            for item in found["decoding"]:
                self.assertGreaterEqual(item["samples"], 3)
                self.assertGreater(item["tokens_per_s"], 0)
                self.assertGreaterEqual(item["rows_per_pass"], item["batch"])
                self.assertAlmostEqual(item["rows_that_brought_a_token"] * item["rows_per_pass"],
                                       item["tokens_per_pass"] * item["batch"])
                if item["method"] == "ar":
                    self.assertEqual((item["ratio_to_ar"], item["tokens_per_pass"],
                                      item["rows_per_pass"]), (1, 1, item["batch"]))
        out, err = self.succeed(*args, "--shape", "mini", "--methods", "tidar:1,lookup", "--ops")
        self.assert_quiet(err)
        for line in out.splitlines():
            if str(self.folder) not in line:
                self.assertLessEqual(len(line), 80, line)
        self.assertIn(f"acceptance is played from {self.folder}/trace", out)
        self.assertIn("1 text of ", out)
        self.assertRegex(out, r"(?m)^tidar +3 +1 +1 +[\d.]+ +\d+% +- +[\d.]+ +[\d.]+ +\d+% +[\d.]+%$")
        self.assertRegex(out, r"(?m)^lookup +3 +3 +[\d.]+ ")
        out, _ = self.succeed(*args, "--shape", "mini", "--methods", "tidar:1,ar", "--json")
        for item in json.loads(out)["decoding"]:  # wherever it stands in the list
            self.assertGreater(item["ratio_to_ar"], 0)

    def test_traces_that_do_not_do(self):
        model = ["bench", "--model", FIXTURES / "qwen2", "--seconds", 0.01, "--decode", "--trace"]
        trace = self.trace(2)
        self.refuse(1, *model, trace, "--draft-length", 3, holds=["--draft-length 3", "2 tokens"])
        self.refuse(1, *model, self.trace(2, 1), "--batch", 2, holds=["--batch 2", "end before"],
                    alone=not has_sanitizer())
        text = trace.read_text()
        for wrong, part in [("", "found none"), ("{", "the JSON ends too early"),
                            (text.replace('"version":2', '"version":1'), "'version' is 1"),
                            (text.replace("answer", "answers"), "answers"),
                            (text.replace('"prompt":[5', '"prompt":[512'), "'prompt'")]:
            with self.subTest(part=part):
                self.refuse(1, *model, self.put("wrong.jsonl", wrong), holds=["wrong.jsonl", part])

    def test_prices(self):
        args = ["bench", "--model", FIXTURES / "qwen2", "--prices", "--seconds", 0]
        plot = self.folder / "prices.svg"
        out, _ = self.succeed(*args, "--context", "0,40", "--json", "--plot", plot)
        found = json.loads(out)
        self.assertGreater(found["prices"]["key"]["cached"], 0)
        passes = found["prices"]["passes"]
        self.assertEqual(sorted({entry["context"] for entry in passes}), [0, 40])
        for context in [0, 40]:
            curve = [entry for entry in passes if entry["context"] == context]
            rows = [entry["rows"] for entry in curve]
            self.assertTrue({1, 2, 4, 8, 16, 32, 64} <= set(rows), rows)
            self.assertEqual(rows, sorted(rows))
            times = [entry["ms"] for entry in curve if entry["rows"] <= 64]
            self.assertEqual(times, sorted(times))
            self.assertEqual(curve[0]["ratio_to_one_row"], 1)
            for before, after in zip(curve, curve[1:]):
                more = (after["ms"] - before["ms"]) / (after["rows"] - before["rows"])
                self.assertAlmostEqual(after["ms_a_row_more"], more)
        svg = plot.read_text(encoding="utf-8")
        for label in ["0 keys cached", "40 keys cached", "rows in a pass"]:
            self.assertIn(label, svg)
        out, err = self.succeed(*args, "--rows", "64,1,5,1")
        self.assert_quiet(err)
        for line in out.splitlines():
            self.assertLessEqual(len(line), 80, line)
        self.assertEqual(re.findall(r"(?m)^\d+(?= +\d+ )", out), ["1", "5", "64"])
        self.assertIn("roofs: memory", out)
        model = args[:3]
        self.refuse(2, *model, "--plot", plot, holds=["--plot", "--prices"])
        self.refuse(2, *model, "--context", "x", holds=["--context", "'x'"])
        self.refuse(1, *args, "--context", "512", holds=["--context"])


if __name__ == "__main__":
    main()
