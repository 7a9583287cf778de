/* Files of tokenizers, good and bad: what is refused and how it is said, GGUF vocabularies, paths. */
#include "tests/tokenizer_json.h"

#include "tests/checkpoint_bytes.h"
#include "tests/test_base_folder.h"

/* ---- tokenizer.json ---- */

static void refuses(const char *bytes, size_t n, const char *what)
{
    tokenizer *t = NULL;
    err e = { 0 };
    assert_int_equal(tokenizer_from_json(&t, bytes, n, "tokenizer.json", &e), ERR_INPUT);
    assert_null(t);
    if (!strstr(e.msg, what))
        fail_msg("\"%s\" lacks \"%s\"", e.msg, what);
    assert_memory_equal(e.msg, "tokenizer.json: ", 16);
    assert_int_not_equal(e.hint[0], 0);
}

static void refuses_parts(const json_parts *p, const char *what)
{
    strbuf b = { 0 };
    put_tokenizer(&b, p);
    refuses(b.s, b.len, what);
    strbuf_free(&b);
}

static void refuses_model(const char *model, const char *what)
{
    strbuf b = { 0 };
    put_key_part(&b, "{'model':", model, "");
    strbuf_putc(&b, '}');
    refuses(b.s, b.len, what);
    strbuf_free(&b);
}

static void unsupported_parts_are_named(void **state)
{
    (void)state;
    refuses_model("{'type':'Odd','vocab':[]}", "model type Odd is not supported");
    refuses_model("{'type':'SentencePiece BPE','vocab':[]}", "is not supported"); /* not of this file format */
    refuses_model("{'vocab':{'a':0}}", "model has no type");
    refuses_model("{'type':'BPE','vocab':{'a':0},'merges':[],'dropout':0.5}", "BPE dropout 0.5 is not");
    refuses_parts(&(json_parts){ .pre = "{'type':'UnicodeScripts'}" }, "pre_tokenizer type UnicodeScripts");
    refuses_parts(&(json_parts){ .pre = "{'type':'Split','pattern':{'String':'a'},'behavior':'Odd'}" },
                  "pre_tokenizer behavior Odd");
    refuses_parts(&(json_parts){ .pre = "{'type':'Sequence','pretokenizers':[{'type':'Odd'}]}" },
                  "pre_tokenizer type Odd");
    refuses_parts(&(json_parts){ .normalizer = "{'type':'Odd'}" }, "normalizer type Odd");
    refuses_parts(&(json_parts){ .post = "{'type':'Odd'}" }, "post_processor type Odd");
    refuses_parts(&(json_parts){ .decoder = "{'type':'Odd'}" }, "decoder type Odd");
    refuses("{\"version\":\"2.0\"}", 17, "version 2.0 is not supported");
    refuses("{}", 2, "no model");
    refuses("[]", 2, "no model");
}

static void damaged_vocabularies(void **state)
{
    (void)state;
    refuses_model("{'type':'BPE','vocab':{},'merges':[]}", "the vocabulary is empty");
    refuses_model("{'type':'BPE','merges':[]}", "no vocabulary");
    refuses_model("{'type':'BPE','vocab':{'a':0}}", "no list of merges");
    refuses_model("{'type':'BPE','vocab':{'a':0,'b':0},'merges':[]}", "id 0 is given to two tokens");
    refuses_model("{'type':'BPE','vocab':{'a':2147483648},'merges':[]}", "id 2147483648 of \"a\" is out");
    refuses_model("{'type':'BPE','vocab':{'a':2147483647},'merges':[]}", "out of range");
    refuses_model("{'type':'BPE','vocab':{'a':100009},'merges':[]}", "out of range"); /* for one token */
    refuses_model("{'type':'BPE','vocab':{'a':-1},'merges':[]}", "id -1 of \"a\" is out of range");
    refuses_model("{'type':'BPE','vocab':{'a':99999999999999999999},'merges':[]}", "");
    refuses_model("{'type':'BPE','vocab':{'a':1.5},'merges':[]}", "no integer");
    refuses_model("{'type':'BPE','vocab':{'a':'0'},'merges':[]}", "no integer");
    refuses_model("{'type':'BPE','vocab':{'a':0,'a':0},'merges':[]}", "");
    refuses_model("{'type':'BPE','vocab':{'a\\u0000':0},'merges':[]}", "");
    refuses_model("{'type':'BPE','vocab':{'a':0},'merges':['a x']}", "merge 1 names \"x\"");
    refuses_model("{'type':'BPE','vocab':{'a':0},'merges':['x a']}", "merge 1 names \"x\"");
    refuses_model("{'type':'BPE','vocab':{'a':0,'b':1},'merges':['a b']}", "merge 1 makes \"ab\"");
    refuses_model("{'type':'BPE','vocab':{'a':0},'merges':['aa']}", "merge 1 is no pair");
    refuses_model("{'type':'BPE','vocab':{'a':0},'merges':['a a a']}", "merge 1 is no pair");
    refuses_model("{'type':'BPE','vocab':{'a':0},'merges':[['a']]}", "merge 1 is no pair");
    refuses_model("{'type':'BPE','vocab':{'a':0},'merges':[7]}", "merge 1 is no pair");
    refuses_model("{'type':'BPE','continuing_subword_prefix':'#','vocab':{'a':0,'#':1},'merges':['a #']}",
                  "merge 1 adds nothing");
    refuses_model("{'type':'WordPiece','vocab':{}}", "the vocabulary is empty");
    refuses_model("{'type':'WordLevel'}", "no vocabulary");
    refuses_model("{'type':'Unigram','vocab':[]}", "the vocabulary is empty");
    refuses_model("{'type':'Unigram','vocab':[['a']]}", "token 0 of the vocabulary is no pair");
    refuses_model("{'type':'Unigram','vocab':[['a',0.5]],'unk_id':1}", "unk_id is not in the vocabulary");
}

#define CHARSMAP(base64) "{'type':'Precompiled','precompiled_charsmap':'" base64 "'}"

static void damaged_parts(void **state)
{
    (void)state;
    refuses_parts(&(json_parts){ .added = "[{'id':1,'content':'<x>'}]" }, "id 1, which in the vocabulary is");
    refuses_parts(&(json_parts){ .added = "[{'id':300,'content':'<x>'},{'id':300,'content':'<y>'}]" },
                  "id 300 is given to two added tokens");
    refuses_parts(&(json_parts){ .added = "[{'id':4294967296,'content':'<x>'}]" }, "out of range");
    refuses_parts(&(json_parts){ .added = "[{'id':300}]" }, "no content or no id");
    refuses_parts(&(json_parts){ .added = "[{'content':'x'}]" }, "no content or no id");
    refuses_parts(&(json_parts){ .pre = "{'type':'Split','pattern':{'Regex':'(a'},'behavior':'Isolated'}" },
                  "regular expression");
    refuses_parts(&(json_parts){ .pre = "{'type':'Split','behavior':'Isolated'}" }, "Split has no pattern");
    refuses_parts(&(json_parts){ .pre = "{'type':'Split','pattern':{'String':'a'}}" }, "no behavior");
    refuses_parts(&(json_parts){ .pre = "{'use_regex':true}" }, "pre_tokenizer has no type");
    refuses_parts(&(json_parts){ .pre = "{'type':'Metaspace','replacement':'ab'}" }, "one character");
    refuses_parts(&(json_parts){ .normalizer = "{'type':'Replace','content':'x'}" }, "has no pattern");
    refuses_parts(&(json_parts){ .normalizer = "{'type':'Prepend'}" }, "no string");
    refuses_parts(&(json_parts){ .normalizer = "{'type':'Precompiled'}" }, "precompiled_charsmap is missing");
    refuses_parts(&(json_parts){ .normalizer = CHARSMAP("!") }, "no base64");
    refuses_parts(&(json_parts){ .normalizer = CHARSMAP("AAA=") }, "the size of its table");     /* two bytes */
    refuses_parts(&(json_parts){ .normalizer = CHARSMAP("BAAAAA==") }, "the size of its table"); /* four wanted */
    refuses_parts(&(json_parts){ .normalizer = CHARSMAP("AwAAAAAAAA==") }, "the size of its table");
    refuses_parts(&(json_parts){ .normalizer = CHARSMAP("AAAAAP8A") }, "not UTF-8");
    refuses_parts(&(json_parts){ .pre = "{'type':'CharDelimiterSplit','delimiter':'ab'}" }, "one character");
    refuses_parts(&(json_parts){ .pre = "{'type':'FixedLength','length':0}" }, "positive");
    refuses_parts(&(json_parts){ .decoder = "{'type':'WordPiece'}" }, "no string \"prefix\"");
    refuses_parts(&(json_parts){ .decoder = "{'type':'Strip','start':1,'stop':0}" }, "decoder");
    refuses_parts(&(json_parts){ .post = "{'type':'BertProcessing','sep':['a',1],'cls':['b',256]}" },
                  "not in the vocabulary");
    refuses_parts(&(json_parts){ .post = "{'type':'TemplateProcessing','single':[{'SpecialToken':{'id':'x'}},"
                                         "{'Sequence':{'id':'A'}}]}" }, "does not define \"x\"");
    refuses_parts(&(json_parts){ .post = "{'type':'TemplateProcessing','single':[]}" }, "without the text");
    refuses_parts(&(json_parts){ .post = "{'type':'TemplateProcessing','single':[{'Sequence':{'id':'A'}},"
                                         "{'Sequence':{'id':'B'}}]}" }, "two texts");
    strbuf many = { 0 };
    for (int i = 0; i < 100; i++)
        strbuf_printf(&many, "%s{'type':'Punctuation'}", i ? "," : "{'type':'Sequence','pretokenizers':[");
    strbuf_puts(&many, "]}");
    refuses_parts(&(json_parts){ .pre = many.s }, "pre-tokenizers");
    strbuf_clear(&many);
    strbuf_puts(&many, "[{'id':300,'content':'");
    for (int i = 0; i < 5000; i++)
        strbuf_putc(&many, 'x');
    strbuf_puts(&many, "'}]");
    refuses_parts(&(json_parts){ .added = many.s }, "5000 bytes");
    strbuf_free(&many);
}

/* Every prefix of a file is refused with one message. */
static void truncated_files(void **state)
{
    (void)state;
    strbuf b = { 0 };
    put_tokenizer(&b, &(json_parts){ .added = "[{'id':300,'content':'<\\u00e9>','special':true}]",
                                     .vocab = ",'ab':256", .merges = "[['a','b']]" });
    for (size_t n = 0; n < b.len; n++) {
        char *copy = malloc(n ? n : 1); /* exactly that many bytes, for a sanitizer to see */
        assert_non_null(copy);
        memcpy(copy, b.s, n);
        refuses(copy, n, "");
        free(copy);
    }
    strbuf_free(&b);
}

/* The vocabulary is read without the JSON parser where it can be; an id of -0 is something that only the
 * parser knows.  Both ways must agree. */
static void both_readers_agree(void **state)
{
    (void)state;
    static const struct { const char *file, *word, *ids; } cases[] = {
        { "{'model':{'unknown':[1,{'vocab':'}'}],'type':'BPE','vocab':{'a':%s,'\\u00e9':1,"
          "'a\\\\b\\/\\n\\t\\\"':2,'\\ud83d\\ude00':3,'x':4,'xa':6,'" "\xe2\x82\xac" "':7},"
          "'merges':['#version: 0.2','x a']},'last':null}", "xa", "6" },
        { " { 'model' :\t{ 'type':'BPE' , 'vocab': { 'x' : %s , 'a' :2\t, 'xa':3 } ,\n 'merges' :"
          " [ [ 'x' , 'a' ] ] } }", "xax", "3 0" },
    };
    for (size_t i = 0; i < 2; i++) {
        tokenizer *t[2];
        for (int k = 0; k < 2; k++) {
            strbuf b = { 0 };
            const char *mark = strstr(cases[i].file, "%s");
            put_part(&b, cases[i].file);
            size_t at = (size_t)(mark - cases[i].file);
            memcpy(b.s + at, k ? "-0" : " 0", 2);
            t[k] = open_tokenizer(&b);
            strbuf_free(&b);
        }
        assert_int_equal(tokenizer_vocab(t[0]), tokenizer_vocab(t[1]));
        for (int32_t id = 0; id < tokenizer_vocab(t[0]); id++) {
            const char *a = tokenizer_piece(t[0], id), *b = tokenizer_piece(t[1], id);
            assert_true(!a == !b);
            if (a)
                assert_string_equal(a, b);
        }
        assert_ids(t[0], cases[i].word, false, cases[i].ids);
        assert_ids(t[1], cases[i].word, false, cases[i].ids);
        if (i == 0) {
            assert_string_equal(tokenizer_piece(t[0], 2), "a\\b/\n\t\"");
            assert_string_equal(tokenizer_piece(t[0], 3), "\xf0\x9f\x98\x80");
        }
        tokenizer_free(t[0]);
        tokenizer_free(t[1]);
    }
}

/* ---- GGUF ---- */

typedef struct gguf_parts {
    const char *model, *pre;    /* NULL: no such key */
    const char *const *more;    /* tokens behind the 256 bytes, NULL-terminated */
    const int *types;           /* of these; NULL: no types at all */
    const char *const *merges;  /* NULL-terminated */
    int n_type, n_score;        /* -1: the right number; n_score 0: no such key */
    int bos, eos;               /* -1: no such key */
    int add_bos, add_eos;       /* -1: no such key */
} gguf_parts;

static size_t count(const char *const *list)
{
    size_t n = 0;
    while (list && list[n])
        n++;
    return n;
}

static void put_gguf(strbuf *out, const gguf_parts *p)
{
    strbuf b = { 0 };
    uint64_t n_kv = 2, n = 256 + count(p->more);

    put_kv_string(&b, "general.architecture", "gpt2");
    if (p->model)
        put_kv_string(&b, "tokenizer.ggml.model", p->model), n_kv++;
    if (p->pre)
        put_kv_string(&b, "tokenizer.ggml.pre", p->pre), n_kv++;
    put_kv_array(&b, "tokenizer.ggml.tokens", GGUF_STRING, n);
    for (int i = 0; i < 256; i++) {
        char s[5] = "";
        unicode_put(s, unicode_of_byte((unsigned char)i));
        put_string(&b, s);
    }
    for (size_t i = 0; i < count(p->more); i++)
        put_string(&b, p->more[i]);
    if (p->types) {
        int n_type = p->n_type < 0 ? (int)n : p->n_type;
        put_kv_array(&b, "tokenizer.ggml.token_type", GGUF_I32, (uint64_t)n_type), n_kv++;
        for (int i = 0; i < n_type; i++)
            put_u32(&b, i < 256 ? 1 : (uint32_t)p->types[i - 256]);
    }
    if (p->n_score) {
        put_kv_array(&b, "tokenizer.ggml.scores", GGUF_F32, (uint64_t)p->n_score), n_kv++;
        put_zeros(&b, 4 * (size_t)p->n_score);
    }
    if (p->merges) {
        put_kv_array(&b, "tokenizer.ggml.merges", GGUF_STRING, count(p->merges)), n_kv++;
        for (size_t i = 0; i < count(p->merges); i++)
            put_string(&b, p->merges[i]);
    }
    if (p->bos >= 0)
        put_kv_u32(&b, "tokenizer.ggml.bos_token_id", (uint32_t)p->bos), n_kv++;
    if (p->eos >= 0)
        put_kv_u32(&b, "tokenizer.ggml.eos_token_id", (uint32_t)p->eos), n_kv++;
    if (p->add_bos >= 0)
        put_key(&b, "tokenizer.ggml.add_bos_token", GGUF_BOOL), strbuf_putc(&b, (char)p->add_bos), n_kv++;
    if (p->add_eos >= 0)
        put_key(&b, "tokenizer.ggml.add_eos_token", GGUF_BOOL), strbuf_putc(&b, (char)p->add_eos), n_kv++;
    put_gguf_header(out, 3, 0, n_kv);
    strbuf_add(out, b.s, b.len);
    strbuf_free(&b);
}

static tokenizer *open_gguf_parts(const gguf_parts *p, err *e)
{
    strbuf b = { 0 };
    tokenizer *t = NULL;
    put_gguf(&b, p);
    opened o = open_bytes(b.s, b.len, "x.gguf");
    if (!o.c)
        fail_msg("%s", o.e.msg);
    int rc = tokenizer_from_gguf(&t, o.c->gguf, e);
    assert_true(rc ? t == NULL && rc == ERR_INPUT : t != NULL);
    close_bytes(&o); /* the tokenizer has copied what it needs */
    strbuf_free(&b);
    return t;
}

static const char *const more[] = { "\xc4\xa0" "a", "ab", "<s>", "</s>", "  ", "\xc4\xa0" "ab", NULL };
static const char *const merges[] = { "\xc4\xa0 a", "a b", NULL };
static const int types[] = { 1, 1, 3, 3, 4, 1 };

/* ids: 256 " a", 257 "ab", 258 "<s>", 259 "</s>", 260 two spaces, 261 " ab", for which there is no merge */
static gguf_parts gguf_of(const char *pre)
{
    return (gguf_parts){
        .model = "gpt2", .pre = pre, .more = more, .types = types, .merges = merges, .n_type = -1,
        .bos = 258, .eos = 259, .add_bos = -1, .add_eos = -1,
    };
}

static void gguf_vocabulary(void **state)
{
    (void)state;
    err e = { 0 };
    gguf_parts p = gguf_of("gpt-2");
    tokenizer *t = open_gguf_parts(&p, &e);
    assert_non_null(t);
    assert_string_equal(tokenizer_kind(t), "byte-level BPE (gpt-2)");
    assert_int_equal(tokenizer_vocab(t), 262);
    assert_int_equal(tokenizer_bos(t), 258);
    assert_int_equal(tokenizer_eos(t), 259);
    assert_ids(t, "ab ab<s>12", true, "257 256 98 258 49 50");
    assert_ids(t, "x  y", true, "120 260 121");
    assert_ids(t, "x   y", true, "120 260 32 121");
    assert_true(tokenizer_is_special(t, 258));
    assert_false(tokenizer_is_special(t, 260));
    assert_decodes(t, (const int32_t[]){ 258, 256, 98, 260, 120 }, 5, true, " ab  x");
    tokens k = encode(t, "a", 1, true);
    assert_string_equal(k.policy, "nothing added");
    tokens_free(&k);
    tokenizer_free(t);

    p.add_bos = 1;
    p.add_eos = 1;
    t = open_gguf_parts(&p, &e);
    assert_ids(t, "a", true, "258 97 259");
    assert_ids(t, "a", false, "97");
    k = encode(t, "a", 1, true);
    assert_string_equal(k.policy, "bos <s> and eos </s> from tokenizer.ggml.add_bos_token and add_eos_token");
    tokens_free(&k);
    tokenizer_free(t);
}

/* What the name of the pre-tokenizer decides: how digits, spaces and letters are cut, whether whole words of
 * the vocabulary are taken at once, whether BOS is added, whether the text is composed. */
static void gguf_pre_tokenizers(void **state)
{
    (void)state;
    static const struct { const char *pre, *text, *want; } cases[] = {
        { "gpt-2", " ab", "256 98" },
        { "llama-bpe", " ab", "258 261" },
        { "tekken", " ab", "258 261" },
        { "qwen2", " ab", "256 98" },
        { "qwen2", "e\xcc\x81", "195 169" },
        { "gpt-2", "e\xcc\x81", "101 204 129" },
        { "smollm", " ab", "256 98" },
        { "falcon", "!ab", "33 257" },
        { "bloom", "a.b", "97 46 98" },
        { "deepseek-v3", "ab", "257" },
        { "deepseek-coder", "ab", "257" },
        { "default", "ab", "257" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        err e = { 0 };
        gguf_parts p = gguf_of(cases[i].pre);
        tokenizer *t = open_gguf_parts(&p, &e);
        if (!t)
            fail_msg("%s: %s", cases[i].pre, e.msg);
        assert_ids(t, cases[i].text, true, cases[i].want);
        tokenizer_free(t);
    }
    err e = { 0 };
    gguf_parts p = gguf_of("llama-bpe");
    tokenizer *t = open_gguf_parts(&p, &e);
    tokens k = encode(t, "a", 1, true);
    assert_string_equal(k.policy, "bos <s> from the default of this pre-tokenizer");
    tokens_free(&k);
    tokenizer_free(t);
    p.add_bos = 0;
    t = open_gguf_parts(&p, &e);
    assert_ids(t, "a", true, "97");
    tokenizer_free(t);
    p = gguf_of(NULL);
    t = open_gguf_parts(&p, &e);
    assert_string_equal(tokenizer_kind(t), "byte-level BPE (pre-tokenizer not named, legacy default)");
    tokenizer_free(t);
}

static void gguf_refusals(void **state)
{
    (void)state;
    static const char *const twice[] = { "ab", "ab", NULL }, *const none[] = { NULL };
    static const char *const gap[] = { "", NULL };
    static const char *const unknown[] = { "a x", "a zz", NULL }, *const no_pair[] = { "ab", NULL };
    struct { gguf_parts p; const char *want; } cases[13];
    for (size_t i = 0; i < 13; i++)
        cases[i].p = gguf_of("gpt-2");
    cases[0].p.model = "rwkv", cases[0].want = "tokenizer.ggml.model rwkv is not supported";
    cases[1].p.model = NULL, cases[1].want = "no tokenizer in this file";
    cases[2].p.pre = "odd-one", cases[2].want = "tokenizer.ggml.pre odd-one is not supported";
    cases[3].p.n_type = 7, cases[3].want = "tokenizer.ggml.token_type has 7 elements for 262 tokens";
    cases[4].p.n_score = 5, cases[4].want = "tokenizer.ggml.scores has 5 elements for 262 tokens";
    cases[5].p.bos = 262, cases[5].want = "tokenizer.ggml.bos_token_id is out of range";
    cases[6].p.eos = 1 << 30, cases[6].want = "tokenizer.ggml.eos_token_id is out of range";
    cases[7].p.more = twice, cases[7].p.types = NULL, cases[7].want = "token \"ab\" has two ids, 256 and 257";
    cases[8].p.merges = NULL, cases[8].want = "tokenizer.ggml.merges is missing";
    cases[9].p.merges = unknown, cases[9].want = "merge 1 makes \"ax\"";
    cases[10].p.merges = no_pair, cases[10].want = "merge 1 is no pair";
    cases[11].p.more = none, cases[11].p.merges = none, cases[11].p.types = NULL;
    cases[11].want = "bos_token_id is out of range (the vocabulary has 256 tokens)";
    cases[12].p.more = gap, cases[12].p.merges = none, cases[12].p.types = NULL, cases[12].p.bos = 256;
    cases[12].want = "bos_token_id names id 256, which is no token";
    for (size_t i = 0; i < 13; i++) {
        err e = { 0 };
        assert_null(open_gguf_parts(&cases[i].p, &e));
        if (!strstr(e.msg, cases[i].want))
            fail_msg("\"%s\" lacks \"%s\"", e.msg, cases[i].want);
        assert_int_not_equal(e.hint[0], 0);
    }

    strbuf b = { 0 }; /* no tokens at all; a NUL in one */
    put_gguf_header(&b, 3, 0, 3);
    put_kv_string(&b, "tokenizer.ggml.model", "gpt2");
    put_kv_array(&b, "tokenizer.ggml.tokens", GGUF_STRING, 0);
    put_kv_array(&b, "tokenizer.ggml.merges", GGUF_STRING, 0);
    opened o = open_bytes(b.s, b.len, "x.gguf");
    tokenizer *t;
    err e = { 0 };
    assert_int_equal(tokenizer_from_gguf(&t, o.c->gguf, &e), ERR_INPUT);
    assert_non_null(strstr(e.msg, "the vocabulary is empty"));
    close_bytes(&o);
    b.len = 0;
    put_gguf_header(&b, 3, 0, 3);
    put_kv_string(&b, "tokenizer.ggml.model", "gpt2");
    put_kv_array(&b, "tokenizer.ggml.tokens", GGUF_STRING, 2);
    put_u64(&b, 3), strbuf_add(&b, "x\0y", 3), put_string(&b, "");
    put_kv_array(&b, "tokenizer.ggml.merges", GGUF_STRING, 0);
    o = open_bytes(b.s, b.len, "x.gguf");
    assert_int_equal(tokenizer_from_gguf(&t, o.c->gguf, &e), 0);
    assert_int_equal(tokenizer_text(t, 0).len, 3);
    assert_null(tokenizer_piece(t, 1)); /* an empty row */
    tokens k = encode(t, "z", 1, true);
    assert_int_equal(k.n, 0);
    tokens_free(&k);
    close_bytes(&o);
    tokenizer_free(t);
    strbuf_free(&b);
}

/* The hash is of the tokenizer's keys, whatever else the file holds. */
static void gguf_hash(void **state)
{
    (void)state;
    err e = { 0 };
    gguf_parts p = gguf_of("gpt-2");
    sha256_hex a, b;
    tokenizer *t = open_gguf_parts(&p, &e);
    assert_int_equal(tokenizer_hash(t, a, &e), 0);
    tokenizer_free(t);
    t = open_gguf_parts(&p, &e);
    assert_int_equal(tokenizer_hash(t, b, &e), 0);
    assert_string_equal(a, b);
    tokenizer_free(t);
    p.eos = 258;
    t = open_gguf_parts(&p, &e);
    assert_int_equal(tokenizer_hash(t, b, &e), 0);
    assert_string_not_equal(a, b);
    tokenizer_free(t);
}

/* ---- paths ---- */

static void put_file(const char *name, const char *s)
{
    write_bytes(in_folder(name), s, strlen(s));
}

static void refuses_path(const char *name, const char *what, const char *hint)
{
    tokenizer *t;
    err e = { 0 };
    assert_int_equal(tokenizer_open(&t, *name ? in_folder(name) : folder, &e), ERR_INPUT);
    assert_null(t);
    if (!strstr(e.msg, what) || !strstr(e.hint, hint))
        fail_msg("\"%s\" (%s) lacks \"%s\" (%s)", e.msg, e.hint, what, hint);
}

static tokenizer *opens_path(const char *name, int bos, int eos)
{
    tokenizer *t;
    err e = { 0 };
    if (tokenizer_open(&t, *name ? in_folder(name) : folder, &e))
        fail_msg("%s", e.msg);
    assert_int_equal(tokenizer_bos(t), bos);
    assert_int_equal(tokenizer_eos(t), eos);
    return t;
}

static void paths(void **state)
{
    (void)state;
    strbuf b = { 0 }, g = { 0 };
    sha256_hex hash, want;

    refuses_path("", "no tokenizer.json, and no vocabulary file of another kind", "--ids");
    put_file("tokenizer.model", "x");
    refuses_path("", "SentencePiece model is damaged", "fetch");
    refuses_path("tokenizer.model", "tokenizer.model: the SentencePiece model is damaged", "fetch");
    put_file("vocab.bin", "\n\x02\n"); /* a piece that is cut short is no model */
    refuses_path("vocab.bin", "vocab.bin", "");
    refuses_path("missing.json", "missing.json", "");
    put_file("empty.json", "");
    refuses_path("empty.json", "empty.json", "");
    put_file("other.json", "{\"model\":{\"type\":\"Odd\"}}");
    refuses_path("other.json", "other.json: model type Odd is not supported", "--ids");

    put_tokenizer(&b, &(json_parts){ .added = "[{'id':300,'content':'<s>','special':true},"
                                              "{'id':301,'content':'</s>','special':true}]" });
    write_bytes(in_folder("tokenizer.json"), b.s, b.len);
    tokenizer *t = opens_path("", -1, -1);
    assert_int_equal(tokenizer_hash(t, hash, NULL), 0);
    assert_int_equal(sha256_of(want, b.s, b.len, NULL), 0);
    assert_string_equal(hash, want);
    tokenizer_free(t);
    put_file("config.json", "{\"bos_token_id\": 5, \"eos_token_id\": [7, 8]}");
    tokenizer_free(opens_path("tokenizer.json", 5, 7));
    put_file("special_tokens_map.json", "{\"bos_token\": {\"content\": \"</s>\"}, \"eos_token\": \"none\"}");
    tokenizer_free(opens_path("", 301, 7));
    put_file("tokenizer_config.json", "{\"add_bos_token\": true, \"bos_token\": \"<s>\", "
                                      "\"eos_token\": {\"content\": \"</s>\"}}");
    t = opens_path("config.json", 300, 301); /* a file of the directory */
    assert_ids(t, "a", true, "97");          /* what is added is the post-processor's business */
    tokenizer_free(t);
    put_file("tokenizer_config.json", "{");
    refuses_path("", "tokenizer_config.json", "");

    gguf_parts p = gguf_of("gpt-2");
    put_gguf(&g, &p);
    write_bytes(in_folder("model.gguf"), g.s, g.len);
    t = opens_path("model.gguf", 258, 259);
    assert_string_equal(tokenizer_kind(t), "byte-level BPE (gpt-2)");
    tokenizer_free(t);
    strbuf_free(&b);
    strbuf_free(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unsupported_parts_are_named),
        cmocka_unit_test(damaged_vocabularies),
        cmocka_unit_test(damaged_parts),
        cmocka_unit_test(truncated_files),
        cmocka_unit_test(both_readers_agree),
        cmocka_unit_test(gguf_vocabulary),
        cmocka_unit_test(gguf_pre_tokenizers),
        cmocka_unit_test(gguf_refusals),
        cmocka_unit_test(gguf_hash),
        cmocka_unit_test_setup_teardown(paths, folder_setup, folder_teardown),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
