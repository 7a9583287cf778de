/* Gated delta-rule layers (Yang et al., arXiv 2412.06464; Qwen3-Next): in place of attention a layer keeps
 * for each value head a matrix that maps keys to values (delta_rule.h).  Its decay is a softplus(alpha +
 * dt_bias), its beta a sigmoid, q sqrt(d_key) and k are unit vectors; q, k and v come from a causal convolution
 * of a few taps along the tokens, each channel by itself.
 *
 * Tokens follow one another; heads and channels are shared out to the threads. */
#include <math.h>
#include <string.h>

#include "compute/kernels.h"
#include "model/delta_rule.h"
#include "model/runtime.h"

enum { CHANNELS = 64, SLICE = 16 };

int64_t delta_net_state(const delta_net *d)
{
    int64_t channels = 2 * (int64_t)d->n_key_head * d->d_key + (int64_t)d->n_value_head * d->d_value;
    return (int64_t)d->n_value_head * d->d_key * d->d_value + channels * (d->conv - 1);
}

typedef struct delta_job {
    const delta_net *d;
    const kernels *k;
    int64_t n, keys, values; /* tokens, channels of q and of k, of v and z */
    int64_t ldk;             /* rows of k hold the token's rates behind the keys */
    float *q, *key, *v, *z, *out;
    float *state;   /* [n_value_head, d_key, d_value], then [conv - 1, 2 keys + values] */
    float *rates;   /* [2, n_value_head, n] beta, decay */
    float *scratch; /* [threads, room] */
    int64_t room;
    bool stepping; /* one token after others */
} delta_job;

/* Inputs of a block of channels. */
typedef struct conv_block {
    float *x;          /* of token 0 */
    float *before;     /* of the token conv - 1 before it */
    const float *taps; /* [channels, conv] */
    int64_t ld, ld_before;
    int n; /* channels */
} conv_block;

static conv_block find_block(const delta_job *j, int64_t item)
{
    int64_t per_key = (j->keys + CHANNELS - 1) / CHANNELS, part = item / per_key < 2 ? item / per_key : 2;
    int64_t first = (item - part * per_key) * CHANNELS, width = part < 2 ? j->keys : j->values;
    int64_t channel = part * j->keys + first;
    float *x[] = {j->q, j->key, j->v};
    return (conv_block){
        .x = x[part] + first,
        .before = j->state + j->d->n_value_head * (int64_t)j->d->d_key * j->d->d_value + channel,
        .taps = j->d->conv_w + channel * j->d->conv,
        .ld = part == 0   ? j->keys
              : part == 1 ? j->ldk
                          : j->values,
        .ld_before = 2 * j->keys + j->values,
        .n = (int)(width - first < CHANNELS ? width - first : CHANNELS),
    };
}

/* Inputs of token t, which may lie before this pass. */
static const float *inputs(const delta_job *j, const conv_block *b, int64_t t)
{
    return t >= 0 ? b->x + t * b->ld : b->before + (t + j->d->conv - 1) * b->ld_before;
}

/* Item: the convolution of some channels, in place, last token first; then what the next pass needs. */
static void convolve(void *ud, int64_t item, int thread)
{
    const delta_job *j = ud;
    (void)thread;
    conv_block b = find_block(j, item);
    int taps = j->d->conv;
    float weights[DELTA_MAX_CONV][CHANNELS], last[DELTA_MAX_CONV][CHANNELS], sum[CHANNELS];
    for (int i = 0; i < taps; i++)
        for (int c = 0; c < b.n; c++)
            weights[i][c] = b.taps[c * taps + i];
    for (int i = 0; i < taps - 1; i++)
        memcpy(last[i], inputs(j, &b, j->n - (taps - 1) + i), (size_t)b.n * sizeof *sum);
    for (int64_t t = j->n - 1; t >= 0; t--) {
        memset(sum, 0, sizeof sum);
        for (int i = 0; i < taps; i++) {
            const float *x = inputs(j, &b, t - (taps - 1) + i);
            for (int c = 0; c < b.n; c++) /* fused, as in the reference: the product is exact in double */
                sum[c] = (float)((double)weights[i][c] * x[c] + sum[c]);
        }
        j->k->silu(sum, b.n);
        memcpy(b.x + t * b.ld, sum, (size_t)b.n * sizeof *sum);
    }
    for (int i = 0; i < taps - 1; i++)
        memcpy(b.before + i * b.ld_before, last[i], (size_t)b.n * sizeof *sum);
}

static void unit(const kernels *k, float *x, int n)
{
    k->scale(x, 1 / sqrtf(k->sum_squares(x, n) + 1e-6f), n);
}

/* Item: some tokens' q and k to their lengths. */
static void normalise(void *ud, int64_t item, int thread)
{
    const delta_job *j = ud;
    (void)thread;
    int d = j->d->d_key;
    float length = 1 / sqrtf((float)d);
    for (int64_t t = item * SLICE; t < j->n && t < (item + 1) * SLICE; t++)
        for (int h = 0; h < j->d->n_key_head; h++) {
            unit(j->k, j->q + t * j->keys + (int64_t)h * d, d);
            j->k->scale(j->q + t * j->keys + (int64_t)h * d, length, d);
            unit(j->k, j->key + t * j->ldk + (int64_t)h * d, d);
        }
}

/* Item: one value head's beta and decay of all tokens. */
static void make_rates(void *ud, int64_t item, int thread)
{
    const delta_job *j = ud;
    const delta_net *d = j->d;
    (void)thread;
    int64_t heads = d->n_value_head, group = heads / d->n_key_head;
    const float *token = j->key + j->keys + item / group * 2 * group + item % group;
    float *beta = j->rates + item * j->n, *decay = beta + heads * j->n;
    for (int64_t t = 0; t < j->n; t++, token += j->ldk) {
        beta[t] = token[0];
        decay[t] = token[group] + d->dt_bias[item];
    }
    j->k->sigmoid(beta, j->n);
    j->k->softplus(decay, j->n);
    j->k->scale(decay, d->a[item], j->n);
}

/* Item: one value head through all tokens. */
static void recur(void *ud, int64_t item, int thread)
{
    const delta_job *j = ud;
    const delta_net *d = j->d;
    int64_t heads = d->n_value_head, key_head = item / (heads / d->n_key_head), n = d->d_value;
    delta_head h = {.k = j->k,
                    .d_key = d->d_key,
                    .d_value = d->d_value,
                    .n = j->n,
                    .query = j->q + key_head * d->d_key,
                    .key = j->key + key_head * d->d_key,
                    .value = j->v + item * n,
                    .ldq = j->keys,
                    .ldk = j->ldk,
                    .ldv = j->values,
                    .beta = j->rates + item * j->n,
                    .decay = j->rates + (heads + item) * j->n,
                    .out = j->out + item * n,
                    .state = j->state + item * d->d_key * n,
                    .scratch = j->scratch + thread * j->room};
    if (j->stepping)
        delta_rule_steps(&h);
    else
        delta_rule_chunks(&h);
    for (int64_t t = 0; t < j->n; t++) {
        float *out = h.out + t * j->values, *z = j->z + t * j->values + item * n;
        j->k->rms_norm(out, out, d->out_norm.w, n, d->out_norm.eps);
        j->k->silu(z, n);
        j->k->mul(out, z, n);
    }
}

static void project(pass *a, const model_layer *y, const delta_job *j)
{
    const delta_net *d = j->d;
    runtime *r = a->r;
    int64_t width = a->s->width;
    for (int64_t row = 0; row < a->n; row += RUNTIME_ROWS) {
        int64_t rows = a->n - row < RUNTIME_ROWS ? a->n - row : RUNTIME_ROWS;
        const float *in = sublayer_input(a, &y->at_self, row, rows);
        float *key = j->key + row * j->ldk;
        const gemm_map maps[] = {{&d->q, j->q + row * j->keys, j->keys}, {&d->k, key, j->ldk},
                                 {&d->rates, key + j->keys, j->ldk}, {&d->v, j->v + row * j->values, j->values}};
        rows_maps(r, maps, 4, in, width, rows, a->decoding);
        rows_linear(r, j->z + row * j->values, j->values, in, width, rows, &d->z, a->decoding);
    }
}

/* Where the state is kept between calls, or for this one alone. */
static int find_state(pass *a, const delta_net *d, int layer, float **out, err *e)
{
    runtime *r = a->r;
    if (a->cache) {
        *out = a->cache[layer].state;
        return 0;
    }
    int64_t n = delta_net_state(d);
    int rc = runtime_room(r, BUF_STATE, 1, n, e);
    if (rc)
        return rc;
    *out = r->buf[BUF_STATE];
    memset(*out, 0, (size_t)n * sizeof **out);
    return 0;
}

int delta_net_rows(pass *a, int layer, err *e)
{
    const model_layer *y = &a->s->layers[layer];
    const delta_net *d = y->delta;
    runtime *r = a->r;
    int64_t keys = (int64_t)d->n_key_head * d->d_key, values = (int64_t)d->n_value_head * d->d_value;
    delta_job j = {.d = d,
                   .k = kernels_get(),
                   .n = a->n,
                   .keys = keys,
                   .values = values,
                   .ldk = keys + 2 * d->n_value_head,
                   .q = r->buf[BUF_Q],
                   .key = r->buf[BUF_K],
                   .v = r->buf[BUF_V],
                   .z = r->buf[BUF_GATES],
                   .out = runtime_heads(r),
                   .room = delta_rule_scratch(d->d_key, d->d_value),
                   .stepping = a->pos0 > 0 && a->n == 1};
    int rc = find_state(a, d, layer, &j.state, e);
    if (rc || (rc = runtime_room(r, BUF_DELTA, runtime_threads(r), j.room, e)) ||
        (rc = runtime_room(r, BUF_RATES, 2 * d->n_value_head, a->n, e)))
        return rc;
    j.scratch = r->buf[BUF_DELTA];
    j.rates = r->buf[BUF_RATES];
    project(a, y, &j);
    pool_run(r->pool, 2 * ((keys + CHANNELS - 1) / CHANNELS) + (values + CHANNELS - 1) / CHANNELS, convolve,
             &j);
    pool_run(r->pool, (a->n + SLICE - 1) / SLICE, normalise, &j);
    pool_run(r->pool, d->n_value_head, make_rates, &j);
    pool_run(r->pool, d->n_value_head, recur, &j);
    return 0;
}
