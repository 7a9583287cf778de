#!/bin/sh
# The program without a terminal: exit codes, errors, scripts, help, output.
srcdir=${srcdir:-.}
. "$srcdir/tests/tap.sh"
program=${ATTNSCOPE:-./attnscope}
case $program in /*) ;; *) program=$PWD/$program ;; esac
[ -x "$program" ] || { echo "Bail out! no program $program"; exit 1; }
version=$(cat "$srcdir/VERSION")
root=$(cd "$srcdir" && pwd)
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1
unset NO_COLOR COLUMNS LINES XDG_STATE_HOME
HOME=$tmp
export HOME

# try STATUS WORDS...: run; standard output in out, standard error in errors; succeeds when the status fits.
try()
{
    want=$1
    shift
    "$program" "$@" > out 2> errors < /dev/null
    status=$?
    [ $status = "$want" ] && return 0
    echo "# status $status, wanted $want: attnscope $*"
    sed 's/^/# /' errors
    return 1
}
# script STATUS OPTIONS... < text
script()
{
    want=$1
    shift
    "$program" "$@" > out 2> errors
    status=$?
    [ $status = "$want" ] && return 0
    echo "# status $status, wanted $want"
    sed 's/^/# /' errors
    return 1
}
# same FILE TEXT: the file holds exactly these lines.
same()
{
    printf '%s\n' "$2" > wanted
    [ -z "$2" ] && : > wanted
    cmp -s "$1" wanted && return 0
    diff wanted "$1" | sed 's/^/# /'
    return 1
}
nothing() { [ ! -s "$1" ]; }
narrow() { ! awk '/^Examples/ { exit } { if (length($0) > 80) { print "# too wide: " $0; bad = 1 } } END { exit !bad }' "$1"; }

# --- help ---
try 0 --version
check "--version prints the version" grep -qxE "attnscope $(cat "$root/VERSION")(-[0-9]+-g[0-9a-f]+)?(-dirty)?" out
check "and what it was built with" grep -qE "^features: readline [0-9.]+, sqlite [0-9.]+, cairo [0-9.]+, pango [0-9.]+, (no )?mpi$" out
check "and for which processors" grep -qE "^isa: c.* \(this machine: c.*\)$" out
check "help works" try 0 help
check "help fits 80 columns" narrow out
cp out help.txt
check "--help is help" try 0 --help
check "and prints the same" cmp -s out help.txt
"$program" list commands --tsv | tail -n +2 | cut -f 1 > verbs
good=yes
while read -r verb; do
    try 0 help "$verb" && narrow out && grep -q '^Examples' out || good="$verb: help"
    cp out help.txt
    # `help` goes on with a metric or an edit of the same name
    try 0 "$verb" --help && head -c "$(wc -c < out)" help.txt | cmp -s - out || good="$verb: --help"
    grep -q "^$verb  " out || good="$verb: heading"
done < verbs
check "every verb explains itself in 80 columns, with examples ($good)" [ "$good" = yes ]
check "there are verbs" [ "$(wc -l < verbs)" -ge 6 ]
check "help knows metrics, figures and topics" try 0 -c 'help entropy; help head_map; help language'
check "help on nonsense fails" try 2 help entropi
check "with a near miss" grep -q 'did you mean "entropy"' errors
"$program" help --man > page.1
good=yes
while read -r verb; do
    grep -q "^\.SS $verb\$" page.1 || good=$verb
done < verbs
check "the manual page has every verb ($good)" [ "$good" = yes ]
if command -v groff > /dev/null 2>&1; then
    groff -man -Tutf8 -Kutf8 -ww page.1 > page.txt 2> warnings
    check "groff has nothing to say about it" nothing warnings
else
    skip "groff has nothing to say about the manual page" "no groff"
fi
if command -v bash > /dev/null 2>&1; then
    "$program" help --bash-completion > completion
    words()
    {
        bash -c '. ./completion; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _attnscope; echo "${COMPREPLY[*]}"' \
            bash "$@"
    }
    check "bash completes verbs" [ "$(words attnscope hel)" = help ]
    check "bash completes options" [ "$(words attnscope --threads 2 list metrics --js)" = --json ]
    check "bash completes choices" [ "$(words attnscope --color ne)" = never ]
else
    skip "bash completion" "no bash"
fi

# --- errors and exit codes ---
check "an unknown verb is a usage error" try 2 hlep
check "with one line and a hint" same errors 'attnscope: unknown command "hlep"
  hint: did you mean "help"?'
check "and nothing on standard output" nothing out
check "prefixes are for the prompt only" try 2 hel
check "an unknown option" try 2 list metrics --jsn
check "names the verb" same errors 'attnscope: list: unknown option --jsn
  hint: did you mean --json?'
check "too many words" try 2 quit now
check "shows the usage" grep -q '^  hint: usage: quit' errors
check "a missing argument" try 2 source
check "a missing file" try 3 source nowhere
check "is named" grep -q '^attnscope: source: nowhere: ' errors
check "a folder as a script" try 3 source .
check "an unknown option before the verb" try 2 --nonsense help
check "a bad setting before the verb" try 2 --threads many help
check "options before the verb are settings" try 0 --threads 3 --format csv --no-color -c 'set threads; set color'
check "and take effect" same out '3
never'
if [ -w /dev/full ]; then
    "$program" help > /dev/full 2> errors
    check "a full disk is status 5" [ $? = 5 ]
    check "and is said" same errors 'attnscope: help: cannot write output: no space left on device
  hint: free some space or write elsewhere'
else
    skip "a full disk" "no /dev/full"
fi
numbers='WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 300000) SELECT i FROM n'
{ "$program" sql "$numbers" --limit 0 2> errors; echo $? > status; } | head -n 1 > out
check "a reader that has enough is no error" same status 0
check "nor worth a word" nothing errors
check "--output writes a file" try 0 list metrics --csv --output table.csv
check "with the same rows" sh -c '"$1" list metrics --csv | cmp -s - table.csv' sh "$program"
cp table.csv before.csv
check "a command that fails leaves the file alone" try 2 list nonsense --output table.csv
check "as it was" cmp -s table.csv before.csv
check "an output that cannot be made fails" sh -c '! "$1" list metrics --output no/such/dir.csv 2> /dev/null' sh "$program"
check "nothing half-written is left" [ "$(ls -A | grep -c 'table\|dir')" = 1 ]

# --- scripts ---
check "-c runs commands" try 0 -c 'set threads 2; set threads' -c 'set threads 5
set threads'
check "several, in order" same out '2
5'
printf 'set threads 4 # four\nset threads\n\nnonsense\nset precision\n' > commands
check "a script stops at the first error" try 2 -f commands
check "with file and line" same errors 'attnscope: commands:4: unknown command "nonsense"
  hint: `attnscope help` lists the commands'
check "after what came before" same out 4
check "--keep-going goes on, the status stays" try 2 --keep-going -f commands
check "and does the rest" same out '4
f32'
script 2 < commands
check "a script on standard input" same out 4
check "has line numbers, too" grep -q '^attnscope: stdin:4: ' errors
printf 'set store "two words" ; set store\nset store <<END\nfrom\n"here"\nEND\nset store\nset store @text; set store\nset store @@x; set store\n' > commands
printf 'a file' > text
check "quotes, here-documents, @files" try 0 -f commands
check "give the words" same out 'two words
from
"here"
a file
@x'
check "an @file that is missing" try 3 -c 'set store @nowhere'
check "what argv holds is taken as it is" try 0 --store '@text' set store
check "without @files" same out '@text'
printf 'set threads "2\n\nset' > commands
check "an open quote" try 2 -f commands
check "is found where it began" same errors 'attnscope: commands:1: no closing "
  hint: close the quote; \" is the character itself'
printf 'set threads\n\0\n' > commands
check "a NUL byte is no command" try 2 -f commands
check "and the line is named" grep -q '^attnscope: commands:2: a NUL byte' errors
printf 'source commands\n' > commands
check "a script that runs itself ends" try 1 -f commands
check "with one message" [ "$(grep -c '^attnscope' errors)" = 1 ]
printf '\357\273\277set threads\r\nset precision\r\n' > commands
check "a byte order mark and CRLF do no harm" try 0 -f commands
check "an empty script is fine" try 0
check "quit ends a script" try 0 -c 'quit; nonsense'
if command -v mkfifo > /dev/null 2>&1 && command -v timeout > /dev/null 2>&1; then
    mkfifo to from
    timeout 60 "$program" < to > from 2> errors &
    exec 3> to 4< from
    echo 'set threads 7; set threads' >&3
    read -r answer <&4
    echo 'set threads 8; set threads' >&3
    read -r answer2 <&4
    exec 3>&- 4<&-
    wait
    check "commands from a pipe are answered as they come" [ "$answer $answer2" = "7 8" ]
    # --foreground: one signal to the program, not a second one to its group, which would end it at once.
    forever='WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n'
    timeout --foreground --preserve-status -s INT 2 "$program" -c "sql '$forever'; set threads" > out 2> errors
    check "Ctrl-C ends a command with status 130" [ $? = 130 ]
    check "and the commands behind it" nothing out
    check "and says so" same errors 'attnscope: sql: cancelled'
else
    skip "pipes and Ctrl-C" "no mkfifo or timeout"
fi

# --- the example script ---
( cd "$root" && "$program" -f examples/scripts/first-look.attn ) > out 2> errors
check "the example script runs" [ $? = 0 ]
check "and shows the heads of the model" grep -q '^ *1  L1H2 ' out

# --- output ---
try 0 list metrics --json
check "JSON Lines begin with their schema" [ "$(grep -c '^{"schema":"attnscope.metric/1","metric":"' out)" = "$(wc -l < out)" ]
check "set format holds" try 0 -c 'set format json; list isas'
check "for what follows" grep -q '^{"schema":"attnscope.isa/1","isa":"c","usable":"yes"' out
check "an option goes before it" try 0 --format json list isas --csv
check "for one command" grep -q '^isa,usable,in_use$' out
escape=$(printf '\033')
check "no colours without a terminal" try 0 list metrics
check "none" sh -c '! grep -q "$1" out' sh "$escape"
check "unless asked for" try 0 --color always list metrics
check "then some" grep -q "$escape" out

# --- instruction sets ---
ATTNSCOPE_ISA=nonsense "$program" list isas > out 2> errors < /dev/null
check "an unknown ATTNSCOPE_ISA is a usage error" [ $? = 2 ]
check "that is named" grep -q 'ATTNSCOPE_ISA: unknown instruction set nonsense' errors
ATTNSCOPE_ISA=c "$program" list isas --csv > out 2> errors < /dev/null
check "ATTNSCOPE_ISA=c is obeyed" grep -q '^c,yes,yes$' out
plan
