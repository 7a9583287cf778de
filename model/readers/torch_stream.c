/* The stream of torch.save before 1.6: pickles of a magic number, a protocol number, facts about the machine,
 * the object and the keys of its storages in the order of the file; then, for each, a count and the raw
 * elements. */
#include <stdlib.h>
#include <string.h>

#include "model/readers/torch.h"

enum { PROTOCOL = 1001 };

static const char magic[] = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";

static int check_head(pickle *p, cursor *in, err *e)
{
    pickle_value v;
    int rc = pickle_read(&v, p, in, e);
    if (rc)
        return rc;
    if (v.kind != PICKLE_LONG || v.n != sizeof magic - 1 || memcmp(v.s, magic, v.n) != 0) {
        err_set(e, ERR_INPUT, "is a Python pickle, but not a file of torch.save");
        return err_hint(e, "load it in Python and save its tensors with torch.save");
    }
    if ((rc = pickle_read(&v, p, in, e)))
        return rc;
    if (v.kind != PICKLE_INT || v.i != PROTOCOL)
        return err_set(e, ERR_INPUT, "its format is not the one with number %d", PROTOCOL);
    if ((rc = pickle_read(&v, p, in, e)))
        return rc;
    const pickle_value *little = pickle_get(&v, "little_endian");
    if (!little || little->kind != PICKLE_BOOL)
        return err_set(e, ERR_INPUT, "does not say on which kind of machine it was written");
    if (!little->i) {
        err_set(e, ERR_INPUT, "was written on a big-endian machine");
        return err_hint(e, "load it in Python and save it again on a little-endian machine");
    }
    return 0;
}

static int compare_keys(const void *a, const void *b)
{
    const torch_storage *x = *(torch_storage *const *)a, *y = *(torch_storage *const *)b;
    size_t n = x->key_len < y->key_len ? x->key_len : y->key_len;
    int order = memcmp(x->key, y->key, n);
    return order ? order : (x->key_len > y->key_len) - (x->key_len < y->key_len);
}

/* The first of the storages, sorted by key, with this key; n when there is none. */
static size_t first_of(torch_storage *const *sorted, size_t n, const torch_storage *key)
{
    size_t lo = 0, hi = n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (compare_keys(&sorted[mid], &key) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < n && compare_keys(&sorted[lo], &key) == 0 ? lo : n;
}

/* The next run of the file belongs to key. */
static int place_storage(torch_storage *const *sorted, size_t n, const pickle_value *key, cursor *in, err *e)
{
    const torch_storage wanted = {.key = key->s, .key_len = key->n};
    size_t i = key->kind == PICKLE_TEXT ? first_of(sorted, n, &wanted) : n;
    shown_name text;
    uint64_t count;
    const unsigned char *bytes;
    if (key->kind != PICKLE_TEXT)
        return err_set(e, ERR_INPUT, "the key of a storage is %s", pickle_kind_name(key));
    show_name(text, key->s, key->n);
    if (i == n)
        return err_set(e, ERR_INPUT, "storage \"%s\" belongs to no tensor", text);
    const torch_storage *first = sorted[i];
    size_t item = first->type ? first->type->item : 1;
    if (first->data)
        return err_set(e, ERR_INPUT, "storage \"%s\" is listed twice", text);
    if (!take_u64(&count, in))
        goto cut;
    if (count != (uint64_t)first->count)
        return err_set(e, ERR_INPUT, "storage \"%s\" should have %lld elements, but has %llu", text,
                       (long long)first->count, (unsigned long long)count);
    if (!take_bytes(&bytes, in, count * item)) /* their product was checked with the id */
        goto cut;
    for (; i < n && compare_keys(&sorted[i], &first) == 0; i++) {
        torch_storage *s = sorted[i];
        if (s->count != first->count || s->type != first->type)
            return err_set(e, ERR_INPUT, "storage \"%s\" is described in two ways", text);
        s->data = bytes;
    }
    return 0;
cut:
    err_set(e, ERR_INPUT, "storage \"%s\" is cut short", text);
    return err_hint(e, "the download is probably incomplete; fetch the file again");
}

static int place_storages(const pickle *p, const pickle_value *keys, cursor *in, err *e)
{
    size_t n = 0;
    int rc = 0;
    if (keys->kind != PICKLE_LIST)
        return err_set(e, ERR_INPUT, "the keys of its storages are %s, not a list", pickle_kind_name(keys));
    torch_storage **sorted = mem_array(p->n_storage, sizeof *sorted, e);
    if (!sorted)
        return ERR_RESOURCE;
    for (torch_storage *s = p->storages; s; s = s->next)
        sorted[n++] = s;
    qsort(sorted, n, sizeof *sorted, compare_keys);
    for (size_t i = 0; i < keys->list->n && !rc; i++)
        rc = place_storage(sorted, n, &keys->list->items[i], in, e);
    for (size_t i = 0; i < n && !rc; i++) {
        shown_name text;
        if (!sorted[i]->data)
            rc = err_set(e, ERR_INPUT, "storage \"%s\" is not in the file",
                         show_name(text, sorted[i]->key, sorted[i]->key_len));
    }
    free(sorted);
    if (!rc && in->left)
        rc = err_set(e, ERR_INPUT, "%zu bytes follow the last storage", in->left);
    return rc;
}

int torch_read_stream(pickle_value *root, pickle *p, const mapfile *f, err *e)
{
    cursor in = {f->data, f->size};
    pickle_value keys;
    p->legacy = true;
    int rc = check_head(p, &in, e);
    if (!rc)
        rc = pickle_read(root, p, &in, e);
    if (!rc)
        rc = pickle_read(&keys, p, &in, e);
    return rc ? rc : place_storages(p, &keys, &in, e);
}
