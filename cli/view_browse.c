#include "cli/view_browse.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/cancel.h"
#include "cli/command_util.h"
#include "cli/progress_bar.h"
#include "cli/view_terminal.h"
#include "cli/view_window.h"
#include "plots/colormap.h"

/* What a typed answer is for. */
typedef enum question { ASK_NOTHING, ASK_PLACE, ASK_KEY, ASK_QUERY, ASK_FILE } question;

typedef struct browser {
    view_window w;
    question question;
    char sought[VIEW_TEXT]; /* last token text looked for */
    bool whole;             /* the zoom follows the window's size */
    bool leave;
} browser;

int view_browse_check(const session *s, err *e)
{
    if (terminal_output(s) && isatty(STDIN_FILENO) && terminal_can_redraw(STDOUT_FILENO))
        return 0;
    err_set(e, ERR_USAGE, "an interactive view needs a terminal for input and output");
    return err_hint(e, "leave --interactive out: the figure is printed");
}

/* --- showing a page --- */

static void zoom(view_window *w, int64_t to)
{
    int64_t row = (w->row - w->top) / w->pool, col = (w->col - w->left) / w->pool; /* where the cursor stays */
    w->pool = to;
    w->row = w->row / to * to;
    w->col = w->col / to * to;
    w->top = w->row > row * to ? w->row - row * to : 0;
    w->left = w->col > col * to ? w->col - col * to : 0;
    view_settle(w);
}

static int new_page(browser *b, err *e)
{
    view_window *w = &b->w;
    int rc = view_colours(w, e);
    if (!rc && b->whole)
        w->pool = view_fit_pool(w);
    view_settle(w);
    return rc;
}

static void take_size(view_window *w)
{
    w->size = terminal_size(STDOUT_FILENO);
    view_forget(w);
}

/* Which map, metric or panel comes next takes a while for large maps: say so meanwhile. */
static int step(browser *b, int (*next)(view_book *, int, err *), int by, err *e)
{
    view_window *w = &b->w;
    if (w->book.page.map.mapped) {
        snprintf(w->message, sizeof w->message, "reading the map ...");
        view_draw(w);
        w->message[0] = '\0';
    }
    int rc = next(&w->book, by, e);
    return rc ? rc : new_page(b, e);
}

/* --- moving --- */

static void move(view_window *w, int64_t rows, int64_t cols)
{
    if (w->book.page.d.chart) {
        int n = w->book.page.d.chart->n_series;
        w->at_x += cols;
        w->first = (int)(((w->first + rows) % n + n) % n);
    } else {
        w->row += rows * w->pool;
        w->col += cols * w->pool;
        w->row = w->row < 0 ? 0 : w->row;
        w->col = w->col < 0 ? 0 : w->col;
    }
    view_settle(w);
}

static void page(view_window *w, int rows, int cols)
{
    view_layout x = view_plan(w);
    if (w->book.page.d.chart) {
        move(w, rows, cols * (w->n_x > 10 ? w->n_x / 10 : 1));
        return;
    }
    int high = x.rows > 1 ? x.rows : 1, wide = x.columns > 1 ? x.columns : 1;
    w->top += rows * high * w->pool; /* the corner goes along, so that the cursor keeps its place in the window */
    w->left += cols * wide * w->pool;
    w->top = w->top < 0 ? 0 : w->top;
    w->left = w->left < 0 ? 0 : w->left;
    move(w, (int64_t)rows * high, (int64_t)cols * wide);
}

static bool arrow(view_window *w, key k)
{
    static const struct { uint32_t code; int rows, cols; bool page; } keys[] = {
        {KEY_UP, -1, 0, false}, {KEY_DOWN, 1, 0, false}, {KEY_LEFT, 0, -1, false}, {KEY_RIGHT, 0, 1, false},
        {KEY_PAGE_UP, -1, 0, true}, {KEY_PAGE_DOWN, 1, 0, true}, {'K', -1, 0, true}, {'J', 1, 0, true},
        {'H', 0, -1, true}, {'L', 0, 1, true}, {KEY_HOME, 0, -(1 << 30), false}, {KEY_END, 0, 1 << 30, false},
    };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (keys[i].code != k.code)
            continue;
        if ((keys[i].page || k.shift) && keys[i].cols >= -1 && keys[i].cols <= 1)
            page(w, keys[i].rows, keys[i].cols);
        else
            move(w, keys[i].rows, keys[i].cols);
        return true;
    }
    return false;
}

/* --- typed answers --- */

static void ask(browser *b, question q, const char *words)
{
    b->question = q;
    b->w.asking = words;
    b->w.answer[0] = '\0';
}

/* A token position as a cell of the map, counted from 0. */
static int64_t cell_of(const view_window *w, int64_t position)
{
    int64_t span = w->book.page.d.pool > 1 ? w->book.page.d.pool : 1;
    return position / span;
}

static int go_to(view_window *w, const char *text, err *e)
{
    long long row = 0, col = 0;
    char more;
    if (w->book.page.d.chart)
        return err_set(e, ERR_USAGE, "a chart has no rows");
    if (sscanf(text, " %lld , %lld %c", &row, &col, &more) != 2 || row < 0 || col < 0)
        return err_set(e, ERR_USAGE, "expected two numbers: 12,3");
    if (cell_of(w, row) >= w->book.page.map.rows || cell_of(w, col) >= w->book.page.map.cols)
        return err_set(e, ERR_USAGE, "%lld,%lld is outside the map", row, col);
    w->row = cell_of(w, row);
    w->col = cell_of(w, col);
    view_settle(w);
    return 0;
}

/* The next row or column whose label holds the text, from behind the cursor on and around. */
static int find(browser *b, bool rows, err *e)
{
    view_window *w = &b->w;
    const view_page *p = &w->book.page;
    const char *const *labels = rows ? p->d.m.row_labels : p->d.m.col_labels;
    int64_t span = p->d.pool > 1 ? p->d.pool : 1;
    int64_t n = p->weights ? (rows ? p->stored.n_query : p->stored.n_key) : rows ? p->map.rows : p->map.cols;
    if (w->answer[0])
        snprintf(b->sought, sizeof b->sought, "%s", w->answer);
    if (!b->sought[0])
        return 0;
    if (p->d.chart || !labels)
        return err_set(e, ERR_FAILED, "there are no words to look for");
    span = p->weights ? span : 1;
    int64_t after = ((rows ? w->row : w->col) + w->pool) * span; /* a block is passed over as a whole */
    for (int64_t i = 0; i < n; i++) {
        int64_t at = (after + i) % n;
        if (!strstr(labels[at], b->sought))
            continue;
        *(rows ? &w->row : &w->col) = at / span;
        view_settle(w);
        return 0;
    }
    return err_set(e, ERR_FAILED, "no token holds \"%s\"", b->sought);
}

static int answer(browser *b, err *e)
{
    question q = b->question;
    b->question = ASK_NOTHING;
    b->w.asking = NULL;
    if (q == ASK_PLACE)
        return b->w.answer[0] ? go_to(&b->w, b->w.answer, e) : 0;
    if (q == ASK_FILE)
        return view_save(&b->w, b->w.answer, e);
    return find(b, q == ASK_QUERY, e);
}

/* One key of a typed answer. */
static int edit(browser *b, key k, err *e)
{
    char *s = b->w.answer;
    size_t n = strlen(s);
    if (k.code == KEY_ENTER)
        return answer(b, e);
    if (k.code == KEY_ESCAPE || (k.code == KEY_BACKSPACE && n == 0)) {
        b->question = ASK_NOTHING;
        b->w.asking = NULL;
    } else if (k.code == KEY_KILL) {
        s[0] = '\0';
    } else if (k.code == KEY_BACKSPACE) {
        do
            s[--n] = '\0';
        while (n > 0 && ((unsigned char)s[n - 1] & 0xc0) == 0x80 && utf8_next(NULL, s + n - 1, 1) == 0);
        while (n > 0 && (unsigned char)s[n - 1] >= 0xc0) /* the lead of what was cut */
            s[--n] = '\0';
    } else if (k.code >= 0x20 && k.code < 0x110000) {
        strbuf c = {0};
        strbuf_put_utf8(&c, k.code);
        if (n + c.len < VIEW_TEXT)
            memcpy(s + n, strbuf_str(&c), c.len + 1);
        strbuf_free(&c);
    }
    return 0;
}

/* --- other keys --- */

static int toggle_log(browser *b, err *e)
{
    params *p = b->w.book.a->p;
    if (b->w.book.page.d.chart)
        return params_set(p, "log-y", params_bool(p, "log-y") ? "false" : "true", e);
    int rc = params_set(p, "norm", strcmp(params_str(p, "norm"), "log") == 0 ? "linear" : "log", e);
    return rc ? rc : view_colours(&b->w, e);
}

static int next_colours(browser *b, err *e)
{
    params *p = b->w.book.a->p;
    const char *now = params_str(p, "cmap");
    int i = 0;
    while (colormap_names[i] && strcmp(colormap_names[i], now) != 0)
        i++;
    int rc = params_set(p, "cmap", colormap_names[i] && colormap_names[i + 1] ? colormap_names[i + 1] : colormap_names[0],
                        e);
    return rc ? rc : view_colours(&b->w, e);
}

static int press(browser *b, uint32_t c, err *e)
{
    view_window *w = &b->w;
    bool map = !w->book.page.d.chart;
    int64_t fit;
    switch (c) {
    case 'q': case KEY_ESCAPE: b->leave = true; break;
    case '?': w->help = true; break;
    case '[': return step(b, view_book_step_layer, -1, e);
    case ']': return step(b, view_book_step_layer, 1, e);
    case ',': case '<': return step(b, view_book_step_head, -1, e);
    case '.': case '>': return step(b, view_book_step_head, 1, e);
    case 'p': return step(b, view_book_step_metric, -1, e);
    case 'n': return step(b, view_book_step_metric, 1, e);
    case 'l': return toggle_log(b, e);
    case 'c': return next_colours(b, e);
    case 'g': ask(b, ASK_PLACE, "go to query,key: "); break;
    case '/': ask(b, ASK_KEY, "find key token: "); break;
    case 'f': ask(b, ASK_QUERY, "find query token: "); break;
    case 's': ask(b, ASK_FILE, "save as (.png .svg .pdf): "); break;
    case 'm':
        w->how = w->how == POOL_MAX ? POOL_MEAN : POOL_MAX;
        return params_set(w->book.a->p, "pooling", w->how == POOL_MAX ? "max" : "mean", e);
    case '+': case '=':
        b->whole = b->whole && w->pool == 1;
        if (map && w->pool > 1)
            zoom(w, w->pool / 2);
        break;
    case '-': case '_':
        fit = view_fit_pool(w);
        if (map && w->pool < fit)
            zoom(w, w->pool * 2);
        b->whole = w->pool >= fit;
        break;
    case '0':
        b->whole = true;
        if (map)
            zoom(w, view_fit_pool(w));
        break;
    default: break;
    }
    return 0;
}

static int handle(browser *b, key k, err *e)
{
    view_window *w = &b->w;
    w->message[0] = '\0';
    if (w->asking)
        return edit(b, k, e);
    if (w->help) { /* any key */
        w->help = false;
        return 0;
    }
    return arrow(w, k) ? 0 : press(b, k.code, e);
}

static int browse(browser *b, err *e)
{
    view_window *w = &b->w;
    while (!b->leave) {
        err why = {0};
        if (!tty_key_waits() && !view_draw(w))
            return cancel_check(e); /* a signal, or the terminal has gone */
        key k = tty_key();
        if (k.code == KEY_GONE)
            return cancel_check(e);
        if (k.code == KEY_REDRAW) {
            take_size(w);
            if (b->whole)
                w->pool = view_fit_pool(w);
            view_settle(w);
            continue;
        }
        int rc = handle(b, k, &why);
        if (rc == ERR_CANCELLED) {
            *e = why;
            return rc;
        }
        if (rc)
            snprintf(w->message, sizeof w->message, "%s", why.msg);
    }
    return 0;
}

int view_browse(session *s, const command_args *a, store *st, const figure *f, err *e)
{
    browser b = {.w = {.pool = 1}, .whole = true};
    view_window *w = &b.w;
    bool quiet = s->quiet;
    err ignored = {0};
    s->quiet = true; /* notes would be written over the picture */
    int rc = view_book_open(&w->book, s, a, st, f, e);
    progress_bar_clear(s->bar);
    if (rc) {
        s->quiet = quiet;
        return rc;
    }
    w->colour = terminal_colour(s);
    w->ascii = w->colour == TERM_ASCII || !terminal_utf8();
    w->how = strcmp(params_str(a->p, "pooling"), "max") == 0 ? POOL_MAX : POOL_MEAN;
    take_size(w);
    rc = new_page(&b, e);
    if (!rc)
        rc = tty_begin(true, e);
    if (!rc)
        rc = browse(&b, e ? e : &ignored);
    tty_end();
    view_forget(w);
    free(w->x);
    view_book_close(&w->book);
    s->quiet = quiet;
    return rc;
}
