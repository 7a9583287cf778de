"""The shell in a pseudo-terminal, as TAP.  Waits for what must appear (60 s at most), never for a time."""
import fcntl
import os
import pty
import re
import select
import shutil
import signal
import struct
import sys
import tempfile
import termios
import time

PROGRAM = os.environ["ATTNSCOPE"]
MODEL = os.path.abspath(os.path.join(os.environ.get("srcdir", "."), "examples/models/lantern-3m"))
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]|\x1b[=>]|\x07")
PATIENCE = 60    # seconds
count = 0


def check(what, good, detail=""):
    global count
    count += 1
    print(("ok" if good else "not ok"), count, "-", what, flush=True)
    if not good:
        for line in str(detail).splitlines():
            print("#", line)


class Shell:
    def __init__(self, home, columns=80, lines=24, args=("--no-hints", "--pager=off"), cwd=None, **env):
        self.columns = columns
        self.text = ""      # everything shown, without escape sequences
        self.raw = b""
        self.patience = PATIENCE
        self.mark = 0       # behind the last match
        self.seen = ""      # what the last wait went over
        environ = {"PATH": os.environ.get("PATH", ""), "HOME": home, "TERM": "xterm", "LC_ALL": "C.UTF-8"}
        environ.update({k: v for k, v in os.environ.items() if k.startswith(("ASAN", "UBSAN", "LSAN", "LD_"))})
        environ.update(env)
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
            os.chdir(cwd or home)
            for sig in (signal.SIGINT, signal.SIGHUP):  # a background job inherits them ignored
                signal.signal(sig, signal.SIG_DFL)
            try:
                os.execve(PROGRAM, [PROGRAM, *args], environ)
            finally:
                os._exit(127)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def read(self, seconds):
        ready, _, _ = select.select([self.fd], [], [], seconds)
        if not ready:
            return False    # nothing came in time
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            data = b""
        self.raw += data
        text = ESCAPES.sub("", self.raw.decode("utf-8", "replace"))
        while "\x08" in text:    # Readline goes back to write a word anew
            text = re.sub(r"[^\x08]\x08|^\x08", "", text)
        self.text = re.sub(r"[\r\n]+", "\n", text)
        return bool(data)

    def wait(self, pattern):
        """Until pattern appears behind the last match; True when it did."""
        end = time.monotonic() + self.patience
        while True:
            found = re.compile(pattern).search(self.text, self.mark)
            if found:
                self.seen = self.text[self.mark:found.end()]
                self.mark = found.end()
                return True
            if time.monotonic() > end or not self.read(end - time.monotonic()):
                self.seen = self.text[self.mark:]
                self.patience = 1   # what follows has little chance: do not wait as long again
                return False

    def send(self, keys):
        os.write(self.fd, keys.encode())

    def does(self, what, keys, pattern):
        self.send(keys)
        good = self.wait(pattern)
        check(what, good, "sent %r, wanted %r, saw:\n%s" % (keys, pattern, self.seen))
        return good

    def screen(self):
        """The rows that a terminal shows after all that came, as far as Readline's sequences go."""
        rows, y, x = [[]], 0, 0
        raw = self.raw.decode("utf-8", "replace")
        for piece in re.findall(r"\x1b\[[0-9;?]*[@A-Za-z]|\x1b[()].|\x1b.|.|\n", raw, re.S):
            code = re.fullmatch(r"\x1b\[([0-9]*)[0-9;?]*([@A-Za-z])", piece)
            n = int(code.group(1) or 1) if code else 0
            if code and code.group(2) in "ABCD":
                y += {"A": -n, "B": n}.get(code.group(2), 0)
                x += {"C": n, "D": -n}.get(code.group(2), 0)
            elif code and code.group(2) == "@":
                rows[y][x:x] = " " * n
            elif code and code.group(2) == "P":
                del rows[y][x:x + n]
            elif code and code.group(2) in "KJ":
                del rows[y][x:]
                if code.group(2) == "J":
                    del rows[y + 1:]
            elif piece == "\r":
                x = 0
            elif piece == "\x08":
                x -= 1
            elif piece == "\n":
                y += 1
            elif len(piece) == 1 and piece >= " ":
                if x == self.columns:
                    x, y = 0, y + 1
                while len(rows) <= y:
                    rows.append([])
                rows[y].extend(" " * (x + 1 - len(rows[y])))
                rows[y][x] = piece
                x += 1
            while len(rows) <= y:
                rows.append([])
        return ["".join(row).rstrip() for row in rows]

    def shows(self, what, keys, pattern, rows=-1):
        """Until the last row of the screen (or the last rows) matches."""
        end = time.monotonic() + self.patience
        self.send(keys)
        while True:
            seen = "\n".join(self.screen()[rows:])
            good = re.search(pattern, seen)
            if good or time.monotonic() > end or not self.read(end - time.monotonic()):
                break
        if not good:
            self.patience = 1
        check(what, good, "sent %r, wanted %r, saw:\n%s" % (keys, pattern, seen))

    def leave(self):
        """Ctrl-D, once the prompt is there: one that comes before finds the terminal between two modes."""
        end = time.monotonic() + self.patience
        while not re.search(r"attnscope[^>\n]*> $", self.text) and self.read(max(0, end - time.monotonic())):
            pass
        self.send("\x04")

    def end(self):
        end = time.monotonic() + min(PATIENCE, 10 * self.patience)
        while time.monotonic() < end and self.read(end - time.monotonic()):
            pass
        if time.monotonic() >= end:
            print("# it does not leave: %r" % self.raw[-200:], flush=True)
            os.kill(self.pid, signal.SIGKILL)
        _, status = os.waitpid(self.pid, 0)
        os.close(self.fd)
        return os.waitstatus_to_exitcode(status)


def session(home):
    s = Shell(home)
    check("the prompt appears", s.wait(r"Ctrl-D\s+leaves\nattnscope> $"), s.text)
    s.does("Tab on an empty line lists the verbs", "\t", r"dump [^>]*view[^>]*weights[^>]*attnscope> $")
    s.does("a verb is completed", "hel\t", r"help $")
    s.does("a metric after it", "distance_\t", r"distance_profile $")
    s.does("and explained", "\r", r"metric +distance_profile\n[^>]*attnscope> $")
    s.does("an option is completed", "list isas --js\t", r"list isas --json $")
    s.does("and accepted", "\r", r'"schema":"attnscope.isa/1"[^>]*(.*\n)*attnscope> $')
    s.does("a choice is completed", "set color nev\t\r", r"set color never \nattnscope> $")
    s.does("a setting behind an equals sign", "list metrics --output=no\t", r"--output=notes\.csv $")
    s.send("\x15")
    s.does("words of SQL within its quotes", 'sql "sel\t* fr\t', r'sql "SELECT \* FROM $')
    s.does("Ctrl-C drops the line", "\x03", r"\^C\nattnscope> $")
    s.does("and the shell goes on", "set threads 3; set threads\r", r"\n3\nattnscope> $")
    s.does("a search of the history", "\x12s", r"i-search\)`s'")
    s.does("ends at Ctrl-C", "\x03", r"\^C(.*\n)+attnscope> $")
    s.does("and what follows is a line", "let b = 4; let b\r", r"\n4\nattnscope> $")
    s.does("a list is completed word by word", "run m --metrics indu\t,nl\t", r"induction,nll$")
    s.does("Ctrl-C again", "\x03", r"\^C\nattnscope> $")
    s.does("a file name is quoted", "source my\t", r'"my file\.attn" $')
    s.does("and found", "\r", r"\n3\nattnscope> $")
    s.does("so is one behind an @", "set store @my\t", r'"my file\.attn" $')
    s.does("Ctrl-C once more", "\x03", r"\^C\nattnscope> $")
    s.does("a verb may be short", "hist 1\r", r"\d+ +hist 1\nattnscope> $")
    s.does("as long as it is unique", "s x\r", r'"s" begins several commands: .*set.*\n(.*\n)*attnscope> $')
    s.does("an open quote goes on", 'set store "two\r', r"\n> $")
    s.does("to the next line", 'lines"\r', r"attnscope> $")
    s.does("with both", "set store\r", r"\ntwo\nlines\nattnscope> $")
    s.does("a here-document, too", "set store <<END\rx\rEND\r", r"> END\nattnscope> $")
    s.does("Ctrl-C forgets an unfinished command", 'set store "y\r', r"\n> $")
    s.does("at the second prompt", "\x03", r"\^C\nattnscope> $")
    s.does("nothing of it is left", "set store\r", r"\nx\nattnscope> $")
    s.does("an error keeps the shell", "nonsense\r", r'attnscope: unknown command "nonsense"\n(.*\n)*attnscope> $')
    s.send('set store :memory:; sql "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) '
           'SELECT count(*) FROM n"\r')
    s.wait(r"FROM n\"\n")
    s.does("Ctrl-C stops a command", "\x03", r"(sql|set): cancelled\nattnscope> $")
    s.does("and only that", "set threads\r", r"\n3\nattnscope> $")
    s.does("a line behind a blank is private", " set threads 5\r", r"attnscope> $")
    s.leave()
    check("Ctrl-D leaves with status 0", s.end() == 0, s.text)
    check("on a line of its own, no more", s.raw.count(b"\n", s.raw.rindex(b"attnscope> ")) == 1, s.raw[-40:])


def history(home):
    path = os.path.join(home, ".local/state/attnscope/history")
    check("history is kept", os.path.exists(path))
    check("for its owner alone", os.stat(path).st_mode & 0o777 == 0o600, oct(os.stat(path).st_mode))
    text = open(path).read()
    check("with what was typed", 'set store "two\nlines"\n' in text and "hist 1\n" in text, text)
    check("without what was private", "set threads 5" not in text, text)
    s = Shell(home)
    s.wait(r"attnscope> $")
    s.does("the last line comes back", "\x1b[A", r"set threads$")
    s.does("and the one before, of two lines", "\x12two\r", r"attnscope> $")
    s.does("as it was", "set store\r", r"\ntwo\nlines\nattnscope> $")
    for line in ("#20 heads were chosen", "#1234567890", "\\\\#7"):
        s.does("a comment, a number behind its sign", line + "\r", r"attnscope> $")
    s.does("in the midst of an entry, too", "set store 'a\r#17\rb'\r", r"> b'\n(.*\n)*attnscope> $")
    s.does("quit leaves", "quit\r", r"quit\n")
    check("with status 0", s.end() == 0, s.text)
    s = Shell(home)
    s.wait(r"attnscope> $")
    s.does("what reads like a time comes back", "history 6\r",
           r"#20 heads were chosen\n +\d+ +#1234567890\n +\d+ +\\\\#7\n +\d+ +set store 'a\\n#17\\nb'\n +\d+ +quit\n")
    s.leave()
    s.end()
    with open(path, "w") as f:
        f.write("set threads 2\n\n#7 is best\nset threads 3\n#1700000000\nset store 'a\nb'\n#1700000001\nlist isas\n")
    s = Shell(home)
    s.wait(r"attnscope> $")
    s.does("a file that another program wrote is read", "history\r",
           r" 1 +set threads 2\n +2 +#7 is best\n +3 +set threads 3\n +4 +set store 'a\\nb'\n +5 +list isas\n +6 +history\n")
    s.leave()
    s.end()


def narrow(home):
    s = Shell(home, columns=40)
    s.wait(r"attnscope> $")
    s.send("list metrics; list settings\r")
    s.wait(r"list settings\n")
    check("tables at 40 columns", s.wait(r"attnscope> $"), s.text)
    wide = [line for line in s.seen.splitlines() if len(line) > 40]
    check("fit", not wide and len(s.seen.splitlines()) > 15, "\n".join(wide))
    s.send("load nosuchmodel; show 1; set colour always\r")
    s.wait(r"always\n")
    check("errors at 40 columns", s.wait(r'attnscope> $'), s.text)
    rows = s.seen.splitlines()
    check("go on at a word", max(map(len, rows)) <= 40 and "search path" in " ".join(r.strip() for r in rows), s.seen)
    s.send("watch --times 1 --every 3 'set threads; set precision'\r")
    s.does("the heading of watch goes on at a word", "", r"#1, every 3 s: set\nthreads; set precision\n")
    s.wait(r"attnscope> $")
    s.send("help list\r")
    s.wait(r"help list\n")
    check("help at 40 columns", s.wait(r"attnscope> $"), s.text)
    wide = [line for line in s.seen.split("Examples")[0].splitlines() if len(line) > 40]
    check("fits, but for examples", not wide, "\n".join(wide))
    if os.path.exists(MODEL):
        s.send("load %s; set pager off; run --prompt 'a dog' --metrics sink\r" % MODEL)
        s.wait(r"metrics\s+sink\n")
        check("results and notes at 40 columns", s.wait(r"lantern-3m> $"), s.text)
        rows = s.seen[max(0, s.seen.find("lantern-3m: llama")):].splitlines()   # behind the line as it was typed
        check("do so, too", max(map(len, rows)) <= 40 and any(r.startswith("run 1: lantern-3m, ") for r in rows), s.seen)
        check("runs in memory are said to be there alone, once", " ".join(rows).count("until the shell ends") == 1, s.seen)
    s.leave()
    s.end()


def colours(home):
    for env, coloured in (({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)):
        s = Shell(home, **env)
        s.wait(r"attnscope> $")
        start = len(s.raw)
        s.send("list isas\r")
        s.wait(r"usable[^>]*attnscope> $")
        check("colours with %s: %s" % (env or "a terminal", coloured), (b"\x1b[1;4m" in s.raw[start:]) == coloured,
              s.raw[start:])
        s.leave()
        s.end()


def model(home):
    if not os.path.exists(MODEL):
        return
    s = Shell(home)
    s.wait(r"attnscope> $")
    s.does("the prompt names the model", "load %s\r" % MODEL, r"attnscope lantern-3m> $")
    s.does("heads of the model are completed", "run --maps L2H\t\t", r"L2H0[^>]*L2H7")
    s.send("\x03")
    s.wait(r"\^C\n")
    os.kill(s.pid, signal.SIGTERM)
    check("SIGTERM ends the shell with status 130", s.end() == 130, s.text)


def completion(home):
    store = os.path.join(home, "runs.db")
    s = Shell(home, columns=100, lines=40, ATTNSCOPE_MODELS=os.path.dirname(MODEL) + ":/nowhere")
    s.wait(r"attnscope> $")
    s.does("columns of the table that the statement names", 'sql "SELECT head_na\t FROM head_val\t', r'head_name  FROM head_value $')
    s.does("its keywords, too", "wher\t", r"WHERE $")
    s.does("and metrics between SQL's quotes", "metric = 'indu\t", r"metric = 'induction $")
    s.send("\x03")
    s.does("a view behind FROM", 'sql "SELECT * FROM run_li\t', r"run_list $")
    s.send("\x03")
    s.does("values of a switch", "set quiet of\t", r"off $")
    s.send("\x03")
    s.does("settings behind set, with what they are", "set plai\t", r"plain $")
    s.send("\x03")
    s.does("terms behind explain", "explain induction-h\t", r"induction-head $")
    s.send("\x03")
    s.does("keys of the bibliography, too", "explain gu2025s\t\r", r"gu2025sink \nwork +gu2025sink\n[^>]*attnscope> $")
    s.does("but no verbs", "explain censu\t\r", r'explain censu\n[^>]*attnscope> $')
    s.does("options with their help", "top --l\t", r"--lowest $")
    s.send("\x03")
    s.does("a list says what each is", "top entro\t\t\t", r"entropy +[a-z][^\n]*\nentropy_[^>]*attnscope> top entropy$")
    s.send("\x03")
    s.does("values behind an equals sign", "set color=al\t", r"set color=always $")
    s.send("\x03")
    s.does("the command that an alias stands for", "alias x = explai\tinduction-h\t", r"alias x = explain induction-head $")
    s.send("\x03")
    s.does("what is imported", "import \t", r"import heads $")
    s.send("\x03")
    s.does("sections of a report", "report 1 --sections ove\t", r"--sections overview$")
    s.send("\x03")
    s.does("options without those of all metrics", "run --\t\t", r"--audio [^>]*--tsv[^>]*attnscope> run --$")
    check("which are many", "--sink-keys" not in s.seen, s.seen)
    s.does("with those of the metrics on the line", "\x15run --metrics sink --\t\t", r"--sink-keys[^>]*attnscope> run --metrics sink --$")
    check("alone", "--entropy-rows" not in s.seen, s.seen)
    s.does("and all that begin as is typed", "\x15run --entropy-r\t", r"--entropy-rows $")
    s.send("\x03")
    if os.path.exists(MODEL):
        s.does("a model of the search path", "load lant\t", r"load lantern-3m $")
        s.does("is found by its name", "\r", r"lantern-3m: llama[^>]*attnscope lantern-3m> $")
        s.does("a name that is nearly one", "load lantern-3n\r", r'did you mean "lantern-3m"\?')
        s.does("heads of a layer", "run --maps L3\t\t\t", r"L3H0 +L3H1[^>]*L3H7")
        s.send("\x03")
        s.does("a word of a selection gets its blank", 'top sink --heads "to\t', r'--heads "top $')
        s.send("\x03")
        s.does("edits", 'run --edit "drop_b\t', r'"drop_block $')
        s.send("\x03")
        s.does("edits behind a semicolon, and heads", 'run --edit "zero L0H1; resampl\tL2H\t\t', r'resample L2H[^>]*L2H7')
        s.send("\x03")
        s.does("the command behind watch", "watch --times 2 expl\tinduction-h\t", r"watch --times 2 explain induction-head $")
        s.send("\x03")
        s.does("its options", "watch runs --js\t", r"watch runs --json $")
        s.send("\x03")
        s.does("variables", "let shade = dark\rtokenize $sha\t", r"tokenize \$shade $")
        s.send("\x03")
        s.does("in braces", "tokenize ${sto\t", r"tokenize \$\{store\} $")
        s.send("\x03")
        s.does("in quotes", 'run --prompt "the $sha\t', r'"the \$shade$')
        s.send("\x03")
        s.does("metrics in a selection", 'top sink --heads "top 3 by entropy_n\t', r"by entropy_normalised$")
        s.send("\x03")
        s.does("runs", "run --prompt lamp --metrics sink --store %s\r" % store, r"run 1: (.*\n)+attnscope lantern-3m> $")
        s.does("with what they were", "show \t\t", r"1 +run of lantern-3m, 20[^>]*last +the newest")
        s.send("\x03")
        s.does("metrics that were measured", "top \t", r"top sink $")
        s.send("\x03")
        with open(os.path.join(home, "mine.txt"), "w") as f:
            f.write("L1H3\nL2H5\n")
        s.does("lists of heads", "import heads mine.txt --name mine --quiet\rtop sink --heads \"heads m\t", r'--heads "heads mine$')
        s.send("\x03")
        s.does("behind an @, too", "top sink --heads '@m\t", r"--heads '@mine$")
        s.send("\x03")
        s.does("others when they are asked for", "top entropy_norm\t", r"top entropy_normalised $")
        s.send("\x03")
    s.leave()
    check("the shell ends", s.end() == 0, s.text[-300:])
    if os.path.exists(MODEL):
        other = os.path.join(home, "other-model")
        shutil.copytree(MODEL, other)
        with open(os.path.join(home, "many.jsonl"), "w") as f:
            f.write('{"text": "It was a dark night, and the old man lit the lantern."}\n' * 20000)
        s = Shell(home, cwd=home)
        s.wait(r"attnscope> $")
        s.does("a model is loaded", "load %s\r" % MODEL, r"attnscope lantern-3m> $")
        s.send("run other-model --prompts many.jsonl --store cut.db\r")
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and not os.path.exists(os.path.join(home, "cut.db-wal")):
            time.sleep(0.02)    # rows are being written
        s.does("Ctrl-C in a run of another", "\x03", r"run: cancelled\n(.*\n)*attnscope lantern-3m> $")
        s.does("which goes on from there", "info --json\r", r'lantern-3m[^>]*attnscope lantern-3m> $')
        s.does("one that ends stays", "run other-model --prompt lamp --metrics sink --store cut.db\r",
               r"run \d+: (.*\n)+attnscope other-model> $")
        s.leave()
        check("the end of that", s.end() == 0, s.text[-300:])
        s = Shell(home, args=("--no-hints", "--store", store))
        s.wait(r"attnscope> $")
        s.does("runs of a store that no command has opened yet", "show \t\t", r"1 +run of lantern-3m, 20[^>]*last +the newest")
        s.send("\x03")
        s.does("for compare beside models", "compare \t\t", r"1 +run of lantern-3m, 20[^>]*last +the newest")
        s.send("\x03")
        s.does("of the store that the line names", "set store :memory:\rshow --store %s \t\t" % store, r"1 +run of lantern-3m, 20[^>]*last +the newest")
        s.send("\x03")
        s.leave()
        check("which is closed again", s.end() == 0 and not os.path.exists(store + "-wal"), os.listdir(home))
    if os.path.exists(MODEL):
        snapshots = os.path.join(home, "hub/models--acme--tiny-lamp/snapshots")
        os.makedirs(snapshots)
        os.symlink(MODEL, os.path.join(snapshots, "abc123"))
        s = Shell(home, HF_HUB_CACHE=os.path.join(home, "hub"))
        s.wait(r"attnscope> $")
        s.does("a model of the hub's cache", "load acm\t\r", r"load acme/tiny-lamp \ntiny-lamp: llama[^>]*attnscope tiny-lamp> $")
        s.does("its name alone will do", "load tiny-lamp\r", r"\ntiny-lamp: llama[^>]*attnscope tiny-lamp> $")
        s.does("or nearly", "load tiny-lanp\r", r'did you mean "acme/tiny-lamp"\?')
        s.leave()
        s.end()
        s = Shell(home, columns=40, ATTNSCOPE_MODELS=os.path.dirname(MODEL))
        s.wait(r"attnscope> $")
        s.does("models are listed at 40 columns", "load \t\t", r"lantern-3m")
        s.send("\x03")
        s.leave()
        s.end()


def hints(home):
    s = Shell(home, args=())
    s.wait(r"attnscope> $")
    s.shows("a verb that is unique is finished in grey", "expl", r"^attnscope> explain .*")
    check("dimmed", b"\x1b[2main " in s.raw, s.raw[-200:])
    s.shows("but not typed", "\x01\x0b", r"^attnscope>$")
    s.shows("what comes behind it", "top ", r"^attnscope> top METRIC.*--run RUN")
    s.shows("the value of an option", "--run ", r"^attnscope> top --run RUN  ")
    s.shows("nothing of it stays behind", "last nosuch\r", r"attnscope> top --run last nosuch\n(.*\n)+attnscope>$", -5)
    s.shows("a setting's values", "set color ", r"^attnscope> set color WHEN .*auto, always or")
    s.shows("go with the line", "\x15quit;; ", r"^attnscope> quit;;$")
    s.shows("come again", "\x15top ", r"^attnscope> top METRIC")
    s.shows("and Ctrl-C leaves none", "\x03", r"attnscope> top \^C\nattnscope>$|attnscope> top\^C\nattnscope>$", -2)
    s.shows("a comment has none", "# top ", r"^attnscope> # top$")
    s.shows("nor has a here-document", "\x15set store <<END\rtop ", r"^> top$")
    s.send("\x03")
    s.shows("they can be switched off", "set hints off\rtop ", r"^attnscope> top$")
    s.shows("and on", "\x15set hints on\rtop ", r"^attnscope> top METRIC")
    s.does("Ctrl-C leaves the line", "\x03", r"\^C\n(.*\n)*attnscope> $")
    s.leave()
    s.end()
    s = Shell(home, columns=40, args=())
    s.wait(r"attnscope> $")
    s.shows("at 40 columns they are cut", "run --metrics ", r"^attnscope> run --metrics LIST  \S.*\u2026$")
    check("to the row", max(map(len, s.screen())) <= 39, s.screen())
    s.shows("a line that wraps has none", "sink,entropy,self --maps ", r"self --maps$|^ ?--maps$|maps$", -2)
    s.columns = 100
    s.mark = len(s.text)                      # the terminal itself sends SIGWINCH: one more would draw once more
    fcntl.ioctl(s.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    check("a new width draws the line anew", s.wait(r"--maps"), s.seen)
    # the row that the line had taken besides may still be there, empty
    s.shows("in a wider window they have more room", "\x15top ", r"(?m)^attnscope> top METRIC \[--run RUN\] \[--n", -2)
    s.does("Ctrl-C leaves the line", "\x03", r"\^C\n(.*\n)*attnscope> $")
    s.leave()
    s.end()
    for env in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        s = Shell(home, args=(), **env)
        s.wait(r"attnscope> $")
        s.does("no hints with %s" % env, "top \r", r"needs an argument")
        check("none at all", "METRIC " not in s.seen.split("attnscope: ")[0], s.seen)
        s.leave()
        s.end()


def keys(home):
    s = Shell(home)
    s.wait(r"attnscope> $")
    s.does("? on an empty line shows the verbs", "?", r"tokenize[^>]*census[^>]*attnscope> $")
    s.does("behind a verb its usage", "top ?", r"usage: top METRIC[^>]*--lowest[^>]*attnscope> top $")
    s.does("within a word it is typed", "wh?\r", r"wh\?\n")
    s.wait(r"attnscope> $")
    s.does("Alt-h helps anywhere", "list metrics --out\x1bh", r"usage: list [^>]*attnscope> list metrics --out$")
    s.send("\x03")
    s.wait(r"attnscope> $")
    for line in ("set threads 2", "set color auto", "set threads 1"):
        s.does("a line for the history", line + "\r", r"attnscope> $")
    s.does("Up finds what begins like the line", "set co\x1b[A\r", r"set color auto\n[^>]*attnscope> $")
    s.does("and goes on from there", "set th\x1b[A\x1b[A\r", r"set threads 2\n[^>]*attnscope> $")
    s.shows("Ctrl-R finds what holds it", "\x12olor", r"^\(reverse-i-search\)`olor': set color auto$")
    s.send("\x05\r")
    s.wait(r"attnscope> $")
    s.does("lines that are pasted run together", "\x1b[200~set threads 7\nset threads\n\x1b[201~\r", r"\n7\n[^>]*attnscope> $")
    s.leave()
    s.end()
    with open(os.path.join(home, ".inputrc"), "w") as f:
        f.write('"\\e[A": beginning-of-line\n"?": self-insert\n')
    s = Shell(home)
    s.wait(r"attnscope> $")
    s.does("what the user's inputrc binds stays", "hreads\x1b[Aset t\x05\r", r"\n\d+\nattnscope> $")
    s.leave()
    s.end()
    os.unlink(os.path.join(home, ".inputrc"))


def pager(home):
    quitter = os.path.join(home, "quitter")
    with open(quitter, "w") as f:
        f.write("#!/bin/sh\nhead -n 2 | sed 's/^/PAGED /'\n")
    os.chmod(quitter, 0o755)
    s = Shell(home, args=(), lines=12, NO_COLOR="1", PAGER=quitter)
    s.wait(r"attnscope> $")
    s.does("a long table goes to the pager", "list metrics\r", r"PAGED metric +unit")
    check("which may leave early", s.wait(r"attnscope> $") and "entropy" not in s.seen, s.seen)
    s.does("a short one does not", "list isas\r", r"\nisa +usable[^>]*attnscope> $")
    s.does("help does", "help run\r", r"PAGED run")
    s.wait(r"attnscope> $")
    s.does("nor do scripts", "source many.attn\r", r"\nmetric +unit[^>]*weight_outlier[^>]*attnscope> $")
    s.does("set pager chooses another", "set pager 'wc -l | sed s/^/LINES:/'; list metrics\r", r"LINES:\d+\n[^>]*attnscope> $")
    s.does("one that is not there is no loss", "set pager nosuchpager; list metrics\r", r"\nmetric +unit[^>]*weight_outlier[^>]*attnscope> $")
    s.does("off is none", "set pager off; list metrics\r", r"\nmetric +unit[^>]*weight_outlier[^>]*attnscope> $")
    s.send("set pager 'trap \"echo AFTER; exit\" INT; cat > /dev/null; echo WAITING; while :; do sleep .1; done'; list metrics\r")
    check("Ctrl-C in the pager", s.wait(r"WAITING\n"))
    s.does("comes back to the shell", "\x03", r"AFTER\n[^>]*attnscope> $")
    s.does("which goes on", "set pager off; set threads 4; set threads\r", r"\n4\nattnscope> $")
    s.leave()
    check("and leaves with status 0", s.end() == 0, s.text[-200:])


def plain(home):
    s = Shell(home, args=("--plain",))
    s.wait(r"attnscope> $")
    s.does("plain tables are lines", "list isas\r", r"isa: c\nusable: yes\n[^>]*attnscope> $")
    check("without colours or hints", b"\x1b[1" not in s.raw and b"\x1b[2m" not in s.raw, s.raw)
    s.does("and back", "set plain off; list isas\r", r"isa +usable +in_use\n")
    s.leave()
    s.end()


def hangup(home):
    s = Shell(home)
    s.wait(r"attnscope> $")
    os.close(s.fd)
    _, status = os.waitpid(s.pid, 0)
    check("a terminal that goes away ends the shell", os.waitstatus_to_exitcode(status) in (0, 130), status)


def main():
    home = tempfile.mkdtemp()
    try:
        open(os.path.join(home, "my file.attn"), "w").write("set threads\n")
        open(os.path.join(home, "notes.csv"), "w").close()
        open(os.path.join(home, "many.attn"), "w").write("list metrics\n")
        session(home)
        history(home)
        narrow(home)
        colours(home)
        model(home)
        completion(home)
        hints(home)
        keys(home)
        pager(home)
        plain(home)
        hangup(home)
    finally:
        shutil.rmtree(home)
    print("1..%d" % count)


if __name__ == "__main__":
    sys.exit(main())
