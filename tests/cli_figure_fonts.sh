#!/bin/sh
# Figures do not depend on who draws them; the fonts that were used stand in the files, characters in no font are boxes.
. "${srcdir:-.}/tests/cli_lib.sh"
db=$tmp/heads.db
run run "$model" --prompt "The keeper of 北京 saw 東京タワー, 서울 and Москва" --store "$db" --maps L1H3 --metrics entropy
exits 0 "a run over several scripts"

# drawn NAME VAR=VALUE...: the same command in an environment of its own.
drawn()
{
    to=$tmp/$1
    shift
    mkdir -p "$to/home"
    for kind in png svg pdf; do
        # one name for all: the command stands in the file
        rm -f "$tmp/figure.$kind"
        env HOME="$to/home" "$@" "$attnscope" plot head_map --head L1H3 --store "$db" -o "$tmp/figure.$kind" > "$tmp/out" 2> "$tmp/err" < /dev/null
        mv "$tmp/figure.$kind" "$to/"
    done
}

drawn plain TZ=UTC LC_ALL=C
drawn japan TZ=Asia/Tokyo LC_ALL=ja_JP.UTF-8 LANG=ja_JP.UTF-8 LANGUAGE=ja
drawn china TZ=Asia/Shanghai LC_ALL= LANG=zh_TW.UTF-8 LANGUAGE=zh_TW:ko
drawn later TZ=America/Los_Angeles LC_ALL=tr_TR.UTF-8 PANGO_LANGUAGE=ko:ja SOURCE_DATE_EPOCH=1
for place in japan china later; do
    for kind in png svg pdf; do
        check "$kind: the same bytes ($place)" cmp -s "$tmp/plain/figure.$kind" "$tmp/$place/figure.$kind"
    done
done
check "no date in the PDF" sh -c '! grep -a -q CreationDate "$1"' sh "$tmp/plain/figure.pdf"

# with one font alone, which lacks most scripts
font=$(fc-match -f '%{file}' 'DejaVu Sans' 2> "$tmp/err")
case $font in
*DejaVuSans.ttf)
    mkdir -p "$tmp/fonts"
    cp "$font" "$tmp/fonts/"
    cat > "$tmp/fonts.conf" << EOF
<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>$tmp/fonts</dir><cachedir>$tmp/fontcache</cachedir></fontconfig>
EOF
    FONTCONFIG_FILE=$tmp/fonts.conf "$attnscope" plot head_map --head L1H3 --store "$db" -o "$tmp/box.svg" > "$tmp/out" 2> "$tmp/err"
    status=$?
    exits 0 "a figure whose font lacks scripts"
    check "says which characters are boxes" grep -q 'no installed font has .* of the script Han (U+' "$tmp/err"
    check "of each script once" test "$(grep -c 'script Han (' "$tmp/err")" -eq 1
    check "and of Hangul" grep -q 'script Hangul (U+' "$tmp/err"
    check "not of those that it has" sh -c '! grep -q Cyrillic "$1"' sh "$tmp/err"
    check "the file names its only font" grep -q '^Font: DejaVu Sans$' "$tmp/box.svg"
    check "the text is in the file all the same" grep -q '北' "$tmp/box.svg"
    FONTCONFIG_FILE=$tmp/fonts.conf "$attnscope" --quiet plot head_map --head L1H3 --store "$db" -o "$tmp/box.png" > "$tmp/out" 2> "$tmp/err"
    check "--quiet says nothing of it" test ! -s "$tmp/err"
    ;;
*)
    skip "boxes for characters in no font" "no DejaVuSans.ttf (or no fc-match) here"
    ;;
esac
if fc-list ':lang=zh-cn' family 2> "$tmp/err" | grep -q .; then
    run plot head_map --head L1H3 --store "$db" -o "$tmp/all.svg"
    check "the file names the fonts that stood in" sh -c 'grep "^Font: " "$1" | grep -q ", "' sh "$tmp/all.svg"
    check "and asks the reader's program for them" sh -c 'f=$(sed -n "s/^Font: [^,]*, \([^,]*\).*/\1/p" "$1"); grep -q "font-family=\"[^\"]*$f" "$1"' sh "$tmp/all.svg"
    check "nothing is missing, nothing is said" sh -c '! grep -q "no installed font" "$1"' sh "$tmp/err"
else
    skip "fonts that stand in" "no font with Chinese characters is installed"
fi
plan
