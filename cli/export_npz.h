/* The values and maps of one prompt of a run as a NPZ file that numpy.load reads without pickle:
 *
 *     ids [n] int64, and tokens [n] texts where the tokenizer was known
 *     <metric> float64, with an axis for each of layer, head and position that its values belong to, in this order, NaN
 *         where there is none: [L, H], [L, H, P], [L], [L, P], [P], [] ...
 *     <metric>_positions [P] int64: the position of each place along P
 *     <metric>_heads [P] texts, where positions count heads (jsd, composition_q): "L1H3"
 *     map_L1H3 [rows, cols] float32, NaN where no key is visible
 *     metrics, units, axes [M] texts: each array of values, its unit, and its axes ("layer; head; query token")
 *
 * L and H are the largest index + 1.  A metric with values of several forms (of heads and of whole layers) has an array for
 * each: all but the one of most axes with its axes behind its name, <metric>_layer.  Names of attention other than "self"
 * begin with "enc_", "cross_" or "vis_". */
#ifndef ATTNSCOPE_CLI_EXPORT_NPZ_H
#define ATTNSCOPE_CLI_EXPORT_NPZ_H

#include "base/npz.h"
#include "base/progress.h"
#include "db/store.h"

typedef struct npz_export {
    store *st;
    int64_t run, prompt;
    const char *heads;   /* condition on columns of heads (cli/head_filter.h), "" for all */
    const char *selection; /* what it was made of, for errors; NULL: all */
    npz_writer *w;       /* used between the functions below */
} npz_export;

/* *n: arrays of values and maps that were written. */
int export_npz(npz_export *x, const char *path, int *n, const progress *p, err *e);

/* The stored maps as arrays named like those of TransformerLens' ActivationCache: of each layer with a map
 * blocks.<l>.attn.hook_pattern [1, H, n, n] float32, 0 where no key is visible; in a model of two stacks
 * encoder.<l>.attn..., decoder.<l>.attn... and decoder.<l>.cross_attn.hook_pattern.  Heads without a map are NaN.
 * ids [1, n] int64.  Pooled maps are ERR_USAGE.  *n: layers. */
int export_hooks(npz_export *x, const char *path, int *n, const progress *p, err *e);

/* ---- between export_npz.c, export_arrays.c and export_hooks.c ---- */

/* Rows of a query bound to run, prompt, and kind and metric where they are not NULL. */
int export_query(npz_export *x, table **out, const char *sql, const char *kind, const char *metric, err *e);
int export_check_prompt(npz_export *x, err *e);
/* ids and enc_ids.  batch: [1, n], and not spelled. */
int export_put_ids(npz_export *x, bool batch, err *e);
/* Stored maps by kind, layer and head: kind, layer, head, head_name, n_query, n_key, pool. */
int export_list_maps(npz_export *x, table **out, err *e);
int export_read_map(npz_export *x, stored_map *m, const char *head, err *e);
/* Commit the file of x->w, or drop it when rc is an error, which is then the answer. */
int export_finish(npz_export *x, int rc, err *e);
/* "enc_" of a kind but self. */
void export_array_name(char out[160], const char *kind, const char *name, const char *suffix);
/* All arrays of values, with metrics, units and axes.  *n counts them. */
int export_put_values(npz_export *x, int *n, const progress *p, err *e);

#endif
