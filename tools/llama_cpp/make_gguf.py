#!/usr/bin/env python3
"""Writes a GGUF file of the Qwen2.5-0.5B shape with random BF16 weights, for timing llama.cpp.

usage: make_gguf.py FILE

GGUF (version 3): magic, version, counts; key-value pairs; tensor infos; then the tensors, each at a
multiple of 32 bytes. The vocabulary is made up: only its size matters for time.
"""

import random
import struct
import sys

HIDDEN, LAYERS, HEADS, KV_HEADS, HEAD_SIZE, FFN, VOCABULARY = 896, 24, 14, 2, 64, 4864, 151936
ALIGNMENT = 32

# Types of values and of tensors, as the format numbers them.
VALUE_U32, VALUE_I32, VALUE_F32, VALUE_STRING, VALUE_ARRAY = 4, 5, 6, 8, 9
TENSOR_F32, TENSOR_BF16 = 0, 30


def string(text):
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def entry(key, value):
    if isinstance(value, str):
        return string(key) + struct.pack("<I", VALUE_STRING) + string(value)
    if isinstance(value, float):
        return string(key) + struct.pack("<If", VALUE_F32, value)
    return string(key) + struct.pack("<II", VALUE_U32, value)


def array(key, kind, items, encoded):
    return string(key) + struct.pack("<IIQ", VALUE_ARRAY, kind, items) + encoded


def metadata():
    words = b"".join(string(f"word{i}") for i in range(VOCABULARY))
    return [
        entry("general.architecture", "qwen2"),
        entry("general.name", "random"),
        entry("qwen2.context_length", 32768),
        entry("qwen2.embedding_length", HIDDEN),
        entry("qwen2.block_count", LAYERS),
        entry("qwen2.feed_forward_length", FFN),
        entry("qwen2.attention.head_count", HEADS),
        entry("qwen2.attention.head_count_kv", KV_HEADS),
        entry("qwen2.rope.freq_base", 1e6),
        entry("qwen2.attention.layer_norm_rms_epsilon", 1e-6),
        entry("tokenizer.ggml.model", "gpt2"),
        entry("tokenizer.ggml.pre", "qwen2"),
        array("tokenizer.ggml.tokens", VALUE_STRING, VOCABULARY, words),
        array("tokenizer.ggml.token_type", VALUE_I32, VOCABULARY,
              struct.pack(f"<{VOCABULARY}i", *([1] * VOCABULARY))),
        array("tokenizer.ggml.merges", VALUE_STRING, 1, string("w o")),
        entry("tokenizer.ggml.bos_token_id", 151643),
        entry("tokenizer.ggml.eos_token_id", 151645),
    ]


def tensors():
    """(name, dimensions with the fastest first), matrices in BF16 and vectors in F32."""
    yield "token_embd.weight", (HIDDEN, VOCABULARY)
    for layer in range(LAYERS):
        for name, shape in (
            ("attn_norm.weight", (HIDDEN,)),
            ("attn_q.weight", (HIDDEN, HEADS * HEAD_SIZE)),
            ("attn_q.bias", (HEADS * HEAD_SIZE,)),
            ("attn_k.weight", (HIDDEN, KV_HEADS * HEAD_SIZE)),
            ("attn_k.bias", (KV_HEADS * HEAD_SIZE,)),
            ("attn_v.weight", (HIDDEN, KV_HEADS * HEAD_SIZE)),
            ("attn_v.bias", (KV_HEADS * HEAD_SIZE,)),
            ("attn_output.weight", (HEADS * HEAD_SIZE, HIDDEN)),
            ("ffn_norm.weight", (HIDDEN,)),
            ("ffn_gate.weight", (HIDDEN, FFN)),
            ("ffn_up.weight", (HIDDEN, FFN)),
            ("ffn_down.weight", (FFN, HIDDEN)),
        ):
            yield f"blk.{layer}.{name}", shape
    yield "output_norm.weight", (HIDDEN,)


def elements(shape):
    count = 1
    for size in shape:
        count *= size
    return count


def padding(length):
    return b"\0" * (-length % ALIGNMENT)


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: make_gguf.py FILE")
    pairs, described = metadata(), list(tensors())
    header = struct.pack("<4sIQQ", b"GGUF", 3, len(described), len(pairs)) + b"".join(pairs)
    offset = 0
    for name, shape in described:
        matrix = len(shape) == 2
        header += string(name) + struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
        header += struct.pack("<IQ", TENSOR_BF16 if matrix else TENSOR_F32, offset)
        size = elements(shape) * (2 if matrix else 4)
        offset += size + len(padding(size))
    # A stretch of small BF16 numbers of both signs, repeated: the values do not change the time.
    draw = random.Random(1)
    stretch = struct.pack("<65536H", *(0x3C00 | draw.randrange(256) | draw.randrange(2) << 15
                                       for _ in range(65536)))
    with open(sys.argv[1], "wb") as file:
        file.write(header + padding(len(header)))
        for name, shape in described:
            if len(shape) == 1:
                data = struct.pack("<f", 1.0 if "norm" in name else 0.0) * shape[0]
                file.write(data + padding(len(data)))
                continue
            size = elements(shape) * 2
            for at in range(0, size, len(stretch)):
                file.write(stretch[: size - at])
            file.write(padding(size))


main()
