/* safetensors: u64 length, a JSON header of that length, packed little-endian data.
 *
 * The rules are those of the reference reader.  Together they leave no byte of the file unaccounted for:
 * sorted by offset, the tensors must tile the data exactly, from the end of the header to the end of the
 * file.  Beyond them, duplicate names are refused (base/json.h does) and names are limited. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "model/checkpoint.h"
#include "model/readers/reader.h"

static const size_t longest_header = 100000000;
/* Commas, braces and brackets in a header.  Real headers have about ten for a tensor; each can cost the JSON
 * tree some two hundred bytes, so this bounds the memory that a hostile header can ask for. */
static const size_t most_marks = 4000000;

static const struct { const char *name; dtype type; } type_names[] = {
    {"F4", DT_F4},
    {"F6_E2M3", DT_F6_E2M3},
    {"F6_E3M2", DT_F6_E3M2},
    {"BOOL", DT_BOOL},
    {"U8", DT_U8},
    {"I8", DT_I8},
    {"F8_E5M2", DT_F8_E5M2},
    {"F8_E4M3", DT_F8_E4M3},
    {"F8_E8M0", DT_F8_E8M0},
    {"F8_E4M3FNUZ", DT_F8_E4M3FNUZ},
    {"F8_E5M2FNUZ", DT_F8_E5M2FNUZ},
    {"I16", DT_I16},
    {"U16", DT_U16},
    {"F16", DT_F16},
    {"BF16", DT_BF16},
    {"I32", DT_I32},
    {"U32", DT_U32},
    {"F32", DT_F32},
    {"C64", DT_C64},
    {"F64", DT_F64},
    {"I64", DT_I64},
    {"U64", DT_U64},
};

/* One entry of the header; begin and end count from the start of the data. */
typedef struct entry {
    const char *name; /* owned by the JSON document */
    size_t begin, end;
    tensor t;
} entry;

/* '{' after optional JSON white space. */
static bool begins_with_brace(const unsigned char *p, size_t n)
{
    while (n && memchr(" \t\r\n", *p, 4)) {
        p++;
        n--;
    }
    return n && *p == '{';
}

static bool safetensors_sniff(const unsigned char *head, size_t n, size_t file_size)
{
    uint64_t len;
    cursor c = {head, n};
    return take_u64(&len, &c) && len >= 2 && len <= longest_header && len <= file_size - 8 &&
           begins_with_brace(c.at, c.left);
}

/* A number that counts something: an integer, not negative. */
static bool json_size(size_t *out, const json *v)
{
    int64_t i;
    if (!json_int(&i, v) || i < 0)
        return false;
    *out = (size_t)i;
    return true;
}

static int read_dtype(dtype *out, const json *v, err *e)
{
    size_t len = 0;
    const char *s = json_str(v, &len);
    if (!s)
        return err_set(e, ERR_INPUT, "dtype is %s", v ? "not a string" : "missing");
    for (size_t i = 0; i < sizeof type_names / sizeof *type_names; i++) {
        if (strlen(type_names[i].name) == len && memcmp(type_names[i].name, s, len) == 0) {
            *out = type_names[i].type;
            return 0;
        }
    }
    shown_name text;
    err_set(e, ERR_INPUT, "unknown dtype \"%s\"", show_name(text, s, len));
    return err_hint(e, "the file is damaged, or newer than this program");
}

static int read_shape(tensor *t, const json *v, err *e)
{
    size_t n = json_count(v);
    if (json_kind_of(v) != JSON_LIST)
        return err_set(e, ERR_INPUT, "shape is %s", v ? "not a list" : "missing");
    if (n > TENSOR_MAX_DIM)
        return err_set(e, ERR_INPUT, "%zu dimensions (at most %d)", n, TENSOR_MAX_DIM);
    t->n_dim = (int)n;
    for (size_t i = 0; i < n; i++) {
        size_t d;
        if (!json_size(&d, json_at(v, i)))
            return err_set(e, ERR_INPUT, "dimension %zu of shape is not a non-negative integer", i);
        t->shape[i] = (int64_t)d;
    }
    return 0;
}

static int read_offsets(entry *t, const json *v, err *e)
{
    if (json_kind_of(v) != JSON_LIST)
        return err_set(e, ERR_INPUT, "data_offsets is %s", v ? "not a list" : "missing");
    if (json_count(v) != 2 || !json_size(&t->begin, json_at(v, 0)) || !json_size(&t->end, json_at(v, 1)))
        return err_set(e, ERR_INPUT, "data_offsets is not a pair of non-negative integers");
    if (t->end < t->begin)
        return err_set(e, ERR_INPUT, "data_offsets end at %zu, before they begin at %zu", t->end, t->begin);
    return 0;
}

/* Shape times element size must be what data_offsets hold. */
static int check_size(entry *x, err *e)
{
    const dtype_info *d = &dtypes[x->t.type];
    size_t count = 1;
    for (int i = 0; i < x->t.n_dim; i++)
        if (!size_mul(&count, count, (size_t)x->t.shape[i]))
            return err_set(e, ERR_INPUT, "shape has more elements than can be counted");
    if (count % (size_t)d->block)
        return err_set(e, ERR_INPUT, "%zu elements of %s do not fill whole bytes", count, d->name);
    if (!size_mul(&x->t.bytes, count / (size_t)d->block, (size_t)d->block_bytes))
        return err_set(e, ERR_INPUT, "shape has more bytes than can be counted");
    if (x->t.bytes != x->end - x->begin)
        return err_set(e, ERR_INPUT, "%zu elements of %s take %zu bytes, but data_offsets hold %zu", count,
                       d->name, x->t.bytes, x->end - x->begin);
    return 0;
}

static int read_entry(entry *x, const char *name, const json *v, err *e)
{
    int rc = 0;
    x->name = name;
    if (json_kind_of(v) != JSON_MAP)
        rc = err_set(e, ERR_INPUT, "the entry is not an object");
    if (rc || read_dtype(&x->t.type, json_get(v, "dtype"), e) || read_shape(&x->t, json_get(v, "shape"), e) ||
        read_offsets(x, json_get(v, "data_offsets"), e) || check_size(x, e)) {
        shown_name text;
        return err_prefix(e, "tensor \"%s\"", show_name(text, name, strlen(name)));
    }
    return 0;
}

static int check_metadata(const json *v, err *e)
{
    void *it = NULL;
    const char *key;
    const json *value;
    if (json_kind_of(v) == JSON_NULL_)
        return 0;
    if (json_kind_of(v) != JSON_MAP)
        return err_set(e, ERR_INPUT, "__metadata__ is not an object");
    while (json_each(v, &it, &key, &value)) {
        if (json_kind_of(value) != JSON_STR) {
            shown_name text;
            return err_set(e, ERR_INPUT, "__metadata__ entry \"%s\" is not a string",
                           show_name(text, key, strlen(key)));
        }
    }
    return 0;
}

static int by_offset(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

/* The sorted entries tile [0, size) of the data. */
static int check_tiling(const entry *all, size_t n, size_t size, err *e)
{
    size_t next = 0;
    shown_name text;
    for (size_t i = 0; i < n; next = all[i].end, i++)
        if (all[i].begin != next)
            return err_set(e, ERR_INPUT, "tensor \"%s\" begins at byte %zu of the data, expected %zu (%s)",
                           show_name(text, all[i].name, strlen(all[i].name)), all[i].begin, next,
                           all[i].begin < next ? "it overlaps another tensor"
                                               : "bytes before it belong to no tensor");
    if (next > size) {
        err_set(e, ERR_INPUT, "the data should have %zu bytes, but the file holds %zu", next, size);
        return err_hint(e, "the download is probably incomplete; fetch the file again");
    }
    if (next < size) {
        err_set(e, ERR_INPUT, "%zu bytes after the last tensor belong to none", size - next);
        return err_hint(e, "the file was changed after it was written; fetch it again");
    }
    return 0;
}

static int check_marks(const unsigned char *p, size_t n, err *e)
{
    size_t marks = 0;
    if (n <= most_marks)
        return 0;
    for (size_t i = 0; i < n; i++)
        marks += p[i] == ',' || p[i] == '{' || p[i] == '[';
    if (marks > most_marks)
        return err_set(e, ERR_INPUT, "the header describes more than any checkpoint has (%zu values)", marks);
    return 0;
}

/* Find and parse the header. */
static int read_header(json **out, size_t *data_start, const mapfile *f, err *e)
{
    cursor c = {f->data, f->size};
    uint64_t len;
    if (!take_u64(&len, &c)) {
        err_set(e, ERR_INPUT, "%zu bytes are too few for a safetensors header", f->size);
        return err_hint(e, "the download is probably incomplete; fetch the file again");
    }
    if (len > longest_header) {
        err_set(e, ERR_INPUT, "the header length is %llu, above the limit of %zu bytes",
                (unsigned long long)len, longest_header);
        return err_hint(e, "the file is damaged or not in the safetensors format");
    }
    if (len > c.left) {
        err_set(e, ERR_INPUT, "the header of %llu bytes runs past the end of the file (%zu bytes)",
                (unsigned long long)len, f->size);
        return err_hint(e, "the download is probably incomplete; fetch the file again");
    }
    if (!begins_with_brace(c.at, (size_t)len)) {
        err_set(e, ERR_INPUT, "the header is not a JSON object");
        return err_hint(e, "the file is damaged or not in the safetensors format");
    }
    *data_start = 8 + (size_t)len;
    int rc = check_marks(c.at, (size_t)len, e);
    return rc ? rc : json_parse(out, (const char *)c.at, (size_t)len, "header", e);
}

static int safetensors_read(checkpoint *c, int file, err *e)
{
    const mapfile *f = &c->files[file];
    json *header = NULL;
    entry *all = NULL;
    size_t start = 0, n = 0;
    int rc = read_header(&header, &start, f, e);
    if (rc)
        goto out;

    all = mem_array(json_count(header), sizeof *all, e);
    if (!all) {
        rc = ERR_RESOURCE;
        goto out;
    }
    void *it = NULL;
    const char *name;
    const json *v;
    while (!rc && json_each(header, &it, &name, &v)) {
        if (strcmp(name, "__metadata__") == 0)
            rc = check_metadata(v, e);
        else
            rc = read_entry(&all[n++], name, v, e);
    }
    if (rc)
        goto out;
    qsort(all, n, sizeof *all, by_offset);
    if ((rc = check_tiling(all, n, f->size - start, e)))
        goto out;
    for (size_t i = 0; i < n && !rc; i++) {
        all[i].t.data = f->data + start + all[i].begin;
        rc = checkpoint_add(c, all[i].name, strlen(all[i].name), &all[i].t, file, e);
    }
out:
    free(all);
    json_free(header);
    return rc;
}

const checkpoint_reader reader_safetensors = {
    .name = "safetensors",
    .summary = "Hugging Face's tensor file, alone or sharded, beside a config.json",
    .suffix = ".safetensors",
    .sniff = safetensors_sniff,
    .read = safetensors_read,
};
