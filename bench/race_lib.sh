# What the races of this folder share.  Sourced; $work, a directory for what lies between, is made here and removed at the end.
work=$(mktemp -d) || exit 1
child=
threads=${THREADS:-$(getconf _NPROCESSORS_ONLN)}
trap 'rm -rf "$work"' EXIT
trap '[ -z "$child" ] || kill "$child" 2> /dev/null; exit 130' INT TERM

# usage: the comment at the head of the script.
usage()
{
    sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" >&2
    exit 2
}

fail()
{
    echo "$(basename "$0"): $*" >&2
    exit 2
}

# number WHAT TEXT: TEXT is a positive number, else that is the end.
number()
{
    case $2 in
    '' | 0 | *[!0-9]*) fail "$1 is a number from 1, not '$2'" ;;
    esac
}

# numbers WHAT LIST: numbers apart by commas; leaves them in $list, apart by blanks.
numbers()
{
    list=$(echo "$2" | tr ',' ' ')
    [ -n "$list" ] || fail "$1 is a list of numbers, \"512,2048\""
    for one in $list; do number "$1" "$one"; done
}

# program NAME PATH: it can be run, or that is the end.
program()
{
    [ -f "$2" ] && [ -x "$2" ] || fail "no program $1 at '$2'"
}

# Most memory in KiB that process $1 holds until its end, as the kernel counts it; nothing where it does not tell.
watch_memory()
{
    most= found=yes pause=0.02
    while [ -n "$found" ] && [ -r "/proc/$1/status" ]; do
        found=
        while read -r key value _; do
            [ "$key" != VmHWM: ] || { most=$value found=yes; }
        done 2> /dev/null < "/proc/$1/status" || break
        sleep $pause
        [ "$pause" = 0.2 ] || case $most in ?????*) pause=0.2 ;; esac
    done
}

# What failed said of it: an error where there is one, else its last line.
last_words()
{
    { grep -m 1 -E '^(attnscope|make_checkpoint|ggml_attention): |rror:' "$work/err" || grep . "$work/err" | tail -n 1; } | cut -c1-300
}

# Ratios mean little while others are at work: a note.
note_load()
{
    load=$(cut -d ' ' -f 1 /proc/loadavg 2> /dev/null) || return 0
    case $load in
    0.*) ;;
    *) echo "note: other processes seem to be at work (load $load): repeat this on an idle machine" >&2 ;;
    esac
}

# child_of OUT COMMAND...: says which command it is the first time, runs it with its output in OUT, and leaves its peak in
# $mib (- where it is not known).  A command that fails is the end, with the last thing that it said.
child_of()
{
    out=$1
    shift
    if ! grep -qxF "$*" "$work/said" 2> /dev/null; then
        echo "$*" >> "$work/said"
        echo "+ $*" >&2
    fi
    "$@" > "$out" 2> "$work/err" &
    child=$!
    watch_memory $child
    wait $child || fail "$(basename "$1") failed: $(last_words)"
    child=
    mib=$([ -n "$most" ] && echo $((most / 1024)) || echo -)
}
