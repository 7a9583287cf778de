#include "cli/dry_run.h"

#include <string.h>
#include <unistd.h>
#include "base/ranks.h"
#include "cli/command_util.h"
#include "cli/estimate.h"
#include "cli/rank_units.h"

#define TRY_SECONDS 5 /* units whose prompts are not known beforehand are tried for so long, in a store that is thrown away */

bool dry_run_wanted(const command *c, const command_args *a)
{
    return rank_units_of(c) && params_row(a->p, "dry-run") && params_bool(a->p, "dry-run");
}

static void no_step(void *ud, int64_t unit, double part)
{
    (void)ud, (void)unit, (void)part;
}

static int print(session *s, const command_args *a, const run_part *part, err *e)
{
    return part->forecast->n >= 0 ? estimate_print(s, a, part->forecast, e) : estimate_print_tried(s, a, part, e);
}

int dry_run(session *s, const command *c, const command_args *a, err *e)
{
    run_estimate forecast = {.n = -1};
    run_part part = {.estimate = true, .try_seconds = TRY_SECONDS, .forecast = &forecast, .step = no_step, .n_unit = -1};
    const bool quiet = s->quiet, stored = strcmp(s->store_path, ":memory:") != 0 && access(s->store_path, R_OK) == 0;
    const progress prog = s->prog;
    int rc = 0;
    if (ranks_rank() > 0) /* of several processes the first tells it */
        return 0;
    if (s->st || stored)
        rc = store_to_read(s, &part.look, e);
    if (rc)
        return rc;
    s->part = &part;
    s->quiet = true;
    s->prog = (progress){NULL, NULL};
    rc = c->run(s, a, e);
    s->part = NULL;
    s->quiet = quiet;
    s->prog = prog;
    if (part.ended) {
        *e = (err){0};
        rc = print(s, a, &part, e);
    } else if (!rc) {
        err_set(e, ERR_USAGE, "with these words %s has no units of work to tell the time of", c->name);
        rc = err_hint(e, "leave --dry-run out");
    }
    run_estimate_free(&forecast);
    return rc;
}
