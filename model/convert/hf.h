/* From GGUF to Hugging Face, architecture by architecture: inside model/convert/ only. */
#ifndef ATTNSCOPE_MODEL_CONVERT_HF_H
#define ATTNSCOPE_MODEL_CONVERT_HF_H

#include "model/convert/plan.h"

typedef enum hf_kind {
    HF_COPY,
    HF_UNPAIR_Q,        /* rows of interleaved RoPE back into halves, with all heads ... */
    HF_UNPAIR_K,        /* ... and with the key/value heads */
    HF_MINUS_ONE,       /* norm weights that the file holds with 1 added (a bias is copied) */
    HF_CONV1D,          /* matrices stored [in, out] (a bias is copied) */
    HF_GROUPED_QKV,     /* [q; k; v] -> q, k, v of each key/value head */
    HF_EXPERTS,         /* one tensor [E, ...] -> a tensor for each expert, '#' in the name */
    HF_HEADS,           /* [H, D] -> a vector for each head, '#' in the name */
    HF_EXPERTS_CONV1D,  /* [E, out, in] -> [E, in, out] */
    HF_GATE_UP_CONV1D,  /* gate and up [E, ff, in] -> [E, in, 2 ff], in turn */
    HF_GATE_UP_BIAS,    /* gate and up [E, ff] -> [E, 2 ff], in turn */
    HF_KV_B,            /* attn_k_b [H, rank, nope] and attn_v_b [H, v, rank] -> kv_b_proj [H (nope + v), rank] */
    HF_ONE_ROW,         /* [C] -> [1, C] */
    HF_DROP,            /* said in config.json instead */
} hf_kind;

/* A name in GGUF and in Hugging Face; '%' is the number of the layer.  Stands for name.weight and name.bias,
 * unless `from` itself ends so. */
typedef struct hf_rule {
    const char *from, *to;
    hf_kind kind;
    const char *with;   /* the second tensor of kinds that join two */
} hf_rule;

typedef struct hf_writer hf_writer;

struct hf_arch {
    const char *arch;               /* general.architecture */
    const char *model_type, *class_name;
    const hf_rule *rules[3];        /* tables ended by a NULL name; the first match counts */
    void (*config)(hf_writer *w);   /* what is special in config.json */
    bool (*applies)(const checkpoint *c); /* which of several entries for an architecture; NULL: any */
};

extern const hf_arch hf_archs[];    /* ended by a NULL name; entries of an architecture lie together */

/* hf_config.c */
void hf_config_llama(hf_writer *w);
void hf_config_mixtral(hf_writer *w);
void hf_config_qwen(hf_writer *w);
void hf_config_qwen_moe(hf_writer *w);
void hf_config_gemma(hf_writer *w);
void hf_config_gemma2(hf_writer *w);
void hf_config_gemma3(hf_writer *w);
void hf_config_phi2(hf_writer *w);
void hf_config_phi3(hf_writer *w);
void hf_config_stablelm(hf_writer *w);
void hf_config_starcoder2(hf_writer *w);
void hf_config_cohere(hf_writer *w);
void hf_config_granite(hf_writer *w);
void hf_config_nemotron(hf_writer *w);
void hf_config_olmo(hf_writer *w);
void hf_config_olmoe(hf_writer *w);
void hf_config_exaone4(hf_writer *w);
void hf_config_glm4(hf_writer *w);
void hf_config_smollm3(hf_writer *w);
void hf_config_gpt_oss(hf_writer *w);
void hf_config_deepseek_v2(hf_writer *w);
void hf_config_deepseek_v3(hf_writer *w);
/* hf_config_other.c: those whose keys have other names */
void hf_config_gpt2(hf_writer *w);
void hf_config_bigcode(hf_writer *w);
void hf_config_neox(hf_writer *w);
void hf_config_bloom(hf_writer *w);
void hf_config_falcon(hf_writer *w);
void hf_config_mpt(hf_writer *w);
void hf_config_t5(hf_writer *w);
void hf_config_bert(hf_writer *w);
void hf_config_distilbert(hf_writer *w);

/* ---- writing config.json (hf_writer.c) ---- */

struct hf_writer {
    strbuf *b;
    const checkpoint *c;
    const char *arch;
    char *note;        /* [256] */
    err *e;
    int rc;            /* the first failure; everything after it does nothing */
};

bool hf_has_tensor(const checkpoint *c, const char *name);
/* Metadata "<arch>.<key>"; the fallback where it is absent. */
int64_t hf_int(hf_writer *w, const char *key, int64_t fallback);
int64_t hf_need(hf_writer *w, const char *key);           /* absent: an error */
double hf_real(hf_writer *w, const char *key, double fallback);
bool hf_bool(hf_writer *w, const char *key, bool fallback);
bool hf_key(const hf_writer *w, const char *key);         /* is it there? */
int64_t hf_head_dim(hf_writer *w);                        /* attention.key_length, else width / heads */
int64_t hf_vocab(hf_writer *w);

/* Members.  Of two with one name the first counts: what is special goes before what is common. */
void hf_put_int(hf_writer *w, const char *name, int64_t v);
void hf_put_real(hf_writer *w, const char *name, double v);
void hf_put_bool(hf_writer *w, const char *name, bool v);
void hf_put_text(hf_writer *w, const char *name, const char *v);
void hf_put_null(hf_writer *w, const char *name);
void hf_put_raw(hf_writer *w, const char *name, const char *json_text);
/* The shortest decimal text of a number that the metadata hold as float32. */
void hf_put_number(strbuf *b, double v);
/* name: [one of two words for each layer] */
void hf_put_layers(hf_writer *w, const char *name, const char *yes, const char *no,
                   bool (*is)(int64_t layer, int64_t arg), int64_t arg);
/* bos_token_id, eos_token_id, pad_token_id from the tokenizer's keys. */
void hf_put_token_ids(hf_writer *w);
/* rope_theta, rope_scaling. */
void hf_put_rope(hf_writer *w, double default_theta);

#endif
