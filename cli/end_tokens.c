#include "cli/end_tokens.h"

#include <unistd.h>
#include "base/json.h"
#include "model/gguf.h"

bool is_end_token(const end_tokens *set, int32_t id)
{
    for (int i = 0; i < set->n; i++)
        if (set->id[i] == id)
            return true;
    return false;
}

static int add_eos(end_tokens *set, int64_t id, const char *where, err *e)
{
    if (id < 0 || id > INT32_MAX || is_end_token(set, (int32_t)id)) /* -1 is written for none */
        return 0;
    if (set->n == MAX_END_TOKENS) {
        err_set(e, ERR_INPUT, "%s: eos_token_id names more than %d tokens", where, MAX_END_TOKENS);
        return err_hint(e, "shorten the list");
    }
    set->id[set->n++] = (int32_t)id;
    return 0;
}

/* "eos_token_id": 2, [2, 3] or null; *found: the key is there, and not null. */
static int add_eos_of(end_tokens *set, bool *found, const json *config, const char *where, err *e)
{
    const json *v = json_get(config, "eos_token_id");
    int64_t id;
    int rc = 0;
    *found = v && json_kind_of(v) != JSON_NULL_;
    if (!*found)
        return 0;
    if (json_int(&id, v))
        return add_eos(set, id, where, e);
    bool list = json_kind_of(v) == JSON_LIST;
    for (size_t i = 0; list && i < json_count(v) && !rc; i++)
        rc = (list = json_int(&id, json_at(v, i))) ? add_eos(set, id, where, e) : 0;
    if (rc || list)
        return rc;
    err_set(e, ERR_INPUT, "%s: \"eos_token_id\" is neither an integer nor a list of integers", where);
    return err_hint(e, "write it as 2 or [2, 3], or leave it out");
}

/* Of the configuration: generation_config.json where it names any, else config.json. */
static int eos_of_config(end_tokens *set, const checkpoint *c, err *e)
{
    bool found = false;
    int rc = 0;
    if (c->directory) {
        json *own = NULL;
        strbuf path = {0};
        strbuf_printf(&path, "%s/generation_config.json", c->directory);
        if (path.failed)
            rc = err_nomem(e, "path");
        else if (access(strbuf_str(&path), F_OK) == 0)
            rc = json_load(&own, strbuf_str(&path), 16 << 20, e);
        if (!rc)
            rc = add_eos_of(set, &found, own, "generation_config.json", e);
        json_free(own);
        strbuf_free(&path);
    }
    if (!rc && !found)
        rc = add_eos_of(set, &found, c->config, "config.json", e);
    if (!rc && !found)
        rc = add_eos_of(set, &found, json_get(c->config, "text_config"), "config.json, text_config", e);
    return rc;
}

int end_tokens_find(end_tokens *set, const loaded_model *lm, err *e)
{
    const checkpoint *c = lm->m->ckpt;
    int64_t id;
    int rc = lm->tok ? add_eos(set, tokenizer_eos(lm->tok), lm->path, e) : 0;
    if (rc || !c->gguf)
        return rc ? rc : eos_of_config(set, c, e);
    static const char *const keys[] = {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id"};
    for (int i = 0; i < 2 && !rc; i++) {
        const gguf_kv *kv = gguf_find(c->gguf, keys[i]);
        if (kv && gguf_int(&id, kv, 0))
            rc = add_eos(set, id, lm->path, e);
    }
    return rc;
}
