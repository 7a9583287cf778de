#!/usr/bin/env python3
"""Run the commands of pages and compare what they print with what the pages show: docs_run.py [--refresh] PROGRAM SOURCE PAGE...

A page is read from top to bottom and run in a folder of its own, with `attnscope` on PATH and `examples` of the source:

    ```console            lines `$ command` (a \\ at the end goes on), each followed by all that it prints; lines
                          `attnscope> command` are typed into one shell of the program
    ```sh                 commands that must succeed, whatever they print
    ```LANGUAGE file=F    is written to the file F
    ```console norun      not run: its verbs and options are looked up in `help`
    ```console if=WORD    run where the program WORD is, else as norun

In what is shown, a line `...` stands for any lines, `[...]` for anything in a line.  Times, dates, instruction sets, numbers of
threads and versions are masked on both sides.  A command whose output shows `attnscope: ` may fail, every other must succeed.
In README.md, whose blocks are indented, commands without output shown must only succeed, and those for other models, files or
programs are as norun.  --refresh writes into the page what the program prints where that is not what the page shows.
Prints TAP without a plan: tests/docs_run.sh adds it."""
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

MASKS = [
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z?", "<time>"),
    (r"\b\d{4}-\d\d-\d\d\b", "<date>"),
    (r"(?<![\w.])[0-9.]+ (ms|s|min|us)(?=[ ,;.)]|$)", r"<n> \1"),
    (r"\b(amx|avx512bf16|avx512|avx2|neon|c), \d+ threads?", "<isa>, <n> threads"),
    (r"--isa (amx|avx512bf16|avx512|avx2|neon|c)\b", "--isa <isa>"),
    (r'"isa":"[a-z0-9]+"', '"isa":"<isa>"'),
    (r'"(seconds|ms|us|elapsed|threads)":[0-9.e+-]+', r'"\1":<n>'),
    (r"attnscope \d+\.\d+[0-9A-Za-z.+~-]*", "attnscope <version>"),
    (r"^(  (?:seconds|threads|version|isa) +)\S.*", r"\1<n>"),
]
TYPED = re.compile(r"attnscope(?: [^ >]+)?> ")
MARK = "\036"
# What README.md shows for other models, programs, terminals or files.
ELSEWHERE = re.compile(r"SmolLM2|mpirun|python3|get-smollm2|\./demo|\./check| -i\b|book\.txt|model\.gguf|part\*|"
                       r"(?<![\w.'\"])(?!L\d)[A-Z][A-Z0-9_]{3,}(?![\w'\"])")


class Block:
    """A run of lines of the page that belong together: kind, words, its lines and where the first one stands."""

    def __init__(self, kind, words, line):
        self.kind, self.words, self.line, self.lines, self.items = kind, words, line, [], []


class Item:
    """One command: where it stands, its text, the lines of the page that show its output [begin, end)."""

    def __init__(self, line, text, typed):
        self.line, self.text, self.typed, self.begin, self.end = line, text, typed, 0, 0
        self.got, self.status = None, None


def blocks_of(page, indented):
    found, block = [], None
    for number, line in enumerate(page):
        if indented:
            if line.startswith("    ") and not (block is None and page[number - 1].strip()):
                if block is None:
                    block = Block("console", [], number)
                    found.append(block)
                block.lines.append(line[4:])
            else:
                block = None
        elif block is None:
            fence = re.match(r"```(\S*)\s*(.*)$", line)
            if fence:
                block = Block(fence.group(1), fence.group(2).split(), number + 1)
                found.append(block)
        elif line.startswith("```"):
            block = None
        else:
            block.lines.append(line)
    return found


def unfinished(text):
    if text.endswith("\\"):
        return True
    try:
        shlex.split(text)
        return False
    except ValueError:
        return True


def items_of(block):
    at = 0
    while at < len(block.lines):
        line = block.lines[at]
        typed = TYPED.match(line)
        if not typed and not line.startswith("$ "):
            at += 1
            continue
        item = Item(block.line + at, line[typed.end():] if typed else line[2:], bool(typed))
        while unfinished(item.text) and at + 1 < len(block.lines):
            at += 1
            item.text += "\n" + block.lines[at]
        at += 1
        item.begin = block.line + at
        while at < len(block.lines) and not block.lines[at].startswith("$ ") and not TYPED.match(block.lines[at]):
            at += 1
        item.end = block.line + at
        block.items.append(item)
    if any(i.typed for i in block.items):
        block.items = [i for i in block.items if i.typed]


def value_of(words, name):
    return next((w[len(name) + 1:] for w in words if w.startswith(name + "=")), None)


def script_of(blocks, folder):
    """The page as a script of the system's shell; each command ends with a mark, what it told (notes, hints) before it."""
    text = ['mark() { marked=$?; cat "$TOLD"; : > "$TOLD"; printf "\\n\\036%s %s\\n" "$1" "$marked"; return "$marked"; }',
            ': > "$TOLD"']
    n = 0
    for block in blocks:
        name = value_of(block.words, "file")
        if name:
            text += ["mkdir -p \"$(dirname '%s')\"" % name, "cat > '%s' <<'END_OF_FILE'" % name, *block.lines, "END_OF_FILE"]
        elif block.kind == "sh" and "norun" not in block.words:
            item = Item(block.line, "\n".join(block.lines), False)
            block.items = [item]
            text += ["{ " + item.text, '} 2> "$TOLD"; mark %d' % n]
            n += 1
        elif block.kind == "console":
            if block.items and block.items[0].typed:
                session = os.path.join(folder, "typed-%d" % n)
                with open(session, "w", encoding="utf-8") as f:
                    for i, item in enumerate(block.items):
                        f.write("%s\nlet docs_mark = '%s'\nlet docs_mark\n" % (item.text.replace("\\\n", " "), MARK + "typed %d" % i))
                text.append("attnscope < '%s'; mark %d" % (session, n))
                n += 1
                continue
            for item in block.items:
                text += ["{ " + item.text, '} 2> "$TOLD"; mark %d' % n]
                n += 1
    return "\n".join(text) + "\n"


def split_output(text, blocks):
    """Give every command what it printed."""
    parts = re.split("\n?" + MARK + r"(\d+) (\d+)\n", text)
    pieces = [(parts[i], int(parts[i + 2])) for i in range(0, len(parts) - 2, 3)]
    n = 0
    for block in blocks:
        if block.items and block.items[0].typed:
            piece, status = pieces[n] if n < len(pieces) else ("", None)
            told = re.split(MARK + r"typed \d+\n", piece)
            for i, item in enumerate(block.items):
                item.got, item.status = (told[i], 0 if i + 1 < len(told) else status) if i < len(told) else (None, status)
            n += 1
            continue
        for item in block.items:
            if n < len(pieces):
                item.got, item.status = pieces[n]
            n += 1


def masked(line):
    for pattern, by in MASKS:
        line = re.sub(pattern, by, line)
    return line.rstrip()


def alike(want, got):
    return re.fullmatch(".*".join(re.escape(part) for part in masked(want).split("[...]")), masked(got)) is not None


def agrees(want, got):
    """Do the lines got match the lines shown?"""
    if "..." not in want:
        return len(want) == len(got) and all(map(alike, want, got))
    at = want.index("...")
    if len(got) < at or not all(map(alike, want[:at], got)):
        return False
    return any(agrees(want[at + 1:], got[i:]) for i in range(at, len(got) + 1))


class Looked:
    """Verbs and options of commands that are not run, against `help`; scripts and tests that they name, against the source."""

    def __init__(self, program, source):
        self.program, self.source, self.known = program, source, {}

    def help_of(self, verb):
        if verb not in self.known:
            done = subprocess.run([self.program, "help", verb], capture_output=True, text=True, check=False)
            self.known[verb] = done.stdout if done.returncode == 0 else None
        return self.known[verb]

    def wrong_file(self, word, first):
        """A script must be there, and be one that runs where it is the command; of a test its source must be there."""
        path = os.path.join(self.source, word)
        if re.fullmatch(r"(build/)?tests/(test|fuzz)_\w+", word):
            return None if os.path.exists(os.path.join(self.source, word.split("build/")[-1] + ".c")) else "no test " + word
        if re.match(r"(build-aux|tests|examples/(scripts|findings|gallery|reference))/", word) and (first or re.search(r"\.\w+$", word)):
            if not os.path.exists(path):
                return None if re.match(r"tests/families/", word) else "no file " + word
            return "%s does not run" % word if first and not os.access(path, os.X_OK) else None
        return None

    def missing(self, text):
        text = re.sub(r"\s#\s.*", "", text.replace("\\\n", " "))
        for command in re.split(r"[;|]|&&", text) if "'" not in text and '"' not in text else [text]:
            try:
                words = shlex.split(command)
            except ValueError as e:
                return str(e)
            while words and re.match(r"\w+=", words[0]):
                words.pop(0)
            for i, word in enumerate(words):
                wrong = self.wrong_file(word, i == 0)
                if wrong:
                    return wrong
            at = next((i for i, w in enumerate(words) if os.path.basename(w) == "attnscope"), None)
            if at is None or at + 1 >= len(words):
                continue
            verb = words[at + 1]
            if verb.startswith("-") or not re.fullmatch("[a-z]+", verb):
                continue
            page = self.help_of(verb)
            if page is None:
                return "no verb " + verb
            for word in words[at + 2:]:
                if word.startswith("--"):
                    name = word.split("=")[0][2:]
                    if not re.search(r"--(\[no-\])?%s\b" % re.escape(re.sub("^no-", "", name)), page):
                        return "%s has no option --%s" % (verb, name)
        return None


def run_page(program, source, path, refresh, looked):
    with open(path, encoding="utf-8") as f:
        page = f.read().split("\n")
    indented = os.path.basename(path) == "README.md" and os.path.dirname(os.path.abspath(path)) == source
    blocks = blocks_of(page, indented)
    name = os.path.relpath(os.path.abspath(path), source)
    results, runnable = [], []
    for block in blocks:
        if block.kind == "console":
            items_of(block)
        need = value_of(block.words, "if")
        if "norun" in block.words or (need and not shutil.which(need)):
            texts = [i.text for i in block.items] or ["\n".join(block.lines)]
            missing = [m for m in map(looked.missing, texts) if m]
            results.append((not missing, "%s:%d: commands that are not run exist" % (name, block.line), missing))
            continue
        if indented:
            for item in [i for i in block.items if ELSEWHERE.search(re.sub('"[^"]*"', '""', i.text))]:
                block.items.remove(item)
                missing = looked.missing(item.text)
                results.append((not missing, "%s:%d: exists: %s" % (name, item.line + 1, item.text.split("\n")[0][:80]), [missing]))
        runnable.append(block)
    folder = tempfile.mkdtemp()
    try:
        work = os.path.join(folder, "work")
        for sub in ("work/build", "bin"):
            os.makedirs(os.path.join(folder, sub))
        for link in ("bin/attnscope", "work/build/attnscope"):
            os.symlink(program, os.path.join(folder, link))
        os.symlink(os.path.join(source, "examples"), os.path.join(work, "examples"))
        env = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES", "ATTNSCOPE_CONFIG")}
        env.update(HOME=folder, XDG_CACHE_HOME=folder + "/cache", XDG_CONFIG_HOME=folder + "/config",
                   XDG_STATE_HOME=folder + "/state", NO_COLOR="1", LC_ALL="C.UTF-8", TERM="dumb",
                   PATH=folder + "/bin:" + env.get("PATH", ""), ATTNSCOPE_SOURCE=source, TOLD=folder + "/told")
        env.pop("ATTNSCOPE", None)
        script = os.path.join(folder, "script")
        with open(script, "w", encoding="utf-8") as f:
            f.write(script_of(runnable, folder))
        done = subprocess.run(["sh", script], stdin=subprocess.DEVNULL, cwd=work, env=env, text=True, encoding="utf-8",
                              errors="replace", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300, check=False)
        split_output(done.stdout.replace(work + "/", "").replace(folder, "DIR").replace(source + "/", ""), runnable)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    edits = []
    for block in runnable:
        for item in block.items:
            what = "%s:%d: %s" % (name, item.line + 1, item.text.strip().split("\n")[0][:90])
            if item.got is None:
                results.append((False, what, ["was not reached"]))
                continue
            indent = "    " if indented else ""
            want = [line[len(indent):] for line in page[item.begin:item.end]]
            while want and not want[-1].strip():
                want.pop()
            got = item.got.rstrip("\n").split("\n") if item.got.strip() else []
            told = ["printed: " + line for line in got[:30]]
            if item.status != 0 and not any("attnscope: " in line for line in want):
                results.append((False, what, ["exit status %s" % item.status, *told]))
            elif block.kind == "sh" or (indented and not want) or agrees(want, got):
                results.append((True, what, []))
            else:
                results.append((False, what, told))
                edits.append((item.begin, item.begin + len(want), [indent + line.rstrip() for line in got]))
    if refresh and edits:
        for begin, end, lines in sorted(edits, reverse=True):
            page[begin:end] = lines
        with open(path, "w", encoding="utf-8") as f:
            f.write("\n".join(page))
    return results


def main():
    words = sys.argv[1:]
    refresh = words[:1] == ["--refresh"]
    words = words[1:] if refresh else words
    if len(words) < 3:
        sys.exit(__doc__)
    program, source = os.path.abspath(words[0]), os.path.realpath(words[1])
    looked = Looked(program, source)
    for path in words[2:]:
        for good, what, told in run_page(program, source, os.path.realpath(path), refresh, looked):
            print(("ok - " if good else "not ok - ") + what.replace("#", "\\#"))
            for line in told:
                if line:
                    print("# " + line[:200])


main()
