#!/usr/bin/env python3
"""Looks at a report as a browser and as a strict reader of HTML do.

    report_page.py parse PAGE.html           is it well nested, complete, escaped, without anything from outside?
    report_page.py browse PAGE.html FOLDER   does a headless browser show it, narrow and wide, light and dark?
                                             Exit status 77 where no browser is installed.
"""
import html.parser
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib

VOID = {"meta", "link", "br", "hr", "img", "input"}


class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.stack, self.faults, self.ids, self.links, self.levels, self.counts, self.text = [], [], [], [], [], {}, []

    def handle_starttag(self, tag, attrs):
        a = dict(attrs)
        self.counts[tag] = self.counts.get(tag, 0) + 1
        if "id" in a:
            self.ids.append(a["id"])
        for name in ("src", "href", "xlink:href", "action", "poster", "data"):
            value = a.get(name)
            if value is None:
                continue
            if value.startswith("#"):
                self.links.append(value[1:])
            elif not value.startswith("data:image/png;base64,"):
                self.faults.append("%s of %s is from outside: %.60s" % (name, tag, value))
        for name in a:
            if name.startswith("on"):
                self.faults.append("%s has a handler %s" % (tag, name))
        if tag == "th" and "scope" not in a:
            self.faults.append("a header without scope")
        if tag == "svg" and not a.get("aria-label"):
            self.faults.append("a figure without words")
        if re.fullmatch("h[1-6]", tag):
            self.levels.append(int(tag[1]))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.stack.pop()

    def handle_endtag(self, tag):
        if not self.stack or self.stack[-1] != tag:
            self.faults.append("line %d: </%s> in %s" % (self.getpos()[0], tag, "/".join(self.stack[-4:])))
        if tag in self.stack:
            while self.stack.pop() != tag:
                pass

    def handle_data(self, data):
        if not self.stack or self.stack[-1] not in ("style", "script"):
            self.text.append(data)


def parse(path):
    raw = open(path, "rb").read()
    text = raw.decode("utf-8")  # fails loudly
    page = Page()
    page.feed(text)
    page.close()
    faults = page.faults
    if not text.startswith("<!DOCTYPE html>"):
        faults.append("no doctype")
    if page.stack:
        faults.append("not closed: %s" % page.stack)
    for c in text:
        if (ord(c) < 32 and c != "\n") or 0x7f <= ord(c) < 0xa0 or ord(c) in (0x202e, 0x202d, 0x2066, 0x2067, 0x200b, 0xfffe):
            faults.append("character U+%04X" % ord(c))
            break
    for i in set(page.ids):
        if page.ids.count(i) > 1:
            faults.append("id %s stands %d times" % (i, page.ids.count(i)))
    for to in page.links:
        if to not in page.ids:
            faults.append("a link to #%s goes nowhere" % to)
    for a, b in zip(page.levels, page.levels[1:]):
        if b > a + 1:
            faults.append("h%d below h%d" % (b, a))
    for tag in ("h1", "main", "nav", "header", "footer", "title"):
        if page.counts.get(tag, 0) < 1:
            faults.append("no %s" % tag)
    if page.levels.count(1) != 1:
        faults.append("%d h1" % page.levels.count(1))
    if "Content-Security-Policy" not in text or "default-src 'none'" not in text.replace("&#39;", "'"):
        faults.append("no policy")
    return faults


# ---- a browser ----

def browser():
    for name in ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"):
        found = shutil.which(name)
        if found:
            return found
    return None


def run(program, profile, url, *options):
    command = [program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
               "--disable-extensions", "--user-data-dir=" + profile, *options, url]
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=120, check=True).stdout


def read_png(path):
    """Rows of RGB of an 8-bit PNG without interlacing, as browsers write it."""
    data = open(path, "rb").read()
    at, idat = 8, b""
    while at < len(data):
        n, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + n]
        if kind == b"IHDR":
            width, height, _, colour = struct.unpack(">IIBB", body[:10])
        if kind == b"IDAT":
            idat += body
        at += 12 + n
    step = 4 if colour == 6 else 3
    raw, rows, before = zlib.decompress(idat), [], bytearray(width * step)
    for y in range(height):
        kind, line = raw[y * (width * step + 1)], bytearray(raw[y * (width * step + 1) + 1:(y + 1) * (width * step + 1)])
        for x in range(len(line)):
            a = line[x - step] if x >= step else 0
            b, c = before[x], before[x - step] if x >= step else 0
            if kind == 1:
                line[x] = (line[x] + a) & 255
            elif kind == 2:
                line[x] = (line[x] + b) & 255
            elif kind == 3:
                line[x] = (line[x] + (a + b) // 2) & 255
            elif kind == 4:
                p = a + b - c
                pa, pb, pc = abs(p - a), abs(p - b), abs(p - c)
                line[x] = (line[x] + (a if pa <= pb and pa <= pc else b if pb <= pc else c)) & 255
        rows.append(line)
        before = line
    return width, height, [[tuple(r[x * step:x * step + 3]) for x in range(width)] for r in rows]


# Runs in a frame of the page's own width, outside of the page, whose policy lets no other script run.
FRAME = """<!DOCTYPE html><meta charset=utf-8><body style="margin:0">
<iframe id=f %s src="%s" style="border:0;width:%dpx;height:900px"></iframe><pre id=said></pre>
<script>
document.getElementById("f").onload = (event) => {
  const d = event.target.contentDocument, e = d.documentElement, out = {};
  out.width = e.clientWidth; out.scroll = e.scrollWidth;
  out.tables = d.querySelectorAll("table").length; out.figures = d.querySelectorAll("figure svg").length;
  out.buttons = d.querySelectorAll("th button").length; out.headings = d.querySelectorAll("h2").length;
  out.visible = [...d.querySelectorAll("main h2")].every((h) => h.getBoundingClientRect().height > 0);
  out.spill = [...d.querySelectorAll("main p, main dd, main h2, main h3, main pre, figcaption, caption, summary")].filter((x) => {
    const r = x.getBoundingClientRect(), box = x.closest(".scroll");
    return r.width > 0 && (box ? x.matches("caption") && r.left + Math.min(r.width, box.clientWidth) > e.clientWidth + 1
                               : r.right > e.clientWidth + 1);
  }).length;
  const first = d.querySelector("table.sortable td[data-v]"), table = first ? first.closest("table") : null;
  const heads = table ? [...table.tHead.rows[0].cells] : [], column = first ? first.cellIndex : -1;
  const button = column >= 0 ? heads[column].querySelector("button") : null;
  if (button) {
    button.click();
    const values = [...table.tBodies[0].rows].map((r) => r.cells[column].dataset.v).filter((v) => v !== undefined).map(Number);
    out.sorted = values.every((v, i) => i === 0 || values[i - 1] >= v);
    out.named = heads[column].getAttribute("aria-sort");
  }
  document.getElementById("said").textContent = "SAID " + JSON.stringify(out) + " END";
};
</script>"""


def measure(program, profile, path, folder, width, scripts=True):
    frame = os.path.join(folder, "frame-%d.html" % width)
    sandbox = "" if scripts else 'sandbox="allow-same-origin"'
    with open(frame, "w", encoding="utf-8") as f:
        f.write(FRAME % (sandbox, "file://" + os.path.abspath(path), width))
    for _ in range(2):  # a first start on a busy machine may be late
        dom = run(program, profile, "file://" + frame, "--allow-file-access-from-files", "--window-size=%d,1000" % (width + 40),
                  "--virtual-time-budget=20000", "--dump-dom").decode("utf-8")
        said = re.search(r"SAID (\{.*?\}) END", dom)
        if said:
            return json.loads(said.group(1).replace("&quot;", '"'))
    return None


def browse(path, folder):
    program = browser()
    if not program:
        print("no chromium or chrome is installed")
        return 77
    faults = []
    profile = tempfile.mkdtemp(dir=folder)
    url = "file://" + os.path.abspath(path)
    want = open(path, encoding="utf-8").read()
    tables, svgs = want.count("<table"), want.count("<svg ")
    try:
        run(program, profile, "about:blank", "--dump-dom")
    except (subprocess.SubprocessError, OSError) as e:
        print("the browser does not start here: %s" % e)
        return 77
    for width in (320, 360, 1600, 2560):
        got = measure(program, profile, path, folder, width)
        if not got:
            faults.append("nothing came back at %d pixels" % width)
            continue
        if got["scroll"] > got["width"]:
            faults.append("at %d pixels the page is %d wide" % (width, got["scroll"]))
        if got["spill"]:
            faults.append("at %d pixels %d texts reach beyond the page" % (width, got["spill"]))
        if (got["tables"], got["figures"]) != (tables, svgs) or not got["visible"]:
            faults.append("at %d pixels: %r, expected %d tables and %d figures" % (width, got, tables, svgs))
        if not got["buttons"] or not got.get("sorted") or got.get("named") != "descending":
            faults.append("tables cannot be sorted: %r" % got)
    # without scripts the page is as complete, only not sortable
    still = measure(program, profile, path, folder, 700, scripts=False)
    if not still or (still["tables"], still["figures"], still["buttons"], still["visible"]) != (tables, svgs, 0, True):
        faults.append("without scripts: %r, expected %d tables and %d figures" % (still, tables, svgs))
    for scheme, dark in ((0, True), (1, False)):
        for width in (500, 1600):  # a window of this browser is no narrower than 500 pixels
            shot = os.path.join(folder, "%s-%d.png" % ("dark" if dark else "light", width))
            run(program, profile, url, "--hide-scrollbars", "--blink-settings=preferredColorScheme=%d" % scheme,
                "--window-size=%d,900" % width, "--screenshot=" + shot)
            w, h, pixels = read_png(shot)
            ground, ink = pixels[3][3], max((p for row in pixels for p in row), key=lambda p: abs(sum(p) - sum(pixels[3][3])))
            if (w, h) != (width, 900):
                faults.append("a picture of %d x %d" % (w, h))
            if (sum(ground) < 384) != dark:
                faults.append("%s: the ground is %r" % (shot, ground))
            if abs(sum(ink) - sum(ground)) < 400:
                faults.append("%s: text %r on %r" % (shot, ink, ground))
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "parse":
        found = parse(sys.argv[2])
        print("\n".join(found[:20]), end="\n" if found else "")
        sys.exit(1 if found else 0)
    if len(sys.argv) == 4 and sys.argv[1] == "browse":
        sys.exit(browse(sys.argv[2], os.path.abspath(sys.argv[3])))
    print(__doc__)
    sys.exit(2)
