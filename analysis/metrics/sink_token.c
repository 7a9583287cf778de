#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/channel_peak.h"
#include "base/mem.h"

static const char *const form_choices[] = {"tokens", "count", "each", NULL};

static const param sink_token_params[] = {
    {"sink-token-tau", PARAM_REAL, "20", "TAU", "a sink token is above this", 0, 0, NULL, NULL},
    {"sink-token-dims", PARAM_LIST, NULL, "CHANNELS",
     "channels that tell a sink, comma-separated; default: those above tau at token 0", 0, 0, NULL, NULL},
    {"sink-token-form", PARAM_ENUM, "tokens", "FORM", "value of each sink token, their number, or value of every token", 0, 0,
     form_choices, NULL},
    {NULL, PARAM_BOOL, NULL, NULL, NULL, 0, 0, NULL, NULL},
};

typedef struct sink_token {
    double tau;
    const char *form;
    int64_t width;
    bool *told;          /* [width] channels of the option; NULL: those of token 0 */
    bool *now;           /* [width] channels of a layer */
} sink_token;

static void release(metric_ctx *c)
{
    sink_token *s = c->shared;
    free(s->told);
    free(s->now);
    free(s);
    c->shared = NULL;
}

static int read_channels(sink_token *s, const char *list, err *e)
{
    for (const char *word = list; *word;) {
        size_t len = strcspn(word, ",");
        char text[24];
        int64_t d;
        snprintf(text, sizeof text, "%.*s", (int)(len < sizeof text ? len : sizeof text - 1), word);
        if (len >= sizeof text || !parse_int(&d, text) || d < 0 || d >= s->width) {
            err_set(e, ERR_USAGE, "sink-token-dims: '%s' is not a channel of the residual stream", text);
            return err_hint(e, "channels go from 0 to %lld", (long long)(s->width - 1));
        }
        s->told[d] = true;
        word += len + (word[len] == ',');
    }
    return 0;
}

static int prepare(metric_ctx *c, err *e)
{
    const char *list = params_str(c->p, "sink-token-dims");
    sink_token *s = mem_array(1, sizeof *s, e);
    int rc = 0;
    if (!s)
        return ERR_RESOURCE;
    s->tau = params_real(c->p, "sink-token-tau");
    s->form = params_str(c->p, "sink-token-form");
    s->width = model_stack(c->model, c->kind)->width;
    c->shared = s;
    s->now = mem_array((size_t)s->width, sizeof *s->now, e);
    s->told = list ? mem_array((size_t)s->width, sizeof *s->told, e) : NULL;
    if (!s->now || (list && !s->told))
        rc = ERR_RESOURCE;
    if (!rc && list)
        rc = read_channels(s, list, e);
    if (rc)
        release(c);
    return rc;
}

static const bool *channels_of(sink_token *s, const float *first)
{
    double inverse = row_inverse_rms(first, s->width);
    for (int64_t d = 0; d < s->width && !s->told; d++)
        s->now[d] = fabs((double)first[d]) * inverse > s->tau;
    return s->told ? s->told : s->now;
}

static int hidden(metric_ctx *c, int layer, const float *x, int64_t n, int64_t width, const result_sink *out, err *e)
{
    sink_token *s = c->shared;
    const bool *channels = channels_of(s, x);
    bool count = !strcmp(s->form, "count"), each = !strcmp(s->form, "each");
    int64_t found = 0;
    double total = 0;
    int rc = 0;
    for (int64_t i = 0; i < n && !rc; i++) {
        const float *row = x + i * width;
        double inverse = row_inverse_rms(row, width), top = 0 / inverse; /* NaN for a row that is no numbers */
        for (int64_t d = 0; d < width; d++) {
            double v = channels[d] ? fabs((double)row[d]) * inverse : 0;
            top = v <= top || isnan(top) ? top : v;
        }
        bool sink = !(top <= s->tau);
        found += sink;
        total += top;
        if (each || (sink && !count))
            rc = metric_emit(c, out, layer, NO_INDEX, i, top, e);
    }
    return rc || !count ? rc : metric_emit(c, out, layer, NO_INDEX, NO_INDEX, (double)found + 0 * total, e);
}

const metric metric_sink_token = {
    .name = "sink_token",
    .summary = "tokens that carry a sink's activations, told by channels of the residual stream",
    .formula = "max_d |x_t,d| / sqrt(mean x_t^2) > tau, d in the sink's channels",
    .definition =
        "p_t = max over the sink's channels d of |x_t,d| / sqrt(mean x_t^2 + 1e-6), x the stream that layer "
        "l reads; a token is a sink when p_t > sink-token-tau.  Channels: sink-token-dims, else those for "
        "which token 0 passes the threshold (see sink_dimension; token 0 is then a sink by construction).  "
        "tokens: p_t of each sink, at its position.  count: their number.  each: p_t of every token",
    .unit = "",
    .range = "0 ..",
    .source = "Kang et al. 2025 (arXiv 2503.03321), VAR, logic.py DimProspector",
    .reading = "Finds sinks without attention: in images the patches of background that heads look at.",
    .traps =
        "Without sink-token-dims token 0 is a sink by construction. The threshold 20 is for models of 7B; "
        "small ones need less.",
    .cite = "kang2025visual",
    .missing_mass = "does not apply",
    .cost = "one pass over the residual stream",
    .validated = "PyTorch hooks on SmolLM2-135M and lantern-3m",
    .scope = METRIC_LAYER,
    .kinds = KINDS_OWN,
    .axis = AXIS_QUERY,
    .params = sink_token_params,
    .prepare = prepare,
    .release = release,
    .hidden = hidden,
};
