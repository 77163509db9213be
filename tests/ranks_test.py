#!/usr/bin/env python3
"""Training between processes: `mpirun -n 2 tidar train`, whole, killed and misused.

    python3 tests/ranks_test.py build/release/tidar
"""

import fcntl
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

from outside import PROGRAM, Case, has_sanitizer, main, small_run

FOLDER, FIELDS = pathlib.Path(), {}  # what setUpModule makes
STEPS = 40
LIBRARY = "libtidar_mpi.so"
# Ranks of one machine, which talk through its memory; the tests may be root's.
MPI = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMPI_MCA_plm": "isolated",
       "OMPI_MCA_btl": "self,vader", "OMPI_MCA_btl_vader_single_copy_mechanism": "none",
       "OMPI_MCA_rmaps_base_oversubscribe": "1", "OMPI_MCA_hwloc_base_binding_policy": "none"}


def setUpModule():
    global FOLDER, FIELDS
    if shutil.which("mpirun") is None or not pathlib.Path(PROGRAM).with_name(LIBRARY).exists():
        raise unittest.SkipTest("needs Open MPI (openmpi-bin, libopenmpi-dev)")
    if has_sanitizer():
        raise unittest.SkipTest("Open MPI's own memory is not what sanitizers are to look at")
    holder = tempfile.TemporaryDirectory()
    unittest.addModuleCleanup(holder.cleanup)
    FOLDER = pathlib.Path(holder.name)
    FIELDS = small_run(FOLDER, steps=STEPS)
    FIELDS.update(packs=2, checkpoint_every=4, log_every=1)


def ranks_of(mpirun):
    """Process ids of the ranks that it began."""
    found = []
    for status in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            text = status.read_text()
            command = (status.parent / "cmdline").read_bytes()
        except OSError:
            continue
        parent = int(text.rsplit(")", 1)[1].split()[1])
        if parent == mpirun.pid and command.startswith(PROGRAM.encode()):
            found.append(int(status.parent.name))
    return sorted(found)


def have_met(mpirun):
    """Whether its first rank has opened the lock of the run's folder, which comes behind."""
    for rank in ranks_of(mpirun):
        try:
            files = [os.readlink(file) for file in pathlib.Path(f"/proc/{rank}/fd").iterdir()]
        except OSError:  # it ended, or closed one, meanwhile
            continue
        if any(file.endswith("/.lock") for file in files):
            return True
    return False


class Ranks(Case):
    def begin(self, *args, ranks=2, **changes):
        fields = {**FIELDS, "out": str(self.out), **changes}
        config = self.put("run.json", json.dumps(fields))
        command = [PROGRAM, "train", "--config", str(config), "--threads", "1", *args]
        if ranks > 1:
            command = ["mpirun", "-n", str(ranks), *command]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                env={**os.environ, **MPI})

    def train(self, *args, ranks=2, code=0, **changes):
        process = self.begin(*args, ranks=ranks, **changes)
        _, err = process.communicate(timeout=300)
        self.assertEqual(process.returncode, code, err.decode())
        return err.decode()

    def log(self):
        return [json.loads(line) for line in (self.out / "log.jsonl").read_text().splitlines()]

    def saved(self, out=None):
        latest = (out or self.out) / "latest"
        return [(latest / name).read_bytes()
                for name in ("model.safetensors", "optimizer.safetensors", "training.json")]

    def test_two_do_what_one_does_with_twice_the_packs(self):
        held = {"validation": {"held": [str(FOLDER / "text.tokens")]}, "validation_packs": 3,
                "validate_every": 20, "objective": "tidar:4"}
        err = self.train(**held)
        self.assertEqual(err.count("parameters"), 1, "one rank speaks")
        self.assertIn("on each of 2 ranks", err)
        two, first = self.log(), self.saved()
        self.out = self.folder / "again"
        self.train(**held)
        self.assertEqual(self.saved()[:2], first[:2], "runs are the same, to the bit")
        self.out = self.folder / "one"
        self.train(ranks=1, **{**held, "packs": 4})
        one = self.log()
        self.assertEqual(len(one), len(two))
        for a, b in zip(one, two):
            self.assertEqual(a["step"], b["step"])
            if "loss" in a:
                self.assertEqual((a["tokens"], a["epoch"]), (b["tokens"], b["epoch"]))
                self.assertAlmostEqual(a["loss"], b["loss"], delta=2e-4)
            else:
                self.assertAlmostEqual(a["held"]["ar"], b["held"]["ar"], delta=2e-4)

    def test_killed_at_random_moments(self):
        self.train()
        unbroken, self.out = self.saved(), self.folder / "killed"
        rng = random.Random(time.time())
        for number in range(6):
            process = self.begin("--resume")
            deadline = time.monotonic() + 60
            # Before ranks have met, mpirun itself may wait for ever for one that is killed.
            while not have_met(process) and time.monotonic() < deadline:
                if process.poll() is not None:
                    break
                time.sleep(0.01)
            time.sleep(rng.uniform(0, 1.5))
            ranks = ranks_of(process)
            if len(ranks) == 2:
                os.kill(ranks[number % 2], signal.SIGKILL)
            _, err = process.communicate(timeout=60)
            if process.returncode != 0:
                self.assertIn(b"signal 9", err)
            for saved in self.out.glob("step-*"):
                if not saved.name.endswith(".partial"):
                    self.assertTrue((saved / "training.json").exists(), "a half checkpoint")
        self.train("--resume")
        self.assertEqual(self.saved()[:2], unbroken[:2])

    def test_what_is_wrong_is_said_once(self):
        err = self.train(code=1, lerning_rate=1)
        self.assertEqual(err.count("did you mean 'learning_rate'?"), 1)
        self.train(steps=5)
        self.assertEqual(self.train(code=1, steps=5).count("go on with --resume"), 1)
        # What only the first rank meets.
        with open(self.out / ".lock", "a", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            err = self.train("--resume", code=1, steps=5)
        self.assertEqual(err.count(str(self.out)), 1, err)
        self.out = self.folder / "blocked"
        self.out.mkdir()
        (self.out / "log.jsonl").mkdir()
        err = self.train(code=1)
        self.assertEqual(err.count("log.jsonl"), 1, err)

    def test_without_the_library(self):
        program = shutil.copy(PROGRAM, self.folder / "tidar")
        config = self.put("run.json", json.dumps({**FIELDS, "out": str(self.out)}))
        done = subprocess.run([program, "train", "--config", str(config)], capture_output=True,
                              check=False, env={**os.environ, "OMPI_COMM_WORLD_SIZE": "2"})
        self.assertEqual(done.returncode, 1)
        self.assertIn("libopenmpi-dev", done.stderr.decode())


if __name__ == "__main__":
    main()
