/* Which files a path means: the layouts in which checkpoints lie on disk. */
#include "model/locate.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/strbuf.h"
#include "model/checkpoint.h"

/* Names of one kind found in a directory. */
typedef struct names {
    size_t n;
    char **s; /* [n] owned */
} names;

/* What a directory holds. */
typedef struct contents {
    bool config, single, index, hub_cache;
    bool torch_single, torch_index;
    names gguf, safetensors, npz;
    names torch; /* by their suffixes; content decides */
    names complete; /* of those: files of formats that say all themselves; looked for where config.json is absent */
    names other; /* weights in formats that are not read */
} contents;

void location_free(location *l)
{
    free(l->weights);
    free(l->directory);
    *l = (location){0};
}

bool has_suffix(const char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);
    return n >= m && strcasecmp(s + n - m, suffix) == 0;
}

char *path_join(const char *directory, const char *name, err *e)
{
    size_t n = strlen(directory), m = strlen(name);
    bool slash = n && directory[n - 1] != '/';
    char *p = mem_array(n + m + 2, 1, e);
    if (!p)
        return NULL;
    memcpy(p, directory, n);
    if (slash)
        p[n++] = '/';
    memcpy(p + n, name, m + 1);
    return p;
}

/* The part of path before its last slash; "." when it has none. */
static char *directory_of(const char *path, err *e)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return mem_strdup(".", e);
    return mem_strndup(path, slash == path ? 1 : (size_t)(slash - path), e);
}

bool parse_part_name(part_name *out, const char *path)
{
    static const char pattern[] = "-ddddd-of-ddddd.gguf";
    size_t n = strlen(path), m = sizeof pattern - 1;
    int number[2] = {0, 0}, which = 0;
    if (n < m)
        return false;
    for (size_t i = 0; i < m; i++) {
        char c = path[n - m + i];
        if (pattern[i] == 'd' ? !(c >= '0' && c <= '9') : tolower((unsigned char)c) != pattern[i])
            return false;
        which = i >= 6; /* the second number follows "-ddddd" */
        if (pattern[i] == 'd')
            number[which] = 10 * number[which] + (c - '0');
    }
    *out = (part_name){n - m, number[0], number[1]};
    return out->no >= 1 && out->no <= out->count;
}

char *name_part(const part_name *p, const char *path, int no, err *e)
{
    strbuf b = {0};
    strbuf_add(&b, path, p->prefix);
    strbuf_printf(&b, "-%05d", no);
    strbuf_puts(&b, path + p->prefix + strlen("-00000"));
    return strbuf_take(&b, e);
}

/* ---- a directory's contents ---- */

static void names_free(names *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->s[i]);
    free(l->s);
}

static void contents_free(contents *c)
{
    names_free(&c->gguf);
    names_free(&c->safetensors);
    names_free(&c->npz);
    names_free(&c->torch);
    names_free(&c->complete);
    names_free(&c->other);
}

static int names_add(names *l, const char *s, err *e)
{
    if (!(l->n & (l->n - 1))) { /* full at every power of two */
        char **more = mem_grow(l->s, l->n ? 2 * l->n : 1, sizeof *more, e);
        if (!more)
            return ERR_RESOURCE;
        l->s = more;
    }
    l->s[l->n] = mem_strdup(s, e);
    if (!l->s[l->n])
        return ERR_RESOURCE;
    l->n++;
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool has_one_of(const char *s, const char *const *suffixes)
{
    for (; *suffixes; suffixes++)
        if (has_suffix(s, *suffixes))
            return true;
    return false;
}

static bool is_other_weights(const char *s)
{
    static const char *const suffixes[] = {".h5", ".msgpack", ".onnx", NULL};
    return has_one_of(s, suffixes);
}

/* Weights as torch.save writes them, and not what a training run leaves beside them. */
static bool is_torch_weights(const char *s)
{
    static const char *const suffixes[] = {".bin", ".pt", ".pth", ".ckpt", NULL};
    static const char *const others[] = {"training_args.", "optimizer", "scheduler.", "rng_state", "scaler."};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strncmp(s, others[i], strlen(others[i])) == 0)
            return false;
    return has_one_of(s, suffixes);
}

static int note_entry(contents *c, const char *s, err *e)
{
    if (s[0] == '.')
        return 0;
    c->config |= strcmp(s, "config.json") == 0;
    c->single |= strcmp(s, "model.safetensors") == 0;
    c->index |= strcmp(s, "model.safetensors.index.json") == 0;
    c->torch_single |= strcmp(s, "pytorch_model.bin") == 0;
    c->torch_index |= strcmp(s, "pytorch_model.bin.index.json") == 0;
    c->hub_cache |= strcmp(s, "snapshots") == 0;
    if (has_suffix(s, ".gguf"))
        return names_add(&c->gguf, s, e);
    if (has_suffix(s, ".safetensors"))
        return names_add(&c->safetensors, s, e);
    if (has_suffix(s, ".npz"))
        return names_add(&c->npz, s, e);
    if (is_torch_weights(s))
        return names_add(&c->torch, s, e);
    return is_other_weights(s) ? names_add(&c->other, s, e) : 0;
}

static int not_readable(const char *path, int why, err *e)
{
    err_errno(e, ERR_INPUT, why, "%s: cannot be read", path);
    return err_hint(e, "check the path and its permissions");
}

static int read_directory(contents *c, const char *path, err *e)
{
    DIR *d = opendir(path);
    if (!d)
        return not_readable(path, errno, e);
    int rc = 0;
    while (!rc) {
        errno = 0;
        const struct dirent *entry = readdir(d);
        if (!entry) {
            if (errno)
                rc = not_readable(path, errno, e);
            break;
        }
        rc = note_entry(c, entry->d_name, e);
    }
    closedir(d);
    names *lists[] = {&c->gguf, &c->safetensors, &c->npz, &c->torch, &c->other};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        if (lists[i]->n)
            qsort(lists[i]->s, lists[i]->n, sizeof *lists[i]->s, by_name);
    return rc;
}

/* Does a reader know the file that needs no config.json? */
static bool is_complete(const char *path)
{
    unsigned char head[512];
    struct stat st;
    bool yes = false;
    FILE *f = fopen(path, "rbe");
    if (!f)
        return false;
    size_t n = fstat(fileno(f), &st) == 0 && S_ISREG(st.st_mode) ? fread(head, 1, sizeof head, f) : 0;
    for (int i = 0; n && checkpoint_readers[i] && !yes; i++)
        yes = checkpoint_readers[i]->own_config && checkpoint_readers[i]->sniff(head, n, (size_t)st.st_size);
    fclose(f);
    return yes;
}

/* A llama2.c model is called as PyTorch files are, and so is its tokenizer. */
static int find_complete(contents *c, const char *directory, err *e)
{
    int rc = 0;
    for (size_t i = 0; i < c->torch.n && !rc; i++) {
        char *path = path_join(directory, c->torch.s[i], e);
        if (!path)
            return ERR_RESOURCE;
        if (is_complete(path))
            rc = names_add(&c->complete, c->torch.s[i], e);
        free(path);
    }
    return rc;
}

/* ---- the choice ---- */

/* "a, b, c and 4 more" */
static int which_of(const char *path, const names *l, const char *kind, err *e)
{
    enum { SHOWN = 8 };
    strbuf b = {0};
    for (size_t i = 0; i < l->n && i < SHOWN; i++)
        strbuf_printf(&b, "%s%s", i ? ", " : "", l->s[i]);
    if (l->n > SHOWN)
        strbuf_printf(&b, " and %zu more", l->n - SHOWN);
    err_set(e, ERR_INPUT, "%s: which of its %zu %s files? (%s)", path, l->n, kind, strbuf_str(&b));
    strbuf_free(&b);
    return err_hint(e, "give the path of one of them");
}

/* Several PyTorch files, none of them pytorch_model.bin, and no index. */
static int which_torch(const char *path, const names *l, err *e)
{
    if (strncmp(l->s[0], "consolidated.", 13) == 0 && strncmp(l->s[1], "consolidated.", 13) == 0) {
        err_set(e, ERR_INPUT, "%s: %s and the others each hold a slice of every tensor", path, l->s[0]);
        return err_hint(e, "fetch the model in the Hugging Face layout, or convert it with transformers");
    }
    if (strstr(l->s[0], "-of-")) {
        err_set(e, ERR_INPUT, "%s: %zu PyTorch files but no pytorch_model.bin.index.json", path, l->n);
        return err_hint(e, "fetch the index too, or give one file if it is a whole model");
    }
    return which_of(path, l, "PyTorch", e);
}

static int no_weights(const char *path, const contents *c, err *e)
{
    if (c->safetensors.n > 1) {
        err_set(e, ERR_INPUT, "%s: %zu .safetensors files but no model.safetensors.index.json", path,
                c->safetensors.n);
        return err_hint(e, "fetch the index too, or give one file if it is a whole model");
    }
    if (c->npz.n > 1)
        return which_of(path, &c->npz, ".npz", e);
    if (c->torch.n > 1)
        return which_torch(path, &c->torch, e);
    if (c->other.n) {
        err_set(e, ERR_INPUT, "%s: no weights that can be read (the format of %s is not supported)", path,
                c->other.s[0]);
        return err_hint(e, "fetch the model's .safetensors files, or convert: "
                           "model.save_pretrained(DIR, safe_serialization=True)");
    }
    err_set(e, ERR_INPUT, "%s: has config.json but no weights", path);
    return err_hint(e, "fetch model.safetensors, or model.safetensors.index.json and its shards, or a .gguf");
}

/* The name of some weights that need a config.json; NULL when there are none. */
static const char *bare_weights(const contents *c)
{
    const names *lists[] = {&c->safetensors, &c->npz, &c->torch, &c->other};
    if (c->index || c->torch_index)
        return "an index";
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        if (lists[i]->n)
            return lists[i]->s[0];
    return NULL;
}

static int no_config(const char *path, const contents *c, err *e)
{
    const char *weights = bare_weights(c);
    if (weights) {
        err_set(e, ERR_INPUT, "%s: has weights (%s) but no config.json", path, weights);
        return err_hint(e, "fetch config.json of the same model into this directory, or name one with --config");
    }
    if (c->hub_cache) {
        err_set(e, ERR_INPUT, "%s: no config.json: this is a Hugging Face cache folder", path);
        return err_hint(e, "give the folder inside its snapshots folder");
    }
    err_set(e, ERR_INPUT, "%s: no config.json and no .gguf in this directory", path);
    return err_hint(e, MODEL_HINT);
}

/* Several .gguf that are parts of one model, the first of them first. */
static bool one_split_model(const names *l)
{
    part_name first, p;
    if (!l->n || !parse_part_name(&first, l->s[0]) || first.no != 1)
        return false;
    for (size_t i = 1; i < l->n; i++)
        if (!parse_part_name(&p, l->s[i]) || p.count != first.count || p.prefix != first.prefix ||
            memcmp(l->s[i], l->s[0], p.prefix) != 0)
            return false;
    return true;
}

/* The file of a directory that holds the weights. */
static int choose(const char **name, bool *index, const char *path, const contents *c, err *e)
{
    *index = false;
    if (c->config && c->single)
        *name = "model.safetensors";
    else if (c->config && c->index) {
        *name = "model.safetensors.index.json";
        *index = true;
    } else if (c->gguf.n == 1 || one_split_model(&c->gguf))
        *name = c->gguf.s[0];
    else if (c->gguf.n == 0 && c->complete.n == 1)
        *name = c->complete.s[0];
    else if (c->gguf.n == 0 && c->complete.n > 1)
        return which_of(path, &c->complete, "llama2.c", e);
    else if (c->config && c->safetensors.n == 1)
        *name = c->safetensors.s[0];
    else if (c->config && c->torch_single)
        *name = "pytorch_model.bin";
    else if (c->config && c->torch_index) {
        *name = "pytorch_model.bin.index.json";
        *index = true;
    } else if (c->config && c->npz.n == 1)
        *name = c->npz.s[0];
    else if (c->config && c->torch.n == 1 && c->gguf.n == 0 && c->npz.n == 0)
        *name = c->torch.s[0];
    else if (c->gguf.n > 1)
        return which_of(path, &c->gguf, ".gguf", e);
    else if (!c->config)
        return no_config(path, c, e);
    else
        return no_weights(path, c, e);
    return 0;
}

static int locate_in(location *out, const char *path, bool no_config, err *e)
{
    contents c = {0};
    const char *name = NULL;
    int rc = read_directory(&c, path, e);
    if (!rc && !c.config)
        rc = find_complete(&c, path, e);
    c.config |= no_config && !c.complete.n && bare_weights(&c);
    if (!rc)
        rc = choose(&name, &out->index, path, &c, e);
    if (!rc) {
        out->given_directory = true;
        out->directory = mem_strdup(path, e);
        out->weights = path_join(path, name, e);
        if (!out->directory || !out->weights)
            rc = ERR_RESOURCE;
    }
    contents_free(&c);
    return rc;
}

/* "owner/name", as models are called on a hub. */
static bool is_hub_name(const char *s)
{
    const char *slash = strchr(s, '/');
    if (!slash || slash == s || !slash[1] || strchr(slash + 1, '/') || has_suffix(s, ".gguf") ||
        has_suffix(s, ".safetensors") || is_torch_weights(s))
        return false;
    for (const char *p = s; *p; p++)
        if (!isalnum((unsigned char)*p) && !strchr("/-_.", *p))
            return false;
    return s[0] != '.';
}

static int not_there(const char *path, int why, err *e)
{
    if (why != ENOENT && why != ENOTDIR)
        return not_readable(path, why, e);
    if (*path)
        err_set(e, ERR_INPUT, "%s: no such file or directory", path);
    else
        err_set(e, ERR_INPUT, "the path of the model is empty");
    if (is_hub_name(path))
        return err_hint(e, "models are opened from disk: 'hf download %s --local-dir DIR' fetches one", path);
    return err_hint(e, MODEL_HINT);
}

int locate(location *out, const char *path, bool no_config, err *e)
{
    struct stat st;
    *out = (location){0};
    if (stat(path, &st) != 0)
        return not_there(path, errno, e);
    int rc = 0;
    if (S_ISDIR(st.st_mode)) {
        rc = locate_in(out, path, no_config, e);
    } else {
        out->index = has_suffix(path, ".safetensors.index.json") || has_suffix(path, ".bin.index.json");
        out->weights = mem_strdup(path, e);
        out->directory = directory_of(path, e);
        if (!out->weights || !out->directory)
            rc = ERR_RESOURCE;
    }
    if (rc)
        location_free(out);
    return rc;
}
