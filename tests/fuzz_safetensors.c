/* Fuzz target for safetensors: the input is a file, and also, up to its first NUL, a header to which the right
 * length and the data that it asks for are added, so that changes reach what the header says.
 *
 * How to build and run it: tests/fuzz_checkpoint.c. */
#include "tests/checkpoint_bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { MOST_DATA = 4096 };
    if (size >= 9 && data[8] == '{') /* other readers have their own targets */
        open_or_explain(data, size, "x.safetensors");

    const uint8_t *text = data;
    size_t n = size;
    if (size > 8 && data[8] == '{') { /* a whole file: its header alone */
        text += 8;
        n -= 8;
    }
    if (!n || *text != '{')
        return 0;
    const uint8_t *nul = memchr(text, 0, n);
    n = nul ? (size_t)(nul - text) : n;
    strbuf b = {0};
    put_u64(&b, n);
    strbuf_add(&b, text, n);
    open_or_explain(b.s, b.len, "x.safetensors");
    /* once more with the data that is missing, as the refusal counts it */
    opened o = open_bytes(b.s, b.len, "x.safetensors");
    const char *wants = o.c ? NULL : strstr(o.e.msg, "the data should have ");
    size_t want = wants ? strtoull(wants + strlen("the data should have "), NULL, 10) : 0;
    close_bytes(&o);
    if (want && want <= MOST_DATA) {
        put_zeros(&b, want);
        open_or_explain(b.s, b.len, "x.safetensors");
    }
    strbuf_free(&b);
    return 0;
}

#ifdef FUZZ_DRIVER

#include "tests/fuzz_driver.h"

static void own_seeds(void)
{
    static const char *const words[] = {
        "\"dtype\":\"F32\"", "\"F6_E2M3\"", "\"F4\"", "\"BF16\"", "\"U64\"", "\"BOOL\"", "\"shape\":[", "\"shape\":[0]",
        "\"data_offsets\":[0,", "\"__metadata__\":{", "18446744073709551615", "9223372036854775807", "4294967296",
        "-1", "1e3", "0.0", "null", "true", "\\u0000", "\\ud800", "\\u0061", "\"a\":{", "[[[[", "{}", "[]", "]}", ",",
        NULL,
    };
    fuzz_words = words;
    put_safetensors(fuzz_seed(),
                    "{\"__metadata__\":{\"format\":\"pt\"},"
                    "\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
                    "\"b\":{\"dtype\":\"F6_E2M3\",\"shape\":[4],\"data_offsets\":[24,27]},"
                    "\"none\":{\"dtype\":\"I64\",\"shape\":[0,9],\"data_offsets\":[27,27]}} ",
                    27);
    put_safetensors(fuzz_seed(), "{\"a\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,4]},"
                                 "\"b\":{\"dtype\":\"F8_E4M3\",\"shape\":[1,4],\"data_offsets\":[4,8]}}", 8);
    put_safetensors(fuzz_seed(), "{}", 0);
}

int main(int argc, char **argv)
{
    own_seeds();
    return fuzz_main(argc, argv, "damaged safetensors files");
}

#endif
