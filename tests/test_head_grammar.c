/* The grammar of head selections: what each form chooses, in which order, and what is said of those that are none. */
#include "cli/head_grammar.h"
#include "cli/head_select.h"
#include "cli/hook_name.h"
#include "cli/run_name.h"
#include "tests/store_fixture.h"
#include "tests/tiny_model.h"

/* ---- a model of four layers, three of four heads and one of two, and runs of it ---- */

enum { LAYERS = 4 };
static model_layer four_layers[LAYERS];
static stack four_stack;
static model four;
static session *with_store;

static int heads_of(int layer)
{
    return layer < 3 ? 4 : 2;
}

static void put(store *st, const char *metric, int layer, int head, int64_t position, double value)
{
    const result_value v = {ATTN_SELF, metric, layer, head, position, value};
    MUST(store_value(st, &v, &error));
}

/* entropy: ties in layer 0, upwards in 1, downwards in 2, L3H1 has none; sink at two positions; one in five induces. */
static void put_values(store *st, double turn)
{
    for (int l = 0; l < LAYERS; l++)
        for (int h = 0; h < heads_of(l); h++) {
            if (!(l == 3 && h == 1) && turn == 0)
                put(st, "entropy", l, h, NO_INDEX, l == 0 ? 1 : l == 1 ? h * .5 : l == 2 ? 2 - h * .5 : .25);
            put(st, "sink", l, h, 0, turn == 0 ? .0625 * (4 * l + h) : turn - .0625 * (4 * l + h));
            if (turn == 0)
                put(st, "sink", l, h, 1, l == 3 ? 1 : 0);
            if (turn == 0)
                put(st, "induction", l, h, NO_INDEX, (4 * l + h) % 5 == 1 ? .9 : .1);
        }
}

static int64_t add_run(store *st, const char *name, double turn, const char *status)
{
    store_model m = a_model;
    int64_t run = 0;
    m.name = name;
    m.plan = "0-2: 4 heads of 16, causal\n3: 2 heads of 16, causal";
    m.sha256 = name;
    MUST(store_run_begin(st, &m, &a_run, &run, &error));
    MUST(begin_unit(st, run, 0, &error));
    put_values(st, turn);
    if (!strcmp(name, "big"))
        put(st, "distance", 7, 7, NO_INDEX, 1);
    MUST(store_unit_commit(st, &error));
    MUST(store_run_end(st, run, status, NULL, &error));
    return run;
}

static int setup(void **state)
{
    static char name[] = "tiny";
    static const store_head mine[] = {{{ATTN_SELF, 2, 1}, .5}, {{ATTN_SELF, 0, 3}, .25}}, far[] = {{{ATTN_SELF, 9, 0}, 1}};
    store *st;
    (void)state;
    memset(four_layers, 0, sizeof four_layers);
    for (int l = 0; l < LAYERS; l++)
        four_layers[l].self.plan.n_head = heads_of(l);
    four_stack = (stack){.n_layer = LAYERS, .n_run = LAYERS, .layers = four_layers};
    four = (model){.main = &four_stack, .name = name};
    MUST(session_new(&with_store, &error));
    MUST(session_store(with_store, &st, &error));
    assert_int_equal(add_run(st, "tiny", 0, "done"), 1);
    assert_int_equal(add_run(st, "tiny", 1.5, "done"), 2);
    assert_int_equal(add_run(st, "big", 0, "done"), 3);
    assert_int_equal(add_run(st, "tiny", 0, "failed"), 4);
    MUST(store_head_set(st, "mine", "x", "0", mine, 2, false, &error));
    MUST(store_head_set(st, "far", "x", "0", far, 1, false, &error));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    session_free(with_store);
    return 0;
}

/* "L0H1 L2H0", "L2 L3" of layers, or the error. */
static void put_chosen(strbuf *out, int rc, head_id *heads, int n, const err *e)
{
    strbuf_clear(out);
    if (rc) {
        assert_int_equal(rc, e->code);
        if (!e->hint[0])
            fail_msg("no hint for: %s", e->msg);
        strbuf_printf(out, "%s%s", e->code == ERR_USAGE ? "" : "not a matter of words: ", e->msg);
        return;
    }
    for (int i = 0; i < n; i++) {
        head_text t;
        head_format(t, heads[i]);
        if (heads[i].head == NO_INDEX)
            snprintf(t, sizeof t, "%sL%d", heads[i].kind == ATTN_SELF ? "" : "enc.", heads[i].layer);
        strbuf_printf(out, "%s%s", i ? " " : "", t);
    }
    free(heads);
}

typedef struct table_case { const char *text, *want; } table_case;

static void hold(const table_case *cases, size_t n)
{
    strbuf got = {0};
    for (size_t i = 0; i < n; i++) {
        head_id *heads = NULL;
        int n_head = 0;
        err e = {0};
        int rc = head_select_named(&heads, &n_head, with_store, &four, cases[i].text, &e);
        put_chosen(&got, rc, heads, n_head, &e);
        if (strcmp(strbuf_str(&got), cases[i].want) != 0)
            fail_msg("\"%s\": \"%s\", not \"%s\"", cases[i].text, strbuf_str(&got), cases[i].want);
    }
    strbuf_free(&got);
}

#define HOLD(cases) hold(cases, sizeof(cases) / sizeof *(cases))

