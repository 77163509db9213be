#!/usr/bin/env python3
"""The server under load: many streams at once, a third of them cut at random moments, and some that
nobody reads. No page is lost, and nobody hears of an error but those that went.

    python3 tests/serve_load_test.py build/release/tidar [--long]

--long has a thousand streams open for five minutes, and prints how the server fares (scripts/
load-serve).
"""

import asyncio
import http.client
import json
import multiprocessing
import random
import sys
import time
import unittest

from outside import ROOT, main
from served import Served

LONG = "--long" in sys.argv
sys.argv = [arg for arg in sys.argv if arg != "--long"]
STREAMS, SECONDS = (1000, 300) if LONG else (120, 4)
# Those of bulky streams: they are read in one, and not in the next.
WINDOW = 20 if LONG else 2
BULKY = 16 if LONG else 2
CONTEXT = 256


def post(path, body):
    data = json.dumps(body).encode()
    return (f"POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
            f"Content-Length: {len(data)}\r\n\r\n").encode() + data


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


SAMPLES = {"resident": "process_resident_memory_bytes",
           "tokens": "tidar:generation_tokens_total",
           "gaps_s": "tidar:inter_token_latency_seconds_sum",
           "gaps": "tidar:inter_token_latency_seconds_count"}


def watch(port, over, told):
    """In a process of its own, so that the clients' work does not count as the server's: how long
    /health and /metrics take, connecting included, and what the latter says."""
    while time.monotonic() < over:
        for path in ("/health", "/metrics"):
            began = time.monotonic()
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
            connection.request("GET", path)
            response = connection.getresponse()
            text = response.read().decode()
            row = {"path": path, "at": began, "seconds": time.monotonic() - began,
                   "status": response.status}
            connection.close()
            if path == "/metrics":
                values = dict(line.rsplit(" ", 1) for line in text.splitlines())
                row |= {name: float(values[sample]) for name, sample in SAMPLES.items()}
            told.send(row)
        time.sleep(0.05)


class Watcher:
    def __init__(self, server, over):
        fork = multiprocessing.get_context("fork")
        self.rows = []
        self.pipe, told = fork.Pipe(duplex=False)
        self.process = fork.Process(target=watch, args=(server.port, over, told))
        self.process.start()
        told.close()

    def take(self):
        """What was seen since the last time."""
        new = []
        try:
            while self.pipe.poll():
                new.append(self.pipe.recv())
        except EOFError:
            pass
        self.rows += new
        return new

    def end(self):
        while self.process.is_alive():
            self.take()
            time.sleep(0.01)
        self.take()
        self.process.join()


def latencies(rows, path):
    return [row["seconds"] for row in rows if row["path"] == path]


def samples(rows):
    return [row for row in rows if row["path"] == "/metrics"]


class Load:
    """Clients that come again and again until the time is over."""

    def __init__(self, server):
        self.server = server
        self.began = time.monotonic()
        self.over = self.began + SECONDS
        self.whole = self.cut = self.tokens = 0
        self.open = self.most_open = 0
        self.wrong = []
        self.windows = []  # (whether bulky streams are read, its begin, its end)
        self.watcher = Watcher(server, self.over)

    async def connect(self, **options):
        return await asyncio.open_connection("127.0.0.1", self.server.port, **options)

    async def run(self):
        clients = [self.client(i) for i in range(STREAMS)]
        await asyncio.gather(*clients, self.bulky_streams(), self.report_as_it_goes())
        self.watcher.end()

    async def client(self, number):
        rng = random.Random(number)
        await asyncio.sleep(rng.random() * min(5, SECONDS / 4))
        while time.monotonic() < self.over:
            tokens = rng.randrange(4, 60)
            body = {"prompt": "Question: %d + %d = " % (rng.randrange(9), rng.randrange(9)),
                    "max_tokens": tokens, "ignore_eos": True, "stream": True, "seed": number,
                    "method": rng.choice(["ar", "tidar", "lookup"]), "temperature": 0.7,
                    "stream_options": {"include_usage": True}}
            cut_after = rng.random() * 2 if rng.random() < 1 / 3 else None
            self.open += 1
            self.most_open = max(self.most_open, self.open)
            reader, writer = await self.connect(limit=1 << 24)
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

    async def bulky_streams(self):
        """Each asks for much, once a window; it is read at once, or not before the window's end."""
        read = False
        while time.monotonic() < self.over:
            begin = time.monotonic()
            end = min(begin + WINDOW, self.over)
            await asyncio.gather(*(self.bulky_stream(read, end) for _ in range(BULKY)))
            self.windows.append((read, begin, end))
            read = not read

    async def bulky_stream(self, read, end):
        reader, writer = await self.connect(limit=1024)
        writer.write(post("/v1/completions", {
            "prompt": "a", "n": 8, "max_tokens": 200, "ignore_eos": True, "stream": True,
            "stream_options": {"include_drafts": True, "include_rows": True}}))
        answer = b""
        while read and (part := await reader.read(1 << 16)):
            answer = answer or part
        await asyncio.sleep(max(0, end - time.monotonic()))
        try:
            answer = answer or await reader.read(1 << 16)
        except ConnectionResetError:
            pass
        if not answer.startswith(b"HTTP/1.1 200 OK"):
            self.wrong.append(answer[:300])
        writer.close()

    async def report_as_it_goes(self):
        told = 0
        while time.monotonic() < self.over:
            await asyncio.sleep(10 if LONG else 1)
            rows = self.watcher.take()
            last = samples(rows)[-1]
            if LONG:
                print(f"{last['at'] - self.began:5.0f} s {self.open:6d} open {self.whole:7d} whole "
                      f"{self.cut:6d} cut {self.tokens - told:8d} tokens  resident "
                      f"{last['resident'] / (1 << 20):5.0f} MiB " + "".join(
                          f"  {path} 99% {1e3 * percentile(latencies(rows, path), 0.99):5.1f} ms"
                          for path in ("/health", "/metrics")), flush=True)
            told = self.tokens

    def in_windows(self, read):
        """(tokens/s, mean seconds between tokens of an output) of all windows of a kind."""
        tokens = seconds = gaps_s = gaps = 0
        for kind, begin, end in self.windows:
            rows = [row for row in samples(self.watcher.rows) if begin <= row["at"] <= end]
            if kind != read or len(rows) < 2:
                continue
            seconds += rows[-1]["at"] - rows[0]["at"]
            tokens += rows[-1]["tokens"] - rows[0]["tokens"]
            gaps_s += rows[-1]["gaps_s"] - rows[0]["gaps_s"]
            gaps += rows[-1]["gaps"] - rows[0]["gaps"]
        return tokens / seconds, gaps_s / gaps


class LoadTest(unittest.TestCase):
    def test_streams_that_come_and_go(self):
        server = Served(ROOT / "models/tidar-mini", "--context", CONTEXT, "--max-concurrent", 128,
                        "--max-waiting", 2 * STREAMS, "--max-connections", 4 * STREAMS)
        load = Load(server)
        asyncio.run(load.run())
        self.assertEqual(load.wrong, [])
        self.assertEqual({row["status"] for row in load.watcher.rows}, {200})
        self.assertGreater(load.whole, STREAMS / 4)
        self.assertGreater(load.cut, STREAMS / 8)
        self.assertGreater(len(load.windows), 0)
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
        resident = [row["resident"] for row in samples(load.watcher.rows)]
        half = len(resident) // 2
        self.assertLess(max(resident[half:]), max(resident[:half]) + (64 << 20))
        self.assertEqual(server.end(), (0, ""))
        if LONG:
            self.report(load)

    def report(self, load):
        rows = load.watcher.rows
        print(f"\n{load.most_open} streams open at most, {load.whole} whole, {load.cut} cut, "
              f"{load.tokens / SECONDS:.0f} tokens/s of those that were whole")
        for path in "/health", "/metrics":
            seconds = latencies(rows, path)
            print(f"{path}: {len(seconds)} asked, " + ", ".join(
                f"{share:.0%} within {1e3 * percentile(seconds, share):.1f} ms"
                for share in (0.5, 0.9, 0.99, 1)))
        mib = [row["resident"] / (1 << 20) for row in samples(rows)]
        print("resident MiB, at most in each tenth of the time: " + ", ".join(
            f"{max(mib[i * len(mib) // 10:(i + 1) * len(mib) // 10]):.0f}" for i in range(10)))
        for read in True, False:
            rate, gap = load.in_windows(read)
            print(f"while {BULKY} bulky streams are {'' if read else 'not '}read: {rate:.0f} "
                  f"tokens/s, {1e3 * gap:.1f} ms from token to token")


if __name__ == "__main__":
    main()
