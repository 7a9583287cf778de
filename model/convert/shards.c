/* safetensors files: which tensor goes into which, the headers, the index. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "model/convert/plan.h"

static const char *safetensors_type(dtype t)
{
    switch (t) {
    case DT_F64: return "F64";
    case DT_F32: return "F32";
    case DT_F16: return "F16";
    case DT_BF16: return "BF16";
    case DT_I64: return "I64";
    case DT_I32: return "I32";
    case DT_I16: return "I16";
    case DT_I8: return "I8";
    case DT_U64: return "U64";
    case DT_U32: return "U32";
    case DT_U16: return "U16";
    case DT_U8: return "U8";
    case DT_BOOL: return "BOOL";
    case DT_C64: return "C64";
    case DT_F8_E4M3: return "F8_E4M3";
    case DT_F8_E5M2: return "F8_E5M2";
    case DT_F8_E8M0: return "F8_E8M0";
    case DT_F8_E4M3FNUZ: return "F8_E4M3FNUZ";
    case DT_F8_E5M2FNUZ: return "F8_E5M2FNUZ";
    case DT_F6_E2M3: return "F6_E2M3";
    case DT_F6_E3M2: return "F6_E3M2";
    case DT_F4: return "F4";
    default: return NULL;
    }
}

static void shard_name(char out[64], int shard, int n_shard)
{
    if (n_shard == 1)
        snprintf(out, 64, "model.safetensors");
    else
        snprintf(out, 64, "model-%05d-of-%05d.safetensors", shard + 1, n_shard);
}

/* Fill files in order; a tensor that is larger than a file should be gets one of its own. */
static int assign(plan *p, uint64_t most)
{
    int shard = 0;
    uint64_t used = 0;
    for (int i = 0; i < p->n; i++) {
        if (used && (p->t[i].bytes > most || used > most - p->t[i].bytes)) {
            shard++;
            used = 0;
        }
        p->t[i].shard = shard;
        used += p->t[i].bytes;
    }
    return shard + 1;
}

static int put_header(outfile *f, const plan *p, int shard, err *e)
{
    strbuf b = {0};
    uint64_t at = 0;
    int rc = 0;

    strbuf_puts(&b, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (int i = 0; i < p->n && !rc; i++) {
        const plan_tensor *t = &p->t[i];
        const char *type = safetensors_type(t->type);
        if (t->shard != shard)
            continue;
        if (!type) {
            rc = err_set(e, ERR_INPUT, "tensor \"%s\" is stored as %s, which safetensors does not know", t->name,
                         dtypes[t->type].name);
            err_hint(e, "convert to a plain type: --dtype f32, f16 or bf16");
            break;
        }
        strbuf_putc(&b, ',');
        strbuf_put_json(&b, t->name, strlen(t->name));
        strbuf_printf(&b, ":{\"dtype\":\"%s\",\"shape\":[", type);
        for (int d = 0; d < t->n_dim; d++)
            strbuf_printf(&b, d ? ",%" PRId64 : "%" PRId64, t->shape[d]);
        strbuf_printf(&b, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", at, at + t->bytes);
        at += t->bytes;
    }
    strbuf_putc(&b, '}');
    while (b.len % 8 && !b.failed)
        strbuf_putc(&b, ' ');
    if (!rc && b.failed)
        rc = err_nomem(e, "tensor header");
    unsigned char len[8];
    for (int k = 0; k < 8; k++)
        len[k] = (unsigned char)((uint64_t)b.len >> 8 * k);
    if (!rc)
        rc = outfile_write(f, len, sizeof len, e);
    if (!rc)
        rc = outfile_write(f, b.s, b.len, e);
    strbuf_free(&b);
    return rc;
}

static int put_index(const plan *p, outdir *d, int n_shard, double total, err *e)
{
    strbuf b = {0};
    char file[64];

    strbuf_printf(&b, "{\n  \"metadata\": {\n    \"total_size\": %.0f\n  },\n  \"weight_map\": {", total);
    for (int i = 0; i < p->n; i++) {
        shard_name(file, p->t[i].shard, n_shard);
        strbuf_puts(&b, i ? ",\n    " : "\n    ");
        strbuf_put_json(&b, p->t[i].name, strlen(p->t[i].name));
        strbuf_printf(&b, ": \"%s\"", file);
    }
    strbuf_puts(&b, "\n  }\n}\n");
    int rc = plan_put_file(d, "model.safetensors.index.json", &b, e);
    strbuf_free(&b);
    return rc;
}

int shards_write(plan *p, outdir *d, uint64_t shard_bytes, int *n_shard, const progress *prog, err *e)
{
    double done = 0, total = 0;
    char name[64];
    int rc = 0;

    *n_shard = assign(p, shard_bytes);
    for (int i = 0; i < p->n; i++)
        total += (double)p->t[i].bytes;
    for (int s = 0; s < *n_shard && !rc; s++) {
        outfile *f = NULL;
        shard_name(name, s, *n_shard);
        rc = outdir_create(&f, d, name, e);
        if (!rc)
            rc = put_header(f, p, s, e);
        for (int i = 0; i < p->n && !rc; i++)
            if (p->t[i].shard == s)
                rc = rows_write(f, &p->t[i], prog, &done, total, e);
        if (rc)
            outfile_abandon(f);
        else
            rc = outfile_commit(f, e);
    }
    if (!rc && *n_shard > 1)
        rc = put_index(p, d, *n_shard, total, e);
    return rc;
}

int plan_put_file(outdir *d, const char *name, const strbuf *text, err *e)
{
    outfile *f = NULL;
    if (text->failed)
        return err_nomem(e, name);
    int rc = outdir_create(&f, d, name, e);
    if (!rc)
        rc = outfile_write(f, text->s, text->len, e);
    if (rc)
        outfile_abandon(f);
    else
        rc = outfile_commit(f, e);
    return rc;
}
