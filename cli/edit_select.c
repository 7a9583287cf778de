#include "cli/edit_select.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "base/mem.h"
#include "base/rng.h"
#include "cli/head_rule.h"
#include "cli/prompt_input.h"

const param edit_option_params[] = {
    {.name = "edit", .kind = PARAM_STR, .value = "EDITS", .complete = "edits",
     .help = "change the run: \"zero L1H3; scale 2 top 5 by retrieval\"; `list edits` explains each, `help heads` how heads"
             " are chosen"},
    {.name = NULL},
};

int edits_without_run(const command_args *a, err *e)
{
    if (!params_given(a->p, "edit"))
        return 0;
    err_set(e, ERR_USAGE, "--edit changes a run, and --emit makes none");
    return err_hint(e, "leave one of them out");
}

int require_edit(const edit **out, const char *name, err *e)
{
    enum { MANY = 64 };
    const char *names[MANY + 1] = {NULL};
    if ((*out = edit_find(name)))
        return 0;
    for (int i = 0; edits[i] && i < MANY; i++)
        names[i] = edits[i]->name;
    const char *near = nearest_word(name, names);
    err_set(e, ERR_USAGE, "no edit is called \"%s\"", name);
    size_t n = strcspn(name, "=:(");
    for (int i = 0; name[n] && names[i]; i++) {
        if (strlen(names[i]) == n && !strncmp(names[i], name, n))
            return err_hint(e, "heads or layers stand behind a blank: \"%s L1H3\" (`help %s`)", names[i], names[i]);
    }
    return near ? err_hint(e, "did you mean \"%s\"?", near) : err_hint(e, "`list edits` names them all");
}

/* ---- references ---- */

static int add_reference(head_reference *ref, session *s, loaded_model *lm, const prompt_request *q, err *e)
{
    /* What is behind the context is of no use here. */
    const prompt_rules rules = {.special = true, .truncate = lm->m->main->context};
    prompt_input in;
    int rc = prompt_make(&in, lm, q, &rules, e);
    if (!rc) {
        rc = head_reference_add(ref, lm->rt, &in.in, &s->prog, e);
        prompt_free(&in);
    }
    return rc && q->where[0] ? err_prefix(e, "%s", q->where) : rc;
}

int edit_reference_make(head_reference **out, session *s, loaded_model *lm, const head_id *heads, int n_head,
                        const prompt_request *requests, int64_t n, bool by_position, bool one,
                        uint64_t seed, err *e)
{
    head_reference *ref;
    rng draw;
    rng_seed(&draw, seed, 0);
    int64_t only = one ? rng_below(&draw, n) : -1;
    int rc = head_reference_new(&ref, lm->m, heads, n_head, by_position, e);
    if (rc)
        return rc;
    for (int64_t i = 0; i < n && !rc; i++)
        if (only < 0 || i == only)
            rc = add_reference(ref, s, lm, &requests[i], e);
    if (rc)
        head_reference_free(ref);
    else
        *out = ref;
    return rc;
}

static int reference_of(edit_choice *c, const head_reference **out, session *s, loaded_model *lm,
                        const edit *kind, const params *values, const head_id *heads, int n_head, err *e)
{
    const char *file = params_str(values, "prompts");
    prompt_request *requests;
    int64_t n;
    *out = NULL;
    if (!file) /* the plan says what is missing */
        return 0;
    head_reference **more = mem_grow(c->ref, (size_t)c->n_ref + 1, sizeof *more, e);
    if (!more)
        return ERR_RESOURCE;
    c->ref = more;
    int rc = prompt_requests_load(&requests, &n, file, PROMPT_USUAL, e);
    if (rc)
        return rc;
    bool one = params_row(values, "seed") != NULL;
    bool apart = one || !strcmp(params_str(values, "position"), "each");
    rc = edit_reference_make(&c->ref[c->n_ref], s, lm, heads, n_head, requests, n, apart, one,
                             one ? (uint64_t)params_int(values, "seed") : 0, e);
    prompt_requests_free(requests, n);
    if (rc)
        return err_prefix(e, "edit %s", kind->name);
    *out = c->ref[c->n_ref++];
    return 0;
}

/* ---- the words ---- */

/* The next word of *s in place, quotes taken off; NULL at the end.  *ends: a ';' (or the end) came behind
 * it. */
static char *next_word(char **s, bool *ends, bool *broken)
{
    char *in = *s, *out, *word;
    while (isspace((unsigned char)*in))
        in++;
    word = out = in;
    char quote = '\0';
    for (; *in && (quote || (*in != ';' && !isspace((unsigned char)*in))); in++) {
        if (quote ? *in == quote : *in == '"' || *in == '\'')
            quote = quote ? '\0' : *in;
        else
            *out++ = *in;
    }
    *broken |= quote != '\0';
    bool any = in > word;
    while (isspace((unsigned char)*in))
        in++;
    *ends = *in == ';' || *in == '\0';
    *s = *in == ';' ? in + 1 : in;
    *out = '\0';
    return any ? word : NULL;
}

static bool is_value(const edit *kind, const char *word)
{
    double number;
    int64_t lo, hi;
    if (!kind->params || kind->params[0].kind == PARAM_PATH)
        return false;
    return parse_real(&number, word) || (kind->params[0].kind == PARAM_STR && edit_read_span(&lo, &hi, word));
}

enum { MAX_VALUES = 16 };
typedef struct spoken { const edit *kind; const char *value[MAX_VALUES + 1]; int n; strbuf heads; } spoken;

/* Is a comparison awaited ("where sink=0.3"), so that a '=' is no value's? */
static bool in_condition(const strbuf *heads)
{
    static const char *const openers[] = {"where", "and", "or", "not", "in", NULL};
    const char *text = strbuf_str(heads), *last = strrchr(text, ' ');
    for (int i = 0; openers[i]; i++)
        if (!strcasecmp(last ? last + 1 : text, openers[i]))
            return true;
    return heads->len && strchr("<>=!(,", text[heads->len - 1]);
}

static int read_word(spoken *x, char *word, bool first, err *e)
{
    const char *equals = strchr(word, '=');
    bool value = equals && equals > word && !strchr("<>!", equals[-1]) && !in_condition(&x->heads);
    if (!value && !(first && is_value(x->kind, word))) {
        strbuf_puts(&x->heads, x->heads.len ? " " : "");
        strbuf_puts(&x->heads, word);
        return 0;
    }
    if (x->n == MAX_VALUES)
        return err_set(e, ERR_USAGE, "edit %s has too many values", x->kind->name);
    x->value[x->n++] = word;
    return 0;
}

/* A value that next_word reads back. */
static void put_value(strbuf *b, const char *value)
{
    bool bare = !value[strcspn(value, " \t\r\n;\"'")];
    char quote = strchr(value, '"') ? '\'' : '"';
    strbuf_putc(b, ' ');
    if (bare)
        strbuf_puts(b, value);
    else
        strbuf_printf(b, "%c%s%c", quote, value, quote);
}

/* The edit in words, its heads by their names where words may choose others another time. */
static void put_words(edit_choice *c, const spoken *x, const head_id *heads, int n)
{
    const char *words = strbuf_str(&x->heads);
    bool varies = n && x->kind->target != EDIT_LAYERS && head_choice_varies(words);
    strbuf_printf(&c->words, "%s%s", c->words.len ? "; " : "", x->kind->name);
    for (int i = 0; i < x->n; i++)
        put_value(&c->words, x->value[i]);
    if (x->heads.len)
        strbuf_putc(&c->words, ' ');
    if (varies)
        put_heads(&c->words, heads, n);
    else
        strbuf_puts(&c->words, words);
    c->varies |= varies;
}

static int add_edit(edit_choice *c, session *s, loaded_model *lm, spoken *x, err *e)
{
    params *values = NULL;
    head_id *heads = NULL;
    const head_reference *ref = NULL;
    int n = 0, rc = edit_params(&values, x->kind, x->value, e);
    if (!rc && x->heads.failed)
        rc = err_nomem(e, "heads");
    if (!rc && x->heads.len) {
        const char *words = strbuf_str(&x->heads);
        rc = x->kind->target == EDIT_LAYERS ? layer_select(&heads, &n, lm->m, words, e)
                                            : head_select_named(&heads, &n, s, lm->m, words, e);
        if (rc)
            err_prefix(e, "edit %s", x->kind->name);
    }
    if (!rc && n && x->kind->needs_reference)
        rc = reference_of(c, &ref, s, lm, x->kind, values, heads, n, e);
    if (rc)
        params_free(values);
    else
        rc = edit_plan_add(c->plan, x->kind, heads, n, values, ref, e);
    if (!rc)
        put_words(c, x, heads, n);
    free(heads);
    return rc;
}

/* One edit from *s up to its ';'. */
static int read_edit(edit_choice *c, session *s, loaded_model *lm, char **text, err *e)
{
    spoken x = {0};
    bool ends = false, broken = false, first = true;
    char *word = next_word(text, &ends, &broken);
    if (!word)
        return 0;
    /* Words lie behind each other in the text, and a word's end is the blank that was: none is
     * overwritten. */
    int rc = broken ? 0 : require_edit(&x.kind, word, e);
    while (!rc && !ends && !broken && (word = next_word(text, &ends, &broken))) {
        rc = broken ? 0 : read_word(&x, word, first, e);
        first = false;
    }
    if (broken) {
        err_set(e, ERR_USAGE, "a quote in --edit has no end");
        rc = err_hint(e, "write prompts='a file.jsonl'");
    }
    if (!rc)
        rc = add_edit(c, s, lm, &x, e);
    strbuf_free(&x.heads);
    return rc;
}

static int make_json(edit_choice *c, err *e)
{
    strbuf b = {0};
    edit_plan_put_json(&b, c->plan);
    c->json = strbuf_take(&b, e);
    return c->json ? 0 : ERR_RESOURCE;
}

int edit_choose_text(edit_choice *out, session *s, loaded_model *lm, const char *text, err *e)
{
    *out = (edit_choice){0};
    if (!text)
        return 0;
    char *copy = mem_strdup(text, e), *at = copy;
    int rc = copy ? edit_plan_new(&out->plan, lm->m, e) : ERR_RESOURCE;
    while (!rc && *at)
        rc = read_edit(out, s, lm, &at, e);
    free(copy);
    if (!rc && edit_plan_count(out->plan) == 0) {
        err_set(e, ERR_USAGE, "--edit names no edit");
        rc = err_hint(e, "write --edit \"zero L1H3\"; `list edits` explains each");
    }
    if (!rc)
        rc = make_json(out, e);
    if (rc) {
        edit_choice_free(out);
        return rc;
    }
    out->r = lm->rt;
    runtime_set_edits(lm->rt, edit_plan_edits(out->plan));
    return 0;
}

int edit_choose(edit_choice *out, session *s, const command_args *a, loaded_model *lm, err *e)
{
    name_list_remove(&s->chosen, "edit");
    int rc = edit_choose_text(out, s, lm, params_str(a->p, "edit"), e);
    if (rc || !out->varies)
        return rc;
    rc = out->words.failed ? err_nomem(e, "edits") : name_list_set(&s->chosen, "edit", strbuf_str(&out->words), false, e);
    if (rc)
        edit_choice_free(out);
    return rc;
}

void edit_choice_free(edit_choice *c)
{
    if (c->r)
        runtime_set_edits(c->r, NULL);
    edit_plan_free(c->plan);
    for (int i = 0; i < c->n_ref; i++)
        head_reference_free(c->ref[i]);
    free(c->ref);
    free(c->json);
    strbuf_free(&c->words);
    *c = (edit_choice){0};
}
