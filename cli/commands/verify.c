/* verify: hold a model's run against reference files. */
#include <stdlib.h>
#include <string.h>
#include "analysis/analyse.h"
#include "base/mem.h"
#include "cli/command_util.h"
#include "cli/edit_select.h"

typedef struct tally {
    int n_array, n_fail, n_file;
    err worst;              /* of the first file that differs */
} tally;

static int put(table *t, cell *c, const char *s, err *e)
{
    return table_text(t, c, s, strlen(s), e);
}

static int add_rows(table *t, const char *file, const verify_row *rows, int n, err *e)
{
    const char *slash = strrchr(file, '/'), *name = slash ? slash + 1 : file;
    int rc = 0;
    for (int i = 0; i < n && !rc; i++) {
        const verify_row *v = &rows[i];
        cell *c = table_row(t, e);
        if (!c)
            return ERR_RESOURCE;
        rc = put(t, &c[0], name, e);
        if (!rc)
            rc = put(t, &c[1], v->array, e);
        c[2] = cell_index(v->layer);
        c[3] = cell_real(v->max_abs);
        c[4] = cell_real(v->nmse);
        c[5] = cell_real(v->rms);
        c[6] = cell_real(v->gate);
        if (!rc)
            rc = put(t, &c[7], v->pass ? "ok" : "DIFFERS", e);
    }
    return rc;
}

static int one(session *s, loaded_model *lm, const char *file, table *t, tally *sum, err *e)
{
    verify_row *rows = NULL;
    int n = 0;
    err why = {0};
    int rc = verify_run(lm->rt, lm->m, file, &rows, &n, &s->prog, &why);
    if (rc && rc != ERR_DIFFERS) {
        if (e)
            *e = why;
        return rc;
    }
    if (rc && sum->n_fail == 0) {
        sum->worst = why;
        err_prefix(&sum->worst, "%s", file);
    }
    for (int i = 0; i < n; i++)
        sum->n_fail += !rows[i].pass;
    sum->n_array += n;
    sum->n_file++;
    rc = add_rows(t, file, rows, n, e);
    free(rows);
    return rc;
}

static int run(session *s, const command_args *a, err *e)
{
    static const char *const columns[] = {"reference", "array", "layer", "max_abs", "nmse",
                                          "rms", "gate", "verdict"};
    const char *list = params_str(a->p, "reference");
    if (!list && a->n < 2) {
        err_set(e, ERR_USAGE, "no reference file given");
        return err_hint(e, "add --reference FILE.npz; examples/reference/make_reference.py makes one");
    }
    loaded_model *lm;
    table *t = NULL;
    tally sum = {0};
    edit_choice changed = {0};
    char *copy = mem_strdup(list ? list : "", e), *save = NULL;
    int rc = copy ? table_new(&t, 8, columns, e) : ERR_RESOURCE;
    if (!rc)
        rc = choose_model(s, a, true, &lm, e);
    if (!rc)
        rc = edit_choose(&changed, s, a, lm, e);
    for (char *w = rc ? NULL : strtok_r(copy, ",", &save); w && !rc; w = strtok_r(NULL, ",", &save))
        rc = one(s, lm, w, t, &sum, e);
    for (int i = 1; i < a->n && !rc; i++)
        rc = one(s, lm, a->word[i], t, &sum, e);
    if (!rc)
        rc = print_table(s, a, t, "attnscope.verify/1", e);
    if (!rc && sum.n_fail) {
        if (e)
            *e = sum.worst;
        rc = ERR_DIFFERS;
    } else if (!rc) {
        say(s, "verified: %d arrays of %d file%s within the gates", sum.n_array, sum.n_file,
            sum.n_file == 1 ? "" : "s");
    }
    edit_choice_free(&changed);
    table_free(t);
    free(copy);
    return rc;
}

static const param own[] = {
    {.name = "reference", .kind = PARAM_LIST, .value = "FILE.npz", .complete = "files",
     .help = "reference files, comma-separated"},
    {.name = NULL},
};
static const param *const *extra(void)
{
    static const param *const tables[] = {edit_option_params, precision_params, config_params, NULL};
    return tables;
}
static const char *const examples[] = {
    "verify examples/models/lantern-3m --reference examples/models/lantern-3m-reference/ref-short.npz",
    "hold the bundled model against Hugging Face",
    "verify examples/models/lantern-3m --reference mine.npz --json", "one object a line for each array",
    NULL,
};
static const char *const complete[] = {"models", "files", NULL};

const command command_verify = {
    .name = "verify", .group = "prove", .usage = "[MODEL [FILE.npz...]]",
    .summary = "compare a model's run with reference arrays",
    .help = "A reference file holds the inputs (`ids`, `enc_ids`, `pixel_values`, `input_features`: those that the "
            "model reads) and any of `logits`, `hidden_<l>`, `attn_<l>`, `enc_hidden_<l>`, `enc_attn_<l>`, "
            "`cross_attn_<l>` (see `dump`; examples/reference/make_reference.py writes them with Hugging Face's "
            "transformers), float32 or float64. Prints for each array the largest absolute error, the mean squared error "
            "over the mean square of the reference (nmse), the reference's rms and the gate. Gates: "
            "attention, largest error <= 1e-5; hidden, largest error <= 1e-4 x rms; logits, nmse <= 1e-8. The "
            "exit status is 4 when any array differs. Models with very sharp heads (scores above 20) can miss "
            "the first gate against a reference made on another kind of processor; a hint says so then.",
    .examples = examples, .params = own, .min_args = 0, .max_args = -1,
    .complete = complete, .extra_params = extra,
    .run = run,
};
