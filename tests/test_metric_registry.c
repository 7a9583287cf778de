/* The registry of metrics: every entry is complete and says how it is fed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "analysis/bibliography.h"
#include "analysis/edit.h"
#include "analysis/metric.h"
#include "plots/figure.h"

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

static void assert_prose(const char *name, const char *what, const char *text)
{
    if (!text || strlen(text) < 20 || strchr(text, '\n') || text[strlen(text) - 1] != '.')
        fail_msg("%s: %s is no sentence: %s", name, what, text ? text : "(none)");
}

static void assert_cites(const char *name, const char *list)
{
    const char *key;
    size_t n;
    int count = 0;
    assert_non_null(list);
    for (; bib_next(&list, &key, &n); count++)
        if (!bib_find(key, n))
            fail_msg("%s cites %.*s, which the bibliography has not", name, (int)n, key);
    if (!count)
        fail_msg("%s cites nothing", name);
}

/* Everything that `explain` tells is there. */
static void test_members_explain_themselves(void **state)
{
    (void)state;
    for (const metric *const *p = metrics; *p; p++) {
        const metric *m = *p;
        if (!m->formula || strlen(m->formula) < 5 || strlen(m->formula) > 140 || strchr(m->formula, '\n'))
            fail_msg("%s: formula is no line", m->name);
        assert_prose(m->name, "reading", m->reading);
        assert_prose(m->name, "traps", m->traps);
        assert_cites(m->name, m->cite);
    }
    for (const edit *const *p = edits; *p; p++) {
        assert_prose((*p)->name, "reading", (*p)->reading);
        assert_prose((*p)->name, "traps", (*p)->traps);
        assert_cites((*p)->name, (*p)->cite);
    }
    for (const figure *const *p = figures; *p; p++) {
        assert_prose((*p)->name, "reading", (*p)->reading);
        assert_prose((*p)->name, "traps", (*p)->traps);
    }
}

/* Number of times that c stands in s. */
static int count(const char *s, char c)
{
    int n = 0;
    for (; *s; s++)
        n += *s == c;
    return n;
}

static void test_bibliography_is_sound(void **state)
{
    (void)state;
    for (const bib_entry *x = bibliography; x->key; x++) {
        strbuf b = {0}, text = {0};
        assert_true(x->author && x->title && x->year && x->type);
        assert_int_equal(strlen(x->year), 4);
        assert_true(!strcmp(x->type, "article") || !strcmp(x->type, "inproceedings") || !strcmp(x->type, "misc"));
        assert_true(strcmp(x->type, "misc") ? x->venue != NULL : true);
        if (x[1].key)
            assert_true(strcmp(x->key, x[1].key) < 0);
        if (x->eprint)
            assert_true(strlen(x->eprint) == 10 && x->eprint[4] == '.' && strspn(x->eprint, "0123456789.") == 10);
        bib_put_bibtex(&b, x);
        bib_put_text(&text, x);
        assert_int_equal(count(b.s, '{'), count(b.s, '}'));
        assert_int_equal(b.s[0], '@');
        assert_string_equal(b.s + b.len - 3, "\n}\n");
        assert_non_null(strstr(b.s, x->key));
        assert_non_null(strstr(text.s, x->title));
        strbuf_free(&b);
        strbuf_free(&text);
    }
    assert_null(bib_find("gu2025", 6));
}

static void test_names_of_authors(void **state)
{
    static const struct { const char *key, *text; } cases[] = {
        {"roy2007", "Roy and Vetterli 2007, The Effective Rank"},
        {"lin1991", "Lin 1991, Divergence Measures"},
        {"gu2025sink", "Gu et al. 2025, When Attention Sink"},
        {"openai2025gptoss", "OpenAI 2025, gpt-oss"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        strbuf b = {0};
        bib_put_text(&b, bib_find(cases[i].key, strlen(cases[i].key)));
        assert_memory_equal(b.s, cases[i].text, strlen(cases[i].text));
        strbuf_free(&b);
    }
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
        cmocka_unit_test(test_members_explain_themselves),
        cmocka_unit_test(test_bibliography_is_sound),
        cmocka_unit_test(test_names_of_authors),
        cmocka_unit_test(test_options_are_unambiguous),
        cmocka_unit_test(test_defaults_exist),
    };
    return cmocka_run_group_tests_name("metric registry", tests, NULL, NULL);
}
