/* Attention maps as compressed bytes.
 *
 * Codec "zlib": the cells row by row, as little-endian f32, in one zlib stream, so that any language reads
 * them (numpy: frombuffer(zlib.decompress(cells), "<f4").reshape(n_row, n_col)).  Every bit of a cell comes
 * back, those of a NaN too.  Sorting the bytes by weight before saves 5 % at best on real maps, which is not
 * worth a format of our own. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include "db/internal.h"

#define LEVEL 6
/* Deflate cannot shrink by more than this; a row that promises more is not believed. */
#define MOST_RATIO 1032

static void *zlib_alloc(void *ud, unsigned n, unsigned size)
{
    (void)ud;
    return mem_array(n, size, NULL);
}

static void zlib_free(void *ud, void *p)
{
    (void)ud;
    free(p);
}

static void to_bytes(unsigned char *bytes, const float *cells, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &cells[i], sizeof bits);
        for (int k = 0; k < 4; k++)
            bytes[4 * i + k] = (unsigned char)(bits >> 8 * k);
    }
}

static void from_bytes(float *cells, const unsigned char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const unsigned char *b = bytes + 4 * i;
        uint32_t bits = b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
        memcpy(&cells[i], &bits, sizeof bits);
    }
}

/* Bytes of one row; false when such a row cannot be. */
static bool row_bytes(size_t *out, int64_t cols)
{
    return cols > 0 && size_mul(out, (size_t)cols, sizeof(float)) && *out <= UINT_MAX;
}

typedef struct output { unsigned char *bytes; size_t n, cap; } output;

/* Deflate what z has been given; flush Z_FINISH writes the rest. */
static int deflate_into(output *out, z_stream *z, int flush, err *e)
{
    int rc;
    do {
        if (out->cap - out->n < 4096) {
            size_t cap = out->cap ? out->cap + out->cap / 2 : 16384;
            unsigned char *bytes = cap > out->cap ? mem_grow(out->bytes, cap, 1, e) : NULL;
            if (!bytes)
                return cap > out->cap ? ERR_RESOURCE : err_nomem(e, "a compressed map");
            out->bytes = bytes;
            out->cap = cap;
        }
        size_t room = out->cap - out->n;
        z->next_out = out->bytes + out->n;
        z->avail_out = room > UINT_MAX ? UINT_MAX : (unsigned)room;
        unsigned before = z->avail_out;
        rc = deflate(z, flush);
        out->n += before - z->avail_out;
        if (rc == Z_STREAM_ERROR)
            return err_set(e, ERR_FAILED, "compressing a map: zlib fails");
    } while (flush == Z_FINISH ? rc != Z_STREAM_END : z->avail_out == 0);
    return 0;
}

int map_encode(unsigned char **bytes, size_t *n, const float *cells, int64_t rows, int64_t cols, err *e)
{
    size_t row;
    *bytes = NULL;
    *n = 0;
    if (rows < 1 || !row_bytes(&row, cols))
        return err_set(e, ERR_FAILED, "a map of %lld x %lld cells", (long long)rows, (long long)cols);
    unsigned char *line = mem_array(1, row, e);
    if (!line)
        return ERR_RESOURCE;
    z_stream z = {.zalloc = zlib_alloc, .zfree = zlib_free};
    if (deflateInit(&z, LEVEL) != Z_OK) {
        free(line);
        return err_nomem(e, "compressing a map");
    }
    output out = {0};
    int code = 0;
    for (int64_t r = 0; !code && r < rows; r++) {
        to_bytes(line, cells + r * cols, (size_t)cols);
        z.next_in = line;
        z.avail_in = (unsigned)row;
        code = deflate_into(&out, &z, r + 1 < rows ? Z_NO_FLUSH : Z_FINISH, e);
    }
    deflateEnd(&z);
    free(line);
    if (code) {
        free(out.bytes);
        return code;
    }
    unsigned char *fit = realloc(out.bytes, out.n); /* it may wait for a while */
    *bytes = fit ? fit : out.bytes;
    *n = out.n;
    return 0;
}

static int damaged(err *e)
{
    return err_set(e, ERR_INPUT, "its bytes do not decode to its shape");
}

/* Rows one after the other; cells [cols] of the one at hand are overwritten by the next. */
static int decode_rows(const unsigned char *bytes, size_t n, const stored_map *shape, store_row_fn *use,
                       void *ud, err *e)
{
    size_t row;
    int64_t rows = shape->rows, cols = shape->cols;
    if (rows < 1 || !row_bytes(&row, cols))
        return damaged(e);
    unsigned char *line = mem_array(1, row, e);
    float *cells = line ? mem_array((size_t)cols, sizeof *cells, e) : NULL;
    if (!cells) {
        free(line);
        return ERR_RESOURCE;
    }
    z_stream z = {.zalloc = zlib_alloc, .zfree = zlib_free};
    if (inflateInit(&z) != Z_OK) {
        free(cells);
        free(line);
        return err_nomem(e, "expanding a map");
    }
    int code = n > UINT_MAX ? damaged(e) : 0;
    z.next_in = (unsigned char *)(uintptr_t)bytes; /* zlib does not write there */
    z.avail_in = (unsigned)n;
    int rc = Z_OK;
    for (int64_t r = 0; !code && r < rows; r++) {
        z.next_out = line;
        z.avail_out = (unsigned)row;
        if (rc != Z_STREAM_END)
            rc = inflate(&z, Z_NO_FLUSH);
        if (rc == Z_MEM_ERROR)
            code = err_nomem(e, "expanding a map");
        else if (z.avail_out != 0)
            code = damaged(e);
        else
            from_bytes(cells, line, (size_t)cols);
        if (!code)
            code = use(ud, shape, r, cells, e);
    }
    if (!code && rc != Z_STREAM_END) { /* the check sum may still be to come, but no more cells */
        z.next_out = line;
        z.avail_out = 1;
        rc = inflate(&z, Z_FINISH);
        if (rc != Z_STREAM_END || z.avail_out != 1)
            code = damaged(e);
    }
    if (!code && z.avail_in != 0)
        code = damaged(e);
    inflateEnd(&z);
    free(cells);
    free(line);
    return code;
}

static int keep_row(void *ud, const stored_map *shape, int64_t row, const float *cells, err *e)
{
    (void)e;
    memcpy((float *)ud + row * shape->cols, cells, (size_t)shape->cols * sizeof *cells);
    return 0;
}

int map_decode(float *cells, const unsigned char *bytes, size_t n, int64_t rows, int64_t cols, err *e)
{
    const stored_map shape = {.rows = rows, .cols = cols};
    return decode_rows(bytes, n, &shape, keep_row, cells, e);
}

/* ---- reading one back ---- */

/* Which maps there are, for the hint: "L0H1, L0H2, ...". */
static int no_such_map(store *s, int64_t run_id, int64_t prompt_index, const char *head, err *e)
{
    const cell bind[] = {cell_int(run_id), cell_int(prompt_index)};
    table *t = NULL;
    if (store_query(s, &t, "SELECT kind, layer, head FROM map_list WHERE run = ?1 AND prompt = ?2 "
                    "ORDER BY kind <> 'self', kind, layer, head LIMIT 6", bind, 2, NULL) || t->n_row == 0) {
        table_free(t);
        err_set(e, ERR_FAILED, "run %lld holds no maps of prompt %lld", (long long)run_id,
                (long long)prompt_index);
        return err_hint(e, "repeat the run and ask for maps of the heads you want to see");
    }
    char list[128] = "";
    size_t n = 0;
    for (int64_t i = 0; i < t->n_row && n + sizeof(head_text) + 4 < sizeof list; i++) {
        const cell *layer = table_cell(t, i, 1), *number = table_cell(t, i, 2);
        head_id h = {0};
        head_text name;
        h.kind = attn_kind_named(row_text(t, i, 0), ATTN_SELF);
        h.layer = layer->kind == CELL_INT ? (int)layer->u.i : NO_INDEX;
        h.head = number->kind == CELL_INT ? (int)number->u.i : NO_INDEX;
        head_format(name, h);
        n += (size_t)snprintf(list + n, sizeof list - n, "%s%s", i ? ", " : "", i == 5 ? "..." : name);
    }
    table_free(t);
    err_set(e, ERR_FAILED, "run %lld holds no map of %s for prompt %lld", (long long)run_id, head,
            (long long)prompt_index);
    return err_hint(e, "it holds maps of %s", list);
}

/* The row's numbers, believed only when they fit together and the blob can hold that much. */
static int read_shape(stored_map *out, sqlite3_stmt *q, size_t blob_bytes, err *e)
{
    out->n_query = sqlite3_column_int64(q, 0);
    out->n_key = sqlite3_column_int64(q, 1);
    out->pool = sqlite3_column_int64(q, 2);
    out->rows = sqlite3_column_int64(q, 4);
    out->cols = sqlite3_column_int64(q, 5);
    const char *pooling = (const char *)sqlite3_column_text(q, 3);
    const char *codec = (const char *)sqlite3_column_text(q, 6);
    if (!pooling || !codec)
        return err_nomem(e, "a map");
    if (strcmp(codec, MAP_CODEC) != 0)
        return err_set(e, ERR_INPUT, "its codec \"%s\" is not known", codec);
    if (strlen(pooling) >= sizeof out->pooling)
        return err_set(e, ERR_INPUT, "its pooling \"%s\" is not known", pooling);
    strcpy(out->pooling, pooling);
    if (out->n_query < 1 || out->n_key < 1 || out->pool < 1)
        return damaged(e);
    if (out->rows != (out->n_query - 1) / out->pool + 1 || out->cols != (out->n_key - 1) / out->pool + 1)
        return damaged(e);
    size_t cells, bytes;
    if (!size_mul(&cells, (size_t)out->rows, (size_t)out->cols) || !size_mul(&bytes, cells, sizeof(float)) ||
        bytes / MOST_RATIO > blob_bytes)
        return damaged(e);
    return 0;
}

/* use NULL: the whole map into out->cells. */
static int read_map(stored_map *out, sqlite3_stmt *q, store_row_fn *use, void *ud, err *e)
{
    const void *blob = sqlite3_column_blob(q, 7);
    size_t n = (size_t)sqlite3_column_bytes(q, 7);
    if (!blob)
        return n ? err_nomem(e, "a map") : damaged(e);
    int code = read_shape(out, q, n, e);
    if (code)
        return code;
    if (use)
        return decode_rows(blob, n, out, use, ud, e);
    out->cells = mem_array((size_t)out->rows * (size_t)out->cols, sizeof(float), e);
    return out->cells ? map_decode(out->cells, blob, n, out->rows, out->cols, e) : ERR_RESOURCE;
}

static int get_map(store *s, int64_t run_id, int64_t prompt_index, head_id h, stored_map *out,
                   store_row_fn *use, void *ud, err *e)
{
    static const char doing[] = "reading a map";
    static const char sql[] =
        "SELECT a.n_query, a.n_key, a.pool, a.pooling, a.n_row, a.n_col, a.codec, a.cells "
        "FROM unit u JOIN map a ON a.unit_id = u.id JOIN site s ON s.id = a.site_id "
        "WHERE u.run_id = ?1 AND u.prompt_index = ?2 AND s.kind = ?3 "
        "AND ifnull(s.layer, -1) = ifnull(?4, -1) AND ifnull(s.head, -1) = ifnull(?5, -1)";
    sqlite3_stmt *q = NULL;
    bool row = false;
    head_text name;
    head_format(name, h);
    *out = (stored_map){0};
    const cell bind[] = {cell_int(run_id), cell_int(prompt_index), cell_str(attn_kind_name(h.kind)),
                         cell_index(h.layer), cell_index(h.head)};
    int code = store_prepare(s, &q, sql, doing, e);
    if (!code)
        code = store_bind(s, q, bind, 5, doing, e);
    if (!code)
        code = store_step(s, q, &row, doing, e);
    if (!code && row) {
        code = read_map(out, q, use, ud, e);
        if (code == ERR_INPUT)
            err_prefix(e, "store %s: map of %s, run %lld, prompt %lld", s->path, name, (long long)run_id,
                       (long long)prompt_index);
    }
    sqlite3_finalize(q);
    if (!code && !row)
        code = no_such_map(s, run_id, prompt_index, name, e);
    if (code) {
        free(out->cells);
        out->cells = NULL;
    }
    return code;
}

int store_get_map(store *s, int64_t run_id, int64_t prompt_index, head_id h, stored_map *out, err *e)
{
    return get_map(s, run_id, prompt_index, h, out, NULL, NULL, e);
}

int store_map_rows(store *s, int64_t run_id, int64_t prompt_index, head_id h, stored_map *shape,
                   store_row_fn *use, void *ud, err *e)
{
    return get_map(s, run_id, prompt_index, h, shape, use, ud, e);
}
