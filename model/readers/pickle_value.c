/* Values of a pickle, and the memory they may take. */
#include "model/readers/pickle.h"

/* ---- memory ---- */

mem_budget budget_for(size_t file_size)
{
    static const size_t base = (size_t)64 << 20, times = 8;
    mem_budget b;
    if (!size_mul(&b.whole, file_size, times) || !size_add(&b.whole, b.whole, base))
        b.whole = SIZE_MAX;
    b.left = b.whole;
    return b;
}

int budget_take(mem_budget *b, size_t n, err *e)
{
    if (n <= b->left) {
        b->left -= n;
        return 0;
    }
    err_set(e, ERR_INPUT, "unpacking it takes more memory than a file of its size may ask for (%zu MiB)",
            b->whole >> 20);
    return err_hint(e, "the file is damaged or hostile; if you trust it, save its tensors again, contiguous");
}

int pickle_alloc(void **out, pickle *p, size_t count, size_t size, err *e)
{
    enum { ROUNDING = 16 }; /* of the arena */
    size_t n;
    if (!size_mul(&n, count, size) || !size_add(&n, n, ROUNDING))
        n = SIZE_MAX;
    int rc = budget_take(p->budget, n, e);
    if (rc)
        return rc;
    *out = arena_alloc(&p->arena_, count, size, e);
    return *out ? 0 : ERR_RESOURCE;
}

/* ---- containers ---- */

int pickle_new_list(pickle_value *out, pickle *p, pickle_kind kind, size_t room, err *e)
{
    void *list, *items = NULL;
    int rc = pickle_alloc(&list, p, 1, sizeof(pickle_list), e);
    if (!rc && room)
        rc = pickle_alloc(&items, p, room, sizeof(pickle_value), e);
    if (rc)
        return rc;
    *(pickle_list *)list = (pickle_list){.room = room, .items = items};
    *out = (pickle_value){.kind = kind, .list = list};
    return 0;
}

int pickle_reserve(pickle *p, pickle_list *l, size_t n, err *e)
{
    if (n <= l->room - l->n)
        return 0;
    size_t room = l->room ? 2 * l->room : 4;
    if (room < l->n + n)
        room = l->n + n;
    void *items;
    int rc = pickle_alloc(&items, p, room, sizeof(pickle_value), e);
    if (rc)
        return rc;
    if (l->n)
        memcpy(items, l->items, l->n * sizeof *l->items);
    l->items = items;
    l->room = room;
    return 0;
}

int pickle_append(pickle *p, pickle_list *l, const pickle_value *v, err *e)
{
    int rc = pickle_reserve(p, l, 1, e);
    if (!rc)
        l->items[l->n++] = *v;
    return rc;
}

bool pickle_is_text(const pickle_value *v, const char *text)
{
    return v->kind == PICKLE_TEXT && strlen(text) == v->n && memcmp(v->s, text, v->n) == 0;
}

const pickle_value *pickle_get(const pickle_value *v, const char *key)
{
    if (v->kind != PICKLE_DICT)
        return NULL;
    for (size_t i = v->list->n; i >= 2; i -= 2) /* what was set last counts */
        if (pickle_is_text(&v->list->items[i - 2], key))
            return &v->list->items[i - 1];
    return NULL;
}

const char *pickle_kind_name(const pickle_value *v)
{
    static const char *const names[] = {
        [PICKLE_NONE] = "None",        [PICKLE_BOOL] = "a truth value", [PICKLE_INT] = "an integer",
        [PICKLE_LONG] = "an integer",  [PICKLE_FLOAT] = "a number",     [PICKLE_TEXT] = "a string",
        [PICKLE_TUPLE] = "a tuple",    [PICKLE_LIST] = "a list",        [PICKLE_DICT] = "a dictionary",
        [PICKLE_SYMBOL] = "a name",    [PICKLE_STORAGE] = "a storage",  [PICKLE_TENSOR] = "a tensor",
        [PICKLE_OPAQUE] = "an object",
    };
    return names[v->kind];
}
