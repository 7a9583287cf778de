/* Buffers of a run. */
#include "model/runtime.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "base/mem.h"
#include "compute/kernels.h"
#include "model/rope.h"

int runtime_room(runtime *r, buffer b, int64_t rows, int64_t cols, err *e)
{
    size_t n, bytes;
    if (!size_mul(&n, (size_t)rows, (size_t)cols) || !size_mul(&bytes, n, sizeof(float)))
        return err_nomem(e, "activations");
    if (n <= r->room[b] && r->buf[b])
        return 0;
    mem_free_large(r->buf[b]);
    r->room[b] = 0;
    r->buf[b] = mem_large(bytes ? bytes : 64, e);
    if (!r->buf[b])
        return ERR_RESOURCE;
    r->room[b] = n;
    return 0;
}

void runtime_swap(runtime *r, buffer a, buffer b)
{
    float *data = r->buf[a];
    size_t room = r->room[a];
    r->buf[a] = r->buf[b];
    r->room[a] = r->room[b];
    r->buf[b] = data;
    r->room[b] = room;
}

int64_t runtime_logit_rows(const model *m)
{
    int64_t rows = m->vocab > 0 ? (1 << 23) / m->vocab / 4 : 1;
    return rows < 1 ? 1 : rows > RUNTIME_ROWS ? RUNTIME_ROWS : rows;
}

static int64_t max64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Widest rows of a stack's buffers. */
typedef struct widths {
    int64_t q, k, v, heads, gates, low, nope, router, used, embedded, input, heads_count;
    int64_t packed;          /* keys and values as operands of attention: lines of a head filled up to whole blocks */
    int64_t line;            /* a key and a value of one head, likewise */
    bool moe, parallel;
    bool in_place;           /* outputs of heads fit the places of their queries, in every layer */
} widths;

static int64_t whole_blocks(int64_t n)
{
    return tile_blocks(n) * TILE_BLOCK;
}

static void widen(widths *w, const stack *s, const attention_block *b, int64_t source)
{
    const attn_plan *p = &b->plan;
    w->q = max64(w->q, (int64_t)p->n_head * p->d_qk);
    w->k = max64(w->k, (int64_t)p->n_kv_head * p->d_qk);
    w->v = max64(w->v, (int64_t)p->n_kv_head * p->d_v);
    w->line = max64(w->line, whole_blocks(p->d_qk) + whole_blocks(p->d_v));
    w->packed = max64(w->packed, p->n_kv_head * (whole_blocks(p->d_qk) + whole_blocks(p->d_v)));
    w->heads = max64(w->heads, (int64_t)p->n_head * p->d_v);
    w->heads_count = max64(w->heads_count, p->n_head);
    w->in_place &= p->d_qk == p->d_v && !b->gate.data;
    if (b->gate.data)
        w->gates = w->heads;
    if (b->mla) {
        w->low = max64(w->low, max64(b->mla->q_down.data ? b->mla->q_down.n_out : 0, b->mla->kv_rank + b->mla->d_rope));
        w->nope = max64(w->nope, (int64_t)p->n_head * b->mla->d_nope);
    }
    w->input = max64(w->input, max64(max64(s->width, source), max64(w->heads, w->low)));
}

static widths widest(const model *m, const stack *s)
{
    widths w = {.embedded = s->width, .input = s->width, .in_place = true};
    for (int l = 0; l < s->n_layer; l++) {
        const model_layer *y = &s->layers[l];
        if (y->delta) {
            const delta_net *d = y->delta;
            int64_t values = (int64_t)d->n_value_head * d->d_value;
            w.q = max64(w.q, (int64_t)d->n_key_head * d->d_key);
            w.k = max64(w.k, (int64_t)d->n_key_head * d->d_key + 2 * d->n_value_head);
            w.v = max64(w.v, values);
            w.packed = max64(w.packed, w.k + w.v);
            w.heads = max64(w.heads, values);
            w.gates = max64(w.gates, values);
            w.in_place = false;
        } else {
            widen(&w, s, &y->self, 0);
        }
        if (y->has_cross)
            widen(&w, s, &y->cross, m->encoder->width);
        if (y->moe) {
            w.moe = true;
            w.router = max64(w.router, 2 * (int64_t)y->moe->n_expert);
            w.used = max64(w.used, y->moe->n_used);
        }
        w.parallel |= y->parallel;
    }
    if (w.gates)
        w.gates = w.heads; /* the two change places */
    if (s->embed.kind == EMBED_TOKENS)
        w.embedded = max64(w.embedded, s->embed.tokens.n_in);
    w.input = max64(max64(w.input, max64(w.heads, w.embedded)), s->ffn);
    return w;
}

/* The widest input of any product in the model. */
static int64_t largest_input(const model *m)
{
    const stack *stacks[MODEL_MAX_STACKS];
    int n = model_stacks(m, stacks);
    int64_t k = 0;
    for (int i = 0; i < n; i++) {
        const embedding *b = &stacks[i]->embed;
        k = max64(k, widest(m, stacks[i]).input);
        if (b->kind == EMBED_PATCHES)
            k = max64(k, b->patch_proj.n_in);
        if (b->kind == EMBED_AUDIO)
            k = max64(k, max64(b->conv1.n_in, b->conv2.n_in));
    }
    return max64(k, m->head.unembedding.n_in);
}

int runtime_new(runtime **out, const model *m, int threads, precision prec, err *e)
{
    runtime *r = mem_array(1, sizeof *r, e);
    int rc = ERR_RESOURCE;
    if (!r)
        return rc;
    r->m = m;
    r->prec = prec;
    r->cos = mem_array((size_t)m->n_rope, sizeof *r->cos, e);
    r->sin = mem_array((size_t)m->n_rope, sizeof *r->sin, e);
    if (!r->cos || !r->sin || (rc = pool_new(&r->pool, threads, e)) || (rc = gemm_scratch_new(&r->gemm, r->pool, e)) ||
        (rc = attn_scratch_new(&r->attn, r->pool, e)) ||
        (rc = gemm_scratch_reserve(r->gemm, RUNTIME_ROWS, largest_input(m), e))) {
        runtime_free(r);
        return rc;
    }
    *out = r;
    return 0;
}

void runtime_free(runtime *r)
{
    if (!r)
        return;
    for (int i = 0; i < BUF_COUNT; i++)
        mem_free_large(r->buf[i]);
    for (int i = 0; r->cos && r->sin && i < r->m->n_rope; i++) {
        mem_free_large(r->cos[i]);
        mem_free_large(r->sin[i]);
    }
    free(r->chosen);
    free(r->cos);
    free(r->sin);
    attn_scratch_free(r->attn);
    gemm_scratch_free(r->gemm);
    pool_free(r->pool);
    free(r);
}

int runtime_threads(const runtime *r)
{
    return pool_threads(r->pool);
}

pool *runtime_pool(const runtime *r)
{
    return r->pool;
}

void runtime_set_edits(runtime *r, const forward_edits *edits)
{
    r->edits = edits;
}

int runtime_attention(runtime *r, const attn_args *args, const attn_tap *tap, err *e)
{
    attn_args a = *args;
    a.out = NULL;
    a.edit = NULL;
    return attention(r->attn, &a, tap, e);
}

int runtime_attention_panels(runtime *r, const attn_args *of, int n, void (*block)(void *ud, const attn_panels *p),
                             void *ud, err *e)
{
    return attention_panels(r->attn, of, n, block, ud, e);
}

int runtime_linear(runtime *r, float *y, int64_t ldy, const float *x, int64_t ldx, int64_t rows, const weight *w, err *e)
{
    int rc = gemm_scratch_reserve(r->gemm, RUNTIME_ROWS, w->n_in, e);
    for (int64_t row = 0; row < rows && !rc; row += RUNTIME_ROWS) {
        int64_t n = rows - row < RUNTIME_ROWS ? rows - row : RUNTIME_ROWS;
        rows_linear(r, y + row * ldy, ldy, x + row * ldx, ldx, n, w, false);
    }
    return rc;
}

int runtime_unembed(runtime *r, const float *x, int64_t rows, float *logits, err *e)
{
    const model *m = r->m;
    int64_t width = m->main->width, inner = m->head.transform.n_out;
    if (!m->head.unembedding.data)
        return err_set(e, ERR_USAGE, "%s gives no logits", m->name);
    inner = inner > m->head.project.n_out ? inner : m->head.project.n_out;
    int rc = runtime_room(r, BUF_NORMED, RUNTIME_ROWS, width, e);
    if (!rc && inner)
        rc = runtime_room(r, BUF_ADDED, RUNTIME_ROWS, inner > width ? inner : width, e);
    for (int64_t row = 0; row < rows && !rc; row += RUNTIME_ROWS) {
        int64_t n = rows - row < RUNTIME_ROWS ? rows - row : RUNTIME_ROWS;
        run_logits(r, x + row * width, n, logits + row * m->vocab, false);
    }
    return rc ? rc : cancel_check(e);
}

/* sin(r) for |r| <= pi/2 by the odd polynomial of degree 9 with the least relative error (6e-9).  Rounded to
 * float32 it gives, entry for entry, the tables of the reference implementation that were compared; correctly
 * rounded values differ from those in one entry of a dozen, by an ulp, and sharp heads show that. */
static double sine_core(double r)
{
    double s = r * r;
    double p = ((2.6057805813459353e-06 * s - 1.9809602877744937e-04) * s + 8.33306624577357e-03) * s -
               1.6666659550416696e-01;
    return r + r * s * p;
}

static float sine(float angle)
{
    double q = rint((double)angle / M_PI), y = sine_core((double)angle - q * M_PI);
    return (float)(fmod(q, 2) != 0 ? -y : y);
}

static float cosine(float angle)
{
    double q = rint((double)angle / M_PI - 0.5), y = sine_core((double)angle - (q + 0.5) * M_PI);
    return (float)(fmod(q, 2) != 0 ? y : -y);
}

static int rope_table(float **table, int64_t rows, int64_t cols, err *e)
{
    size_t n, bytes;
    if (!size_mul(&n, (size_t)rows, (size_t)cols) || !size_mul(&bytes, n, sizeof(float)))
        return err_nomem(e, "position tables");
    mem_free_large(*table);
    *table = mem_large(bytes ? bytes : 64, e);
    return *table ? 0 : ERR_RESOURCE;
}

/* Tables for positions below `rows`, for sequences of `length` tokens.  Angles are rounded to float32 before cosine
 * and sine, as in the reference implementation. */
static int make_rope(runtime *r, int64_t rows, int64_t length, err *e)
{
    bool same = rows <= r->rope_rows;
    int rc;
    for (int i = 0; i < r->m->n_rope && same; i++)
        same = rope_same_frequencies(&r->m->ropes[i], r->rope_length, length);
    r->rope_length = length;
    if (same)
        return 0;
    r->rope_rows = 0; /* until every table has its new size */
    for (int i = 0; i < r->m->n_rope; i++) {
        const rope_plan *p = &r->m->ropes[i];
        int half = p->dim / 2;
        float *frequency = mem_array((size_t)half, sizeof *frequency, e);
        if (!frequency)
            return ERR_RESOURCE;
        if ((rc = rope_table(&r->cos[i], rows, half, e)) || (rc = rope_table(&r->sin[i], rows, half, e))) {
            free(frequency);
            return rc;
        }
        rope_frequencies(frequency, p, length);
        for (int64_t t = 0; t < rows; t++)
            for (int j = 0; j < half; j++) {
                float angle = (float)(r->ring ? sequence_position(attn_ring_split(r->ring), t) : t) * frequency[j];
                r->cos[i][t * half + j] = cosine(angle) * (float)p->magnitude;
                r->sin[i][t * half + j] = sine(angle) * (float)p->magnitude;
            }
        free(frequency);
    }
    r->rope_rows = rows;
    return 0;
}

static int reserve_experts(runtime *r, const widths *w, int64_t rows, int64_t width, err *e)
{
    int rc;
    if (!w->moe)
        return 0;
    size_t n = (size_t)rows * (size_t)w->used;
    if (n > r->chosen_room) {
        int *more = mem_grow(r->chosen, n, sizeof *more, e);
        if (!more)
            return ERR_RESOURCE;
        r->chosen = more;
        r->chosen_room = n;
    }
    if ((rc = runtime_room(r, BUF_ROUTER, rows, w->router, e)) || (rc = runtime_room(r, BUF_EXPERT, rows, width, e)))
        return rc;
    return runtime_room(r, BUF_EXPERT_2, rows, width, e);
}

int runtime_reserve(runtime *r, const stack *s, int64_t n, int64_t n_key, int64_t positions, err *e)
{
    widths w = widest(r->m, s);
    int64_t rows = n < RUNTIME_ROWS ? n : RUNTIME_ROWS, keys = max64(n, r->n_source);
    r->in_place = w.in_place && !r->ring; /* a ring reads the queries again for every stretch of keys */
    int rc = make_rope(r, positions, n_key, e);
    if (rc || (rc = runtime_room(r, BUF_X, n, s->width, e)) || (rc = runtime_room(r, BUF_Q, n, w.q, e)) ||
        (rc = runtime_room(r, BUF_K, keys, w.k, e)) || (rc = runtime_room(r, BUF_V, keys, w.v, e)) ||
        (rc = runtime_room(r, BUF_HEADS, n, r->in_place ? 0 : w.heads, e)) ||
        (rc = runtime_room(r, BUF_NORMED, rows, w.embedded, e)) ||
        (rc = runtime_room(r, BUF_ADDED, rows, s->width, e)) || (rc = runtime_room(r, BUF_INNER, rows, s->ffn, e)) ||
        (rc = runtime_room(r, BUF_UP, rows, s->ffn, e)) ||
        (rc = runtime_room(r, BUF_ROW, runtime_threads(r), w.embedded, e)) ||
        (rc = reserve_experts(r, &w, rows, s->width, e)))
        return rc;
    if ((w.gates && (rc = runtime_room(r, BUF_GATES, n, w.gates, e))) ||
        (w.parallel && (rc = runtime_room(r, BUF_ADDED_2, rows, s->width, e))) ||
        (w.low && ((rc = runtime_room(r, BUF_LOW, rows, w.low, e)) || (rc = runtime_room(r, BUF_LOW_2, rows, w.nope, e)))) ||
        (s->alibi_slopes && (rc = runtime_room(r, BUF_KEY_BIAS, w.heads_count, n_key, e))) ||
        (s->rel_table && (rc = runtime_room(r, BUF_REL_BIAS, w.heads_count, n + n_key - 1, e))))
        return rc;
    return 0;
}

int runtime_reserve_logits(runtime *r, err *e)
{
    return runtime_room(r, BUF_LOGITS, runtime_logit_rows(r->m), r->m->vocab, e);
}

/* Floats of a stack's pass over n tokens, keys: those of cross attention. */
static forward_bytes stack_floats(const model *m, const stack *s, double n, double keys, int threads)
{
    widths w = widest(m, s);
    double rows = n < RUNTIME_ROWS ? n : RUNTIME_ROWS, all = n > keys ? n : keys;
    const int64_t outputs = w.in_place ? 0 : w.heads;
    forward_bytes f = {.activations = n * (double)(s->width + w.q + outputs + w.gates) + all * (double)(w.k + w.v)};
    f.activations += rows * (double)(w.embedded + (w.parallel ? 2 : 1) * s->width + 2 * s->ffn + w.low + w.nope);
    f.activations += threads * (double)w.embedded;
    if (w.moe)
        f.activations += rows * (double)(w.router + 2 * s->width);
    if (s->alibi_slopes || s->rel_table)
        f.activations += 3 * n * (double)w.heads_count;
    /* Tiles take two bytes for each term of an operand; a thread has scores of a block of queries, these, and their output. */
    const double packed = kernels_get()->tiles->split ? TILE_TERMS / 2.0 : 1;
    const double stretch = (double)tile_block_size(TILE_STRETCH, TILE_TERMS) / 2;
    const double panel = GEMM_MAX_NR * (all + (double)w.line + TILE_BLOCK) + stretch;
    f.scratch = packed * (double)whole_blocks((int64_t)all) * (double)w.packed + threads * panel;
    return f;
}

static void add_floats(forward_bytes *sum, forward_bytes f)
{
    sum->activations += f.activations;
    sum->scratch += f.scratch;
}

/* The stacks run one after the other in the same buffers. */
static void largest_floats(forward_bytes *most, forward_bytes f)
{
    most->activations = f.activations > most->activations ? f.activations : most->activations;
    most->scratch = f.scratch > most->scratch ? f.scratch : most->scratch;
}

forward_bytes forward_memory_parts(const model *m, const input_lengths *n, int threads)
{
    const double length = (double)n->main, bytes = sizeof(float);
    forward_bytes f = stack_floats(m, m->main, length, (double)n->encoder, threads), left = {0};
    if (m->encoder) {
        largest_floats(&f, stack_floats(m, m->encoder, (double)n->encoder, 0, threads));
        left.activations += (double)n->encoder * (double)m->encoder->width;
    }
    if (m->vision) {
        largest_floats(&f, stack_floats(m, m->vision, (double)n->vision, 0, threads));
        left.activations += (double)n->vision * (double)m->main->width;
    }
    for (int i = 0; i < m->n_rope; i++)
        left.activations += length * m->ropes[i].dim;
    add_floats(&f, left);
    const double products = (double)gemm_scratch_bytes(RUNTIME_ROWS, largest_input(m), threads);
    return (forward_bytes){bytes * f.activations, bytes * f.scratch + products,
                           bytes * (double)(runtime_logit_rows(m) * m->vocab)};
}

size_t forward_memory(const model *m, const input_lengths *n, int threads)
{
    const forward_bytes f = forward_memory_parts(m, n, threads);
    const double all = f.activations + f.scratch + f.logits;
    return all > 9e18 ? SIZE_MAX : (size_t)all;
}
