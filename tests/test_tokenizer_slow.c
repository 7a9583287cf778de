/* Checkpoints without a tokenizer.json: vocabulary files and a class, or the files alone.  Expected ids are those
 * of Hugging Face's transformers 5.23 on the same files. */
#include "tests/tokenizer_json.h"
#include "tests/spm_bytes.h"
#include "tests/test_base_folder.h"

static void put_file(const char *name, const char *s)
{
    strbuf b = { 0 };
    put_part(&b, s);
    write_bytes(in_folder(name), strbuf_str(&b), b.len);
    strbuf_free(&b);
}

static tokenizer *opens(const char *name)
{
    tokenizer *t;
    err e = { 0 };
    if (tokenizer_open(&t, *name ? in_folder(name) : folder, &e))
        fail_msg("%s (%s)", e.msg, e.hint);
    return t;
}

static void refuses(const char *what)
{
    tokenizer *t;
    err e = { 0 };
    assert_int_equal(tokenizer_open(&t, folder, &e), ERR_INPUT);
    assert_null(t);
    if (!strstr(e.msg, what) || !e.hint[0])
        fail_msg("\"%s\" (%s) lacks \"%s\"", e.msg, e.hint, what);
}

static void bpe_files(void **state)
{
    (void)state;
    put_file("vocab.json", "{'h': 0, 'e': 1, 'l': 2, 'o': 3, '\xc4\xa0': 4, 'he': 5, 'll': 6, '<|endoftext|>': 7, "
                           "'h</w>': 8, 'o</w>': 9, 'e</w>':10, '</s>': 11, '<s>': 12}");
    put_file("merges.txt", "#version: 0.2\nh e\nl l\n");
    tokenizer *t = opens("");                    /* the files alone: GPT-2 */
    assert_ids(t, "hello he<|endoftext|>", true, "5 6 3 4 5 7");
    assert_string_equal(tokenizer_special(t, "eos_token"), "<|endoftext|>");
    assert_int_equal(tokenizer_eos(t), 7);
    tokenizer_free(t);
    tokenizer_free(opens("vocab.json"));         /* one of the files stands for all */

    put_file("tokenizer_config.json", "{'tokenizer_class': 'GPT2TokenizerFast', 'add_prefix_space': true, 'bos_token': "
             "{'content': '</s>'}, 'eos_token': '</s>', 'add_bos_token': true, 'chat_template': [{'name': 'rag', "
             "'template': 'R'}, {'name': 'default', 'template': 'D'}], 'added_tokens_decoder': {'14': {'content': "
             "'<b>', 'special': true}, '13': {'content': '<a>', 'lstrip': true}}}");
    t = opens("");
    assert_ids(t, "he", true, "11 4 5");
    assert_ids(t, "he <a>he<b>", false, "4 5 13 4 5 14"); /* each part gets its prefix */
    assert_string_equal(tokenizer_chat_template(t), "D");
    assert_string_equal(tokenizer_chat_template_named(t, "rag"), "R");
    assert_null(tokenizer_chat_template_named(t, "tool_use"));
    assert_null(tokenizer_special(t, "mask_token"));
    tokenizer_free(t);

    put_file("chat_template.jinja", "J\n");      /* a file of its own goes first */
    put_file("tokenizer_config.json", "{'tokenizer_class': 'RobertaTokenizer', 'chat_template': 'C'}");
    t = opens("");
    assert_ids(t, "he", true, "12 5 11");
    assert_ids(t, "<mask>", false, "15");        /* not in the vocabulary: behind <unk> and <pad> */
    assert_string_equal(tokenizer_chat_template(t), "J\n");
    tokenizer_free(t);

    put_file("tokenizer_config.json", "{'tokenizer_class': 'CLIPTokenizer'}");
    t = opens("");
    assert_ids(t, "HE  o", false, "0 10 9");     /* no merge of h and e</w> here; case and spaces go */
    assert_ids(t, "o", true, "13 9 7");          /* <|startoftext|> is new */
    tokenizer_free(t);

    put_file("tokenizer_config.json", "{'tokenizer_class': 'Odd'}");
    refuses("tokenizer_class Odd without a tokenizer.json is not supported");
    put_file("tokenizer_config.json", "{'tokenizer_class': 'BertTokenizer'}");
    refuses("vocab.json does not go with tokenizer_class BertTokenizer");
    put_file("tokenizer_config.json", "{}");
    put_file("merges.txt", "h e\nh x\n");
    refuses("merge 2 names \"x\"");
    put_file("merges.txt", "h e l\n");
    refuses("merges.txt:1: no pair of tokens");
    put_file("vocab.json", "['h']");
    refuses("vocab.json is no map from pieces to ids");
}

static void vocab_txt(void **state)
{
    (void)state;
    put_file("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\nThe\r\n##s\nthe\n");
    tokenizer *t = opens("");
    assert_ids(t, "The thes [MASK]", true, "2 8 8 7 4 3"); /* of two equal lines the later */
    assert_int_equal(tokenizer_vocab(t), 9);
    tokenizer_free(t);
    put_file("tokenizer_config.json", "{'tokenizer_class': 'DistilBertTokenizer', 'do_lower_case': false}");
    t = opens("");
    assert_ids(t, "The the", false, "6 8");
    tokenizer_free(t);
    put_file("vocab.txt", "");
    refuses("vocab.txt has 0 lines");
}

static void put_spm(const char *name, int type)
{
    strbuf b = { 0 };
    put_piece(&b, "<unk>", 0, 2), put_piece(&b, "<s>", 0, 3), put_piece(&b, "</s>", 0, 3);
    put_piece(&b, "<0x41>", 0, 6);
    put_piece(&b, "\xe2\x96\x81", -4, 1), put_piece(&b, "a", -5, 1), put_piece(&b, "b", -6, 1);
    put_piece(&b, "\xe2\x96\x81" "a", -1, 1), put_piece(&b, "ab", -2, 1), put_piece(&b, "<x>", 0, 4);
    put_trainer(&b, type, true, false);
    put_normalizer(&b, small_charsmap, sizeof small_charsmap, true, true, true);
    write_bytes(in_folder(name), b.s, b.len);
    strbuf_free(&b);
}

static void sentencepiece_files(void **state)
{
    (void)state;
    put_spm("tokenizer.model", 2);
    tokenizer *t = opens("");                    /* nothing with it: SentencePiece's own rules */
    assert_ids(t, "ab<s>", true, "1 7 6 0");
    tokenizer_free(t);
    put_file("tokenizer_config.json", "{'tokenizer_class': 'LlamaTokenizer', 'add_bos_token': true, 'add_eos_token': true}");
    t = opens("");
    assert_ids(t, "ab", true, "1 7 6 2");        /* merges by id: _a before ab */
    assert_ids(t, "a<s>a<x>", false, "7 1 5 9");  /* only the start of the text gets a space */
    assert_ids(t, "A", false, "4 3");
    assert_string_equal(tokenizer_special(t, "bos_token"), "<s>");
    tokenizer_free(t);
    put_file("tokenizer_config.json", "{'tokenizer_class': 'LlamaTokenizer', 'legacy': true}");
    t = opens("");
    assert_ids(t, "a<s>a", true, "7 1 7");
    tokenizer_free(t);
    put_file("tokenizer_config.json", "{'tokenizer_class': 'T5Tokenizer'}");
    refuses("is BPE where its tokenizer_class wants Unigram");

    put_spm("tokenizer.model", 1);
    put_file("tokenizer_config.json", "{'tokenizer_class': 'T5Tokenizer', 'extra_ids': 2}");
    t = opens("");
    assert_int_equal(tokenizer_vocab(t), 13);    /* two sentinels, and <pad> behind them */
    assert_ids(t, "A b<extra_id_0> a", true, "7 4 6 11 7 2");
    tokenizer_free(t);
    put_file("tokenizer_config.json", "{'tokenizer_class': 'T5Tokenizer', 'extra_ids': -1}");
    refuses("extra_ids -1 is out of range");
}

static void tiktoken_files(void **state)
{
    (void)state;
    /* a, b, space, ab, " a", and aba, which no two merges make but ab + a do */
    put_file("own.tiktoken", "YQ== 0\nYg== 1\nIA== 2\nYWI= 3\nIGE= 4\nYWJh 5\nYmI= 6\n");
    tokenizer *t = opens("");
    assert_ids(t, "abab a", false, "3 3 4");
    assert_ids(t, "aba", false, "5");
    assert_ids(t, "babab", false, "1 3 3");
    assert_string_equal(tokenizer_kind(t), "tiktoken BPE (text cut as by llama3, assumed)");
    tokenizer_free(t);
    put_file("tokenizer_config.json", "{'bos_token': '<s>', 'add_bos_token': true, 'added_tokens_decoder': {'7': "
                                      "{'content': '<s>', 'special': true}}}");
    t = opens("");
    assert_ids(t, "a<s>b", true, "7 0 7 1");
    tokenizer_free(t);
    put_file("own.tiktoken", "YQ== 0\nYg= 1\n");
    refuses("line 2 is not a token in base64 and its rank");
    put_file("own.tiktoken", "YQ== 0\nYg== 99999999\n");
    refuses("rank 99999999 is out of range for 2 tokens");
    put_file("own.tiktoken", "YQ== 0\nYQ== 1\n");
    refuses("token \"a\" has two ids, 0 and 1");
    put_file("own.tiktoken", "YQ== 0\nYg== 0\n");
    refuses("id 0 is given to two tokens");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bpe_files, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(vocab_txt, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(sentencepiece_files, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(tiktoken_files, folder_setup, folder_teardown),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
