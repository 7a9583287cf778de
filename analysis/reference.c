/* The inputs that a reference file holds. */
#include "analysis/reference.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"

void reference_shape_text(char *out, size_t size, int n_dim, const int64_t *shape)
{
    size_t len = 0;
    out[0] = '\0';
    for (int i = 0; i < n_dim && len < size; i++)
        len += (size_t)snprintf(out + len, size - len, "%s%" PRId64, i ? ", " : "[", shape[i]);
    if (len < size)
        snprintf(out + len, size - len, n_dim ? "]" : "[]");
}

static int read_ids(int32_t **ids, int64_t *n, const npz *ref, const char *array, err *e)
{
    *ids = NULL;
    if (!npz_has(ref, array)) {
        err_set(e, ERR_INPUT, "the reference has no array %s", array);
        return err_hint(e, "it must hold the token ids of the run as an integer array [n]");
    }
    npy a;
    int r = npz_get(&a, ref, array, e);
    if (r != 0)
        return r;
    if (a.n_dim != 1 || a.count < 1) {
        char shape[128];
        reference_shape_text(shape, sizeof(shape), a.n_dim, a.shape);
        r = err_set(e, ERR_INPUT, "%s has shape %s, expected [n]", array, shape);
    } else if (!(*ids = mem_array((size_t)a.count, sizeof(**ids), e))) {
        r = ERR_RESOURCE;
    }
    for (int64_t i = 0; r == 0 && i < a.count; i++) {
        int64_t id;
        if (!npy_int(&id, &a, i) || id < 0 || id > INT32_MAX)
            r = err_set(e, ERR_INPUT, "%s[%" PRId64 "] is not a token id", array, i);
        else
            (*ids)[i] = (int32_t)id;
    }
    *n = a.count;
    npy_free(&a);
    if (r != 0) {
        free(*ids);
        *ids = NULL;
    }
    return r;
}

int reference_ids(int32_t **ids, int64_t *n, const char *reference, err *e)
{
    npz *ref;
    *ids = NULL;
    int r = npz_open(&ref, reference, e);
    if (r != 0)
        return r;
    r = read_ids(ids, n, ref, "ids", e);
    if (r != 0)
        err_prefix(e, "%s", reference);
    npz_close(ref);
    return r;
}

/* A floating-point array of n_dim dimensions as float32. */
static int read_numbers(float **out, int64_t *shape, int n_dim, const npz *ref, const char *array, err *e)
{
    npy a;
    int r;
    *out = NULL;
    if (!npz_has(ref, array))
        return err_set(e, ERR_INPUT, "the reference has no array %s, which the model reads", array);
    if ((r = npz_get(&a, ref, array, e)))
        return r;
    if (a.n_dim != n_dim || a.count < 1)
        r = err_set(e, ERR_INPUT, "%s has %d dimensions, expected %d", array, a.n_dim, n_dim);
    else if (!(*out = mem_array((size_t)a.count, sizeof(**out), e)))
        r = ERR_RESOURCE;
    for (int64_t i = 0; r == 0 && i < a.count; i++)
        (*out)[i] = (float)npy_real(&a, i);
    for (int d = 0; r == 0 && d < n_dim; d++)
        shape[d] = a.shape[d];
    npy_free(&a);
    return r;
}

int reference_input_take(reference_input *out, const model *m, const npz *ref, err *e)
{
    static const struct { const char *array; unsigned need; } inputs[] = {
        {"enc_ids", NEEDS_SOURCE}, {"pixel_values", NEEDS_PIXELS}, {"input_features", NEEDS_FEATURES}};
    model_input *in = &out->in;
    int64_t shape[3];
    int r = 0;
    for (size_t i = 0; i < sizeof(inputs) / sizeof(*inputs); i++)
        if (npz_has(ref, inputs[i].array) && !(m->needs & inputs[i].need)) {
            err_set(e, ERR_INPUT, "the reference has the input %s, which this model does not take", inputs[i].array);
            return err_hint(e, "the reference is of another model");
        }
    if ((m->needs & NEEDS_TOKENS) && (r = read_ids(&out->ids, &in->n, ref, "ids", e)))
        return r;
    if ((m->needs & NEEDS_SOURCE) && (r = read_ids(&out->source, &in->n_source, ref, "enc_ids", e)))
        return r;
    in->ids = out->ids;
    in->source = out->source;
    if ((m->needs & NEEDS_PIXELS) && (!m->vision || npz_has(ref, "pixel_values"))) {
        if ((r = read_numbers(&out->numbers, shape, 3, ref, "pixel_values", e)))
            return r;
        in->pixels = out->numbers;
        in->channels = shape[0];
        in->height = shape[1];
        in->width = shape[2];
    } else if (m->needs & NEEDS_FEATURES) {
        if ((r = read_numbers(&out->numbers, shape, 2, ref, "input_features", e)))
            return r;
        in->features = out->numbers;
        in->n_mel = shape[0];
        in->n_frame = shape[1];
    }
    return 0;
}

int reference_input_open(reference_input *out, const model *m, const char *path, err *e)
{
    npz *ref;
    *out = (reference_input){0};
    int r = npz_open(&ref, path, e);
    if (r != 0)
        return r;
    r = reference_input_take(out, m, ref, e);
    if (r != 0) {
        err_prefix(e, "%s", path);
        reference_input_free(out);
    }
    npz_close(ref);
    return r;
}

void reference_input_free(reference_input *in)
{
    free(in->ids);
    free(in->source);
    free(in->numbers);
    *in = (reference_input){0};
}
