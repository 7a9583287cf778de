#!/bin/sh
# THREATS.md: what hostile words can do to a terminal.  Names and texts that hold control sequences are put wherever a user,
# a checkpoint or a store may bring them in; on a terminal none of them may come out as it is.
. "${srcdir:-.}/tests/cli_lib.sh"
command -v python3 >/dev/null || { skip "hostile words on a terminal" "no python3"; plan; exit 0; }
unset NO_COLOR

# What a terminal would act on: title, clear screen, 8-bit control sequence, bell, backspace, right-to-left override.
bad=$(printf 'x\033]0;owned\007\033[2J\302\2330m\010\342\200\256y')

# A checkpoint whose file names, tokens and metadata say so too.
dir=$tmp/$(printf 'mo\033[2Jdel')
mkdir "$dir" && cp "$model"/* "$dir"/ 2>/dev/null
python3 - "$dir" <<'P'
import json, sys
d = sys.argv[1]
bad = "x\x1b]0;owned\x07\x1b[2J\x9b0m\x08\u202ey"
t = json.load(open(d + "/tokenizer.json"))
first = t["added_tokens"][0]["content"]

def renamed(x):
    """The first special token under a hostile name, wherever it is named."""
    if isinstance(x, dict):
        return {bad if k == first else k: renamed(v) for k, v in x.items()}
    if isinstance(x, list):
        return [renamed(v) for v in x]
    return bad if x == first else x

json.dump(renamed(t), open(d + "/tokenizer.json", "w"))
c = json.load(open(d + "/config.json"))
c["_name_or_path"] = bad
json.dump(c, open(d + "/config.json", "w"))
P
cat > "$tmp/terminal.py" <<'P'
"""terminal.py OUT COMMAND...: run it on a terminal of its own; say which hostile bytes reached it.
KEYS=...: what is typed, a key at a time, once the program has taken the screen.  ANSWERS=1: every question to the terminal
is answered with what no terminal says."""
import os, pty, select, sys
out, argv = sys.argv[1], sys.argv[2:]
keys = os.environ.pop("KEYS", "").encode().decode("unicode_escape").encode("latin-1")
wild = os.environ.pop("ANSWERS", "")
TAKE = b"\x1b[?7l\x1b[2J"     # `view -i` clears the screen that it takes
ANSWER = (b"\x1b[?" + b"9" * 70 + b";4;" + b"4" * 30 + b"c\x1b[6;99999999999;-7t\x1b_G;OK\x1b]52;c;eA==\x07\x1b[?c" + b"\xff\x9b" * 900 +
          b"\x1b_G" + b"A" * 3000)
pid, fd = pty.fork()
if pid == 0:
    os.environ["TERM"] = "xterm-256color"
    os.environ["COLUMNS"] = "200"
    try:
        os.execvp(argv[0], argv)
    finally:
        os._exit(127)
data, asked, typed, taken = b"", 0, 0, 0
while True:
    if TAKE in data and typed < len(keys) and len(data) > taken:
        taken = len(data)       # the next key when the last one was answered
        os.write(fd, keys[typed:typed + 1])
        typed += 1
    elif TAKE in data and typed < len(keys) and not select.select([fd], [], [], 2)[0]:
        taken = -1              # or was not
        continue
    ready, _, _ = select.select([fd], [], [], 60)
    if not ready:
        os.kill(pid, 9)
        break
    try:
        more = os.read(fd, 65536)
    except OSError:
        break
    if not more:
        break
    data += more
    if wild and data.count(b"\x1b[c") > asked:
        asked += 1
        os.write(fd, ANSWER)
status = os.WEXITSTATUS(os.waitpid(pid, 0)[1])
if status == 127:
    sys.exit("no such program: " + argv[0])
data = data.replace(TAKE, b"").replace(b"\x1b[0m\x1b[2J", b"")
open(out, "wb").write(data)
raw = {"title": b"\x1b]0;", "clear": b"\x1b[2J", "8-bit CSI": b"\xc2\x9b", "bell": b"\x07", "backspace": b"\x08",
       "override": b"\xe2\x80\xae", "raw 8-bit CSI": b"\x9b0m"}
found = [k for k, v in raw.items() if v in data]
print("hostile:", ", ".join(found) if found else "none")
print("status:", status)
sys.exit(1 if found else 0)
P

# terminal STATUS DESCRIPTION ARGS...: it ends so, nothing hostile comes out, and something did.
terminal()
{
    wanted=$1 what=$2
    shift 2
    python3 "$tmp/terminal.py" "$tmp/out" "$attnscope" "$@" > "$tmp/found" < /dev/null
    if [ $? -eq 0 ] && [ -s "$tmp/out" ] && grep -q "^status: $wanted$" "$tmp/found"; then
        ok "$what"
    else
        not_ok "$what"
        told "$tmp/found"
        od -c "$tmp/out" | head -n 6 | sed 's/^/# /'
    fi
}

db=$tmp/$(printf 'st\033[2Jore').db
terminal 0 "a run: path of the model, label, prompt" run "$dir" --prompt "$bad and $bad" --label "$bad" --store "$db" --maps L0H1
terminal 0 "runs" runs --store "$db"
terminal 0 "show" show 1 --store "$db"
terminal 0 "show --command" show --command --store "$db"
terminal 0 "top" top sink --store "$db"
terminal 0 "sql" sql "SELECT text, label, command FROM prompt JOIN unit ON prompt_id = prompt.id JOIN run ON run_id = run.id" --store "$db"
terminal 0 "sql: names of columns" sql "SELECT 1 AS \"$bad\"" --store "$db"
terminal 0 "view: tokens as labels" view head_map --store "$db"
terminal 0 "view: a font, which a terminal does not have" view score_grid --metric sink --store "$db" --font "$bad"
terminal 0 "info" info "$dir"
terminal 0 "info --keys" info "$dir" --keys
terminal 0 "tensors" tensors "$dir"
terminal 0 "tokenize" tokenize "$dir" --text "$bad"
terminal 0 "generate" generate "$dir" --prompt "$bad" --max-tokens 4
terminal 2 "an unknown verb" "$bad"
terminal 2 "an unknown option" run "--$bad"
terminal 3 "a missing model" run "$bad" --prompt x
terminal 2 "a wrong metric" run "$dir" --prompt x --metrics "$bad"
terminal 2 "a wrong head" run "$dir" --prompt x --maps "$bad"
terminal 3 "a missing store" top sink --store "/none/$bad"
terminal 3 "a missing script" source "/none/$bad"
terminal 2 "a script's own words" -c "frob '$bad'"
terminal 1 "an unwritable figure" plot score_grid --metric sink --store "$db" -o "/none/$bad.png"
terminal 2 "an unknown colour map" plot score_grid --metric sink --store "$db" --cmap "$bad" -o "$tmp/a.png"
printf 'title = %s\n%s = 1\n' "$bad" "$bad" > "$tmp/theme"
terminal 2 "a theme" plot score_grid --metric sink --store "$db" --theme "$tmp/theme" -o "$tmp/a.png"
printf '{"text":"one two","id":"%s","%s":"%s"}\n{"text":3}\n' 'a\u001b]0;owned\u0007' 'k\u001b[2J' 'v\u202e' > "$tmp/p.jsonl"
terminal 3 "a file of prompts" run "$dir" --prompts "$tmp/p.jsonl" --store "$db"
terminal 3 "its error" run "$dir" --prompts "$tmp/none$bad.jsonl" --store "$db"

# Lists of heads: the name of the file, the name of the list, what stands in it.
heads=$tmp/$(printf 'he\033]0;owned\007ads').json
printf '["L0H1"]' > "$heads"
terminal 0 "import heads: the file's name" import heads "$heads" --name few --store "$db"
terminal 0 "import heads: the lists" import heads --store "$db"
terminal 2 "import heads: a list's name" import heads "$heads" --name "$bad" --store "$db"
terminal 2 "a list that is not there" run "$dir" --prompt x --maps "@$bad" --store "$db"
printf '["L0H1%s"]' '\u001b]0;owned\u0007\u001b[2J' > "$heads"
terminal 3 "import heads: what stands in it" import heads "$heads" --name more --store "$db"
printf 'layer,head,%s\n0,1%s,3\n' "$bad" "$bad" > "$heads"
terminal 3 "import heads: a table" import heads "$heads" --name more --store "$db"

# Sweeps.
few=$(printf 'x\007\302\2330m\010\342\200\256y') # without the brackets of lists
sweep=$tmp/$(printf 'sw\033[2Jeep').sweep
printf 'command = run\nmodel = %s\nname = %s\nlabel = [%s: %s, b: c]\nprompt = %s\nmetrics = sink\n' "$dir" "$bad" "a$few" "$few" "$bad" > "$sweep"
terminal 0 "a sweep: its plan" sweep "$sweep" --plan --try 0 --store "$db"
terminal 0 "a sweep: name, labels, prompt" sweep "$sweep" --try 0 --store "$tmp/sweep.db"
terminal 0 "runs of a sweep" sql "SELECT * FROM sweep_list" --store "$tmp/sweep.db"
for line in "$bad = 1" "command = $bad" "metrics = $bad" "zip = $bad" "exclude = $bad=1" "prompt = [$bad"; do
    printf 'command = run\nmodel = %s\nprompt = x\n%s\n' "$dir" "$line" > "$sweep"
    terminal 2 "a sweep with an error: ${line%% *}" sweep "$sweep" --store "$tmp/sweep.db"
done 2> /dev/null

# Stores joined.
terminal 0 "merge: the names of the stores" merge "$tmp/all.db" "$db"
terminal 0 "what was merged" runs --store "$tmp/all.db"
cp "$tmp/all.db" "$tmp/$bad.db"
"$attnscope" sql --write --store "$tmp/$bad.db" "UPDATE value SET value = value + 1" > /dev/null 2>&1
terminal 3 "merge: two results for one run" merge "$tmp/all.db" "$tmp/$bad.db"
terminal 3 "merge: a store that is not there" merge "$tmp/all.db" "$tmp/none$bad.db"
"$attnscope" sql --write --store "$tmp/$bad.db" "UPDATE prompt SET text = 'other'" > /dev/null 2>&1
terminal 3 "check" check "$tmp/$bad.db"

# Reports.
for out in r.html r.pdf r/; do
    terminal 0 "report: $out" report 1 --store "$db" -o "$tmp/$out" --heading "$bad" --author "$bad" --subheading "$bad"
done
terminal 1 "report: an unwritable page" report 1 --store "$db" -o "/none/$bad.html"
printf '%s = 1\n' "$bad" > "$tmp/paper.report"
terminal 3 "report: a template" report 1 --store "$db" --template "$tmp/paper.report" -o "$tmp/none.html"
printf '<p>{{%s}}</p>\n' "$bad" > "$tmp/page.html"
terminal 3 "report: a page of one's own" report 1 --store "$db" --page "$tmp/page.html" -o "$tmp/none.html"
check "no page was written" test ! -e "$tmp/none.html"
check "HTML and Markdown hold none of it" python3 -c "
import sys
bad = [b'\x1b', b'\x07', b'\x08', '\x9b'.encode(), '\u202e'.encode()]
sys.exit(any(b in open(f, 'rb').read() for f in sys.argv[1:] for b in bad))" "$tmp/r.html" "$tmp/r/report.md"

# A browsing view: every key, and a terminal that answers what none does.
export KEYS ANSWERS
KEYS='\033[C+.,n]?\033[B-/q q'
terminal 0 "view -i: tokens in full" view head_map -i --run 1 --store "$db" --graphics none
KEYS='qqq' ANSWERS=1
terminal 0 "view -i: hostile answers" view head_map -i --run 1 --store "$db"
KEYS=''
terminal 0 "view: hostile answers" view score_grid --metric sink --run 1 --store "$db"
unset KEYS ANSWERS

# repeat: the command comes from the store.  Nothing but runs is run, nothing is written but a run, and no file is read that
# the store does not know.
cd "$tmp" || exit 1
case $attnscope in /*) ;; *) attnscope=$OLDPWD/$attnscope ;; esac
model=$(cd "$OLDPWD" && cd "$model" && pwd)
"$attnscope" run "$model" --prompt "A lamp." --metrics sink --store once.db > /dev/null 2>&1
echo "set store stolen.db" > evil.script
echo "a secret" > secret.txt
# stored STATUS DESCRIPTION COMMAND: it is what run 1 was made by
stored()
{
    cp once.db evil.db
    touch before after out err
    python3 -c "
import sqlite3, sys
db = sqlite3.connect('evil.db')
db.execute('UPDATE run SET command = ?, verb = ?', (sys.argv[1], sys.argv[2]))
db.commit()" "$3" "${4:-${3%% *}}"
    ls -R > before
    run repeat 1 --store evil.db
    ls -R > after
    if [ "$status" -eq "$1" ] && cmp -s before after; then
        ok "repeat: $2"
    else
        not_ok "repeat: $2"
        echo "# exit status $status, expected $1"
        told err
        diff before after | sed 's/^/# /'
    fi
}
stored 4 "options that say where output goes are left out" "run $model --prompt x --metrics sink --store stolen.db -o stolen.txt --json"
stored 4 "also before the verb" "attnscope --isa c --store stolen.db run $model --prompt x --metrics sink --output=stolen.txt" run
stored 3 "a file of text that the store does not know" "run $model --prompt-file secret.txt --metrics sink"
stored 3 "a haystack that the store does not know" "needle $model --lengths 100 --depths 0.5 --haystack secret.txt --emit stolen.jsonl --scores stolen.json"
for words in "source evil.script" "sql --write 'DELETE FROM run'" "convert $model -o stolen" "gc" "quit" "merge stolen.db once.db" \
    "report -o stolen.html" "dump $model --prompt x -o stolen.npz" "repeat 1" "sweep evil.script" "set store stolen.db" \
    "run $model --prompt x; source evil.script" "run $model again --prompt x" "'" "" "attnscope"; do
    stored 1 "refused: ${words%% *}" "$words"
done
stored 1 "another verb than the run's" "run $model --prompt x" census
between 1 "$("$attnscope" sql --csv --store evil.db "SELECT count(*) FROM run" | tail -n 1)" 1 "and makes no run"
stored 2 "no prompt" "run $model"
stored 3 "hostile words" "run $model --prompt-file '$bad'"
terminal 3 "repeat: hostile words on a terminal" repeat 1 --store evil.db
stored 1 "a hostile verb" "$bad"
terminal 1 "repeat: a hostile verb on a terminal" repeat 1 --store evil.db

# What goes into files of formats that readers act on.
run plot head_map --run 1 --head L0H1 --store "$db" -o "$tmp/a.svg" --caption
exits 0 "a figure of hostile tokens, label and model"
check "is well-formed XML without a script" python3 -c "
import sys, xml.dom.minidom as m
d = m.parse(sys.argv[1])
sys.exit(bool(d.getElementsByTagName('script')))" "$tmp/a.svg"
plan
