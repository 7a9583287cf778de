/* Base64 (RFC 4648, section 4), as tokenizer files hold it: padded, without line breaks. */
#include "model/tokenizer/parts.h"

static int digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool base64_decode(unsigned char *out, size_t *n_out, const char *s, size_t n)
{
    uint32_t bits = 0;
    int have = 0;

    *n_out = 0;
    if (n % 4)
        return false;
    for (int k = 0; k < 2 && n && s[n - 1] == '='; k++)
        n--;
    for (size_t i = 0; i < n; i++) {
        int d = digit(s[i]);
        if (d < 0)
            return false;
        bits = (bits << 6 | (uint32_t)d) & 0xffffff;
        have += 6;
        if (have >= 8) {
            have -= 8;
            out[(*n_out)++] = (unsigned char)(bits >> have);
        }
    }
    return (bits & ((1u << have) - 1)) == 0;
}
