#include "cli/head_rule.h"

#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"
#include "cli/head_grammar.h"

const param head_choice_params[] = {
    {.name = "heads", .kind = PARAM_STR, .value = "HEADS", .complete = "heads",
     .help = "L1H3,L2H*, L0-2 except L1H0, @NAME of a list (`import heads`), \"top 20 by retrieval\", \"where sink > 0.3\":"
             " `help heads`"},
    {.name = "rule", .kind = PARAM_STR, .value = "HEADS", .complete = "heads", .help = "the same as --heads"},
    {.name = "run", .kind = PARAM_STR, .value = "RUN", .complete = "runs",
     .help = "the run that \"top 20 by retrieval\" and the like read; without it the newest of the model that measured the"
             " metric"},
    {.name = NULL},
};

static int select_by(head_id **out, int *n, session *s, const command_args *a, const model *m, const char *text, err *e)
{
    head_space space;
    head_source src = {.s = s, .run = params_str(a->p, "run")};
    int rc = head_space_of_model(&space, m, e);
    if (!rc)
        rc = head_select_in(out, n, &space, &src, text, e);
    head_space_free(&space);
    if (rc || !src.run || src.read_run)
        return rc;
    free(*out);
    *out = NULL;
    *n = 0;
    err_set(e, ERR_USAGE, "--run says what a ranking of heads reads, and \"%s\" reads none", text);
    return err_hint(e, "leave it out, or choose by a metric: --heads \"top 20 by retrieval\"");
}

bool head_choice_varies(const char *text)
{
    arena mem = {0};
    head_expr *x;
    bool varies = head_expr_parse(&x, &mem, text, "", NULL) == 0 && !head_expr_plain(x);
    arena_free(&mem);
    return varies;
}

int head_choice_note(session *s, const char *option, const char *text, const head_id *heads, int n, err *e)
{
    strbuf b = {0};
    name_list_remove(&s->chosen, option);
    if (!text || !n || !head_choice_varies(text))
        return 0;
    put_heads(&b, heads, n);
    int rc = b.failed ? err_nomem(e, "heads") : name_list_set(&s->chosen, option, strbuf_str(&b), false, e);
    strbuf_free(&b);
    return rc;
}

static int choose_and_note(head_id **out, int *n, session *s, const command_args *a, const model *m, err *e)
{
    const char *option = params_str(a->p, "heads") ? "heads" : "rule", *text = params_str(a->p, option);
    int rc = select_by(out, n, s, a, m, text, e);
    if (!rc && (rc = head_choice_note(s, option, text, *out, *n, e))) {
        free(*out);
        *out = NULL;
        *n = 0;
    }
    return rc;
}

int head_choose(head_id **out, int *n, session *s, const command_args *a, const model *m, bool otherwise_all, err *e)
{
    const char *heads = params_str(a->p, "heads"), *rule = params_str(a->p, "rule");
    char all[16];
    *out = NULL;
    *n = 0;
    name_list_remove(&s->chosen, "heads");
    name_list_remove(&s->chosen, "rule");
    if (heads && rule) {
        err_set(e, ERR_USAGE, "--heads and --rule exclude each other");
        return err_hint(e, "keep one of them; a comma joins selections: --heads \"L1H3, top 5 by retrieval\"");
    }
    if (heads || rule)
        return choose_and_note(out, n, s, a, m, e);
    if (params_given(a->p, "run")) {
        err_set(e, ERR_USAGE, "--run says what a ranking of heads reads, and there is none");
        return err_hint(e, "add --heads \"top 20 by retrieval\"");
    }
    snprintf(all, sizeof all, "%s.all", attn_kind_name(m->main->kind));
    return otherwise_all ? head_select(out, n, m, all, e) : 0;
}

void put_heads(strbuf *b, const head_id *heads, int n)
{
    for (int i = 0; i < n; i++) {
        head_text name;
        head_format(name, heads[i]);
        strbuf_printf(b, "%s%s", i ? "," : "", name);
    }
}
