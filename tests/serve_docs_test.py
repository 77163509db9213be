#!/usr/bin/env python3
"""What docs/serving.md tells its readers to type: every curl of it, as it stands there, is answered.

    python3 tests/serve_docs_test.py build/release/tidar
"""

import re
import shutil
import subprocess

from outside import ROOT, Case, main
from served import TEMPLATE, Served

# A command begins at the margin of its block and goes on where lines are indented further.
COMMAND = re.compile(r"^    (curl .*(?:\n     +.*)*)", re.MULTILINE)


class Documented(Case):
    def test_every_curl_is_answered(self):
        model = self.folder / "tidar-mini"
        shutil.copytree(ROOT / "models/tidar-mini", model)
        (model / "chat_template.jinja").write_text(TEMPLATE)
        server = Served(model)
        commands = COMMAND.findall((ROOT / "docs/serving.md").read_text(encoding="utf-8"))
        self.assertGreater(len(commands), 10)
        for command in commands:
            with self.subTest(command):
                there = command.replace("localhost:8080", f"127.0.0.1:{server.port}")
                self.assertNotEqual(command, there)
                there = there.replace("curl", "curl -sS -f --max-time 60", 1)
                done = subprocess.run(["bash", "-c", there], capture_output=True, text=True,
                                      check=False)
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assertTrue(done.stdout.strip())
        self.assertEqual(server.end(), (0, ""))


if __name__ == "__main__":
    main()
