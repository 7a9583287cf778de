/* Metrics by name, and the values that experiments store beside them. */
#include <string.h>
#include "analysis/metric.h"
#include "base/near_word.h"
#include "cli/command_util.h"

/* Values of heads that a command forms itself; defined in cli/report_terms.c. */
static const struct { const char *name, *verb; } made[] = {
    {"retrieval", "needle"}, {"retrieval_set", "needle"}, {"copy_offset", "needle"}, {"copy_position", "needle"},
    {"diagonal_induction", "induction"}, {"diagonal_previous", "induction"}, {"diagonal_duplicate", "induction"},
    {"mqar_value", "mqar"}, {"mqar_key", "mqar"}, {"copy_source", "copy"}, {"copy_duplicate", "copy"},
    {"sink_rate", "census"}, {"vhd", "vhd"}, {"vhd_relative", "vhd"}, {"vhd_norm", "vhd"}, {"vhd_norm_without", "vhd"},
    {"vhd_outlier", "vhd"}, {"vhd_above_median", "vhd"}, {"map_jsd", "compare"},
};
enum { N_MADE = sizeof made / sizeof *made, MOST_METRICS = 128 };

const char *measured_by(const char *name)
{
    for (int i = 0; i < N_MADE; i++)
        if (!strcmp(made[i].name, name))
            return made[i].verb;
    return NULL;
}

int require_metric(const metric **out, const char *name, err *e)
{
    const char *names[MOST_METRICS + N_MADE + 1];
    const char *verb = measured_by(name);
    int n = 0;
    *out = metric_find(name);
    if (*out)
        return 0;
    for (; metrics[n] && n < MOST_METRICS; n++)
        names[n] = metrics[n]->name;
    for (int i = 0; i < N_MADE; i++)
        names[n++] = made[i].name;
    names[n] = NULL;
    err_set(e, ERR_USAGE, "no metric is called '%s'", name);
    return verb ? err_hint(e, "`%s` measures %s, as a value of its own (`help %s`)", verb, name, verb)
                : near_word_hint(e, name, names, "`list metrics` shows all");
}
