#include "analysis/activation.h"
#include "analysis/gate.h"

static int heads(metric_ctx *c, const head_outputs *h, const result_sink *out, err *e)
{
    int rc = 0;
    for (int head = 0; h->plan && h->ungated && head < h->plan->n_head && !rc; head++) {
        double sum = 0;
        int64_t n = 0, d = h->plan->d_v;
        for (int64_t i = 0; i < h->n; i++) {
            double before = row_norm(h->ungated + i * h->width + head * d, d);
            if (before == 0)
                continue;
            sum += row_norm(h->heads + i * h->width + head * d, d) / before;
            n++;
        }
        if (n > 0)
            rc = metric_emit(c, out, h->layer, head, NO_INDEX, sum / (double)n, e);
    }
    return rc;
}

const metric metric_gate_norm = {
    .name = "gate_norm",
    .summary = "how much of a head's output its gate lets through",
    .formula = "mean_t |g o| / |o|",
    .definition =
        "mean over tokens of ||gated output|| / ||output before the gate|| of the head; tokens whose output "
        "before the gate is 0 do not count",
    .unit = "",
    .range = "0 .. 1",
    .source = "Qiu et al. 2025 (arXiv 2505.06708); the ratio of norms is our choice",
    .reading =
        "How much of the head's output survives its gate, weighted by what the channels hold; below "
        "gate_mean the gate shuts the strong channels.",
    .traps =
        "The ratio of norms is this program's choice, not the paper's table. Only models with gated "
        "attention have it.",
    .cite = "qiu2025gated,attnscope",
    .missing_mass = "does not apply",
    .cost = "one pass over the head outputs",
    .validated = "the gate weights themselves on a small Qwen3-Next model",
    .scope = METRIC_HEAD,
    .kinds = KINDS_OWN,
    .unfit = gate_unfit,
    .heads = heads,
};
