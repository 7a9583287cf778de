#include "cli/shell_keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <readline/readline.h>
#include "base/strbuf.h"
#include "base/text_width.h"
#include "cli/complete.h"
#include "cli/help.h"
#include "cli/line_hint.h"
#include "cli/terminal.h"

#define NARROWEST_HINT 8 /* columns: less says nothing */

static rl_command_func_t search_up, search_down;
static session *the_session; /* Readline's hooks carry no pointer of ours */
static bool shown;           /* a hint is on the screen, from the cursor on */

void shell_hint_clear(void)
{
    if (!shown)
        return;
    shown = false;
    fputs("\033[J", rl_outstream);
    fflush(rl_outstream);
}

/* Columns that the line and its prompt take; -1: they do not stand on one row as they are. */
static int line_columns(void)
{
    const char *mode = rl_variable_value("show-mode-in-prompt");
    if (!rl_prompt || (mode && !strcmp(mode, "on")))
        return -1;
    for (int i = 0; i < rl_end; i++) {
        if ((unsigned char)rl_line_buffer[i] < ' ' || rl_line_buffer[i] == 0x7f)
            return -1;
    }
    return text_columns(rl_prompt, strlen(rl_prompt)) + text_columns(rl_line_buffer, (size_t)rl_end);
}

/* Hints need a terminal that can dim and go back, a cursor at the end of a line, and nobody who pastes. */
static bool wanted(void)
{
    int more = 0;
    const session *s = the_session;
    return params_bool(s->settings, "hints") && !params_bool(s->settings, "plain") && terminal_colour(s) != TERM_ASCII &&
           rl_outstream == stdout && rl_point == rl_end && rl_end > 0 &&
           !RL_ISSTATE(RL_STATE_ISEARCH | RL_STATE_NSEARCH | RL_STATE_SEARCH | RL_STATE_VIMOTION | RL_STATE_NUMERICARG |
                       RL_STATE_DONE | RL_STATE_COMPLETING | RL_STATE_INPUTPENDING) &&
           !rl_pending_input &&
           (ioctl(STDIN_FILENO, FIONREAD, &more) != 0 || more == 0);
}

static void draw_hint(void)
{
    line_context at;
    strbuf text = {0}, safe = {0};
    int used = line_columns(), room = terminal_size(STDOUT_FILENO).columns - 1 - used;
    if (used < 0 || room < NARROWEST_HINT || !complete_cursor(&at))
        return;
    line_hint(&text, the_session, &at);
    strbuf_put_visible(&safe, strbuf_str(&text), text.len);
    if (safe.len && !safe.failed) {
        const char *dots = terminal_utf8() ? "\xe2\x80\xa6" : "..";
        int columns = text_columns(strbuf_str(&safe), safe.len), dots_width = terminal_utf8() ? 1 : 2;
        size_t fit = columns <= room ? safe.len : text_fit(strbuf_str(&safe), safe.len, room - dots_width);
        int drawn = text_columns(strbuf_str(&safe), fit) + (fit < safe.len ? dots_width : 0);
        fprintf(rl_outstream, "\033[2m%.*s%s\033[0m\033[%dD", (int)fit, strbuf_str(&safe), fit < safe.len ? dots : "", drawn);
        fflush(rl_outstream);
        shown = true;
    }
    strbuf_free(&text);
    strbuf_free(&safe);
}

static void redisplay(void)
{
    shell_hint_clear();
    rl_redisplay();
    if (wanted())
        draw_hint();
}

void shell_resized(void)
{
    rl_redisplay_function = rl_redisplay; /* with another Readline would not mind the rows that the line had */
    rl_resize_terminal();
    rl_redisplay_function = redisplay;
    redisplay();
}

/* Help below the line, which then comes again. */
static int show_help(int count, int key)
{
    line_context at;
    strbuf b = {0};
    (void)count;
    (void)key;
    if (!complete_cursor(&at))
        return rl_ding();
    line_help(&b, the_session, &at, help_width());
    shell_hint_clear();
    rl_crlf();
    fputs(strbuf_str(&b), rl_outstream);
    strbuf_free(&b);
    rl_on_new_line();
    rl_redisplay();
    return 0;
}

/* A question where a word may begin; elsewhere the character itself. */
static int on_question(int count, int key)
{
    line_context at;
    bool blank = rl_point == 0 || strchr(" \t;", rl_line_buffer[rl_point - 1]);
    if (!blank || !complete_cursor(&at) || at.quoted || at.word[0] || (at.want == LINE_VERB && rl_end > rl_point))
        return rl_insert(count, key);
    return show_help(count, key);
}

/* Search the history for what begins as the line did when the search began; the cursor goes to the end. */
static int search(int count, int key, rl_command_func_t *how)
{
    if (rl_last_func == search_up || rl_last_func == search_down)
        rl_last_func = rl_history_search_backward; /* Readline goes on with the same text */
    int rc = how(count, key);
    rl_point = rl_end;
    return rc;
}

static int search_up(int count, int key)
{
    return search(count, key, rl_history_search_backward);
}

static int search_down(int count, int key)
{
    return search(count, key, rl_history_search_forward);
}

/* Bind a key sequence that still does what Readline begins with. */
static void bind_over(const char *keys, rl_command_func_t *before, rl_command_func_t *now)
{
    int type = 0;
    rl_command_func_t *bound = rl_function_of_keyseq(keys, NULL, &type);
    if (type == ISFUNC && (bound == before || !bound))
        rl_bind_keyseq(keys, now);
}

void shell_keys_install(session *s)
{
    the_session = s;
    rl_initialize(); /* reads the user's inputrc: what it binds stays */
    static const char *const up[] = {"\033[A", "\033OA"}, *const down[] = {"\033[B", "\033OB"};
    for (int i = 0; i < 2; i++) {
        bind_over(up[i], rl_get_previous_history, search_up);
        bind_over(down[i], rl_get_next_history, search_down);
    }
    bind_over("?", rl_insert, on_question);
    bind_over("\033h", NULL, show_help);
    rl_redisplay_function = redisplay;
}
