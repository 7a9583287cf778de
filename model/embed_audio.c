/* Audio frames: two convolutions over time with GELU between, the second of stride 2, then positions. */

#include "compute/kernels.h"
#include "model/runtime.h"

/* Inputs of a convolution of 3 taps, padded by one: rows first .. of out [rows, channels * 3] are [channel][tap], tap 1
 * at frame `row * stride`.  at(channel, frame) = x[channel * cs + frame * fs]. */
static void unfold(float *out, const float *x, int64_t channels, int64_t frames, int64_t cs, int64_t fs, int64_t stride,
                   int64_t first, int64_t rows)
{
    for (int64_t i = 0; i < rows; i++)
        for (int64_t c = 0; c < channels; c++)
            for (int64_t tap = 0; tap < 3; tap++) {
                int64_t t = (first + i) * stride + tap - 1;
                out[(i * channels + c) * 3 + tap] = t >= 0 && t < frames ? x[c * cs + t * fs] : 0;
            }
}

static void add_positions(runtime *r, const stack *s, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        weight_load(r->buf[BUF_ROW], &s->embed.positions, i, 0, s->width);
        kernels_get()->add(r->buf[BUF_X] + i * s->width, r->buf[BUF_ROW], s->width);
    }
}

int embed_audio(runtime *r, const stack *s, const model_input *in, err *e)
{
    const embedding *b = &s->embed;
    int64_t width = s->width, frames = in->n_frame, n = frames / 2;
    int64_t widest = b->n_mel > width ? b->n_mel : width;
    int rc;
    if ((rc = runtime_room(r, BUF_FRONT, frames, width, e)) || (rc = runtime_room(r, BUF_FRONT_2, RUNTIME_ROWS, 3 * widest, e)))
        return rc;
    float *made = r->buf[BUF_FRONT], *taps = r->buf[BUF_FRONT_2], *x = r->buf[BUF_X];
    for (int64_t row = 0; row < frames; row += RUNTIME_ROWS) {
        int64_t rows = frames - row < RUNTIME_ROWS ? frames - row : RUNTIME_ROWS;
        unfold(taps, in->features, b->n_mel, frames, frames, 1, 1, row, rows);
        rows_linear(r, made + row * width, width, taps, 3 * b->n_mel, rows, &b->conv1, false);
    }
    rows_activate(r, ACT_GELU_ERF, made, width, NULL, 0, frames, width);
    for (int64_t row = 0; row < n; row += RUNTIME_ROWS) {
        int64_t rows = n - row < RUNTIME_ROWS ? n - row : RUNTIME_ROWS;
        unfold(taps, made, width, frames, 1, width, 2, row, rows);
        rows_linear(r, x + row * width, width, taps, 3 * width, rows, &b->conv2, false);
    }
    rows_activate(r, ACT_GELU_ERF, x, width, NULL, 0, n, width);
    add_positions(r, s, n);
    return 0;
}
