/* methods: what every number is, with what it was computed, and how to do it again. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/edit.h"
#include "analysis/metric.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/stats.h"
#include "cli/census_set.h"
#include "cli/report.h"

/* ---- settings ---- */

/* A value of JSON as text. */
static const char *json_words(report_doc *d, const json *v)
{
    int64_t i;
    double r;
    bool yes;
    switch (json_kind_of(v)) {
    case JSON_STR: return report_print(d, "%s", json_str(v, NULL));
    case JSON_INT: return json_int(&i, v) ? report_print(d, "%" PRId64, i) : "";
    case JSON_REAL: return json_real(&r, v) ? report_print(d, "%g", r) : "";
    case JSON_BOOL: return json_bool(&yes, v) && yes ? "yes" : "no";
    case JSON_LIST: {
        const char *text = "";
        size_t n = json_count(v), most = n < 24 ? n : 24;
        for (size_t k = 0; k < most; k++)
            text = report_print(d, "%s%s%s", text, k ? ", " : "", json_words(d, json_at(v, k)));
        return most < n ? report_print(d, "%s, … (%zu)", text, n) : text;
    }
    case JSON_MAP: {
        const char *text = "", *key;
        const json *value;
        for (void *it = NULL; json_each(v, &it, &key, &value);)
            text = report_print(d, "%s%s%s %s", text, *text ? "; " : "", key, json_words(d, value));
        return text;
    }
    default: return "none";
    }
}

/* The parameter row of a metric that a member of the settings is of. */
static const param *param_of(const metric *m, const char *name)
{
    for (const param *p = m->params; p && p->name; p++)
        if (strcmp(p->name, name) == 0)
            return p;
    return NULL;
}

static bool of_some_metric(const char *name)
{
    for (int i = 0; metrics[i]; i++)
        if (param_of(metrics[i], name))
            return true;
    return false;
}

/* ---- metrics ---- */

/* "sink-keys 0 (run 3: 1): which keys ..." */
static void put_params(report_build *b, report_block *f, const metric *m)
{
    for (const param *p = m->params; p && p->name; p++) {
        const char *text = "", *last = NULL;
        for (int i = 0; i < b->n_run; i++) {
            json *root = NULL;
            err ignored = {0};
            const char *settings = b->run[i].settings;
            const json *v = NULL;
            if (report_has(&b->run[i], m->name) &&
                json_parse(&root, settings, strlen(settings), "settings", &ignored) == 0 && (v = json_get(root, p->name))) {
                const char *value = json_words(b->doc, v);
                if (!last)
                    text = report_print(b->doc, "%s", value);
                else if (strcmp(last, value) != 0)
                    text = report_print(b->doc, "%s; run %" PRId64 ": %s", text, b->run[i].id, value);
                last = value;
            }
            json_free(root);
        }
        if (last)
            report_fact_add(b->doc, f, report_print(b->doc, "parameter %s", p->name),
                            report_print(b->doc, "%s (%s)", text, p->help), false);
    }
}

static void put_metric(report_build *b, const metric *m)
{
    report_block *f = report_facts(b->doc, m->name);
    report_fact_add(b->doc, f, "meaning", m->summary, false);
    report_fact_add(b->doc, f, "definition", m->definition, false);
    report_fact_add(b->doc, f, "unit", *m->unit ? m->unit : "none", false);
    report_fact_add(b->doc, f, "range", m->range, false);
    report_fact_add(b->doc, f, "source", m->source, false);
    report_fact_add(b->doc, f, "rows that do not sum to 1", m->missing_mass, false);
    put_params(b, f, m);
    report_fact_add(b->doc, f, "checked against", m->validated, false);
}

static void put_term(report_build *b, const char *name, const report_term *t)
{
    report_block *f = report_facts(b->doc, name);
    report_fact_add(b->doc, f, "definition", t->definition, false);
    if (*t->unit)
        report_fact_add(b->doc, f, "unit", t->unit, false);
    report_fact_add(b->doc, f, "range", t->range, false);
}

/* Every name that some run stored, once. */
static void define_all(report_build *b)
{
    for (int i = 0; i < b->n_run; i++)
        for (int k = 0; k < b->run[i].n_metric; k++) {
            const char *name = b->run[i].metric[k];
            bool seen = false;
            for (int j = 0; j < i && !seen; j++)
                seen = report_has(&b->run[j], name);
            const metric *m = metric_find(name);
            const report_term *t = m ? NULL : report_term_find(name);
            if (seen)
                continue;
            if (m)
                put_metric(b, m);
            else if (t)
                put_term(b, name, t);
        }
}

/* ---- experiments ---- */

static void put_edits(report_build *b, const report_run *r)
{
    json *root = NULL;
    err ignored = {0};
    if (json_parse(&root, r->edits, strlen(r->edits), "edits", &ignored) == 0)
        for (size_t i = 0; i < json_count(root); i++) {
            const char *name = json_str(json_get(json_at(root, i), "edit"), NULL);
            const edit *x = name ? edit_find(name) : NULL;
            if (!x)
                continue;
            report_block *f = report_facts(b->doc, report_print(b->doc, "edit %s", x->name));
            report_fact_add(b->doc, f, "meaning", x->summary, false);
            report_fact_add(b->doc, f, "definition", x->definition, false);
            report_fact_add(b->doc, f, "source", x->source, false);
            report_fact_add(b->doc, f, "in this run", json_words(b->doc, json_at(root, i)), false);
        }
    json_free(root);
}

/* What an experiment does, in the words of its command; once for runs of the same verb. */
static void put_experiments(report_build *b)
{
    for (int i = 0; i < b->n_run; i++) {
        const report_run *r = &b->run[i];
        const command *c = command_find(r->verb, false);
        bool known = false;
        for (int k = 0; k < i; k++)
            known |= strcmp(b->run[k].verb, r->verb) == 0;
        if (!known && c)
            report_text(b->doc, "%s: %s.", c->name, c->summary);
        if (!known && c)
            report_prose(b->doc, NULL, c->help);
        if (!known && strcmp(r->verb, "census") == 0)
            for (int k = 0; census_scores[k].name; k++)
                if (strcmp(census_scores[k].name, census_scores[k].metric) != 0 && report_has(r, census_scores[k].metric))
                    report_text(b->doc, "%s is %s of the %s%s.", census_scores[k].name, census_scores[k].metric,
                                census_scores[k].part == PART_RANDOM   ? "repeated random tokens"
                                : census_scores[k].part == PART_NEEDLE ? "trials of a needle"
                                                                       : "texts",
                                census_scores[k].rate ? report_print(b->doc, ", as the share of texts above %g",
                                                                     report_sink_threshold(r))
                                                      : "");
        put_edits(b, r);
    }
}

/* Settings that are of no metric: of the experiment. */
static void put_settings(report_build *b, const report_run *r)
{
    json *root = NULL;
    err ignored = {0};
    const char *key;
    const json *value;
    report_block *f = report_facts(b->doc, report_print(b->doc, "run %" PRId64, r->id));
    report_fact_add(b->doc, f, "operator of attention", r->operator_name, false);
    report_fact_add(b->doc, f, "arithmetic", r->precision, false);
    report_fact_add(b->doc, f, "instruction set", r->isa, false);
    report_fact_int(b->doc, f, "threads", r->threads);
    if (r->seed != NO_INDEX)
        report_fact_int(b->doc, f, "seed", r->seed);
    report_fact_add(b->doc, f, "program", report_print(b->doc, "attnscope %s", r->version), false);
    if (json_parse(&root, r->settings, strlen(r->settings), "settings", &ignored) == 0)
        for (void *it = NULL; json_each(root, &it, &key, &value);)
            if (strcmp(key, "metrics") != 0 && !of_some_metric(key))
                report_fact_add(b->doc, f, key, json_words(b->doc, value), json_kind_of(value) == JSON_MAP);
    json_free(root);
}

static int build(report_build *b, err *e)
{
    (void)e;
    report_heading(b->doc, 2, "Methods");
    report_heading(b->doc, 3, "Experiments and settings");
    put_experiments(b);
    for (int i = 0; i < b->n_run; i++)
        put_settings(b, &b->run[i]);
    report_heading(b->doc, 3, "Statistics");
    report_text(b->doc, "A mean is taken over the prompts or trials that its table names, with equal weight; sd is the standard "
                "deviation over them (n - 1). An interval is a 95 %% percentile bootstrap interval of the mean (Efron): %d"
                " samples of "
                "n values drawn with replacement from a stream that depends on the seed of the run alone, the 2.5th and 97.5th "
                "percentiles of their means, linearly interpolated. Changes are paired: of the same prompt with and without. No "
                "correction is made for the number of heads that are looked at: the highest of many heads is high by chance,"
                " too.",
                STATS_DRAWS);
    report_text(b->doc, "Heads are counted from 0: L3H7 is head 7 of layer 3. Masked cells are left out everywhere, they do not "
                "count as 0. Attention is exact, with float32 results that do not depend on the number of threads or the "
                "instruction set, unless the arithmetic named above is another.");
    report_heading(b->doc, 3, "Definitions");
    define_all(b);
    return 0;
}

const report_section report_methods = {
    .name = "methods", .title = "Methods", .summary = "definitions, parameters and statistics of every number", .build = build,
};

/* ---- repeat ---- */

static int build_repeat(report_build *b, err *e)
{
    strbuf lines = {0};
    report_heading(b->doc, 2, "Repeat this");
    report_text(b->doc, "The commands that made the rows, this report of them, and its figures one by one. Rows are the same on"
                " every machine for the same weights (SHA-256 above), program and arithmetic; the report needs the store alone.");
    for (int i = 0; i < b->n_run; i++)
        strbuf_printf(&lines, "%s\n", b->run[i].command);
    strbuf_puts(&lines, b->opt->command);
    for (int i = 0; i < b->doc->n; i++)
        if (b->doc->block[i].kind == REPORT_FIGURE && b->doc->block[i].figure->command)
            strbuf_printf(&lines, "\n%s", b->doc->block[i].figure->command);
    if (!lines.failed)
        report_code(b->doc, strbuf_str(&lines));
    strbuf_free(&lines);
    return b->doc->failed ? err_nomem(e, "report") : 0;
}

const report_section report_repeat = {
    .name = "repeat", .title = "Repeat this", .summary = "the commands that make it again", .build = build_repeat,
};
