/* figures: those that the rows of a run can draw, the most telling first. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/metric.h"
#include "base/mem.h"
#include "cli/census_set.h"
#include "cli/report.h"

static bool listed(const char *list, const char *word)
{
    size_t n = strlen(word);
    for (const char *s = list; s && *s; s += *s == ',') {
        size_t len = strcspn(s, ",");
        if (len == n && strncmp(s, word, n) == 0)
            return true;
        s += len;
    }
    return !list;
}

static int add_figure(report_figure **out, report_build *b, const char *recipe, err *e)
{
    const figure *f;
    *out = NULL;
    if (!listed(b->opt->recipes, recipe))
        return 0;
    int rc = figure_require(&f, recipe, e);
    report_figure *made = rc ? NULL : arena_alloc(&b->doc->mem, 1, sizeof *made, e);
    if (!made)
        return rc ? rc : ERR_RESOURCE;
    made->recipe = f;
    rc = params_new(&made->p, e);
    if (!rc)
        rc = params_use(made->p, figure_source_params, e);
    if (!rc)
        rc = params_use(made->p, figure_all_params(), e);
    for (const param *row = figure_params; row->name && !rc; row++)
        if (params_row(b->opt->figure, row->name) && params_given(b->opt->figure, row->name))
            rc = params_set(made->p, row->name, params_str(b->opt->figure, row->name), e);
    if (rc) {
        params_free(made->p);
        return rc;
    }
    *out = made;
    return 0;
}

static void put_figure(report_build *b, report_figure *f)
{
    if (!report_add_figure(b->doc, f))
        report_figure_free(f);
}

int report_plot(report_build *b, const char *recipe, const char *const *options, err *e)
{
    report_figure *f;
    strbuf line = {0};
    int rc = b->doc->failed ? err_nomem(e, "report") : 0; /* what options say may be cut short */
    if (!rc)
        rc = add_figure(&f, b, recipe, e);
    if (rc || !f)
        return rc;
    strbuf_printf(&line, "attnscope plot %s", recipe);
    for (int i = 0; options[i] && options[i + 1] && !rc; i += 2) {
        rc = params_set(f->p, options[i], options[i + 1], e);
        strbuf_printf(&line, " --%s ", options[i]);
        put_shell_word(&line, options[i + 1]);
    }
    for (const param *row = figure_params; row->name && !rc; row++)
        if (params_row(b->opt->figure, row->name) && params_given(b->opt->figure, row->name)) {
            strbuf_printf(&line, " --%s ", row->name);
            put_shell_word(&line, params_str(b->opt->figure, row->name));
        }
    if (strcmp(store_path(b->st), ":memory:") != 0) {
        strbuf_puts(&line, " --store ");
        put_shell_word(&line, store_path(b->st));
    }
    f->command = report_visible(b->doc, strbuf_str(&line), false);
    strbuf_free(&line);
    if (rc || b->doc->failed) {
        report_figure_free(f);
        return rc ? rc : err_nomem(e, "report");
    }
    put_figure(b, f);
    return 0;
}

int report_plot_grid(report_build *b, report_grid *g, err *e)
{
    report_figure *f = NULL;
    int rc = g ? add_figure(&f, b, "score_grid", e) : 0;
    if (rc || !f)
        return rc;
    f->grid = g;
    put_figure(b, f);
    return 0;
}

int report_plot_means(report_build *b, report_run *r, int column, err *e)
{
    report_grid *g;
    const char *name = r->heads->column[column];
    if (report_has(r, name) && metric_find(name) == report_column_metric(name)) /* `plot` draws it, too */
        return report_plot(b, "score_grid", (const char *const[]){"run", report_print(b->doc, "%" PRId64, r->id), "metric",
                                                                   report_print(b->doc, "%s", name), NULL}, e);
    int rc = report_grid_make(&g, b, r, column, e);
    return rc ? rc : report_plot_grid(b, g, e);
}

/* ---- which ---- */

/* Scores in the order in which a reader asks for them. */
static const char *const telling[] = {
    "sink_rate", "sink", "induction", "diagonal_induction", "prev_token", "diagonal_previous", "retrieval", "mqar_value",
    "copy_source", "duplicate_token", "diagonal_duplicate", "entropy", "effective_keys", "distance", "self", "vhd_relative",
    "vhd", "influence", "patch_z", "path_effect", "map_jsd", "copying_full", "copying", "composition_k", "qk_rank", "ov_rank",
    "first_k_mass", "local_mass", "max", "dormant", NULL,
};

static int plot_one(report_build *b, const report_run *r, const char *recipe, const char *score, const char *more,
                    const char *value, err *e)
{
    const char *words[9], *number = report_print(b->doc, "%" PRId64, r->id);
    int n = 0;
    words[n++] = "run";
    words[n++] = number;
    if (score) {
        words[n++] = "metric";
        words[n++] = score;
    }
    if (more) {
        words[n++] = more;
        words[n++] = value;
    }
    words[n] = NULL;
    return report_plot(b, recipe, words, e);
}

/* Grids of scores, and their ranks where there is a bound that gives heads a name. */
static int grids(report_build *b, report_run *r, err *e)
{
    int64_t made = 0;
    int rc = report_heads(b, r, e), n_col = rc ? 0 : r->heads->n_col;
    for (int i = 0; telling[i] && !rc && made < b->opt->grids; i++) {
        int col = table_column(r->heads, telling[i]);
        if (col < 1 || (b->opt->metrics && !listed(b->opt->metrics, telling[i])))
            continue;
        if (strcmp(r->verb, "patch") == 0 && strncmp(telling[i], "pat", 3) == 0) /* drawn by report_plot_patch */
            continue;
        if (strcmp(telling[i], "sink") == 0 && table_column(r->heads, "sink_rate") > 0)
            continue;
        rc = report_plot_means(b, r, col, e);
        made++;
    }
    /* other metrics that a template names */
    for (int c = 1; c < n_col && b->opt->metrics && !rc && made < b->opt->grids; c++) {
        bool shown = false;
        for (int i = 0; telling[i]; i++)
            shown |= strcmp(telling[i], r->heads->column[c]) == 0;
        if (!shown && listed(b->opt->metrics, r->heads->column[c]) && report_numeric(r->heads, c)) {
            rc = report_plot_means(b, r, c, e);
            made++;
        }
    }
    return rc;
}

static int curves(report_build *b, const report_run *r, err *e)
{
    static const char *const ranked[] = {"induction", "diagonal_induction", "retrieval", "prev_token", NULL};
    static const char *const layered[] = {"entropy", "sink", "distance", "residual_norm", "block_similarity",
                                          "attention_similarity", "mlp_similarity", "logit_lens_kl", NULL};
    int rc = 0, made = 0;
    for (int i = 0; ranked[i] && !rc; i++) {
        const char *bound = NULL;
        for (int k = 0; census_rules[k].label; k++)
            if (strcmp(census_rules[k].score, ranked[i]) == 0)
                bound = report_print(b->doc, "%g", census_rules[k].bound);
        if (report_has(r, ranked[i]) && (!b->opt->metrics || listed(b->opt->metrics, ranked[i])))
            rc = plot_one(b, r, "score_curve", ranked[i], bound ? "threshold" : NULL, bound, e);
    }
    for (int i = 0; layered[i] && !rc && made < 4; i++)
        if (report_has(r, layered[i]) && (!b->opt->metrics || listed(b->opt->metrics, layered[i]))) {
            rc = plot_one(b, r, "layer_curve", layered[i], NULL, NULL, e);
            made++;
        }
    return rc;
}

static int matrices(report_build *b, const report_run *r, err *e)
{
    static const char *const of[] = {"jsd_layers", "jsd", "row_cosine", "layer_similarity", "composition_k", "composition_v",
                                     "composition_q", NULL};
    int rc = 0, made = 0;
    for (int i = 0; of[i] && !rc && made < 2; i++) {
        const cell bind[] = {cell_int(r->id), cell_text(of[i])};
        table *t = NULL;
        if (!report_has(r, of[i]))
            continue;
        rc = store_query(b->st, &t, "SELECT min(prompt) FROM value_list WHERE run = ?1 AND metric = ?2", bind, 2, e);
        const char *prompt = rc ? "0" : report_print(b->doc, "%" PRId64, table_cell(t, 0, 0)->u.i);
        table_free(t);
        if (!rc)
            rc = plot_one(b, r, "divergence_matrix", of[i], "prompt", prompt, e);
        made++;
    }
    return rc;
}

/* The head of maps that is highest in a column of r->heads and not chosen yet; -1: none. */
static int64_t highest_map(const report_run *r, int col, const table *maps, const bool *chosen)
{
    int64_t best = -1;
    double most = -INFINITY;
    for (int64_t i = 0; i < maps->n_row; i++)
        for (int64_t k = 0; !chosen[i] && k < r->heads->n_row; k++) {
            const cell *c = table_cell(r->heads, k, col);
            if (c->kind != CELL_REAL || strcmp(cell_string(table_cell(r->heads, k, 0)), cell_string(table_cell(maps, i, 0))) != 0)
                continue;
            best = c->u.r > most ? i : best;
            most = c->u.r > most ? c->u.r : most;
        }
    return best;
}

/* Which maps are drawn: of what the overview names in turn, else the highest of the first score, else the first ones. */
static int choose_maps(bool *chosen, report_build *b, report_run *r, const table *t, err *e)
{
    static const char *const of[] = {"induction", "diagonal_induction", "retrieval", "sink", "prev_token", "copy_source"};
    int rc = report_heads(b, r, e);
    int64_t n = 0, before = -1;
    while (!rc && n < b->opt->maps && n < t->n_row && n != before) {
        before = n;
        for (size_t i = 0; i < sizeof of / sizeof *of && n < b->opt->maps; i++) {
            int col = table_column(r->heads, of[i]);
            int64_t at = col > 0 && report_numeric(r->heads, col) ? highest_map(r, col, t, chosen) : -1;
            if (at >= 0) {
                chosen[at] = true;
                n++;
            }
        }
        for (int c = 1; n == before && c < r->heads->n_col; c++) {
            int64_t at = report_numeric(r->heads, c) ? highest_map(r, c, t, chosen) : -1;
            if (at < 0)
                continue;
            chosen[at] = true;
            n++;
            break;
        }
    }
    for (int64_t i = 0; !rc && i < t->n_row && n < b->opt->maps; i++)
        if (!chosen[i]) {
            chosen[i] = true;
            n++;
        }
    return rc;
}

/* Stored maps of the first prompt that has some. */
static int maps(report_build *b, report_run *r, err *e)
{
    const cell bind[] = {cell_int(r->id)};
    table *t = NULL;
    int rc = store_query(b->st, &t, "SELECT head_name, prompt FROM map_list WHERE run = ?1 AND prompt = (SELECT min(prompt) FROM"
                         " map_list WHERE run = ?1) ORDER BY kind, layer, head", bind, 1, e);
    if (rc)
        return rc;
    const char *number = report_print(b->doc, "%" PRId64, r->id);
    const char *prompt = t->n_row ? report_print(b->doc, "%" PRId64, table_cell(t, 0, 1)->u.i) : "0";
    bool *chosen = mem_array((size_t)t->n_row + 1, sizeof *chosen, e);
    rc = chosen ? choose_maps(chosen, b, r, t, e) : ERR_RESOURCE;
    if (!rc && t->n_row > b->opt->maps && b->opt->maps > 0)
        rc = report_plot(b, "head_grid", (const char *const[]){"run", number, "prompt", prompt, NULL}, e);
    for (int64_t i = 0; !rc && i < t->n_row; i++)
        if (chosen[i])
            rc = report_plot(b, "head_map", (const char *const[]){"run", number, "prompt", prompt, "head",
                                                                  report_visible(b->doc, cell_string(table_cell(t, i, 0)), false),
                                                                  NULL}, e);
    free(chosen);
    table_free(t);
    return rc;
}

static int special(report_build *b, const report_run *r, err *e)
{
    static const char *const lens[] = {"logit_lens", "logit_lens_rank", "logit_lens_entropy", "logit_lens_kl", NULL};
    int rc = 0;
    if (strcmp(r->verb, "needle") == 0 && report_has(r, "recall"))
        rc = plot_one(b, r, "needle_grid", "recall", NULL, NULL, e);
    if (!rc && strcmp(r->verb, "needle") == 0 && report_has(r, "success"))
        rc = plot_one(b, r, "needle_grid", "success", NULL, NULL, e);
    if (!rc && strcmp(r->verb, "patch") == 0)
        rc = report_plot_patch(b, r, e);
    if (!rc)
        rc = report_plot_effects(b, r, e);
    for (int i = 0; lens[i] && !rc; i++) {
        report_grid *g = NULL;
        if (report_has(r, lens[i]))
            rc = report_grid_places(&g, b, r, lens[i], NULL, e);
        if (!rc)
            rc = report_plot_grid(b, g, e);
    }
    bool sets = strcmp(r->verb, "ablate") == 0 || strcmp(r->verb, "calibrate") == 0 || strcmp(r->verb, "influence") == 0;
    if (!rc && sets && (report_has(r, "nll_edited") || report_has(r, "recall_edited")))
        rc = plot_one(b, r, "ablation_bars", report_has(r, "nll_edited") ? "nll" : "recall", NULL, NULL, e);
    if (!rc && report_has(r, "massive_top"))
        rc = plot_one(b, r, "norm_profile", NULL, NULL, NULL, e);
    if (!rc && report_has(r, "received"))
        rc = plot_one(b, r, "received_map", NULL, NULL, NULL, e);
    if (!rc && report_has(r, "received"))
        rc = plot_one(b, r, "position_curve", NULL, NULL, NULL, e);
    if (!rc && report_has(r, "top_k_mass"))
        rc = plot_one(b, r, "sparsity_curve", NULL, NULL, NULL, e);
    return rc;
}

static int build(report_build *b, err *e)
{
    report_run *r = b->one;
    int before = b->doc->n;
    report_heading(b->doc, b->level, "Figures");
    int heading = b->doc->n, rc = special(b, r, e);
    if (!rc)
        rc = grids(b, r, e);
    if (!rc)
        rc = curves(b, r, e);
    if (!rc)
        rc = matrices(b, r, e);
    if (!rc && r->n_map)
        rc = maps(b, r, e);
    if (b->doc->n == heading)
        b->doc->n = before; /* none: no heading either */
    return rc;
}

const report_section report_figures = {
    .name = "figures", .title = "Figures", .summary = "the figures that the rows of a run can draw", .per_run = true,
    .build = build,
};

/* ---- several runs ---- */

/* The same verb, or values of the same kind: what both have in common. */
static bool all_have(const report_build *b, const char *name)
{
    for (int i = 0; i < b->n_run; i++)
        if (!report_has(&b->run[i], name))
            return false;
    return true;
}

static int means_table(report_build *b, err *e)
{
    const char *names[3 + 12] = {"metric", "unit"};
    table *t = NULL;
    int rc = 0, n = b->n_run < 12 ? b->n_run : 12, n_col = 2;
    for (int i = 0; i < n; i++)
        names[n_col++] = report_print(b->doc, "run %" PRId64 " (%s)", b->run[i].id, b->run[i].model_name);
    rc = table_new(&t, n_col, names, e);
    for (int i = 0; i < n && !rc; i++)
        rc = report_heads(b, &b->run[i], e);
    for (int c = 1; !rc && c < b->run[0].heads->n_col; c++) {
        const char *name = b->run[0].heads->column[c], *unit = b->run[0].heads->unit[c];
        bool all = report_numeric(b->run[0].heads, c);
        for (int i = 1; i < n; i++)
            all = all && table_column(b->run[i].heads, name) > 0;
        cell *row = all ? table_row(t, e) : NULL;
        if (!all)
            continue;
        rc = row ? table_text(t, &row[0], name, strlen(name), e) : ERR_RESOURCE;
        if (!rc && unit)
            rc = table_text(t, &row[1], unit, strlen(unit), e);
        for (int i = 0; i < n && !rc; i++) {
            const table *h = b->run[i].heads;
            double sum = 0;
            int64_t k = 0;
            for (int64_t r = 0, col = table_column(h, name); r < h->n_row; r++)
                if (table_cell(h, r, (int)col)->kind != CELL_NULL) {
                    sum += cell_number(table_cell(h, r, (int)col));
                    k++;
                }
            if (k)
                row[2 + i] = cell_real(sum / (double)k);
        }
    }
    if (!rc)
        report_table(b->doc, t, "Means over all heads of each run.");
    if (!rc)
        report_by_row(b->doc);
    else
        table_free(t);
    return rc;
}

static int build_compare(report_build *b, err *e)
{
    static const char *const layered[] = {"entropy", "sink", "distance", NULL};
    static const char *const ranked[] = {"induction", "prev_token", "retrieval", NULL};
    static const char *const faced[] = {"sink", "induction", NULL};
    const char *list = "";
    if (b->n_run < 2)
        return 0;
    for (int i = 0; i < b->n_run && i < 8; i++)
        list = report_print(b->doc, "%s%s%" PRId64, list, i ? "," : "", b->run[i].id);
    report_heading(b->doc, 2, "Side by side");
    int rc = means_table(b, e);
    bool one_verb = true, one_size = true;
    for (int i = 1; i < b->n_run; i++)
        one_verb &= strcmp(b->run[i].verb, b->run[0].verb) == 0;
    for (int i = 1; i < b->n_run && !rc; i++)
        one_size &= b->run[i].heads && b->run[i].heads->n_row == b->run[0].heads->n_row;
    for (int i = 1; i < b->n_run && one_verb && one_size && !rc; i++)
        rc = report_paired(b, b->run[0].id, b->run[i].id, "",
                           report_print(b->doc, "Run %" PRId64 " (first) and run %" PRId64 " (second) on the prompts that both "
                                        "read: means over heads and prompts, second less first, and the place that changed most.",
                                        b->run[0].id, b->run[i].id), e);
    for (int i = 0; layered[i] && !rc; i++)
        if (all_have(b, layered[i]))
            rc = report_plot(b, "layer_curve", (const char *const[]){"run", list, "metric", layered[i], NULL}, e);
    for (int i = 0; ranked[i] && !rc; i++)
        if (all_have(b, ranked[i]))
            rc = report_plot(b, "score_curve", (const char *const[]){"run", list, "metric", ranked[i], NULL}, e);
    for (int i = 0; faced[i] && !rc; i++) {
        bool single = all_have(b, faced[i]);
        for (int k = 0; k < b->n_run; k++)
            single &= b->run[k].n_unit == 1;
        if (single)
            rc = report_plot(b, "score_grid", (const char *const[]){"facet", list, "metric", faced[i], NULL}, e);
    }
    if (!rc && all_have(b, "recall") && all_have(b, "depth"))
        rc = report_plot(b, "needle_grid", (const char *const[]){"facet", list, "metric", "recall", NULL}, e);
    return rc;
}

const report_section report_compare = {
    .name = "compare", .title = "Side by side", .summary = "several runs in the same tables and figures", .build = build_compare,
};
