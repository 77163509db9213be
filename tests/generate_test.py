#!/usr/bin/env python3
"""`tidar generate` from outside: every method, kind of prompt and way to end.

    python3 tests/generate_test.py build/release/tidar
"""

import datetime
import json
import os
import re
import signal
import subprocess

from generated import GenerateCase
from outside import FIXTURES, PROGRAM, ROOT, comma, load, main, run, wait_until_caught, write_lines

MINI = ROOT / "models/tidar-mini"


class Generate(GenerateCase):
    def greedy(self, name):
        greedy = load(FIXTURES / name / "expected.json")["greedy"]
        return greedy["prompt"], greedy["tokens"]

    def test_greedy_tokens_of_every_family(self):
        for name in ["qwen2", "qwen3", "qwen3_bf16", "llama", "smollm2"]:
            prompt, expected = self.greedy(name)
            ask = ["--prompt-ids", comma(prompt), "--max-new", len(expected)]
            # bf16 weights were multiplied with float operands.
            ask += ["--precision", "f32", "--kv", "f32"]
            methods = [["--method", "ar"]]
            tidar = ["--method", "tidar", "--mask-token", 511]
            methods += [[*tidar, "--draft-length", k, "--groups", g]
                        for k, g in [(1, "all"), (2, "all"), (3, "first"), (4, "1,3"), (8, "all"),
                                     (16, "last"), (16, "likeliest:2"), (16, "all"),
                                     (8, "auto")]]
            methods += [[*tidar, "--draft-length", 4, "--groups", g, "--guessed", n]
                        for g, n in [("all", 1), ("last", 3), ("none", 8)]]
            methods += [["--method", "self-speculative", "--mask-token", 511, "--draft-length", 3],
                        ["--method", "lookup", "--least-match", 1, "--most-match", 3],
                        ["--method", "speculative", "--draft-model", FIXTURES / name]]
            for method in methods:
                with self.subTest(model=name, method=method):
                    found, _ = self.generate(FIXTURES / name, *ask, *method)
                    self.assertEqual(found["tokens"], expected)
                    self.assertEqual(found["finish_reason"], "length")

    def test_sampled_tokens_do_not_depend_on_the_method(self):
        prompt, _ = self.greedy("qwen3")
        ask = ["--prompt-ids", comma(prompt), "--max-new", 60, "--temperature", 0.8, "--top-k", 50,
               "--top-p", 0.95, "--seed", 7, "--mask-token", 511, "--repetition-penalty", 1.1]
        ar, _ = self.generate(FIXTURES / "qwen3", *ask, "--method", "ar")
        tidar_, _ = self.generate(FIXTURES / "qwen3", *ask, "--method", "tidar")
        other, _ = self.generate(FIXTURES / "qwen3", *ask[:-6], "--seed", 8, *ask[-4:])
        for key in ("tokens", "logprobs", "policy_logprobs"):
            self.assertEqual(ar[key], tidar_[key])
        self.assertNotEqual(ar["tokens"], other["tokens"])
        for method in [["self-speculative"], ["lookup", "--least-match", 1],
                       ["speculative", "--draft-model", FIXTURES / "qwen2"]]:
            found, _ = self.generate(FIXTURES / "qwen3", *ask, "--method", *method)
            for key in ("tokens", "logprobs", "policy_logprobs"):
                self.assertEqual(ar[key], found[key], method)

    def test_speculation_by_the_same_model_is_always_right(self):
        ask = ["--prompt-ids", "5,6,7", "--max-new", 31, "--temperature", 1, "--seed", 3,
               "--ignore-eos"]
        found, err = self.generate(FIXTURES / "qwen2", *ask, "--method", "speculative",
                                   "--draft-model", FIXTURES / "qwen2", "--draft-length", 4,
                                   "--compare")
        self.assertTrue(found["compare"]["tokens_agree"])
        self.assertEqual((found["passes"], found["tokens_per_pass"]), (6, 5))
        self.assertEqual(found["draft_places"], [{"drafted": 6, "accepted": 6}] * 4)
        self.assertEqual(found["drafter_passes"], 24)
        self.refuse(2, "generate", "--model", FIXTURES / "qwen2", *ask, "--method", "speculative",
                    holds=["--draft-model"])

    def padded(self, model, rows):
        """The model with so many more rows, zeros, behind its vocabulary's."""
        path = model / "model.safetensors"
        data = path.read_bytes()
        header_end = 8 + int.from_bytes(data[:8], "little")
        header, body = json.loads(data[8:header_end]), data[header_end:]
        size = load(model / "config.json")["vocab_size"]
        packed = b""
        for name, tensor in header.items():
            if name == "__metadata__":
                continue
            begin, end = tensor["data_offsets"]
            bytes_ = body[begin:end]
            if name in ("model.embed_tokens.weight", "lm_head.weight"):
                self.assertEqual(tensor["shape"][0], size)
                bytes_ += bytes(len(bytes_) // size * rows)
                tensor["shape"][0] += rows
            tensor["data_offsets"] = [len(packed), len(packed) + len(bytes_)]
            packed += bytes_
        text = json.dumps(header).encode()
        path.write_bytes(len(text).to_bytes(8, "little") + text + packed)
        return self.edit_config(model, vocab_size=size + rows)

    def test_drafts_of_another_vocabulary(self):
        model, draft = self.lettered_model("qwen3"), self.lettered_model("qwen2")
        ask = ["-p", "hello", "-n", 20, "--temperature", 1]
        expected, _ = self.generate(model, *ask, "--method", "ar")

        def speculate(target, by):
            return self.generate(target, *ask, "--method", "speculative", "--draft-model", by)[0]

        # Rows that no token has stand behind the vocabulary of one of the two.
        self.padded(draft, 24)
        self.assertEqual(speculate(model, draft)["tokens"], expected["tokens"])
        self.assertGreater(speculate(draft, draft)["guesses_right"], 0)
        self.assertEqual(speculate(draft, model)["tokens"],
                         self.generate(draft, *ask, "--method", "ar")[0]["tokens"])

        words = load(draft / "tokenizer.json")
        refuse = ["generate", "--model", model, *ask, "--method", "speculative", "--draft-model",
                  draft]
        vocabulary = words["model"]["vocab"]
        vocabulary["a"], vocabulary["b"] = vocabulary["b"], vocabulary["a"]
        (draft / "tokenizer.json").write_text(json.dumps(words))
        self.refuse(1, *refuse, holds=["its tokens are not those of"])
        vocabulary["a"], vocabulary["b"] = vocabulary["b"], vocabulary["a"]
        vocabulary["<one more>"] = 512
        (draft / "tokenizer.json").write_text(json.dumps(words))
        self.refuse(1, *refuse, holds=["its tokens are not those of"])
        (draft / "tokenizer.json").unlink()
        self.refuse(1, *refuse, holds=["its tokens are not those of"])

    def test_denoising(self):
        ask = ["--prompt-ids", "5,6,7,8,9", "--max-new", 24, "--mask-token", 511]
        block = [*ask, "--method", "block-diffusion", "--block-size", 8]
        one, _ = self.generate(FIXTURES / "qwen2", *block)
        high, err = self.generate(FIXTURES / "qwen2", *block, "--confidence", 1.5, "--compare")
        self.assertEqual(high["tokens"], one["tokens"])
        self.assertEqual((one["passes"], one["tokens_per_pass"]), (24, 1))
        self.assertIn("as they may", err)
        two, _ = self.generate(FIXTURES / "qwen2", *block, "--order", "left-to-right",
                               "--per-pass", 2)
        self.assertEqual((two["passes"], two["accepted"]), (12, [0, 0, 12]))
        all_, _ = self.generate(FIXTURES / "qwen2", *block, "--entropy-bound", 1e4, "--block-keys",
                                "block", "--block-borders", "multiples")
        self.assertEqual(all_["accepted"], [0, 0, 0, 1, 0, 1, 0, 0, 2])

        masked = [*ask, "--method", "masked-diffusion"]
        outputs = []
        for order in ["confidence", "margin", "entropy", "random", "left-to-right"]:
            found, _ = self.generate(FIXTURES / "qwen2", *masked, "--steps", 6, "--order", order)
            self.assertEqual((found["passes"], found["n"], found["finish_reason"]),
                             (6, 24, "length"))
            self.assertNotIn(511, found["tokens"])
            outputs.append(found["tokens"])
        shifted, _ = self.generate(FIXTURES / "qwen2", *masked, "--steps", 6, "--shifted-logits")
        self.assertNotEqual(shifted["tokens"], outputs[0])
        blocks, _ = self.generate(FIXTURES / "qwen2", *masked, "--block-size", 10)
        self.assertEqual(blocks["passes"], 24)
        self.refuse(1, "generate", "--model", FIXTURES / "qwen2", *masked, "--presence-penalty", 1,
                    holds=["penalties"])
        self.refuse(1, "generate", "--model", FIXTURES / "qwen2", *ask[:-2], "--method",
                    "block-diffusion", holds=["--mask-token"])
        # An output that the context cuts.
        found, _ = self.generate(FIXTURES / "qwen2", "--prompt-ids", "5", "-n", 100000, *masked[4:],
                                 "--steps", 2)
        self.assertEqual(found["finish_reason"], "context")

    def test_rows_of_a_fixed_policy(self):
        # Masks of an untrained model guess badly: each pass verifies one guess at most, and
        # has 2 masks in group 1 alone, whose second one is the next draft where no guess was right.
        prompt, _ = self.greedy("qwen2")
        found, err = self.generate(FIXTURES / "qwen2", "--prompt-ids", comma(prompt), "-n", 40,
                                   "--mask-token", 511, "--draft-length", 2, "--groups", "1")
        self.expect_rows(found, 39)
        right = found["guesses_right"]
        self.assertEqual(found["tokens_per_pass"], 39 / found["passes"])
        self.assertEqual(found["passes"] + right, 39)
        self.assertEqual(found["rows"], found["passes"] + found["guesses"] + found["masks"])
        self.assertRegex(err, rf"{right} of {found['guesses']} guess(es)? right")
        self.assertRegex(err.replace("\n ", ""), r"groups used in \d+ of \d+ passes, \d+ % of masks ")

    def free_rows(self):
        """Prices by which rows cost nothing."""
        return self.put("free.json", json.dumps({
            "version": 1, "of": "a test", "asks": [{"rows": 1, "seconds": 0}],
            "passes": [{"rows": 1, "seconds": 1}, {"rows": 2, "seconds": 1}]}))

    def test_explain(self):
        prompt, expected = self.greedy("qwen2")
        ask = ["--prompt-ids", comma(prompt), "-n", 20, "--mask-token", 511, "--explain"]
        free_rows = self.free_rows()
        for method in [["--method", "ar"], ["--draft-length", 4, "--groups", "all"],
                       ["--draft-length", 4, "--groups", "auto", "--prices", free_rows],
                       ["--method", "self-speculative"],
                       ["--method", "lookup", "--least-match", 1],
                       ["--method", "speculative", "--draft-model", FIXTURES / "qwen2"],
                       ["--method", "block-diffusion", "--block-size", 8],
                       ["--method", "masked-diffusion", "--steps", 5]]:
            with self.subTest(method=method):
                found, err = self.generate(FIXTURES / "qwen2", *ask, *method)
                passes, lines = found["explained"], err.splitlines()
                decoding = [step for step in passes if step["decoding"]]
                self.assertEqual(len(decoding), found["passes"])
                self.assertEqual(sum(step["rows"] for step in decoding), found["rows"])
                self.assertEqual(sum(step["drafted"] for step in decoding), found["guesses"])
                self.assertEqual(sum(step["accepted"] for step in decoding),
                                 found["guesses_right"])
                masks = [group["masks"] for step in decoding for group in step["groups"]]
                self.assertEqual(sum(masks), found["masks"])
                goes_by_prices = "auto" in method or "lookup" in method
                self.assertEqual(any(step["offer"] for step in decoding), goes_by_prices)
                first = next(i for i, line in enumerate(lines) if line.startswith("pass new"))
                numbers = [int(line.split()[0]) for line in lines[first + 1:first + 1 + len(passes)]]
                self.assertEqual(numbers, list(range(1, len(passes) + 1)))
                self.assertLessEqual(max(map(len, lines)), 80)
        out, err = self.succeed("generate", "--model", FIXTURES / "qwen2", *ask)
        self.assertEqual(out, comma(expected[:20]) + "\n")

    def test_reliability(self):
        model, figure = self.lettered_model(), self.folder / "reliability.svg"
        file = write_lines(self.folder / "prompts.jsonl",
                           [{"prompt": prompt} for prompt in ["aaaa", "hello", "once"]])
        ask = ["generate", "--model", model, "--prompts", file, "--mask-token", 511, "-n", 30,
               "--reliability", figure]
        self.refuse(1, *ask, "--groups", "all", holds=["--groups auto"])
        self.refuse(2, *ask[:3], "-p", "x", *ask[-2:], holds=["--prompts"])
        out, _ = self.succeed(*ask, "--explain", "--prices", self.free_rows())
        passes = [step for line in out.splitlines() for step in json.loads(line)["explained"]]
        tried = sum(min(step["drafted"], step["accepted"] + 1) for step in passes if step["offer"])
        self.assertIn(f"{tried:,} guesses", figure.read_text())

    def test_json(self):
        prompt, expected = self.greedy("qwen2")
        found, err = self.generate(FIXTURES / "qwen2", "--prompt-ids", comma(prompt), "--max-new",
                                   20, "--mask-token", 511, "--draft-length", 4, "--compare")
        kinds = {"text": str, "tokens": list, "logprobs": list, "policy_logprobs": list,
                 "method": str, "prompt_tokens": int, "n": int, "finish_reason": str, "passes": int, "tokens_per_pass": float,
                 "rows": int, "rows_per_pass": float, "rows_that_brought_a_token": float,
                 "guesses": int, "guesses_right": int, "groups_used": float, "masks": int,
                 "masks_wasted": float,
                 "accepted": list, "draft_places": list, "drafter_passes": int,
                 "prefill_s": float, "decode_s": float, "tokens_per_s": float,
                 "gb_per_s": float, "memory_gb_per_s": type(None), "compare": dict}
        self.assertEqual({key: type(value) for key, value in found.items()}, kinds)
        self.assertEqual((found["method"], found["prompt_tokens"], found["n"]), ("tidar", 7, 20))
        self.assertEqual(found["tokens"], expected[:20])
        self.assertEqual(len(found["logprobs"]), 20)
        self.assertEqual(found["policy_logprobs"], [0] * 20)  # greedy
        self.assertEqual(sum(found["accepted"]), found["passes"])
        decoded = sum(a * count for a, count in enumerate(found["accepted"]))
        self.assertEqual(decoded, 19)
        self.assertAlmostEqual(found["tokens_per_pass"], 19 / found["passes"])
        self.assertTrue(found["compare"]["tokens_agree"])
        self.assertEqual(found["compare"]["first_difference"], -1)
        self.assertEqual(found["compare"]["ar"]["tokens"], expected[:20])
        self.assertEqual(found["compare"]["ar"]["passes"], 19)
        self.expect_rows(found, 19)
        self.assertEqual(found["compare"]["ar"]["rows"], 19)
        self.expect_rows(found["compare"]["ar"], 19)
        self.assertLessEqual(max(map(len, err.splitlines())), 80)
        self.assertIn("the tokens of tidar and ar agree", err)
        self.assertRegex(err, r"tidar: 20 tokens \(length\), \d+ passes, [\d.]+ tokens per pass, "
                              r"[\d.]+ tokens/s")
        self.assertRegex(err, r"[\d.]+ GB/s\n")

    def test_logprobs_of_the_policy(self):
        ask = [FIXTURES / "qwen2", "--prompt-ids", "5,6,7", "--max-new", 20, "--seed", 4]
        plain, _ = self.generate(*ask, "--temperature", 1)
        self.assertEqual(plain["policy_logprobs"], plain["logprobs"])
        warm, _ = self.generate(*ask, "--temperature", 2)
        self.assertEqual(len(warm["policy_logprobs"]), warm["n"])
        self.assertNotEqual(warm["policy_logprobs"], warm["logprobs"])
        for p in warm["policy_logprobs"]:
            self.assertLess(p, 0)
        # The one token that the cut leaves is certain; of two, the more probable is at least 1/2.
        one, _ = self.generate(*ask, "--temperature", 2, "--top-k", 1)
        self.assertEqual(one["policy_logprobs"], [0] * one["n"])
        two, _ = self.generate(*ask, "--temperature", 2, "--top-k", 2)
        for p, logprob in zip(two["policy_logprobs"], two["logprobs"]):
            self.assertTrue(logprob < p < 0)

    def test_trusting_the_masks_may_differ_and_is_told(self):
        prompt, _ = self.greedy("qwen2")
        found, err = self.generate(FIXTURES / "qwen2", "--prompt-ids", comma(prompt), "--max-new",
                                   30, "--mask-token", 511, "--trust-ar", 0, "--compare")
        self.assertFalse(found["compare"]["tokens_agree"])
        place = found["compare"]["first_difference"]
        ar = found["compare"]["ar"]["tokens"]
        self.assertEqual(found["tokens"][:place], ar[:place])
        self.assertNotEqual(found["tokens"][place], ar[place])
        self.assertIn(f"differ, as they may, from token {place} on", err)

    def test_without_a_tokenizer_ids_are_printed(self):
        prompt, expected = self.greedy("llama")
        out, err = self.succeed("generate", "--model", FIXTURES / "llama", "--prompt-ids",
                                comma(prompt), "--max-new", 9)
        self.assertEqual(out, comma(expected[:9]) + "\n")
        self.assertIn("ar: 9 tokens (length)", err)
        self.refuse(1, "generate", "--model", FIXTURES / "llama", "--prompt", "hello",
                    holds=["tokenizer.json", "--prompt-ids"])

    def test_text_from_every_kind_of_prompt(self):
        model = self.lettered_model()
        prompt = "hello"
        file = self.folder / "prompt.txt"
        file.write_text(prompt + "\n")
        base, _ = self.generate(model, "--prompt-ids", comma(prompt.encode()), "--max-new", 40)
        for args, text in [(["--prompt", prompt], ""), (["-p", prompt], ""),
                           (["--prompt-file", file], ""), (["-f", file], ""), ([], prompt + "\n"),
                           (["--prompt-ids", "-"], json.dumps(list(prompt.encode())))]:
            found, _ = self.generate(model, *args, "--max-new", 40, text=text)
            self.assertEqual(found["tokens"], base["tokens"], args)
        text, _ = self.succeed("detokenize", "--model", model, "--skip-special",
                               text=json.dumps(base["tokens"]))
        self.assertEqual(base["text"], text)
        streamed, _ = self.succeed("generate", "--model", model, "-p", prompt, "-n", 40)
        self.assertEqual(streamed, base["text"] + "\n")

    def test_trace(self):
        model, trace = self.lettered_model(), self.folder / "trace.jsonl"
        ask = ["--mask-token", 511, "-n", 20, "--draft-length", 3, "--trace", trace]
        alone, _ = self.generate(model, "-p", "hello", *ask)
        text = json.loads(trace.read_text())
        self.assertEqual((text["version"], text["model"], text["vocabulary"]),
                         (2, str(model), 512))
        self.assertEqual((text["prompt"], text["answer"]), (list(b"hello"), alone["tokens"]))
        for key in ("guesses", "logprobs", "runners_up", "runner_up_logprobs"):
            self.assertEqual(len(text[key]), 20 * 6, key)
        for guess, second in zip(text["guesses"], text["runners_up"]):
            self.assertNotEqual(guess, second)
        for guess, second in zip(text["logprobs"], text["runner_up_logprobs"]):
            self.assertGreaterEqual(guess, second)

        # Many texts, in the order of their lines, whenever each of them ended.
        file = self.folder / "prompts.jsonl"
        file.write_text("".join(json.dumps({"prompt": prompt}) + "\n"
                                for prompt in ["hello", "a" * 60, "?", "hello", "x", "y"]))
        out, _ = self.succeed("generate", "--model", model, "--prompts", file, *ask)
        found = sorted(map(json.loads, out.splitlines()), key=lambda line: line["line"])
        texts = list(map(json.loads, trace.read_text().splitlines()))
        self.assertEqual([text["answer"] for text in texts], [line["tokens"] for line in found])
        self.assertEqual(texts[0], text)
        self.assertEqual(texts[3], text)

        for wrong, part in [(["--method", "ar"], "--method tidar"), (["--trust-ar", 0.5], "trust"),
                            (["--presence-penalty", 1], "penalties")]:
            flags = [flag for flag in ask if wrong[-1] != "ar" or flag not in ("--draft-length", 3)]
            self.refuse(1, "generate", "--model", model, "-p", "hello", *flags, *wrong,
                        holds=["--trace", part])
        self.refuse(1, "generate", "--model", model, "-p", "hello", *ask[:-1],
                    self.folder / "nowhere/trace", holds=["nowhere"])

    def test_stop(self):
        model = self.lettered_model()
        ask = ["-p", "hello", "-n", 60, "--mask-token", 511]
        whole, _ = self.generate(model, *ask, "--method", "ar")
        # A stop string of several tokens, in the middle of the text.
        words = whole["tokens"]
        stop, _ = self.succeed("detokenize", "--model", model, text=json.dumps(words[20:23]))
        at = whole["text"].index(stop)
        for method in ["ar", "tidar"]:
            found, _ = self.generate(model, *ask, "--method", method, "--stop", "never seen",
                                     "--stop", stop)
            self.assertEqual(found["finish_reason"], "stop")
            self.assertEqual(found["text"], whole["text"][:at])
            self.assertEqual(found["tokens"], words[:len(found["tokens"])])
        # The token in the middle of the text as the end of text.
        self.edit_config(model, eos_token_id=words[20])
        first = words.index(words[20])
        found, _ = self.generate(model, *ask)
        self.assertEqual((found["finish_reason"], found["tokens"]), ("stop", words[:first + 1]))
        found, _ = self.generate(model, *ask, "--ignore-eos")
        self.assertEqual((found["finish_reason"], found["n"]), ("length", 60))
        self.assertNotIn(words[20], found["tokens"])

    def test_bias_and_context(self):
        prompt, expected = self.greedy("qwen2")
        ask = ["--prompt-ids", comma(prompt), "-n", 12]
        found, _ = self.generate(FIXTURES / "qwen2", *ask, "--logit-bias", "77:1e4")
        self.assertEqual(found["tokens"], [77] * 12)
        found, _ = self.generate(FIXTURES / "qwen2", *ask, "--logit-bias", f"{expected[0]}:-inf")
        self.assertNotIn(expected[0], found["tokens"])
        found, _ = self.generate(FIXTURES / "qwen2", "--prompt-ids", comma(prompt), "-n", 500,
                                 "--context", 64)
        self.assertEqual((found["finish_reason"], found["n"]), ("context", 64 - len(prompt)))
        for wrong in ["x:1", "5", "5:", "5:nan", "5:inf", "5:1x", "512:1"]:
            self.refuse(1 if wrong == "512:1" else 2, "generate", "--model", FIXTURES / "qwen2",
                        *ask, "--logit-bias", wrong, holds=["--logit-bias"])

    def test_every_token_forbidden(self):
        model, forbidden = ["generate", "--model", FIXTURES / "qwen2"], []
        for token in range(512):
            forbidden += ["--logit-bias", f"{token}:-inf"]
        for how in ([], ["--temperature", 1, "--top-k", 5], ["--temperature", 1]):
            code, out, err = run(*model, "--prompt-ids", "1,2,3", *how, *forbidden, "--json")
            self.assertEqual(code, 1, err)
            self.assertEqual(json.loads(out)["finish_reason"], "no_choice")
            self.assertIn("tidar: after 0 new tokens: nothing can be chosen", err)
        _, out, _ = run(*model, "--prompt-ids", "1,2,3", *forbidden[2:], "--max-new", 3, "--json")
        self.assertEqual(json.loads(out)["tokens"], [0, 0, 0])

    def test_print_pass(self):
        prompt, _ = self.greedy("qwen2")
        _, err = self.generate(FIXTURES / "qwen2", "--prompt-ids", comma(prompt), "--mask-token",
                               511, "--draft-length", 2, "--groups", "all", "-n", 8, "--print-pass")
        picture = [line for line in err.splitlines() if "█" in line]
        self.assertEqual(len(picture), 6, err)  # 2 drafts, 2 groups of 2 masks

    def test_interrupt(self):
        model = self.edit_config(self.copy_model("qwen2"), max_position_embeddings=1 << 20)
        command = [PROGRAM, "generate", "--model", model, "--prompt-ids", "1,2,3", "-n", "900000"]
        for number in [signal.SIGINT, signal.SIGTERM]:
            child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            self.addCleanup(child.kill)
            first = child.stdout.read(20)  # it is generating
            child.send_signal(number)
            out, err = child.communicate(timeout=60)
            self.assertEqual(child.returncode, 130)
            self.assertRegex((first + out).decode(), r"^\d+(,\d+)+\n$")
            self.assertIn("(cancelled)", err.decode())
        child = subprocess.Popen([*command, "--json"], stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE)
        self.addCleanup(child.kill)
        wait_until_caught(child, signal.SIGINT)
        child.send_signal(signal.SIGINT)
        out, _ = child.communicate(timeout=60)
        self.assertEqual(child.returncode, 130)
        self.assertEqual(json.loads(out)["finish_reason"], "cancelled")

    def test_wrong_requests(self):
        ask = ["generate", "--model", FIXTURES / "qwen2", "--prompt-ids"]
        self.refuse(1, *ask, "1,2,900", holds=["900"])
        self.refuse(2, *ask, "[]", holds=["--prompt-ids", "at least one"])
        self.refuse(1, *ask, "1,2", "--method", "tidar", holds=["mask token", "--mask-token"])
        self.refuse(1, *ask, "1,2", "--mask-token", 512, holds=["512"])
        self.refuse(1, *ask, "1,2", "--stop", "x", holds=["tokenizer"])
        self.refuse(2, *ask, "1,2", "--mask-token", 511, "--groups", "1,x", holds=["--groups"])
        self.refuse(2, *ask, "1,2", "--mask-token", 511, "--guessed", 1,
                    holds=["--guessed", "--groups all"])
        self.refuse(1, *ask, "1,2", "--mask-token", 511, "--guessed", 1, "--groups", "all",
                    "--trust-ar", 0.5, holds=["guessed groups need trust 1"])
        mask = [*ask, "1,2", "--mask-token", 511, "--draft-length", 16]
        self.refuse(2, *mask, "--groups", "17", holds=["--groups", "1 to 16", "17"])
        self.refuse(2, *mask, "--groups", "1,0", holds=["--groups", "1 to 16", "group 0"])
        for groups, expected in [
                ("0", "no group 0"), ("5", "the groups 1 to 4"), ("1,1", "twice"),
                ("lst", "last, none, likeliest:N, or numbers"), ("", "found ''")]:
            self.refuse(2, *ask, "1,2", "--mask-token", 511, "--draft-length", 4, "--groups",
                        groups, holds=["--groups", expected])
        # How long drafts are is the checkpoint's to say; none are longer than 64.
        for code, groups, most in [(1, "9", 8), (2, "65", 64)]:
            self.refuse(code, *ask, "1,2", "--mask-token", 511, "--groups", groups,
                        holds=[f"the groups 1 to {most}"])
        self.refuse(1, *ask, comma([1] * 64), "--context", 64, holds=["64"])
        self.refuse(1, *ask, comma([1] * 10), "--context", 10, holds=["10"])
        self.refuse(1, *ask, "1", "--context", 1 << 20, holds=["--context", "positions for"])

    def test_prices_are_kept(self):
        ask = ["generate", "--model", FIXTURES / "qwen2", "--prompt-ids", "1,2", "--max-new", 2,
               "--mask-token", 511]
        auto = ask  # the default
        cache = self.folder / "cache"
        places = {"HOME": str(self.folder), "XDG_CACHE_HOME": str(cache)}

        def decode(*args, **changes):
            self.succeed(*args, env={**os.environ, **places, **changes})

        for args in [["--groups", "all"], ["--prices", "none"]]:
            decode(*auto, *args)
        self.assertFalse(cache.exists())
        decode(*auto)
        kept, = (cache / "tidar").iterdir()
        self.assertRegex(kept.name, r"\Aprices-[0-9a-f]{8}\.json\Z")
        measured = load(kept)
        # Whatever else runs, a pass is slower than that, and faster than half a minute.
        slow, fast = {"rows": 1, "seconds": 30}, {"rows": 1, "seconds": 1e-12}
        kept.write_text(json.dumps({**measured, "passes": [fast], "asks": [slow]}))
        decode(*auto)
        self.assertEqual(load(kept)["passes"], [fast])
        self.assertEqual([point["rows"] for point in load(kept)["asks"]], [1])
        self.assertLess(load(kept)["asks"][0]["seconds"], 30)
        for broken in ["{", json.dumps({**measured, "version": 0, "asks": [slow]}),
                       json.dumps({**measured, "of": "another", "asks": [slow]})]:
            kept.write_text(broken)
            decode(*auto)
            self.assertEqual(load(kept)["of"], measured["of"])
            self.assertNotEqual(load(kept)["asks"], [slow])
        kept.write_text(json.dumps({**measured, "passes": [fast], "asks": [slow]}))
        decode(*auto, "--prices", "measure")
        self.assertEqual(load(kept)["of"], measured["of"])
        self.assertGreater(load(kept)["passes"][0]["seconds"], fast["seconds"])
        decode(*auto, "--threads", 3)
        decode(*auto, "--weights", "bf16")
        self.assertEqual(len(list((cache / "tidar").iterdir())), 3)

        # Where nothing can be kept, nothing is.
        decode(*auto, XDG_CACHE_HOME=str(kept))
        decode(*auto, XDG_CACHE_HOME="", HOME="nowhere")
        self.assertFalse((self.folder / ".cache").exists())
        decode(*auto, XDG_CACHE_HOME="relative")
        self.assertEqual(len(list((self.folder / ".cache/tidar").iterdir())), 1)

    def test_prices_of_a_file(self):
        def prices(seconds):
            return self.put("prices.json", json.dumps({
                "version": 1, "of": "a test", "asks": [{"rows": 1, "seconds": 0}],
                "passes": [{"rows": 1, "seconds": 1}, {"rows": 2, "seconds": seconds}]}))

        ask = ["generate", "--model", FIXTURES / "qwen2", "--prompt-ids", "1,2", "--max-new", 20,
               "--mask-token", 511, "--draft-length", 4, "--print-pass", "--groups", "auto"]
        rows = {}
        for seconds in [1, 1000]:
            _, err = self.succeed(*ask, "--prices", prices(seconds))
            rows[seconds] = len([line for line in err.splitlines() if "│" in line])
        self.assertGreater(rows[1], rows[1000])
        self.refuse(1, *ask, "--prices", self.folder / "nowhere", holds=["nowhere"])
        self.refuse(1, *ask, "--prices", self.put("x", '{"version": 7}'), holds=["version", "7"])
        self.refuse(2, *ask[:-1], "all", "--prices", "none", holds=["--prices", "auto"])

    def test_form_of_the_output(self):
        """Python's own readers take what comes out, and every method that equals ar gives the same."""
        schema = self.put("schema.json", json.dumps({
            "type": "object", "additionalProperties": False, "required": ["z", "a", "on"],
            "properties": {"z": {"type": "array", "items": {"type": "integer"}, "minItems": 2,
                                 "maxItems": 3},
                           "a": {"enum": ["é\"", None]}, "on": {"type": "string",
                                                               "format": "date"}}}))

        def is_of_schema(text):
            value = json.loads(text)
            self.assertEqual(list(value), ["z", "a", "on"])
            self.assertIn(len(value["z"]), (2, 3))
            self.assertIn(value["a"], ("é\"", None))
            # Python has no year 0; it is a leap year as 2000 is.
            datetime.date.fromisoformat(re.sub("^0000", "2000", value["on"]))

        expression = r"(?:[a-cé]{2}|\d{1,4}\.){3,5}[^x\s]😀?"
        forms = [(["--regex", expression],
                  lambda text: self.assertTrue(re.fullmatch(expression, text, re.ASCII), text)),
                 (["--json-schema", schema], is_of_schema),
                 (["--json-object", "--logit-bias", "93:2"],
                  lambda text: self.assertIsInstance(json.loads(text), dict))]
        methods = [["tidar"], ["tidar", "--groups", "all", "--guessed", 2],
                   ["tidar", "--groups", "auto"], ["self-speculative"],
                   ["lookup", "--least-match", 1], ["speculative", "--draft-model", MINI]]
        for form, is_of_form in forms:
            for sampling in ([], ["--temperature", 1, "--seed", 5],
                             ["--temperature", 0.7, "--top-k", 9]):
                ask = ["--prompt", "12 + 30 = ", "-n", 200, *form, *sampling]
                ar, _ = self.generate(MINI, *ask, "--method", "ar")
                if ar["finish_reason"] == "stop":
                    is_of_form(ar["text"])
                else:  # an object may have any number of members
                    self.assertIn("--json-object", form)
                for method in methods:
                    with self.subTest(form=form, sampling=sampling, method=method):
                        found, _ = self.generate(MINI, *ask, "--method", *method)
                        for key in ("tokens", "logprobs", "policy_logprobs", "finish_reason"):
                            self.assertEqual(found[key], ar[key])
        below, _ = self.generate(MINI, "--prompt", "a", "-n", 100, "--json-schema", schema,
                                 "--trust-ar", 0.3)
        is_of_schema(below["text"])

    def test_forms_that_cannot_be_met(self):
        ask = ["generate", "--model", MINI, "--prompt", "a"]
        self.refuse(1, *ask, "--regex", "(", holds=["regular expression, at byte 2"])
        self.refuse(1, *ask, "--regex", "((a{1000}){1000})", holds=["too large"])
        self.refuse(1, *ask, "--json-schema", self.put("s.json", '{"oneOf": []}'),
                    holds=["the schema at #: 'oneOf'"])
        self.refuse(1, *ask, "--json-schema", self.folder / "nowhere", holds=["nowhere"])
        self.refuse(1, *ask, "--regex", "a", "--ignore-eos", holds=["--ignore-eos"])
        self.refuse(2, *ask, "--regex", "a", "--json-object", holds=["--regex", "--json-object"])
        for method in ("block-diffusion", "masked-diffusion"):
            self.refuse(1, *ask, "--regex", "a", "--method", method,
                        holds=["cannot keep to a given form of output"])

    def test_flags_of_other_methods(self):
        ask = ["generate", "--model", FIXTURES / "qwen2", "--prompt-ids", "1,2", "--max-new", 2]
        self.refuse(1, *ask, "--draft-length", 4, holds=["--draft-length", "ar"])
        mask = [*ask, "--mask-token", 511]
        self.refuse(1, *mask, "--shifted-logits", holds=["tidar", "masked-diffusion"])
        for method, *flag in [("block-diffusion", "--groups", "all"),
                              ("self-speculative", "--prices", "none"),
                              ("masked-diffusion", "--per-pass", 1), ("ar", "--trust-ar", 1)]:
            self.refuse(2, *mask, "--method", method, *flag, holds=[flag[0], method])
        self.succeed(*mask, "--method", "self-speculative", "--draft-length", 4)


if __name__ == "__main__":
    main()
