#include "cli/export_npz.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/cancel.h"
#include "base/mem.h"
#include "cli/experiment.h"
#include "cli/head_space.h"

/* The name of the patterns of a layer; stacks: of a model of two. */
static void hook_pattern_name(char out[160], const char *kind, int64_t layer, bool two)
{
    const bool enc = strcmp(kind, "enc") == 0, cross = strcmp(kind, "cross") == 0;
    snprintf(out, 160, "%s.%" PRId64 ".%s.hook_pattern", !two ? "blocks" : enc ? "encoder" : "decoder", layer,
             cross ? "cross_attn" : "attn");
}

/* Maps of one layer: rows [from, to) of t; heads: how many the layer has. */
static int put_pattern(npz_export *x, const table *t, int64_t from, int64_t to, int64_t heads, const char *name, err *e)
{
    const int64_t rows = table_cell(t, from, 4)->u.i, cols = table_cell(t, from, 5)->u.i;
    size_t cells, all;
    if (!size_mul(&cells, (size_t)rows, (size_t)cols) || !size_mul(&all, cells, (size_t)heads))
        return err_nomem(e, "maps");
    float *out = mem_array(all, sizeof *out, e);
    int rc = out ? 0 : ERR_RESOURCE;
    for (size_t i = 0; i < (rc ? 0 : all); i++)
        out[i] = (float)NAN;
    for (int64_t i = from; i < to && !rc; i++) {
        stored_map m = {0};
        rc = export_read_map(x, &m, cell_string(table_cell(t, i, 3)), e);
        if (!rc && (m.rows != rows || m.cols != cols))
            rc = err_set(e, ERR_INPUT, "maps of layer %" PRId64 " differ in shape", table_cell(t, i, 1)->u.i);
        for (size_t c = 0; c < (rc ? 0 : cells); c++)
            out[(size_t)table_cell(t, i, 2)->u.i * cells + c] = isnan(m.cells[c]) ? 0 : m.cells[c];
        free(m.cells);
    }
    if (!rc)
        rc = npz_put(x->w, name, NPY_F32, 4, (int64_t[]){1, heads, rows, cols}, out, e);
    free(out);
    return rc;
}

static int check_maps(const npz_export *x, const table *t, err *e)
{
    if (t->n_row == 0) {
        err_set(e, ERR_FAILED, "run %" PRId64 " has no stored maps of prompt %" PRId64 "%s%s", x->run, x->prompt,
                x->selection ? " of the heads of " : "", x->selection ? x->selection : "");
        return err_hint(e, "keep them with `run ... --maps all`, or write activations with `dump --format transformerlens`");
    }
    for (int64_t i = 0; i < t->n_row; i++) {
        if (table_cell(t, i, 6)->u.i > 1) {
            err_set(e, ERR_USAGE, "the map of %s is pooled by %" PRId64 ": TransformerLens' patterns have a row a query",
                    cell_string(table_cell(t, i, 3)), table_cell(t, i, 6)->u.i);
            return err_hint(e, "keep whole maps with `run ... --maps all --map-limit 0`, or use `dump --format transformerlens`");
        }
        if (strcmp(cell_string(table_cell(t, i, 0)), "vis") == 0) {
            err_set(e, ERR_USAGE, "TransformerLens has no names for an image tower");
            return err_hint(e, "leave its heads out with --heads self.all, or leave --format out");
        }
    }
    return 0;
}

int export_hooks(npz_export *x, const char *path, int *n, const progress *p, err *e)
{
    head_space space = {0};
    table *t = NULL;
    *n = 0;
    int rc = export_check_prompt(x, e);
    if (!rc)
        rc = export_list_maps(x, &t, e);
    if (!rc)
        rc = check_maps(x, t, e);
    if (!rc)
        rc = head_space_of_run(&space, x->st, x->run, e);
    if (!rc)
        rc = npz_create(&x->w, path, false, e);
    if (rc)
        goto out;
    rc = export_put_ids(x, true, e);
    const bool two = space.n_layer[ATTN_SELF] && space.n_layer[ATTN_ENCODER];
    for (int64_t i = 0, end; i < t->n_row && !rc; i = end) {
        const cell *kind = table_cell(t, i, 0), *layer = table_cell(t, i, 1);
        char name[160];
        for (end = i + 1; end < t->n_row && table_cell(t, end, 1)->u.i == layer->u.i &&
                          strcmp(cell_string(table_cell(t, end, 0)), cell_string(kind)) == 0;)
            end++;
        attn_kind k = kind_of_cell(kind);
        int64_t last = table_cell(t, end - 1, 2)->u.i + 1, heads = last;
        if (layer->u.i < space.n_layer[k])
            heads = space.first[k][layer->u.i + 1] - space.first[k][layer->u.i];
        hook_pattern_name(name, cell_string(kind), layer->u.i, two);
        progress_step(p, "layer", (double)i, (double)t->n_row);
        rc = put_pattern(x, t, i, end, heads > last ? heads : last, name, e);
        if (!rc)
            rc = cancel_check(e);
        *n += 1;
    }
    rc = export_finish(x, rc, e);
out:
    head_space_free(&space);
    table_free(t);
    return rc;
}
