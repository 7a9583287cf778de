/* Fuzz target for the checkpoint readers: whatever the bytes, opening them ends in a checkpoint that can be
 * read throughout, or in one message.
 *
 * With libFuzzer:
 *     clang -fsanitize=fuzzer,address,undefined ... tests/fuzz_checkpoint.c && ./a.out SEEDS/
 * Without it, compiled with -DFUZZ_DRIVER, a plain program that mutates its own seeds and those named as
 * arguments, a fixed number of times with a fixed seed (FUZZ_RUNS and FUZZ_SEED change them), as one TAP
 * test.  Build it with sanitizers. */
#include "tests/checkpoint_bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile double sink;

static void open_as(const uint8_t *data, size_t size, const char *name)
{
    opened o = open_bytes(data, size, name);
    if (o.c)
        sink = touch_all(o.c);
    else if (!o.e.msg[0] || !o.e.hint[0] || (o.e.code != ERR_INPUT && o.e.code != ERR_RESOURCE))
        abort(); /* a refusal says why and what to do */
    close_bytes(&o);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    open_as(data, size, "x.gguf");        /* content decides; names only where it says nothing */
    open_as(data, size, "x.safetensors");
    return 0;
}

#ifdef FUZZ_DRIVER

enum { MOST_SEEDS = 64, LARGEST_SEED = 1 << 20, DEFAULT_RUNS = 20000 };

static strbuf seeds[MOST_SEEDS];
static int n_seed;
static uint64_t state = 20260303;

static uint64_t next(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static size_t below(size_t n)
{
    return n ? (size_t)(next() % n) : 0;
}

static void own_seeds(void)
{
    put_safetensors(&seeds[n_seed++],
                    "{\"__metadata__\":{\"format\":\"pt\"},"
                    "\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
                    "\"b\":{\"dtype\":\"F6_E2M3\",\"shape\":[4],\"data_offsets\":[24,27]},"
                    "\"none\":{\"dtype\":\"I64\",\"shape\":[0,9],\"data_offsets\":[27,27]}} ",
                    27);
    strbuf *b = &seeds[n_seed++];
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
    strbuf_puts(&seeds[n_seed++], "version https://git-lfs.github.com/spec/v1\nsize 5\n");
    strbuf_puts(&seeds[n_seed++], " \t\n                                      <html>");
}

static void file_seed(const char *path)
{
    char *text;
    size_t n;
    if (n_seed == MOST_SEEDS || read_file(&text, &n, path, LARGEST_SEED, NULL) != 0)
        return;
    seeds[n_seed++] = (strbuf){.s = text, .len = n, .cap = n};
}

/* Most changes go where the structure is: the front of the file. */
static size_t place(size_t n)
{
    return below(next() % 8 ? (n < 512 ? n : 512) : n);
}

/* One change of a kind that damages structure: bits, bytes, hard numbers, digits, cuts, copies. */
static void mutate(strbuf *b)
{
    static const uint64_t hard[] = {
        0, 1, 31, 32, 63, 64, 127, 128, 255, 256, 0x7fffffff, 0x80000000, 0xffffffff, 1ull << 32, 1ull << 61,
        1ull << 62, INT64_MAX, 1ull << 63, UINT64_MAX - 31, UINT64_MAX,
    };
    if (!b->len)
        return;
    size_t at = place(b->len), left = b->len - at;
    uint64_t v = hard[below(sizeof hard / sizeof *hard)];
    switch (next() % 8) {
    case 0:
        b->s[at] = (char)(b->s[at] ^ 1 << below(8));
        break;
    case 1:
        b->s[at] = (char)next();
        break;
    case 2:
        memcpy(b->s + at, &v, left < 8 ? left : 8);
        break;
    case 3:
        memcpy(b->s + at, &v, left < 4 ? left : 4);
        break;
    case 4: { /* another JSON character */
        static const char marks[] = "0123456789-.eE\"\\{}[]:,untrfal \x80\xff";
        b->s[at] = marks[below(sizeof marks - 1)];
        break;
    }
    case 5:
        b->len = at;
        break;
    case 6: { /* a part of the file over another */
        size_t from = place(b->len), n = 1 + below(32);
        n = n < left ? n : left;
        n = n < b->len - from ? n : b->len - from;
        memmove(b->s + at, b->s + from, n);
        break;
    }
    default: { /* bytes taken out */
        size_t n = 1 + below(16);
        n = n < left ? n : left;
        memmove(b->s + at, b->s + at + n, left - n);
        b->len -= n;
    }
    }
}

int main(int argc, char **argv)
{
    const char *runs_text = getenv("FUZZ_RUNS"), *seed_text = getenv("FUZZ_SEED");
    long runs = runs_text ? atol(runs_text) : DEFAULT_RUNS;
    if (seed_text && atol(seed_text))
        state = (uint64_t)atol(seed_text);
    own_seeds();
    for (int i = 1; i < argc; i++)
        file_seed(argv[i]);
    printf("1..1\n");
    for (int i = 0; i < n_seed; i++)
        LLVMFuzzerTestOneInput((const uint8_t *)seeds[i].s, seeds[i].len);
    for (long i = 0; i < runs; i++) {
        const strbuf *seed = &seeds[i % n_seed];
        strbuf b = {0};
        strbuf_add(&b, seed->s, seed->len);
        for (size_t k = 1 + below(4); k; k--)
            mutate(&b);
        LLVMFuzzerTestOneInput((const uint8_t *)b.s, b.len);
        strbuf_free(&b);
    }
    printf("ok 1 - %ld damaged checkpoints of %d seeds\n", runs, n_seed);
    for (int i = 0; i < n_seed; i++)
        strbuf_free(&seeds[i]);
    return 0;
}

#endif
