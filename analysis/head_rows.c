#include "analysis/head_rows.h"

attn_args attn_rows_of_head(const attn_args *a, int head, int64_t first, int64_t n)
{
    attn_args s = *a;
    int64_t kv = head / (a->n_head / a->n_kv_head);
    s.n_head = s.n_kv_head = 1;
    s.n_query = n;
    s.pos0 = a->pos0 + first;
    s.q = a->q + first * a->ldq + (int64_t)head * a->d_qk;
    s.k = a->k + kv * a->d_qk;
    s.v = NULL;
    s.out = NULL;
    s.edit = NULL;
    s.key_bias = a->key_bias ? a->key_bias + head * a->n_key : NULL;
    /* Counted from the last query. */
    s.rel_bias = a->rel_bias ? a->rel_bias + head * (a->n_query + a->n_key - 1) + a->n_query - first - n : NULL;
    s.sinks = a->sinks ? a->sinks + head : NULL;
    return s;
}

int attn_rows_unedited(const attn_args *a, const char *who, err *e)
{
    if (!a->edit)
        return 0;
    err_set(e, ERR_USAGE, "%s does not see interventions on attention weights", who);
    return err_hint(e, "leave it out, or edit something else than weights");
}
