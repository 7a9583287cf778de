/* SentencePiece models, written byte by byte: their rules, on vocabularies whose tokens can be told by hand, and
 * what is refused. */
#include <unistd.h>

#include "model/tokenizer/parts.h"
#include "tests/spm_bytes.h"
#include "tests/tokenizer_json.h"

#define MARK "\xe2\x96\x81"
static const tokenizer_options none;

static tokenizer *open_bytes_of(strbuf *b)
{
    tokenizer *t;
    err e = { 0 };
    if (tokenizer_from_bytes(&t, strbuf_str(b), b->len, "own.model", &none, &e))
        fail_msg("%s (%s)", e.msg, e.hint);
    strbuf_free(b);
    return t;
}

static void put_specials(strbuf *b)
{
    put_piece(b, "<unk>", 0, 2), put_piece(b, "<s>", 0, 3), put_piece(b, "</s>", 0, 3);
}

static void bpe(void **state)
{
    (void)state;
    strbuf b = { 0 };
    put_specials(&b);
    static const char *const pieces[] = { MARK, "a", "b", "ab", "ba", MARK "a", "bab" };
    for (int i = 0; i < 7; i++)
        put_piece(&b, pieces[i], i < 3 ? -10 : (float)-(i - 2), 1); /* ab before ba, and so on */
    put_trainer(&b, 2, false, false);
    put_normalizer(&b, NULL, 0, true, true, true);
    tokenizer *t = open_bytes_of(&b);
    assert_string_equal(tokenizer_kind(t), "SentencePiece BPE");
    assert_int_equal(tokenizer_vocab(t), 10);
    assert_int_equal(tokenizer_bos(t), 1);
    assert_int_equal(tokenizer_eos(t), 2);
    assert_string_equal(tokenizer_special(t, "unk_token"), "<unk>");
    assert_true(tokenizer_is_special(t, 1) && !tokenizer_is_special(t, 4));
    assert_ids(t, "ab", true, "1 3 6");          /* the prefix, then ab: its score is above that of _a */
    assert_ids(t, "bab", false, "3 9");          /* ab goes first, then b and ab */
    assert_ids(t, "abab", false, "3 6 6");
    assert_ids(t, "  ab  ab ", false, "3 6 3 6"); /* spaces at the ends go, those in a row are one */
    assert_ids(t, "", false, "");
    assert_ids(t, "   ", false, "");
    assert_ids(t, "axyb<s>", false, "8 0 5 0");  /* unknown characters in a row are one; no special token in a text */
    assert_ranges(t, "ab xy", "0-1 0-2 2-3 3-5");
    assert_decodes(t, (int32_t[]){ 1, 3, 6, 3, 6, 0, 2 }, 7, false, "ab ab \xe2\x81\x87 ");
    tokenizer_free(t);
}

static void byte_pieces(void **state)
{
    (void)state;
    strbuf b = { 0 };
    put_specials(&b);
    for (int i = 0; i < 256; i++) {
        char name[8];
        snprintf(name, sizeof name, "<0x%02X>", (unsigned)i);
        put_piece(&b, name, 0, 6);
    }
    put_piece(&b, MARK, -1, 1), put_piece(&b, "a", -2, 1);
    put_trainer(&b, 2, true, false);
    put_normalizer(&b, NULL, 0, false, false, true);
    tokenizer *t = open_bytes_of(&b);
    assert_ids(t, "a \xc3\xa9", false, "260 259 198 172"); /* 3 + 0xC3, 3 + 0xA9 */
    assert_ids(t, "\xff", false, "258");                   /* bytes that are no text come back as they were */
    assert_ids(t, "<0x41>", false, "63 51 123 55 52 65");  /* what spells a byte piece is not one */
    assert_ranges(t, "\xc3\xa9", "0-2 0-2");
    assert_int_equal((unsigned char)tokenizer_text(t, 198).s[0], 0xc3);
    assert_decodes(t, (int32_t[]){ 198, 172, 259, 258, 198 }, 5, false, "\xc3\xa9 \xef\xbf\xbd\xef\xbf\xbd");
    tokenizer_free(t);
}

static void user_defined_and_unused(void **state)
{
    (void)state;
    strbuf b = { 0 };
    put_specials(&b);
    put_piece(&b, "a", -5, 1), put_piece(&b, "b", -5, 1), put_piece(&b, "c", -5, 1);
    put_piece(&b, "ab", -1, 5);      /* 6: unused, but a step to */
    put_piece(&b, "abc", -2, 1);     /* 7 */
    put_piece(&b, "A@", 0, 4);       /* 8: user-defined, and out of the reach of the character map */
    put_trainer(&b, 2, false, false);
    put_normalizer(&b, small_charsmap, sizeof small_charsmap, false, false, true);
    tokenizer *t = open_bytes_of(&b);
    assert_ids(t, "abc", false, "7");
    assert_ids(t, "ab", false, "3 4");
    assert_ids(t, "abab", false, "3 4 3 4");
    assert_ids(t, "AbA@c", false, "3 4 8 5"); /* 'A' becomes 'a' */
    tokenizer_free(t);
}

static tokenizer *unigram_of(bool prefix, bool extra, bool suffix, bool escape)
{
    strbuf b = { 0 };
    put_specials(&b);
    put_piece(&b, MARK, -2, 1), put_piece(&b, "a", -2, 1), put_piece(&b, MARK "a", -3, 1);
    put_piece(&b, "a" MARK, -3, 1), put_piece(&b, " ", -2, 1), put_piece(&b, "aa", -9, 4);
    put_trainer(&b, 1, false, suffix);
    put_normalizer(&b, NULL, 0, prefix, extra, escape);
    return open_bytes_of(&b);
}

static void spaces(void **state)
{
    (void)state;
    tokenizer *t = unigram_of(true, true, false, true);
    assert_string_equal(tokenizer_kind(t), "SentencePiece Unigram");
    assert_ids(t, " a  a ", false, "5 5");
    assert_ids(t, "aaa", false, "5 4 4"); /* a user-defined piece is worth 2 * -2 - 0.1: -7 beats -3 - 4.1 */
    assert_ids(t, "xaa", false, "3 0 4 4");
    assert_decodes(t, (int32_t[]){ 5, 5 }, 2, false, "a a");
    tokenizer_free(t);
    t = unigram_of(true, false, false, true);
    assert_ids(t, " a", false, "3 5");
    assert_decodes(t, (int32_t[]){ 3, 5 }, 2, false, " a"); /* one space is the prefix */
    tokenizer_free(t);
    t = unigram_of(false, false, false, true);
    assert_ids(t, " a a", false, "5 5");
    assert_decodes(t, (int32_t[]){ 5, 5 }, 2, false, " a a");
    tokenizer_free(t);
    t = unigram_of(true, true, true, true); /* the prefix comes behind */
    assert_ids(t, "a a", false, "6 6");
    tokenizer_free(t);
    t = unigram_of(true, true, false, false);
    assert_ids(t, "a", false, "7 4");
    tokenizer_free(t);
}

static void refuses(strbuf *b, const char *what)
{
    tokenizer *t;
    err e = { 0 };
    assert_int_equal(tokenizer_from_bytes(&t, strbuf_str(b), b->len, "own.model", &none, &e), ERR_INPUT);
    if (!strstr(e.msg, what) || !strstr(e.msg, "own.model") || !e.hint[0])
        fail_msg("\"%s\" (%s) lacks \"%s\"", e.msg, e.hint, what);
    strbuf_free(b);
}

static void refusals(void **state)
{
    (void)state;
    strbuf b = { 0 };
    put_piece(&b, "a", 0, 1);
    refuses(&b, "no unknown piece");
    put_piece(&b, "a", 0, 2), put_piece(&b, "b", 0, 2);
    refuses(&b, "two unknown pieces");
    put_piece(&b, "a", 0, 2), put_piece(&b, "a", 0, 1);
    refuses(&b, "token \"a\" has two ids, 0 and 1");
    put_piece(&b, "a", 0, 2), put_piece(&b, "", 0, 1);
    refuses(&b, "piece 1 is empty");
    put_piece(&b, "a", 0, 2), put_piece(&b, "b", 0.0f / 0.0f, 1);
    refuses(&b, "score of piece 1 is not finite");
    put_piece(&b, "a", 0, 2), put_piece(&b, "b", 0, 9);
    refuses(&b, "damaged");
    for (int type = 3; type < 6; type++) {
        put_piece(&b, "a", 0, 2), put_trainer(&b, type, false, false);
        refuses(&b, type == 3 ? "type WORD is not supported" : type == 4 ? "type CHAR is not" : "type 5 is not");
    }
    put_piece(&b, "a", 0, 2), put_normalizer(&b, "\xff\xff\xff\x7f", 4, true, true, true);
    refuses(&b, "precompiled_charsmap: the size");
    put_piece(&b, "a", 0, 2), put_field(&b, 2, 2), put_varint(&b, 1u << 30);
    refuses(&b, "damaged"); /* a length beyond the file */
    put_piece(&b, "a", 0, 2), put_field(&b, 3, 0), put_varint(&b, 1);
    refuses(&b, "damaged"); /* a number where a message belongs */
    put_piece(&b, "a", 0, 2), put_field(&b, 9, 3);
    refuses(&b, "damaged"); /* a group */
    put_piece(&b, "a", 0, 2), put_field(&b, 9, 0);
    for (int i = 0; i < 11; i++)
        strbuf_putc(&b, '\xff');
    refuses(&b, "damaged"); /* a number that never ends */
}

/* Fields that are not known are passed over, whatever their wire type; every prefix is a refusal or a model. */
static void unknown_fields_and_prefixes(void **state)
{
    (void)state;
    strbuf b = { 0 };
    put_specials(&b);
    put_piece(&b, "a", -1, 1);
    put_number(&b, 77, 1ull << 63);
    put_field(&b, 78, 1), strbuf_add(&b, "12345678", 8);
    put_field(&b, 79, 5), strbuf_add(&b, "1234", 4);
    put_bytes(&b, 4, "test", 4);
    put_normalizer(&b, NULL, 0, false, true, true);
    for (size_t n = 0; n < b.len; n++) {
        tokenizer *t;
        err e = { 0 };
        char *copy = malloc(n + 1); /* of just this size, for the sanitizer */
        assert_non_null(copy);
        memcpy(copy, b.s, n);
        if (tokenizer_from_bytes(&t, copy, n, "own.model", &none, &e) == 0)
            tokenizer_free(t);
        else
            assert_true(e.msg[0] && e.hint[0]);
        free(copy);
    }
    tokenizer *t = open_bytes_of(&b);
    assert_ids(t, "a", true, "1 3");
    tokenizer_free(t);
}

static void llama2c(void **state)
{
    (void)state;
    strbuf b = { 0 };
    put_llama2c_tokenizer(&b, 264);
    tokenizer *t = open_bytes_of(&b);
    assert_string_equal(tokenizer_piece(t, 1), "<s>");
    assert_ids(t, "ab", true, "1 259 262"); /* " ", "ab": its score is above that of " a" */
    assert_ids(t, "a c", false, "263 259 102");
    tokenizer_free(t);
}

/* A directory with vocabularies of llama2.c: what is looked for, by name and by the number of tokens. */
static void llama2c_beside(void **state)
{
    (void)state;
    static const struct { const char *name; int n; } files[] = {
        { "zz.bin", 264 }, { "tok264.bin", 264 }, { "tokenizer.bin", 300 }, { "tokenizer.bin", 264 },
    };
    char directory[] = "/tmp/attnscope-llama2c-XXXXXX", file[64], *path;
    err e = { 0 };
    assert_non_null(mkdtemp(directory));
    assert_int_equal(llama2c_find(&path, directory, 264, &e), 0);
    assert_null(path);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        strbuf b = { 0 };
        put_llama2c_tokenizer(&b, files[i].n);
        snprintf(file, sizeof file, "%s/%s", directory, files[i].name);
        FILE *f = fopen(file, "wb");
        assert_true(f && fwrite(b.s, 1, b.len, f) == b.len && fclose(f) == 0);
        strbuf_free(&b);
        assert_int_equal(llama2c_find(&path, directory, 264, &e), 0);
        assert_string_equal(path + strlen(directory) + 1, files[i == 2 ? 1 : i].name);
        free(path);
    }
    assert_int_equal(llama2c_find(&path, directory, 300, &e), 0);
    assert_null(path);
    snprintf(file, sizeof file, "%s/tokenizer.bin", directory), unlink(file);
    snprintf(file, sizeof file, "%s/zy.bin", directory);
    char from[64];
    snprintf(from, sizeof from, "%s/tok264.bin", directory);
    assert_int_equal(rename(from, file), 0);
    assert_int_equal(llama2c_find(&path, directory, 264, &e), ERR_INPUT);
    assert_null(path);
    assert_true(strstr(e.msg, "which tokenizer") && strstr(e.hint, "--tokenizer"));
    unlink(file);
    snprintf(file, sizeof file, "%s/zz.bin", directory), unlink(file);
    assert_int_equal(rmdir(directory), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bpe),
        cmocka_unit_test(byte_pieces),
        cmocka_unit_test(user_defined_and_unused),
        cmocka_unit_test(spaces),
        cmocka_unit_test(refusals),
        cmocka_unit_test(unknown_fields_and_prefixes),
        cmocka_unit_test(llama2c),
        cmocka_unit_test(llama2c_beside),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
