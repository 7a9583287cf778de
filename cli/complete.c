/* Readline's side of completion. */
#include "cli/complete.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <readline/readline.h>
#include "base/strbuf.h"

static session *the_session; /* Readline's hooks carry no pointer of ours */
static const strbuf *lines_before;
static line_context place;
static word_list candidates;
static int next_candidate;

/* Look at the line up to the cursor, and tell Readline where its word begins. */
static char *find_place(void)
{
    static char breaks[16], sql_breaks[] = " \t\n\"'();,.=<>+-*/";
    strbuf text = {0};
    size_t before = lines_before->len;
    strbuf_add(&text, strbuf_str(lines_before), before);
    strbuf_add(&text, rl_line_buffer, (size_t)rl_point);
    line_context_get(&place, strbuf_str(&text), text.len, true);
    strbuf_free(&text);
    place.begin = place.begin > before ? place.begin - before : 0;
    /* SQL is one quoted word of the language, but many to complete */
    bool sql = place.want == LINE_ARGUMENT && !strcmp(place.c->name, "sql");
    rl_completer_quote_characters = sql ? NULL : "\"'";
    rl_basic_quote_characters = sql ? "" : "\"'";
    if (sql)
        return sql_breaks;
    char *b = breaks;
    for (const char *c = " \t\n\"';"; *c; c++)
        *b++ = *c;
    if (place.begin > 0 && place.begin <= (size_t)rl_point && strchr("=,@", rl_line_buffer[place.begin - 1]))
        *b++ = rl_line_buffer[place.begin - 1];
    *b = '\0';
    return breaks;
}

static char *give_candidate(const char *text, int state)
{
    size_t n = strlen(text);
    if (state == 0)
        next_candidate = 0;
    while (next_candidate < candidates.n) {
        const char *word = candidates.word[next_candidate++];
        if (!strncasecmp(word, text, n) && (place.want != LINE_OPTION || n > 0))
            return strdup(word);
    }
    return NULL;
}

static char **complete(const char *text, int start, int end)
{
    (void)start;
    if (end == 0) /* at the start of a line Readline looks for no word */
        find_place();
    if (!complete_words(&candidates, the_session, &place))
        return NULL; /* Readline goes on with file names */
    rl_attempted_completion_over = 1;
    rl_completion_append_character = place.list ? '\0' : ' ';
    char **found = candidates.n ? rl_completion_matches(text, give_candidate) : NULL;
    word_list_free(&candidates);
    return found;
}

/* A file name that needs quotes, as a word of the command language. */
static char *quote_name(char *text, int match_type, char *quote_pointer)
{
    (void)match_type;
    strbuf b = {0};
    strbuf_putc(&b, '"');
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            strbuf_putc(&b, '\\');
        strbuf_putc(&b, *text);
    }
    if (quote_pointer && *quote_pointer == '\0')
        *quote_pointer = '"';
    return strbuf_take(&b, NULL);
}

/* The name that a partly typed, quoted word stands for. */
static char *dequote_name(char *text, int quote)
{
    strbuf b = {0};
    for (; *text; text++) {
        if (*text == '\\' && quote != '\'' && text[1])
            strbuf_putc(&b, *++text);
        else
            strbuf_putc(&b, *text);
    }
    char *name = strbuf_take(&b, NULL);
    return name ? name : strdup("");
}

/* Tab: on an empty line the verbs at once, for there is nothing to complete yet. */
static int on_tab(int count, int key)
{
    if (lines_before->len == 0 && rl_line_buffer[strspn(rl_line_buffer, " \t")] == '\0')
        return rl_possible_completions(count, key);
    /* Readline lists what there is when the key before was a completion, too */
    if (rl_last_func == on_tab)
        rl_last_func = rl_complete;
    return rl_complete(count, key);
}

void complete_install(session *s, const strbuf *before)
{
    the_session = s;
    lines_before = before;
    rl_readline_name = "attnscope";
    rl_attempted_completion_function = complete;
    rl_completion_word_break_hook = find_place;
    rl_completer_word_break_characters = " \t\n\"';";
    rl_filename_quote_characters = " \t\n\"';\\";
    rl_filename_quoting_function = quote_name;
    rl_filename_dequoting_function = dequote_name;
    rl_bind_key('\t', on_tab);
}
