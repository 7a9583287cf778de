#include "cli/number_list.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "base/param.h"

enum { MOST_NUMBERS = 10000 };

static int wrong(const char *option, const char *item, double min, double max, err *e)
{
    err_set(e, ERR_USAGE, "%s: '%s' is no number from %.15g to %.15g", option, item, min, max);
    return err_hint(e, "write them as 128,256,500 or as 100:1000:10 (ten from 100 to 1000)");
}

static int add(double **list, int64_t *n, double v, const char *option, err *e)
{
    if (*n == MOST_NUMBERS)
        return err_set(e, ERR_USAGE, "%s: more than %d numbers", option, MOST_NUMBERS);
    double *more = mem_grow(*list, (size_t)*n + 1, sizeof **list, e);
    if (!more)
        return ERR_RESOURCE;
    *list = more;
    more[(*n)++] = v;
    return 0;
}

/* A:B:N */
static bool parse_range(double *a, double *b, int64_t *n, char *item)
{
    char *first = strchr(item, ':'), *second = first ? strchr(first + 1, ':') : NULL;
    if (!second)
        return false;
    *first = *second = '\0';
    bool good = parse_real(a, item) && parse_real(b, first + 1) && parse_int(n, second + 1) && *n >= 1 &&
                *n <= MOST_NUMBERS;
    *first = *second = ':';
    return good;
}

static int take(double **list, int64_t *n, char *item, double min, double max, const char *option, err *e)
{
    double a, b;
    int64_t count;
    if (parse_real(&a, item))
        return a >= min && a <= max ? add(list, n, a, option, e) : wrong(option, item, min, max, e);
    if (!parse_range(&a, &b, &count, item) || a < min || b > max || a > b)
        return wrong(option, item, min, max, e);
    int rc = 0;
    for (int64_t i = 0; i < count && !rc; i++)
        rc = add(list, n, rint(count > 1 ? a + (b - a) * (double)i / (double)(count - 1) : a), option, e);
    return rc;
}

int number_list_parse(double **list, int64_t *n, const char *text, double min, double max, const char *option, err *e)
{
    char *copy = mem_strdup(text, e), *save = NULL;
    int rc = copy ? 0 : ERR_RESOURCE;
    *list = NULL;
    *n = 0;
    for (char *item = copy ? strtok_r(copy, ",", &save) : NULL; item && !rc; item = strtok_r(NULL, ",", &save))
        rc = take(list, n, item, min, max, option, e);
    free(copy);
    if (!rc && *n == 0)
        rc = wrong(option, text, min, max, e);
    if (rc) {
        free(*list);
        *list = NULL;
        *n = 0;
    }
    return rc;
}
