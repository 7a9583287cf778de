/* Fuzz target for GGUF: the input is a file, if it begins like one.  How to build and run it: tests/fuzz_checkpoint.c. */
#include "tests/checkpoint_bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size >= 4 && memcmp(data, "GGUF", 4) == 0) /* other readers have their own targets */
        open_or_explain(data, size, "x.gguf");
    return 0;
}

#ifdef FUZZ_DRIVER

#include "tests/fuzz_driver.h"

static void own_seeds(void)
{
    static const char *const words[] = {
        "GGUF", "general.alignment", "split.count", "split.no", "general.architecture", "tokenizer.ggml.tokens", NULL,
    };
    fuzz_words = words;
    strbuf *b = fuzz_seed();
    put_gguf_header(b, 3, 3, 6);
    put_kv_string(b, "general.architecture", "llama");
    put_kv_u32(b, "general.alignment", 8);
    put_key(b, "k.bool", GGUF_BOOL), strbuf_putc(b, 1);
    put_key(b, "k.f64", GGUF_F64), put_u64(b, 0);
    put_kv_array(b, "k.texts", GGUF_STRING, 3), put_string(b, "a"), put_string(b, ""), put_string(b, "bc");
    put_kv_array(b, "k.u16", GGUF_U16, 4), put_u64(b, 1);
    put_tensor_info(b, "w", 2, (uint64_t[]){32, 3}, 8, 0);
    put_tensor_info(b, "norm", 1, (uint64_t[]){4}, 0, 104);
    put_tensor_info(b, "none", 4, (uint64_t[]){2, 0, 3, 1}, 1, 120);
    put_padding(b, 8);
    put_zeros(b, 120);

    b = fuzz_seed(); /* every value type, and bool arrays */
    put_gguf_header(b, 2, 0, 13);
    for (uint32_t t = 0; t < GGUF_TYPE_COUNT; t++) {
        char key[] = "a";
        key[0] = (char)('a' + t);
        if (t == GGUF_ARRAY) {
            put_kv_array(b, key, GGUF_BOOL, 3), strbuf_add(b, "\0\1\0", 3);
            continue;
        }
        if (t == GGUF_STRING) {
            put_kv_string(b, key, "text");
            continue;
        }
        static const unsigned char bytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
        put_key(b, key, t);
        put_zeros(b, bytes[t]);
    }

    b = fuzz_seed(); /* blocks of several kinds, at the default alignment */
    put_gguf_header(b, 3, 4, 1);
    put_key(b, "split.count", GGUF_U16), strbuf_add(b, "\1\0", 2);
    put_tensor_info(b, "q4_0", 1, (uint64_t[]){64}, 2, 0);   /* 36 bytes */
    put_tensor_info(b, "q6_k", 1, (uint64_t[]){256}, 14, 64); /* 210 */
    put_tensor_info(b, "mxfp4", 1, (uint64_t[]){32}, 39, 288); /* 17 */
    put_tensor_info(b, "bf16", 1, (uint64_t[]){3}, 30, 320);
    put_padding(b, 32);
    put_zeros(b, 326);
}

int main(int argc, char **argv)
{
    own_seeds();
    return fuzz_main(argc, argv, "damaged GGUF files");
}

#endif
