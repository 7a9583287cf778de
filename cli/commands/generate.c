/* generate: continue a prompt. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/cancel.h"
#include "base/mem.h"
#include "cli/chat_input.h"
#include "cli/edit_select.h"
#include "cli/end_tokens.h"
#include "cli/json_line.h"
#include "cli/output.h"
#include "cli/prompt_input.h"
#include "cli/sampler.h"
#include "cli/terminal.h"

typedef struct generation {
    const loaded_model *lm;
    session *s;
    bool stream;         /* text goes out token by token */
    bool terminal;       /* control characters are made visible */
    strbuf held;         /* bytes of a character that is not complete yet */
    int32_t *ids;        /* generated so far */
    int64_t n;
    const char *stopped; /* "eos", "length" or "context" */
    end_tokens eos;
    int32_t eos_id;      /* the one that ended the text */
} generation;

/* Write what is complete of the held bytes; a byte that can never become a character goes out as U+FFFD. */
static int stream_text(generation *g, const char *bytes, size_t n, bool last, err *e)
{
    strbuf_add(&g->held, bytes, n);
    if (g->held.failed)
        return err_nomem(e, "text");
    strbuf out = {0};
    const char *s = strbuf_str(&g->held);
    size_t at = 0, len = g->held.len;
    while (at < len) {
        uint32_t c = 0;
        int k = utf8_next(&c, s + at, len - at);
        if (k == 0 && !last && len - at < 4 && ((unsigned char)s[at] & 0xc0) == 0xc0)
            break; /* its other bytes may follow */
        if (k && g->terminal && c != '\n' && c != '\t')
            strbuf_put_visible(&out, s + at, (size_t)k); /* a model may write escape sequences */
        else if (k)
            strbuf_add(&out, s + at, (size_t)k);
        else
            strbuf_put_utf8(&out, 0xFFFD);
        at += k ? (size_t)k : 1;
    }
    char rest[8];
    size_t n_rest = len - at;
    memcpy(rest, s + at, n_rest);
    strbuf_clear(&g->held);
    strbuf_add(&g->held, rest, n_rest);
    int rc = output_flush(g->s->out, &out, e);
    strbuf_free(&out);
    if (!rc && fflush(g->s->out) != 0)
        rc = err_set(e, ERR_RESOURCE, "cannot write the output");
    return rc;
}

static int stream_token(generation *g, int32_t id, err *e)
{
    const tokenizer *tok = g->lm->tok;
    if (!tok) {
        strbuf b = {0};
        strbuf_printf(&b, g->n > 1 ? " %" PRId32 : "%" PRId32, id);
        int rc = output_flush(g->s->out, &b, e);
        strbuf_free(&b);
        fflush(g->s->out);
        return rc;
    }
    if (tokenizer_is_special(tok, id))
        return 0;
    token_text t = tokenizer_text(tok, id);
    return t.len ? stream_text(g, t.s, t.len, false, e) : 0;
}

static int loop(generation *g, decoder *d, const prompt_input *in, sampler *smp, int64_t max_tokens, err *e)
{
    int32_t id = 0;
    int64_t room = g->lm->m->main->context - in->in.n;
    const float *logits = NULL;
    int rc = decoder_feed(d, in->in.ids, in->in.n, &logits, &g->s->prog, e);
    g->stopped = "length";
    while (!rc && g->n < max_tokens) {
        rc = sampler_next(smp, &id, logits, e);
        if (rc)
            break;
        if (is_end_token(&g->eos, id)) {
            g->stopped = "eos";
            g->eos_id = id;
            break;
        }
        g->ids[g->n++] = id;
        if (g->stream)
            rc = stream_token(g, id, e);
        if (rc || g->n == max_tokens)
            break;
        if (g->n == room) {
            g->stopped = "context";
            break;
        }
        rc = cancel_check(e);
        if (!rc)
            rc = decoder_feed(d, &id, 1, &logits, NULL, e);
    }
    if (g->stream) {
        int end_rc = stream_text(g, "", 0, true, rc ? NULL : e);
        strbuf newline = {0};
        strbuf_putc(&newline, '\n');
        if (!end_rc)
            end_rc = output_flush(g->s->out, &newline, rc ? NULL : e);
        strbuf_free(&newline);
        rc = rc ? rc : end_rc;
    }
    return rc;
}

static int put_json(generation *g, const command_args *a, const prompt_input *in, const edit_choice *changed, err *e)
{
    strbuf b = {0}, text = {0};
    int rc = g->lm->tok ? tokenizer_decode(g->lm->tok, g->ids, g->n, true, &text, e) : 0;
    json_line_begin(&b, "attnscope.generation/1");
    json_line_text(&b, "model", g->lm->m->name);
    json_line_ids(&b, "prompt_ids", in->in.ids, in->in.n);
    if (in->in.source)
        json_line_ids(&b, "source_ids", in->in.source, in->in.n_source);
    json_line_ids(&b, "ids", g->ids, g->n);
    json_line_bytes(&b, "text", g->lm->tok ? strbuf_str(&text) : NULL, text.len);
    json_line_text(&b, "stopped", g->stopped);
    if (strcmp(g->stopped, "eos") == 0)
        json_line_int(&b, "eos_id", g->eos_id);
    json_line_real(&b, "temperature", params_real(a->p, "temperature"));
    if (params_real(a->p, "temperature") > 0)
        json_line_int(&b, "seed", params_int(a->p, "seed"));
    json_line_key(&b, "edits");
    strbuf_puts(&b, edit_choice_json(changed));
    json_line_end(&b);
    if (!rc)
        rc = output_flush(g->s->out, &b, e);
    strbuf_free(&b);
    strbuf_free(&text);
    return rc;
}

/* Only a stack that looks back and predicts the next token can go on. */
static int check_model(const model *m, err *e)
{
    if (m->main->kind == ATTN_SELF && m->vocab > 0)
        return 0;
    if (m->main->kind == ATTN_VISION)
        err_set(e, ERR_USAGE, "%s is an image tower: it generates no text", m->name);
    else if (m->main->kind == ATTN_ENCODER)
        err_set(e, ERR_USAGE, "%s is an encoder: it does not predict the next token", m->name);
    else
        err_set(e, ERR_USAGE, "%s gives no logits: the checkpoint has no output head", m->name);
    return err_hint(e, "`run` measures its attention");
}

static int run(session *s, const command_args *a, err *e)
{
    loaded_model *lm;
    int rc = choose_model(s, a, true, &lm, e);
    if (rc)
        return rc;
    prompt_input in;
    rc = check_model(lm->m, e);
    if (rc || (rc = prompt_read(&in, lm, a->p, e)))
        return rc;
    generation g = {
        .lm = lm, .s = s, .stream = command_format(s, a) != FORMAT_JSON, .terminal = terminal_output(s)};
    sampler smp = {0};
    decoder *d = NULL;
    edit_choice changed = {0};
    int64_t room = lm->m->main->context - in.in.n, max_tokens = params_int(a->p, "max-tokens");
    if (room <= 0) {
        err_set(e, ERR_USAGE, "the prompt fills the context of %s (%" PRId64 " tokens): no room to generate",
                lm->m->name, lm->m->main->context);
        rc = err_hint(e, "shorten it, or keep its beginning with --truncate");
    }
    int64_t most = max_tokens < room ? max_tokens : room;
    if (!rc)
        rc = end_tokens_find(&g.eos, lm, e);
    if (!rc && !(g.ids = mem_array((size_t)most, sizeof *g.ids, e)))
        rc = ERR_RESOURCE;
    if (!rc)
        rc = sampler_init(&smp, params_real(a->p, "temperature"), params_int(a->p, "top-k"),
                          params_real(a->p, "top-p"), (uint64_t)params_int(a->p, "seed"), lm->m->vocab, e);
    if (!rc)
        rc = edit_choose(&changed, s, a, lm, e);
    if (!rc)
        rc = decoder_new(&d, lm->rt, &in.in, in.in.n + most, e);
    if (!rc)
        rc = loop(&g, d, &in, &smp, max_tokens, e);
    if (!rc && !g.stream)
        rc = put_json(&g, a, &in, &changed, e);
    if (!rc && strcmp(g.stopped, "context") == 0)
        say(s, "stopped: the context of %" PRId64 " tokens is full", lm->m->main->context);
    decoder_free(d);
    edit_choice_free(&changed);
    sampler_free(&smp);
    strbuf_free(&g.held);
    free(g.ids);
    prompt_free(&in);
    return rc;
}

static const param own[] = {
    {.name = "max-tokens", .kind = PARAM_INT, .def = "64", .value = "N", .min = 1, .max = 1e15,
     .help = "tokens to generate at most"},
    {.name = "temperature", .kind = PARAM_REAL, .def = "0", .value = "T", .max = 1000,
     .help = "0: always the most probable token; 1: the model's own distribution"},
    {.name = "top-k", .kind = PARAM_INT, .def = "0", .value = "K", .max = 1e15,
     .help = "sample among the K most probable tokens only; 0: all"},
    {.name = "top-p", .kind = PARAM_REAL, .def = "1", .value = "P", .max = 1,
     .help = "sample among the fewest tokens whose probabilities reach P"},
    {.name = "seed", .kind = PARAM_INT, .def = "0", .value = "S",
     .help = "seed of the random numbers: the same seed gives the same text"},
    {.name = NULL},
};
static const param *const *extra(void)
{
    static const param *const tables[] = {prompt_params, chat_params, edit_option_params, precision_params, config_params,
                                          tokenizer_params,
                                          NULL};
    return tables;
}
static const char *const examples[] = {
    "generate examples/models/lantern-3m --prompt \"The old man\" --max-tokens 20",
    "the most probable continuation",
    "generate examples/models/lantern-3m --prompt \"The old man\" --temperature 0.8 --seed 7",
    "a sampled one, the same each time",
    NULL,
};
static const char *const complete[] = {"models", NULL};

const command command_generate = {
    .name = "generate", .group = "model", .usage = "[MODEL]",
    .summary = "continue a prompt, greedily or by sampling",
    .help = "Prints the continuation as it comes, without the prompt; special tokens are left out. Stops at "
            "any end-of-text token of the tokenizer or of generation_config.json (else config.json), after --max-tokens, "
            "or when the context is full. Sampling divides the "
            "logits by the temperature, keeps the --top-k, then the --top-p candidates, and draws with "
            "xoshiro256** seeded from --seed. An encoder-decoder reads --source (or --prompt) and goes on from its "
            "start token, or from --target; a model of images and text reads --image with the prompt. "
            "With --json one object holds ids, text and why it stopped.",
    .examples = examples, .params = own, .min_args = 0, .max_args = 1,
    .complete = complete, .extra_params = extra, .run = run, .live = true,
};
