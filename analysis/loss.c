#include "analysis/loss.h"

#include <math.h>
#include <stdlib.h>
#include "base/cancel.h"
#include "base/mem.h"

int loss_check(const model *m, err *e)
{
    if (m->main->kind == ATTN_SELF && m->vocab > 0)
        return 0;
    err_set(e, ERR_USAGE, "%s predicts no next token: there is no loss to measure", m->name);
    return err_hint(e, "only causal language models and encoder-decoders with an output head have one");
}

/* What one row of logits says of its token. */
typedef struct row_loss { double nll, entropy; bool right, counts; } row_loss;

typedef struct reader {
    const model *m;
    const model_input *in;
    pool *pool;
    row_loss *row;         /* [n] by predicted position */
    /* of the block of logits at hand */
    int64_t pos0, vocab;
    const float *logits;
} reader;

/* Entropy from sums: H = ln Z - sum z e^z / Z, with z from the largest logit. */
static void read_row(void *ud, int64_t item, int thread)
{
    reader *r = ud;
    int64_t at = r->pos0 + item + 1;
    const float *z = r->logits + item * r->vocab;
    (void)thread;
    if (at >= r->in->n || r->in->ids[at] == r->m->image_token)
        return;
    int64_t best = 0;
    for (int64_t v = 1; v < r->vocab; v++)
        best = z[v] > z[best] ? v : best;
    double sum = 0, weighted = 0;
    for (int64_t v = 0; v < r->vocab; v++) {
        double d = (double)z[v] - (double)z[best], x = exp(d);
        sum += x;
        weighted += x > 0 ? d * x : 0;
    }
    int32_t target = r->in->ids[at];
    r->row[at] = (row_loss){.nll = log(sum) - ((double)z[target] - (double)z[best]), .entropy = log(sum) - weighted / sum,
                            .right = best == target, .counts = true};
}

static int read_logits(void *ud, int64_t pos0, const float *logits, int64_t n, int64_t vocab, err *e)
{
    reader *r = ud;
    r->pos0 = pos0;
    r->logits = logits;
    r->vocab = vocab;
    pool_run(r->pool, n, read_row, r);
    return cancel_check(e);
}

static int add_rows(loss *out, double *each, const reader *r, err *e)
{
    double nll = 0, entropy = 0;
    int64_t right = 0, n = 0;
    for (int64_t i = 0; i < r->in->n; i++) {
        const row_loss *row = &r->row[i];
        if (!isfinite(row->nll) || !isfinite(row->entropy)) {
            err_set(e, ERR_FAILED, "the loss is not finite at position %lld", (long long)i);
            return err_hint(e, "the weights hold NaN or infinity, or activations overflow; see `tensors` and `verify`");
        }
        if (each)
            each[i] = row->nll;
        nll += row->nll;
        entropy += row->entropy;
        right += row->right;
        n += row->counts;
    }
    if (n == 0) {
        err_set(e, ERR_USAGE, "the text has no token to predict");
        return err_hint(e, "give at least two tokens");
    }
    *out = (loss){n, nll / (double)n, (double)right / (double)n, entropy / (double)n};
    return 0;
}

int loss_measure(loss *out, double *each, runtime *r, const model *m, const model_input *in, const progress *p, err *e)
{
    int rc = loss_check(m, e);
    if (rc)
        return rc;
    if (in->n < 2) {
        err_set(e, ERR_USAGE, "a text of %lld token%s has no next token to predict", (long long)in->n, in->n == 1 ? "" : "s");
        return err_hint(e, "give at least two tokens");
    }
    reader read = {.m = m, .in = in, .pool = runtime_pool(r)};
    const observer watch = {.logits = read_logits, .ud = &read};
    if (!(read.row = mem_array((size_t)in->n, sizeof *read.row, e)))
        return ERR_RESOURCE;
    rc = forward(r, in, &watch, p, e);
    if (!rc)
        rc = add_rows(out, each, &read, e);
    free(read.row);
    return rc;
}

int32_t largest_logit(const float *z, int64_t n)
{
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
        best = z[i] > z[best] ? i : best;
    return (int32_t)best;
}

int greedy_continue(int32_t *out, int64_t *made, runtime *r, const model *m, const model_input *input, const int32_t *ids,
                    int64_t n, int64_t steps, err *e)
{
    decoder *d;
    const float *logits;
    int64_t room = m->main->context - n;
    *made = 0;
    if (steps > room)
        steps = room;
    if (steps < 1) {
        err_set(e, ERR_USAGE, "a prompt of %lld tokens leaves no room to go on (context of %lld)", (long long)n,
                (long long)m->main->context);
        return err_hint(e, "shorten it");
    }
    int rc = decoder_new(&d, r, input, n + steps, e);
    if (rc)
        return rc;
    rc = decoder_feed(d, ids, n, &logits, NULL, e);
    while (!rc && *made < steps) {
        out[(*made)++] = largest_logit(logits, m->vocab);
        rc = *made < steps ? decoder_feed(d, &out[*made - 1], 1, &logits, NULL, e) : 0;
    }
    decoder_free(d);
    return rc;
}
