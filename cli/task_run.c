#include "cli/edit_select.h"
#include "cli/task_run.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "base/outfile.h"
#include "cli/json_line.h"
#include "cli/number_list.h"
#include "cli/output.h"

const param task_params[] = {
    {.name = "repeats", .kind = PARAM_INT, .def = "10", .value = "N", .min = 1, .max = 1e6,
     .help = "sequences of each size, each with random numbers of its own"},
    {.name = "bos", .kind = PARAM_BOOL, .help = "the tokenizer's BOS token before every sequence (published: none)"},
    {.name = "id-min", .kind = PARAM_INT, .def = "0", .value = "ID", .min = 0, .max = 2147483647,
     .help = "smallest id that random tokens are drawn from; special tokens never are"},
    {.name = "id-max", .kind = PARAM_INT, .value = "ID", .min = 1, .max = 2147483647,
     .help = "largest such id; the vocabulary's without it"},
    {.name = "emit", .kind = PARAM_PATH, .value = "FILE.jsonl",
     .help = "write the sequences (ids, targets, where to look) and stop"},
    {.name = "accuracy", .kind = PARAM_BOOL, .help = "next-token accuracy by size alone, without the heads"},
    {.name = "top", .kind = PARAM_INT, .def = "20", .value = "N", .min = 0, .max = 1e9,
     .help = "heads that are shown to people, the best first; 0: all (files get all unless this is given)"},
    {.name = NULL},
};

typedef char value_name[64];

static void name_of(value_name out, const task_kind *k, const char *route, bool top)
{
    snprintf(out, sizeof(value_name), "%s_%s%s", k->prefix, route, top ? "_top" : "");
}

static int make(task *out, const task_job *j, int64_t i, err *e)
{
    rng r;
    rng_seed(&r, (uint64_t)params_int(j->a->p, "seed"), (uint64_t)i);
    return j->kind->make(out, j, (int64_t)j->sizes[i / j->repeats], &r, e);
}

static int put_result(experiment *x, const task_job *j, const task *t, const task_result *r, double size, err *e)
{
    const task_kind *k = j->kind;
    int rc = experiment_value(x, k->size, ATTN_SELF, NO_INDEX, NO_INDEX, NO_INDEX, size, e);
    if (!rc)
        rc = experiment_value(x, "accuracy", ATTN_SELF, NO_INDEX, NO_INDEX, NO_INDEX, r->accuracy, e);
    if (!rc)
        rc = experiment_value(x, "target_nll", ATTN_SELF, NO_INDEX, NO_INDEX, NO_INDEX, r->nll, e);
    for (int i = 0; i < t->n_route && !rc; i++) {
        value_name mass, top;
        name_of(mass, k, t->route[i].name, false);
        name_of(top, k, t->route[i].name, true);
        for (int l = 0; l < r->n_layer; l++)
            for (int h = 0; h < r->layer_heads[l] && !rc && r->counted[i] > 0; h++) {
                int64_t at = (int64_t)l * r->n_head + h;
                rc = experiment_value(x, mass, ATTN_SELF, l, h, NO_INDEX, r->weight[i][at], e);
                if (!rc)
                    rc = experiment_value(x, top, ATTN_SELF, l, h, NO_INDEX, r->top[i][at], e);
            }
    }
    return rc;
}

static int unit(void *ud, experiment *x, int64_t i, err *e)
{
    task_job *j = ud;
    task t;
    task_result r = {0};
    char label[64];
    int rc = make(&t, j, i, e);
    if (rc)
        return rc;
    snprintf(label, sizeof label, "%s %.0f, sequence %" PRId64, j->kind->size, j->sizes[i / j->repeats], i % j->repeats);
    rc = experiment_ids(x, t.ids, t.n, label, e);
    if (!rc)
        rc = task_run(&r, j->lm->rt, j->lm->m, &t, experiment_progress(x), e);
    if (!rc)
        rc = put_result(x, j, &t, &r, j->sizes[i / j->repeats], e);
    task_result_free(&r);
    task_free(&t);
    return rc;
}

/* ---- tables ---- */

static int groups_of(value_groups *out, const task_job *j, store *st, int64_t run, const char *route, bool top, bool interval,
                     err *e)
{
    value_name name;
    name_of(name, j->kind, route, top);
    if (!interval)
        return experiment_means(out, st, run, name, NULL, NULL, e);
    return experiment_groups(out, st, run, name, NULL, NULL, (uint64_t)params_int(j->a->p, "seed"), e);
}

static double mean_at(const value_groups *g, head_id h)
{
    const value_group *found = value_groups_find(g, h, NO_INDEX);
    return found ? found->st.mean : 0;
}

/* head, n, mean, sd, low, high of the first route, how often it is the largest weight, means of the other routes. */
static int head_table(table **out, const task_job *j, store *st, int64_t run, int64_t limit, err *e)
{
    const char *columns[16] = {"head", "n", j->kind->routes[0], "sd", "low", "high", "top"};
    value_groups main = {0}, top = {0}, other[TASK_MAX_ROUTES] = {{0}};
    int n = 7, n_other = 0;
    int rc = groups_of(&main, j, st, run, j->kind->routes[0], false, true, e);
    if (!rc)
        rc = groups_of(&top, j, st, run, j->kind->routes[0], true, false, e);
    for (int i = 1; j->kind->routes[i] && !rc; i++) {
        columns[n++] = j->kind->routes[i];
        rc = groups_of(&other[n_other++], j, st, run, j->kind->routes[i], false, false, e);
    }
    if (!rc)
        rc = table_new(out, n, columns, e);
    bool made = rc == 0;
    if (!rc)
        value_groups_sort(&main);
    for (int64_t i = 0; i < main.n && !rc && (limit == 0 || i < limit); i++) {
        cell *row = table_row(*out, e);
        head_text name;
        if (!row) {
            rc = ERR_RESOURCE;
            break;
        }
        head_format(name, main.g[i].head);
        rc = table_text(*out, &row[0], name, strlen(name), e);
        stats_cells(row, 1, &main.g[i].st);
        row[6] = cell_real(mean_at(&top, main.g[i].head));
        for (int k = 0; k < n_other; k++)
            row[7 + k] = cell_real(mean_at(&other[k], main.g[i].head));
    }
    free(main.g);
    free(top.g);
    for (int k = 0; k < n_other; k++)
        free(other[k].g);
    if (rc && made)
        table_free(*out);
    return rc;
}

static int accuracy_table(table **out, const task_job *j, store *st, int64_t run, err *e)
{
    const char *const columns[] = {j->kind->size, "n", "accuracy", "sd", "low", "high", "nll"};
    uint64_t seed = (uint64_t)params_int(j->a->p, "seed");
    int rc = table_new(out, 7, columns, e);
    bool made = rc == 0;
    if (!rc)
        rc = table_set_unit(*out, 6, "nats", e);
    for (int64_t i = 0; i < j->n_size && !rc; i++) {
        char units[160];
        value_groups right = {0}, nll = {0};
        snprintf(units, sizeof units, "prompt BETWEEN %" PRId64 " AND %" PRId64, i * j->repeats, (i + 1) * j->repeats - 1);
        rc = experiment_groups(&right, st, run, "accuracy", units, NULL, seed, e);
        if (!rc)
            rc = experiment_means(&nll, st, run, "target_nll", units, NULL, e);
        cell *row = !rc && right.n == 1 && nll.n == 1 ? table_row(*out, e) : NULL;
        if (row) {
            row[0] = cell_int((int64_t)j->sizes[i]);
            stats_cells(row, 1, &right.g[0].st);
            row[6] = cell_real(nll.g[0].st.mean);
        } else if (!rc && right.n == 1) {
            rc = ERR_RESOURCE;
        }
        free(right.g);
        free(nll.g);
    }
    if (rc && made)
        table_free(*out);
    return rc;
}

static int show(const task_job *j, int64_t run, err *e)
{
    bool people = command_format(j->s, j->a) == FORMAT_TABLE, only = params_bool(j->a->p, "accuracy");
    int64_t limit = params_given(j->a->p, "top") || people ? params_int(j->a->p, "top") : 0;
    table *t = NULL;
    strbuf b = {0};
    store *st;
    int rc = session_store(j->s, &st, e);
    if (!rc && people && !(rc = experiment_conditions(&b, st, run, e))) {
        strbuf_printf(&b, "; run %" PRId64 "\n", run);
        rc = output_prose(j->s, &b, e);
    }
    strbuf_free(&b);
    if (!rc && (people || only) && !(rc = accuracy_table(&t, j, st, run, e))) {
        rc = print_table(j->s, j->a, t, "attnscope.accuracy/1", e);
        table_free(t);
    }
    if (!rc && !only && !(rc = head_table(&t, j, st, run, limit, e))) {
        fputs(people ? "\n" : "", j->s->out);
        rc = print_table(j->s, j->a, t, j->kind->schema, e);
        table_free(t);
    }
    return rc;
}

/* ---- the command ---- */

static int emit(const task_job *j, const char *path, err *e)
{
    outfile *f = NULL;
    int64_t n = j->n_size * j->repeats;
    int rc = outfile_open(&f, path, e);
    for (int64_t i = 0; i < n && !rc; i++) {
        task t;
        strbuf b = {0};
        if (!(rc = make(&t, j, i, e))) {
            task_put_json(&b, &t);
            rc = b.failed ? err_nomem(e, "task") : outfile_write(f, b.s, b.len, e);
            task_free(&t);
        }
        strbuf_free(&b);
    }
    if (!rc)
        rc = outfile_commit(f, e);
    else
        outfile_abandon(f);
    if (!rc && strcmp(path, "-") != 0)
        say(j->s, "%" PRId64 " sequences in %s", n, path);
    return rc;
}

static char *settings_of(const task_job *j, err *e)
{
    const params *p = j->a->p;
    strbuf b = {0};
    json_line_begin(&b, NULL);
    json_line_key(&b, j->kind->lengths);
    for (int64_t i = 0; i < j->n_size; i++) {
        strbuf_putc(&b, i ? ',' : '[');
        strbuf_put_real(&b, j->sizes[i]);
    }
    strbuf_putc(&b, ']');
    json_line_int(&b, "repeats", j->repeats);
    json_line_bool(&b, "bos", j->bos >= 0);
    json_line_int(&b, "id-min", params_int(p, "id-min"));
    json_line_int(&b, "id-max", params_int(p, "id-max"));
    int rc = j->kind->settings ? j->kind->settings(&b, j, e) : 0;
    strbuf_putc(&b, '}');
    if (rc) {
        strbuf_free(&b);
        return NULL;
    }
    return strbuf_take(&b, e);
}

/* Every size is made once before anything runs, and must fit the context. */
static int check_sizes(const task_job *j, err *e)
{
    int rc = 0;
    for (int64_t i = 0; i < j->n_size && !rc; i++) {
        task t;
        if ((rc = make(&t, j, i * j->repeats, e)))
            break;
        if (t.n > j->lm->m->main->context) {
            err_set(e, ERR_USAGE, "%s %.0f makes sequences of %" PRId64 " tokens, the context of %s has %" PRId64,
                    j->kind->size, j->sizes[i], t.n, j->lm->m->name, j->lm->m->main->context);
            rc = err_hint(e, "take a smaller --%s", j->kind->lengths);
        }
        task_free(&t);
    }
    return rc;
}

static int prepare(task_job *j, err *e)
{
    const params *p = j->a->p;
    char option[64];
    snprintf(option, sizeof option, "--%s", j->kind->lengths);
    int rc = number_list_parse(&j->sizes, &j->n_size, params_str(p, j->kind->lengths), 1, 16777216, option, e);
    for (int64_t i = 0; i < j->n_size; i++)
        j->sizes[i] = (double)(int64_t)j->sizes[i];
    j->repeats = params_int(p, "repeats");
    j->bos = -1;
    if (!rc && params_bool(p, "bos")) {
        j->bos = j->lm->tok ? tokenizer_bos(j->lm->tok) : -1;
        if (j->bos < 0) {
            err_set(e, ERR_USAGE, "--bos: the tokenizer of %s names no BOS token", j->lm->m->name);
            rc = err_hint(e, "leave it out");
        }
    }
    if (!rc)
        rc = task_vocabulary_new(&j->vocabulary, j->lm->m, j->lm->tok, params_int(p, "id-min"),
                                 params_given(p, "id-max") ? params_int(p, "id-max") + 1 : 0, e);
    return rc ? rc : check_sizes(j, e);
}

int task_command(session *s, const command_args *a, const task_kind *kind, void *ud, err *e)
{
    task_job j = {.s = s, .a = a, .kind = kind, .ud = ud};
    const char *path = params_str(a->p, "emit");
    char *settings = NULL;
    edit_choice changed = {0};
    int64_t run = 0;
    int rc = choose_model(s, a, path == NULL, &j.lm, e);
    if (!rc)
        rc = prepare(&j, e);
    if (!rc && path)
        rc = edits_without_run(a, e);
    else if (!rc)
        rc = edit_choose(&changed, s, a, j.lm, e);
    if (!rc && path) {
        rc = emit(&j, path, e);
    } else if (!rc) {
        settings = settings_of(&j, e);
        const experiment_plan plan = {
            .s = s, .a = a, .lm = j.lm, .settings = settings, .edits = edit_choice_json(&changed),
            .seed = params_int(a->p, "seed"), .n_unit = j.n_size * j.repeats, .unit = unit, .ud = &j, .what = "sequence",
        };
        rc = settings ? experiment_run(&plan, &run, e) : e->code ? e->code : ERR_RESOURCE;
        if (!rc)
            rc = show(&j, run, e);
    }
    edit_choice_free(&changed);
    free(settings);
    free(j.sizes);
    task_vocabulary_free(&j.vocabulary);
    return rc;
}
