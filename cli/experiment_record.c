/* What the store is told of an experiment's run: the command that repeats it, settings, digests of all that
 * was read. */
#include <stdlib.h>
#include <string.h>
#include "analysis/haystack.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/mem.h"
#include "cli/experiment_parts.h"
#include "cli/prompt_request.h"
#include "compute/kernels.h"

static bool given(const params *p, const char *name)
{
    return params_row(p, name) && params_given(p, name);
}

/* The command line that repeats this, with what came from elsewhere. */
static char *exact_command(const experiment_plan *p, err *e)
{
    const params *set = p->s->settings, *own = p->a->p;
    const char *isa = params_str(set, "isa");
    const loaded_model *lm = p->lm;
    const repeat_facts f = {
        .model_path = p->a->n ? NULL : lm->path,
        .config = given(own, "config") ? NULL : lm->config,
        .tokenizer = given(own, "tokenizer") ? NULL : lm->tokenizer,
        .precision = given(own, "precision") || lm->rt_precision == PRECISION_F32 ? NULL
        : precision_name(lm->rt_precision),
        .quantize = given(own, "quantize") ? NULL : lm->quantize,
        .quantize_embeddings = lm->quantize_embeddings,
        .isa = isa && strcmp(isa, "best") != 0 ? kernels_get()->isa : NULL,
        .stdin_text = p->stdin_text,
        .chosen = &p->s->chosen,
    };
    return repeatable_command(p->a, &f, e);
}

static const char *verb_of(const command_args *a, char *out, size_t room)
{
    const char *line = a->line ? a->line : "experiment";
    size_t n = strcspn(line, " \t");
    snprintf(out, room, "%.*s", (int)n, line);
    return out;
}

/* Of files, and of folders' texts one behind the other. */
static int hash_files(sha256_hex out, const char *list, bool several, err *e)
{
    size_t most = 1;
    for (const char *s = list; *s; s++)
        most += *s == ',';
    const char **paths = mem_array(most, sizeof *paths, e);
    char *copy = paths ? mem_strdup(list, e) : NULL, *save = NULL;
    strbuf text = {0};
    int n = 0, rc = copy ? 0 : ERR_RESOURCE;
    for (char *one = several && copy ? strtok_r(copy, ",", &save) : copy; one;
         one = several ? strtok_r(NULL, ",", &save) : NULL)
        paths[n++] = one;
    if (!rc)
        rc = n > 0 ? haystack_read(&text, paths, n, e) : ERR_INPUT;
    if (!rc)
        rc = text.failed ? err_nomem(e, "files") : sha256_of(out, strbuf_str(&text), text.len, e);
    strbuf_free(&text);
    free(copy);
    free(paths);
    return rc;
}

int experiment_input_digest(bool *read, sha256_hex out, const param *row, const char *text, err *e)
{
    err why = {0};
    bool ids = strstr(row->name, "ids") != NULL;
    int rc = ERR_INPUT;
    if (strcmp(row->name, "prompts") == 0)
        rc = prompt_requests_hash(out, text, &why);
    else if (row->kind != PARAM_STR || ids)
        rc = hash_files(out, text + (ids && *text == '@'), row->kind == PARAM_LIST, &why);
    *read = rc == 0;
    if (rc != ERR_RESOURCE)
        return 0;
    *e = why;
    return rc;
}

static void put_name(strbuf *b, const char *name, bool first, bool alone)
{
    strbuf_puts(b, !first ? "," : alone ? "\"inputs\":{" : ",\"inputs\":{");
    strbuf_put_json(b, name, strlen(name));
    strbuf_putc(b, ':');
}

/* Files of prompts that edits take their means from: {name: digest}. */
static int put_edit_files(strbuf *b, const char *edits, err *e)
{
    json *root = NULL;
    strbuf_putc(b, '{');
    int rc = json_parse(&root, edits, strlen(edits), "edits", e);
    bool first = true;
    for (size_t i = 0; !rc && i < json_count(root); i++) {
        const json *value = json_get(json_at(root, i), "prompts");
        const char *name = value ? json_str(value, NULL) : NULL;
        sha256_hex digest;
        int read = name ? prompt_requests_hash(digest, name, NULL) : ERR_INPUT;
        if (read == ERR_RESOURCE)
            rc = err_nomem(e, "prompts");
        if (read)
            continue; /* standard input that is gone, say */
        strbuf_puts(b, first ? "" : ",");
        strbuf_put_json(b, name, strlen(name));
        strbuf_printf(b, ":\"%s\"", digest);
        first = false;
    }
    strbuf_putc(b, '}');
    json_free(root);
    return rc;
}

/* The settings, and what was read: texts as they were given, of files the digest, for the same name may hold
 * other prompts by the time that the run is resumed. */
static char *settings_with_inputs(const experiment_plan *p, err *e)
{
    static const char *const inputs[] = {"prompt", "prompt-file", "prompts", "prompt-unit", "ids", "source",
                                         "source-file",
                                         "source-ids", "target", "target-ids", "clean-ids",
                                         "corrupted-ids", "wrong-ids", "trials", "pairs", "needles",
                                         "haystack",
                                         "reference", "inputs", "text", "chat-file", "image", "audio",
                                         "pixels", "features",
                                         NULL};
    strbuf b = {0};
    bool any = false;
    size_t n = strlen(p->settings);
    int rc = 0;
    strbuf_add(&b, p->settings, n - 1); /* without the closing brace */
    for (int i = 0; inputs[i] && !rc; i++) {
        const char *text = given(p->a->p, inputs[i]) ? params_str(p->a->p, inputs[i]) : NULL;
        sha256_hex digest;
        bool read;
        if (!text)
            continue;
        rc = experiment_input_digest(&read, digest, params_row(p->a->p, inputs[i]), text, e);
        const char *what = !rc && read ? digest : text;
        put_name(&b, inputs[i], !any, n <= 2);
        any = true;
        strbuf_put_json(&b, what, strlen(what));
    }
    if (!rc && p->edits && strstr(p->edits, "\"prompts\"")) {
        put_name(&b, "edit-prompts", !any, n <= 2);
        any = true;
        rc = put_edit_files(&b, p->edits, e);
    }
    strbuf_puts(&b, any ? "}}" : "}");
    if (!rc)
        return strbuf_take(&b, e);
    strbuf_free(&b);
    return NULL;
}

int run_record_make(run_record *out, const experiment_plan *p, err *e)
{
    *out = (run_record){.command = exact_command(p, e)};
    out->settings = out->command ? settings_with_inputs(p, e) : NULL;
    int rc = out->settings ? model_card_make(&out->card, p->lm, true, &p->s->prog, e) : e->code;
    const run_part *part = p->s->part;
    out->r = (store_run){
        .verb = p->verb ? p->verb : verb_of(p->a, out->verb, sizeof out->verb),
        .command = out->command,
        .settings = out->settings,
        .precision = precision_name(p->lm->rt_precision),
        .isa = kernels_get()->isa,
        .version = program_version,
        .operator_name = "softmax",
        .edits = p->edits ? p->edits : "[]",
        .threads = p->lm->rt ? runtime_threads(p->lm->rt) : 1,
        .seed = p->seed,
        .uid = part ? part->uid : NULL,
        .sweep = part ? part->sweep : 0,
        .cell = part ? part->cell : NULL,
        .n_unit = p->n_unit,
    };
    if (rc)
        run_record_free(out);
    return rc;
}

void run_record_free(run_record *r)
{
    model_card_free(&r->card);
    free(r->command);
    free(r->settings);
    r->command = r->settings = NULL;
}
