#include "cli/head_space.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "cli/command_util.h"
#include "cli/counted_heads.h"

enum { MOST_HEADS = 1 << 22 };

static int too_many(err *e)
{
    return err_set(e, ERR_INPUT, "more than %d heads", MOST_HEADS);
}

/* Room for the layers of a kind; count [n_layer] heads of each. */
static int add_kind(head_space *x, attn_kind kind, int n_layer, const int *count, err *e)
{
    size_t more = 0;
    for (int l = 0; l < n_layer; l++)
        more += (size_t)count[l];
    if ((size_t)x->n + more > MOST_HEADS)
        return too_many(e);
    head_id *head = mem_grow(x->head, (size_t)x->n + more + 1, sizeof *head, e);
    if (!head)
        return ERR_RESOURCE;
    x->head = head;
    x->first[kind] = mem_array((size_t)n_layer + 1, sizeof *x->first[kind], e);
    if (!x->first[kind])
        return ERR_RESOURCE;
    x->n_layer[kind] = n_layer;
    for (int l = 0; l < n_layer; l++) {
        x->first[kind][l] = x->n;
        for (int h = 0; h < count[l]; h++)
            head[x->n++] = (head_id){kind, l, x->layers ? NO_INDEX : h};
    }
    x->first[kind][n_layer] = x->n;
    return 0;
}

static int of_stacks(head_space *x, const model *m, err *e)
{
    int rc = 0;
    snprintf(x->name, sizeof x->name, "%s", m->name ? m->name : "the model");
    snprintf(x->path, sizeof x->path, "%s", m->ckpt && m->ckpt->path ? m->ckpt->path : x->name);
    x->main = m->main->kind;
    for (int k = ATTN_SELF; k < HEAD_KINDS && !rc; k++) {
        const stack *s = x->layers && k == ATTN_CROSS ? NULL : model_stack(m, (attn_kind)k);
        int *count = s ? mem_array((size_t)s->n_run + 1, sizeof *count, e) : NULL;
        if (!s)
            continue;
        rc = count ? 0 : ERR_RESOURCE;
        for (int l = 0; l < s->n_run && !rc; l++) {
            const attention_block *b = model_attention(m, (attn_kind)k, l);
            count[l] = x->layers ? 1 : b ? b->plan.n_head : 0;
        }
        if (!rc)
            rc = add_kind(x, (attn_kind)k, s->n_run, count, e);
        free(count);
    }
    return rc;
}

int head_space_of_model(head_space *out, const model *m, err *e)
{
    *out = (head_space){.layers = false};
    return of_stacks(out, m, e);
}

int head_space_layers(head_space *out, const model *m, err *e)
{
    *out = (head_space){.layers = true};
    return of_stacks(out, m, e);
}

/* ---- of a run ---- */

/* Widest layer and head that the run has rows of, for models without a plan. */
static int add_stored(int **count, int *n_layer, store *st, int64_t run, attn_kind kind, err *e)
{
    const cell bind[] = {cell_int(run), cell_text(attn_kind_name(kind))};
    table *t = NULL;
    int rc = store_query(st, &t, "SELECT layer, max(head) FROM (SELECT layer, head FROM head_summary WHERE run = ?1 AND kind = ?2"
                         " UNION SELECT layer, head FROM map_list WHERE run = ?1 AND kind = ?2 AND layer IS NOT NULL AND head IS"
                         " NOT NULL) GROUP BY layer ORDER BY layer", bind, 2, e);
    for (int64_t i = 0; !rc && i < t->n_row; i++) {
        int64_t l = table_cell(t, i, 0)->u.i, h = table_cell(t, i, 1)->u.i;
        if (l < 0 || h < 0 || l >= MOST_HEADS || h >= MOST_HEADS) {
            rc = too_many(e);
        } else if (l >= *n_layer) {
            int *more = mem_grow(*count, (size_t)l + 1, sizeof *more, e);
            rc = more ? 0 : ERR_RESOURCE;
            if (!rc) {
                memset(more + *n_layer, 0, (size_t)(l + 1 - *n_layer) * sizeof *more);
                *count = more;
                *n_layer = (int)l + 1;
            }
        }
        if (!rc && (*count)[l] <= h)
            (*count)[l] = (int)h + 1;
    }
    table_free(t);
    return rc;
}

static int stored_kind(head_space *x, store *st, int64_t run, attn_kind kind, bool planned, err *e)
{
    counted_heads heads = {0};
    int *count = NULL, n_layer = 0;
    int rc = planned ? counted_heads_load(&heads, st, run, attn_kind_name(kind), e) : 0;
    if (!rc && heads.n) {
        n_layer = heads.head[heads.n - 1].layer + 1;
        count = mem_array((size_t)n_layer, sizeof *count, e);
        rc = count ? 0 : ERR_RESOURCE;
        for (int64_t i = 0; i < heads.n && !rc; i++)
            count[heads.head[i].layer]++;
    }
    free(heads.head);
    if (!rc && n_layer == 0)
        rc = add_stored(&count, &n_layer, st, run, kind, e);
    if (!rc && n_layer)
        rc = add_kind(x, kind, n_layer, count, e);
    free(count);
    return rc;
}

/* Name and path; the kind of the stack that gives the logits, whose lines of the plan have no prefix; and which other kinds
 * the plan tells of. */
static int read_model(head_space *x, bool told[HEAD_KINDS], store *st, int64_t run, err *e)
{
    const cell bind[] = {cell_int(run)};
    table *t = NULL;
    int rc = store_query(st, &t, "SELECT m.name, m.path, m.plan, (SELECT k.sequence FROM unit u JOIN token k ON k.prompt_id ="
                         " u.prompt_id WHERE u.run_id = r.id ORDER BY u.prompt_index, k.sequence = 'self' DESC, k.sequence"
                         " LIMIT 1)"
                         " FROM run r JOIN model m ON m.id = r.model_id WHERE r.id = ?1", bind, 1, e);
    if (rc)
        return rc;
    const bool any = t->n_row > 0;
    const char *plan = any ? cell_string(table_cell(t, 0, 2)) : "";
    snprintf(x->name, sizeof x->name, "%s", any ? cell_string(table_cell(t, 0, 0)) : "the model");
    snprintf(x->path, sizeof x->path, "%s", any ? cell_string(table_cell(t, 0, 1)) : "MODEL");
    x->main = any ? attn_kind_named(cell_string(table_cell(t, 0, 3)), ATTN_SELF) : ATTN_SELF;
    for (const char *line = plan; *line;) {
        for (int k = ATTN_SELF; k < HEAD_KINDS; k++) {
            const char *kind = attn_kind_name((attn_kind)k);
            told[k] |= strncmp(line, kind, strlen(kind)) == 0 && line[strlen(kind)] == '.';
        }
        line += strcspn(line, "\n");
        line += *line == '\n';
    }
    told[x->main] |= *plan != '\0';
    table_free(t);
    return 0;
}

int head_space_of_run(head_space *out, store *st, int64_t run, err *e)
{
    bool told[HEAD_KINDS] = {false};
    *out = (head_space){.layers = false};
    int rc = read_model(out, told, st, run, e);
    for (int k = ATTN_SELF; k < HEAD_KINDS && !rc; k++)
        rc = stored_kind(out, st, run, (attn_kind)k, told[k], e);
    return rc;
}

void head_space_free(head_space *x)
{
    free(x->head);
    for (int k = ATTN_SELF; k < HEAD_KINDS; k++)
        free(x->first[k]);
    *x = (head_space){0};
}

int head_space_find(const head_space *x, head_id h)
{
    if ((int)h.kind >= HEAD_KINDS || h.layer < 0 || h.layer >= x->n_layer[h.kind] || h.head < 0)
        return -1;
    const int *first = x->first[h.kind] + h.layer;
    return h.head < first[1] - first[0] ? first[0] + h.head : -1;
}
