/* The grammar of head selections: what each form chooses, in which order, and what is said of those that are none. */
#include "cli/head_grammar.h"
#include "cli/head_select.h"
#include "cli/help.h"
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

static void put(store *st, const char *name, int layer, int head, int64_t position, double value)
{
    const result_value v = {ATTN_SELF, name, layer, head, position, value};
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

static void test_selections(void **state)
{
    static const table_case cases[] = {
        {"L1H3", "L1H3"},
        {"1.3", "L1H3"},
        {"l1h3", "L1H3"},
        {"self.L1H3", "L1H3"},
        {"L1H3,L0H2", "L1H3 L0H2"},
        {"L1H3, L0H2 ,,1.3,", "L1H3 L0H2"},
        {"L1H3 L0H2", "L1H3 L0H2"},
        {"L1H3 or L0H2", "L1H3 L0H2"},
        {"L3", "L3H0 L3H1"},
        {"L3H*", "L3H0 L3H1"},
        {"3.*", "L3H0 L3H1"},
        {"L2-3", "L2H0 L2H1 L2H2 L2H3 L3H0 L3H1"},
        {"L2-", "L2H0 L2H1 L2H2 L2H3 L3H0 L3H1"},
        {"L2-L3", "L2H0 L2H1 L2H2 L2H3 L3H0 L3H1"},
        {"L-1", "L3H0 L3H1"},
        {"L-2", "L2H0 L2H1 L2H2 L2H3"},
        {"L-2-", "L2H0 L2H1 L2H2 L2H3 L3H0 L3H1"},
        {"L-3--2", "L1H0 L1H1 L1H2 L1H3 L2H0 L2H1 L2H2 L2H3"},
        {"L-1H-1", "L3H1"},
        {"L0-1H1-2", "L0H1 L0H2 L1H1 L1H2"},
        {"L0-1H-2-", "L0H2 L0H3 L1H2 L1H3"},
        {"L*H1", "L0H1 L1H1 L2H1 L3H1"},
        {"*.1", "L0H1 L1H1 L2H1 L3H1"},
        {"H1", "L0H1 L1H1 L2H1 L3H1"},
        {"h0-1", "L0H0 L0H1 L1H0 L1H1 L2H0 L2H1 L3H0 L3H1"},
        {"H-1", "L0H3 L1H3 L2H3 L3H1"},
        {"H2-", "L0H2 L0H3 L1H2 L1H3 L2H2 L2H3"},
        {"H*", "L0H0 L0H1 L0H2 L0H3 L1H0 L1H1 L1H2 L1H3 L2H0 L2H1 L2H2 L2H3 L3H0 L3H1"},
        {"all", "L0H0 L0H1 L0H2 L0H3 L1H0 L1H1 L1H2 L1H3 L2H0 L2H1 L2H2 L2H3 L3H0 L3H1"},
        {"*", "L0H0 L0H1 L0H2 L0H3 L1H0 L1H1 L1H2 L1H3 L2H0 L2H1 L2H2 L2H3 L3H0 L3H1"},
        {"ALL", "L0H0 L0H1 L0H2 L0H3 L1H0 L1H1 L1H2 L1H3 L2H0 L2H1 L2H2 L2H3 L3H0 L3H1"},
        {"self.all", "L0H0 L0H1 L0H2 L0H3 L1H0 L1H1 L1H2 L1H3 L2H0 L2H1 L2H2 L2H3 L3H0 L3H1"},
        {"self.H1", "L0H1 L1H1 L2H1 L3H1"},
        {"not L0-2", "L3H0 L3H1"},
        {"NOT not L3", "L3H0 L3H1"},
        {"L0-1 except L0H2", "L0H0 L0H1 L0H3 L1H0 L1H1 L1H2 L1H3"},
        {"L0, L1 except L0H1, L1H2", "L0H0 L0H2 L0H3 L1H0 L1H1 L1H3"},
        {"all except L0 except L1 except L2H0", "L2H1 L2H2 L2H3 L3H0 L3H1"},
        {"L0 and H1", "L0H1"},
        {"L0-2 and H1 and L2", "L2H1"},
        {"(L0, L1) and H0-1", "L0H0 L0H1 L1H0 L1H1"},
        {"not (L0, L1, L2)", "L3H0 L3H1"},
        {"@mine", "L2H1 L0H3"},
        {"heads mine", "L2H1 L0H3"},
        {"L0H3, @mine", "L0H3 L2H1"},
        {"L2 except @mine", "L2H0 L2H2 L2H3"},
        {"top 3 by entropy", "L2H0 L1H3 L2H1"},
        {"top 6 by entropy", "L2H0 L1H3 L2H1 L0H0 L0H1 L0H2"},
        {"TOP 1 BY Entropy", "L2H0"},
        {"bottom 3 by entropy", "L1H0 L3H0 L1H1"},
        {"bottom 2 by entropy in L1", "L1H0 L1H1"},
        {"top 50% by entropy in L1", "L1H3 L1H2"},
        {"top 0.1% by entropy", "L2H0"},
        {"top 2 by entropy in L0", "L0H0 L0H1"},
        {"top 1 by entropy in L2 of run 1", "L2H0"},
        {"top 1 by entropy of 1 in L1", "L1H3"},
        {"top 100 by entropy in L3", "L3H0"},
        {"top 3 by sink[0] of 1", "L3H1 L3H0 L2H3"},
        {"top 2 by sink", "L0H0 L0H1"},
        {"top 2 by sink of last-1", "L0H0 L0H1"},
        {"top 2 by sink[1] of run 1", "L3H0 L3H1"},
        {"top 3 by induction", "L0H1 L1H2 L2H3"},
        {"top 2 by induction in not L0", "L1H2 L2H3"},
        {"where entropy > 1.5", "L2H0"},
        {"entropy>1.5", "L2H0"},
        {"where entropy >= 1.5", "L1H3 L2H0 L2H1"},
        {"where entropy < 0.5", "L1H0 L3H0"},
        {"where entropy <= 0.5", "L1H0 L1H1 L2H3 L3H0"},
        {"where entropy = 0.25", "L3H0"},
        {"where entropy == .25", "L3H0"},
        {"where entropy != 1", "L1H0 L1H1 L1H3 L2H0 L2H1 L2H3 L3H0"},
        {"where entropy > 1.4 or induction > .5", "L1H3 L2H0 L2H1 L0H1 L1H2 L2H3"},
        {"where entropy > 1.4, L3", "L1H3 L2H0 L2H1 L3H0 L3H1"},
        {"where not entropy > 0.5", "L1H0 L1H1 L2H3 L3H0 L3H1"},
        {"where (entropy > 1.4 or entropy < .3)", "L1H3 L2H0 L2H1 L1H0 L3H0"},
        {"L2 where entropy > 1.4", "L2H0 L2H1"},
        {"L2, L0 where entropy >= 1", "L2H0 L2H1 L2H2 L0H0 L0H1 L0H2 L0H3"},
        {"(L2 where entropy > 1.4), L0H0", "L2H0 L2H1 L0H0"},
        {"L2-3 and where induction > .5", "L2H3"},
        {"where sink[1] = 1 of run 1", "L3H0 L3H1"},
        {"where sink > 1.3e0 of 2", "L0H0 L0H1 L0H2 L0H3"},
        {"random 3", "L0H3 L2H0 L3H1"},
        {"random 3 seed 7", "L0H1 L0H2 L1H3"},
        {"random 3 seed 8", "L1H2 L1H3 L3H1"},
        {"random 14", "L0H0 L0H1 L0H2 L0H3 L1H0 L1H1 L1H2 L1H3 L2H0 L2H1 L2H2 L2H3 L3H0 L3H1"},
        {"random 2 seed 1 in L2", "L2H0 L2H1"},
        {"blocks.1.attn.hook_pattern", "L1H0 L1H1 L1H2 L1H3"},
        {"blocks.1.attn.hook_z[:, :, 2]", "L1H2"},
        {"blocks.1.attn.hook_pattern[:, 2]", "L1H2"},
        {"blocks.*.attn.hook_q[:, :, 1]", "L0H1 L1H1 L2H1 L3H1"},
        {"blocks.3.attn", "L3H0 L3H1"},
        {"blocks.1.attn.hook_result except L1H0", "L1H1 L1H2 L1H3"},
        {"decoder.3.attn.hook_v", "L3H0 L3H1"},
        {"top 1 by sink, bottom 1 by sink, L3H1", "L0H0 L3H1"},
        {"\tL1H3\n  L0H0 ", "L1H3 L0H0"},
        {"L1H2, L1H2-3, L1H2-", "L1H2 L1H3"}, /* an open range of heads that are there already */
        {"L3, L3H-1-", "L3H0 L3H1"},
        {"where sink > 1", "L0H0 L0H1 L0H2 L0H3 L1H0 L1H1 L1H2 L1H3"},
    };
    (void)state;
    HOLD(cases);
}

static void test_no_selections(void **state)
{
    static const table_case cases[] = {
        {"L0 and (H1, H2)", "head 2 out of range (layer 3 has 2 heads)"},
        {"top 1 by sink of last", "sink of run 3 has values at 2 positions"},
        {"where entropy > 1 and induction > .5", "no head is left of \"where entropy > 1 and induction > .5\""},
        {"", "no head is named"},
        {" , ", "no head is named"},
        {"x", "'x' names no head"},
        {"L", "'L' names no head"},
        {"L1H", "'L1H' names no head"},
        {"L1H1x", "'L1H1x' names no head"},
        {"L1H1-x", "'L1H1-x' names no head"},
        {"L1.2", "'L1.2' names no head"},
        {"1", "'1' names no head"},
        {"2-5", "'2-5' names no head"},
        {"L99999999999999999999H0", "'L99999999999999999999H0' names no head"},
        {"L4", "layer 4 out of range (model has 4 layers)"},
        {"L-5", "layer -5 out of range (model has 4 layers)"},
        {"L2-9", "layer 9 out of range (model has 4 layers)"},
        {"L3H2", "head 2 out of range (layer 3 has 2 heads)"},
        {"L0-3H2", "head 2 out of range (layer 3 has 2 heads)"},
        {"L*H3", "head 3 out of range (layer 3 has 2 heads)"},
        {"H4", "head 4 out of range (layer 0 has 4 heads)"},
        {"H-5", "head -5 out of range (layer 0 has 4 heads)"},
        {"H5-", "'H5-': no layer has so many heads"},
        {"L2-1", "'L2-1': the range runs backwards"},
        {"L1H2-1", "'L1H2-1': the range runs backwards"},
        {"L-1--3", "'L-1--3': the range runs backwards"},
        {"enc.L0", "'enc.L0': tiny has no attention of that kind"},
        {"vis.all", "'vis.all': tiny has no attention of that kind"},
        {"cross.H0", "'cross.H0': tiny has no attention of that kind"},
        {"foo.L0H9", "'foo.L0H9' names no head"},
        {"botom 3 by entropy", "'botom' names no head"},
        {"excpet", "'excpet' names no head"},
        {"where", "where what?"},
        {"where L3", "'L3' is no metric"},
        {"where entropy", "entropy: compared with what?"},
        {"where entropy >", "entropy >: compared with what?"},
        {"where entropy > x", "'x' is no number to compare entropy with"},
        {"where entropy ~ 1", "entropy: compared with what?"},
        {"where entropy > 9", "no head passes \"where entropy > 9\""},
        {"where sink[2] > 0 of run 1", "run 1 has no sink at that position"},
        {"where sink[x] > 0", "'sink[x]' is no metric"},
        {"entropy[0] > 1", "run 1 has no entropy at that position"},
        {"where nonsense > 1", "no run of tiny in this session measured nonsense for heads"},
        {"top", "top: how many heads?"},
        {"top 3", "top 3: by which metric?"},
        {"top x by entropy", "'x' is no number of heads"},
        {"top 0 by entropy", "'0' is no number of heads"},
        {"top -1 by entropy", "'-1' is no number of heads"},
        {"top 1.5 by entropy", "'1.5' is no number of heads"},
        {"top 101% by entropy", "'101%' is no number of heads"},
        {"top 3 entropy", "top 3: by which metric?"},
        {"top 3 by", "top 3 by: by which metric?"},
        {"top 3 by 7", "'7' is no metric"},
        {"top 3 by entropy of", "of which run?"},
        {"top 3 by entropy of run", "of which run?"},
        {"top 3 by entropy of x", "'x' is no run number"},
        {"top 3 by entropy of 9", "no run 9 in this session"},
        {"top 3 by entropy of 2", "run 2 has no values of entropy for heads"},
        {"top 3 by entropy of last-9", "no run 'last-9': 3 runs in this session are done"},
        {"top 3 by entropy in", "no head is named behind 'in'"},
        {"top 3 by entropy in L9", "layer 9 out of range (model has 4 layers)"},
        {"top 3 by entropy in L3H1", "run 1 has no entropy of the heads of \"L3H1\""},
        {"top 3 by sink of 1", "sink of run 1 has values at 2 positions"},
        {"top 3 by retrieval", "no run of tiny in this session measured retrieval for heads"},
        {"top 3 by entrpy", "no run of tiny in this session measured entrpy for heads"},
        {"top 3 by distance of 3", "run 3 measured L7H7, which tiny does not have"},
        {"random", "random: how many heads?"},
        {"random 15", "\"random 15\": there are only 14 heads to draw from"},
        {"random 5% ", "'5%' is no number of heads"},
        {"random 2 seed x", "'x' is no seed"},
        {"random 5 in L3", "\"random 5 in L3\": there are only 2 heads to draw from"},
        {"@", "which list of heads?"},
        {"@none", "no list of heads called none in this session"},
        {"heads", "which list of heads?"},
        {"heads none", "no list of heads called none in this session"},
        {"@far", "@far: L9H0: layer 9 out of range (model has 4 layers)"},
        {"not", "no head is named behind 'not'"},
        {"not all", "no head is left of \"not all\""},
        {"and L1", "no head is named in front of 'and'"},
        {"L1 and", "no head is named behind 'and'"},
        {"L1 or", "no head is named behind 'or'"},
        {"L1 except", "no head is named behind 'except'"},
        {"except L1", "no head is named in front of 'except'"},
        {"L0 and L1", "no head is left of \"L0 and L1\""},
        {"L0 except L0", "no head is left of \"L0 except L0\""},
        {"(L1", "a parenthesis has no end"},
        {"L1)", "a ')' closes nothing"},
        {"()", "no head is named"},
        {"(L1 except)", "no head is named behind 'except'"},
        {"> 3", "'>' stands where heads are expected"},
        {"L1 > 3", "'L1' is no metric"},
        {"L2 where entropy > 1, L0", "it is not clear what belongs to 'where': \", L0\" follows"},
        {"by entropy", "no head is named in front of 'by'"},
        {"blocks.1.hook_resid_pre", "'blocks.1.hook_resid_pre' is an activation of a layer, not of heads"},
        {"blocks.1.attn.hook_foo", "'blocks.1.attn.hook_foo' is no activation that is known here"},
        {"blocks.x.attn.hook_z", "'blocks.x.attn.hook_z' is no activation that is known here"},
        {"blocks.1.attn.hook_z[0, 1]", "'blocks.1.attn.hook_z[0' is no activation that is known here"},
        {"blocks.9.attn.hook_z", "layer 9 out of range (model has 4 layers)"},
        {"encoder.0.attn.hook_z", "'encoder.0.attn.hook_z': tiny has no attention of that kind"},
    };
    (void)state;
    HOLD(cases);
}

/* Deep and long texts end in an answer. */
static void test_extremes(void **state)
{
    strbuf text = {0};
    head_id *heads = NULL;
    int n = 0;
    err e = {0};
    (void)state;
    for (int i = 0; i < 5000; i++)
        strbuf_puts(&text, "(");
    assert_int_equal(head_select(&heads, &n, &four, strbuf_str(&text), &e), ERR_USAGE);
    assert_string_equal(e.msg, "the selection of heads is nested more than 100 deep");
    strbuf_clear(&text);
    for (int i = 0; i < 5000; i++)
        strbuf_puts(&text, "not ");
    assert_int_equal(head_select(&heads, &n, &four, strbuf_str(&text), &e), ERR_USAGE);
    strbuf_clear(&text);
    strbuf_puts(&text, "L0, ");
    for (int i = 0; i < 20000; i++)
        strbuf_puts(&text, i % 2 ? "L2, " : "L1H3 except ");
    strbuf_puts(&text, "L3");
    assert_int_equal(head_select(&heads, &n, &four, strbuf_str(&text), &e), 0);
    assert_int_equal(n, 4);
    assert_int_equal(heads[0].layer, 0);
    free(heads);
    strbuf_clear(&text);
    for (int i = 0; i < 3000; i++)
        strbuf_puts(&text, "L1");
    assert_int_equal(head_select(&heads, &n, &four, strbuf_str(&text), &e), ERR_USAGE);
    assert_non_null(strstr(e.msg, "names no head"));
    strbuf_free(&text);
}

/* Without a store names still do, and what needs one says so. */
static void test_without_store(void **state)
{
    static const char *const need[] = {"top 3 by entropy", "where entropy > 1", "@mine", "heads mine", "L0, entropy > 1"};
    head_id *heads = NULL;
    int n = 0;
    (void)state;
    assert_int_equal(head_select(&heads, &n, &four, "random 2 seed 1 in L2", NULL), 0);
    assert_int_equal(n, 2);
    free(heads);
    for (size_t i = 0; i < sizeof need / sizeof *need; i++) {
        err e = {0};
        assert_int_equal(head_select(&heads, &n, &four, need[i], &e), ERR_USAGE);
        assert_non_null(strstr(e.msg, "needs a store"));
        assert_null(heads);
    }
}

/* What was drawn is the same set whatever is asked around it, and grows apart with the seed. */
static void test_draws(void **state)
{
    head_id *a = NULL, *b = NULL;
    int n = 0, m = 0, same = 0;
    (void)state;
    assert_int_equal(head_select(&a, &n, &four, "random 5 seed 11 in L0-2", NULL), 0);
    assert_int_equal(head_select(&b, &m, &four, "L0-2 and random 5 in L0-2 seed 11", NULL), 0);
    assert_int_equal(n, 5);
    assert_int_equal(m, 5);
    assert_memory_equal(a, b, 5 * sizeof *a);
    for (int i = 1; i < n; i++)
        assert_true(a[i - 1].layer < a[i].layer || a[i - 1].head < a[i].head);
    for (int i = 0; i < n; i++)
        assert_true(a[i].layer < 3);
    free(b);
    assert_int_equal(head_select(&b, &m, &four, "random 5 seed 12 in L0-2", NULL), 0);
    for (int i = 0; i < 5; i++)
        same += a[i].layer == b[i].layer && a[i].head == b[i].head;
    assert_true(same < 5);
    free(a);
    free(b);
}

/* ---- layers ---- */

static void test_layers(void **state)
{
    static const table_case cases[] = {
        {"L2", "L2"},
        {"2", "L2"},
        {"1-2", "L1 L2"},
        {"L2-", "L2 L3"},
        {"L-1,0", "L3 L0"},
        {"all", "L0 L1 L2 L3"},
        {"*", "L0 L1 L2 L3"},
        {"all except L0, 2", "L1 L3"},
        {"not L1-", "L0"},
        {"random 2 seed 1", "L0 L1"},
        {"blocks.2.hook_resid_pre", "L2"},
        {"blocks.2", "L2"},
        {"blocks.1.attn.hook_pattern", "L1"},
        {"L2H1", "'L2H1' names no layer"},
        {"blocks.2.attn.hook_z[:, :, 1]", "'blocks.2.attn.hook_z[:, :, 1]' names no layer"},
        {"L4", "layer 4 out of range (model has 4 layers)"},
        {"3-1", "'3-1': the range runs backwards"},
        {"enc.L0", "'enc.L0': tiny has no such layers"},
        {"top 2 by entropy", "'top 2 by entropy' needs a store, and here heads are chosen by name"},
        {"L0 and L1", "no layer is left of \"L0 and L1\""},
        {"", "no head is named"},
    };
    strbuf got = {0};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        head_id *layers = NULL;
        int n = 0;
        err e = {0};
        int rc = layer_select(&layers, &n, &four, cases[i].text, &e);
        put_chosen(&got, rc, layers, n, &e);
        if (strcmp(strbuf_str(&got), cases[i].want) != 0)
            fail_msg("\"%s\": \"%s\", not \"%s\"", cases[i].text, strbuf_str(&got), cases[i].want);
    }
    strbuf_free(&got);
}

/* ---- several stacks ---- */

static void test_kinds(void **state)
{
    static const struct { tiny_kind kind; const char *text, *want; } cases[] = {
        {TINY_ENCODER, "H1", "enc.L0H1 enc.L1H1"},
        {TINY_ENCODER, "blocks.1.attn.hook_pattern", "enc.L1H0 enc.L1H1"},
        {TINY_TRANSLATOR, "L-1", "L1H0 L1H1"},
        {TINY_TRANSLATOR, "enc.L-1H0, cross.H1", "enc.L2H0 cross.L0H1 cross.L1H1"},
        {TINY_TRANSLATOR, "ENC.L0H0", "enc.L0H0"},
        {TINY_TRANSLATOR, "all except enc.all, cross.L1", "L0H0 L0H1 L1H0 L1H1 cross.L0H0 cross.L0H1"},
        {TINY_TRANSLATOR, "not (self.all, enc.all)", "cross.L0H0 cross.L0H1 cross.L1H0 cross.L1H1"},
        {TINY_TRANSLATOR, "random 4", "L0H0 L0H1 L1H0 L1H1"},
        {TINY_TRANSLATOR, "decoder.1.cross_attn.hook_pattern, encoder.2.attn.hook_z[:, :, 1]", "cross.L1H0 cross.L1H1 enc.L2H1"},
        {TINY_TRANSLATOR, "blocks.0.cross_attn.hook_pattern", "cross.L0H0 cross.L0H1"},
        {TINY_TRANSLATOR, "enc.L3", "layer 3 out of range (model has 3 layers)"},
        {TINY_TOWER, "vis.*.1", "vis.L0H1 vis.L1H1"},
    };
    strbuf got = {0};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tiny_model t;
        head_id *heads = NULL;
        int n = 0;
        err e = {0};
        tiny_new(&t, cases[i].kind);
        int rc = head_select(&heads, &n, &t.m, cases[i].text, &e);
        put_chosen(&got, rc, heads, n, &e);
        if (strcmp(strbuf_str(&got), cases[i].want) != 0)
            fail_msg("\"%s\": \"%s\", not \"%s\"", cases[i].text, strbuf_str(&got), cases[i].want);
        tiny_free(&t);
    }
    strbuf_free(&got);
}

/* ---- on stored rows: without a model ---- */

static void test_stored(void **state)
{
    static const struct { int64_t run; int main; const char *text, *want; } cases[] = {
        {1, -1, "L-1", "L3H0 L3H1"},
        {1, -1, "L1 except L1H0", "L1H1 L1H2 L1H3"},
        {1, -1, "top 1 by entropy", "L2H0"},
        {1, -1, "top 1 by sink[0]", "L3H1"},
        {2, -1, "top 1 by sink", "L0H0"},               /* of the run at hand */
        {2, -1, "top 1 by entropy", "L2H0"},            /* which has none: of the newest that does */
        {2, -1, "top 1 by sink[0] of 1", "L3H1"},
        {3, -1, "L7", "layer 7 out of range (model has 4 layers)"},
        {1, -1, "L3H2", "head 2 out of range (layer 3 has 2 heads)"},
        {1, ATTN_ENCODER, "L0", "'L0': tiny has no attention of that kind"},
    };
    store *st;
    strbuf got = {0};
    (void)state;
    MUST(session_store(with_store, &st, &error));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        head_id *heads = NULL;
        int n = 0;
        err e = {0};
        int rc = head_select_stored(&heads, &n, with_store, st, cases[i].run, cases[i].main, cases[i].text, &e);
        put_chosen(&got, rc, heads, n, &e);
        if (strcmp(strbuf_str(&got), cases[i].want) != 0)
            fail_msg("\"%s\": \"%s\", not \"%s\"", cases[i].text, strbuf_str(&got), cases[i].want);
    }
    strbuf_free(&got);
}

/* ---- runs ---- */

static void test_runs(void **state)
{
    static const struct { const char *word; int64_t run; const char *msg; } cases[] = {
        {"1", 1, NULL}, {"4", 4, NULL},
        {"last", 3, NULL}, /* run 4 failed */
        {"LAST", 3, NULL}, {"last-0", 3, NULL}, {"last-1", 2, NULL}, {"last-2", 1, NULL},
        {"last of tiny", 2, NULL}, {"Last-1 of  tiny", 1, NULL}, {"last of big", 3, NULL}, {"last of models/tiny", 3, NULL},
        {"5", 0, "no run 5 in this session"},
        {"0", 0, "'0' is no run number"}, {"-1", 0, "'-1' is no run number"}, {"x", 0, "'x' is no run number"},
        {"", 0, "'' is no run number"}, {"last-", 0, "'last-' is no run number"},
        {"last-x", 0, "'last-x' is no run number"},
        {"lasting", 0, "'lasting' is no run number"}, {"last of", 0, "'last of' is no run number"},
        {"last-3", 0, "no run 'last-3': 3 runs in this session are done"},
        {"last-2 of tiny", 0, "no run 'last-2 of tiny': 2 runs of tiny in this session are done"},
        {"last of huge", 0, "no run of huge in this session"},
        {"last-99999999999", 0, "'last-99999999999' is no run number"},
    };
    store *st, *empty = NULL;
    int64_t run = 0;
    (void)state;
    MUST(session_store(with_store, &st, &error));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        err e = {0};
        int rc = run_name_read(&run, st, cases[i].word, &e);
        if (rc ? !cases[i].msg || strcmp(e.msg, cases[i].msg) != 0 || e.code != ERR_USAGE : run != cases[i].run)
            fail_msg("\"%s\": %d, run %d, \"%s\"", cases[i].word, rc, (int)run, e.msg);
        const bool near = strncmp(cases[i].word, "last-", 5) == 0 && strlen(cases[i].word) <= 6; /* but for last-0 and such */
        if (rc && !strstr(e.hint, near && strncmp(e.msg, "'last", 5) == 0 ? "did you mean \"last\"" : "there are 1-4"))
            fail_msg("\"%s\": hint \"%s\"", cases[i].word, e.hint);
    }
    assert_true(run_name_like("last-3") && run_name_like("0") && run_name_like("last of x"));
    assert_false(run_name_like("lasting") || run_name_like("L1H3") || run_name_like("sink"));
    MUST(store_open(&empty, ":memory:", false, &error));
    assert_int_equal(run_name_read(&run, empty, "last-1", &error), ERR_FAILED);
    assert_string_equal(error.msg, "no run yet in this session");
    store_close(empty);
}

/* last_run() of SQL is `last`. */
static void test_last_run(void **state)
{
    store *st;
    table *t = NULL;
    (void)state;
    MUST(session_store(with_store, &st, &error));
    MUST(store_user_sql(st, &t, "SELECT last_run(), last_run(1), last_run(2), last_run(3)", false, 0, NULL, &error));
    assert_int_equal(table_cell(t, 0, 0)->u.i, 3);
    assert_int_equal(table_cell(t, 0, 1)->u.i, 2);
    assert_int_equal(table_cell(t, 0, 2)->u.i, 1);
    assert_int_equal(table_cell(t, 0, 3)->kind, CELL_NULL);
    table_free(t);
    MUST_FAIL(store_user_sql(st, &t, "SELECT last_run(-1)", false, 0, NULL, &error), ERR_FAILED, "whole number from 0");
    MUST_FAIL(store_user_sql(st, &t, "SELECT last_run('1')", false, 0, NULL, &error), ERR_FAILED, "whole number from 0");
}

/* ---- names of TransformerLens ---- */

static void test_hooks(void **state)
{
    (void)state;
    for (const hook_point *x = hook_points; x->hook; x++) {
        char text[80];
        const char *s = text;
        hook_name h;
        snprintf(text, sizeof text, "blocks.17.%s", x->hook);
        assert_true(hook_name_begins(text));
        assert_true(hook_name_read(&h, &s));
        assert_ptr_equal(h.at, x);
        assert_int_equal(h.layer, 17);
        assert_int_equal(h.head, NO_INDEX);
        assert_int_equal(h.attention, strncmp(x->hook, "attn.", 5) == 0);
        assert_int_equal(*s, '\0');
        const char *dot = strrchr(x->hook, '.');
        if (!strstr(head_help, dot ? dot + 1 : x->hook) && !strstr("attn.hook_k attn.hook_v", x->hook))
            fail_msg("`help heads` lacks %s", x->hook);
    }
    static const char *const none[] = {"blocks", "blocks.", "blocks.x", "blocks.1x", "blocks.1.", "blocks.1.attn.hook_",
                                       "block.1", "blocks.1.hook_z[1]", "blocks.1.attn.hook_z[1", "blocks.1.attn.hook_z[1,2]",
                                       "blocks.999999999999.attn", "blocks.-1.attn", "blocks.1.cross_"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        const char *s = none[i];
        hook_name h;
        if (hook_name_read(&h, &s) || s != none[i])
            fail_msg("\"%s\" was read", none[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_selections),
        cmocka_unit_test(test_no_selections),
        cmocka_unit_test(test_extremes),
        cmocka_unit_test(test_without_store),
        cmocka_unit_test(test_draws),
        cmocka_unit_test(test_layers),
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_stored),
        cmocka_unit_test(test_runs),
        cmocka_unit_test(test_last_run),
        cmocka_unit_test(test_hooks),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("head_grammar", tests, setup, teardown);
}
