/* prompts: what the runs read. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "cli/experiment.h"
#include "cli/report.h"

enum { FEW_TEXTS = 8, SOME_TEXTS = 3, LONG_TEXT = 600, MOST_FOLDED = 20000 };

static const char table_sql[] =
    "SELECT min(u.prompt_index) AS prompt, u.label, (SELECT text FROM fact f WHERE f.unit_id = u.id AND f.name = 'set') AS"
    " \"set\", p.n_token AS tokens, p.policy AS \"special tokens\", substr(p.text, 1, 80) AS beginning, p.sha256 AS \"SHA-256\""
    " FROM unit u JOIN prompt p ON p.id = u.prompt_id WHERE u.run_id = ?1 GROUP BY p.id, u.label ORDER BY min(u.prompt_index)"
    " LIMIT ?2";
static const char pair_sql[] =
    "SELECT min(f.prompt) AS prompt, max(f.text) FILTER (WHERE f.name = 'corrupted') AS corrupted,"
    " max(f.text) FILTER (WHERE f.name = 'answer') AS answer, max(f.text) FILTER (WHERE f.name = 'wrong') AS \"wrong answer\""
    " FROM fact_list f WHERE f.run = ?1 AND f.name IN ('corrupted', 'answer', 'wrong') GROUP BY f.prompt ORDER BY f.prompt LIMIT"
    " ?2";
static const char text_sql[] =
    "SELECT min(u.prompt_index), u.label, p.text, length(CAST(p.text AS BLOB)) FROM unit u JOIN prompt p ON p.id = u.prompt_id"
    " WHERE u.run_id = ?1 AND p.text IS NOT NULL AND p.text <> '' GROUP BY p.id ORDER BY min(u.prompt_index) LIMIT ?2";
static const char input_sql[] =
    "SELECT u.prompt_index AS prompt, i.role, i.path, i.policy AS \"special tokens\", substr(i.text, 1, 80) AS beginning,"
    " i.sha256 AS \"SHA-256\" FROM unit u JOIN input i ON i.unit_id = u.id WHERE u.run_id = ?1"
    " ORDER BY u.prompt_index, i.role LIMIT ?2";

/* Numbers that name things: as text, so that a table does not take them for a column of values. */
static int name_rows(table *t, err *e)
{
    int rc = 0;
    for (int64_t i = 0; i < t->n_row && !rc; i++) {
        cell *c = &t->cells[i * t->n_col];
        char text[32];
        snprintf(text, sizeof text, "%" PRId64, c->kind == CELL_INT ? c->u.i : 0);
        rc = table_text(t, c, text, strlen(text), e);
    }
    return rc;
}

/* A column that says the same nothing in all rows is left out. */
static int without_empty(table *in, err *e)
{
    int use[16], n = 0;
    for (int c = 0; c < in->n_col && n < 16; c++) {
        bool any = c == 0, policy = strcmp(in->column[c], "special tokens") == 0, one = policy && in->n_row > 1;
        for (int64_t i = 0; i < in->n_row; i++) {
            const cell *at = table_cell(in, i, c);
            any |= at->kind != CELL_NULL && !(at->kind == CELL_TEXT && !*at->u.s);
            one = one && strcmp(cell_string(at), cell_string(table_cell(in, 0, c))) == 0;
        }
        if (any && !one) /* one policy for all stands above the table */
            use[n++] = c;
    }
    return table_keep(in, use, NULL, n, e);
}

static int put_table(report_build *b, const report_run *r, const char *sql, const char *what, err *e)
{
    const cell bind[] = {cell_int(r->id), cell_int(b->opt->rows)};
    table *t = NULL;
    int rc = store_query(b->st, &t, sql, bind, 2, e);
    if (!rc)
        rc = name_rows(t, e);
    if (!rc)
        rc = without_empty(t, e);
    if (rc) {
        table_free(t);
        return rc;
    }
    int64_t n = t->n_row;
    report_table(b->doc, t, "%s of run %" PRId64 ".%s", what, r->id,
                 n == b->opt->rows && r->n_unit > n ? report_print(b->doc, " The first %" PRId64 " of %" PRId64 ".", n, r->n_unit)
                                                    : "");
    report_fold(b->doc);
    return 0;
}

int64_t report_prompts_read(report_build *b, int64_t run)
{
    const cell bind[] = {cell_int(run)};
    int64_t n;
    err ignored = {0};
    query_count(&n, b->st, "SELECT count(DISTINCT prompt_id) FROM unit WHERE run_id = ?1", bind, 1, &ignored);
    return n;
}

static int put_texts(report_build *b, const report_run *r, err *e)
{
    int64_t most = r->n_unit > FEW_TEXTS ? SOME_TEXTS : FEW_TEXTS;
    const cell bind[] = {cell_int(r->id), cell_int(most)};
    table *t = NULL;
    int rc = store_query(b->st, &t, text_sql, bind, 2, e);
    for (int64_t i = 0; !rc && i < t->n_row; i++) {
        const char *text = cell_string(table_cell(t, i, 2)), *label = cell_string(table_cell(t, i, 1));
        size_t n = strlen(text), cut = n;
        if (n > MOST_FOLDED)
            for (cut = MOST_FOLDED; cut > 0 && ((unsigned char)text[cut] & 0xc0) == 0x80; cut--)
                ;
        char *shown = mem_strndup(text, cut, e);
        if (!shown) {
            rc = ERR_RESOURCE;
            break;
        }
        const char *name = report_print(b->doc, "Prompt %" PRId64 "%s%s, %zu bytes%s", table_cell(t, i, 0)->u.i,
                                        *label ? ": " : "", label, n,
                                        cut < n ? report_print(b->doc, " (the first %zu are shown)", cut) : "");
        if (n > LONG_TEXT) {
            report_folded(b->doc, name, shown);
        } else {
            report_text(b->doc, "%s:", name);
            report_code(b->doc, shown);
        }
        free(shown);
    }
    if (!rc && t->n_row == most && r->n_unit > most)
        report_text(b->doc, "The store has the texts of all %" PRId64 " prompts.", r->n_unit);
    table_free(t);
    return rc;
}

static int build(report_build *b, err *e)
{
    int rc = 0;
    report_heading(b->doc, 2, "Prompts");
    for (int i = 0; i < b->n_run && !rc; i++) {
        const report_run *r = &b->run[i];
        strbuf words = {0};
        if (b->n_run > 1)
            report_heading(b->doc, 3, "Prompts of run %" PRId64, r->id);
        rc = experiment_conditions(&words, b->st, r->id, e);
        if (!rc && words.len)
            report_text(b->doc, "Run %" PRId64 ": %s.", r->id, strbuf_str(&words));
        strbuf_free(&words);
        if (!rc)
            rc = put_table(b, r, table_sql, "Prompts", e);
        if (!rc && strcmp(r->verb, "patch") == 0)
            rc = put_table(b, r, pair_sql, "Corrupted prompts and answers, beside the clean prompts above,", e);
        if (!rc)
            rc = put_table(b, r, input_sql, "Other inputs", e);
        if (!rc)
            rc = put_texts(b, r, e);
    }
    return rc;
}

const report_section report_prompts = {
    .name = "prompts", .title = "Prompts", .summary = "what the runs read, with hashes; long texts folded", .build = build,
};
