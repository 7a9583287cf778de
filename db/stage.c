/* Values of the open unit, waiting in memory (24 bytes each) until they are written in the order of the
 * primary key.  So computing a unit holds no lock on the store, and writing one appends to the table. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "db/internal.h"

#define INDEX_MAX (1 << 30) /* layers and heads */

void stage_free(stage *g)
{
    for (int32_t i = 0; i < g->n_metric; i++)
        free(g->metric[i].name);
    free(g->metric);
    free(g->site);
    free(g->slot);
    free(g->value);
    *g = (stage){0};
}

/* ---- sites: a small open-addressing table ---- */

static uint32_t site_hash(attn_kind kind, int32_t layer, int32_t head)
{
    uint64_t x = (uint64_t)(uint32_t)layer << 32 ^ (uint32_t)head ^ (uint64_t)kind << 60;
    x *= 0x9e3779b97f4a7c15u; /* 2^64 / golden ratio: spreads neighbours */
    return (uint32_t)(x >> 32);
}

static int32_t *find_slot(const stage *g, attn_kind kind, int32_t layer, int32_t head)
{
    uint32_t mask = (uint32_t)g->n_slot - 1;
    for (uint32_t i = site_hash(kind, layer, head) & mask;; i = (i + 1) & mask) {
        int32_t *slot = &g->slot[i];
        if (*slot == 0)
            return slot;
        const staged_site *t = &g->site[*slot - 1];
        if (t->kind == kind && t->layer == layer && t->head == head)
            return slot;
    }
}

static int grow_sites(stage *g, err *e)
{
    int32_t cap = g->cap_site ? 2 * g->cap_site : 256;
    staged_site *site = mem_grow(g->site, (size_t)cap, sizeof *site, e);
    if (!site)
        return ERR_RESOURCE;
    g->site = site;
    int32_t *slot = mem_array((size_t)cap * 2, sizeof *slot, e); /* at most half full */
    if (!slot)
        return ERR_RESOURCE;
    free(g->slot);
    g->slot = slot;
    g->n_slot = cap * 2;
    g->cap_site = cap;
    for (int32_t i = 0; i < g->n_site; i++)
        *find_slot(g, site[i].kind, site[i].layer, site[i].head) = i + 1;
    return 0;
}

int stage_site(stage *g, int32_t *index, attn_kind kind, int layer, int head, err *e)
{
    if (layer < NO_INDEX || layer >= INDEX_MAX || head < NO_INDEX || head >= INDEX_MAX ||
        (layer < 0 && head >= 0))
        return err_set(e, ERR_FAILED, "layer %d, head %d is no place in a model", layer, head);
    if (g->n_site == g->cap_site) {
        int code = g->cap_site < INDEX_MAX / 4 ? grow_sites(g, e) : err_nomem(e, "the heads of a unit");
        if (code)
            return code;
    }
    int32_t *slot = find_slot(g, kind, layer, head);
    if (*slot == 0) {
        g->site[g->n_site] = (staged_site){kind, layer, head, 0};
        *slot = ++g->n_site;
    }
    *index = *slot - 1;
    return 0;
}

static int stage_metric(stage *g, int32_t *index, const char *name, err *e)
{
    if (name == g->last_name && g->n_metric > 0 && strcmp(g->metric[g->last_metric].name, name) == 0) {
        *index = g->last_metric;
        return 0;
    }
    int32_t i = 0;
    while (i < g->n_metric && strcmp(g->metric[i].name, name) != 0)
        i++;
    if (i == g->n_metric) {
        if (g->n_metric == g->cap_metric) {
            int32_t cap = g->cap_metric ? 2 * g->cap_metric : 16;
            staged_metric *metric = mem_grow(g->metric, (size_t)cap, sizeof *metric, e);
            if (!metric)
                return ERR_RESOURCE;
            g->metric = metric;
            g->cap_metric = cap;
        }
        char *copy = mem_strdup(name, e);
        if (!copy)
            return ERR_RESOURCE;
        g->metric[g->n_metric++] = (staged_metric){copy, 0};
    }
    g->last_name = name;
    *index = g->last_metric = i;
    return 0;
}

int stage_value(stage *g, const result_value *v, err *e)
{
    staged_value w = {.value = v->value, .position = v->position};
    if (!isfinite(v->value) || v->position < NO_INDEX)
        return err_set(e, ERR_FAILED, "metric %s: a value that is not finite or has no position "
                       "(layer %d, head %d)", v->metric, v->layer, v->head);
    int code = stage_site(g, &w.site, v->kind, v->layer, v->head, e);
    if (!code)
        code = stage_metric(g, &w.metric, v->metric, e);
    if (code)
        return code;
    if (g->n_value == g->cap_value) {
        size_t cap = g->cap_value ? 2 * g->cap_value : 1024;
        staged_value *value = mem_grow(g->value, cap, sizeof *value, e);
        if (!value)
            return ERR_RESOURCE;
        g->value = value;
        g->cap_value = cap;
    }
    g->value[g->n_value++] = w;
    return 0;
}

/* ---- names to row ids ---- */

static int resolve_metric(store *s, staged_metric *m, err *e)
{
    static const char doing[] = "writing a metric's name";
    bool found;
    const cell name = cell_str(m->name);
    int code = store_one_int(s, &m->id, &found, "SELECT id FROM metric WHERE name = ?1", &name, 1, doing, e);
    if (code || found)
        return code;
    code = store_do(s, "INSERT INTO metric (name) VALUES (?1)", &name, 1, doing, e);
    m->id = code ? 0 : sqlite3_last_insert_rowid(s->db);
    return code;
}

static int resolve_site(store *s, staged_site *t, err *e)
{
    static const char doing[] = "writing a head's name";
    sqlite3_stmt *q;
    bool row;
    int code = store_kept(s, &q, STMT_SITE, "SELECT id FROM site WHERE kind = ?1 "
                          "AND ifnull(layer, -1) = ifnull(?2, -1) AND ifnull(head, -1) = ifnull(?3, -1)", e);
    if (code)
        return code;
    head_text name;
    head_format(name, (head_id){t->kind, t->layer, t->head});
    const cell bind[] = {cell_str(attn_kind_name(t->kind)), cell_index(t->layer), cell_index(t->head),
                         cell_str(t->head == NO_INDEX ? NULL : name)};
    code = store_bind(s, q, bind, 3, doing, e);
    if (!code)
        code = store_step(s, q, &row, doing, e);
    if (code)
        return code;
    if (row) {
        t->id = sqlite3_column_int64(q, 0);
        sqlite3_reset(q);
        return 0;
    }
    code = store_kept(s, &q, STMT_NEW_SITE, "INSERT INTO site (kind, layer, head, name) "
                      "VALUES (?1, ?2, ?3, ?4)", e);
    if (!code)
        code = store_bind(s, q, bind, 4, doing, e);
    if (!code)
        code = store_step(s, q, NULL, doing, e);
    t->id = code ? 0 : sqlite3_last_insert_rowid(s->db);
    return code;
}

int stage_resolve(store *s, stage *g, err *e)
{
    int code = 0;
    for (int32_t i = 0; !code && i < g->n_metric; i++) {
        if (g->metric[i].id == 0)
            code = resolve_metric(s, &g->metric[i], e);
    }
    for (int32_t i = 0; !code && i < g->n_site; i++) {
        if (g->site[i].id == 0)
            code = resolve_site(s, &g->site[i], e);
    }
    return code;
}

/* ---- values to rows ---- */

static int compare_keys(const staged_value *x, const staged_value *y)
{
    if (x->metric != y->metric)
        return x->metric < y->metric ? -1 : 1;
    if (x->site != y->site)
        return x->site < y->site ? -1 : 1;
    return (x->position > y->position) - (x->position < y->position);
}

static int compare_values(const void *a, const void *b)
{
    return compare_keys(a, b);
}

/* The same metric gave two values for one place: a mistake of the metric, not of the store. */
static int given_twice(const stage *g, const staged_value *v, err *e)
{
    const char *metric = "?";
    head_text place = "?";
    for (int32_t i = 0; i < g->n_metric; i++) {
        if (g->metric[i].id == v->metric)
            metric = g->metric[i].name;
    }
    for (int32_t i = 0; i < g->n_site; i++) {
        if (g->site[i].id == v->site)
            head_format(place, (head_id){g->site[i].kind, g->site[i].layer, g->site[i].head});
    }
    return err_set(e, ERR_FAILED, "metric %s gave two values for %s, position %lld", metric, place,
                   (long long)v->position);
}

static int insert_values(store *s, stage *g, int64_t unit_id, err *e)
{
    static const char doing[] = "writing values";
    sqlite3_stmt *q;
    int code = store_kept(s, &q, STMT_VALUE, "INSERT INTO value "
                          "(unit_id, metric_id, site_id, position, value) VALUES (?1, ?2, ?3, ?4, ?5)", e);
    if (code)
        return code;
    sqlite3_bind_int64(q, 1, unit_id);
    for (size_t i = 0; i < g->n_value; i++) {
        const staged_value *v = &g->value[i];
        sqlite3_bind_int(q, 2, v->metric);
        sqlite3_bind_int(q, 3, v->site);
        sqlite3_bind_int64(q, 4, v->position);
        sqlite3_bind_double(q, 5, v->value);
        int rc = sqlite3_step(q);
        if (rc == SQLITE_DONE)
            rc = sqlite3_reset(q);
        if (rc != SQLITE_OK) {
            code = rc == SQLITE_CONSTRAINT_PRIMARYKEY ? given_twice(g, v, e) : store_fail(s, rc, doing, e);
            sqlite3_reset(q);
            return code;
        }
    }
    return 0;
}

int stage_flush(store *s, stage *g, int64_t unit_id, err *e)
{
    bool sorted = true;
    for (size_t i = 0; i < g->n_value; i++) {
        staged_value *v = &g->value[i];
        int64_t metric = g->metric[v->metric].id, site = g->site[v->site].id;
        if (metric > INT32_MAX || site > INT32_MAX)
            return err_set(e, ERR_INPUT, "store %s is damaged: a row id is out of range", s->path);
        v->metric = (int32_t)metric;
        v->site = (int32_t)site;
        sorted = sorted && (i == 0 || compare_keys(v - 1, v) < 0);
    }
    if (!sorted)
        qsort(g->value, g->n_value, sizeof *g->value, compare_values);
    int code = insert_values(s, g, unit_id, e);
    g->n_value = 0;
    return code;
}
