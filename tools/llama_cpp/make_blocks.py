#!/usr/bin/env python3
"""Writes tests/fixtures/gguf/blocks.gguf: blocks of every format, with the numbers that llama.cpp
makes of them, as F32 tensors "<format>.values".

usage: make_blocks.py LIBRARY        LIBRARY: llama.cpp's libggml-base.so
"""

import ctypes
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests"))
import gguf  # noqa: E402  (its place is known only now)

ROWS, COLS = 2, 512


def decoded(library, kind, data, count):
    out = (ctypes.c_float * count)()
    decode = getattr(library, f"dequantize_row_{kind.lower().replace('_k', '_K')}")
    decode(ctypes.c_char_p(data), out, ctypes.c_int64(count))
    return bytes(out)


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: make_blocks.py LIBRARY")
    library = ctypes.CDLL(sys.argv[1])
    rng = gguf.generator(1)
    tensors = []
    for kind in gguf.REACH:
        data = gguf.random_blocks(rng, kind, ROWS * COLS, 4)
        tensors.append((kind, kind, (ROWS, COLS), data))
        values = decoded(library, kind, data, ROWS * COLS)
        tensors.append((f"{kind}.values", "F32", (ROWS, COLS), values))
    gguf.write(ROOT / "tests/fixtures/gguf/blocks.gguf", {"general.architecture": "none"}, tensors)


main()
