#!/usr/bin/env python3
"""Writes a GGUF file of the Qwen2.5-0.5B shape with random BF16 weights, for timing llama.cpp.

usage: make_gguf.py FILE

The vocabulary is made up: only its size matters for time.
"""

import pathlib
import random
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent.parent / "tests"))
import gguf  # noqa: E402  (its place is known only now)

HIDDEN, LAYERS, HEADS, KV_HEADS, HEAD_SIZE, FFN, VOCABULARY = 896, 24, 14, 2, 64, 4864, 151936


def metadata():
    return {
        "general.architecture": "qwen2",
        "general.name": "random",
        "qwen2.context_length": 32768,
        "qwen2.embedding_length": HIDDEN,
        "qwen2.block_count": LAYERS,
        "qwen2.feed_forward_length": FFN,
        "qwen2.attention.head_count": HEADS,
        "qwen2.attention.head_count_kv": KV_HEADS,
        "qwen2.rope.freq_base": 1e6,
        "qwen2.attention.layer_norm_rms_epsilon": 1e-6,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "qwen2",
        "tokenizer.ggml.tokens": [f"word{i}" for i in range(VOCABULARY)],
        "tokenizer.ggml.token_type": [gguf.NORMAL] * VOCABULARY,
        "tokenizer.ggml.merges": ["w o"],
        "tokenizer.ggml.bos_token_id": 151643,
        "tokenizer.ggml.eos_token_id": 151645,
    }


def tensors():
    """(name, shape), rows first."""
    yield "token_embd.weight", (VOCABULARY, HIDDEN)
    for layer in range(LAYERS):
        for name, shape in (
            ("attn_norm.weight", (HIDDEN,)),
            ("attn_q.weight", (HEADS * HEAD_SIZE, HIDDEN)),
            ("attn_q.bias", (HEADS * HEAD_SIZE,)),
            ("attn_k.weight", (KV_HEADS * HEAD_SIZE, HIDDEN)),
            ("attn_k.bias", (KV_HEADS * HEAD_SIZE,)),
            ("attn_v.weight", (KV_HEADS * HEAD_SIZE, HIDDEN)),
            ("attn_v.bias", (KV_HEADS * HEAD_SIZE,)),
            ("attn_output.weight", (HIDDEN, HEADS * HEAD_SIZE)),
            ("ffn_norm.weight", (HIDDEN,)),
            ("ffn_gate.weight", (FFN, HIDDEN)),
            ("ffn_up.weight", (FFN, HIDDEN)),
            ("ffn_down.weight", (HIDDEN, FFN)),
        ):
            yield f"blk.{layer}.{name}", shape
    yield "output_norm.weight", (HIDDEN,)


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: make_gguf.py FILE")
    described = [(name, "BF16" if len(shape) == 2 else "F32", shape) for name, shape in tensors()]
    # A stretch of small BF16 numbers of both signs, repeated: the values do not change the time.
    draw = random.Random(1)
    stretch = struct.pack("<65536H", *(0x3C00 | draw.randrange(256) | draw.randrange(2) << 15
                                       for _ in range(65536)))
    with open(sys.argv[1], "wb") as file:
        file.write(gguf.header(metadata(), described))
        for name, kind, shape in described:
            size = gguf.size_of(kind, shape)
            if kind == "F32":
                file.write(struct.pack("<f", 1.0 if "norm" in name else 0.0) * shape[0])
            else:
                for at in range(0, size, len(stretch)):
                    file.write(stretch[: size - at])
            file.write(gguf.padding(size))


main()
