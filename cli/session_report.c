/* Where errors meet the user. */
#include <string.h>
#include <unistd.h>
#include "base/ranks.h"
#include "base/strbuf.h"
#include "cli/help.h"
#include "cli/pager.h"
#include "cli/progress_bar.h"
#include "cli/session.h"

static long n_reported;

long session_reported(void)
{
    return n_reported;
}

void session_report(const session *s, const char *where, const char *verb, const err *e)
{
    strbuf text = {0};
    if (!e->msg[0] || ranks_rank() > 0) /* the ranks have agreed: the first says it for all */
        return;
    n_reported++;
    strbuf_puts(&text, "attnscope: ");
    const char *const before[] = {where, verb}; /* names that a user gave: made safe for a terminal */
    for (int i = 0; i < 2; i++) {
        if (before[i]) {
            strbuf_put_visible(&text, before[i], strlen(before[i]));
            strbuf_puts(&text, ": ");
        }
    }
    strbuf_printf(&text, "%s\n", e->msg);
    if (e->hint[0])
        strbuf_printf(&text, "  hint: %s\n", e->hint);
    if (s) {
        progress_bar_clear(s->bar);
        if (s->standard_out)
            fflush(s->standard_out); /* in a terminal: results first, then what went wrong */
        pager_end(s);
    }
    strbuf lines = {0};
    help_fit(&lines, strbuf_str(&text), STDERR_FILENO);
    if (text.failed || lines.failed) { /* not even memory for this */
        strbuf_clear(&lines);
        fprintf(stderr, "attnscope: %s\n", e->msg);
    }
    fputs(strbuf_str(&lines), stderr); /* one call: lines of several processes do not mix */
    fflush(stderr);
    strbuf_free(&lines);
    strbuf_free(&text);
}
