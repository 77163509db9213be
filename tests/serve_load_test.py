#!/usr/bin/env python3
"""The server under load: many streams at once, a third of them cut at random moments. No page is
lost, and nobody hears of an error but those that went.

    python3 tests/serve_load_test.py build/release/tidar [--long]

--long has a thousand streams open for a minute, and prints how /health and /metrics fared.
"""

import asyncio
import json
import random
import sys
import time
import unittest

from outside import ROOT, main
from served import Served

LONG = "--long" in sys.argv
sys.argv = [arg for arg in sys.argv if arg != "--long"]
STREAMS, SECONDS = (1000, 60) if LONG else (120, 4)
CONTEXT = 256


def post(path, body):
    data = json.dumps(body).encode()
    return (f"POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
            f"Content-Length: {len(data)}\r\n\r\n").encode() + data


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


class Load:
    """Clients that come again and again until the time is over."""

    def __init__(self, server):
        self.server = server
        self.over = time.monotonic() + SECONDS
        self.whole = self.cut = self.tokens = self.failed = 0
        self.open = self.most_open = 0
        self.latencies = {"/health": [], "/metrics": []}
        self.resident = []
        self.wrong = []

    async def connect(self):
        return await asyncio.open_connection("127.0.0.1", self.server.port, limit=1 << 24)

    async def run(self):
        clients = [self.client(i) for i in range(STREAMS)]
        watchers = [self.watch(path) for path in self.latencies]
        await asyncio.gather(*clients, *watchers, self.slow_reader())

    async def client(self, number):
        rng = random.Random(number)
        await asyncio.sleep(rng.random() * SECONDS / 4)
        while time.monotonic() < self.over:
            tokens = rng.randrange(4, 60)
            body = {"prompt": "Question: %d + %d = " % (rng.randrange(9), rng.randrange(9)),
                    "max_tokens": tokens, "ignore_eos": True, "stream": True, "seed": number,
                    "method": rng.choice(["ar", "tidar", "lookup"]), "temperature": 0.7,
                    "stream_options": {"include_usage": True}}
            cut_after = rng.random() * 2 if rng.random() < 1 / 3 else None
            self.open += 1
            self.most_open = max(self.most_open, self.open)
            reader, writer = await self.connect()
            writer.write(post("/v1/completions", body))
            try:
                answer = await asyncio.wait_for(reader.read(-1), cut_after)
                self.take(answer, tokens)
            except TimeoutError:
                self.cut += 1
            writer.close()
            self.open -= 1

    def take(self, answer, tokens):
        """Of a stream that was not cut."""
        events = [event for event in answer.split(b"\n") if event.startswith(b"data: ")]
        if len(events) < 2 or events[-1] != b"data: [DONE]":
            self.wrong.append(answer[-300:])
            return
        usage = json.loads(events[-2][6:])["usage"]
        if usage["completion_tokens"] != tokens:
            self.wrong.append(events[-2])
        self.whole += 1
        self.tokens += usage["completion_tokens"]

    async def watch(self, path):
        while time.monotonic() < self.over:
            began = time.perf_counter()
            reader, writer = await self.connect()
            writer.write(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
            answer = await reader.read(-1)
            self.latencies[path].append(time.perf_counter() - began)
            writer.close()
            if not answer.startswith(b"HTTP/1.1 200 OK"):
                self.wrong.append(answer[:300])
            if path == "/metrics":
                line = next(line for line in answer.decode().splitlines()
                            if line.startswith("process_resident"))
                self.resident.append(float(line.split()[1]))
            await asyncio.sleep(0.05)

    async def slow_reader(self):
        """Asks for much and reads none of it until the others have gone."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port, limit=1024)
        writer.write(post("/v1/completions", {
            "prompt": "a", "n": 8, "max_tokens": 200, "ignore_eos": True, "stream": True,
            "stream_options": {"include_drafts": True, "include_rows": True}}))
        await asyncio.sleep(SECONDS)
        try:
            answer = await reader.read(-1)
        except ConnectionResetError:
            answer = b""
        if not answer.startswith(b"HTTP/1.1 200 OK"):
            self.wrong.append(answer[:300])
        writer.close()


class LoadTest(unittest.TestCase):
    def test_streams_that_come_and_go(self):
        server = Served(ROOT / "models/tidar-mini", "--context", CONTEXT, "--max-concurrent", 128,
                        "--max-waiting", 2 * STREAMS, "--max-connections", 4 * STREAMS)
        load = Load(server)
        asyncio.run(load.run())
        self.assertEqual(load.wrong, [])
        self.assertGreater(load.whole, STREAMS / 4)
        self.assertGreater(load.cut, STREAMS / 8)
        server.wait_for_pages()
        metrics = server.metrics()
        value = lambda name: metrics[f"tidar:{name}"]
        ended = lambda reason: value('request_success_total{finished_reason="%s"}' % reason)
        self.assertEqual((value("num_requests_running"), value("num_requests_waiting")), (0, 0))
        self.assertEqual(value('pages{state="kept"}') + value('pages{state="free"}'),
                         CONTEXT // 64 * 128)
        self.assertEqual(ended("no_choice"), 0)
        self.assertGreaterEqual(ended("length"), load.whole)
        self.assertGreater(ended("cancelled"), 0)
        self.assertGreaterEqual(value("generation_tokens_total"), load.tokens)
        # What is asked for again and again needs no more memory for it.
        half = len(load.resident) // 2
        self.assertLess(max(load.resident[half:]), max(load.resident[:half]) + (64 << 20))
        self.assertEqual(server.end(), (0, ""))
        if LONG:
            self.report(load)

    def report(self, load):
        print(f"\n{load.most_open} streams open at most, {load.whole} whole, {load.cut} cut, "
              f"{load.tokens / SECONDS:.0f} tokens/s of those that were whole")
        for path, seconds in load.latencies.items():
            print(f"{path}: {len(seconds)} asked, " + ", ".join(
                f"{share:.0%} within {1e3 * percentile(seconds, share):.1f} ms"
                for share in (0.5, 0.9, 0.99, 1)))
        mib = [bytes / (1 << 20) for bytes in load.resident]
        quarter = len(mib) // 4
        print("resident MiB, quarter by quarter: " + ", ".join(
            f"{max(mib[i * quarter:(i + 1) * quarter]):.0f}" for i in range(4)))


if __name__ == "__main__":
    main()
