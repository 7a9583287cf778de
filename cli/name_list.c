#include "cli/name_list.h"

#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

/* Where name stands, or would; *there: it does. */
static int place_of(const name_list *l, const char *name, bool *there)
{
    int i = 0, order = 1;
    while (i < l->n && (order = strcmp(l->entry[i].name, name)) < 0)
        i++;
    *there = i < l->n && order == 0;
    return i;
}

const name_entry *name_list_find(const name_list *l, const char *name)
{
    bool there;
    int i = place_of(l, name, &there);
    return there ? &l->entry[i] : NULL;
}

int name_list_set(name_list *l, const char *name, const char *text, bool config, err *e)
{
    bool there;
    int i = place_of(l, name, &there);
    char *copy = mem_strdup(text, e), *key = NULL;
    if (!copy)
        return ERR_RESOURCE;
    if (!there) {
        key = mem_strdup(name, e);
        name_entry *grown = key ? mem_grow(l->entry, (size_t)l->n + 1, sizeof *grown, e) : NULL;
        if (!grown) {
            free(key);
            free(copy);
            return ERR_RESOURCE;
        }
        l->entry = grown;
        memmove(&l->entry[i + 1], &l->entry[i], (size_t)(l->n++ - i) * sizeof *l->entry);
        l->entry[i] = (name_entry){.name = key};
    }
    free(l->entry[i].text);
    l->entry[i].text = copy;
    l->entry[i].config = config;
    return 0;
}

bool name_list_remove(name_list *l, const char *name)
{
    bool there;
    int i = place_of(l, name, &there);
    if (!there)
        return false;
    free(l->entry[i].name);
    free(l->entry[i].text);
    memmove(&l->entry[i], &l->entry[i + 1], (size_t)(--l->n - i) * sizeof *l->entry);
    return true;
}

void name_list_free(name_list *l)
{
    for (int i = 0; i < l->n; i++) {
        free(l->entry[i].name);
        free(l->entry[i].text);
    }
    free(l->entry);
    *l = (name_list){0};
}

int name_table_row(table *t, const char *const *texts, err *e)
{
    cell *c = table_row(t, e);
    int rc = c ? 0 : ERR_RESOURCE;
    for (int i = 0; i < t->n_col && !rc; i++)
        rc = texts[i] ? table_text(t, &c[i], texts[i], strlen(texts[i]), e) : 0;
    return rc;
}

int name_list_rows(table *t, const name_list *l, err *e)
{
    int rc = 0;
    for (int i = 0; i < l->n && !rc; i++) {
        const char *texts[8] = {l->entry[i].name, l->entry[i].text, l->entry[i].config ? "config" : "session"};
        rc = name_table_row(t, texts, e);
    }
    return rc;
}
