/* Estimates in words, and as a table. */
#include "cli/estimate.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>
#include "cli/command_util.h"
#include "cli/model_card.h"
#include "cli/output.h"

void put_seconds(strbuf *b, double s)
{
    int64_t m = (int64_t)(s / 60 + 0.5);
    if (s < 0.0995)
        strbuf_printf(b, "%.2g ms", s * 1e3);
    else if (s < 0.95)
        strbuf_printf(b, "%.2g s", s);
    else if (s < 10)
        strbuf_printf(b, "%.1f s", s);
    else if (s < 90)
        strbuf_printf(b, "%.0f s", s);
    else if (m < 90)
        strbuf_printf(b, "%" PRId64 " min", m);
    else if (m < 48 * 60)
        strbuf_printf(b, "%" PRId64 " h %" PRId64 " min", m / 60, m % 60);
    else
        strbuf_printf(b, "%" PRId64 " d %" PRId64 " h", m / 1440, m / 60 % 24);
}

/* "3.67 GFLOP" */
static void put_flop(strbuf *b, double n)
{
    static const char *const unit[] = {"", "k", "M", "G", "T", "P", "E"};
    int u = 0;
    while (n >= 999.5 && u < 6) {
        n /= 1000;
        u++;
    }
    strbuf_printf(b, "%.3g %sFLOP", n, unit[u]);
}

static void put_work(strbuf *b, double flop, double seconds)
{
    put_flop(b, flop);
    if (flop <= 0 || seconds <= 0)
        return;
    strbuf_puts(b, " at ");
    put_flop(b, flop / seconds);
    strbuf_puts(b, "/s");
}

static void put_bytes(strbuf *b, double n, const char *of)
{
    char text[16];
    format_bytes(text, n);
    strbuf_printf(b, "%s %s", text, of);
}

void estimate_put_line(strbuf *b, const run_estimate *r)
{
    char text[16];
    strbuf_puts(b, "will take about ");
    put_seconds(b, prompt_seconds(&r->all));
    strbuf_puts(b, " (products ");
    put_seconds(b, r->all.product_seconds);
    strbuf_puts(b, ", attention ");
    put_seconds(b, r->all.attention_seconds);
    if (r->all.metric_seconds > 0) {
        strbuf_puts(b, ", metrics ");
        put_seconds(b, r->all.metric_seconds);
    }
    format_bytes(text, r->memory);
    strbuf_printf(b, "), %s of memory beside the weights", text);
}

/* What the numbers of the table are made of. */
static int print_words(session *s, const run_estimate *r, err *e)
{
    const prompt_estimate *a = &r->all;
    strbuf b = {0};
    strbuf_puts(&b, "\nproducts: ");
    put_work(&b, a->product_flop, a->product_seconds);
    strbuf_printf(&b, " (%s weights); attention: ", r->type);
    put_work(&b, a->attention_flop, a->attention_seconds);
    strbuf_puts(&b, ". The rates were measured just now.\nmemory: ");
    put_bytes(&b, r->held, "the program holds already, ");
    put_bytes(&b, a->bytes.activations, "activations, ");
    put_bytes(&b, a->bytes.scratch, "scratch of attention and products");
    if (a->bytes.logits > 0)
        put_bytes((strbuf_puts(&b, ", "), &b), a->bytes.logits, "logits");
    if (!isnan(a->kept))
        put_bytes((strbuf_puts(&b, ", "), &b), a->kept, "states of metrics");
    if (!isnan(r->stored))
        put_bytes((strbuf_puts(&b, r->rows_in_memory ? ", " : "; in the store "), &b), r->stored, "rows");
    strbuf_puts(&b, "; besides, ");
    put_bytes(&b, (double)r->weights, "weights are mapped.");
    if (isnan(a->metric_seconds))
        strbuf_puts(&b, " What the metrics add is not known.");
    strbuf_putc(&b, '\n');
    int rc = output_prose(s, &b, e);
    strbuf_free(&b);
    return rc;
}

/* ---- rows ---- */

static int put_text(table *t, cell *c, const char *text, err *e)
{
    return table_text(t, c, text, strlen(text), e);
}

static int put_time(table *t, cell *c, double seconds, err *e)
{
    strbuf b = {0};
    if (isnan(seconds))
        return 0;
    put_seconds(&b, seconds);
    int rc = put_text(t, c, strbuf_str(&b), e);
    strbuf_free(&b);
    return rc;
}

static double bytes_of(const run_estimate *r, const prompt_estimate *p, bool whole)
{
    return whole ? r->memory : r->held + p->bytes.activations + p->bytes.scratch + p->bytes.logits +
                               (isnan(p->kept) ? 0 : p->kept);
}

/* For people: prompt -1 is the whole. */
static int words_row(table *t, const run_estimate *r, const prompt_estimate *p, int64_t prompt, err *e)
{
    const double times[] = {prompt_seconds(p), p->product_seconds, p->attention_seconds, p->other_seconds, p->metric_seconds,
                            p->store_seconds};
    cell *row = table_row(t, e);
    char text[24];
    if (!row)
        return ERR_RESOURCE;
    snprintf(text, sizeof text, "%" PRId64, prompt);
    int rc = put_text(t, &row[0], prompt < 0 ? "all" : text, e);
    row[1] = cell_int(p->tokens);
    for (int i = 0; i < 6 && !rc; i++)
        rc = put_time(t, &row[2 + i], times[i], e);
    format_bytes(text, bytes_of(r, p, prompt < 0));
    return rc ? rc : put_text(t, &row[8], text, e);
}

static cell known(double x)
{
    return isnan(x) ? (cell){CELL_NULL, {0}} : cell_real(x);
}

static cell known_bytes(double x)
{
    return isnan(x) ? (cell){CELL_NULL, {0}} : cell_int((int64_t)x);
}

/* For programs. */
static const char *const columns[] = {
    "prompt", "prompts", "tokens", "seconds", "product_seconds", "attention_seconds", "other_seconds", "metric_seconds",
    "product_flop", "attention_flop", "product_rate", "attention_rate", "memory", "held_bytes", "activation_bytes",
    "scratch_bytes", "logit_bytes", "kept_bytes", "stored_bytes", "weight_bytes", "store_seconds", "values", "by"};

static int numbers_row(table *t, const run_estimate *r, const prompt_estimate *p, int64_t prompt, err *e)
{
    const bool whole = prompt < 0;
    cell *row = table_row(t, e);
    if (!row)
        return ERR_RESOURCE;
    row[0] = whole ? (cell){CELL_NULL, {0}} : cell_int(prompt);
    row[1] = cell_int(whole ? r->n : 1);
    row[2] = cell_int(p->tokens);
    row[3] = cell_real(prompt_seconds(p));
    row[4] = cell_real(p->product_seconds);
    row[5] = cell_real(p->attention_seconds);
    row[6] = cell_real(p->other_seconds);
    row[7] = known(p->metric_seconds);
    row[8] = cell_real(p->product_flop);
    row[9] = cell_real(p->attention_flop);
    row[10] = known(p->product_seconds > 0 ? p->product_flop / p->product_seconds : NAN);
    row[11] = known(p->attention_seconds > 0 ? p->attention_flop / p->attention_seconds : NAN);
    row[12] = cell_int((int64_t)bytes_of(r, p, whole));
    row[13] = cell_int((int64_t)r->held);
    row[14] = cell_int((int64_t)p->bytes.activations);
    row[15] = cell_int((int64_t)p->bytes.scratch);
    row[16] = cell_int((int64_t)p->bytes.logits);
    row[17] = known_bytes(p->kept);
    row[18] = known_bytes(whole ? r->stored : NAN);
    row[19] = cell_int((int64_t)r->weights);
    row[20] = known(p->store_seconds);
    row[21] = known(p->values);
    return put_text(t, &row[22], "measured rates", e);
}

int estimate_print(session *s, const command_args *a, const run_estimate *r, err *e)
{
    static const char *const shown[] = {"prompt", "tokens", "time", "products", "attention", "other", "metrics", "rows",
                                        "memory"};
    const bool words = command_format(s, a) == FORMAT_TABLE;
    table *t = NULL;
    int rc = words ? table_new(&t, 9, shown, e) : table_new(&t, sizeof columns / sizeof *columns, columns, e);
    for (int64_t i = 0; i < r->n && !rc && !(words && r->n == 1); i++)
        rc = words ? words_row(t, r, &r->each[i], i, e) : numbers_row(t, r, &r->each[i], i, e);
    if (!rc)
        rc = words ? words_row(t, r, &r->all, -1, e) : numbers_row(t, r, &r->all, -1, e);
    if (!rc)
        rc = print_table(s, a, t, "attnscope.estimate/1", e);
    table_free(t);
    return rc || !words ? rc : print_words(s, r, e);
}

int estimate_print_tried(session *s, const command_args *a, const run_part *part, err *e)
{
    static const char *const shown[] = {"units", "time", "a unit", "disk", "memory", "by"};
    const bool words = command_format(s, a) == FORMAT_TABLE;
    const unit_cost *c = &part->cost;
    const double n = (double)part->n_unit, seconds = c->n > 0 ? n * c->seconds : NAN;
    char by[48], text[16];
    table *t = NULL;
    int rc = words ? table_new(&t, 6, shown, e) : table_new(&t, sizeof columns / sizeof *columns, columns, e);
    cell *row = rc ? NULL : table_row(t, e);
    if (!row) {
        table_free(t);
        return rc ? rc : ERR_RESOURCE;
    }
    snprintf(by, sizeof by, c->n == 0 ? "not known" : c->stored ? "stored runs" : "%" PRId64 " tried", c->n);
    if (words) {
        row[0] = cell_int(part->n_unit);
        rc = put_time(t, &row[1], seconds, e);
        if (!rc && c->n > 0)
            rc = put_time(t, &row[2], c->seconds, e);
        format_bytes(text, n * c->bytes);
        if (!rc && c->n > 0)
            rc = put_text(t, &row[3], text, e);
        format_bytes(text, c->memory);
        if (!rc)
            rc = put_text(t, &row[4], text, e);
    } else {
        row[1] = cell_int(part->n_unit);
        row[3] = known(seconds);
        row[12] = cell_int((int64_t)c->memory);
        row[18] = known_bytes(c->n > 0 ? n * c->bytes : NAN);
    }
    if (!rc)
        rc = put_text(t, &row[words ? 5 : 22], by, e);
    if (!rc)
        rc = print_table(s, a, t, "attnscope.estimate/1", e);
    table_free(t);
    return rc;
}
