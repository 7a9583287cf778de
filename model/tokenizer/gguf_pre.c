/* What the names of pre-tokenizers in GGUF files stand for. */
#include <string.h>

#include "model/tokenizer/gguf_pre.h"

#define HEAD "|[^\\r\\n\\p{L}\\p{N}]?" /* a character that a word may take along */
#define CONTRACTIONS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define SPACES "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define LLAMA3 CONTRACTIONS HEAD "\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*" SPACES
#define QWEN2 CONTRACTIONS HEAD "\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*" SPACES
#define QWEN35 CONTRACTIONS HEAD "[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*" SPACES
#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define CASED(tail) "[^\\r\\n\\p{L}\\p{N}]?" UPPER "*" LOWER "+" tail HEAD UPPER "+" LOWER "*" tail
#define O200K CASED(CONTRACTIONS "?") "|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*" SPACES
#define TEKKEN CASED("") "|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*" SPACES
#define DEEPSEEK3 "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+" \
                  "|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*" SPACES
#define BLOOM " ?[^(\\s|.,!?\xe2\x80\xa6\xe3\x80\x82\xef\xbc\x8c\xe3\x80\x81\xe0\xa5\xa4\xdb\x94\xd8\x8c)]+"
/* ideographs, with kana or with all of U+0800 to U+4E00 and Hangul */
#define CJK_KANA "[\\x{4e00}-\\x{9fa5}\\x{3040}-\\x{309f}\\x{30a0}-\\x{30ff}]+"
#define CJK_WIDE "[\\x{4e00}-\\x{9fa5}\\x{800}-\\x{4e00}\\x{ac00}-\\x{d7ff}]+"
#define LEGACY_GPT2 "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)"

#define DIGITS GGUF_PRE_DIGITS
#define NUMBERS GGUF_PRE_NUMBERS
#define PUNCTUATION GGUF_PRE_PUNCTUATION
#define GPT2 GGUF_PRE_GPT2

/* letters with case, as DeepSeek's first models list them */
#define CASED_LETTERS "\\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕ" \
    "ἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇ" \
    "Ꞌ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+"
#define WIDE_PUNCTUATION "\\s?[!-/:-~\\x{ff01}-\\x{ff0f}\\x{ff1a}-\\x{ff5e}\\x{2018}-\\x{201f}\\x{3000}-\\x{3002}]+"
#define MINICPM5 CONTRACTIONS HEAD "\\p{L}+|\\p{N}+| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*" SPACES
#define SEED CONTRACTIONS HEAD "\\p{L}+|\\p{N}{1}| ?[^\\s\\p{L}\\p{N}\\r\\n]+" SPACES
#define BAILING "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*" \
                "|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+"
#define EXAONE_MOE CONTRACTIONS HEAD "(?:\\p{L}\\p{M}*(?: \\p{L}\\p{M}*)*)+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]?" \
                   "|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+"
#define TURKISH "[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*" SPACES

/* A name that is not here is refused: a guess would give other ids than the model was trained on. */
static const gguf_pre pre_names[] = {
    { " gpt-2 phi-2 jina-es jina-de jina-v1-en jina-v2-es jina-v2-de jina-v2-code roberta-bpe exaone4 gigachat jais"
      " mellum a.x-4.0 trillion granite-docling ",
      { GPT2 }, .nfc = false },
    { " mpt olmo modern-bert ", { GPT2 }, .nfc = true },
    { " starcoder refact smollm codeshell exaone minerva-7b mellum2 ", { DIGITS, GPT2 }, .nfc = false },
    { " command-r ", { DIGITS, GPT2 }, .nfc = true },
    { " falcon ", { PUNCTUATION, GPT2, NUMBERS, "[0-9][0-9][0-9]" }, .nfc = false },
    { " llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano ", { LLAMA3 },
      .ignore_merges = true, .add_bos = true },
    { " chatglm-bpe glm4 dbrx smaug-bpe ", { LLAMA3 }, .nfc = false },
    { " qwen2 deepseek-r1-qwen stablelm2 megrez kormo f2llmv2 ", { QWEN2 }, .nfc = true },
    { " hunyuan grok-2 solar-open ", { QWEN2 }, .nfc = false },
    { " qwen35 ", { QWEN35 }, .nfc = true },
    { " gpt-4o llama4 kanana2 minimax-m2 ", { O200K }, .nfc = false },
    { " tiny_aya cohere2moe ", { "\\d{1,3}(?=(?:\\d{3})*\\b)", O200K }, .nfc = false },
    { " tekken ", { TEKKEN }, .ignore_merges = true, .add_bos = true },
    { " deepseek-llm ", { "[\\r\\n]", CASED_LETTERS, WIDE_PUNCTUATION, "\\s+$", CJK_WIDE, NUMBERS }, .nfc = false },
    { " deepseek-v3 hunyuan-dense joyai-llm ", { "\\p{N}{1,3}", CJK_KANA, DEEPSEEK3 }, .nfc = false },
    { " deepseek-coder ", { "[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", CJK_WIDE, DIGITS }, .nfc = false },
    { " bloom poro-chat gpt3-finnish ", { BLOOM }, .nfc = false },
    { " viking ", { BLOOM, DIGITS }, .nfc = false },
    { " seed-coder ", { SEED }, .nfc = false },
    { " bailingmoe bailingmoe2 llada-moe ", { BAILING }, .nfc = false },
    { " minicpm5 ", { "\\p{N}{1,3}", MINICPM5 }, .ignore_merges = true },
    { " exaone-moe ", { EXAONE_MOE }, .nfc = false },
    { " laguna ", { "[^\\n]+|[\\n]+", QWEN2 }, .nfc = false },
    { " ufakzeka ", { TURKISH }, .nfc = false },
    { " chameleon ", { "<sentinel:[0-9]+>", "(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z", "([\\t\\n]|    |  )", DIGITS,
                       "[\\p{P}!-/:-@\\[-`{-~]", GPT2 }, .add_bos = true },
    { " default ", { "[\\p{P}\\$\\+<=>\\^~\\|]+", LEGACY_GPT2, "\\p{N}+", "[0-9][0-9][0-9]" }, .nfc = false },
};

const gguf_pre *gguf_pre_find(gguf_string name)
{
    char word[64];

    if (!name.len || name.len > sizeof word - 3 || memchr(name.s, ' ', name.len) ||
        memchr(name.s, 0, name.len))
        return NULL;
    word[0] = ' ';
    memcpy(word + 1, name.s, name.len);
    memcpy(word + 1 + name.len, " ", 2);
    for (size_t i = 0; i < sizeof pre_names / sizeof *pre_names; i++)
        if (strstr(pre_names[i].names, word))
            return &pre_names[i];
    return NULL;
}
