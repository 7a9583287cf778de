/* Completion for zsh, on _arguments: verbs with their summaries, options with their help, values that are known. */
#include <string.h>
#include "cli/help_words.h"
#include "cli/output.h"
#include "cli/settings.h"

/* s within single quotes; in a specification of _arguments ":" and brackets are escaped too. */
static void put_quoted(strbuf *b, const char *s, bool spec)
{
    for (; *s; s++) {
        if (*s == '\'')
            strbuf_puts(b, "'\\''");
        else if (spec && strchr(":[]\\", *s))
            strbuf_printf(b, "\\%c", *s);
        else
            strbuf_putc(b, *s);
    }
}

/* '--name=[help]:VALUE:action' */
static void put_option(strbuf *b, const param *row, const char *indent)
{
    strbuf words = {0};
    strbuf_printf(b, " \\\n%s'--", indent);
    help_long_option(b, row);
    strbuf_puts(b, row->kind == PARAM_BOOL ? "[" : "=[");
    put_quoted(b, row->help ? row->help : "", true);
    strbuf_putc(b, ']');
    if (row->kind != PARAM_BOOL) {
        strbuf_putc(b, ':');
        put_quoted(b, row->value ? row->value : "VALUE", true);
        strbuf_putc(b, ':');
        if (help_option_words(&words, row) && row->kind == PARAM_LIST)
            strbuf_printf(b, "_values -s , value %s", strbuf_str(&words));
        else if (words.len)
            strbuf_printf(b, "(%s)", strbuf_str(&words));
        else if (help_takes_file(row))
            strbuf_puts(b, "_files");
    }
    strbuf_putc(b, '\'');
    b->failed = b->failed || words.failed;
    strbuf_free(&words);
}

static void put_verb_option(void *ud, const param *row)
{
    put_option(ud, row, "            ");
}

static void put_verb(strbuf *b, const command *c)
{
    strbuf words = {0};
    strbuf_printf(b, "        %s) _arguments -s", c->name);
    help_each_option(c, put_verb_option, b);
    if (help_argument_words(&words, c))
        strbuf_printf(b, " \\\n            '*: :(%s)'", strbuf_str(&words));
    else
        strbuf_puts(b, " \\\n            '*: :_files'");
    strbuf_puts(b, " ;;\n");
    b->failed = b->failed || words.failed;
    strbuf_free(&words);
}

int help_zsh_completion(FILE *f, err *e)
{
    strbuf b = {0};
    strbuf_printf(&b, "#compdef attnscope\n# made by `attnscope help --zsh-completion`, version %s\n\n"
                      "_attnscope()\n{\n"
                      "    local curcontext=$curcontext state line ret=1\n"
                      "    local -a verbs\n"
                      "    typeset -A opt_args\n"
                      "    verbs=(\n", program_version);
    for (int i = 0; commands[i]; i++) {
        strbuf_printf(&b, "        '%s:", commands[i]->name);
        put_quoted(&b, commands[i]->summary, false);
        strbuf_puts(&b, "'\n");
    }
    strbuf_puts(&b, "    )\n"
                    "    _arguments -C \\\n"
                    "        '*-c[run commands of the command language]:COMMANDS:' \\\n"
                    "        '*-f[run a script]:FILE:_files' \\\n"
                    "        '--keep-going[go on after a command that failed]' \\\n"
                    "        '--no-color[no colours]' \\\n"
                    "        '--help[the commands at a glance]' \\\n"
                    "        '--version[print the version]'");
    for (const param *r = settings_params; r->name; r++)
        put_option(&b, r, "        ");
    strbuf_puts(&b, " \\\n"
                    "        '1: :->verb' '*:: :->words' && ret=0\n"
                    "    case $state in\n"
                    "    verb) _describe -t commands verb verbs && ret=0 ;;\n"
                    "    words)\n"
                    "        curcontext=${curcontext%:*:*}:attnscope-$words[1]:\n"
                    "        case $words[1] in\n");
    for (int i = 0; commands[i]; i++)
        put_verb(&b, commands[i]);
    strbuf_puts(&b, "        esac && ret=0 ;;\n"
                    "    esac\n"
                    "    return ret\n"
                    "}\n\n"
                    "_attnscope \"$@\"\n");
    int rc = output_flush(f, &b, e);
    strbuf_free(&b);
    return rc;
}
