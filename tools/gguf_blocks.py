"""Numbers rounded to the block formats of GGUF, plainly: the largest number of a block decides its
scale. Makers of real files search for better scales.

Needs Python's standard library only. src/format/block_format.h says what a block is.
"""

import bisect
import struct

NON_LINEAR = (-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113)


def half(value):
    """To the nearest f16."""
    return struct.unpack("<e", struct.pack("<e", value))[0]


def whole(value, least, most):
    return min(most, max(least, round(value)))


def extreme(values):
    """The one that is largest in magnitude."""
    return max(values, key=abs)


def nibbles(codes):
    """32 codes: those of the second half in the upper halves of bytes."""
    return bytes(codes[i] & 15 | (codes[i + 16] & 15) << 4 for i in range(16))


def fifth_bits(codes):
    return struct.pack("<I", sum((code >> 4) << i for i, code in enumerate(codes)))


def codes_around(values, scale, middle):
    """0 to 2 middle - 1."""
    if scale == 0:
        return [middle] * len(values)
    return [whole(value / scale + middle, 0, 2 * middle - 1) for value in values]


def codes_from(values, scale, least, most):
    if scale == 0:
        return [0] * len(values)
    return [whole((value - least) / scale, 0, most) for value in values]


def q8_0(values):
    scale = half(abs(extreme(values)) / 127)
    codes = [whole(value / scale, -128, 127) if scale else 0 for value in values]
    return struct.pack("<e32b", scale, *codes)


def q4_0(values):
    scale = half(extreme(values) / -8)
    return struct.pack("<e", scale) + nibbles(codes_around(values, scale, 8))


def q5_0(values):
    scale = half(extreme(values) / -16)
    codes = codes_around(values, scale, 16)
    return struct.pack("<e", scale) + fifth_bits(codes) + nibbles(codes)


def q4_1(values):
    least = half(min(values))
    scale = half((max(values) - least) / 15)
    return struct.pack("<2e", scale, least) + nibbles(codes_from(values, scale, least, 15))


def q5_1(values):
    least = half(min(values))
    scale = half((max(values) - least) / 31)
    codes = codes_from(values, scale, least, 31)
    return struct.pack("<2e", scale, least) + fifth_bits(codes) + nibbles(codes)


def iq4_nl(values):
    scale = half(extreme(values) / -127)

    def nearest(value):
        above = bisect.bisect(NON_LINEAR, value)
        around = range(max(0, above - 1), min(16, above + 1))
        return min(around, key=lambda code: abs(NON_LINEAR[code] - value))

    codes = [nearest(value / scale) if scale else 8 for value in values]
    return struct.pack("<e", scale) + nibbles(codes)


def runs_of(values, size):
    return [values[at : at + size] for at in range(0, len(values), size)]


def six_bits(scales, minima):
    packed = bytearray(12)
    for i, (scale, minimum) in enumerate(zip(scales, minima)):
        if i < 4:
            packed[i] |= scale
            packed[i + 4] |= minimum
        else:
            packed[i + 4] = scale & 15 | (minimum & 15) << 4
            packed[i - 4] |= scale >> 4 << 6
            packed[i] |= minimum >> 4 << 6
    return bytes(packed)


def with_minima(values, most):
    """Q4_K and Q5_K: the head of a block, and its codes by runs."""
    runs = runs_of(values, 32)
    lows = [max(0.0, -min(run)) for run in runs]
    steps = [(max(run) + low) / most for run, low in zip(runs, lows)]
    scale, minimum = half(max(steps) / 63), half(max(lows) / 63)
    own_scales = [whole(step / scale, 0, 63) if scale else 0 for step in steps]
    own_minima = [whole(low / minimum, 0, 63) if minimum else 0 for low in lows]
    codes = [codes_from(run, scale * s, -minimum * m, most)
             for run, s, m in zip(runs, own_scales, own_minima)]
    return struct.pack("<2e", scale, minimum) + six_bits(own_scales, own_minima), codes


def paired_runs(codes):
    """Two runs of 32 share 32 bytes."""
    return b"".join(bytes(a & 15 | (b & 15) << 4 for a, b in zip(codes[i], codes[i + 1]))
                    for i in range(0, len(codes), 2))


def q4_k(values):
    head, codes = with_minima(values, 15)
    return head + paired_runs(codes)


def q5_k(values):
    head, codes = with_minima(values, 31)
    fifth = bytes(sum((codes[run][i] >> 4) << run for run in range(8)) for i in range(32))
    return head + fifth + paired_runs(codes)


def q6_k(values):
    runs = runs_of(values, 16)
    steps = [extreme(run) / -32 for run in runs]
    scale = half(extreme(steps) / -128)
    own = [whole(step / scale, -128, 127) if scale else 0 for step in steps]
    codes = [code for run, s in zip(runs, own) for code in codes_around(run, scale * s, 32)]
    low, high = bytearray(128), bytearray(64)
    for i, code in enumerate(codes):
        part, quarter, at = i // 128, i % 128 // 32, i % 32
        low[part * 64 + quarter % 2 * 32 + at] |= (code & 15) << quarter // 2 * 4
        high[part * 32 + at] |= code >> 4 << 2 * quarter
    return bytes(low) + bytes(high) + struct.pack("<16b", *own) + struct.pack("<e", scale)


# Format -> elements of a block, and what makes it.
ROUNDED = {"Q8_0": (32, q8_0), "Q6_K": (256, q6_k), "Q5_K": (256, q5_k), "Q5_1": (32, q5_1),
           "Q5_0": (32, q5_0), "Q4_K": (256, q4_k), "Q4_1": (32, q4_1), "IQ4_NL": (32, iq4_nl),
           "Q4_0": (32, q4_0)}


def rounded(kind, values):
    """The blocks of rows that are whole blocks."""
    elements, make = ROUNDED[kind]
    return b"".join(make(values[at : at + elements]) for at in range(0, len(values), elements))
