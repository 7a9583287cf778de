"""`view` in a pseudo-terminal, as TAP: a small terminal of its own reads the screen, answers questions and presses keys.
Waits for what must appear (60 s at most), never for a time."""
import base64
import fcntl
import math
import os
import pty
import re
import select
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import tempfile
import termios
import time
import unicodedata
import zlib

PROGRAM = os.environ["ATTNSCOPE"]
MODEL = os.path.abspath(os.path.join(os.environ.get("srcdir", "."), "examples/models/lantern-3m"))
PROMPT = "It was a dark night,\tand the old man saw\x1b[31m the dark night. The old man was not afraid of 北京."
ASK = b"\x1b[c"
KITTY_ASK = b"\x1b_Gi=31"
PATIENCE = 60               # seconds; after a failure what follows has little chance: 2
count = 0
failed = 0


def check(what, good, detail=""):
    global count, failed
    count += 1
    failed += not good
    print(("ok" if good else "not ok"), count, "-", what, flush=True)
    if not good:
        for line in str(detail).splitlines()[:40]:
            print("#", line)
    return good


def columns(c):
    return 0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1


class Screen:
    """As much of a terminal as the viewer uses."""
    TOKEN = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])|\x1b_G(.*?)\x1b\\|\x1bP(.*?)\x1b\\|(\x1b.?)|([^\x1b])", re.S)

    def __init__(self, width, height):
        self.raw_tail = ""
        self.alternate = False
        self.cursor = True
        self.wild = []          # what is no part of the few sequences above
        self.size(width, height)

    def size(self, width, height):
        self.width, self.height = width, height
        self.at = [[(" ", None)] * width for _ in range(height)]
        self.x = self.y = 0
        self.back = None

    def feed(self, text):
        text = self.raw_tail + text
        end = 0
        for m in self.TOKEN.finditer(text):
            if m.start() != end or m.group(5) in ("\x1b", "\x1b[", "\x1b_", "\x1bP"):   # goes on in what comes next
                break
            end = m.end()
            if m.group(2):
                self.control(m.group(1), m.group(2))
            elif m.group(5):
                self.wild.append(m.group(5))
            elif m.group(6):
                self.put(m.group(6))
        self.raw_tail = text[end:]

    def control(self, args, final):
        v = [int(n) for n in re.findall(r"\d+", args)]
        if final == "H":
            self.y, self.x = (v[0] - 1, v[1] - 1) if len(v) > 1 else (0, 0)
        elif final == "J":
            self.size(self.width, self.height)
        elif final == "K":
            if self.y < self.height:
                self.at[self.y] = [(" ", None)] * self.width
        elif final == "m":
            if not v or v == [0]:
                self.back = None
            elif v[0] == 48:
                self.back = tuple(v[1:])
        elif args == "?1049":
            self.alternate = final == "h"
        elif args == "?25":
            self.cursor = final == "h"
        elif args not in ("?7", "?2004", "16", ""):
            self.wild.append(args + final)

    def put(self, c):
        if c == "\n":
            self.y += 1
        elif c == "\r":
            self.x = 0
        elif ord(c) < 32:
            if c not in "\x18\x07\x08":
                self.wild.append(c)
        else:
            for i in range(columns(c)):
                if self.y < self.height and self.x < self.width:
                    self.at[self.y][self.x] = (c if i == 0 else "", self.back)
                self.x += 1
                if self.x > self.width and self.alternate:
                    self.wild.append("beyond the right edge")

    def line(self, i):
        return "".join(c for c, _ in self.at[i]).rstrip()

    def text(self):
        return "\n".join(self.line(i) for i in range(self.height))


class Terminal:
    def __init__(self, home, words, width=80, height=24, pixels=None, program=None, answer=None, **env):
        environ = {"PATH": os.environ.get("PATH", ""), "HOME": home, "TERM": "xterm", "LC_ALL": "C.UTF-8"}
        environ.update({k: v for k, v in os.environ.items() if k.startswith(("ASAN", "UBSAN", "LSAN", "LD_"))})
        environ.update(env)
        self.screen = Screen(width, height)
        self.raw = b""
        self.asked = self.looked = 0
        self.answer = answer    # bytes that answer a question; a function of the question
        self.pixels = pixels or (0, 0)
        program = program or [PROGRAM] + words
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.read(0, 1)       # until the size is set
            os.chdir(home)
            for sig in (signal.SIGINT, signal.SIGHUP):  # a background job inherits them ignored
                signal.signal(sig, signal.SIG_DFL)
            try:
                os.execve(shutil.which(program[0]) or program[0], program, environ)
            finally:
                os._exit(127)
        self.resize(width, height, False)
        mode = termios.tcgetattr(self.fd)
        os.write(self.fd, b"\n")
        self.before = mode

    def resize(self, width, height, tell=True):
        self.screen.size(width, height)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ,
                    struct.pack("HHHH", height, width, self.pixels[0] * width, self.pixels[1] * height))

    def read(self, seconds):
        ready, _, _ = select.select([self.fd], [], [], seconds)
        if not ready:
            return False
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            data = b""
        self.raw += data
        self.screen.feed(data.decode("utf-8", "replace"))
        at = self.raw.find(ASK, self.asked)
        if at >= 0:
            question = self.raw[self.asked:at + len(ASK)]
            self.asked = at + len(ASK)
            if self.answer:
                os.write(self.fd, self.answer(question))
        return bool(data)

    def until(self, good):
        end = time.monotonic() + (2 if failed else PATIENCE)
        while not good():
            if time.monotonic() > end or not self.read(max(0, end - time.monotonic())):
                return good()
        return True

    def shows(self, what, pattern):
        r = re.compile(pattern, re.M)
        return check(what, self.until(lambda: r.search(self.screen.text())),
                     "wanted %s, saw\n%s" % (pattern, self.screen.text()))

    def send(self, keys):
        os.write(self.fd, keys.encode() if isinstance(keys, str) else keys)

    def does(self, what, keys, pattern):
        self.send(keys)
        return self.shows(what, pattern)

    def restored(self, what):
        now = termios.tcgetattr(self.fd)
        same = now[:4] == self.before[:4]
        check(what + ": the terminal's modes are back", same, "%s\n%s" % (self.before, now))
        check(what + ": the screen and its cursor, too", not self.screen.alternate and self.screen.cursor,
              self.raw[-80:])
        check(what + ": nothing strange was sent", not self.screen.wild, self.screen.wild)

    def end(self):
        end = time.monotonic() + (5 if failed else PATIENCE)
        status = None
        while time.monotonic() < end and status is None:
            pid, s = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                status = s
            else:
                self.read(0.05)
        while self.read(0.05):
            pass
        return os.waitstatus_to_exitcode(status) if status is not None else "still runs"

    def close(self):
        os.close(self.fd)


class Store:
    def __init__(self, path):
        self.db = sqlite3.connect(path)

    def map(self, layer, head):
        rows, cols, cells = self.db.execute(
            "SELECT a.n_row, a.n_col, a.cells FROM map a JOIN site s ON s.id = a.site_id"
            " WHERE s.layer = ? AND s.head = ?", (layer, head)).fetchone()
        return [list(r) for r in zip(*[iter(struct.unpack("<%df" % (rows * cols), zlib.decompress(cells)))] * cols)]

    def value(self, metric, layer, head):
        return self.db.execute("SELECT value FROM head_value WHERE metric = ? AND layer = ? AND head = ?",
                               (metric, layer, head)).fetchone()[0]

    def values(self, metric):
        return [r[0] for r in self.db.execute("SELECT value FROM head_value WHERE metric = ?", (metric,))]


def single(x):
    return struct.unpack("<f", struct.pack("<f", x))[0]


def status_value(t, word="weight"):
    m = re.search(r"^%s ([-+.e\d]+)(,? |,?$)" % word, t.screen.text(), re.M)
    return m.group(1) if m else None


def maps(home, store):
    t = Terminal(home, ["view", "head_map", "-i", "--head", "L1H3", "--store", "heads.db"], COLORTERM="truecolor")
    t.shows("the whole map is shown first", r"mean \d+x\d+ .*\? help$")
    p = int(re.search(r"mean (\d+)x", t.screen.text()).group(1))
    check("on a screen of its own, without a cursor", t.screen.alternate and not t.screen.cursor)
    m = store.map(1, 3)
    block = [m[r][c] for r in range(p) for c in range(p) if not math.isnan(m[r][c])]
    v = status_value(t)
    check("a block's mean over what is not masked", v and abs(float(v) - sum(block) / len(block)) < 1e-7, v)
    check("says how many are masked", "without %d masked" % (p * (p - 1) // 2) in t.screen.text(), t.screen.text())
    t.does("m: its maximum", "m", r"max of %d x %d" % (p, p))
    check("is the largest of them", single(float(status_value(t))) == max(block), status_value(t))
    t.does("+ zooms to tokens", "m" + "+" * int(math.log2(p)), r"1x1 .*\? help$")
    t.does("arrows move the cursor", "\x1b[B" * 5 + "\x1b[C" * 3 + "\x1b[D", r'^query 5 ".*night"  key 2 ".was"$')
    check("the weight is the store's, to the last bit", single(float(status_value(t))) == m[5][2],
          "%s, stored %r" % (status_value(t), m[5][2]))
    row = next((i for i in range(24) if "[]" in t.screen.line(i)), 0)
    col = next((i for i, at in enumerate(t.screen.at[row]) if at[0] == "["), 0)
    check("the cursor stands in its row", t.screen.line(row).split()[0] == "5", t.screen.line(row))
    check("v stands above it", t.screen.line(1)[col] == "v", t.screen.line(1))
    check("masked cells are grey", t.screen.at[row][col + 2 * 6][1] == (2, 0x58, 0x58, 0x58), t.screen.at[row][col + 12])
    check("others are not", t.screen.at[row][col + 2][1] not in (None, (2, 0x58, 0x58, 0x58)))
    t.does("a masked weight is called so", "\x1b[C" * 6, r"^weight masked$")
    t.does("full stop: the next head", ".g5,2\r", r"^L1H4 \(13 of 32\)")
    t.shows("with its weight", r"^query 5 .*key 2 ")
    check("from the store", single(float(status_value(t))) == store.map(1, 4)[5][2], status_value(t))
    t.does("]: the next layer, the same head", "]", r"^L2H4 \(")
    check("with its weight again", single(float(status_value(t))) == store.map(2, 4)[5][2], status_value(t))
    t.does("[: the layer before", "[[", r"^L0H4 \(")
    t.does("which has none before it", "[", r"^no stored map of a layer before")
    t.does("comma: the head before", "\x1b[C,", r"^L0H3 \(")
    t.does("g goes to a place", "g20,7\r", r'^query 20 .*key 7 ')
    t.does("or says why not", "g99,7\r", r"99,7 is outside the map")
    t.does("/ finds a token among keys", "/dark\r", r'key \d+ ".dark"')
    first = re.search(r"key (\d+)", t.screen.text()).group(1)
    t.does("and the next one", "/\r", r'key (?!%s )\d+ ".dark"' % first)
    t.does("f among queries", "fman\r", r'query \d+ ".man"')
    t.does("what is not there is said", "/zebra\r", r'no token holds "zebra"')
    t.does("l: logarithmic colours", "l", r"log viridis")
    t.does("c: another colour map", "c", r"log (?!viridis )\w+")
    t.does("End: the last column", "\x1b[F", r"key %d " % (len(m) - 1))
    t.does("Home: the first", "\x1b[H", r"key 0 ")
    t.does("control characters of tokens are spelt out", "fx1B\r", r'query \d+ "\\x1B"')
    t.does("? lists the keys", "?", r"leave")
    t.does("any key ends that", " ", r"^L0H3 \(")
    t.does("s asks for a name", "s", r"save as")
    t.does("and saves as plot does", "pic.png\r", r"^saved pic\.png$")
    data = open(os.path.join(home, "pic.png"), "rb").read()
    check("a PNG that says how", data[:4] == b"\x89PNG" and b"plot head_map" in data and b"--head=L0H3" in data
          and b"--norm=log" in data, data[:400])
    t.does("an unknown kind of file is an error line", "spic.xyz\r", r"pic\.xyz")
    t.send("\x1b[H")
    t.resize(40, 12)
    t.shows("40 columns and 12 lines", r"\A.*L0H3.*(\n.*){8}\nquery \d+ .*key 0 .*\nweight .*\nL0H3")
    check("nothing beyond the edge", not t.screen.wild, t.screen.wild)
    t.does("the cursor moves there, too", "g30,20\r", r"^query 30 .*key 20 ")
    check("and stays in sight", any("[]" in t.screen.line(i) for i in range(12)), t.screen.text())
    t.does("- zooms out", "--", r"mean 4x4|mean 8x8")
    t.does("- stops at the whole map", "----0", r"mean (8x8|16x16)")
    t.resize(100, 50)
    t.shows("a larger window, the whole map", r"^L0H3 \(.* 1x1 ")
    t.resize(20, 5)
    t.shows("too small is said", r"window is too")
    t.resize(80, 24)
    t.shows("and over when it is not", r"^weight ")
    t.send("q")
    check("q leaves with status 0", t.end() == 0, t.raw[-300:])
    t.restored("after q")
    t.close()


def colours(home):
    for env, seen, unseen in (({"COLORTERM": "truecolor"}, b"[48;2;", b"[48;5;"), ({}, b"[48;5;", b"[48;2;"),
                              ({"NO_COLOR": "1"}, b"[]", b"[48;")):
        t = Terminal(home, ["view", "head_map", "-i", "--store", "heads.db"], **env)
        t.shows("a map with %s" % (env or "256 colours"), r"^weight ")
        check("its colours", seen in t.raw and unseen not in t.raw, t.raw[:600])
        if "NO_COLOR" in env:
            t.send("+")
            t.shows("characters instead", r"\[\]")
            check("and ASCII alone", all(b < 128 for b in t.raw), t.screen.text())
        t.send("\x1b")
        check("Esc leaves", t.end() == 0, t.raw[-300:])
        t.restored("after Esc")
        t.close()


def grids(home, store):
    t = Terminal(home, ["view", "score_grid", "-i", "--metric", "induction", "--store", "heads.db"])
    t.does("layer and head", "\x1b[B\x1b[C\x1b[C\x1b[C", r"^layer 1  head 3$")
    v = store.value("induction", 1, 3)
    above = sum(x > v for x in store.values("induction"))
    got = status_value(t, "induction")
    check("the value of the store", got and single(float(got)) == single(v), got)
    check("and its rank", "rank %d of 32" % (above + 1) in t.screen.text(), t.screen.text())
    t.does("n: the next metric", "n", r"^sink  1x1")
    got = status_value(t, r"alpha \(mean attention weight\)")
    check("with its value", got and single(float(got)) == single(store.value("sink", 1, 3)), got)
    t.does("p: the one before", "p", r"^induction  1x1")
    t.send("q")
    check("left", t.end() == 0, t.raw[-300:])
    t.close()
    t = Terminal(home, ["view", "layer_curve", "-i", "--metric", "entropy", "--store", "heads.db"])
    t.does("a chart: x under the cursor", "\x1b[C\x1b[C", r"^layer 2$")
    want = sum(store.value("entropy", 2, h) for h in range(8)) / 8
    numbers = [float(x) for x in re.findall(r"\d+\.\d+", t.screen.text().split("layer 2\n")[-1])]
    check("and the value of its series", any(abs(x - want) < 1e-9 for x in numbers), "%r %s" % (want, t.screen.text()))
    t.does("not beyond the last", "\x1b[C" * 5, r"^layer 3$")
    t.send("q")
    check("left, too", t.end() == 0, t.raw[-300:])
    t.restored("after a chart")
    t.close()


def signals(home):
    words = ["view", "head_map", "-i", "--store", "heads.db"]
    t = Terminal(home, words)
    t.shows("before Ctrl-C", r"^weight ")
    t.send("\x03")
    check("Ctrl-C leaves with 130", t.end() == 130, t.raw[-300:])
    t.restored("after Ctrl-C")
    t.close()
    for sig in (signal.SIGTERM, signal.SIGHUP, signal.SIGABRT):
        t = Terminal(home, words)
        t.shows("before %s" % sig.name, r"^weight ")
        os.kill(t.pid, sig)
        code = t.end()
        check("%s ends it" % sig.name, code in (130, -sig), "%s\n%r" % (code, t.raw[-300:]))
        t.restored("after %s" % sig.name)
        t.close()
    t = Terminal(home, words)
    t.shows("before the terminal goes away", r"^weight ")
    t.close()
    end = time.monotonic() + PATIENCE
    pid = 0
    while not pid and time.monotonic() < end:
        pid, _ = os.waitpid(t.pid, os.WNOHANG)
        time.sleep(0.01)
    check("a terminal that goes away ends it", pid != 0)


def stopped(home):
    t = Terminal(home, [], program=["sh", "-i"], PS1="ready> ", ENV="")
    t.until(lambda: b"ready> " in t.raw)
    t.before = termios.tcgetattr(t.fd)
    t.send("%s view head_map -i --store heads.db\n" % PROGRAM)
    t.shows("under a shell", r"^weight ")
    at = len(t.raw)
    t.send("\x1a")
    check("Ctrl-Z gives the shell its screen", t.until(lambda: b"ready> " in t.raw[at:]) and not t.screen.alternate,
          t.raw[at:][-300:])
    check("and a cursor", t.screen.cursor)
    at = len(t.raw)
    t.send("echo its $((6 * 7))\n")
    check("whose keys are echoed", t.until(lambda: b"its 42" in t.raw[at:]) and b"echo its" in t.raw[at:], t.raw[at:])
    at = len(t.raw)
    t.send("fg\n")
    t.until(lambda: t.screen.alternate and b"weight" in t.raw[at:])
    check("fg brings the picture back", t.screen.alternate and b"weight" in t.raw[at:], t.raw[at:][-300:])
    t.does("and the keys", "g30,1\r", r"query (28-31|30-31|24-31) .*key 0-\d ")
    at = len(t.raw)
    t.send("q")
    check("q goes back to the shell", t.until(lambda: b"ready> " in t.raw[at:]), t.raw[at:])
    t.restored("after fg and q")
    t.send("exit\n")
    t.end()
    t.close()


# --- pictures ---

def png_pixels(data):
    """Width, height and rows of RGB of a PNG without filters or with them."""
    at, idat = 8, b""
    while at < len(data):
        n, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + n]
        if kind == b"IHDR":
            w, h, depth, colour = struct.unpack(">IIBB", body[:10])
            assert depth == 8 and colour == 2
        elif kind == b"IDAT":
            idat += body
        at += 12 + n
    raw, step, rows = zlib.decompress(idat), 3 * w + 1, []
    for y in range(h):
        assert raw[y * step] == 0   # our writer filters nothing
        rows.append(raw[y * step + 1:(y + 1) * step])
    return w, h, rows


def sixel_pixels(text):
    m = re.fullmatch(r'0;1q"1;1;(\d+);(\d+)(.*)', text, re.S)
    w, h = int(m.group(1)), int(m.group(2))
    rows = [bytearray(3 * w) for _ in range(h)]
    palette, now, x, y = {}, 0, 0, 0
    for m in re.finditer(r"#(\d+)(?:;2;(\d+);(\d+);(\d+))?|!(\d+)([?-~])|([?-~])|(\$)|(-)", m.group(3)):
        if m.group(1):
            now = int(m.group(1))
            if m.group(2):
                palette[now] = bytes((int(m.group(k)) * 255 + 50) // 100 for k in (2, 3, 4))
        elif m.group(8):
            x = 0
        elif m.group(9):
            x, y = 0, y + 6
        else:
            bits, n = ord(m.group(6) or m.group(7)) - 63, int(m.group(5) or 1)
            for k in range(6):
                if bits >> k & 1:
                    rows[y + k][3 * x:3 * (x + n)] = palette[now] * n
            x += n
    return w, h, rows, len(palette)


def kitty_png(raw):
    parts = re.findall(rb"\x1b_G([^;]*);([^\x1b]*)\x1b\\", raw)
    parts = [p for p in parts if b"a=q" not in p[0]]
    good = all(len(p[1]) <= 4096 for p in parts) and b"f=100" in parts[0][0] and b"a=T" in parts[0][0]
    good = good and all(b"m=1" in p[0] for p in parts[:-1]) and b"m=0" in parts[-1][0]
    return base64.b64decode(b"".join(p[1] for p in parts)), good


def plain(home, *words):
    return subprocess.run([PROGRAM] + list(words), cwd=home, stdin=subprocess.DEVNULL, capture_output=True,
                          env={"PATH": os.environ.get("PATH", ""), "HOME": home, "LC_ALL": "C.UTF-8"})


def pictures(home):
    fixed = ["--width", "100", "--dpi", "72", "--head", "L1H3", "--store", "heads.db"]
    plain(home, "plot", "head_map", *fixed, "-o", "want.png")
    want = png_pixels(open(os.path.join(home, "want.png"), "rb").read())
    view = ["view", "head_map"] + fixed
    t = Terminal(home, view, 100, 40, pixels=(8, 16), KITTY_WINDOW_ID="1")
    check("kitty by its environment", t.end() == 0 and KITTY_ASK not in t.raw and ASK not in t.raw, t.raw[:100])
    png, good = kitty_png(t.raw)
    check("pieces of 4,096 bytes, the last one marked", good)
    check("make up a PNG with the pixels of plot", png_pixels(png) == want)
    t.restored("after kitty")
    t.close()
    t = Terminal(home, ["view", "head_map", "--head", "L1H3", "--store", "heads.db"], 80, 24, pixels=(10, 20),
                 KITTY_WINDOW_ID="1")
    t.end()
    w, h, _ = png_pixels(kitty_png(t.raw)[0])
    check("the picture fits and leaves the prompt", 200 < w <= 800 and 200 < h <= 22 * 20, "%d x %d" % (w, h))
    t.close()

    def attributes(text, kitty=False):
        return lambda question: (b"\x1b_Gi=31;OK\x1b\\" if kitty and KITTY_ASK in question else b"") + text

    t = Terminal(home, view, 100, 40, pixels=(8, 16), answer=attributes(b"\x1b[?62;4;22c"), COLORTERM="truecolor")
    check("a terminal that answers: sixels", t.end() == 0 and b"\x1bPq" not in t.raw and b"\x1bP0;1q" in t.raw, t.raw[:200])
    found = re.search(rb"\x1bP(.*?)\x1b\\", t.raw, re.S)
    w, h, rows, registers = sixel_pixels(found.group(1).decode()) if found else (0, 0, [], 0)
    check("as large as the page of plot", (w, h) == want[:2], (w, h))
    error = max((abs(a - b) for r, q in zip(rows, want[2]) for a, b in zip(r, q)), default=999)
    check("with its colours", error <= (4 if registers < 256 else 24), "%d with %d registers" % (error, registers))
    t.restored("after sixels")
    t.close()
    t = Terminal(home, view, 100, 40, answer=attributes(b"\x1b[6;16;8t\x1b[?1;2c", True))
    check("a terminal that answers: kitty", t.end() == 0 and png_pixels(kitty_png(t.raw)[0]) == want, t.raw[:200])
    t.close()
    t = Terminal(home, view, 100, 40, answer=attributes(b"\x1b[?1;2c"))
    check("a terminal that answers: neither", t.end() == 0 and b"\x1b_Ga=T" not in t.raw and b"\x1bP" not in t.raw
          and b"[48;5;" in t.raw, t.raw[:200])
    t.close()
    t = Terminal(home, view, 100, 40)
    check("a mute one gets text", t.end() == 0 and b"[48;5;" in t.raw and b"\x1bP" not in t.raw, t.raw[:200])
    t.restored("after a mute terminal")
    t.close()
    t = Terminal(home, view, 100, 40, answer=attributes(b"\x1b[?1;2c", True), TMUX="/tmp/tmux,1,0", KITTY_WINDOW_ID="1")
    check("inside tmux kitty is not assumed nor asked for", t.end() == 0 and KITTY_ASK not in t.raw
          and b"\x1b_Ga=T" not in t.raw, t.raw[:200])
    t.close()
    for env in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        t = Terminal(home, view, 100, 40, answer=attributes(b"\x1b[?4c", True), **env)
        check("with %s nobody is asked" % env, t.end() == 0 and b"\x1b" not in t.raw, t.raw[:200])
        t.close()
    t = Terminal(home, view + ["--graphics", "none"], 100, 40, KITTY_WINDOW_ID="1")
    check("--graphics none is text", t.end() == 0 and b"\x1b_G" not in t.raw and b"[48;5;" in t.raw, t.raw[:200])
    t.close()
    r = plain(home, *view, "--graphics", "sixel")
    found = re.search(rb"\x1bP(.*?)\x1b\\", r.stdout, re.S)
    check("--graphics sixel into a file, too", found and sixel_pixels(found.group(1).decode())[:2] == want[:2], r.stderr)
    r = plain(home, "--graphics", "kitty", *view)
    check("so does the setting", png_pixels(kitty_png(r.stdout)[0]) == want, r.stderr)
    r = plain(home, *view)
    check("a pipe gets plain text", r.returncode == 0 and b"\x1b" not in r.stdout, r.stdout[:100])
    r = plain(home, *view, "-i")
    check("no terminal, no interactive view", r.returncode == 2 and b"needs a terminal" in r.stderr
          and r.stdout == b"", r.stderr)


def typed(home):
    """Keys that are pressed between a question and its answer."""
    t = Terminal(home, [], 100, 40, answer=lambda q: b"set thr\x1b[?1;2ceads 7; set threads\r")
    t.until(lambda: b"attnscope> " in t.raw)
    t.send("view head_map --head L1H3 --store heads.db\r")
    t.until(lambda: re.search(rb"[\r\n]7\r?\n", t.raw))
    check("keys pressed meanwhile are not lost", re.search(rb"[\r\n]7\r?\n", t.raw), t.raw[-300:])
    at = len(t.raw)
    t.send("view head_map --head L1H3 --store heads.db\r")
    t.until(lambda: b"attention weight" in t.raw[at:])
    check("a terminal is asked once", ASK not in t.raw[at:] and b"attention weight" in t.raw[at:], t.raw[at:][:200])
    at = len(t.raw)
    t.send("view head_map -i --store heads.db\r")
    t.until(lambda: b"? help" in t.raw[at:])
    t.send("qset threads 5; set threads\r")
    t.until(lambda: re.search(rb"[\r\n]5\r?\n", t.raw[at:]))
    check("keys behind q belong to the shell", re.search(rb"[\r\n]5\r?\n", t.raw[at:]), t.raw[at:][-300:])
    at = len(t.raw)
    t.send("view head_map -i --store heads.db\r")
    t.until(lambda: b"? help" in t.raw[at:])
    t.send("\x03")
    t.until(lambda: b"attnscope> " in t.raw[at:])
    t.send("set threads\r")
    t.until(lambda: re.search(rb"[\r\n]5\r?\n", t.raw[at:]))
    check("Ctrl-C in a view keeps the shell", re.search(rb"[\r\n]5\r?\n", t.raw[at:]), t.raw[at:][-300:])
    t.send("\x04")
    check("which ends well", t.end() == 0, t.raw[-200:])
    t.close()


def large(home):
    """A map stored unpooled that is larger than what is kept in memory, made by hand."""
    n = 6000
    shutil.copy(os.path.join(home, "heads.db"), os.path.join(home, "large.db"))
    db = sqlite3.connect(os.path.join(home, "large.db"))
    packer = zlib.compressobj(1)
    cells, nan, value = [], struct.pack("<f", math.nan), struct.pack("<f", 0.25)
    ramp = b"".join(struct.pack("<f", (i % 64) / 64) for i in range(n))
    for r in range(n):
        cells.append(packer.compress(ramp[:4 * (r + 1)] + nan * (n - r - 1)))
    cells.append(packer.flush())
    db.execute("UPDATE map SET n_query = ?, n_key = ?, n_row = ?, n_col = ?, cells = ? WHERE site_id ="
               " (SELECT id FROM site WHERE layer = 1 AND head = 3)", (n, n, n, n, b"".join(cells)))
    db.commit()
    db.close()
    t = Terminal(home, ["view", "head_map", "-i", "--head", "L1H3", "--store", "large.db"], TMPDIR=home)
    t.shows("a map of 6,000 x 6,000", r"mean 512x512|mean 256x256")
    status = open("/proc/%d/status" % t.pid).read() if os.path.exists("/proc/%d/status" % t.pid) else ""
    anon = re.search(r"RssAnon:\s+(\d+) kB", status)
    if anon:
        check("does not lie in memory", int(anon.group(1)) < 110000 or "ASAN_OPTIONS" in os.environ, anon.group(0))
    check("nor in a file with a name", not [f for f in os.listdir(home) if f.startswith("attnscope-")], os.listdir(home))
    t.does("its cells", "+" * 10 + "g5000,4001\r", r"^query 5000 .*key 4001 ")
    check("are there", float(status_value(t)) == (4001 % 64) / 64, status_value(t))
    t.does("and its blocks", "---", r"mean of 8 x 8")
    check("pooled", float(status_value(t)) == sum((4000 + i) % 64 for i in range(8)) / 8 / 64, status_value(t))
    t.does("large ones, too", "--", r"mean of 32 x 32")
    check("by the same rule", float(status_value(t)) == sum((4000 + i) % 64 for i in range(32)) / 32 / 64, status_value(t))
    began = time.monotonic()
    t.does("a hundred steps", "\x1b[A" * 100 + "\x1b[H", r"^queries? 1792-1823 |^query 1792-1823 ")
    print("# 101 keys: %.2f s" % (time.monotonic() - began))
    t.send("q")
    check("left", t.end() == 0, t.raw[-200:])
    t.close()
    t = Terminal(home, ["view", "head_map", "-i", "--head", "L1H3", "--store", "large.db"],
                 TMPDIR=os.path.join(home, "nowhere"))
    check("no room for its file is said", t.end() == 5 and b"no room for a temporary file" in t.raw, t.raw[-300:])
    t.close()


def main():
    home = tempfile.mkdtemp()
    try:
        db = os.path.join(home, "heads.db")
        r = plain(home, "run", MODEL, "--prompt", PROMPT, "--store", db, "--maps", "all", "--metrics",
                  "sink,induction,entropy")
        if check("a run with maps", r.returncode == 0, r.stderr):
            store = Store(db)
            maps(home, store)
            colours(home)
            grids(home, store)
            signals(home)
            stopped(home)
            pictures(home)
            typed(home)
            large(home)
    finally:
        shutil.rmtree(home)
    print("1..%d" % count)


sys.exit(main())
