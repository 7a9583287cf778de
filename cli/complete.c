/* Readline's side of completion. */
#include "cli/complete.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <readline/readline.h>
#include <sys/stat.h>
#include "base/strbuf.h"
#include "base/text_width.h"
#include "cli/terminal.h"

#define NARROWEST_ABOUT 16 /* columns that make words on a candidate worth showing */

static session *the_session; /* Readline's hooks carry no pointer of ours */
static const strbuf *lines_before;
static const parse_wait *waiting;
static line_context place;
static word_list candidates; /* of the last completion: shown when the user asks for the list */
static int next_candidate;

/* What is typed before the line and in it, up to point. */
static void put_text(strbuf *text, int point)
{
    strbuf_add(text, strbuf_str(lines_before), lines_before->len);
    strbuf_add(text, rl_line_buffer, (size_t)point);
}

bool complete_cursor(line_context *out)
{
    strbuf text = {0};
    *out = (line_context){0};
    if (waiting->missing == PARSE_HEREDOC)
        return false;
    put_text(&text, rl_point);
    complete_place(out, the_session, strbuf_str(&text), text.len);
    strbuf_free(&text);
    return true;
}

/* Look at the line up to the cursor, and tell Readline where its word begins. */
static char *find_place(void)
{
    static char breaks[32];
    complete_cursor(&place);
    size_t before = lines_before->len, begin = place.begin > before ? place.begin - before : 0;
    /* SQL is one quoted word of the language, but many to complete; so is a selection of heads */
    const char *inner = complete_inner(&place);
    rl_completer_quote_characters = inner ? NULL : "\"'";
    rl_basic_quote_characters = inner ? "" : "\"'";
    if (inner) {
        int at = rl_point;
        while (at > 0 && !strchr(inner, rl_line_buffer[at - 1]))
            at--;
        place.begin = (size_t)at + before;
        snprintf(breaks, sizeof breaks, "%s", inner);
        return breaks;
    }
    char *b = breaks;
    for (const char *c = " \t\n\"';"; *c; c++)
        *b++ = *c;
    if (begin > 0 && begin <= (size_t)rl_point && strchr("=,@", rl_line_buffer[begin - 1]))
        *b++ = rl_line_buffer[begin - 1];
    *b = '\0';
    return breaks;
}

/* Could this file be a model, or a folder on the way to one? */
static bool may_be_model(const char *name)
{
    static const char *const endings[] = {".gguf", ".safetensors", ".npz", ".bin", ".pt", ".pth", ".json", NULL};
    struct stat st;
    if (stat(name, &st) != 0 || S_ISDIR(st.st_mode))
        return true;
    const char *dot = strrchr(name, '.');
    for (int i = 0; dot && endings[i]; i++) {
        if (!strcasecmp(dot, endings[i]))
            return true;
    }
    return false;
}

static bool is_candidate(const char *name)
{
    for (int i = 0; i < candidates.n; i++) {
        if (!strcmp(candidates.word[i], name))
            return true;
    }
    return false;
}

static char *give_candidate(const char *text, int state)
{
    static int file_state;
    size_t n = strlen(text);
    if (state == 0)
        next_candidate = file_state = 0;
    while (next_candidate < candidates.n) {
        const char *word = candidates.word[next_candidate++];
        if (!strncasecmp(word, text, n) && (place.want != LINE_OPTION || n > 0))
            return strdup(word);
    }
    /* of models the names come first, and file names when something is typed */
    if (!candidates.files || (candidates.models && n == 0 && candidates.n > 0))
        return NULL;
    for (char *name; (name = rl_filename_completion_function(text, file_state++)); free(name)) {
        if (!candidates.models || (may_be_model(name) && !is_candidate(name)))
            return name;
    }
    return NULL;
}

static const char *about(const char *word)
{
    for (int i = 0; i < candidates.n; i++) {
        if (!strcmp(candidates.word[i], word))
            return candidates.about[i];
    }
    return NULL;
}

/* The candidates a line each, with a few words on them. */
static void show_candidates(char **matches, int n, int longest)
{
    view_size screen = terminal_size(fileno(rl_outstream));
    int width = longest, room;
    bool any = false;
    for (int i = 1; i <= n; i++)
        any = any || about(matches[i]);
    room = screen.columns - 1 - width - 2;
    if (!any || n + 2 > screen.lines || room < NARROWEST_ABOUT) {
        rl_completion_display_matches_hook = NULL;
        rl_display_match_list(matches, n, longest);
        rl_completion_display_matches_hook = show_candidates;
    } else {
        bool dim = terminal_colour(the_session) != TERM_ASCII;
        rl_crlf();
        for (int i = 1; i <= n; i++) {
            strbuf text = {0}, name = {0};
            const char *words = about(matches[i]);
            strbuf_put_visible(&text, words ? words : "", words ? strlen(words) : 0);
            strbuf_put_visible(&name, matches[i], strlen(matches[i])); /* maybe a file's */
            int gap = width - text_columns(strbuf_str(&name), name.len) + 2;
            int fit = (int)text_fit(strbuf_str(&text), text.len, room);
            fprintf(rl_outstream, "%s%*s%s%.*s%s", strbuf_str(&name), gap > 2 ? gap : 2, "", dim ? "\033[2m" : "", fit,
                    strbuf_str(&text), dim ? "\033[0m" : "");
            rl_crlf();
            strbuf_free(&name);
            strbuf_free(&text);
        }
    }
    rl_forced_update_display();
}

/* Readline asks before it shows very many; a hook of ours would keep it from that. */
static int count_matches(char **found)
{
    int n = 0;
    while (found && found[n])
        n++;
    return n;
}

static char **complete(const char *text, int start, int end)
{
    strbuf line = {0};
    (void)start;
    if (end == 0) /* at the start of a line Readline looks for no word */
        find_place();
    rl_attempted_completion_over = 1;
    word_list_free(&candidates);
    put_text(&line, rl_end);
    complete_words(&candidates, the_session, &place, strbuf_str(&line));
    strbuf_free(&line);
    rl_completion_append_character = place.list || candidates.stem ? '\0' : ' ';
    rl_filename_completion_desired = candidates.files;
    char **found = rl_completion_matches(text, give_candidate);
    if (found && !found[1] && complete_goes_on(&place, found[0]))
        rl_completion_append_character = ' ';
    rl_completion_display_matches_hook = count_matches(found) <= rl_completion_query_items ? show_candidates : NULL;
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

void complete_install(session *s, const strbuf *before, const parse_wait *wait)
{
    the_session = s;
    lines_before = before;
    waiting = wait;
    rl_readline_name = "attnscope";
    rl_attempted_completion_function = complete;
    rl_completion_word_break_hook = find_place;
    rl_completer_word_break_characters = " \t\n\"';";
    rl_filename_quote_characters = " \t\n\"';\\";
    rl_filename_quoting_function = quote_name;
    rl_filename_dequoting_function = dequote_name;
    rl_bind_key('\t', on_tab);
}
