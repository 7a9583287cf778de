/* divergence: how different heads and layers are. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/analyse.h"
#include "base/mem.h"
#include "cli/builtin_prompts.h"
#include "cli/divergence_table.h"
#include "cli/experiment.h"
#include "cli/json_line.h"
#include "cli/metric_select.h"
#include "cli/output.h"

/* What --between and --by choose. */
static const struct choice {
    const char *between, *by, *metric;
    bool similar, by_layer, layers;
} choices[] = {
    {"heads", "jsd", "jsd", false, true, false},
    {"heads", "cosine", "row_cosine", true, true, false},
    {"all", "jsd", "jsd_layers", false, false, false},
    {"layers", "cosine", "layer_similarity", true, false, true},
};
enum { N_CHOICE = sizeof choices / sizeof *choices };

typedef struct job {
    session *s;
    const command_args *a;
    loaded_model *lm;
    const struct choice *choice;
    const metric *m;
    analysis_request measured;
    prompt_request *request;
    int64_t n_request, run;
    prompt_rules rules;
} job;

static const param *const *extra(void)
{
    static const param *tables[7 + N_CHOICE + 1] = {prompt_params, prompts_params, builtin_params, precision_params,
                                                    config_params, tokenizer_params, experiment_params};
    for (int i = 0; i < N_CHOICE; i++)
        tables[7 + i] = metric_find(choices[i].metric)->params;
    return tables;
}

static int choose(job *j, err *e)
{
    const params *p = j->a->p;
    const char *between = params_str(p, "between"), *by = params_str(p, "by");
    for (int i = 0; i < N_CHOICE && !j->choice; i++)
        if (strcmp(choices[i].between, between) == 0 && (!by || strcmp(choices[i].by, by) == 0))
            j->choice = &choices[i];
    if (!j->choice) {
        err_set(e, ERR_USAGE, "--between %s has no --by %s", between, by);
        return err_hint(e, "layers are compared by cosine, all heads by jsd, heads of a layer by either");
    }
    j->m = metric_find(j->choice->metric);
    for (int i = 0; i < N_CHOICE; i++)
        for (const param *row = metric_find(choices[i].metric)->params; row->name; row++)
            if (&choices[i] != j->choice && params_given(p, row->name)) {
                err_set(e, ERR_USAGE, "--%s does nothing here: %s is measured", row->name, j->m->name);
                return err_hint(e, "leave it out; options of %s begin with its name", j->m->name);
            }
    if (params_given(p, "clusters") && params_given(p, "height")) {
        err_set(e, ERR_USAGE, "--clusters and --height are two ways to cut");
        return err_hint(e, "give one of them");
    }
    return 0;
}

static int check_prompt(const job *j, int64_t i, err *e)
{
    const analysis_request req = {.metrics = &j->m, .n_metric = 1, .p = j->a->p, .tok = j->lm->tok};
    prompt_input in;
    int rc = prompt_make(&in, j->lm, &j->request[i], &j->rules, e);
    if (!rc) {
        rc = analyse_check(j->lm->rt, j->lm->m, &in.in, &req, e);
        prompt_free(&in);
    }
    if (rc && j->request[i].where[0])
        err_prefix(e, "%s", j->request[i].where);
    return rc;
}

static int prepare(job *j, err *e)
{
    metric_choice fit = {.n = 1, .named = true};
    int rc = choose(j, e);
    if (!rc)
        rc = choose_model(j->s, j->a, true, &j->lm, e);
    if (!rc) {
        fit.list[0] = j->m;
        rc = metric_fit(&fit, j->lm->m, e);
    }
    if (!rc)
        rc = prompt_requests_chosen(&j->request, &j->n_request, j->a->p, false, e);
    if (!rc)
        j->rules = prompt_rules_for(j->a->p, j->lm);
    for (int64_t i = 0; i < j->n_request && !rc; i++)
        rc = check_prompt(j, i, e);
    strbuf_free(&fit.left);
    return rc;
}

static char *settings_json(const job *j, err *e)
{
    strbuf b = {0};
    json_line_begin(&b, NULL);
    json_line_text(&b, "metric", j->m->name);
    json_line_bool(&b, "special", j->rules.special);
    json_line_int(&b, "truncate", j->rules.truncate);
    for (const param *row = j->m->params; row->name; row++)
        metric_put_param(&b, j->a->p, row);
    strbuf_putc(&b, '}');
    return strbuf_take(&b, e);
}

static int measure(void *ud, experiment *x, int64_t i, err *e)
{
    const job *j = ud;
    prompt_input in;
    int rc = prompt_make(&in, j->lm, &j->request[i], &j->rules, e);
    if (rc)
        return rc;
    rc = experiment_prompt(x, &in, NULL, e);
    if (!rc)
        rc = experiment_measure(x, &in.in, &j->measured, e);
    prompt_free(&in);
    return rc;
}

static int input_of(void *ud, int64_t i, prompt_input *in, const analysis_request **request, err *e)
{
    const job *j = ud;
    *request = &j->measured;
    return prompt_make(in, j->lm, &j->request[i], &j->rules, e);
}

static int put_heading(const job *j, store *st, err *e)
{
    strbuf b = {0};
    strbuf_printf(&b, "run %" PRId64 ": ", j->run);
    int rc = experiment_conditions(&b, st, j->run, e);
    strbuf_printf(&b, "\n%s: %s", j->m->name, j->m->summary);
    if (j->choice->similar)
        strbuf_puts(&b, "; distances are 1 - cosine");
    for (const param *row = j->m->params; row->name; row++)
        if (params_given(j->a->p, row->name))
            strbuf_printf(&b, ", %s %s", row->name, params_str(j->a->p, row->name));
    strbuf_puts(&b, "\n");
    if (!rc)
        rc = output_prose(j->s, &b, e);
    strbuf_free(&b);
    return rc;
}

static int report(const job *j, err *e)
{
    const params *p = j->a->p;
    output_format format = command_format(j->s, j->a);
    table *groups = NULL, *things = NULL;
    divergence_view v = {
        .run = j->run, .m = j->lm->m, .metric = j->m->name, .similar = j->choice->similar, .by_layer = j->choice->by_layer,
        .layers = j->choice->layers, .clusters = params_given(p, "height") ? 0 : params_int(p, "clusters"),
        .height = params_real(p, "height"),
    };
    for (int i = 0; cluster_linkages[i]; i++)
        if (strcmp(cluster_linkages[i], params_str(p, "linkage")) == 0)
            v.linkage = (cluster_linkage)i;
    int rc = session_store(j->s, &v.st, e);
    if (!rc)
        rc = divergence_tables(&groups, &things, &v, e);
    if (!rc && format == FORMAT_TABLE)
        rc = put_heading(j, v.st, e);
    if (!rc && (format == FORMAT_TABLE || format == FORMAT_JSON))
        rc = print_table(j->s, j->a, groups, "attnscope.divergence_group/1", e);
    if (!rc)
        rc = print_table(j->s, j->a, things, "attnscope.divergence/1", e);
    table_free(groups);
    table_free(things);
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
        j.measured = (analysis_request){.metrics = &j.m, .n_metric = 1, .p = a->p, .tok = j.lm->tok};
        const experiment_plan plan = {.s = s, .a = a, .lm = j.lm, .verb = "divergence", .settings = settings,
                                      .seed = NO_INDEX, .n_unit = j.n_request, .unit = measure,
                                      .input = input_of, .ud = &j, .what = "prompt"};
        rc = experiment_run(&plan, &j.run, e);
    }
    if (!rc)
        rc = report(&j, e);
    free(settings);
    prompt_requests_free(j.request, j.n_request);
    return rc;
}

static const char *const between_choices[] = {"heads", "all", "layers", NULL};
static const char *const by_choices[] = {"jsd", "cosine", NULL};
static const param own[] = {
    {.name = "between", .kind = PARAM_ENUM, .def = "heads", .value = "WHAT", .choices = between_choices,
     .help = "heads of each layer, all heads of all layers, or layers as wholes"},
    {.name = "by", .kind = PARAM_ENUM, .value = "MEASURE", .choices = by_choices,
     .help = "Jensen-Shannon divergence, or cosine; what --between has by default"},
    {.name = "linkage", .kind = PARAM_ENUM, .def = "average", .value = "HOW", .choices = cluster_linkages,
     .help = "distance between clusters"},
    {.name = "clusters", .kind = PARAM_INT, .def = "4", .value = "K", .min = 1, .max = 1e6,
     .help = "cut into at most so many clusters"},
    {.name = "height", .kind = PARAM_REAL, .value = "H", .max = 1e9, .help = "cut at this distance instead"},
    {.name = NULL},
};
static const char *const examples[] = {
    "divergence examples/models/lantern-3m --prompt 'It was a dark night, and the old man'",
    "nearest and farthest heads of each layer, and four clusters of each",
    "divergence examples/models/lantern-3m --builtin --truncate 64 --between all --jsd-layers-root of-mean --csv",
    "clusters of all heads of the model by their mean Jensen-Shannon distance",
    "divergence examples/models/lantern-3m --builtin --truncate 64 --between layers --layer-similarity-leave-out both",
    "which layers attend alike, without the first row and the sink column",
    NULL,
};
static const char *const complete[] = {"models", NULL};

const command command_divergence = {
    .name = "divergence", .group = "measure", .usage = "[MODEL]",
    .summary = "compare heads, or layers, with each other",
    .help = "Measures how different the attention of heads is (metrics jsd, row_cosine, jsd_layers) or that of layers "
            "(layer_similarity), averages over prompts, and groups them: agglomerative clustering, cut into clusters, and "
            "places in the plane (metric multidimensional scaling). The first table has the nearest and the farthest pair of "
            "each layer, how well the tree keeps the distances (cophenetic correlation) and the plane does (stress); the "
            "second a row for each head in the order of the tree. All distances are rows of the store (`sql`, `export`). "
            "A layer with few pairs in common may have fewer clusters than asked for.",
    .examples = examples, .params = own, .min_args = 0, .max_args = 1,
    .complete = complete, .extra_params = extra, .run = run,
};
