/* Opening checkpoints: from a path to mapped files, and from those to one sorted table of tensors. */
#include "model/checkpoint.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/checkpoint_shards.h"
#include "model/gguf.h"
#include "model/locate.h"
#include "model/readers/reader.h"

enum {
    LONGEST_NAME = 4096,
    LARGEST_CONFIG = 16 << 20,
    LARGEST_INDEX = 64 << 20,
    HEAD = 512,                /* bytes that formats are told by */
};

#define READER(name) extern const checkpoint_reader reader_##name;
#include "registry/readers.inc"
#undef READER

#define READER(name) &reader_##name,
const checkpoint_reader *const checkpoint_readers[] = {
#include "registry/readers.inc"
    NULL};
#undef READER

const char *show_name(shown_name out, const char *s, size_t n)
{
    static const char more[] = "...", nul[] = "\\x00";
    size_t room = sizeof(shown_name) - sizeof more, used = 0, i = 0;
    while (i < n) {
        size_t len = 1;
        const char *from = s + i;
        if (!s[i]) {
            from = nul;
            len = sizeof nul - 1;
        }
        if (used + len > room)
            break;
        memcpy(out + used, from, len);
        used += len;
        i++;
    }
    if (i < n) {
        while (used && ((unsigned char)out[used - 1] & 0xc0) == 0x80) /* do not cut a character in two */
            used--;
        if (used && (unsigned char)out[used - 1] >= 0xc0)
            used--;
        memcpy(out + used, more, sizeof more - 1);
        used += sizeof more - 1;
    }
    out[used] = '\0';
    return out;
}

int checkpoint_add(checkpoint *c, const char *name, size_t name_len, const tensor *t, int file, err *e)
{
    shown_name text;
    if (!name_len)
        return err_set(e, ERR_INPUT, "a tensor has an empty name");
    if (name_len > LONGEST_NAME)
        return err_set(e, ERR_INPUT, "the name of tensor \"%s\" is %zu bytes long (at most %d)",
                       show_name(text, name, name_len), name_len, LONGEST_NAME);
    if (memchr(name, '\0', name_len))
        return err_set(e, ERR_INPUT, "the name of tensor \"%s\" holds a NUL",
                       show_name(text, name, name_len));
    if (c->n_tensor == INT_MAX)
        return err_set(e, ERR_INPUT, "more than %d tensors", INT_MAX);

    if (!(c->n_tensor & (c->n_tensor - 1))) { /* full at every power of two */
        size_t room = c->n_tensor ? 2 * (size_t)c->n_tensor : 1;
        checkpoint_tensor *more = mem_grow(c->tensors, room, sizeof *more, e);
        if (!more)
            return ERR_RESOURCE;
        c->tensors = more;
    }
    char *copy = arena_strndup(&c->arena_, name, name_len, e);
    if (!copy)
        return ERR_RESOURCE;
    c->tensors[c->n_tensor++] = (checkpoint_tensor){.name = copy, .t = *t, .file = file};
    return 0;
}

struct owned_data {
    void *block;
    struct owned_data *next;
};

int checkpoint_own(checkpoint *c, void *block, err *e)
{
    struct owned_data *o = mem_array(1, sizeof *o, e);
    if (!o) {
        free(block);
        return ERR_RESOURCE;
    }
    *o = (struct owned_data){block, c->owned_};
    c->owned_ = o;
    return 0;
}

/* Name the file in e, and say what to do where the reader did not. */
static int explain(err *e, const char *path)
{
    if (e && e->code == ERR_INPUT && !e->hint[0])
        err_hint(e, "the file is damaged, or the program that wrote it is; fetch or convert it again");
    return err_prefix(e, "%s", path);
}

static int by_name(const void *a, const void *b)
{
    const checkpoint_tensor *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    return order ? order : x->file - y->file;
}

static int sort_tensors(checkpoint *c, err *e)
{
    if (c->n_tensor)
        qsort(c->tensors, (size_t)c->n_tensor, sizeof *c->tensors, by_name);
    for (int i = 1; i < c->n_tensor; i++) {
        const checkpoint_tensor *a = &c->tensors[i - 1], *b = &c->tensors[i];
        if (strcmp(a->name, b->name) != 0)
            continue;
        shown_name text;
        show_name(text, a->name, strlen(a->name));
        if (a->file == b->file) {
            err_set(e, ERR_INPUT, "tensor \"%s\" appears twice", text);
            return explain(e, c->file_paths[a->file]);
        }
        err_set(e, ERR_INPUT, "tensor \"%s\" is in two files, %s and %s", text, c->file_paths[a->file],
                c->file_paths[b->file]);
        return err_hint(e, "the files are not of one model; fetch them again into an empty directory");
    }
    return 0;
}

const checkpoint_tensor *checkpoint_find(const checkpoint *c, const char *name)
{
    int lo = 0, hi = c->n_tensor;
    while (lo < hi) {
        int mid = lo + (hi - lo) / 2, order = strcmp(c->tensors[mid].name, name);
        if (!order)
            return &c->tensors[mid];
        if (order < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

/* ---- formats ---- */

/* The reader for a file: by content; when no reader knows the content, the one that the name asks for, so
 * that it can say what is wrong with the file. */
static int recognise(const checkpoint_reader **out, const mapfile *f, const char *path, err *e)
{
    size_t n = f->size < HEAD ? f->size : HEAD;
    if (!n) {
        err_set(e, ERR_INPUT, "the file is empty");
        return err_hint(e, "the download probably failed; fetch the file again");
    }
    for (int i = 0; checkpoint_readers[i]; i++) {
        if (checkpoint_readers[i]->sniff(f->data, n, f->size)) {
            *out = checkpoint_readers[i];
            return 0;
        }
    }
    if (refuse_foreign(f->data, n, e))
        return ERR_INPUT;
    for (int i = 0; checkpoint_readers[i]; i++) {
        if (has_suffix(path, checkpoint_readers[i]->suffix)) {
            *out = checkpoint_readers[i];
            return 0;
        }
    }
    return refuse_unknown(f->data, n, e);
}

/* ---- files ---- */

static int new_checkpoint(checkpoint **out, const char *path, int n_file, err *e)
{
    checkpoint *c = mem_array(1, sizeof *c, e);
    if (!c)
        return ERR_RESOURCE;
    c->path = mem_strdup(path, e);
    c->files = mem_array((size_t)n_file, sizeof *c->files, e);
    c->file_paths = mem_array((size_t)n_file, sizeof *c->file_paths, e);
    c->n_file = n_file;
    if (!c->path || !c->files || !c->file_paths) {
        checkpoint_close(c);
        return ERR_RESOURCE;
    }
    *out = c;
    return 0;
}

void checkpoint_close(checkpoint *c)
{
    if (!c)
        return;
    for (int i = 0; i < c->n_file; i++) {
        if (c->files && !c->borrowed_)
            mapfile_close(&c->files[i]);
        if (c->file_paths)
            free(c->file_paths[i]);
    }
    for (struct owned_data *next, *o = c->owned_; o; o = next) {
        next = o->next;
        free(o->block);
        free(o);
    }
    json_free(c->config);
    free(c->config_path);
    gguf_meta_free(c->gguf);
    arena_free(&c->arena_);
    free(c->tensors);
    free(c->file_paths);
    free(c->files);
    free(c->directory);
    free(c->path);
    free(c);
}

/* Recognise and read file i, which is mapped. */
static int read_mapped(checkpoint *c, int i, err *e)
{
    const checkpoint_reader *r = NULL;
    int rc = recognise(&r, &c->files[i], c->file_paths[i], e);
    if (!rc && c->reader && r != c->reader)
        rc = err_set(e, ERR_INPUT, "is %s, but the other files are %s", r->name, c->reader->name);
    if (!rc) {
        c->reader = r;
        rc = r->read(c, i, e);
    }
    return rc ? explain(e, c->file_paths[i]) : 0;
}

/* Takes over path. */
static int add_file(checkpoint *c, int i, char *path, err *e)
{
    c->file_paths[i] = path;
    if (!path)
        return ERR_RESOURCE;
    int rc = mapfile_open(&c->files[i], path, e);
    return rc ? rc : read_mapped(c, i, e);
}

/* ---- shards ---- */

static int open_index(checkpoint **out, const char *path, const location *l, err *e)
{
    json *index = NULL;
    checkpoint *c = NULL;
    shards *s = NULL;
    int rc = json_load(&index, l->weights, LARGEST_INDEX, e);
    if (rc)
        return rc;
    s = mem_array(1, sizeof *s, e);
    if (!s) {
        rc = ERR_RESOURCE;
        goto out;
    }
    const json *weight_map = json_get(index, "weight_map");
    if ((rc = shards_list(s, weight_map, e))) {
        explain(e, l->weights);
        goto out;
    }
    if ((rc = new_checkpoint(&c, path, s->n, e)))
        goto out;
    for (int i = 0; i < s->n; i++)
        if ((rc = add_file(c, i, path_join(l->directory, s->name[i], e), e)))
            goto out;
    if ((rc = sort_tensors(c, e)))
        goto out;
    if ((rc = shards_check(c, s, weight_map, e)))
        explain(e, l->weights);
out:
    if (!rc)
        *out = c;
    else
        checkpoint_close(c);
    free(s);
    json_free(index);
    return rc;
}

/* ---- opening ---- */

static int open_single(checkpoint **out, const char *path, const char *weights, err *e)
{
    checkpoint *c;
    int rc = new_checkpoint(&c, path, 1, e);
    if (rc)
        return rc;
    rc = add_file(c, 0, mem_strdup(weights, e), e);
    if (!rc)
        rc = sort_tensors(c, e);
    if (rc)
        checkpoint_close(c);
    else
        *out = c;
    return rc;
}

/* All n parts of the GGUF model that the file belongs to. */
static int open_parts(checkpoint **out, const char *path, const char *weights, int n, err *e)
{
    checkpoint *c;
    part_name p;
    if (!parse_part_name(&p, weights) || p.count != n) {
        err_set(e, ERR_INPUT, "%s: is one part of a model in %d files, and its name does not say where the others are",
                weights, n);
        return err_hint(e, "name the parts NAME-00001-of-%05d.gguf and so on, in one directory", n);
    }
    if (n > MOST_SHARDS)
        return err_set(e, ERR_INPUT, "%s: more than %d parts", weights, MOST_SHARDS);
    int rc = new_checkpoint(&c, path, n, e);
    for (int i = 0; i < n && !rc; i++) {
        char *part = name_part(&p, weights, i + 1, e);
        bool absent = part && access(part, F_OK) != 0 && errno == ENOENT;
        rc = add_file(c, i, part, e);
        if (rc == ERR_INPUT && absent) {
            const char *slash = memrchr(weights, '/', p.prefix), *name = slash ? slash + 1 : weights;
            err_set(e, ERR_INPUT, "%s: no such file: part %d of the %d parts of \"%.*s\" is missing", part, i + 1, n,
                    (int)(weights + p.prefix - name), name);
            err_hint(e, "fetch the missing part into the same directory");
        }
    }
    if (rc)
        goto out;
    int64_t total;
    if (c->gguf && gguf_int(&total, gguf_find(c->gguf, "split.tensors.count"), 0) && total != c->n_tensor) {
        err_set(e, ERR_INPUT, "the parts hold %d tensors together, but split.tensors.count is %lld", c->n_tensor,
                (long long)total);
        rc = explain(e, c->file_paths[0]);
    }
    if (!rc)
        rc = sort_tensors(c, e);
out:
    if (rc)
        checkpoint_close(c);
    else
        *out = c;
    return rc;
}

static bool is_shard_name(const char *path, const char *suffix)
{
    static const char pattern[] = "-ddddd-of-ddddd";
    size_t n = strlen(path), m = sizeof pattern - 1, k = strlen(suffix);
    if (n < m + k || strcmp(path + n - k, suffix) != 0)
        return false;
    for (size_t i = 0; i < m; i++) {
        char c = path[n - k - m + i];
        if (pattern[i] == 'd' ? !(c >= '0' && c <= '9') : c != pattern[i])
            return false;
    }
    return true;
}

/* "model-00001-of-00003.safetensors" beside an index: a part of a model, which nobody means. */
static int refuse_shard(const char *path, const char *directory, err *e)
{
    static const struct { const char *suffix, *index; } kinds[] = {
        {".safetensors", "model.safetensors.index.json"},
        {".bin", "pytorch_model.bin.index.json"},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (!is_shard_name(path, kinds[i].suffix))
            continue;
        char *index = path_join(directory, kinds[i].index, e);
        if (!index)
            return ERR_RESOURCE;
        bool found = access(index, F_OK) == 0;
        free(index);
        if (found) {
            err_set(e, ERR_INPUT, "%s: is one shard of a model in several files", path);
            return err_hint(e, "give the directory that holds them: %s", directory);
        }
    }
    return 0;
}

static int read_config(checkpoint *c, const char *path, err *e)
{
    int rc = json_load(&c->config, path, LARGEST_CONFIG, e);
    if (!rc && json_kind_of(c->config) != JSON_MAP) {
        err_set(e, ERR_INPUT, "is not a JSON object");
        rc = explain(e, path);
    }
    return rc;
}

/* The configuration that was named, else config.json of the directory. */
static int load_config(checkpoint *c, const char *directory, const checkpoint_options *o, err *e)
{
    if (c->gguf || c->config) { /* the format says all itself */
        if (!o->config)
            return 0;
        err_set(e, ERR_USAGE, "%s: a %s file carries its own configuration", c->file_paths[0], c->reader->name);
        return err_hint(e, "leave --config out");
    }
    c->config_path = o->config ? mem_strdup(o->config, e) : path_join(directory, "config.json", e);
    if (!c->config_path)
        return ERR_RESOURCE;
    if (o->config || access(c->config_path, F_OK) == 0)
        return read_config(c, c->config_path, e);
    free(c->config_path);
    c->config_path = NULL;
    if (o->weights_only)
        return 0;
    err_set(e, ERR_INPUT, "%s: no config.json beside it", c->file_paths[0]);
    return err_hint(e, "fetch config.json of the same model into the same directory, or name one with --config");
}

int checkpoint_open_with(checkpoint **out, const char *path, const checkpoint_options *o, err *e)
{
    static const checkpoint_options defaults = {0};
    location l;
    checkpoint *c = NULL;
    if (!o)
        o = &defaults;
    int rc = locate(&l, path, o->config || o->weights_only, e);
    if (rc)
        return rc;
    if (!l.index && !l.given_directory && !o->weights_only && (rc = refuse_shard(path, l.directory, e)))
        goto out;
    rc = l.index ? open_index(&c, path, &l, e) : open_single(&c, path, l.weights, e);
    if (!rc && c->split_count_ > 1) {
        int n = c->split_count_;
        checkpoint_close(c);
        c = NULL;
        rc = open_parts(&c, path, l.weights, n, e);
    }
    if (rc || (rc = load_config(c, l.directory, o, e)))
        goto out;
    if (!c->gguf || l.given_directory) {
        c->directory = l.directory;
        l.directory = NULL;
    }
    *out = c;
out:
    if (rc)
        checkpoint_close(c);
    location_free(&l);
    return rc;
}

int checkpoint_open(checkpoint **out, const char *path, err *e)
{
    return checkpoint_open_with(out, path, NULL, e);
}

int checkpoint_open_memory(checkpoint **out, const void *bytes, size_t n, const char *name, err *e)
{
    checkpoint *c;
    int rc = new_checkpoint(&c, name, 1, e);
    if (rc)
        return rc;
    c->borrowed_ = true;
    c->files[0] = (mapfile){.data = bytes, .size = n};
    c->file_paths[0] = mem_strdup(name, e);
    rc = c->file_paths[0] ? read_mapped(c, 0, e) : ERR_RESOURCE;
    if (!rc && c->split_count_ > 1) {
        err_set(e, ERR_INPUT, "is one part of a model in %d files", c->split_count_);
        err_hint(e, "open it from disk, beside the others");
        rc = explain(e, name);
    }
    if (!rc)
        rc = sort_tensors(c, e);
    if (rc)
        checkpoint_close(c);
    else
        *out = c;
    return rc;
}
