#!/bin/sh
# The command language as scripts and -c speak it: variables, aliases, arguments of scripts, the configuration file.
. "${srcdir:-.}/tests/cli_lib.sh"
case $attnscope in
/*) ;;
*) attnscope=$PWD/$attnscope ;;
esac
root=$(cd "$srcdir" && pwd)
model=$root/examples/models/lantern-3m
mkdir -p "$tmp/work/two"
cd "$tmp/work" || exit 1

# says TEXT DESCRIPTION: standard output of the last run is TEXT, its status 0.
says()
{
    printf '%s\n' "$1" > "$tmp/want"
    if [ "$status" -eq 0 ] && cmp -s "$tmp/want" "$tmp/out"; then
        ok "$2"
    else
        not_ok "$2"
        diff "$tmp/want" "$tmp/out" | head -n 8 | sed 's/^/# /'
        told "$tmp/err"
    fi
}

# --- variables ---
run -c 'let d = two; let f=/words.db; set store $d$f; set store; set store "a $d b"; set store; set store ${d}x; set store'
says 'two/words.db
a two b
twox' "variables stand for their values, in words and in double quotes"
run -c "let d = two; set store '\$d'; set store" -c 'set store \$d; set store' -c 'set store "\$d"; set store' -c 'set store <<END
$d ${d}
END
set store'
says "\$d
\$d
\$d
\$d \${d}" "single quotes, backslashes and here-documents keep a dollar sign"
run -c 'set store "$5 and $15.50, $ % a$"; set store' -c 'set store $; set store; set store "$."; set store'
says '$5 and $15.50, $ % a$
$
$.' "a dollar sign before no name is itself"
run -c "let d = 'a b  c'; set store \$d; set store; let x = \$d; let x"
says 'a b  c
a b  c' "a value is never split"
run -c 'let d = $(rm) ; let d; let e = "$d"; let e' -c "let d = '@nowhere; quit'; set store \$d; set store"
says '$(rm)
$(rm)
@nowhere; quit' "nor read again"
printf 'of the file' > text
run -c 'let f = text; set store @$f; set store'
says 'of the file' "but an @ takes a file of that name"
run -c 'let depth = 3; set store $dept'
refuses 2 'unknown variable "dept"' "a variable that is not known is an error"
run -c 'let depth = 3; set store $dept'
if grep -qF 'did you mean $depth?' "$tmp/err"; then ok "with a near miss"; else not_ok "with a near miss"; fi
run -c 'set store ${none:-/tmp/of x}; set store; set store ${none:-}y; set store; let none = 1; set store ${none:-2}; set store'
says '/tmp/of x
y
1' "unless another value stands beside it"
run -c 'set store ${}'
refuses 2 '${} names no variable' "braces hold a name"
run -c 'set store "${a b}"'
refuses 2 '${a b} names no variable' "and no other text"
run -c 'set store ${open'
refuses 2 '${open names no variable' "and are closed"
GREETING='good day' run -c 'set store ${env:GREETING}; set store; let GREETING = night; set store $GREETING; set store'
says 'good day
night' "the environment is asked by name alone"
run -c 'set store ${env:NOT_THERE_AT_ALL}'
refuses 2 'the environment has no variable "NOT_THERE_AT_ALL"' "and what it lacks is an error"
run -c 'let last = 3'
refuses 2 '$last has its value from the session' "what the session gives is no variable of the user's"
run -c 'let 2x = 3'
refuses 2 '"2x" cannot be the name of a variable' "a name is a name"
run -c 'let x = two words'
refuses 2 'a value is one word' "a value is one word"
run -c 'let x = 1; unlet x; let x'
refuses 2 'unknown variable "x"' "unlet forgets"
run -c 'let x = 1; let y = -2; let z=--json; let --csv' --no-config
says 'variable,value,from
last,,predefined
model,,predefined
store,:memory:,predefined
x,1,session
y,-2,session
z,--json,session' "let lists them"
run set store '$x'
exits 0 "the words of a program's command line are taken as they are"
run --store runs.db -c "load '$model' --quiet; run --prompt 'A lamp.' --quiet; let p = 'A lamp. ; Twice'; run --prompt \"\$p\$\" --quiet; let m = \$model" \
    -c 'let x = $last; let x; let m; let s = $store; let s'
tail -n 3 "$tmp/out" > "$tmp/tail" && mv "$tmp/tail" "$tmp/out"
says "2
$model
runs.db" "the session gives the latest run, the model and the store"
run show 2 --command --store runs.db
if grep -qF -- "--prompt 'A lamp. ; Twice\$'" "$tmp/out" && ! grep -q '"\$p' "$tmp/out"; then
    ok "a run remembers values, not variables"
else
    not_ok "a run remembers values, not variables"
    told "$tmp/out" "$tmp/err"
fi
run repeat 2 --store runs.db
exits 0 "and can be repeated"
run -c 'set store $last'
refuses 1 '$last: no run yet in this session' "there may be none yet"
run -c 'info $model'
refuses 2 '$model: no model is loaded' "nor a model"

# --- aliases ---
run --format csv -c 'alias t = set threads; t 5; t; alias'
says '5
alias,text,from
t,set threads,session' "an alias stands for its words"
run -c "alias two = 'set threads; set precision'; two; alias q=set; q threads 3; two"
says '0
f32
3
f32' "or for several commands"
run -c "let v = 1; alias a = set store \$v; alias b = 'set store \$v'; let v = 2; a; set store; b; set store"
says '1
2' "quoted, its variables are those of the moment"
run -c "alias w = set store 'two words; #'; w; set store"
says 'two words; #' "words stay words"
run -c 'alias --shadow set = set threads; set 7; alias --shadow quit = set; \set threads; "quit"; set nonsense'
says '7' "in its own text the name is the command, and so it is in quotes"
run -c 'alias a = b; alias b = a 1; a'
refuses 2 'unknown command "a"' "two aliases do not chase each other"
run -c 'alias top = set'
refuses 2 '"top" is a command' "a command is hidden only by --shadow"
run -c 'alias x-y.1 = set; alias 1x = set'
refuses 2 '"1x" cannot be the name of an alias' "a name is a name"
run -c 'alias x = "set \"open"'
refuses 2 'x: no closing "' "a text that cannot be read is refused"
run -c 'alias x = "set
set"'
refuses 2 'x: more than one line' "and one of several lines"
run -c 'alias lantern = set threads; lantren 3'
refuses 2 'unknown command "lantren"' "an alias is a near miss, too"
if grep -q 'did you mean "lantern"' "$tmp/err"; then ok "and is named"; else not_ok "and is named"; told "$tmp/err"; fi
run -c 'alias one = set threads; unalias on'
refuses 2 'unknown alias "on"' "an alias that is not there"
run -c 'alias f = set threads x
f'
refuses 2 "set: setting threads: 'x' is not an integer" "errors name the command"
run -c 'alias x = "unalias x; set threads 1"; x; x'
refuses 2 'unknown command "x"' "an alias may forget itself"

# --- arguments of scripts ---
printf 'set store $1; set store; set store "${2:-none} of $1"; set store\n' > args
run source args one
says 'one
none of one' "a script has arguments"
run -c 'source args one two; source args "a b" -- c; set store $1; set store'
says 'one
two of one
a b
c of a b
$1' "those of its own call"
printf 'set store "a $5 note"; set store\nsource args x\nset store $1; set store\nset store ${1}\n' > outer
run -f outer
printf '%s\n' 'a $5 note' x 'none of x' '$1' > "$tmp/want"
same "$tmp/want" "$tmp/out" "without arguments a dollar and a digit are no more than that"
check "of a whole word it is noted once" test "$(grep -c 'stands as it is' "$tmp/err")" = 1
check "with its line" grep -q '^outer:3: \$1 stands as it is: no arguments were given$' "$tmp/err"
if [ "$status" -eq 2 ] && grep -q '^attnscope: outer:4: set: argument 1 of the script is missing' "$tmp/err"; then
    ok "in braces they are an argument that is missing"
else
    not_ok "in braces they are an argument that is missing"
    told "$tmp/err"
fi
mkdir -p sub
printf 'source sub/inner\n' > sub/middle
printf '# \nset threads 2\n\nset thread 3\n' > sub/inner
run source sub/middle
if [ "$status" -eq 2 ] && [ "$(cat "$tmp/err")" = 'attnscope: sub/inner:4: set: unknown setting "thread"
  hint: did you mean "threads"?' ]; then
    ok "an error within scripts is told once, where it stands"
else
    not_ok "an error within scripts is told once, where it stands"
    told "$tmp/err"
fi
( cd "$root" && "$attnscope" source examples/scripts/one-model.attn examples/models/lantern-3m ) > "$tmp/out" 2> "$tmp/err"
status=$?
exits 0 "the example with an argument runs"
out_has 'L' "and shows heads"
run source args 1 2 3 4 5 6 7 8 9 10
refuses 2 'unexpected argument "10"' "nine arguments, no more"

# --- the configuration file ---
config=$XDG_CONFIG_HOME/attnscope/config
run set threads 3 --save
exits 0 "a setting is saved"
printf '%s\n' 'set threads 3' > "$tmp/want"
grep -v '^#' "$config" > "$tmp/got"
same "$tmp/want" "$tmp/got" "as a line of the language"
run set threads
says 3 "and holds in the next session"
run --threads 5 set threads
says 5 "the command line goes before it"
run --no-config set threads
says 0 "--no-config leaves it out"
cat > "$config" << 'END'
# mine
set threads 3   # three
set color=never
let where = /data
alias t = top --limit 5
set format json
set precision bf16

END
cp "$config" "$tmp/before"
run -c 'set threads; set color; set format; set precision; let where'
# a program reads this: nothing is said of colours to it
printf '%s\n' 3 auto table f32 > "$tmp/want"
same "$tmp/want" "$tmp/out" "commands and scripts take what changes no results"
if [ "$status" -eq 2 ] && grep -q 'unknown variable "where"' "$tmp/err"; then
    ok "and no variables"
else
    not_ok "and no variables"
    told "$tmp/err"
fi
run list settings --csv
sed -n 's/^\([a-z-]*\),[^,]*,\([a-z]*\),.*/\1 \2/p' "$tmp/out" | grep 'threads\|color\|store' > "$tmp/got"
printf '%s\n' 'threads config' 'store default' 'color default' > "$tmp/want"
same "$tmp/want" "$tmp/got" "list settings says where they come from"
run -c 'set threads 4 --save; set --unset color --save; set color; let --save who = "me $"; alias --save r = runs --limit 3; alias --save t = top; unlet --save where' \
    -c 'let where = 1'
exits 2 "what is not a variable here cannot be forgotten"
cat > "$tmp/want" << 'END'
# mine
set threads 4
let where = /data
alias t = top
set format json
set precision bf16

let who = 'me $'
alias r = 'runs --limit 3'
END
same "$tmp/want" "$config" "other lines and comments stay"
run -c 'let where = 1; unlet --save where; alias r = runs; unalias --save r'
if [ "$status" -eq 0 ] && ! grep -q 'where\|alias r' "$config"; then ok "names leave it"; else not_ok "names leave it"; told "$config" "$tmp/err"; fi
cp "$config" "$tmp/before"
run --no-config set threads 9 --save
refuses 2 '--no-config was given' "nothing is saved to a configuration that was left out"
run set threads many --save
refuses 2 "'many' is not an integer" "nor a value that is wrong"
same "$tmp/before" "$config" "the file stays as it was"
run -c 'set store here.db --save'
if grep -qx "set store $(pwd -P)/here.db" "$config" || grep -qx "set store $PWD/here.db" "$config"; then
    ok "a path is saved from the root on"
else
    not_ok "a path is saved from the root on"
    told "$config"
fi
if [ "$(id -u)" -ne 0 ]; then
    chmod a-w "$XDG_CONFIG_HOME/attnscope"
    run set threads 8 --save
    exits 5 "a folder that cannot be written to fails" || :
    chmod u+w "$XDG_CONFIG_HOME/attnscope"
fi
printf 'set threads x\nset hash-cache sometimes\nnonsense "\nset quiet\n' > other
ATTNSCOPE_CONFIG=other run -c 'set threads'
if [ "$status" -eq 0 ] && [ "$(cat "$tmp/out")" = 0 ] && grep -q "^attnscope: other:1: set: setting threads: 'x' is not an integer" "$tmp/err" &&
    grep -q "^attnscope: other:2: set: setting hash-cache" "$tmp/err" && [ "$(grep -c '^attnscope' "$tmp/err")" -eq 2 ]; then
    ok "a broken line is told and left out"
else
    not_ok "a broken line is told and left out"
    told "$tmp/out" "$tmp/err"
fi
printf 'let n = 3\nset threads $n\n' > shells
ATTNSCOPE_CONFIG=shells run set threads
if [ "$status" -eq 0 ] && [ ! -s "$tmp/err" ]; then ok "a setting with a variable is the shell's"; else not_ok "a setting with a variable is the shell's"; told "$tmp/err"; fi
# shellcheck disable=SC3039 # a verb of the program, not the shell's
ATTNSCOPE_CONFIG=dash run let x=-abc --save
if grep -qx 'let x=-abc' dash; then ok "a value that begins with a dash is saved as it is read"; else not_ok "a value that begins with a dash is saved as it is read"; fi
printf "let p = 'open\n" > unfinished
ATTNSCOPE_CONFIG=unfinished run set threads 2 --save
refuses 2 "unfinished: no closing '" "nothing is put behind a quote that was left open"
ATTNSCOPE_CONFIG=nowhere run set threads
says 0 "a file that is named and missing"
if grep -q '^attnscope: ATTNSCOPE_CONFIG: nowhere: no such file' "$tmp/err"; then ok "is told"; else not_ok "is told"; told "$tmp/err"; fi
ATTNSCOPE_CONFIG=made run set color always --save
if grep -qx 'set color always' made; then ok "and is made by --save"; else not_ok "and is made by --save"; fi

# --- the store of a session ---
printf 'no store' > words
mkdir -p folder
stays()
{
    run --keep-going -c "set store runs.db; set store $1; set store"
    if [ "$status" -eq "$2" ] && [ "$(cat "$tmp/out")" = runs.db ] && grep -qF "$3" "$tmp/err" && grep -q 'the store stays runs.db' "$tmp/err"; then
        ok "set store $1 keeps the one in use, and says so"
    else
        not_ok "set store $1 keeps the one in use, and says so"
        told "$tmp/out" "$tmp/err"
    fi
}
stays words 3 'words is not an attnscope store'
stays folder 3 'folder is a folder, not a store'
stays folder/none/x.db 3 'its folder is missing'
stays '""' 2 'the store has no name'
run --keep-going -c 'set store words; list settings --csv'
if grep -q '^store,:memory:,default,' "$tmp/out"; then ok "nor is the setting given"; else not_ok "nor is the setting given"; told "$tmp/out"; fi
run -c 'set store later.db; set store'
says later.db "a store may be made later"
check "and is not made before" test ! -e later.db
run --keep-going -c 'runs --store typo.db; set store; runs --store runs.db --quiet --output x; set store'
printf '%s\n' :memory: runs.db > "$tmp/want"
same "$tmp/want" "$tmp/out" "a store that a command names becomes the session's when it is one"
cp runs.db other.db
run -c 'set store other.db; runs --store runs.db --output x; set store'
says other.db "and takes no place of one that was named before"

# --- which runs there are ---
run run "$model" --ids 1,2 --metrics sink --quiet --store many.db
runs_till()
{
    "$attnscope" sql --write --store many.db "INSERT INTO run (id, uid, model_id, verb, command, settings, operator, edits, precision,
        isa, threads, version, status, started) SELECT n, printf('%032d', n), model_id, verb, command, settings, operator, edits,
        precision, isa, threads, version, status, started FROM run, (WITH RECURSIVE i(n) AS (SELECT $1 UNION ALL SELECT n + 2 FROM i
        WHERE n < $2) SELECT n FROM i) WHERE id = 1" > "$tmp/out" 2> "$tmp/err" || told "$tmp/err"
    run show 0 --store many.db
}
runs_till 3 23
check "twelve stretches of runs are all named" grep -qF 'hint: there are 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23;' "$tmp/err"
runs_till 25 25
check "of more the last twelve" grep -qF 'hint: there are ..., 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25;' "$tmp/err"

# --- near misses ---
# near WORDS HINT: the program refuses WORDS and means HINT.
near()
{
    hint=$1
    shift
    run "$@"
    if [ "$status" -ne 0 ] && grep -qF "hint: did you mean $hint" "$tmp/err"; then
        ok "near: $hint"
    else
        not_ok "near: $hint"
        told "$tmp/err"
    fi
}
printf 'set threads\n' > first.attn
near '"first.attn"?' source frist.attn
near '"sub/inner"?' source sbu/inner
near '"first.attn"?' -c 'set store @first.atn'
near '"runs.db"?' runs --store run.db
near '"runs.db"?' check rusn.db
near '"runs.db"?' merge all.db runs.bd
near --threads? --thread 3 list isas
near --no-config? --no-confg list isas
near avx512? --isa avx51 list isas
near head_map? report 1 --recipes head_mpa --store runs.db
near score_grid? plot score_gird --store runs.db
near sink? top snik --store runs.db
near 'entropy?' run "$model" --prompt a --metrics sink,entropi
near "'f32'?" run "$model" --prompt a --precision f23
near '"zero"?' run "$model" --prompt a --edit 'zeor L0H1'
near '"families"?' list familes

# --- watch ---
run watch --times 3 --every 0.1 set threads
says "4
4
4" "watch runs a command several times"
if [ "$(grep -c 'every 0.1 s: set threads$' "$tmp/err")" -eq 3 ]; then ok "with a heading on standard error"; else not_ok "with a heading"; told "$tmp/err"; fi
run --no-config watch --quiet --times 2 --every 0.1 "set threads; set precision"
says '0
f32
0
f32' "or several commands"
run watch --quiet --times 3 --every 0.1 set threads
if [ "$status" -eq 0 ] && [ ! -s "$tmp/err" ]; then ok "quiet to its last round"; else not_ok "quiet to its last round"; told "$tmp/err"; fi
run watch --quiet --times 2 --every 0.1 set thread
refuses 2 'unknown setting "thread"' "one that is wrong ends it"
run watch --changed runs
refuses 2 '--changed: results are kept in memory' "a store in memory does not change"
run watch --changed runs --store nowhere.db
exits 2 "options of watch go before the command"
run watch --changed --store nowhere.db runs
refuses 3 'no store at nowhere.db' "a store that is not there"
if command -v timeout > /dev/null 2>&1; then
    cp runs.db watched.db
    timeout 60 "$attnscope" --store watched.db watch --changed --times 2 --every 0.1 "sql 'SELECT count(*) AS n FROM run' --csv" > out 2> errors &
    watcher=$!
    n=0
    while [ ! -s out ] && [ $n -lt 300 ]; do sleep 0.1; n=$((n + 1)); done
    sleep 0.5
    before=$(grep -c '^n$' out)
    "$attnscope" run "$model" --prompt 'A third.' --quiet --store watched.db > /dev/null 2>&1
    wait $watcher
    if [ "$before $(tr '\n' ' ' < out)" = "1 n 2 n 3 " ] || { [ "$before" = 1 ] && [ "$(grep -c '^n$' out)" = 2 ]; }; then
        ok "watch --changed waits for another program's rows"
    else
        not_ok "watch --changed waits for another program's rows"
        told out errors
    fi
    timeout --foreground --preserve-status -s INT 1 "$attnscope" watch --quiet set precision > out 2> errors
    status=$?
    if [ "$status" -eq 130 ] && [ "$(head -n 1 out)" = f32 ] && [ ! -s errors ]; then
        ok "Ctrl-C ends a watch without a word, with status 130"
    else
        not_ok "Ctrl-C ends a watch without a word, with status 130"
        echo "# status $status"
        told out errors
    fi
else
    skip "watch and Ctrl-C" "no timeout"
fi
plan
