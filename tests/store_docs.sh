#!/bin/sh
# The examples of STORE.md are run: each ```sql block against a store made as the page says, and its output is compared.
. "${srcdir:-.}/tests/cli_lib.sh"
page=$srcdir/STORE.md
mkdir "$tmp/blocks"
# Blocks by their language; the block without one that follows ```sql is its output.
awk -v where="$tmp/blocks" '
    /^```/ && !inside { inside = 1; kind = substr($0, 4)
        if (kind == "sql") { n++; file = sprintf("%s/%02d.sql", where, n) }
        else if (kind == "" && last == "sql") file = sprintf("%s/%02d.want", where, n)
        else if (kind != "") file = where "/" kind
        else file = where "/other"
        printf "" > file; next }
    /^```/ { inside = 0; last = kind; close(file); next }
    inside { print > file }' "$page"
cp "$tmp/blocks/text" "$tmp/texts.txt"
sed "s|^attnscope|\"\$attnscope\"|; s|examples/models/lantern-3m|\"\$model\"|; s| texts.txt| \"\$tmp/texts.txt\"|; s| heads.db| \"\$tmp/heads.db\"|" \
    "$tmp/blocks/sh" > "$tmp/make"
. "$tmp/make" > "$tmp/out" 2> "$tmp/err"
check "the store is made as the page says" test $? -eq 0
check "the page has questions" test "$(ls "$tmp/blocks" | grep -c sql)" -ge 9
for question in "$tmp"/blocks/*.sql; do
    "$attnscope" sql --store "$tmp/heads.db" "$(cat "$question")" > "$tmp/got" 2> "$tmp/err" < /dev/null
    same "${question%.sql}.want" "$tmp/got" "$(head -c 70 "$question" | tr '\n' ' ')"
done
# Every table and view is explained, and every column of it is named.
"$attnscope" sql --store "$tmp/heads.db" --csv "SELECT s.name, t.name FROM sqlite_schema s JOIN pragma_table_info(s.name) t
    WHERE s.type IN ('table', 'view') AND s.name NOT LIKE 'sqlite%'" 2> "$tmp/err" | tail -n +2 > "$tmp/columns"
check "there are many columns" test "$(grep -c '' "$tmp/columns")" -gt 150
missing=
tr '\n' ' ' < "$page" > "$tmp/line"
while IFS=, read -r name column; do
    # the row of a table, or the sentence of a view, up to the next one
    grep -oE "\`$name\`[^\`]{0,40}\|[^|]*\|[^|]*\||\`$name\`[^.]*(\([^)]*\)|:[^.]*)*" "$tmp/line" > "$tmp/said"
    grep -qw -- "$column" "$tmp/said" || missing="$missing $name.$column"
done < "$tmp/columns"
check "the page names every column" test -z "$missing"
[ -z "$missing" ] || echo "# not named:$missing" | cut -c1-600
plan
