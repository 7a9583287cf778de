/* What an experiment will take, told before it begins. */
#include <stdlib.h>
#include <unistd.h>
#include "base/mem.h"
#include "base/ranks.h"
#include "cli/estimate.h"
#include "cli/experiment_parts.h"

#define TERMINAL_SECONDS 5
#define LOG_SECONDS 30

/* Lengths and request of unit i; p->request stays NULL where they are not known. */
static int prompt_of(estimate_prompt *p, const experiment_plan *plan, int64_t i, err *e)
{
    prompt_input in = {0};
    *p = (estimate_prompt){0};
    if (plan->lengths)
        return plan->lengths(plan->ud, i, &p->n, &p->request, e);
    int rc = plan->input ? plan->input(plan->ud, i, &in, &p->request, e) : 0;
    if (!rc && p->request)
        rc = input_measure(&p->n, plan->lm->m, &in.in, e);
    prompt_free(&in);
    return rc;
}

/* *out [n_unit]; NULL where some unit is no prompt. */
static int all_prompts(estimate_prompt **out, const experiment_plan *plan, err *e)
{
    *out = NULL;
    if (!plan->lm->rt || !(plan->lengths || plan->input))
        return 0;
    estimate_prompt *p = mem_array((size_t)plan->n_unit, sizeof *p, e);
    bool known = true;
    int rc = p ? 0 : ERR_RESOURCE;
    for (int64_t i = 0; i < plan->n_unit && !rc && known; i++) {
        rc = prompt_of(&p[i], plan, i, e);
        known = p[i].request != NULL;
    }
    if (!rc && known) {
        *out = p;
        return 0;
    }
    free(p);
    return rc;
}

int experiment_forecast(run_estimate *out, const experiment_plan *plan, err *e)
{
    estimate_prompt *prompts;
    out->n = -1;
    int rc = all_prompts(&prompts, plan, e);
    if (!rc && prompts)
        rc = estimate_run(out, plan->s, plan->lm, prompts, plan->n_unit, e);
    if (rc)
        out->n = -1;
    free(prompts);
    return rc;
}

static int announce(const experiment_plan *plan, const estimate_prompt *prompts, double worth, err *e)
{
    run_estimate r;
    double seconds;
    const double from = worth / 4; /* attention is slower, and there is the rest */
    int rc = estimate_least(&seconds, plan->s, plan->lm, prompts, plan->n_unit, from, e);
    if (rc || seconds < from)
        return rc;
    rc = estimate_run(&r, plan->s, plan->lm, prompts, plan->n_unit, e);
    if (!rc && prompt_seconds(&r.all) >= worth) {
        strbuf b = {0};
        estimate_put_line(&b, &r);
        say(plan->s, "%s", strbuf_str(&b));
        strbuf_free(&b);
    }
    if (!rc)
        run_estimate_free(&r);
    return rc;
}

int experiment_announce(const experiment_plan *plan, err *e)
{
    const double worth = isatty(STDERR_FILENO) ? TERMINAL_SECONDS : LOG_SECONDS;
    estimate_prompt *prompts;
    if (plan->s->quiet || !plan->lengths || ranks_size() > 1)
        return 0;
    int rc = all_prompts(&prompts, plan, e);
    if (!rc && prompts)
        rc = announce(plan, prompts, worth, e);
    free(prompts);
    return rc;
}
