#!/usr/bin/env python3
"""Conversations on a pipe and on a terminal.

    python3 tests/chat_test.py build/release/tidar
"""

import json
import os
import pty
import signal
import subprocess

from outside import PROGRAM, FixtureCase, comma, main, run

TEMPLATE = ("{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m.content }}{{ eos_token }}"
            "{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}")


class Chat(FixtureCase):
    def chat_model(self, **changes):
        model = self.edit_config(self.lettered_model(),
                                 **{"max_position_embeddings": 4096, **changes})
        (model / "chat_template.jinja").write_text(TEMPLATE)
        (model / "tokenizer_config.json").write_text(
            json.dumps({"bos_token": "<bos>", "eos_token": "<eos>"}))
        return model

    def chat(self, model, text, *args):
        return self.succeed("chat", "--model", model, "-n", 12, *args, text=text)[0]

    def answer(self, model, messages, *args):
        """What generate writes behind the prompt of these messages."""
        ids, _ = self.succeed("prompt", "--model", model, "--ids", text=json.dumps(messages))
        return self.succeed("generate", "--model", model, "-n", 12, *args, "--prompt-ids",
                            comma(json.loads(ids)))[0]

    def test_each_answer_goes_on_from_all_that_was_said(self):
        model = self.chat_model()
        for args in ([], ["--temperature", 1, "--seed", 5]):
            messages = [{"role": "system", "content": "be brief"},
                        {"role": "user", "content": "hello <eos>"}]
            first = self.answer(model, messages, *args)
            messages += [{"role": "assistant", "content": first[:-1]},
                         {"role": "user", "content": "and then?"}]
            second = self.answer(model, messages, *args)
            out = self.chat(model, "hello <eos>\n\nand then?", "--system", "be brief", *args)
            self.assertEqual(out, first + second)

    def test_commands(self):
        model = self.chat_model()
        first = self.chat(model, "hello\n")
        self.assertEqual(self.chat(model, "hello\r\n/reset\nhello\n/exit\nhello\n"), first + first)
        out, err = self.succeed("chat", "--model", model, text="/help\n/what\n")
        self.assertEqual(out, "")
        self.assertIn("/reset begins", err.splitlines()[0])
        self.assertIn("no such command", err.splitlines()[1])

    def test_a_model_without_a_template(self):
        model = self.lettered_model()
        self.refuse(1, "chat", "--model", model, text="hello",
                    holds=["has no chat template", "chat_template.jinja", "tidar generate"])

    def test_what_cannot_be_answered(self):
        model = self.chat_model()
        self.refuse(1, "chat", "--model", model, "--context", 64, text="hello" * 20 + "\n")
        (model / "chat_template.jinja").write_text("{{ raise_exception('only systems speak') }}")
        self.refuse(1, "chat", "--model", model, text="hello\n", holds=["only systems speak"])

    def test_an_answer_without_a_choice(self):
        model = self.chat_model()
        size = json.loads((model / "config.json").read_text())["vocab_size"]
        forbidden = [part for token in range(size) for part in ("--logit-bias", f"{token}:-inf")]
        code, _, err = run("chat", "--model", model, *forbidden, text="hello\n")
        self.assertEqual(code, 1)
        self.assertIn("nothing can be chosen", err)

    def test_interrupt_ends_the_answer_only(self):
        model = self.chat_model(max_position_embeddings=1 << 20)
        ours, theirs = pty.openpty()
        child = subprocess.Popen([PROGRAM, "chat", "--model", model, "--ignore-eos", "-n", "190000",
                                  "--context", "200000"], stdin=theirs, stdout=subprocess.PIPE,
                                 stderr=subprocess.DEVNULL)
        self.addCleanup(child.kill)
        os.close(theirs)
        os.write(ours, b"hello\n")
        self.assertEqual(child.stdout.read(2), b"> ")
        child.stdout.read(8)  # it is answering
        child.send_signal(signal.SIGINT)
        os.write(ours, b"/exit\n")
        rest, _ = child.communicate(timeout=60)
        os.close(ours)
        self.assertEqual(child.returncode, 0)
        self.assertTrue(rest.endswith(b"\n> "), rest[-20:])
        self.assertLess(len(rest), 190000)


if __name__ == "__main__":
    main()
