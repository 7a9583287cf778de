/* tensors: what a checkpoint holds. */
#include <fnmatch.h>
#include <inttypes.h>
#include <string.h>
#include "cli/command_util.h"
#include "cli/json_line.h"
#include "cli/output.h"
#include "cli/tensor_stats.h"
#include "model/checkpoint.h"

static void put_json(strbuf *b, const checkpoint_tensor *c, const tensor_stats *st, bool stats)
{
    json_line_begin(b, "attnscope.tensor/1");
    json_line_text(b, "name", c->name);
    json_line_text(b, "dtype", dtypes[c->t.type].name);
    json_line_key(b, "shape");
    strbuf_putc(b, '[');
    for (int d = 0; d < c->t.n_dim; d++)
        strbuf_printf(b, d ? ",%" PRId64 : "%" PRId64, c->t.shape[d]);
    strbuf_putc(b, ']');
    json_line_int(b, "elements", tensor_elements(&c->t));
    json_line_int(b, "bytes", (int64_t)c->t.bytes);
    json_line_int(b, "file", c->file);
    if (stats) { /* null: no finite value, or a type that cannot be computed with */
        json_line_bool(b, "computed", st->known);
        json_line_real(b, "min", st->min);
        json_line_real(b, "max", st->max);
        json_line_real(b, "mean", st->mean);
        json_line_real(b, "std", st->std);
        json_line_real(b, "rms", st->rms);
        if (st->known) {
            json_line_int(b, "nan", st->nan);
            json_line_int(b, "inf", st->inf);
            json_line_int(b, "zero", st->zero);
        }
    }
    json_line_end(b);
}

static int put_row(table *t, const checkpoint_tensor *c, const tensor_stats *st, bool stats, err *e)
{
    cell *row = table_row(t, e);
    if (!row)
        return ERR_RESOURCE;
    strbuf shape = {0}, name = {0};
    strbuf_put_visible(&name, c->name, strlen(c->name));
    for (int d = 0; d < c->t.n_dim; d++)
        strbuf_printf(&shape, d ? " x %" PRId64 : "%" PRId64, c->t.shape[d]);
    const char *type = dtypes[c->t.type].name;
    int rc = table_text(t, &row[0], strbuf_str(&name), name.len, e);
    if (!rc)
        rc = table_text(t, &row[1], type, strlen(type), e);
    if (!rc)
        rc = table_text(t, &row[2], strbuf_str(&shape), shape.len, e);
    strbuf_free(&shape);
    strbuf_free(&name);
    row[3] = cell_int((int64_t)c->t.bytes);
    if (stats && st->known) {
        double v[] = {st->min, st->max, st->mean, st->std, st->rms};
        int64_t n[] = {st->nan, st->inf, st->zero};
        for (int i = 0; i < 5 && st->nan + st->inf < st->n; i++)
            row[4 + i] = cell_real(v[i]);
        for (int i = 0; i < 3; i++)
            row[9 + i] = cell_int(n[i]);
    } else if (stats) {
        row[4] = cell_text("not computed");
    }
    return rc;
}

/* The tensors to list, and the bytes that measuring them reads. */
static bool chosen(const checkpoint_tensor *c, const char *glob)
{
    return !glob || fnmatch(glob, c->name, 0) == 0;
}

static double chosen_bytes(const checkpoint *c, const char *glob)
{
    double bytes = 0;
    for (int i = 0; i < c->n_tensor; i++)
        bytes += chosen(&c->tensors[i], glob) ? (double)c->tensors[i].t.bytes : 0;
    return bytes;
}

static int list(session *s, const command_args *a, const checkpoint *c, err *e)
{
    static const char *const columns[] = {"name", "dtype", "shape", "bytes", "min",  "max",
                                          "mean", "std",   "rms",   "nan",   "inf", "zero"};
    const char *glob = params_str(a->p, "glob");
    bool stats = params_bool(a->p, "stats"), as_json = command_format(s, a) == FORMAT_JSON;
    double done = 0, total = chosen_bytes(c, glob);
    table *t = NULL;
    pool *workers = NULL;
    strbuf b = {0};
    int rc = table_new(&t, stats ? 12 : 4, columns, e), n = 0;
    if (!rc && stats)
        rc = pool_new(&workers, (int)option_threads(s, a), e);
    for (int i = 0; i < c->n_tensor && !rc; i++) {
        const checkpoint_tensor *ct = &c->tensors[i];
        tensor_stats st = {0};
        if (!chosen(ct, glob))
            continue;
        n++;
        if (stats)
            rc = tensor_measure(&st, &ct->t, workers, &s->prog, &done, total, e);
        if (rc)
            break;
        if (as_json) {
            put_json(&b, ct, &st, stats);
            rc = output_flush(s->out, &b, e);
        } else {
            rc = put_row(t, ct, &st, stats, e);
        }
    }
    if (!rc && n == 0 && glob && c->n_tensor > 0) {
        err_set(e, ERR_FAILED, "no tensor matches '%s' (there are %d, the first is %s)", glob, c->n_tensor,
                c->tensors[0].name);
        rc = err_hint(e, "* matches any text: --glob '*attn*'");
    } else if (!rc && c->n_tensor == 0) {
        say(s, "%s holds no tensors", c->path);
    } else if (!rc && !as_json) {
        rc = print_table(s, a, t, "attnscope.tensor/1", e);
    }
    strbuf_free(&b);
    table_free(t);
    pool_free(workers);
    return rc;
}

static int run(session *s, const command_args *a, err *e)
{
    /* Any checkpoint lists, also one whose family is not supported. */
    const checkpoint *c;
    checkpoint *opened;
    int rc = choose_checkpoint(s, a, true, &c, &opened, e);
    if (!rc)
        rc = list(s, a, c, e);
    checkpoint_close(opened);
    return rc;
}

static const param own[] = {
    {.name = "glob", .kind = PARAM_STR, .value = "PATTERN",
     .help = "only tensors whose name matches (* and ? as in file names)"},
    {.name = "stats", .kind = PARAM_BOOL,
     .help = "range, mean, standard deviation and root mean square of the finite values; counts of NaN, "
             "infinities and zeros"},
    {.name = NULL},
};
static const char *const examples[] = {
    "tensors examples/models/lantern-3m --glob 'model.layers.0.*'", "the tensors of the first layer",
    "tensors examples/models/lantern-3m --glob '*norm*' --stats", "the range of all norm weights",
    NULL,
};
static const char *const complete[] = {"models", NULL};

const command command_tensors = {
    .name = "tensors", .group = "model", .usage = "[MODEL]",
    .summary = "list the tensors of a checkpoint",
    .help = "Names, element types and shapes (the last dimension is contiguous, as in PyTorch) of all "
            "tensors, sorted by name. Works for any checkpoint file, also of a family that cannot be run and "
            "without a config.json. --stats reads the values as the model would (blocks dequantised).",
    .examples = examples, .params = own, .min_args = 0, .max_args = 1, .complete = complete, .run = run,
};
