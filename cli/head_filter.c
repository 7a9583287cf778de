#include "cli/head_filter.h"

#include <inttypes.h>
#include <stdlib.h>
#include "cli/head_select.h"

int head_filter_put(strbuf *sql, int *n, session *s, store *st, int64_t run, const char *text, err *e)
{
    head_id *head = NULL;
    *n = 0;
    if (!text)
        return 0;
    int rc = head_select_stored(&head, n, s, st, run, -1, text, e);
    for (int i = 0; i < (rc ? 0 : *n); i++) {
        head_text name;
        head_format(name, head[i]);
        strbuf_printf(sql, "%s'%s'", i ? "," : " AND head_name IN (", name);
    }
    if (!rc && *n)
        strbuf_puts(sql, ")");
    free(head);
    return !rc && sql->failed ? err_nomem(e, "a selection of heads") : rc;
}

int head_filter_nothing(int64_t run, const char *text, err *e)
{
    err_set(e, ERR_FAILED, "run %" PRId64 " has no values of the heads of \"%s\"", run, text);
    return err_hint(e, "leave --heads out to see which have one");
}
