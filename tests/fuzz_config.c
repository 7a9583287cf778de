/* Fuzz target for config.json: the input is a configuration, put beside the tensors of a very small llama.  Whatever
 * it says, it ends in a model, or in one message with a hint.  How to build and run it: tests/fuzz_checkpoint.c;
 * configurations of real models of every family make good further seeds. */
#include "model/model.h"
#include "tests/checkpoint_bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { WIDTH = 8, HIDDEN = 12, VOCAB = 6, HEAD = 4 };

static void put_tensor(strbuf *header, size_t *at, const char *name, int64_t rows, int64_t columns)
{
    size_t bytes = 4 * (size_t)rows * (size_t)(columns ? columns : 1);
    strbuf_printf(header, "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[%lld", header->len > 1 ? "," : "", name, (long long)rows);
    if (columns)
        strbuf_printf(header, ",%lld", (long long)columns);
    strbuf_printf(header, "],\"data_offsets\":[%zu,%zu]}", *at, *at + bytes);
    *at += bytes;
}

/* A llama of two heads over one key/value head in one layer. */
static const strbuf *weights(void)
{
    static strbuf file;
    strbuf header = {0};
    size_t n = 0;
    if (file.len)
        return &file;
    strbuf_putc(&header, '{');
    put_tensor(&header, &n, "model.embed_tokens.weight", VOCAB, WIDTH);
    put_tensor(&header, &n, "model.norm.weight", WIDTH, 0);
    put_tensor(&header, &n, "model.layers.0.input_layernorm.weight", WIDTH, 0);
    put_tensor(&header, &n, "model.layers.0.post_attention_layernorm.weight", WIDTH, 0);
    put_tensor(&header, &n, "model.layers.0.self_attn.q_proj.weight", WIDTH, WIDTH);
    put_tensor(&header, &n, "model.layers.0.self_attn.k_proj.weight", HEAD, WIDTH);
    put_tensor(&header, &n, "model.layers.0.self_attn.v_proj.weight", HEAD, WIDTH);
    put_tensor(&header, &n, "model.layers.0.self_attn.o_proj.weight", WIDTH, WIDTH);
    put_tensor(&header, &n, "model.layers.0.mlp.gate_proj.weight", HIDDEN, WIDTH);
    put_tensor(&header, &n, "model.layers.0.mlp.up_proj.weight", HIDDEN, WIDTH);
    put_tensor(&header, &n, "model.layers.0.mlp.down_proj.weight", WIDTH, HIDDEN);
    strbuf_putc(&header, '}');
    put_safetensors(&file, strbuf_str(&header), n);
    strbuf_free(&header);
    return &file;
}

static void must_explain(const err *e)
{
    if (!e->msg[0] || (e->code != ERR_INPUT && e->code != ERR_RESOURCE))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const strbuf *w = weights();
    checkpoint *c = NULL;
    model *m = NULL;
    err e = {0};
    if (checkpoint_open_memory(&c, w->s, w->len, "x.safetensors", &e))
        abort();
    if (json_parse(&c->config, (const char *)data, size, "config.json", &e)) {
        must_explain(&e);
        checkpoint_close(c);
        return 0;
    }
    if (model_from_checkpoint(&m, c, &e)) {
        must_explain(&e);
        return 0;
    }
    model_free(m);
    return 0;
}

#ifdef FUZZ_DRIVER

#include "tests/fuzz_driver.h"

static void own_seeds(void)
{
    static const char *const words[] = {
        "\"rope_scaling\":{\"rope_type\":\"yarn\",\"factor\":4.0},", "\"rope_type\":\"llama3\"", "\"type\":\"linear\"",
        "\"model_type\":\"gpt2\"", "\"model_type\":\"mistral\"", "\"sliding_window\":4,", "\"head_dim\":4,", "null",
        "true", "false", "0", "-1", "1e308", "1e-320", "9223372036854775807", "2147483648", "0.5", "[]", "{}", "\"\"",
        "\"num_hidden_layers\":", "\"vocab_size\":", "\"layer_types\":[\"sliding_attention\"],", NULL,
    };
    fuzz_words = words;
    strbuf_puts(fuzz_seed(),
                "{\"model_type\":\"llama\",\"hidden_size\":8,\"intermediate_size\":12,\"num_hidden_layers\":1,"
                "\"num_attention_heads\":2,\"num_key_value_heads\":1,\"vocab_size\":6,\"max_position_embeddings\":16,"
                "\"rms_norm_eps\":1e-5,\"rope_theta\":10000.0,\"hidden_act\":\"silu\",\"tie_word_embeddings\":true,"
                "\"attention_bias\":false,\"rope_scaling\":null}");
    strbuf_puts(fuzz_seed(),
                "{\"model_type\":\"llama\",\"hidden_size\":8,\"intermediate_size\":12,\"num_hidden_layers\":1,"
                "\"num_attention_heads\":2,\"num_key_value_heads\":1,\"vocab_size\":6,\"max_position_embeddings\":16,"
                "\"rms_norm_eps\":1e-5,\"tie_word_embeddings\":true,\"rope_scaling\":{\"rope_type\":\"llama3\","
                "\"factor\":8.0,\"low_freq_factor\":1.0,\"high_freq_factor\":4.0,"
                "\"original_max_position_embeddings\":8}}");
    strbuf_puts(fuzz_seed(),
                "{\"model_type\":\"gpt2\",\"n_embd\":8,\"n_head\":2,\"n_layer\":1,\"n_positions\":16,\"vocab_size\":6,"
                "\"layer_norm_epsilon\":1e-5,\"activation_function\":\"gelu_new\"}");
}

int main(int argc, char **argv)
{
    own_seeds();
    return fuzz_main(argc, argv, "damaged configurations");
}

#endif
