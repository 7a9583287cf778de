#include "cli/view_query.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include <readline/readline.h>
#include "cli/view_terminal.h"

#define ASK_KITTY "\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\" /* one pixel that is not to be shown */
#define ASK_CELL "\x1b[16t"
#define ASK_DEVICE "\x1b[c" /* everyone answers this, and answers come in the order of questions */

enum { MOST_INPUT = 4096 };

/* --- reading answers --- */

/* Bytes of a control sequence "ESC [ ... final" at s, 0: it is none or not complete. */
static size_t sequence_length(const char *s, size_t n)
{
    size_t i = 2;
    while (i < n && s[i] >= 0x20 && s[i] < 0x40)
        i++;
    return i < n && s[i] >= 0x40 && s[i] < 0x7f ? i + 1 : 0;
}

/* Bytes of "ESC _ G ... ESC \"; 0: not complete. */
static size_t string_length(const char *s, size_t n)
{
    for (size_t i = 2; i + 1 < n; i++)
        if (s[i] == '\x1b' && s[i + 1] == '\\')
            return i + 2;
    return 0;
}

static bool has_attribute(const char *s, size_t n, int attribute)
{
    int v = 0;
    for (size_t i = 0; i < n; i++) {
        if (s[i] >= '0' && s[i] <= '9' && v < 10000)
            v = v * 10 + s[i] - '0';
        else if (v == attribute)
            return true;
        else
            v = 0;
    }
    return v == attribute;
}

bool terminal_read_answers(terminal_answers *out, strbuf *typed, const char *s, size_t n)
{
    bool done = false;
    for (size_t i = 0, len; i < n; i += len) {
        bool escape = s[i] == '\x1b' && i + 2 < n;
        len = 1;
        if (escape && s[i + 1] == '[' && (s[i + 2] == '?' || s[i + 2] == '6') && (len = sequence_length(s + i, n - i)) > 0) {
            char final = s[i + len - 1];
            int h = 0, w = 0;
            char text[32] = "";
            memcpy(text, s + i + 2, len - 2 < sizeof text ? len - 2 : sizeof text - 1);
            if (s[i + 2] == '?' && final == 'c') {
                out->sixel = has_attribute(s + i + 3, len - 4, 4);
                done = true;
            } else if (final == 't' && sscanf(text, "6;%4d;%4dt", &h, &w) == 2) {
                out->cell = cell_pixels_sane((cell_pixels){w, h}) ? (cell_pixels){w, h} : out->cell;
            } else {
                strbuf_add(typed, s + i, len);
            }
        } else if (escape && s[i + 1] == '_' && s[i + 2] == 'G' && (len = string_length(s + i, n - i)) > 0) {
            out->kitty = memmem(s + i, len, ";OK", 3) != NULL;
        } else {
            len = 1;
            strbuf_putc(typed, s[i]);
        }
    }
    return done;
}

/* --- keys that were pressed meanwhile --- */

static strbuf kept; /* for Readline */

static int give_to_readline(void)
{
    const char *s = strbuf_str(&kept);
    size_t n = strcspn(s, "\r\n");
    rl_pre_input_hook = NULL;
    for (size_t i = n; i < kept.len; i++)
        rl_stuff_char((unsigned char)s[i]);
    if (kept.len > n)
        kept.s[n] = '\0';
    rl_insert_text(strbuf_str(&kept));
    rl_redisplay();
    strbuf_free(&kept);
    return 0;
}

static void put_back(const strbuf *typed)
{
    for (size_t i = 0; i < typed->len; i++) {
        if (ioctl(STDIN_FILENO, TIOCSTI, &typed->s[i]) == 0)
            continue;
        strbuf_add(&kept, typed->s + i, typed->len - i);
        rl_pre_input_hook = give_to_readline;
        return;
    }
}

/* --- asking --- */

static int ms_left(const struct timespec *end)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t ms = (end->tv_sec - now.tv_sec) * 1000 + (end->tv_nsec - now.tv_nsec) / 1000000;
    return ms > 0 ? (int)ms : 0;
}

static void ask(terminal_answers *out, bool kitty)
{
    strbuf typed = {0};
    char s[MOST_INPUT];
    size_t n = 0, got = 1;
    bool done = false;
    struct timespec end;
    if (tty_begin(false, NULL) != 0)
        return;
    bool asked = tty_write(ASK_KITTY, kitty ? sizeof ASK_KITTY - 1 : 0) && tty_write(ASK_CELL ASK_DEVICE, 8);
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_nsec += QUERY_MS * 1000000L;
    end.tv_sec += end.tv_nsec / 1000000000L;
    end.tv_nsec %= 1000000000L;
    while (asked && n < sizeof s && got > 0) {
        tty_wake why = tty_wait(done ? 0 : ms_left(&end));
        if (why == TTY_RESIZED)
            continue;
        if (why != TTY_INPUT)
            break;
        got = tty_read(s + n, sizeof s - n);
        n += got;
        strbuf_clear(&typed);
        *out = (terminal_answers){0};
        done = terminal_read_answers(out, &typed, s, n); /* what was pressed behind the answer waits, too: order is kept */
    }
    tty_end();
    put_back(&typed);
    strbuf_free(&typed);
}

const terminal_answers *terminal_ask(bool kitty)
{
    static terminal_answers answers;
    static bool asked;
    if (!asked && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO))
        ask(&answers, kitty);
    asked = true;
    return &answers;
}
