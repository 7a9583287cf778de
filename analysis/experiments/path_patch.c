#include "analysis/experiments/path_patch.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/cancel.h"
#include "base/mem.h"

const char *const path_mode_names[] = {"heads", "mlps", "direct", NULL};

/* ---- what can be patched ---- */

static int check_direct(const path_patch *s, const attention_block *b, head_id h, err *e)
{
    const qk_norm *scaled = s->input == PATCH_Q ? &b->q_norm : &b->k_norm;
    const char *why = b->plan.latent ? "comes from a latent vector with a norm of its own"
                      : s->input != PATCH_V && scaled->kind != NORM_NONE ? "is normalised" : b->clip > 0 ? "is clipped" : NULL;
    if (!why)
        return 0;
    err_set(e, ERR_USAGE, "no direct path: %s of layer %d %s, so it is not linear in the residual stream",
            patch_what_names[s->input], h.layer, why);
    return err_hint(e, "take --freeze mlps: the same path with everything on it as it is");
}

int path_patch_check(const path_patch *s, err *e)
{
    const logits_head *head = &s->m->head;
    int rc = patch_check_model(s->m, e);
    for (int i = 0; i < s->n_receiver && !rc; i++) {
        head_id h = s->receivers[i];
        const attention_block *b = model_attention(s->m, h.kind, h.layer);
        if (h.kind != s->m->main->kind || !b || h.head < 0 || h.head >= b->plan.n_head) {
            head_text name;
            head_format(name, h);
            err_set(e, ERR_USAGE, "no head %s in %s", name, s->m->name);
            return err_hint(e, "`info` prints the heads of each layer");
        }
        if (s->mode == PATH_DIRECT)
            rc = check_direct(s, b, h, e);
    }
    if (!rc && path_senders(s) == 0) {
        err_set(e, ERR_USAGE, "no head comes before the receivers: they are in layer 0");
        rc = err_hint(e, "name receivers of later layers");
    }
    if (!rc && !s->n_receiver && s->mode == PATH_DIRECT && (head->softcap > 0 || head->transform.data)) {
        err_set(e, ERR_USAGE, "no direct path to the logits: %s", head->softcap > 0 ? "they are capped" :
                "a layer with an activation stands before them");
        rc = err_hint(e, "take --freeze mlps: the same path with everything on it as it is");
    }
    return rc;
}

int path_senders(const path_patch *s)
{
    int last = s->n_receiver ? 0 : s->m->main->n_run;
    for (int i = 0; i < s->n_receiver; i++)
        last = s->receivers[i].layer > last ? s->receivers[i].layer : last;
    return last;
}

/* ---- one layer of senders ---- */

/* A layer that receives, or (layer n_run) the final norm. */
typedef struct receiving {
    int layer;
    activation clean_x, x;      /* residual stream [n, C]: clean run, run 1; direct paths alone */
    activation input;           /* [n, width] of run 1; none for the logits */
    activation origin;          /* what a stream of zeros gives: the part of the input that is not linear; direct */
} receiving;

typedef struct path_job {
    const path_patch *s;
    const patch_pair *pair;
    int layer, n_layer;
    activation stream, sent;    /* what the senders' layer reads; z of the corrupted run */
    activation *frozen;         /* [n_frozen] outputs of later attentions, and MLPs */
    int n_frozen;
    receiving *to;              /* [n_to] in order of layer */
    int n_to;
    activation first;           /* clean stream of the first receiver's layer */
    replacement *put;           /* [1 + n_frozen], or for run 2 [n_receiver] */
    float *logits, *zero_logits;
    float *last, *clean_last;   /* [C] */
} path_job;

static const stack *main_stack(const path_job *j)
{
    return j->s->m->main;
}

static bool to_logits(const path_job *j)
{
    return j->s->n_receiver == 0;
}

/* Layers that receive from this one, each once. */
static int list_receiving(path_job *j, err *e)
{
    int n_layer = main_stack(j)->n_run;
    j->to = mem_array((size_t)n_layer + 1, sizeof *j->to, e);
    if (!j->to)
        return ERR_RESOURCE;
    for (int l = j->layer + 1; l < n_layer; l++)
        for (int i = 0; i < j->s->n_receiver; i++)
            if (j->s->receivers[i].layer == l) {
                j->to[j->n_to++].layer = l;
                break;
            }
    return 0;
}

static int reserve_receiving(path_job *j, err *e)
{
    const model *m = j->s->m;
    int64_t n = j->pair->n;
    int rc = 0;
    for (int i = 0; i < j->n_to && !rc; i++) {
        receiving *to = &j->to[i];
        int l = to->layer;
        rc = activation_new(&to->input, m, j->s->input, l, n, e);
        if (rc || j->s->mode != PATH_DIRECT)
            continue;
        if ((rc = activation_new(&to->origin, m, j->s->input, l, n, e)) ||
            (rc = activation_new(&to->clean_x, m, PATCH_RESID, l, n, e)))
            return rc;
        rc = activation_new(&to->x, m, PATCH_RESID, l, n, e);
    }
    if (!rc && j->n_to)
        rc = activation_new(&j->first, m, PATCH_RESID, j->to[0].layer, n, e);
    return rc;
}

static int reserve(path_job *j, err *e)
{
    const model *m = j->s->m;
    int64_t n = j->pair->n, vocab = m->vocab, width = main_stack(j)->width;
    int later = main_stack(j)->n_run - j->layer;
    int rc = list_receiving(j, e);
    if (!rc)
        rc = reserve_receiving(j, e);
    if (!rc)
        rc = activation_new(&j->stream, m, PATCH_RESID, j->layer, n, e);
    if (!rc)
        rc = activation_new(&j->sent, m, PATCH_Z, j->layer, n, e);
    if (rc)
        return rc;
    j->frozen = mem_array(2 * (size_t)later, sizeof *j->frozen, e);
    j->put = mem_array(1 + 2 * (size_t)later + (size_t)j->s->n_receiver, sizeof *j->put, e);
    j->logits = mem_array((size_t)vocab, sizeof *j->logits, e);
    j->zero_logits = mem_array((size_t)vocab, sizeof *j->zero_logits, e);
    j->last = mem_array((size_t)width, sizeof *j->last, e);
    j->clean_last = mem_array((size_t)width, sizeof *j->clean_last, e);
    if (!j->frozen || !j->put || !j->logits || !j->zero_logits || !j->last || !j->clean_last)
        return ERR_RESOURCE;
    for (int l = j->layer; l < main_stack(j)->n_run && !rc; l++) {
        if (l > j->layer)
            rc = activation_new(&j->frozen[j->n_frozen++], m, PATCH_ATTN_OUT, l, n, e);
        if (!rc && j->s->mode != PATH_HEADS)
            rc = activation_new(&j->frozen[j->n_frozen++], m, PATCH_MLP_OUT, l, n, e);
    }
    return rc;
}

static void release(path_job *j)
{
    for (int i = 0; i < j->n_frozen; i++)
        activation_free(&j->frozen[i]);
    for (int i = 0; i < j->n_to; i++) {
        activation_free(&j->to[i].clean_x);
        activation_free(&j->to[i].x);
        activation_free(&j->to[i].input);
        activation_free(&j->to[i].origin);
    }
    activation_free(&j->stream);
    activation_free(&j->sent);
    activation_free(&j->first);
    free(j->frozen);
    free(j->to);
    free(j->put);
    free(j->logits);
    free(j->zero_logits);
    free(j->last);
    free(j->clean_last);
}

static patched_run run_of(const path_job *j)
{
    return (patched_run){.r = j->s->r, .m = j->s->m, .ids = j->pair->clean, .n = j->pair->n, .position = j->pair->position};
}

/* Both prompts, with all that the layer needs of them. */
static int run_both(path_job *j, patch_base *base, err *e)
{
    size_t most = (size_t)j->n_frozen + (size_t)j->n_to + 2;
    activation **keep = mem_array(most, sizeof *keep, e), *sent = &j->sent;
    int n = 0;
    if (!keep)
        return ERR_RESOURCE;
    keep[n++] = &j->stream;
    if (j->n_to)
        keep[n++] = &j->first;
    for (int i = 0; i < j->n_frozen; i++)
        keep[n++] = &j->frozen[i];
    for (int i = 0; i < j->n_to && j->s->mode == PATH_DIRECT; i++)
        keep[n++] = &j->to[i].clean_x;
    int rc = patch_both(base, j->s->r, j->s->m, j->pair, j->s->score, keep, n, &sent, 1, e);
    free(keep);
    return rc;
}

/* Direct paths: what the receivers' inputs are for a residual stream of zeros (norm's shift and bias, rotated), and the
 * logits likewise. */
static int run_zeros(path_job *j, err *e)
{
    int64_t width = main_stack(j)->width;
    size_t cells;
    if (j->s->mode != PATH_DIRECT)
        return 0;
    if (to_logits(j)) {
        memset(j->last, 0, (size_t)width * sizeof *j->last);
        return runtime_unembed(j->s->r, j->last, 1, j->zero_logits, e);
    }
    if (!size_mul(&cells, (size_t)j->pair->n, (size_t)width))
        return err_nomem(e, "a residual stream");
    float *zeros = mem_array(cells, sizeof *zeros, e);
    int rc = zeros ? 0 : ERR_RESOURCE;
    for (int i = 0; i < j->n_to && !rc; i++) {
        activation *origin = &j->to[i].origin;
        patched_run run = run_of(j);
        run.start = j->to[i].layer;
        run.stream = zeros;
        run.keep = &origin;
        run.n_keep = 1;
        rc = patched_run_do(&run, NULL, e);
    }
    free(zeros);
    return rc;
}

/* What a norm divides a row by. */
static double scale_of(const norm *n, const float *x, int64_t width)
{
    double mean = 0, sum = 0;
    if (n->kind == NORM_NONE)
        return 1;
    for (int64_t i = 0; i < width && n->kind == NORM_LAYER; i++)
        mean += (double)x[i] / (double)width;
    for (int64_t i = 0; i < width; i++)
        sum += ((double)x[i] - mean) * ((double)x[i] - mean);
    return sqrt(sum / (double)width + (double)n->eps);
}

/* y = origin + a (y - origin): as if the norm had divided by another number. */
static void rescale(float *y, const float *origin, int64_t n, double a)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = (float)((double)origin[i] + a * ((double)y[i] - (double)origin[i]));
}

static void freeze_scale(path_job *j, receiving *to)
{
    const norm *pre = &main_stack(j)->layers[to->layer].at_self.pre;
    int64_t width = main_stack(j)->width;
    for (int64_t t = 0; t < j->pair->n; t++) {
        double a = scale_of(pre, to->x.x + t * width, width) / scale_of(pre, to->clean_x.x + t * width, width);
        rescale(to->input.x + t * to->input.width, to->origin.x + t * to->input.width, to->input.width, a);
    }
}

/* Run 1: receivers' inputs, or the logits, with the sender changed and the rest frozen. */
static int send(path_job *j, int head, err *e)
{
    activation **keep = mem_array(2 * (size_t)j->n_to + 1, sizeof *keep, e);
    if (!keep)
        return ERR_RESOURCE;
    patched_run run = run_of(j);
    run.start = j->layer;
    run.stream = j->stream.x;
    run.put = j->put;
    j->put[run.n_put++] = replace_with(j->s->m, PATCH_Z, &j->sent, NULL, head,
                                       j->s->everywhere ? NO_INDEX : j->pair->position);
    for (int i = 0; i < j->n_frozen; i++)
        j->put[run.n_put++] = replace_with(j->s->m, j->frozen[i].what, &j->frozen[i], NULL, NO_INDEX, NO_INDEX);
    run.keep = keep;
    for (int i = 0; i < j->n_to; i++) {
        keep[run.n_keep++] = &j->to[i].input;
        if (j->s->mode == PATH_DIRECT)
            keep[run.n_keep++] = &j->to[i].x;
    }
    run.logits = to_logits(j) ? j->logits : NULL;
    run.last = j->last;
    int rc = patched_run_do(&run, NULL, e);
    free(keep);
    if (rc || j->s->mode != PATH_DIRECT)
        return rc;
    for (int i = 0; i < j->n_to; i++)
        freeze_scale(j, &j->to[i]);
    if (to_logits(j)) {
        const norm *final = &main_stack(j)->final_norm;
        int64_t width = main_stack(j)->width;
        double a = scale_of(final, j->last, width) / scale_of(final, j->clean_last, width);
        rescale(j->logits, j->zero_logits, j->s->m->vocab, a);
    }
    return 0;
}

/* Run 2: the clean prompt with the receivers' inputs as run 1 left them. */
static int receive(path_job *j, err *e)
{
    patched_run run = run_of(j);
    run.start = j->to[0].layer;
    run.stream = j->first.x;
    run.put = j->put;
    run.logits = j->logits;
    for (int i = 0; i < j->s->n_receiver; i++) {
        head_id h = j->s->receivers[i];
        const attn_plan *p = &model_attention(j->s->m, h.kind, h.layer)->plan;
        int head = j->s->input == PATCH_Q ? h.head : h.head / (p->n_head / p->n_kv_head);
        for (int k = 0; k < j->n_to; k++)
            if (j->to[k].layer == h.layer)
                j->put[run.n_put++] = replace_with(j->s->m, j->s->input, &j->to[k].input, NULL, head, NO_INDEX);
    }
    return patched_run_do(&run, NULL, e);
}

/* The clean run's last residual stream at the position, for direct paths to the logits. */
static int keep_last(path_job *j, err *e)
{
    if (j->s->mode != PATH_DIRECT || !to_logits(j))
        return 0;
    patched_run run = run_of(j);
    run.start = j->layer;
    run.stream = j->stream.x;
    run.last = j->clean_last;
    return patched_run_do(&run, NULL, e);
}

int path_patch_layer(const path_patch *s, const patch_pair *pair, int layer, patch_base *base,
                     int (*site)(void *ud, const patch_site *at, err *e), void *ud, const progress *p, err *e)
{
    path_job j = {.s = s, .pair = pair, .layer = layer};
    int heads = activation_heads(s->m, PATCH_Z, layer);
    *base = (patch_base){0};
    int rc = reserve(&j, e);
    if (!rc)
        rc = run_both(&j, base, e);
    if (!rc)
        rc = run_zeros(&j, e);
    if (!rc)
        rc = keep_last(&j, e);
    for (int h = 0; h < heads && !rc; h++) {
        rc = send(&j, h, e);
        if (!rc && !to_logits(&j))
            rc = receive(&j, e);
        const patch_site at = {PATCH_Z, layer, h, s->everywhere ? NO_INDEX : pair->position,
                               rc ? 0 : patch_score_of(pair, s->score, base, j.logits, s->m->vocab)};
        if (!rc && !isfinite(at.score))
            rc = err_set(e, ERR_FAILED, "head %d of layer %d as sender: the model's logits are not finite", h, layer);
        progress_step(p, "head", h + 1, heads);
        if (!rc)
            rc = site(ud, &at, e);
        if (!rc)
            rc = cancel_check(e);
    }
    release(&j);
    return rc;
}
