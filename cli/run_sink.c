#include "cli/run_sink.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include "cli/output.h"
#include "cli/progress_bar.h"
#include "cli/standard_out.h"

static void put_index(strbuf *b, const char *key, int64_t v)
{
    if (v == NO_INDEX)
        strbuf_printf(b, ",\"%s\":null", key);
    else
        strbuf_printf(b, ",\"%s\":%" PRId64, key, v);
}

void run_value_json(strbuf *b, int64_t run, int64_t prompt, const result_value *v)
{
    strbuf_printf(b,
                  "{\"schema\":\"attnscope.value/1\",\"run\":%" PRId64 ",\"prompt\":%" PRId64
                  ",\"kind\":\"%s\",\"metric\":",
                  run, prompt, attn_kind_name(v->kind));
    strbuf_put_json(b, v->metric, strlen(v->metric));
    put_index(b, "layer", v->layer);
    put_index(b, "head", v->head);
    put_index(b, "position", v->position);
    strbuf_puts(b, ",\"value\":");
    strbuf_put_real(b, v->value);
    strbuf_puts(b, "}\n");
}

/* Write the lines that wait.  A reader that has gone is no error when the rows are kept in a file. */
static int pass_on(run_sink *s, bool flush, err *e)
{
    progress_bar_clear(s->bar);
    int rc = output_flush(s->json, &s->line, e);
    if (!rc && flush && fflush(s->json) != 0)
        rc = err_errno(e, ERR_RESOURCE, errno, "cannot write output");
    if (rc && s->keep_going && standard_out_closed()) {
        s->json = NULL;
        rc = 0;
    }
    return rc;
}

static int take_value(void *ud, const result_value *v, err *e)
{
    run_sink *s = ud;
    int rc = store_value(s->st, v, e);
    if (rc)
        return rc;
    s->n_value++;
    if (!s->json)
        return 0;
    run_value_json(&s->line, s->run, s->prompt, v);
    /* A few KiB at a time: stdio would be asked once a value otherwise. */
    return s->line.len < 1 << 14 ? 0 : pass_on(s, false, e);
}

static int take_map(void *ud, const result_map *m, err *e)
{
    run_sink *s = ud;
    int rc = store_map(s->st, m, e);
    if (!rc)
        s->n_map++;
    return rc;
}

result_sink run_sink_use(run_sink *s)
{
    return (result_sink){take_value, take_map, s};
}

int run_sink_flush(run_sink *s, err *e)
{
    return pass_on(s, true, e);
}

void run_sink_free(run_sink *s)
{
    strbuf_free(&s->line);
}
