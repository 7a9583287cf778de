/* bench: speed, on the user's own machine and model. */
#include "cli/bench.h"

#include <string.h>
#include "cli/command_util.h"
#include "cli/metric_select.h"

const bench_form *const bench_forms[] = {&bench_metrics, &bench_run, &bench_attention, &bench_gemm, &bench_kernels, NULL};

static const param *const *extra(void)
{
    static const param *tables[5];
    tables[0] = precision_params;
    tables[1] = config_params;
    tables[2] = tokenizer_params;
    tables[3] = metric_choice_params();
    return tables;
}

static const param own[] = {
    {.name = "metrics", .kind = PARAM_LIST, .value = "LIST", .complete = "metrics",
     .help = "metrics: which; default all. run: what is measured; default entropy"},
    {.name = "length", .kind = PARAM_INT, .def = "1024", .value = "N", .min = 1, .max = 1e7,
     .help = "metrics: tokens of the prompt"},
    {.name = "lengths", .kind = PARAM_STR, .value = "LIST",
     .help = "run, attention: tokens, \"512,2048\"; default 512 and 1024,2048,4096"},
    {.name = "new-tokens", .kind = PARAM_INT, .def = "32", .value = "N", .min = 0, .max = 1e6,
     .help = "run: tokens decoded behind each prompt; 0: none"},
    {.name = "heads", .kind = PARAM_INT, .def = "32", .value = "N", .min = 1, .max = 4096, .help = "attention: query heads"},
    {.name = "kv-heads", .kind = PARAM_INT, .def = "0", .value = "N", .min = 0, .max = 4096,
     .help = "attention: key/value heads; 0: as many as --heads"},
    {.name = "width", .kind = PARAM_INT, .def = "64", .value = "N", .min = 1, .max = 1024, .help = "attention: width of a head"},
    {.name = "window", .kind = PARAM_INT, .def = "0", .value = "N", .min = 0, .max = 1e7,
     .help = "attention: keys that a query sees; 0: all before it"},
    {.name = "types", .kind = PARAM_STR, .value = "LIST",
     .help = "gemm: of the weights; default f32,bf16,f16,q8_0,q4_0,q4_1,q4_k,q5_k,q6_k"},
    {.name = "rows", .kind = PARAM_STR, .def = "1,64,512,2048", .value = "LIST",
     .help = "gemm: rows of activations; 1 is decoding"},
    {.name = "outputs", .kind = PARAM_INT, .def = "2048", .value = "N", .min = 1, .max = 1 << 20,
     .help = "gemm: rows of the weights"},
    {.name = "inputs", .kind = PARAM_INT, .def = "2048", .value = "N", .min = 1, .max = 1 << 20,
     .help = "gemm: columns of the weights"},
    {.name = "repeat", .kind = PARAM_INT, .def = "3", .value = "N", .min = 1, .max = 1000, .help = "runs of each, the best"
                                                                                                   " counts"},
    {.name = NULL},
};

static bool takes(const bench_form *f, const char *option)
{
    for (int i = 0; f->options[i]; i++)
        if (strcmp(f->options[i], option) == 0)
            return true;
    return false;
}

/* An option of another form would silently do nothing. */
static int check_options(const bench_form *f, const params *p, err *e)
{
    const param *const *more = extra();
    for (const param *const *from = (const param *const[]){own, more[0], more[1], more[2], more[3], NULL}; *from; from++)
        for (const param *row = *from; row->name; row++)
            if (params_given(p, row->name) && !(f->model && *from != own) && !takes(f, row->name)) {
                err_set(e, ERR_USAGE, "%s takes no --%s", f->name, row->name);
                return err_hint(e, "`help bench` says which options belong to which form");
            }
    return 0;
}

static int unknown(const char *word, err *e)
{
    const char *names[sizeof bench_forms / sizeof *bench_forms] = {NULL};
    for (int i = 0; bench_forms[i]; i++)
        names[i] = bench_forms[i]->name;
    const char *near = nearest_word(word, names);
    err_set(e, ERR_USAGE, "what to time is not known: '%.40s'", word);
    return near ? err_hint(e, "did you mean `bench %s`?", near)
                : err_hint(e, "bench metrics, run, attention, gemm or kernels; the first two take a MODEL");
}

static int run(session *s, const command_args *a, err *e)
{
    const bench_form *form = NULL;
    command_args rest = *a;
    for (int i = 0; bench_forms[i]; i++)
        if (strcmp(a->word[0], bench_forms[i]->name) == 0)
            form = bench_forms[i];
    if (!form)
        return unknown(a->word[0], e);
    rest.n--;
    rest.word++;
    if (rest.n && !form->model) {
        err_set(e, ERR_USAGE, "%s takes no model: '%.60s'", form->name, rest.word[0]);
        return err_hint(e, "bench run MODEL, bench metrics MODEL");
    }
    int rc = check_options(form, a->p, e);
    return rc ? rc : form->run(s, &rest, e);
}

static const char *const examples[] = {
    "bench metrics examples/models/lantern-3m --length 64", "what each metric adds to a run",
    "bench metrics examples/models/lantern-3m --metrics entropy,received --json", "two of them, for a program",
    "bench run examples/models/lantern-3m --lengths 32,64 --new-tokens 4", "tokens a second, prompts and decoding",
    "bench attention --lengths 128 --heads 4 --width 32 --repeat 1", "a layer with and without statistics",
    "bench gemm --rows 1,64 --types f32,q4_1 --outputs 256 --inputs 256 --repeat 1", "products with weights of two types",
    NULL,
};
static const char *const complete[] = {"benches", "models", NULL};

const command command_bench = {
    .name = "bench", .group = "prove", .usage = "metrics|run|attention|gemm|kernels [MODEL]",
    .summary = "time what measuring costs, and the machine",
    .help = "metrics MODEL: a prompt of random tokens, the second half as the first, without any metric and with each in turn; "
            "the seconds of both, their ratio, and nanoseconds added for each attention weight (query-key pair that is "
            "visible, in every head and layer). The first rows are the default metrics of `run` and those of `census`, all "
            "together.\n"
            "run MODEL: tokens a second of random prompts, plain and measured, and of decoding behind them, with the most "
            "memory held so far.\n"
            "attention: one causal layer of random queries, keys and values, plain, with every statistic of rows, with "
            "the masses of the first 4 keys and of the last 64 as well, and with the sums of columns; what each "
            "adds, and the share of what multiply-adds (or, with --precision bf16, products of tiles) in registers "
            "reach in the same process.\n"
            "gemm: products of activations with stored weights through the code that models use, one row (decoding) to many; "
            "beside the speed the bytes of weights read a second, and both as shares of what the machine gives.\n"
            "kernels: every inner loop of every instruction set that this machine has, all threads at once, each on its own "
            "operands.\n"
            "The best of --repeat runs counts. Times depend on what else the machine does: compare within one run only.",
    .examples = examples, .params = own, .min_args = 1, .max_args = 2,
    .complete = complete, .extra_params = extra, .run = run, .live = true,
};
