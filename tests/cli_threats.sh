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
"""terminal.py OUT COMMAND...: run it on a terminal of its own; say which hostile bytes reached it."""
import os, pty, select, sys
out, argv = sys.argv[1], sys.argv[2:]
pid, fd = pty.fork()
if pid == 0:
    os.environ["TERM"] = "xterm-256color"
    os.environ["COLUMNS"] = "200"
    try:
        os.execvp(argv[0], argv)
    finally:
        os._exit(127)
data = b""
while True:
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
status = os.WEXITSTATUS(os.waitpid(pid, 0)[1])
if status == 127:
    sys.exit("no such program: " + argv[0])
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

# What goes into files of formats that readers act on.
run plot head_map --run 1 --head L0H1 --store "$db" -o "$tmp/a.svg" --caption
exits 0 "a figure of hostile tokens, label and model"
check "is well-formed XML without a script" python3 -c "
import sys, xml.dom.minidom as m
d = m.parse(sys.argv[1])
sys.exit(bool(d.getElementsByTagName('script')))" "$tmp/a.svg"
plan
