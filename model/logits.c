/* From the residual stream after the last block to logits. */
#include <math.h>

#include "compute/kernels.h"
#include "model/runtime.h"

/* c tanh(x / c): Gemma 2's cap on the logits. */
static void cap(float *x, int64_t n, float c)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = c * tanhf(x[i] / c);
}

void run_logits(runtime *r, const float *x, int64_t rows, float *logits, bool decoding)
{
    const model *m = r->m;
    const logits_head *h = &m->head;
    int64_t width = m->main->width, inner = width;
    float *in = r->buf[BUF_NORMED];
    if (m->main->final_norm.kind != NORM_NONE) {
        rows_norm(r, &m->main->final_norm, in, width, x, width, rows, width);
        rows_scale(r, in, width, h->in_scale, rows, width);
        x = in;
    }
    if (h->transform.data) {
        float *made = r->buf[BUF_ADDED];
        inner = h->transform.n_out;
        rows_linear(r, made, inner, x, width, rows, &h->transform, decoding);
        rows_activate(r, h->act, made, inner, NULL, 0, rows, inner);
        if (h->norm.kind != NORM_NONE)
            rows_norm(r, &h->norm, made, inner, made, inner, rows, inner);
        x = made;
    }
    if (h->project.data) {
        float *made = r->buf[BUF_ADDED];
        rows_linear(r, made, h->project.n_out, x, inner, rows, &h->project, decoding);
        inner = h->project.n_out;
        x = made;
    }
    rows_linear(r, logits, m->vocab, x, inner, rows, &h->unembedding, decoding);
    rows_scale(r, logits, m->vocab, h->scale, rows, m->vocab);
    if (h->softcap > 0)
        for (int64_t i = 0; i < rows; i++)
            cap(logits + i * m->vocab, m->vocab, h->softcap);
}
