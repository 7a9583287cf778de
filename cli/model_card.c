#include "cli/model_card.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

void format_count(char out[16], double n)
{
    static const char *const unit[] = {"", " k", " M", " B", " T"};
    int u = 0;
    while (n >= 999.5 && u < 4) {
        n /= 1000;
        u++;
    }
    snprintf(out, 16, u ? "%.3g%s" : "%.0f%s", n, unit[u]);
}

void format_bytes(char out[16], double n)
{
    static const char *const unit[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    int u = 0;
    while (n >= 1023.5 && u < 4) {
        n /= 1024;
        u++;
    }
    snprintf(out, 16, u && n < 99.95 ? "%.1f %s" : "%.0f %s", n, unit[u]);
}

/* Consecutive layers with the same description share a line.  The stack that gives the logits goes without a
 * prefix, the others have that of their heads' names. */
static void describe_kind(const model *m, attn_kind kind, strbuf *all)
{
    const stack *s = model_stack(m, kind);
    const char *dot = kind == m->main->kind ? "" : ".", *prefix = *dot ? attn_kind_name(kind) : "";
    strbuf now = {0}, first = {0};
    for (int start = 0, l = 1; l <= s->n_layer; l++) {
        if (l == start + 1) {
            strbuf_clear(&first);
            model_describe_layer(m, kind, start, &first);
            all->failed |= first.failed; /* a later clearing forgets it */
        }
        if (l < s->n_layer) {
            strbuf_clear(&now);
            model_describe_layer(m, kind, l, &now);
            all->failed |= now.failed;
            if (strcmp(strbuf_str(&now), strbuf_str(&first)) == 0)
                continue;
        }
        if (all->len)
            strbuf_putc(all, '\n');
        strbuf_printf(all, "%s%s%d", prefix, dot, start);
        if (l - 1 > start)
            strbuf_printf(all, "-%d", l - 1);
        strbuf_printf(all, ": %s", strbuf_str(&first));
        start = l;
    }
    strbuf_free(&now);
    strbuf_free(&first);
}

static char *describe_plan(const model *m, err *e)
{
    static const attn_kind order[] = {ATTN_VISION, ATTN_ENCODER, ATTN_SELF, ATTN_CROSS};
    strbuf all = {0};
    for (size_t i = 0; i < sizeof order / sizeof *order; i++)
        if (model_stack(m, order[i]))
            describe_kind(m, order[i], &all);
    strbuf_puts(&all, "");
    return strbuf_take(&all, e);
}

static char *describe_dtypes(const model *m, err *e)
{
    const checkpoint *c = m->ckpt;
    double count[DT_COUNT] = {0}, total = 0;
    for (int i = 0; i < c->n_tensor; i++) {
        const tensor *t = &c->tensors[i].t;
        double n = 1;
        for (int d = 0; d < t->n_dim; d++)
            n *= (double)t->shape[d];
        count[t->type] += n;
        total += n;
    }
    strbuf b = {0};
    size_t begin;
    if (m->quantized)
        strbuf_printf(&b, "%s (quantised from ", m->quantized);
    strbuf_puts(&b, "");
    begin = b.len;
    for (;;) {
        int best = 0;
        for (int d = 1; d < DT_COUNT; d++)
            if (count[d] > count[best])
                best = d;
        if (count[best] <= 0)
            break;
        if (b.len > begin)
            strbuf_puts(&b, ", ");
        strbuf_puts(&b, dtypes[best].name);
        double share = 100 * count[best] / total;
        if (share < 99.995)
            strbuf_printf(&b, share >= 10 ? " %.1f %%" : " %.2g %%", share);
        count[best] = 0;
    }
    if (m->quantized)
        strbuf_putc(&b, ')');
    return strbuf_take(&b, e);
}

int model_card_make(model_card *out, const loaded_model *lm, bool hash, const progress *p, err *e)
{
    const model *m = lm->m;
    const checkpoint *c = m->ckpt;
    *out = (model_card){0};
    for (int i = 0; i < c->n_file; i++)
        out->file_bytes += c->files[i].size;
    out->plan = describe_plan(m, e);
    out->dtype = out->plan ? describe_dtypes(m, e) : NULL;
    int rc = out->dtype ? 0 : ERR_RESOURCE;
    if (!rc && hash)
        rc = checkpoint_hash(c, out->weights, p, e);
    if (!rc && hash && lm->tok)
        rc = tokenizer_hash(lm->tok, out->tokenizer, e);
    if (rc) {
        model_card_free(out);
        return rc;
    }
    const attn_plan *first = NULL;
    for (int l = 0; l < m->main->n_layer && !first; l++) {
        const attention_block *b = model_attention(m, m->main->kind, l);
        first = b ? &b->plan : NULL;
    }
    out->m = (store_model){
        .path = lm->path,
        .name = m->name,
        .family = m->family->name,
        .format = c->reader->name,
        .dtype = out->dtype,
        .sha256 = out->weights,
        .tokenizer_sha256 = hash && lm->tok ? out->tokenizer : NULL,
        .n_layer = m->main->n_layer,
        .n_head = first ? first->n_head : 0,
        .n_kv_head = first ? first->n_kv_head : 0,
        .width = m->main->width,
        .vocab = m->vocab,
        .context = m->main->context,
        .n_param = m->n_param,
        .plan = out->plan,
    };
    return 0;
}

void model_card_free(model_card *c)
{
    free(c->plan);
    free(c->dtype);
    *c = (model_card){0};
}
