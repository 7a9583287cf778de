/* Files that users take for checkpoints: told by content and refused with what to do. */
#include <stdio.h>
#include <string.h>

#include "model/locate.h"

#define OTHER_FORMAT_HINT "look for the model's safetensors or GGUF files"

static const struct {
    const char *bytes;
    size_t n, at;
    const char *what, *hint;
} signatures[] = {
    {"PK\5\6", 4, 0, "an empty zip archive", "fetch the file again"},
    {"PK\3\4", 4, 0, "a zip archive, not a checkpoint", "unpack it first"},
    {"ustar", 5, 257, "a tar archive", "unpack it; if PyTorch before 0.1.10 wrote it, save it again"},
    {"\x93NUMPY", 6, 0, "a NumPy array, not a checkpoint",
     "give a directory with config.json and weights; arrays saved together with numpy.savez are weights"},
    {"TFL3", 4, 4, "a TensorFlow Lite model, which is not supported", OTHER_FORMAT_HINT},
    {"\x89HDF", 4, 0, "an HDF5 file (Keras weights), which is not supported", OTHER_FORMAT_HINT},
    {"tjgg", 4, 0, "a GGJT file, which GGUF replaced", "convert the model again with a current converter"},
    {"fmgg", 4, 0, "a GGMF file, which GGUF replaced", "convert the model again with a current converter"},
    {"lmgg", 4, 0, "a GGML file, which GGUF replaced", "convert the model again with a current converter"},
    {"FUGG", 4, 0, "a GGUF file written backwards (big-endian)", "take the little-endian file"},
    {"\x1f\x8b", 2, 0, "a gzip file", "unpack it first (gunzip)"},
    {"\x28\xb5\x2f\xfd", 4, 0, "a zstd file", "unpack it first (unzstd)"},
    {"\xfd" "7zXZ", 5, 0, "an xz file", "unpack it first (unxz)"},
};

static bool begins(const unsigned char *p, size_t n, const char *word)
{
    size_t len = strlen(word);
    return n >= len && strncasecmp((const char *)p, word, len) == 0;
}

static bool is_text(const unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] < 0x20 && !memchr("\t\n\r\f", p[i], 4))
            return false;
    return n >= 16;
}

static bool refuse_text(const unsigned char *head, size_t n, err *e)
{
    const unsigned char *p = head;
    size_t left = n;
    if (begins(p, left, "version https://git-lfs")) {
        err_set(e, ERR_INPUT, "is a Git LFS pointer, not the weights themselves");
        err_hint(e, "run 'git lfs install' and 'git lfs pull' in that clone, or download the file itself");
        return true;
    }
    if (begins(p, left, "\xef\xbb\xbf")) {
        p += 3;
        left -= 3;
    }
    while (left && memchr(" \t\r\n", *p, 4)) {
        p++;
        left--;
    }
    if (begins(p, left, "<!doctype") || begins(p, left, "<html") || begins(p, left, "<head") ||
        begins(p, left, "<?xml")) {
        err_set(e, ERR_INPUT, "is an HTML page, not weights");
        err_hint(e, "the download saved an error or a login page; fetch the file itself (its 'raw' address)");
        return true;
    }
    if (!is_text(head, n))
        return false;
    if (left && (*p == '{' || *p == '[')) {
        err_set(e, ERR_INPUT, "is a JSON file, not weights");
        err_hint(e, "give the directory that holds it");
    } else {
        err_set(e, ERR_INPUT, "is a text file, not weights");
        err_hint(e, MODEL_HINT);
    }
    return true;
}

bool refuse_foreign(const unsigned char *head, size_t n, err *e)
{
    for (size_t i = 0; i < sizeof signatures / sizeof *signatures; i++) {
        if (n >= signatures[i].at + signatures[i].n &&
            memcmp(head + signatures[i].at, signatures[i].bytes, signatures[i].n) == 0) {
            err_set(e, ERR_INPUT, "is %s", signatures[i].what);
            err_hint(e, "%s", signatures[i].hint);
            return true;
        }
    }
    return refuse_text(head, n, e);
}

int refuse_unknown(const unsigned char *head, size_t n, err *e)
{
    char hex[8 * 3 + 1] = "";
    for (size_t i = 0; i < n && i < 8; i++)
        snprintf(hex + 3 * i, 4, " %02x", head[i]);
    err_set(e, ERR_INPUT, "is not in a format that is known (it begins with the bytes%s)", hex);
    return err_hint(e, MODEL_HINT);
}
