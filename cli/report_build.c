/* What a report is made from, and the order of its sections. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/cancel.h"
#include "base/json.h"
#include "cli/report.h"

const report_section *const report_sections[] = {
    &report_overview, &report_compare, &report_model, &report_prompts, &report_census, &report_results, &report_figures,
    &report_methods, &report_repeat, NULL,
};

/* ---- runs ---- */

bool report_has(const report_run *r, const char *metric)
{
    for (int i = 0; i < r->n_metric; i++)
        if (strcmp(r->metric[i], metric) == 0)
            return true;
    return false;
}

double report_setting(const report_run *r, const char *name, double other)
{
    json *root = NULL;
    double v = other;
    err ignored = {0};
    if (json_parse(&root, r->settings, strlen(r->settings), "settings", &ignored) == 0 && !json_real(&v, json_get(root, name)))
        v = other;
    json_free(root);
    return v;
}

static int read_metrics(report_run *r, report_build *b, err *e)
{
    const cell bind[] = {cell_int(r->id)};
    table *t = NULL;
    int rc = store_query(b->st, &t,
        "SELECT m.name FROM metric m WHERE EXISTS (SELECT 1 FROM unit u JOIN value v ON v.unit_id = u.id"
        " AND v.metric_id = m.id WHERE u.run_id = ?1) ORDER BY m.name", bind, 1, e);
    if (rc)
        return rc;
    r->metric = arena_alloc(&b->doc->mem, (size_t)t->n_row + 1, sizeof *r->metric, e);
    for (int64_t i = 0; r->metric && i < t->n_row; i++)
        r->metric[r->n_metric++] = report_visible(b->doc, cell_string(table_cell(t, i, 0)), false);
    table_free(t);
    return r->metric && !b->doc->failed ? 0 : err_nomem(e, "report");
}

static int read_run(report_run *r, report_build *b, int64_t id, err *e)
{
    enum { VERB, COMMAND, SETTINGS, STATUS, MESSAGE, OPERATOR, EDITS, PRECISION, ISA, VERSION, STARTED, FINISHED, MODEL, TEXTS,
           MODEL_ID = TEXTS, THREADS, SEED, UNITS, LOW, HIGH, MAPS };
    const cell bind[] = {cell_int(id)};
    const char *text[TEXTS];
    table *t = NULL;
    int rc = require_run(b->st, id, e);
    if (!rc)
        rc = store_query(b->st, &t,
            "SELECT r.verb, r.command, r.settings, r.status, r.message, r.operator, r.edits, r.precision, r.isa, r.version,"
            " r.started, r.finished, m.name, r.model_id, r.threads, r.seed,"
            " (SELECT count(*) FROM unit u WHERE u.run_id = r.id AND u.status = 'done'),"
            " (SELECT min(p.n_token) FROM unit u JOIN prompt p ON p.id = u.prompt_id WHERE u.run_id = r.id),"
            " (SELECT max(p.n_token) FROM unit u JOIN prompt p ON p.id = u.prompt_id WHERE u.run_id = r.id),"
            " (SELECT count(*) FROM map_list WHERE run = r.id)"
            " FROM run r JOIN model m ON m.id = r.model_id WHERE r.id = ?1", bind, 1, e);
    if (rc)
        return rc;
    for (int i = 0; i < TEXTS; i++)
        text[i] = report_visible(b->doc, cell_string(table_cell(t, 0, i)), false);
    const cell *c = table_cell(t, 0, 0);
    *r = (report_run){
        .id = id, .verb = text[VERB], .command = text[COMMAND], .settings = text[SETTINGS], .status = text[STATUS],
        .message = text[MESSAGE], .operator_name = text[OPERATOR], .edits = text[EDITS], .precision = text[PRECISION],
        .isa = text[ISA], .version = text[VERSION], .started = text[STARTED], .finished = text[FINISHED],
        .model_name = text[MODEL], .model = c[MODEL_ID].u.i, .threads = c[THREADS].u.i,
        .seed = c[SEED].kind == CELL_INT ? c[SEED].u.i : NO_INDEX, .n_unit = c[UNITS].u.i,
        .n_token_low = c[LOW].kind == CELL_INT ? c[LOW].u.i : 0, .n_token_high = c[HIGH].kind == CELL_INT ? c[HIGH].u.i : 0,
        .n_map = c[MAPS].u.i,
    };
    table_free(t);
    if (b->doc->failed)
        return err_nomem(e, "report");
    if (strcmp(r->verb, "patch") == 0) /* its units are layers of pairs */
        r->n_unit = (int64_t)report_setting(r, "n", (double)r->n_unit);
    rc = read_metrics(r, b, e);
    if (!rc && r->n_metric == 0 && r->n_map == 0)
        rc = run_without_values(b->st, id, e);
    return rc;
}

/* ---- sections ---- */

static bool section_wanted(const char *list, const char *name, int *place)
{
    size_t n = strlen(name);
    *place = 0;
    for (const char *s = list; s && *s; s += *s == ',') {
        size_t len = strcspn(s, ",");
        if (len == n && strncmp(s, name, n) == 0)
            return true;
        (*place)++;
        s += len;
    }
    return false;
}

/* The sections asked for, in that order. */
static int choose_sections(const report_section **out, const char *list, err *e)
{
    enum { MOST = 16 };
    const char *names[MOST + 1] = {NULL};
    int n = 0;
    for (int i = 0; report_sections[i] && i < MOST; i++)
        names[i] = report_sections[i]->name;
    if (!list) {
        for (; report_sections[n]; n++)
            out[n] = report_sections[n];
        out[n] = NULL;
        return 0;
    }
    for (const char *s = list; *s; s += *s == ',') {
        char word[32] = "";
        size_t len = strcspn(s, ",");
        int i = 0, place;
        memcpy(word, s, len < sizeof word ? len : sizeof word - 1);
        while (names[i] && strcmp(names[i], word) != 0)
            i++;
        if (!names[i]) {
            const char *near = nearest_word(word, names);
            err_set(e, ERR_USAGE, "no section of a report is called '%s'", word);
            return near ? err_hint(e, "did you mean %s?", near)
                        : err_hint(e, "sections: overview, compare, model, prompts, census, results, figures, methods, repeat");
        }
        section_wanted(list, word, &place);
        if (place == n && n < MOST)
            out[n++] = report_sections[i];
        else
            return err_set(e, ERR_USAGE, "section %s is named twice", word);
        s += len;
    }
    out[n] = NULL;
    return n ? 0 : err_set(e, ERR_USAGE, "no sections are named");
}

static int build_section(report_build *b, const report_section *s, err *e)
{
    int rc = cancel_check(e);
    return rc ? rc : s->build(b, e);
}

/* Sections of one run that follow each other: run by run, each below a heading of its own where there are several. */
static int build_runs(report_build *b, const report_section *const *list, int n, err *e)
{
    int rc = 0;
    for (int i = 0; i < b->n_run && !rc; i++) {
        report_run *r = &b->run[i];
        b->one = r;
        b->level = b->n_run > 1 ? 3 : 2;
        if (b->n_run > 1)
            report_heading(b->doc, 2, "Run %" PRId64 ": %s of %s", r->id, r->verb, r->model_name);
        for (int k = 0; k < n && !rc; k++)
            rc = build_section(b, list[k], e);
    }
    b->one = NULL;
    b->level = 2;
    return rc;
}

static int build_all(report_build *b, const report_section *const *list, err *e)
{
    int rc = 0;
    for (int i = 0, n; list[i] && !rc; i += n) {
        for (n = 0; list[i + n] && list[i + n]->per_run; n++)
            ;
        b->level = 2;
        if (n)
            rc = build_runs(b, list + i, n, e);
        else
            rc = build_section(b, list[i], e);
        n = n ? n : 1;
    }
    if (!rc && b->doc->failed)
        rc = err_nomem(e, "report");
    return rc;
}

/* "Attention of lantern-3m", the models of all runs once. */
static const char *default_title(report_build *b)
{
    const char *title = report_print(b->doc, "Attention of ");
    for (int i = 0; i < b->n_run; i++) {
        bool known = false;
        for (int k = 0; k < i; k++)
            known |= strcmp(b->run[k].model_name, b->run[i].model_name) == 0;
        if (!known)
            title = report_print(b->doc, "%s%s%s", title, i ? ", " : "", b->run[i].model_name);
    }
    return title;
}

static const char *default_subtitle(report_build *b)
{
    const char *text = "";
    for (int i = 0; i < b->n_run; i++)
        text = report_print(b->doc, "%s%srun %" PRId64 " (%s, %s)", text, i ? "; " : "", b->run[i].id, b->run[i].verb,
                            b->run[i].finished && *b->run[i].finished ? b->run[i].finished : b->run[i].status);
    return text;
}

static int describe(report_build *b, err *e)
{
    report_doc *d = b->doc;
    const report_options *o = b->opt;
    const char **about = arena_alloc(&d->mem, 12, sizeof *about, e);
    int n = 0;
    if (!about)
        return ERR_RESOURCE;
    d->title = o->title ? report_visible(d, o->title, false) : default_title(b);
    d->subtitle = o->subtitle ? report_visible(d, o->subtitle, false) : default_subtitle(b);
    d->author = o->author ? report_visible(d, o->author, false) : NULL;
    about[n++] = "Title";
    about[n++] = d->title;
    about[n++] = "Software";
    about[n++] = report_print(d, "attnscope %s", program_version);
    about[n++] = "Command";
    about[n++] = report_visible(d, o->command, false);
    if (d->author) {
        about[n++] = "Author";
        about[n++] = d->author;
    }
    about[n] = NULL;
    d->about = about;
    return d->failed ? err_nomem(e, "report") : 0;
}

int report_make(report_build *b, const int64_t *runs, int n, err *e)
{
    enum { MOST_SECTIONS = 16 };
    const report_section *list[MOST_SECTIONS + 1];
    *b->doc = (report_doc){.title = NULL};
    b->n_run = n;
    b->level = 2;
    int rc = choose_sections(list, b->opt->sections, e);
    if (!rc && !(b->run = mem_array((size_t)n, sizeof *b->run, e)))
        rc = ERR_RESOURCE;
    for (int i = 0; i < n && !rc; i++)
        rc = read_run(&b->run[i], b, runs[i], e);
    if (!rc)
        rc = describe(b, e);
    return rc ? rc : build_all(b, list, e);
}

void report_free(report_build *b)
{
    for (int i = 0; i < b->n_run && b->run; i++)
        table_free(b->run[i].heads);
    free(b->run);
    report_doc_free(b->doc);
}
