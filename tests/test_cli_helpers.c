/* What the commands share: choosing heads, quoting words, drawing tokens, tables of options. */
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <cmocka.h>
#include "cli/command_util.h"
#include "cli/head_select.h"
#include "cli/help.h"
#include "cli/model_card.h"
#include "cli/parse.h"
#include "cli/prompt_input.h"
#include "cli/run_sink.h"
#include "cli/sampler.h"
#include "cli/token_ids.h"

/* ---- heads ---- */

/* Two layers of three heads and one of two. */
static model small_model(stack *s, model_layer layers[3])
{
    memset(layers, 0, 3 * sizeof *layers);
    for (int l = 0; l < 3; l++)
        layers[l].self.plan.n_head = l < 2 ? 3 : 2;
    *s = (stack){.n_layer = 3, .n_run = 3, .layers = layers};
    return (model){.main = s};
}

/* The heads that text chooses as "L0H1 L2H0", or the error. */
static void chosen(strbuf *out, const char *text)
{
    model_layer layers[3];
    stack s;
    model m = small_model(&s, layers);
    head_id *heads = NULL;
    int n = 0;
    err e = {0};
    strbuf_clear(out);
    if (head_select(&heads, &n, &m, text, &e) != 0) {
        assert_int_equal(e.code, ERR_USAGE);
        strbuf_puts(out, e.msg);
        return;
    }
    for (int i = 0; i < n; i++) {
        head_text t;
        head_format(t, heads[i]);
        strbuf_printf(out, "%s%s", i ? " " : "", t);
    }
    free(heads);
}

static void test_heads(void **state)
{
    static const char *const cases[][2] = {
        {"L1H2", "L1H2"},
        {"1.2", "L1H2"},
        {"l1h2", "L1H2"},
        {"L2H0,L0H1", "L2H0 L0H1"},
        {"L0H1 , L0H1,0.1", "L0H1"},
        {"L2", "L2H0 L2H1"},
        {"L2H*", "L2H0 L2H1"},
        {"L*H1", "L0H1 L1H1 L2H1"},
        {"L0-1H1-2", "L0H1 L0H2 L1H1 L1H2"},
        {"all", "L0H0 L0H1 L0H2 L1H0 L1H1 L1H2 L2H0 L2H1"},
        {"L3H0", "layer 3 out of range (model has 3 layers)"},
        {"L0-3H0", "layer 3 out of range (model has 3 layers)"},
        {"L2H2", "head 2 out of range (layer 2 has 2 heads)"},
        {"L99999999999999999999H0", "'L99999999999999999999H0' names no head"},
        {"L1-0H0", "'L1-0H0': the range runs backwards"},
        {"H1", "L0H1 L1H1 L2H1"},
        {"L1H", "'L1H' names no head"},
        {"L1H1x", "'L1H1x' names no head"},
        {"", "no head is named"},
        {" , ", "no head is named"},
    };
    (void)state;
    strbuf got = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        chosen(&got, cases[i][0]);
        assert_string_equal(strbuf_str(&got), cases[i][1]);
    }
    chosen(&got, "cross.L0H0");
    assert_non_null(strstr(strbuf_str(&got), "no attention of that kind"));
    strbuf_free(&got);
}

/* ---- words that come back ---- */

static void test_shell_words(void **state)
{
    static const char *const words[] = {
        "plain", "", "two words", "it's", "''", "$HOME `x` \"y\" \\z", "a;b|c&d", "#no", "@file", "@@x",
        "line\nbreak", "tab\there", "*?[a]", "-x", "caf\xc3\xa9", "!history", "<<END", "~",
    };
    (void)state;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        strbuf b = {0};
        parsed_line p;
        parse_wait wait;
        err e = {0};
        strbuf_puts(&b, "verb ");
        put_shell_word(&b, words[i]);
        assert_int_equal(parse_line(&p, &wait, b.s, b.len, &e), 0);
        assert_int_equal(wait.missing, PARSE_COMPLETE);
        assert_int_equal(p.n, 1);
        assert_int_equal(p.command[0].n, 2);
        assert_false(p.command[0].word[1].file);
        assert_string_equal(p.command[0].word[1].text, words[i]);
        parsed_free(&p);
        strbuf_free(&b);
    }
}

/* ---- random numbers and sampling ---- */

/* xoshiro256** from the state 1, 2, 3, 4: the first outputs of its authors' code. */
static void test_generator(void **state)
{
    static const uint64_t want[] = {
        11520u, 0u, 1509978240u, 1215971899390074240u, 1216172134540287360u, 607988272756665600u,
    };
    (void)state;
    rng r = {{1, 2, 3, 4}};
    for (size_t i = 0; i < sizeof want / sizeof *want; i++)
        assert_true(rng_uniform(&r) == (double)(want[i] >> 11) * 0x1p-53);
}

static void count_draws(int64_t count[4], double temperature, int64_t top_k, double top_p)
{
    const float logits[] = {1, 3, 2, 0};
    sampler s;
    err e = {0};
    memset(count, 0, 4 * sizeof *count);
    assert_int_equal(sampler_init(&s, temperature, top_k, top_p, 42, 4, &e), 0);
    for (int i = 0; i < 20000; i++) {
        int32_t id = -1;
        assert_int_equal(sampler_next(&s, &id, logits, &e), 0);
        assert_in_range(id, 0, 3);
        count[id]++;
    }
    sampler_free(&s);
}

static void test_sampling(void **state)
{
    int64_t n[4];
    double sum = exp(0) + exp(1) + exp(2) + exp(3);
    (void)state;
    count_draws(n, 0, 0, 1);
    assert_int_equal(n[1], 20000);
    /* 20,000 draws: a share is within 0.02 of its probability by some 5 standard deviations */
    count_draws(n, 1, 0, 1);
    for (int i = 0; i < 4; i++) {
        const double logit[] = {1, 3, 2, 0};
        assert_true(fabs((double)n[i] / 20000 - exp(logit[i]) / sum) < 0.02);
    }
    count_draws(n, 1, 2, 1);
    assert_int_equal(n[0] + n[3], 0);
    assert_true(fabs((double)n[1] / 20000 - exp(3) / (exp(3) + exp(2))) < 0.02);
    /* the largest has .64, the two largest .88: .7 needs two */
    count_draws(n, 1, 0, 0.7);
    assert_int_equal(n[0] + n[3], 0);
    assert_true(n[2] > 0);
    count_draws(n, 1, 0, 0.5);
    assert_int_equal(n[1], 20000);
    count_draws(n, 100, 0, 1);
    for (int i = 0; i < 4; i++)
        assert_true(fabs((double)n[i] / 20000 - 0.25) < 0.03);

    const float bad[] = {0, NAN, 1, 2};
    sampler s;
    err e = {0};
    int32_t id;
    assert_int_equal(sampler_init(&s, 0, 0, 1, 1, 4, &e), 0);
    assert_int_equal(sampler_next(&s, &id, bad, &e), ERR_FAILED);
    sampler_free(&s);
}

/* ---- ids, lines, units ---- */

static void test_ids(void **state)
{
    (void)state;
    int32_t *ids = NULL;
    int64_t n = 0;
    err e = {0};
    assert_int_equal(token_ids_parse(&ids, &n, "[0, 17,42\t2147483647]\n", "--ids", &e), 0);
    assert_int_equal(n, 4);
    assert_int_equal(ids[1], 17);
    assert_int_equal(ids[3], 2147483647);
    free(ids);
    assert_int_equal(token_ids_parse(&ids, &n, "", "--ids", &e), 0);
    assert_int_equal(n, 0);
    free(ids);
    static const char *const bad[] = {"1,-2", "2147483648", "1;2", "0x10", "1.5", "99999999999999999999", "1,,2", ",1", "1, ,2",
                                     "1,2,", ",", "[,1]"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ids = NULL;
        assert_int_equal(token_ids_parse(&ids, &n, bad[i], "--ids", &e), ERR_USAGE);
        assert_null(ids);
    }
}

static void test_value_line(void **state)
{
    (void)state;
    strbuf b = {0};
    run_value_json(&b, 1, 0, &(result_value){ATTN_SELF, "entropy", 3, 7, NO_INDEX, 1.25});
    assert_string_equal(strbuf_str(&b),
        "{\"schema\":\"attnscope.value/1\",\"run\":1,\"prompt\":0,\"kind\":\"self\",\"metric\":\"entropy\","
        "\"layer\":3,\"head\":7,\"position\":null,\"value\":1.25}\n");
    strbuf_clear(&b);
    run_value_json(&b, 2, 5, &(result_value){ATTN_CROSS, "nll", NO_INDEX, NO_INDEX, 9, 0.1});
    assert_string_equal(strbuf_str(&b),
        "{\"schema\":\"attnscope.value/1\",\"run\":2,\"prompt\":5,\"kind\":\"cross\",\"metric\":\"nll\","
        "\"layer\":null,\"head\":null,\"position\":9,\"value\":0.1}\n");
    strbuf_free(&b);
}

static void test_units(void **state)
{
    char text[16];
    (void)state;
    static const struct { double n; const char *count, *bytes; } cases[] = {
        {0, "0", "0 B"},
        {999, "999", "999 B"},
        {1000, "1 k", "1000 B"},
        {2885888, "2.89 M", "2.8 MiB"},
        {134515008, "135 M", "128 MiB"},
        {6738415616.0, "6.74 B", "6.3 GiB"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        format_count(text, cases[i].n);
        assert_string_equal(text, cases[i].count);
        format_bytes(text, cases[i].n);
        assert_string_equal(text, cases[i].bytes);
    }
}

static void test_options(void **state)
{
    static const param a[] = {{.name = "x", .kind = PARAM_INT, .def = "1"}, {.name = "y"}, {.name = NULL}};
    static const param b[] = {{.name = "x", .kind = PARAM_INT, .def = "2"}, {.name = "z"}, {.name = NULL}};
    param rows[4];
    (void)state;
    int n = append_params(rows, append_params(rows, 0, 3, a), 3, b);
    assert_int_equal(n, 3);
    assert_string_equal(rows[0].def, "1");
    assert_string_equal(rows[2].name, "z");
    assert_null(rows[3].name);
    assert_int_equal(append_params(rows, 0, 1, a), 1);
    assert_null(rows[1].name);
    assert_int_equal(append_params(rows, 0, 3, NULL), 0);
}

/* In a terminal of 40 columns words of a long line go on below the first one, or below the text behind its label. */
static void test_lines_fit(void **state)
{
    (void)state;
    static const char text[] = "  decoder      4 layers, 8 heads over 4 key/value heads\n"
                               "  hint: give a folder.  Or a file with weights, that does as well\n"
                               "  short        line\n";
    static const char wanted[] = "  decoder      4 layers, 8 heads over 4\n"
                                 "               key/value heads\n"
                                 "  hint: give a folder. Or a file with\n"
                                 "  weights, that does as well\n"
                                 "  short        line\n";
    struct winsize size = {.ws_row = 24, .ws_col = 40};
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    if (master < 0 || grantpt(master) || unlockpt(master)) {
        fprintf(stderr, "# skipped: no pseudo-terminal here\n");
        skip();
    }
    int fd = open(ptsname(master), O_RDWR | O_NOCTTY);
    assert_true(fd >= 0);
    assert_int_equal(ioctl(fd, TIOCSWINSZ, &size), 0);
    strbuf b = {0};
    help_fit(&b, text, fd);
    assert_string_equal(strbuf_str(&b), wanted);
    strbuf_free(&b);
    close(fd);
    close(master);
}

/* Names that are none: what was probably meant, and which command measures it. */
static void test_metric_names(void **state)
{
    (void)state;
    static const struct { const char *name, *hint; } cases[] = {
        {"entropyy", "did you mean entropy? `list metrics` shows all"},
        {"span", "did you mean span_mass, span_shift or span_to_span? `list metrics` shows all"},
        {"retreival", "did you mean retrieval? `list metrics` shows all"},
        {"copy_source", "`copy` measures copy_source, as a value of its own (`help copy`)"},
        {"xy", "`list metrics` shows all"},
    };
    const struct metric *m;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        err e = {0};
        assert_int_equal(require_metric(&m, cases[i].name, &e), ERR_USAGE);
        assert_string_equal(e.hint, cases[i].hint);
    }
    assert_int_equal(require_metric(&m, "sink", NULL), 0);
    assert_null(measured_by("sink"));
    assert_string_equal(measured_by("vhd_norm"), "vhd");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heads),
        cmocka_unit_test(test_shell_words),
        cmocka_unit_test(test_generator),
        cmocka_unit_test(test_sampling),
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_value_line),
        cmocka_unit_test(test_units),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_lines_fit),
        cmocka_unit_test(test_metric_names),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
