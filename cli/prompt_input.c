#include "cli/prompt_input.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "analysis/analyse.h"
#include "base/mapfile.h"
#include "base/mem.h"
#include "base/npz.h"

#define MAX_PROMPT_BYTES ((size_t)64 << 20)
#define ID_SEPARATORS ", \t\r\n[]"

const param prompt_params[] = {
    {.name = "prompt", .kind = PARAM_STR, .value = "TEXT",
     .help = "text to run on; the tokenizer adds what its own policy says"},
    {.name = "prompt-file", .kind = PARAM_PATH, .value = "FILE",
     .help = "the same from a file, taken whole (- is standard input)"},
    {.name = "ids", .kind = PARAM_STR, .value = "LIST|FILE",
     .help = "token ids, nothing added: \"0,17,42\", a .npy file or a text file of numbers"},
    {.name = "special", .kind = PARAM_BOOL, .def = "true",
     .help = "let the tokenizer add its special tokens to text"},
    {.name = "truncate", .kind = PARAM_INT, .value = "N", .min = 1, .max = 1e15,
     .help = "keep the first N tokens only"},
    {.name = NULL},
};

static int read_stdin(char **out, size_t *len, err *e)
{
    size_t cap = 1 << 16, n = 0;
    char *s = mem_array(cap, 1, e);
    if (!s)
        return ERR_RESOURCE;
    for (;;) {
        size_t got = fread(s + n, 1, cap - n - 1, stdin);
        if (got == 0)
            break;
        n += got;
        if (n > MAX_PROMPT_BYTES) {
            free(s);
            return err_set(e, ERR_INPUT, "standard input holds more than %zu MiB of text",
                           MAX_PROMPT_BYTES >> 20);
        }
        if (cap - n < 2) {
            char *more = mem_grow(s, cap * 2, 1, e);
            if (!more) {
                free(s);
                return ERR_RESOURCE;
            }
            s = more;
            cap *= 2;
        }
    }
    if (ferror(stdin)) {
        free(s);
        return err_set(e, ERR_INPUT, "cannot read standard input");
    }
    s[n] = '\0';
    *out = s;
    *len = n;
    return 0;
}

int prompt_read_text(char **out, size_t *len, const char *path, err *e)
{
    if (strcmp(path, "-") == 0)
        return read_stdin(out, len, e);
    return read_file(out, len, path, MAX_PROMPT_BYTES, e);
}

static bool has_suffix(const char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);
    return n > m && strcmp(s + n - m, suffix) == 0;
}

/* Ids of an integer array [n] or [1, n]. */
static int ids_from_npy(int32_t **ids, int64_t *n, const npy *a, const char *where, err *e)
{
    for (int d = 0; d + 1 < a->n_dim; d++)
        if (a->shape[d] != 1)
            return err_set(e, ERR_INPUT, "%s: the array has %d dimensions; token ids are one row", where,
                           a->n_dim);
    if (a->dtype == NPY_F32 || a->dtype == NPY_F64 || a->dtype == NPY_F16 || a->dtype == NPY_BOOL)
        return err_set(e, ERR_INPUT, "%s: the array is %s; token ids are integers", where,
                       npy_dtype_name(a->dtype));
    int32_t *v = mem_array((size_t)a->count, sizeof *v, e);
    if (!v)
        return ERR_RESOURCE;
    for (int64_t i = 0; i < a->count; i++) {
        int64_t id;
        if (!npy_int(&id, a, i) || id < 0 || id > INT32_MAX) {
            free(v);
            return err_set(e, ERR_INPUT, "%s: element %" PRId64 " is no token id", where, i);
        }
        v[i] = (int32_t)id;
    }
    *ids = v;
    *n = a->count;
    return 0;
}

/* "0, 17 42" or "[0, 17, 42]"; file: where the text is from, NULL for the command line. */
static int ids_from_text(int32_t **ids, int64_t *n, const char *text, const char *file, err *e)
{
    size_t cap = strlen(text) / 2 + 1;
    int32_t *v = mem_array(cap, sizeof *v, e);
    if (!v)
        return ERR_RESOURCE;
    int64_t count = 0;
    for (const char *s = text; *s;) {
        size_t skip = strspn(s, ID_SEPARATORS);
        if (skip) {
            s += skip;
            continue;
        }
        char word[24];
        size_t len = strcspn(s, ID_SEPARATORS);
        int64_t id;
        if (len < sizeof word) {
            memcpy(word, s, len);
            word[len] = '\0';
        }
        if (len >= sizeof word || !parse_int(&id, word) || id < 0 || id > INT32_MAX) {
            int rc = err_set(e, file ? ERR_INPUT : ERR_USAGE, "%s: '%.*s' is no token id", file ? file : "--ids",
                             (int)(len < 40 ? len : 40), s);
            err_hint(e, file ? "the file must hold numbers separated by commas, blanks or line ends"
                             : "give numbers separated by commas (--ids 0,17,42) or a file (--ids ids.npy)");
            free(v);
            return rc;
        }
        v[count++] = (int32_t)id;
        s += len;
    }
    *ids = v;
    *n = count;
    return 0;
}

static int ids_from_file(int32_t **ids, int64_t *n, const char *path, err *e)
{
    char *text;
    size_t size;
    int rc = read_file(&text, &size, path, MAX_PROMPT_BYTES, e);
    if (rc)
        return rc;
    if (strlen(text) != size) {
        rc = err_set(e, ERR_INPUT, "%s: holds a NUL byte: it is no text file of token ids", path);
        err_hint(e, "name a file of numbers in text, or a NumPy array by its .npy");
    } else {
        rc = ids_from_text(ids, n, text, path, e);
    }
    free(text);
    return rc;
}

int prompt_parse_ids(int32_t **ids, int64_t *n, const char *text, err *e)
{
    bool named = text[0] == '@' && text[1]; /* @FILE, as the command language has it */
    text += named;
    if (has_suffix(text, ".npz"))
        return reference_ids(ids, n, text, e);
    if (!has_suffix(text, ".npy")) {
        bool numbers = text[strspn(text, "0123456789" ID_SEPARATORS)] == '\0';
        if (named || (!numbers && access(text, F_OK) == 0))
            return ids_from_file(ids, n, text, e);
        return ids_from_text(ids, n, text, NULL, e);
    }
    npy a = {0};
    int rc = npy_load(&a, text, e);
    if (!rc)
        rc = ids_from_npy(ids, n, &a, text, e);
    npy_free(&a);
    return rc;
}

int prompt_check_ids(const loaded_model *lm, const int32_t *ids, int64_t n, err *e)
{
    const model *m = lm->m;
    if (n == 0) {
        err_set(e, ERR_USAGE, "the prompt is empty: there is no token to run on");
        return err_hint(e, "give some text or at least one token id");
    }
    for (int64_t i = 0; i < n; i++)
        if (ids[i] < 0 || ids[i] >= m->vocab) {
            err_set(e, ERR_USAGE,
                    "token id %" PRId32 " at index %" PRId64 " is outside the vocabulary of %s (0 to %" PRId64
                    ")",
                    ids[i], i, m->name, m->vocab - 1);
            return err_hint(e, "were the ids made by another model's tokenizer?");
        }
    if (n > m->context) {
        err_set(e, ERR_USAGE, "the prompt has %" PRId64 " tokens, more than the context of %s (%" PRId64 ")",
                n, m->name, m->context);
        return err_hint(e, "shorten it, or keep its beginning with --truncate %" PRId64, m->context);
    }
    return 0;
}

static int tokenise(prompt_input *out, const loaded_model *lm, bool special, err *e)
{
    if (!lm->tok) {
        if (e)
            *e = lm->tok_err;
        if (!e || !e->code)
            err_set(e, ERR_INPUT, "%s has no tokenizer", lm->path);
        int rc = lm->tok_err.code ? lm->tok_err.code : ERR_INPUT;
        err_hint(e, "the model can be run on token ids: --ids 0,17,42");
        return rc;
    }
    tokens t = {0};
    int rc = tokenizer_encode(lm->tok, out->text, out->text_len, special, &t, e);
    if (rc)
        return rc;
    out->ids = mem_array((size_t)t.n, sizeof *out->ids, e);
    out->special = mem_array((size_t)t.n, sizeof *out->special, e);
    if (!out->ids || !out->special) {
        tokens_free(&t);
        return ERR_RESOURCE;
    }
    for (int64_t i = 0; i < t.n; i++) {
        out->ids[i] = t.t[i].id;
        out->special[i] = t.t[i].special;
    }
    out->n = t.n;
    out->policy = t.policy;
    tokens_free(&t);
    return 0;
}

int prompt_read(prompt_input *out, const loaded_model *lm, const params *p, err *e)
{
    *out = (prompt_input){0};
    const char *text = params_str(p, "prompt"), *file = params_str(p, "prompt-file"),
               *ids = params_str(p, "ids");
    int n_source = (text != NULL) + (file != NULL) + (ids != NULL);
    if (n_source != 1) {
        err_set(e, ERR_USAGE,
                n_source ? "--prompt, --prompt-file and --ids exclude each other" : "no prompt given");
        return err_hint(e, n_source ? "keep one of them"
                                    : "add --prompt \"some text\", --prompt-file FILE or --ids 0,17,42");
    }
    int rc = 0;
    if (ids) {
        rc = prompt_parse_ids(&out->ids, &out->n, ids, e);
        out->policy = "nothing added to ids";
        if (!rc && !(out->special = mem_array((size_t)out->n, sizeof *out->special, e)))
            rc = ERR_RESOURCE;
        for (int64_t i = 0; !rc && lm->tok && i < out->n; i++)
            out->special[i] = tokenizer_is_special(lm->tok, out->ids[i]);
    } else {
        if (file)
            rc = prompt_read_text(&out->text, &out->text_len, file, e);
        else if (!(out->text = mem_strdup(text, e)))
            rc = ERR_RESOURCE;
        else
            out->text_len = strlen(text);
        if (!rc)
            rc = tokenise(out, lm, params_bool(p, "special"), e);
    }
    int64_t keep = params_int(p, "truncate");
    if (!rc && params_given(p, "truncate") && keep < out->n) {
        out->n_cut = out->n - keep;
        out->n = keep;
    }
    if (!rc)
        rc = prompt_check_ids(lm, out->ids, out->n, e);
    if (rc)
        prompt_free(out);
    return rc;
}

void prompt_free(prompt_input *in)
{
    free(in->ids);
    free(in->special);
    free(in->text);
    *in = (prompt_input){0};
}

int prompt_store_tokens(store_token **out, const prompt_input *in, const loaded_model *lm, err *e)
{
    store_token *t = mem_array((size_t)in->n, sizeof *t, e);
    if (!t)
        return ERR_RESOURCE;
    for (int64_t i = 0; i < in->n; i++) {
        token_text text = {NULL, 0};
        if (lm->tok)
            text = tokenizer_text(lm->tok, in->ids[i]);
        const char *piece = lm->tok && text.len == 0 ? tokenizer_piece(lm->tok, in->ids[i]) : NULL;
        if (piece) /* special tokens may stand for no text */
            text = (token_text){piece, strlen(piece)};
        t[i] = (store_token){in->ids[i], text.s, text.len, in->special[i]};
    }
    *out = t;
    return 0;
}
