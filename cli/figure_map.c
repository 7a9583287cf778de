/* A stored attention map as the numbers of a figure. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/cancel.h"
#include "base/mem.h"
#include "cli/command_util.h"
#include "cli/figure_parts.h"
#include "cli/head_select.h"
#include "plots/grid.h"

/* --- labels --- */

/* Tokens of bytes may cut a character apart.  It is shown with the token that begins it; the tokens that only
 * go on with it show a mark. */
typedef struct piece {
    size_t skip;     /* bytes at the start that belong to the character of a token before */
    size_t keep;     /* bytes of the text that are shown as they are, skip included */
    char whole[5];   /* the character that begins here and ends in a later token; "" when none does */
} piece;

/* Bytes at the end of s[0..n) that begin a character and do not end it; *need: its bytes. */
static size_t open_end(const char *s, size_t n, size_t *need)
{
    for (size_t k = 1; k <= 3 && k <= n; k++) {
        unsigned char c = (unsigned char)s[n - k];
        if ((c & 0xc0) == 0x80)
            continue;
        *need = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc2 ? 2 : 1;
        return *need > k ? k : 0;
    }
    return 0;
}

/* Join the character that the end of token i leaves open with the tokens behind it. */
static void join_pieces(piece *p, const char *const *text, int64_t i, int64_t n)
{
    size_t len = strlen(text[i]), need = 0, have = 0;
    char whole[5] = "";
    p[i].keep = len;
    if (p[i].skip < len)
        have = open_end(text[i] + p[i].skip, len - p[i].skip, &need);
    if (have == 0)
        return;
    memcpy(whole, text[i] + len - have, have);
    int64_t last = i;
    size_t taken = 0;
    while (have < need && ++last < n && text[last][0]) {
        for (taken = 0; have < need && ((unsigned char)text[last][taken] & 0xc0) == 0x80; taken++)
            whole[have++] = text[last][taken];
        if (have < need && text[last][taken])
            return;
    }
    if (have < need || utf8_next(NULL, whole, need) != (int)need)
        return;
    for (int64_t k = i + 1; k < last; k++)
        p[k].skip = strlen(text[k]);
    p[last].skip = taken;
    p[i].keep = len - open_end(text[i], len, &need);
    memcpy(p[i].whole, whole, sizeof whole);
}

/* A token as a label: visible, a leading blank as a middle dot; ids where there is no text. */
static const char *token_label(figure_source *src, const char *text, const piece *p, int64_t id, err *e)
{
    strbuf b = {0};
    size_t at = p->skip;
    if (at)
        strbuf_puts(&b, "\u2026");
    if (at == 0 && text[0] == ' ') {
        strbuf_puts(&b, text[1] ? "\u00b7" : "\u2423"); /* a blank alone: open box */
        at = 1;
    }
    figure_put_visible(&b, text + at, p->keep - at);
    strbuf_puts(&b, p->whole);
    if (b.len == 0)
        strbuf_printf(&b, "id %" PRId64, id);
    const char *label = NULL;
    if (b.failed)
        err_nomem(e, "labels");
    else
        label = arena_strndup(&src->mem, strbuf_str(&b), b.len, e);
    strbuf_free(&b);
    return label;
}

static int text_labels(const char **labels, figure_source *src, const table *t, int64_t n, err *e)
{
    const char **text = mem_array((size_t)n, sizeof *text, e);
    piece *p = text ? mem_array((size_t)n, sizeof *p, e) : NULL;
    int rc = p ? 0 : ERR_RESOURCE;
    for (int64_t i = 0; i < n && !rc; i++)
        text[i] = cell_string(table_cell(t, i, 1));
    for (int64_t i = 0; i < n && !rc; i++) {
        join_pieces(p, text, i, n);
        labels[i] = token_label(src, text[i], &p[i], table_cell(t, i, 0)->u.i, e);
        rc = labels[i] ? 0 : ERR_RESOURCE;
    }
    free(p);
    free(text);
    return rc;
}

int figure_token_labels(const char ***out, figure_source *src, store *st, int64_t prompt, const char *sequence,
                        int64_t block, int64_t n, err *e)
{
    const cell bind[] = {cell_int(src->run), cell_int(prompt), cell_text(sequence)};
    table *t = NULL;
    int64_t n_text = 0;
    const char **labels = arena_alloc(&src->mem, (size_t)n, sizeof *labels, e);
    int rc = labels ? 0 : ERR_RESOURCE;
    if (!rc && block <= 1)
        rc = store_query(st, &t,
                         "SELECT id, text FROM prompt_token WHERE run = ?1 AND prompt = ?2 AND sequence = ?3"
                         " ORDER BY position", bind, 3, e);
    if (!rc && t) {
        n_text = t->n_row < n ? t->n_row : n;
        rc = n_text ? text_labels(labels, src, t, n_text, e) : 0;
    }
    for (int64_t i = n_text; i < n && !rc; i++) {
        labels[i] = figure_text(src, e, "%" PRId64, i * (block > 1 ? block : 1));
        rc = labels[i] ? 0 : ERR_RESOURCE;
    }
    table_free(t);
    *out = labels;
    return rc;
}

/* The maps of the run as words, for messages; *only: the head when there is exactly one. */
static int list_maps(strbuf *out, char only[64], int64_t *n, store *st, int64_t run, int64_t prompt, err *e)
{
    const cell bind[] = {cell_int(run), cell_int(prompt)};
    table *t = NULL;
    int rc = store_query(
        st, &t, "SELECT head_name FROM map_list WHERE run = ?1 AND prompt = ?2 ORDER BY kind, layer, head",
        bind, 2, e);
    if (rc)
        return rc;
    *n = t->n_row;
    for (int64_t i = 0; i < t->n_row && i < 8; i++)
        strbuf_printf(out, "%s%s", i ? ", " : "", cell_string(table_cell(t, i, 0)));
    if (t->n_row > 8)
        strbuf_puts(out, ", ...");
    only[0] = '\0';
    if (t->n_row == 1)
        snprintf(only, 64, "%s", cell_string(table_cell(t, 0, 0)));
    table_free(t);
    return 0;
}

void figure_put_run_with_maps(strbuf *b, store *st, const char *head)
{
    const cell bind[] = {cell_text(head)};
    int64_t run = 0;
    if (!query_count(&run, st, "SELECT coalesce(max(run), 0) FROM map_list WHERE ?1 IS NULL OR head_name = ?1", bind, 1, NULL) &&
        run > 0)
        strbuf_printf(b, "run %" PRId64 " holds %s: --run %" PRId64 "; or ", run, head ? "it" : "some", run);
}

/* The hint that says where there is a map, and how to come by one in the same store. */
static void hint_map(const session *s, store *st, const figure_facts *f, const char *name, err *e)
{
    const char *head = name ? name : "L0H0";
    strbuf b = {0}, there = {0};
    figure_put_run_with_maps(&there, st, name);
    put_shell_word(&b, f->path);
    strbuf_printf(&b, " --prompt TEXT --maps %s", head);
    if (strcmp(s->store_path, ":memory:") != 0) {
        strbuf_puts(&b, " --store ");
        put_shell_word(&b, s->store_path);
    }
    err_hint(e, "%smake one with `run %s`", strbuf_str(&there), strbuf_str(&b));
    strbuf_free(&there);
    strbuf_free(&b);
}

/* Without a prefix: of the stack that gives the logits. */
static int read_head(head_id *h, const char *text, const figure_facts *f, err *e)
{
    int rc = head_read(h, text, e);
    if (rc)
        return rc;
    if (h->kind == ATTN_SELF && strncmp(text, "self.", 5) != 0)
        h->kind = f->main;
    return h->kind == f->main ? head_check(*h, f->n_layer, f->n_head, e) : 0;
}

static int choose_head(head_id *h, figure_source *src, const session *s, const command_args *a, store *st,
                       const figure_facts *f, err *e)
{
    const char *text = params_str(a->p, "head");
    strbuf have = {0};
    char only[64];
    int64_t n = 0, prompt = params_int(a->p, "prompt");
    head_text name;
    int rc = 0;
    if (text)
        rc = read_head(h, text, f, e);
    if (!rc)
        rc = list_maps(&have, only, &n, st, src->run, prompt, e);
    if (rc)
        goto out;
    if (!text && n == 1) {
        rc = head_parse(h, only) ? 0 : err_set(e, ERR_FAILED, "the store names a head '%s'", only);
        goto out;
    }
    if (!text && n > 1) {
        rc = err_set(e, ERR_USAGE, "run %" PRId64 " holds several maps: which head?", src->run);
        err_hint(e, "add --head, one of %s", strbuf_str(&have));
        goto out;
    }
    if (text)
        head_format(name, *h);
    const cell bind[] = {cell_int(src->run), cell_int(prompt), cell_text(text ? name : "")};
    table *t = NULL;
    rc = store_query(st, &t, "SELECT 1 FROM map_list WHERE run = ?1 AND prompt = ?2 AND head_name = ?3", bind,
                     3, e);
    if (!rc && t->n_row == 0) {
        if (n)
            rc = err_set(e, ERR_FAILED, "run %" PRId64 " holds no map of %s (it holds %s)", src->run, name,
                         strbuf_str(&have));
        else
            rc = err_set(e, ERR_FAILED, "run %" PRId64 " holds no attention map", src->run);
        hint_map(s, st, f, text ? name : NULL, e);
    }
    table_free(t);
out:
    strbuf_free(&have);
    return rc;
}

int figure_log_colours(const command_args *a, err *e)
{
    if (params_given(a->p, "norm") || params_given(a->p, "limits"))
        return 0;
    return params_set(a->p, "norm", "log", e);
}

/* In a long prompt nearly all weights are far below 1: on linear colours the map would be one dark
 * triangle.  The figure's colour bar says which scale it is. */
static int choose_norm(session *s, const command_args *a, int64_t n_token, err *e)
{
    enum { LONG_PROMPT = 256 };
    if (n_token <= LONG_PROMPT || params_given(a->p, "norm") || params_given(a->p, "limits"))
        return 0;
    say(s, "%" PRId64 " tokens: logarithmic colours; --norm linear gives linear ones", n_token);
    return params_set(a->p, "norm", "log", e);
}

/* "74 tokens", "9 x 40 positions". */
static void map_size(char *out, size_t size, const figure_map *m, attn_kind kind)
{
    if (m->n_query != m->n_key)
        snprintf(out, size, "%" PRId64 " x %" PRId64 " positions", m->n_query, m->n_key);
    else
        snprintf(out, size, "%" PRId64 " %s", m->n_query, kind == ATTN_VISION ? "patches" : "tokens");
}

/* --- cells --- */

typedef struct map_reader {
    const command_args *a;
    int64_t side;
    grid_feed feed;
    bool begun;
} map_reader;

static int take_row(void *ud, const stored_map *shape, int64_t row, const float *cells, err *e)
{
    map_reader *r = ud;
    int rc = row % 64 == 0 ? cancel_check(e) : 0;
    if (!rc && !r->begun) {
        int64_t longest = shape->rows > shape->cols ? shape->rows : shape->cols, block = 1;
        figure_data d = {.pool = shape->pool, .pooling = shape->pooling};
        if (r->side > 0)
            block = (longest - 1) / r->side + 1;
        else
            rc = head_map_block(&block, shape->rows, shape->cols, shape->pool, r->a->p, e);
        if (!rc)
            rc = grid_feed_begin(&r->feed, shape->rows, shape->cols, block, block, heatmap_pooling(&d, r->a->p), e);
        r->begun = rc == 0;
    }
    if (!rc)
        grid_feed_row(&r->feed, cells);
    return rc;
}

int figure_read_map(figure_map *out, figure_source *src, const command_args *a, store *st, head_id h, int64_t side, err *e)
{
    map_reader r = {.a = a, .side = side};
    stored_map m = {0};
    grid g = {0};
    int rc = store_map_rows(st, src->run, params_int(a->p, "prompt"), h, &m, take_row, &r, e);
    if (!rc)
        rc = grid_feed_end(&g, &r.feed, e);
    grid_feed_free(&r.feed);
    if (rc)
        return rc;
    *out = (figure_map){g.rows, g.cols, m.n_query, m.n_key, m.pool * g.pool_rows, NULL, g.cells};
    const char *now = g.how == POOL_MAX ? "max" : "mean";
    if (g.pool_rows > 1 && m.pool > 1 && strcmp(m.pooling, now) != 0)
        out->pooling = figure_text(src, e, "%s of the %s", now, m.pooling);
    else if (g.pool_rows > 1)
        out->pooling = now;
    else if (m.pool > 1)
        out->pooling = arena_strdup(&src->mem, m.pooling, e);
    if (out->pool > 1 && !out->pooling) {
        free(out->cells);
        out->cells = NULL;
        return ERR_RESOURCE;
    }
    return 0;
}

int figure_load_map(figure_source *src, session *s, const command_args *a, store *st, const figure_facts *f,
                    err *e)
{
    int64_t prompt = params_int(a->p, "prompt");
    figure_map m = {0};
    head_id h;
    head_text name;
    const char **rows = NULL, **cols = NULL;
    int rc = choose_head(&h, src, s, a, st, f, e);
    if (!rc)
        rc = figure_read_map(&m, src, a, st, h, 0, e);
    if (rc)
        return rc;
    src->cells = m.cells;
    if ((rc = choose_norm(s, a, m.n_query > m.n_key ? m.n_query : m.n_key, e)))
        return rc;
    head_format(name, h);
    bool cross = h.kind == ATTN_CROSS;
    rc = figure_token_labels(&rows, src, st, prompt, attn_kind_name(cross ? ATTN_SELF : h.kind), m.pool, m.rows,
                             e);
    if (!rc)
        rc = figure_token_labels(&cols, src, st, prompt, attn_kind_name(cross ? ATTN_ENCODER : h.kind), m.pool,
                                 m.cols, e);
    if (rc)
        return rc;
    figure_data *d = &src->d;
    d->m = (figure_matrix){m.rows, m.cols, src->cells, rows, cols};
    d->title = figure_text(src, e, "%s \xc2\xb7 %s", name, f->model);
    char size[64];
    map_size(size, sizeof size, &m, h.kind);
    const char *words = figure_prompt_words(src, st, prompt, f, e);
    src->which = words ? figure_text(src, e, "%s%s", words, size) : NULL;
    if (!src->which)
        return ERR_RESOURCE;
    d->subtitle = figure_text(src, e, "%s%s%s, run %" PRId64, words, size, f->operated, src->run);
    d->row_axis = h.kind == ATTN_VISION ? "query patch" : cross ? "query (decoder)" : "query token";
    d->col_axis = h.kind == ATTN_VISION ? "key patch" : cross ? "key (encoder)" : "key token";
    d->quantity = "attention weight";
    d->unit = "";
    d->lo = 0;
    d->hi = 1;
    d->pool = m.pool;
    d->pooling = m.pooling;
    d->caption = figure_text(src, e, "%s, attention weights of %s; %s; 1 prompt%s%s%s%s; run %" PRId64, f->model,
                             src->all ? src->all : name, size, *f->label ? " (" : "", f->label, *f->label ? ")" : "",
                             f->operated, src->run);
    src->label = mem_strdup(name, e);
    return d->title && d->subtitle && d->caption && src->label ? 0 : ERR_RESOURCE;
}
