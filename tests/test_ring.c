/* A sequence split over ranks against the same run in one process: values of all metrics that can be measured so, in
 * their order.  The tests start mpirun with this program itself as the ranks. */
#include "tests/model_run.h"

#include <sys/wait.h>
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "analysis/ring.h"
#include "base/mem.h"
#include "base/rng.h"
#include "tests/family_cases.h"

/* ---- what a rank does ---- */

enum { MOST_METRICS = 128 };

/* All metrics of rows and logits that need no words and no options, or those of rows and logits alone. */
static int choose(const metric **out, const model *m, bool tiles)
{
    static const int32_t id;
    int n = 0;
    for (const metric *const *i = metrics; *i && n < MOST_METRICS; i++) {
        const analysis_request one = {.metrics = i, .n_metric = 1};
        bool wanted = (*i)->scope != METRIC_WEIGHTS && !(*i)->by_name && !(*i)->by_text && !(*i)->asks &&
                      metric_applies_somewhere(*i, m) && (tiles || !((*i)->need & (ATTN_NEED_PROBS | ATTN_NEED_COLUMNS)));
        if (wanted && analyse_split_check(m, &(model_input){.ids = &id, .n = 0}, &one, NULL) == 0)
            out[n++] = *i;
    }
    return n;
}

typedef struct side_by_side {
    const opened *o;
    const char *path;
    const int32_t *ids;
    int64_t n;
    double gate;             /* of a difference, times the value where that is above 1 */
    double worst;
    int64_t values;
} side_by_side;

static int differs(side_by_side *s, const result_value *a, const result_value *b)
{
    double scale = fabs(b->value) > 1 ? fabs(b->value) : 1, d = fabs(a->value - b->value) / scale;
    bool same_place = a->kind == b->kind && a->layer == b->layer && a->head == b->head && a->position == b->position &&
                      strcmp(a->metric, b->metric) == 0;
    s->worst = d > s->worst ? d : s->worst;
    if (same_place && d <= s->gate)
        return 0;
    fprintf(stderr, "%s, %lld tokens, %d ranks: %s L%dH%d at %lld is %.9g, alone %s L%dH%d at %lld %.9g\n", s->path,
            (long long)s->n, ranks_size(), a->metric, a->layer, a->head, (long long)a->position, a->value, b->metric, b->layer,
            b->head, (long long)b->position, b->value);
    return 1;
}

static int compare(side_by_side *s, bool tiles)
{
    const metric *list[MOST_METRICS];
    collected alone = {0}, split = {0};
    const result_sink to_alone = {collect_value, collect_map, &alone}, to_split = {collect_value, collect_map, &split};
    const model_input in = {.ids = s->ids, .n = s->n};
    params *p = NULL;
    err e = {0};
    int rc = params_new(&p, &e);
    analysis_request req = {.metrics = list, .p = p};
    req.n_metric = choose(list, s->o->m, tiles);
    for (int i = 0; i < req.n_metric && !rc; i++)
        if (list[i]->params)
            rc = params_use(p, list[i]->params, &e);
    s->gate = tiles ? 1e-9 : 1e-5; /* where tiles are wanted the weights have the same bits */
    if (!rc && ranks_rank() == 0)
        rc = analyse(s->o->r, s->o->m, &in, &req, &to_alone, NULL, &e);
    rc = ranks_agree(rc, &e);
    if (!rc)
        rc = analyse_split(s->o->r, s->o->m, &in, &req, ranks_rank() == 0 ? &to_split : NULL, NULL, NULL, &e);
    if (rc && ranks_rank() == 0)
        fprintf(stderr, "%s, %lld tokens: %s\n", s->path, (long long)s->n, e.msg);
    if (!rc && alone.n_value != split.n_value) {
        fprintf(stderr, "%s, %lld tokens: %lld values, alone %lld\n", s->path, (long long)s->n, (long long)split.n_value,
                (long long)alone.n_value);
        rc = ERR_DIFFERS;
    }
    for (int64_t i = 0; i < alone.n_value && !rc; i++)
        rc = differs(s, &split.value[i], &alone.value[i]) ? ERR_DIFFERS : 0;
    s->values += split.n_value;
    collected_free(&alone);
    collected_free(&split);
    params_free(p);
    return rc;
}

/* ring_rank MODEL LENGTH...: 0 when all agree. */
static int rank_main(int argc, char **argv)
{
    err e = {0};
    side_by_side s = {.path = argv[2]};
    int rc = ranks_begin(&e);
    if (rc) {
        fprintf(stderr, "%s\n", e.msg);
        return rc;
    }
    opened o = open_model(argv[2], 1);
    s.o = &o;
    for (int i = 3; i < argc && !rc; i++) {
        rng random;
        rng_seed(&random, 7, (uint64_t)i);
        s.n = strtoll(argv[i], NULL, 10);
        if (s.n > o.m->main->context)
            s.n = o.m->main->context;
        int32_t *ids = mem_array((size_t)s.n, sizeof *ids, NULL);
        for (int64_t k = 0; k < s.n; k++)
            ids[k] = (int32_t)rng_below(&random, o.m->main->embed.tokens.n_out);
        for (int64_t k = 0; k < s.n; k++) /* nothing that a stack takes for padding */
            ids[k] = ids[k] == o.m->main->embed.pad_id ? (ids[k] ? 0 : 1) : ids[k];
        s.ids = ids;
        rc = compare(&s, false);
        rc = ranks_agree(rc, NULL);
        if (!rc)
            rc = ranks_agree(compare(&s, true), NULL);
        free(ids);
    }
    if (ranks_rank() == 0 && !rc)
        fprintf(stderr, "# %s, %d ranks: %lld values, largest difference %.2g\n", s.path, ranks_size(), (long long)s.values,
                s.worst);
    close_model(&o);
    ranks_end();
    return rc;
}

/* ---- the tests ---- */

static const char *self;

static bool can_run(void)
{
#ifdef WITH_MPI
    if (system("mpirun --version >/dev/null 2>&1") == 0)
        return true;
    fprintf(stderr, "# skipped: no mpirun\n");
#else
    fprintf(stderr, "# skipped: built without MPI (./configure --with-mpi)\n");
#endif
    return false;
}

static void on_ranks(int n, const char *model_path, const char *lengths)
{
    char command[4096];
    snprintf(command, sizeof command, "OMPI_MCA_rmaps_base_oversubscribe=1 mpirun --allow-run-as-root --oversubscribe -q -n %d"
             " '%s' ring_rank '%s' %s 1>&2", n, self, model_path, lengths);
    int status = system(command);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg("%d ranks, %s: exit status %d", n, model_path, WEXITSTATUS(status));
}

static void test_bundled_model(void **state)
{
    path_text path;
    (void)state;
    if (!can_run())
        skip();
    source_path(path, "examples/models/lantern-3m");
    on_ranks(2, path, "1 2 3 67 200");
    on_ranks(4, path, "1 3 7 8 9 130 201");
    on_ranks(3, path, "2 5 40");
    on_ranks(7, path, "6 9 100");
}

static void golden_model(const char *name, const char *lengths)
{
    char path[CASE_PATH];
    if (!can_run())
        skip();
    golden_path(path, name);
    if (access(path, R_OK) != 0)
        carried_path(path, name);
    if (access(path, R_OK) != 0) {
        fprintf(stderr, "# skipped: no %s\n", path);
        skip();
    }
    on_ranks(2, path, lengths);
    on_ranks(4, path, lengths);
}

#define FAMILY(NAME) \
    static void test_##NAME(void **state) \
    { \
        (void)state; \
        golden_model(#NAME, "3 31 90"); \
    }
FAMILY(llama)
FAMILY(qwen2)
FAMILY(gemma2)
FAMILY(gemma3)
FAMILY(mistral)
FAMILY(bloom)
FAMILY(gpt2)
FAMILY(mpt)
FAMILY(gpt_oss)
FAMILY(deepseek_v3)
FAMILY(mixtral)
FAMILY(bert)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bundled_model), cmocka_unit_test(test_llama), cmocka_unit_test(test_qwen2),
        cmocka_unit_test(test_gemma2), cmocka_unit_test(test_gemma3), cmocka_unit_test(test_mistral),
        cmocka_unit_test(test_bloom), cmocka_unit_test(test_gpt2), cmocka_unit_test(test_gpt_oss), cmocka_unit_test(test_mpt),
        cmocka_unit_test(test_deepseek_v3), cmocka_unit_test(test_mixtral), cmocka_unit_test(test_bert),
    };
    self = argv[0];
    if (argc > 3 && strcmp(argv[1], "ring_rank") == 0)
        return rank_main(argc, argv);
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
