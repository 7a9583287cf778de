/* cli: the command language, options, and the place of the cursor. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/strbuf.h"
#include "cli/command.h"
#include "cli/dispatch.h"
#include "cli/line_context.h"
#include "cli/parse.h"

/* All commands of a text as one string: words in <>, @files as <@...>, commands apart by " | ", logical
 * lines by " / "; "ERROR n: message" where it fails, "MISSING n line" where it ends too early. */
static const char *shown(const char *text)
{
    static strbuf b;
    size_t n = strlen(text);
    strbuf_clear(&b);
    for (size_t at = 0; at < n;) {
        parsed_line p;
        parse_wait w;
        err e = {0};
        if (at)
            strbuf_puts(&b, " / ");
        if (parse_line(&p, &w, text + at, n - at, &e) != 0) {
            assert_int_equal(e.code, ERR_USAGE);
            strbuf_printf(&b, "ERROR %d: %s", p.error_line, e.msg);
        } else if (w.missing) {
            assert_int_equal(p.used, 0);
            assert_int_equal(p.n, 0);
            strbuf_printf(&b, "MISSING %d %d", (int)w.missing, w.line);
            p.used = n - at;
        }
        for (int i = 0; i < p.n; i++) {
            if (i)
                strbuf_puts(&b, " | ");
            for (int j = 0; j < p.command[i].n; j++)
                strbuf_printf(&b, "<%s%s>", p.command[i].word[j].file ? "@" : "", p.command[i].word[j].text);
        }
        assert_true(p.used > 0 && p.used <= n - at);
        at += p.used;
        parsed_free(&p);
    }
    return strbuf_str(&b);
}

static void words_and_quotes(void **state)
{
    (void)state;
    assert_string_equal(shown("run  model\t--json"), "<run><model><--json>");
    assert_string_equal(shown("a 'b c' \"d e\" f'g h'i\"j\"k"), "<a><b c><d e><fg hijk>");
    assert_string_equal(shown("a '' \"\""), "<a><><>");
    assert_string_equal(shown("a 'x\\n;#@y'"), "<a><x\\n;#@y>");
    assert_string_equal(shown("a \"\\n\\t\\r\\\"\\\\\\x41\\x7a\\u{e9}\\u{1F600}'\""),
                        "<a><\n\t\r\"\\Az\xc3\xa9\xf0\x9f\x98\x80'>");
    assert_string_equal(shown("a \\; \\# b\\ c \\\"d \\\\"), "<a><;><#><b c><\"d><\\>");
    assert_string_equal(shown("a 'two\nlines' b"), "<a><two\nlines><b>");
    assert_string_equal(shown("a \"one \\\nline\" b"), "<a><one line><b>");
    assert_string_equal(shown("\xc3\xa9t\xc3\xa9 \xe2\x80\x9cx y\xe2\x80\x9d"),
                        "<\xc3\xa9t\xc3\xa9><\xe2\x80\x9cx><y\xe2\x80\x9d>");
}

static void ends_and_comments(void **state)
{
    (void)state;
    assert_string_equal(shown("a 1; b 2 ;;c"), "<a><1> | <b><2> | <c>");
    assert_string_equal(shown("a # b; c\nd"), "<a> / <d>");
    assert_string_equal(shown("a b#c #d"), "<a><b#c>");
    assert_string_equal(shown("# only a comment"), "");
    assert_string_equal(shown("a\n\n  \nb\n"), "<a> /  /  / <b>");
    assert_string_equal(shown("a \\\n b\\\nc"), "<a><bc>");
    assert_string_equal(shown("a\r\nb \\\r\n c\r\n"), "<a> / <b><c>");
}

static void files(void **state)
{
    (void)state;
    assert_string_equal(shown("a @x.txt"), "<a><@x.txt>");
    assert_string_equal(shown("a @\"x y\" @@x @ '@x' x@y --p=@z"), "<a><@x y><@x><@><@x><x@y><--p=@z>");
}

/* The references of the first word: "at+len=name" or "at+len={name}" with braces, ":-otherwise" behind it. */
static const char *refs(const char *text)
{
    static strbuf b;
    parsed_line p;
    parse_wait w;
    err e = {0};
    strbuf_clear(&b);
    strbuf_puts(&b, "");
    if (parse_line(&p, &w, text, strlen(text), &e) != 0)
        strbuf_puts(&b, e.msg);
    else if (p.n == 1)
        for (int i = 0; i < p.command[0].word[0].n_ref; i++) {
            const word_ref *r = &p.command[0].word[0].ref[i];
            strbuf_printf(&b, "%s%zu+%zu=%s%s%s", i ? " " : "", r->at, r->len, r->braces ? "{" : "", r->name,
                          r->braces ? "}" : "");
            if (r->otherwise)
                strbuf_printf(&b, ":-%s", r->otherwise);
        }
    parsed_free(&p);
    return strbuf_str(&b);
}

static void references(void **state)
{
    (void)state;
    assert_string_equal(shown("a $b ${c}d \"$e f\" '$g' \\$h \"\\$i\""), "<a><$b><${c}d><$e f><$g><$h><$i>");
    assert_string_equal(refs("$ab_1"), "0+5=ab_1");
    assert_string_equal(refs("x$a.y${b}$c-"), "1+2=a 5+4={b} 9+2=c");
    assert_string_equal(refs("\"\\n $a\"'$b'$c"), "2+2=a 6+2=c");
    assert_string_equal(refs("\\$a"), "");
    assert_string_equal(refs("\"\\$a\""), "");
    assert_string_equal(refs("@$a/b"), "0+2=a"); /* of the name behind the @ */
    assert_string_equal(refs("@@$a"), "1+2=a");
    assert_string_equal(refs("$1$23$0$9x"), "0+2=1 7+2=9");
    assert_string_equal(refs("$ $. $$a"), "");
    assert_string_equal(refs("$$a"), "1+2=a");
    assert_string_equal(refs("${a:-b c;#'}d"), "0+12={a}:-b c;#'");
    assert_string_equal(refs("${1}${env:HOME}${a:-}"), "0+4={1} 4+11={env:HOME} 15+6={a}:-");
    assert_string_equal(refs("$\xc3\xa9"), "");
    assert_string_equal(shown("a <<X\n$b ${\nX\n"), "<a><$b ${>");
    assert_string_equal(shown("a ${\nb"), "ERROR 0: ${ names no variable / <b>");
    assert_string_equal(shown("a \"${b c}\""), "ERROR 0: ${b c} names no variable");
    assert_string_equal(shown("a ${0}"), "ERROR 0: ${0} names no variable");
    assert_string_equal(shown("a ${env:}"), "ERROR 0: ${env:} names no variable");
    assert_string_equal(shown("a ${b:c}"), "ERROR 0: ${b:c} names no variable");
    assert_string_equal(shown("a \"${b"), "ERROR 0: ${b names no variable");
}

static void heredocs(void **state)
{
    (void)state;
    assert_string_equal(shown("run m --prompt <<END --json\nline 'one'\n  two # \\n\nEND\ntop"),
                        "<run><m><--prompt><line 'one'\n  two # \\n><--json> / <top>");
    assert_string_equal(shown("a <<X; b <<Y\nfirst\nX\nsecond\nY\n"), "<a><first> | <b><second>");
    assert_string_equal(shown("a <<X\nX\n"), "<a><>");
    assert_string_equal(shown("a <<X\n\n\nX"), "<a><\n>");
    assert_string_equal(shown("a <<X\r\nt\r\nX\r\nb"), "<a><t\r> / <b>");
    assert_string_equal(shown("a '<<X'"), "<a><<<X>");
}

static void unfinished(void **state)
{
    (void)state;
    char text[64];
    assert_string_equal(shown("a 'b"), "MISSING 1 0");
    assert_string_equal(shown("a\nb \"c\n\nd"), "<a> / MISSING 1 0");
    assert_string_equal(shown("a \\"), "MISSING 2 0");
    assert_string_equal(shown("a \\\n"), "MISSING 2 0");
    assert_string_equal(shown("a b\\\n"), "MISSING 2 0");
    assert_string_equal(shown("a \"b\\"), "MISSING 1 0");
    snprintf(text, sizeof text, "MISSING %d 0", PARSE_HEREDOC);
    assert_string_equal(shown("a <<END"), text);
    assert_string_equal(shown("a <<END\nb\nEND2\n END\n"), text);

    parse_wait w = {.missing = PARSE_HEREDOC, .heredoc = "END"};
    assert_true(parse_may_finish(&w, "END", 3));
    assert_true(parse_may_finish(&w, "END\r", 4));
    assert_false(parse_may_finish(&w, "THE END", 7));
    assert_false(parse_may_finish(&w, "ENDING", 6));
    w = (parse_wait){.missing = PARSE_QUOTE, .quote = '"'};
    assert_true(parse_may_finish(&w, "x\"", 2));
    assert_false(parse_may_finish(&w, "x'", 2));
}

static void bad_text(void **state)
{
    (void)state;
    assert_string_equal(shown("a \"\\q\""), "ERROR 0: unknown escape \\q in double quotes");
    assert_string_equal(shown("a \"\n\\xg0\"\nb"), "ERROR 1: \\x needs two hexadecimal digits / <b>");
    assert_string_equal(shown("a \"\\x00\""), "ERROR 0: \\x00 cannot be part of a word");
    assert_string_equal(shown("a \"\\u{d800}\""), "ERROR 0: \\u{d800} is no character");
    assert_string_equal(shown("a \"\\u{110000}\""), "ERROR 0: \\u{110000} is no character");
    assert_string_equal(shown("a \"\\u41\""), "ERROR 0: \\u needs a code point in braces, as in \\u{e9}");
    assert_string_equal(shown("a <<\nb"),
                        "ERROR 0: << needs a closing word of 1 to 63 bytes, as in <<END / <b>");

    parsed_line p;
    parse_wait w;
    err e = {0};
    static const char nul[] = "a b\0c\nd";
    assert_int_equal(parse_line(&p, &w, nul, sizeof nul - 1, &e), ERR_USAGE);
    assert_int_equal(p.used, 6);
    parsed_free(&p);
}

/* What strbuf_put_quoted writes reads back as the same word, whatever the word. */
static void quoted_words_round_trip(void **state)
{
    (void)state;
    uint64_t seed = 88172645463325252u;
    for (int i = 0; i < 20000; i++) {
        static const char alphabet[] = "ab@#;<>'\"\\ \n\t\r=-_.,x\xc3\xa9\x01\xff~$`!*?()[]{}|&";
        char word[13];
        seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
        uint64_t bits = seed;
        size_t n = bits % 12;
        for (size_t j = 0; j < n; j++) {
            bits = bits * 6364136223846793005u + 1442695040888963407u;
            word[j] = alphabet[(bits >> 40) % (sizeof alphabet - 1)];
        }
        word[n] = '\0';
        strbuf b = {0};
        parsed_line p;
        parse_wait w;
        err e = {0};
        strbuf_puts(&b, "v ");
        strbuf_put_quoted(&b, word);
        assert_int_equal(parse_line(&p, &w, b.s, b.len, &e), 0);
        assert_int_equal(w.missing, PARSE_COMPLETE);
        assert_int_equal(p.n, 1);
        assert_int_equal(p.command[0].n, 2);
        assert_false(p.command[0].word[1].file);
        assert_int_equal(p.command[0].word[1].n_ref, 0);
        assert_string_equal(p.command[0].word[1].text, word);
        parsed_free(&p);
        strbuf_free(&b);
    }
}

/* Any bytes: parsing ends, goes forward, and says the same for a text that came in two pieces. */
static void any_bytes(void **state)
{
    (void)state;
    uint64_t seed = 1;
    for (int i = 0; i < 20000; i++) {
        static const char alphabet[] = "aE<<@'\"\\ \n;#x{u}\r\0N";
        char text[24];
        for (size_t j = 0; j < sizeof text; j++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            text[j] = alphabet[(seed >> 40) % (sizeof alphabet - 1)];
        }
        for (size_t at = 0; at < sizeof text;) {
            parsed_line p;
            parse_wait w;
            int rc = parse_line(&p, &w, text + at, sizeof text - at, NULL);
            assert_true(rc == 0 || rc == ERR_USAGE);
            assert_true(p.used <= sizeof text - at);
            assert_true(p.used > 0 || (rc == 0 && w.missing));
            size_t used = p.used;
            parsed_free(&p);
            if (!used)
                break;
            at += used;
        }
    }
}

/* Every allocation fails once: an error each time, nothing leaks (AddressSanitizer sees), and in the end it
 * works. */
static void out_of_memory(void **state)
{
    (void)state;
    static const char text[] = "run 'a b' <<END; top @file $a${b:-c}\nsome text\nEND\n";
    int failures = 0;
    for (long nth = 1;; nth++) {
        parsed_line p;
        parse_wait w;
        err e = {0};
        mem_fail_at(nth);
        int rc = parse_line(&p, &w, text, sizeof text - 1, &e);
        mem_fail_at(0);
        if (!rc) {
            assert_int_equal(p.n, 2);
            assert_string_equal(p.command[0].word[2].text, "some text");
            assert_int_equal(p.command[1].word[2].n_ref, 2);
            parsed_free(&p);
            break;
        }
        assert_int_equal(rc, ERR_RESOURCE);
        assert_int_equal(e.code, ERR_RESOURCE);
        assert_int_equal(p.n, 0);
        parsed_free(&p);
        failures++;
    }
    assert_true(failures >= 8);
}

/* --- options --- */

static const char *const colours[] = {"red", "green", NULL};
static const param own[] = {
    {.name = "prompt", .kind = PARAM_STR, .value = "TEXT", .help = "text"},
    {.name = "special", .kind = PARAM_BOOL, .def = "true", .help = "special tokens"},
    {.name = "colour", .kind = PARAM_ENUM, .def = "red", .choices = colours, .help = "colour"},
    {.name = "metrics", .kind = PARAM_LIST, .value = "LIST", .complete = "metrics", .help = "metrics"},
    {.name = NULL},
};
static const command sample = {.name = "sample", .group = "model", .usage = "A", .help = "",
                               .params = own, .max_args = 3};

static int read_words(params **p, const char **positional, int *n_positional, const char *const *words,
                      err *e)
{
    int n = 0;
    while (words[n])
        n++;
    command_tables tables;
    assert_int_equal(params_new(p, e), 0);
    command_get_tables(&sample, tables);
    for (int i = 0; tables[i]; i++)
        assert_int_equal(params_use(*p, tables[i], e), 0);
    return command_read_words(&sample, *p, positional, n_positional, n, words, e);
}

static void options(void **state)
{
    (void)state;
    const char *positional[16];
    int n;
    params *p;
    err e = {0};
    const char *const words[] = {"one", "--prompt", "--json", "--colour=green", "-5", "--no-special", "-o",
                                 "x.csv", "--csv", "-", "--", "--tsv", NULL};
    assert_int_equal(read_words(&p, positional, &n, words, &e), 0);
    assert_int_equal(n, 4);
    assert_string_equal(positional[0], "one");
    assert_string_equal(positional[1], "-5");
    assert_string_equal(positional[2], "-");
    assert_string_equal(positional[3], "--tsv");
    assert_string_equal(params_str(p, "prompt"), "--json");
    assert_string_equal(params_str(p, "colour"), "green");
    assert_string_equal(params_str(p, "output"), "x.csv");
    assert_false(params_bool(p, "special"));
    assert_true(params_bool(p, "csv"));
    assert_false(params_bool(p, "tsv"));
    params_free(p);
}

static void bad_options(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"--promt", "x", "unknown option --promt"},
        {"--colour", "blue", "option --colour: unknown value 'blue'"},
        {"--prompt", NULL, "option --prompt needs a value"}, {"-x", NULL, "unknown option -x"},
        {"--json=maybe", NULL, "option --json: 'maybe' is neither true nor false"},
        {"--no-special=x", NULL, "option --no-special takes no value"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *positional[16];
        int n;
        params *p;
        err e = {0};
        const char *const words[] = {cases[i][0], cases[i][1], NULL};
        assert_int_equal(read_words(&p, positional, &n, words, &e), ERR_USAGE);
        assert_string_equal(e.msg, cases[i][2]);
        params_free(p);
    }
}

/* --- the place of the cursor --- */

static line_context place_of(const char *line)
{
    line_context at;
    line_context_get(&at, line, strlen(line), true);
    return at;
}

static void cursor(void **state)
{
    (void)state;
    line_context at = place_of("");
    assert_int_equal(at.want, LINE_VERB);
    assert_int_equal(at.begin, 0);
    at = place_of("hel");
    assert_int_equal(at.want, LINE_VERB);
    at = place_of("quit ; li");
    assert_int_equal(at.want, LINE_VERB);
    assert_int_equal(at.begin, 7);
    at = place_of("list ");
    assert_int_equal(at.want, LINE_ARGUMENT);
    assert_int_equal(at.argument, 0);
    assert_string_equal(at.c->name, "list");
    at = place_of("set color ne");
    assert_int_equal(at.want, LINE_ARGUMENT);
    assert_int_equal(at.argument, 1);
    assert_string_equal(at.first, "color");
    at = place_of("list metrics --j");
    assert_int_equal(at.want, LINE_OPTION);
    at = place_of("list metrics --output fi");
    assert_int_equal(at.want, LINE_VALUE);
    assert_string_equal(at.row->name, "output");
    assert_int_equal(at.begin, 22);
    at = place_of("list metrics --output=fi");
    assert_int_equal(at.want, LINE_VALUE);
    assert_int_equal(at.begin, 22);
    at = place_of("list --json me");
    assert_int_equal(at.want, LINE_ARGUMENT);
    assert_int_equal(at.argument, 0);
    at = place_of("source \"a fi");
    assert_int_equal(at.want, LINE_ARGUMENT);
    assert_int_equal(at.begin, 8);
    at = place_of("source @na");
    assert_int_equal(at.want, LINE_FILE);
    assert_int_equal(at.begin, 8);
    at = place_of("list # me");
    assert_int_equal(at.want, LINE_NOTHING);
    at = place_of("nonsense fi");
    assert_int_equal(at.want, LINE_NOTHING);
    at = place_of("run m --metrics entropy,in");
    assert_int_equal(at.want, LINE_VALUE);
    assert_string_equal(at.row->name, "metrics");
    assert_int_equal(at.begin, 24);
    assert_true(at.list);
    at = place_of("run m --maps=L0H1,L2");
    assert_int_equal(at.want, LINE_VALUE);
    assert_int_equal(at.begin, 18);
    at = place_of("list metrics --output a,b");
    assert_int_equal(at.begin, 22);
    assert_false(at.list);
}

/* Where two tables of a command share a name, both must mean the same: the first hides the other.  A command's own --output
 * is meant to. */
static void no_option_hides_another(void **state)
{
    (void)state;
    for (int i = 0; commands[i]; i++) {
        command_tables t;
        command_get_tables(commands[i], t);
        for (int a = 0; t[a]; a++)
            for (int b = 0; b < a; b++)
                for (const param *x = t[a]; x->name && t[a] != t[b]; x++)
                    for (const param *y = t[b]; y->name; y++)
                        if (strcmp(x->name, y->name) == 0 && (x->kind != y->kind || strcmp(x->help, y->help) != 0) &&
                            t[a] != output_params)
                            fail_msg("%s has two options --%s: \"%s\" and \"%s\"", commands[i]->name, x->name, y->help,
                                     x->help);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_and_quotes),
        cmocka_unit_test(ends_and_comments),
        cmocka_unit_test(files),
        cmocka_unit_test(references),
        cmocka_unit_test(heredocs),
        cmocka_unit_test(unfinished),
        cmocka_unit_test(bad_text),
        cmocka_unit_test(quoted_words_round_trip),
        cmocka_unit_test(any_bytes),
        cmocka_unit_test(out_of_memory),
        cmocka_unit_test(options),
        cmocka_unit_test(bad_options),
        cmocka_unit_test(cursor),
        cmocka_unit_test(no_option_hides_another),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("cli_parse", tests, NULL, NULL);
}
