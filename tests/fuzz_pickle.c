/* Fuzz target for the PyTorch reader: whatever the bytes, reading them ends in tensors that can be read
 * throughout, or in one message; within memory that the size of the file bounds.  How to build and run it:
 * tests/fuzz_checkpoint.c. */
#include "tests/torch_bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile double sink;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    opened o = open_bytes(data, size, "x.pt");
    if (o.c)
        sink = touch_all(o.c);
    else if (!o.e.msg[0] || !o.e.hint[0] || o.e.code != ERR_INPUT)
        abort(); /* a refusal says why and what to do */
    close_bytes(&o);
    return 0;
}

#ifdef FUZZ_DRIVER

#include "tests/fuzz_driver.h"

/* An object with something of everything that is allowed. */
static void rich_pickle(strbuf *p, bool more)
{
    OPS(p, PROTO "}q\1(");
    op_text(p, "epoch"), OPS(p, "K\3");
    op_text(p, "lr"), OPS(p, "G\x3f\xf8\0\0\0\0\0\0");
    op_text(p, "n"), OPS(p, "(M\1\2J\xff\xff\xff\xff\x8a\1\5N\x88\x89)\x8fU\2abt");
    op_text(p, "l"), OPS(p, "]q\2(h\1h\2h\1\x85h\1h\2\x86h\1h\1h\2\x87" "e");
    op_text(p, "d"), op_global(p, "torch", "device"), op_text(p, "cpu"), OPS(p, "\x85R");
    op_text(p, "s"), op_global(p, "torch", "Size"), OPS(p, "K\1\x85\x85R");
    OPS(p, "u");
    op_text(p, "state_dict");
    op_global(p, "collections", "OrderedDict"), OPS(p, ")R");
    op_vector(p, "a", "ByteStorage", "0", 8);
    op_text(p, "t");
    op_tensor(p, "ByteStorage", "0", 8, 1, 2, (int64_t[]){3, 2}, (int64_t[]){1, 3});
    OPS(p, "s");
    op_text(p, "e");
    op_tensor(p, "ByteStorage", "0", 8, 0, 3, (int64_t[]){2, 0, 3}, (int64_t[]){1, 0, 3});
    OPS(p, "s");
    if (more) {
        op_text(p, "h");
        op_global(p, "torch._utils", "_rebuild_tensor_v3"), OPS(p, "(");
        op_storage(p, "UntypedStorage", "0", 8);
        OPS(p, "K\0K\4\x85K\1\x85\x89}"), op_global(p, "torch", "bfloat16"), OPS(p, "tRs");
        op_text(p, "p");
        op_global(p, "torch._utils", "_rebuild_parameter"), OPS(p, "(");
        op_tensor(p, "FloatStorage", "0", 2, 1, 0, NULL, NULL);
        OPS(p, "\x88N" "tRs");
    }
    OPS(p, "}");
    op_text(p, "_metadata"), OPS(p, "}sbs.");
}

/* Without a checksum for the pickle, which would stop most changes. */
static void add_archive(const strbuf *p, bool deflate, bool byteorder)
{
    zip_bytes z = {0};
    zip_put(&z, &(zip_entry){.name = "m/data.pkl", .bytes = p->s, .n = p->len, .no_crc = true});
    if (byteorder)
        zip_put(&z, &(zip_entry){.name = "m/byteorder", .bytes = "little", .n = 6});
    zip_put(&z, &(zip_entry){.name = "m/data/0", .bytes = counting(), .n = 8, .deflate = deflate});
    zip_finish(&z);
    fuzz_seed_bytes(z.b.s, z.b.len);
    zip_bytes_free(&z);
}

static void own_seeds(void)
{
    strbuf p = {0};
    OPS(&p, PROTO "}");
    op_vector(&p, "w", "ByteStorage", "0", 8);
    OPS(&p, ".");
    add_archive(&p, false, false);
    strbuf_clear(&p);
    rich_pickle(&p, true);
    add_archive(&p, false, false);
    add_archive(&p, true, true);
    strbuf_free(&p);

    for (int i = 0; i < 2; i++) {
        strbuf *b = fuzz_seed();
        stream_head(b, true);
        if (i) {
            rich_pickle(b, false);
        } else {
            OPS(b, PROTO "}");
            op_vector(b, "w", "ByteStorage", "0", 8);
            OPS(b, ".");
        }
        stream_tail(b, 1, (const char *const[]){"0"}, 8, 8);
    }
}

int main(int argc, char **argv)
{
    static const char *const words[] = {
        "(", ")", ".", "N", "Q", "R", "]", "a", "b", "e", "s", "t", "u", "}", "\x81", "\x85", "\x86", "\x87",
        "\x88", "\x8f", "K\1", "h\1", "h\2", "q\1", "q\2", "]q\1", "}q\2", "K\1\x85", "\x8a\1\xff",
        "J\xff\xff\xff\xff", "X\1\1\1\1", "ctorch\nSize\n", "ctorch\nint8\n", "ctorch\nByteStorage\n",
        "ccollections\nOrderedDict\n)R", "ctorch._utils\n_rebuild_tensor\n", NULL,
    };
    fuzz_words = words;
    own_seeds();
    for (int i = 0; i < fuzz_n_seed; i++) { /* seeds that are refused at once would test nothing */
        opened o = open_bytes(fuzz_seeds[i].s, fuzz_seeds[i].len, "seed");
        if (!o.c)
            fprintf(stderr, "seed %d: %s\n", i, o.e.msg);
        if (!o.c)
            return 1;
        close_bytes(&o);
    }
    return fuzz_main(argc, argv, "damaged PyTorch files");
}

#endif
