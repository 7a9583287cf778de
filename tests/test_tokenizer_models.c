/* Models of tokenizers other than BPE, and the parts that go with them, on small files whose tokens can be told
 * by hand. */
#include "tests/spm_bytes.h"
#include "tests/tokenizer_json.h"

/* Ids of a text of n bytes. */
static void assert_ids_of(const tokenizer *t, const char *s, size_t n, const char *want)
{
    strbuf b = { 0 };
    tokens k = encode(t, s, n, false);
    for (int64_t i = 0; i < k.n; i++)
        strbuf_printf(&b, "%s%d", i ? " " : "", k.t[i].id);
    assert_string_equal(strbuf_str(&b), want);
    strbuf_free(&b);
    tokens_free(&k);
}

#define WORDPIECE(pre, more) "{'normalizer':{'type':'BertNormalizer'" pre "},'pre_tokenizer':{'type':" \
    "'BertPreTokenizer'},'decoder':{'type':'WordPiece','prefix':'##','cleanup':true},'model':{'type':'WordPiece'," \
    "'unk_token':'[UNK]','continuing_subword_prefix':'##'" more ",'vocab':{'[UNK]':0,'un':1,'##aff':2,'##able':3," \
    "'##a':4,'.':5,'the':6,'The':7,'\\u4e2d':8,'a':9,'##b':10,'##\\u00e9':11}}}"

static void wordpiece(void **state)
{
    (void)state;
    tokenizer *t = read_tokenizer(WORDPIECE("", ""));
    assert_string_equal(tokenizer_kind(t), "WordPiece");
    assert_ids(t, "unaffable", false, "1 2 3");   /* the longest piece each time: ##aff before ##a */
    assert_ranges(t, "unaffable", "0-2 2-5 5-9");
    assert_ids(t, "The the. ", false, "6 6 5");
    assert_ids(t, "unaffx the", false, "0 6");    /* a word that does not come out even is unknown as a whole */
    assert_ranges(t, "unaffx the", "0-6 7-10");
    assert_ids(t, "\t a\xe4\xb8\xad" "b\n", false, "9 8 0"); /* an ideograph stands alone */
    assert_ids(t, "\xc3\xa1" "b a\xcc\x81" "b", false, "9 10 9 10"); /* accents go, composed or not */
    assert_ids(t, "t\x01h\xc2\xad" "e\xef\xbf\xbd", false, "6"); /* controls, formats and U+FFFD go */
    assert_ids_of(t, "t\0he", 4, "6");
    assert_ids_of(t, "a\xff" "b the", 7, "0 6");  /* a byte that is not UTF-8 is an unknown character */
    assert_decodes(t, (int32_t[]){ 1, 2, 3, 6, 5 }, 5, false, "unaffable the.");
    tokenizer_free(t);

    t = read_tokenizer(WORDPIECE(",'lowercase':false", ",'max_input_chars_per_word':4"));
    assert_ids(t, "The the", false, "7 6");
    assert_ids(t, "a\xc3\xa9" "b", false, "9 11 10"); /* cased: accents stay */
    assert_ids(t, "aaaa", false, "9 4 4 4");
    assert_ids(t, "aaaaa", false, "0");           /* characters, not bytes */
    assert_ids(t, "a\xc3\xa9\xc3\xa9\xc3\xa9", false, "9 11 11 11");
    tokenizer_free(t);
}

static void wordlevel(void **state)
{
    (void)state;
    tokenizer *t = read_tokenizer("{'model':{'type':'WordLevel','unk_token':'?','vocab':{'?':0,'a b':1,'c':2}},"
                                  "'pre_tokenizer':{'type':'CharDelimiterSplit','delimiter':'|'}}");
    assert_ids(t, "a b|c|d||c", false, "1 2 0 2");
    assert_ranges(t, "a b|c|d||c", "0-3 4-5 6-7 9-10");
    tokenizer_free(t);
    t = read_tokenizer("{'model':{'type':'WordLevel','vocab':{'a':0}}}");
    tokens k;
    err e = { 0 };
    assert_int_equal(tokenizer_encode(t, "b", 1, false, &k, &e), ERR_INPUT);
    assert_non_null(strstr(e.msg, "unk_token \"<unk>\""));
    tokenizer_free(t);
}

#define UNIGRAM(vocab, more) "{'model':{'type':'Unigram','unk_id':0,'vocab':[['<unk>',0]," vocab "]" more "}}"

static void unigram(void **state)
{
    (void)state;
    tokenizer *t = read_tokenizer(UNIGRAM("['a',-1],['b',-1.5],['ab',-2.75],['aba',-3],['ba',-2]", ""));
    assert_ids(t, "ab", false, "1 2");            /* -2.5 beats -2.75 */
    assert_ids(t, "aba", false, "4");             /* -3 for the whole, for a ba and not for ab a: the whole came first */
    assert_ids(t, "xab", false, "0 1 2");
    assert_ids(t, "xyab\xff\xfe", false, "0 1 2 0"); /* unknown characters in a row are one token */
    assert_ranges(t, "xyab\xff\xfe", "0-2 2-3 3-4 4-6");
    assert_ids(t, "", false, "");
    tokenizer_free(t);

    t = read_tokenizer(UNIGRAM("['a',-1],['<0xC3>',0],['<0xA9>',0]", ",'byte_fallback':true"));
    assert_ids(t, "a\xc3\xa9", false, "1 2 3");   /* all bytes have a piece */
    assert_ids(t, "a\xc3\xb1", false, "1 0");     /* one has none */
    assert_ids(t, "\xc3", false, "2");
    tokenizer_free(t);

    t = read_tokenizer("{'model':{'type':'Unigram','vocab':[['a',-1]]}}");
    tokens k;
    err e = { 0 };
    assert_int_equal(tokenizer_encode(t, "ab", 2, false, &k, &e), ERR_INPUT);
    assert_non_null(strstr(e.msg, "no unknown token"));
    tokenizer_free(t);
}

/* Every way to cut a text, with sums in the same order as the search: the definition. */
static double best_score(const char *s, const char *const *piece, const double *score, int n, double unknown)
{
    size_t len = strlen(s);
    double best[32] = { 0 };
    for (size_t i = 1; i <= len; i++) {
        best[i] = best[i - 1] + unknown;
        for (int k = 0; k < n; k++) {
            size_t m = strlen(piece[k]);
            if (m <= i && !memcmp(s + i - m, piece[k], m) && best[i - m] + score[k] > best[i])
                best[i] = best[i - m] + score[k];
        }
    }
    return best[len];
}

static void unigram_is_optimal(void **state)
{
    (void)state;
    static const char *const piece[] = { "a", "b", "ab", "ba", "bab", "aa", "abab", "cb" };
    static const double score[] = { -2.5, -2.25, -4.5, -4, -6.125, -3.5, -7.5, -5 };
    tokenizer *t = read_tokenizer(UNIGRAM("['a',-2.5],['b',-2.25],['ab',-4.5],['ba',-4],['bab',-6.125],['aa',-3.5],"
                                          "['abab',-7.5],['cb',-5]", ""));
    unsigned r = 7;
    for (int round = 0; round < 3000; round++) {
        char s[25];
        size_t n = r >> 16 & 15;
        for (size_t i = 0; i < n; i++) {
            r = r * 1103515245 + 12345;
            s[i] = "aabbabc"[(r >> 16) % 7];
        }
        r = r * 1103515245 + 12345;
        s[n] = 0;
        tokens k = encode(t, s, n, false);
        double sum = 0;
        for (int64_t i = 0; i < k.n; i++) /* an unknown token stands for several characters */
            sum += k.t[i].id ? score[k.t[i].id - 1] : -17.5 * (double)(k.t[i].end - k.t[i].begin);
        assert_true(sum == best_score(s, piece, score, 8, -17.5)); /* least score, less 10; exact in binary */
        tokens_free(&k);
    }
    tokenizer_free(t);
}

static void put_base64(strbuf *b, const unsigned char *s, size_t n)
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < n; i += 3) {
        uint32_t v = 0;
        for (size_t k = 0; k < 3; k++)
            v = v << 8 | (i + k < n ? s[i + k] : 0);
        for (size_t k = 0; k < 4; k++)
            strbuf_putc(b, k <= n - i ? digit[v >> (18 - 6 * k) & 63] : '=');
    }
}

/* The map has one key, "A", which becomes "a". */
static void precompiled(void **state)
{
    (void)state;
    strbuf b = { 0 };
    tokenizer *t = make_tokenizer(&(json_parts){
        .normalizer = "{'type':'Precompiled','precompiled_charsmap':'AAAAAA=='}" });
    assert_ids(t, "Ab", false, "65 98"); /* an empty table changes nothing */
    tokenizer_free(t);

    strbuf_puts(&b, "{'type':'Precompiled','precompiled_charsmap':'");
    put_base64(&b, small_charsmap, sizeof small_charsmap);
    strbuf_puts(&b, "'}");
    t = make_tokenizer(&(json_parts){ .normalizer = b.s });
    assert_ids(t, "bAB\xff", false, "98 97 66 255");
    assert_ranges(t, "bA", "0-1 1-2");
    assert_ids(t, "A\xcc\x81", false, "97");  /* a short cluster becomes what its start becomes, */
    assert_ids(t, "A\xcc\x81\xcc\x81\xcc\x81", false, "97 204 129 204 129 204 129"); /* a long one is taken apart */
    tokenizer_free(t);
    strbuf_free(&b);

    /* offsets that lead out of the table or the texts find nothing */
    unsigned char bad[sizeof small_charsmap];
    for (int i = 0; i < 3; i++) {
        memcpy(bad, small_charsmap, sizeof bad);
        static const size_t at[] = { 4, 4 + 4 * 0x40, 4 + 4 * 0x42 };
        memset(bad + at[i] + (i == 1), 0xff, 2);
        bad[at[i] + 3] = 0x7f;
        strbuf_puts(&b, "{'type':'Precompiled','precompiled_charsmap':'");
        put_base64(&b, bad, sizeof bad);
        strbuf_puts(&b, "'}");
        t = make_tokenizer(&(json_parts){ .normalizer = b.s });
        assert_ids(t, "A", false, "65");
        tokenizer_free(t);
        strbuf_clear(&b);
    }
    strbuf_free(&b);
}

static void metaspace(void **state)
{
    (void)state;
    static const struct { const char *pre, *s, *want; } cases[] = {
        { "'prepend_scheme':'always'", " a b", "\xe2\x96\x81" "a|\xe2\x96\x81" "b|" },
        { "'prepend_scheme':'always'", "a b", "\xe2\x96\x81" "a|\xe2\x96\x81" "b|" },
        { "'prepend_scheme':'never'", "a b", "a|\xe2\x96\x81" "b|" },
        { "'prepend_scheme':'first','split':false", "a b", "\xe2\x96\x81" "a\xe2\x96\x81" "b|" },
        { "'add_prefix_space':false", "a  b", "a|\xe2\x96\x81|\xe2\x96\x81" "b|" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        strbuf pre = { 0 };
        strbuf_printf(&pre, "{'type':'Sequence','pretokenizers':[{'type':'Metaspace','replacement':'\xe2\x96\x81',%s},%s]}",
                      cases[i].pre, PLAIN_BYTES);
        assert_words(&(json_parts){ .pre = pre.s }, cases[i].s, cases[i].want);
        strbuf_free(&pre);
    }
    assert_words(&(json_parts){ .pre = "{'type':'Sequence','pretokenizers':[{'type':'FixedLength','length':2},"
                                       PLAIN_BYTES "]}" }, "a\xc3\xa9" "bcd", "a\xc3\xa9|bc|d|");
    assert_words(&(json_parts){ .pre = "{'type':'Sequence','pretokenizers':[{'type':'BertPreTokenizer'},"
                                       PLAIN_BYTES "]}" }, " a,b $", "a|,|b|$|");
}

static void normalizers(void **state)
{
    (void)state;
    assert_words(&(json_parts){ .normalizer = "{'type':'StripAccents'}" }, "e\xcc\x81\xc3\xa9", "e\xc3\xa9|");
    assert_words(&(json_parts){ .normalizer = "{'type':'Nmt'}" }, "a\x01\tb\xe2\x80\x8b" "c", "a| b| c|");
    assert_words(&(json_parts){ .normalizer = "{'type':'BertNormalizer','clean_text':false,'lowercase':false}" },
                 "A\x01\xe4\xb8\xad", "A|\x01| \xe4\xb8\xad| |");
}

static void decoders(void **state)
{
    (void)state;
    strbuf b = { 0 };
    put_part(&b, "{'decoder':{'type':'CTC','pad_token':'<pad>','word_delimiter_token':'|','cleanup':true},");
    put_part(&b, "'model':{'type':'WordLevel','vocab':{'<pad>':0,'h':1,'e':2,'l':3,'|':4}}}");
    tokenizer *t = open_tokenizer(&b);
    assert_decodes(t, (int32_t[]){ 1, 1, 2, 3, 3, 0, 3, 4, 1 }, 9, false, "hell h"); /* held letters are one */
    tokenizer_free(t);
    strbuf_free(&b);

    t = read_tokenizer("{'decoder':{'type':'WordPiece','prefix':'##','cleanup':true},'model':{'type':'WordLevel','vocab':"
                       "{'do':0,'not':1,'.':2,'##ne':3,'it':4,'?':5}}}");
    assert_decodes(t, (int32_t[]){ 0, 3, 2 }, 3, false, "done.");
    assert_decodes(t, (int32_t[]){ 4, 0, 1, 5 }, 4, false, "it do not?"); /* word by word: nothing to contract */
    tokenizer_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wordpiece),
        cmocka_unit_test(wordlevel),
        cmocka_unit_test(unigram),
        cmocka_unit_test(unigram_is_optimal),
        cmocka_unit_test(precompiled),
        cmocka_unit_test(metaspace),
        cmocka_unit_test(normalizers),
        cmocka_unit_test(decoders),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
