/* Fuzz target for chat templates: the bytes as a template, rendered with two conversations.  Rendering ends in a text
 * within the limits, or in a message that names the template.
 *
 * With libFuzzer:
 *     clang -fsanitize=fuzzer,address,undefined ... tests/fuzz_chat.c && ./a.out SEEDS/
 * Without it, compiled with -DFUZZ_DRIVER, a plain program that mutates the templates of chat_cases.json a fixed
 * number of times with a fixed seed (FUZZ_RUNS and FUZZ_SEED change them), as one TAP test. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/chat/chat.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char conversation[] =
    "[{\"role\":\"system\",\"content\":\" s \"},{\"role\":\"user\",\"content\":\"h\\u00e9llo <|x|>\"},"
    "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"type\":\"function\",\"function\":{\"name\":\"f\","
    "\"arguments\":{\"a\":[1,2.5,true,{}]}}}]},{\"role\":\"tool\",\"content\":[{\"type\":\"text\",\"text\":\"t\"}]}]";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const chat_variable variables[] = {{"bos_token", "<s>"}, {"eos_token", "</s>"}};
    static const chat_message hello = {"user", "a\xff\0b", 4};
    static json *messages;
    if (!messages && json_parse(&messages, conversation, sizeof conversation - 1, "messages", NULL))
        abort();
    for (int i = 0; i < 2; i++) {
        chat_input in = {.messages = &hello, .n_message = 1, .json_messages = i ? messages : NULL,
                         .add_generation_prompt = i, .variables = variables, .n_variable = 2};
        strbuf out = {0};
        err e = {0};
        int rc = chat_render(&out, (const char *)data, size, "template", &in, &e);
        if (rc ? (rc != ERR_INPUT || e.code != rc || strncmp(e.msg, "template:", 9) != 0 || out.len)
               : out.len > (size_t)80 << 20)
            abort();
        strbuf_free(&out);
    }
    return 0;
}

#ifdef FUZZ_DRIVER

enum { DEFAULT_RUNS = 3000 };
static uint64_t state = 20260404;

static uint64_t next(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static size_t below(size_t n)
{
    return n ? (size_t)(next() % n) : 0;
}

/* A change of one place: a bit, a word over it or before it, a piece of another template, a cut. */
static void mutate(strbuf *b, const char *other, size_t n_other)
{
    static const char *const words[] = {
        "{{", "}}", "{%", "%}", "{%-", "-%}", "{#", "#}", "{% for x in ", "{% endfor %}", "{% if ", "{% endif %}",
        "{% else %}", "{% set x = ", "{% macro f(a) %}", "{% endmacro %}", "{% raw %}", "{% endraw %}", "{% break %}",
        "messages", "loop", "loop.index0", "[::-1]", "[1:]", "|tojson", "|map('upper')", "|sort", "|join", "|selectattr(",
        ".split(", ".items()", "namespace()", "range(99999)", "x.y", " ~ ", " is ", " not ", " in ", " and ", "(", ")",
        "[", "]", "{", "}", "'", "\"", "\\u00e9", "\xff", "**", "//", "%", "-1", "9999999999999999999", "1e999", "f(",
        ",", ":", "=", "==", "none", "true",
    };
    size_t at = below(b->len + 1), left = b->len - at, from = below(n_other), n = 1 + below(40);
    const char *word = words[below(sizeof words / sizeof *words)];
    strbuf whole = {0};
    switch (next() % 5) {
    case 0:
        if (left)
            b->s[at] = (char)(b->s[at] ^ 1 << below(8));
        return;
    case 1:
        memcpy(b->s + at, word, strlen(word) < left ? strlen(word) : left);
        return;
    case 2:
        strbuf_add(&whole, b->s, at);
        strbuf_puts(&whole, word);
        break;
    case 3:
        strbuf_add(&whole, b->s, at);
        strbuf_add(&whole, other + from, n < n_other - from ? n : n_other - from);
        break;
    default:
        strbuf_add(&whole, b->s, at);
        at += n < left ? n : left;
        left = b->len - at;
    }
    strbuf_add(&whole, b->s + at, left);
    strbuf_free(b);
    *b = whole;
}

int main(void)
{
    const char *runs_text = getenv("FUZZ_RUNS"), *seed_text = getenv("FUZZ_SEED"), *dir = getenv("srcdir");
    long runs = runs_text ? atol(runs_text) : DEFAULT_RUNS;
    const char *seeds[128];
    size_t sizes[128], n = 0;
    char path[4096];
    json *cases = NULL;
    void *it = NULL;
    const char *key;
    const json *v;
    if (seed_text && atol(seed_text))
        state = (uint64_t)atol(seed_text);
    snprintf(path, sizeof path, "%s/tests/chat_cases.json", dir ? dir : ".");
    if (json_load(&cases, path, 1 << 24, NULL))
        abort();
    while (n < 128 && json_each(json_get(cases, "templates"), &it, &key, &v)) {
        seeds[n] = json_str(v, &sizes[n]);
        n++;
    }
    printf("1..1\n");
    for (long i = 0; i < runs; i++) {
        size_t k = (size_t)i % n, other = below(n);
        strbuf b = {0};
        strbuf_add(&b, seeds[k], sizes[k]);
        for (size_t m = below(5); m && b.s; m--)
            mutate(&b, seeds[other], sizes[other]);
        LLVMFuzzerTestOneInput((const uint8_t *)strbuf_str(&b), b.len);
        strbuf_free(&b);
    }
    printf("ok 1 - %ld damaged templates of %zu seeds\n", runs, n);
    json_free(cases);
    return 0;
}

#endif
