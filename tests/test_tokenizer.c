/* Tokenizers: byte-level BPE by hand, byte ranges, bytes that are no text, added and special tokens, texts of
 * tokens, the bundled model's tokenizer against a reference, faults. */
#include "tests/tokenizer_json.h"

#include <pthread.h>

#include "base/cancel.h"
#include "model/tokenizer/parts.h"
#include "tests/lantern_tokens.h"

/* ---- byte-pair encoding by hand ---- */

#define HELLO_VOCAB ",'he':256,'ll':257,'hell':258,'hello':259,'\\u0120w':260,'or':261," \
                    "'\\u0120wor':262,'ld':263,'\\u0120world':264"
#define HELLO_MERGES "['h e','l l','he ll','hell o','\\u0120 w','o r','\\u0120w or','l d'," \
                     "'\\u0120wor ld']"

static tokenizer *hello(const char *model)
{
    return make_tokenizer(&(json_parts){ .vocab = HELLO_VOCAB, .merges = HELLO_MERGES, .model = model });
}

static void merges_by_rank(void **state)
{
    (void)state;
    tokenizer *t = hello(NULL);
    assert_ids(t, "", false, "");
    assert_ids(t, "hello world", false, "259 264");
    assert_ids(t, "hell", false, "258");
    assert_ids(t, "helo", false, "256 108 111");
    assert_ids(t, "world", false, "119 261 263");
    assert_ids(t, " helloworld", false, "32 259 119 261 263");
    assert_ids(t, "lll", false, "257 108"); /* equal ranks: the left pair first */
    assert_ids(t, "llll", false, "257 257");
    assert_ids(t, "orld or", false, "261 263 32 261");
    assert_int_equal(tokenizer_vocab(t), 265);
    assert_string_equal(tokenizer_kind(t), "byte-level BPE");
    tokenizer_free(t);
}

/* "ab", "bc", "abc" with the ranks of bc first: a pair that is waiting dies when its half is taken. */
static void stale_pairs(void **state)
{
    (void)state;
    tokenizer *t = make_tokenizer(&(json_parts){
        .vocab = ",'ab':256,'bc':257,'abc':258", .merges = "[['b','c'],['a','b'],['ab','c']]" });
    assert_ids(t, "abc", false, "97 257");
    assert_ids(t, "ab", false, "256");
    assert_ids(t, "abab", false, "256 256");
    assert_ids(t, "abbc", false, "256 257");
    tokenizer_free(t);
}

static void later_merge_of_a_pair_counts(void **state)
{
    (void)state;
    const char *more = ",'ab':256,'bc':257";
    tokenizer *t = make_tokenizer(&(json_parts){ .vocab = more, .merges = "['a b','b c']" });
    assert_ids(t, "abc", false, "256 99");
    tokenizer_free(t);
    t = make_tokenizer(&(json_parts){ .vocab = more, .merges = "['a b','b c','a b']" });
    assert_ids(t, "abc", false, "97 257");
    tokenizer_free(t);
}

static void ignore_merges(void **state)
{
    (void)state;
    const char *more = ",'abc':256,'ab':257,'\\u00c3\\u00a9':258"; /* the last spells e acute */
    tokenizer *t = make_tokenizer(&(json_parts){ .vocab = more, .merges = "['a b']" });
    assert_ids(t, "abc", false, "257 99");
    assert_ids(t, "\xc3\xa9", false, "195 169");
    tokenizer_free(t);
    t = make_tokenizer(&(json_parts){ .vocab = more, .merges = "['a b']", .model = "'ignore_merges':true," });
    assert_ids(t, "abc", false, "256");
    assert_ids(t, "abcd", false, "257 99 100");
    assert_ids(t, "\xc3\xa9", false, "258");
    tokenizer_free(t);
}

/* Words without a byte alphabet: unknown characters, their fusion, bytes instead of them. */
static void unknown_characters(void **state)
{
    (void)state;
    char file[512];
    static const struct { const char *flags, *extra, *text, *want; } cases[] = {
        { "", "", "axyb", "1 2" },
        { "'unk_token':'?',", "", "axyb", "1 0 0 2" },
        { "'unk_token':'?','fuse_unk':true,", "", "axyb", "1 0 2" },
        { "'unk_token':'?','byte_fallback':true,", ",'<0xC3>':3,'<0xA9>':4", "a\xc3\xa9xb", "1 3 4 0 2" },
        { "'unk_token':'?','byte_fallback':true,", ",'<0xC3>':3", "a\xc3\xa9" "b", "1 0 2" },
        { "'continuing_subword_prefix':'#',", ",'#b':3,'#a':4", "abab", "1 3 4 3" },
        { "'end_of_word_suffix':'$',", ",'b$':3,'ab$':4", "ab", "4" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(file, sizeof file,
                 "{'model':{'type':'BPE',%s'vocab':{'?':0,'a':1,'b':2%s},'merges':%s}}",
                 cases[i].flags, cases[i].extra, i == 6 ? "[['a','b$']]" : "[]");
        tokenizer *t = read_tokenizer(file);
        assert_ids(t, cases[i].text, false, cases[i].want);
        assert_string_equal(tokenizer_kind(t), "BPE");
        tokenizer_free(t);
    }
}

/* A word of n symbols through the list and heap of long words equals the scan of short ones. */
static void long_words(void **state)
{
    (void)state;
    enum { N = 1 << 20 };
    tokenizer *t = make_tokenizer(&(json_parts){
        .vocab = ",'aa':256,'aaaa':257,'ab':258", .merges = "['a a','aa aa','a b']" });
    char *s = malloc(N + 1);
    assert_non_null(s);
    memset(s, 'a', N);
    tokens k = encode(t, s, N, false);
    assert_int_equal(k.n, N / 4);
    for (int64_t i = 0; i < k.n; i++) {
        assert_int_equal(k.t[i].id, 257);
        assert_int_equal(k.t[i].begin, 4 * i);
        assert_int_equal(k.t[i].end, 4 * i + 4);
    }
    tokens_free(&k);
    s[N] = 'b'; /* an odd number of them: "ab" is ranked below "aa" */
    k = encode(t, s + 1, N, false);
    assert_int_equal(k.n, (N - 4) / 4 + 2);
    assert_int_equal(k.t[k.n - 2].id, 256);
    assert_int_equal(k.t[k.n - 1].id, 258);
    tokens_free(&k);
    memset(s, ' ', N);
    k = encode(t, s, N, false);
    assert_int_equal(k.n, N);
    tokens_free(&k);
    free(s);

    /* the same words cut short and run together */
    for (int n = 1; n < 120; n++) {
        char word[128], want[512] = "";
        memset(word, 'a', (size_t)n);
        word[n] = 0;
        for (int i = 0; i < n / 4; i++)
            strcat(want, i ? " 257" : "257");
        if (n % 4 >= 2)
            strcat(want, n >= 4 ? " 256" : "256");
        if (n % 2)
            strcat(want, n > 1 ? " 97" : "97");
        assert_ids(t, word, false, want);
    }
    tokenizer_free(t);
}

static uint64_t next(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x;
}

/* Random merges over a, b, c against the definition: merge the leftmost pair of the lowest rank until there
 * is none.  Words of up to 300 letters, so that both ways of merging are met. */
static void against_the_definition(void **state)
{
    (void)state;
    enum { MERGES = 40, LONGEST = 300 };
    uint64_t x = 20260505;
    for (int round = 0; round < 40; round++) {
        char piece[MERGES + 3][64] = { "a", "b", "c" };
        int left[MERGES], right[MERGES], n = 0;
        strbuf more = { 0 }, list = { 0 };
        for (int tries = 0; n < MERGES && tries < 1000; tries++) {
            int a = (int)(next(&x) % (uint64_t)(n + 3)), b = (int)(next(&x) % (uint64_t)(n + 3));
            bool fits = strlen(piece[a]) + strlen(piece[b]) < sizeof piece[0];
            char both[128];
            strcat(strcpy(both, piece[a]), piece[b]);
            for (int i = 0; fits && i < n + 3; i++)
                fits = strcmp(piece[i], both) != 0;
            if (!fits)
                continue;
            strcpy(piece[n + 3], both);
            strbuf_printf(&more, ",'%s':%d", piece[n + 3], 256 + n);
            strbuf_printf(&list, "%s['%s','%s']", n ? "," : "[", piece[a], piece[b]);
            left[n] = a < 3 ? 'a' + a : 253 + a;
            right[n++] = b < 3 ? 'a' + b : 253 + b;
        }
        strbuf_puts(&list, "]");
        tokenizer *t = make_tokenizer(&(json_parts){ .vocab = more.s, .merges = list.s });
        for (int word = 0; word < 20; word++) {
            char s[LONGEST];
            int id[LONGEST], len = (int)(next(&x) % LONGEST), count = len;
            for (int i = 0; i < len; i++)
                id[i] = s[i] = (char)('a' + next(&x) % 3);
            for (int rank = 0; rank < n; rank++)
                for (int i = 0; i + 1 < count; i++)
                    if (id[i] == left[rank] && id[i + 1] == right[rank]) {
                        id[i] = 256 + rank;
                        memmove(id + i + 1, id + i + 2, (size_t)(count-- - i - 2) * sizeof *id);
                        rank = -1; /* from the start: a lower rank may have become possible */
                        break;
                    }
            tokens k = encode(t, s, (size_t)len, false);
            assert_int_equal(k.n, count);
            for (int i = 0; i < count; i++)
                assert_int_equal(k.t[i].id, id[i]);
            tokens_free(&k);
        }
        tokenizer_free(t);
        strbuf_free(&more);
        strbuf_free(&list);
    }
}

/* Words that come back are remembered: what they become must not change. */
static void repeated_words(void **state)
{
    (void)state;
    tokenizer *t = hello(NULL);
    strbuf b = { 0 };
    for (int i = 0; i < 400; i++)
        strbuf_puts(&b, i % 7 ? " world" : i % 2 ? " hello" : " orld");
    tokens k = encode(t, b.s, b.len, false);
    size_t at = 0;
    for (int64_t i = 0; i < k.n; i++) {
        token_text x = tokenizer_text(t, k.t[i].id);
        assert_int_equal(k.t[i].begin, at);
        assert_memory_equal(b.s + at, x.s, x.len);
        at += x.len;
        assert_int_equal(k.t[i].end, at);
        if (i && k.t[i].begin % 6 == 0 && b.s[k.t[i].begin + 1] == 'w')
            assert_int_equal(k.t[i].id, 264);
    }
    assert_int_equal(at, b.len);
    tokens_free(&k);
    strbuf_free(&b);
    tokenizer_free(t);
}

/* ---- byte ranges, bytes that are no text ---- */

static void ranges(void **state)
{
    (void)state;
    tokenizer *t = hello(NULL);
    assert_ranges(t, "hello world", "0-5 5-11");
    assert_ranges(t, "helo", "0-2 2-3 3-4");
    assert_ranges(t, "l\xc3\xa9l", "0-1 1-3 1-3 3-4"); /* both bytes stand for the character */
    assert_ranges(t, "\xe6\x97\xa5\xe6\x97\xa5", "0-3 0-3 0-3 3-6 3-6 3-6");
    assert_ranges(t, "\x97l\xe6\x97", "0-1 1-2 2-3 3-4"); /* no characters: each byte alone */
    tokenizer_free(t);

    t = make_tokenizer(&(json_parts){ .pre = "{'type':'ByteLevel','add_prefix_space':true}" });
    assert_ids(t, "a", false, "32 97");
    assert_ranges(t, "a", "0-1 0-1"); /* the space that was put before it stands for it */
    assert_ids(t, " a", false, "32 97");
    assert_ranges(t, " a", "0-1 1-2");
    tokenizer_free(t);

    t = make_tokenizer(&(json_parts){ .normalizer = "{'type':'NFC'}" });
    assert_ids(t, "xe\xcc\x81y", false, "120 195 169 121");
    assert_ranges(t, "xe\xcc\x81y", "0-1 1-4 1-4 4-5");
    tokenizer_free(t);
    t = make_tokenizer(&(json_parts){
        .normalizer = "{'type':'Replace','pattern':{'String':'ab'},'content':'xyz'}" });
    assert_ids(t, "cabc", false, "99 120 121 122 99");
    assert_ranges(t, "cabc", "0-1 1-3 1-3 1-3 3-4");
    tokenizer_free(t);
    t = make_tokenizer(&(json_parts){
        .normalizer = "{'type':'Strip','strip_left':true,'strip_right':true}" });
    assert_ids(t, " \t\xc2\xa0" "ab \n", false, "97 98");
    assert_ranges(t, " \t\xc2\xa0" "ab \n", "4-5 5-6");
    tokenizer_free(t);
}

/* Any bytes at all: the texts of the tokens join to the input, ranges follow each other and cover it. */
static void any_bytes(void **state)
{
    (void)state;
    static const char *const pieces[] = {
        "a", " ", "  ", "\n", "\xc3\xa9", "\xc3", "\xa9", "\xe6\x97\xa5", "\xe6\x97", "\xf0\x9f\x98\x80",
        "\xf0\x9f", "\xed\xa0\x80", "\xc0\x80", "\xff", "1", "'s", "\xf4\x90\x80\x80", "\xcc\x81", "hello",
        "\x80\x80\x80\x80",
    };
    static const char *const pres[] = {
        BYTE_LEVEL, PLAIN_BYTES,
        "{'type':'Sequence','pretokenizers':[{'type':'Digits','individual_digits':true}," BYTE_LEVEL "]}",
        "{'type':'Sequence','pretokenizers':[{'type':'Split','pattern':{'Regex':'\\\\s+|\\\\p{L}+'},"
        "'behavior':'MergedWithNext','invert':false},{'type':'Punctuation'}," PLAIN_BYTES "]}",
    };
    uint64_t x = 88172645463325252u;
    for (size_t p = 0; p < 4; p++) {
        tokenizer *t = make_tokenizer(&(json_parts){
            .pre = pres[p], .vocab = HELLO_VOCAB, .merges = HELLO_MERGES });
        for (int round = 0; round < 500; round++) {
            strbuf b = { 0 };
            for (uint64_t n = next(&x) % 40; n; n--) {
                if (next(&x) % 4)
                    strbuf_puts(&b, pieces[next(&x) % (sizeof pieces / sizeof *pieces)]);
                else
                    strbuf_putc(&b, (char)next(&x));
            }
            tokens k = encode(t, strbuf_str(&b), b.len, false);
            size_t at = 0;
            for (int64_t i = 0; i < k.n; i++) {
                token_text piece = tokenizer_text(t, k.t[i].id);
                assert_true(piece.len <= b.len - at);
                assert_memory_equal(piece.s, b.s + at, piece.len);
                assert_true(k.t[i].begin <= (int64_t)at);
                at += piece.len;
                assert_true(k.t[i].end >= (int64_t)at && k.t[i].end <= (int64_t)b.len);
            }
            assert_int_equal(at, b.len);
            tokens_free(&k);
            strbuf_free(&b);
        }
        tokenizer_free(t);
    }
}

/* ---- added tokens ---- */

#define ADDED(id, s, flags) "{'id':" id ",'content':'" s "'" flags "}"

static void added_tokens(void **state)
{
    (void)state;
    tokenizer *t = make_tokenizer(&(json_parts){
        .added = "[" ADDED("256", "<a>", ",'special':true") "," ADDED("257", "<a>b", ",'special':true") ","
                 ADDED("258", "<l>", ",'special':true,'lstrip':true") ","
                 ADDED("259", "<r>", ",'special':false,'normalized':false,'rstrip':true") ","
                 ADDED("260", "one", ",'special':false,'normalized':false,'single_word':true") ","
                 ADDED("280", "gap", ",'special':true") "," ADDED("65", "A", ",'special':true") "]" });
    assert_ids(t, "x<a>y", false, "120 256 121");
    assert_ids(t, "<a>b<a>", false, "257 256"); /* the longest */
    assert_ids(t, "<a", false, "60 97");
    assert_ids(t, "x  <l> y", false, "120 258 32 121");
    assert_ranges(t, "x  <l> y", "0-1 1-6 6-7 7-8");
    assert_ids(t, "x <r>  y", false, "120 32 259 121");
    assert_ids(t, "<r>\xe3\x80\x80 <l>", false, "259 258"); /* each takes its side; the space goes once */
    assert_ids(t, "one", false, "260");
    assert_ids(t, "(one)", false, "40 260 41");
    assert_ids(t, "ones", false, "111 110 101 115");
    assert_ids(t, "one_", false, "111 110 101 95");
    assert_ids(t, "\xc3\xa9one", false, "195 169 111 110 101");
    assert_ids(t, "gapA", false, "280 65");
    assert_int_equal(tokenizer_vocab(t), 281);
    assert_null(tokenizer_piece(t, 270));
    assert_int_equal(tokenizer_text(t, 270).len, 0);
    assert_string_equal(tokenizer_piece(t, 280), "gap");
    assert_true(tokenizer_is_special(t, 256));
    assert_false(tokenizer_is_special(t, 259));
    assert_true(tokenizer_is_special(t, 65)); /* the model's token, now special */
    assert_false(tokenizer_is_special(t, -1));
    assert_false(tokenizer_is_special(t, 1 << 30));

    tokens k = encode(t, "x<a>", 4, false);
    assert_false(k.t[0].special);
    assert_true(k.t[1].special);
    tokens_free(&k);
    assert_decodes(t, (const int32_t[]){ 104, 256, 105, 259 }, 4, false, "h<a>i<r>");
    assert_decodes(t, (const int32_t[]){ 104, 256, 105, 259, 999, -5 }, 6, true, "hi<r>");
    tokenizer_free(t);
}

/* normalized: found in the text after normalisation, spelled normalised itself. */
static void normalised_added_tokens(void **state)
{
    (void)state;
    tokenizer *t = make_tokenizer(&(json_parts){
        .normalizer = "{'type':'Lowercase'}",
        .added = "[" ADDED("256", "Yes", ",'normalized':true") ","
                 ADDED("257", "No", ",'normalized':false") "]" });
    assert_ids(t, "YES", false, "256");
    assert_ids(t, "yes", false, "256");
    assert_ids(t, "No", false, "257");
    assert_ids(t, "NO", false, "110 111");
    assert_ids(t, "aNoYES", false, "97 257 256");
    assert_ranges(t, "aNoYES", "0-1 1-3 3-6");
    assert_string_equal(tokenizer_piece(t, 256), "Yes");
    tokenizer_free(t);
}

/* ---- special tokens, texts ---- */

static void special_tokens(void **state)
{
    (void)state;
    const char *added =
        "[" ADDED("256", "<s>", ",'special':true") "," ADDED("257", "</s>", ",'special':true") "]";
    const char *templates =
        "{'type':'TemplateProcessing','single':[{'SpecialToken':{'id':'S','type_id':0}},"
        "{'Sequence':{'id':'A','type_id':0}}],'pair':[],'special_tokens':{'S':{'id':'S',"
        "'ids':[256,97],'tokens':['<s>','a']}}}";
    tokenizer *t = make_tokenizer(&(json_parts){ .added = added, .post = templates });
    assert_ids(t, "x", true, "256 97 120");
    assert_ids(t, "x", false, "120");
    assert_ids(t, "", true, "256 97");
    tokens k = encode(t, "x", 1, true);
    assert_string_equal(k.policy, "<s> and a from the post-processor");
    assert_true(k.t[0].special && k.t[1].special && !k.t[2].special);
    assert_int_equal(k.t[1].begin, 0);
    assert_int_equal(k.t[1].end, 0);
    tokens_free(&k);
    k = encode(t, "x", 1, false);
    assert_string_equal(k.policy, "nothing added, as asked");
    tokens_free(&k);
    assert_int_equal(tokenizer_bos(t), -1);
    tokenizer_free(t);

    strbuf post = { 0 };
    strbuf_printf(&post, "{'type':'Sequence','processors':[%s,{'type':'ByteLevel'},{'type':"
                  "'RobertaProcessing','sep':['</s>',257],'cls':['<s>',256]}]}", templates);
    t = make_tokenizer(&(json_parts){ .added = added, .post = post.s });
    assert_ids(t, "xy", true, "256 256 97 120 121 257"); /* later ones wrap */
    k = encode(t, "xy", 2, true);
    assert_int_equal(k.t[5].begin, 2);
    assert_int_equal(k.t[5].end, 2);
    tokens_free(&k);
    strbuf_free(&post);
    tokenizer_free(t);

    t = make_tokenizer(&(json_parts){
        .added = added, .post = "{'type':'BertProcessing','sep':['</s>',257],'cls':['<s>',256]}" });
    assert_ids(t, "x", true, "256 120 257");
    tokenizer_free(t);
    t = make_tokenizer(&(json_parts){ .added = added });
    k = encode(t, "x", 1, true);
    assert_string_equal(k.policy, "nothing added");
    tokens_free(&k);
    tokenizer_free(t);
}

static void texts_of_tokens(void **state)
{
    (void)state;
    tokenizer *t = make_tokenizer(&(json_parts){ .vocab = ",'\\u0120\\u00c3\\u00a9':256,'\\u2581x':257" });
    token_text x = tokenizer_text(t, 256);
    assert_int_equal(x.len, 3);
    assert_memory_equal(x.s, " \xc3\xa9", 3);
    assert_string_equal(tokenizer_piece(t, 256), "\xc4\xa0\xc3\x83\xc2\xa9");
    for (int b = 0; b < 256; b++) {
        x = tokenizer_text(t, b);
        assert_int_equal(x.len, 1);
        assert_int_equal((unsigned char)x.s[0], b);
    }
    x = tokenizer_text(t, 257); /* not of the alphabet: as it is */
    assert_memory_equal(x.s, "\xe2\x96\x81x", 4);
    tokenizer_free(t);
}

/* ---- the bundled model ---- */

static tokenizer *lantern(void)
{
    const char *dir = getenv("srcdir");
    char path[1024];
    tokenizer *t;
    err e = { 0 };
    snprintf(path, sizeof path, "%s/examples/models/lantern-3m", dir ? dir : ".");
    if (tokenizer_open(&t, path, &e))
        fail_msg("%s", e.msg);
    return t;
}

static void bundled_model(void **state)
{
    (void)state;
    tokenizer *t = lantern();
    for (size_t i = 0; i < sizeof lantern_cases / sizeof *lantern_cases; i++) {
        const struct lantern_case *c = &lantern_cases[i];
        tokens k = encode(t, c->text, c->n, true);
        strbuf b = { 0 }, back = { 0 };
        for (int64_t j = 1; j < k.n; j++) {
            strbuf_printf(&b, "%s%d", j > 1 ? " " : "", k.t[j].id);
            strbuf_add(&back, tokenizer_text(t, k.t[j].id).s, tokenizer_text(t, k.t[j].id).len);
        }
        assert_string_equal(strbuf_str(&b), c->ids);
        assert_int_equal(k.t[0].id, 0);
        assert_int_equal(back.len, c->n);
        assert_memory_equal(strbuf_str(&back), c->text, c->n);
        strbuf_free(&b);
        strbuf_free(&back);
        tokens_free(&k);
    }
    tokens k = encode(t, "x", 1, true);
    assert_string_equal(k.policy, "bos <|bos|> from the post-processor");
    tokens_free(&k);
    assert_int_equal(tokenizer_bos(t), 0);
    assert_int_equal(tokenizer_eos(t), 1);
    assert_int_equal(tokenizer_vocab(t), 2048);
    sha256_hex hash;
    assert_int_equal(tokenizer_hash(t, hash, NULL), 0);
    assert_int_equal(strlen(hash), 64);
    tokenizer_free(t);
}

static void *encode_all(void *tok)
{
    const tokenizer *t = tok;
    size_t sum = 0;
    for (int round = 0; round < 20; round++)
        for (size_t i = 0; i < sizeof lantern_cases / sizeof *lantern_cases; i++) {
            tokens k;
            if (tokenizer_encode(t, lantern_cases[i].text, lantern_cases[i].n, false, &k, NULL))
                return NULL;
            for (int64_t j = 0; j < k.n; j++)
                sum = sum * 31 + (size_t)k.t[j].id + (size_t)k.t[j].begin;
            tokens_free(&k);
        }
    return (void *)(sum | 1);
}

static void threads_share_a_tokenizer(void **state)
{
    (void)state;
    tokenizer *t = lantern();
    pthread_t thread[4];
    void *want = encode_all(t), *got;
    assert_non_null(want);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, encode_all, t), 0);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(thread[i], &got), 0);
        assert_ptr_equal(got, want);
    }
    tokenizer_free(t);
}

/* ---- faults ---- */

/* Every allocation fails once: an error, nothing lost, nothing crashed. */
static void failing_allocations(void **state)
{
    (void)state;
    strbuf b = { 0 };
    put_tokenizer(&b, &(json_parts){
        .normalizer = "{'type':'Sequence','normalizers':[{'type':'NFKC'},{'type':'Lowercase'}]}",
        .added = "[" ADDED("300", "<s>", ",'special':true") "]", .model = "'ignore_merges':true,",
        .vocab = HELLO_VOCAB, .merges = HELLO_MERGES,
        .decoder = "{'type':'Sequence','decoders':[{'type':'ByteFallback'},{'type':'Replace',"
                   "'pattern':{'String':'_'},'content':' '},{'type':'Fuse'}]}" });
    tokenizer *t = NULL;
    int failed = 0;
    for (long n = 1; n <= 100; n++) {
        err e = { 0 };
        tokenizer_free(t);
        mem_fail_at(n);
        int rc = tokenizer_from_json(&t, b.s, b.len, "tokenizer.json", &e);
        mem_fail_at(0);
        if (!rc) /* it was not needed: the file was read in another way, or all is done */
            continue;
        assert_int_equal(rc, ERR_RESOURCE);
        assert_null(t);
        failed++;
    }
    assert_non_null(t);
    assert_true(failed > 4);
    const char *s = "Hello \xef\xac\x81 e\xcc\x81\xcc\xa3 \xff<s>_world "
                    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    tokens want = encode(t, s, strlen(s), true), k;
    int64_t n_want = want.n;
    tokens_free(&want);
    failed = 0;
    for (long n = 1; n < 1000; n++) {
        mem_fail_at(n);
        int rc = tokenizer_encode(t, s, strlen(s), true, &k, NULL);
        mem_fail_at(0);
        if (!rc) { /* an allocation that is not needed may fail */
            assert_int_equal(k.n, n_want);
            tokens_free(&k);
            if (n > 200)
                break;
            continue;
        }
        assert_int_equal(rc, ERR_RESOURCE);
        failed++;
    }
    assert_true(failed > 3);
    for (long n = 1; n < 100; n++) {
        strbuf out = { 0 };
        mem_fail_at(n);
        int rc = tokenizer_decode(t, (const int32_t[]){ 104, 300, 95, 259 }, 4, false, &out, NULL);
        mem_fail_at(0);
        assert_true(rc == 0 || rc == ERR_RESOURCE);
        if (!rc)
            assert_string_equal(out.s, "h<s> hello");
        strbuf_free(&out);
    }
    tokenizer_free(t);
    strbuf_free(&b);
}

static void cancelling(void **state)
{
    (void)state;
    tokenizer *t = hello(NULL);
    strbuf b = { 0 };
    for (int i = 0; i < 5000; i++)
        strbuf_puts(&b, " x");
    tokens k;
    err e = { 0 };
    cancel_request();
    assert_int_equal(tokenizer_encode(t, b.s, b.len, false, &k, &e), ERR_CANCELLED);
    cancel_clear();
    assert_int_equal(tokenizer_encode(t, b.s, b.len, false, &k, &e), 0);
    assert_int_equal(k.n, 10000);
    tokens_free(&k);
    strbuf_free(&b);
    tokenizer_free(t);
}

/* What every kind of model has to offer. */
static void registry(void **state)
{
    (void)state;
    assert_non_null(tokenizer_models[0]);
    for (size_t i = 0; tokenizer_models[i]; i++) {
        const tokenizer_model *m = tokenizer_models[i];
        assert_true(m->type && *m->type);
        assert_non_null(m->encode);
        assert_ptr_equal(tokenizer_model_find(m->type), m);
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(m->type, tokenizer_models[k]->type);
        if (m->work_free)
            m->work_free(NULL);
    }
    assert_null(tokenizer_model_find("Odd"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merges_by_rank),
        cmocka_unit_test(stale_pairs),
        cmocka_unit_test(later_merge_of_a_pair_counts),
        cmocka_unit_test(ignore_merges),
        cmocka_unit_test(unknown_characters),
        cmocka_unit_test(long_words),
        cmocka_unit_test(against_the_definition),
        cmocka_unit_test(repeated_words),
        cmocka_unit_test(ranges),
        cmocka_unit_test(any_bytes),
        cmocka_unit_test(added_tokens),
        cmocka_unit_test(normalised_added_tokens),
        cmocka_unit_test(special_tokens),
        cmocka_unit_test(texts_of_tokens),
        cmocka_unit_test(bundled_model),
        cmocka_unit_test(threads_share_a_tokenizer),
        cmocka_unit_test(failing_allocations),
        cmocka_unit_test(cancelling),
        cmocka_unit_test(registry),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
