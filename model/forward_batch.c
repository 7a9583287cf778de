/* Several prompts side by side: everything that is done row by row sees all their rows at once, so that weights are read
 * and unpacked once for all of them; attention, positions and observers are each prompt's own (segments of a pass). */
#include <stdlib.h>
#include "base/cancel.h"
#include "base/mem.h"
#include "model/rope.h"
#include "model/runtime.h"

int64_t batch_tokens(void)
{
    return RUNTIME_ROWS;
}

bool batch_fits(const runtime *r, const model_input *const *in, int n)
{
    const model *m = r->m;
    if (r->ring || m->encoder || m->vision || m->main->embed.kind != EMBED_TOKENS)
        return false;
    for (int l = 0; l < m->main->n_layer; l++)
        if (m->main->layers[l].delta || m->main->layers[l].has_cross)
            return false;
    for (int i = 0; i < m->n_rope; i++)
        for (int k = 1; k < n; k++)
            if (!rope_same_frequencies(&m->ropes[i], in[0]->n, in[k]->n))
                return false;
    return true;
}

/* What is there before the layers: rows of all prompts in BUF_X. */
static int begin(runtime *r, const model_input *const *in, const segment *s, int n, int64_t total, int64_t longest, bool logits,
                 err *e)
{
    const model *m = r->m;
    const input_lengths together = {.main = total};
    int rc = forward_memory_check(r, &together, e);
    if (!rc)
        rc = runtime_reserve(r, m->main, total, longest, longest, e);
    if (!rc && logits)
        rc = runtime_reserve_logits(r, e);
    for (int i = 0; i < n && !rc; i++)
        embed_tokens_at(r, m->main, r->buf[BUF_X] + s[i].row * m->main->width, in[i]->ids, in[i]->n, 0);
    return rc ? rc : cancel_check(e);
}

int forward_batch(runtime *r, const model_input *const *in, const observer *const *o, int n, const progress *p, err *e)
{
    const model *m = r->m;
    int64_t total = 0, longest = 0;
    bool logits = false;
    int rc = 0;
    if (n == 1 || !batch_fits(r, in, n)) {
        for (int i = 0; i < n && !rc; i++)
            rc = forward(r, in[i], o[i], p, e);
        return rc;
    }
    segment *s = mem_array((size_t)n, sizeof *s, e);
    if (!s)
        return ERR_RESOURCE;
    for (int i = 0; i < n && !rc; i++) {
        input_lengths own;
        rc = input_measure(&own, m, in[i], e);
        s[i] = (segment){total, in[i]->n, o[i]};
        total += in[i]->n;
        longest = in[i]->n > longest ? in[i]->n : longest;
        logits |= forward_wants_logits(m, o[i]);
    }
    r->n_source = r->n_image = 0;
    if (!rc)
        rc = begin(r, in, s, n, total, longest, logits, e);
    if (!rc) {
        pass a = {.r = r, .s = m->main, .n = total, .segments = s, .n_segment = n, .p = p};
        rc = stack_layers(&a, e);
    }
    for (int i = 0; i < n && !rc; i++)
        if (forward_wants_logits(m, o[i]) && o[i]->logits)
            rc = forward_logits(r, s[i].row, s[i].n, o[i], p, e);
    free(s);
    return rc;
}
