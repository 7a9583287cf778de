/* Models, paths and collected results for the tests that run a whole model.  Uses cmocka's asserts. */
#ifndef ATTNSCOPE_TESTS_MODEL_RUN_H
#define ATTNSCOPE_TESTS_MODEL_RUN_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "analysis/analyse.h"

typedef char path_text[1024];

/* A file of the source tree. */
static inline void source_path(path_text out, const char *name)
{
    const char *dir = getenv("srcdir");
    snprintf(out, sizeof(path_text), "%s/%s", dir ? dir : ".", name);
}

/* A file of the reference data that lies beside the source tree; skips the test when it is not there. */
static inline void shared_path(path_text out, const char *name)
{
    const char *dir = getenv("ATTNSCOPE_SHARED"), *src = getenv("srcdir");
    if (dir)
        snprintf(out, sizeof(path_text), "%s/%s", dir, name);
    else
        snprintf(out, sizeof(path_text), "%s/../shared/%s", src ? src : ".", name);
    if (access(out, R_OK) != 0) {
        fprintf(stderr, "# skipped: no %s\n", out);
        skip();
    }
}

/* SmolLM2 as examples/get-smollm2 places it, or where ATTNSCOPE_SMOLLM2 says. */
static inline void smollm2_path(path_text out)
{
    const char *file = getenv("ATTNSCOPE_SMOLLM2");
    if (file)
        snprintf(out, sizeof(path_text), "%s", file);
    else
        source_path(out, "examples/models/SmolLM2-135M-Instruct.Q4_1.gguf");
    if (access(out, R_OK) != 0) {
        fprintf(stderr, "# skipped: no %s (examples/get-smollm2 fetches it)\n", out);
        skip();
    }
}

typedef struct opened {
    model *m;
    runtime *r;
} opened;

static inline opened open_model(const char *path, int threads)
{
    opened o = {0};
    err e = {0};
    if (model_open(&o.m, path, &e) || runtime_new(&o.r, o.m, threads, PRECISION_F32, &e))
        fail_msg("%s: %s", path, e.msg);
    return o;
}

static inline void close_model(opened *o)
{
    runtime_free(o->r);
    model_free(o->m);
    *o = (opened){0};
}

/* Everything that an analysis hands over, in its order. */
typedef struct collected {
    int64_t n_value, cap;
    result_value *value;
    int n_map;
    result_map map[64];  /* cells are copies */
    int stop_at;         /* > 0: refuse the value of this number (from 1) */
    err e;
} collected;

static inline int collect_value(void *ud, const result_value *v, err *e)
{
    collected *c = ud;
    assert_true(isfinite(v->value));
    if (c->stop_at > 0 && c->n_value + 1 == c->stop_at)
        return err_set(e, ERR_FAILED, "refused");
    if (c->n_value == c->cap) {
        c->cap = c->cap ? 2 * c->cap : 256;
        c->value = realloc(c->value, (size_t)c->cap * sizeof(*c->value));
        assert_non_null(c->value);
    }
    const metric *known = metric_find(v->metric);
    c->value[c->n_value] = *v;
    c->value[c->n_value++].metric = known ? known->name : v->metric; /* what was given may end with the call */
    return 0;
}

static inline int collect_map(void *ud, const result_map *m, err *e)
{
    collected *c = ud;
    (void)e;
    assert_in_range(c->n_map, 0, 63);
    int64_t rows = (m->n_query + m->pool - 1) / m->pool, cols = (m->n_key + m->pool - 1) / m->pool;
    float *cells = malloc((size_t)(rows * cols) * sizeof(float));
    assert_non_null(cells);
    memcpy(cells, m->cells, (size_t)(rows * cols) * sizeof(float));
    c->map[c->n_map] = *m;
    c->map[c->n_map++].cells = cells;
    return 0;
}

static inline void collected_free(collected *c)
{
    for (int i = 0; i < c->n_map; i++)
        free((void *)(uintptr_t)c->map[i].cells);
    free(c->value);
    *c = (collected){0};
}

/* Analyse with metrics by name (comma-separated) and parameters ("name=value", NULL-terminated; NULL: none);
 * returns analyse's code, its error in c->e. */
static inline int run_analysis_of(collected *c, const opened *o, const model_input *in, const char *names,
                                  const char *const *settings, const head_id *maps, int n_map, int64_t map_limit)
{
    const metric *list[32];
    int n_metric = 0;
    char text[512], *save = NULL;
    params *p;
    *c = (collected){.stop_at = c->stop_at};
    assert_true(strlen(names) < sizeof(text));
    strcpy(text, names);
    assert_int_equal(params_new(&p, &c->e), 0);
    for (char *w = strtok_r(text, ",", &save); w; w = strtok_r(NULL, ",", &save)) {
        assert_in_range(n_metric, 0, 31);
        assert_non_null(list[n_metric] = metric_find(w));
        if (list[n_metric]->params)
            assert_int_equal(params_use(p, list[n_metric]->params, &c->e), 0);
        n_metric++;
    }
    for (int i = 0; settings && settings[i]; i++) {
        char name[64];
        const char *eq = strchr(settings[i], '=');
        assert_true(eq && (size_t)(eq - settings[i]) < sizeof(name));
        snprintf(name, sizeof(name), "%.*s", (int)(eq - settings[i]), settings[i]);
        assert_int_equal(params_set(p, name, eq + 1, &c->e), 0);
    }
    analysis_request req = {.metrics = list, .n_metric = n_metric, .p = p, .maps = maps, .n_map = n_map, .map_limit = map_limit};
    result_sink sink = {collect_value, collect_map, c};
    int r = analyse(o->r, o->m, in, &req, &sink, NULL, &c->e);
    params_free(p);
    return r;
}

/* The same on tokens alone. */
static inline int run_analysis(collected *c, const opened *o, const int32_t *ids, int64_t n, const char *names,
                               const char *const *settings, const head_id *maps, int n_map, int64_t map_limit)
{
    return run_analysis_of(c, o, &(model_input){.ids = ids, .n = n}, names, settings, maps, n_map, map_limit);
}

/* The value of a metric at a head and position; fails when it is not there exactly once. */
static inline double value_of(const collected *c, const char *metric_name, int layer, int head,
                              int64_t position)
{
    double found = NAN;
    for (int64_t i = 0; i < c->n_value; i++) {
        const result_value *v = &c->value[i];
        if (strcmp(v->metric, metric_name) || v->layer != layer || v->head != head || v->position != position)
            continue;
        if (!isnan(found))
            fail_msg("%s of L%dH%d twice", metric_name, layer, head);
        found = v->value;
    }
    if (isnan(found))
        fail_msg("no %s of L%dH%d at %lld", metric_name, layer, head, (long long)position);
    return found;
}

#endif
