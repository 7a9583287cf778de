#include "cli/run_units.h"

#include <inttypes.h>
#include <string.h>
#include "analysis/metric.h"
#include "cli/census_set.h"
#include "cli/command_util.h"

static const char *own_set(const char *name)
{
    for (int i = 0; census_scores[i].name; i++)
        if (strcmp(census_scores[i].metric, name) == 0)
            return census_part_names[census_scores[i].part];
    return census_part_names[PART_TEXT];
}

/* Units of the run that say they belong to a set; of none: *n = 0. */
static int count_set(int64_t *n, store *st, int64_t run, const char *set, err *e)
{
    const cell bind[] = {cell_int(run), cell_text(set)};
    return query_count(n, st, "SELECT count(*) FROM fact_list WHERE run = ?1 AND name = 'set' AND (?2 IS NULL OR text = ?2)",
                       bind, 2, e);
}

static int failed_trials(int64_t *n, store *st, int64_t run, err *e)
{
    const cell bind[] = {cell_int(run)};
    return query_count(n, st, "SELECT count(*) FROM value_list WHERE run = ?1 AND metric = 'success' AND value = 0", bind, 1, e);
}

int run_units(strbuf *condition, strbuf *what, store *st, int64_t run, const char *name, const char *set, err *e)
{
    int64_t any, of_set = 0, failed = 0;
    int rc = count_set(&any, st, run, NULL, e);
    const char *use = set ? set : own_set(name);
    if (!rc && any)
        rc = count_set(&of_set, st, run, use, e);
    if (!rc)
        rc = failed_trials(&failed, st, run, e);
    if (rc)
        return rc;
    if (set && of_set == 0) {
        err_set(e, ERR_USAGE, "run %" PRId64 " has no set of prompts called %s", run, set);
        return err_hint(e, any ? "a census has text, random and needle" : "only a census has sets of prompts");
    }
    if (of_set) {
        strbuf_printf(condition, " AND prompt IN (SELECT prompt FROM fact_list WHERE run = ?1 AND name = 'set' AND text = '%s')",
                      use);
        if (what)
            strbuf_printf(what, "the %" PRId64 " prompts of set %s", of_set, use);
    }
    if (failed) {
        strbuf_puts(condition, " AND prompt NOT IN (SELECT prompt FROM value_list WHERE run = ?1 AND metric = 'success'"
                               " AND value = 0)");
        if (what && !of_set)
            strbuf_printf(what, "without %" PRId64 " trial%s that failed", failed, failed == 1 ? "" : "s");
    }
    return condition->failed ? err_nomem(e, "units") : 0;
}

int run_metric(const metric **out, arena *mem, store *st, int64_t run, const char *name, err *e)
{
    const cell bind[] = {cell_int(run), cell_text(name)};
    int64_t known;
    *out = metric_find(name);
    if (*out)
        return 0;
    int rc = query_count(&known, st, "SELECT 1 FROM head_value WHERE run = ?1 AND metric = ?2 LIMIT 1", bind, 2, e);
    if (rc || !known)
        return rc ? rc : require_metric(out, name, e);
    metric *made = arena_alloc(mem, 1, sizeof *made, e);
    char *copy = made ? arena_strndup(mem, name, strlen(name), e) : NULL;
    if (!copy)
        return ERR_RESOURCE;
    const metric stored = {.name = copy, .summary = copy, .definition = "", .unit = "", .range = "", .source = "",
                           .missing_mass = "", .cost = "", .scope = METRIC_HEAD, .axis = AXIS_QUERY, .kinds = KINDS_ALL};
    memcpy(made, &stored, sizeof stored);
    *out = made;
    return 0;
}
