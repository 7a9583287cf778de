#include "cli/figure_data.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/metric.h"
#include "base/json.h"
#include "base/near_word.h"
#include "cli/command_util.h"
#include "cli/experiment.h"
#include "cli/figure_parts.h"
#include "cli/head_grammar.h"
#include "cli/head_rule.h"
#include "cli/run_name.h"

static const char *const kind_choices[] = {"self", "enc", "cross", "vis", NULL};

const param figure_source_params[] = {
    {.name = "run", .kind = PARAM_STR, .value = "RUN", .complete = "runs",
     .help = "which run; the last one when none is named; a chart takes several (3,5)"},
    {.name = "labels", .kind = PARAM_STR, .value = "A,B",
     .help = "names of several runs in the legend or above panels, in their order"},
    {.name = "facet", .kind = PARAM_LIST, .value = "A,B", .complete = "panels",
     .help = "panels side by side with the same limits: runs (3,5), heads (L1H3,L2H0) or metrics (sink,induction)"},
    {.name = "metric", .kind = PARAM_STR, .value = "METRIC", .complete = "metrics",
     .help = "whose values (recipes that need values)"},
    {.name = "head", .kind = PARAM_STR, .value = "HEAD", .complete = "heads",
     .help = "whose map, as L1H3 or \"top 1 by induction\" (recipes that need a map); head_grid and received_map take several "
             "(L0-3H*, @NAME, \"where sink > 0.3\": `help heads`)"},
    {.name = "kind", .kind = PARAM_ENUM, .value = "KIND", .choices = kind_choices,
     .help = "which attention's values: self (decoder), enc (encoder), cross or vis (image tower); the decoder's, or "
             "the only ones there are"},
    {.name = "position", .kind = PARAM_INT, .value = "P", .max = 1e15,
     .help = "values at this token position (a key for sink)"},
    {.name = "prompt", .kind = PARAM_INT, .def = "0", .value = "N", .max = 1e15,
     .help = "which prompt of a run with several, from 0; without it scores are the mean over the prompts that count"},
    {.name = NULL},
};

const param *figure_all_params(void)
{
    enum { MAX = 128 };
    static param rows[MAX + 1];
    static bool made;
    int n = made ? 0 : append_params(rows, 0, MAX, figure_params);
    for (int i = 0; !made && figures[i]; i++)
        n = append_params(rows, n, MAX, figures[i]->params);
    made = true;
    return rows;
}

int figure_require(const figure **out, const char *name, err *e)
{
    enum { MAX = 64 };
    const char *names[MAX + 1];
    int n = 0;
    *out = figure_find(name);
    if (*out)
        return 0;
    for (; figures[n] && n < MAX; n++)
        names[n] = figures[n]->name;
    names[n] = NULL;
    err_set(e, ERR_USAGE, "no figure is called '%s'", name);
    return near_word_hint(e, name, names, "`list figures` shows all");
}

void figure_put_visible(strbuf *b, const char *s, size_t n)
{
    static const char joiner[] = "\u200d";
    const size_t k = sizeof joiner - 1;
    size_t from = 0;
    for (size_t i = 0; i + k <= n;) {
        if (memcmp(s + i, joiner, k) != 0) {
            i++;
            continue;
        }
        strbuf_put_visible(b, s + from, i - from);
        strbuf_add(b, joiner, k);
        from = i += k;
    }
    strbuf_put_visible(b, s + from, n - from);
}

static const char *keep(figure_source *src, const cell *c, bool visible, err *e)
{
    const char *s = cell_string(c);
    if (!visible)
        return arena_strdup(&src->mem, s, e);
    strbuf b = {0};
    figure_put_visible(&b, s, strlen(s));
    const char *copy = arena_strdup(&src->mem, strbuf_str(&b), e);
    strbuf_free(&b);
    return copy;
}

const char *figure_text(figure_source *src, err *e, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    char *text = arena_alloc(&src->mem, (size_t)(n > 0 ? n : 0) + 1, 1, e);
    if (text)
        vsnprintf(text, (size_t)(n > 0 ? n : 0) + 1, fmt, again);
    va_end(again);
    va_end(ap);
    return text;
}

const char *figure_layer_axis(attn_kind kind)
{
    return kind == ATTN_ENCODER  ? "encoder layer"
           : kind == ATTN_CROSS  ? "layer (cross attention)"
           : kind == ATTN_VISION ? "image tower layer"
                                 : "layer";
}

int figure_read_facts(figure_facts *f, figure_source *src, store *st, int64_t prompt, err *e)
{
    const cell bind[] = {cell_int(src->run), cell_int(prompt)};
    table *t = NULL;
    int rc = store_query(st, &t,
        "SELECT m.name, m.sha256, m.path, r.command, r.version, r.operator, r.precision, u.label, p.sha256,"
        " p.n_token, m.n_layer, m.n_head,"
        " (SELECT sequence FROM token t WHERE t.prompt_id = p.id ORDER BY sequence = 'self' DESC, sequence LIMIT 1),"
        " json_array_length(r.edits)"
        " FROM run r JOIN model m ON m.id = r.model_id"
        " JOIN unit u ON u.run_id = r.id JOIN prompt p ON p.id = u.prompt_id WHERE r.id = ?1"
        " AND u.prompt_index = ?2", bind, 2, e);
    if (rc)
        return rc;
    if (t->n_row == 0) {
        table_free(t);
        err_set(e, ERR_FAILED, "run %" PRId64 " holds no results of prompt %" PRId64, src->run, prompt);
        return err_hint(e, "`show %" PRId64 "` says how it ended", src->run);
    }
    *f = (figure_facts){
        .model = keep(src, table_cell(t, 0, 0), true, e),
        .sha256 = keep(src, table_cell(t, 0, 1), false, e),
        .path = keep(src, table_cell(t, 0, 2), false, e),
        .command = keep(src, table_cell(t, 0, 3), false, e),
        .version = keep(src, table_cell(t, 0, 4), false, e),
        .operator_name = keep(src, table_cell(t, 0, 5), true, e),
        .precision = keep(src, table_cell(t, 0, 6), true, e),
        .label = keep(src, table_cell(t, 0, 7), true, e),
        .prompt_sha256 = keep(src, table_cell(t, 0, 8), false, e),
        .n_token = table_cell(t, 0, 9)->u.i,
        .n_layer = table_cell(t, 0, 10)->u.i,
        .n_head = table_cell(t, 0, 11)->u.i,
    };
    f->main = kind_of_cell(table_cell(t, 0, 12));
    int64_t edits = index_of_cell(table_cell(t, 0, 13));
    table_free(t);
    if (f->operator_name && edits > 0)
        f->operated = figure_text(src, e, ", %s with %" PRId64 " edit%s", f->operator_name, edits, edits == 1 ? "" : "s");
    else if (f->operator_name)
        f->operated = strcmp(f->operator_name, "softmax") == 0 ? "" : figure_text(src, e, ", %s", f->operator_name);
    bool ok = f->operated && f->model && f->sha256 && f->path && f->command && f->version && f->operator_name &&
              f->precision && f->label && f->prompt_sha256;
    return ok ? 0 : ERR_RESOURCE;
}

bool figure_of_heads(const struct metric *m)
{
    return m->scope == METRIC_HEAD || (m->scope == METRIC_WEIGHTS && m->axis != AXIS_HEAD);
}

int figure_hint_command(const store *st, err *e, const char *fmt, ...)
{
    strbuf b = {0};
    va_list ap;
    char words[512];
    va_start(ap, fmt);
    vsnprintf(words, sizeof words, fmt, ap);
    va_end(ap);
    strbuf_puts(&b, words);
    if (strcmp(store_path(st), ":memory:") != 0) {
        strbuf_puts(&b, " --store ");
        put_shell_word(&b, store_path(st));
    }
    int rc = err_hint(e, "make them with `%s`", strbuf_str(&b));
    strbuf_free(&b);
    return rc;
}

int figure_hint_metric(const store *st, const char *path, const char *name, err *e)
{
    const struct metric *m = metric_find(name);
    if (m && m->scope == METRIC_WEIGHTS)
        return figure_hint_command(st, e, "weights %s --metrics %s", path, name);
    return figure_hint_command(st, e, "run %s --prompt TEXT --metrics %s", path, name);
}

int figure_setting(const char **value, figure_source *src, store *st, int64_t run, const char *name, err *e)
{
    const cell bind[] = {cell_int(run)};
    err ignored = {0};
    table *t = NULL;
    json *root = NULL;
    *value = NULL;
    int rc = store_query(st, &t, "SELECT settings FROM run WHERE id = ?1", bind, 1, e);
    if (rc)
        return rc;
    const char *text = t->n_row ? cell_string(table_cell(t, 0, 0)) : "";
    if (json_parse(&root, text, strlen(text), "settings", &ignored) == 0)
        *value = json_str(json_get(root, name), NULL);
    if (*value && !(*value = arena_strdup(&src->mem, *value, e)))
        rc = ERR_RESOURCE;
    json_free(root);
    table_free(t);
    return rc;
}

const char *figure_runs_text(figure_source *src, const int64_t *run, int n, const char *between, err *e)
{
    strbuf b = {0};
    for (int i = 0; i < n; i++)
        strbuf_printf(&b, "%s%" PRId64, i ? between : "", run[i]);
    const char *text = b.failed ? NULL : arena_strdup(&src->mem, strbuf_str(&b), e);
    strbuf_free(&b);
    return text;
}

/* A fact of all runs: once where they agree, else one after the other. */
static const char *joined(figure_source *src, const char *const *text, int n, err *e)
{
    bool same = true;
    strbuf b = {0};
    for (int i = 0; i < n; i++) {
        same &= strcmp(text[i], text[0]) == 0;
        strbuf_printf(&b, "%s%s", i ? "; " : "", text[i]);
    }
    const char *out = b.failed ? NULL : arena_strdup(&src->mem, same ? text[0] : strbuf_str(&b), e);
    strbuf_free(&b);
    return out;
}

int figure_put_provenance(figure_source *src, const figure_facts *f, const int64_t *run, int n, const char *figure_command,
                          err *e)
{
    enum { FACTS = 6, MAX_RUNS = 16 };
    static const char *const names[FACTS] = {"Command", "Run", "Model", "Model-SHA256", "Prompt-SHA256", "Version"};
    const char **p = arena_alloc(&src->mem, 2 * (FACTS + 2) + 1, sizeof *p, e), *text[FACTS][MAX_RUNS];
    int at = 4;
    if (!p)
        return ERR_RESOURCE;
    for (int i = 0; i < n && i < MAX_RUNS; i++) {
        const char *number = figure_text(src, e, "%" PRId64, run[i]);
        const char *const facts[FACTS] = {f[i].command, number, f[i].model, f[i].sha256, f[i].prompt_sha256, f[i].version};
        if (!number)
            return ERR_RESOURCE;
        for (int k = 0; k < FACTS; k++)
            text[k][i] = facts[k];
    }
    p[0] = "Software";
    p[1] = figure_text(src, e, "attnscope %s", program_version);
    p[2] = "Figure-Command";
    p[3] = arena_strdup(&src->mem, figure_command, e);
    for (int k = 0; k < FACTS; k++) {
        p[at++] = names[k];
        p[at++] = joined(src, text[k], n < MAX_RUNS ? n : MAX_RUNS, e);
    }
    for (int i = 1; i < at; i += 2)
        if (!p[i])
            return ERR_RESOURCE;
    src->d.provenance = p;
    return 0;
}

int figure_load_one(figure_source *src, session *s, const command_args *a, store *st, const figure *f,
                    const figure_facts *facts, err *e)
{
    if (strcmp(f->needs, "map") == 0)
        return figure_load_map(src, s, a, st, facts, e);
    if (strcmp(f->needs, "maps") == 0)
        return figure_load_grid(src, s, a, st, facts, e);
    if (strcmp(f->needs, "trials") == 0)
        return figure_load_trials(src, a, st, facts, e);
    if (strcmp(f->needs, "received map") == 0)
        return figure_load_received(src, a, st, facts, e);
    if (strcmp(f->needs, "matrix") == 0)
        return figure_load_matrix(src, a, st, facts, e);
    return figure_load_values(src, a, st, facts, e);
}

/* A file without any run: which command makes what this recipe draws. */
static int check_any_run(store *st, const figure *f, err *e)
{
    static const struct { const char *recipe, *words; } makes[] = {
        {"ablation_bars", "ablate MODEL --heads L1H2,L1H3"},
        {"divergence_matrix", "run MODEL --prompt TEXT --metrics jsd"},
        {"head_grid", "run MODEL --prompt TEXT --maps all"},
        {"head_map", "run MODEL --prompt TEXT --maps L0H0"},
        {"needle_grid", "needle MODEL"},
        {"norm_profile", "run MODEL --prompt TEXT --metrics massive_top,massive_median"},
        {"position_curve", "run MODEL --prompt TEXT --metrics received"},
        {"received_map", "run MODEL --prompt TEXT --metrics received"},
        {"sparsity_curve", "run MODEL --prompt TEXT --metrics top_k_mass"},
    };
    const char *words = "run MODEL --prompt TEXT", *path = store_path(st);
    int64_t last = 0;
    int rc = store_last_run(st, &last, e);
    if (rc || last || strcmp(path, ":memory:") == 0)
        return rc;
    for (size_t i = 0; i < sizeof makes / sizeof *makes; i++)
        if (strcmp(makes[i].recipe, f->name) == 0)
            words = makes[i].words;
    err_set(e, ERR_FAILED, "no run yet in %s", path);
    return err_hint(e, "make one with `%s --store %s`", words, path);
}

/* The run that heads are chosen in: of --run the first, else of panels that are runs the first, else the last. */
static int run_of_heads(int64_t *run, session *s, const command_args *a, store *st, err *e)
{
    const char *runs = params_str(a->p, "run"), *facet = params_row(a->p, "facet") ? params_str(a->p, "facet") : NULL;
    char word[64];
    if (runs || facet)
        snprintf(word, sizeof word, "%.*s", (int)strcspn(runs ? runs : facet, ","), runs ? runs : facet);
    if (!runs && (!facet || !run_name_like(word)))
        return session_latest_run(s, st, run, e);
    return run_name_read(run, st, word, e);
}

static bool is_range(const head_span *s)
{
    return s->to_end || s->lo != s->hi;
}

/* Do the names hold one of several heads ("L3", "L0-2H1")?  Numbers alone are runs. */
static bool names_several(const head_expr *x)
{
    bool yes = x->op == HEADS_NAME && !x->bare && (x->every || !x->of_heads || is_range(&x->layers) || is_range(&x->heads));
    for (const head_expr *c = x->child; c && !yes; c = c->next)
        yes = names_several(c);
    return yes;
}

/* The heads that the text chooses, in its place when `put`; else it is only seen that there are such heads. */
static int put_named(session *s, const command_args *a, store *st, const char *option, const char *text, bool put, err *e)
{
    const char *kind = params_row(a->p, "kind") ? params_str(a->p, "kind") : NULL;
    head_id *head = NULL;
    strbuf names = {0};
    int n = 0;
    int64_t run = 0;
    int rc = run_of_heads(&run, s, a, st, e);
    if (!rc)
        rc = head_select_stored(&head, &n, s, st, run, kind ? (int)attn_kind_named(kind, ATTN_SELF) : -1, text, e);
    if (!rc)
        put_heads(&names, head, n);
    if (!rc && put)
        rc = names.failed ? err_nomem(e, "heads") : params_set(a->p, option, strbuf_str(&names), e);
    strbuf_free(&names);
    free(head);
    return rc;
}

int figure_named_heads(session *s, const command_args *a, store *st, err *e)
{
    static const char *const options[] = {"head", "facet"};
    int rc = 0;
    for (int i = 0; i < 2 && !rc; i++) {
        const char *text = params_row(a->p, options[i]) ? params_str(a->p, options[i]) : NULL;
        arena mem = {0};
        head_expr *x;
        /* what is no selection of heads is a facet of runs or metrics, or the recipe says what is wrong with it */
        err why = {0};
        int bad = text ? head_expr_parse(&x, &mem, text, "", &why) : 0;
        if (bad && (i == 0 || bad == ERR_RESOURCE)) {
            rc = bad;
            if (e)
                *e = why;
        } else if (text && !bad) {
            bool chosen = !head_expr_plain(x) || head_expr_from_end(x), several = names_several(x);
            /* panels are heads one by one; a recipe that draws several takes the names as they are */
            rc = chosen || several ? put_named(s, a, st, options[i], text, chosen || i == 1, e) : 0;
        }
        arena_free(&mem);
    }
    return rc;
}

int figure_source_load(figure_source *out, session *s, const command_args *a, store *st, const figure *f,
                       const char *figure_command, err *e)
{
    figure_facts fa = {0};
    *out = (figure_source){0};
    int wrong = check_any_run(st, f, e);
    if (!wrong)
        wrong = figure_theme(a->p, e);
    if (!wrong)
        wrong = figure_named_heads(s, a, st, e);
    if (wrong)
        return wrong;
    if (figure_has_series(f)) {
        int failed = params_given(a->p, "facet") ? figure_load_chart_facets(out, s, a, st, f, figure_command, e)
                                                 : figure_load_series(out, s, a, st, f, figure_command, e);
        if (failed)
            figure_source_free(out);
        return failed;
    }
    if (params_given(a->p, "facet")) {
        int failed = figure_load_map_facets(out, s, a, st, f, figure_command, e);
        if (failed)
            figure_source_free(out);
        return failed;
    }
    int rc = choose_run(s, a, st, NULL, &out->run, e);
    if (!rc)
        rc = figure_read_facts(&fa, out, st, params_int(a->p, "prompt"), e);
    if (!rc)
        rc = figure_load_one(out, s, a, st, f, &fa, e);
    if (!rc)
        rc = figure_put_provenance(out, &fa, &out->run, 1, figure_command, e);
    if (rc)
        figure_source_free(out);
    return rc;
}

void figure_source_free(figure_source *src)
{
    for (int i = 0; i < src->n_facet; i++)
        figure_source_free(&src->facet[i]);
    free(src->facet);
    free(src->cells);
    free(src->label);
    arena_free(&src->mem);
    *src = (figure_source){0};
}
