#!/usr/bin/env python3
"""Writes tests/quantize_cases.h: rows in the forms of --quantize as the Python packages gguf, numpy and torch give them.

    pip install gguf numpy torch
    python3 tests/make_quantize_cases.py > tests/quantize_cases.h
"""
import numpy as np
import torch
from gguf import GGMLQuantizationType as Q
from gguf.quants import quantize

BLOCKS = ["q8_0", "q4_0", "q4_1", "q5_0", "q5_1", "bf16"]
N_ROW, N_LONG = 16, 4096 * 32


class Numbers:
    """The generator of tests/test_quantize.c."""

    def __init__(self):
        self.seed = 20261122

    def next(self):
        self.seed = (self.seed * 6364136223846793005 + 1442695040888963407) % 2**64
        return self.seed >> 33

    def small(self):
        return np.float32((self.next() >> 7) * 2.0**-23 - 1)

    def row(self, kind, n):
        x = np.zeros(n, np.float32)
        size = np.float32(2.0 ** (self.next() % 12 - 8.0))
        for i in range(n):
            x[i] = self.small() * self.small() * size
        if kind == 1:  # zeros
            x[:] = 0
        elif kind == 2:  # one value
            x[:] = x[0]
        elif kind == 3:  # one that outweighs the others
            x[5] = -64 * size
        elif kind == 4:  # multiples of a step: halves between two levels
            x = np.array([np.float32((self.next() % 31) - 15) / 2 for _ in range(n)], np.float32)
        elif kind == 5:  # the same magnitude with both signs
            x[3], x[7] = 2 * size, -2 * size
        elif kind == 6:  # all of one sign
            x = abs(x) + size
        elif kind == 7:  # next to nothing
            x = x * np.float32(2.0**-20)
        elif kind == 8:  # large
            x = x * np.float32(2.0**10)
        return x


def fp8(x):
    scale = np.float32(abs(x).max()) / np.float32(448)
    if scale == 0:
        return scale, np.zeros(x.size, np.uint8)
    q = torch.tensor(x / scale).clamp(-448, 448).to(torch.float8_e4m3fn)
    return scale, q.view(torch.uint8).numpy()


def encode(name, x):
    if name == "f16":
        return x.astype(np.float16).view(np.uint8)
    return quantize(x.reshape(1, -1), getattr(Q, name.upper())).view(np.uint8).reshape(-1)


def fnv(data):
    h = 0xCBF29CE484222325
    for b in data.tobytes():
        h = (h ^ b) * 0x100000001B3 % 2**64
    return h


def put(data):
    return "".join("\\x%02x" % b for b in data.tobytes())


def main():
    r = Numbers()
    print("/* Rows of 32 numbers and what gguf.quants, numpy (f16) and torch (float8_e4m3fn, scaled by row) make of them.")
    print(" * Written by tests/make_quantize_cases.py. */")
    print("#ifndef ATTNSCOPE_TESTS_QUANTIZE_CASES_H\n#define ATTNSCOPE_TESTS_QUANTIZE_CASES_H\n")
    print("#include <stdint.h>\n#include \"compute/dtype.h\"\n")
    print("enum { QUANTIZE_ROWS = %d, QUANTIZE_LONG = %d };" % (N_ROW, N_LONG))
    print("static const struct quantize_case { int row; dtype type; float scale; const char *bytes; } quantize_cases[] = {")
    for i in range(N_ROW):
        x = r.row(i, 32)
        for name in BLOCKS + ["f16"]:
            print('    {%d, DT_%s, 1, "%s"},' % (i, name.upper(), put(encode(name, x))))
        scale, q = fp8(x)
        print('    {%d, DT_F8_E4M3, %sf, "%s"},' % (i, float(scale).hex(), put(q)))
    print("};\n")
    print("/* FNV-1a over what the next %d numbers become, blocks one after another. */" % N_LONG)
    print("static const struct quantize_sum { dtype type; float scale; uint64_t fnv; } quantize_sums[] = {")
    x = r.row(0, N_LONG)
    for name in BLOCKS + ["f16"]:
        print("    {DT_%s, 1, 0x%016x}," % (name.upper(), fnv(encode(name, x))))
    scale, q = fp8(x)
    print("    {DT_F8_E4M3, %sf, 0x%016x}," % (float(scale).hex(), fnv(q)))
    print("};\n\n#endif")


main()
