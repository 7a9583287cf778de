#include "model/tokenizer/regex.h"

#include <stdint.h>
#include <stdlib.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/cancel.h"
#include "base/mem.h"

enum {
    STRIDE = 4096,                  /* starting points of one call; between calls Ctrl-C is looked at */
    MAX_PATTERN = 1 << 16,          /* bytes */
    MATCH_LIMIT = 20000000,         /* backtracking steps of one search: about a tenth of a second */
    HEAP_LIMIT = 256 << 10,         /* KiB, for the interpreter */
    STACK_START = 64 << 10, STACK_MAX = 64 << 20, /* of compiled code; address space until it is needed */
};

struct regex {
    pcre2_code *code;
    bool compiled;                  /* to machine code */
};

struct regex_work {
    pcre2_match_data *data;
    pcre2_match_context *context;
    pcre2_jit_stack *stack;         /* made when the machine's own stack does not do; else NULL */
};

/* Text of a PCRE2 error. */
static int pcre_error(err *e, int code, const char *what, int number)
{
    PCRE2_UCHAR text[128];
    if (pcre2_get_error_message(number, text, sizeof text) < 0)
        text[0] = 0;
    return err_set(e, code, "%s: %s", what, (const char *)text);
}

int regex_new(regex **out, const char *pattern, size_t n, bool literal, err *e)
{
    strbuf text = { 0 };
    pcre2_compile_context *context = NULL;
    regex *r = NULL;
    int number, rc = 0;
    PCRE2_SIZE where;

    *out = NULL;
    if (n > MAX_PATTERN)
        return err_set(e, ERR_INPUT, "regular expression of %zu bytes is too long", n);
    if (!literal) {
        rc = regex_translate(&text, pattern, n, e);
        if (rc)
            goto out;
        pattern = strbuf_str(&text);
        n = text.len;
    }
    r = mem_array(1, sizeof *r, e);
    context = pcre2_compile_context_create(NULL);
    if (!r || !context) {
        rc = err_nomem(e, "regular expression");
        goto out;
    }
    pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    pcre2_set_bsr(context, PCRE2_BSR_UNICODE);
    uint32_t options = PCRE2_UTF | PCRE2_USE_OFFSET_LIMIT;
    options |= literal ? PCRE2_LITERAL : PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C;
    r->code = pcre2_compile((PCRE2_SPTR)(n ? pattern : ""), n, options, &number, &where, context);
    if (!r->code) {
        rc = pcre_error(e, ERR_INPUT, "regular expression", number);
        goto out;
    }
    /* Without machine code (a system that forbids it) everything works, slowly. */
    r->compiled = pcre2_jit_compile(r->code, PCRE2_JIT_COMPLETE) == 0;
    *out = r;
    r = NULL;
out:
    regex_free(r);
    pcre2_compile_context_free(context);
    strbuf_free(&text);
    return rc;
}

void regex_free(regex *r)
{
    if (!r)
        return;
    pcre2_code_free(r->code);
    free(r);
}

int regex_work_new(regex_work **out, err *e)
{
    regex_work *w = mem_array(1, sizeof *w, e);

    *out = NULL;
    if (!w)
        return ERR_RESOURCE;
    w->data = pcre2_match_data_create(1, NULL);
    w->context = pcre2_match_context_create(NULL);
    if (!w->data || !w->context) {
        regex_work_free(w);
        return err_nomem(e, "regular expressions");
    }
    pcre2_set_match_limit(w->context, MATCH_LIMIT);
    pcre2_set_heap_limit(w->context, HEAP_LIMIT);
    *out = w;
    return 0;
}

void regex_work_free(regex_work *w)
{
    if (!w)
        return;
    pcre2_match_data_free(w->data);
    pcre2_match_context_free(w->context);
    pcre2_jit_stack_free(w->stack);
    free(w);
}

static int search(bool *matched, const regex *r, regex_work *w, const char *s, size_t n, size_t at, err *e)
{
    PCRE2_SPTR subject = (PCRE2_SPTR)s;
    int found;

    for (;; at++) {
        size_t limit = n - at > STRIDE ? at + STRIDE : n;
        while (limit + 1 < n && ((unsigned char)s[limit + 1] & 0xc0) == 0x80)
            limit++; /* the next call starts at a character */
        pcre2_set_offset_limit(w->context, limit);
        found = PCRE2_ERROR_JIT_STACKLIMIT;
        if (r->compiled)
            found = pcre2_jit_match(r->code, subject, n, at, 0, w->data, w->context);
        if (r->compiled && found == PCRE2_ERROR_JIT_STACKLIMIT && !w->stack) {
            w->stack = pcre2_jit_stack_create(STACK_START, STACK_MAX, NULL);
            pcre2_jit_stack_assign(w->context, NULL, w->stack);
            if (w->stack)
                found = pcre2_jit_match(r->code, subject, n, at, 0, w->data, w->context);
        }
        if (found == PCRE2_ERROR_JIT_STACKLIMIT)
            found = pcre2_match(r->code, subject, n, at, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, w->data,
                                w->context);
        if (found != PCRE2_ERROR_NOMATCH || limit >= n)
            break;
        int rc = cancel_check(e);
        if (rc)
            return rc;
        at = limit;
    }
    *matched = found >= 0;
    switch (found) {
    case PCRE2_ERROR_MATCHLIMIT:
    case PCRE2_ERROR_DEPTHLIMIT:
    case PCRE2_ERROR_HEAPLIMIT:
        err_set(e, ERR_INPUT, "a regular expression of the tokenizer takes too long on this text");
        return err_hint(e, "its pattern tries a long run of the text in every way; raw token ids (--ids) "
                        "work without the tokenizer");
    case PCRE2_ERROR_NOMEMORY:
        return err_nomem(e, "regular expressions");
    default:
        if (found >= 0 || found == PCRE2_ERROR_NOMATCH)
            return 0;
        return pcre_error(e, ERR_FAILED, "regular expression", found);
    }
}

int regex_next(regex_iter *it, const regex *r, regex_work *w, const char *s, size_t n, err *e)
{
    while (!it->done) {
        bool found;
        int rc = search(&found, r, w, s, n, it->at, e);
        if (rc || !found) {
            it->done = true;
            return rc;
        }
        const PCRE2_SIZE *v = pcre2_get_ovector_pointer(w->data);
        if (v[0] == v[1] && it->matched && it->last == v[1]) { /* empty, right behind a match */
            it->done = it->at >= n;
            while (++it->at < n && ((unsigned char)s[it->at] & 0xc0) == 0x80)
                ;
            continue;
        }
        if (v[0] > v[1] || v[0] < it->last) { /* \K in a lookaround can do this */
            it->done = true;
            return err_set(e, ERR_INPUT, "a regular expression of the tokenizer matches backwards");
        }
        it->begin = v[0];
        it->end = it->at = it->last = v[1];
        it->matched = true;
        break;
    }
    return 0;
}
