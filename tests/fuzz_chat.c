/* Fuzz target for chat templates: the bytes as a template, rendered with two conversations.  Rendering ends in a text
 * within the limits, or in a message that names the template.
 *
 * With libFuzzer:
 *     clang -fsanitize=fuzzer,address,undefined ... tests/fuzz_chat.c && ./a.out SEEDS/
 * Without it, compiled with -DFUZZ_DRIVER, a plain program that damages the templates of chat_cases.json
 * (fuzz_driver.h). */
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

#include "tests/fuzz_driver.h"

static const char *const words[] = {
    "{{", "}}", "{%", "%}", "{%-", "-%}", "{#", "#}", "{% for x in ", "{% endfor %}", "{% if ", "{% endif %}",
    "{% else %}", "{% set x = ", "{% macro f(a) %}", "{% endmacro %}", "{% raw %}", "{% endraw %}", "{% break %}",
    "messages", "loop", "loop.index0", "[::-1]", "[1:]", "|tojson", "|map('upper')", "|sort", "|join", "|selectattr(",
    ".split(", ".items()", "namespace()", "range(99999)", "x.y", " ~ ", " is ", " not ", " in ", " and ", "(", ")",
    "[", "]", "{", "}", "'", "\"", "\\u00e9", "**", "//", "%", "-1", "9999999999999999999", "1e999", "f(", NULL,
};

int main(int argc, char **argv)
{
    const char *dir = getenv("srcdir"), *key;
    char path[4096];
    json *cases = NULL;
    void *it = NULL;
    const json *v;
    snprintf(path, sizeof path, "%s/tests/chat_cases.json", dir ? dir : ".");
    if (json_load(&cases, path, 1 << 24, NULL))
        abort();
    while (json_each(json_get(cases, "templates"), &it, &key, &v)) {
        size_t n;
        const char *s = json_str(v, &n);
        fuzz_seed_bytes(s, n);
    }
    json_free(cases);
    fuzz_words = words;
    return fuzz_main(argc, argv, "damaged templates");
}

#endif
