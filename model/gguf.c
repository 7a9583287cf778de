/* GGUF header and metadata: a checked table of views into the file, and the accessors.
 *
 * Everything is validated once, in gguf_meta_read, so that the accessors can trust lengths and counts.
 * Memory is one small record for each key; arrays stay in the file. */
#include "model/gguf.h"

#include <stdlib.h>
#include <string.h>

#include "model/readers/reader.h"

struct gguf_meta {
    size_t n;
    gguf_kv *kv;              /* [n] file order */
    const gguf_kv **by_key;   /* [n] sorted by key */
    size_t alignment;
    int split_no, split_count;
};

enum {
    HEADER_BYTES = 24,        /* magic, version, two counts */
    SMALLEST_KV = 8 + 1 + 4 + 1,
    SMALLEST_TENSOR = 8 + 1 + 4 + 4 + 8,
    LONGEST_KEY = 65535,
    LARGEST_ALIGNMENT = 1 << 20,
};
static const uint64_t longest_string = 1u << 30, longest_array = 1u << 30;

static const struct {
    const char *name;
    size_t bytes; /* of a value; 0 when it varies */
} types[GGUF_TYPE_COUNT] = {
    [GGUF_U8] = {"u8", 1},   [GGUF_I8] = {"i8", 1},         [GGUF_U16] = {"u16", 2},
    [GGUF_I16] = {"i16", 2}, [GGUF_U32] = {"u32", 4},       [GGUF_I32] = {"i32", 4},
    [GGUF_F32] = {"f32", 4}, [GGUF_BOOL] = {"bool", 1},     [GGUF_STRING] = {"string", 0},
    [GGUF_U64] = {"u64", 8}, [GGUF_ARRAY] = {"array", 0},   [GGUF_I64] = {"i64", 8},
    [GGUF_F64] = {"f64", 8},
};

const char *gguf_type_name(gguf_type t)
{
    return (unsigned)t < GGUF_TYPE_COUNT ? types[t].name : "?";
}

/* ---- reading ---- */

static int truncated(err *e)
{
    err_set(e, ERR_INPUT, "the metadata runs past the end of the file");
    return err_hint(e, "the file is damaged or its download incomplete; fetch it again");
}

static int read_string(gguf_string *out, cursor *c, err *e)
{
    uint64_t n;
    const unsigned char *p;
    if (!take_u64(&n, c))
        return truncated(e);
    if (n > longest_string || n > c->left) {
        err_set(e, ERR_INPUT, "a string of %llu bytes does not fit in the %zu bytes left in the file",
                (unsigned long long)n, c->left);
        return err_hint(e, "the file is damaged or its download incomplete; fetch it again");
    }
    take_bytes(&p, c, n);
    *out = (gguf_string){(const char *)p, (size_t)n};
    return 0;
}

static int check_bools(const unsigned char *p, uint64_t n, err *e)
{
    for (uint64_t i = 0; i < n; i++)
        if (p[i] > 1)
            return err_set(e, ERR_INPUT, "a bool is stored as %d", p[i]);
    return 0;
}

/* count values of kv->element at the cursor. */
static int read_values(gguf_kv *kv, cursor *c, err *e)
{
    kv->data = c->at;
    if (kv->element == GGUF_STRING) {
        for (uint64_t i = 0; i < kv->count; i++) {
            gguf_string s;
            int rc = read_string(&s, c, e);
            if (rc)
                return rc;
        }
        return 0;
    }
    const unsigned char *p;
    if (!take_bytes(&p, c, kv->count * types[kv->element].bytes)) /* count is below 2^30 */
        return truncated(e);
    return kv->element == GGUF_BOOL ? check_bools(p, kv->count, e) : 0;
}

static int read_array_head(gguf_kv *kv, cursor *c, err *e)
{
    uint32_t element;
    uint64_t count;
    if (!take_u32(&element, c) || !take_u64(&count, c))
        return truncated(e);
    if (element >= GGUF_TYPE_COUNT)
        return err_set(e, ERR_INPUT, "unknown array element type %u", element);
    if (element == GGUF_ARRAY)
        return err_set(e, ERR_INPUT, "arrays of arrays are not supported");
    /* A string takes at least its length field. */
    uint64_t least = types[element].bytes ? types[element].bytes : 8;
    if (count > longest_array || count > c->left / least)
        return err_set(e, ERR_INPUT,
                       "an array of %llu %s values does not fit in the %zu bytes left in the file",
                       (unsigned long long)count, types[element].name, c->left);
    kv->element = (gguf_type)element;
    kv->count = count;
    return 0;
}

static int read_key(gguf_string *out, cursor *c, err *e)
{
    int rc = read_string(out, c, e);
    if (rc)
        return err_prefix(e, "key");
    if (!out->len)
        return err_set(e, ERR_INPUT, "the key is empty");
    if (out->len > LONGEST_KEY)
        return err_set(e, ERR_INPUT, "the key is %zu bytes long (at most %d)", out->len, LONGEST_KEY);
    for (size_t i = 0; i < out->len; i++)
        if (out->s[i] < 0x20 || out->s[i] > 0x7e)
            return err_set(e, ERR_INPUT, "the key is not printable ASCII (byte 0x%02x)",
                           (unsigned char)out->s[i]);
    return 0;
}

static int read_kv(gguf_kv *kv, size_t index, cursor *c, err *e)
{
    int rc = read_key(&kv->key, c, e);
    if (rc)
        return err_prefix(e, "metadata entry %zu", index);

    shown_name name;
    uint32_t type = 0;
    show_name(name, kv->key.s, kv->key.len);
    if (!take_u32(&type, c))
        rc = truncated(e);
    else if (type >= GGUF_TYPE_COUNT)
        rc = err_set(e, ERR_INPUT, "unknown value type %u", type);
    if (rc)
        return err_prefix(e, "metadata \"%s\"", name);

    kv->type = kv->element = (gguf_type)type;
    kv->count = 1;
    if (kv->type == GGUF_ARRAY)
        rc = read_array_head(kv, c, e);
    if (!rc)
        rc = read_values(kv, c, e);
    return rc ? err_prefix(e, "metadata \"%s\"", name) : 0;
}

static int compare_keys(const char *a, size_t an, const char *b, size_t bn)
{
    int order = memcmp(a, b, an < bn ? an : bn);
    return order ? order : (an > bn) - (an < bn);
}

static int by_key_order(const void *a, const void *b)
{
    const gguf_kv *x = *(const gguf_kv *const *)a, *y = *(const gguf_kv *const *)b;
    return compare_keys(x->key.s, x->key.len, y->key.s, y->key.len);
}

static int index_keys(gguf_meta *m, err *e)
{
    m->by_key = mem_array(m->n, sizeof *m->by_key, e);
    if (!m->by_key)
        return ERR_RESOURCE;
    for (size_t i = 0; i < m->n; i++)
        m->by_key[i] = &m->kv[i];
    qsort(m->by_key, m->n, sizeof *m->by_key, by_key_order);
    for (size_t i = 1; i < m->n; i++) {
        if (!by_key_order(&m->by_key[i - 1], &m->by_key[i])) {
            shown_name name;
            return err_set(e, ERR_INPUT, "metadata \"%s\" appears twice",
                           show_name(name, m->by_key[i]->key.s, m->by_key[i]->key.len));
        }
    }
    return 0;
}

static int read_split(int64_t *out, const gguf_meta *m, const char *key, err *e)
{
    const gguf_kv *kv = gguf_find(m, key);
    if (!kv)
        return 0;
    if (kv->type == GGUF_ARRAY || !gguf_int(out, kv, 0) || *out < 0 || *out > UINT16_MAX)
        return err_set(e, ERR_INPUT, "metadata \"%s\" is not an integer from 0 to %d", key, UINT16_MAX);
    return 0;
}

/* What the file says about its own layout. */
static int read_layout(gguf_meta *m, err *e)
{
    const gguf_kv *kv = gguf_find(m, "general.alignment");
    int64_t v = 32;
    if (kv && kv->type != GGUF_U32)
        return err_set(e, ERR_INPUT, "metadata \"general.alignment\" is of type %s, not u32",
                       types[kv->type].name);
    if (kv)
        gguf_int(&v, kv, 0);
    if (v < 1 || v > LARGEST_ALIGNMENT || (v & (v - 1)))
        return err_set(e, ERR_INPUT, "metadata \"general.alignment\" is %lld, not a power of two up to %d",
                       (long long)v, LARGEST_ALIGNMENT);
    m->alignment = (size_t)v;

    int64_t no = 0, count = 1;
    int rc = read_split(&count, m, "split.count", e);
    if (!rc)
        rc = read_split(&no, m, "split.no", e);
    if (!rc && no >= count && count > 0)
        rc = err_set(e, ERR_INPUT, "metadata \"split.no\" is %lld, but \"split.count\" is %lld", (long long)no,
                     (long long)count);
    m->split_no = (int)no;
    m->split_count = count > 1 ? (int)count : 1;
    return rc;
}

/* Magic, version and the two counts. */
static int read_header(uint64_t *n_tensor, uint64_t *n_kv, cursor *c, size_t size, err *e)
{
    if (size < 4 || memcmp(c->at, "GGUF", 4) != 0) {
        err_set(e, ERR_INPUT, "does not begin with the letters GGUF");
        return err_hint(e, "the file is damaged or in another format");
    }
    if (size < HEADER_BYTES) {
        err_set(e, ERR_INPUT, "%zu bytes are too few for a GGUF header", size);
        return err_hint(e, "the download is probably incomplete; fetch the file again");
    }
    const unsigned char *magic;
    uint32_t version = 0;
    take_bytes(&magic, c, 4);
    take_u32(&version, c);
    take_u64(n_tensor, c);
    take_u64(n_kv, c);
    if (version && !(version & 0xffff)) {
        err_set(e, ERR_INPUT, "the file is big-endian, which is not supported");
        return err_hint(e, "convert it with gguf-py's gguf-convert-endian, or take the little-endian file");
    }
    if (version < 2 || version > 3) {
        err_set(e, ERR_INPUT, "GGUF version %u is not supported (2 and 3 are)", version);
        return version == 1 ? err_hint(e, "convert the model again with a current converter")
                            : err_hint(e, "the file is damaged, or newer than this program");
    }
    if (*n_kv > c->left / SMALLEST_KV)
        return err_set(e, ERR_INPUT, "declares %llu metadata entries, more than its %zu bytes can hold",
                       (unsigned long long)*n_kv, size);
    if (*n_tensor > c->left / SMALLEST_TENSOR)
        return err_set(e, ERR_INPUT, "declares %llu tensors, more than its %zu bytes can hold",
                       (unsigned long long)*n_tensor, size);
    return 0;
}

int gguf_meta_read(gguf_meta **out, size_t *n_tensor, size_t *end, const unsigned char *data, size_t size,
                   err *e)
{
    cursor c = {data, size};
    uint64_t tensors = 0, n = 0;
    int rc = read_header(&tensors, &n, &c, size, e);
    if (rc)
        return rc;

    gguf_meta *m = mem_array(1, sizeof *m, e);
    if (!m)
        return ERR_RESOURCE;
    m->kv = mem_array((size_t)n, sizeof *m->kv, e);
    if (!m->kv) {
        rc = ERR_RESOURCE;
        goto fail;
    }
    for (; m->n < n; m->n++)
        if ((rc = read_kv(&m->kv[m->n], m->n, &c, e)))
            goto fail;
    if ((rc = index_keys(m, e)) || (rc = read_layout(m, e)))
        goto fail;
    *out = m;
    *n_tensor = (size_t)tensors;
    *end = size - c.left;
    return 0;

fail:
    gguf_meta_free(m);
    return rc;
}

void gguf_meta_free(gguf_meta *m)
{
    if (!m)
        return;
    free(m->by_key);
    free(m->kv);
    free(m);
}

/* ---- accessors ---- */

size_t gguf_alignment(const gguf_meta *m)
{
    return m->alignment;
}

void gguf_split(const gguf_meta *m, int *no, int *count)
{
    *no = m->split_no;
    *count = m->split_count;
}

size_t gguf_count(const gguf_meta *m)
{
    return m->n;
}

const gguf_kv *gguf_at(const gguf_meta *m, size_t i)
{
    return i < m->n ? &m->kv[i] : NULL;
}

const gguf_kv *gguf_find(const gguf_meta *m, const char *key)
{
    size_t len = strlen(key), lo = 0, hi = m->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        const gguf_kv *kv = m->by_key[mid];
        int order = compare_keys(kv->key.s, kv->key.len, key, len);
        if (!order)
            return kv;
        if (order < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

/* Element i as the C type, from unaligned bytes. */
#define ELEMENT(type)                                    \
    do {                                                 \
        type v_;                                         \
        memcpy(&v_, kv->data + i * sizeof v_, sizeof v_); \
        *out = v_;                                       \
    } while (0)

bool gguf_int(int64_t *out, const gguf_kv *kv, uint64_t i)
{
    if (!kv || i >= kv->count)
        return false;
    switch (kv->element) {
    case GGUF_U8: ELEMENT(uint8_t); return true;
    case GGUF_I8: ELEMENT(int8_t); return true;
    case GGUF_U16: ELEMENT(uint16_t); return true;
    case GGUF_I16: ELEMENT(int16_t); return true;
    case GGUF_U32: ELEMENT(uint32_t); return true;
    case GGUF_I32: ELEMENT(int32_t); return true;
    case GGUF_I64: ELEMENT(int64_t); return true;
    case GGUF_U64: {
        uint64_t v;
        memcpy(&v, kv->data + i * sizeof v, sizeof v);
        if (v > INT64_MAX)
            return false;
        *out = (int64_t)v;
        return true;
    }
    default: return false;
    }
}

bool gguf_real(double *out, const gguf_kv *kv, uint64_t i)
{
    int64_t whole;
    if (!kv || i >= kv->count)
        return false;
    switch (kv->element) {
    case GGUF_F32: ELEMENT(float); return true;
    case GGUF_F64: ELEMENT(double); return true;
    case GGUF_U64: {
        uint64_t v;
        memcpy(&v, kv->data + i * sizeof v, sizeof v);
        *out = (double)v;
        return true;
    }
    default:
        if (!gguf_int(&whole, kv, i))
            return false;
        *out = (double)whole;
        return true;
    }
}
#undef ELEMENT

bool gguf_bool(bool *out, const gguf_kv *kv, uint64_t i)
{
    if (!kv || kv->element != GGUF_BOOL || i >= kv->count)
        return false;
    *out = kv->data[i] != 0;
    return true;
}

/* The string at p, which was checked; returns the byte after it. */
static const unsigned char *string_at(gguf_string *out, const unsigned char *p)
{
    uint64_t n;
    memcpy(&n, p, sizeof n);
    *out = (gguf_string){(const char *)p + sizeof n, (size_t)n};
    return p + sizeof n + n;
}

bool gguf_text(gguf_string *out, const gguf_kv *kv)
{
    if (!kv || kv->type != GGUF_STRING)
        return false;
    string_at(out, kv->data);
    return true;
}

bool gguf_texts(gguf_string *out, const gguf_kv *kv)
{
    if (!kv || kv->type != GGUF_ARRAY || kv->element != GGUF_STRING)
        return false;
    const unsigned char *p = kv->data;
    for (uint64_t i = 0; i < kv->count; i++)
        p = string_at(&out[i], p);
    return true;
}
