#!/usr/bin/env python3
"""The page of the server, used in a browser.

    python3 tests/page_test.py build/release/tidar
"""

import json
import shutil
import subprocess
import unittest

import served
from clients_test import CLIENTS, why_not
from outside import ROOT, main
from served import Served

KEY = "a key"
WEB = ROOT / "web"
PROMPT = "Question: Tom has 12 apples and buys 30 more. How many apples does Tom have?\n"


def lacks():
    """What lacks, or nothing."""
    return why_not() or ("" if shutil.which("chromium") else "chromium is not installed")


def use(scenario, server, **given):
    """Runs a scenario of tests/clients/page.mjs."""
    done = subprocess.run(
        ["node", CLIENTS / "page.mjs", scenario], capture_output=True, text=True, timeout=300,
        check=False, input=json.dumps({"chromium": shutil.which("chromium"), "prompt": PROMPT,
                                       "url": f"http://127.0.0.1:{server.port}", **given}))
    return done.returncode, done.stdout + done.stderr


@unittest.skipIf(lacks(), lacks())
class Page(unittest.TestCase):
    """Of the bundled model, whose drafts are worth looking at."""

    @classmethod
    def setUpClass(cls):
        cls.server = Served(ROOT / "models/tidar-mini", "--prices", "none")
        cls.addClassCleanup(cls.server.end)
        if b"<title>" not in cls.server.get("/"):
            raise unittest.SkipTest("the program was built without its page")
        answer = cls.server.post("/v1/completions", prompt=PROMPT, max_tokens=48, temperature=0)
        cls.text = answer["choices"][0]["text"]

    def use(self, scenario):
        code, output = use(scenario, self.server, text=self.text)
        self.assertEqual(code, 0, output)

    def test_completion(self):
        self.use("completion")

    def test_passes(self):
        self.use("passes")

    def test_race(self):
        self.use("race")

    def test_what_the_server_does(self):
        self.use("live")

    def test_what_is_wrong_is_said(self):
        self.use("wrong")


@unittest.skipUnless((WEB / "node_modules/installed").exists(), "scripts/fetch-page-tools did not run")
class Types(unittest.TestCase):
    def test_they_fit(self):
        done = subprocess.run([WEB / "node_modules/.bin/tsc", "--noEmit"], cwd=WEB, check=False,
                              capture_output=True, text=True, timeout=300)
        self.assertEqual((done.returncode, done.stdout), (0, ""))


@unittest.skipIf(lacks(), lacks())
class Chat(served.ServedCase):
    FLAGS = ("--api-key", KEY, "--context", 512)

    def test_chat(self):
        if b"<title>" not in self.server.get("/"):
            self.skipTest("the program was built without its page")
        code, output = use("chat", self.server, key=KEY)
        self.assertEqual(code, 0, output)


if __name__ == "__main__":
    main()
