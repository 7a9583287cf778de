/* The pickle machine alone: what each opcode builds, and every way to ask for more than that. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "model/readers/pickle.h"
#include "tests/torch_bytes.h"

typedef struct result {
    pickle p;
    mem_budget budget;
    pickle_value v;
    size_t left;
    int rc;
    err e;
    void *bytes; /* exactly as many as there are */
} result;

static result read_ops(const void *ops, size_t n)
{
    result r = {.budget = budget_for(n)};
    r.bytes = malloc(n ? n : 1);
    assert_non_null(r.bytes);
    if (n)
        memcpy(r.bytes, ops, n);
    cursor c = {r.bytes, n};
    r.p.budget = &r.budget;
    r.rc = pickle_read(&r.v, &r.p, &c, &r.e);
    r.left = c.left;
    return r;
}

static void done(result *r)
{
    pickle_free(&r->p);
    free(r->bytes);
}

static void refuse_bytes(const void *ops, size_t n, const char *why)
{
    result r = read_ops(ops, n);
    if (r.rc != ERR_INPUT || !strstr(r.e.msg, why))
        fprintf(stderr, "expected '%s', got %d '%s'\n", why, r.rc, r.e.msg);
    assert_int_equal(r.rc, ERR_INPUT);
    assert_non_null(strstr(r.e.msg, why));
    done(&r);
}

#define REFUSED(literal, why) refuse_bytes(literal, sizeof(literal) - 1, why)
#define READS(r, literal)                                                                                 \
    result r = read_ops(literal, sizeof(literal) - 1);                                                    \
    assert_int_equal(r.rc, 0)

/* ---- values ---- */

static void test_numbers(void **state)
{
    (void)state;
    static const struct { const char *ops; size_t n; int64_t i; } cases[] = {
#define CASE(literal, i) {literal, sizeof(literal) - 1, i}
        CASE(PROTO "K\xff.", 255),
        CASE(PROTO "M\xff\xff.", 65535),
        CASE(PROTO "M\x01\x02.", 513),
        CASE(PROTO "J\xfe\xff\xff\xff.", -2),
        CASE(PROTO "J\xff\xff\xff\x7f.", INT32_MAX),
        CASE(PROTO "\x8a\0.", 0),
        CASE(PROTO "\x8a\1\xff.", -1),
        CASE(PROTO "\x8a\2\xff\0.", 255),
        CASE(PROTO "\x8a\5\0\0\0\0\1.", (int64_t)1 << 32),
        CASE(PROTO "\x8a\x08\0\0\0\0\0\0\0\x80.", INT64_MIN),
#undef CASE
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        result r = read_ops(cases[i].ops, cases[i].n);
        assert_int_equal(r.rc, 0);
        assert_int_equal(r.v.kind, PICKLE_INT);
        assert_true(r.v.i == cases[i].i);
        done(&r);
    }
    READS(magic, PROTO "\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.");
    assert_int_equal(magic.v.kind, PICKLE_LONG);
    assert_int_equal(magic.v.n, 10);
    done(&magic);
    READS(real, PROTO "G\x3f\xf8\0\0\0\0\0\0.");
    assert_int_equal(real.v.kind, PICKLE_FLOAT);
    assert_true(real.v.f == 1.5);
    done(&real);
    READS(yes, PROTO "\x88.");
    assert_true(yes.v.kind == PICKLE_BOOL && yes.v.i);
    done(&yes);
    READS(no, PROTO "\x89.");
    assert_true(no.v.kind == PICKLE_BOOL && !no.v.i);
    done(&no);
    READS(none, PROTO "N.rest");
    assert_int_equal(none.v.kind, PICKLE_NONE);
    assert_int_equal(none.left, 4); /* another pickle may follow */
    done(&none);
}

static void test_text(void **state)
{
    (void)state;
    READS(text, PROTO "X\5\0\0\0\xc3\xbc\xe2\x82\xac.");
    assert_true(pickle_is_text(&text.v, "\xc3\xbc\xe2\x82\xac"));
    done(&text);
    READS(empty, PROTO "X\0\0\0\0.");
    assert_true(pickle_is_text(&empty.v, ""));
    done(&empty);
    READS(bytes, PROTO "U\2ab.");
    assert_true(pickle_is_text(&bytes.v, "ab"));
    done(&bytes);
    READS(raw, PROTO "U\2\xff\xfe.");
    assert_int_equal(raw.v.kind, PICKLE_OPAQUE);
    done(&raw);
}

static void test_containers(void **state)
{
    (void)state;
    READS(t, PROTO "K\1K\2K\3\x87.");
    assert_true(t.v.kind == PICKLE_TUPLE && t.v.list->n == 3 && t.v.list->items[2].i == 3);
    done(&t);
    READS(marked, PROTO "(K\1(K\2tt.");
    assert_true(marked.v.list->n == 2 && marked.v.list->items[1].list->items[0].i == 2);
    done(&marked);
    READS(list, PROTO "](K\1K\2eK\3a.");
    assert_true(list.v.kind == PICKLE_LIST && list.v.list->n == 3 && list.v.list->items[2].i == 3);
    done(&list);
    READS(dict, PROTO "}(X\1\0\0\0aK\1X\1\0\0\0bK\2uX\1\0\0\0aK\3s.");
    assert_int_equal(dict.v.list->n, 6);
    assert_int_equal(pickle_get(&dict.v, "a")->i, 3); /* set last */
    assert_int_equal(pickle_get(&dict.v, "b")->i, 2);
    assert_null(pickle_get(&dict.v, "c"));
    assert_null(pickle_get(pickle_get(&dict.v, "a"), "a"));
    done(&dict);
    READS(ordered, PROTO "ccollections\nOrderedDict\n)R}b.");
    assert_true(ordered.v.kind == PICKLE_DICT && ordered.v.list->n == 0);
    done(&ordered);
    READS(instance, PROTO "ccollections\nOrderedDict\n)\x81.");
    assert_int_equal(instance.v.kind, PICKLE_DICT);
    done(&instance);
    READS(pairs, PROTO "ccollections\nOrderedDict\n](]K\1aK\2a]K\3aK\4ae\x85R."); /* as Python 2 wrote it */
    assert_int_equal(pairs.v.list->n, 4);
    assert_int_equal(pairs.v.list->items[3].i, 4);
    done(&pairs);
    READS(size, PROTO "ctorch\nSize\nK\1K\2\x86\x85R.");
    assert_true(size.v.kind == PICKLE_TUPLE && size.v.list->n == 2);
    done(&size);
    READS(counter, PROTO "ccollections\nCounter\n}K\1K\2s\x85R.");
    assert_int_equal(counter.v.list->n, 2);
    done(&counter);
    READS(others, PROTO "(\x8f" "ctorch\ndevice\nX\3\0\0\0cpu\x85R" "ctorch\nbfloat16\n"
                        "c_codecs\nencode\nX\1\0\0\0aX\6\0\0\0latin1\x86R" "c__builtin__\nset\n]\x85Rt.");
    assert_int_equal(others.v.list->n, 5);
    assert_int_equal(others.v.list->items[0].kind, PICKLE_OPAQUE);
    assert_int_equal(others.v.list->items[2].kind, PICKLE_SYMBOL);
    done(&others);
}

static void test_memo(void **state)
{
    (void)state;
    READS(r, PROTO "(K\7q\1h\1j\1\0\0\0t.");
    assert_true(r.v.list->n == 3 && r.v.list->items[1].i == 7 && r.v.list->items[2].i == 7);
    done(&r);
    READS(shared, PROTO "]q\1h\1\x86q\2K\1\x85\x86."); /* a list that is in its tuple twice */
    const pickle_list *pair = shared.v.list->items[0].list;
    assert_ptr_equal(pair->items[0].list, pair->items[1].list);
    done(&shared);
    READS(self, PROTO "]q\1h\1a."); /* a list that holds itself */
    assert_ptr_equal(self.v.list->items[0].list, self.v.list);
    done(&self);
    REFUSED(PROTO "h\0.", "memo index 0 was never set");
    REFUSED(PROTO "Nq\1Nh\0.", "memo index 0 was never set");
    REFUSED(PROTO "j\xff\xff\xff\xff.", "memo index 4294967295 was never set");
    REFUSED(PROTO "Nr\xff\xff\xff\xff.", "memo index 4294967295 is out of order");
    REFUSED(PROTO "Nq\x09.", "memo index 9 is out of order");
    REFUSED(PROTO "q\0.", "takes more values than there are");
}

static void test_tensors(void **state)
{
    (void)state;
    strbuf b = {0};
    OPS(&b, PROTO);
    op_tensor(&b, "HalfStorage", "k", 24, 1, 3, (int64_t[]){2, 3, 2}, (int64_t[]){1, 2, 8});
    OPS(&b, ".");
    result r = read_ops(b.s, b.len);
    assert_int_equal(r.rc, 0);
    assert_int_equal(r.v.kind, PICKLE_TENSOR);
    const torch_tensor *t = r.v.tensor;
    assert_int_equal(t->type->type, DT_F16);
    assert_true(t->offset == 1 && t->n_dim == 3 && t->shape[1] == 3 && t->stride[2] == 8);
    assert_true(t->storage->count == 24 && t->storage->key_len == 1 && t->storage->key[0] == 'k');
    assert_int_equal(r.p.n_storage, 1);
    done(&r);

    strbuf_clear(&b); /* element type beside an untyped storage; a parameter around it */
    OPS(&b, PROTO);
    op_global(&b, "torch._utils", "_rebuild_parameter");
    OPS(&b, "(");
    op_global(&b, "torch._utils", "_rebuild_tensor_v3");
    OPS(&b, "(");
    op_storage(&b, "UntypedStorage", "7", 8);
    OPS(&b, "K\0K\4\x85K\1\x85\x89}");
    op_global(&b, "torch", "uint16");
    OPS(&b, "tR\x88}tR.");
    r = read_ops(b.s, b.len);
    assert_int_equal(r.rc, 0);
    assert_int_equal(r.v.tensor->type->type, DT_U16);
    done(&r);
    strbuf_free(&b);
}

/* ---- attacks ---- */

static void test_foreign_names(void **state)
{
    (void)state;
    static const char *const names[][2] = {
        {"os", "system"}, {"posix", "system"}, {"nt", "system"}, {"builtins", "eval"},
        {"__builtin__", "exec"},
        {"builtins", "getattr"}, {"runpy", "_run_code"}, {"subprocess", "Popen"}, {"torch", "load"},
        {"torch.storage", "_load_from_bytes"}, {"torch", "FloatStorage.__init__"}, {"torch.hub", "load"},
        {"numpy.core.multiarray", "_reconstruct"}, {"collections", "OrderedDict "}, {"collections", ""},
        {"", "OrderedDict"}, {"torch._utils", "_rebuild_sparse_tensor"}, {"copyreg", "_reconstructor"},
        {"torch.nn.modules.linear", "Linear"}, {"torch", "QInt8Storage"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        strbuf b = {0};
        char why[128];
        OPS(&b, PROTO);
        op_global(&b, names[i][0], names[i][1]);
        OPS(&b, "X\2\0\0\0id\x85R.");
        snprintf(why, sizeof why, "byte 2 of the pickle: asks for \"%s.%s\"", names[i][0], names[i][1]);
        refuse_bytes(b.s, b.len, why);
        strbuf_free(&b);
    }
    REFUSED(PROTO "cos\x1b[2J\nx\n.", "asks for \"os\\x1B[2J.x\"");
    REFUSED(PROTO "cos\nsys", "the pickle ends in the middle");
    strbuf b = {0};
    OPS(&b, PROTO "c");
    for (int i = 0; i < 300; i++)
        strbuf_putc(&b, 'a');
    refuse_bytes(b.s, b.len, "a name has more than 199 bytes");
    strbuf_free(&b);
}

static void test_foreign_opcodes(void **state)
{
    (void)state;
    static const struct { const char *ops; size_t n; const char *why; } cases[] = {
#define CASE(literal, why) {PROTO literal ".", sizeof(PROTO literal), why}
        CASE("X\2\0\0\0osX\6\0\0\0system\x93", "opcode 0x93 (STACK_GLOBAL)"),
        CASE("(ios\nsystem\n", "opcode 0x69 (INST)"),
        CASE("(cos\n", "the pickle ends in the middle"),
        CASE("(N" "o", "opcode 0x6f (OBJ)"),
        CASE("\x82\1", "opcode 0x82 (EXT1)"),
        CASE("P0\n", "opcode 0x50 (PERSID)"),
        CASE("(d", "opcode 0x64 (DICT)"),
        CASE("(l", "opcode 0x6c (LIST)"),
        CASE("N\x94", "opcode 0x94 (MEMOIZE)"),
        CASE("\x95\0\0\0\0\0\0\0\0", "opcode 0x95 (FRAME)"),
        CASE("\x8c\1a", "opcode 0x8c (SHORT_BINUNICODE)"),
        CASE("\x8b\1\0\0\0\1", "opcode 0x8b (LONG4)"),
        CASE("N)}\x92", "opcode 0x92 (NEWOBJ_EX)"),
        CASE("I1\n", "opcode 0x49 (INT)"),
        CASE("N0", "opcode 0x30 (POP)"),
        CASE("\xff", "opcode 0xff (unknown)"),
#undef CASE
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        refuse_bytes(cases[i].ops, cases[i].n, cases[i].why);
    REFUSED("\x80\5N.", "pickle protocol 5 (PyTorch writes 2)");
    REFUSED("\x80\1N.", "pickle protocol 1");
    REFUSED("N.", "is not a pickle (it begins with 0x4e)");
}

static void test_stack_abuse(void **state)
{
    (void)state;
    REFUSED("", "ends in the middle");
    REFUSED(PROTO, "ends in the middle");
    REFUSED(PROTO ".", "it stops with 0 values instead of one");
    REFUSED(PROTO "NN.", "it stops with 2 values instead of one");
    REFUSED(PROTO "N(.", "it stops with 1 values");
    REFUSED(PROTO "t.", "takes values from a mark, but there is none");
    REFUSED(PROTO "u.", "takes values from a mark, but there is none");
    REFUSED(PROTO "K\1\x86.", "takes more values than there are");
    REFUSED(PROTO "N(\x85t.", "takes more values than there are"); /* not from below a mark */
    REFUSED(PROTO "}(K\1K\2s.", "takes more values than there are");
    REFUSED(PROTO "}(K\1u.", "a key is set without a value");
    REFUSED(PROTO "}]K\1s.", "a list is used as a key");
    REFUSED(PROTO ")K\1a.", "values are appended to a tuple");
    REFUSED(PROTO "}(K\1e.", "values are appended to a dictionary");
    REFUSED(PROTO "]K\1K\2s.", "items are set on a list");
    REFUSED(PROTO "N(K\1K\2u.", "items are set on None");
    REFUSED(PROTO "ccollections\nOrderedDict\nK\1K\2s.", "items are set on a name");
    REFUSED(PROTO "NNR.", "None stands where arguments should be");
    REFUSED(PROTO "N)R.", "None is called like a function");
    REFUSED(PROTO "ctorch\nFloatStorage\n)R.", "\"torch.FloatStorage\" is called like a function");
    REFUSED(PROTO "ctorch\nfloat32\n)R.", "\"torch.float32\" is called like a function");
    REFUSED(PROTO "ctorch\nSize\n)\x81.", "makes an object of \"torch.Size\""); /* would be left unfinished */
    REFUSED(PROTO "N)\x81.", "makes an object of None");
    REFUSED(PROTO "ctorch.nn.parameter\nParameter\n)\x81.", "the parts of a parameter");
    REFUSED(PROTO "}}b.", "a dictionary is given a state");
    REFUSED(PROTO "ccollections\nOrderedDict\n}b.", "a name is given a state");
    REFUSED(PROTO "ccollections\nOrderedDict\n)RN" "b.", "a dictionary is given None as its state");
    REFUSED(PROTO "ccollections\nOrderedDict\nK\1\x85R.", "the parts of an OrderedDict");
    REFUSED(PROTO "K\1Q.", "the parts of a persistent id");
    REFUSED(PROTO ")Q.", "the parts of a persistent id");
    REFUSED(PROTO "(X\6\0\0\0moduleNNNtQ.", "holds a whole module with its source code");
    REFUSED(PROTO "(X\7\0\0\0storageK\1K\1K\1K\1tQ.", "the parts of a storage");
}

static void test_lengths(void **state)
{
    (void)state;
    REFUSED(PROTO "X\xff\xff\xff\xff" "abc.", "the pickle ends in the middle");
    REFUSED(PROTO "X\5\0\0\0abc.", "the pickle ends in the middle");
    REFUSED(PROTO "U\xff" "abc.", "the pickle ends in the middle");
    REFUSED(PROTO "\x8a\xff" "abc.", "the pickle ends in the middle");
    REFUSED(PROTO "\x8a", "the pickle ends in the middle");
    REFUSED(PROTO "G\0\0\0\0\0\0\0", "the pickle ends in the middle");
    REFUSED(PROTO "J\0\0\0", "the pickle ends in the middle");
    REFUSED(PROTO "M\0", "the pickle ends in the middle");
    REFUSED(PROTO "X\2\0\0\0\xc3(.", "is not UTF-8");
    REFUSED(PROTO "X\3\0\0\0\xed\xa0\x80.", "is not UTF-8"); /* half of a surrogate pair */
    REFUSED(PROTO "X\1\0\0\0\xff.", "is not UTF-8");
    strbuf b = {0};
    OPS(&b, PROTO "\x8a\xff");
    put_zeros(&b, 255);
    OPS(&b, ".");
    result r = read_ops(b.s, b.len); /* the longest LONG1 is only a number */
    assert_true(r.rc == 0 && r.v.kind == PICKLE_LONG && r.v.n == 255);
    done(&r);
    strbuf_free(&b);
}

/* Shape, stride and offset against the storage. */
static void test_extents(void **state)
{
    (void)state;
    enum { D = TENSOR_MAX_DIM + 1 };
    static const int64_t ones[D] = {1, 1, 1, 1, 1, 1, 1}, big = INT64_MAX;
    const struct { int64_t count, offset; int n; int64_t shape[D], stride[D]; const char *why; } cases[] = {
        {6, 0, 2, {2, 3}, {3, 1}, NULL},
        {6, 5, 0, {0}, {0}, NULL},
        {6, 6, 1, {0}, {1}, NULL},
        {1, 0, 2, {9, 9}, {0, 0}, NULL},
        {6, 6, 0, {0}, {0}, "reaches beyond its storage of 6 elements"},
        {6, 7, 1, {0}, {1}, "reaches beyond its storage"},
        {6, 1, 2, {2, 3}, {3, 1}, "reaches beyond its storage"},
        {5, 0, 2, {2, 3}, {3, 1}, "reaches beyond its storage"},
        {6, 0, 2, {2, 3}, {1, 3}, "reaches beyond its storage of 6"},
        {0, 0, 1, {1}, {1}, "reaches beyond its storage of 0 elements"},
        {6, big, 1, {2}, {1}, "reaches beyond its storage"},
        {6, 0, 1, {2}, {big}, "reaches beyond its storage"},
        {6, 0, 2, {big, big}, {1, 1}, "reaches beyond its storage"},
        {6, 0, 2, {big, big}, {0, 0}, "reaches beyond its storage"}, /* more elements than can be counted */
        {6, 0, 1, {big}, {0}, "reaches beyond its storage"},         /* more bytes than can be counted */
        {6, 0, 3, {2, 2, 2}, {big / 2, big / 2, 4}, "reaches beyond its storage"},
        {6, -1, 1, {1}, {1}, "a tensor has a negative offset"},
        {6, 0, 1, {-1}, {1}, "a tensor has a negative size or stride"},
        {6, 5, 1, {2}, {-1}, "a tensor has a negative size or stride"},
        {6, 0, 1, {INT64_MIN}, {1}, "a tensor has a negative size or stride"},
        {6, 0, D, {1, 1, 1, 1, 1, 1, 1}, {1, 1, 1, 1, 1, 1, 1}, "a tensor has 7 dimensions (at most 6)"},
        {-1, 0, 0, {0}, {0}, "storage \"0\" has an impossible number of elements (-1)"},
        {big, 0, 0, {0}, {0}, "storage \"0\" has an impossible number of elements"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        strbuf b = {0};
        OPS(&b, PROTO);
        op_tensor(&b, "FloatStorage", "0", cases[i].count, cases[i].offset, cases[i].n, cases[i].shape,
                  cases[i].stride);
        OPS(&b, ".");
        if (cases[i].why) {
            refuse_bytes(b.s, b.len, cases[i].why);
        } else {
            result r = read_ops(b.s, b.len);
            assert_int_equal(r.rc, 0);
            done(&r);
        }
        strbuf_free(&b);
    }
    strbuf b = {0};
    OPS(&b, PROTO);
    op_global(&b, "torch._utils", "_rebuild_tensor");
    OPS(&b, "(");
    op_storage(&b, "FloatStorage", "0", 6);
    OPS(&b, "K\0");
    op_dims(&b, 2, ones);
    op_dims(&b, 1, ones);
    OPS(&b, "tR.");
    refuse_bytes(b.s, b.len, "a tensor has 2 dimensions but 1 strides");
    strbuf_free(&b);
}

static void test_tensor_parts(void **state)
{
    (void)state;
    static const struct { const char *function, *parts, *why; } cases[] = {
        {"_rebuild_tensor_v2", "NK\1)t", "the parts of a tensor"},                       /* no storage */
        {"_rebuild_tensor_v2", "S))\x89Nt", "the parts of a tensor"},
        {"_rebuild_tensor_v2", "SG--------))\x89Nt", "the parts of a tensor"},           /* a real offset */
        {"_rebuild_tensor_v2", "SK\1G--------\x85)\x89Nt", "the parts of a tensor"},     /* a real size */
        {"_rebuild_tensor_v2", "SK\1))\x89N}K\1K\2st", "has marks beside its elements"},
        {"_rebuild_tensor_v3", "SK\1))\x89NNt", "the parts of a tensor"},                /* no type */
        {"_rebuild_tensor_v3", "SK\1))\x89N" "ctorch\nint8\nt", "a tensor of int8 is in a storage of"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        strbuf b = {0};
        OPS(&b, PROTO);
        op_global(&b, "torch._utils", cases[i].function);
        OPS(&b, "(");
        for (const char *s = cases[i].parts; *s; s++) {
            if (*s == 'S')
                op_storage(&b, "FloatStorage", "0", 6);
            else
                strbuf_putc(&b, *s);
        }
        OPS(&b, "R.");
        refuse_bytes(b.s, b.len, cases[i].why);
        strbuf_free(&b);
    }
    strbuf b = {0};
    OPS(&b, PROTO);
    op_tensor(&b, "UntypedStorage", "0", 6, 0, 0, NULL, NULL);
    refuse_bytes(b.s, b.len, "a tensor without element type is in an untyped storage");
    strbuf_clear(&b);
    OPS(&b, PROTO);
    op_tensor(&b, "FloatStorage", "", 6, 0, 0, NULL, NULL);
    refuse_bytes(b.s, b.len, "a storage has no proper key");
    strbuf_free(&b);
}

/* Hundreds of thousands of nested lists, marks and tuples: no recursion, and memory within a multiple of the
 * bytes. */
static void test_depth(void **state)
{
    (void)state;
    enum { DEEP = 300000 };
    static const char kinds[] = {']', '(', '\x85', 'N'};
    for (size_t k = 0; k < sizeof kinds; k++) {
        strbuf b = {0};
        OPS(&b, PROTO "N");
        for (int i = 0; i < DEEP; i++)
            strbuf_putc(&b, kinds[k]);
        for (int i = 0; i < DEEP && kinds[k] == ']'; i++)
            strbuf_putc(&b, i < DEEP - 1 ? 'a' : '\x86');
        OPS(&b, ".");
        result r = read_ops(b.s, b.len);
        bool nests = kinds[k] == ']' || kinds[k] == '\x85';
        assert_int_equal(r.rc, nests ? 0 : ERR_INPUT);
        assert_true(r.budget.whole - r.budget.left <= 160 * b.len);
        done(&r);
        strbuf_free(&b);
    }
}

/* Five bytes that ask for a tensor again and again are stopped by the budget, not by the machine's memory. */
static void test_budget(void **state)
{
    (void)state;
    strbuf b = {0};
    OPS(&b, PROTO);
    op_global(&b, "torch._utils", "_rebuild_tensor");
    OPS(&b, "q\1");
    OPS(&b, "(");
    op_storage(&b, "FloatStorage", "0", 6);
    OPS(&b, "K\0))tq\2\x86");
    for (int i = 0; i < 1000000; i++)
        OPS(&b, "h\1h\2R");
    refuse_bytes(b.s, b.len, "more memory than a file of its size may ask for");
    strbuf_free(&b);

    mem_budget x = budget_for(SIZE_MAX);
    assert_true(x.whole == SIZE_MAX);
    assert_int_equal(budget_take(&x, SIZE_MAX, NULL), 0);
    assert_int_equal(budget_take(&x, 1, NULL), ERR_INPUT);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_containers),
        cmocka_unit_test(test_memo),
        cmocka_unit_test(test_tensors),
        cmocka_unit_test(test_foreign_names),
        cmocka_unit_test(test_foreign_opcodes),
        cmocka_unit_test(test_stack_abuse),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_extents),
        cmocka_unit_test(test_tensor_parts),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
