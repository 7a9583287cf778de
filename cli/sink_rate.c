/* The sink rate of a run. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "cli/experiment.h"
#include "cli/output.h"
#include "cli/run_summary.h"

/* The share of all heads of a kind whose alpha at a key is above the threshold; over several prompts, of all heads
 * of all prompts, which is the mean of the prompts' rates.  Text of the key where all prompts have the same. */
static const char sink_sql[] =
    "SELECT v.position, sum(v.value > ?2), count(*), count(DISTINCT v.prompt), v.kind,"
    " (SELECT count(DISTINCT kind) FROM head_summary WHERE run = ?1 AND metric = 'sink') > 1,"
    " (SELECT count(*) FROM prompt_token k WHERE k.run = ?1 AND k.prompt = min(v.prompt)"
    "  AND k.sequence = CASE v.kind WHEN 'cross' THEN 'enc' ELSE v.kind END),"
    " (SELECT CASE WHEN count(DISTINCT k.text) = 1 THEN min(k.text) END FROM prompt_token k WHERE k.run = ?1"
    "  AND k.sequence = CASE v.kind WHEN 'cross' THEN 'enc' ELSE v.kind END AND k.position = v.position)"
    " FROM head_value v WHERE v.run = ?1 AND v.metric = 'sink' GROUP BY v.kind, v.position"
    " ORDER BY v.kind = 'self' DESC, v.kind, v.position";

/* ", T = 12 to 64": lengths of the prompts that have the key: alpha depends on them. */
static int put_lengths(strbuf *b, store *st, int64_t run, const char *kind, const cell *key, err *e)
{
    const cell bind[] = {cell_int(run), cell_text(kind), *key};
    table *t = NULL;
    int rc = store_query(st, &t, "SELECT min(n), max(n) FROM (SELECT count(*) AS n FROM prompt_token k WHERE k.run = ?1 AND"
                         " k.sequence = CASE ?2 WHEN 'cross' THEN 'enc' ELSE ?2 END AND k.prompt IN (SELECT prompt FROM"
                         " head_value WHERE run = ?1 AND metric = 'sink' AND kind = ?2 AND position = ?3) GROUP BY k.prompt)",
                         bind, 3, e);
    if (rc)
        return rc;
    double least = cell_number(table_cell(t, 0, 0)), most = cell_number(table_cell(t, 0, 1));
    strbuf_printf(b, ", T = %.0f", least);
    if (most > least)
        strbuf_printf(b, " to %.0f", most);
    table_free(t);
    return 0;
}

/* "5 prompts, 10.2 to 22.1 (95 %), T = 64": the rates of the prompts. */
static int put_rates(strbuf *b, store *st, int64_t run, double threshold, const char *kind, const cell *key, err *e)
{
    const cell bind[] = {cell_int(run), cell_real(threshold), cell_text(kind), *key};
    stats rate;
    uint64_t seed;
    int rc = run_seed(&seed, st, run, e);
    if (rc)
        return rc;
    rc = stats_of_query(&rate, st, "SELECT avg(value > ?2) FROM head_value WHERE run = ?1 AND metric = 'sink' AND kind = ?3"
                            " AND position = ?4 GROUP BY prompt ORDER BY prompt", bind, 4, seed, e);
    if (!rc)
        strbuf_printf(b, "%" PRId64 " prompts, %.1f to %.1f (95 %%)", rate.n, 100 * rate.low, 100 * rate.high);
    if (!rc)
        rc = put_lengths(b, st, run, kind, key, e);
    if (!rc)
        strbuf_putc(b, '\n');
    return rc;
}

int sink_rate(session *s, store *st, int64_t run, double threshold, err *e)
{
    enum { MAX_KEYS = 4 };
    const cell bind[] = {cell_int(run), cell_real(threshold)};
    table *t = NULL;
    int rc = store_query(st, &t, sink_sql, bind, 2, e), shown = 0;
    const char *last = "";
    strbuf b = {0};
    for (int64_t i = 0; !rc && i < t->n_row; i++) {
        double sinks = cell_number(table_cell(t, i, 1)), heads = cell_number(table_cell(t, i, 2));
        const char *kind = cell_string(table_cell(t, i, 4)), *text = cell_string(table_cell(t, i, 7));
        bool named = table_cell(t, i, 5)->u.i && strcmp(kind, "self") != 0;
        shown = strcmp(kind, last) == 0 ? shown + 1 : 1;
        last = kind;
        if (shown > MAX_KEYS)
            continue;
        strbuf_printf(&b, "sink rate: %.0f of %.0f %s%sheads above %g at key %.0f", sinks, heads,
                      named ? kind : "", named ? " " : "", threshold,
                      cell_number(table_cell(t, i, 0)));
        if (*text) {
            strbuf_puts(&b, " (");
            strbuf_put_visible(&b, text, strlen(text));
            strbuf_puts(&b, ")");
        }
        strbuf_printf(&b, ", %.1f %%, ", 100 * sinks / heads);
        if (table_cell(t, i, 3)->u.i == 1)
            strbuf_printf(&b, "T = %.0f\n", cell_number(table_cell(t, i, 6)));
        else
            rc = put_rates(&b, st, run, threshold, kind, table_cell(t, i, 0), e);
    }
    table_free(t);
    if (!rc)
        rc = output_prose(s, &b, e);
    strbuf_free(&b);
    return rc;
}
