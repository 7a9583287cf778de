#include "cli/progress_bar.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/mem.h"
#include "cli/terminal.h"

#define SHOW_AFTER 0.5  /* seconds */
#define DRAW_EVERY 0.1
#define SAY_EVERY 5.0   /* seconds between lines in words */

struct progress_bar {
    bool terminal, active;
    bool plain;           /* lines in words, nothing redrawn */
    bool drawn;           /* something is on the screen */
    char what[64];
    double begun, last_drawn, last_done;
};

int progress_bar_new(progress_bar **out, err *e)
{
    *out = mem_array(1, sizeof **out, e);
    if (!*out)
        return ERR_RESOURCE;
    (*out)->terminal = terminal_can_redraw(STDERR_FILENO);
    return 0;
}

void progress_bar_free(progress_bar *b)
{
    progress_bar_clear(b);
    free(b);
}

void progress_bar_set_plain(progress_bar *b, bool on)
{
    progress_bar_clear(b);
    b->plain = on;
}

void progress_bar_begin(progress_bar *b, bool quiet)
{
    progress_bar_clear(b);
    b->active = !quiet && (b->plain ? isatty(STDERR_FILENO) : b->terminal);
    b->what[0] = '\0';
}

void progress_bar_clear(progress_bar *b)
{
    if (!b || !b->drawn)
        return;
    b->drawn = false;
    if (b->plain)
        return;
    fputs("\r\033[K", stderr);
}

/* "0:07", "12:30", "3:05:00" */
static void put_time(char out[24], double seconds)
{
    if (!(seconds >= 0))
        seconds = 0;
    if (seconds > 359999)
        seconds = 359999;
    int s = (int)ceil(seconds), h = s / 3600, m = s / 60 % 60;
    if (h)
        snprintf(out, 24, "%d:%02d:%02d", h, m, s % 60);
    else
        snprintf(out, 24, "%d:%02d", m, s % 60);
}

void progress_bar_text(char *out, int size, const char *what, double done, double total, double seconds,
                       int columns)
{
    char tail[64] = "", bar[64] = "";
    if (total > 0) {
        char left[24];
        double part = done < 0 ? 0 : done > total ? 1 : done / total;
        put_time(left, part > 0 ? seconds / part - seconds : 0);
        int percent = (int)(100 * part);
        if (part > 0)
            snprintf(tail, sizeof tail, " %3d %%  %s left", percent, left);
        else
            snprintf(tail, sizeof tail, " %3d %%", percent);
        int room = columns - (int)strlen(what) - (int)strlen(tail) - 4;
        int width = room > 30 ? 30 : room;
        if (width >= 5) {
            int full = (int)(part * width);
            bar[0] = ' ';
            bar[1] = '[';
            for (int i = 0; i < width; i++)
                bar[2 + i] = i < full ? '=' : i == full ? '>' : ' ';
            bar[2 + width] = ']';
            bar[3 + width] = '\0';
        }
    } else {
        char spent[24];
        put_time(spent, seconds);
        snprintf(tail, sizeof tail, "  %.0f  %s", done, spent);
    }
    int limit = columns < size ? columns + 1 : size;
    snprintf(out, (size_t)(limit > 0 ? limit : 1), "%s%s%s", what, bar, tail);
}

/* "1 hour 5 minutes", "3 minutes", "12 seconds": no more than is worth listening to. */
static void put_duration(char out[48], double seconds)
{
    int s = !(seconds >= 0) ? 0 : seconds > 359999 ? 359999 : (int)ceil(seconds), h = s / 3600, m = s / 60 % 60;
    if (h)
        snprintf(out, 48, "%d hour%s %d minute%s", h, h == 1 ? "" : "s", m, m == 1 ? "" : "s");
    else if (m)
        snprintf(out, 48, "%d minute%s", m, m == 1 ? "" : "s");
    else
        snprintf(out, 48, "%d second%s", s, s == 1 ? "" : "s");
}

void progress_words(char *out, int size, const char *what, double done, double total, double seconds)
{
    char time[48];
    double part = !(total > 0) || done < 0 ? 0 : done > total ? 1 : done / total;
    put_duration(time, part > 0 ? seconds / part - seconds : seconds);
    if (part > 0)
        snprintf(out, (size_t)size, "%s: %d percent, %s left", what, (int)(100 * part), time);
    else if (total > 0)
        snprintf(out, (size_t)size, "%s: 0 percent after %s", what, time);
    else
        snprintf(out, (size_t)size, "%s: %.0f after %s", what, done, time);
}

void progress_bar_step(void *ud, const char *what, double done, double total)
{
    progress_bar *b = ud;
    if (!b->active)
        return;
    double t = clock_seconds();
    if (strncmp(b->what, what, sizeof b->what - 1) != 0 || done < b->last_done) {
        snprintf(b->what, sizeof b->what, "%s", what);
        b->begun = t;
    }
    b->last_done = done;
    if (total > 0 && done >= total) {
        progress_bar_clear(b);
        b->what[0] = '\0';
        return;
    }
    if (t - b->begun < SHOW_AFTER || (b->drawn && t - b->last_drawn < DRAW_EVERY))
        return;
    char line[256];
    if (b->plain) {
        if (t - b->begun < SAY_EVERY || (b->drawn && t - b->last_drawn < SAY_EVERY))
            return;
        progress_words(line, sizeof line, b->what, done, total, t - b->begun);
        fprintf(stderr, "%s\n", line);
        b->drawn = true;
        b->last_drawn = t;
        return;
    }
    /* the last column stays free: writing there makes some terminals go to the next line */
    progress_bar_text(line, sizeof line, b->what, done, total, t - b->begun,
                      terminal_size(STDERR_FILENO).columns - 1);
    fprintf(stderr, "\r%s\033[K", line);
    fflush(stderr);
    b->drawn = true;
    b->last_drawn = t;
}
