"""The command language at the prompt of a pseudo-terminal, as TAP: history expansion, the configuration file, lines that
go on, and what Ctrl-C leaves behind."""
import os
import shutil
import sqlite3
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import cli_shell  # noqa: E402
from cli_shell import MODEL, Shell, check  # noqa: E402

PROMPT = r"attnscope( [^\n>]*)?> $"
QUIET = "set hints false\nset pager off\n"


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        f.write(text)


def configuration(home):
    config = os.path.join(home, ".config/attnscope/config")
    write(config, QUIET + "# the rest\nset threads 6\nlet who = world\nalias hi = 'let greeting = \"hello $who\"; let greeting'\n"
          "set thread 3\nrun now\nlet open = \"\n")
    s = Shell(home, columns=200)
    check("the shell begins with its configuration", s.wait(PROMPT), s.text)
    for line, message in ((7, 'set: unknown setting "thread"'), (8, "only set, alias and let may stand here"), (9, 'no closing "')):
        check("line %d that cannot be read is told" % line, "config:%d: %s" % (line, message) in s.text, s.text)
    check("once", s.text.count("attnscope: /") == 3, s.text)
    s.does("the rest holds", "set threads; let who\r", r"\n6\nworld\n" + PROMPT)
    s.does("an alias of it, with a variable of it", "hi\r", r"\nhello world\n" + PROMPT)
    s.does("list settings says so", "list settings --csv\r", r"threads,6,config,(.*\n)+.*" + PROMPT)
    s.does("the session goes before it", "set threads 2; list settings --csv\r", r"threads,2,session,(.*\n)+.*" + PROMPT)
    s.does("and can be undone", "set --unset threads; list settings --csv\r", r"threads,0,default,(.*\n)+.*" + PROMPT)
    s.does("a setting is saved", "set threads 4 --save\r", PROMPT)
    check("in its place", "# the rest\nset threads 4\nlet who" in open(config).read(), open(config).read())
    s.does("help shows the aliases", "help\r", r"Aliases\n +hi = .*\n" + PROMPT)
    s.send("\x04")
    check("and the shell ends well", s.end() == 0, s.text)
    write(config, QUIET)


def events(home):
    s = Shell(home)
    s.wait(PROMPT)
    s.does("there is no line before the first", "!!\r", r"!!: no such line in the history\n(.*\n)*" + PROMPT)
    s.does("a line", "set threads 3\r", PROMPT)
    s.does("and another", "set threads\r", r"\n3\n" + PROMPT)
    s.does("!! is the line before, shown", "!!\r", r"!!\nset threads\n3\n" + PROMPT)
    s.does("with words behind it", "!! 5; set threads\r", r"\nset threads 5; set threads\n5\n" + PROMPT)
    s.does("!PREFIX is the newest that begins so", "let x = 1\r", PROMPT)
    s.does("whatever came later", "!set\r", r"\nset threads 5; set threads\n5\n" + PROMPT)
    s.does("!N is that of a number", "!1; set threads\r", r"\nset threads 3; set threads\n3\n" + PROMPT)
    s.does("!?TEXT? one that holds a text", "!?x =?; let x\r", r"\nlet x = 1; let x\n1\n" + PROMPT)
    s.does("what there is not is an error", "!nothing\r", r"!nothing: no such line in the history\n(.*\n)*" + PROMPT)
    s.does("elsewhere a ! is a !", "let y = a!!; let y; let z = 'b !set'; let z; let w=!set\r", r"\na!!\nb !set\n" + PROMPT)
    s.does("within a line that goes on, too", 'let v = "one\r', r"\n> $")
    s.does("to its end", '!set"; let v\r', r"\none\n!set\n" + PROMPT)
    s.does("such a line comes back whole", "\x1b[A", r'let v = "one\n?.*!set"; let v$')
    s.does("and runs again", "\r", r"\none\n!set\n" + PROMPT)
    s.does("by !! as well", "!!\r", r'\nlet v = "one\n!set"; let v\none\n!set\n' + PROMPT)
    s.does("a backslash goes on", "set threads \\\r", r"\n> $")
    s.does("on the next line", "9\r", PROMPT)
    s.does("as one command", "set threads\r", r"\n9\n" + PROMPT)
    s.does("a here-document goes on", "let doc = <<END; let doc\r", r"\n> $")
    s.send("first $x\r!!\rEND\r")
    check("as it is", s.wait(r"\nfirst \$x\n!!\n" + PROMPT), s.text[-300:])
    s.send("\x04")
    check("the shell ends well", s.end() == 0, s.text)
    s = Shell(home)
    s.wait(PROMPT)
    s.does("an entry of several lines outlives the session", "!?doc?\r", r"\nfirst \$x\n!!\n" + PROMPT)
    s.send("\x04")
    s.end()


def rows(store, sql):
    with sqlite3.connect(store) as db:
        return db.execute(sql).fetchall()


def interrupted(s, work, name, commands):
    """A script that does commands for longer than anybody waits; Ctrl-C in the midst of it."""
    path = os.path.join(work, "now.attn")
    write(path, "let a = during\nlet go = begun-%s\nlet go\n" % name + (commands + "\n") * 300 + "let a = after\n")
    s.send("source %s\r" % path)
    began = s.wait("begun-%s\n" % name)
    time.sleep(0.3)     # into the work: what is checked holds at every moment
    s.send("\x03")
    word = r"" if name == "watch" else r"cancelled\n(.*\n)*"
    check("Ctrl-C ends %s" % name, began and s.wait(word + PROMPT), s.text[-600:])
    s.does("in its midst, and the shell goes on", "let a; let model\r", r"\nduring\n/.*lantern-3m\n" + PROMPT)


def interrupts(home):
    if not os.path.exists(MODEL):
        return
    work = os.path.join(home, "work")
    store = os.path.join(work, "heads.db")
    write(os.path.join(work, "plan.sweep"), "command = run\nmodel = %s\nprompt = %s\nmetrics = entropy, sink\n"
          "truncate = [%s]\n" % (MODEL, "Once upon a time there was a lantern. " * 40, ", ".join(str(n) for n in range(4, 300))))
    write(os.path.join(work, "long.txt"), "Once upon a time there was a lantern. " * 150)
    os.symlink(MODEL, os.path.join(work, "lantern-3m"))
    s = Shell(home, lines=50, columns=140)
    s.wait(PROMPT)
    s.send("set store %s\r" % store)
    s.wait(PROMPT)
    s.send("run %s --prompt 'A lamp.' --metrics entropy,sink --maps L1H2 --quiet\r" % MODEL)
    s.wait(r"--quiet\n(.*\n)*" + PROMPT)
    s.send("let model\r")
    s.wait(r"lantern-3m\n" + PROMPT)
    endless = 'sql "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT count(*) FROM n"'
    for name, command in (
            ("sql", endless),
            ("run", "run --prompt @%s/long.txt --truncate 500 --metrics entropy,sink --quiet" % work),
            ("generate", "generate --prompt Once --temperature 2 --max-tokens 200 --quiet"),
            ("load", "load %s/lantern-3m --quiet\nload %s --quiet" % (work, MODEL)),
            ("sweep", "sweep %s/plan.sweep --quiet" % work),
            ("plot", "plot head_map --run 1 -o %s/map.png --dpi 600" % work),
            ("report", "report 1 -o %s/report.html" % work),
            ("watch", "watch --quiet --every 60 let a"),
            ("watch-sql", "watch --quiet %s" % endless)):
        interrupted(s, work, name, command)
    s.does("a run behind them", "run --prompt 'A lamp.' --metrics entropy --quiet; show $last --command\r",
           r"attnscope run [^\n]*--prompt 'A lamp\.'[^\n]*\n(.*\n)*" + PROMPT)
    s.send("\x04")
    check("the shell ends well", s.end() == 0, s.text[-600:])
    check("the store is whole", rows(store, "PRAGMA integrity_check") == [("ok",)])
    check("no run is left open", rows(store, "SELECT count(*) FROM run WHERE status = 'running' AND sweep_id IS NULL") == [(0,)],
          rows(store, "SELECT id, verb, status FROM run"))
    check("what is there is complete", rows(store, "SELECT count(*) FROM unit WHERE status <> 'done'") == [(0,)],
          rows(store, "SELECT run_id, status, count(*) FROM unit GROUP BY 1, 2"))
    check("the first run has its values", rows(store, "SELECT count(*) FROM value v JOIN unit u ON u.id = v.unit_id "
          "WHERE u.run_id = 1") != [(0,)])
    wanted = {"heads.db", "plan.sweep", "long.txt", "lantern-3m", "now.attn", "map.png", "report.html"}
    left = [f for f in os.listdir(work) if f not in wanted and not f.startswith("heads.db-")]
    check("no file is left half-written", not left, left)


def main():
    home = tempfile.mkdtemp()
    try:
        for part in (configuration, events, interrupts):
            folder = os.path.join(home, part.__name__)
            write(os.path.join(folder, ".config/attnscope/config"), QUIET)
            part(folder)
    finally:
        shutil.rmtree(home)
    print("1..%d" % cli_shell.count)


sys.exit(main())
