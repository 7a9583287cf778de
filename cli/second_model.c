#include "cli/second_model.h"

#include <inttypes.h>
#include <string.h>
#include "analysis/drift.h"

int second_model_open(loaded_model **out, session *s, const command_args *a, const char *path, const char *quantize,
                      const loaded_model *like, err *e)
{
    const load_options o = load_options_of(s, a, quantize);
    *out = NULL;
    int rc = session_model_beside(s, path, &o, out, e);
    if (!rc)
        rc = drift_check(like->m, (*out)->m, e);
    if (!rc)
        rc = session_runtime(s, *out, (int)option_threads(s, a), option_precision(s, a), e);
    if (rc) {
        loaded_model_free(*out);
        *out = NULL;
    }
    return rc;
}

static int64_t first_difference(const token_list *a, const token_list *b)
{
    for (int64_t i = 0; i < a->n && i < b->n; i++)
        if (a->ids[i] != b->ids[i])
            return i;
    return a->n == b->n ? -1 : a->n < b->n ? a->n : b->n;
}

int second_model_tokens(const loaded_model *second, const loaded_model *first, const prompt_request *q, const prompt_rules *rules,
                        const prompt_input *in, err *e)
{
    prompt_input own;
    if (!second->tok || !first->tok)
        return 0;
    int rc = prompt_make(&own, second, q, rules, e);
    if (rc)
        return rc;
    int64_t at = first_difference(&in->main, &own.main), source = first_difference(&in->source, &own.source);
    if (at >= 0 || source >= 0) {
        err_set(e, ERR_USAGE, "the tokenizers of %s and %s differ: token %" PRId64 " of %s", first->m->name, second->m->name,
                at >= 0 ? at : source, q->where[0] ? q->where : "the prompt");
        rc = err_hint(e, "take checkpoints with one tokenizer, name it with --tokenizer, or give --ids");
    }
    prompt_free(&own);
    return rc;
}

prompt_rules comparing_rules(const params *p)
{
    prompt_rules rules = prompt_rules_of(p);
    bool builtin = !params_str(p, "prompts") && !prompt_options_given(p);
    if (builtin && !params_given(p, "truncate"))
        rules.truncate = 64;
    return rules;
}
