/* Chat templates against chat_cases.json (made by make_chat_cases.py with the reference implementation), and what is
 * refused. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/json.h"
#include "base/mem.h"
#include "model/chat/chat.h"

static const chat_variable variables[] = {{"bos_token", "<s>"}, {"eos_token", "</s>"}, {"unk_token", "<unk>"}};

static int render(strbuf *out, const char *template, size_t n, const json *messages, bool generate, err *e)
{
    chat_input in = {.json_messages = messages, .add_generation_prompt = generate, .variables = variables,
                     .n_variable = 3};
    return chat_render(out, template, n, "chat template", &in, e);
}

static json *load_cases(void)
{
    const char *dir = getenv("srcdir");
    char path[4096];
    json *all = NULL;
    err e = {0};
    snprintf(path, sizeof path, "%s/tests/chat_cases.json", dir ? dir : ".");
    if (json_load(&all, path, 1 << 24, &e))
        fail_msg("%s", e.msg);
    return all;
}

static void reference_cases(void **state)
{
    json *all = load_cases();
    const json *cases = json_get(all, "cases");
    (void)state;
    assert_true(json_count(cases) > 400);
    for (size_t i = 0; i < json_count(cases); i++) {
        const json *c = json_at(cases, i);
        size_t n, len = 0;
        bool generate = false;
        strbuf out = {0};
        err e = {0};
        const char *name = json_str(json_get(c, "template"), NULL), *which = json_str(json_get(c, "messages"), NULL);
        const char *template = json_str(json_get(json_get(all, "templates"), name), &n);
        const char *want = json_str(json_get(c, "want"), &len);
        assert_true(json_bool(&generate, json_get(c, "generate")));
        int rc = render(&out, template, n, json_get(json_get(all, "messages"), which), generate, &e);
        if (!want) {
            if (rc != ERR_INPUT)
                fail_msg("%s, %s: should be refused, gave '%s'", name, which, strbuf_str(&out));
        } else if (rc) {
            fail_msg("%s, %s: %s", name, which, e.msg);
        } else if (out.len != len || (len && memcmp(out.s, want, len) != 0)) {
            fail_msg("%s, %s: '%s' is not '%s'", name, which, strbuf_str(&out), want);
        }
        strbuf_free(&out);
    }
    json_free(all);
}

static void expect_error(const char *template, const char *message)
{
    static const chat_message hello = {"user", "hello", 5};
    chat_input in = {.messages = &hello, .n_message = 1};
    strbuf out = {0};
    err e = {0};
    assert_int_equal(chat_render(&out, template, strlen(template), "t.jinja", &in, &e), ERR_INPUT);
    assert_string_equal(e.msg, message);
    assert_int_equal(out.len, 0);
    strbuf_free(&out);
}

static void what_is_refused_is_named(void **state)
{
    (void)state;
    expect_error("a\n{% include 'x' %}", "t.jinja:2: the statement {% include %} is not supported");
    expect_error("\n\n{{ messages | groupby('role') }}", "t.jinja:3: the filter 'groupby' is not supported");
    expect_error("{{ 1 is filter }}", "t.jinja:1: the test 'is filter' is not supported");
    expect_error("{{ cycler(1) }}", "t.jinja:1: the function 'cycler' is not supported");
    expect_error("{{ 'a'.format(1) }}", "t.jinja:1: a string has no method 'format' that is supported");
    expect_error("{{ 'a%s' % 1 }}", "t.jinja:1: formatting with % is not supported");
    expect_error("{% for x in y recursive %}{% endfor %}",
                 "t.jinja:1: {% for ... recursive %} is not supported");
    expect_error("{{ raise_exception('no system role') }}",
                 "t.jinja:1: the template refuses the messages: no system role");
    expect_error("{{ a.b }}", "t.jinja:1: 'a' is undefined");
    expect_error("{% if x %}\ny", "t.jinja:1: the block that begins here has no {% endif %}");
    expect_error("x {{ 'abc", "t.jinja:1: a string has no end");
}

static void limits(void **state)
{
    strbuf t = {0};
    (void)state;
    expect_error("{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
                 "t.jinja:1: takes more than 5000000 steps");
    expect_error("{{ 'x' * 99999999999 }}", "t.jinja:1: a text is longer than 64 MiB");
    expect_error("{{ range(1000000) }}", "t.jinja:1: a range of more than 100000 numbers");
    expect_error("{% set ns = namespace(s='x') %}{% for i in range(99) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
                 "t.jinja: takes more than 256 MiB of memory");
    expect_error("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "t.jinja:1: nested deeper than 200 levels");
    strbuf_puts(&t, "{{ ");
    for (int i = 0; i < 5000; i++)
        strbuf_putc(&t, '(');
    expect_error(strbuf_str(&t), "t.jinja:1: nested deeper than 200 levels");
    strbuf_free(&t);
}

static void plain_messages_keep_their_bytes(void **state)
{
    const char t[] = "{% for m in messages %}{{ m.role }}:{{ m['content'] }};{% endfor %}{{ bos_token }}";
    static const chat_message m[] = {{"system", "a\0b", 3}, {"user", "\xff {{ x }} <s>", 13}};
    static const char want[] = "system:a\0b;user:\xff {{ x }} <s>;<s>";
    chat_input in = {.messages = m, .n_message = 2, .variables = variables, .n_variable = 1};
    strbuf out = {0};
    err e = {0};
    (void)state;
    assert_int_equal(chat_render(&out, t, sizeof t - 1, "t", &in, &e), 0);
    assert_int_equal(out.len, sizeof want - 1);
    assert_memory_equal(out.s, want, out.len);
    strbuf_free(&out);
}

/* The date is that of today, in the form asked for. */
static void strftime_now_has_the_form(void **state)
{
    static const char t[] = "{{ strftime_now('%Y-%m-%d') }}";
    chat_input in = {0};
    strbuf out = {0};
    err e = {0};
    int y, m, d;
    (void)state;
    assert_int_equal(chat_render(&out, t, sizeof t - 1, "t", &in, &e), 0);
    assert_int_equal(out.len, 10);
    assert_int_equal(sscanf(out.s, "%4d-%2d-%2d", &y, &m, &d), 3);
    assert_true(y > 2000 && m >= 1 && m <= 12 && d >= 1 && d <= 31);
    strbuf_free(&out);
}

static void allocation_failures_are_reported(void **state)
{
    static const char t[] = "{% set a = [1, 2] %}{% macro f(x) %}{{ x ~ 'y' }}{% endmacro %}{{ f(a) }}"
                            "{{ messages | map(attribute='role') | join }}{{ 'a b'.split() | tojson }}";
    static const chat_message m = {"user", "hello", 5};
    chat_input in = {.messages = &m, .n_message = 1};
    int rc = 1;
    (void)state;
    for (long nth = 1; nth < 2000 && rc; nth++) {
        strbuf out = {0};
        err e = {0};
        mem_fail_at(nth);
        rc = chat_render(&out, t, sizeof t - 1, "t", &in, &e);
        mem_fail_at(0);
        assert_true(rc == 0 || e.msg[0]);
        if (!rc)
            assert_string_equal(strbuf_str(&out), "[1, 2]yuser[\"a\", \"b\"]");
        strbuf_free(&out);
    }
    assert_int_equal(rc, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reference_cases),
        cmocka_unit_test(what_is_refused_is_named),
        cmocka_unit_test(limits),
        cmocka_unit_test(plain_messages_keep_their_bytes),
        cmocka_unit_test(strftime_now_has_the_form),
        cmocka_unit_test(allocation_failures_are_reported),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
