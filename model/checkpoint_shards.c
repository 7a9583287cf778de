/* The index of a checkpoint in several files. */
#include "model/checkpoint_shards.h"

#include <limits.h>
#include <string.h>

#include "model/readers/reader.h"

/* Where name is, or would be inserted. */
static int shard_position(const shards *s, const char *name)
{
    int lo = 0, hi = s->n;
    while (lo < hi) {
        int mid = lo + (hi - lo) / 2;
        if (strcmp(s->name[mid], name) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* A shard lies beside its index: its name must not lead anywhere else.  (It may be a symbolic link: that is
 * how the Hugging Face cache stores files.) */
static bool is_plain_name(const char *s, size_t n)
{
    return n && n == strlen(s) && n <= NAME_MAX && s[0] != '.' && !strpbrk(s, "/\\");
}

static int add_shard_name(shards *s, const char *tensor_name, const json *v, err *e)
{
    size_t n = 0;
    const char *name = json_str(v, &n);
    shown_name text, file;
    show_name(text, tensor_name, strlen(tensor_name));
    if (!name)
        return err_set(e, ERR_INPUT, "weight_map entry \"%s\" is not a file name", text);
    if (!is_plain_name(name, n)) {
        err_set(e, ERR_INPUT, "weight_map sends tensor \"%s\" to \"%s\", which is not a plain file name",
                text, show_name(file, name, n));
        return err_hint(e, "shards must lie beside their index");
    }
    int at = shard_position(s, name);
    if (at < s->n && strcmp(s->name[at], name) == 0)
        return 0;
    if (s->n == MOST_SHARDS)
        return err_set(e, ERR_INPUT, "more than %d shards", MOST_SHARDS);
    memmove(s->name + at + 1, s->name + at, (size_t)(s->n - at) * sizeof *s->name);
    s->name[at] = name;
    s->n++;
    return 0;
}

int shards_list(shards *s, const json *weight_map, err *e)
{
    void *it = NULL;
    const char *name;
    const json *v;
    int rc = 0;
    if (json_kind_of(weight_map) != JSON_MAP)
        return err_set(e, ERR_INPUT, "no weight_map that sends tensors to files");
    while (!rc && json_each(weight_map, &it, &name, &v))
        rc = add_shard_name(s, name, v, e);
    if (!rc && !s->n)
        rc = err_set(e, ERR_INPUT, "the weight_map is empty");
    return rc;
}

int shards_check(const checkpoint *c, const shards *s, const json *weight_map, err *e)
{
    void *it = NULL;
    const char *name;
    const json *v;
    while (json_each(weight_map, &it, &name, &v)) {
        const checkpoint_tensor *t = checkpoint_find(c, name);
        int file = shard_position(s, json_str(v, NULL));
        if (t && t->file == file)
            continue;
        shown_name text;
        show_name(text, name, strlen(name));
        if (t)
            err_set(e, ERR_INPUT, "tensor \"%s\" should be in %s but is in %s", text, s->name[file],
                    s->name[t->file]);
        else
            err_set(e, ERR_INPUT, "tensor \"%s\" is not in %s", text, s->name[file]);
        return err_hint(e, "index and shards are not of the same model; fetch them again");
    }
    return 0;
}
