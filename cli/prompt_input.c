#include "cli/prompt_input.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "cli/chat_input.h"
#include "cli/prompt_parts.h"
#include "model/config.h"

prompt_rules prompt_rules_of(const params *p)
{
    return (prompt_rules){params_bool(p, "special"), params_given(p, "truncate") ? params_int(p, "truncate") : 0};
}

prompt_rules prompt_rules_for(const params *p, const loaded_model *lm)
{
    prompt_rules rules = prompt_rules_of(p);
    if (params_bool(p, "builtin") && !rules.truncate)
        rules.truncate = lm->m->main->context;
    return rules;
}

/* --- what goes together --- */

PRINTF_LIKE(3, 4)
static int refuse(err *e, const char *hint, const char *fmt, ...)
{
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    err_set(e, ERR_USAGE, "%s", text);
    return err_hint(e, "%s", hint);
}

/* Nothing is given that the model has no use for. */
static int check_superfluous(const prompt_request *q, const model *m, err *e)
{
    const char *name = m->name;
    bool picture = q->image || q->pixels, sound = q->audio || q->features;
    if (picture && !(m->needs & NEEDS_PIXELS))
        return refuse(e, "leave the image out", "%s reads no images", name);
    if (sound && !(m->needs & NEEDS_FEATURES))
        return refuse(e, "leave the audio out", "%s reads no audio", name);
    if (is_given(&q->prompt) && !(m->needs & NEEDS_TOKENS))
        return refuse(e, "give --image FILE or --pixels FILE.npy", "%s reads images only: it takes no text", name);
    if (is_given(&q->source) && !(m->needs & NEEDS_SOURCE))
        return refuse(e, "give the text with --prompt", "%s has no text encoder, so it takes no source", name);
    if (is_given(&q->target) && !m->encoder)
        return refuse(e, "give the text with --prompt", "%s is no encoder-decoder, so it takes no target", name);
    if (q->image && q->pixels)
        return refuse(e, "keep one of them", "--image and --pixels exclude each other");
    if (q->audio && q->features)
        return refuse(e, "keep one of them", "--audio and --features exclude each other");
    if (is_given(&q->prompt) && (m->needs & NEEDS_SOURCE) && is_given(&q->source))
        return refuse(e, "give the decoder's text with --target", "the prompt of %s is the source, which is given twice",
                      name);
    if (is_given(&q->prompt) && m->encoder && !(m->needs & NEEDS_SOURCE) && is_given(&q->target))
        return refuse(e, "keep one of them", "the prompt of %s is the target, which is given twice", name);
    return 0;
}

static int check_missing(const prompt_request *q, const model *m, err *e)
{
    if ((m->needs & NEEDS_PIXELS) && !m->vision && !q->image && !q->pixels)
        return refuse(e, "add --image FILE.png or --pixels FILE.npy", "no image given, and %s reads one", m->name);
    if ((m->needs & NEEDS_FEATURES) && !q->audio && !q->features)
        return refuse(e, "add --audio FILE.wav or --features FILE.npy", "no audio given, and %s reads it", m->name);
    if ((m->needs & NEEDS_SOURCE) && !is_given(&q->prompt) && !is_given(&q->source))
        return refuse(e, "add --source \"some text\" or --source-ids 0,17,42", "no source given, and %s reads one", m->name);
    if ((m->needs & NEEDS_TOKENS) && !m->encoder && !is_given(&q->prompt)) {
        err_set(e, ERR_USAGE, "no prompt given");
        return err_hint(e, "add --prompt \"some text\", --prompt-file FILE or --ids 0,17,42");
    }
    return 0;
}

/* --- tokens --- */

static int make_room(token_list *t, int64_t n, err *e)
{
    t->ids = mem_array((size_t)n + 1, sizeof *t->ids, e);
    t->special = mem_array((size_t)n + 1, sizeof *t->special, e);
    t->n = n;
    return t->ids && t->special ? 0 : ERR_RESOURCE;
}

static int no_tokenizer(const loaded_model *lm, err *e)
{
    if (e)
        *e = lm->tok_err;
    if (!e || !e->code)
        err_set(e, ERR_INPUT, "%s has no tokenizer", lm->path);
    int rc = lm->tok_err.code ? lm->tok_err.code : ERR_INPUT;
    err_hint(e, "name one with --tokenizer FILE, or run the model on token ids: --ids 0,17,42");
    return rc;
}

static int tokenise(token_list *out, const loaded_model *lm, const given_tokens *g, bool special, err *e)
{
    tokens t = {0};
    if (!lm->tok)
        return no_tokenizer(lm, e);
    int rc = tokenizer_encode(lm->tok, g->text, g->text_len, special, &t, e);
    if (rc)
        return rc;
    if (!(rc = make_room(out, t.n, e)) && !(out->text = mem_strndup(g->text, g->text_len, e)))
        rc = ERR_RESOURCE;
    for (int64_t i = 0; !rc && i < t.n; i++) {
        out->ids[i] = t.t[i].id;
        out->special[i] = t.t[i].special;
    }
    out->text_len = g->text_len;
    snprintf(out->policy, sizeof out->policy, "%s", t.policy);
    tokens_free(&t);
    return rc;
}

static int take_tokens(token_list *out, const loaded_model *lm, const given_tokens *g, bool special, err *e)
{
    if (!g->ids)
        return tokenise(out, lm, g, special, e);
    int rc = make_room(out, g->n, e);
    for (int64_t i = 0; !rc && i < g->n; i++) {
        out->ids[i] = g->ids[i];
        out->special[i] = lm->tok && tokenizer_is_special(lm->tok, g->ids[i]);
    }
    snprintf(out->policy, sizeof out->policy, "nothing added to ids");
    return rc;
}

static void truncate_to(prompt_input *in, token_list *t, int64_t keep)
{
    if (keep > 0 && keep < t->n) {
        in->n_cut = t->n - keep;
        t->n = keep;
    }
}

/* What the decoder of an encoder-decoder begins with. */
static int start_token(int32_t *id, const loaded_model *lm, err *e)
{
    static const char key[] = "decoder_start_token_id";
    const checkpoint *c = lm->m->ckpt;
    int64_t found = -1;
    int rc = 0;
    if (c->gguf) {
        gguf_string arch = {0};
        const gguf_kv *kv = gguf_find(c->gguf, "general.architecture");
        char name[64] = "";
        if (kv && gguf_text(&arch, kv))
            snprintf(name, sizeof name, "%.*s", (int)arch.len, arch.s);
        rc = meta_int(&found, c->gguf, name, key, false, 0, INT32_MAX, e);
    } else {
        rc = config_int(&found, c->config, key, false, 0, INT32_MAX, e);
    }
    if (!rc && found < 0 && c->directory) {
        json *generation = NULL;
        strbuf path = {0};
        strbuf_printf(&path, "%s/generation_config.json", c->directory);
        if (!path.failed && json_load(&generation, strbuf_str(&path), 16 << 20, NULL) == 0)
            rc = config_int(&found, generation, key, false, 0, INT32_MAX, e);
        json_free(generation);
        strbuf_free(&path);
    }
    if (!rc && found < 0) {
        err_set(e, ERR_INPUT, "the configuration of %s names no %s", lm->m->name, key);
        rc = err_hint(e, "give the decoder's tokens, start token included: --target-ids 0,17,42");
    }
    *id = (int32_t)found;
    return rc;
}

/* The decoder's side: raw ids as they are; a text as in training, where the decoder reads the start token and
 * predicts all of the tokenised text: start, then all but the last.  A text that begins with the start token
 * (Whisper) brings its own. */
static int take_target(prompt_input *in, const loaded_model *lm, const given_tokens *g, bool special, err *e)
{
    token_list *t = &in->main;
    int32_t start;
    if (g->ids)
        return take_tokens(t, lm, g, special, e);
    int rc = start_token(&start, lm, e);
    if (!rc)
        rc = is_given(g) ? tokenise(t, lm, g, special, e) : make_room(t, 0, e);
    if (rc)
        return rc;
    bool own = t->n > 0 && t->ids[0] == start;
    if (t->n == 0)
        t->n = 1;
    if (own && t->n > 1) {
        t->n--;
    } else if (!own) {
        memmove(t->ids + 1, t->ids, (size_t)(t->n - 1) * sizeof *t->ids);
        memmove(t->special + 1, t->special, (size_t)(t->n - 1) * sizeof *t->special);
        t->ids[0] = start;
        t->special[0] = true;
    }
    if (is_given(g))
        snprintf(t->policy, sizeof t->policy, "shifted behind start token %" PRId32, start);
    else
        snprintf(t->policy, sizeof t->policy, "start token %" PRId32 " alone", start);
    return 0;
}

static int check_tokens(const token_list *t, const stack *s, const char *what, const char *name, err *e)
{
    int64_t vocab = s->embed.tokens.n_out;
    if (t->n == 0) {
        err_set(e, ERR_USAGE, "the %s is empty: there is no token to run on", what);
        return err_hint(e, "give some text or at least one token id");
    }
    for (int64_t i = 0; i < t->n; i++)
        if (t->ids[i] < 0 || t->ids[i] >= vocab) {
            err_set(e, ERR_USAGE,
                    "token id %" PRId32 " at index %" PRId64 " is outside the vocabulary of %s (0 to %" PRId64 ")",
                    t->ids[i], i, name, vocab - 1);
            return err_hint(e, "were the ids made by another model's tokenizer?");
        }
    if (t->n > s->context) {
        err_set(e, ERR_USAGE, "the %s has %" PRId64 " tokens, more than the context of %s (%" PRId64 ")", what, t->n, name,
                s->context);
        return err_hint(e, "shorten it, or keep its beginning with --truncate %" PRId64, s->context);
    }
    return 0;
}

/* --- all together --- */

static void set_views(prompt_input *out)
{
    out->in.ids = out->main.ids;
    out->in.n = out->main.n;
    out->in.source = out->source.ids;
    out->in.n_source = out->source.n;
}

static int make_tokens(prompt_input *out, const loaded_model *lm, const prompt_request *q, const prompt_rules *rules,
                       err *e)
{
    const model *m = lm->m;
    bool reads_source = m->needs & NEEDS_SOURCE;
    int rc = 0;
    if (reads_source) {
        rc = take_tokens(&out->source, lm, is_given(&q->source) ? &q->source : &q->prompt, rules->special, e);
        truncate_to(out, &out->source, rules->truncate);
        if (!rc)
            rc = check_tokens(&out->source, m->encoder, "source", m->name, e);
    }
    if (!rc && m->encoder) {
        bool prompt = !reads_source && is_given(&q->prompt);
        rc = take_target(out, lm, prompt ? &q->prompt : &q->target, rules->special, e);
        if (!rc && prompt)
            truncate_to(out, &out->main, rules->truncate);
    } else if (!rc && (m->needs & NEEDS_TOKENS)) {
        rc = take_tokens(&out->main, lm, &q->prompt, rules->special, e);
        truncate_to(out, &out->main, rules->truncate);
        if (!rc && m->vision && out->pixels)
            rc = media_place_image(out, lm, e);
    }
    if (!rc && (m->needs & NEEDS_TOKENS))
        rc = check_tokens(&out->main, m->main, m->encoder ? "target" : "prompt", m->name, e);
    return rc;
}

static int copy_facts(prompt_facts *out, const prompt_facts *from, err *e)
{
    if (from->n == 0)
        return 0;
    if (!(out->list = mem_array((size_t)from->n, sizeof *out->list, e)))
        return ERR_RESOURCE;
    for (; out->n < from->n; out->n++) {
        const prompt_fact *f = &from->list[out->n];
        prompt_fact copy = {mem_strdup(f->name, e), mem_strndup(f->text, f->len, e), f->len};
        out->list[out->n] = copy;
        if (!copy.name || !copy.text) {
            out->n++;
            return ERR_RESOURCE;
        }
    }
    return 0;
}

/* The messages of q as the prompt's text; p as in chat_render_messages. */
static int make_messages(prompt_input *out, const loaded_model *lm, const prompt_request *q, const prompt_rules *rules,
                         const params *p, err *e)
{
    prompt_request rendered = *q; /* its other members stay those of q */
    const prompt_rules own = {.special = false, .truncate = rules->truncate};
    rendered.messages = NULL;
    *out = (prompt_input){0};
    if (!lm->tok)
        return no_tokenizer(lm, e);
    int rc = chat_render_messages(&rendered.prompt.text, &rendered.prompt.text_len, lm->tok, p, q->messages, e);
    if (!rc)
        rc = prompt_make(out, lm, &rendered, &own, e);
    free(rendered.prompt.text);
    return rc;
}

int prompt_make(prompt_input *out, const loaded_model *lm, const prompt_request *q, const prompt_rules *rules, err *e)
{
    if (q->messages)
        return make_messages(out, lm, q, rules, NULL, e);
    *out = (prompt_input){0};
    int rc = check_superfluous(q, lm->m, e);
    if (!rc)
        rc = check_missing(q, lm->m, e);
    if (!rc && q->label && !(out->label = mem_strdup(q->label, e)))
        rc = ERR_RESOURCE;
    if (!rc)
        rc = copy_facts(&out->facts, &q->facts, e);
    if (!rc)
        rc = media_read(out, lm, q, e);
    if (!rc)
        rc = make_tokens(out, lm, q, rules, e);
    set_views(out);
    input_lengths n;
    if (!rc)
        rc = input_measure(&n, lm->m, &out->in, e);
    if (rc)
        prompt_free(out);
    return rc;
}

int prompt_make_chat(prompt_input *out, const loaded_model *lm, const prompt_request *q, const prompt_rules *rules,
                     const params *p, err *e)
{
    *out = (prompt_input){0};
    if (q->messages)
        return make_messages(out, lm, q, rules, p, e);
    if (!chat_asked(p))
        return prompt_make(out, lm, q, rules, e);
    if (!lm->tok)
        return no_tokenizer(lm, e);
    if (!q->prompt.text && !chat_from_file(p)) {
        err_set(e, ERR_USAGE, "there is no text to put into the chat template");
        return err_hint(e, "give --prompt, --prompt-file or --chat-file");
    }
    if (is_given(&q->prompt) && chat_from_file(p)) {
        err_set(e, ERR_USAGE, "--chat-file excludes another prompt");
        return err_hint(e, "write the whole conversation into the file");
    }
    prompt_request rendered = *q; /* its other members stay those of q */
    prompt_rules own = *rules;
    rendered.prompt = (given_tokens){0};
    int rc = chat_render_prompt(&rendered.prompt.text, &rendered.prompt.text_len, &own.special, lm->tok, p, q->prompt.text,
                                q->prompt.text_len, e);
    if (!rc) {
        own.special = own.special && rules->special;
        rc = prompt_make(out, lm, &rendered, &own, e);
    }
    free(rendered.prompt.text);
    return rc;
}

int prompt_read(prompt_input *out, const loaded_model *lm, const params *p, err *e)
{
    prompt_request q;
    const prompt_rules rules = prompt_rules_of(p);
    int rc = prompt_request_read(&q, p, e);
    if (rc) {
        *out = (prompt_input){0};
        return rc;
    }
    rc = prompt_make_chat(out, lm, &q, &rules, p, e);
    prompt_request_free(&q);
    return rc;
}

static void token_list_free(token_list *t)
{
    free(t->ids);
    free(t->special);
    free(t->text);
}

void prompt_free(prompt_input *in)
{
    token_list_free(&in->main);
    token_list_free(&in->source);
    free(in->pixels);
    free(in->features);
    free(in->file.path);
    free(in->label);
    prompt_facts_free(&in->facts);
    *in = (prompt_input){0};
}
