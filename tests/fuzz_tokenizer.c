/* Fuzz target for tokenizers: the bytes as a tokenizer.json, as a GGUF file with a vocabulary, and as a text
 * for the bundled model's tokenizer.  Opening ends in a tokenizer that encodes and decodes, or in a message;
 * a text is spelled by its tokens byte for byte.
 *
 * With libFuzzer:
 *     clang -fsanitize=fuzzer,address,undefined ... tests/fuzz_tokenizer.c && ./a.out SEEDS/
 * Without it, compiled with -DFUZZ_DRIVER, a plain program that mutates its own seeds and those named as
 * arguments, a fixed number of times with a fixed seed (FUZZ_RUNS and FUZZ_SEED change them), as one TAP
 * test.  Build it with sanitizers. */
#include "tests/tokenizer_json.h"

#include "base/mapfile.h"
#include "tests/checkpoint_bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static tokenizer *bundled(void)
{
    static tokenizer *t;
    const char *dir = getenv("srcdir");
    char path[1024];
    snprintf(path, sizeof path, "%s/examples/models/lantern-3m/tokenizer.json", dir ? dir : ".");
    if (!t && tokenizer_open(&t, path, NULL))
        abort();
    return t;
}

/* Whatever the tokenizer, what it says of a text must hang together. */
static void use(const tokenizer *t, const char *s, size_t n)
{
    tokens k;
    strbuf b = { 0 };
    err e = { 0 };
    if (tokenizer_encode(t, s, n, true, &k, &e) != 0) {
        if (!e.msg[0] || e.code == ERR_RESOURCE)
            abort(); /* nothing here needs much memory */
        return;
    }
    int32_t ids[256];
    int64_t n_id = k.n < 256 ? k.n : 256;
    for (int64_t i = 0; i < k.n; i++) {
        if (k.t[i].begin < 0 || k.t[i].begin > k.t[i].end || k.t[i].end > (int64_t)n || k.t[i].id < 0 ||
            k.t[i].id >= tokenizer_vocab(t) || !tokenizer_piece(t, k.t[i].id))
            abort();
        token_text x = tokenizer_text(t, k.t[i].id);
        strbuf_add(&b, x.s, x.len);
        if (i < 256)
            ids[i] = k.t[i].id;
    }
    strbuf_clear(&b);
    if (tokenizer_decode(t, ids, n_id, false, &b, &e) || tokenizer_decode(t, ids, n_id, true, &b, &e))
        abort();
    strbuf_free(&b);
    tokens_free(&k);
}

static void use_opened(int rc, tokenizer *t, const err *e, const uint8_t *data, size_t size)
{
    static const char text[] = "Hello  world's 12 \xc3\xa9 e\xcc\x81 \xff<s>\n\n \xe6\x97\xa5";
    if (rc) {
        if (t || !e->msg[0] || (rc != ERR_RESOURCE && !e->hint[0]) || rc != e->code)
            abort(); /* a refusal says why and what to do */
        return;
    }
    use(t, text, sizeof text - 1);
    use(t, (const char *)data, size < 64 ? size : 64);
    int64_t n = tokenizer_vocab(t);
    if (!tokenizer_kind(t) || tokenizer_bos(t) >= n || tokenizer_eos(t) >= n)
        abort();
    for (int32_t id = -1; id <= (n < 300 ? (int32_t)n : 300); id++)
        if (tokenizer_text(t, id).len && !tokenizer_piece(t, id))
            abort();
    tokenizer_free(t);
}

static void as_json(const uint8_t *data, size_t size)
{
    tokenizer *t;
    err e = { 0 };
    int rc = tokenizer_from_json(&t, (const char *)data, size, "tokenizer.json", &e);
    use_opened(rc, t, &e, data, size);
}

static void as_gguf(const uint8_t *data, size_t size)
{
    opened o = open_bytes(data, size, "x.gguf");
    tokenizer *t = NULL;
    err e = { 0 };
    if (o.c && o.c->gguf) {
        int rc = tokenizer_from_gguf(&t, o.c->gguf, &e);
        close_bytes(&o);
        use_opened(rc, t, &e, data, size);
        return;
    }
    close_bytes(&o);
}

static void as_text(const uint8_t *data, size_t size)
{
    tokens k;
    size_t at = 0;
    if (tokenizer_encode(bundled(), (const char *)data, size, false, &k, NULL))
        abort();
    for (int64_t i = 0; i < k.n; i++) {
        token_text x = tokenizer_text(bundled(), k.t[i].id);
        if (x.len > size - at || memcmp(x.s, data + at, x.len) || k.t[i].begin > (int64_t)at)
            abort();
        at += x.len;
        if (k.t[i].end < (int64_t)at)
            abort();
    }
    if (at != size)
        abort();
    tokens_free(&k);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    as_text(data, size);
    if (size >= 4 && !memcmp(data, "GGUF", 4))
        as_gguf(data, size);
    else
        as_json(data, size);
    return 0;
}

#ifdef FUZZ_DRIVER

enum { MOST_SEEDS = 64, LARGEST_SEED = 1 << 20, DEFAULT_RUNS = 3000 };

static strbuf seeds[MOST_SEEDS];
static int n_seed;
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

#define PATTERN(p) "{'type':'Split','pattern':{'Regex':'" p "'},'behavior':'Isolated','invert':false}"

static void own_seeds(void)
{
    static const json_parts parts[] = {
        { .vocab = ",'he':256,'ll':257", .merges = "['h e',['l','l']]",
          .added = "[{'id':300,'content':'<s>','special':true,'lstrip':true,'rstrip':true,"
                   "'single_word':true}]",
          .post = "{'type':'TemplateProcessing','single':[{'SpecialToken':{'id':'S'}},"
                  "{'Sequence':{'id':'A'}}],'special_tokens':{'S':{'id':'S','ids':[300]}}}" },
        { .normalizer = "{'type':'Sequence','normalizers':[{'type':'NFKC'},{'type':'Lowercase'},"
                        "{'type':'Replace','pattern':{'Regex':'\\\\s+'},'content':' '},{'type':'Strip'},"
                        "{'type':'Prepend','prepend':'_'}]}",
          .pre = "{'type':'Sequence','pretokenizers':[" PATTERN("[^\\\\s[ab]]?\\\\p{L}{1,3}+|\\\\b\\\\h") ","
                 "{'type':'Digits'},{'type':'Metaspace','replacement':'_','prepend_scheme':'first'},"
                 PLAIN_BYTES "]}" },
        { .model = "'unk_token':'a','byte_fallback':true,'fuse_unk':true,'continuing_subword_prefix':'#',"
                   "'end_of_word_suffix':'$','ignore_merges':true,",
          .vocab = ",'<0xC3>':400,'#b':401,'c$':402,'#b$':403,'ab':404", .merges = "['a #b']",
          .pre = "{'type':'Whitespace'}",
          .decoder = "{'type':'Sequence','decoders':[{'type':'Replace','pattern':{'String':'_'},"
                     "'content':' '},{'type':'ByteFallback'},{'type':'Fuse'},"
                     "{'type':'Strip','content':' ','start':1,'stop':1},"
                     "{'type':'BPEDecoder','suffix':'$'},{'type':'Metaspace','replacement':'_'}]}" },
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        put_tokenizer(&seeds[n_seed++], &parts[i]);
    put_part(&seeds[n_seed++], "{'model':{'type':'BPE','vocab':{'a':0,'b':1,'ab':2,'\\u00e9':3},"
                               "'merges':['a b']}}");
    strbuf *b = &seeds[n_seed++];
    put_gguf_header(b, 3, 0, 6);
    put_kv_string(b, "tokenizer.ggml.model", "gpt2");
    put_kv_string(b, "tokenizer.ggml.pre", "qwen2");
    put_kv_array(b, "tokenizer.ggml.tokens", GGUF_STRING, 4);
    put_string(b, "a"), put_string(b, "b"), put_string(b, "ab"), put_string(b, "<s>");
    put_kv_array(b, "tokenizer.ggml.token_type", GGUF_I32, 4);
    put_u32(b, 1), put_u32(b, 1), put_u32(b, 1), put_u32(b, 3);
    put_kv_array(b, "tokenizer.ggml.merges", GGUF_STRING, 1), put_string(b, "a b");
    put_kv_u32(b, "tokenizer.ggml.bos_token_id", 3);
}

static void file_seed(const char *path)
{
    char *s;
    size_t n;
    if (n_seed == MOST_SEEDS || read_file(&s, &n, path, LARGEST_SEED, NULL) != 0)
        return;
    seeds[n_seed++] = (strbuf){ .s = s, .len = n, .cap = n };
}

/* One change: a bit, a byte, a mark of JSON, a hard word in place of what is there, a cut, a copy. */
static void mutate(strbuf *b)
{
    static const char marks[] = "0123456789-.eE\"\\{}[]:,untrfal ()?*+|^$\x80\xff";
    static const char *const words[] = {
        "null", "true", "false", "-1", "2147483647", "2147483648", "1e9", "{}", "[]", "\"\"", "\\u0000",
        "\\ud800", "\"type\":", "(?i:", "(a+)+", "[[a]b]", "{1,3}+", "\\\\p{L}", "\\\\b", "\"Regex\"",
        "\"String\"", "\"Removed\"", "\"Contiguous\"", "\"MergedWithNext\"", "\"NFD\"", "\"ByteLevel\"",
        "\"Digits\"", "\"Punctuation\"", "\"Sequence\"",
    };
    if (!b->len)
        return;
    size_t at = below(b->len), left = b->len - at;
    const char *word = words[below(sizeof words / sizeof *words)];
    size_t n_word = strlen(word);
    switch (next() % 7) {
    case 0:
        b->s[at] = (char)(b->s[at] ^ 1 << below(8));
        break;
    case 1:
        b->s[at] = (char)next();
        break;
    case 2:
        b->s[at] = marks[below(sizeof marks - 1)];
        break;
    case 3: /* over what is there */
        memcpy(b->s + at, word, n_word < left ? n_word : left);
        break;
    case 4: { /* in between */
        strbuf whole = { 0 };
        strbuf_add(&whole, b->s, at);
        strbuf_puts(&whole, word);
        strbuf_add(&whole, b->s + at, left);
        strbuf_free(b);
        *b = whole;
        break;
    }
    case 5: {
        size_t from = below(b->len), n = 1 + below(32);
        n = n < left ? n : left;
        n = n < b->len - from ? n : b->len - from;
        memmove(b->s + at, b->s + from, n);
        break;
    }
    default: { /* bytes taken out */
        size_t n = 1 + below(16);
        n = n < left ? n : left;
        memmove(b->s + at, b->s + at + n, left - n);
        b->len -= n;
    }
    }
}

int main(int argc, char **argv)
{
    const char *runs_text = getenv("FUZZ_RUNS"), *seed_text = getenv("FUZZ_SEED");
    long runs = runs_text ? atol(runs_text) : DEFAULT_RUNS;
    if (seed_text && atol(seed_text))
        state = (uint64_t)atol(seed_text);
    own_seeds();
    for (int i = 1; i < argc; i++)
        file_seed(argv[i]);
    printf("1..1\n");
    for (int i = 0; i < n_seed; i++)
        LLVMFuzzerTestOneInput((const uint8_t *)seeds[i].s, seeds[i].len);
    for (long i = 0; i < runs; i++) {
        const strbuf *seed = &seeds[i % n_seed];
        strbuf b = { 0 };
        strbuf_add(&b, seed->s, seed->len);
        for (size_t k = 1 + below(4); k; k--)
            mutate(&b);
        LLVMFuzzerTestOneInput((const uint8_t *)b.s, b.len);
        strbuf_free(&b);
    }
    printf("ok 1 - %ld damaged tokenizers of %d seeds\n", runs, n_seed);
    for (int i = 0; i < n_seed; i++)
        strbuf_free(&seeds[i]);
    tokenizer_free(bundled());
    return 0;
}

#endif
