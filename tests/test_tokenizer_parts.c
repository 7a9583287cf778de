/* The parts of tokenizers one by one: pre-tokenizers, regular expressions, normalisers, decoders and
 * characters. */
#include "tests/tokenizer_json.h"

#include "model/tokenizer/regex.h"

#define SEQUENCE(list) "{'type':'Sequence','pretokenizers':[" list "," PLAIN_BYTES "]}"
#define SPLIT(kind, pattern, behavior, invert) \
    "{'type':'Split','pattern':{'" kind "':'" pattern "'},'behavior':'" behavior "','invert':" invert "}"

static void words(const char *pre, const char *s, const char *want)
{
    assert_words(&(json_parts){ .pre = pre }, s, want);
}

/* ---- pre-tokenizers ---- */

/* The example of the reference's documentation for the five behaviours. */
static void behaviours(void **state)
{
    (void)state;
    const char *s = "the-final--countdown";
    words(SEQUENCE(SPLIT("String", "-", "Removed", "false")), s, "the|final|countdown|");
    words(SEQUENCE(SPLIT("String", "-", "Isolated", "false")), s, "the|-|final|-|-|countdown|");
    words(SEQUENCE(SPLIT("String", "-", "MergedWithPrevious", "false")), s, "the-|final-|-|countdown|");
    words(SEQUENCE(SPLIT("String", "-", "MergedWithNext", "false")), s, "the|-final|-|-countdown|");
    words(SEQUENCE(SPLIT("String", "-", "Contiguous", "false")), s, "the|-|final|--|countdown|");
    words(SEQUENCE(SPLIT("Regex", "\\\\w", "Removed", "true")), "ab c", "a|b|c|");
    words(SEQUENCE(SPLIT("Regex", "\\\\w+", "Contiguous", "true")), "ab, c", "ab|, |c|");
    words(SEQUENCE(SPLIT("Regex", "x*", "Isolated", "false")), "axxb", "a|xx|b|"); /* empty matches cut too */
    words(SEQUENCE(SPLIT("String", "-", "MergedWithNext", "false")), "a-", "a|-|");
    words(SEQUENCE(SPLIT("String", "-", "MergedWithPrevious", "false")), "-a", "-|a|");
    words(SEQUENCE(SPLIT("String", ".*", "Isolated", "false")), "a.*b", "a|.*|b|");
}

static void byte_level(void **state)
{
    (void)state;
    words(BYTE_LEVEL, "Hello  world's 123 (x)\n\n y", "Hello| | world|'s| 123| (|x|)|\n\n| y|");
    words(BYTE_LEVEL, "a   ", "a|   |");
    words(PLAIN_BYTES, "Hello  world", "Hello  world|");
    words("{'type':'ByteLevel','add_prefix_space':true}", "a b", " a| b|");
    words("{'type':'ByteLevel','add_prefix_space':true}", " a", " a|");
    /* behind a cut every piece gets the space */
    words("{'type':'Sequence','pretokenizers':[{'type':'Digits','individual_digits':false},"
          "{'type':'ByteLevel','add_prefix_space':true,'use_regex':false}]}", "a12b", " a| 12| b|");
}

static void classes(void **state)
{
    (void)state;
    words(SEQUENCE("{'type':'Digits','individual_digits':true}"), "a12\xc2\xbd" "b", "a|1|2|\xc2\xbd|b|");
    words(SEQUENCE("{'type':'Digits','individual_digits':false}"), "a12b", "a|12|b|");
    words(SEQUENCE("{'type':'Punctuation'}"), "a,b!!$c", "a|,|b|!|!|$|c|");
    words(SEQUENCE("{'type':'Punctuation','behavior':'Contiguous'}"), "a,b!!", "a|,|b|!!|");
    words(SEQUENCE("{'type':'WhitespaceSplit'}"), " a\xc2\xa0" "b\xe1\xa0\x8e" "c ", "a|b\xe1\xa0\x8e" "c|");
    words(SEQUENCE("{'type':'Whitespace'}"), "How are_you, man?!", "How|are_you|,|man|?!|");
    words(SEQUENCE("{'type':'Metaspace','replacement':'_','prepend_scheme':'always'}"), "a b", "_a|_b|");
    words(SEQUENCE("{'type':'Metaspace','replacement':'_','prepend_scheme':'always'}"), " a", "_a|");
    words(SEQUENCE("{'type':'Metaspace','replacement':'_','prepend_scheme':'never'}"), "a b", "a|_b|");
    words(SEQUENCE("{'type':'Metaspace','replacement':'_','prepend_scheme':'first','split':false}"), "a b",
          "_a_b|");
    words(SEQUENCE("{'type':'Metaspace','replacement':'_','add_prefix_space':false}"), "a b", "a|_b|");
    words(SEQUENCE("{'type':'Digits'},{'type':'Metaspace','replacement':'_','prepend_scheme':'first'}"), "a1",
          "_a|1|");
}

/* A stage behind ByteLevel sees the byte-level alphabet: the byte b2 is a number there. */
static void behind_byte_level(void **state)
{
    (void)state;
    words("{'type':'Sequence','pretokenizers':[" BYTE_LEVEL ",{'type':'Digits','individual_digits':false},"
          PLAIN_BYTES "]}", "ab12", "ab|12|");
    json_parts p = {
        .pre = "{'type':'Sequence','pretokenizers':[" PLAIN_BYTES ","
               "{'type':'Digits','individual_digits':true}]}",
        .vocab = ",'\xc3\x90\xc2\xb2':256", .merges = "['\xc3\x90 \xc2\xb2']",
    };
    tokenizer *t = make_tokenizer(&p);
    assert_ids(t, "\xd0\xb2", false, "208 178"); /* cut between the bytes, so the merge is never tried */
    assert_ranges(t, "\xd0\xb2", "0-2 0-2");
    tokenizer_free(t);
    p.pre = PLAIN_BYTES;
    t = make_tokenizer(&p);
    assert_ids(t, "\xd0\xb2", false, "256");
    tokenizer_free(t);
}

/* A cut is a text of its own: a look-ahead does not see behind it. */
static void stages_do_not_see_each_other(void **state)
{
    (void)state;
    words(SEQUENCE(SPLIT("Regex", "\\\\s+(?!\\\\S)|\\\\s+", "Isolated", "false")), "a  b", "a| | |b|");
    words(SEQUENCE(SPLIT("String", "b", "Isolated", "false") ","
                   SPLIT("Regex", "\\\\s+(?!\\\\S)|\\\\s+", "Isolated", "false")), "a  b", "a|  |b|");
}

/* Long searches go in strides; where one ends must not be seen. */
static void long_texts(void **state)
{
    (void)state;
    enum { N = 20000 };
    char *s = malloc(3 * N + 8);
    assert_non_null(s);
    tokenizer *t = make_tokenizer(&(json_parts){
        .pre = SEQUENCE(SPLIT("Regex", "1+|(?<=a)2|\xc3\xa9{3}3", "Removed", "false")) });
    for (int at = 4090; at < 4105; at++) {
        memset(s, 'a', N);
        memcpy(s + at, "11", 2);
        memcpy(s + at + 4096, "2", 1);
        tokens k = encode(t, s, N, false);
        assert_int_equal(k.n, N - 3);
        assert_int_equal(k.t[at].begin, at + 2);
        assert_int_equal(k.t[at + 4094].begin, at + 4097);
        tokens_free(&k);
    }
    for (int i = 0; i < N; i++) /* strides end at characters */
        memcpy(s + 2 * i, "\xc3\xa9", 2);
    memcpy(s + 2 * N, "3", 2);
    tokens k = encode(t, s, 2 * N + 1, false);
    assert_int_equal(k.n, 2 * (N - 3));
    tokens_free(&k);
    tokenizer_free(t);
    free(s);
}

/* ---- regular expressions ---- */

static void translates(const char *pattern, const char *want)
{
    strbuf b = { 0 };
    err e = { 0 };
    if (regex_translate(&b, pattern, strlen(pattern), &e))
        fail_msg("%s: %s", pattern, e.msg);
    assert_string_equal(strbuf_str(&b), want);
    strbuf_free(&b);
}

static void translation(void **state)
{
    (void)state;
    translates("(?i:'s|'t)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?\\s+(?!\\S)",
               "(?i:'s|'t)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?\\s+(?!\\S)");
    translates("[^(\\s|[.,])]+", "[^(\\s|.,)]+");
    translates("\\p{N}{1,3}+", "(?:\\p{N}{1,3})+"); /* no possessive intervals there */
    translates("(ab){2}+c", "(?:(ab){2})+c");
    translates("a++b*+c?+", "a++b*+c?+");
    translates("x{2}?", "(?:x{2})?");
    translates("x{1,2}?", "x{1,2}?");
    translates("x{,3}", "x{0,3}");
    translates("a{b", "a\\{b");
    translates("(?m:.)", "(?s:.)");
    translates("\\h\\v\\u4e00", "[0-9A-Fa-f]\\x0b\\x{4e00}");
    translates("[a[b-]c]", "[ab\\-c]");
    translates("[]x]", "[\\]x]");
    translates("\\p{^Lu}\\P{^n}\\p{Letter}", "\\P{Lu}\\p{N}\\p{L}");
    translates("\xe4\xb8\x80{2}+", "(?:\xe4\xb8\x80{2})+");
}

static void refused_patterns(void **state)
{
    (void)state;
    static const char *const patterns[] = {
        "[a&&b]", "[[^a]b]", "[a", "a(?i)b", "(?~a)", "\\g<1>", "\\G", "[[:alpha:]]", "a\\", "\\p{",
        "\\p{L1}", "(a", "a)", "*", "\\u12", "[\\W]", "\\xff", "\\p{NoSuchScript}",
    };
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        regex *r;
        err e = { 0 };
        assert_int_equal(regex_new(&r, patterns[i], strlen(patterns[i]), false, &e), ERR_INPUT);
        assert_null(r);
        assert_non_null(strstr(e.msg, "regular expression"));
    }
}

/* Patterns that try a run in every way end in an error, not in a night of work. */
static void patterns_that_explode(void **state)
{
    (void)state;
    tokenizer *t = make_tokenizer(&(json_parts){
        .pre = SEQUENCE(SPLIT("Regex", "(a|aa)+$", "Isolated", "false")) });
    strbuf b = { 0 };
    for (int i = 0; i < 200; i++)
        strbuf_putc(&b, 'a');
    strbuf_putc(&b, 'b');
    err e = { 0 };
    tokens k;
    assert_int_equal(tokenizer_encode(t, b.s, b.len, false, &k, &e), ERR_INPUT);
    assert_non_null(strstr(e.msg, "takes too long"));
    assert_int_not_equal(e.hint[0], 0);
    strbuf_free(&b);
    tokenizer_free(t);
}

/* White space as the reference's engine has it; PCRE2 alone would add U+180E. */
static void white_space(void **state)
{
    (void)state;
    static const uint32_t spaces[] = {
        9, 10, 11, 12, 13, 32, 0x85, 0xa0, 0x1680, 0x2000, 0x200a, 0x2028, 0x2029, 0x202f, 0x205f, 0x3000,
    };
    static const uint32_t others[] = {
        0x08, 0x0e, 0x1c, 0x1d, 0x1e, 0x1f, 0x180e, 0x200b, 0x200c, 0x2060, 0xfeff,
    };
    tokenizer *t = make_tokenizer(&(json_parts){
        .pre = SEQUENCE(SPLIT("Regex", "\\\\s", "Removed", "false")) });
    char s[4];
    for (size_t i = 0; i < sizeof spaces / sizeof *spaces; i++) {
        tokens k = encode(t, s, (size_t)unicode_put(s, spaces[i]), false);
        assert_int_equal(k.n, 0);
        assert_true(unicode_is_space(spaces[i]));
        tokens_free(&k);
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        int n = unicode_put(s, others[i]);
        tokens k = encode(t, s, (size_t)n, false);
        assert_int_equal(k.n, n);
        assert_false(unicode_is_space(others[i]));
        tokens_free(&k);
    }
    tokenizer_free(t);
}

/* ---- normalisers ---- */

static void normalises(const char *how, const char *s, const char *want)
{
    tokenizer *t = make_tokenizer(&(json_parts){ .normalizer = how, .pre = PLAIN_BYTES });
    tokens k = encode(t, s, strlen(s), false);
    strbuf b = { 0 };
    for (int64_t i = 0; i < k.n; i++)
        strbuf_putc(&b, (char)k.t[i].id);
    assert_string_equal(strbuf_str(&b), want);
    strbuf_free(&b);
    tokens_free(&k);
    tokenizer_free(t);
}

/* Examples of Unicode Standard Annex 15, figures 3 to 6. */
static void normal_forms(void **state)
{
    (void)state;
    const char *angstrom = "\xe2\x84\xab", *ohm = "\xe2\x84\xa6";
    const char *fi = "\xef\xac\x81", *two_five = "2\xe2\x81\xb5";
    const char *long_s = "\xe1\xba\x9b\xcc\xa3"; /* long s with dot above, dot below */
    normalises("{'type':'NFC'}", angstrom, "\xc3\x85");
    normalises("{'type':'NFD'}", angstrom, "A\xcc\x8a");
    normalises("{'type':'NFC'}", ohm, "\xce\xa9");
    normalises("{'type':'NFC'}", fi, fi);
    normalises("{'type':'NFKC'}", fi, "fi");
    normalises("{'type':'NFKD'}", two_five, "25");
    normalises("{'type':'NFC'}", long_s, long_s);
    normalises("{'type':'NFD'}", long_s, "\xc5\xbf\xcc\xa3\xcc\x87");
    normalises("{'type':'NFKC'}", long_s, "\xe1\xb9\xa9");
    normalises("{'type':'NFKD'}", long_s, "s\xcc\xa3\xcc\x87");
    normalises("{'type':'NFD'}", "\xe1\xb9\xa9", "s\xcc\xa3\xcc\x87");
    normalises("{'type':'NFC'}", "\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab", "\xed\x95\x9c"); /* Hangul */
    normalises("{'type':'NFD'}", "\xed\x95\x9c", "\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab");
    normalises("{'type':'NFKC'}", "\xe3\x84\xb1\xe3\x85\x8f", "\xea\xb0\x80"); /* these join */
    normalises("{'type':'NFKD'}", "\xcd\xba\xef\xbe\x9e", " \xe3\x82\x99\xcd\x85"); /* and change places */
    normalises("{'type':'NFC'}", "a\xff" "e\xcc\x81\xcc", "a\xff\xc3\xa9\xcc"); /* bytes that are no text */
    normalises("{'type':'NFKC'}", "\xe3\x8b\xbf", "\xe3\x8b\xbf"); /* newer than the reference's tables */
    normalises("{'type':'NFC'}", "plain", "plain");
}

static void other_normalisers(void **state)
{
    (void)state;
    normalises("{'type':'Lowercase'}", "ABC \xc3\x89\xce\xa3 \xc4\xb0", "abc \xc3\xa9\xcf\x83 i\xcc\x87");
    normalises("{'type':'Strip','strip_left':true,'strip_right':false}", "  a ", "a ");
    normalises("{'type':'Strip','strip_left':false,'strip_right':true}", "  a ", "  a");
    normalises("{'type':'Strip'}", " \n", "");
    normalises("{'type':'Prepend','prepend':'_'}", "a", "_a");
    normalises("{'type':'Prepend','prepend':'_'}", "", "");
    normalises("{'type':'Replace','pattern':{'Regex':'\\\\s+'},'content':' '}", "a \t\nb", "a b");
    normalises("{'type':'Replace','pattern':{'String':'.'},'content':''}", "a.b.", "ab");
    normalises("{'type':'Sequence','normalizers':[{'type':'NFD'},{'type':'Replace','pattern':"
               "{'Regex':'\\\\p{M}'},'content':''},{'type':'Lowercase'}]}", "\xc3\x89t\xc3\xa9", "ete");
}

/* A run of marks in the worst order is sorted, not bubbled. */
static void many_marks(void **state)
{
    (void)state;
    enum { N = 200000 };
    strbuf b = { 0 };
    strbuf_putc(&b, 'a');
    for (int i = 0; i < N; i++)
        strbuf_puts(&b, i % 2 ? "\xcc\xa3" : "\xcc\x81"); /* classes 230 and 220 */
    tokenizer *t = make_tokenizer(&(json_parts){ .normalizer = "{'type':'NFD'}", .pre = PLAIN_BYTES });
    tokens k = encode(t, b.s, b.len, false);
    assert_int_equal(k.n, 1 + 2 * N);
    assert_int_equal(k.t[2].id, 0xa3);
    assert_int_equal(k.t[N].id, 0xa3);
    assert_int_equal(k.t[N + 2].id, 0x81);
    tokens_free(&k);
    strbuf_free(&b);
    tokenizer_free(t);
}

/* ---- decoders ---- */

/* Unicode 15, section 3.9, tables 3-8 to 3-11: how many U+FFFD for ill-formed sequences. */
static void lossy_text(void **state)
{
    (void)state;
    static const struct { const char *bytes, *want; } cases[] = {
        { "\x61\xf1\x80\x80\xe1\x80\xc2\x62\x80\x63\x80\xbf\x64", "a???b?c??d" },
        { "\xc0\xaf\xe0\x80\xbf\xf0\x81\x82\x41", "????????A" },
        { "\xed\xa0\x80\xed\xbf\xbf\xed\xaf\x41", "????????A" },
        { "\xf4\x91\x92\x93\xff\x41\x80\xbf\x42", "?????A??B" },
        { "\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41", "????A" },
    };
    tokenizer *t = make_tokenizer(&(json_parts){ .pre = NULL });
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int32_t ids[16];
        int n = 0;
        strbuf want = { 0 };
        for (const char *s = cases[i].bytes; *s; s++)
            ids[n++] = (unsigned char)*s;
        for (const char *s = cases[i].want; *s; s++)
            *s == '?' ? strbuf_puts(&want, "\xef\xbf\xbd") : strbuf_putc(&want, *s);
        assert_decodes(t, ids, n, false, strbuf_str(&want));
        strbuf_free(&want);
    }
    tokenizer_free(t);
}

#define MARK "\xe2\x96\x81"
#define PIECES "{'model':{'type':'BPE','vocab':{'" MARK "a':0,'b':1,'" MARK "':2,'<0xC3>':3,'<0xA9>':4," \
               "'c$':5,'<0x0a>':6},'merges':[]},'decoder':"
#define MARK_TO_SPACE "{'type':'Replace','pattern':{'String':'" MARK "'},'content':' '}"
#define METASPACE(scheme) "{'type':'Metaspace','replacement':'" MARK "','prepend_scheme':'" scheme "'}"

static void decoders(void **state)
{
    (void)state;
    static const struct { const char *decoder, *want; } cases[] = {
        { "null", MARK "a b <0xC3> <0xA9> " MARK " c$ <0xC3> b" },
        { "{'type':'Fuse'}", MARK "ab<0xC3><0xA9>" MARK "c$<0xC3>b" },
        { "{'type':'ByteFallback'}", MARK "ab\xc3\xa9" MARK "c$\xef\xbf\xbd" "b" },
        { MARK_TO_SPACE, " ab<0xC3><0xA9> c$<0xC3>b" },
        { METASPACE("always"), "ab<0xC3><0xA9> c$<0xC3>b" },
        { METASPACE("never"), " ab<0xC3><0xA9> c$<0xC3>b" },
        { "{'type':'BPEDecoder','suffix':'$'}", MARK "ab<0xC3><0xA9>" MARK "c <0xC3>b" },
        { "{'type':'Sequence','decoders':[" MARK_TO_SPACE ",{'type':'ByteFallback'},{'type':'Fuse'},"
          "{'type':'Strip','content':' ','start':1,'stop':0}]}", "ab\xc3\xa9 c$\xef\xbf\xbd" "b" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        strbuf b = { 0 };
        strbuf_printf(&b, PIECES "%s}", cases[i].decoder);
        tokenizer *t = read_tokenizer(b.s);
        assert_decodes(t, (const int32_t[]){ 0, 1, 3, 4, 2, 5, 3, 1 }, 8, false, cases[i].want);
        assert_decodes(t, NULL, 0, false, "");
        strbuf_free(&b);
        tokenizer_free(t);
    }
    /* a SentencePiece-like vocabulary: texts of single tokens */
    tokenizer *t = read_tokenizer(PIECES "{'type':'Sequence','decoders':[" MARK_TO_SPACE
                                  ",{'type':'ByteFallback'},{'type':'Fuse'}]}}");
    assert_int_equal(tokenizer_text(t, 0).len, 2);
    assert_memory_equal(tokenizer_text(t, 0).s, " a", 2);
    assert_int_equal(tokenizer_text(t, 3).len, 1);
    assert_memory_equal(tokenizer_text(t, 3).s, "\xc3", 1);
    tokenizer_free(t);
}

/* ---- characters ---- */

static void byte_alphabet(void **state)
{
    (void)state;
    assert_int_equal(unicode_of_byte(' '), 0x120);
    assert_int_equal(unicode_of_byte('\n'), 0x10a);
    assert_int_equal(unicode_of_byte('!'), '!');
    assert_int_equal(unicode_of_byte(0x7f), 0x121);
    assert_int_equal(unicode_of_byte(0xad), 0x143);
    assert_int_equal(unicode_of_byte(0xff), 0xff);
    for (int b = 0; b < 256; b++)
        assert_int_equal(unicode_to_byte(unicode_of_byte((unsigned char)b)), b);
    int n = 0;
    for (uint32_t c = 0; c < 0x1000; c++)
        n += unicode_to_byte(c) >= 0;
    assert_int_equal(n, 256);
    assert_int_equal(unicode_to_byte(UNICODE_BAD), -1);
}

static void characters(void **state)
{
    (void)state;
    uint32_t c;
    assert_int_equal(unicode_next(&c, "\xe2\x82\xac", 3), 3);
    assert_int_equal(c, 0x20ac);
    assert_int_equal(unicode_next(&c, "\xe2\x82", 2), 1);
    assert_true(c == UNICODE_BAD);
    const char *s = "a\xe2\x82\xac\x82\xe2\x82";
    static const size_t start[] = { 0, 1, 1, 1, 4, 5, 6 };
    for (size_t i = 0; i < 7; i++)
        assert_int_equal(unicode_start(s, 7, i), start[i]);
    assert_true(unicode_is_word('_') && unicode_is_word(0x301) && unicode_is_word(0x200d));
    assert_false(unicode_is_word('-') || unicode_is_word(UNICODE_BAD));
    assert_true(unicode_is_number(0xbd) && unicode_is_number('7') && !unicode_is_number('x'));
    assert_true(unicode_is_punctuation('$') && unicode_is_punctuation(0x3002));
    assert_false(unicode_is_punctuation(0x20ac) || unicode_is_punctuation(UNICODE_BAD));
    assert_true(unicode_is_mark(0x301) && !unicode_is_mark('a'));
    assert_false(unicode_is_number(UNICODE_BAD) || unicode_is_mark(UNICODE_BAD));
    assert_true(unicode_is_word(0x10d50)); /* a letter since Unicode 16 */

    arena a = { 0 };
    assert_ptr_equal(unicode_view(s, 4, &a, NULL), s);
    const char *view = unicode_view(s, 7, &a, NULL);
    assert_memory_equal(view, "a\xe2\x82\xac\x01\x01\x01", 7);
    view = unicode_view("\xe1\xa0\x8e", 3, &a, NULL); /* U+180E is no space */
    assert_memory_not_equal(view, "\xe1\xa0\x8e", 3);
    assert_int_equal(utf8_next(&c, view, 3), 3);
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(behaviours),
        cmocka_unit_test(byte_level),
        cmocka_unit_test(classes),
        cmocka_unit_test(behind_byte_level),
        cmocka_unit_test(stages_do_not_see_each_other),
        cmocka_unit_test(long_texts),
        cmocka_unit_test(translation),
        cmocka_unit_test(refused_patterns),
        cmocka_unit_test(patterns_that_explode),
        cmocka_unit_test(white_space),
        cmocka_unit_test(normal_forms),
        cmocka_unit_test(other_normalisers),
        cmocka_unit_test(many_marks),
        cmocka_unit_test(lossy_text),
        cmocka_unit_test(decoders),
        cmocka_unit_test(byte_alphabet),
        cmocka_unit_test(characters),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
