/* The MLP of a layer over a block of rows. */
#include "model/runtime.h"

void mlp_rows(pass *a, const mlp *m, const float *in, int64_t ld, float *out, int64_t rows)
{
    runtime *r = a->r;
    float *inner = r->buf[BUF_INNER], *up = r->buf[BUF_UP];
    if (m->gated) {
        const gemm_map maps[] = {{&m->up, up, m->inner}, {&m->gate, inner, m->inner}};
        rows_maps(r, maps, 2, in, ld, rows, a->decoding);
    } else {
        rows_linear(r, inner, m->inner, in, ld, rows, &m->up, a->decoding);
    }
    rows_activate(r, m->act, inner, m->inner, m->gated ? up : NULL, m->inner, rows, m->inner);
    rows_linear(r, out, m->down.n_out, inner, m->inner, rows, &m->down, a->decoding);
}
