#!/bin/sh
# plot with options and data that cannot be drawn: one clear line, the right status, no file left behind.
. "${srcdir:-.}/tests/cli_lib.sh"
db=$tmp/heads.db
run run "$model" --prompt "It was a dark night, and the old man saw the dark night" --store "$db" --maps L1H3 --metrics sink,entropy
exits 0 "a run with a map"
mkdir "$tmp/out.d"
x=$tmp/out.d/x.png

# bad WORDS DESCRIPTION ARGS...: plot head_map refuses with status 2.
bad()
{
    words=$1 what=$2
    shift 2
    run plot head_map --store "$db" -o "$x" "$@"
    refuses 2 "$words" "$what"
}

bad "cmap" "an unknown colour map" --cmap jet
for map in viridis magma cividis Blues YlGnBu RdBu_r; do
    check "its error lists $map" grep -q "$map" "$tmp/err"
done
bad "did you mean 'viridis'?" "a colour map with a slip" --cmap virids
for width in 0 -84 19.9 1001 1e9 nan inf '' wide; do
    bad "width" "width '$width'" --width "$width"
done
for dpi in 0 -300 35 2401 1.5 nan; do
    bad "dpi" "$dpi dpi" --dpi "$dpi"
done
bad "too large" "a page of too many pixels" --width 1000 --dpi 2400
for size in 0 6.9 -8 73 nan; do
    bad "font-size" "type of $size points" --font-size "$size"
done
bad "font 'No Such Family' is not installed" "a font that is not there" --font "No Such Family"
check "with what lists the fonts" grep -q 'fc-list' "$tmp/err"
for limits in 1,0 0.5,0.5 nan,1 0,nan 0,inf 1 , a,b p99,p1 p-1,p50 p0,p101 0,1,2; do
    bad "limits" "limits $limits" --limits "$limits"
done
bad "limits" "a log norm from 0" --norm log --limits 0,1
for floor in 0 -1 nan inf; do
    bad "floor" "a floor of $floor" --norm log --floor "$floor"
done
bad "norm" "an unknown norm" --norm sqrt
bad "pooling" "an unknown pooling" --pooling median
bad "'red' is not a colour" "an ink that is no colour" --ink red
bad "is not a colour" "a paper that is no colour" --paper red
bad "is no list of colours" "inks of series that are none" --ink-series "#112233,blue"
run plot head_map --store "$db" -o "$tmp/out.d/none/x.png"
refuses 1 "none" "a folder that is not there"
mkdir "$tmp/out.d/dir.png"
run plot head_map --store "$db" -o "$tmp/out.d/dir.png"
refuses 1 "dir.png" "a folder where the file should be"
rmdir "$tmp/out.d/dir.png"
run plot head_map --store "$db" -o /dev/null/x.png
refuses 1 "/dev/null/x.png" "a path through a file"
run plot head_map --store "$db" -o "$tmp/out.d/x"
refuses 2 "no extension" "no extension"
run plot head_map --store "$db" -o "$tmp/out.d/x.jpeg"
refuses 2 ".pdf, .png, .svg" "an extension that no format has"
run plot hed_map --store "$db" -o "$x"
refuses 2 "did you mean head_map" "a recipe with a slip"
run plot head_map --store "$tmp/none.db" -o "$x"
refuses 3 "none.db" "a store that is not there"
check "which is not made" test ! -e "$tmp/none.db"

# limits of charts
for limits in 1,0 5,5 nan,1 1 a,b; do
    run plot layer_curve --metric entropy --store "$db" -o "$x" --y-limits "$limits"
    refuses 2 "y-limits" "limits $limits of y"
done
run plot layer_curve --metric entropy --store "$db" -o "$x" --log-y --y-limits 0,1
refuses 2 "positive limits" "a logarithmic axis from 0"
run plot layer_curve --metric entropy --store "$db" -o "$x" --width 20
refuses 2 "no room" "a page without room for a chart"
check "nothing is left behind" test -z "$(ls -A "$tmp/out.d")"

# what is drawn before stays when the next drawing fails
run plot head_map --store "$db" -o "$x"
exits 0 "a figure"
cp "$x" "$tmp/before.png"
run plot head_map --store "$db" -o "$x" --limits 1,0
refuses 2 "limits" "reversed limits over it"
check "the figure before stays" cmp -s "$x" "$tmp/before.png"
check "and nothing beside it" test "$(ls -A "$tmp/out.d")" = x.png
plan
