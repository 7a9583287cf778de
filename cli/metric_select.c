#include "cli/metric_select.h"

#include <stdlib.h>
#include <string.h>
#include "analysis/analyse.h"
#include "base/mem.h"
#include "cli/command_util.h"
#include "cli/json_line.h"

#define MAX_METRIC_PARAMS 256

const param *metric_choice_params(void)
{
    static param rows[MAX_METRIC_PARAMS + 1];
    static bool made;
    int n = 0;
    for (int i = 0; !made && metrics[i]; i++)
        n = append_params(rows, n, MAX_METRIC_PARAMS, metrics[i]->params);
    made = true;
    return rows;
}

int metric_choose(metric_choice *c, const char *list, err *e)
{
    char *copy = mem_strdup(list ? list : metric_defaults, e), *save = NULL;
    if (!copy)
        return ERR_RESOURCE;
    int rc = 0;
    c->named = list != NULL;
    for (char *w = strtok_r(copy, ", ", &save); w && !rc; w = strtok_r(NULL, ", ", &save)) {
        if (strcmp(w, "all") == 0) {
            c->n = 0;
            c->named = false;
            for (int i = 0; metrics[i] && i < METRIC_CHOICE_MAX; i++)
                c->list[c->n++] = metrics[i];
            continue; /* the words behind it are checked too */
        }
        const metric *m;
        bool known = false;
        rc = require_metric(&m, w, e);
        for (int i = 0; i < c->n && !rc; i++)
            known |= c->list[i] == m;
        if (!rc && !known && c->n < METRIC_CHOICE_MAX)
            c->list[c->n++] = m;
    }
    free(copy);
    return rc;
}

int metric_check_params(const metric_choice *c, const params *given, err *e)
{
    for (int i = 0; metrics[i]; i++) {
        bool chosen = false;
        for (int k = 0; k < c->n; k++)
            chosen |= c->list[k] == metrics[i];
        for (const param *p = metrics[i]->params; p && p->name && !chosen; p++)
            if (params_given(given, p->name)) {
                err_set(e, ERR_USAGE, "--%s belongs to metric %s, which is not measured", p->name,
                        metrics[i]->name);
                return err_hint(e, "add it: --metrics %s,...", metrics[i]->name);
            }
    }
    return 0;
}

int metric_fit(metric_choice *c, const model *m, err *e)
{
    strbuf *left = &c->left;
    int kept = 0, rc = 0;
    for (int i = 0; i < c->n && !rc; i++) {
        const metric *x = c->list[i];
        if (metric_applies_somewhere(x, m)) {
            c->list[kept++] = x;
        } else if (!c->named) {
            strbuf_printf(left, "%s%s", left->len ? ", " : "", x->name);
        } else if (x->scope == METRIC_LOGITS) {
            rc = err_set(e, ERR_USAGE, m->vocab ? "%s makes no sense for %s: it does not predict the next token"
                                                : "%s makes no sense for %s: the checkpoint gives no logits",
                         x->name, m->name);
            err_hint(e, "leave it out of --metrics");
        } else {
            rc = err_set(e, ERR_USAGE, "%s makes no sense for %s: none of its attention reads tokens", x->name, m->name);
            err_hint(e, "leave it out of --metrics");
        }
    }
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
