/* tensors: what a checkpoint holds. */
#include <fnmatch.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/cancel.h"
#include "base/mem.h"
#include "cli/json_line.h"
#include "cli/output.h"
#include "model/checkpoint.h"

typedef struct tensor_stats {
    bool known;
    double min, max, mean, std;
    int64_t not_finite;
} tensor_stats;

static int64_t count_of(const tensor *t)
{
    int64_t n = 1;
    for (int d = 0; d < t->n_dim; d++)
        n *= t->shape[d];
    return n;
}

/* Two sums over the whole tensor; a shift by the first value keeps the variance exact enough. */
static int measure(tensor_stats *out, const tensor *t, err *e)
{
    const dtype_info *d = &dtypes[t->type];
    int64_t n = count_of(t), piece = 1 << 16;
    *out = (tensor_stats){0};
    if (!d->to_f32 || n == 0)
        return 0;
    float *buf = mem_array((size_t)piece, sizeof *buf, e);
    if (!buf)
        return ERR_RESOURCE;
    double lo = INFINITY, hi = -INFINITY, sum = 0, sum2 = 0, shift = 0;
    int64_t finite = 0;
    int rc = 0;
    for (int64_t i = 0; i < n && !rc; i += piece) {
        int64_t m = n - i < piece ? n - i : piece;
        d->to_f32(buf, (const unsigned char *)t->data + i / d->block * d->block_bytes, m);
        for (int64_t j = 0; j < m; j++) {
            double v = (double)buf[j];
            if (!isfinite(v))
                continue;
            if (finite++ == 0)
                shift = v;
            lo = v < lo ? v : lo;
            hi = v > hi ? v : hi;
            sum += v - shift;
            sum2 += (v - shift) * (v - shift);
        }
        rc = cancel_check(e);
    }
    free(buf);
    out->not_finite = n - finite;
    if (finite) {
        double mean = sum / (double)finite, var = sum2 / (double)finite - mean * mean;
        *out = (tensor_stats){true, lo, hi, mean + shift, sqrt(var > 0 ? var : 0), n - finite};
    }
    return rc;
}

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
    json_line_int(b, "elements", count_of(&c->t));
    json_line_int(b, "bytes", (int64_t)c->t.bytes);
    json_line_int(b, "file", c->file);
    if (stats) {
        json_line_real(b, "min", st->known ? st->min : (double)NAN);
        json_line_real(b, "max", st->known ? st->max : (double)NAN);
        json_line_real(b, "mean", st->known ? st->mean : (double)NAN);
        json_line_real(b, "std", st->known ? st->std : (double)NAN);
        json_line_int(b, "not_finite", st->not_finite);
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
        row[4] = cell_real(st->min);
        row[5] = cell_real(st->max);
        row[6] = cell_real(st->mean);
        row[7] = cell_real(st->std);
    }
    if (stats)
        row[8] = cell_int(st->not_finite);
    return rc;
}

static int list(session *s, const command_args *a, const checkpoint *c, err *e)
{
    static const char *const columns[] = {"name", "dtype", "shape", "bytes",     "min",
                                          "max",  "mean",  "std",   "not_finite"};
    const char *glob = params_str(a->p, "glob");
    bool stats = params_bool(a->p, "stats"), as_json = command_format(s, a) == FORMAT_JSON;
    table *t = NULL;
    strbuf b = {0};
    int rc = table_new(&t, stats ? 9 : 4, columns, e), n = 0;
    for (int i = 0; i < c->n_tensor && !rc; i++) {
        const checkpoint_tensor *ct = &c->tensors[i];
        if (glob && fnmatch(glob, ct->name, 0) != 0)
            continue;
        n++;
        tensor_stats st = {0};
        if (stats) {
            progress_step(&s->prog, "tensor", i, c->n_tensor);
            rc = measure(&st, &ct->t, e);
        }
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
    return rc;
}

static int run(session *s, const command_args *a, err *e)
{
    if (a->n == 0) {
        loaded_model *lm;
        int rc = session_model(s, NULL, &lm, e);
        return rc ? rc : list(s, a, lm->m->ckpt, e);
    }
    /* Any checkpoint lists, also one whose family is not supported. */
    checkpoint *c = NULL;
    int rc = checkpoint_open(&c, a->word[0], e);
    if (!rc)
        rc = list(s, a, c, e);
    checkpoint_close(c);
    return rc;
}

static const param own[] = {
    {.name = "glob", .kind = PARAM_STR, .value = "PATTERN",
     .help = "only tensors whose name matches (* and ? as in file names)"},
    {.name = "stats", .kind = PARAM_BOOL,
     .help = "smallest, largest and mean value, standard deviation, count of NaN and infinities"},
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
            "tensors, sorted by name. Works for any safetensors or GGUF file, also of a family that cannot "
            "be run.",
    .examples = examples, .params = own, .min_args = 0, .max_args = 1, .complete = complete, .run = run,
};
