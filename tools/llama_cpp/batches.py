#!/usr/bin/env python3
"""Many streams at once: llama.cpp, and `tidar serve`, on the bundled model, in turn.

    tools/llama_cpp/batches.py --program build/release/tidar [--clients 1,4,16,64] [--seconds S]

llama.cpp decodes so many sequences in common batches, greedily, as its server does: whichever has had
its tokens makes room for the next prompt, which is read in the same batch as the others' tokens. It
has no HTTP here, and no clients beside it; `tidar serve` has both (`tidar bench --serve`). Its weights
are in BF16 like the model's, its keys in F16. Prints tokens per second: medians of three rounds, of S
seconds each. Needs what scripts/fetch-llama-cpp brings, and Python's standard library.
"""

import argparse
import ctypes
import json
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests"))
import gguf  # noqa: E402  (its place is known only now)
import hugging_face  # noqa: E402
import llama_cpp_library  # noqa: E402

PROMPT = "Question: How much is {n} and 7?\nAnswer:"
NEW_TOKENS = 64
ROOM = 128  # tokens of a sequence
ROUNDS = 3
MODEL = ROOT / "models/tidar-mini"


def gguf_of(model, path):
    """A folder's model as a GGUF file of the same numbers."""
    read = lambda name: json.loads((model / name).read_text(encoding="utf-8"))
    config, tensors = read("config.json"), []
    for name, (kind, shape, data) in hugging_face.read_tensors(model / "model.safetensors").items():
        if len(shape) == 1:
            kind, data = "F32", gguf.plain("F32", hugging_face.floats(kind, data))
        tensors.append((gguf.tensor_name(name), kind, shape, data))
    entries = gguf.model_entries(config) | gguf.tokenizer_entries(read("tokenizer.json"), "qwen2")
    return gguf.write(path, entries, tensors)


class Batches:
    """Sequences of a model of llama.cpp, one token of each in every batch."""

    def __init__(self, library, model, sequences, threads):
        self.llama, self.model, self.sequences = library.llama, model, sequences
        pointer, number = ctypes.c_void_p, ctypes.c_int32
        batch = llama_cpp_library.Batch
        for name, result, *arguments in (
                ("llama_batch_init", batch, number, number, number),
                ("llama_batch_free", None, batch),
                ("llama_set_n_threads", None, pointer, number, number),
                ("llama_n_ctx", ctypes.c_uint32, pointer),
                ("llama_n_seq_max", ctypes.c_uint32, pointer),
                ("llama_get_memory", pointer, pointer),
                ("llama_memory_seq_rm", ctypes.c_bool, pointer, number, number, number),
                ("llama_sampler_init_greedy", pointer),
                ("llama_sampler_free", None, pointer),
                ("llama_sampler_sample", number, pointer, pointer, number)):
            function = getattr(self.llama, name)
            function.restype, function.argtypes = result, arguments
        params = self.llama.llama_context_default_params()
        # n_ctx, n_batch, n_ubatch and n_seq_max stand first.
        head = ctypes.cast(ctypes.byref(params), ctypes.POINTER(ctypes.c_uint32))
        head[0], head[1], head[2], head[3] = ROOM * sequences, 2048, 512, sequences
        self.context = self.llama.llama_init_from_model(model.model, params)
        assert self.llama.llama_n_ctx(self.context) >= ROOM * sequences
        assert self.llama.llama_n_seq_max(self.context) == sequences
        self.llama.llama_set_n_threads(self.context, threads, threads)
        self.memory = self.llama.llama_get_memory(self.context)
        self.greedy = self.llama.llama_sampler_init_greedy()
        self.batch = self.llama.llama_batch_init(2048, 0, 1)
        field = lambda name, kind: ctypes.cast(getattr(self.batch, name), ctypes.POINTER(kind))
        self.tokens, self.positions = field("token", number), field("pos", number)
        self.counts, self.asked = field("n_seq_id", number), field("logits", ctypes.c_int8)
        self.ids = field("seq_id", ctypes.POINTER(number))
        self.asked_for = 0

    def close(self):
        self.llama.llama_batch_free(self.batch)
        self.llama.llama_sampler_free(self.greedy)
        self.llama.llama_free(self.context)

    def next_prompt(self, sequence):
        self.llama.llama_memory_seq_rm(self.memory, sequence, -1, -1)
        self.asked_for += 1
        return self.model.ids(PROMPT.replace("{n}", str(self.asked_for)))

    def add(self, place, token, position, sequence, asked):
        self.tokens[place], self.positions[place] = token, position
        self.counts[place], self.ids[place][0] = 1, sequence
        self.asked[place] = asked

    def run(self, seconds):
        """Tokens per second."""
        lengths = [0] * self.sequences  # of what each has read
        left = [NEW_TOKENS] * self.sequences
        unread = [self.next_prompt(sequence) for sequence in range(self.sequences)]
        made, began = 0, time.perf_counter()
        while time.perf_counter() < began + seconds:
            self.batch.n_tokens, last = 0, []
            for sequence, tokens in enumerate(unread):
                for token in tokens:
                    self.add(self.batch.n_tokens, token, lengths[sequence], sequence, False)
                    self.batch.n_tokens += 1
                    lengths[sequence] += 1
                self.asked[self.batch.n_tokens - 1] = True
                last.append(self.batch.n_tokens - 1)
            assert self.llama.llama_decode(self.context, self.batch) == 0
            for sequence, place in enumerate(last):
                token = self.llama.llama_sampler_sample(self.greedy, self.context, place)
                unread[sequence] = [token]
                left[sequence] -= 1
                made += 1
                if left[sequence] == 0:
                    unread[sequence] = self.next_prompt(sequence)
                    lengths[sequence], left[sequence] = 0, NEW_TOKENS
        return made / (time.perf_counter() - began)


def served_rates(program, url, clients, seconds):
    """Tokens per second by method."""
    done = subprocess.run(
        [program, "bench", "--serve", url, "--clients", str(clients), "--served-methods",
         "ar,default", "--seconds", str(3 * seconds), "--json"], stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, check=True)
    return {row["method"]: row["tokens_per_s"] for row in json.loads(done.stdout)["serving"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--program", required=True)
    parser.add_argument("--clients", default="1,4,16,64")
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--threads", type=int, default=2)
    flags = parser.parse_args()
    if not llama_cpp_library.present():
        sys.exit("llama.cpp is not there; scripts/fetch-llama-cpp downloads it")
    library = llama_cpp_library.Library()
    with tempfile.TemporaryDirectory() as folder:
        path = gguf_of(MODEL, pathlib.Path(folder) / "model.gguf")
        server = subprocess.Popen(
            [flags.program, "serve", "--model", MODEL, "--port", "0", "--log", "none",
             "--threads", str(flags.threads), "--max-concurrent", "64", "--context", "256"],
            stdout=subprocess.PIPE, text=True)
        try:
            url = re.search(r"http://\S+", server.stdout.readline())[0]
            print("| clients | llama.cpp | tidar serve, AR | default |\n|---|---|---|---|")
            with library.open(path) as model:
                for clients in map(int, flags.clients.split(",")):
                    print(row(flags, library, model, url, clients), flush=True)
        finally:
            server.terminate()
            server.wait()


def row(flags, library, model, url, clients):
    batches = Batches(library, model, clients, flags.threads)
    rounds = []
    for _ in range(ROUNDS):
        rates = served_rates(flags.program, url, clients, flags.seconds / 3)
        rounds.append((batches.run(flags.seconds), rates["ar"], rates["default"]))
    batches.close()
    middle = [statistics.median(rates) for rates in zip(*rounds)]
    return f"| {clients} | " + " | ".join(f"{rate:,.0f}" for rate in middle) + " |"


main()
