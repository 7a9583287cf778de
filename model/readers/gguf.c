/* GGUF, versions 2 and 3: metadata (model/gguf.c), then tensor descriptions, then aligned tensor data.
 *
 * The rules are those of ggml's own reader: names unique and shorter than 64 bytes, at most four
 * dimensions, rows of whole blocks, data packed in the order of the descriptions with padding to the
 * alignment and nothing else between, all of it inside the file.  Bytes after the last tensor are ignored. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "model/checkpoint.h"
#include "model/gguf.h"
#include "model/readers/reader.h"

enum { MAX_DIM = 4, NAME_LIMIT = 64 };

/* Tensor type ids of the format.  4, 5, 31-33 and 36-38 were removed from it. */
static const struct { uint32_t id; dtype type; } type_ids[] = {
    {0, DT_F32},      {1, DT_F16},     {2, DT_Q4_0},     {3, DT_Q4_1},   {6, DT_Q5_0},    {7, DT_Q5_1},
    {8, DT_Q8_0},     {9, DT_Q8_1},    {10, DT_Q2_K},    {11, DT_Q3_K},  {12, DT_Q4_K},   {13, DT_Q5_K},
    {14, DT_Q6_K},    {15, DT_Q8_K},   {16, DT_IQ2_XXS}, {17, DT_IQ2_XS}, {18, DT_IQ3_XXS}, {19, DT_IQ1_S},
    {20, DT_IQ4_NL},  {21, DT_IQ3_S},  {22, DT_IQ2_S},   {23, DT_IQ4_XS}, {24, DT_I8},    {25, DT_I16},
    {26, DT_I32},     {27, DT_I64},    {28, DT_F64},     {29, DT_IQ1_M}, {30, DT_BF16},   {34, DT_TQ1_0},
    {35, DT_TQ2_0},   {39, DT_MXFP4},  {40, DT_NVFP4},   {41, DT_Q1_0},  {42, DT_Q2_0},
};
enum { TYPE_IDS_END = 43 };

/* One tensor before its place in the file is known. */
typedef struct description {
    const char *name;   /* view into the file */
    size_t name_len;
    size_t offset;      /* from the start of the tensor data */
    tensor t;
} description;

static int truncated(err *e)
{
    err_set(e, ERR_INPUT, "the tensor descriptions run past the end of the file");
    return err_hint(e, "the file is damaged or its download incomplete; fetch it again");
}

static int type_from_id(dtype *out, uint32_t id, err *e)
{
    for (size_t i = 0; i < sizeof type_ids / sizeof *type_ids; i++) {
        if (type_ids[i].id == id) {
            *out = type_ids[i].type;
            return 0;
        }
    }
    if (id >= TYPE_IDS_END) {
        err_set(e, ERR_INPUT, "unknown tensor type %u", id);
        return err_hint(e, "the file is damaged, or newer than this program");
    }
    err_set(e, ERR_INPUT, "tensor type %u was removed from GGUF", id);
    return err_hint(e, "convert the model again with a current converter");
}

/* Elements and bytes of t; its shape is in the file's order, contiguous dimension first. */
static int measure(tensor *t, err *e)
{
    const dtype_info *d = &dtypes[t->type];
    size_t count = 1;
    for (int i = 0; i < t->n_dim; i++)
        if (!size_mul(&count, count, (size_t)t->shape[i]) || count > INT64_MAX)
            return err_set(e, ERR_INPUT, "the dimensions multiply to more elements than can be counted");
    int64_t row = t->n_dim ? t->shape[0] : 1;
    if (row % d->block)
        return err_set(e, ERR_INPUT, "rows of %lld elements are not whole %s blocks of %d", (long long)row,
                       d->name, d->block);
    if (!size_mul(&t->bytes, count / (size_t)d->block, (size_t)d->block_bytes))
        return err_set(e, ERR_INPUT, "%zu elements of %s are more bytes than can be counted", count, d->name);
    return 0;
}

static int read_dimensions(tensor *t, cursor *c, err *e)
{
    uint32_t n;
    if (!take_u32(&n, c))
        return truncated(e);
    if (n > MAX_DIM)
        return err_set(e, ERR_INPUT, "%u dimensions (at most %d)", n, MAX_DIM);
    t->n_dim = (int)n;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t v;
        if (!take_u64(&v, c))
            return truncated(e);
        if (v > INT64_MAX)
            return err_set(e, ERR_INPUT, "dimension %u is negative", i);
        t->shape[i] = (int64_t)v;
    }
    return 0;
}

/* What follows the name. */
static int read_shape_and_place(description *d, cursor *c, err *e)
{
    uint32_t id;
    uint64_t offset;
    int rc = read_dimensions(&d->t, c, e);
    if (rc)
        return rc;
    if (!take_u32(&id, c) || !take_u64(&offset, c))
        return truncated(e);
    if ((rc = type_from_id(&d->t.type, id, e)) || (rc = measure(&d->t, e)))
        return rc;
    d->offset = (size_t)offset;
    for (int i = 0, j = d->t.n_dim - 1; i < j; i++, j--) { /* PyTorch's order */
        int64_t v = d->t.shape[i];
        d->t.shape[i] = d->t.shape[j];
        d->t.shape[j] = v;
    }
    return 0;
}

static int read_description(description *d, size_t index, cursor *c, err *e)
{
    uint64_t len = 0;
    const unsigned char *name = NULL;
    int rc = 0;
    if (!take_u64(&len, c))
        rc = truncated(e);
    else if (!len || len >= NAME_LIMIT)
        rc = err_set(e, ERR_INPUT, "the name is %llu bytes long (1 to %d)", (unsigned long long)len,
                     NAME_LIMIT - 1);
    else if (!take_bytes(&name, c, len))
        rc = truncated(e);
    if (rc)
        return err_prefix(e, "tensor %zu", index);

    shown_name text;
    d->name = (const char *)name;
    d->name_len = (size_t)len;
    rc = read_shape_and_place(d, c, e);
    return rc ? err_prefix(e, "tensor \"%s\"", show_name(text, d->name, d->name_len)) : 0;
}

/* Give every tensor its bytes: in order, padded, inside the file. */
static int place(description *all, size_t n, size_t start, size_t alignment, const mapfile *f, err *e)
{
    size_t next = 0; /* where the next tensor must begin */
    for (size_t i = 0; i < n; i++) {
        description *d = &all[i];
        shown_name name;
        size_t end;
        show_name(name, d->name, d->name_len);
        if (d->offset != next) {
            err_set(e, ERR_INPUT, "tensor \"%s\" is at offset %zu, expected %zu (in order, aligned to %zu)",
                    name, d->offset, next, alignment);
            return err_hint(e, "the file is damaged; fetch or convert it again");
        }
        if (start > f->size || d->offset > f->size - start || d->t.bytes > f->size - start - d->offset) {
            err_set(e, ERR_INPUT, "tensor \"%s\" of %zu bytes runs past the end of the file (%zu bytes)",
                    name, d->t.bytes, f->size);
            return err_hint(e, "the download is probably incomplete; fetch the file again");
        }
        d->t.data = f->data + start + d->offset;
        if (!size_add(&end, d->offset + d->t.bytes, alignment - 1)) /* both lie in the file */
            return err_set(e, ERR_INPUT, "tensor \"%s\" ends beyond what can be addressed", name);
        next = end & ~(alignment - 1);
    }
    return 0;
}

static bool gguf_sniff(const unsigned char *head, size_t n, size_t file_size)
{
    (void)file_size;
    return n >= 4 && memcmp(head, "GGUF", 4) == 0;
}

/* Is this the part that is expected?  *skip: it is one of several, and only this one was opened, which is for
 * checkpoint.c to put right. */
static int check_part(checkpoint *c, int file, const gguf_meta *m, bool *skip, err *e)
{
    int no, count;
    gguf_split(m, &no, &count);
    *skip = c->n_file == 1 && count > 1;
    if (*skip)
        c->split_count_ = count;
    if (c->n_file == 1)
        return 0;
    if (count == c->n_file && no == file)
        return 0;
    err_set(e, ERR_INPUT, "should be part %d of %d of a split model, but says that it is part %d of %d", file + 1,
            c->n_file, no + 1, count);
    return err_hint(e, "the parts are not of one model; fetch them again into an empty directory");
}

/* The tensors that the descriptions at byte pos announce. */
static int read_tensors(checkpoint *c, int file, const gguf_meta *m, size_t n, size_t pos, err *e)
{
    const mapfile *f = &c->files[file];
    size_t start, alignment = gguf_alignment(m);
    int rc = 0;
    description *all = mem_array(n, sizeof *all, e);
    if (!all)
        return ERR_RESOURCE;
    cursor in = {f->data + pos, f->size - pos};
    for (size_t i = 0; i < n; i++)
        if ((rc = read_description(&all[i], i, &in, e)))
            goto out;
    if (!size_add(&start, f->size - in.left, alignment - 1)) {
        rc = err_set(e, ERR_INPUT, "the tensor data begin beyond what can be addressed");
        goto out;
    }
    if ((rc = place(all, n, start & ~(alignment - 1), alignment, f, e)))
        goto out;
    for (size_t i = 0; i < n; i++)
        if ((rc = checkpoint_add(c, all[i].name, all[i].name_len, &all[i].t, file, e)))
            goto out;
out:
    free(all);
    return rc;
}

static int gguf_read(checkpoint *c, int file, err *e)
{
    const mapfile *f = &c->files[file];
    gguf_meta *m = NULL;
    size_t n, pos;
    bool skip = false;
    int rc = gguf_meta_read(&m, &n, &pos, f->data, f->size, e);
    if (rc)
        return rc;
    rc = check_part(c, file, m, &skip, e);
    if (!rc && !skip)
        rc = read_tensors(c, file, m, n, pos, e);
    if (c->gguf)
        gguf_meta_free(m); /* the metadata are those of the first part */
    else
        c->gguf = m;
    return rc;
}

const checkpoint_reader reader_gguf = {
    .name = "gguf",
    .summary = "GGUF file of the ggml family, version 2 or 3, plain and quantised",
    .suffix = ".gguf",
    .own_config = true,
    .sniff = gguf_sniff,
    .read = gguf_read,
};
