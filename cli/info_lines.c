#include "cli/info_lines.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "cli/json_line.h"

static const char *norm_name(norm_kind k)
{
    return k == NORM_RMS ? "RMSNorm" : "LayerNorm";
}

static const char *act_name(act_kind k)
{
    static const char *const names[] = {"silu", "gelu (tanh)", "gelu (erf)", "relu"};
    return names[k];
}

static const char *rope_name(rope_kind k)
{
    static const char *const names[] = {"none", "half", "interleaved"};
    return names[k];
}

/* "8 heads" or "8 heads over 4 key/value heads"; the plan has the rest. */
static void put_heads(strbuf *b, const store_model *m)
{
    strbuf_printf(b, "%d heads", m->n_head);
    if (m->n_kv_head != m->n_head)
        strbuf_printf(b, " over %d key/value heads", m->n_kv_head);
}

void info_short(strbuf *b, const loaded_model *lm, const model_card *c)
{
    char count[16];
    format_count(count, (double)lm->m->n_param);
    strbuf_put_visible(b, lm->m->name, strlen(lm->m->name));
    strbuf_printf(b, ": %s, %d layers of ", c->m.family, c->m.n_layer);
    put_heads(b, &c->m);
    strbuf_printf(b, ", %s parameters, %s, context %" PRId64 "\n", count, c->dtype, c->m.context);
}

static void put_token(strbuf *b, const char *label, const tokenizer *t, int32_t id)
{
    if (id < 0)
        return;
    const char *piece = tokenizer_piece(t, id);
    strbuf_printf(b, ", %s %" PRId32 " ", label, id);
    if (piece)
        strbuf_put_visible(b, piece, strlen(piece));
}

static void line(strbuf *b, const char *label)
{
    strbuf_printf(b, "  %-13s", label);
}

static void put_ropes(strbuf *b, const model *m)
{
    for (int i = 0; i < m->n_rope; i++) {
        const rope_plan *r = &m->ropes[i];
        line(b, "rope");
        strbuf_printf(b, "%s, %d dimensions, base %g, scaling %s", rope_name(r->kind), r->dim, r->base,
                      r->scaling);
        if (strcmp(r->scaling, "none") != 0)
            strbuf_printf(b, " x%g", r->factor);
        if (r->original_context > 0)
            strbuf_printf(b, " over %g positions", r->original_context);
        strbuf_putc(b, '\n');
    }
}

static void put_plan(strbuf *b, const char *plan)
{
    strbuf_puts(b, "attention by layer\n");
    while (*plan) {
        size_t n = strcspn(plan, "\n");
        strbuf_puts(b, "  ");
        strbuf_add(b, plan, n);
        strbuf_putc(b, '\n');
        plan += n + (plan[n] == '\n');
    }
}

void info_text(strbuf *b, const loaded_model *lm, const model_card *c, bool verbose)
{
    const model *m = lm->m;
    const checkpoint *k = m->ckpt;
    char count[16], bytes[16];
    format_count(count, (double)m->n_param);
    format_bytes(bytes, (double)c->file_bytes);
    strbuf_put_visible(b, m->name, strlen(m->name));
    strbuf_putc(b, '\n');
    line(b, "family");
    strbuf_printf(b, "%s (%s)\n", m->family->name, m->family->summary);
    line(b, "path");
    strbuf_put_visible(b, lm->path, strlen(lm->path));
    strbuf_putc(b, '\n');
    line(b, "files");
    strbuf_printf(b, "%d %s, %s, %d tensors\n", k->n_file, k->reader->name, bytes, k->n_tensor);
    line(b, "parameters");
    strbuf_printf(b, "%s (%" PRId64 "), %s%s\n", count, m->n_param, c->dtype,
                  m->tied ? ", unembedding tied" : "");
    line(b, "size");
    strbuf_printf(b, "%d layers, ", m->n_layer);
    put_heads(b, &c->m);
    strbuf_printf(b, ", width %" PRId64 ", MLP %" PRId64 "\n", m->width, m->ffn);
    line(b, "vocabulary");
    strbuf_printf(b, "%" PRId64 "\n", m->vocab);
    line(b, "context");
    strbuf_printf(b, "%" PRId64 " tokens\n", m->context);
    line(b, "blocks");
    strbuf_printf(b, "%s eps %g, %s MLP with %s\n", norm_name(m->norm), (double)m->norm_eps,
                  m->layers[0].gated ? "gated" : "plain", act_name(m->layers[0].act));
    line(b, "tokenizer");
    if (lm->tok) {
        strbuf_printf(b, "%s, %" PRId64 " ids", tokenizer_kind(lm->tok), tokenizer_vocab(lm->tok));
        put_token(b, "bos", lm->tok, tokenizer_bos(lm->tok));
        put_token(b, "eos", lm->tok, tokenizer_eos(lm->tok));
    } else {
        strbuf_printf(b, "none: %s", lm->tok_err.msg);
    }
    strbuf_putc(b, '\n');
    if (c->weights[0]) {
        line(b, "weights");
        strbuf_printf(b, "sha256 %s\n", c->weights);
    }
    if (c->tokenizer[0]) {
        line(b, "tokenizer");
        strbuf_printf(b, "sha256 %s\n", c->tokenizer);
    }
    if (verbose) {
        put_ropes(b, m);
        for (int i = 0; i < k->n_file; i++) {
            format_bytes(bytes, (double)k->files[i].size);
            line(b, "file");
            strbuf_put_visible(b, k->file_paths[i], strlen(k->file_paths[i]));
            strbuf_printf(b, "  %s\n", bytes);
        }
        line(b, "ignored keys");
        if (m->n_ignored == 0)
            strbuf_puts(b, "none");
        for (int i = 0; i < m->n_ignored; i++) {
            strbuf_puts(b, i ? " " : "");
            strbuf_put_visible(b, m->ignored[i], strlen(m->ignored[i]));
        }
        strbuf_putc(b, '\n');
    }
    put_plan(b, c->plan);
}

static void put_json_layers(strbuf *b, const model *m)
{
    json_line_key(b, "attention");
    strbuf_putc(b, '[');
    for (int l = 0; l < m->n_layer; l++) {
        const attn_plan *a = &m->layers[l].attn;
        if (l)
            strbuf_putc(b, ',');
        json_line_begin(b, NULL);
        json_line_int(b, "layer", l);
        json_line_text(b, "kind", attn_kind_name(a->kind));
        json_line_int(b, "heads", a->n_head);
        json_line_int(b, "kv_heads", a->n_kv_head);
        json_line_int(b, "d_qk", a->d_qk);
        json_line_int(b, "d_v", a->d_v);
        json_line_real(b, "scale", (double)a->scale);
        json_line_bool(b, "causal", a->causal);
        json_line_int(b, "window", a->window);
        if (a->rope >= 0) {
            const rope_plan *r = &m->ropes[a->rope];
            json_line_key(b, "rope");
            json_line_begin(b, NULL);
            json_line_text(b, "kind", rope_name(r->kind));
            json_line_int(b, "dim", r->dim);
            json_line_real(b, "base", r->base);
            json_line_text(b, "scaling", r->scaling);
            json_line_real(b, "factor", r->factor);
            strbuf_putc(b, '}');
        }
        strbuf_putc(b, '}');
    }
    strbuf_putc(b, ']');
}

void info_json(strbuf *b, const loaded_model *lm, const model_card *c)
{
    const model *m = lm->m;
    json_line_begin(b, "attnscope.model/1");
    json_line_text(b, "name", m->name);
    json_line_text(b, "path", lm->path);
    json_line_text(b, "family", c->m.family);
    json_line_text(b, "format", c->m.format);
    json_line_text(b, "dtype", c->m.dtype);
    json_line_int(b, "bytes", (int64_t)c->file_bytes);
    json_line_int(b, "parameters", m->n_param);
    json_line_int(b, "layers", m->n_layer);
    json_line_int(b, "heads", c->m.n_head);
    json_line_int(b, "kv_heads", c->m.n_kv_head);
    json_line_int(b, "width", m->width);
    json_line_int(b, "mlp", m->ffn);
    json_line_int(b, "vocabulary", m->vocab);
    json_line_int(b, "context", m->context);
    json_line_bool(b, "tied", m->tied);
    json_line_text(b, "tokenizer", lm->tok ? tokenizer_kind(lm->tok) : NULL);
    json_line_int(b, "bos", lm->tok ? tokenizer_bos(lm->tok) : -1);
    json_line_int(b, "eos", lm->tok ? tokenizer_eos(lm->tok) : -1);
    if (c->weights[0])
        json_line_text(b, "sha256", c->weights);
    if (c->tokenizer[0])
        json_line_text(b, "tokenizer_sha256", c->tokenizer);
    json_line_key(b, "ignored");
    strbuf_putc(b, '[');
    for (int i = 0; i < m->n_ignored; i++) {
        strbuf_puts(b, i ? "," : "");
        strbuf_put_json(b, m->ignored[i], strlen(m->ignored[i]));
    }
    strbuf_putc(b, ']');
    put_json_layers(b, m);
    json_line_end(b);
}
