#!/bin/sh
# examples/gallery: the script that draws it runs, its page names exactly the pictures that are there, and the pictures are those
# that this program draws.
. "${srcdir:-.}/tests/cli_lib.sh"
gallery=$srcdir/examples/gallery
new=$tmp/gallery
case $attnscope in
/*) program=$attnscope ;;
*) program=$PWD/$attnscope ;;
esac
ATTNSCOPE=$program "$gallery/make-gallery" "$new" > "$tmp/out" 2> "$tmp/err"
status=$?
exits 0 "every picture of the bundled model is drawn"
same "$gallery/README.md" "$new/README.md" "the page is the one that the script writes"

# pictures_of FOLDER: files of pictures, and page_of FOLDER: those that its page shows or links.
pictures_of()
{
    for file in "$1"/*.png "$1"/*.svg "$1"/*.pdf; do
        [ -f "$file" ] && echo "${file##*/}"
    done | sort
}
page_of()
{
    tr '()' '\n\n' < "$1/README.md" | grep -E '^[a-z0-9_]+\.(png|svg|pdf)$' | sort -u
}
pictures_of "$gallery" > "$tmp/there"
page_of "$gallery" > "$tmp/named"
same "$tmp/named" "$tmp/there" "the page names the pictures that are there, and no other"
pictures_of "$new" > "$tmp/drawn"
grep -v '^smollm2_' "$tmp/named" > "$tmp/wanted"
same "$tmp/wanted" "$tmp/drawn" "the script draws all of them but those of the model that is fetched"
check "the committed pictures take less than 2 MB" test "$(cat "$gallery"/*.png "$gallery"/*.svg "$gallery"/*.pdf | wc -c)" -lt 2000000
for recipe in $("$attnscope" list figures --csv | sed 1d | cut -d , -f 1); do
    check "$recipe is in the gallery" grep -q "attnscope plot $recipe " "$gallery/README.md"
done
grep -o '](examples/gallery/[^)]*)' "$srcdir/README.md" | sed 's/^](//; s/)$//' | sort -u > "$tmp/shown"
check "README.md of the project shows some of them" test "$(grep -c '\.png$' "$tmp/shown")" -ge 6
while read -r file; do
    check "$file is there" test -e "$srcdir/$file"
done < "$tmp/shown"

if command -v python3 > /dev/null 2>&1; then
    python3 "$srcdir/tests/compare_pictures.py" "$gallery" "$new" > "$tmp/out" 2> "$tmp/err"
    status=$?
    exits 0 "the pictures are the committed ones"
    told "$tmp/out"
else
    skip "the pictures are the committed ones" "no python3"
fi
ATTNSCOPE=$program "$gallery/make-gallery" --nonsense > "$tmp/out" 2> "$tmp/err"
status=$?
check "an unknown option is refused" test "$status" -eq 1 -a -s "$tmp/err"
plan
