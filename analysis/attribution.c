#include "analysis/attribution.h"

#include <stdlib.h>
#include <string.h>
#include "analysis/attribution_parts.h"
#include "base/mem.h"

const param attribution_params[] = {
    {.name = "attribution-token", .kind = PARAM_STR, .value = "TOKEN",
     .help = "whose logit: an id, or a text of one token; by default the most probable one"},
    {.name = "attribution-against", .kind = PARAM_STR, .value = "TOKEN",
     .help = "a token whose logit is subtracted"},
    {.name = "attribution-position", .kind = PARAM_INT, .def = "-1", .value = "P", .min = -1e15, .max = 1e15,
     .help = "position whose logits are taken apart; negative ones count from the end"},
    {.name = NULL},
};

int read_token_option(int32_t *out, const metric_ctx *c, const char *option, err *e)
{
    const char *text = params_str(c->p, option);
    int64_t id;
    tokens t = {0};
    *out = -1;
    if (!text)
        return 0;
    if (parse_int(&id, text)) {
        if (id < 0 || (c->model && id >= c->model->vocab)) {
            err_set(e, ERR_USAGE, "%s: id %s is outside the vocabulary", option, text);
            if (c->model)
                err_hint(e, "ids go from 0 to %lld", (long long)c->model->vocab - 1);
            return ERR_USAGE;
        }
        *out = (int32_t)id;
        return 0;
    }
    if (!c->tok) {
        err_set(e, ERR_USAGE, "%s: '%.60s' is a text, and there is no tokenizer", option, text);
        return err_hint(e, "give the token's id");
    }
    int rc = tokenizer_encode(c->tok, text, strlen(text), false, &t, e);
    if (!rc && t.n != 1) {
        rc = err_set(e, ERR_USAGE, "%s: '%.60s' is %lld tokens, not one", option, text, (long long)t.n);
        err_hint(e, "give one token (a space before a word often belongs to it), or its id; `tokenize` shows both");
    } else if (!rc) {
        *out = t.t[0].id;
    }
    if (t.t)
        tokens_free(&t);
    return rc;
}

int attribution_prepare(metric_ctx *c, err *e)
{
    attribution_state *s = c->shared = mem_array(1, sizeof *s, e);
    int64_t at = params_int(c->p, "attribution-position");
    if (!s)
        return ERR_RESOURCE;
    s->n_layer = c->n_layer;
    s->position = at < 0 ? at + c->n : at;
    s->heads = mem_array((size_t)c->n_layer + 1, sizeof *s->heads, e);
    s->added = mem_array((size_t)c->n_layer * 3 + 1, sizeof *s->added, e);
    int rc = s->heads && s->added ? 0 : ERR_RESOURCE;
    if (!rc && (s->position < 0 || s->position >= c->n)) {
        rc = err_set(e, ERR_USAGE, "attribution-position %lld is outside the prompt of %lld tokens", (long long)at,
                     (long long)c->n);
        err_hint(e, "positions go from 0 to %lld, or from -1 (the last)", (long long)(c->n - 1));
    }
    if (!rc)
        rc = read_token_option(&s->token, c, "attribution-token", e);
    if (!rc)
        rc = read_token_option(&s->against, c, "attribution-against", e);
    if (rc)
        attribution_release(c);
    return rc;
}

void attribution_release(metric_ctx *c)
{
    attribution_state *s = c->shared;
    for (int l = 0; s && s->heads && l < s->n_layer; l++)
        free(s->heads[l]);
    for (int i = 0; s && s->added && i < 3 * s->n_layer; i++)
        free(s->added[i]);
    if (s) {
        free(s->heads);
        free(s->added);
        free(s->first);
        free(s->last);
    }
    free(s);
    c->shared = NULL;
}

static int keep(float **to, const float *x, int64_t n, err *e)
{
    free(*to);
    *to = mem_array((size_t)n, sizeof **to, e);
    if (!*to)
        return ERR_RESOURCE;
    memcpy(*to, x, (size_t)n * sizeof **to);
    return 0;
}

int attribution_heads(metric_ctx *c, const head_outputs *h, const result_sink *out, err *e)
{
    attribution_state *s = c->shared;
    (void)out;
    return keep(&s->heads[h->layer], h->heads + s->position * h->width, h->width, e);
}

int attribution_added(metric_ctx *c, const part_rows *p, const result_sink *out, err *e)
{
    attribution_state *s = c->shared;
    (void)out;
    if (s->position < p->row || s->position >= p->row + p->rows)
        return 0;
    return keep(&s->added[3 * p->layer + (int)p->part], p->x + (s->position - p->row) * p->width, p->width, e);
}

int attribution_hidden(metric_ctx *c, int layer, const float *x, int64_t n, int64_t width, const result_sink *out, err *e)
{
    attribution_state *s = c->shared;
    int rc = 0;
    (void)n;
    (void)out;
    s->width = width;
    if (layer == 0)
        rc = keep(&s->first, x + s->position * width, width, e);
    if (layer == c->n_layer && !rc)
        rc = keep(&s->last, x + s->position * width, width, e);
    return rc;
}

static bool adds(const sublayer *at)
{
    return at->after.kind == NORM_NONE && !at->residual_normed;
}

const char *attribution_unfit(const model *m, attn_kind kind)
{
    const stack *s = model_stack(m, kind);
    if (!s || s != m->main || !m->head.unembedding.data)
        return "no logits come from this stack";
    if (m->head.transform.data || m->head.norm.kind != NORM_NONE)
        return "there is a layer between its stream and its logits";
    for (int l = 0; l < s->n_layer; l++)
        if (!adds(&s->layers[l].at_self) || !adds(&s->layers[l].at_mlp) ||
            (s->layers[l].has_cross && !adds(&s->layers[l].at_cross)))
            return "its blocks norm the stream itself (post-norm), so that it is no sum";
    return NULL;
}

const char *attribution_unfit_cross(const model *m, attn_kind kind)
{
    const stack *s = model_stack(m, kind);
    for (int l = 0; s && l < s->n_layer; l++)
        if (s->layers[l].has_cross)
            return attribution_unfit(m, kind);
    return "it has no cross attention";
}

bool attribution_has_positions(const embedding *b, int64_t width)
{
    return b->positions.data && b->positions.n_in == width && b->norm.kind == NORM_NONE && b->pad_id < 0 &&
           (!b->project.data || b->project_first);
}

const char *attribution_unfit_position(const model *m, attn_kind kind)
{
    const char *why = attribution_unfit(m, kind);
    if (why)
        return why;
    const stack *s = model_stack(m, kind);
    if (!s->embed.positions.data)
        return "it has no learned positions";
    if (!attribution_has_positions(&s->embed, s->width))
        return "its positions cannot be told from its tokens";
    return NULL;
}
