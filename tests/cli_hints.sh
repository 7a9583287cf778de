#!/bin/sh
# Wrong words of many kinds: status, one line of error, one hint that names what was probably meant or what to do next.
. "${srcdir:-.}/tests/cli_lib.sh"
ATTNSCOPE_MODELS=$srcdir/examples/models # names are found
export ATTNSCOPE_MODELS
store=$tmp/s.db
"$attnscope" -q run "$model" --prompt "The old man lit the lantern." --maps L1H3 --store "$store" > /dev/null
"$attnscope" -q run "$model" --prompt "A lamp." --metrics sink --store "$store" > /dev/null
echo '{"text": 3}' > "$tmp/bad.jsonl"

# Lines of STATUS|arguments|part of the error|part of the hint.
while IFS='|' read -r want words said hint; do
    [ -n "$want" ] || continue
    eval "\"\$attnscope\" $words" > "$tmp/out" 2> "$tmp/err" < /dev/null
    got=$?
    grep -v '^attnscope: \|^  hint: ' "$tmp/err" > "$tmp/other"
    if [ "$got" = "$want" ] && [ ! -s "$tmp/out" ] && [ "$(grep -c '^attnscope: ' "$tmp/err")" = 1 ] &&
        [ "$(grep -c '^  hint: ' "$tmp/err")" = 1 ] && [ ! -s "$tmp/other" ] &&
        grep '^attnscope: ' "$tmp/err" | grep -qF -- "$said" && grep '^  hint: ' "$tmp/err" | grep -qF -- "$hint" &&
        ! grep -q '[^.]\.$' "$tmp/err"; then
        ok "$words"
    else
        not_ok "$words (status $got)"
        told "$tmp/err"
    fi
done <<'END'
2|rnu|unknown command "rnu"|did you mean "run"?
2|metrics|unknown command|`list metrics` shows them
2|models|unknown command|`list models` shows them
2|sink|unknown command|`run MODEL --prompt TEXT --metrics sink`
2|composition_k|unknown command|`weights MODEL --metrics composition_k`
2|head_map|unknown command|`plot head_map` draws it into a file
2|zero|unknown command|that is an edit
2|exit|unknown command|`quit` leaves the shell
2|open $model|unknown command|`load MODEL`
2|'!!'|unknown command|at the prompt of the shell
2|run $model --promt a|unknown option --promt|did you mean --prompt?
2|run $model --prompt a --isa avx2|unknown option --isa|attnscope --isa VALUE ...; in a session, `set isa`
2|run $model --prompt a --no-color|unknown option --no-color|attnscope --no-color ...
2|run $model --prompt a --keep-going|unknown option --keep-going|stands before the command
2|run $model --prompt a --json --csv|--json and --csv exclude each other|keep one of them
2|runs --tsv --csv|--csv and --tsv exclude each other|keep one of them
2|run $model --prompt a --metrics sinc|no metric is called 'sinc'|did you mean sink?
2|run $model --prompt a --metrics span|no metric is called 'span'|did you mean span_mass, span_shift or span_to_span?
2|run $model --prompt a --metrics retrieval|no metric is called 'retrieval'|`needle` measures retrieval
2|top retreival --store $store|no metric is called 'retreival'|did you mean retrieval?
2|top vhd --store $store|no metric is called 'vhd'|`vhd` measures vhd
2|ablate $model --rule "top 5% by retreival"|measured retreival for heads|did you mean retrieval?
2|ablate $model --rule "top 5% by diagonal_induction"|measured diagonal_induction|`attnscope induction
2|run $model --prompt a --metrics span_mass --span-regex '('|missing closing parenthesis|takes a backslash
2|run $model --prompt a --edit "zer L1H3"|no edit is called "zer"|did you mean "zero"?
2|run $model --prompt a --edit "act beta=7 L0H1"|edit act: parameter beta: 7 is out of range (0 to 1)|beta B: share
2|run $model --prompt a --edit "act keep=detectd L0H1"|parameter keep: unknown value 'detectd'|did you mean 'detected'?
2|run $model --prompt a --maps "tpo 4 by sink"|'tpo' names no head|did you mean "top"?
2|run $model --prompt a --maps "where snk > 0.3"|measured snk|did you mean sink?
3|run $model --prompts $tmp/bad.jsonl|bad.jsonl:1: "text" is no string|{"text": "some text"}
3|run lantern-3n --prompt a|no such file|did you mean "lantern-3m"?
2|set threads x|setting threads: 'x' is not an integer|threads N: worker threads
2|set hints maybe|setting hints: 'maybe' is neither true nor false|it is true or false
2|set format jsn|setting format: unknown value 'jsn'|did you mean 'json'?
2|plot grid --store $store|no figure is called 'grid'|did you mean head_grid, needle_grid or score_grid?
1|plot head_map --store $store|run 2 holds no attention map|run 1 holds some: --run 1; or make one
1|plot head_grid --store $store|run 2 holds no attention map|run 1 holds some: --run 1; or make them
1|plot head_map --head L1H3 --store $store --run 2|run 2 holds no attention map|run 1 holds it: --run 1
1|plot head_map --head L0H0 --store $store --run 1|run 1 holds no map of L0H0 (it holds L1H3)|make one with
2|compare 1 --store $store|only run 1 is named|compare two runs (compare 3 5
2|compare $model 1 --store $store|1 is a run, the other one is none|compare two runs
2|show lats --store $store|'lats' is no run number|did you mean "last"?
2|show 9 --store $store|no run 9|there are 1-2
2|sql "selct * from run_list" --store $store|near "selct": syntax error|did you mean select?
2|sql "select * frm run_list" --store $store|syntax error|`help sql`
2|mqar $model --pairs 0|'0' is no number from 1 to 16777216|write them as
2|-c 'runs > x'|unexpected argument ">"|--output FILE writes the results to a file
2|-c 'runs && runs'|unexpected argument "&&"|`;` parts commands
2|watch watch runs|watch cannot watch itself|watch --every 5 runs
2|dump $model --prompt a -o $tmp/x.csv|what is written is a NPZ file|add -o FILE.npz
1|convert $model -o /nonexistent/x/y|cannot be written: no such file or directory|name another directory
END
plan
