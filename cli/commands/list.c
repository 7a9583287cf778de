/* list: what the registries hold. */
#include <string.h>
#include "analysis/edit.h"
#include "cli/command_util.h"
#include "cli/help.h"
#include "cli/json_schemas.h"
#include "cli/model_search.h"
#include "cli/settings.h"
#include "compute/kernels.h"

typedef struct kind {
    const char *name;      /* what the user types */
    const char *schema;
    int n_column, shown;   /* the aligned table shows the first ones */
    const char *columns[17];
    int (*rows)(table *t, err *e);
} kind;

/* One row of texts; NULL stays NULL. */
static int add_row(table *t, const char *const *texts, err *e)
{
    cell *row = table_row(t, e);
    if (!row)
        return ERR_RESOURCE;
    for (int i = 0; i < t->n_col; i++) {
        int rc = texts[i] ? table_text(t, &row[i], texts[i], strlen(texts[i]), e) : 0;
        if (rc)
            return rc;
    }
    return 0;
}

/* "--sink-keys LIST --sink-eps X" */
static void put_options(strbuf *b, const param *rows)
{
    for (const param *r = rows; r && r->name; r++) {
        if (b->len)
            strbuf_putc(b, ' ');
        help_option(b, r);
    }
}

static const char *scope_name(metric_scope scope)
{
    static const char *const names[] = {"head", "logits", "layer", "weights"};
    return names[scope];
}

/* "self enc cross vis" */
static void put_kinds(strbuf *b, const metric *m)
{
    for (int k = 0; k <= ATTN_VISION; k++)
        if (m->scope != METRIC_WEIGHTS && m->kinds & 1u << k)
            strbuf_printf(b, "%s%s", b->len ? " " : "", attn_kind_name((attn_kind)k));
}

static int metric_rows(table *t, err *e)
{
    int rc = 0;
    for (int i = 0; metrics[i] && !rc; i++) {
        const metric *m = metrics[i];
        strbuf options = {0}, on = {0};
        put_options(&options, m->params);
        put_kinds(&on, m);
        const char *row[] = {m->name, m->unit, m->range, m->summary, m->definition, m->source, m->missing_mass, m->cost,
                             strbuf_str(&options), scope_name(m->scope), metric_axis_names[m->axis], strbuf_str(&on),
                             m->validated, m->formula, m->reading, m->traps, m->cite};
        rc = add_row(t, row, e);
        strbuf_free(&options);
        strbuf_free(&on);
    }
    return rc;
}

static int edit_rows(table *t, err *e)
{
    int rc = 0;
    for (int i = 0; edits[i] && !rc; i++) {
        const edit *x = edits[i];
        strbuf options = {0};
        for (const param *r = x->params; r && r->name; r++)
            strbuf_printf(&options, "%s%s=%s", r == x->params ? "" : " ", r->name, r->def ? r->def : r->value);
        const char *row[] = {x->name, x->target == EDIT_HEADS ? "heads" : "layers", strbuf_str(&options), x->summary,
                             x->definition, x->decoding, x->source, x->reading, x->traps, x->cite};
        rc = options.failed ? err_nomem(e, "options") : add_row(t, row, e);
        strbuf_free(&options);
    }
    return rc;
}

static int figure_rows(table *t, err *e)
{
    int rc = 0;
    for (int i = 0; figures[i] && !rc; i++) {
        strbuf options = {0};
        put_options(&options, figures[i]->params);
        const char *row[] = {figures[i]->name, figures[i]->needs, figures[i]->summary, strbuf_str(&options),
                             figures[i]->reading, figures[i]->traps};
        rc = add_row(t, row, e);
        strbuf_free(&options);
    }
    return rc;
}

/* Commands of a group, NULL: of all. */
static int commands_of(table *t, const char *group, err *e)
{
    int rc = 0;
    for (const command_group *g = command_groups; g->name; g++) {
        for (int i = 0; commands[i] && !rc && (!group || !strcmp(g->name, group)); i++) {
            const char *row[] = {commands[i]->name, commands[i]->group, commands[i]->summary,
                                 commands[i]->usage};
            if (!strcmp(commands[i]->group, g->name))
                rc = add_row(t, row, e);
        }
    }
    return rc;
}

static int command_rows(table *t, err *e)
{
    return commands_of(t, NULL, e);
}

static int experiment_rows(table *t, err *e)
{
    return commands_of(t, "experiment", e);
}

static int example_rows(table *t, err *e)
{
    int rc = 0;
    for (int i = 0; commands[i]; i++) {
        const char *const *x = commands[i]->examples;
        for (; x && x[0] && x[1] && !rc; x += 2)
            rc = add_row(t, (const char *const[]){commands[i]->name, x[0], x[1]}, e);
    }
    return rc;
}

static int reader_rows(table *t, err *e)
{
    int rc = 0;
    for (int i = 0; checkpoint_readers[i] && !rc; i++) {
        const char *row[] = {checkpoint_readers[i]->name, checkpoint_readers[i]->summary};
        rc = add_row(t, row, e);
    }
    return rc;
}

static void join(strbuf *b, const char *const *words)
{
    for (int i = 0; words && words[i]; i++)
        strbuf_printf(b, "%s%s", i ? " " : "", words[i]);
}

static int family_rows(table *t, err *e)
{
    int rc = 0;
    for (int i = 0; families[i] && !rc; i++) {
        strbuf types = {0}, archs = {0};
        join(&types, families[i]->model_types);
        join(&archs, families[i]->gguf_archs);
        const char *row[] = {families[i]->name, families[i]->summary, strbuf_str(&types), strbuf_str(&archs)};
        rc = add_row(t, row, e);
        strbuf_free(&types);
        strbuf_free(&archs);
    }
    return rc;
}

static int isa_rows(table *t, err *e)
{
    const kernels *const *all = kernels_all();
    int rc = 0;
    for (int i = 0; all[i] && !rc; i++) {
        const char *row[] = {all[i]->isa, kernels_usable(all[i]) ? "yes" : "no",
                             !strcmp(all[i]->isa, kernels_get()->isa) ? "yes" : "no"};
        rc = add_row(t, row, e);
    }
    return rc;
}

static int model_rows(table *t, err *e)
{
    model_entries found;
    int rc = 0;
    model_entries_find(&found);
    for (int i = 0; i < found.n && !rc; i++)
        rc = add_row(t, (const char *const[]){found.v[i].name, found.v[i].path}, e);
    model_entries_free(&found);
    return rc;
}

static const kind kinds[] = {
    {"metrics", "attnscope.metric/1", 17, 4,
     {"metric", "unit", "range", "summary", "definition", "source", "missing_mass", "cost", "options", "values_of",
      "position_is", "attention", "validated", "formula", "reading", "traps", "cite"},
     metric_rows},
    {"edits", "attnscope.edit/1", 10, 4,
     {"edit", "of", "values", "summary", "definition", "decoding", "source", "reading", "traps", "cite"}, edit_rows},
    {"figures", "attnscope.figure/1", 6, 3, {"figure", "needs", "summary", "options", "reading", "traps"}, figure_rows},
    {"commands", "attnscope.command/1", 4, 3, {"command", "group", "summary", "usage"}, command_rows},
    {"experiments", "attnscope.command/1", 4, 3, {"command", "group", "summary", "usage"}, experiment_rows},
    {"examples", "attnscope.example/1", 3, 3, {"command", "example", "shows"}, example_rows},
    {"readers", "attnscope.reader/1", 2, 2, {"reader", "summary"}, reader_rows},
    {"families", "attnscope.family/1", 4, 4, {"family", "summary", "model_types", "gguf_architectures"},
     family_rows},
    {"models", "attnscope.model_found/1", 2, 2, {"model", "path"}, model_rows},
    {"isas", "attnscope.isa/1", 3, 3, {"isa", "usable", "in_use"}, isa_rows},
    {"schemas", "attnscope.schema/1", 8, 8, {NULL}, NULL},
    {"settings", "attnscope.setting/1", 4, 4, {NULL}, NULL},
};

static const kind *find_kind(const char *name, err *e)
{
    enum { N = sizeof kinds / sizeof *kinds };
    const char *names[N + 1] = {NULL};
    if (!strcmp(name, "recipes")) /* as `plot` calls them */
        name = "figures";
    for (int i = 0; i < N; i++) {
        if (!strcmp(kinds[i].name, name))
            return &kinds[i];
        names[i] = kinds[i].name;
    }
    const char *near = nearest_word(name, names);
    err_set(e, ERR_USAGE, "nothing is called \"%s\" here", name);
    if (near)
        err_hint(e, "did you mean \"%s\"?", near);
    else
        err_hint(e, "one of metrics, edits, figures, commands, experiments, examples, readers, families, models, isas, schemas, "
                 "settings");
    return NULL;
}

static int run(session *s, const command_args *a, err *e)
{
    const kind *k = find_kind(a->word[0], e);
    table *t = NULL;
    if (!k)
        return ERR_USAGE;
    int n = command_format(s, a) == FORMAT_TABLE ? k->shown : k->n_column;
    int rc = k->rows                          ? table_new(&t, n, k->columns, e)
             : !strcmp(k->name, "schemas") ? json_schema_table(&t, e)
                                           : settings_table(&t, s, e);
    if (rc)
        return rc;
    if (k->rows)
        rc = k->rows(t, e);
    if (!rc)
        rc = print_table(s, a, t, k->schema, e);
    table_free(t);
    return rc;
}

static const char *const examples[] = {
    "list metrics", "what can be measured, with unit and range",
    "list metrics --json", "definition, source, cost and options of each, for a script",
    "list settings", "the same as `set`",
    NULL,
};
static const char *const complete[] = {"lists", NULL};

const command command_list = {
    .name = "list", .group = "shell",
    .usage = "metrics | edits | figures | commands | experiments | examples | readers | families | models | isas | schemas |"
             " settings",
    .summary = "list what there is to choose from",
    .help = "The aligned table is brief; --json, --csv and --tsv give all that is known. `help NAME` tells "
            "more about one metric, figure or command. `list recipes` is `list figures`.",
    .examples = examples, .min_args = 1, .max_args = 1, .complete = complete, .run = run,
};
