#include "cli/counted_heads.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "cli/command_util.h"
#include "cli/command_util.h"

enum { MOST = 1 << 20 };   /* layers, heads: more is no plan */

/* "enc.0-5: 8 heads ..." or "3: ...": the line's layers and their heads, 0 where they have no attention weights.
 * A line without a prefix is of the stack that gives the logits.  False: of another kind, or no such line. */
static bool read_line(const char *line, const char *prefix, long *first, long *last, long *heads)
{
    size_t n = strlen(prefix);
    char *end;
    if (strncmp(line, prefix, n) != 0)
        return false;
    *first = *last = strtol(line + n, &end, 10);
    if (end == line + n)
        return false;
    if (*end == '-')
        *last = strtol(end + 1, &end, 10);
    if (strncmp(end, ": ", 2) != 0)
        return false;
    const char *count = end + 2;
    *heads = strtol(count, &end, 10);
    if (end == count || strncmp(end, " heads", 6) != 0)
        *heads = 0;
    return *first >= 0 && *last >= *first && *last < MOST && *heads < MOST;
}

static int add_heads(counted_heads *out, attn_kind kind, long first, long last, long heads, err *e)
{
    for (long l = first; l <= last && heads > 0 && out->n < MOST; l++) {
        head_id *more = mem_grow(out->head, (size_t)out->n + (size_t)heads, sizeof *more, e);
        if (!more)
            return ERR_RESOURCE;
        out->head = more;
        for (long h = 0; h < heads; h++)
            out->head[out->n++] = (head_id){kind, (int)l, (int)h};
    }
    return 0;
}

static int read_plan(counted_heads *out, attn_kind kind, const char *plan, const char *prefix, err *e)
{
    int rc = 0;
    for (const char *line = plan; *line && !rc;) {
        long first, last, heads;
        if (read_line(line, prefix, &first, &last, &heads))
            rc = add_heads(out, kind, first, last, heads, e);
        line += strcspn(line, "\n");
        line += *line == '\n';
    }
    return rc;
}

int counted_heads_load(counted_heads *out, store *st, int64_t run, const char *kind, err *e)
{
    const cell bind[] = {cell_int(run)};
    char prefix[16];
    attn_kind which = attn_kind_named(kind, ATTN_SELF);
    table *t = NULL;
    *out = (counted_heads){0};
    int rc = store_query(st, &t, "SELECT m.plan FROM run r JOIN model m ON m.id = r.model_id WHERE r.id = ?1", bind, 1, e);
    const char *plan = !rc && t->n_row ? cell_string(table_cell(t, 0, 0)) : "";
    snprintf(prefix, sizeof prefix, "%s.", attn_kind_name(which));
    if (!rc)
        rc = read_plan(out, which, plan, prefix, e);
    if (!rc && out->n == 0)
        rc = read_plan(out, which, plan, "", e);
    table_free(t);
    if (rc) {
        free(out->head);
        *out = (counted_heads){0};
    }
    return rc;
}
