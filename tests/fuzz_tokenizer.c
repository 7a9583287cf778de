/* Fuzz target for tokenizers: the bytes as a tokenizer.json, as a GGUF file with a vocabulary, and as a text
 * for the bundled model's tokenizer.  Opening ends in a tokenizer that encodes and decodes, or in a message;
 * a text is spelled by its tokens byte for byte.
 *
 * With libFuzzer:
 *     clang -fsanitize=fuzzer,address,undefined ... tests/fuzz_tokenizer.c && ./a.out SEEDS/
 * Without it, compiled with -DFUZZ_DRIVER, a plain program that damages its own seeds and those named as
 * arguments (tests/fuzz_driver.h), as one TAP test.  Build it with sanitizers. */
#include "tests/tokenizer_json.h"

#include "tests/checkpoint_bytes.h"
#include "tests/fuzz_tokenizer.h"

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
    if (size % 8 == 0)
        as_text(data, size);
    if (size >= 4 && !memcmp(data, "GGUF", 4))
        as_gguf(data, size);
    else
        as_json(data, size);
    return 0;
}

#ifdef FUZZ_DRIVER

#include "tests/fuzz_driver.h"

#define PATTERN(p) "{'type':'Split','pattern':{'Regex':'" p "'},'behavior':'Isolated','invert':false}"
#define BYTES "'H':0,'e':1,'l':2,'o':3,'\u0120':4,'w':5,'he':6,'ll':7,'<0xFF>':8,'#e':9,'e$':10"

static void seed(const char *s)
{
    put_part(fuzz_seed(), s);
}

/* Small files, for many of them a second; between them they name every part. */
static void own_seeds(void)
{
    static const char *const words[] = {
        "null", "true", "false", "-1", "2147483647", "2147483648", "1e9", "{}", "[]", "\"\"", "\\u0000",
        "\\ud800", "\"type\":", "(?i:", "(a+)+", "[[a]b]", "{1,3}+", "\\\\p{L}", "\\\\b", "\"Regex\"",
        "\"String\"", "\"Removed\"", "\"Contiguous\"", "\"MergedWithNext\"", "\"NFD\"", "\"ByteLevel\"",
        "\"Digits\"", "\"Punctuation\"", "\"Sequence\"", "\"BertNormalizer\"", "\"Nmt\"", "\"StripAccents\"",
        "\"BertPreTokenizer\"", "\"CTC\"", "\"WordPiece\"", "\"Unigram\"", "\"WordLevel\"", "\"BPE\"", NULL,
    };
    fuzz_words = words;
    seed("{'model':{'type':'BPE','vocab':{" BYTES "},'merges':['h e',['l','l']],'unk_token':'o','byte_fallback':true,"
         "'fuse_unk':true},'added_tokens':[{'id':12,'content':'<s>','special':true,'lstrip':true,'rstrip':true,"
         "'single_word':true}],'post_processor':{'type':'TemplateProcessing','single':[{'SpecialToken':{'id':'S'}},"
         "{'Sequence':{'id':'A'}}],'special_tokens':{'S':{'id':'S','ids':[12]}}},'pre_tokenizer':" BYTE_LEVEL ","
         "'decoder':{'type':'ByteLevel'}}");
    seed("{'normalizer':{'type':'Sequence','normalizers':[{'type':'NFKC'},{'type':'Lowercase'},{'type':'Replace',"
         "'pattern':{'Regex':'\\\\s+'},'content':' '},{'type':'Strip'},{'type':'Prepend','prepend':'_'}]},"
         "'pre_tokenizer':{'type':'Sequence','pretokenizers':[" PATTERN("[^\\\\s[ab]]?\\\\p{L}{1,3}+|\\\\b") ","
         "{'type':'Digits'},{'type':'Metaspace','replacement':'_','prepend_scheme':'first'}," PLAIN_BYTES "]},"
         "'model':{'type':'BPE','vocab':{" BYTES "},'merges':[],'ignore_merges':true}}");
    seed("{'model':{'type':'BPE','vocab':{" BYTES "},'merges':['h #e'],'continuing_subword_prefix':'#',"
         "'end_of_word_suffix':'$','unk_token':'o'},'pre_tokenizer':{'type':'Whitespace'},'decoder':{'type':'Sequence',"
         "'decoders':[{'type':'Replace','pattern':{'String':'_'},'content':' '},{'type':'ByteFallback'},"
         "{'type':'Fuse'},{'type':'Strip','content':' ','start':1,'stop':1},{'type':'BPEDecoder','suffix':'$'},"
         "{'type':'Metaspace','replacement':'_'}]}}");
    seed("{'normalizer':{'type':'BertNormalizer','clean_text':true,'handle_chinese_chars':true,'strip_accents':null,"
         "'lowercase':true},'pre_tokenizer':{'type':'BertPreTokenizer'},'model':{'type':'WordPiece','unk_token':'[UNK]',"
         "'continuing_subword_prefix':'##','max_input_chars_per_word':100,'vocab':{'[UNK]':0,'h':1,'##e':2,'##ll':3,"
         "'##o':4,'w':5}},'decoder':{'type':'WordPiece','prefix':'##','cleanup':true},'post_processor':{'type':"
         "'BertProcessing','sep':['[UNK]',0],'cls':['h',1]}}");
    seed("{'normalizer':{'type':'Sequence','normalizers':[{'type':'Nmt'},{'type':'StripAccents'},{'type':'Precompiled',"
         "'precompiled_charsmap':'BAAAAAAEAABhAA=='}]},'pre_tokenizer':{'type':'Sequence','pretokenizers':[{'type':"
         "'WhitespaceSplit'},{'type':'Metaspace','replacement':'\\u2581','prepend_scheme':'always','split':true}]},"
         "'model':{'type':'Unigram','unk_id':0,'byte_fallback':true,'vocab':[['<unk>',0.0],['\\u2581',-2.0],['h',-3.5],"
         "['he',-1.0],['l',-4],['<0xFF>',0.0]]},'decoder':{'type':'Metaspace','replacement':'\\u2581'}}");
    seed("{'model':{'type':'WordLevel','vocab':{'<unk>':0,'Hello':1,'12':2},'unk_token':'<unk>'},'pre_tokenizer':"
         "{'type':'Sequence','pretokenizers':[{'type':'CharDelimiterSplit','delimiter':' '},{'type':'FixedLength',"
         "'length':5},{'type':'Punctuation','behavior':'MergedWithPrevious'}]},'decoder':{'type':'CTC','pad_token':"
         "'<unk>','word_delimiter_token':'|','cleanup':true}}");
    static const char *const kinds[] = { "gpt2", "llama", "bert", "t5", "gemma4" };
    for (size_t i = 0; i < 5; i++) {
        strbuf *b = fuzz_seed();
        put_gguf_header(b, 3, 0, 7);
        put_kv_string(b, "tokenizer.ggml.model", kinds[i]);
        put_kv_string(b, "tokenizer.ggml.pre", "qwen2");
        put_kv_array(b, "tokenizer.ggml.tokens", GGUF_STRING, 5);
        put_string(b, "\xe2\x96\x81" "a"), put_string(b, "b"), put_string(b, "ab"), put_string(b, "<s>"), put_string(b, "a");
        put_kv_array(b, "tokenizer.ggml.token_type", GGUF_I32, 5);
        put_u32(b, 1), put_u32(b, 1), put_u32(b, 1), put_u32(b, 3), put_u32(b, 4);
        put_kv_array(b, "tokenizer.ggml.scores", GGUF_F32, 5);
        put_zeros(b, 20);
        put_kv_array(b, "tokenizer.ggml.merges", GGUF_STRING, 1), put_string(b, "a b");
        put_kv_u32(b, "tokenizer.ggml.bos_token_id", 3);
    }
}

int main(int argc, char **argv)
{
    own_seeds();
    int status = fuzz_main(argc, argv, "damaged tokenizers");
    tokenizer_free(bundled());
    return status;
}

#endif
