#!/usr/bin/env python3
"""`tidar data` from outside: tokenizers that other programs load, and token shards.

    python3 tests/data_test.py build/release/tidar

The comparison with other tokenizers needs node and what scripts/fetch-node-tokenizers puts into
build/node.
"""

import fcntl
import json
import math
import os
import pathlib
import pty
import random
import shutil
import signal
import struct
import subprocess
import termios
import time
import unittest

from outside import (PROGRAM, WITHOUT_OTHER_TOKENIZERS, Case, has_sanitizer, main,
                     other_tokenizers, run)

WORDS = ("the quick brown fox jumps over a lazy dog while naïve coders don't sleep until 2024, "
         "because they'll have written café, Straße, 日本語 and Ελλάδα; total = sum(x * 3 for x in "
         "items)  # why?").split()


def read_shard(path):
    """(vocabulary, documents, prompts) by the grammar of src/format/token_shards.h; in version 2 the
    stretches that are given in place of prompts."""
    data = pathlib.Path(path).read_bytes()
    magic, version, width, vocabulary, tokens, count = struct.unpack_from("<8sIIQQQ", data)
    assert magic == b"tidartok" and version in (1, 2)
    ids = struct.unpack_from(f"<{tokens}{'H' if width == 2 else 'I'}", data, 40)
    at = 40 + tokens * width
    at += -at % 8
    ends = struct.unpack_from(f"<{count}Q", data, at)
    prompts = struct.unpack_from(f"<{count}I", data, at + 8 * count)
    documents = [list(ids[b:e]) for b, e in zip((0, *ends), ends)]
    at += 12 * count
    if version == 1:
        assert at == len(data)
        return vocabulary, documents, list(prompts)
    given_ends = struct.unpack_from(f"<{count}Q", data, at)
    given = list(struct.iter_unpack("<II", data[at + 8 * count :]))
    assert len(given) == given_ends[-1]
    return (vocabulary, documents,
            [[(0, prompt), *given[b:e]] for prompt, b, e in zip(prompts, (0, *given_ends), given_ends)])


class DataCase(Case):
    def make_tokenizer(self, *flags, vocabulary=500):
        rng = random.Random(1)
        made = ["".join(rng.choices("abcdeéß日", k=rng.randint(2, 6))) for _ in range(200)]
        text = " ".join(rng.choices(WORDS + made, k=3000))
        out, _ = self.succeed("data", "tokenizer", self.put("corpus.txt", text), "--out",
                              self.folder / "tokenizer", "--vocabulary", vocabulary, "--json",
                              *flags)
        return self.folder / "tokenizer", json.loads(out)

    def encode(self, tokenizer, text):
        out, _ = self.succeed("tokenize", "--model", tokenizer, text=text.encode())
        return json.loads(out)


class Tokenizers(DataCase):
    def test_report(self):
        _, report = self.make_tokenizer()
        self.assertEqual(report["vocabulary"], 500)
        self.assertEqual(report["merges"], 500 - 256 - 2)
        self.assertEqual((report["documents"], report["bad_lines"]), (1, 0))

    def test_a_text_with_too_few_pairs(self):
        out, err = self.succeed("data", "tokenizer", self.put("c.txt", "ab ab"), "--out",
                                self.folder / "t")
        self.assertIn("too few pairs", err)
        self.assertIn("259 tokens (1 merge) from 1 document, 5 B of text", out)

    def test_special_tokens_have_the_last_ids(self):
        tokenizer, _ = self.make_tokenizer("--end", "<eos>", "--mask", "<mask>", "--special",
                                           "<user>", "--special", "<bot>")
        self.assertEqual(self.encode(tokenizer, "<eos><mask><user><bot>"), [496, 497, 498, 499])
        config = json.loads((tokenizer / "tokenizer_config.json").read_text())
        self.assertEqual((config["eos_token"], config["mask_token"]), ("<eos>", "<mask>"))

    def test_wrong_use(self):
        text = self.put("c.txt", "text")
        self.refuse(1, "data", "tokenizer", text, "--out", self.folder / "t", "--vocabulary", 200,
                    holds=["a vocabulary of 200 tokens", "258"])
        self.refuse(1, "data", "tokenizer", self.folder / "none.txt", "--out", self.folder / "t",
                    holds=["none.txt: cannot be opened"])
        self.refuse(1, "data", "tokenizer", self.put("empty.txt", ""), "--out", self.folder / "t",
                    holds=["no document was found (1 bad line)"], alone=False)
        self.refuse(1, "data", "tokenizer", text, "--out", text, holds=["cannot be created"])
        self.refuse(2, "data", "tokenizers", holds=["did you mean tokenizer?"])
        self.assertFalse((self.folder / "t").exists())

    def random_texts(self, rng, count):
        pieces = [*WORDS, " ", "  ", "\n", "\r\n", "\t", "1234567", "<|mask|>", "<|endoftext|>",
                  "'s", "'LL", "e\u0301", "\u00a0", "😀", "🇫🇷", "\u200d", "\x00", "__init__", "...",
                  "\u3000", "ﬁ", "½", "x" * 300, "    return", "==", "\u0e01\u0e33"]
        for _ in range(count):
            parts = rng.choices(pieces, k=rng.randint(0, 12))
            parts += [chr(rng.choice([rng.randrange(0x20, 0x250), rng.randrange(0x370, 0xD800)]))]
            rng.shuffle(parts)
            yield rng.choice(["", " "]).join(parts)

    @unittest.skipIf(WITHOUT_OTHER_TOKENIZERS, WITHOUT_OTHER_TOKENIZERS)
    def test_other_programs_encode_alike(self):
        tokenizer, _ = self.make_tokenizer(vocabulary=700)
        seed = random.randrange(1 << 32)
        texts = list(self.random_texts(random.Random(seed), 300))
        libraries = other_tokenizers(tokenizer, texts)
        for number, text in enumerate(texts):
            ours = self.encode(tokenizer, text)
            decoded, _ = self.succeed("detokenize", "--model", tokenizer,
                                      text=json.dumps(ours).encode())
            for library, answers in libraries.items():
                where = f"{library}, seed {seed}, text {text!r}"
                self.assertEqual(answers[number]["ids"], ours, where)
                self.assertEqual(answers[number]["decoded"], decoded, where)


TEMPLATE = ("{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
            "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")
# What was thought is left out once another message follows.
THINKING = TEMPLATE.replace("{{ m.content }}", "{% if m.role == 'assistant' and loop.last %}(a dog)"
                            "{% endif %}{{ m.content }}")


class Conversations(DataCase):
    def setUp(self):
        super().setUp()
        self.tokenizer, _ = self.make_tokenizer("--special", "<|im_start|>", "--special", "<|im_end|>")
        (self.tokenizer / "chat_template.jinja").write_text(TEMPLATE)

    def prompt(self, messages, asks):
        """The prompt's ids, as the model reads them in decoding."""
        given = json.dumps({"messages": messages, "add_generation_prompt": asks})
        return json.loads(self.succeed("prompt", "--model", self.tokenizer, "--ids", text=given)[0])

    def make(self, *lines, flags=()):
        file = self.put("c.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
        shard = self.folder / "c.tokens"
        out, err = self.succeed("data", "tokens", file, "--tokenizer", self.tokenizer, "--out",
                                shard, "--json", "--force", *flags)
        return json.loads(out), err, *read_shard(shard)[1:]

    def turns(self, *contents):
        return [{"role": role, "content": content}
                for role, content in zip(("system", *("user", "assistant") * 9), contents)]

    def test_answers_are_learnt_and_all_else_is_given(self):
        messages = self.turns("be a fox", "why?", "the dog sleeps", "until when? <|im_end|>", "2024",
                              "thanks")
        report, _, documents, given = self.make({"messages": messages}, {"messages": messages[:3]})
        self.assertEqual((report["documents"], report["conversations"], report["bad_lines"]),
                         (2, 2, 0))
        self.assertEqual(report["tokens"], sum(map(len, documents)))
        self.assertEqual(report["prompt_tokens"], sum(end - begin for stretches in given
                                                      for begin, end in stretches))
        end, = self.encode(self.tokenizer, "<|im_end|>")
        learnt = [list(self.learnt(*one)) for one in zip(documents, given)]
        answers = [self.encode(self.tokenizer, text) + [end] for text in ("the dog sleeps", "2024")]
        self.assertEqual(learnt, [answers, answers[:1]])
        # What is learnt stands behind the very prompt that decoding reads.
        prompt = self.prompt(messages[:2], True)
        self.assertEqual(documents[0][: len(prompt)], prompt)
        self.assertEqual(given[0][0], (0, len(prompt)))
        whole = self.prompt(messages[:5], False)
        self.assertEqual(documents[0], whole[: len(documents[0])])

    @staticmethod
    def learnt(document, given):
        at = 0
        for begin, end in (*given, (len(document), len(document))):
            if begin > at:
                yield document[at:begin]
            at = end

    def test_a_template_that_rewrites_answers_gives_a_document_for_each(self):
        (self.tokenizer / "chat_template.jinja").write_text(THINKING)
        messages = self.turns("be", "why?", "the dog", "when?", "2024")
        report, _, documents, prompts = self.make({"messages": messages})
        self.assertEqual((report["conversations"], report["answer_documents"]), (1, 2))
        for document, prompt, count in zip(documents, prompts, (2, 4)):
            self.assertEqual(document[:prompt], self.prompt(messages[:count], True))

    def test_text_goes_before_messages(self):
        report, _, documents, _ = self.make({"messages": self.turns("a", "b", "c"), "text": "the"})
        self.assertEqual((report["conversations"], report["documents"]), (0, 1))
        self.assertEqual(documents[0][:-1], self.encode(self.tokenizer, "the"))

    def test_what_cannot_be_learnt_is_a_bad_line(self):
        report, err, documents, _ = self.make(
            {"messages": self.turns("a", "b")}, {"messages": self.turns("a", "b", "c")},
            {"messages": "text"})
        self.assertEqual((report["documents"], report["bad_lines"], len(documents)), (1, 2, 1))
        self.assertIn("c.jsonl:1: has no message of the role 'assistant'", err)
        (self.tokenizer / "chat_template.jinja").unlink()
        file = self.put("c.jsonl", json.dumps({"messages": self.turns("a", "b", "c")}))
        self.refuse(1, "data", "tokens", file, "--tokenizer", self.tokenizer, "--out",
                    self.folder / "none", holds=["chat_template.jinja"])
        self.assertFalse((self.folder / "none").exists())

    def test_training_learns_answers_alone(self):
        """The loss is the mean of the cross-entropies of the answers' tokens."""
        messages = self.turns("be", "why?", "the dog", "when?", "2024")
        _, _, documents, given = self.make(*[{"messages": messages}] * 4)
        config = {"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "vocab_size": 500,
                  "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 1,
                  "num_key_value_heads": 1, "head_dim": 16, "intermediate_size": 16,
                  "max_position_embeddings": 512, "tie_word_embeddings": True}
        fields = {"model_config": str(self.put("config.json", json.dumps(config))),
                  "tokenizer": str(self.tokenizer), "out": str(self.folder / "run"),
                  "train": [str(self.folder / "c.tokens")], "prompts": "given", "steps": 1,
                  "learning_rate": 0, "sequence": 256, "packs": 1, "validate_every": 0}
        self.succeed("train", "--config", self.put("run.json", json.dumps(fields)))
        line = json.loads((self.folder / "run/log.jsonl").read_text().splitlines()[0])
        ids, file = documents[0], self.folder / "logits"
        self.succeed("logits", "--model", self.folder / "run/latest", "--ids",
                     ",".join(map(str, ids)), "--out", file)
        rows = list(struct.iter_unpack("<500f", file.read_bytes()))
        losses = [math.log(math.fsum(map(math.exp, rows[at - 1]))) - rows[at - 1][token]
                  for at, token in enumerate(ids)
                  if not any(begin <= at < end for begin, end in given[0])]
        self.assertGreater(len(losses), 6)
        self.assertAlmostEqual(line["loss"], math.fsum(losses) / len(losses), delta=1e-4)


class Shards(DataCase):
    def test_documents_prompts_and_bad_lines(self):
        tokenizer, _ = self.make_tokenizer()
        lines = self.put("c.jsonl", '{"q": "the fox?", "a": "a dog"}\nnonsense\n'
                         '{"q": "no answer"}\n\n{"q": "total", "a": 3}\n')
        shard = self.folder / "c.tokens"
        out, err = self.succeed("data", "tokens", lines, "--tokenizer", tokenizer, "--out", shard,
                                "--prompt", "Q: {q}\\nA:", "--template", " {a}", "--json")
        report = json.loads(out)
        self.assertEqual([(b["line"], b["problem"][:12]) for b in report["first_bad_lines"]],
                         [(2, "is not valid"), (3, "has no field")])
        self.assertIn("c.jsonl:3: has no field 'a'", err)
        vocabulary, documents, prompts = read_shard(shard)
        end = self.encode(tokenizer, "<|endoftext|>")
        wanted = [(self.encode(tokenizer, "Q: the fox?\nA:"), self.encode(tokenizer, " a dog")),
                  (self.encode(tokenizer, "Q: total\nA:"), self.encode(tokenizer, " 3"))]
        self.assertEqual(vocabulary, 500)
        self.assertEqual(documents, [p + t + end for p, t in wanted])
        self.assertEqual(prompts, [len(p) for p, _ in wanted])
        self.assertEqual(report["documents"], 2)
        self.assertEqual(report["tokens"], sum(map(len, documents)))
        self.assertEqual(report["prompt_tokens"], sum(prompts))
        self.assertEqual(report["bytes"], shard.stat().st_size)

    def test_documents_that_were_cut_have_no_end(self):
        tokenizer, _ = self.make_tokenizer()
        reasons = [None, "stop", "length", "context", "cancelled", "eos", 5]
        lines = [json.dumps({"text": "a dog", "finish_reason": reason}) for reason in reasons]
        lines = self.put("c.jsonl", "\n".join([*lines, '{"text": "a dog"}']))
        shard = self.folder / "c.tokens"
        base = ["data", "tokens", lines, "--tokenizer", tokenizer, "--force", "--out", shard]
        out, _ = self.succeed(*base, "--json")
        self.assertEqual(json.loads(out)["cut_documents"], 3)
        text, end = self.encode(tokenizer, "a dog"), self.encode(tokenizer, "<|endoftext|>")
        _, documents, _ = read_shard(shard)
        self.assertEqual(documents, [text + ([] if reason in ("length", "context", "cancelled")
                                             else end) for reason in [*reasons, None]])
        out, _ = self.succeed(*base)
        self.assertIn("3 documents that were cut", out)

    def test_documents_of_one_token_and_long_ones(self):
        tokenizer, _ = self.make_tokenizer()
        long = "the quick fox " * 5000
        lines = self.put("c.jsonl", "".join(json.dumps({"text": text}) + "\n"
                                            for text in ("a", long, "b", "a dog")))
        shard = self.folder / "s"
        base = ["data", "tokens", lines, "--tokenizer", tokenizer, "--force", "--out", shard]
        out, _ = self.succeed(*base, "--no-end", "--json")
        report = json.loads(out)
        self.assertEqual(report["one_token_documents"], 2)
        _, documents, _ = read_shard(shard)
        self.assertEqual(documents[1], self.encode(tokenizer, long))
        self.assertEqual(report["longest_document"], len(documents[1]))
        out, _ = self.succeed(*base, "--no-end")
        self.assertIn("2 documents of one token, from which nothing can be learnt", out)
        out, _ = self.succeed(*base, "--json")  # with the end behind them, there are two tokens
        self.assertEqual(json.loads(out)["one_token_documents"], 0)

    def test_an_empty_corpus(self):
        tokenizer, _ = self.make_tokenizer()
        for name, text in (("e.txt", ""), ("e.jsonl", ""), ("blank.jsonl", "\n\n")):
            self.refuse(1, "data", "tokens", self.put(name, text), "--tokenizer", tokenizer,
                        "--out", self.folder / "s", holds=[name, "no document was found"],
                        alone=False)
            self.assertFalse((self.folder / "s").exists())

    def test_text_files_and_zstd(self):
        tokenizer, _ = self.make_tokenizer()
        text = self.put("a.txt", "the quick fox\n")
        shard = self.folder / "s"
        self.succeed("data", "tokens", text, text, "--tokenizer", tokenizer, "--out", shard,
                     "--no-end")
        ids = self.encode(tokenizer, "the quick fox\n")
        self.assertEqual(read_shard(shard)[1], [ids, ids])
        if shutil.which("zstd"):
            subprocess.run(["zstd", "-q", text], check=True)
            self.succeed("data", "tokens", f"{text}.zst", "--tokenizer", tokenizer, "--out", shard,
                         "--no-end", "--force")
            self.assertEqual(read_shard(shard)[1], [ids])

    def test_special_tokens_in_the_text_are_reported(self):
        tokenizer, _ = self.make_tokenizer()
        out, _ = self.succeed("data", "tokens", self.put("a.txt", "a <|mask|> b <|mask|>"),
                              "--tokenizer", tokenizer, "--out", self.folder / "s", "--json")
        self.assertEqual(json.loads(out)["special_tokens_in_text"], {"<|mask|>": 2})

    def test_a_corpus_is_not_replaced_by_its_shard(self):
        tokenizer, _ = self.make_tokenizer()
        text = self.put("a.txt", "the quick fox\n")
        other = self.folder / "link.txt"
        other.symlink_to(text)
        for out in (text, other):
            self.refuse(1, "data", "tokens", text, "--tokenizer", tokenizer, "--out", out,
                        holds=[f"--out {out}", "one of the files to read"])
        self.assertEqual(text.read_text(), "the quick fox\n")

    def test_errors_leave_the_old_shard(self):
        tokenizer, _ = self.make_tokenizer()
        shard = self.put("s", "old")
        base = ["data", "tokens", "--tokenizer", tokenizer, "--out", shard]
        self.refuse(1, *base, self.put("good.txt", "x"), holds=["s is there already", "--force"])
        self.refuse(1, "data", "tokenizer", self.put("good.txt", "x"), "--out", tokenizer,
                    holds=["tokenizer.json is there already", "--force"])
        base.append("--force")
        self.refuse(1, *base, self.put("bad.jsonl", "{}\n[]\n"), alone=False,
                    holds=["2 bad lines", "no document"])
        self.refuse(1, *base, self.put("a.jsonl", '{"text": "x"}'), self.folder / "none",
                    holds=["none: cannot be opened"])
        self.refuse(1, *base, self.put("a.txt", "x"), "--end", "<nowhere>",
                    holds=["has no token '<nowhere>'"])
        self.refuse(2, *base, self.put("b.txt", "x"), "--template", "{a", holds=["template '{a'"])
        self.assertEqual(shard.read_text(), "old")
        self.assertFalse((self.folder / "s.partial").exists())
        (tokenizer / "tokenizer_config.json").unlink()
        self.refuse(1, *base, self.put("a.txt", "x"), holds=["eos_token", "--no-end"])

    def test_an_interrupted_run_leaves_nothing(self):
        tokenizer, _ = self.make_tokenizer()
        pipe = self.folder / "endless.jsonl"
        os.mkfifo(pipe)
        run = subprocess.Popen([PROGRAM, "data", "tokens", pipe, "--tokenizer", tokenizer, "--out",
                                self.folder / "s"], stderr=subprocess.DEVNULL)
        with open(pipe, "wb", buffering=0) as writer:
            writer.write(b'{"text": "one"}\n' * 100)
            time.sleep(0.3)
            run.send_signal(signal.SIGINT)
            time.sleep(0.1)
            writer.write(b'{"text": "two"}\n' * 100)
        self.assertEqual(run.wait(timeout=60), 130)
        self.assertFalse((self.folder / "s").exists() or (self.folder / "s.partial").exists())

    def test_progress_on_a_terminal(self):
        tokenizer, _ = self.make_tokenizer()
        text = self.put("big.jsonl", '{"text": "' + "the quick fox " * 200 + '"}\n')
        text.write_text(text.read_text() * 8000)
        flags = [PROGRAM, "data", "tokens", text, "--tokenizer", tokenizer, "--out",
                 self.folder / "s", "--force"]
        done = subprocess.run(flags, capture_output=True, timeout=300, check=True)
        # In a pipe a line now and then, for which this is too short but with a sanitizer.
        lines = r"( *\d+ %  [^\r\n]* documents\n)*" if has_sanitizer() else ""
        self.assertRegex(done.stderr.decode(), rf"\A{lines}\Z")
        ours, theirs = pty.openpty()
        columns = 20
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        subprocess.run(flags, stdout=subprocess.DEVNULL, stderr=theirs, timeout=300, check=True)
        os.close(theirs)
        shown = os.read(ours, 10_000).decode()
        os.close(ours)
        self.assertIn("%", shown)
        for line in shown.split("\r\x1b[K"):
            self.assertLessEqual(len(line), columns, line)


if __name__ == "__main__":
    main()
