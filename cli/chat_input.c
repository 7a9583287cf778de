#include "cli/chat_input.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/mapfile.h"
#include "base/mem.h"
#include "model/chat/chat.h"

#define MAX_TEMPLATE_BYTES ((size_t)4 << 20)
#define MAX_CHAT_BYTES ((size_t)64 << 20)

const param chat_params[] = {
    {.name = "chat", .kind = PARAM_BOOL,
     .help = "put the text into the model's chat template, as the turn of a user"},
    {.name = "system", .kind = PARAM_STR, .value = "TEXT",
     .help = "a system message before it"},
    {.name = "chat-file", .kind = PARAM_PATH, .value = "FILE.json",
     .help = "a whole conversation instead: a list of {\"role\": ..., \"content\": ...}"},
    {.name = "template", .kind = PARAM_STR, .value = "none|NAME|FILE",
     .help = "none: the text as it is; the model's template of that name; or a Jinja template from a file"},
    {.name = "generation-prompt", .kind = PARAM_BOOL, .def = "true",
     .help = "end with the beginning of the assistant's turn (not behind a turn of the assistant)"},
    {.name = NULL},
};

bool chat_from_file(const params *p)
{
    return params_str(p, "chat-file") != NULL;
}

bool chat_asked(const params *p)
{
    return params_bool(p, "chat") || chat_from_file(p) || params_str(p, "system") || params_str(p, "template");
}

/* A template in memory; owned when it was read from a file. */
typedef struct template_text {
    const char *s;
    size_t n;
    const char *name;
    char *owned;
} template_text;

static int choose_template(template_text *out, const tokenizer *t, const char *chosen, err *e)
{
    *out = (template_text){.name = "chat template"};
    out->s = chosen ? tokenizer_chat_template_named(t, chosen) : tokenizer_chat_template(t);
    if (out->s) {
        out->n = strlen(out->s);
        return 0;
    }
    if (!chosen) {
        err_set(e, ERR_INPUT, "the model has no chat template");
        return err_hint(e, "name one with --template FILE.jinja, or go on without: --template none");
    }
    if (access(chosen, F_OK) != 0) {
        err_set(e, ERR_USAGE, "--template: the model has no template '%s', and there is no such file", chosen);
        return err_hint(e, "name a file with a Jinja template, or go on without: --template none");
    }
    int rc = read_file(&out->owned, &out->n, chosen, MAX_TEMPLATE_BYTES, e);
    out->s = out->owned;
    out->name = chosen;
    return rc;
}

/* The messages of a file, or of a text (path: what errors call it): the list itself, or "messages" of an object. */
static int read_messages(json **root, const json **list, const char *path, const char *text, err *e)
{
    int rc = text ? json_parse(root, text, strlen(text), path, e) : json_load(root, path, MAX_CHAT_BYTES, e);
    if (rc)
        return rc;
    *list = json_kind_of(*root) == JSON_MAP ? json_get(*root, "messages") : *root;
    size_t n = json_count(*list);
    bool good = json_kind_of(*list) == JSON_LIST && n > 0;
    for (size_t i = 0; i < n && good; i++)
        good = json_str(json_get(json_at(*list, i), "role"), NULL) != NULL;
    if (good)
        return 0;
    err_set(e, ERR_INPUT, "%s: no list of messages", path);
    return err_hint(e, "write [{\"role\": \"user\", \"content\": \"some text\"}]");
}

static bool ends_with_assistant(const json *list)
{
    const char *role = json_str(json_get(json_at(list, json_count(list) - 1), "role"), NULL);
    return role && strcmp(role, "assistant") == 0;
}

static size_t special_tokens(chat_variable *out, const tokenizer *t)
{
    static const char *const roles[] = {"bos_token", "eos_token", "unk_token", "pad_token",
                                        "sep_token", "cls_token", "mask_token"};
    size_t n = 0;
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) {
        const char *text = tokenizer_special(t, roles[i]);
        if (text)
            out[n++] = (chat_variable){roles[i], text};
    }
    return n;
}

/* The beginning of the assistant's turn comes behind messages, unless the last is of the assistant or options say no. */
static bool wants_generation(const params *p, const json *list)
{
    bool wanted = !p || params_bool(p, "generation-prompt");
    return wanted && ((p && params_given(p, "generation-prompt")) || !ends_with_assistant(list));
}

static int render(char **out, size_t *len, const tokenizer *t, const template_text *template, chat_input *in, err *e)
{
    chat_variable variables[8];
    strbuf b = {0};
    in->variables = variables;
    in->n_variable = special_tokens(variables, t);
    int rc = chat_render(&b, template->s, template->n, template->name, in, e);
    if (rc == ERR_INPUT && e && !e->hint[0])
        err_hint(e, "take another template with --template FILE.jinja, or go on without: --template none");
    if (!rc) {
        *len = b.len;
        *out = strbuf_take(&b, e);
        rc = *out ? 0 : ERR_RESOURCE;
    }
    strbuf_free(&b);
    return rc;
}

static int check_words(const params *p, const char *text, bool none, err *e)
{
    const char *file = params_str(p, "chat-file");
    if (file && (text || params_str(p, "system"))) {
        err_set(e, ERR_USAGE, "--chat-file excludes a prompt and --system");
        return err_hint(e, "write them as messages of the file, or leave --chat-file out");
    }
    if (none && (file || params_str(p, "system"))) {
        err_set(e, ERR_USAGE, "--template none takes the text alone, without %s", file ? "--chat-file" : "--system");
        return err_hint(e, "name a template, or give the text with --prompt");
    }
    return 0;
}

int chat_render_prompt(char **out, size_t *len, bool *special, const tokenizer *t, const params *p, const char *text,
                       size_t n, err *e)
{
    const char *chosen = params_str(p, "template"), *file = params_str(p, "chat-file"),
               *system = params_str(p, "system");
    bool none = chosen && strcmp(chosen, "none") == 0;
    chat_message turns[2];
    chat_input in = {.messages = turns, .add_generation_prompt = params_bool(p, "generation-prompt")};
    template_text template = {0};
    json *root = NULL;

    int rc = check_words(p, text, none, e);
    if (!rc && none) {
        *special = true;
        *len = n;
        *out = mem_strndup(text ? text : "", n, e);
        return *out ? 0 : ERR_RESOURCE;
    }
    if (!rc)
        rc = choose_template(&template, t, chosen, e);
    if (!rc && file)
        rc = read_messages(&root, &in.json_messages, file, NULL, e);
    if (rc)
        goto out;
    if (file)
        in.add_generation_prompt = wants_generation(p, in.json_messages);
    if (system)
        turns[in.n_message++] = (chat_message){"system", system, strlen(system)};
    turns[in.n_message++] = (chat_message){"user", text ? text : "", text ? n : 0};
    rc = render(out, len, t, &template, &in, e);
    *special = false;
out:
    json_free(root);
    free(template.owned);
    return rc;
}

int chat_render_messages(char **out, size_t *len, const tokenizer *t, const params *p, const char *text, err *e)
{
    const char *chosen = p ? params_str(p, "template") : NULL;
    chat_input in = {.messages = NULL};
    template_text template = {0};
    json *root = NULL;
    int rc = read_messages(&root, &in.json_messages, "messages", text, e);
    if (!rc && chosen && strcmp(chosen, "none") == 0) {
        err_set(e, ERR_USAGE, "--template none takes no messages");
        rc = err_hint(e, "name a template, or give the text itself as \"text\"");
    }
    if (!rc && p && params_str(p, "system")) {
        err_set(e, ERR_USAGE, "--system and messages exclude each other");
        rc = err_hint(e, "make it a message of the role system");
    }
    if (!rc)
        rc = choose_template(&template, t, chosen, e);
    in.add_generation_prompt = !rc && wants_generation(p, in.json_messages);
    if (!rc)
        rc = render(out, len, t, &template, &in, e);
    json_free(root);
    free(template.owned);
    return rc;
}
