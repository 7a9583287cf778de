/* Every published defect of GGUF readers, and every file of the format's handcrafted test list, as one small
 * file with the one message that it must end in.  (What concerns tokens and families stands with their tests.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/checkpoint_bytes.h"

enum { F32 = 0, F16 = 1, Q4_0 = 2, I8 = 24 }; /* tensor type ids */

/* ---- small files; each takes the number that matters ---- */

static void tensor_count(strbuf *b, uint64_t v)
{
    put_gguf_header(b, 3, v, 0);
}

static void key_count(strbuf *b, uint64_t v)
{
    put_gguf_header(b, 3, 0, v);
}

static void version(strbuf *b, uint64_t v)
{
    put_gguf_header(b, (uint32_t)v, 0, 0);
}

static void magic(strbuf *b, uint64_t v)
{
    put_gguf_header(b, 3, 0, 0);
    memcpy(b->s, &v, 4);
}

static void prefix(strbuf *b, uint64_t v)
{
    put_gguf_header(b, 3, 0, 0);
    b->len = v;
}

/* One entry of many that are declared, in a file that could hold them all. */
static void end_of_keys(strbuf *b, uint64_t v)
{
    put_gguf_header(b, 3, 0, v);
    put_kv_u32(b, "a", 1);
    put_kv_u32(b, "bbbbbbbbbbbbbbbbbbbb", 2);
}

static void key_length(strbuf *b, uint64_t v)
{
    put_gguf_header(b, 3, 0, 1);
    put_u64(b, v);
    put_zeros(b, 16);
}

static void string_length(strbuf *b, uint64_t v)
{
    put_gguf_header(b, 3, 0, 1);
    put_key(b, "k", GGUF_STRING);
    put_u64(b, v);
    put_zeros(b, 16);
}

static void empty_key(strbuf *b, uint64_t v)
{
    put_gguf_header(b, 3, 0, 1);
    put_kv_u32(b, "", (uint32_t)v);
}

static void value_type(strbuf *b, uint64_t v)
{
    put_gguf_header(b, 3, 0, 1);
    put_key(b, "k", (uint32_t)v);
    put_zeros(b, 16);
}

static void array_type(strbuf *b, uint64_t v)
{
    put_gguf_header(b, 3, 0, 1);
    put_kv_array(b, "k", (uint32_t)v, 1);
    put_zeros(b, 16);
}

static void array_f64(strbuf *b, uint64_t v)
{
    put_gguf_header(b, 3, 0, 1);
    put_kv_array(b, "k", GGUF_F64, v);
    put_zeros(b, 64);
}

static void array_u8(strbuf *b, uint64_t v)
{
    put_gguf_header(b, 3, 0, 1);
    put_kv_array(b, "k", GGUF_U8, v);
    put_zeros(b, 64);
}

static void array_string(strbuf *b, uint64_t v)
{
    put_gguf_header(b, 3, 0, 1);
    put_kv_array(b, "k", GGUF_STRING, v);
    put_zeros(b, 64);
}

/* The third token of a vocabulary claims v bytes. */
static void token_length(strbuf *b, uint64_t v)
{
    put_gguf_header(b, 3, 0, 1);
    put_kv_array(b, "tokenizer.ggml.tokens", GGUF_STRING, 3);
    put_string(b, "<s>"), put_string(b, "a");
    put_u64(b, v);
    put_zeros(b, 32);
}

static void duplicate_key(strbuf *b, uint64_t v)
{
    put_gguf_header(b, 3, 0, 2);
    put_kv_u32(b, "k", (uint32_t)v);
    put_kv_string(b, "k", "again");
}

static void alignment(strbuf *b, uint64_t v)
{
    put_gguf_header(b, 3, 0, 1);
    put_kv_u32(b, "general.alignment", (uint32_t)v);
}

/* v: the type of a good alignment. */
static void alignment_type(strbuf *b, uint64_t v)
{
    put_gguf_header(b, 3, 0, 1);
    if (v == GGUF_STRING) {
        put_kv_string(b, "general.alignment", "32");
        return;
    }
    put_key(b, "general.alignment", (uint32_t)v);
    put_u64(b, 32);
}

/* ---- tensors ---- */

static void one(strbuf *b, uint32_t n_dim, const uint64_t *dims, uint32_t type, uint64_t offset, size_t n_data)
{
    put_gguf_header(b, 3, 1, 0);
    put_tensor_info(b, "t", n_dim, dims, type, offset);
    put_padding(b, 32);
    put_zeros(b, n_data);
}

static void name_length(strbuf *b, uint64_t v)
{
    put_gguf_header(b, 3, 1, 0);
    put_u64(b, v);
    for (uint64_t i = 0; i < v && i < 128; i++)
        strbuf_putc(b, 'n');
    put_u32(b, 1), put_u64(b, 4), put_u32(b, I8), put_u64(b, 0);
    put_padding(b, 32);
    put_zeros(b, 4);
}

static void dimensions(strbuf *b, uint64_t v)
{
    put_gguf_header(b, 3, 1, 0);
    put_string(b, "t");
    put_u32(b, (uint32_t)v);
    put_zeros(b, 128);
}

static void tensor_type(strbuf *b, uint64_t v)
{
    one(b, 1, (uint64_t[]){256}, (uint32_t)v, 0, 4096);
}

static void dimension_f32(strbuf *b, uint64_t v)
{
    one(b, 1, &v, F32, 0, 64);
}

static void dimension_q4_0(strbuf *b, uint64_t v)
{
    one(b, 1, &v, Q4_0, 0, 64);
}

static void squared(strbuf *b, uint64_t v)
{
    one(b, 2, (uint64_t[]){v, v}, I8, 0, 64);
}

/* Exabytes by the logical shape, a few bytes in the file. */
static void squared_q4_0(strbuf *b, uint64_t v)
{
    one(b, 2, (uint64_t[]){v, v}, Q4_0, 0, 64);
}

static void zero_dimension(strbuf *b, uint64_t v)
{
    uint64_t dims[] = {3, 3, 3, 3};
    dims[v] = 0;
    one(b, 4, dims, F32, 8, 0); /* the offset is wrong: the zero itself must not divide anything */
}

static void offset(strbuf *b, uint64_t v)
{
    one(b, 1, (uint64_t[]){4}, F32, v, 64);
}

static void duplicate_name(strbuf *b, uint64_t v)
{
    put_gguf_header(b, 3, 2, 0);
    put_tensor_info(b, "t", 1, (uint64_t[]){v}, I8, 0);
    put_tensor_info(b, "t", 1, (uint64_t[]){v}, I8, 32);
    put_padding(b, 32);
    put_zeros(b, 64);
}

/* Two tensors whose padded sizes wrap when added. */
static void size_sum(strbuf *b, uint64_t v)
{
    put_gguf_header(b, 3, 3, 0);
    put_tensor_info(b, "a", 1, &v, I8, 0);
    put_tensor_info(b, "b", 1, &v, I8, v);
    put_tensor_info(b, "c", 1, (uint64_t[]){256}, I8, 2 * v);
    put_padding(b, 32);
    put_zeros(b, 256);
}

/* f32 elements of which the file holds 16 (64 bytes). */
static void elements(strbuf *b, uint64_t v)
{
    one(b, 1, &v, F32, 0, 64);
}

/* Data aligned to v, while the file says nothing (32). */
static void inconsistent_alignment(strbuf *b, uint64_t v)
{
    put_gguf_header(b, 3, 2, 0);
    put_tensor_info(b, "a", 1, (uint64_t[]){4}, I8, 0);
    put_tensor_info(b, "b", 1, (uint64_t[]){4}, I8, v);
    put_padding(b, 32);
    put_zeros(b, 256);
}

#define SHORT "does not fit in the"
#define PAST "runs past the end of the file"
#define ALIGNMENT "not a power of two up to 1048576"

static const struct {
    const char *id;
    void (*make)(strbuf *b, uint64_t v);
    uint64_t v;
    const char *message;
} defects[] = {
    /* published vulnerabilities and fixes */
    {"CVE-2024-21836", tensor_count, 1ull << 60, "declares 1152921504606846976 tensors, more than its 24 bytes"},
    {"CVE-2024-21836", tensor_count, UINT64_MAX, "declares 18446744073709551615 tensors"},
    {"CVE-2024-23496", key_length, UINT64_MAX, "key: a string of 18446744073709551615 bytes " SHORT},
    {"CVE-2024-23496", string_length, 1ull << 63, "a string of 9223372036854775808 bytes " SHORT},
    {"CVE-2024-23496", string_length, 17, "a string of 17 bytes does not fit in the 16 bytes left"},
    {"CVE-2024-23496", name_length, UINT64_MAX, "the name is 18446744073709551615 bytes long"},
    {"CVE-2024-21802", dimensions, 5, "5 dimensions (at most 4)"},
    {"CVE-2024-21802", dimensions, UINT32_MAX, "4294967295 dimensions (at most 4)"},
    {"CVE-2024-21825", array_f64, 1ull << 61, "an array of 2305843009213693952 f64 values " SHORT},
    {"CVE-2024-21825", array_string, 1ull << 62, "an array of 4611686018427387904 string values " SHORT},
    {"CVE-2024-21825", array_u8, UINT64_MAX, "an array of 18446744073709551615 u8 values " SHORT},
    {"CVE-2024-23605", key_count, 1ull << 60, "declares 1152921504606846976 metadata entries"},
    {"CVE-2024-23605", key_count, UINT64_MAX, "declares 18446744073709551615 metadata entries"},
    {"CVE-2024-25664", key_count, (1ull << 60) + 1, "declares 1152921504606846977 metadata entries"},
    {"CVE-2024-25665", string_length, UINT64_MAX - 1, "a string of 18446744073709551614 bytes " SHORT},
    {"CVE-2024-25666", tensor_count, (1ull << 60) + 1, "declares 1152921504606846977 tensors"},
    {"CVE-2024-25667", array_f64, 9, "an array of 9 f64 values does not fit in the 64 bytes left"},
    {"CVE-2024-25668", array_string, 9, "an array of 9 string values does not fit in the 64 bytes left"},
    {"2023, endless loop", key_count, 1ull << 40, "declares 1099511627776 metadata entries"},
    {"2023, read after the end", end_of_keys, 3, "metadata entry 2: key: the metadata runs past the end"},
    {"2023, bad magic", magic, 0x46554746, "(it begins with the bytes 46 47 55 46"},
    {"CVE-2024-32878", value_type, GGUF_TYPE_COUNT, "metadata \"k\": unknown value type 13"},
    {"CVE-2024-41130", name_length, 0, "tensor 0: the name is 0 bytes long"},
    {"2024-04-28, names twice", duplicate_name, 32, "tensor \"t\" appears twice"},
    {"2024-10-31, long names", name_length, 64, "tensor 0: the name is 64 bytes long (1 to 63)"},
    {"2024-10-31, long names", name_length, 65, "tensor 0: the name is 65 bytes long"},
    {"2024-10-31, long names", name_length, 1000000, "tensor 0: the name is 1000000 bytes long"},
    {"CVE-2025-53630", size_sum, 0x7fffffffffffffc0, PAST},
    {"CVE-2026-27940", dimension_f32, (UINT64_MAX - 4096) / 4 & ~63ull, PAST},
    {"CVE-2026-33298", dimension_f32, 1ull << 62, "more bytes than can be counted"},
    {"CVE-2026-33298", squared_q4_0, 1ull << 31, PAST},
    {"418dea3, negative type", tensor_type, UINT32_MAX, "tensor \"t\": unknown tensor type 4294967295"},
    {"418dea3, type past the end", tensor_type, 43, "tensor \"t\": unknown tensor type 43"},
    {"418dea3, type past the end", tensor_type, 0x7fffffff, "unknown tensor type 2147483647"},
    {"418dea3, removed types", tensor_type, 4, "tensor type 4 was removed from GGUF"},
    {"418dea3, removed types", tensor_type, 31, "tensor type 31 was removed from GGUF"},
    {"418dea3, exhaustion", array_string, 1ull << 31, "an array of 2147483648 string values " SHORT},
    {"d8a8bea, zero dimension", zero_dimension, 0, "tensor \"t\" is at offset 8, expected 0"},
    {"d8a8bea, zero dimension", zero_dimension, 1, "tensor \"t\" is at offset 8, expected 0"},
    {"d8a8bea, zero dimension", zero_dimension, 2, "tensor \"t\" is at offset 8, expected 0"},
    {"d8a8bea, zero dimension", zero_dimension, 3, "tensor \"t\" is at offset 8, expected 0"},
    {"d8a8bea, alignment type", alignment_type, GGUF_I32, "is of type i32, not u32"},
    {"d8a8bea, alignment type", alignment_type, GGUF_U64, "is of type u64, not u32"},
    {"d8a8bea, alignment type", alignment_type, GGUF_STRING, "is of type string, not u32"},
    {"PR 24997, huge alignment", alignment, 0x80000000, "is 2147483648, " ALIGNMENT},
    {"PR 26318, odd alignment", alignment, 3, "is 3, " ALIGNMENT},
    {"PR 26318, huge alignment", alignment, 1 << 21, "is 2097152, " ALIGNMENT},
    {"d72bfa3, empty key", empty_key, 1, "metadata entry 0: the key is empty"},
    {"CVE-2026-7482", elements, 17, "tensor \"t\" of 68 bytes " PAST},
    {"CVE-2026-7482", elements, 32, "tensor \"t\" of 128 bytes " PAST},
    {"CVE-2025-0317", alignment, 0, "is 0, " ALIGNMENT},
    {"CVE-2025-0315", array_u8, 1u << 30, "an array of 1073741824 u8 values " SHORT},
    {"CVE-2025-0312", prefix, 4, "4 bytes are too few for a GGUF header"},
    {"CVE-2024-39720", prefix, 23, "23 bytes are too few for a GGUF header"},
    {"CVE-2024-12055", offset, 1ull << 40, "tensor \"t\" is at offset 1099511627776, expected 0"},
    {"CVE-2025-49847", token_length, 1ull << 31, "a string of 2147483648 bytes " SHORT},
    {"CVE-2025-49847", token_length, (1ull << 31) - 1, "a string of 2147483647 bytes " SHORT},

    /* the handcrafted list of the format's own tests */
    {"HEADER_BAD_MAGIC", magic, 0, "(it begins with the bytes 00 00 00 00"},
    {"HEADER_BAD_VERSION_0", version, 0, "GGUF version 0 is not supported"},
    {"HEADER_BAD_VERSION_1", version, 1, "GGUF version 1 is not supported"},
    {"HEADER_BAD_VERSION_FUTURE", version, 4, "GGUF version 4 is not supported"},
    {"HEADER, foreign byte order", version, 0x03000000, "the file is big-endian"},
    {"HEADER_BAD_N_TENSORS", tensor_count, UINT64_MAX, "declares 18446744073709551615 tensors"},
    {"HEADER_BAD_N_KV", key_count, UINT64_MAX, "declares 18446744073709551615 metadata entries"},
    {"HEADER_EMPTY", version, 3, NULL},
    {"KV_BAD_KEY_SIZE", key_length, UINT64_MAX, "key: a string of 18446744073709551615 bytes"},
    {"KV_BAD_TYPE", value_type, UINT32_MAX, "unknown value type 4294967295"},
    {"KV_BAD_TYPE, element", array_type, 0x7fffffff, "unknown array element type 2147483647"},
    {"KV_BAD_TYPE, nested", array_type, GGUF_ARRAY, "arrays of arrays are not supported"},
    {"KV_DUPLICATE_KEY", duplicate_key, 1, "metadata \"k\" appears twice"},
    {"KV_BAD_ALIGN", alignment, 13, "is 13, " ALIGNMENT},
    {"KV_SUCCESS", alignment, 64, NULL},
    {"TENSORS_BAD_NAME_SIZE", name_length, 1ull << 32, "the name is 4294967296 bytes long"},
    {"TENSORS_BAD_N_DIMS", dimensions, 0x7fffffff, "2147483647 dimensions (at most 4)"},
    {"TENSORS_BAD_SHAPE", dimension_f32, UINT64_MAX, "tensor \"t\": dimension 0 is negative"},
    {"TENSORS_NE_TOO_BIG", squared, 4ull * INT32_MAX, "multiply to more elements than can be counted"},
    {"TENSORS_NBYTES_TOO_BIG", dimension_f32, 1ull << 62, "more bytes than can be counted"},
    {"TENSORS_BAD_TYPE, row", dimension_q4_0, 33, "rows of 33 elements are not whole q4_0 blocks of 32"},
    {"TENSORS_BAD_OFFSET", offset, UINT64_MAX, "tensor \"t\" is at offset 18446744073709551615, expected 0"},
    {"TENSORS_INCONSISTENT_ALIGN", inconsistent_alignment, 64, "tensor \"b\" is at offset 64, expected 32"},
    {"TENSORS_INCONSISTENT_ALIGN", inconsistent_alignment, 4, "tensor \"b\" is at offset 4, expected 32"},
    {"TENSORS_SUCCESS", inconsistent_alignment, 32, NULL},
    {"DATA_NOT_ENOUGH_DATA", elements, 1024, "tensor \"t\" of 4096 bytes " PAST},
    {"DATA_SUCCESS", elements, 16, NULL},
    {"DATA_SUCCESS, zero elements", elements, 0, NULL},
};
enum { N_DEFECT = sizeof defects / sizeof *defects };

/* Refused with the message and a hint, or accepted where there is none.  trailing: bytes added to the end, which
 * change nothing. */
static bool as_expected(int i, size_t trailing)
{
    strbuf b = {0};
    defects[i].make(&b, defects[i].v);
    size_t whole = b.len;
    put_zeros(&b, trailing);
    opened o = open_bytes(b.s, b.len, "x.bin");
    const char *want = defects[i].message;
    bool good = want ? !o.c && o.e.code == ERR_INPUT && o.e.hint[0] && strstr(o.e.msg, want) : o.c != NULL;
    if (!good)
        fprintf(stderr, "%s (row %d, %zu + %zu bytes): wanted \"%s\", got \"%s\"\n", defects[i].id, i, whole,
                trailing, want ? want : "(to open)", o.c ? "(opened)" : o.e.msg);
    if (o.c)
        touch_all(o.c);
    close_bytes(&o);
    strbuf_free(&b);
    return good;
}

static void test_defects(void **state)
{
    (void)state;
    int bad = 0;
    for (int i = 0; i < N_DEFECT; i++)
        bad += !as_expected(i, 0);
    assert_int_equal(bad, 0);
}

/* Bytes behind the end change no verdict, where the message does not count what is left. */
static void test_trailing(void **state)
{
    (void)state;
    int bad = 0, n = 0;
    for (int i = 0; i < N_DEFECT; i++) {
        const char *m = defects[i].message;
        if (m && (strstr(m, "bytes") || strstr(m, PAST) || strstr(m, "past the end")))
            continue;
        n++;
        bad += !as_expected(i, 4096);
    }
    assert_int_equal(bad, 0);
    assert_true(n > 30);
}

/* CVE-2024-32878: a reader that stops half-way frees what it has and no more.  Every file, cut at every byte, and
 * with every allocation failing. */
static void test_stopping(void **state)
{
    (void)state;
    for (int i = 0; i < N_DEFECT; i++) {
        strbuf b = {0};
        defects[i].make(&b, defects[i].v);
        for (size_t n = 0; n < b.len; n++) {
            opened o = open_bytes(b.s, n, "x.gguf");
            if (!o.c)
                assert_true(o.e.msg[0] && o.e.hint[0]);
            close_bytes(&o);
        }
        for (long nth = 1; nth < 32; nth++) {
            checkpoint *c = NULL;
            mem_fail_at(nth);
            int rc = checkpoint_open_memory(&c, b.s, b.len, "x.gguf", NULL);
            mem_fail_at(0);
            if (!rc)
                checkpoint_close(c);
        }
        strbuf_free(&b);
    }
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defects),
        cmocka_unit_test(test_trailing),
        cmocka_unit_test(test_stopping),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
