/* How long questions to a large store take.
 *
 *   bench_store FILE [VALUES]
 *
 * Makes the store when FILE is missing: runs of 60 prompts over a model of 32 layers of 32 heads, 16 values a head and
 * prompt, and one of 100 prompts over 80 layers of 64 heads, together VALUES (10 million) values.  Then asks what the
 * program and its users ask, each with a connection of its own (`first`), and again (`best` of five). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/rng.h"
#include "db/store.h"

enum { REPEAT = 5, PROMPTS = 60, LARGE_PROMPTS = 100, TOKENS = 64 };

static err error;

static void must(int code)
{
    if (code) {
        fprintf(stderr, "bench_store: %s\n", error.msg);
        exit(code);
    }
}

typedef struct shape { int layers, heads, prompts; const char *const *metrics; } shape;

static const char *const usual[] = {"sink", "entropy", "induction", "previous", "self", "local", "max", "first_k", "logit_max",
                                    "spread", "distance", "gini", "copy", NULL};
static const char *const few[] = {"sink", "entropy", NULL};

static void one_unit(store *s, int64_t run, int64_t index, const shape *h, rng *r)
{
    store_token tokens[TOKENS];
    char text[32];
    int n = snprintf(text, sizeof text, "prompt %lld", (long long)index);
    for (int i = 0; i < TOKENS; i++)
        tokens[i] = (store_token){i, " word", 5, false};
    const store_sequence own = {ATTN_SELF, tokens, TOKENS};
    const store_prompt p = {.text = text, .text_len = (size_t)n, .sequences = &own, .n_sequence = 1};
    must(store_unit_begin(s, run, index, &p, &error));
    for (int m = 0; h->metrics[m]; m++) {
        int positions = strcmp(h->metrics[m], "sink") == 0 && h->heads == 32 ? 4 : 1;
        for (int l = 0; l < h->layers; l++)
            for (int k = 0; k < h->heads; k++)
                for (int q = 0; q < positions; q++)
                    must(store_value(s, &(result_value){ATTN_SELF, h->metrics[m], l, k, m == 0 ? q : NO_INDEX,
                                                        rng_uniform(r)}, &error));
    }
    must(store_unit_commit(s, &error));
}

static void one_run(store *s, const shape *h, rng *r)
{
    const store_model m = {.path = "models/bench", .name = h->heads == 32 ? "middle" : "large", .family = "llama",
                           .format = "safetensors", .dtype = "bf16", .sha256 = h->heads == 32 ? "aa" : "bb",
                           .n_layer = h->layers, .n_head = h->heads, .n_kv_head = h->heads};
    const store_run run = {.verb = "run", .command = "run models/bench", .settings = "{}", .precision = "f32", .isa = "c",
                           .version = "bench", .operator_name = "softmax", .edits = "[]", .threads = 1, .seed = NO_INDEX};
    int64_t id;
    must(store_run_begin(s, &m, &run, &id, &error));
    double start = clock_seconds();
    for (int64_t i = 0; i < h->prompts; i++)
        one_unit(s, id, i, h, r);
    double written = clock_seconds();
    must(store_run_end(s, id, "done", NULL, &error));
    fprintf(stderr, "run %lld: written in %.2f s, ended in %.2f s\n", (long long)id, written - start,
            clock_seconds() - written);
}

static void make(const char *path, int64_t values)
{
    static const shape middle = {32, 32, PROMPTS, usual}, large = {80, 64, LARGE_PROMPTS, few};
    const int64_t a_run = PROMPTS * 1024 * 16, the_large = LARGE_PROMPTS * 5120 * 2;
    rng r;
    rng_seed(&r, 1, 0);
    store *s = NULL;
    must(store_open(&s, path, false, &error));
    one_run(s, &large, &r);
    for (int64_t n = the_large; n < values; n += a_run)
        one_run(s, &middle, &r);
    store_close(s);
}

static const struct { const char *name, *sql; } questions[] = {
    {"run_list", "SELECT * FROM run_list ORDER BY run DESC"},
    {"metrics of a run", "SELECT metric FROM metric_list WHERE run = 3 ORDER BY metric"},
    {"metric_summary of a run", "SELECT * FROM metric_summary WHERE run = 3"},
    {"top entropy", "SELECT row_number() OVER (ORDER BY avg(x) DESC, kind, layer, head, position) AS rank, head_name, position,"
     " avg(x) AS value FROM (SELECT kind, layer, head, head_name, position, mean AS x FROM value_summary WHERE run = 3 AND"
     " metric = 'entropy' AND head IS NOT NULL) GROUP BY kind, layer, head, position ORDER BY rank LIMIT 10"},
    {"mean per head from the values themselves", "SELECT head_name, avg(value) FROM head_value WHERE run = 3 AND metric ="
     " 'entropy' GROUP BY kind, layer, head"},
    {"head_summary, one metric", "SELECT * FROM head_summary WHERE run = 3 AND metric = 'entropy' ORDER BY mean DESC LIMIT 10"},
    {"head_summary, sink at token 0", "SELECT head_name, mean FROM head_summary WHERE run = 3 AND metric = 'sink' AND"
     " position = 0 ORDER BY mean DESC LIMIT 10"},
    {"head_summary, 5,120 heads, 100 prompts", "SELECT head_name, mean FROM head_summary WHERE run = 1 AND metric = 'sink'"
     " ORDER BY mean DESC LIMIT 10"},
    {"sink_by_layer", "SELECT * FROM sink_by_layer WHERE run = 3"},
    {"sink_by_layer, 5,120 heads", "SELECT * FROM sink_by_layer WHERE run = 1"},
    {"layer_summary", "SELECT * FROM layer_summary WHERE run = 3 AND metric = 'entropy'"},
    {"one head over prompts", "SELECT prompt, position, value FROM head_value WHERE run = 3 AND metric = 'sink' AND"
     " head_name = 'L3H7' ORDER BY prompt, position"},
    {"one head over all runs", "SELECT run, mean FROM head_summary WHERE metric = 'entropy' AND head_name = 'L3H7'"},
    {"all metrics of one head of a run", "SELECT metric, position, mean FROM head_summary WHERE run = 3 AND head_name = 'L3H7'"},
    {"one prompt, all values", "SELECT metric, layer, head, position, value FROM value_list WHERE run = 3 AND prompt = 17"},
    {"one prompt, one metric (score_grid)", "SELECT layer, head, value FROM head_value WHERE run = 3 AND metric = 'entropy'"
     " AND prompt = 17 AND kind = 'self' AND position IS NULL"},
    {"tokens of a prompt", "SELECT position, text FROM prompt_token WHERE run = 3 AND prompt = 17 ORDER BY position"},
    {"prompt_list of a run", "SELECT prompt, label, tokens, status FROM prompt_list WHERE run = 3 ORDER BY prompt"},
};

static double ask(store *s, const char *sql, int64_t *rows)
{
    table *t = NULL;
    double start = clock_seconds();
    must(store_query(s, &t, sql, NULL, 0, &error));
    double seconds = clock_seconds() - start;
    *rows = t->n_row;
    table_free(t);
    return seconds;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: bench_store FILE [VALUES]\n");
        return 2;
    }
    if (access(argv[1], F_OK))
        make(argv[1], argc > 2 ? atoll(argv[2]) : 10000000);
    printf("%-42s %8s %10s %10s\n", "question", "rows", "first ms", "best ms");
    for (size_t i = 0; i < sizeof questions / sizeof *questions; i++) {
        store *s = NULL;
        int64_t rows;
        must(store_open(&s, argv[1], true, &error));
        double first = ask(s, questions[i].sql, &rows), best = first;
        for (int k = 0; k < REPEAT; k++) {
            double t = ask(s, questions[i].sql, &rows);
            best = t < best ? t : best;
        }
        printf("%-42s %8lld %10.2f %10.2f\n", questions[i].name, (long long)rows, first * 1e3, best * 1e3);
        store_close(s);
    }
    return 0;
}
