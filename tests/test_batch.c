/* Prompts that pass together give the rows that each gives alone: every bit, in the same order. */
#include "analysis/edit.h"
#include "tests/family_cases.h"
#include "tests/model_run.h"

enum { N_PROMPT = 5, LONGEST = 130 };

static const int lengths[N_PROMPT] = {23, 1, 130, 7, 64};
static const char names[] = "sink,entropy,induction,distance,prev_token,received,value_drain,hidden_sink,jsd,nll";

typedef struct prompts { int32_t ids[N_PROMPT][LONGEST]; model_input in[N_PROMPT]; const model_input *each[N_PROMPT]; } prompts;

/* Pseudo-random ids, repeated after 11 so that induction has something to see; no longer than the model takes. */
static void make_prompts(prompts *p, const model *m)
{
    uint32_t x = 12345;
    for (int i = 0; i < N_PROMPT; i++) {
        const int n = lengths[i] < m->main->context ? lengths[i] : (int)m->main->context;
        for (int k = 0; k < n; k++) {
            x = x * 1103515245u + 12345u;
            p->ids[i][k] = k >= 11 ? p->ids[i][k - 11] : (int32_t)((x >> 8) % (uint32_t)(m->vocab > 8 ? m->vocab - 4 : 4));
        }
        p->in[i] = (model_input){.ids = p->ids[i], .n = n};
        p->each[i] = &p->in[i];
    }
}

typedef struct request { analysis_request r; const metric *list[32]; params *p; } request;

static void make_request(request *q, const model *m, const head_id *maps, int n_map)
{
    char text[sizeof names], *save = NULL;
    err e = {0};
    strcpy(text, names);
    *q = (request){0};
    assert_int_equal(params_new(&q->p, &e), 0);
    int n = 0;
    for (char *w = strtok_r(text, ",", &save); w; w = strtok_r(NULL, ",", &save)) {
        const metric *x = metric_find(w);
        assert_non_null(x);
        if (!metric_applies_somewhere(x, m))
            continue;
        if (x->params)
            assert_int_equal(params_use(q->p, x->params, &e), 0);
        q->list[n++] = x;
    }
    q->r = (analysis_request){.metrics = q->list, .n_metric = n, .p = q->p, .maps = maps, .n_map = n_map};
}

static void same_rows(const collected *a, const collected *b, const char *what, int prompt)
{
    if (a->n_value != b->n_value || a->n_map != b->n_map)
        fail_msg("%s, prompt %d: %lld values and %d maps, alone %lld and %d", what, prompt, (long long)b->n_value, b->n_map,
                 (long long)a->n_value, a->n_map);
    for (int64_t i = 0; i < a->n_value; i++) {
        const result_value *x = &a->value[i], *y = &b->value[i];
        if (strcmp(x->metric, y->metric) != 0 || x->layer != y->layer || x->head != y->head || x->position != y->position ||
            memcmp(&x->value, &y->value, sizeof x->value) != 0)
            fail_msg("%s, prompt %d: %s L%dH%d at %lld is %.17g, alone %s L%dH%d at %lld %.17g", what, prompt, y->metric,
                     y->layer,
                     y->head, (long long)y->position, y->value, x->metric, x->layer, x->head, (long long)x->position, x->value);
    }
    for (int i = 0; i < a->n_map; i++)
        assert_memory_equal(a->map[i].cells, b->map[i].cells,
                            (size_t)(a->map[i].n_query * a->map[i].n_key) * sizeof(float));
}

/* Returns false where the model's prompts cannot pass together. */
static bool check_model(const char *path, int threads, bool edited)
{
    opened o = open_model(path, threads);
    prompts p;
    request q;
    head_id maps[1] = {{o.m->main->kind, 0, 0}};
    err e = {0};
    edit_plan *plan = NULL;
    make_prompts(&p, o.m);
    bool fits = batch_fits(o.r, p.each, N_PROMPT);
    if (!fits) {
        close_model(&o);
        return false;
    }
    if (edited) {
        const head_id cut = {o.m->main->kind, 0, 1}, scaled = {o.m->main->kind, 1, 0};
        const char *const half[] = {"0.5", NULL};
        params *gamma = NULL;
        if (edit_plan_new(&plan, o.m, &e) || edit_plan_add(plan, edit_find("zero"), &cut, 1, NULL, NULL, &e) ||
            edit_params(&gamma, edit_find("scale_first"), half, &e) ||
            edit_plan_add(plan, edit_find("scale_first"), &scaled, 1, gamma, NULL, &e))
            fail_msg("%s", e.msg);
        runtime_set_edits(o.r, edit_plan_edits(plan));
    }
    make_request(&q, o.m, maps, 1);
    collected *alone = calloc(N_PROMPT, sizeof *alone), *together = calloc(N_PROMPT, sizeof *together);
    assert_true(alone && together);
    result_sink sink[N_PROMPT];
    const result_sink *to[N_PROMPT];
    for (int i = 0; i < N_PROMPT; i++) {
        result_sink own = {collect_value, collect_map, &alone[i]};
        sink[i] = (result_sink){collect_value, collect_map, &together[i]};
        to[i] = &sink[i];
        if (analyse(o.r, o.m, &p.in[i], &q.r, &own, NULL, &e))
            fail_msg("%s: %s", path, e.msg);
    }
    if (analyse_batch(o.r, o.m, p.each, N_PROMPT, &q.r, to, NULL, &e))
        fail_msg("%s: %s", path, e.msg);
    for (int i = 0; i < N_PROMPT; i++) {
        assert_true(together[i].n_value > 0 && together[i].n_map == 1);
        same_rows(&alone[i], &together[i], path, i);
        collected_free(&alone[i]);
        collected_free(&together[i]);
    }
    free(alone);
    free(together);
    params_free(q.p);
    runtime_set_edits(o.r, NULL);
    edit_plan_free(plan);
    close_model(&o);
    return true;
}

static void test_bundled(void **state)
{
    path_text path;
    (void)state;
    source_path(path, "examples/models/lantern-3m");
    assert_true(check_model(path, 1, false));
    assert_true(check_model(path, 2, false));
    assert_true(check_model(path, 3, true));
}

/* Biases, windows, caps, learned sinks, latent attention, experts, gates, parallel blocks: whatever can pass together. */
static void test_families(void **state)
{
    static model_case cases[2 * CASES_MAX];
    char root[CASE_PATH], folder[CASE_PATH];
    int together = 0;
    (void)state;
    carried_path(root, ".");
    int n = list_cases(cases, root), carried = n;
    golden_path(folder, ".");
    n += list_cases(cases + n, folder);
    if (n == carried)
        fprintf(stderr, "# no %s: %d carried families alone\n", folder, carried);
    for (int i = 0; i < n; i++)
        together += check_model(cases[i].path, 2, false);
    fprintf(stderr, "# %d of %d models\n", together, n);
    if (together < (n == carried ? 10 : 40))
        fail_msg("only %d of %d models could pass together", together, n);
}

/* A wrong prompt spoils no other: the batch says so as a whole, and gives no rows. */
static void test_errors(void **state)
{
    path_text path;
    (void)state;
    source_path(path, "examples/models/lantern-3m");
    opened o = open_model(path, 1);
    prompts p;
    request q;
    err e = {0};
    make_prompts(&p, o.m);
    p.ids[2][5] = (int32_t)o.m->vocab;
    make_request(&q, o.m, NULL, 0);
    collected c = {0};
    result_sink sink = {collect_value, collect_map, &c};
    const result_sink *to[N_PROMPT] = {&sink, &sink, &sink, &sink, &sink};
    assert_int_equal(analyse_batch(o.r, o.m, p.each, N_PROMPT, &q.r, to, NULL, &e), ERR_INPUT);
    assert_non_null(strstr(e.msg, "outside the vocabulary"));
    assert_int_equal(c.n_value, 0);
    collected_free(&c);
    params_free(q.p);
    close_model(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bundled),
        cmocka_unit_test(test_families),
        cmocka_unit_test(test_errors),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
