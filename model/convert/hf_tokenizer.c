/* tokenizer.json and tokenizer_config.json from the vocabulary of a GGUF: what is not the model itself. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "model/convert/hf_vocab.h"
#include "model/tokenizer/gguf_pre.h"

#define SPACE_MARK "\xe2\x96\x81" /* SentencePiece writes a space so */

/* ---- byte-level BPE ---- */

static void put_split(strbuf *b, const char *pattern)
{
    strbuf_puts(b, "{\"type\": \"Split\", \"pattern\": {\"Regex\": ");
    strbuf_put_json(b, pattern, strlen(pattern));
    strbuf_puts(b, "}, \"behavior\": \"Isolated\", \"invert\": false}");
}

static void put_byte_level(strbuf *b, bool regex)
{
    strbuf_printf(b, "{\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"trim_offsets\": true, "
                     "\"use_regex\": %s}", regex ? "true" : "false");
}

static void put_steps(strbuf *b, const gguf_pre *pre)
{
    bool mapped = false;
    strbuf_puts(b, "{\"type\": \"Sequence\", \"pretokenizers\": [");
    for (size_t i = 0; i < sizeof pre->steps / sizeof *pre->steps && pre->steps[i]; i++) {
        const char *step = pre->steps[i];
        strbuf_puts(b, i ? ",\n    " : "\n    ");
        if (strcmp(step, GGUF_PRE_GPT2) == 0) {
            put_byte_level(b, true);
            mapped = true;
        } else if (strcmp(step, GGUF_PRE_DIGITS) == 0 || strcmp(step, GGUF_PRE_NUMBERS) == 0) {
            strbuf_printf(b, "{\"type\": \"Digits\", \"individual_digits\": %s}",
                          strcmp(step, GGUF_PRE_DIGITS) == 0 ? "true" : "false");
        } else if (strcmp(step, GGUF_PRE_PUNCTUATION) == 0) {
            strbuf_puts(b, "{\"type\": \"Punctuation\", \"behavior\": \"Contiguous\"}");
        } else {
            put_split(b, step);
        }
    }
    if (!mapped) {
        strbuf_puts(b, ",\n    ");
        put_byte_level(b, false);
    }
    strbuf_puts(b, "]}");
}

/* ---- post-processor ---- */

/* "<s> $A </s>" with the ids that are asked for; null without any. */
static void put_template(strbuf *b, const hf_vocab *v, int64_t first, int64_t last)
{
    const int64_t ids[] = {first, last};
    if (first < 0 && last < 0) {
        strbuf_puts(b, "null");
        return;
    }
    strbuf_puts(b, "{\"type\": \"TemplateProcessing\"");
    for (int pair = 0; pair < 2; pair++) {
        strbuf_puts(b, pair ? ", \"pair\": [" : ", \"single\": [");
        if (first >= 0)
            hf_vocab_special(b, v, first, 0);
        strbuf_printf(b, "%s{\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}", first >= 0 ? ", " : "");
        if (last >= 0) {
            strbuf_puts(b, ", ");
            hf_vocab_special(b, v, last, 0);
        }
        if (pair) {
            if (first >= 0 && last < 0) {
                strbuf_puts(b, ", ");
                hf_vocab_special(b, v, first, 1);
            }
            strbuf_puts(b, ", {\"Sequence\": {\"id\": \"B\", \"type_id\": 1}}");
            if (last >= 0) {
                strbuf_puts(b, ", ");
                hf_vocab_special(b, v, last, 1);
            }
        }
        strbuf_putc(b, ']');
    }
    strbuf_puts(b, ", \"special_tokens\": {");
    for (int i = 0, n = 0; i < 2; i++) {
        if (ids[i] < 0 || (i == 1 && last == first))
            continue;
        strbuf_puts(b, n++ ? ", " : "");
        hf_vocab_text(b, v, ids[i]);
        strbuf_puts(b, ": {\"id\": ");
        hf_vocab_text(b, v, ids[i]);
        strbuf_printf(b, ", \"ids\": [%" PRId64 "], \"tokens\": [", ids[i]);
        hf_vocab_text(b, v, ids[i]);
        strbuf_puts(b, "]}");
    }
    strbuf_puts(b, "}}");
}

/* What the flags add; by_default where the file has none. */
static void put_post(strbuf *b, const hf_vocab *v, bool bos_by_default, bool eos_by_default)
{
    bool bos = hf_vocab_flag(v, "tokenizer.ggml.add_bos_token", bos_by_default);
    bool eos = hf_vocab_flag(v, "tokenizer.ggml.add_eos_token", eos_by_default);
    put_template(b, v, bos ? v->bos : -1, eos ? v->eos : -1);
}

/* ---- the four kinds ---- */

static int put_bpe(strbuf *b, const hf_vocab *v, char summary[128], err *e)
{
    gguf_string name = {"", 0};
    gguf_text(&name, gguf_find(v->g, "tokenizer.ggml.pre"));
    const gguf_pre *pre = gguf_pre_find(name.len ? name : (gguf_string){"default", 7});
    if (!pre) {
        snprintf(summary, 128, "none written: tokenizer.ggml.pre %.*s is not known", name.len > 60 ? 60 : (int)name.len,
                 name.s);
        return 0;
    }
    strbuf_puts(b, ",\n  \"normalizer\": ");
    strbuf_puts(b, pre->nfc ? "{\"type\": \"NFC\"}" : "null");
    strbuf_puts(b, ",\n  \"pre_tokenizer\": ");
    put_steps(b, pre);
    strbuf_puts(b, ",\n  \"post_processor\": ");
    put_post(b, v, pre->add_bos, false);
    strbuf_puts(b, ",\n  \"decoder\": ");
    put_byte_level(b, true);
    strbuf_printf(b, ",\n  \"model\": {\"type\": \"BPE\", \"dropout\": null, \"unk_token\": null, "
                     "\"continuing_subword_prefix\": null, \"end_of_word_suffix\": null, \"fuse_unk\": false, "
                     "\"byte_fallback\": false, \"ignore_merges\": %s,\n  \"vocab\": ",
                  pre->ignore_merges ? "true" : "false");
    hf_vocab_map(b, v);
    int rc = hf_vocab_merges(b, v, e);
    strbuf_puts(b, "}");
    snprintf(summary, 128, "byte-level BPE (%.*s), %zu tokens", name.len > 40 ? 40 : (int)name.len,
             name.len ? name.s : "default", v->n);
    return rc;
}

static int put_spm(strbuf *b, const hf_vocab *v, char summary[128], err *e)
{
    bool prefix = hf_vocab_flag(v, "tokenizer.ggml.add_space_prefix", true);
    strbuf_puts(b, ",\n  \"normalizer\": {\"type\": \"Sequence\", \"normalizers\": [");
    if (prefix)
        strbuf_puts(b, "{\"type\": \"Prepend\", \"prepend\": \"" SPACE_MARK "\"}, ");
    strbuf_puts(b, "{\"type\": \"Replace\", \"pattern\": {\"String\": \" \"}, \"content\": \"" SPACE_MARK "\"}]}");
    strbuf_puts(b, ",\n  \"pre_tokenizer\": null,\n  \"post_processor\": ");
    put_post(b, v, true, false);
    strbuf_puts(b, ",\n  \"decoder\": {\"type\": \"Sequence\", \"decoders\": [{\"type\": \"Replace\", \"pattern\": "
                   "{\"String\": \"" SPACE_MARK "\"}, \"content\": \" \"}, {\"type\": \"ByteFallback\"}, "
                   "{\"type\": \"Fuse\"}");
    if (prefix)
        strbuf_puts(b, ", {\"type\": \"Strip\", \"content\": \" \", \"start\": 1, \"stop\": 0}");
    strbuf_puts(b, "]},\n  \"model\": {\"type\": \"BPE\", \"dropout\": null, \"unk_token\": ");
    hf_vocab_text(b, v, v->unk);
    strbuf_puts(b, ", \"continuing_subword_prefix\": null, \"end_of_word_suffix\": null, \"fuse_unk\": true, "
                   "\"byte_fallback\": true, \"ignore_merges\": false,\n  \"vocab\": ");
    hf_vocab_map(b, v);
    int rc = hf_vocab_scored_merges(b, v, e);
    strbuf_puts(b, "}");
    snprintf(summary, 128, "SentencePiece BPE, %zu tokens", v->n);
    return rc;
}

static int put_wordpiece(strbuf *b, hf_vocab *v, char summary[128], err *e)
{
    int rc = hf_vocab_respell_wordpiece(v, e);
    bool cased = hf_vocab_is_cased(v);
    strbuf_printf(b, ",\n  \"normalizer\": {\"type\": \"BertNormalizer\", \"clean_text\": true, "
                     "\"handle_chinese_chars\": true, \"strip_accents\": null, \"lowercase\": %s}",
                  cased ? "false" : "true");
    strbuf_puts(b, ",\n  \"pre_tokenizer\": {\"type\": \"BertPreTokenizer\"},\n  \"post_processor\": ");
    put_template(b, v, v->cls, v->sep);
    strbuf_puts(b, ",\n  \"decoder\": {\"type\": \"WordPiece\", \"prefix\": \"##\", \"cleanup\": true}");
    strbuf_puts(b, ",\n  \"model\": {\"type\": \"WordPiece\", \"unk_token\": ");
    hf_vocab_text(b, v, v->unk);
    strbuf_puts(b, ", \"continuing_subword_prefix\": \"##\", \"max_input_chars_per_word\": 100,\n  \"vocab\": ");
    hf_vocab_map(b, v);
    strbuf_puts(b, "}");
    snprintf(summary, 128, "WordPiece (%s), %zu tokens", cased ? "cased" : "lower case", v->n);
    return rc;
}

static int put_unigram(strbuf *b, const hf_vocab *v, char summary[128], err *e)
{
    bool prefix = hf_vocab_flag(v, "tokenizer.ggml.add_space_prefix", true);
    bool trim = hf_vocab_flag(v, "tokenizer.ggml.remove_extra_whitespaces", true);
    strbuf_puts(b, ",\n  \"normalizer\": {\"type\": \"Sequence\", \"normalizers\": [");
    bool charsmap = hf_vocab_charsmap(b, v);
    if (trim)
        strbuf_printf(b, "%s{\"type\": \"Strip\", \"strip_left\": false, \"strip_right\": true}, "
                         "{\"type\": \"Replace\", \"pattern\": {\"Regex\": \" {2,}\"}, \"content\": \"" SPACE_MARK "\"}",
                         charsmap ? ", " : "");
    strbuf_printf(b, "]},\n  \"pre_tokenizer\": {\"type\": \"Metaspace\", \"replacement\": \"" SPACE_MARK
                     "\", \"prepend_scheme\": \"%s\", \"split\": true},\n  \"post_processor\": ",
                  prefix ? "always" : "never");
    put_post(b, v, false, true);
    strbuf_printf(b, ",\n  \"decoder\": {\"type\": \"Metaspace\", \"replacement\": \"" SPACE_MARK
                     "\", \"prepend_scheme\": \"%s\", \"split\": true}", prefix ? "always" : "never");
    strbuf_printf(b, ",\n  \"model\": {\"type\": \"Unigram\", \"unk_id\": %" PRId64 ", \"byte_fallback\": false,\n  "
                     "\"vocab\": ", v->unk);
    hf_vocab_scored_list(b, v);
    strbuf_puts(b, "}");
    (void)e;
    snprintf(summary, 128, "Unigram, %zu tokens", v->n);
    return 0;
}

/* ---- files ---- */

static void put_config(strbuf *b, const hf_vocab *v)
{
    const struct { const char *name; int64_t id; } tokens[] = {
        {"bos_token", v->bos}, {"eos_token", v->eos}, {"unk_token", v->unk}, {"pad_token", v->pad},
        {"cls_token", v->cls}, {"sep_token", v->sep}, {"mask_token", v->mask},
    };
    gguf_string template;
    strbuf_puts(b, "{\n  \"tokenizer_class\": \"PreTrainedTokenizerFast\",\n  \"clean_up_tokenization_spaces\": false");
    for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++)
        if (tokens[i].id >= 0) {
            strbuf_printf(b, ",\n  \"%s\": ", tokens[i].name);
            hf_vocab_text(b, v, tokens[i].id);
        }
    if (gguf_text(&template, gguf_find(v->g, "tokenizer.chat_template"))) {
        strbuf_puts(b, ",\n  \"chat_template\": ");
        strbuf_put_json(b, template.s, template.len);
    }
    strbuf_puts(b, "\n}\n");
}

int hf_tokenizer(outdir *d, const gguf_meta *g, char summary[128], err *e)
{
    hf_vocab v;
    gguf_string kind = {"", 0}, whole;
    strbuf b = {0}, config = {0};
    int rc = hf_vocab_read(&v, g, e);

    summary[0] = '\0';
    gguf_text(&kind, gguf_find(g, "tokenizer.ggml.model"));
#define IS(name) (kind.len == sizeof name - 1 && memcmp(kind.s, name, kind.len) == 0)
    if (rc || v.n == 0 || IS("none")) {
        snprintf(summary, 128, "none in the file");
        goto out;
    }
    hf_vocab_special_ids(&v, IS("llama"), IS("bert"));
    if (gguf_text(&whole, gguf_find(g, "tokenizer.huggingface.json"))) {
        strbuf_add(&b, whole.s, whole.len);
        snprintf(summary, 128, "tokenizer.json as the file carries it");
    } else {
        strbuf_puts(&b, "{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n  \"padding\": null,\n  "
                        "\"added_tokens\": ");
        hf_vocab_added(&b, &v);
        if (IS("gpt2"))
            rc = put_bpe(&b, &v, summary, e);
        else if (IS("llama"))
            rc = put_spm(&b, &v, summary, e);
        else if (IS("bert"))
            rc = put_wordpiece(&b, &v, summary, e);
        else if (IS("t5"))
            rc = put_unigram(&b, &v, summary, e);
        else
            snprintf(summary, 128, "none written: tokenizer.ggml.model %.*s is not known",
                     kind.len > 60 ? 60 : (int)kind.len, kind.s);
        strbuf_puts(&b, "\n}\n");
    }
#undef IS
    if (!rc && strncmp(summary, "none", 4) != 0) {
        put_config(&config, &v);
        rc = plan_put_file(d, "tokenizer.json", &b, e);
        if (!rc)
            rc = plan_put_file(d, "tokenizer_config.json", &config, e);
    }
out:
    strbuf_free(&b);
    strbuf_free(&config);
    hf_vocab_free(&v);
    return rc;
}
