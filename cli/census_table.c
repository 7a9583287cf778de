#include "cli/census_table.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

enum { MAX_SCORES = 48 };

/* Scores of one part of the run: all texts, one domain of them, random tokens, trials. */
typedef struct columns {
    value_groups of[MAX_SCORES];
    int n;
} columns;

static void columns_free(columns *c)
{
    for (int i = 0; i < c->n; i++)
        free(c->of[i].g);
}

/* The units of a part, as a condition on value_list. */
static int condition(char **out, census_part part, const char *domain, err *e)
{
    strbuf b = {0};
    strbuf_printf(&b, "prompt IN (SELECT prompt FROM fact_list WHERE run = ?1 AND name = 'set' AND text = '%s')",
                  census_part_names[part]);
    if (domain) {
        strbuf_puts(&b, " AND prompt IN (SELECT prompt FROM fact_list WHERE run = ?1 AND name = 'domain' AND text = '");
        for (const char *s = domain; *s; s++)
            strbuf_puts(&b, *s == '\'' ? "''" : (char[]){*s, 0});
        strbuf_puts(&b, "')");
    }
    *out = strbuf_take(&b, e);
    return *out ? 0 : ERR_RESOURCE;
}

static int load(columns *c, const census_view *v, const char *domain, err *e)
{
    int rc = 0;
    c->n = 0;
    for (int i = 0; census_scores[i].name && !rc; i++) {
        const census_score *s = &census_scores[i];
        char *units;
        c->of[i] = (value_groups){0};
        c->n = i + 1;
        if (domain && s->part != PART_TEXT)
            continue;
        rc = condition(&units, s->part, domain, e);
        if (!rc) {
            const double *above = s->rate ? &v->threshold : NULL;
            rc = v->all ? experiment_groups(&c->of[i], v->st, v->run, s->metric, units, above, v->seed, e)
                        : experiment_means(&c->of[i], v->st, v->run, s->metric, units, above, e);
            free(units);
        }
    }
    if (rc) {
        columns_free(c);
        c->n = 0;
    }
    return rc;
}

static bool fits(const columns *c, const census_rule *rule, head_id h)
{
    for (int i = 0; i < c->n; i++)
        if (strcmp(census_scores[i].name, rule->score) == 0) {
            const value_group *g = value_groups_find(&c->of[i], h, census_scores[i].position);
            return g && g->st.mean > rule->bound;
        }
    return false;
}

/* Every head that has a value of some score, in the order of the store. */
static int list_heads(head_id **out, int *n, store *st, int64_t run, err *e)
{
    const cell bind[] = {cell_int(run)};
    table *t = NULL;
    *out = NULL;
    *n = 0;
    int rc = store_query(st, &t, "SELECT DISTINCT head_name, kind, layer, head FROM head_summary WHERE run = ?1 ORDER BY"
                         " CASE kind WHEN 'vis' THEN 0 WHEN 'enc' THEN 1 WHEN 'self' THEN 2 ELSE 3 END, layer, head",
                         bind, 1, e);
    if (rc)
        return rc;
    *out = mem_array((size_t)t->n_row + 1, sizeof **out, e);
    for (int64_t i = 0; *out && i < t->n_row; i++)
        if (head_parse(&(*out)[*n], cell_string(table_cell(t, i, 0))))
            (*n)++;
    table_free(t);
    return *out ? 0 : ERR_RESOURCE;
}

static bool has_values(const columns *c, int i)
{
    return c->of[i].n > 0;
}

static int make_table(table **out, const census_view *v, const columns *c, err *e)
{
    static const char *const parts[] = {"", "_n", "_sd", "_low", "_high"};
    const char *names[3 + 5 * MAX_SCORES];
    char text[5 * MAX_SCORES][64];
    int n = 0, made = 0;
    if (v->by_domain)
        names[n++] = "domain";
    names[n++] = "head";
    names[n++] = "labels";
    for (int i = 0; i < c->n; i++) {
        if (!has_values(c, i) || !(v->all || (census_scores[i].shown && census_scores[i].shown <= v->room)))
            continue;
        for (int k = 0; k < (v->all ? 5 : 1); k++, made++) {
            snprintf(text[made], sizeof text[made], "%s%s", census_scores[i].name, parts[k]);
            names[n++] = text[made];
        }
    }
    return table_new(out, n, names, e);
}

static void put_labels(strbuf *b, const columns *c, head_id h)
{
    for (int i = 0; census_rules[i].label; i++)
        if (fits(c, &census_rules[i], h))
            strbuf_printf(b, "%s%s", b->len ? ", " : "", census_rules[i].label);
}

static int put_row(table *t, const census_view *v, const columns *c, const char *domain, head_id h, err *e)
{
    strbuf labels = {0};
    head_text name;
    int col = 0, rc = 0;
    put_labels(&labels, c, h);
    if (v->labelled && !labels.len)
        goto out;
    cell *row = table_row(t, e);
    rc = row ? 0 : ERR_RESOURCE;
    if (!rc && v->by_domain)
        rc = table_text(t, &row[col++], domain, strlen(domain), e);
    head_format(name, h);
    if (!rc)
        rc = table_text(t, &row[col++], name, strlen(name), e);
    if (!rc)
        rc = table_text(t, &row[col++], strbuf_str(&labels), labels.len, e);
    for (int i = 0; i < c->n && !rc; i++) {
        if (!has_values(c, i) || !(v->all || (census_scores[i].shown && census_scores[i].shown <= v->room)))
            continue;
        const value_group *g = value_groups_find(&c->of[i], h, census_scores[i].position);
        if (g) {
            row[col] = cell_real(g->st.mean);
            if (v->all) {
                cell five[5];
                stats_cells(five, 0, &g->st);
                row[col + 1] = five[0];
                for (int k = 2; k < 5; k++)
                    row[col + k] = five[k];
            }
        }
        col += v->all ? 5 : 1;
    }
out:
    strbuf_free(&labels);
    return rc;
}

static int list_domains(table **t, const census_view *v, err *e)
{
    const cell bind[] = {cell_int(v->run)};
    return store_query(v->st, t, "SELECT text FROM fact_list WHERE run = ?1 AND name = 'domain' GROUP BY text"
                       " ORDER BY min(prompt)", bind, 1, e);
}

int census_table(table **out, const census_view *v, err *e)
{
    head_id *heads = NULL;
    int n_head, rc = list_heads(&heads, &n_head, v->st, v->run, e);
    table *domains = NULL;
    *out = NULL;
    if (!rc && v->by_domain)
        rc = list_domains(&domains, v, e);
    if (!rc && v->by_domain && domains->n_row == 0) {
        err_set(e, ERR_FAILED, "the prompts of run %" PRId64 " have no domains", v->run);
        rc = err_hint(e, "write \"domain\": \"...\" into the lines of --prompts, or take --builtin");
    }
    int64_t n = v->by_domain && domains ? domains->n_row : 1;
    for (int64_t d = 0; d < n && !rc; d++) {
        const char *domain = v->by_domain ? cell_string(table_cell(domains, d, 0)) : NULL;
        columns c;
        rc = load(&c, v, domain, e);
        if (rc)
            break;
        if (!*out)
            rc = make_table(out, v, &c, e);
        for (int i = 0; i < n_head && !rc; i++)
            rc = put_row(*out, v, &c, domain, heads[i], e);
        columns_free(&c);
    }
    table_free(domains);
    free(heads);
    if (rc) {
        table_free(*out);
        *out = NULL;
    }
    return rc;
}

int census_sink_rate(stats *out, const census_view *v, err *e)
{
    const cell bind[] = {cell_int(v->run), cell_real(v->threshold)};
    return stats_of_query(out, v->st,
        "SELECT avg(value > ?2) FROM head_value WHERE run = ?1 AND metric = 'sink' AND position = 0 AND prompt IN"
        " (SELECT prompt FROM fact_list WHERE run = ?1 AND name = 'set' AND text = 'text') GROUP BY prompt ORDER BY prompt",
        bind, 2, v->seed, e);
}

/* Heads of a layer in the list, and whether they are all that it has. */
static int run_of_layer(const head_id *heads, int n, int from, const head_id *all, int n_all, bool *whole)
{
    int end = from, in_layer = 0;
    while (end < n && heads[end].kind == heads[from].kind && heads[end].layer == heads[from].layer)
        end++;
    for (int i = 0; i < n_all; i++)
        in_layer += all[i].kind == heads[from].kind && all[i].layer == heads[from].layer;
    *whole = in_layer > 1 && end - from == in_layer;
    return end;
}

/* "L3H0-7 L4-9 L12H2": long lists as the words that head options take, ranges and whole layers in one. */
static void put_ranges(strbuf *b, const head_id *heads, int n, const head_id *all, int n_all)
{
    for (int i = 0, end; i < n; i = end) {
        head_text name;
        bool whole, next_whole = true;
        end = run_of_layer(heads, n, i, all, n_all, &whole);
        head_format(name, heads[i]);
        if (whole) {
            int last = heads[i].layer;
            while (end < n && next_whole && heads[end].kind == heads[i].kind && heads[end].layer == last + 1) {
                int next = run_of_layer(heads, n, end, all, n_all, &next_whole);
                if (next_whole) {
                    end = next;
                    last++;
                }
            }
            name[strcspn(name, "H")] = '\0';
            strbuf_printf(b, " %s", name);
            if (last > heads[i].layer)
                strbuf_printf(b, "-%d", last);
            continue;
        }
        for (int from = i, to; from < end; from = to) {
            for (to = from + 1; to < end && heads[to].head == heads[to - 1].head + 1; to++)
                ;
            head_format(name, heads[from]);
            strbuf_printf(b, " %s", name);
            if (to - from > 1)
                strbuf_printf(b, "-%d", heads[to - 1].head);
        }
    }
}

int census_labels(strbuf *out, const census_view *v, err *e)
{
    enum { MOST_NAMED = 16 };
    head_id *heads = NULL;
    columns c = {.n = 0};
    int n_head, rc = list_heads(&heads, &n_head, v->st, v->run, e);
    head_id *fit = rc ? NULL : mem_array((size_t)n_head + 1, sizeof *fit, e);
    if (!rc)
        rc = fit ? load(&c, v, NULL, e) : ERR_RESOURCE;
    for (int i = 0; census_rules[i].label && !rc; i++) {
        int n = 0;
        for (int h = 0; h < n_head; h++)
            if (fits(&c, &census_rules[i], heads[h]))
                fit[n++] = heads[h];
        if (n == 0)
            continue;
        strbuf_puts(out, census_rules[i].label);
        if (n > MOST_NAMED) {
            strbuf_printf(out, " (%d):", n);
            put_ranges(out, fit, n, heads, n_head);
        } else {
            strbuf_putc(out, ':');
            for (int h = 0; h < n; h++) {
                head_text name;
                head_format(name, fit[h]);
                strbuf_printf(out, " %s", name);
            }
        }
        strbuf_putc(out, '\n');
    }
    columns_free(&c);
    free(fit);
    free(heads);
    return rc;
}
