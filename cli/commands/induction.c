/* induction: random tokens that repeat. */
#include "cli/edit_select.h"
#include "cli/json_line.h"
#include "cli/task_run.h"

static int make(task *out, const task_job *j, int64_t size, rng *r, err *e)
{
    const params *p = j->a->p;
    return task_induction(out, &j->vocabulary, size, params_int(p, "times"), j->bos, params_bool(p, "distinct"), r, e);
}

static int settings(strbuf *b, const task_job *j, err *e)
{
    (void)e;
    json_line_int(b, "times", params_int(j->a->p, "times"));
    json_line_bool(b, "distinct", params_bool(j->a->p, "distinct"));
    return 0;
}

static int run(session *s, const command_args *a, err *e)
{
    static const char *const routes[] = {"induction", "duplicate", "previous", NULL};
    static const task_kind kind = {.prefix = "diagonal", .routes = routes, .size = "length",
                                   .schema = "attnscope.induction/1", .lengths = "lengths", .make = make,
                                   .settings = settings};
    return task_command(s, a, &kind, NULL, e);
}

static const param own[] = {
    {.name = "lengths", .kind = PARAM_LIST, .def = "50", .value = "LIST",
     .help = "random tokens before they repeat, as 25,50,100 or 20:200:10"},
    {.name = "times", .kind = PARAM_INT, .def = "2", .value = "N", .min = 2, .max = 1000, .help = "how often they come"},
    {.name = "distinct", .kind = PARAM_BOOL, .help = "no token twice in a segment (published: they may be)"},
    {.name = NULL},
};
static const param *const *extra(void)
{
    static const param *const tables[] = {task_params, edit_option_params, experiment_params, precision_params, config_params,
                                          tokenizer_params, NULL};
    return tables;
}
static const char *const examples[] = {
    "induction examples/models/lantern-3m --lengths 30,90 --bos",
    "previous-token, duplicate-token and induction scores of every head",
    "induction examples/models/lantern-3m --lengths 50 --repeats 3 --emit repeats.jsonl",
    "the sequences alone",
    "induction examples/models/lantern-3m --lengths 30 --edit \"zero L0H1\"", "what is left without a previous-token head",
    NULL,
};
static const char *const complete[] = {"models", NULL};

const command command_induction = {
    .name = "induction", .group = "experiment", .usage = "[MODEL]",
    .summary = "repeated random tokens: previous-token, duplicate-token and induction scores, next-token accuracy",
    .help = "S random tokens come twice. For every head: `previous`, the mean weight from i to i - 1; `duplicate`, to "
            "i - S; `induction`, to i - (S - 1), the token after the last copy, over the S + 1 entries of that diagonal; "
            "`top`, the share of those queries whose largest weight is there. TransformerLens' demos do this without BOS, "
            "10 sequences of 50. Accuracy: next tokens of the second copy that have the largest logit, from its second "
            "token on. Intervals are over sequences. In the store: diagonal_induction, diagonal_induction_top, and so on.",
    .examples = examples, .params = own, .min_args = 0, .max_args = 1,
    .complete = complete, .extra_params = extra, .run = run,
};
