/* Completion for fish: one line for each verb, option and list of words. */
#include <string.h>
#include "cli/help_words.h"
#include "cli/output.h"
#include "cli/settings.h"

/* s within single quotes. */
static void put_quoted(strbuf *b, const char *s)
{
    strbuf_putc(b, '\'');
    for (; *s; s++) {
        if (*s == '\'' || *s == '\\')
            strbuf_putc(b, '\\');
        strbuf_putc(b, *s);
    }
    strbuf_putc(b, '\'');
}

static void put_name(strbuf *b, const char *condition, const param *row)
{
    strbuf_puts(b, "complete -c attnscope -n ");
    put_quoted(b, condition);
    strbuf_puts(b, " -l ");
    help_long_option(b, row);
}

/* condition: a command of fish.  Words that an option takes have a line of their own: fish shows the help of theirs beside
 * each of them. */
static void put_option(strbuf *b, const char *condition, const param *row)
{
    strbuf words = {0};
    bool takes = row->kind != PARAM_BOOL;
    if (takes && help_option_words(&words, row)) {
        put_name(b, condition, row);
        if (row->kind == PARAM_LIST)
            strbuf_printf(b, " -x -a '(__fish_complete_list , \"string split \\\\  -- %s\")'\n", strbuf_str(&words));
        else
            strbuf_printf(b, " -x -a '%s'\n", strbuf_str(&words));
    }
    put_name(b, condition, row);
    if (takes)
        strbuf_puts(b, !words.len && help_takes_file(row) ? " -r -F" : " -x");
    strbuf_puts(b, " -d ");
    put_quoted(b, row->help ? row->help : "");
    strbuf_putc(b, '\n');
    b->failed = b->failed || words.failed;
    strbuf_free(&words);
}

typedef struct verb_script { strbuf *b; const char *condition; } verb_script;

static void put_verb_option(void *ud, const param *row)
{
    verb_script *s = ud;
    put_option(s->b, s->condition, row);
}

static void put_verb(strbuf *b, const command *c)
{
    strbuf words = {0}, condition = {0};
    strbuf_printf(&condition, "__attnscope_is %s", c->name);
    verb_script s = {b, strbuf_str(&condition)};
    strbuf_printf(b, "complete -c attnscope -n '! __attnscope_verb' -f -a %s -d ", c->name);
    put_quoted(b, c->summary);
    strbuf_putc(b, '\n');
    if (help_argument_words(&words, c))
        strbuf_printf(b, "complete -c attnscope -n '%s' -f -a '%s'\n", s.condition, strbuf_str(&words));
    help_each_option(c, put_verb_option, &s);
    b->failed = b->failed || words.failed || condition.failed;
    strbuf_free(&words);
    strbuf_free(&condition);
}

int help_fish_completion(FILE *f, err *e)
{
    strbuf b = {0};
    strbuf_printf(&b, "# made by `attnscope help --fish-completion`, version %s\n\n"
                      "# The verb on the line, if there is one already.\n"
                      "function __attnscope_verb\n"
                      "    set -l words (commandline -opc)\n"
                      "    set -l skip 0\n"
                      "    for word in $words[2..-1]\n"
                      "        if test $skip = 1\n"
                      "            set skip 0\n"
                      "            continue\n"
                      "        end\n"
                      "        switch $word\n"
                      "            case -c -f", program_version);
    for (const param *r = settings_params; r->name; r++) {
        if (r->kind != PARAM_BOOL)
            strbuf_printf(&b, " --%s", r->name);
    }
    strbuf_puts(&b, "\n"
                    "                set skip 1\n"
                    "            case '-*'\n"
                    "            case '*'\n"
                    "                echo $word\n"
                    "                return 0\n"
                    "        end\n"
                    "    end\n"
                    "    return 1\n"
                    "end\n"
                    "function __attnscope_is\n"
                    "    contains -- $argv[1] (__attnscope_verb)\n"
                    "end\n\n"
                    "complete -c attnscope -n '! __attnscope_verb' -f\n"
                    "complete -c attnscope -n '! __attnscope_verb' -s c -x -d 'run commands of the command language'\n"
                    "complete -c attnscope -n '! __attnscope_verb' -s f -r -F -d 'run a script'\n"
                    "complete -c attnscope -n '! __attnscope_verb' -l keep-going -d 'go on after a command that failed'\n"
                    "complete -c attnscope -n '! __attnscope_verb' -l no-color -d 'no colours'\n"
                    "complete -c attnscope -n '! __attnscope_verb' -l help -d 'the commands at a glance'\n"
                    "complete -c attnscope -n '! __attnscope_verb' -l version -d 'print the version'\n");
    for (const param *r = settings_params; r->name; r++)
        put_option(&b, "! __attnscope_verb", r);
    for (int i = 0; commands[i]; i++)
        put_verb(&b, commands[i]);
    int rc = output_flush(f, &b, e);
    strbuf_free(&b);
    return rc;
}
