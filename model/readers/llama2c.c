/* llama2.c: seven or eight numbers, then float32 weights one after another in a fixed order.
 *
 * Two layouts: the original one, which has no magic and is told by its numbers agreeing with the size of the file
 * to the byte, and version 1 ("ak42", a header of 256 bytes, another order).  Both are given the names of a Hugging
 * Face llama and a configuration to match.  Rows of q and k are in the order of interleaved RoPE. */
#include <stdio.h>
#include <string.h>

#include "base/strbuf.h"
#include "model/checkpoint.h"
#include "model/locate.h"
#include "model/readers/reader.h"

enum { MAGIC = 0x616b3432, HEADER_V0 = 28, HEADER_V1 = 256, MOST_LAYERS = 4096 };
static const int32_t most = 1 << 20; /* of any size in the header, so that other formats' magics are not sizes */

typedef struct sizes {
    int32_t dim, hidden, layers, heads, kv_heads, vocab, context;
    bool tied;
    int version;
} sizes;

/* One run of tensors in the file. */
typedef struct part {
    const char *name;      /* with %d for the layer when there is one for each */
    bool per_layer;
    int64_t rows, columns; /* columns 0: a vector of `rows` elements */
} part;
enum { MOST_PARTS = 16 };

static size_t list_parts(part out[MOST_PARTS], const sizes *s)
{
    int64_t head = s->dim / s->heads, kv = head * s->kv_heads;
    const part embedding = {"model.embed_tokens.weight", false, s->vocab, s->dim};
    const part norm1 = {"model.layers.%d.input_layernorm.weight", true, s->dim, 0};
    const part norm2 = {"model.layers.%d.post_attention_layernorm.weight", true, s->dim, 0};
    const part last = {"model.norm.weight", false, s->dim, 0};
    const part attention[] = {
        {"model.layers.%d.self_attn.q_proj.weight", true, s->dim, s->dim},
        {"model.layers.%d.self_attn.k_proj.weight", true, kv, s->dim},
        {"model.layers.%d.self_attn.v_proj.weight", true, kv, s->dim},
        {"model.layers.%d.self_attn.o_proj.weight", true, s->dim, s->dim},
    };
    const part mlp[] = {
        {"model.layers.%d.mlp.gate_proj.weight", true, s->hidden, s->dim},
        {"model.layers.%d.mlp.down_proj.weight", true, s->dim, s->hidden},
        {"model.layers.%d.mlp.up_proj.weight", true, s->hidden, s->dim},
    };
    const part tables[] = { /* cosines and sines that were precomputed; nobody reads them */
        {"freq_cis_real", false, s->context, head / 2},
        {"freq_cis_imag", false, s->context, head / 2},
    };
    const part output = {"lm_head.weight", false, s->vocab, s->dim};
    size_t n = 0;
    if (s->version == 1) {
        out[n++] = norm1;
        out[n++] = norm2;
        out[n++] = last;
        out[n++] = embedding;
    } else {
        out[n++] = embedding;
        out[n++] = norm1;
    }
    for (int i = 0; i < 4; i++)
        out[n++] = attention[i];
    if (s->version == 0)
        out[n++] = norm2;
    for (int i = 0; i < 3; i++)
        out[n++] = mlp[i];
    if (s->version == 0) {
        out[n++] = last;
        out[n++] = tables[0];
        out[n++] = tables[1];
    }
    if (!s->tied)
        out[n++] = output;
    return n;
}

static size_t part_bytes(const part *p) /* sizes are at most 2^20 each: no overflow */
{
    return sizeof(float) * (size_t)p->rows * (size_t)(p->columns ? p->columns : 1);
}

/* Bytes of a file of these sizes. */
static size_t expected_size(const sizes *s)
{
    part parts[MOST_PARTS];
    size_t total = s->version ? HEADER_V1 : HEADER_V0, n = list_parts(parts, s);
    for (size_t i = 0; i < n; i++) /* 2^12 layers of 2^42 bytes, 16 times: below 2^63 */
        total += part_bytes(&parts[i]) * (parts[i].per_layer ? (size_t)s->layers : 1);
    return total;
}

static bool in_range(int32_t v, int32_t largest)
{
    return v >= 1 && v <= largest;
}

/* The header, if its numbers can be those of a model. */
static bool read_sizes(sizes *s, const unsigned char *p, size_t n)
{
    int32_t v[7];
    uint32_t first;
    cursor c = {p, n};
    *s = (sizes){0};
    if (!take_u32(&first, &c))
        return false;
    if (first == MAGIC) {
        uint32_t version;
        if (n < HEADER_V0 + 9 || !take_u32(&version, &c) || version != 1)
            return false;
        s->version = 1;
    } else {
        c = (cursor){p, n};
    }
    const unsigned char *numbers;
    if (!take_bytes(&numbers, &c, sizeof v))
        return false;
    memcpy(v, numbers, sizeof v);
    s->dim = v[0];
    s->hidden = v[1];
    s->layers = v[2];
    s->heads = v[3];
    s->kv_heads = v[4];
    s->tied = v[5] > 0; /* a negative vocabulary says that the unembedding is a matrix of its own */
    s->vocab = v[5] < 0 && v[5] >= -most ? -v[5] : v[5];
    s->context = v[6];
    if (s->version == 1) {
        const unsigned char *shared;
        if (v[5] < 0 || !take_bytes(&shared, &c, 1) || *shared > 1)
            return false;
        s->tied = *shared;
    }
    return in_range(s->dim, most) && in_range(s->hidden, most) && in_range(s->layers, MOST_LAYERS) &&
           in_range(s->heads, s->dim) && s->dim % s->heads == 0 && s->dim / s->heads % 2 == 0 &&
           in_range(s->kv_heads, s->heads) && s->heads % s->kv_heads == 0 && in_range(s->vocab, most) &&
           in_range(s->context, most);
}

static bool has_magic(const unsigned char *p, size_t n)
{
    uint32_t first;
    cursor c = {p, n};
    return take_u32(&first, &c) && first == MAGIC;
}

static bool llama2c_sniff(const unsigned char *head, size_t n, size_t file_size)
{
    sizes s;
    return has_magic(head, n) || (read_sizes(&s, head, n) && expected_size(&s) == file_size);
}

static int refuse_header(const mapfile *f, err *e)
{
    cursor c = {f->data, f->size};
    uint32_t magic, version;
    if (!has_magic(f->data, f->size))
        return refuse_unknown(f->data, f->size, e);
    if (take_u32(&magic, &c) && take_u32(&version, &c) && version != 1) {
        err_set(e, ERR_INPUT, "llama2.c format %u is not supported (0 and 1 are)", version);
        return err_hint(e, "export the model again: python export.py OUT.bin --version 1 ...");
    }
    return err_set(e, ERR_INPUT, "the llama2.c header holds sizes that no model has");
}

static int put_config(checkpoint *c, const sizes *s, err *e)
{
    strbuf b = {0};
    strbuf_printf(&b,
                  "{\"model_type\": \"llama\", \"hidden_size\": %d, \"intermediate_size\": %d, "
                  "\"num_hidden_layers\": %d, \"num_attention_heads\": %d, \"num_key_value_heads\": %d, "
                  "\"vocab_size\": %d, \"max_position_embeddings\": %d, \"tie_word_embeddings\": %s, "
                  "\"hidden_act\": \"silu\", \"rms_norm_eps\": 1e-05, \"rope_theta\": 10000.0, "
                  "\"attention_bias\": false, \"mlp_bias\": false, \"torch_dtype\": \"float32\"}",
                  s->dim, s->hidden, s->layers, s->heads, s->kv_heads, s->vocab, s->context,
                  s->tied ? "true" : "false");
    int rc = b.failed ? err_nomem(e, "configuration") : json_parse(&c->config, b.s, b.len, "configuration", e);
    strbuf_free(&b);
    return rc;
}

static int add_part(checkpoint *c, int file, const part *p, int layer, const unsigned char *data, err *e)
{
    char name[64];
    int n = 0;
    const char *mark = p->per_layer ? strstr(p->name, "%d") : NULL;
    if (mark)
        n = snprintf(name, sizeof name, "%.*s%d%s", (int)(mark - p->name), p->name, layer, mark + 2);
    else
        n = snprintf(name, sizeof name, "%s", p->name);
    tensor t = {.type = DT_F32, .n_dim = p->columns ? 2 : 1, .shape = {p->rows, p->columns}, .data = data};
    t.bytes = part_bytes(p);
    return checkpoint_add(c, name, (size_t)n, &t, file, e);
}

static int llama2c_read(checkpoint *c, int file, err *e)
{
    const mapfile *f = &c->files[file];
    sizes s;
    part parts[MOST_PARTS];
    if (!read_sizes(&s, f->data, f->size))
        return refuse_header(f, e);
    size_t want = expected_size(&s), at = s.version ? HEADER_V1 : HEADER_V0, n = list_parts(parts, &s);
    if (want != f->size) {
        err_set(e, ERR_INPUT, "a llama2.c file of these sizes has %zu bytes, but this one has %zu", want, f->size);
        return err_hint(e, "the download is probably incomplete; fetch the file again");
    }
    if (c->config)
        return err_set(e, ERR_INPUT, "a llama2.c model cannot be one of several files");
    int rc = put_config(c, &s, e);
    for (size_t i = 0; i < n; i++) {
        int times = parts[i].per_layer ? s.layers : 1;
        for (int l = 0; l < times && !rc; l++) {
            if (strncmp(parts[i].name, "freq_cis", 8) != 0)
                rc = add_part(c, file, &parts[i], l, f->data + at, e);
            at += part_bytes(&parts[i]);
        }
    }
    c->interleaved_rope = true;
    return rc;
}

const checkpoint_reader reader_llama2c = {
    .name = "llama2c",
    .summary = "llama2.c's float32 model file (formats 0 and 1)",
    .suffix = ".bin",
    .own_config = true,
    .sniff = llama2c_sniff,
    .read = llama2c_read,
};
