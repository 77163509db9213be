#!/usr/bin/env python3
"""The server among clients that mean no good, or know no better: each gets a clear status, and the
next one is answered as before.

    python3 tests/serve_hostile_test.py build/release/tidar
"""

import json
import random
import signal
import socket
import threading
import time

import served
from outside import main
from served import Served

READ_TIMEOUT = 2
MAX_BODY = 1 << 20


def status_of(answer):
    """The status of raw bytes; None where there is no answer."""
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else None


def request(body, *fields, path="/v1/completions"):
    lines = [f"POST {path} HTTP/1.1", "Connection: close", *fields]
    if not any(line.lower().startswith(("content-length", "transfer")) for line in fields):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Hostile(served.ServedCase):
    FLAGS = ("--max-concurrent", 2, "--max-waiting", 6, "--context", 256,
             "--read-timeout", READ_TIMEOUT, "--max-body", MAX_BODY >> 20, "--method", "ar")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.wanted = cls.good()

    @classmethod
    def good(cls):
        return cls.server.post("/v1/completions", prompt="hello", max_tokens=8,
                               temperature=0)["choices"]

    def tearDown(self):
        self.assertIsNone(self.server.process.poll(), "the server has died")
        self.assertEqual(self.server.ask("GET", "/health")[0], 200)
        self.assertEqual(self.good(), self.wanted)
        self.server.wait_for_pages()
        super().tearDown()

    def refused(self, body, *wanted):
        status, content, _ = self.server.ask("POST", "/v1/completions", body)
        self.assertIn(status, wanted, (body, content))
        if status != 200:
            self.assertTrue(content["error"]["message"] and content["error"]["type"])

    def test_who_writes_slowly(self):
        """Requests of which now and then a byte comes, some of them with a whole head."""
        def drip(first, rest, answers):
            with socket.create_connection(("127.0.0.1", self.server.port), timeout=300) as client:
                client.sendall(first)
                client.settimeout(0.1)
                answer = b""
                for byte in rest:
                    try:
                        if not answer:
                            client.sendall(bytes([byte]))
                        part = client.recv(4096)
                        if not part:
                            break
                        answer += part
                    except TimeoutError:
                        continue
                    except (ConnectionResetError, BrokenPipeError):
                        break
                answers.append(answer)

        answers = []
        head = b"POST /v1/completions HTTP/1.1\r\nContent-Length: 100000\r\n\r\n"
        threads = []
        for first, rest in ((b"", b"GET /health HTTP/1.1\r\n" + b"X: y\r\n" * 10000),
                            (head, b" " * 100000)) * 10:
            threads.append(threading.Thread(target=drip, args=(first, rest, answers)))
        for thread in threads:
            thread.start()
        for _ in range(20):
            self.assertEqual(self.server.ask("GET", "/health")[0], 200)
        # Whole head, half a body, and silence.
        answers.append(self.server.raw(head + b"{"))
        for thread in threads:
            thread.join()
        self.assertEqual([status_of(answer) for answer in answers], [408] * 21)

    def test_who_says_nothing(self):
        self.assertEqual(self.server.raw(b""), b"")

    def ask_half_closed(self, data):
        """What comes back to a client that sends nothing behind the data."""
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=300) as client:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            return served.received(client)

    def test_half_closed(self):
        """Who closes one side has gone; quick answers come all the same."""
        body = json.dumps({"prompt": "a", "max_tokens": 200, "ignore_eos": True}).encode()
        for data in (b"GET /health HTTP/1.1\r\n\r\n", b"GET /hea", request(body), request(body)[:-3],
                     b""):
            for _ in range(5):
                answer = self.ask_half_closed(data)
                if data.startswith(b"GET /health "):
                    self.assertEqual(status_of(answer), 200)
                elif answer:
                    self.assertIn(status_of(answer), (200, 400))

    def test_cut_at_any_moment(self):
        rng = random.Random(3)
        data = request(json.dumps({"prompt": "abc", "max_tokens": 100, "stream": True,
                                   "ignore_eos": True}).encode())
        for _ in range(60):
            client = socket.create_connection(("127.0.0.1", self.server.port), timeout=300)
            client.sendall(data[:rng.randrange(1, 2 * len(data))])
            if rng.random() < 0.5:
                time.sleep(rng.random() * 0.01)
            if rng.random() < 0.5:  # a reset instead of an end
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            client.close()

    def test_large_bodies(self):
        large = 100 << 20
        block = b"x" * (1 << 20)
        self.assertEqual(status_of(self.server.raw(
            request(b"", f"Content-Length: {large}"), *[block] * 100)), 413)
        chunk = b"%x\r\n%s\r\n" % (len(block), block)
        self.assertEqual(status_of(self.server.raw(
            request(b"", "Transfer-Encoding: chunked"), *[chunk] * 100)), 413)
        for length in 2 ** 63, 2 ** 64 - 1, 2 ** 64, -1, "1e3", "", "1, 1", "0x10":
            answer = self.server.raw(request(b"", f"Content-Length: {length}"))
            self.assertIn(status_of(answer), (400, 408, 413), length)
        # One that just fits is read.
        text = json.dumps({"prompt": "a" * (MAX_BODY - 20)}).encode()
        self.assertLessEqual(len(text), MAX_BODY)
        self.refused(text, 400)

    def test_many_bodies_at_once(self):
        server = Served(self.model, "--max-body", 1, "--max-bodies", 4, "--method", "ar")
        body = json.dumps({"prompt": "hello"}).encode()
        held = lambda: server.metrics()["tidar:request_body_bytes"]
        part = b" " * (1 << 19)
        announced, clients = f"Content-Length: {2 * len(part) - 1}", []
        for i in range(8):
            client = socket.create_connection(("127.0.0.1", server.port), timeout=300)
            clients.append(client)
            client.sendall(request(b"", announced if i % 2 else "Transfer-Encoding: chunked"))
            if i % 2 == 0:
                client.sendall(b"%x\r\n" % (2 * len(part) - 1))
            client.sendall(part)
            while held() < (i + 1) * len(part):
                time.sleep(0.01)
        # Nothing more is taken in, and nobody has lost anything that was.
        answer = server.raw(request(body))
        self.assertEqual(status_of(answer), 503)
        self.assertIn(b"Retry-After: ", answer)
        self.assertIn(b"4194304 bytes together", answer)
        self.assertEqual(held(), 8 * len(part))
        # What goes leaves room, be it understood or cut.
        for client in clients[:2]:
            client.close()
        while held() > 6 * len(part):
            time.sleep(0.01)
        self.assertEqual(server.ask("POST", "/v1/completions", body)[0], 200)
        for i, client in enumerate(clients[2:], 2):
            client.sendall(part[:-len(body) - 1] + body + (b"" if i % 2 else b"\r\n0\r\n\r\n"))
            self.assertEqual(status_of(served.received(client)), 200)
            client.close()
        while held() > 0:
            time.sleep(0.01)
        self.assertEqual(server.end(), (0, ""))

    def test_many_fields(self):
        fields = [f"X-{i}: y" for i in range(10000)]
        self.assertEqual(status_of(self.server.raw(request(b"", *fields))), 431)
        self.assertEqual(status_of(self.server.raw(request(b"", "X: " + "y" * 10 ** 6))), 431)
        self.assertEqual(status_of(self.server.raw(b"GET /" + b"a" * 10 ** 6)), 431)

    def test_what_is_no_json(self):
        for body in (b"", b"null", b"[]", b"1", b'"a"', b"{", b"\xff\xfe", b"\xef\xbb\xbf{}", b"\0",
                     b'{"prompt": "\xff"}', b'{"prompt": "\xc0\x80"}', b'{"prompt": "\xed\xa0\x80"}',
                     b'{"prompt": "\\ud800"}', b'{"\xff": 1, "prompt": "a"}',
                     b'{"prompt": "a", "prompt": "b"}', b'{"prompt": "a"} x',
                     b'{"prompt": "a", "temperature": 1e999}', b'{"prompt": "a", "temperature": NaN}',
                     b'{"prompt": "a", "n": 1' + b"0" * 5000 + b"}",
                     b'{"prompt": ' + b"[" * 100000, b'{"prompt": ' + b"[" * 100000 + b"]" * 100000,
                     b'{"a":' * 50000, b"[" * (MAX_BODY - 10)):
            self.refused(body, 400)

    def test_huge_numbers(self):
        for key, values in {
                "n": (0, -1, 129, 10 ** 9, 2 ** 63, 10 ** 30, 1.5, "1", [], {}, True),
                "max_tokens": (-1, 2 ** 31, 2 ** 63, 10 ** 30, "many"),
                "logprobs": (-1, 21, 10 ** 9, 10 ** 30, "a"),
                "temperature": (-1, 1e300, "hot"),
                "top_p": (-1, 2, "x"), "top_k": (-2, 2 ** 31), "seed": ("a", 1.5),
                "stop": ("", [""], ["a"] * 17, [1], {}),
                "logit_bias": ({"a": 1}, {"-1": 1}, {"1": 1000}, {"99999999999": 1}, [1]),
                "draft_length": (0, 65, 10 ** 9), "stream": (1, "true"),
                "method": ("magic", 1), "groups": (1, []),
                "prompt": ("", [], [[]], [-1], [2 ** 31], [1.5], [None], {}, 1, True, ["a", 1],
                           ["a"] * 1025)}.items():
            for value in values:
                self.refused({"prompt": "a", "max_tokens": 1, key: value}, 400)
        for groups in "x", "," * 1000, "9" * 1000:
            self.refused({"prompt": "a", "method": "tidar", "groups": groups}, 400)
        # The largest that are taken.
        self.refused({"prompt": "a", "max_tokens": 2 ** 30, "ignore_eos": True}, 200)
        self.refused({"prompt": "a", "max_tokens": 1, "logprobs": 20, "n": 8}, 200)
        self.refused({"prompt": "a", "max_tokens": 1, "n": 128}, 400)
        self.refused({"prompt": "a", "max_tokens": 1, "stop": ["x" * 100000] * 5}, 200)

    def test_odd_conversations(self):
        for messages in ([{"role": "user"}], [{"role": "user", "content": None}],
                         [{"role": "x" * 10000, "content": "a"}],
                         [{"role": "user", "content": [{"type": "text", "text": "a"}] * 1000}],
                         [{"role": "user", "content": [{"type": "image_url"}]}],
                         [{"role": "user", "content": {"a": 1}}], [1], [[]], "a", {}, [{}],
                         [{"role": 1, "content": "a"}], [{"role": "user", "content": "a"}] * 10000):
            for path in "/v1/chat/completions", "/apply-template", "/tokenize":
                body = {"messages": messages}
                if path.startswith("/v1"):
                    body["max_tokens"] = 1
                status, content, _ = self.server.ask("POST", path, body)
                self.assertIn(status, (200, 400), (path, str(messages)[:80], content))

    def test_tricks_with_paths(self):
        for path in ("/../../etc/passwd", "//etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/./health",
                     "/health/", "/health/..", "/HEALTH", "/v1", "/v1/", "/v1/models/..",
                     "/v1/models/%00", "/v1/models/%", "/v1/models/" + "a" * 10000, "health", "*",
                     "http://127.0.0.1/health", "/health%00", "/assets/../health", "/\xe4", "/\x7f",
                     "/assets/", "/favicon.ico\\"):
            answer = self.server.raw(f"GET {path} HTTP/1.1\r\nConnection: close\r\n\r\n"
                                     .encode("latin-1"))
            self.assertIn(status_of(answer), (400, 404), path)
            self.assertNotIn(b"root:", answer)

    def test_tricks_with_http(self):
        for data in (b"\r\n\r\n", b"\0" * 100, b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
                     b"GET / HTTP/1.1\r\nNo colon\r\n\r\n", b"GET / HTTP/1.1\r\n: empty\r\n\r\n",
                     b"GET / HTTP/1.1\r\nA B: c\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                     b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"a" * 300,
                     b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
                     request(b"{}", "Content-Length: 2", "Content-Length: 3"),
                     request(b"0\r\n\r\n", "Content-Length: 2", "Transfer-Encoding: chunked"),
                     request(b"zz\r\n", "Transfer-Encoding: chunked"),
                     request(b"ffffffffffffffffff\r\n", "Transfer-Encoding: chunked")):
            answer = self.server.raw(data + b"\r\n\r\n")
            self.assertIn(status_of(answer), (400, 413, 408, None), (data[:60], answer[:80]))
            self.assertEqual(answer.count(b"HTTP/1.1 "), 1 if answer else 0, data[:60])
        for method in b"BREW", b"TRACE", b"CONNECT", b"DELETE", b"get", b"OPTIONS":
            answer = self.server.raw(method + b" /health HTTP/1.1\r\nConnection: close\r\n\r\n")
            self.assertEqual(status_of(answer), 405, method)

    def test_random_requests(self):
        rng = random.Random(11)
        good = request(json.dumps({"prompt": "abc", "max_tokens": 2, "n": 1}).encode())
        for _ in range(300):
            data = bytearray(good)
            for _ in range(rng.randrange(1, 6)):
                place = rng.randrange(len(data))
                kind = rng.randrange(3)
                if kind == 0:
                    data[place] = rng.randrange(256)
                elif kind == 1:
                    del data[place:place + rng.randrange(1, 8)]
                else:
                    data[place:place] = rng.randbytes(rng.randrange(1, 8))
                data = data or bytearray(b"x")
            # An end, so that it does not wait for what never comes.
            answer = self.ask_half_closed(data)
            self.assertTrue(status_of(answer) in (None, 200, 400, 404, 405, 413, 431, 505),
                            (bytes(data), answer[:200]))

    def test_keys(self):
        server = Served(self.model, "--api-key", "a key", "--context", 64, "--method", "ar")
        for value, status in (("Bearer a key", 200), ("Bearer a ke", 401), ("Bearer a keyy", 401),
                              ("bearer", 401), ("Basic YTpi", 401), ("a key", 401), ("", 401),
                              ("Bearer " + "x" * 10000, 401), ("Bearer a key\x00", 400)):
            answer = server.raw(f"GET /v1/models HTTP/1.1\r\nConnection: close\r\n"
                                f"Authorization: {value}\r\n\r\n".encode())
            self.assertEqual(status_of(answer), status, value)
        answer = server.raw(request(b'{"prompt": "a"}'))
        self.assertEqual(status_of(answer), 401)
        self.assertIn(b"WWW-Authenticate: Bearer\r\n", answer)
        self.assertEqual(server.end(), (0, ""))

    def test_too_many_connections(self):
        server = Served(self.model, "--max-connections", 3, "--context", 64, "--method", "ar")
        held = [server.connect() for _ in range(3)]
        for connection in held:
            self.assertEqual(server.ask("GET", "/health", connection=connection)[0], 200)
        for _ in range(5):
            answer = server.raw(b"")
            self.assertEqual(status_of(answer), 503)
            self.assertIn(b"Retry-After: ", answer)
        self.assertEqual(server.ask("GET", "/health", connection=held[0])[0], 200)
        for connection in held:
            connection.close()
        while server.raw(b"GET /health HTTP/1.1\r\nConnection: close\r\n\r\n"
                         ).startswith(b"HTTP/1.1 503"):
            time.sleep(0.01)
        self.assertEqual(server.end(), (0, ""))

    def test_ended_under_load(self):
        """Told to end while streams are under way, it does: each has an end that says why."""
        server = Served(self.model, "--grace", 0, "--method", "ar", "--max-concurrent", 64)
        lasts = []
        begun = threading.Barrier(9)

        def read():
            connection = server.connect()
            connection.request("POST", "/v1/completions",
                               json.dumps({"prompt": "a", "max_tokens": 2000, "n": 8, "stream": True,
                                           "ignore_eos": True}))
            response = connection.getresponse()
            begun.wait()
            lasts.append(response.read().decode().split("\n\n")[-2].removeprefix("data: "))
            connection.close()

        threads = [threading.Thread(target=read) for _ in range(8)]
        for thread in threads:
            thread.start()
        begun.wait()
        server.process.send_signal(signal.SIGTERM)
        for thread in threads:
            thread.join()
        self.assertEqual(len(lasts), 8)
        for last in lasts:
            self.assertIn("error", json.loads(last))
        self.assertEqual(server.process.communicate(timeout=300)[1], "")
        self.assertEqual(server.process.returncode, 0)

    def test_killed_and_started_again(self):
        server = Served(self.model, "--context", 256, "--method", "ar")
        connection = server.connect()
        connection.request("POST", "/v1/completions",
                           json.dumps({"prompt": "a", "max_tokens": 200, "n": 20, "stream": True,
                                       "ignore_eos": True}))
        connection.getresponse().readline()
        server.process.kill()
        server.process.communicate()
        again = Served(self.model, "--context", 256, "--method", "ar", port=server.port)
        self.assertEqual(again.post("/v1/completions", prompt="hello", max_tokens=8,
                                    temperature=0)["choices"], self.wanted)
        self.assertEqual(again.end(), (0, ""))
        connection.close()


if __name__ == "__main__":
    main()
