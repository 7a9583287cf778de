/* A prompt as rows of the store: tokens of every stack, and where the rest came from. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "cli/prompt_parts.h"

/* Positions of all stacks while a unit begins; texts belong to the tokenizer or to words. */
typedef struct rows {
    store_sequence sequence[STORE_MAX_SEQUENCES];
    int n_sequence;
    store_input input[STORE_MAX_INPUTS];
    int n_input;
    sha256_hex digest[STORE_MAX_INPUTS];
    store_token *tokens[STORE_MAX_SEQUENCES];
    arena words;
} rows;

static int add_sequence(rows *r, attn_kind kind, int64_t n, err *e)
{
    store_token *t = mem_array((size_t)n + 1, sizeof *t, e);
    if (!t)
        return ERR_RESOURCE;
    r->tokens[r->n_sequence] = t;
    r->sequence[r->n_sequence++] = (store_sequence){kind, t, n};
    return 0;
}

static int add_tokens(rows *r, attn_kind kind, const token_list *list, const loaded_model *lm, err *e)
{
    int rc = add_sequence(r, kind, list->n, e);
    store_token *t = rc ? NULL : r->tokens[r->n_sequence - 1];
    for (int64_t i = 0; !rc && i < list->n; i++) {
        token_text text = {NULL, 0};
        if (lm->tok)
            text = tokenizer_text(lm->tok, list->ids[i]);
        const char *piece = lm->tok && text.len == 0 ? tokenizer_piece(lm->tok, list->ids[i]) : NULL;
        if (piece) /* special tokens may stand for no text */
            text = (token_text){piece, strlen(piece)};
        t[i] = (store_token){list->ids[i], text.s, text.len, list->special[i]};
    }
    return rc;
}

/* A label of a position that is no token. */
static int label_position(rows *r, store_token *t, const char *text, bool special, err *e)
{
    size_t n = strlen(text);
    *t = (store_token){NO_INDEX, arena_strndup(&r->words, text, n, e), n, special};
    return t->text ? 0 : ERR_RESOURCE;
}

/* First prefix token, registers, the other prefix tokens, patches by rows. */
static int add_patches(rows *r, const embedding *b, const model_input *in, err *e)
{
    int64_t wide = in->width / b->patch, front = b->n_prefix + b->n_register, n = wide * (in->height / b->patch) + front;
    int rc = add_sequence(r, ATTN_VISION, n, e);
    for (int64_t i = 0; !rc && i < n; i++) {
        char text[48];
        int64_t patch = i - front, reg = b->n_prefix > 0 ? i : i + 1;
        if (i == 0 && b->n_prefix > 0)
            snprintf(text, sizeof text, "CLS");
        else if (patch < 0 && reg <= b->n_register)
            snprintf(text, sizeof text, "register %" PRId64, reg);
        else if (patch < 0)
            snprintf(text, sizeof text, b->n_prefix == 2 ? "distillation" : "prefix %" PRId64, i - b->n_register);
        else
            snprintf(text, sizeof text, "patch %" PRId64 ",%" PRId64, patch / wide, patch % wide);
        rc = label_position(r, &r->tokens[r->n_sequence - 1][i], text, patch < 0, e);
    }
    return rc;
}

static int add_frames(rows *r, const prompt_input *in, int64_t n, err *e)
{
    int rc = add_sequence(r, ATTN_ENCODER, n, e);
    for (int64_t i = 0; !rc && i < n; i++) {
        char text[48];
        if (in->frame_seconds > 0)
            snprintf(text, sizeof text, "%.2f s", (double)i * in->frame_seconds);
        else
            snprintf(text, sizeof text, "frame %" PRId64, i);
        rc = label_position(r, &r->tokens[r->n_sequence - 1][i], text, false, e);
    }
    return rc;
}

static int add_stack(rows *r, const stack *s, const prompt_input *in, const loaded_model *lm, int64_t n, err *e)
{
    switch (s->embed.kind) {
    case EMBED_TOKENS:
        return add_tokens(r, s->kind, s == lm->m->main ? &in->main : &in->source, lm, e);
    case EMBED_PATCHES:
        return in->pixels ? add_patches(r, &s->embed, &in->in, e) : 0;
    case EMBED_AUDIO:
        return add_frames(r, in, n, e);
    }
    return 0;
}

/* Of ids as 64-bit little-endian integers. */
static int hash_ids(sha256_hex out, const token_list *t, err *e)
{
    sha256 *h = NULL;
    int rc = sha256_new(&h, e);
    for (int64_t i = 0; !rc && i < t->n; i++) {
        unsigned char id[8];
        for (int k = 0; k < 8; k++)
            id[k] = (unsigned char)((uint64_t)(int64_t)t->ids[i] >> 8 * k);
        rc = sha256_add(h, id, sizeof id, e);
        if (rc)
            sha256_abandon(h);
    }
    return rc ? rc : sha256_done(h, out, e);
}

static int add_inputs(rows *r, const prompt_input *in, err *e)
{
    if (in->file.role)
        r->input[r->n_input++] = (store_input){.role = in->file.role, .path = in->file.path, .sha256 = in->file.sha256};
    const token_list *t = &in->source;
    if (!t->ids)
        return 0;
    char *digest = r->digest[r->n_input];
    int rc = t->text ? sha256_of(r->digest[r->n_input], t->text, t->text_len, e) : hash_ids(r->digest[r->n_input], t, e);
    r->input[r->n_input++] = (store_input){.role = "source", .sha256 = digest, .text = t->text, .text_len = t->text_len,
                                           .policy = t->policy};
    return rc;
}

int prompt_store_begin(store *st, int64_t run, int64_t index, const prompt_input *in, const loaded_model *lm,
                       const char *label, err *e)
{
    const model *m = lm->m;
    const stack *order[] = {m->main, m->encoder, m->vision};
    rows r = {.n_sequence = 0};
    input_lengths n;
    int rc = input_measure(&n, m, &in->in, e);
    const int64_t length[] = {n.main, n.encoder, n.vision};
    for (int i = 0; i < 3 && !rc; i++)
        if (order[i] && length[i] > 0)
            rc = add_stack(&r, order[i], in, lm, length[i], e);
    if (!rc)
        rc = add_inputs(&r, in, e);
    if (!rc) {
        const store_prompt p = {
            .label = label ? label : in->label, .text = in->main.text, .text_len = in->main.text_len,
            .policy = in->main.policy, .sequences = r.sequence, .n_sequence = r.n_sequence, .inputs = r.input,
            .n_input = r.n_input,
        };
        rc = store_unit_begin(st, run, index, &p, e);
        for (int i = 0; i < in->facts.n && !rc; i++) {
            const prompt_fact *f = &in->facts.list[i];
            rc = store_fact(st, f->name, f->text, f->len, e);
            if (rc)
                store_unit_rollback(st);
        }
    }
    for (int i = 0; i < r.n_sequence; i++)
        free(r.tokens[i]);
    arena_free(&r.words);
    return rc;
}

static void describe_list(strbuf *out, const token_list *t)
{
    strbuf_printf(out, "%" PRId64 " token%s (%s)", t->n, t->n == 1 ? "" : "s", t->policy);
}

void prompt_describe(strbuf *out, const prompt_input *in, const loaded_model *lm)
{
    const model *m = lm->m;
    input_lengths n;
    if (input_measure(&n, m, &in->in, NULL) != 0)
        return;
    if (in->source.ids) {
        describe_list(out, &in->source);
        strbuf_puts(out, ", target of ");
    } else if (m->encoder) {
        strbuf_printf(out, "%" PRId64 " frames of audio", n.encoder);
        if (sound_is_cut(in))
            strbuf_printf(out, " (the first %g s of %.6g s)", in->most_seconds, in->sound_seconds);
        strbuf_puts(out, ", target of ");
    }
    if (in->main.ids)
        describe_list(out, &in->main);
    else
        strbuf_printf(out, "image of %" PRId64 " x %" PRId64 ", %" PRId64 " positions", in->in.width, in->in.height, n.main);
}
