#include "cli/export_npz.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/cancel.h"
#include "base/mem.h"
#include "cli/command_util.h"
#include "cli/head_filter.h"

int export_query(npz_export *x, table **out, const char *sql, const char *kind, const char *metric, err *e)
{
    const cell bind[] = {cell_int(x->run), cell_int(x->prompt), cell_text(kind), cell_text(metric)};
    return store_query(x->st, out, sql, bind, metric ? 4 : kind ? 3 : 2, e);
}

void export_array_name(char out[160], const char *kind, const char *name, const char *suffix)
{
    bool self = strcmp(kind, "self") == 0;
    snprintf(out, 160, "%s%s%s%s", self ? "" : kind, self ? "" : "_", name, suffix);
}

/* How each token is spelled, where it was known. */
static int put_spelled(npz_export *x, const table *t, const char *name, err *e)
{
    const char **texts = mem_array((size_t)t->n_row + 1, sizeof *texts, e);
    bool known = false;
    if (!texts)
        return ERR_RESOURCE;
    for (int64_t i = 0; i < t->n_row; i++) {
        known |= table_cell(t, i, 1)->kind == CELL_TEXT;
        texts[i] = cell_string(table_cell(t, i, 1));
    }
    int rc = known ? npz_put_texts(x->w, name, t->n_row, texts, e) : 0;
    free(texts);
    return rc;
}

/* Tokens of one stack; nothing for patches and frames.  batch: ids are [1, n], and are not spelled. */
static int put_sequence(npz_export *x, const char *sequence, const char *prefix, bool batch, err *e)
{
    char name[32];
    table *t = NULL;
    int64_t *ids = NULL;
    int rc = export_query(x, &t,
                          "SELECT id, text FROM prompt_token WHERE run = ?1 AND prompt = ?2 AND sequence = ?3 AND id IS NOT NULL"
                          " ORDER BY position", sequence, NULL, e);
    if (rc || t->n_row == 0)
        goto out;
    ids = mem_array((size_t)t->n_row, sizeof *ids, e);
    if (!ids) {
        rc = ERR_RESOURCE;
        goto out;
    }
    for (int64_t i = 0; i < t->n_row; i++)
        ids[i] = table_cell(t, i, 0)->u.i;
    const int64_t shape[] = {1, t->n_row};
    snprintf(name, sizeof name, "%sids", prefix);
    rc = npz_put(x->w, name, NPY_I64, batch ? 2 : 1, batch ? shape : shape + 1, ids, e);
    snprintf(name, sizeof name, "%stokens", prefix);
    if (!rc && !batch)
        rc = put_spelled(x, t, name, e);
out:
    free(ids);
    table_free(t);
    return rc;
}

/* ids of the stack that gives the logits, enc_ids of an encoder before it. */
int export_put_ids(npz_export *x, bool batch, err *e)
{
    table *t = NULL;
    int rc = export_query(x, &t, "SELECT count(*) FROM prompt_token WHERE run = ?1 AND prompt = ?2 AND sequence = 'self'", NULL,
                          NULL, e);
    bool decodes = !rc && table_cell(t, 0, 0)->u.i > 0;
    table_free(t);
    if (!rc)
        rc = put_sequence(x, "self", "", batch, e);
    return rc ? rc : put_sequence(x, "enc", decodes ? "enc_" : "", batch, e);
}

/* Stored maps by layer and head: kind, layer, head, head_name, n_query, n_key, pool. */
int export_list_maps(npz_export *x, table **out, err *e)
{
    strbuf sql = {0};
    strbuf_printf(&sql, "SELECT kind, layer, head, head_name, n_query, n_key, pool FROM map_list WHERE run = ?1 AND prompt = ?2%s"
                  " ORDER BY kind, layer, head", x->heads);
    int rc = sql.failed ? err_nomem(e, "maps") : export_query(x, out, strbuf_str(&sql), NULL, NULL, e);
    strbuf_free(&sql);
    return rc;
}

int export_read_map(npz_export *x, stored_map *m, const char *head, err *e)
{
    head_id h;
    if (!head_parse(&h, head))
        return err_set(e, ERR_FAILED, "the store names a head '%s'", head);
    return store_get_map(x->st, x->run, x->prompt, h, m, e);
}

static int put_maps(npz_export *x, int *n, const progress *p, err *e)
{
    table *t = NULL;
    int rc = export_list_maps(x, &t, e);
    for (int64_t i = 0; i < (rc ? 0 : t->n_row) && !rc; i++) {
        const char *head = cell_string(table_cell(t, i, 3)), *dot = strrchr(head, '.');
        stored_map m = {0};
        char name[160], bare[64];
        progress_step(p, "map", (double)i, (double)t->n_row);
        rc = export_read_map(x, &m, head, e);
        snprintf(bare, sizeof bare, "map_%s", dot ? dot + 1 : head);
        export_array_name(name, cell_string(table_cell(t, i, 0)), bare, "");
        if (!rc)
            rc = npz_put(x->w, name, NPY_F32, 2, (int64_t[]){m.rows, m.cols}, m.cells, e);
        free(m.cells);
        if (!rc)
            rc = cancel_check(e);
    }
    *n += rc ? 0 : (int)t->n_row;
    table_free(t);
    return rc;
}

/* Is there such a prompt at all? */
int export_check_prompt(npz_export *x, err *e)
{
    table *t = NULL;
    int rc = export_query(x, &t, "SELECT count(*) FILTER (WHERE prompt = ?2), max(prompt) FROM prompt_list WHERE run = ?1", NULL,
                          NULL, e);
    if (!rc && table_cell(t, 0, 0)->u.i == 0) {
        rc = err_set(e, ERR_USAGE, "run %" PRId64 " has no prompt %" PRId64, x->run, x->prompt);
        if (table_cell(t, 0, 1)->kind == CELL_INT)
            err_hint(e, "its prompts are 0 to %" PRId64, table_cell(t, 0, 1)->u.i);
    }
    table_free(t);
    return rc;
}

int export_finish(npz_export *x, int rc, err *e)
{
    if (!rc)
        return npz_commit(x->w, e);
    npz_abandon(x->w);
    return rc;
}

int export_npz(npz_export *x, const char *path, int *n, const progress *p, err *e)
{
    *n = 0;
    int rc = export_check_prompt(x, e);
    if (rc || (rc = npz_create(&x->w, path, false, e)))
        return rc;
    rc = export_put_ids(x, false, e);
    if (!rc)
        rc = export_put_values(x, n, p, e);
    if (!rc)
        rc = put_maps(x, n, p, e);
    if (!rc && *n == 0 && x->selection)
        rc = head_filter_nothing(x->run, x->selection, e);
    return export_finish(x, rc, e);
}
