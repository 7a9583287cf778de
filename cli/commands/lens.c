/* lens: what the model would say between its layers. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/lens.h"
#include "base/mem.h"
#include "base/cancel.h"
#include "cli/builtin_prompts.h"
#include "cli/chat_input.h"
#include "cli/command_util.h"
#include "cli/output.h"
#include "cli/prompt_input.h"

typedef struct lens_row {
    int layer;
    int64_t position;
    int32_t *id;        /* [top] */
    double *p;          /* [top] */
} lens_row;

/* One prompt at a time. */
typedef struct job {
    session *s;
    const command_args *a;
    loaded_model *lm;
    int64_t prompt;
    prompt_input in;
    lens *l;
    int64_t top, n_row, n_cut;  /* n_cut: tokens of all prompts that were left out */
    lens_row *rows;
} job;

static const param *const *extra(void)
{
    static const param *tables[8];
    tables[0] = prompt_params;
    tables[1] = prompts_params;
    tables[2] = builtin_params;
    tables[3] = chat_params;
    tables[4] = precision_params;
    tables[5] = config_params;
    tables[6] = tokenizer_params;
    return tables;
}

static int on_hidden(void *ud, attn_kind kind, int layer, const float *x, int64_t n, int64_t width, err *e)
{
    const job *j = ud;
    (void)n;
    return kind == j->lm->m->main->kind ? lens_keep(j->l, layer, x, width, e) : 0;
}

/* The most probable tokens, in order; of equal ones the lower id. */
static int on_row(void *ud, int layer, int64_t position, const float *z, const float *final, err *e)
{
    job *j = ud;
    int64_t vocab = j->lm->m->vocab, n = 0;
    lens_row *r = &j->rows[j->n_row];
    (void)final;
    *r = (lens_row){layer, position, mem_array((size_t)j->top, sizeof *r->id, e),
                    mem_array((size_t)j->top, sizeof *r->p, e)};
    j->n_row++;
    if (!r->id || !r->p)
        return ERR_RESOURCE;
    for (int64_t v = 0; v < vocab; v++) {
        int64_t at = n < j->top ? n : j->top;
        while (at > 0 && z[v] > z[r->id[at - 1]])
            at--;
        if (at == j->top)
            continue;
        n += n < j->top;
        for (int64_t i = n - 1; i > at; i--)
            r->id[i] = r->id[i - 1];
        r->id[at] = (int32_t)v;
    }
    double all = log_sum_exp(z, vocab);
    for (int64_t i = 0; i < j->top; i++)
        r->p[i] = exp((double)z[r->id[i]] - all);
    return 0;
}

static void put_token(strbuf *b, const job *j, int32_t id)
{
    token_text t = {NULL, 0};
    if (j->lm->tok)
        t = tokenizer_text(j->lm->tok, id);
    if (t.len)
        strbuf_put_visible(b, t.s, t.len);
    else
        strbuf_printf(b, "#%d", id);
}

static int measure(job *j, err *e)
{
    const model *m = j->lm->m;
    int64_t n = j->in.in.n, most = params_int(j->a->p, "last");
    double *chosen = mem_array((size_t)n, sizeof *chosen, e);
    if (!chosen)
        return ERR_RESOURCE;
    for (int64_t i = 0; i < n; i++)
        chosen[i] = most == 0 || i >= n - most;
    int rc = lens_new(&j->l, m->main->n_run, chosen, n, e);
    free(chosen);
    const observer o = {.hidden = on_hidden, .ud = j};
    if (!rc)
        rc = forward(j->lm->rt, &j->in.in, &o, &j->s->prog, e);
    if (rc)
        return rc;
    j->rows = mem_array((size_t)(j->l->n * (m->main->n_run + 1)), sizeof *j->rows, e);
    return j->rows ? lens_each(j->l, j->lm->rt, m, on_row, j, &j->s->prog, e) : ERR_RESOURCE;
}

static int text_cell(table *t, cell *c, strbuf *b, err *e)
{
    int rc = table_text(t, c, strbuf_str(b), b->len, e);
    strbuf_clear(b);
    return rc;
}

/* A row for each layer, a column for each position. */
static int grid(table **out, const job *j, err *e)
{
    int64_t n = j->l->n;
    int n_layer = j->l->n_layer, rc = 0;
    strbuf b = {0};
    char **names = mem_array((size_t)n + 1, sizeof *names, e);
    if (!names)
        return ERR_RESOURCE;
    names[0] = mem_strdup("layer", e);
    rc = names[0] ? 0 : ERR_RESOURCE;
    for (int64_t i = 0; i < n && !rc; i++) {
        strbuf_printf(&b, "%lld ", (long long)j->l->position[i]);
        put_token(&b, j, j->in.in.ids[j->l->position[i]]);
        names[i + 1] = mem_strdup(strbuf_str(&b), e);
        strbuf_clear(&b);
        rc = names[i + 1] ? 0 : ERR_RESOURCE;
    }
    if (!rc)
        rc = table_new(out, (int)n + 1, (const char *const *)names, e);
    for (int l = 0; l <= n_layer && !rc; l++) {
        cell *c = table_row(*out, e);
        rc = c ? 0 : ERR_RESOURCE;
        if (!rc)
            c[0] = cell_int(l);
        for (int64_t k = 0; k < j->n_row && !rc; k++) {
            const lens_row *r = &j->rows[k];
            if (r->layer != l)
                continue;
            int64_t col = 0;
            while (j->l->position[col] != r->position)
                col++;
            put_token(&b, j, r->id[0]);
            strbuf_printf(&b, " %.2f", r->p[0]);
            rc = text_cell(*out, &c[col + 1], &b, e);
        }
    }
    for (int64_t i = 0; i <= n; i++)
        free(names[i]);
    free(names);
    strbuf_free(&b);
    return rc;
}

/* A row for each layer, position and token, behind those of other prompts. */
static int list(table *t, const job *j, err *e)
{
    strbuf b = {0};
    int rc = 0;
    for (int64_t k = 0; k < j->n_row && !rc; k++)
        for (int64_t i = 0; i < j->top && !rc; i++) {
            const lens_row *r = &j->rows[k];
            cell *c = table_row(t, e);
            if (!c) {
                rc = ERR_RESOURCE;
                break;
            }
            c[0] = cell_int(j->prompt);
            c[1] = cell_int(r->layer);
            c[2] = cell_int(r->position);
            put_token(&b, j, j->in.in.ids[r->position]);
            rc = text_cell(t, &c[3], &b, e);
            c[4] = cell_int(i);
            c[5] = cell_int(r->id[i]);
            put_token(&b, j, r->id[i]);
            if (!rc)
                rc = text_cell(t, &c[6], &b, e);
            c[7] = cell_real(r->p[i]);
        }
    strbuf_free(&b);
    return rc;
}

/* "prompt 3, stories.jsonl:4" above the grid of one of several. */
static int print_grid(const job *j, const prompt_request *q, bool several, err *e)
{
    table *t = NULL;
    strbuf b = {0};
    int rc = 0;
    if (several) {
        const char *name = q->label ? q->label : q->where;
        strbuf_printf(&b, "%sprompt %" PRId64, j->prompt ? "\n" : "", j->prompt);
        strbuf_puts(&b, *name ? ", " : "");
        strbuf_put_visible(&b, name, strlen(name));
        strbuf_putc(&b, '\n');
        rc = output_prose(j->s, &b, e);
        strbuf_free(&b);
    }
    if (!rc)
        rc = grid(&t, j, e);
    if (!rc)
        rc = print_table(j->s, j->a, t, "attnscope.lens/1", e);
    table_free(t);
    return rc;
}

static void forget(job *j)
{
    for (int64_t i = 0; i < j->n_row; i++) {
        free(j->rows[i].id);
        free(j->rows[i].p);
    }
    free(j->rows);
    lens_free(j->l);
    prompt_free(&j->in);
    j->rows = NULL;
    j->l = NULL;
    j->n_row = 0;
}

/* rows: where they go; NULL: a grid is printed. */
static int one_prompt(job *j, const prompt_request *q, bool several, table *rows, err *e)
{
    const prompt_rules rules = prompt_rules_for(j->a->p, j->lm);
    int rc = cancel_check(e);
    if (!rc)
        rc = prompt_make_chat(&j->in, j->lm, q, &rules, j->a->p, e);
    if (rc && q->where[0])
        err_prefix(e, "%s", q->where);
    if (!rc)
        rc = measure(j, e);
    j->n_cut += rc ? 0 : j->in.n_cut;
    if (!rc)
        rc = rows ? list(rows, j, e) : print_grid(j, q, several, e);
    forget(j);
    return rc;
}

static int run(session *s, const command_args *a, err *e)
{
    static const char *const columns[] = {"prompt", "layer", "position", "token", "rank", "predicted_id",
                                          "predicted",
                                          "probability"};
    job j = {.s = s, .a = a};
    prompt_request *request = NULL;
    int64_t n = 0;
    table *rows = NULL;
    int rc = choose_model(s, a, true, &j.lm, e);
    if (!rc && (!j.lm->m->head.unembedding.data || j.lm->m->main->kind != ATTN_SELF)) {
        rc = err_set(e, ERR_USAGE, "%s does not predict the next token", j.lm->m->name);
        err_hint(e, "the lens reads decoders");
    }
    if (!rc)
        rc = prompt_requests_chosen(&request, &n, a->p, false, e);
    if (!rc) {
        j.top = params_int(a->p, "top");
        j.top = j.top < j.lm->m->vocab ? j.top : j.lm->m->vocab;
    }
    if (!rc && (command_format(s, a) != FORMAT_TABLE || j.top > 1))
        rc = table_new(&rows, sizeof columns / sizeof *columns, columns, e);
    for (j.prompt = 0; j.prompt < n && !rc; j.prompt++)
        rc = one_prompt(&j, &request[j.prompt], n > 1, rows, e);
    if (!rc && rows)
        rc = print_table(s, a, rows, "attnscope.lens/1", e);
    if (!rc && j.n_cut)
        say(s, "truncated: the last %" PRId64 " tokens were left out", j.n_cut);
    table_free(rows);
    prompt_requests_free(request, n);
    return rc;
}

static const param own[] = {
    {.name = "last", .kind = PARAM_INT, .def = "6", .value = "N", .max = 1e9,
     .help = "how many of the last positions are shown; 0: all"},
    {.name = "top", .kind = PARAM_INT, .def = "1", .value = "K", .min = 1, .max = 1000,
     .help = "how many tokens of each prediction; more than one gives a row for each"},
    {.name = NULL},
};
static const char *const examples[] = {
    "lens examples/models/lantern-3m --prompt \"It was a dark night\"", "the prediction after each layer, by"
                                                                        " position",
    "lens examples/models/lantern-3m --prompt \"It was a dark night\" --last 1 --top 5",
    "five candidates after each layer at the last position",
    "lens examples/models/lantern-3m --prompts stories.txt --last 1 --csv", "the last position of every"
                                                                            " prompt of a file",
    NULL,
};
static const char *const complete[] = {"models", NULL};

const command command_lens = {
    .name = "lens", .group = "measure", .usage = "[MODEL] --prompt TEXT",
    .summary = "what the model would say between its layers (logit lens)",
    .help = "The stream before each layer, and behind the last, through the final norm and the unembedding:"
            " the most "
            "probable next token and its probability, as if the layers above were not there. Layer 0 is the"
            " embedding, the "
            "last row the model's own prediction. Of the prompts of a file each has a table of its own;"
            " --csv, --json and --top "
            "above 1 give rows, with the index of the prompt. Nothing is stored; the metrics logit_lens,"
            " logit_lens_rank, logit_lens_entropy and logit_lens_kl of `run` are.",
    .examples = examples, .params = own, .min_args = 0, .max_args = 1,
    .complete = complete, .extra_params = extra, .run = run,
};
