#!/usr/bin/env python3
"""The server, as its clients see it.

    python3 tests/serve_test.py build/release/tidar
"""

import json
import random
import signal
import socket
import threading
import time

import served
from outside import ROOT, comma, load, main, write_lines
from served import TEMPLATE, Served

KEY = "a key"
MINI = ROOT / "models/tidar-mini"


class Serve(served.ServedCase):
    FLAGS = ("--max-concurrent", 4, "--max-waiting", 16, "--context", 512)

    def generate(self, ids, count, *args):
        out, _ = self.succeed("generate", "--model", self.model, "--json", "-n", count, *args,
                              "--mask-token", self.eos + 1, "--prompt-ids", comma(ids))
        return json.loads(out)

    def test_an_output_is_what_generate_writes(self):
        ids = list(b"hello world")
        for method in "ar", "tidar", "lookup":
            for given, flags in (({"temperature": 0}, []),
                                 ({"seed": 7, "top_p": 0.9}, ["--temperature", 1, "--seed", 7,
                                                              "--top-p", 0.9])):
                wanted = self.generate(ids, 20, "--method", method, *flags)
                found = self.server.post("/v1/completions", prompt="hello world", max_tokens=20,
                                         method=method, logprobs=1, **given)
                choice = found["choices"][0]
                self.assertEqual(choice["text"], wanted["text"])
                self.assertEqual(choice["finish_reason"], wanted["finish_reason"])
                self.assertEqual(choice["logprobs"]["token_logprobs"], wanted["logprobs"])
                self.assertEqual(found["usage"]["prompt_tokens"], len(ids))
                self.assertEqual(found["usage"]["completion_tokens"], wanted["n"])

    def score(self, connection, prompts, server=None, **more):
        """What lm-evaluation-harness's local-completions sends, and what it makes of the answer."""
        found = (server or self.server).ask(
            "POST", "/v1/completions",
            {"model": "any", "prompt": prompts, "temperature": 0, "max_tokens": 1, "logprobs": 1,
             "seed": 1234, "echo": True, **more},
            connection, {"Authorization": "Bearer "})[1]["choices"]
        self.assertEqual([choice["index"] for choice in found], list(range(len(prompts))))
        return [choice["logprobs"] for choice in found]

    def test_scores_of_prompts(self):
        rng = random.Random(5)
        connections = [self.server.connect() for _ in range(3)]
        for connection in connections * 2:
            prompts = [[rng.randrange(256) for _ in range(n)] for n in (3, 200, 1, 17)]
            scored = self.score(connection, prompts)
            for ids, logprobs in zip(prompts, scored):
                values, tops = logprobs["token_logprobs"], logprobs["top_logprobs"]
                self.assertEqual([len(values), len(tops), len(logprobs["tokens"])],
                                 [len(ids) + 1] * 3)
                self.assertEqual((values[0], tops[0]), (None, None))
                for value, top in zip(values[1:], tops[1:]):
                    self.assertLessEqual(1, len(top))
                    self.assertLessEqual(len(top), 2)
                    self.assertIn(value, top.values())
                    self.assertLessEqual(max(top.values()), 0)
                self.assertEqual(values[-1], max(tops[-1].values()), "the new one is greedy")
        for connection in connections:
            connection.close()

    def test_scores_are_those_of_decoding(self):
        start = list(b"once upon")
        wanted = self.generate(start, 30)
        connection = self.server.connect()
        (logprobs,) = self.score(connection, [start + wanted["tokens"]], max_tokens=0)
        connection.close()
        values, tops = (logprobs[key][len(start):] for key in ("token_logprobs", "top_logprobs"))
        self.assertEqual(values, wanted["logprobs"])
        self.assertEqual(values, [max(top.values()) for top in tops])

    def test_scores_are_those_of_eval(self):
        self.compare_with_eval(self.server, self.model)

    def test_scores_of_a_model_that_drafts_are_those_of_eval(self):
        server = Served(MINI, "--context", 256, "--prices", "none")
        self.compare_with_eval(server, MINI)
        self.assertEqual(server.end(), (0, ""))

    def compare_with_eval(self, server, model):
        """Also where the server has read the same texts before, and more of them."""
        context, choices = "Is one and one two? " * 9, ["yes", "no, never", "perhaps"]
        task = write_lines(self.folder / "task.jsonl",
                           [{"context": context.strip(), "choices": choices, "answer": 0}])
        self.succeed("eval", "--model", model, "--task", task, "--out", self.out, "--json")
        wanted = json.loads((self.out / "results.jsonl").read_text())["logprobs"]
        encode = lambda text: server.post("/tokenize", prompt=text,
                                          add_special_tokens=False)["tokens"]
        prompts = [encode(context.strip() + " " + choice) for choice in choices]
        first = len(encode(context.strip()))
        connection = server.connect()
        for warm in range(3):
            scored = self.score(connection, prompts, server)
            # The space before a choice is scored with it.
            sums = [sum(logprobs["token_logprobs"][first:-1]) for logprobs in scored]
            for found, expected in zip(sums, wanted):
                self.assertAlmostEqual(found, expected, delta=1e-6)
            for prompt in prompts:
                usage = server.post("/v1/completions", prompt=prompt + [5], max_tokens=9,
                                    method=("ar", "tidar")[warm % 2])["usage"]
                if warm:
                    self.assertGreater(usage["prompt_tokens_details"]["cached_tokens"], 0)
        connection.close()

    def test_evalplus(self):
        """Code generation as evalplus asks for it: greedily one text, else a batch of them."""
        messages = [{"role": "user", "content": "Write it.\n```python\ndef f():\n```\n"}]
        ids = self.server.post("/tokenize", messages=messages)["tokens"]
        wanted = self.generate(ids, 24)["text"]
        for temperature, n in ((0, 1), (0.8, 16)):
            found = self.server.post("/v1/chat/completions", model="any", messages=messages,
                                     max_completion_tokens=24, temperature=temperature, n=n,
                                     top_p=0.95)
            texts = [choice["message"]["content"] for choice in found["choices"]]
            self.assertEqual([choice["index"] for choice in found["choices"]], list(range(n)))
            self.assertEqual(texts == [wanted], temperature == 0)
            self.assertGreater(len(set(texts)), n / 2, "draws differ")

    def test_a_stream_says_what_an_answer_says(self):
        for path, body, key in (
                ("/v1/completions", {"prompt": "abc", "n": 2}, "text"),
                ("/v1/chat/completions", {"messages": [{"role": "user", "content": "abc"}]},
                 "delta")):
            body = {**body, "max_tokens": 40, "seed": 3}
            whole = self.server.post(path, **body)
            events = self.server.events(path, **body, stream_options={"include_usage": True})
            for count in "prompt_tokens", "completion_tokens", "total_tokens":
                self.assertEqual(events[-1]["usage"][count], whole["usage"][count])
            self.assertGreater(len(events), 10)
            for choice in whole["choices"]:
                text, finish = "", None
                for event in events[:-1]:
                    (part,) = event["choices"]
                    if part["index"] == choice["index"]:
                        self.assertIsNone(finish)
                        text += part["text"] if key == "text" else part["delta"].get("content", "")
                        finish = part["finish_reason"]
                self.assertEqual(text, choice["text"] if key == "text" else
                                 choice["message"]["content"])
                self.assertEqual(finish, choice["finish_reason"])

    def test_a_stream_tells_of_its_passes(self):
        given = {"prompt": "abcabcabc", "max_tokens": 60, "seed": 3, "logprobs": 0}
        for method in "ar", "tidar", "lookup", "block-diffusion":
            plain = self.server.events("/v1/completions", **given, method=method)
            typed = self.server.typed_events(
                "/v1/completions", **given, method=method,
                stream_options={"include_drafts": True, "include_rows": True,
                                "include_usage": True})
            text = lambda events: "".join(event["choices"][0]["text"] for event in events)
            chunks = [event for kind, event in typed if kind is None]
            self.assertEqual(text(chunks[:-1]), text(plain))
            tokens = [token for event in chunks[:-1]
                      for token in event["choices"][0]["logprobs"]["tokens"]]
            passes = [event["draft"] for kind, event in typed if kind == "draft"]
            self.assertEqual([token for one in passes for token in one["committed"]], tokens)
            usage = chunks[-1]["usage"]
            self.assertEqual(sum(one["pass"]["decoding"] for one in passes),
                             usage["tidar"]["passes"])
            wrong = sum(len(one["rejected"]) for one in passes)
            self.assertEqual(wrong, usage["completion_tokens_details"]["rejected_prediction_tokens"])
            for one in passes:
                self.assertEqual(len(one["seen"]["rows"]), one["pass"]["rows"])
                for row in one["seen"]["rows"]:
                    self.assertLess(row["position"], 512)
                    self.assertTrue(row["sees"])

    def test_an_answer_says_whether_it_is_that_of_ar(self):
        for more, equal in (({"method": "ar"}, True), ({"method": "tidar"}, True),
                            ({"method": "tidar", "trust": 0.5}, False),
                            ({"method": "masked-diffusion"}, False)):
            body = {"prompt": "abc", "max_tokens": 12, **more}
            status, content, headers = self.server.ask("POST", "/v1/completions", body)
            self.assertEqual(status, 200, content)
            self.assertEqual(headers["Tidar-Equals-AR"], str(equal).lower())
            self.assertEqual(headers["Tidar-Method"], more["method"])
            self.assertEqual(content["usage"]["tidar"]["equals_ar"], equal)

    def test_a_prompt_that_was_read_is_not_read_again(self):
        rng = random.Random(11)
        ids = [rng.randrange(256) for _ in range(200)]
        for method in "ar", "tidar", "lookup", "block-diffusion":
            def ask(prompt, method=method, **more):
                return self.server.post("/v1/completions", prompt=prompt, method=method, seed=4,
                                        max_tokens=20, **more)
            cached = lambda answer: answer["usage"]["prompt_tokens_details"]["cached_tokens"]
            prompt = [len(method)] + ids
            cold, warm = ask(prompt), ask(prompt)
            self.assertEqual(cold["choices"], warm["choices"])
            self.assertEqual((cached(cold), cached(warm)), (0, 192))
            other = prompt[:100] + [1, 2, 3]
            self.assertEqual(cached(ask(other)), 64)
            self.assertEqual(cached(ask(prompt, n=3)), 192, "a prompt counts once")
            if method != "block-diffusion":
                scored = [ask(prompt, echo=True, logprobs=2) for _ in range(2)]
                self.assertEqual(scored[0]["choices"], scored[1]["choices"])
                self.assertEqual([cached(answer) for answer in scored], [0, 0])

    def test_a_chat_is_what_the_template_makes_of_it(self):
        messages = [{"role": "user", "content": "hi <eos>"}]
        prompt = self.server.post("/apply-template", messages=messages)["prompt"]
        self.assertEqual(prompt, "<bos>user: hi <eos><eos>assistant: ")
        ids = self.server.post("/tokenize", messages=messages)["tokens"]
        self.assertEqual(ids.count(self.eos), 1, "what a user writes is no special token")
        given = {"temperature": 0, "max_tokens": 12}
        chat = self.server.post("/v1/chat/completions", messages=messages, **given)
        text = self.server.post("/v1/completions", prompt=ids, **given)
        self.assertEqual(chat["choices"][0]["message"]["content"], text["choices"][0]["text"])

    def test_tokens(self):
        post = self.server.post
        ids = post("/tokenize", prompt="a<eos>", add_special_tokens=False)["tokens"]
        self.assertEqual(ids, [ord("a"), self.eos])
        self.assertEqual(post("/detokenize", tokens=ids)["prompt"], "a<eos>")
        info = self.server.ask("GET", "/tokenizer_info")[1]
        self.assertEqual((info["bos_token"], info["eos_token"], info["pad_token"]),
                         ("<bos>", "<eos>", None))
        self.assertEqual(info["chat_template"], TEMPLATE)

    def test_what_the_server_is(self):
        self.assertEqual(self.server.ask("GET", "/health")[:2], (200, {"status": "ok"}))
        (model,) = self.server.ask("GET", "/v1/models")[1]["data"]
        self.assertEqual((model["id"], model["max_model_len"]), (self.model.name, 512))
        props = self.server.ask("GET", "/props")[1]
        self.assertEqual((props["context"], props["method"]), (512, "tidar"))

    def test_many_at_once(self):
        wanted = [self.generate(list(b"abc") + [i], 30)["text"] for i in range(8)]
        found = [None] * 8

        def ask(i):
            found[i] = self.server.post("/v1/completions", prompt=list(b"abc") + [i], max_tokens=30,
                                        temperature=0)["choices"][0]["text"]

        threads = [threading.Thread(target=ask, args=(i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(found, wanted)

    def test_who_goes_in_the_middle_makes_room(self):
        body = json.dumps({"prompt": "a", "max_tokens": 500, "n": 20, "stream": True,
                           "ignore_eos": True})
        for _ in range(3):
            connection = self.server.connect()
            connection.request("POST", "/v1/completions", body)
            response = connection.getresponse()
            self.assertEqual(response.status, 200)
            response.readline()
            # All places are taken: 4 at work, 16 that wait.
            status, refusal, headers = self.server.ask("POST", "/v1/completions", {"prompt": "a"})
            self.assertEqual(status, 429, refusal)
            self.assertEqual(refusal["error"]["type"], "rate_limit_error")
            self.assertIn("Retry-After", headers)
            self.assertEqual(self.server.ask("GET", "/health")[0], 200)
            response.close()
            connection.close()
            while self.server.ask("POST", "/v1/completions", {"prompt": "a"})[0] == 429:
                time.sleep(0.01)

    def test_wrong_requests(self):
        ask = self.server.ask
        for method, path, body, status, param in (
                ("GET", "/nothing", None, 404, None),
                ("POST", "/", {}, 405, None),
                ("GET", "/v1/completions", None, 405, None),
                ("POST", "/v1/completions", b"{", 400, None),
                ("POST", "/v1/completions", {}, 400, "prompt"),
                ("POST", "/v1/completions", {"prompt": "a", "n": "1"}, 400, "n"),
                ("POST", "/v1/completions", {"prompt": "a" * 512}, 400, "prompt"),
                ("POST", "/v1/completions", {"prompt": [10 ** 6]}, 400, None),
                ("POST", "/v1/completions", {"prompt": "a", "method": "magic"}, 400, "method"),
                ("POST", "/v1/completions", {"prompt": "a", "n": 21}, 400, None),
                ("POST", "/v1/completions", {"prompt": "a", "echo": True, "logprobs": 1,
                                             "method": "block-diffusion"}, 400, None),
                ("POST", "/v1/chat/completions", {"messages": []}, 400, "messages"),
                ("POST", "/v1/completions", b" " * (9 << 20), 413, None)):
            found, content, headers = ask(method, path, body)
            self.assertEqual(found, status, content)
            error = content["error"]
            self.assertEqual(error["param"], param)
            self.assertTrue(error["message"] and error["type"])
            other = {"POST": "GET", "GET": "POST"}[method]
            self.assertEqual(headers.get("Allow"), other if status == 405 else None)
        self.assertEqual(ask("GET", "/health", headers={"X": "y" * 20000})[0], 431)

    def test_what_is_no_http(self):
        self.assertIn(b" 400 Bad Request\r\n", self.server.raw(b"hello\r\n\r\n"))
        # An old client reads to the end of the connection, and gets no chunks.
        body = b'{"prompt": "a", "max_tokens": 3, "stream": true}'
        old = self.server.raw(b"POST /v1/completions HTTP/1.0\r\nContent-Length: %d\r\n\r\n%s"
                       % (len(body), body))
        self.assertIn(b"\r\n\r\ndata: {", old)
        self.assertTrue(old.endswith(b"data: [DONE]\n\n"))

    def test_requests_that_do_not_wait_for_the_answer(self):
        answer = self.server.raw(b"GET /health HTTP/1.1\r\n\r\n" * 3
                          + b"GET /health HTTP/1.1\r\nConnection: close\r\n\r\n")
        self.assertEqual(answer.count(b'{"status":"ok"}'), 4)
        body = json.dumps({"prompt": "a", "max_tokens": 50, "ignore_eos": True}).encode()
        lines = b"POST /v1/completions HTTP/1.1\r\nContent-Length: %d\r\n" % len(body)
        answer = self.server.raw((lines + b"\r\n" + body) * 3
                                 + lines + b"Connection: close\r\n\r\n" + body)
        self.assertEqual(answer.count(b"HTTP/1.1 200 OK\r\n"), 4)
        self.assertTrue(answer.endswith(b"}}}"))

    def test_a_key(self):
        server = Served(self.model, "--api-key", KEY, "--context", 64, "--method", "ar")
        status = lambda path, key: server.ask(
            "GET", path, headers={"Authorization": f"Bearer {key}"} if key else {})[0]
        self.assertEqual([status("/v1/models", key) for key in (KEY, "another", "")],
                         [200, 401, 401])
        self.assertEqual(status("/tokenizer_info", ""), 200)
        self.assertEqual(server.end(signal.SIGINT), (0, ""))

    def test_keys_of_a_file(self):
        keys = self.folder / "keys"
        keys.write_text("one\r\n\ntwo")
        server = Served(self.model, "--api-key-file", keys, "--api-key", "three", "--context", 64,
                        "--method", "ar")
        status = lambda key: server.ask("GET", f"/v1/models/{self.model.name}",
                                        headers={"Authorization": f"Bearer {key}"})[0]
        self.assertEqual([status(key) for key in ("one", "two", "three", "", "four")],
                         [200, 200, 200, 401, 401])
        self.assertEqual(server.end(), (0, ""))

    def test_a_log_has_a_line_for_each_answer(self):
        for style in "text", "json":
            server = Served(self.model, "--log", style, "--method", "ar", "--context", 64)
            server.post("/v1/completions", prompt="abc", max_tokens=5, ignore_eos=True)
            server.get("/nothing?secret")
            server.raw(b"hello\r\n\r\n")
            code, err = server.end()
            self.assertEqual(code, 0)
            lines = err.splitlines()
            self.assertEqual(len(lines), 5, err)
            self.assertNotIn("secret", err)
            if style == "text":
                self.assertRegex(lines[0], r" 127\.0\.0\.1 POST /v1/completions 200 [0-9.]+ ms, "
                                           r"\d+ bytes, 3 \+ 5 tokens$")
                self.assertIn(" GET /nothing 404 ", lines[1])
                self.assertIn(" - - 400 ", lines[2])
                continue
            found = [json.loads(line) for line in lines]
            self.assertEqual([(one["method"], one["path"], one["status"], one["new_tokens"])
                              for one in found[:3]],
                             [("POST", "/v1/completions", 200, 5), ("GET", "/nothing", 404, 0),
                              ("-", "-", 400, 0)])
            self.assertIn("message", found[4])

    def test_a_log_that_nobody_reads(self):
        server = Served(self.model, "--log", "text")
        asked = 8000  # more lines than the pipe holds and than may wait
        for _ in range(40):
            answers = server.raw(b"GET /v1/models HTTP/1.1\r\n\r\n" * (asked // 40 - 1) +
                                 b"GET /v1/models HTTP/1.1\r\nConnection: close\r\n\r\n")
            self.assertEqual(answers.count(b"HTTP/1.1 200 OK"), asked // 40)
        code, err = server.end()
        self.assertEqual(code, 0)
        lines = err.splitlines()
        lost = sum(int(line.split()[1]) for line in lines if "are missing here" in line)
        self.assertGreater(lost, 0)
        written = sum("GET /v1/models 200" in line for line in lines)
        said = 2  # that it ends, and that it has ended: one of them may be lost, too
        self.assertIn(written + lost - asked, range(said + 1))
        self.assertGreater(written, 4000)

    def test_a_log_whose_reader_has_gone(self):
        server = Served(self.model, "--log", "text")
        server.process.stderr.close()
        for _ in range(3):
            self.assertEqual(server.ask("GET", "/v1/models")[0], 200)
        server.process.send_signal(signal.SIGTERM)
        self.assertEqual(server.process.wait(timeout=300), 0)

    def test_what_was_done_is_counted(self):
        key = 'tidar:http_requests_total{route="/v1/completions",status="200"}'
        before = self.server.metrics()
        usage = self.server.post("/v1/completions", prompt="abcab", max_tokens=30, method="lookup",
                                 ignore_eos=True)["usage"]
        after = self.server.metrics()
        grown = lambda name: after.get(name, 0) - before.get(name, 0)
        self.assertEqual(grown(key), 1)
        self.assertEqual(grown("tidar:prompt_tokens_total"), 5)
        self.assertEqual(grown("tidar:generation_tokens_total"), 30)
        self.assertEqual(grown("tidar:spec_decode_num_accepted_tokens_total"),
                         usage["completion_tokens_details"]["accepted_prediction_tokens"])
        self.assertEqual(grown("tidar:tokens_per_pass_count"), usage["tidar"]["passes"])
        self.assertGreater(grown("tidar:rows_per_pass_sum"), 0)
        self.assertGreater(after["process_resident_memory_bytes"], 1e6)
        self.assertEqual(after["tidar:connections"], 1, "this one")

    def test_the_head_alone(self):
        for path in "/health", "/metrics", "/", "/nothing", "/v1/completions":
            connection = self.server.connect()
            connection.request("HEAD", path)
            response = connection.getresponse()
            self.assertEqual(response.read(), b"")
            self.assertEqual(response.status,
                             {"/nothing": 404, "/v1/completions": 405}.get(path, 200))
            self.assertGreater(int(response.getheader("Content-Length")), 0)
            connection.request("GET", "/health")  # nothing of a body stands in its way
            self.assertEqual(json.loads(connection.getresponse().read()), {"status": "ok"})
            connection.close()

    def test_who_asks_is_told_that_its_body_may_come(self):
        body = b'{"prompt": "a", "max_tokens": 3}'
        head = (b"POST /v1/completions HTTP/1.1\r\nContent-Length: %d\r\n"
                b"Expect: 100-continue\r\n" % len(body))
        go_on = b"HTTP/1.1 100 Continue\r\n\r\n"
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=300) as client:
            for connection in b"", b"Connection: close\r\n":
                client.sendall(head + connection + b"\r\n")
                self.assertEqual(client.recv(len(go_on), socket.MSG_WAITALL), go_on)
                client.sendall(body)
                answer = b""
                while not answer.endswith(b"}}}"):
                    answer += client.recv(4096)
                self.assertTrue(answer.startswith(b"HTTP/1.1 200 OK\r\n"))
        # What is refused whatever the body is, is not asked for it.
        answer = self.server.raw(b"POST /v1/completions HTTP/1.1\r\nContent-Length: 100000000\r\n"
                                 b"Expect: 100-continue\r\n\r\n")
        self.assertTrue(answer.startswith(b"HTTP/1.1 413 "), answer)
        # Behind another request: both answers come whole, one after the other.
        first = b"POST /v1/completions HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        answer = self.server.raw(first + head + b"Connection: close\r\n\r\n", body)
        self.assertEqual(answer.count(b"HTTP/1.1 200 OK"), 2)
        self.assertLessEqual(answer.count(go_on), 1)
        self.assertTrue(answer.endswith(b"}}}"))

    def test_pages_of_another_origin(self):
        server = Served(self.model, "--cors", "*", "--api-key", KEY, "--method", "ar",
                        "--context", 64)
        connection = server.connect()
        connection.request("OPTIONS", "/v1/chat/completions",
                           headers={"Origin": "https://example.org",
                                    "Access-Control-Request-Method": "POST"})
        response = connection.getresponse()
        self.assertEqual((response.status, response.read()), (204, b""))
        self.assertEqual(response.getheader("Access-Control-Allow-Origin"), "*")
        connection.close()
        _, _, headers = server.ask("POST", "/v1/completions", {})
        self.assertEqual(headers["Access-Control-Allow-Origin"], "*")
        self.assertEqual(server.end(), (0, ""))

    def test_an_answer_that_takes_too_long(self):
        server = Served(self.model, "--timeout", 1, "--method", "ar", "--max-waiting", 400)
        body = {"prompt": "a", "max_tokens": 4000, "n": 128, "ignore_eos": True}
        status, content, _ = server.ask("POST", "/v1/completions", body)
        self.assertEqual((status, content["error"]["type"]), (504, "server_error"))
        connection = server.connect()
        connection.request("POST", "/v1/completions", json.dumps({**body, "stream": True}))
        response = connection.getresponse()
        last = response.read().decode()
        if response.status == 200:  # it has begun in time
            last = last.split("\n\n")[-2].removeprefix("data: ")
        self.assertIn("1 s", json.loads(last)["error"]["message"])
        connection.close()
        self.assertEqual(server.post("/v1/completions", prompt="a")["usage"]["prompt_tokens"], 1)
        self.assertEqual(server.end(), (0, ""))

    def ask_until_refused(self, body, headers):
        """The first answer that is not 200, to prompts that nobody has read before: a quick machine
        may have begun within any time."""
        for _ in range(100):
            connection = self.server.connect()
            fresh = {**body, "prompt": "".join(random.choices("abc", k=400))}
            connection.request("POST", "/v1/completions", json.dumps(fresh), headers)
            response = connection.getresponse()
            status, text = response.status, response.read()
            connection.close()
            if status != 200:
                return status, json.loads(text)
        return self.fail("it was never refused")

    def test_a_request_that_allows_too_little_time(self):
        many = {"n": 20, "ignore_eos": True, "method": "ar"}
        before = self.server.metrics()
        for body, headers in (({**many, "timeout": 0.001}, {}),
                              ({**many, "stream": True}, {"X-Request-Timeout": "0.001"})):
            status, content = self.ask_until_refused(body, headers)
            self.assertEqual((status, content["error"]["type"]), (504, "server_error"))
            self.assertIn("0.001 s", content["error"]["message"])
        late = 'tidar:request_success_total{finished_reason="deadline"}'
        self.assertGreater(self.server.metrics()[late], before[late])
        # One that is enough to begin, but not for all.
        seconds, status = 0.02, 504
        while status == 504:
            seconds *= 2
            connection = self.server.connect()
            connection.request("POST", "/v1/completions", json.dumps(
                {**many, "prompt": "a", "max_tokens": 500, "timeout": seconds, "stream": True,
                 "stream_options": {"include_usage": True}}))
            response = connection.getresponse()
            status, events = response.status, response.read().decode().split("\n\n")
            connection.close()
        self.assertEqual(status, 200)
        self.assertEqual(events[-2:], ["data: [DONE]", ""])
        chunks = [json.loads(event.removeprefix("data: ")) for event in events[:-2]]
        usage = chunks[-1]["usage"]
        self.assertLess(usage["completion_tokens"], 20 * 500)
        self.assertTrue(usage["tidar"]["timed_out"])
        ends = [chunk["choices"][0]["finish_reason"] for chunk in chunks[:-1]]
        self.assertEqual([end for end in ends if end], ["length"] * 20)
        self.server.wait_for_pages()

    def test_what_takes_longer_than_its_grace_is_ended(self):
        server = Served(self.model, "--grace", 1, "--method", "ar", "--max-waiting", 200)
        connection = server.connect()
        connection.request("POST", "/v1/completions",
                           json.dumps({"prompt": "a", "max_tokens": 4000, "n": 128, "stream": True,
                                       "ignore_eos": True}))
        response = connection.getresponse()
        response.readline()
        server.process.send_signal(signal.SIGTERM)
        events = response.read().decode().split("\n\n")
        self.assertIn("ends", json.loads(events[-2].removeprefix("data: "))["error"]["message"])
        self.assertEqual(server.process.communicate(timeout=300)[1], "")
        self.assertEqual(server.process.returncode, 0)
        connection.close()

    def test_it_ends_when_what_is_under_way_has_ended(self):
        server = Served(self.model, "--method", "ar")
        connection = server.connect()
        connection.request("POST", "/v1/completions",
                           json.dumps({"prompt": "a", "max_tokens": 300, "stream": True,
                                       "ignore_eos": True}))
        response = connection.getresponse()
        response.readline()
        idle = server.connect()
        idle.connect()
        server.process.send_signal(signal.SIGTERM)
        self.assertTrue(response.read().endswith(b"data: [DONE]\n\n"))
        self.assertEqual(server.process.communicate(timeout=300)[1], "")
        self.assertEqual(server.process.returncode, 0)
        connection.close()
        idle.close()

    def test_a_second_signal_ends_it_at_once(self):
        server = Served(self.model, "--method", "ar")
        connection = server.connect()
        connection.request("POST", "/v1/completions",
                           json.dumps({"prompt": "a", "max_tokens": 2000, "stream": True, "n": 100,
                                       "ignore_eos": True}))
        response = connection.getresponse()
        response.readline()
        server.process.send_signal(signal.SIGTERM)
        with self.assertRaises(ConnectionRefusedError):  # two signals that come as one are one
            for _ in range(3000):
                socket.create_connection(("127.0.0.1", server.port)).close()
                time.sleep(0.01)
        self.assertEqual(server.end()[0], 0)
        connection.close()

    def test_bench_times_a_server(self):
        before = self.server.metrics()["tidar:generation_tokens_total"]
        out, _ = self.succeed("bench", "--serve", f"http://127.0.0.1:{self.server.port}",
                              "--clients", "1,3", "--seconds", 0.3, "--served-new", 8,
                              "--served-methods", "ar,lookup,default", "--json")
        found = json.loads(out)["serving"]
        self.assertEqual([(one["clients"], one["method"]) for one in found],
                         [(n, name) for n in (1, 3) for name in ("ar", "lookup", "default")])
        answers = sum(one["first_s"]["count"] for one in found)
        self.assertGreaterEqual(answers, (1 + 3) * 3 * 3, "each client asks once a round at least")
        for one in found:
            self.assertGreater(one["tokens_per_s"], 0)
            for times in one["first_s"], one["gap_s"]:
                self.assertLessEqual(times["50"], times["90"])
                self.assertLessEqual(times["90"], times["99"])
        # An output of special tokens alone brings no text.
        made = self.server.metrics()["tidar:generation_tokens_total"] - before
        self.assertGreaterEqual(made, 8 * answers)
        table, _ = self.succeed("bench", "--serve", f"http://127.0.0.1:{self.server.port}",
                                "--clients", 2, "--seconds", 0, "--served-new", 4)
        self.assertIn("tokens/s", table)
        self.refuse(1, "bench", "--serve", f"http://127.0.0.1:{self.server.port}", "--seconds", 0,
                    "--served-methods", "magic", holds=["magic"])
        with socket.socket() as nobody:  # bound, and not listening
            nobody.bind(("127.0.0.1", 0))
            self.refuse(1, "bench", "--serve", f"http://127.0.0.1:{nobody.getsockname()[1]}",
                        holds=["does not answer"])
        self.refuse(2, "bench", "--serve", "localhost", holds=["http://HOST:PORT"])
        self.refuse(2, "bench", "--clients", 2, holds=["--serve"])

    def test_wrong_use(self):
        self.refuse(2, "serve", holds=["--model"])
        self.refuse(2, "serve", "--model", self.model, "--port", 70000, holds=["--port"])
        with socket.create_server(("127.0.0.1", 0)) as taken:
            self.refuse(1, "serve", "--model", self.model, "--port", taken.getsockname()[1],
                        holds=["another --port"])
        for content, said in (("", "no key"), ("good\nnot good\n", ":2: ")):
            keys = self.folder / "keys"
            keys.write_text(content)
            self.refuse(1, "serve", "--model", self.model, "--api-key-file", keys, holds=[said])
        self.refuse(1, "serve", "--model", self.copy_model("llama"), holds=["tokenizer.json"])


if __name__ == "__main__":
    main()
