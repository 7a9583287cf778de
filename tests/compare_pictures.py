#!/usr/bin/env python3
"""compare_pictures.py COMMITTED DRAWN: are the PNG files of two folders the same pictures?

Where both folders were drawn with the same libraries and fonts (made-with.txt), every pixel must be the same.  Elsewhere type
is a little larger or smaller: width and rough height must agree, and so must the colours that take most of the page.
Python's standard library alone.  Exit status 1 and a line for each picture that differs.
"""
import collections
import os
import struct
import sys
import zlib


def chunks(data):
    assert data[:8] == b"\x89PNG\r\n\x1a\n", "no PNG file"
    at = 8
    while at < len(data):
        n, kind = struct.unpack(">I4s", data[at:at + 8])
        yield kind, data[at + 8:at + 8 + n]
        at += 12 + n


def paeth(a, b, c):
    p = a + b - c
    pa, pb, pc = abs(p - a), abs(p - b), abs(p - c)
    return a if pa <= pb and pa <= pc else b if pb <= pc else c


def unfilter(raw, height, stride, step):
    before, rows, at = bytearray(stride), [], 0
    for _ in range(height):
        kind, row = raw[at], bytearray(raw[at + 1:at + 1 + stride])
        at += 1 + stride
        if kind == 1:
            for i in range(step, stride):
                row[i] = row[i] + row[i - step] & 255
        elif kind == 2:
            row = bytearray(x + y & 255 for x, y in zip(row, before))
        elif kind == 3:
            for i in range(stride):
                row[i] = row[i] + ((row[i - step] if i >= step else 0) + before[i] >> 1) & 255
        elif kind == 4:
            for i in range(stride):
                a, c = (row[i - step], before[i - step]) if i >= step else (0, 0)
                row[i] = row[i] + paeth(a, before[i], c) & 255
        rows.append(bytes(row))
        before = row
    return rows


def read(path):
    """(width, height, rows of RGB bytes)"""
    packed, palette = b"", None
    with open(path, "rb") as f:
        data = f.read()
    for kind, body in chunks(data):
        if kind == b"IHDR":
            width, height, depth, colour, _, _, interlace = struct.unpack(">IIBBBBB", body)
        elif kind == b"PLTE":
            palette = body
        elif kind == b"IDAT":
            packed += body
    parts = {0: 1, 2: 3, 3: 1, 6: 4}[colour]
    assert depth == 8 and interlace == 0, "%s: depth %d" % (path, depth)
    rows = unfilter(zlib.decompress(packed), height, width * parts, parts)
    if colour == 3:
        rows = [b"".join(palette[3 * x:3 * x + 3] for x in row) for row in rows]
    elif colour == 0:
        rows = [bytes(x for v in row for x in (v, v, v)) for row in rows]
    elif colour == 6:
        rows = [bytes(x for i, x in enumerate(row) if i % 4 != 3) for row in rows]
    return width, height, rows


def shares(rows):
    """The part of the page that colours take, in steps of 32."""
    n, count = 0, collections.Counter()
    for row in rows[::2]:
        for i in range(0, len(row), 6):
            count[row[i] >> 5, row[i + 1] >> 5, row[i + 2] >> 5] += 1
            n += 1
    return {k: v / n for k, v in count.items()}


def difference(a, b, exact):
    """What differs between two files, or None."""
    (wa, ha, ra), (wb, hb, rb) = read(a), read(b)
    if exact:
        if (wa, ha) != (wb, hb):
            return "%d x %d pixels, not %d x %d" % (wb, hb, wa, ha)
        n = sum(x != y for p, q in zip(ra, rb) if p != q for x, y in zip(p, q))
        return "%d values of pixels differ" % n if n else None
    if wa != wb or abs(ha - hb) > 0.06 * ha:
        return "%d x %d pixels, not about %d x %d" % (wb, hb, wa, ha)
    sa, sb = shares(ra), shares(rb)
    apart = sum(abs(sa.get(k, 0) - sb.get(k, 0)) for k in set(sa) | set(sb)) / 2
    return "%.1f %% of the page have other colours" % (100 * apart) if apart > 0.06 else None


def made_with(folder):
    with open(os.path.join(folder, "made-with.txt"), encoding="utf-8") as f:
        return f.read()


def main():
    committed, drawn = sys.argv[1:3]
    exact = made_with(committed) == made_with(drawn) and "unknown" not in made_with(drawn)
    names = sorted(f for f in os.listdir(drawn) if f.endswith(".png"))
    wrong = 0
    for name in names:
        if not os.path.exists(os.path.join(committed, name)):
            continue
        what = difference(os.path.join(committed, name), os.path.join(drawn, name), exact)
        if what:
            wrong += 1
            print("%s: %s" % (name, what), file=sys.stderr)
    print("%d of %d pictures are the same%s" % (len(names) - wrong, len(names), " to the pixel" if exact else ", as far as type goes"))
    return 1 if wrong or not names else 0


sys.exit(main())
