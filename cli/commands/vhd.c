/* vhd: which heads depend on a part of the prompt. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/span.h"
#include "analysis/vhd.h"
#include "base/mem.h"
#include "cli/builtin_prompts.h"
#include "cli/experiment.h"
#include "cli/json_line.h"
#include "cli/output.h"

typedef struct job {
    session *s;
    const command_args *a;
    loaded_model *lm;
    prompt_request *request;
    int64_t n_request, run;
    prompt_rules rules;
} job;

/* One prompt as it is, and as it is without the span. */
typedef struct pair {
    prompt_input in;
    model_input without;
    int32_t *ids;
    int64_t *at_with, *at_without, n_at;
} pair;

static const param span_params[] = {SPAN_NAME_PARAMS("without", "what is left out"), SPAN_PARAM_END};

static const param *const *extra(void)
{
    static const param *const tables[] = {span_params, prompt_params, prompts_params, builtin_params, precision_params,
                                          config_params, tokenizer_params, experiment_params, NULL};
    return tables;
}

static void pair_free(pair *p)
{
    prompt_free(&p->in);
    free(p->ids);
    free(p->at_with);
    free(p->at_without);
}

/* The image is a span too: its places in the prompt. */
static int image_span(key_set *keys, const job *j, const model_input *in, err *e)
{
    const model *m = j->lm->m;
    if (!m->vision || !in->pixels) {
        err_set(e, ERR_USAGE, "--without-image: the prompt has no image");
        return err_hint(e, "name a span by --without-text or --without-tokens");
    }
    bool *member = mem_array((size_t)in->n, sizeof *member, e);
    if (!member)
        return ERR_RESOURCE;
    for (int64_t i = 0; i < in->n; i++)
        member[i] = in->ids[i] == m->image_token;
    int rc = key_set_new(keys, member, in->n, e);
    free(member);
    return rc;
}

static int find_span(key_set *keys, const job *j, const model_input *in, err *e)
{
    const params *p = j->a->p;
    const model *m = j->lm->m;
    if (params_bool(p, "without-image")) {
        if (params_given(p, "without-text") || params_given(p, "without-regex") || params_given(p, "without-tokens")) {
            err_set(e, ERR_USAGE, "--without-image names one span and another option a second");
            return err_hint(e, "give one of them");
        }
        return image_span(keys, j, in, e);
    }
    int64_t end;
    const metric_ctx c = {.p = p, .ids = in->ids, .n = in->n, .key_ids = in->ids, .n_key = in->n, .most_key = in->n,
                          .placeholder = m->vision ? m->image_token : -1, .n_layer = m->main->n_layer, .kind = m->main->kind,
                          .model = m, .run = j->lm->rt, .tok = j->lm->tok};
    int rc = span_find(keys, &end, &c, "without", false, e);
    if (!rc && keys->n == 0) {
        key_set_free(keys);
        err_set(e, ERR_USAGE, "no part of the prompt is named to leave out");
        rc = err_hint(e, "give --without-text TEXT, --without-tokens 3-7 or --without-image");
    }
    return rc;
}

/* Positions that both runs have: the last, or all behind the beginning of the span. */
static int choose_positions(pair *p, const key_set *keys, bool all, err *e)
{
    const int64_t n = p->in.in.n;
    p->at_with = mem_array((size_t)n, sizeof *p->at_with, e);
    p->at_without = mem_array((size_t)n, sizeof *p->at_without, e);
    if (!p->at_with || !p->at_without)
        return ERR_RESOURCE;
    for (int64_t i = all ? keys->key[0] : n - 1; i < n; i++) {
        if (keys->below[i + 1] > keys->below[i])
            continue;
        p->at_with[p->n_at] = i;
        p->at_without[p->n_at++] = i - keys->below[i];
    }
    if (p->n_at > 0)
        return 0;
    err_set(e, ERR_USAGE, "the span reaches to the end of the prompt: no position is behind it");
    return err_hint(e, "the divergence is taken at a token that is in both prompts; add text behind the span");
}

static int make_pair(pair *p, const job *j, int64_t i, err *e)
{
    key_set keys = {0};
    *p = (pair){0};
    int rc = prompt_make(&p->in, j->lm, &j->request[i], &j->rules, e);
    if (rc)
        return rc;
    rc = find_span(&keys, j, &p->in.in, e);
    if (!rc)
        rc = choose_positions(p, &keys, strcmp(params_str(j->a->p, "positions"), "all") == 0, e);
    if (!rc && !(p->ids = mem_array((size_t)p->in.in.n, sizeof *p->ids, e)))
        rc = ERR_RESOURCE;
    if (!rc) {
        bool image = false;
        p->without = p->in.in;
        p->without.ids = p->ids;
        p->without.n = 0;
        for (int64_t k = 0; k < p->in.in.n; k++)
            if (keys.below[k + 1] == keys.below[k]) {
                p->ids[p->without.n++] = p->in.in.ids[k];
                image |= j->lm->m->vision && p->in.in.ids[k] == j->lm->m->image_token;
            }
        p->without.pixels = image ? p->without.pixels : NULL;
        input_lengths n;
        rc = input_measure(&n, j->lm->m, &p->without, e);
    }
    key_set_free(&keys);
    if (rc)
        pair_free(p);
    if (rc && j->request[i].where[0])
        err_prefix(e, "%s", j->request[i].where);
    return rc;
}

static int prepare(job *j, err *e)
{
    int rc = choose_model(j->s, j->a, true, &j->lm, e);
    if (!rc && j->lm->m->main->embed.kind != EMBED_TOKENS) {
        err_set(e, ERR_USAGE, "%s reads no tokens, of which some could be left out", j->lm->m->name);
        rc = err_hint(e, "vhd is for language models, with or without images");
    }
    if (!rc && j->lm->m->main->kind != ATTN_SELF) {
        err_set(e, ERR_USAGE, "%s is an encoder: what is behind a span does not come after it", j->lm->m->name);
        rc = err_hint(e, "vhd is for language models, with or without images");
    }
    if (!rc)
        rc = prompt_requests_chosen(&j->request, &j->n_request, j->a->p, false, e);
    if (!rc)
        j->rules = prompt_rules_for(j->a->p, j->lm);
    for (int64_t i = 0; i < j->n_request && !rc; i++) {
        pair p;
        rc = make_pair(&p, j, i, e);
        if (!rc)
            pair_free(&p);
    }
    return rc;
}

static int put_head(experiment *x, const vhd *v, int64_t i, int layer, int head, int64_t position, err *e)
{
    const vhd_head *h = vhd_at(v, i, layer, head);
    int rc = experiment_value(x, "vhd", v->kind, layer, head, position, h->divergence, e);
    if (!rc && h->with > 0)
        rc = experiment_value(x, "vhd_relative", v->kind, layer, head, position, h->divergence / h->with, e);
    if (!rc)
        rc = experiment_value(x, "vhd_norm", v->kind, layer, head, position, h->with, e);
    if (!rc)
        rc = experiment_value(x, "vhd_norm_without", v->kind, layer, head, position, h->without, e);
    if (!rc)
        rc = experiment_value(x, "vhd_outlier", v->kind, layer, head, position, h->outlier, e);
    return rc ? rc : experiment_value(x, "vhd_above_median", v->kind, layer, head, position, h->above_median, e);
}

static int measure(void *ud, experiment *x, int64_t i, err *e)
{
    const job *j = ud;
    pair p;
    vhd v = {0};
    int rc = make_pair(&p, j, i, e);
    if (rc)
        return rc;
    rc = experiment_prompt(x, &p.in, NULL, e);
    if (!rc)
        rc = vhd_measure(&v, j->lm->rt, j->lm->m, &p.in.in, &p.without, p.at_with, p.at_without, p.n_at,
                         (int)params_int(j->a->p, "top"), experiment_progress(x), e);
    for (int64_t k = 0; k < p.n_at && !rc; k++) {
        for (int l = 0; l < v.n_layer; l++)
            for (int h = 0; h < v.n_head[l] && !rc; h++)
                rc = put_head(x, &v, k, l, h, p.at_with[k], e);
        if (!rc)
            rc = experiment_value(x, "t_vhd", v.kind, NO_INDEX, NO_INDEX, p.at_with[k], v.total[k], e);
    }
    vhd_free(&v);
    pair_free(&p);
    return rc;
}

static char *settings_json(const job *j, err *e)
{
    static const char *const texts[] = {"without-text", "without-regex", "without-tokens", "positions", NULL};
    const params *p = j->a->p;
    strbuf b = {0};
    json_line_begin(&b, NULL);
    for (int i = 0; texts[i]; i++)
        json_line_text(&b, texts[i], params_str(p, texts[i]));
    json_line_int(&b, "without-nth", params_int(p, "without-nth"));
    json_line_bool(&b, "without-image", params_bool(p, "without-image"));
    json_line_int(&b, "top", params_int(p, "top"));
    json_line_bool(&b, "special", j->rules.special);
    json_line_int(&b, "truncate", j->rules.truncate);
    strbuf_putc(&b, '}');
    return strbuf_take(&b, e);
}

/* Means over positions and prompts; the view orders heads by the relative form, in which large norms have no part. */
static const char sql[] =
    "SELECT head_name AS head, avg(CASE WHEN metric = 'vhd' THEN value END) AS vhd,"
    " avg(CASE WHEN metric = 'vhd_relative' THEN value END) AS relative,"
    " avg(CASE WHEN metric = 'vhd_norm' THEN value END) AS norm,"
    " avg(CASE WHEN metric = 'vhd_norm_without' THEN value END) AS norm_without,"
    " avg(CASE WHEN metric = 'vhd_outlier' THEN value END) AS outlier,"
    " avg(CASE WHEN metric = 'vhd_above_median' THEN value END) AS above_median"
    " FROM head_value WHERE run = ?1 AND metric LIKE 'vhd%' GROUP BY kind, layer, head"
    " ORDER BY relative DESC, kind, layer, head LIMIT ?2";

static int put_heading(const job *j, store *st, err *e)
{
    value_groups total = {0};
    strbuf b = {0};
    double sum = 0;
    int64_t n = 0;
    strbuf_printf(&b, "run %" PRId64 ": ", j->run);
    int rc = experiment_conditions(&b, st, j->run, e);
    if (!rc)
        rc = experiment_means(&total, st, j->run, "t_vhd", NULL, NULL, e);
    for (int64_t i = 0; i < total.n && !rc; i++) {
        sum += total.g[i].st.mean * (double)total.g[i].st.n;
        n += total.g[i].st.n;
    }
    if (!rc && n > 0)
        strbuf_printf(&b, "\nT-VHD, the %" PRId64 " largest of each layer summed: %.4g, mean of %" PRId64 " position%s",
                      params_int(j->a->p, "top"), sum / (double)n, n, n == 1 ? "" : "s");
    strbuf_puts(&b, "\n");
    if (!rc)
        rc = output_prose(j->s, &b, e);
    strbuf_free(&b);
    free(total.g);
    return rc;
}

static int report(const job *j, err *e)
{
    store *st;
    table *t = NULL;
    int64_t n = params_int(j->a->p, "n");
    output_format format = command_format(j->s, j->a);
    int rc = session_store(j->s, &st, e);
    const cell bind[] = {cell_int(j->run), cell_int(n > 0 && format == FORMAT_TABLE ? n : INT64_MAX)};
    if (!rc)
        rc = store_query(st, &t, sql, bind, 2, e);
    if (!rc && format == FORMAT_TABLE)
        rc = put_heading(j, st, e);
    if (!rc)
        rc = print_table(j->s, j->a, t, "attnscope.vhd/1", e);
    table_free(t);
    return rc;
}

static int run(session *s, const command_args *a, err *e)
{
    job j = {.s = s, .a = a};
    char *settings = NULL;
    int rc = prepare(&j, e);
    if (!rc) {
        settings = settings_json(&j, e);
        rc = settings ? 0 : ERR_RESOURCE;
    }
    if (!rc) {
        const experiment_plan plan = {.s = s, .a = a, .lm = j.lm, .verb = "vhd", .settings = settings, .seed = NO_INDEX,
                                      .n_unit = j.n_request, .unit = measure, .ud = &j, .what = "prompt"};
        rc = experiment_run(&plan, &j.run, e);
    }
    if (!rc)
        rc = report(&j, e);
    free(settings);
    prompt_requests_free(j.request, j.n_request);
    return rc;
}

static const char *const position_choices[] = {"last", "all", NULL};
static const param own[] = {
    {.name = "without-image", .kind = PARAM_BOOL, .help = "leave out the image of the prompt"},
    {.name = "positions", .kind = PARAM_ENUM, .def = "last", .value = "WHICH", .choices = position_choices,
     .help = "where outputs are compared: at the last token, or at all behind the beginning of the span"},
    {.name = "top", .kind = PARAM_INT, .def = "8", .value = "K", .min = 1, .max = 1e6,
     .help = "heads of each layer that count in T-VHD"},
    {.name = "n", .kind = PARAM_INT, .def = "10", .value = "N", .max = 1e15,
     .help = "how many heads the table shows; 0: all"},
    {.name = NULL},
};
static const char *const examples[] = {
    "vhd examples/models/lantern-3m --prompt 'The key is red. The door is blue. The key is' --without-text 'The key is red.'",
    "heads whose output at the last token changes most when the fact is gone",
    "vhd examples/models/lantern-3m --prompt 'One two three four' --without-tokens 1-2 --positions all --json",
    "every head at every position behind the second token",
    NULL,
};
static const char *const complete[] = {"models", NULL};

const command command_vhd = {
    .name = "vhd", .group = "measure", .usage = "[MODEL]",
    .summary = "find heads whose output depends on a part of the prompt",
    .help = "Runs the prompt twice, whole and without a span of it, and compares the outputs of every head (before the output "
            "projection) at the same token: the Euclidean distance (VHD, He et al. 2025, where the span is an image), and "
            "the same relative to the length of the output, which does not favour heads of large norm. Positions shift when "
            "the span is taken out. outlier: share of positions at which both the distance and the length without the span "
            "are above mean + standard deviation of the layer; these count as 0 in T-VHD and in above_median, the share of "
            "positions at which the head is above the median of its layer.",
    .examples = examples, .params = own, .min_args = 0, .max_args = 1,
    .complete = complete, .extra_params = extra, .run = run,
};
