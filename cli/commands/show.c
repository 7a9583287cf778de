/* show: one run with its provenance. */
#include <inttypes.h>
#include <string.h>
#include "cli/head_filter.h"
#include "cli/json_line.h"
#include "cli/output.h"
#include "cli/terminal.h"

static const char facts_sql[] =
    "SELECT r.id AS run, r.status || CASE WHEN ?2 THEN " RUN_PROGRESS_SQL " ELSE '' END AS status,"
    " CASE WHEN NOT ?2 THEN " RUN_UNITS_SQL " END AS units, CASE WHEN NOT ?2 THEN r.n_unit END AS"
    " units_wanted, r.message, r.command, r.verb, m.name AS model, m.path, m.family, m.format,"
    " m.dtype, m.sha256, m.tokenizer_sha256, r.settings, r.operator, r.edits, r.precision, r.isa, r.threads,"
    " r.seed, r.version, w.name AS sweep, r.cell,"
    " r.started, r.finished, round((julianday(r.finished) - julianday(r.started)) * 86400, 3) AS seconds"
    " FROM run r JOIN model m ON m.id = r.model_id LEFT JOIN sweep w ON w.id = r.sweep_id WHERE r.id = ?1";
static const char prompts_sql[] =
    "SELECT u.prompt_index AS prompt, u.label, p.n_token AS tokens, p.policy, p.sha256, p.text"
    " FROM unit u JOIN prompt p ON p.id = u.prompt_id WHERE u.run_id = ?1 ORDER BY u.prompt_index";
static const char inputs_sql[] =
    "SELECT u.prompt_index AS prompt, i.role, i.path, i.policy, i.sha256, i.text"
    " FROM unit u JOIN input i ON i.unit_id = u.id WHERE u.run_id = ?1 ORDER BY u.prompt_index, i.role";
static const char values_sql[] =
    "SELECT metric, kind, n, mean, min AS lowest, max AS highest FROM metric_summary WHERE run = ?1 ORDER BY"
    " metric, kind";
/* %s: of which heads (head_filter_put). */
static const char head_values_sql[] =
    "SELECT metric, kind, count(*) AS n, avg(value) AS mean, min(value) AS lowest, max(value) AS highest FROM head_value"
    " WHERE run = ?1%s GROUP BY metric, kind ORDER BY metric, kind";
static const char maps_sql[] =
    "SELECT prompt, head_name AS head, n_query AS queries, n_key AS keys, pool, bytes FROM map_list WHERE"
    " run = ?1%s ORDER BY prompt, kind, layer, head";

enum { MAX_MAPS = 24, MAX_PROMPTS = 24 }; /* more are counted, not listed */

static void put_cell_json(strbuf *b, const char *name, const cell *c)
{
    /* JSON already */
    bool object = strcmp(name, "settings") == 0 || strcmp(name, "edits") == 0 || strcmp(name, "cell") == 0;
    if (object && c->kind == CELL_TEXT) {
        json_line_key(b, name);
        strbuf_puts(b, c->u.s);
    } else if (c->kind == CELL_INT) {
        json_line_int(b, name, c->u.i);
    } else if (c->kind == CELL_REAL) {
        json_line_real(b, name, c->u.r);
    } else {
        json_line_text(b, name, c->kind == CELL_TEXT ? c->u.s : NULL);
    }
}

static void put_rows_json(strbuf *b, const char *name, const table *t)
{
    json_line_key(b, name);
    strbuf_putc(b, '[');
    for (int64_t i = 0; i < t->n_row; i++) {
        strbuf_puts(b, i ? ",{" : "{");
        for (int c = 0; c < t->n_col; c++)
            put_cell_json(b, t->column[c], table_cell(t, i, c));
        strbuf_putc(b, '}');
    }
    strbuf_putc(b, ']');
}

static void put_line(strbuf *b, const char *name, const cell *c)
{
    if (c->kind == CELL_NULL || (c->kind == CELL_TEXT && !*c->u.s))
        return;
    strbuf_printf(b, "  %-17s", name);
    if (c->kind == CELL_INT)
        strbuf_printf(b, "%" PRId64, c->u.i);
    else if (c->kind == CELL_REAL)
        strbuf_put_real(b, c->u.r);
    else
        strbuf_put_visible(b, c->u.s, strlen(c->u.s));
    strbuf_putc(b, '\n');
}

/* A text made visible, at most some 200 bytes of it. */
static void put_long_text(strbuf *b, const char *name, const cell *text)
{
    enum { MAX = 200 };
    if (text->kind != CELL_TEXT)
        return;
    size_t n = strlen(text->u.s), cut = n;
    if (n > MAX)
        for (cut = MAX; cut > 0 && ((unsigned char)text->u.s[cut] & 0xc0) == 0x80; cut--)
            ;
    strbuf_printf(b, "  %-17s", name);
    strbuf_put_visible(b, text->u.s, cut);
    if (cut < n)
        strbuf_printf(b, " ... (%zu bytes)", n);
    strbuf_putc(b, '\n');
}

static void put_prompt(strbuf *b, const table *t, int64_t row, const table *inputs)
{
    int64_t index = table_cell(t, row, 0)->u.i;
    strbuf_printf(b, "prompt %" PRId64 "\n", index);
    for (int c = 1; c + 1 < t->n_col; c++)
        put_line(b, t->column[c], table_cell(t, row, c));
    put_long_text(b, "text", table_cell(t, row, t->n_col - 1));
    for (int64_t i = 0; i < inputs->n_row; i++) {
        if (table_cell(inputs, i, 0)->u.i != index)
            continue;
        const char *role = cell_string(table_cell(inputs, i, 1));
        char name[48];
        put_line(b, role, table_cell(inputs, i, 2));
        put_long_text(b, role, table_cell(inputs, i, 5));
        for (int c = 3; c < 5; c++) {
            snprintf(name, sizeof name, "%s %s", role, inputs->column[c]);
            put_line(b, name, table_cell(inputs, i, c));
        }
    }
}

/* The stored command goes out as it is; only a terminal is spared what could command it. */
static int only_command(session *s, const table *facts, err *e)
{
    const char *line = cell_string(table_cell(facts, 0, table_column(facts, "command")));
    bool hostile = false;
    for (const char *c = line; *c; c++)
        hostile |= ((unsigned char)*c < 0x20 && *c != '\n' && *c != '\t') || *c == 0x7f;
    strbuf b = {0};
    if (hostile && terminal_output(s))
        strbuf_put_visible(&b, line, strlen(line));
    else
        strbuf_puts(&b, line);
    strbuf_putc(&b, '\n');
    int rc = output_flush(s->out, &b, e);
    strbuf_free(&b);
    return rc;
}

/* What was measured of the chosen heads, or of all that there is, and which maps are stored. */
static int measured(session *s, const command_args *a, store *st, int64_t id, table **values, table **maps, err *e)
{
    const cell bind[] = {cell_int(id)};
    const char *selection = params_str(a->p, "heads");
    strbuf heads = {0}, sql = {0};
    int n = 0;
    int rc = head_filter_put(&heads, &n, s, st, id, selection, e);
    strbuf_printf(&sql, head_values_sql, strbuf_str(&heads));
    if (!rc && sql.failed)
        rc = err_nomem(e, "a selection of heads");
    if (!rc)
        rc = store_query(st, values, selection ? strbuf_str(&sql) : values_sql, bind, 1, e);
    strbuf_free(&sql);
    strbuf_printf(&sql, maps_sql, strbuf_str(&heads));
    if (!rc && sql.failed)
        rc = err_nomem(e, "a selection of heads");
    if (!rc)
        rc = store_query(st, maps, strbuf_str(&sql), bind, 1, e);
    if (!rc && selection && (*values)->n_row == 0 && (*maps)->n_row == 0)
        rc = head_filter_nothing(id, selection, e);
    strbuf_free(&sql);
    strbuf_free(&heads);
    return rc;
}

static int everything(session *s, const command_args *a, store *st, int64_t id, const table *facts, err *e)
{
    const cell bind[] = {cell_int(id)};
    table *prompts = NULL, *inputs = NULL, *values = NULL, *maps = NULL;
    strbuf b = {0};
    bool as_json = command_format(s, a) == FORMAT_JSON;
    int rc = store_query(st, &prompts, prompts_sql, bind, 1, e);
    if (!rc)
        rc = store_query(st, &inputs, inputs_sql, bind, 1, e);
    if (!rc)
        rc = measured(s, a, st, id, &values, &maps, e);
    if (rc)
        goto out;
    if (as_json) {
        json_line_begin(&b, "attnscope.run/1");
        for (int c = 0; c < facts->n_col; c++)
            put_cell_json(&b, facts->column[c], table_cell(facts, 0, c));
        put_rows_json(&b, "prompts", prompts);
        put_rows_json(&b, "inputs", inputs);
        put_rows_json(&b, "values", values);
        put_rows_json(&b, "maps", maps);
        json_line_end(&b);
        rc = output_flush(s->out, &b, e);
        goto out;
    }
    strbuf_printf(&b, "run %" PRId64 "\n", id);
    for (int c = 1; c < facts->n_col; c++)
        put_line(&b, facts->column[c], table_cell(facts, 0, c));
    for (int64_t i = 0; i < prompts->n_row && i < MAX_PROMPTS; i++)
        put_prompt(&b, prompts, i, inputs);
    if (prompts->n_row > MAX_PROMPTS)
        strbuf_printf(&b, "%" PRId64 " more prompts; --json lists them\n", prompts->n_row - MAX_PROMPTS);
    rc = output_flush(s->out, &b, e);
    if (!rc && values->n_row) {
        strbuf_puts(&b, "values\n");
        rc = output_flush(s->out, &b, e);
        if (!rc)
            rc = print_table(s, a, values, "attnscope.run_values/1", e);
    }
    if (!rc && maps->n_row > MAX_MAPS) {
        strbuf_printf(&b, "maps\n%" PRId64 ", from %s to %s; --json lists them\n", maps->n_row,
                      cell_string(table_cell(maps, 0, 1)), cell_string(table_cell(maps, maps->n_row - 1, 1)));
        rc = output_flush(s->out, &b, e);
    } else if (!rc && maps->n_row) {
        strbuf_puts(&b, "maps\n");
        rc = output_flush(s->out, &b, e);
        if (!rc)
            rc = print_table(s, a, maps, "attnscope.run_maps/1", e);
    }
out:
    strbuf_free(&b);
    table_free(prompts);
    table_free(inputs);
    table_free(values);
    table_free(maps);
    return rc;
}

static int run(session *s, const command_args *a, err *e)
{
    store *st;
    table *facts = NULL;
    int64_t id = 0;
    int rc = store_to_read(s, &st, e);
    if (!rc)
        rc = choose_run(s, a, st, a->n ? a->word[0] : NULL, &id, e);
    if (rc)
        return rc;
    output_format f = command_format(s, a);
    const cell bind[] = {cell_int(id), cell_int(f == FORMAT_TABLE)};
    rc = store_query(st, &facts, facts_sql, bind, 2, e);
    if (!rc && params_bool(a->p, "command"))
        rc = only_command(s, facts, e);
    else if (!rc && (f == FORMAT_CSV || f == FORMAT_TSV))
        rc = print_table(s, a, facts, "attnscope.run/1", e);
    else if (!rc)
        rc = everything(s, a, st, id, facts, e);
    table_free(facts);
    return rc;
}

static const param own[] = {
    {.name = "command", .kind = PARAM_BOOL,
     .help = "print only the command that repeats the run"},
    {.name = "heads", .kind = PARAM_STR, .value = "HEADS", .complete = "heads",
     .help = "count values and maps of these alone: L3-7, blocks.3.attn.hook_pattern, \"where sink > 0.3\" (`help heads`)"},
    {.name = NULL},
};
static const char *const examples[] = {
    "show 1 --store heads.db", "everything about run 1: model, hashes, prompt, settings, values",
    "show --store heads.db --heads \"top 5 by sink\"", "what the five heads with the strongest sink have in common",
    "show --command --store heads.db", "the command that repeats the last run",
    NULL,
};
static const char *const complete[] = {"runs", NULL};

const command command_show = {
    .name = "show", .group = "store", .usage = "[RUN]",
    .summary = "show one run: where it comes from and what it measured",
    .help = "Prints the exact command, model and tokenizer hashes, precision, instruction set, threads, "
            "version and times (UTC) of a run, its prompts, and for each metric how many values there are "
            "with mean, lowest and highest; with --heads of the values of those heads. Without RUN the last one.",
    .examples = examples, .params = own, .min_args = 0, .max_args = 1, .complete = complete, .run = run,
};
