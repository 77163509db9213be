"""A server under test, and what tests of it share."""

import atexit
import http.client
import json
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import time

from outside import PROGRAM, FixtureCase, load

TEMPLATE = ("{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m.content }}{{ eos_token }}"
            "{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}")


def received(client):
    """All bytes of a socket until its connection ends."""
    answer = b""
    try:
        while part := client.recv(4096):
            answer += part
    except ConnectionResetError:
        pass
    return answer


class Served:
    """A server of a model, on a port of its own unless one is given."""

    def __init__(self, model, *args, port=0):
        self.process = subprocess.Popen(
            [PROGRAM, "serve", "--model", str(model), "--port", str(port),
             *([] if "--log" in args else ["--log", "none"]), *map(str, args)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        atexit.register(self.process.kill)  # where a test fails before it ends it
        line = self.process.stdout.readline()
        if "http://" not in line:
            raise RuntimeError(self.process.communicate()[1])
        self.port = int(line.rsplit(":", 1)[1])

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)

    def ask(self, method, path, body=None, connection=None, headers=None):
        """(status, JSON, headers); a body is sent as JSON, bytes as they are."""
        own = connection or self.connect()
        data = body if body is None or isinstance(body, bytes) else json.dumps(body)
        own.request(method, path, data, headers or {})
        response = own.getresponse()
        content = json.loads(response.read())
        if connection is None:
            own.close()
        return response.status, content, dict(response.getheaders())

    def get(self, path, **headers):
        """The body, as it is."""
        connection = self.connect()
        connection.request("GET", path, headers=headers)
        body = connection.getresponse().read()
        connection.close()
        return body

    def metrics(self):
        """The samples of /metrics, by all that stands before their values."""
        lines = self.get("/metrics").decode().splitlines()
        samples = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        return {name: float(value) for name, value in samples}

    def wait_for_pages(self, patience_s=120):
        """Until no output holds pages any more."""
        end = time.monotonic() + patience_s
        while self.metrics()['tidar:pages{state="held"}'] > 0:
            assert time.monotonic() < end, "pages are lost"
            time.sleep(0.01)

    def raw(self, *pieces):
        """All that is answered to these bytes until the connection ends. Who is refused early may
        find that nobody listens to the rest any more."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=300) as client:
            try:
                for piece in pieces:
                    client.sendall(piece)
            except (BrokenPipeError, ConnectionResetError):
                pass
            return received(client)

    def post(self, path, connection=None, **body):
        status, content, _ = self.ask("POST", path, body, connection)
        assert status == 200, content
        return content

    def events(self, path, **body):
        """The events of a stream, the last one left out."""
        typed = self.typed_events(path, **body)
        assert all(kind is None for kind, _ in typed)
        return [event for _, event in typed]

    def typed_events(self, path, **body):
        """[(type or None, event)]"""
        connection = self.connect()
        connection.request("POST", path, json.dumps({"stream": True, **body}))
        response = connection.getresponse()
        assert response.getheader("Content-Type") == "text/event-stream"
        events = response.read().decode().split("\n\n")
        assert events[-2:] == ["data: [DONE]", ""], events[-2:]
        connection.close()
        typed = [re.fullmatch(r"(?:event: (\w+)\n)?data: (.*)", event) for event in events[:-2]]
        return [(event[1], json.loads(event[2])) for event in typed]

    def end(self, how=signal.SIGTERM):
        """(exit code, stderr)"""
        self.process.send_signal(how)
        err = self.process.communicate(timeout=300)[1]
        return self.process.returncode, err


class ServedCase(FixtureCase):
    """A server for all tests of the class, of a small model that chats."""

    FLAGS = ()

    @classmethod
    def setUpClass(cls):
        cls.shared = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.shared.cleanup)
        maker = cls()
        maker.folder = pathlib.Path(cls.shared.name)
        cls.model = maker.edit_config(maker.lettered_model(), max_position_embeddings=2048)
        (cls.model / "chat_template.jinja").write_text(TEMPLATE)
        (cls.model / "tokenizer_config.json").write_text(
            json.dumps({"bos_token": "<bos>", "eos_token": {"content": "<eos>"}}))
        cls.eos = load(cls.model / "config.json")["vocab_size"] - 2
        cls.server = Served(cls.model, "--mask-token", cls.eos + 1, *cls.FLAGS)
        cls.addClassCleanup(cls.stop_shared)

    @classmethod
    def stop_shared(cls):
        code, err = cls.server.end()
        assert (code, err) == (0, ""), (code, err)

    def runTest(self):
        """So that the class can be made for what setUpClass() borrows."""
