/* What the tests of the PyTorch reader assert about a file in memory.  To be included after cmocka.h. */
#ifndef ATTNSCOPE_TESTS_TORCH_CHECKS_H
#define ATTNSCOPE_TESTS_TORCH_CHECKS_H

#include "tests/torch_bytes.h"

static inline void refuse_torch(const strbuf *b, const char *why, const char *hint)
{
    opened o = open_bytes(b->s, b->len, "x.pt");
    if (o.c || !strstr(o.e.msg, why) || !strstr(o.e.hint, hint))
        fprintf(stderr, "expected '%s' (%s), got '%s' (%s)\n", why, hint, o.e.msg, o.e.hint);
    assert_null(o.c);
    assert_int_equal(o.e.code, ERR_INPUT);
    assert_non_null(strstr(o.e.msg, why));
    assert_non_null(strstr(o.e.hint, hint));
    close_bytes(&o);
}

static inline const tensor *find_tensor(const opened *o, const char *name)
{
    if (!o->c)
        fprintf(stderr, "refused: %s\n", o->e.msg);
    assert_non_null(o->c);
    const checkpoint_tensor *t = checkpoint_find(o->c, name);
    assert_non_null(t);
    return &t->t;
}

#endif
