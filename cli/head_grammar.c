#include "cli/head_grammar.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "base/param.h"
#include "cli/head_words.h"
#include "cli/hook_name.h"

enum { MOST_DEPTH = 100 };

static const char *const keywords[] = {"top", "bottom", "where", "random", "heads", "not", "and", "or", "except",
                                       "by", "of", "in", "seed", "run", "all", NULL};

static int term(head_expr **out, parser *p);
static int selection(head_expr **out, parser *p);

static int no_head(parser *p, const char *word)
{
    shown_word small;
    snprintf(small, sizeof small, "%.100s", word);
    words_lower(small);
    bool letters = !small[strspn(small, "abcdefghijklmnopqrstuvwxyz")]; /* "L1K" is no slip of "all" */
    const char *near = strlen(word) >= (letters ? 3 : 4) ? nearest_word(small, keywords) : NULL;
    err_set(p->e, ERR_USAGE, "'%s' names no head", word);
    if (near)
        return err_hint(p->e, "did you mean \"%s\"?", near);
    if (strncmp(word, "hook_", 5) == 0 || strncmp(word, "ln_final.", 9) == 0)
        return err_hint(p->e, "it is an activation of the whole model; heads are those of blocks.3.attn.hook_z and the like "
                        "(`help heads`)");
    return err_hint(p->e, "write L1H3, L1H* (a layer), L*H0, L0-3H2 or all%s; separate several with commas; or choose by a "
                    "metric: \"top 20 by sink\" (`help heads`)", p->prefixes);
}

/* ---- names ---- */

static int hook(head_expr *x, parser *p)
{
    hook_name h;
    if (!hook_name_read(&h, &p->s)) {
        shown_word word;
        err_set(p->e, ERR_USAGE, "'%s' is no activation that is known here", words_peek(p, word));
        return err_hint(p->e, "write blocks.3.attn.hook_pattern, or blocks.3.attn.hook_z[:, :, 7] for a head; `help heads` lists"
                        " them");
    }
    x->kind = h.kind;
    x->prefixed = h.prefixed;
    x->layers = (head_span){h.layer == NO_INDEX ? 0 : h.layer, h.layer, h.layer == NO_INDEX};
    x->heads = (head_span){h.head == NO_INDEX ? 0 : h.head, h.head, h.head == NO_INDEX};
    x->of_heads = h.head != NO_INDEX;
    x->of_layer = !h.attention;
    return 0;
}

static int name(head_expr **out, parser *p)
{
    shown_word word;
    size_t n = words_length(p);
    const char *begin = p->s;
    head_expr *x = *out = words_expr(p, HEADS_NAME);
    if (!x)
        return ERR_RESOURCE;
    words_peek(p, word);
    if (hook_name_begins(p->s)) {
        int rc = hook(x, p);
        return rc ? rc : words_note(x, p, begin);
    }
    if (n >= MOST_WORD || !head_place_read(x, word))
        return no_head(p, word);
    p->s += n;
    return words_note(x, p, begin);
}

static int list(head_expr **out, parser *p)
{
    const char *begin = p->s;
    if (*p->s == '@')
        p->s++;
    else
        words_take(p, "heads");
    words_skip(p);
    size_t n = words_length(p);
    if (n == 0) {
        err_set(p->e, ERR_USAGE, "which list of heads?");
        return err_hint(p->e, "write @NAME or heads NAME; `import heads` lists those of the store");
    }
    head_expr *x = *out = words_expr(p, HEADS_LIST);
    if (!x || !(x->name = arena_strndup(p->mem, p->s, n, p->e)))
        return ERR_RESOURCE;
    p->s += n;
    return words_note(x, p, begin);
}

/* ---- rankings, conditions, draws ---- */

static bool is_metric(const char *word)
{
    if (!isalpha((unsigned char)*word) && *word != '_')
        return false;
    return word[strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")] == '\0';
}

static const char comparisons[] = "write where sink > 0.3; there are < <= > >= = !=";

static int metric(head_expr *x, parser *p)
{
    shown_word word, whole;
    size_t n = words_length(p);
    head_expr place = {.op = HEADS_NAME};
    words_peek(p, whole);
    snprintf(word, sizeof word, "%s", whole);
    char *bracket = strchr(word, '[');
    bool good = n < MOST_WORD;
    if (bracket) {
        char *end = strchr(bracket, ']');
        good &= end && !end[1];
        if (end)
            *end = '\0';
        *bracket = '\0';
        good = good && parse_int(&x->position, bracket + 1) && x->position >= 0;
    }
    if (!good || !is_metric(word) || head_place_read(&place, word)) {
        err_set(p->e, ERR_USAGE, "'%s' is no metric", whole);
        return err_hint(p->e, "write sink, or sink[0] where it has values at several positions; `list metrics` names them");
    }
    p->s += n;
    x->metric = arena_strdup(p->mem, words_lower(word), p->e);
    return x->metric ? 0 : ERR_RESOURCE;
}

/* "of run last-1", "in L10-20", "seed 3", in any order. */
static int additions(head_expr *x, parser *p)
{
    shown_word word;
    for (;;) {
        bool draw = x->op == HEADS_RANDOM;
        int64_t seed;
        if (!x->child && words_take(p, "in")) {
            int rc = term(&x->child, p);
            if (rc)
                return rc;
        } else if (!draw && !x->run && words_take(p, "of")) {
            words_take(p, "run");
            if (!*words_peek(p, word)) {
                err_set(p->e, ERR_USAGE, "of which run?");
                return err_hint(p->e, "write of 5, of last or of last-1; `runs` lists them");
            }
            if (!(x->run = arena_strndup(p->mem, p->s, words_length(p), p->e)))
                return ERR_RESOURCE;
            p->s += words_length(p);
        } else if (draw && words_take(p, "seed")) {
            if (!parse_int(&seed, words_peek(p, word)) || seed < 0) {
                err_set(p->e, ERR_USAGE, "'%s' is no seed", word);
                return err_hint(p->e, "write a whole number: random 8 seed 3");
            }
            x->seed = (uint64_t)seed;
            p->s += words_length(p);
        } else {
            return 0;
        }
    }
}

static int count(head_expr *x, parser *p, const char *begin)
{
    shown_word word, digits;
    words_peek(p, word);
    size_t n = words_length(p);
    int64_t whole;
    if (!*word)
        return words_unfinished(p, begin, "how many heads?",
                                x->op == HEADS_RANDOM ? "write random 8" : "write top 20 by retrieval");
    snprintf(digits, sizeof digits, "%s", word);
    size_t len = strlen(digits);
    x->percent = x->op != HEADS_RANDOM && len > 1 && digits[len - 1] == '%';
    if (x->percent)
        digits[len - 1] = '\0';
    bool good = parse_real(&x->count, digits) && x->count > 0;
    good = good && (x->percent ? x->count <= 100 : parse_int(&whole, digits));
    if (!good) {
        err_set(p->e, ERR_USAGE, "'%s' is no number of heads", word);
        return err_hint(p->e, x->op == HEADS_RANDOM ? "write random 8" : "write top 20 by retrieval, or top 5%% by retrieval");
    }
    p->s += n;
    return 0;
}

static int ranking(head_expr **out, parser *p, head_op op)
{
    const char *begin = p->s;
    head_expr *x = *out = words_expr(p, op);
    if (!x)
        return ERR_RESOURCE;
    p->s += words_length(p);
    int rc = count(x, p, begin);
    if (!rc && op != HEADS_RANDOM) {
        shown_word word;
        bool by = words_take(p, "by");
        rc = by && *words_peek(p, word) ? metric(x, p)
                                        : words_unfinished(p, begin, "by which metric?", "write top 20 by retrieval");
    }
    if (!rc)
        rc = additions(x, p);
    return rc ? rc : words_note(x, p, begin);
}

static bool read_compare(head_compare *out, parser *p)
{
    static const struct { const char *sign; head_compare compare; } signs[] = {
        {"<=", LESS_EQUAL}, {">=", GREATER_EQUAL}, {"==", EQUAL}, {"!=", NOT_EQUAL}, {"<", LESS}, {">", GREATER}, {"=", EQUAL},
    };
    words_skip(p);
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
        if (strncmp(p->s, signs[i].sign, strlen(signs[i].sign)) == 0) {
            *out = signs[i].compare;
            p->s += strlen(signs[i].sign);
            return true;
        }
    return false;
}

static int condition(head_expr **out, parser *p)
{
    shown_word word;
    const char *begin = p->s;
    head_expr *x = *out = words_expr(p, HEADS_WHERE);
    int rc = x ? metric(x, p) : ERR_RESOURCE;
    if (rc)
        return rc;
    if (!read_compare(&x->compare, p) || !*words_peek(p, word))
        return words_unfinished(p, begin, "compared with what?", comparisons);
    if (!parse_real(&x->bound, word)) {
        err_set(p->e, ERR_USAGE, "'%s' is no number to compare %s with", word, x->metric);
        return err_hint(p->e, "%s", comparisons);
    }
    p->s += words_length(p);
    rc = additions(x, p);
    return rc ? rc : words_note(x, p, begin);
}

/* Is the next word compared with something, or does it name a position? */
static bool at_condition(const parser *p)
{
    size_t n = words_length(p);
    const char *behind = p->s + n + strspn(p->s + n, " \t\r\n");
    bool compared = *behind && strchr("<>=!", *behind);
    return n > 0 && !hook_name_begins(p->s) && (compared || memchr(p->s, '[', n));
}

/* ---- terms and what joins them ---- */

static int nothing(parser *p)
{
    if (p->after)
        err_set(p->e, ERR_USAGE, "no head is named behind '%s'", p->after);
    else
        err_set(p->e, ERR_USAGE, "no head is named");
    return err_hint(p->e, "write L1H3, L1H* (a layer), all, or \"top 20 by sink\" (`help heads`)");
}

static int negation(head_expr **out, parser *p)
{
    const char *begin = p->s;
    head_expr *x = *out = words_expr(p, HEADS_NOT);
    words_take(p, "not");
    int rc = x ? term(&x->child, p) : ERR_RESOURCE;
    return rc ? rc : words_note(x, p, begin);
}

static int parentheses(head_expr **out, parser *p)
{
    p->s++;
    p->after = NULL;
    int rc = selection(out, p);
    words_skip(p);
    if (!rc && *p->s != ')') {
        err_set(p->e, ERR_USAGE, "a parenthesis has no end");
        rc = err_hint(p->e, "put a ) behind the heads that belong together");
    }
    p->s += !rc;
    return rc;
}

/* A word that joins others has nothing in front of it. */
static int misplaced(parser *p, const char *word)
{
    if (!*word && *p->s && *p->s != ',') {
        err_set(p->e, ERR_USAGE, "'%c' stands where heads are expected", *p->s);
        return err_hint(p->e, "write L1H3, L1H* (a layer), all, or where sink > 0.3 (`help heads`)");
    }
    if (!*word)
        return nothing(p);
    err_set(p->e, ERR_USAGE, "no head is named in front of '%s'", word);
    return err_hint(p->e, "write L3-7 except L5H2, or where sink > 0.3 and entropy < 1 (`help heads`)");
}

static int after_where(head_expr **out, parser *p)
{
    shown_word word;
    words_peek(p, word);
    if (*p->s == '(' || words_next_is(p, "not") || is_metric(word) || at_condition(p))
        return at_condition(p) || (*p->s != '(' && !words_next_is(p, "not")) ? condition(out, p) : term(out, p);
    err_set(p->e, ERR_USAGE, *word ? "where what? '%s' is no metric" : "where what?%s", word);
    return err_hint(p->e, "%s", comparisons);
}

static int one_term(head_expr **out, parser *p)
{
    static const char *const joins[] = {"and", "or", "except", "by", "of", "in", "seed", NULL};
    shown_word word;
    words_peek(p, word);
    if (*p->s == '(')
        return parentheses(out, p);
    if (*p->s == '@' || words_next_is(p, "heads"))
        return list(out, p);
    if (words_next_is(p, "not"))
        return negation(out, p);
    if (words_take(p, "where"))
        return after_where(out, p);
    if (words_next_is(p, "top") || words_next_is(p, "bottom"))
        return ranking(out, p, words_next_is(p, "top") ? HEADS_TOP : HEADS_BOTTOM);
    if (words_next_is(p, "random"))
        return ranking(out, p, HEADS_RANDOM);
    for (int i = 0; joins[i]; i++)
        if (words_next_is(p, joins[i]))
            return misplaced(p, word);
    if (!*word)
        return misplaced(p, word);
    return at_condition(p) ? condition(out, p) : name(out, p);
}

static int term(head_expr **out, parser *p)
{
    words_skip(p);
    if (++p->depth > MOST_DEPTH) {
        err_set(p->e, ERR_USAGE, "the selection of heads is nested more than %d deep", MOST_DEPTH);
        return err_hint(p->e, "take parentheses or `not` away");
    }
    int rc = one_term(out, p);
    p->depth--;
    p->after = NULL;
    return rc;
}

/* x becomes the last child of a group, which is made when there are two. */
static int add_child(head_expr **g, head_expr **last, head_expr *x, head_join join, parser *p)
{
    x->join = *g ? join : JOIN_OR;
    if (!*g) {
        *g = *last = x;
        return 0;
    }
    if (*g == *last) {
        head_expr *made = words_expr(p, HEADS_GROUP);
        if (!made)
            return ERR_RESOURCE;
        made->child = *g;
        *g = made;
    }
    (*last)->next = x;
    *last = x;
    return 0;
}

static int both(head_expr **out, parser *p)
{
    const char *begin = p->s;
    head_expr *last = NULL, *x;
    int rc = 0;
    *out = NULL;
    do {
        rc = term(&x, p);
        if (!rc)
            rc = add_child(out, &last, x, JOIN_AND, p);
    } while (!rc && words_take(p, "and"));
    return rc || *out == last ? rc : words_note(*out, p, begin);
}

/* Does the union end here? */
static bool at_end(parser *p)
{
    words_skip(p);
    return !*p->s || *p->s == ')' || words_next_is(p, "except");
}

static int unite(head_expr **out, parser *p)
{
    words_skip(p);
    const char *begin = p->s;
    head_expr *last = NULL, *x;
    int rc = 0;
    bool comma = true;
    *out = NULL;
    while (!rc) {
        for (words_skip(p); *p->s == ','; words_skip(p)) {
            p->s++;
            p->after = NULL;
            comma = true;
        }
        if (at_end(p) || (*out && !comma && words_next_is(p, "where")))
            break;
        if (*out && !comma && words_take(p, "or"))
            words_skip(p);
        rc = both(&x, p);
        if (!rc)
            rc = add_child(out, &last, x, JOIN_OR, p);
        comma = false;
    }
    if (!rc && !*out) {
        shown_word word;
        return words_next_is(p, "except") && !p->after ? misplaced(p, words_peek(p, word)) : nothing(p);
    }
    return rc || *out == last ? rc : words_note(*out, p, begin);
}

static int selection(head_expr **out, parser *p)
{
    const char *begin = p->s;
    head_expr *last = NULL, *x = NULL;
    int rc = unite(&x, p);
    *out = NULL;
    if (!rc)
        rc = add_child(out, &last, x, JOIN_OR, p);
    while (!rc) {
        bool filter = false;
        if (words_take(p, "except")) {
            rc = unite(&x, p);
        } else if (words_next_is(p, "where")) {
            filter = true;
            rc = both(&x, p);
        } else {
            break;
        }
        if (!rc)
            rc = add_child(out, &last, x, filter ? JOIN_AND : JOIN_EXCEPT, p);
    }
    words_skip(p);
    if (!rc && *p->s && *p->s != ')') {
        err_set(p->e, ERR_USAGE, "it is not clear what belongs to 'where': \"%.100s\" follows", p->s);
        rc = err_hint(p->e, "put ( ) around what belongs together: (L3-7 where sink > 0.3), L9");
    }
    return rc || *out == last ? rc : words_note(*out, p, begin);
}

int head_expr_parse(head_expr **out, arena *mem, const char *text, const char *prefixes, err *e)
{
    err ignored = {0};
    parser p = {.s = text, .mem = mem, .prefixes = prefixes, .e = e ? e : &ignored};
    *out = NULL;
    int rc = selection(out, &p);
    if (!rc && *p.s == ')') {
        err_set(e, ERR_USAGE, "a ')' closes nothing");
        rc = err_hint(e, "put a ( in front of the heads that belong together");
    }
    return rc;
}

bool head_expr_plain(const head_expr *x)
{
    bool plain = x->op == HEADS_NAME || x->op == HEADS_GROUP;
    for (const head_expr *c = x->op == HEADS_GROUP ? x->child : NULL; c && plain; c = c->next)
        plain = c->join == JOIN_OR && head_expr_plain(c);
    return plain;
}

bool head_expr_from_end(const head_expr *x)
{
    bool yes = x->op == HEADS_NAME && (x->layers.lo < 0 || x->layers.hi < 0 || x->heads.lo < 0 || x->heads.hi < 0);
    for (const head_expr *c = x->child; c && !yes; c = c->next)
        yes = head_expr_from_end(c);
    return yes;
}
