#include "base/near_file.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/mem.h"
#include "base/param.h"
#include "base/strbuf.h"

enum { MOST_FILES = 5000 }; /* of a folder that are looked at */

/* Numbers are meant: of step-100.gguf and shard-00003-of-00003 no neighbour is the one that was mistyped. */
static bool differs_in_digits_alone(const char *a, const char *b)
{
    static const char digits[] = "0123456789";
    for (;; a++, b++) {
        bool number = *a && *b && strchr(digits, *a) && strchr(digits, *b);
        if (number) {
            a += strspn(a, digits) - 1;
            b += strspn(b, digits) - 1;
        } else if (*a != *b) {
            return false;
        } else if (!*a) {
            return true;
        }
    }
}

/* The name in a folder that is most like `name`; NULL: none. */
static char *nearest_in(const char *folder, const char *name)
{
    char *best = NULL;
    DIR *d = opendir(folder);
    if (!d)
        return NULL;
    struct dirent *file;
    for (int n = 0; n < MOST_FILES && (file = readdir(d)); n++) {
        if (file->d_name[0] == '.' && name[0] != '.')
            continue;
        if (!strcmp(file->d_name, ".") || !strcmp(file->d_name, "..") || differs_in_digits_alone(file->d_name, name))
            continue;
        bool before = best && strcmp(best, file->d_name) < 0; /* of two alike the first, however the folder lists them */
        const char *both[3] = {before ? best : file->d_name, before ? file->d_name : best, NULL};
        const char *nearest = nearest_word(name, both);
        if (!nearest || nearest == best)
            continue;
        char *copy = mem_strdup(file->d_name, NULL);
        if (!copy)
            break;
        free(best);
        best = copy;
    }
    closedir(d);
    return best;
}

char *near_file(const char *path)
{
    strbuf there = {0}, whole = {0}; /* the part of path that exists, with its slash */
    const char *name = path;
    char *found = NULL, *out = NULL;
    size_t len = 0;
    for (; *name; name += len + (name[len] == '/')) {
        len = strcspn(name, "/");
        strbuf_clear(&whole);
        strbuf_puts(&whole, strbuf_str(&there));
        strbuf_add(&whole, name, len);
        if (whole.failed || (len && access(strbuf_str(&whole), F_OK) != 0))
            break;
        strbuf_add(&there, name, len + (name[len] == '/'));
    }
    char *wrong = *name && !whole.failed && !there.failed ? mem_strndup(name, len, NULL) : NULL;
    if (wrong)
        found = nearest_in(there.len ? strbuf_str(&there) : ".", wrong);
    if (found) {
        strbuf_puts(&there, found);
        strbuf_puts(&there, name + len);
        if (!there.failed && access(strbuf_str(&there), F_OK) == 0)
            out = strbuf_take(&there, NULL);
    }
    free(found);
    free(wrong);
    strbuf_free(&whole);
    strbuf_free(&there);
    return out;
}

int near_file_hint(err *e, const char *path, const char *otherwise)
{
    char *near = e ? near_file(path) : NULL;
    if (near)
        err_hint(e, "did you mean \"%s\"?", near);
    else if (otherwise)
        err_hint(e, "%s", otherwise);
    free(near);
    return e ? e->code : err_hint(e, " ");
}
