/* Fuzz target for llama2.c files: the input is a file, and also a header to which as many bytes are added (or from
 * which as many are taken) as its sizes ask for.  How to build and run it: tests/fuzz_checkpoint.c. */
#include "tests/checkpoint_bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { MOST_BYTES = 6144 };
    uint32_t first = 0;
    if (size >= 4)
        memcpy(&first, data, 4);
    if (first > 1 << 20 && first != 0x616b3432) /* other readers have their own targets */
        return 0;
    opened o = open_bytes(data, size, "x.bin");
    const char *wants = o.c ? NULL : strstr(o.e.msg, "of these sizes has ");
    size_t want = wants ? strtoull(wants + strlen("of these sizes has "), NULL, 10) : 0;
    close_bytes(&o);
    if (!want)
        open_or_explain(data, size, "x.bin");
    if (want && want <= MOST_BYTES) {
        strbuf b = {0};
        strbuf_add(&b, data, size < want ? size : want);
        put_zeros(&b, want - b.len);
        open_or_explain(b.s, b.len, "x.bin");
        strbuf_free(&b);
    }
    return 0;
}

#ifdef FUZZ_DRIVER

#include "tests/fuzz_driver.h"
#include "tests/llama2c_bytes.h"

int main(int argc, char **argv)
{
    for (int version = 0; version < 2; version++)
        for (int tied = 0; tied < 2; tied++)
            *fuzz_seed() = llama2c_file(version, tied);
    return fuzz_main(argc, argv, "damaged llama2.c files");
}

#endif
