/* From the values of a pickle to the tensors of a checkpoint. */
#include <stdlib.h>
#include <string.h>

#include "model/readers/torch.h"

/* ---- one tensor ---- */

static bool is_contiguous(const torch_tensor *t)
{
    int64_t step = 1;
    for (int i = t->n_dim - 1; i >= 0; i--) {
        if (t->shape[i] != 1 && t->stride[i] != step)
            return false;
        step *= t->shape[i];
    }
    return true;
}

/* n elements of item bytes, step bytes apart. */
static void copy_line(unsigned char *to, const unsigned char *from, int64_t n, size_t item, size_t step)
{
    switch (item) {
    case 4:
        for (int64_t i = 0; i < n; i++)
            memcpy(to + 4 * i, from + (size_t)i * step, 4);
        break;
    case 2:
        for (int64_t i = 0; i < n; i++)
            memcpy(to + 2 * i, from + (size_t)i * step, 2);
        break;
    default:
        for (int64_t i = 0; i < n; i++)
            memcpy(to + (size_t)i * item, from + (size_t)i * step, item);
    }
}

/* All elements in row-major order.  The tensor has at least one dimension and no empty one. */
static void gather(unsigned char *to, const torch_tensor *t, const unsigned char *from)
{
    int64_t at[TENSOR_MAX_DIM] = {0};
    int last = t->n_dim - 1;
    size_t item = t->type->item;
    for (;;) {
        copy_line(to, from, t->shape[last], item, (size_t)t->stride[last] * item);
        to += (size_t)t->shape[last] * item;
        int i = last - 1;
        while (i >= 0 && ++at[i] == t->shape[i]) {
            from -= (size_t)((at[i] - 1) * t->stride[i]) * item;
            at[i--] = 0;
        }
        if (i < 0)
            return;
        from += (size_t)t->stride[i] * item;
    }
}

static int make_view(tensor *out, checkpoint *c, const pickle *p, const torch_tensor *t, err *e)
{
    const torch_storage *s = t->storage;
    size_t item = t->type->item, storage_item = s->type ? s->type->item : 1;
    *out = (tensor){.type = t->type->type, .n_dim = t->n_dim, .bytes = item};
    if (t->type->type == DT_COUNT) {
        err_set(e, ERR_INPUT, "elements of type %s are not supported", t->type->name);
        return err_hint(e, "save it again as another type, or without this tensor");
    }
    bool empty = false;
    for (int i = 0; i < t->n_dim; i++) {
        out->shape[i] = t->shape[i];
        empty |= t->shape[i] == 0;
    }
    const unsigned char *first = s->data + (size_t)s->first * storage_item + (size_t)t->offset * item;
    out->data = first;
    if (empty) {
        out->bytes = 0;
        return 0;
    }
    for (int i = 0; i < t->n_dim; i++) /* fits: checked when the tensor was built */
        out->bytes *= (size_t)t->shape[i];
    if (is_contiguous(t))
        return 0;
    int rc = budget_take(p->budget, out->bytes, e);
    if (rc)
        return rc;
    unsigned char *block = mem_array(out->bytes, 1, e);
    if (!block)
        return ERR_RESOURCE;
    gather(block, t, first);
    out->data = block;
    return checkpoint_own(c, block, e);
}

/* ---- the state dict ---- */

static bool is_entry(const pickle_value *key, const pickle_value *v)
{
    return key->kind == PICKLE_TEXT && v->kind == PICKLE_TENSOR;
}

static bool has_tensors(const pickle_value *dict)
{
    const pickle_list *l = dict->list;
    for (size_t i = 0; i + 1 < l->n; i += 2)
        if (is_entry(&l->items[i], &l->items[i + 1]))
            return true;
    return false;
}

/* The innermost dictionary of tensors on the way through the names that training programs give it. */
static const pickle_value *find_state_dict(const pickle_value *root)
{
    static const char *const names[] = {"state_dict", "model_state_dict", "model", "module"};
    enum { DEEPEST = 4 };
    const pickle_value *best = NULL, *dict = root;
    for (int depth = 0; depth < DEEPEST && dict; depth++) {
        if (has_tensors(dict))
            best = dict;
        const pickle_value *inner = NULL;
        for (size_t i = 0; i < sizeof names / sizeof *names && !inner; i++) {
            inner = pickle_get(dict, names[i]);
            if (inner && inner->kind != PICKLE_DICT)
                inner = NULL;
        }
        dict = inner;
    }
    return best;
}

static int no_tensors(const pickle_value *root, err *e)
{
    if (root->kind == PICKLE_DICT)
        err_set(e, ERR_INPUT, "holds a dictionary, but no tensors in it or under state_dict, "
                              "model_state_dict, model or module");
    else
        err_set(e, ERR_INPUT, "holds %s, not a dictionary of tensors", pickle_kind_name(root));
    return err_hint(e, "save the weights by name: torch.save(model.state_dict(), FILE)");
}

int torch_add_tensors(checkpoint *c, int file, const pickle *p, const pickle_value *root, err *e)
{
    const pickle_value *dict = root->kind == PICKLE_DICT ? find_state_dict(root) : NULL;
    if (!dict && root->kind == PICKLE_DICT && !root->list->n)
        return 0;
    if (!dict)
        return no_tensors(root, e);
    const pickle_list *l = dict->list;
    for (size_t i = 0; i + 1 < l->n; i += 2) {
        const pickle_value *key = &l->items[i], *v = &l->items[i + 1];
        tensor t;
        if (!is_entry(key, v))
            continue;
        int rc = make_view(&t, c, p, v->tensor, e);
        if (rc == ERR_INPUT) {
            shown_name text;
            err_prefix(e, "tensor \"%s\"", show_name(text, key->s, key->n));
        }
        if (!rc) /* the name is copied, and may stand in the file once for many tensors */
            rc = budget_take(p->budget, key->n + sizeof(checkpoint_tensor), e);
        if (!rc)
            rc = checkpoint_add(c, key->s, key->n, &t, file, e);
        if (rc)
            return rc;
    }
    return 0;
}
