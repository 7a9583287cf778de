#include "cli/metric_select.h"

#include <stdlib.h>
#include <string.h>
#include "analysis/analyse.h"
#include "base/mem.h"
#include "cli/command_util.h"
#include "cli/json_line.h"

static bool of_weights(const metric *m)
{
    return m->scope == METRIC_WEIGHTS;
}

static void collect_params(param *rows, bool weights)
{
    int n = 0;
    for (int i = 0; metrics[i]; i++)
        if (of_weights(metrics[i]) == weights)
            n = append_params(rows, n, METRIC_PARAMS_MAX, metrics[i]->params);
}

const param *metric_choice_params(void)
{
    static param rows[METRIC_PARAMS_MAX + 1];
    static bool made;
    if (!made)
        collect_params(rows, false);
    made = true;
    return rows;
}

const param *metric_weights_params(void)
{
    static param rows[METRIC_PARAMS_MAX + 1];
    static bool made;
    if (!made)
        collect_params(rows, true);
    made = true;
    return rows;
}

static bool chosen(const metric_choice *c, const metric *m)
{
    for (int i = 0; i < c->n; i++)
        if (c->list[i] == m)
            return true;
    return false;
}

static void choose_all(metric_choice *c, bool weights)
{
    c->n = 0;
    c->named = false;
    for (int i = 0; metrics[i] && c->n < METRIC_CHOICE_MAX; i++)
        if (of_weights(metrics[i]) == weights && !metrics[i]->by_name)
            c->list[c->n++] = metrics[i];
}

/* A metric of the other sort: which command measures it. */
static int wrong_command(const metric *m, err *e)
{
    if (of_weights(m)) {
        err_set(e, ERR_USAGE, "%s is measured on the weights alone, not on a prompt", m->name);
        return err_hint(e, "`weights MODEL --metrics %s` measures it", m->name);
    }
    err_set(e, ERR_USAGE, "%s is measured on a prompt, not on the weights alone", m->name);
    return err_hint(e, "`run MODEL --prompt TEXT --metrics %s` measures it", m->name);
}

static int choose(metric_choice *c, const char *list, bool weights, err *e)
{
    char *copy = mem_strdup(list, e), *save = NULL;
    if (!copy)
        return ERR_RESOURCE;
    int rc = 0;
    c->named = true;
    for (char *w = strtok_r(copy, ", ", &save); w && !rc; w = strtok_r(NULL, ", ", &save)) {
        if (strcmp(w, "all") == 0) {
            choose_all(c, weights);
            continue; /* the words behind it are checked too */
        }
        const metric *m;
        rc = require_metric(&m, w, e);
        if (!rc && of_weights(m) != weights)
            rc = wrong_command(m, e);
        if (!rc && !chosen(c, m) && c->n < METRIC_CHOICE_MAX)
            c->list[c->n++] = m;
    }
    free(copy);
    return rc;
}

int metric_choose(metric_choice *c, const char *list, err *e)
{
    int rc = choose(c, list ? list : metric_defaults, false, e);
    c->named = c->named && list;
    return rc;
}

int metric_choose_weights(metric_choice *c, const char *list, err *e)
{
    return choose(c, list ? list : "all", true, e);
}

/* Does a metric that is measured read this option?  Metrics may share some. */
static bool option_is_read(const metric_choice *c, const char *name)
{
    for (int k = 0; k < c->n; k++)
        for (const param *p = c->list[k]->params; p && p->name; p++)
            if (strcmp(p->name, name) == 0)
                return true;
    return false;
}

int metric_check_params(const metric_choice *c, const params *given, err *e)
{
    for (int i = 0; metrics[i]; i++) {
        for (const param *p = metrics[i]->params; p && p->name; p++)
            if (params_row(given, p->name) && params_given(given, p->name) && !option_is_read(c, p->name)) {
                err_set(e, ERR_USAGE, "--%s belongs to metric %s, which is not measured", p->name,
                        metrics[i]->name);
                return err_hint(e, "add it: --metrics %s,...", metrics[i]->name);
            }
    }
    return 0;
}

/* Why a named metric is refused. */
static int refuse(const metric *x, const model *m, err *e)
{
    const char *why = NULL;
    for (int kind = 0; kind <= ATTN_VISION && x->unfit && !why; kind++)
        if (model_stack(m, (attn_kind)kind) && (x->kinds & 1u << kind))
            why = x->unfit(m, (attn_kind)kind);
    if (!why && x->scope == METRIC_LOGITS)
        why = m->vocab ? "it does not predict the next token" : "the checkpoint gives no logits";
    else if (!why)
        why = x->by_token ? "none of its attention reads tokens" : "it has no attention of the kind";
    err_set(e, ERR_USAGE, "%s makes no sense for %s: %s", x->name, m->name, why);
    return err_hint(e, "leave it out of --metrics");
}

static bool fits(const metric *x, const model *m)
{
    if (!of_weights(x))
        return metric_applies_somewhere(x, m);
    for (int kind = 0; kind <= ATTN_VISION; kind++)
        if (metric_weighs(x, m, (attn_kind)kind))
            return true;
    return false;
}

int metric_fit(metric_choice *c, const model *m, err *e)
{
    strbuf *left = &c->left;
    int kept = 0, rc = 0;
    for (int i = 0; i < c->n && !rc; i++) {
        const metric *x = c->list[i];
        if (fits(x, m))
            c->list[kept++] = x;
        else if (!c->named)
            strbuf_printf(left, "%s%s", left->len ? ", " : "", x->name);
        else
            rc = refuse(x, m, e);
    }
    c->n = kept;
    return rc;
}

/* What the user must give for a metric, "--span-text, --span-regex or --span-tokens", and did not; false: nothing. */
static bool lacks_option(strbuf *what, const metric *m, const params *given)
{
    for (const char *const *o = m->asks; o && *o; o++) {
        if (params_given(given, *o)) {
            strbuf_clear(what);
            return false;
        }
        strbuf_printf(what, "%s--%s", !what->len ? "" : o[1] ? ", " : " or ", *o);
    }
    return m->asks != NULL;
}

int metric_need(metric_choice *c, const params *given, const tokenizer *tok, err *e)
{
    strbuf *left = &c->left, what = {0};
    int kept = 0, rc = 0;
    for (int i = 0; i < c->n && !rc; i++) {
        const metric *m = c->list[i];
        bool option = lacks_option(&what, m, given), text = m->by_text && !tok;
        if (!option && !text) {
            c->list[kept++] = m;
        } else if (!c->named) {
            strbuf_printf(left, "%s%s", left->len ? ", " : "", m->name);
        } else if (text) {
            rc = err_set(e, ERR_USAGE, "%s reads the texts of tokens, and the model has no tokenizer", m->name);
            err_hint(e, "name one with --tokenizer FILE");
        } else {
            rc = err_set(e, ERR_USAGE, "%s of what?", m->name);
            err_hint(e, "give %s", strbuf_str(&what));
        }
        strbuf_clear(&what);
    }
    strbuf_free(&what);
    c->n = kept;
    return rc;
}

void metric_put_param(strbuf *b, const params *p, const param *row)
{
    if (row->kind == PARAM_INT)
        json_line_int(b, row->name, params_int(p, row->name));
    else if (row->kind == PARAM_REAL)
        json_line_real(b, row->name, params_real(p, row->name));
    else if (row->kind == PARAM_BOOL)
        json_line_bool(b, row->name, params_bool(p, row->name));
    else
        json_line_text(b, row->name, params_str(p, row->name));
}

void metric_put_settings(strbuf *b, const metric_choice *c, const params *p)
{
    param rows[METRIC_PARAMS_MAX + 1]; /* metrics may share some */
    int n = 0;
    json_line_key(b, "metrics");
    strbuf_putc(b, '[');
    for (int i = 0; i < c->n; i++) {
        strbuf_puts(b, i ? "," : "");
        strbuf_put_json(b, c->list[i]->name, strlen(c->list[i]->name));
        n = append_params(rows, n, METRIC_PARAMS_MAX, c->list[i]->params);
    }
    strbuf_putc(b, ']');
    for (int i = 0; i < n; i++)
        metric_put_param(b, p, &rows[i]);
}
