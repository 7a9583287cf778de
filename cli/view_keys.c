/* Keys from the bytes that terminals send: ECMA-48 control sequences as xterm, the VT220, rxvt, the Linux console and
 * tmux write them. */
#include <string.h>
#include "cli/view_terminal.h"

enum { ESCAPE_MS = 40 }; /* an Esc that nothing follows for so long is the key */

/* One byte at a time: what is typed behind the last key stays for who reads next. */
static struct { char s; bool there, redraw; } in;

/* The next byte: -1 when none comes within ms, -2 at the end, -3 to draw anew. */
static int next_byte(int ms)
{
    if (!in.there) {
        tty_wake why = tty_wait(ms);
        if (why != TTY_INPUT)
            return why == TTY_TIME ? -1 : why == TTY_CANCELLED ? -2 : -3;
        if (tty_read(&in.s, 1) == 0)
            return -2;
    }
    in.there = false;
    return (unsigned char)in.s;
}

/* A control sequence or the text of a device (its late answer to a question) up to its end. */
static int skip_string(void)
{
    int c, last = 0;
    while ((c = next_byte(ESCAPE_MS)) >= 0 && c != 7 && !(last == 27 && c == '\\'))
        last = c;
    return c;
}

static uint32_t letter_key(int c)
{
    static const struct { char c; uint32_t code; } keys[] = {
        {'A', KEY_UP}, {'B', KEY_DOWN}, {'C', KEY_RIGHT}, {'D', KEY_LEFT}, {'H', KEY_HOME}, {'F', KEY_END},
        {'a', KEY_UP}, {'b', KEY_DOWN}, {'c', KEY_RIGHT}, {'d', KEY_LEFT}, /* rxvt, with shift */
    };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (keys[i].c == c)
            return keys[i].code;
    return KEY_NONE;
}

static uint32_t number_key(int n)
{
    static const uint32_t keys[] = {[1] = KEY_HOME, [4] = KEY_END, [5] = KEY_PAGE_UP, [6] = KEY_PAGE_DOWN,
                                    [7] = KEY_HOME, [8] = KEY_END};
    return n >= 0 && n < (int)(sizeof keys / sizeof *keys) ? keys[n] : KEY_NONE;
}

/* Behind "ESC [": parameters, then a final byte. */
static key control_sequence(void)
{
    int v[4] = {0}, n = 0, c;
    bool private = false;
    while ((c = next_byte(ESCAPE_MS)) >= 0 && c < 0x40) {
        if (c >= '0' && c <= '9' && n < 4 && v[n] < 10000)
            v[n] = v[n] * 10 + c - '0';
        else if (c == ';')
            n++;
        else if (c > '9')
            private = true; /* an answer, not a key */
    }
    if (c < 0 || private)
        return (key){c == -2 ? KEY_GONE : KEY_NONE, false};
    uint32_t code = c == '~' || c == '$' ? number_key(v[0]) : letter_key(c);
    bool shift = c == '$' || (c >= 'a' && c <= 'd') || (n > 0 && v[1] > 1 && (v[1] - 1) % 2);
    if (code >= KEY_UP && code <= KEY_RIGHT && (c >= 'a' || v[0] <= 1))
        return (key){code, shift};
    return (key){c == '~' || c == '$' || c == 'H' || c == 'F' ? code : KEY_NONE, shift};
}

static key escape(void)
{
    int c = next_byte(ESCAPE_MS);
    in.redraw |= c == -3;
    if (c == -1 || c == -3)
        return (key){KEY_ESCAPE, false};
    if (c == -2)
        return (key){KEY_GONE, false};
    if (c == '[')
        return control_sequence();
    if (c == 'O') {
        c = next_byte(ESCAPE_MS);
        return (key){c > 0 ? letter_key(c) : KEY_NONE, false};
    }
    if (c == 'P' || c == '_' || c == ']' || c == '^' || c == 'X')
        return (key){skip_string() == -2 ? KEY_GONE : KEY_NONE, false};
    if (c == 27) {
        in.there = true;
        return (key){KEY_ESCAPE, false};
    }
    return (key){KEY_NONE, false}; /* Alt and a letter */
}

/* A character whose first byte is c. */
static uint32_t character(int c)
{
    char s[4] = {(char)c};
    size_t need = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2, n = 1;
    uint32_t code = KEY_NONE;
    while (n < need && (c = next_byte(ESCAPE_MS)) >= 0)
        s[n++] = (char)c;
    return utf8_next(&code, s, n) == (int)n ? code : KEY_NONE;
}

key tty_key(void)
{
    for (;;) {
        int c = in.redraw ? -3 : next_byte(-1);
        in.redraw = false;
        key k = {(uint32_t)c, false};
        if (c == -1)
            continue;
        if (c == -2)
            return (key){KEY_GONE, false};
        if (c == -3)
            return (key){KEY_REDRAW, false};
        if (c == 27)
            k = escape();
        else if (c == '\n')
            k.code = KEY_ENTER;
        else if (c == 127)
            k.code = KEY_BACKSPACE;
        else if (c >= 0x80)
            k.code = character(c);
        if (k.code != KEY_NONE)
            return k;
    }
}

bool tty_key_waits(void)
{
    if (in.there || in.redraw)
        return true;
    int c = next_byte(0);
    in.there = c >= 0;
    in.redraw = c == -3;
    return c != -1;
}
