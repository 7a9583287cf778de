#include "base/result_list.h"

#include <stdlib.h>
#include <string.h>

static result_entry *grown(result_list *l, err *e)
{
    if (l->n == l->cap) {
        int64_t cap = l->cap ? 2 * l->cap : 1024;
        result_entry *larger = mem_grow(l->entry, (size_t)cap, sizeof *larger, e);
        if (!larger)
            return NULL;
        l->entry = larger;
        l->cap = cap;
    }
    return &l->entry[l->n];
}

static int take_value(void *ud, const result_value *v, err *e)
{
    result_list *l = ud;
    result_entry *x = grown(l, e);
    if (!x)
        return ERR_RESOURCE;
    if (!l->name || strcmp(l->name, v->metric) != 0) {
        char *name = arena_strdup(&l->texts, v->metric, e);
        if (!name)
            return ERR_RESOURCE;
        l->name = name;
    }
    *x = (result_entry){.is_map = false, .u.value = *v};
    x->u.value.metric = l->name;
    l->n++;
    return 0;
}

static int take_map(void *ud, const result_map *m, err *e)
{
    result_list *l = ud;
    result_entry *x = grown(l, e);
    size_t rows = (size_t)((m->n_query + m->pool - 1) / m->pool), cols = (size_t)((m->n_key + m->pool - 1) / m->pool), n;
    float *cells = x && size_mul(&n, rows, cols) ? mem_array(n, sizeof *cells, e) : NULL;
    if (!cells)
        return x ? err_nomem(e, "attention map") : ERR_RESOURCE;
    memcpy(cells, m->cells, n * sizeof *cells);
    *x = (result_entry){.is_map = true, .u.map = *m};
    x->u.map.cells = cells;
    l->n++;
    return 0;
}

result_sink result_list_sink(result_list *list)
{
    return (result_sink){take_value, take_map, list};
}

int result_list_replay(const result_list *list, const result_sink *to, err *e)
{
    int rc = 0;
    for (int64_t i = 0; i < list->n && !rc; i++) {
        const result_entry *x = &list->entry[i];
        rc = x->is_map ? to->map(to->ud, &x->u.map, e) : to->value(to->ud, &x->u.value, e);
    }
    return rc;
}

void result_list_free(result_list *list)
{
    for (int64_t i = 0; i < list->n; i++)
        if (list->entry[i].is_map)
            free((void *)(uintptr_t)list->entry[i].u.map.cells);
    free(list->entry);
    arena_free(&list->texts);
    *list = (result_list){0};
}
