/* Completion for bash: a script that knows verbs, options and choices; everything else is a file name. */
#include <string.h>
#include "cli/help.h"
#include "cli/output.h"
#include "cli/settings.h"

static void put_option_names(strbuf *b, const command *c)
{
    command_tables tables;
    command_get_tables(c, tables);
    const char *separator = "";
    for (int t = 0; tables[t]; t++) {
        for (const param *r = tables[t]; r->name; r++) {
            if (help_shadowed(tables, t, r))
                continue;
            bool on = r->kind == PARAM_BOOL && r->def && !strcmp(r->def, "true");
            strbuf_printf(b, "%s--%s%s", separator, on ? "no-" : "", r->name);
            separator = " ";
        }
    }
}

/* The words that may follow an option or take a place, when the program knows them beforehand. */
static bool put_words(strbuf *b, const char *const *choices, const char *source)
{
    const char *separator = "";
    for (; choices && *choices; choices++) {
        strbuf_printf(b, "%s%s", separator, *choices);
        separator = " ";
    }
    if (source && !strcmp(source, "metrics")) {
        for (int i = 0; metrics[i]; i++)
            strbuf_printf(b, "%s%s", i ? " " : "", metrics[i]->name);
    } else if (source && !strcmp(source, "figures")) {
        for (int i = 0; figures[i]; i++)
            strbuf_printf(b, "%s%s", i ? " " : "", figures[i]->name);
    } else if (source && !strcmp(source, "commands")) {
        for (int i = 0; commands[i]; i++)
            strbuf_printf(b, "%s%s", i ? " " : "", commands[i]->name);
    } else if (source && !strcmp(source, "settings")) {
        for (const param *r = settings_params; r->name; r++)
            strbuf_printf(b, "%s%s", r == settings_params ? "" : " ", r->name);
    } else if (!choices) {
        return false;
    }
    return true;
}

static void put_values(strbuf *b, const command *c)
{
    command_tables tables;
    command_get_tables(c, tables);
    for (int t = 0; tables[t]; t++) {
        for (const param *r = tables[t]; r->name; r++) {
            strbuf words = {0};
            if (!help_shadowed(tables, t, r) && put_words(&words, r->choices, r->complete))
                strbuf_printf(b, "    %s:--%s) words=\"%s\" ;;\n", c->name, r->name, strbuf_str(&words));
            else if (r->kind != PARAM_BOOL && r->kind != PARAM_PATH)
                strbuf_printf(b, "    %s:--%s) return ;;\n", c->name, r->name);
            b->failed = b->failed || words.failed;
            strbuf_free(&words);
        }
    }
}

/* Words for the arguments of a verb: the first place decides for all. */
static void put_arguments(strbuf *b, const command *c)
{
    strbuf words = {0};
    if (c->complete && c->complete[0] && put_words(&words, NULL, c->complete[0]))
        strbuf_printf(b, "    %s) words=\"%s\" ;;\n", c->name, strbuf_str(&words));
    b->failed = b->failed || words.failed;
    strbuf_free(&words);
}

int help_bash_completion(FILE *f, err *e)
{
    strbuf b = {0};
    strbuf_printf(&b, "# bash completion for attnscope %s, made by `attnscope help --bash-completion`\n"
                      "_attnscope()\n{\n"
                      "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
                      "    local verb= words= options= i\n"
                      "    COMPREPLY=()\n"
                      "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
                      "        case ${COMP_WORDS[i]} in\n"
                      "        -c | -f", program_version);
    for (const param *r = settings_params; r->name; r++) {
        if (r->kind != PARAM_BOOL)
            strbuf_printf(&b, " | --%s", r->name);
    }
    strbuf_puts(&b, ") ((i++)) ;;\n        -*) ;;\n        *) verb=${COMP_WORDS[i]}; break ;;\n"
                    "        esac\n    done\n"
                    "    case $verb in\n    '')\n        words=\"");
    for (int i = 0; commands[i]; i++)
        strbuf_printf(&b, "%s%s", i ? " " : "", commands[i]->name);
    strbuf_puts(&b, "\"\n        options=\"-c -f --keep-going --no-color --help --version");
    for (const param *r = settings_params; r->name; r++)
        strbuf_printf(&b, " --%s", r->name);
    strbuf_puts(&b, "\" ;;\n");
    for (int i = 0; commands[i]; i++) {
        strbuf_printf(&b, "    %s) options=\"", commands[i]->name);
        put_option_names(&b, commands[i]);
        strbuf_puts(&b, "\" ;;\n");
    }
    strbuf_puts(&b, "    esac\n    case $verb in\n");
    for (int i = 0; commands[i]; i++)
        put_arguments(&b, commands[i]);
    strbuf_puts(&b, "    esac\n    case $verb:$prev in\n");
    for (const param *r = settings_params; r->name; r++) {
        strbuf words = {0};
        if (put_words(&words, r->choices, NULL))
            strbuf_printf(&b, "    :--%s) words=\"%s\" ;;\n", r->name, strbuf_str(&words));
        b.failed = b.failed || words.failed;
        strbuf_free(&words);
    }
    strbuf_puts(&b, "    :-f | *:--store | *:--output | *:-o) words= ;;\n    :-c) return ;;\n");
    for (int i = 0; commands[i]; i++)
        put_values(&b, commands[i]);
    strbuf_puts(&b, "    esac\n"
                    "    if [[ $cur == -* ]]; then\n"
                    "        COMPREPLY=($(compgen -W \"$options\" -- \"$cur\"))\n"
                    "    elif [[ -n $words ]]; then\n"
                    "        COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
                    "    fi\n"
                    "}\n"
                    "complete -o default -F _attnscope attnscope\n");
    int rc = output_flush(f, &b, e);
    strbuf_free(&b);
    return rc;
}
