#include <stdlib.h>
#include <string.h>
#include "analysis/metric.h"
#include "base/mem.h"

static const param sink_params[] = {
    {"sink-keys", PARAM_LIST, "0", "POSITIONS",
     "key positions, comma-separated; negative ones count from the end", 0, 0, NULL, NULL},
    {"sink-threshold", PARAM_REAL, "0.3", "EPS",
     "a head is a sink in the summary when its alpha is above this", 0, 1, NULL, NULL},
    {NULL, PARAM_BOOL, NULL, NULL, NULL, 0, 0, NULL, NULL},
};

typedef struct sink_keys {
    int64_t n;
    int64_t key[]; /* [n] increasing, no two equal */
} sink_keys;

typedef struct column {
    double sum;
    int64_t n;    /* queries that see the key */
} column;

static int increasing(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* One word of the list as a key position; *there: the attention at hand has it.  A key that only longer sequences
 * of the prompt have (the source of a translation, not its first words) is no error. */
static int read_key(int64_t *key, bool *there, const char *word, size_t len, const metric_ctx *c, err *e)
{
    int64_t n = c->most_key > c->n_key ? c->most_key : c->n_key;
    char text[24];
    if (len < sizeof(text)) {
        memcpy(text, word, len);
        text[len] = '\0';
        if (parse_int(key, text)) {
            if (*key < -n || *key >= n) {
                err_set(e, ERR_USAGE, "sink-keys: key %s is outside the prompt (%lld token%s)", text,
                        (long long)n, n == 1 ? "" : "s");
                return err_hint(e, "keys go from 0 to %lld, or from -1 (the last) to -%lld",
                                (long long)(n - 1), (long long)n);
            }
            if (*key < 0)
                *key += c->n_key;
            *there = *key >= 0 && *key < c->n_key;
            return 0;
        }
    }
    err_set(e, ERR_USAGE, "sink-keys: '%.*s' is not a key position", (int)(len < 40 ? len : 40), word);
    return err_hint(e, "give whole numbers separated by commas, for example --sink-keys 0,1,-1");
}

static int prepare(metric_ctx *c, err *e)
{
    const char *list = params_str(c->p, "sink-keys");
    size_t n = 1;
    for (const char *s = list; *s; s++)
        n += *s == ',';
    sink_keys *keys = mem_array(1, sizeof(*keys) + n * sizeof(keys->key[0]), e);
    if (!keys)
        return ERR_RESOURCE;
    for (const char *word = list;; ) {
        size_t len = strcspn(word, ",");
        bool there = false;
        int r = read_key(&keys->key[keys->n], &there, word, len, c, e);
        if (r != 0) {
            free(keys);
            return r;
        }
        keys->n += there;
        if (word[len] == '\0')
            break;
        word += len + 1;
    }
    qsort(keys->key, (size_t)keys->n, sizeof(keys->key[0]), increasing);
    int64_t kept = keys->n > 0;
    for (int64_t i = 1; i < keys->n; i++)
        if (keys->key[i] != keys->key[kept - 1])
            keys->key[kept++] = keys->key[i];
    keys->n = kept;
    c->shared = keys;
    return 0;
}

static void release(metric_ctx *c)
{
    free(c->shared);
    c->shared = NULL;
}

static size_t state_size(const metric_ctx *c)
{
    const sink_keys *keys = c->shared;
    return (size_t)keys->n * sizeof(column);
}

static bool reads(const metric_ctx *c, const attn_tile *part)
{
    const sink_keys *keys = c->shared;
    bool any = false;
    for (int64_t i = 0; i < keys->n && !any; i++)
        any = keys->key[i] >= part->k0 && keys->key[i] < part->k0 + part->n_key;
    return any;
}

static void tile(void *state, const metric_ctx *c, const attn_tile *t)
{
    column *columns = state;
    const sink_keys *keys = c->shared;
    for (int64_t i = 0; i < keys->n; i++) {
        int64_t key = keys->key[i];
        if (key < t->k0 || key >= t->k0 + t->n_key)
            continue;
        double sum = columns[i].sum;
        int64_t n = columns[i].n;
        for (int64_t q = 0; q < t->n_query; q++) {
            if (key < t->visible_lo[q] || key >= t->visible_hi[q])
                continue;
            sum += (double)attn_tile_at(t, t->q0 + q, key);
            n++;
        }
        columns[i] = (column){sum, n};
    }
}

static void merge(void *into, const void *from, const metric_ctx *c)
{
    const sink_keys *keys = c->shared;
    column *a = into;
    const column *b = from;
    for (int64_t i = 0; i < keys->n; i++) {
        a[i].sum += b[i].sum;
        a[i].n += b[i].n;
    }
}

static int finish(const void *state, const metric_ctx *c, int layer, int head, const result_sink *out, err *e)
{
    const sink_keys *keys = c->shared;
    const column *columns = state;
    int r = 0;
    for (int64_t i = 0; i < keys->n && r == 0; i++)
        if (columns[i].n > 0)
            r = metric_emit(c, out, layer, head, keys->key[i], columns[i].sum / (double)columns[i].n, e);
    return r;
}

const metric metric_sink = {
    .name = "sink",
    .summary = "attention that a key receives (alpha), the first key by default",
    .formula = "alpha_k = sum_{i >= k} A[i][k] / (n - k)",
    .definition =
        "alpha_k = sum over queries i of A[i][k], divided by the number of queries that see key k: n - k "
        "under a causal mask (query k itself included), at most the window where there is one.  A head is "
        "a sink for k when alpha_k > sink-threshold (strictly), and the sink rate is the share of such "
        "heads: binarise each prompt first, then average over prompts.  Uniform causal attention has "
        "alpha_0 = (1 + 1/2 + .. + 1/n) / n",
    .unit = "",
    .range = "0 .. 1",
    .source = "Gu et al. 2024 (arXiv 2410.10781), equation 7 and eval_sink_open_source.py",
    .reading =
        "Above the threshold (0.3) the head is a sink for that key; in large decoders most heads are, more "
        "of them in later layers. It says that a head rests, not that the first token matters: value_drain "
        "and head_norm show how little is added.",
    .traps =
        "It falls as the prompt grows, more so for a large threshold: compare equal lengths and name "
        "threshold and length. Column 0 is BOS for some tokenizers and a plain word for others. Binarise "
        "each prompt before averaging.",
    .cite = "gu2025sink,xiao2024streaming,guo2024dormant",
    .missing_mass = "rows are taken as they are: a learned sink is no key, its share lowers every alpha",
    .cost = "tiles, chosen columns only",
    .scope = METRIC_HEAD,
    .need = ATTN_NEED_PROBS,
    .kinds = KINDS_ALL,
    .axis = AXIS_KEY,
    .validated = "sink0 of the reference files (two models, nine prompts): 1e-4; uniform, identity and pure-sink attention",
    .params = sink_params,
    .prepare = prepare,
    .release = release,
    .state_size = state_size,
    .tile = tile,
    .reads = reads,
    .merge = merge,
    .finish = finish,
};
