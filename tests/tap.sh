# TAP for shell tests: source this file, call ok / not_ok / check, finish with `plan`.
count=0

ok()
{
    count=$((count + 1))
    echo "ok $count - $1"
}

not_ok()
{
    count=$((count + 1))
    echo "not ok $count - $1"
}

# check DESCRIPTION COMMAND...: passes when the command succeeds.
check()
{
    what=$1
    shift
    if "$@"; then ok "$what"; else not_ok "$what"; fi
}

# skip DESCRIPTION REASON
skip()
{
    count=$((count + 1))
    echo "ok $count - $1 # SKIP $2"
}

plan()
{
    echo "1..$count"
}
