#!/usr/bin/env python3
"""Clients that know nothing of this server, as npm has them, against a running one.

    python3 tests/clients_test.py build/release/tidar
"""

import json
import os
import shutil
import subprocess
import unittest

import served
from outside import ROOT, main

CLIENTS = ROOT / "tests/clients"
KEY = "a key"


def why_not():
    """What lacks, or nothing."""
    if shutil.which("node") is None:
        return "node is not installed"
    if not (CLIENTS / "node_modules/installed").exists():
        return "scripts/fetch-clients has not run"
    return ""


@unittest.skipIf(why_not(), why_not())
class Clients(served.ServedCase):
    # Without prices, so that passes, and what usage tells of them, do not depend on the clock.
    FLAGS = ("--api-key", KEY, "--max-concurrent", 4, "--context", 512, "--prices", "none")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.given = {
            "url": f"http://127.0.0.1:{cls.server.port}", "key": KEY,
            "model": cls.model.name,
            "completion": cls.asked("/v1/completions", prompt="hello", max_tokens=24, logprobs=2),
            "chat": cls.asked("/v1/chat/completions", logprobs=True, top_logprobs=2, max_tokens=20,
                              messages=[{"role": "user", "content": "who is it?"}])}

    @classmethod
    def asked(cls, path, **body):
        body["temperature"] = 0
        status, answer, _ = cls.server.ask("POST", path, body,
                                           headers={"Authorization": f"Bearer {KEY}"})
        assert status == 200, answer
        return {"body": body, "answer": answer}

    def run_client(self, name):
        environment = {**os.environ, "NO_COLOR": "1", "LANGSMITH_TRACING": "false"}
        done = subprocess.run(["node", CLIENTS / f"{name}.mjs"], input=json.dumps(self.given),
                              capture_output=True, text=True, timeout=300, check=False,
                              env=environment)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_openai(self):
        self.run_client("openai")

    def test_ai_sdk(self):
        self.run_client("ai_sdk")

    def test_langchain(self):
        self.run_client("langchain")


if __name__ == "__main__":
    main()
