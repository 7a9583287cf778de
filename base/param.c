#include "base/param.h"

#include <assert.h>
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/strbuf.h"

enum { MAX_WORD = 64 };

struct params {
    const param **table; /* [n_table] */
    int n_table;
    const char *noun; /* NULL: options */
    struct given {
        const param *row;
        char *value;
    } *given;
    size_t n_given, cap;
};

/* --- words and numbers --- */

static int min3(int a, int b, int c)
{
    int m = a < b ? a : b;
    return m < c ? m : c;
}

/* Insertions, deletions, substitutions and swaps of neighbours (optimal string alignment) between a and
 * b; a large number for words that are too long to be names. */
static int edit_distance(const char *a, const char *b)
{
    int la = (int)strnlen(a, MAX_WORD), lb = (int)strnlen(b, MAX_WORD);
    int d[3][MAX_WORD] = {{0}};

    if (la == MAX_WORD || lb == MAX_WORD)
        return MAX_WORD;
    for (int j = 0; j <= lb; j++)
        d[0][j] = j;
    for (int i = 1; i <= la; i++) {
        int *row = d[i % 3], *above = d[(i + 2) % 3], *above2 = d[(i + 1) % 3];
        row[0] = i;
        for (int j = 1; j <= lb; j++) {
            int cost = a[i - 1] != b[j - 1];
            row[j] = min3(above[j] + 1, row[j - 1] + 1, above[j - 1] + cost);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && above2[j - 2] + 1 < row[j])
                row[j] = above2[j - 2] + 1;
        }
    }
    return d[la % 3][lb];
}

/* Two edits turn any two short words into each other; near means that most of the word stays. */
static bool nearer(const char *word, const char *candidate, int *best)
{
    size_t lw = strlen(word), lc = strlen(candidate), longer = lw > lc ? lw : lc;
    int d = edit_distance(word, candidate);

    if (d > 2 || (size_t)d > longer / 2 || d >= *best)
        return false;
    *best = d;
    return true;
}

const char *nearest_word(const char *word, const char *const *words)
{
    const char *found = NULL;
    int best = MAX_WORD;

    for (; *words; words++) {
        if (nearer(word, *words, &best))
            found = *words;
    }
    return found;
}

bool parse_int(int64_t *out, const char *text)
{
    const char *digits = *text == '-' || *text == '+' ? text + 1 : text;

    if (*digits == '\0' || digits[strspn(digits, "0123456789")] != '\0')
        return false;
    errno = 0;
    long long v = strtoll(text, NULL, 10);
    if (errno)
        return false;
    *out = v;
    return true;
}

static pthread_once_t c_locale_once = PTHREAD_ONCE_INIT;
static locale_t c_locale;

static void make_c_locale(void)
{
    c_locale = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
}

bool parse_real(double *out, const char *text)
{
    char *end;

    /* leaves out what strtod also takes: blanks, hexadecimal, inf and nan */
    if (*text == '\0' || text[strspn(text, "0123456789+-.eE")] != '\0')
        return false;
    pthread_once(&c_locale_once, make_c_locale);
    double v = c_locale ? strtod_l(text, &end, c_locale) : strtod(text, &end);
    if (end == text || *end != '\0' || !isfinite(v))
        return false;
    *out = v;
    return true;
}

static bool parse_bool(bool *out, const char *text)
{
    static const char *const yes[] = {"true", "1", "yes", "on"};
    static const char *const no[] = {"false", "0", "no", "off"};

    for (int i = 0; i < 4; i++) {
        if (strcmp(text, yes[i]) == 0 || strcmp(text, no[i]) == 0) {
            *out = strcmp(text, yes[i]) == 0;
            return true;
        }
    }
    return false;
}

/* --- the set --- */

int params_new(params **out, err *e)
{
    *out = mem_array(1, sizeof **out, e);
    return *out ? 0 : ERR_RESOURCE;
}

void params_free(params *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->n_given; i++)
        free(p->given[i].value);
    free(p->given);
    free(p->table);
    free(p);
}

int params_use(params *p, const param *table, err *e)
{
    for (int i = 0; i < p->n_table; i++) {
        if (p->table[i] == table)
            return 0;
    }
    const param **more = mem_grow(p->table, (size_t)p->n_table + 1, sizeof *more, e);
    if (!more)
        return ERR_RESOURCE;
    p->table = more;
    p->table[p->n_table++] = table;
    return 0;
}

static const param *exact_row(const params *p, const char *name)
{
    for (int i = 0; i < p->n_table; i++) {
        for (const param *r = p->table[i]; r->name; r++) {
            if (strcmp(r->name, name) == 0)
                return r;
        }
    }
    return NULL;
}

/* The row for a name as the user writes it; "no-x" means the BOOL row x unless a row has that very name. */
static const param *find_row(const params *p, const char *name, bool *negated)
{
    const param *r = exact_row(p, name);

    *negated = false;
    if (!r && strncmp(name, "no-", 3) == 0) {
        r = exact_row(p, name + 3);
        if (r && r->kind != PARAM_BOOL)
            r = NULL;
        *negated = r != NULL;
    }
    return r;
}

const param *params_row(const params *p, const char *name)
{
    bool negated;
    return find_row(p, name, &negated);
}

static const struct given *find_given(const params *p, const param *row)
{
    for (size_t i = 0; i < p->n_given; i++) {
        if (p->given[i].row == row)
            return &p->given[i];
    }
    return NULL;
}

bool params_given(const params *p, const char *name)
{
    const param *row = exact_row(p, name);
    return row && find_given(p, row);
}

static int unknown_option(const params *p, const char *name, err *e)
{
    const char *near = NULL;
    int best = MAX_WORD;

    err_set(e, ERR_USAGE, "unknown option --%s", name);
    for (int i = 0; i < p->n_table; i++) {
        for (const param *r = p->table[i]; r->name; r++) {
            if (nearer(name, r->name, &best))
                near = r->name;
        }
    }
    return near ? err_hint(e, "did you mean --%s?", near) : err_hint(e, "add --help to see the options");
}

/* --- checking values --- */

/* What the option wants, as a hint; returns e's code. */
static int explain(const param *r, err *e)
{
    const char *value = r->kind == PARAM_BOOL ? "" : r->value ? r->value : "VALUE";
    return err_hint(e, "--%s%s%s%s%s", r->name, *value ? " " : "", value, r->help ? ": " : "",
                    r->help ? r->help : "");
}

static bool limited(const param *r)
{
    return r->min != 0 || r->max != 0;
}

static int out_of_range(const param *r, const char *value, err *e)
{
    strbuf text = {0};

    /* a limit so far away that nobody meant it is not worth printing */
    if (r->max < 1e15) {
        strbuf_put_real(&text, r->min);
        strbuf_puts(&text, " to ");
        strbuf_put_real(&text, r->max);
    } else {
        strbuf_puts(&text, "at least ");
        strbuf_put_real(&text, r->min);
    }
    err_set(e, ERR_USAGE, "option --%s: %s is out of range (%s)", r->name, value, strbuf_str(&text));
    strbuf_free(&text);
    return explain(r, e);
}

/* A choice that ends in * stands for every word that begins so; the command checks the rest. */
static bool is_choice(const char *const *choices, const char *word)
{
    for (; *choices; choices++) {
        size_t n = strlen(*choices);
        if (strcmp(*choices, word) == 0 || (n && (*choices)[n - 1] == '*' && strncmp(*choices, word, n - 1) == 0))
            return true;
    }
    return false;
}

static int no_choice(const param *r, const char *word, err *e)
{
    const char *near = nearest_word(word, r->choices);
    strbuf all = {0};

    err_set(e, ERR_USAGE, "option --%s: unknown value '%s'", r->name, word);
    for (const char *const *c = r->choices; *c; c++)
        strbuf_printf(&all, "%s%s", c == r->choices ? "" : ", ", *c);
    int rc = near ? err_hint(e, "did you mean '%s'? choices: %s", near, strbuf_str(&all))
                  : err_hint(e, "choices: %s", strbuf_str(&all));
    strbuf_free(&all);
    return rc;
}

/* Every word of a comma-separated list. */
static int check_list(const param *r, const char *value, err *e)
{
    for (const char *s = value;; s++) {
        size_t n = strcspn(s, ",");
        if (n == 0 && *value) {
            err_set(e, ERR_USAGE, "option --%s: empty word in '%s'", r->name, value);
            return err_hint(e, "write the words with one comma between them and no blanks");
        }
        if (r->choices && *value) {
            char *word = mem_strndup(s, n, e);
            if (!word)
                return ERR_RESOURCE;
            int rc = is_choice(r->choices, word) ? 0 : no_choice(r, word, e);
            free(word);
            if (rc)
                return rc;
        }
        s += n;
        if (!*s)
            return 0;
    }
}

static int check_value(const param *r, const char *value, err *e)
{
    int64_t i;
    double x;
    bool b;

    switch (r->kind) {
    case PARAM_BOOL:
        if (!parse_bool(&b, value)) {
            err_set(e, ERR_USAGE, "option --%s: '%s' is neither true nor false", r->name, value);
            return err_hint(e, "give --%s or --no-%s without a value", r->name, r->name);
        }
        return 0;
    case PARAM_INT:
        if (!parse_int(&i, value)) {
            err_set(e, ERR_USAGE, "option --%s: '%s' is not an integer", r->name, value);
            return explain(r, e);
        }
        if (limited(r) && ((double)i < r->min || (double)i > r->max))
            return out_of_range(r, value, e);
        return 0;
    case PARAM_REAL:
        if (!parse_real(&x, value)) {
            err_set(e, ERR_USAGE, "option --%s: '%s' is not a finite number", r->name, value);
            return explain(r, e);
        }
        if (limited(r) && (x < r->min || x > r->max))
            return out_of_range(r, value, e);
        return 0;
    case PARAM_ENUM:
        return is_choice(r->choices, value) ? 0 : no_choice(r, value, e);
    case PARAM_LIST:
        return check_list(r, value, e);
    case PARAM_PATH:
        if (!*value) {
            err_set(e, ERR_USAGE, "option --%s: empty file name", r->name);
            return explain(r, e);
        }
        return 0;
    case PARAM_STR:
        return 0;
    }
    return err_set(e, ERR_FAILED, "option --%s: unknown kind", r->name);
}

void params_call(params *p, const char *noun)
{
    p->noun = noun;
}

/* An error of an option, in words for what is set otherwise. */
static int reword(const char *noun, const param *row, err *e)
{
    static const char begin[] = "option --";
    const size_t n = sizeof begin - 1;
    char msg[sizeof e->msg], hint[sizeof e->hint];

    memcpy(msg, e->msg, sizeof msg);
    memcpy(hint, e->hint, sizeof hint);
    if (strncmp(msg, begin, n) != 0)
        return e->code;
    err_set(e, e->code, "%s %s", noun, msg + n);
    if (row->kind == PARAM_BOOL)
        return err_hint(e, "it is true or false");
    return err_hint(e, "%s", strncmp(hint, "--", 2) == 0 ? hint + 2 : hint);
}

static int set_value(params *p, const char *name, const char *value, err *e)
{
    bool negated;
    const param *row = find_row(p, name, &negated);

    if (!row)
        return unknown_option(p, name, e);
    if (negated) {
        if (value) {
            err_set(e, ERR_USAGE, "option --%s takes no value", name);
            return err_hint(e, "give --%s or --no-%s without a value", row->name, row->name);
        }
        value = "false";
    } else if (!value) {
        if (row->kind != PARAM_BOOL) {
            err_set(e, ERR_USAGE, "option --%s needs a value", name);
            return explain(row, e);
        }
        value = "true";
    }

    int rc = check_value(row, value, e);
    if (rc)
        return rc;

    char *copy = mem_strdup(value, e);
    if (!copy)
        return ERR_RESOURCE;
    struct given *g = (struct given *)find_given(p, row);
    if (g) { /* the last one given counts */
        free(g->value);
        g->value = copy;
        return 0;
    }
    if (p->n_given == p->cap) {
        size_t cap = p->cap ? 2 * p->cap : 8;
        struct given *more = mem_grow(p->given, cap, sizeof *more, e);
        if (!more) {
            free(copy);
            return ERR_RESOURCE;
        }
        p->given = more;
        p->cap = cap;
    }
    p->given[p->n_given++] = (struct given){row, copy};
    return 0;
}

int params_set(params *p, const char *name, const char *value, err *e)
{
    int rc = set_value(p, name, value, e);
    const param *row = params_row(p, name);

    return rc == ERR_USAGE && p->noun && row && e ? reword(p->noun, row, e) : rc;
}

void params_unset(params *p, const char *name)
{
    const struct given *g = find_given(p, exact_row(p, name));
    size_t i = g ? (size_t)(g - p->given) : 0;

    if (!g)
        return;
    free(p->given[i].value);
    memmove(&p->given[i], &p->given[i + 1], (--p->n_given - i) * sizeof *p->given);
}

/* --- reading --- */

const char *params_str(const params *p, const char *name)
{
    const param *row = exact_row(p, name);
    assert(row && "no option table describes this name");
    if (!row)
        return NULL;

    const struct given *g = find_given(p, row);
    return g ? g->value : row->def;
}

int64_t params_int(const params *p, const char *name)
{
    const char *text = params_str(p, name);
    int64_t v = 0;
    bool ok = !text || parse_int(&v, text);
    assert(ok && "a default must be valid");
    return ok ? v : 0;
}

double params_real(const params *p, const char *name)
{
    const char *text = params_str(p, name);
    double v = 0;
    bool ok = !text || parse_real(&v, text);
    assert(ok && "a default must be valid");
    return ok ? v : 0;
}

bool params_bool(const params *p, const char *name)
{
    const char *text = params_str(p, name);
    bool v = false;
    bool ok = !text || parse_bool(&v, text);
    assert(ok && "a default must be valid");
    return ok && v;
}
