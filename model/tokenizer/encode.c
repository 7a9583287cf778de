/* tokenizer_encode: the way of a text through the parts. */
#include <stdlib.h>
#include <string.h>

#include "model/tokenizer/parts.h"

/* What lies between raw added tokens: normalise, cut at the others, and on to the model. */
static int encode_stretch(work *w, const text *x, err *e)
{
    text now;
    int rc = normalizers_run(&now, x, w, e);

    if (rc || !now.n)
        return rc;
    return w->t->added_normalized ? added_split(w->t->added_normalized, w, &now, pretokenizers_run, e)
                                  : pretokenizers_run(w, &now, e);
}

static int emit_specials(work *w, const int32_t *ids, size_t n, uint32_t at, err *e)
{
    text nowhere = { .s = "", .view = "", .at = at };
    int rc = 0;

    for (size_t i = 0; !rc && i < n; i++) {
        rc = work_emit(w, ids[i], &nowhere, 0, 0, e);
        if (!rc)
            w->out[w->n_out - 1].special = true;
    }
    return rc;
}

int tokenizer_encode(const tokenizer *t, const char *s, size_t n, bool special, tokens *out, err *e)
{
    work w = { .t = t };
    int rc = 0;

    *out = (tokens){ .policy = special ? t->policy : t->policy_plain };
    if (n > TOKENIZER_MAX_TEXT) {
        err_set(e, ERR_INPUT, "text of %zu bytes is too long to tokenize at once", n);
        return err_hint(e, "cut it into parts of less than 2 GiB");
    }
    if (t->n_regex)
        rc = regex_work_new(&w.regex, e);
    if (!rc && special)
        rc = emit_specials(&w, t->before, t->n_before, 0, e);
    if (!rc && n) {
        text x = { .s = s, .view = unicode_view(s, n, &w.mem, e), .n = n };
        rc = !x.view ? ERR_RESOURCE : t->added_raw ? added_split(t->added_raw, &w, &x, encode_stretch, e)
                                                   : encode_stretch(&w, &x, e);
    }
    if (!rc && special)
        rc = emit_specials(&w, t->after, t->n_after, (uint32_t)n, e);
    regex_work_free(w.regex);
    if (t->kind->work_free)
        t->kind->work_free(w.model);
    arena_free(&w.mem);
    if (rc) {
        free(w.out);
        return rc;
    }
    out->n = (int64_t)w.n_out;
    out->t = w.out;
    return 0;
}

void tokens_free(tokens *t)
{
    free(t->t);
    *t = (tokens){ .policy = NULL };
}
