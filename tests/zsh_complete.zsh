# What zsh offers for the end of a line: zsh -f zsh_complete.zsh FOLDER LINE AWAITED
# FOLDER holds _attnscope; the answer is printed as soon as it holds AWAITED, or after half a minute.
zmodload zsh/zpty || exit 2
ask=$2
zpty child zsh -f -i
zpty -w child "PS1=; unset zle_bracketed_paste; fpath=(${(q)1} \$fpath); autoload -Uz compinit; compinit -u -D; LISTMAX=9999"
zpty -w child "stty columns 200 rows 100; bindkey '^I' list-choices; print ready-\$((40 + 2))"
out=
for i in {1..300}; do
    zpty -r -t child part && out+=$part
    [[ $out == *ready-42* ]] && break
    sleep 0.1
done
zpty -n -w child "$ask"$'\t'
out=
for i in {1..300}; do
    zpty -r -t child part && out+=$part
    [[ ${out#*$ask} == *$3* ]] && break
    sleep 0.1
done
while zpty -r -t child part; do out+=$part; done
print -r -- "$out" | sed $'s/\e\\[[0-9;?]*[a-zA-Z]//g'
zpty -d child
