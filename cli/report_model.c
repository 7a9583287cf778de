/* model: a card for each model, and its plan of attention. */
#include <inttypes.h>
#include <string.h>
#include "cli/model_card.h"
#include "cli/report.h"

/* "0-29: 9 query heads ..." line by line as a table. */
static int plan_table(report_build *b, const char *plan, const char *name, err *e)
{
    static const char *const names[] = {"layers", "attention"};
    table *t = NULL;
    int rc = table_new(&t, 2, names, e);
    for (const char *line = plan; *line && !rc; line += *line == '\n') {
        size_t n = strcspn(line, "\n"), head = strcspn(line, ":\n");
        const char *rest = line + head + (head < n), *end = line + n;
        rest += strspn(rest, " ");
        cell *c = n ? table_row(t, e) : NULL;
        if (n && !c)
            rc = ERR_RESOURCE;
        if (c)
            rc = table_text(t, &c[0], line, head < n ? head : 0, e);
        if (c && !rc && rest < end)
            rc = table_text(t, &c[1], rest, (size_t)(end - rest), e);
        line += n;
    }
    if (!rc)
        report_table(b->doc, t, "Plan of attention of %s, as the program read it from the checkpoint: layers from 0.", name);
    else
        table_free(t);
    return rc;
}

static void put_count(report_build *b, report_block *f, const char *name, const cell *c)
{
    if (c->kind == CELL_INT && c->u.i > 0)
        report_fact_int(b->doc, f, name, c->u.i);
}

static int card(report_build *b, int64_t id, err *e)
{
    enum { NAME, FAMILY, FORMAT, DTYPE, PATH, SHA, TOKENIZER, PLAN, LAYERS, HEADS, KV, WIDTH, VOCAB, CONTEXT, PARAMS };
    const cell bind[] = {cell_int(id)};
    table *t = NULL;
    int rc = store_query(b->st, &t, "SELECT name, family, format, dtype, path, sha256, tokenizer_sha256, plan, n_layer, n_head,"
                         " n_kv_head, width, vocab, context, n_param FROM model WHERE id = ?1", bind, 1, e);
    if (rc)
        return rc;
    const cell *c = table_cell(t, 0, 0);
    const char *name = *cell_string(&c[NAME]) ? cell_string(&c[NAME]) : cell_string(&c[PATH]);
    char count[16];
    report_heading(b->doc, 3, "%s", name);
    report_block *f = report_facts(b->doc, NULL);
    report_fact_add(b->doc, f, "family", cell_string(&c[FAMILY]), false);
    if (c[PARAMS].kind == CELL_INT) {
        format_count(count, (double)c[PARAMS].u.i);
        report_fact_add(b->doc, f, "parameters", count, false);
    }
    put_count(b, f, "layers", &c[LAYERS]);
    put_count(b, f, "query heads in a layer", &c[HEADS]);
    put_count(b, f, "key/value heads in a layer", &c[KV]);
    put_count(b, f, "model width", &c[WIDTH]);
    put_count(b, f, "vocabulary", &c[VOCAB]);
    put_count(b, f, "context", &c[CONTEXT]);
    report_fact_add(b->doc, f, "weights", cell_string(&c[DTYPE]), false);
    report_fact_add(b->doc, f, "format", cell_string(&c[FORMAT]), false);
    report_fact_add(b->doc, f, "path", cell_string(&c[PATH]), true);
    report_fact_add(b->doc, f, "SHA-256 of the weights", cell_string(&c[SHA]), true);
    report_fact_add(b->doc, f, "SHA-256 of the tokenizer", cell_string(&c[TOKENIZER]), true);
    if (*cell_string(&c[PLAN]))
        rc = plan_table(b, cell_string(&c[PLAN]), name, e);
    table_free(t);
    return rc;
}

static int build(report_build *b, err *e)
{
    int rc = 0;
    report_heading(b->doc, 2, b->n_run > 1 ? "Models" : "Model");
    for (int i = 0; i < b->n_run && !rc; i++) {
        bool known = false;
        for (int k = 0; k < i; k++)
            known |= b->run[k].model == b->run[i].model;
        if (!known)
            rc = card(b, b->run[i].model, e);
    }
    return rc;
}

const report_section report_model = {
    .name = "model", .title = "Model", .summary = "a card for each model and its plan of attention", .build = build,
};
