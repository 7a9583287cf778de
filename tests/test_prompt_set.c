/* Many prompts from files: JSON Lines with metadata, plain text by line and document, folders, gzip, hostile bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <cmocka.h>
#include "base/gzip.h"
#include "base/json_lines.h"
#include "base/mem.h"
#include "cli/prompt_request.h"
#include "tests/test_base_folder.h"

static const char *write_text(const char *name, const char *text)
{
    return write_in_folder(name, text, strlen(text));
}

/* The prompts of path are these texts at these places. */
static void expect(const char *path, prompt_unit unit, const char *const texts[][2])
{
    prompt_request *q = NULL;
    int64_t n = 0, wanted = 0;
    err e = {0};
    while (texts[wanted][0])
        wanted++;
    if (prompt_requests_load(&q, &n, path, unit, &e))
        fail_msg("%s: %s", path, e.msg);
    assert_int_equal(n, wanted);
    for (int64_t i = 0; i < n; i++) {
        assert_non_null(q[i].prompt.text);
        assert_int_equal(q[i].prompt.text_len, strlen(texts[i][0]));
        assert_string_equal(q[i].prompt.text, texts[i][0]);
        assert_string_equal(q[i].where, texts[i][1]);
    }
    prompt_requests_free(q, n);
}
#define EXPECT(path, unit, ...) expect(path, unit, (const char *const[][2]){__VA_ARGS__, {NULL, NULL}})

static void refuse(const char *path, prompt_unit unit, int code, const char *words)
{
    prompt_request *q = (prompt_request *)1;
    int64_t n = 1;
    err e = {0};
    int rc = prompt_requests_load(&q, &n, path, unit, &e);
    if (rc != code || !strstr(e.msg, words))
        fail_msg("%s: code %d, \"%s\", wanted \"%s\"", path, rc, e.msg, words);
    assert_null(q);
    assert_int_equal(n, 0);
}

/* ---- plain text ---- */

static void test_lines(void **state)
{
    (void)state;
    const char *path = write_text("a.txt", "\xef\xbb\xbf" "one\r\n\n  \t\n two \nthr\xc3\xa9\x65");
    EXPECT(path, PROMPT_USUAL, {"one", "a.txt:1"}, {" two ", "a.txt:4"}, {"thr\xc3\xa9\x65", "a.txt:5"});
    EXPECT(path, PROMPT_LINE, {"one", "a.txt:1"}, {" two ", "a.txt:4"}, {"thr\xc3\xa9\x65", "a.txt:5"});
    EXPECT(path, PROMPT_FILE, {"one\r\n\n  \t\n two \nthr\xc3\xa9\x65", "a.txt:1"});
    EXPECT(write_text("no-name", "{x\n"), PROMPT_LINE, {"{x", "no-name:1"});
    EXPECT(write_text("b.txt", "{\"text\": \"as it is\"}\n"), PROMPT_USUAL, {"{\"text\": \"as it is\"}", "b.txt:1"});
}

static void test_documents(void **state)
{
    (void)state;
    EXPECT(write_text("a.txt", "\n\none\nmore\n\n \n\ntwo\r\n\r\nthree"), PROMPT_DOCUMENT, {"one\nmore", "a.txt:3"},
           {"two", "a.txt:8"}, {"three", "a.txt:10"});
    EXPECT(write_text("a.txt", "one\n\nmore\n\f\ntwo\f three\n\n\f\f\n"), PROMPT_DOCUMENT, {"one\n\nmore", "a.txt:1"},
           {"two", "a.txt:5"}, {" three", "a.txt:5"});
    EXPECT(write_text("a.txt", "one"), PROMPT_DOCUMENT, {"one", "a.txt:1"});
}

static void test_bad_text(void **state)
{
    (void)state;
    refuse(write_text("a.txt", ""), PROMPT_USUAL, ERR_INPUT, "holds no prompts");
    refuse(write_text("a.txt", " \n\t\r\n"), PROMPT_USUAL, ERR_INPUT, "holds no prompts");
    refuse(write_text("a.txt", " \n"), PROMPT_FILE, ERR_INPUT, "holds no prompts");
    refuse(write_text("a.txt", "\f\n\f"), PROMPT_DOCUMENT, ERR_INPUT, "holds no prompts");
    refuse(write_in_folder("a.txt", "one\ntw\0o\n", 9), PROMPT_USUAL, ERR_INPUT, "a.txt:2: holds a NUL byte");
    refuse(write_text("a.txt", "one\n\ntw\xffo"), PROMPT_USUAL, ERR_INPUT, "a.txt:3: byte 0xff is no UTF-8");
    refuse(write_text("a.txt", "cut \xe2\x82"), PROMPT_USUAL, ERR_INPUT, "a.txt:1: byte 0xe2 is no UTF-8");
    refuse(in_folder("nowhere.txt"), PROMPT_USUAL, ERR_INPUT, "nowhere.txt");
    refuse(write_text("a.jsonl", "{\"text\": \"a\"}"), PROMPT_LINE, ERR_USAGE, "--prompt-unit is for plain text");
}

/* A prompt of more than 64 MiB is refused before anything is made of it. */
static void test_long(void **state)
{
    (void)state;
    size_t n = (size_t)100 << 20;
    char *text = malloc(n);
    assert_non_null(text);
    memset(text, 'a', n);
    refuse(write_in_folder("long.txt", text, n), PROMPT_USUAL, ERR_INPUT, "long.txt:1: a prompt of 100 MiB, more than 64 MiB");
    memcpy(text, "{\"text\": \"", 10);
    memcpy(text + n - 2, "\"}", 2);
    refuse(write_in_folder("long.jsonl", text, n), PROMPT_USUAL, ERR_INPUT, "long.jsonl:1: a line of 100 MiB, more than 64 MiB");
    free(text);
    assert_int_equal(remove(in_folder("long.txt")), 0);
    assert_int_equal(remove(in_folder("long.jsonl")), 0);
}

/* ---- JSON Lines ---- */

static const char *fact(const prompt_request *q, const char *name)
{
    for (int i = 0; i < q->facts.n; i++)
        if (strcmp(q->facts.list[i].name, name) == 0) {
            assert_int_equal(q->facts.list[i].len, strlen(q->facts.list[i].text));
            return q->facts.list[i].text;
        }
    return NULL;
}

static void test_metadata(void **state)
{
    static const char text[] =
        "\xef\xbb\xbf{\"text\": \"a\", \"id\": 17, \"domain\": \"code\", \"set\": \"train\", \"share\": 0.5, \"ok\": true,"
        " \"none\": null, \"tags\": [\"x\\\"y\", 1, {\"k\": []}], \"empty\": \"\"}\n"
        "{\"ids\": [1], \"label\": \"mine\", \"id\": \"his\", \"answer\": \"left out\", \"depth\": 0.5}\n"
        "{\"messages\": [{\"role\": \"user\", \"content\": \"Hi\"}], \"checkpoint\": 3}\n";
    prompt_request *q;
    int64_t n;
    err e = {0};
    (void)state;
    if (prompt_requests_load(&q, &n, write_text("m.jsonl", text), PROMPT_USUAL, &e))
        fail_msg("%s", e.msg);
    assert_int_equal(n, 3);
    assert_string_equal(q[0].label, "17");
    assert_int_equal(q[0].facts.n, 8);
    assert_string_equal(fact(&q[0], "id"), "17");
    assert_string_equal(fact(&q[0], "domain"), "code");
    assert_string_equal(fact(&q[0], "prompt.set"), "train");
    assert_null(fact(&q[0], "set"));
    assert_string_equal(fact(&q[0], "share"), "0.5");
    assert_string_equal(fact(&q[0], "ok"), "true");
    assert_string_equal(fact(&q[0], "none"), "null");
    assert_string_equal(fact(&q[0], "tags"), "[\"x\\\"y\",1,{\"k\":[]}]");
    assert_string_equal(fact(&q[0], "empty"), "");
    assert_string_equal(q[1].label, "mine");
    assert_string_equal(fact(&q[1], "id"), "his");
    assert_int_equal(q[1].facts.n, 1);
    assert_string_equal(q[2].messages, "[{\"role\":\"user\",\"content\":\"Hi\"}]");
    assert_string_equal(fact(&q[2], "prompt.checkpoint"), "3");
    prompt_requests_free(q, n);
}

static void test_bad_lines(void **state)
{
    static const char *const cases[][3] = {
        {"{\"label\": \"x\"}", "b.jsonl:1: gives no prompt", "a line has text"},
        {"{\"tekst\": \"x\"}", "b.jsonl:1: gives no prompt", "did you mean \"text\" in place of \"tekst\""},
        {"{\"messages\": []}", "is no list of messages", ""},
        {"{\"messages\": [{\"content\": \"x\"}]}", "is no list of messages", ""},
        {"{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}], \"text\": \"a\"}", "has messages and another prompt", ""},
        {"{\"text\": \"a\"}\n\n3", "b.jsonl:3: ", ""},
        {"{\"text\": \"\xff\"}", "b.jsonl:1: ", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        prompt_request *q;
        int64_t n;
        err e = {0};
        assert_int_equal(prompt_requests_load(&q, &n, write_text("b.jsonl", cases[i][0]), PROMPT_USUAL, &e), ERR_INPUT);
        if (!strstr(e.msg, cases[i][1]) || !strstr(e.hint, cases[i][2]))
            fail_msg("%s: \"%s\" (%s)", cases[i][0], e.msg, e.hint);
    }
    EXPECT(write_text("other", " \n {\"text\": \"found by its brace\"}\n"), PROMPT_USUAL, {"found by its brace", "other:2"});
}

/* ---- folders, gzip ---- */

static void pack(const char *name, const char *text)
{
    gzFile f = gzopen(in_folder(name), "wb");
    assert_non_null(f);
    assert_int_equal(gzwrite(f, text, (unsigned)strlen(text)), strlen(text));
    assert_int_equal(gzclose(f), Z_OK);
}

static void test_folder(void **state)
{
    (void)state;
    assert_int_equal(mkdir(in_folder("set"), 0700), 0);
    refuse(in_folder("set"), PROMPT_USUAL, ERR_INPUT, "holds no *.txt and no *.jsonl");
    write_text("set/b.txt", "first\nsecond\n");
    write_text("set/a.jsonl", "{\"text\": \"json\"}\n");
    write_text("set/.hidden.txt", "no");
    write_text("set/notes.md", "no");
    pack("set/c.txt.gz", "packed\n");
    EXPECT(in_folder("set"), PROMPT_USUAL, {"json", "a.jsonl:1"}, {"first\nsecond\n", "b.txt:1"}, {"packed\n", "c.txt.gz:1"});
    EXPECT(in_folder("set/"), PROMPT_LINE, {"json", "a.jsonl:1"}, {"first", "b.txt:1"}, {"second", "b.txt:2"},
           {"packed", "c.txt.gz:1"});
    sha256_hex before, after;
    assert_int_equal(prompt_requests_hash(before, in_folder("set"), NULL), 0);
    write_text("set/notes.md", "not looked at");
    assert_int_equal(prompt_requests_hash(after, in_folder("set"), NULL), 0);
    assert_string_equal(before, after);
    assert_int_equal(rename(in_folder("set/b.txt"), in_folder("set/bb.txt")), 0);
    assert_int_equal(prompt_requests_hash(after, in_folder("set"), NULL), 0);
    assert_string_not_equal(before, after);
    sha256_hex file, text;
    assert_int_equal(prompt_requests_hash(file, in_folder("set/bb.txt"), NULL), 0);
    assert_int_equal(sha256_of(text, "first\nsecond\n", 13, NULL), 0);
    assert_string_equal(file, text);
}

static void test_gzip(void **state)
{
    static const char line[] = "{\"text\": \"packed\"}\n";
    (void)state;
    pack("p.jsonl.gz", line);
    EXPECT(in_folder("p.jsonl.gz"), PROMPT_USUAL, {"packed", "p.jsonl.gz:1"});
    unsigned char packed[400];
    FILE *f = fopen(in_folder("p.jsonl.gz"), "rb");
    assert_non_null(f);
    size_t n = fread(packed, 1, sizeof packed / 2, f), size;
    fclose(f);
    char *out;
    err e = {0};
    assert_int_equal(gzip_unpack(&out, &size, packed, n, 100, &e), 0);
    assert_int_equal(size, sizeof line - 1);
    assert_string_equal(out, line);
    free(out);
    memcpy(packed + n, packed, n); /* two members are one text */
    assert_int_equal(gzip_unpack(&out, &size, packed, 2 * n, 100, &e), 0);
    assert_int_equal(size, 2 * (sizeof line - 1));
    free(out);
    assert_int_equal(gzip_unpack(&out, &size, packed, n, 5, &e), ERR_INPUT);
    for (size_t cut = 0; cut < n; cut++) /* cut off anywhere */
        if (cut)
            assert_int_equal(gzip_unpack(&out, &size, packed, cut, 1000, &e), ERR_INPUT);
    for (size_t i = 0; i < n; i++) { /* damaged anywhere: an answer, and never more than allowed */
        packed[i] ^= 0x5a;
        if (gzip_unpack(&out, &size, packed, n, 1000, &e) == 0) {
            assert_true(size <= 1000);
            free(out);
        }
        packed[i] ^= 0x5a;
    }
    refuse(write_in_folder("bad.txt.gz", (const char *)packed, n / 2), PROMPT_USUAL, ERR_INPUT, "bad.txt.gz: is cut off");
}

/* Small files that unpack to more prompts than memory has room for. */
static void test_bombs(void **state)
{
    static const char object[] = "{\"ids\":[3]}\n";
    const size_t n = JSON_LINES_MOST + 1, len = sizeof object - 1;
    char *text = calloc(n + 1, len);
    (void)state;
    assert_non_null(text);
    for (size_t i = 0; i < n; i++)
        memcpy(text + 2 * i, "a\n", 2);
    pack("bomb.txt.gz", text);
    refuse(in_folder("bomb.txt.gz"), PROMPT_USUAL, ERR_INPUT, "bomb.txt.gz: more than 1000000 prompts");
    for (size_t i = 0; i < n; i++)
        memcpy(text + len * i, object, len);
    pack("bomb.jsonl.gz", text);
    refuse(in_folder("bomb.jsonl.gz"), PROMPT_USUAL, ERR_INPUT, "bomb.jsonl.gz: holds more than 1000000 objects");
    free(text);
}

/* Every allocation fails once: an error, nothing lost (under the address sanitizer). */
static void test_allocations(void **state)
{
    const char *path = in_folder("set");
    (void)state;
    for (long nth = 1;; nth++) {
        prompt_request *q;
        int64_t n;
        err e = {0};
        mem_fail_at(nth);
        int rc = prompt_requests_load(&q, &n, path, PROMPT_LINE, &e);
        mem_fail_at(0);
        if (rc == 0) {
            prompt_requests_free(q, n);
            assert_true(nth > 10);
            return;
        }
        assert_int_equal(rc, ERR_RESOURCE);
        assert_true(nth < 10000);
    }
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines), cmocka_unit_test(test_documents), cmocka_unit_test(test_bad_text),
        cmocka_unit_test(test_long), cmocka_unit_test(test_metadata), cmocka_unit_test(test_bad_lines),
        cmocka_unit_test(test_folder), cmocka_unit_test(test_gzip), cmocka_unit_test(test_bombs),
        cmocka_unit_test(test_allocations),
    };
    return cmocka_run_group_tests_name("prompt sets", tests, folder_setup, folder_teardown);
}
