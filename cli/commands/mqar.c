/* mqar: multi-query associative recall. */
#include "cli/edit_select.h"
#include "cli/json_line.h"
#include "cli/task_run.h"

static int make(task *out, const task_job *j, int64_t size, rng *r, err *e)
{
    int64_t ask = params_int(j->a->p, "ask");
    return task_mqar(out, &j->vocabulary, size, ask > 0 && ask < size ? ask : size, j->bos, r, e);
}

static int settings(strbuf *b, const task_job *j, err *e)
{
    (void)e;
    json_line_int(b, "ask", params_int(j->a->p, "ask"));
    return 0;
}

static int run(session *s, const command_args *a, err *e)
{
    static const char *const routes[] = {"value", "key", NULL};
    static const task_kind kind = {.prefix = "mqar", .routes = routes, .size = "pairs", .schema = "attnscope.mqar/1",
                                   .lengths = "pairs", .make = make, .settings = settings};
    return task_command(s, a, &kind, NULL, e);
}

static const param own[] = {
    {.name = "pairs", .kind = PARAM_LIST, .def = "4,8,16,32,64", .value = "LIST", .help = "numbers of pairs of key and value"},
    {.name = "ask", .kind = PARAM_INT, .def = "0", .value = "N", .min = 0, .max = 1e9,
     .help = "keys that come again; 0: all of them"},
    {.name = NULL},
};
static const param *const *extra(void)
{
    static const param *const tables[] = {task_params, edit_option_params, experiment_params, precision_params, config_params,
                                          tokenizer_params, NULL};
    return tables;
}
static const char *const examples[] = {
    "mqar examples/models/lantern-3m --pairs 4,8,16 --bos", "accuracy by number of pairs, and the heads that look up",
    "mqar examples/models/lantern-3m --pairs 8 --emit pairs.jsonl", "the sequences alone",
    NULL,
};
static const char *const complete[] = {"models", NULL};

const command command_mqar = {
    .name = "mqar", .group = "experiment", .usage = "[MODEL]",
    .summary = "multi-query associative recall: pairs of random tokens, then each key again",
    .help = "Pairs of a random key and a random value, then the keys again in random order, each with its value behind it "
            "(Arora et al., Zoology, 2023). Accuracy: values behind second keys that have the largest logit. For every "
            "head `value` is the mean weight from a second key to its value among the pairs, `top` the share of second "
            "keys whose largest weight is there, `key` the mean weight to the key itself. Keys are distinct, keys and "
            "values come from disjoint halves of the vocabulary. In the store: mqar_value, mqar_value_top, mqar_key.",
    .examples = examples, .params = own, .min_args = 0, .max_args = 1,
    .complete = complete, .extra_params = extra, .run = run,
};
