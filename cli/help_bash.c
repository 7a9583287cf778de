/* Completion for bash: a script that knows verbs, options and choices; everything else is a file name. */
#include <string.h>
#include "cli/help_words.h"
#include "cli/output.h"
#include "cli/settings.h"

/* What one verb's options are written into. */
typedef struct script { strbuf *b; const char *verb, *separator; } script;

static void put_name(void *ud, const param *row)
{
    script *s = ud;
    strbuf_printf(s->b, "%s--", s->separator);
    help_long_option(s->b, row);
    s->separator = " ";
}

static void put_value(void *ud, const param *row)
{
    script *s = ud;
    strbuf words = {0};
    if (help_option_words(&words, row))
        strbuf_printf(s->b, "    %s:--%s) words=\"%s\"%s ;;\n", s->verb, row->name, strbuf_str(&words),
                      row->kind == PARAM_LIST ? " list=1" : "");
    else if (row->kind != PARAM_BOOL && !help_takes_file(row))
        strbuf_printf(s->b, "    %s:--%s) return ;;\n", s->verb, row->name);
    s->b->failed = s->b->failed || words.failed;
    strbuf_free(&words);
}

static void put_arguments(strbuf *b, const command *c)
{
    strbuf words = {0};
    if (help_argument_words(&words, c))
        strbuf_printf(b, "    %s) words=\"%s\" ;;\n", c->name, strbuf_str(&words));
    b->failed = b->failed || words.failed;
    strbuf_free(&words);
}

static const char start[] =
    "_attnscope()\n{\n"
    "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
    "    local verb= words= options= list= before= i\n"
    "    COMPREPLY=()\n"
    "    [[ $cur == = ]] && cur=\n"
    "    [[ $prev == = ]] && prev=${COMP_WORDS[COMP_CWORD-2]}\n"
    "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
    "        case ${COMP_WORDS[i]} in\n"
    "        -c | -f";

static const char finish[] =
    "    esac\n"
    "    if [[ -n $list && $cur == *,* ]]; then\n"
    "        before=${cur%,*},\n"
    "        cur=${cur##*,}\n"
    "    fi\n"
    "    if [[ $cur == -* ]]; then\n"
    "        COMPREPLY=($(compgen -W \"$options\" -- \"$cur\"))\n"
    "    elif [[ -n $words ]]; then\n"
    "        COMPREPLY=($(compgen -P \"$before\" -W \"$words\" -- \"$cur\"))\n"
    "    fi\n"
    "}\n"
    "complete -o default -F _attnscope attnscope\n";

int help_bash_completion(FILE *f, err *e)
{
    strbuf b = {0};
    strbuf_printf(&b, "# bash completion for attnscope %s, made by `attnscope help --bash-completion`\n%s",
                  program_version, start);
    for (const param *r = settings_params; r->name; r++) {
        if (r->kind != PARAM_BOOL)
            strbuf_printf(&b, " | --%s", r->name);
    }
    strbuf_puts(&b, ") ((i++)) ;;\n        -*) ;;\n        *) verb=${COMP_WORDS[i]}; break ;;\n"
                    "        esac\n    done\n"
                    "    case $verb in\n    '')\n        words=\"");
    help_words(&b, NULL, "commands");
    strbuf_puts(&b, "\"\n        options=\"-c -f --keep-going --no-color --help --version");
    for (const param *r = settings_params; r->name; r++)
        strbuf_printf(&b, " --%s", r->name);
    strbuf_puts(&b, "\" ;;\n");
    for (int i = 0; commands[i]; i++) {
        script s = {&b, commands[i]->name, ""};
        strbuf_printf(&b, "    %s) options=\"", commands[i]->name);
        help_each_option(commands[i], put_name, &s);
        strbuf_puts(&b, "\" ;;\n");
    }
    strbuf_puts(&b, "    esac\n    case $verb in\n");
    for (int i = 0; commands[i]; i++)
        put_arguments(&b, commands[i]);
    strbuf_puts(&b, "    esac\n    case $verb:$prev in\n");
    for (const param *r = settings_params; r->name; r++) {
        strbuf words = {0};
        if (help_words(&words, r->choices, NULL))
            strbuf_printf(&b, "    :--%s) words=\"%s\" ;;\n", r->name, strbuf_str(&words));
        b.failed = b.failed || words.failed;
        strbuf_free(&words);
    }
    strbuf_puts(&b, "    :-f | *:--store | *:--output | *:-o) words= ;;\n    :-c) return ;;\n");
    for (int i = 0; commands[i]; i++) {
        script s = {&b, commands[i]->name, ""};
        help_each_option(commands[i], put_value, &s);
    }
    strbuf_puts(&b, finish);
    int rc = output_flush(f, &b, e);
    strbuf_free(&b);
    return rc;
}
