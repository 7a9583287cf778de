/* The registry of metrics: every entry is complete and says how it is fed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "analysis/metric.h"

/* Fed by something, and by what its scope says. */
static void assert_is_fed(const metric *m)
{
    bool streams = m->inputs || m->heads || m->hidden || m->added || m->inner || m->end || m->panels;
    if (m->scope == METRIC_LOGITS || m->scope == METRIC_WEIGHTS) {
        assert_int_equal(m->logits != NULL, m->scope == METRIC_LOGITS);
        assert_int_equal(m->weights != NULL, m->scope == METRIC_WEIGHTS);
        assert_true(!m->rows && !m->tile && !streams);
        return;
    }
    assert_true(!m->logits && !m->weights);
    assert_true(streams || m->rows || m->tile);
    assert_int_equal(m->tile != NULL, (m->need & ATTN_NEED_PROBS) != 0);
    assert_int_equal(m->rows != NULL, (m->need & ~(unsigned)ATTN_NEED_PROBS) != 0);
    if (m->rows || m->tile)
        assert_true(m->state_size && m->merge && m->finish);
    if (m->panels)
        assert_true(m->panel_size && m->panel_merge && m->panel_finish);
}

static bool starts_with_first_word(const char *option, const char *name)
{
    size_t len = strcspn(name, "_");
    return !strncmp(option, name, len) && option[len] == '-';
}

static void test_registry_is_complete(void **state)
{
    (void)state;
    assert_non_null(metrics[0]);
    for (const metric *const *p = metrics; *p; p++) {
        const metric *m = *p;
        const char *texts[] = {m->name, m->summary, m->definition, m->unit, m->range, m->source,
                               m->missing_mass, m->cost};
        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
            assert_non_null(texts[i]);
            assert_null(strchr(texts[i], '\n'));
        }
        assert_true(strlen(m->definition) > 20);
        assert_true(strlen(m->source) > 5);
        assert_ptr_equal(metric_find(m->name), m);
        if (p[1])
            assert_true(strcmp(m->name, p[1]->name) < 0);
        for (const char *s = m->name; *s; s++)
            assert_true((*s >= 'a' && *s <= 'z') || *s == '_');
        assert_is_fed(m);
        assert_true(m->kinds != 0 && (m->kinds & ~(unsigned)KINDS_ALL) == 0);
        assert_in_range(m->axis, 0, AXIS_LAST);
        assert_true(m->prepare || !m->release);
        for (const param *o = m->params; o && o->name; o++)
            if (!starts_with_first_word(o->name, m->name))
                fail_msg("%s has option %s", m->name, o->name);
    }
    assert_null(metric_find("entrop"));
    assert_null(metric_find(""));
}

/* An option that two metrics have is the same option. */
static void test_options_are_unambiguous(void **state)
{
    (void)state;
    for (const metric *const *p = metrics; *p; p++)
        for (const param *a = (*p)->params; a && a->name; a++)
            for (const metric *const *q = p + 1; *q; q++)
                for (const param *b = (*q)->params; b && b->name; b++)
                    if (!strcmp(a->name, b->name) &&
                        (a->kind != b->kind || strcmp(a->help, b->help) || strcmp(a->def ? a->def : "", b->def ? b->def : "")))
                        fail_msg("%s of %s and %s differ", a->name, (*p)->name, (*q)->name);
}

static void test_defaults_exist(void **state)
{
    (void)state;
    char list[256], *save = NULL;
    int n = 0;
    assert_true(strlen(metric_defaults) < sizeof(list));
    strcpy(list, metric_defaults);
    for (char *w = strtok_r(list, ",", &save); w; w = strtok_r(NULL, ",", &save), n++)
        if (!metric_find(w))
            fail_msg("%s is no metric", w);
    assert_true(n >= 9);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registry_is_complete),
        cmocka_unit_test(test_options_are_unambiguous),
        cmocka_unit_test(test_defaults_exist),
    };
    return cmocka_run_group_tests_name("metric registry", tests, NULL, NULL);
}
