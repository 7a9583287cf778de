#include "cli/run_name.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>
#include "base/param.h"
#include "base/strbuf.h"
#include "cli/command_util.h"

typedef struct run_name {
    int64_t number;        /* 0: `last` */
    int64_t back;          /* how many before the last */
    const char *model;     /* within the word; NULL: of any */
} run_name;

static bool read_name(run_name *out, const char *word)
{
    *out = (run_name){0};
    if (strncasecmp(word, "last", 4) != 0)
        return parse_int(&out->number, word) && out->number > 0;
    const char *s = word + 4;
    if (*s == '-') {
        int digits = 0;
        for (s++; isdigit((unsigned char)*s) && digits < 9; s++, digits++)
            out->back = out->back * 10 + (*s - '0');
        if (digits == 0)
            return false;
    }
    if (!*s)
        return true;
    size_t gap = strspn(s, " \t");
    if (gap == 0 || strncasecmp(s + gap, "of", 2) != 0)
        return false;
    s += gap + 2;
    gap = strspn(s, " \t");
    out->model = s + gap;
    return gap > 0 && *out->model;
}

bool run_name_like(const char *word)
{
    run_name ignored;
    int64_t number;
    return parse_int(&number, word) || read_name(&ignored, word);
}

const char *store_words(const store *st)
{
    return strcmp(store_path(st), ":memory:") == 0 ? "this session" : store_path(st);
}

static int no_runs(const store *st, err *e)
{
    err_set(e, ERR_FAILED, "no run yet in %s", store_words(st));
    if (strcmp(store_path(st), ":memory:") == 0)
        return err_hint(e, "run a model first, or name the store of earlier runs with --store FILE");
    return err_hint(e, "make one with `run MODEL --prompt TEXT --store %s`", store_path(st));
}

int run_name_hint(store *st, err *e)
{
    enum { MOST = 12 };
    table *t = NULL;
    strbuf b = {0};
    /* runs that follow on each other are one row */
    const cell bind[] = {cell_int(MOST + 1)};
    if (store_query(st, &t, "SELECT min(id), max(id) FROM (SELECT id, id - row_number() OVER (ORDER BY id) AS part FROM run)"
                    " GROUP BY part ORDER BY 1 DESC LIMIT ?1", bind, 1, NULL) != 0)
        return e ? e->code : ERR_USAGE;
    if (t->n_row > MOST)
        strbuf_puts(&b, "..., ");
    for (int64_t i = (t->n_row > MOST ? MOST : t->n_row) - 1; i >= 0; i--) {
        int64_t lo = table_cell(t, i, 0)->u.i, hi = table_cell(t, i, 1)->u.i;
        strbuf_printf(&b, lo == hi ? "%" PRId64 : "%" PRId64 "-%" PRId64, lo, hi);
        strbuf_puts(&b, i ? ", " : "");
    }
    table_free(t);
    if (b.len)
        err_hint(e, "there %s %s; `last` is the newest that is done, last-1 the one before; `runs` lists them",
                 strchr(strbuf_str(&b), '-') || strchr(strbuf_str(&b), ',') ? "are" : "is", strbuf_str(&b));
    else
        err_hint(e, "make one with `run MODEL --prompt TEXT`");
    strbuf_free(&b);
    return e ? e->code : ERR_USAGE;
}

int run_newest(int64_t *run, store *st, err *e)
{
    return query_count(run, st, "SELECT coalesce((SELECT max(id) FROM run WHERE status = 'done'), max(id), 0) FROM run", NULL, 0,
                       e);
}

static int too_far(const run_name *w, const char *word, store *st, err *e)
{
    const cell bind[] = {cell_text(w->model)};
    table *t = NULL;
    int rc = store_query(st, &t, "SELECT count(*), sum(r.status = 'done') FROM run r JOIN model m ON m.id = r.model_id"
                         " WHERE ?1 IS NULL OR m.name = ?1 OR m.path = ?1", bind, 1, e);
    if (rc)
        return rc;
    int64_t all = table_cell(t, 0, 0)->u.i, done = all ? table_cell(t, 0, 1)->u.i : 0;
    table_free(t);
    if (all == 0 && !w->model)
        return no_runs(st, e);
    if (all == 0)
        err_set(e, ERR_USAGE, "no run of %s in %s", w->model, store_words(st));
    else
        err_set(e, ERR_USAGE, "no run '%s': %" PRId64 " run%s%s%s in %s %s done", word, done, done == 1 ? "" : "s",
                w->model ? " of " : "", w->model ? w->model : "", store_words(st), done == 1 ? "is" : "are");
    return run_name_hint(st, e);
}

int run_name_read(int64_t *run, store *st, const char *word, err *e)
{
    run_name w;
    table *t = NULL;
    if (!read_name(&w, word)) {
        err_set(e, ERR_USAGE, "'%s' is no run number", word);
        static const char *const names[] = {"last", NULL};
        return nearest_word(word, names) ? err_hint(e, "did you mean \"last\"? that is the newest run that is done")
                                         : run_name_hint(st, e);
    }
    if (w.number) {
        *run = w.number;
        return require_run(st, w.number, e);
    }
    if (!w.model && w.back == 0) {
        int failed = run_newest(run, st, e);
        return failed ? failed : *run ? 0 : no_runs(st, e);
    }
    const cell bind[] = {cell_text(w.model), cell_int(w.back)};
    int rc = store_query(st, &t, "SELECT r.id FROM run r JOIN model m ON m.id = r.model_id WHERE r.status = 'done' AND"
                         " (?1 IS NULL OR m.name = ?1 OR m.path = ?1) ORDER BY r.id DESC LIMIT 1 OFFSET ?2", bind, 2, e);
    if (!rc && t->n_row)
        *run = table_cell(t, 0, 0)->u.i;
    else if (!rc)
        rc = too_far(&w, word, st, e);
    table_free(t);
    return rc;
}
