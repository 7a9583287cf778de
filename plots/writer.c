#include "plots/writer.h"

#include <string.h>
#include <strings.h>

#define WRITER(name) extern const writer writer_##name;
#include "registry/writers.inc"
#undef WRITER

const writer *const writers[] = {
#define WRITER(name) &writer_##name,
#include "registry/writers.inc"
#undef WRITER
    NULL,
};

int writer_find(const writer **out, const char *path, err *e)
{
    const char *slash = strrchr(path, '/'), *dot = strrchr(slash ? slash : path, '.');
    strbuf all = {0};

    for (const writer *const *w = writers; *w; w++) {
        if (dot && strcasecmp(dot + 1, (*w)->extension) == 0) {
            *out = *w;
            return 0;
        }
    }
    for (const writer *const *w = writers; *w; w++)
        strbuf_printf(&all, "%s.%s", w == writers ? "" : ", ", (*w)->extension);
    if (dot && dot[1])
        err_set(e, ERR_USAGE, "cannot write a figure as '%s': unknown extension '%s'", path, dot);
    else
        err_set(e, ERR_USAGE, "cannot write a figure as '%s': no extension", path);
    int rc = err_hint(e, "the extension decides: %s", strbuf_str(&all));
    strbuf_free(&all);
    return rc;
}

const char *about_get(const char *const *about, const char *key)
{
    for (; about && about[0] && about[1]; about += 2) {
        if (strcmp(about[0], key) == 0)
            return about[1];
    }
    return NULL;
}

void raster_row(const void *item, int y, uint8_t *pixels)
{
    const scene_item *it = item;
    const rgb *row = it->pixels + y / it->cell_h * it->cols;

    for (int64_t c = 0; c < it->cols; c++) {
        for (int i = 0; i < it->cell_w; i++) {
            *pixels++ = row[c].r;
            *pixels++ = row[c].g;
            *pixels++ = row[c].b;
        }
    }
}
