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
PATIENCE = 60
count = 0


def check(what, good, detail=""):
    global count
    count += 1
    print(("ok" if good else "not ok"), count, "-", what, flush=True)
    if not good:
        for line in str(detail).splitlines():
            print("#", line)


class Shell:
    def __init__(self, home, columns=80, lines=24, **env):
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
            os.chdir(home)
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # a background job inherits it ignored
            try:
                os.execve(PROGRAM, [PROGRAM], environ)
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

    def end(self):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and self.read(end - time.monotonic()):
            pass
        _, status = os.waitpid(self.pid, 0)
        os.close(self.fd)
        return os.waitstatus_to_exitcode(status)


def session(home):
    s = Shell(home)
    check("the prompt appears", s.wait(r"Ctrl-D leaves\nattnscope> $"), s.text)
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
    s.send("\x04")
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
    s.does("quit leaves", "quit\r", r"quit\n")
    check("with status 0", s.end() == 0, s.text)


def narrow(home):
    s = Shell(home, columns=40)
    s.wait(r"attnscope> $")
    s.send("list metrics; list settings\r")
    s.wait(r"list settings\n")
    check("tables at 40 columns", s.wait(r"attnscope> $"), s.text)
    wide = [line for line in s.seen.splitlines() if len(line) > 40]
    check("fit", not wide and len(s.seen.splitlines()) > 15, "\n".join(wide))
    s.send("help list\r")
    s.wait(r"help list\n")
    check("help at 40 columns", s.wait(r"attnscope> $"), s.text)
    wide = [line for line in s.seen.split("Examples")[0].splitlines() if len(line) > 40]
    check("fits, but for examples", not wide, "\n".join(wide))
    s.send("\x04")
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
        s.send("\x04")
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
        session(home)
        history(home)
        narrow(home)
        colours(home)
        model(home)
        hangup(home)
    finally:
        shutil.rmtree(home)
    print("1..%d" % count)


if __name__ == "__main__":
    sys.exit(main())
