#include "model/tokenizer/slow.h"

#include <string.h>

const char *const slow_roles[SLOW_ROLES] = {
    "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token",
};

#define BYTE_LEVEL "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":true}"
#define PLAIN_BYTES "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":false}"
#define SPLIT(pattern, behavior, invert) "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"" pattern "\"}," \
    "\"behavior\":\"" behavior "\",\"invert\":" invert "}"
#define SEQUENCE(list) "{\"type\":\"Sequence\",\"pretokenizers\":[" list "]}"
#define QWEN2 "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|\\\\p{N}" \
    "| ?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+"
#define CLIP "<\\\\|startoftext\\\\|>|<\\\\|endoftext\\\\|>|'s|'t|'re|'ve|'m|'ll|'d|[\\\\p{L}]+|[\\\\p{N}]" \
    "|[^\\\\s\\\\p{L}\\\\p{N}]+"
#define SPACES_TO_MARKS "{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"\xe2\x96\x81\"}"
#define MARKS_TO_SPACES "{\"type\":\"Replace\",\"pattern\":{\"String\":\"\xe2\x96\x81\"},\"content\":\" \"}"
#define METASPACE(scheme, split) "{\"type\":\"Metaspace\",\"replacement\":\"\xe2\x96\x81\"," \
    "\"prepend_scheme\":\"" scheme "\",\"split\":" split "}"
#define DECODERS(more) "{\"type\":\"Sequence\",\"decoders\":[" MARKS_TO_SPACES ",{\"type\":\"ByteFallback\"}," \
    "{\"type\":\"Fuse\"}" more "]}"
#define WORDS_AND_MARKS SEQUENCE("{\"type\":\"WhitespaceSplit\"}," METASPACE("always", "true"))

#define END "<|endoftext|>"

static const slow_class classes[] = {
    { .names = " GPT2Tokenizer CodeGenTokenizer ", .models = " gpt2 gpt_neo gptj opt phi codegen ",
      .files = SLOW_BPE, .role = { END, END, END }, .pre_tokenizer = BYTE_LEVEL, .decoder = BYTE_LEVEL,
      .prefix_option = true },
    { .names = " GPTNeoXTokenizer ", .models = " gpt_neox olmo olmoe mpt mamba ", .files = SLOW_BPE,
      .role = { END, END, END, NULL, "<|padding|>" }, .normalizer = "{\"type\":\"NFC\"}",
      .pre_tokenizer = BYTE_LEVEL, .decoder = BYTE_LEVEL, .prefix_option = true },
    { .names = " Qwen2Tokenizer ", .models = " qwen2 qwen2_moe qwen3 qwen3_moe qwen3_next ", .files = SLOW_BPE,
      .role = { NULL, END, END, NULL, END }, .normalizer = "{\"type\":\"NFC\"}",
      .pre_tokenizer = SEQUENCE(SPLIT(QWEN2, "Isolated", "false") "," PLAIN_BYTES), .decoder = BYTE_LEVEL },
    { .names = " RobertaTokenizer BartTokenizer LongformerTokenizer LEDTokenizer MvpTokenizer ",
      .models = " roberta bart longformer led ", .files = SLOW_BPE,
      .role = { "<s>", "</s>", "<unk>", "</s>", "<pad>", "<s>", "<mask>" }, .pre_tokenizer = BYTE_LEVEL,
      .decoder = BYTE_LEVEL, .post = SLOW_CLS_SEP, .prefix_option = true },
    { .names = " CLIPTokenizer ", .models = " clip clip_text_model ", .files = SLOW_BPE,
      .role = { "<|startoftext|>", END, END, NULL, END }, .unk = true, .suffix = "</w>",
      .normalizer = "{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFC\"},{\"type\":\"Replace\",\"pattern\":"
                    "{\"Regex\":\"\\\\s+\"},\"content\":\" \"},{\"type\":\"Lowercase\"}]}",
      .pre_tokenizer = SEQUENCE(SPLIT(CLIP, "Removed", "true") "," BYTE_LEVEL), .decoder = BYTE_LEVEL,
      .post = SLOW_BOS_EOS },
    { .names = " BertTokenizer DistilBertTokenizer ElectraTokenizer MobileBertTokenizer LxmertTokenizer "
               "ConvBertTokenizer DPRReaderTokenizer DPRQuestionEncoderTokenizer DPRContextEncoderTokenizer "
               "LayoutLMTokenizer SqueezeBertTokenizer RetriBertTokenizer ",
      .models = " bert distilbert electra mobilebert convbert nomic_bert ", .files = SLOW_WORDPIECE,
      .role = { NULL, NULL, "[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]" },
      .pre_tokenizer = "{\"type\":\"BertPreTokenizer\"}",
      .decoder = "{\"type\":\"WordPiece\",\"prefix\":\"##\",\"cleanup\":true}", .post = SLOW_CLS_SEP },
    { .names = " LlamaTokenizer ", .files = SLOW_SPM, .role = { "<s>", "</s>", "<unk>" },
      .pre_tokenizer = METASPACE("first", "false"),
      .decoder = DECODERS(",{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":0}"), .byte_fallback = true },
    { .names = " GemmaTokenizer ", .models = " gemma gemma2 gemma3 gemma3_text ", .files = SLOW_SPM,
      .role = { "<bos>", "<eos>", "<unk>", NULL, "<pad>", NULL, "<mask>" }, .normalizer = SPACES_TO_MARKS,
      .decoder = DECODERS(""), .byte_fallback = true, .unk = true },
    { .names = " T5Tokenizer MT5Tokenizer ", .models = " t5 mt5 ", .files = SLOW_SPM,
      .role = { NULL, "</s>", "<unk>", NULL, "<pad>" }, .pre_tokenizer = WORDS_AND_MARKS,
      .decoder = METASPACE("always", "true"), .post = SLOW_EOS, .pieces = SLOW_PIECES_T5, .charsmap = true },
    { .names = " XLMRobertaTokenizer ", .models = " xlm-roberta ", .files = SLOW_SPM,
      .role = { "<s>", "</s>", "<unk>", "</s>", "<pad>", "<s>", "<mask>" }, .pre_tokenizer = WORDS_AND_MARKS,
      .decoder = METASPACE("always", "true"), .post = SLOW_BOS_EOS, .pieces = SLOW_PIECES_XLMR, .charsmap = true },
    { .names = " TokenizersBackend PreTrainedTokenizer ", .files = SLOW_SPM, .normalizer = SPACES_TO_MARKS,
      .role = { "<s>", "</s>", "<unk>" }, .decoder = DECODERS(""), .byte_fallback = true, .unk = true,
      .charsmap = true },
};

static bool among(const char *names, const char *name, size_t n)
{
    char word[80];

    if (!names || !n || n > sizeof word - 3 || memchr(name, ' ', n))
        return false;
    word[0] = ' ';
    memcpy(word + 1, name, n);
    memcpy(word + 1 + n, " ", 2);
    return strstr(names, word) != NULL;
}

const slow_class *slow_class_find(const char *name, size_t n)
{
    if (n > 4 && !memcmp(name + n - 4, "Fast", 4))
        n -= 4;
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        if (among(classes[i].names, name, n))
            return &classes[i];
    return NULL;
}

const slow_class *slow_class_of_model(const char *model_type)
{
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        if (among(classes[i].models, model_type, strlen(model_type)))
            return &classes[i];
    return NULL;
}

const slow_class *slow_class_of_files(enum slow_files files)
{
    return files == SLOW_SPM ? NULL : slow_class_find(files == SLOW_BPE ? "GPT2Tokenizer" : "BertTokenizer", 13);
}
