/* Fuzz target for vocabulary files that are not JSON: SentencePiece models, tiktoken files, llama2.c's
 * tokenizer.bin, told apart by their content.  Opening ends in a tokenizer that encodes and decodes, or in a
 * message.  How to build and run it: tests/fuzz_tokenizer.c. */
#include "tests/fuzz_tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const tokenizer_options any = { .pattern = NULL }, odd = { .pattern = "cl100k" };
    tokenizer *t;
    err e = { 0 };

    if (size && (data[0] == '{' || data[0] == '[')) /* JSON has its own target */
        return 0;
    int rc = tokenizer_from_bytes(&t, data, size, "file", size % 2 ? &any : &odd, &e);
    use_opened(rc, t, &e, data, size);
    return 0;
}

#ifdef FUZZ_DRIVER

#include "tests/fuzz_driver.h"
#include "tests/spm_bytes.h"

static void put_model(int type, bool fallback, bool map)
{
    strbuf *b = fuzz_seed();
    put_piece(b, "<unk>", 0, 2), put_piece(b, "<s>", 0, 3), put_piece(b, "</s>", 0, 3);
    for (int i = 0; fallback && i < 256; i += 51) {
        char name[8];
        snprintf(name, sizeof name, "<0x%02X>", (unsigned)i);
        put_piece(b, name, 0, 6);
    }
    put_piece(b, "\xe2\x96\x81", -3, 1), put_piece(b, "h", -4, 1), put_piece(b, "e", -5, 1);
    put_piece(b, "l", -5.5f, 1), put_piece(b, "he", -1, 1), put_piece(b, "ll", -2, 5);
    put_piece(b, "hell", -2.5f, 1), put_piece(b, "@@", 0, 4), put_piece(b, "\xe2\x96\x81he", -1.5f, 1);
    put_trainer(b, type, fallback, false);
    if (map)
        put_normalizer(b, small_charsmap, sizeof small_charsmap, true, true, true);
    else
        put_normalizer(b, NULL, 0, true, false, true);
}

static void own_seeds(void)
{
    static const char *const words[] = {
        "<0x41>", "\xe2\x96\x81", "\n\x05\n\x01", "\x18\x06", "\x18\x04", "\x18\x05", "<unk>", "IQ== 0\n", "aGU= 300\n", NULL,
    };
    fuzz_words = words;
    put_model(1, false, true);
    put_model(2, true, false);
    put_model(1, true, false);
    put_model(2, false, true);
    strbuf *b = fuzz_seed();
    strbuf_puts(b, "YQ== 0\nYg== 1\nYWI= 2\nIA== 3\nYWJh 4\nIGE= 5\n4oGH 6\n");
    b = fuzz_seed();
    put_llama2c_tokenizer(b, 264);
}

int main(int argc, char **argv)
{
    own_seeds();
    return fuzz_main(argc, argv, "damaged vocabulary files");
}

#endif
