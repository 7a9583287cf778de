#include "cli/info_lines.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "cli/json_line.h"

static const char *norm_name(norm_kind k)
{
    return k == NORM_NONE ? "no norm" : k == NORM_RMS ? "RMSNorm" : "LayerNorm";
}

static const char *act_name(act_kind k)
{
    static const char *const names[] = {
        [ACT_SILU] = "silu", [ACT_GELU_TANH] = "gelu (tanh)",
        [ACT_GELU_NEW] = "gelu (tanh, new)", [ACT_GELU_FAST] = "gelu (tanh, fast)", [ACT_GELU_ERF] = "gelu (erf)",
        [ACT_QUICK_GELU] = "gelu (sigmoid)", [ACT_RELU] = "relu", [ACT_RELU2] = "relu squared",
        [ACT_SIGMOID] = "sigmoid", [ACT_SWIGLU_OAI] = "clamped swiglu",
    };
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

/* Of a layer: "gated MLP of 2048 with silu", "8 experts of 2048, 2 used, with silu, shared expert of 1024". */
static void put_mlp(strbuf *b, const model_layer *y)
{
    if (!y->moe) {
        strbuf_printf(b, "%s MLP of %" PRId64 " with %s", y->mlp.gated ? "gated" : "plain", y->mlp.inner,
                      act_name(y->mlp.act));
        return;
    }
    const moe *x = y->moe;
    strbuf_printf(b, "%d experts of %" PRId64 ", %d used", x->n_expert, x->experts[0].inner, x->n_used);
    if (x->n_group > 1)
        strbuf_printf(b, " from %d of %d groups", x->n_group_used, x->n_group);
    strbuf_printf(b, ", %s with %s", x->experts[0].gated ? "gated" : "plain", act_name(x->experts[0].act));
    if (x->has_shared)
        strbuf_printf(b, ", shared expert of %" PRId64, x->shared.inner);
}

/* Consecutive layers with the same MLP share a line. */
static void put_mlps(strbuf *b, const stack *s)
{
    strbuf now = {0}, first = {0};
    for (int start = 0, l = 0; l <= s->n_layer; l++) {
        strbuf_clear(&now);
        if (l < s->n_layer)
            put_mlp(&now, &s->layers[l]);
        if (l == 0) {
            strbuf_puts(&first, strbuf_str(&now));
        } else if (l == s->n_layer || strcmp(strbuf_str(&now), strbuf_str(&first)) != 0) {
            line(b, start ? "" : "MLP");
            if (start || l < s->n_layer)
                strbuf_printf(b, start == l - 1 ? "layer %d: " : "layers %d-%d: ", start, l - 1);
            strbuf_printf(b, "%s\n", strbuf_str(&first));
            strbuf_clear(&first);
            strbuf_puts(&first, strbuf_str(&now));
            start = l;
        }
    }
    strbuf_free(&now);
    strbuf_free(&first);
}

static const char *stack_name(const model *m, const stack *s)
{
    if (s->kind == ATTN_VISION)
        return "image tower";
    return s != m->main || s->kind == ATTN_ENCODER ? "encoder" : "decoder";
}

static void put_stacks(strbuf *b, const model *m)
{
    const stack *stacks[MODEL_MAX_STACKS];
    int n = model_stacks(m, stacks);
    for (int i = 0; i < n; i++) {
        const stack *s = stacks[i];
        const embedding *d = &s->embed;
        const attention_block *first = NULL;
        for (int l = 0; l < s->n_layer && !first; l++)
            first = s->layers[l].delta ? NULL : &s->layers[l].self;
        line(b, stack_name(m, s));
        strbuf_printf(b, "%d layers", s->n_layer);
        if (s->n_run < s->n_layer)
            strbuf_printf(b, " (%d are run)", s->n_run);
        if (first)
            strbuf_printf(b, ", %d heads", first->plan.n_head);
        if (first && first->plan.n_kv_head != first->plan.n_head)
            strbuf_printf(b, " over %d key/value heads", first->plan.n_kv_head);
        strbuf_printf(b, ", width %" PRId64, s->width);
        if (d->kind == EMBED_PATCHES)
            strbuf_printf(b, ", images of %d x %d in patches of %d%s", d->image_height, d->image_width, d->patch,
                          d->any_size ? " (or other sizes)" : "");
        else if (d->kind == EMBED_AUDIO)
            strbuf_printf(b, ", %" PRId64 " frames of %d mel bins", d->n_frame, d->n_mel);
        else if (s->context < INT32_MAX)
            strbuf_printf(b, ", context %" PRId64 " tokens", s->context);
        const norm *k = s->final_norm.kind != NORM_NONE ? &s->final_norm : &s->layers[0].at_self.after;
        strbuf_printf(b, ", %s", norm_name(k->kind));
        if (k->kind != NORM_NONE)
            strbuf_printf(b, " eps %g", (double)k->eps);
        strbuf_putc(b, '\n');
        put_mlps(b, s);
    }
}

/* Tensors that the family did not bind: heads of other tasks, buffers, towers that are not run. */
static void put_unused(strbuf *b, const model *m)
{
    enum { SHOWN = 6 };
    int n = 0;
    for (int i = 0; i < m->ckpt->n_tensor; i++)
        n += !m->used[i];
    line(b, "unused");
    strbuf_printf(b, n ? "%d of %d tensors:" : "no tensors", n, m->ckpt->n_tensor);
    for (int i = 0, shown = 0; i < m->ckpt->n_tensor && shown < SHOWN; i++) {
        if (m->used[i])
            continue;
        strbuf_puts(b, shown++ ? ", " : " ");
        strbuf_put_visible(b, m->ckpt->tensors[i].name, strlen(m->ckpt->tensors[i].name));
    }
    strbuf_puts(b, n > SHOWN ? ", ...\n" : "\n");
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
    put_stacks(b, m);
    if (m->vocab > 0) {
        line(b, "vocabulary");
        strbuf_printf(b, "%" PRId64 "\n", m->vocab);
    }
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
    for (int i = 0; i < m->n_assumed; i++) {
        line(b, "assumed");
        strbuf_printf(b, "%s\n", m->assumed[i]);
    }
    if (verbose) {
        put_ropes(b, m);
        for (int i = 0; i < k->n_file; i++) {
            format_bytes(bytes, (double)k->files[i].size);
            line(b, "file");
            strbuf_put_visible(b, k->file_paths[i], strlen(k->file_paths[i]));
            strbuf_printf(b, "  %s\n", bytes);
        }
        put_unused(b, m);
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

static void put_json_rope(strbuf *b, const rope_plan *r)
{
    json_line_key(b, "rope");
    json_line_begin(b, NULL);
    json_line_text(b, "kind", rope_name(r->kind));
    json_line_int(b, "dim", r->dim);
    json_line_real(b, "base", r->base);
    json_line_text(b, "scaling", r->scaling);
    json_line_real(b, "factor", r->factor);
    strbuf_putc(b, '}');
}

static void put_json_layer(strbuf *b, const model *m, attn_kind kind, int layer)
{
    const attention_block *k = model_attention(m, kind, layer);
    strbuf text = {0};
    json_line_begin(b, NULL);
    json_line_int(b, "layer", layer);
    json_line_text(b, "kind", attn_kind_name(kind));
    model_describe_layer(m, kind, layer, &text);
    json_line_text(b, "plan", strbuf_str(&text));
    strbuf_free(&text);
    if (k) {
        const attn_plan *a = &k->plan;
        json_line_int(b, "heads", a->n_head);
        json_line_int(b, "kv_heads", a->n_kv_head);
        json_line_int(b, "d_qk", a->d_qk);
        json_line_int(b, "d_v", a->d_v);
        json_line_real(b, "scale", (double)a->scale);
        json_line_bool(b, "causal", a->causal);
        json_line_int(b, "window", a->window);
        json_line_real(b, "softcap", (double)a->softcap);
        json_line_bool(b, "qk_norm", a->qk_norm);
        json_line_bool(b, "sinks", a->sinks);
        json_line_bool(b, "gate", a->gate);
        json_line_bool(b, "latent", a->latent);
        if (a->rope >= 0)
            put_json_rope(b, &m->ropes[a->rope]);
    }
    const moe *x = kind == ATTN_CROSS ? NULL : model_stack(m, kind)->layers[layer].moe;
    if (x) {
        json_line_int(b, "experts", x->n_expert);
        json_line_int(b, "experts_used", x->n_used);
        json_line_bool(b, "shared_expert", x->has_shared);
    }
    strbuf_putc(b, '}');
}

static void put_json_stacks(strbuf *b, const model *m)
{
    const stack *stacks[MODEL_MAX_STACKS];
    int n = model_stacks(m, stacks);
    json_line_key(b, "stacks");
    strbuf_putc(b, '[');
    for (int i = 0; i < n; i++) {
        strbuf_puts(b, i ? "," : "");
        json_line_begin(b, NULL);
        json_line_text(b, "name", stack_name(m, stacks[i]));
        json_line_text(b, "kind", attn_kind_name(stacks[i]->kind));
        json_line_int(b, "layers", stacks[i]->n_layer);
        json_line_int(b, "layers_run", stacks[i]->n_run);
        json_line_int(b, "width", stacks[i]->width);
        json_line_int(b, "mlp", stacks[i]->ffn);
        json_line_int(b, "context", stacks[i]->context);
        strbuf_putc(b, '}');
    }
    strbuf_putc(b, ']');
}

static void put_json_layers(strbuf *b, const model *m)
{
    static const attn_kind order[] = {ATTN_VISION, ATTN_ENCODER, ATTN_SELF, ATTN_CROSS};
    bool any = false;
    json_line_key(b, "attention");
    strbuf_putc(b, '[');
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        const stack *s = model_stack(m, order[i]);
        for (int l = 0; s && l < s->n_layer; l++) {
            strbuf_puts(b, any ? "," : "");
            put_json_layer(b, m, order[i], l);
            any = true;
        }
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
    json_line_int(b, "layers", m->main->n_layer);
    json_line_int(b, "heads", c->m.n_head);
    json_line_int(b, "kv_heads", c->m.n_kv_head);
    json_line_int(b, "width", m->main->width);
    json_line_int(b, "mlp", m->main->ffn);
    json_line_int(b, "vocabulary", m->vocab);
    json_line_int(b, "context", m->main->context);
    json_line_bool(b, "tied", m->tied);
    json_line_text(b, "tokenizer", lm->tok ? tokenizer_kind(lm->tok) : NULL);
    json_line_int(b, "bos", lm->tok ? tokenizer_bos(lm->tok) : -1);
    json_line_int(b, "eos", lm->tok ? tokenizer_eos(lm->tok) : -1);
    if (c->weights[0])
        json_line_text(b, "sha256", c->weights);
    if (c->tokenizer[0])
        json_line_text(b, "tokenizer_sha256", c->tokenizer);
    json_line_key(b, "assumed");
    strbuf_puts(b, "[");
    for (int i = 0; i < m->n_assumed; i++) {
        strbuf_puts(b, i ? "," : "");
        strbuf_put_json(b, m->assumed[i], strlen(m->assumed[i]));
    }
    strbuf_puts(b, "]");
    json_line_key(b, "ignored");
    strbuf_putc(b, '[');
    for (int i = 0; i < m->n_ignored; i++) {
        strbuf_puts(b, i ? "," : "");
        strbuf_put_json(b, m->ignored[i], strlen(m->ignored[i]));
    }
    strbuf_putc(b, ']');
    put_json_stacks(b, m);
    put_json_layers(b, m);
    json_line_end(b);
}
