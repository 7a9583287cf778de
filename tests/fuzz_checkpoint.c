/* Fuzz target for opening files of any format: whatever the bytes, it ends in a checkpoint that can be read
 * throughout, or in one message.  The readers have targets of their own, which go deeper.
 *
 * With libFuzzer:
 *     clang -fsanitize=fuzzer,address,undefined ... tests/fuzz_checkpoint.c && ./a.out SEEDS/
 * Without it, compiled with -DFUZZ_DRIVER, a plain program: see tests/fuzz_driver.h.  Build it with sanitizers. */
#include "tests/checkpoint_bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    open_or_explain(data, size, "x.gguf"); /* content decides; names only where it says nothing */
    open_or_explain(data, size, "x.bin");
    return 0;
}

#ifdef FUZZ_DRIVER

#include "tests/fuzz_driver.h"
#include "tests/llama2c_bytes.h"
#include "tests/test_base_npz_samples.h"

static void own_seeds(void)
{
    put_safetensors(fuzz_seed(), "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]}}", 24);
    strbuf *b = fuzz_seed();
    put_gguf_header(b, 3, 1, 1);
    put_kv_string(b, "general.architecture", "llama");
    put_tensor_info(b, "w", 2, (uint64_t[]){32, 3}, 8, 0);
    put_padding(b, 32);
    put_zeros(b, 102);
    *fuzz_seed() = llama2c_file(0, true);
    fuzz_seed_bytes(numpy_stored, sizeof numpy_stored);
    fuzz_seed_bytes(numpy_fortran, sizeof numpy_fortran);
    fuzz_seed_bytes("\x80\2}q\0.", 6);
    strbuf_puts(fuzz_seed(), "version https://git-lfs.github.com/spec/v1\nsize 5\n");
    strbuf_puts(fuzz_seed(), " \t\n                                      <html>");
    strbuf_puts(fuzz_seed(), "{\"model_type\": \"llama\", \"hidden_size\": 64}");
}

int main(int argc, char **argv)
{
    own_seeds();
    return fuzz_main(argc, argv, "damaged checkpoints");
}

#endif
