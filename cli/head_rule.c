#include "cli/head_rule.h"
#include "cli/head_list.h"
#include "cli/run_units.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

const param head_choice_params[] = {
    {.name = "heads", .kind = PARAM_STR, .value = "HEADS", .complete = "heads", .help = "by name: L1H3,L2H*, L0, all, or @NAME"
                                                                                        " of a list (`import heads`)"},
    {.name = "rule", .kind = PARAM_STR, .value = "RULE",
     .help = "by what a run measured: \"top 20 by retrieval\", \"top 5% by retrieval\", \"where sink[0] > 0.3\"; or \"heads"
             " NAME\""},
    {.name = "run", .kind = PARAM_STR, .value = "RUN", .complete = "runs",
     .help = "the run that --rule reads (the last one unless given)"},
    {.name = NULL},
};

typedef enum rule_kind { RULE_TOP, RULE_BOTTOM, RULE_WHERE } rule_kind;
typedef struct rule {
    rule_kind kind;
    double count;          /* of heads, or percent of them */
    bool percent;
    char metric[64];
    int64_t position;      /* NO_INDEX: not said */
    char op[3];            /* ">", ">=", "<", "<=" */
    double bound;
} rule;

static int no_rule(const char *text, err *e)
{
    err_set(e, ERR_USAGE, "\"%s\" is no rule for heads", text);
    return err_hint(e, "write \"top 20 by retrieval\", \"bottom 5%% by entropy\" or \"where sink[0] > 0.3\"");
}

/* "sink", "sink[0]" */
static bool read_metric(rule *r, const char *word)
{
    size_t len = strcspn(word, "[");
    if (len == 0 || len >= sizeof r->metric)
        return false;
    snprintf(r->metric, sizeof r->metric, "%.*s", (int)len, word);
    r->position = NO_INDEX;
    if (!word[len])
        return true;
    char digits[32];
    size_t n = strcspn(word + len + 1, "]");
    if (n == 0 || n >= sizeof digits || strcmp(word + len + 1 + n, "]") != 0)
        return false;
    snprintf(digits, sizeof digits, "%.*s", (int)n, word + len + 1);
    return parse_int(&r->position, digits) && r->position >= 0;
}

static bool read_count(rule *r, char *word)
{
    size_t len = strlen(word);
    r->percent = len > 1 && word[len - 1] == '%';
    if (r->percent)
        word[len - 1] = '\0';
    int64_t whole;
    if (!r->percent && !(parse_int(&whole, word) && whole > 0))
        return false;
    return parse_real(&r->count, word) && r->count > 0 && (!r->percent || r->count <= 100);
}

static bool read_condition(rule *r, const char *op, const char *bound)
{
    static const char *const ops[] = {">", ">=", "<", "<="};
    bool known = false;
    for (int i = 0; i < 4; i++)
        known |= !strcmp(op, ops[i]);
    if (!known)
        return false;
    snprintf(r->op, sizeof r->op, "%s", op);
    return parse_real(&r->bound, bound);
}

static int read_rule(rule *r, const char *text, err *e)
{
    char *copy = mem_strdup(text, e), *word[5] = {NULL}, *save = NULL;
    int n = 0;
    if (!copy)
        return ERR_RESOURCE;
    *r = (rule){.position = NO_INDEX};
    for (char *w = strtok_r(copy, " \t", &save); w; w = strtok_r(NULL, " \t", &save), n++)
        if (n < 5)
            word[n] = w;
    bool good = n == 4;
    if (good && !strcmp(word[0], "where")) {
        r->kind = RULE_WHERE;
        good = read_metric(r, word[1]) && read_condition(r, word[2], word[3]);
    } else if (good) {
        r->kind = !strcmp(word[0], "top") ? RULE_TOP : RULE_BOTTOM;
        good = (r->kind == RULE_TOP || !strcmp(word[0], "bottom")) && !strcmp(word[2], "by") && read_count(r, word[1]) &&
               read_metric(r, word[3]);
    }
    free(copy);
    return good ? 0 : no_rule(text, e);
}

/* ---- the values ---- */

typedef struct scored { head_id head; double value; int order; } scored;

static int no_values(const rule *r, store *st, int64_t run, err *e)
{
    const cell bind[] = {cell_int(run)};
    table *t = NULL;
    strbuf names = {0};
    int rc = store_query(st, &t, "SELECT metric FROM metric_list WHERE run = ?1 ORDER BY metric LIMIT 12", bind, 1, e);
    if (rc)
        return rc;
    for (int64_t i = 0; i < t->n_row; i++)
        strbuf_printf(&names, "%s%s", i ? ", " : "", cell_string(table_cell(t, i, 0)));
    table_free(t);
    err_set(e, ERR_USAGE, "run %" PRId64 " has no values of %s for heads", run, r->metric);
    if (names.len)
        err_hint(e, "it has %s", strbuf_str(&names));
    else
        err_hint(e, "measure it first: `census`, `needle` or `run`, with --store");
    strbuf_free(&names);
    return ERR_USAGE;
}

/* The position that the rule's values are at: the one that was asked for; else none, or the only one. */
static int find_position(int64_t *out, const rule *r, store *st, int64_t run, err *e)
{
    const cell bind[] = {cell_int(run), cell_text(r->metric)};
    table *t = NULL;
    *out = r->position;
    int rc = store_query(st, &t, "SELECT count(*), sum(position IS NULL), count(DISTINCT position), min(position)"
                         " FROM head_summary WHERE run = ?1 AND metric = ?2", bind, 2, e);
    if (rc)
        return rc;
    int64_t n = table_cell(t, 0, 0)->u.i, whole = n ? table_cell(t, 0, 1)->u.i : 0, places = table_cell(t, 0, 2)->u.i;
    int64_t first = places ? table_cell(t, 0, 3)->u.i : NO_INDEX;
    table_free(t);
    if (n == 0)
        return no_values(r, st, run, e);
    if (r->position != NO_INDEX || whole)
        return 0;
    *out = first;
    if (places == 1)
        return 0;
    err_set(e, ERR_USAGE, "%s of run %" PRId64 " has values at %" PRId64 " positions", r->metric, run, places);
    return err_hint(e, "say which: %s[%" PRId64 "]", r->metric, first);
}

static int load(scored **out, int *n, const rule *r, const model *m, store *st, int64_t run, err *e)
{
    int64_t position;
    int rc = find_position(&position, r, st, run, e);
    if (rc)
        return rc;
    const cell bind[] = {cell_int(run), cell_text(r->metric), cell_index(position)};
    table *t = NULL;
    strbuf sql = {0};
    strbuf_puts(&sql, "SELECT head_name, avg(value) FROM head_value WHERE run = ?1 AND metric = ?2 AND position IS ?3");
    rc = run_units(&sql, NULL, st, run, r->metric, NULL, e);
    strbuf_puts(&sql, " GROUP BY kind, layer, head ORDER BY kind, layer, head");
    if (!rc)
        rc = sql.failed ? err_nomem(e, "rule") : store_query(st, &t, strbuf_str(&sql), bind, 3, e);
    strbuf_free(&sql);
    if (rc)
        return rc;
    scored *s = mem_array((size_t)t->n_row + 1, sizeof *s, e);
    rc = s ? 0 : ERR_RESOURCE;
    for (int64_t i = 0; i < t->n_row && !rc; i++) {
        s[i] = (scored){.value = cell_number(table_cell(t, i, 1)), .order = (int)i};
        const char *name = cell_string(table_cell(t, i, 0));
        const attention_block *b = head_parse(&s[i].head, name) ? model_attention(m, s[i].head.kind, s[i].head.layer) : NULL;
        if (!b || s[i].head.head >= b->plan.n_head) {
            err_set(e, ERR_USAGE, "run %" PRId64 " measured %s, which %s does not have", run, name, m->name);
            rc = err_hint(e, "name a run of this model with --run; `runs` lists them");
        }
    }
    *n = (int)t->n_row;
    table_free(t);
    if (!rc && *n == 0) {
        bool anywhere = position == NO_INDEX;
        err_set(e, ERR_USAGE, anywhere ? "no trial of run %" PRId64 " succeeded: its %s does not count"
                                       : "run %" PRId64 " has no %s at that position", run, r->metric);
        rc = err_hint(e, anywhere ? "choose heads by name, or by another run with --run"
                                  : "`sql` shows: select distinct position from head_value");
    }
    if (rc)
        free(s);
    else
        *out = s;
    return rc;
}

static int downwards(const void *a, const void *b)
{
    const scored *x = a, *y = b;
    return x->value != y->value ? (x->value < y->value) - (x->value > y->value) : x->order - y->order;
}

static int upwards(const void *a, const void *b)
{
    const scored *x = a, *y = b;
    return x->value != y->value ? (x->value > y->value) - (x->value < y->value) : x->order - y->order;
}

static bool passes(const rule *r, double v)
{
    bool equal = r->op[1] == '=' && v == r->bound;
    return equal || (r->op[0] == '>' ? v > r->bound : v < r->bound);
}

/* Those that the rule takes, first; their number. */
static int pick(scored *s, int n, const rule *r)
{
    int kept = 0;
    if (r->kind == RULE_WHERE) {
        for (int i = 0; i < n; i++)
            if (passes(r, s[i].value))
                s[kept++] = s[i];
        return kept;
    }
    qsort(s, (size_t)n, sizeof *s, r->kind == RULE_TOP ? downwards : upwards);
    double want = r->percent ? floor(r->count / 100 * n + .5) : r->count;
    return want < 1 ? 1 : want < n ? (int)want : n;
}

int head_rule(head_id **out, int *n, const model *m, store *st, int64_t run, const char *text, err *e)
{
    rule r;
    scored *s = NULL;
    int all = 0, rc = read_rule(&r, text, e);
    if (!rc)
        rc = load(&s, &all, &r, m, st, run, e);
    if (rc)
        return rc;
    int kept = pick(s, all, &r);
    head_id *heads = mem_array((size_t)kept + 1, sizeof *heads, e);
    for (int i = 0; i < kept && heads; i++)
        heads[i] = s[i].head;
    free(s);
    if (!heads)
        return ERR_RESOURCE;
    if (kept == 0) {
        free(heads);
        err_set(e, ERR_USAGE, "no head of run %" PRId64 " passes \"%s\"", run, text);
        return err_hint(e, "`top %s --run %" PRId64 "` lists the values", r.metric, run);
    }
    *out = heads;
    *n = kept;
    return 0;
}

/* Which of many names the model does not have; text: as they were asked for. */
static int first_refused(const model *m, char *names, const char *text, err *e)
{
    char *save = NULL;
    for (char *w = strtok_r(names, ", \t", &save); w; w = strtok_r(NULL, ", \t", &save)) {
        head_id *one = NULL;
        int n, rc = head_select(&one, &n, m, w, e);
        free(one);
        if (rc) {
            err_prefix(e, "%s: %s", text, w);
            return rc;
        }
    }
    return err_nomem(e, "heads");
}

int head_select_named(head_id **out, int *n, session *s, const model *m, const char *text, err *e)
{
    char *names = NULL;
    if (!strchr(text, '@'))
        return head_select(out, n, m, text, e);
    int rc = head_list_expand(&names, s, text, e);
    if (!rc && head_select(out, n, m, names, NULL) != 0)
        rc = first_refused(m, names, text, e);
    free(names);
    return rc;
}

/* "heads NAME": the same as @NAME among --heads. */
static int named_rule(head_id **out, int *n, session *s, const model *m, const char *name, err *e)
{
    strbuf b = {0};
    name += strspn(name, " \t");
    strbuf_printf(&b, "@%.*s", (int)strcspn(name, " \t"), name);
    const bool one = *name && !name[strcspn(name, " \t")];
    int rc = !one ? no_rule("heads ", e) : b.failed ? err_nomem(e, "rule") : head_select_named(out, n, s, m, strbuf_str(&b), e);
    strbuf_free(&b);
    return rc;
}

int head_choose(head_id **out, int *n, session *s, const command_args *a, const model *m, bool otherwise_all, err *e)
{
    const char *heads = params_str(a->p, "heads"), *text = params_str(a->p, "rule");
    store *st;
    int64_t run;
    *out = NULL;
    *n = 0;
    if (heads && text) {
        err_set(e, ERR_USAGE, "--heads and --rule exclude each other");
        return err_hint(e, "keep one of them");
    }
    if (heads)
        return head_select_named(out, n, s, m, heads, e);
    if (text && strncmp(text, "heads ", 6) == 0)
        return named_rule(out, n, s, m, text + 6, e);
    if (!text && params_given(a->p, "run")) {
        err_set(e, ERR_USAGE, "--run says what --rule reads, and there is no rule");
        return err_hint(e, "add --rule \"top 20 by retrieval\"");
    }
    if (!text) {
        char all[16];
        snprintf(all, sizeof all, "%s.all", attn_kind_name(m->main->kind));
        return otherwise_all ? head_select(out, n, m, all, e) : 0;
    }
    rule r;
    int rc = read_rule(&r, text, e);
    if (!rc)
        rc = session_store(s, &st, e);
    if (!rc)
        rc = choose_run(s, a, st, NULL, &run, e);
    return rc ? rc : head_rule(out, n, m, st, run, text, e);
}

void put_heads(strbuf *b, const head_id *heads, int n)
{
    for (int i = 0; i < n; i++) {
        head_text name;
        head_format(name, heads[i]);
        strbuf_printf(b, "%s%s", i ? "," : "", name);
    }
}
