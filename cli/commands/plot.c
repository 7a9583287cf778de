/* plot: a figure of stored rows. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "cli/command_util.h"
#include "cli/figure_data.h"
#include "cli/output.h"

/* "score_grid-induction-run3.png" */
static char *default_name(const figure *f, const figure_source *src, err *e)
{
    strbuf b = {0};
    if (src->several)
        strbuf_printf(&b, "%s-%s-runs%s.png", f->name, src->label, src->runs);
    else
        strbuf_printf(&b, "%s-%s-run%" PRId64 ".png", f->name, src->label, src->run);
    for (size_t i = 0; i < b.len; i++)
        if (b.s[i] == '/' || b.s[i] == ',')
            b.s[i] = '_';
    return strbuf_take(&b, e);
}

static void say_lines(const session *s, const char *lines)
{
    for (size_t n; *lines; lines += n + (lines[n] == '\n')) {
        n = strcspn(lines, "\n");
        say(s, "%.*s", (int)n, lines);
    }
}

static int run(session *s, const command_args *a, err *e)
{
    const figure *f;
    store *st;
    figure_source src = {0};
    const char *path = params_str(a->p, "output");
    char *name = NULL, *again = NULL;
    strbuf notes = {0}, told = {0};
    int rc = figure_require(&f, a->word[0], e);
    if (!rc)
        rc = store_to_read(s, &st, e);
    if (!rc && !(again = repeatable_on_store(s, a, e)))
        rc = e->code;
    if (!rc)
        rc = figure_source_load(&src, s, a, st, f, again, e);
    if (!rc && !path)
        path = name = default_name(f, &src, e);
    if (!rc && !path)
        rc = ERR_RESOURCE;
    if (!rc) { /* before the file is made: what fails leaves none */
        strbuf_put_visible(&told, path, strlen(path));
        strbuf_putc(&told, '\n');
        rc = told.failed ? err_nomem(e, "a file name") : 0;
    }
    if (!rc)
        rc = figure_draw_noted(&notes, f, &src.d, a->p, path, e);
    if (!rc)
        say_lines(s, strbuf_str(&notes));
    if (!rc) {
        err why = {0};
        if (store_figure(st, src.several ? NO_INDEX : src.run, f->name, path, again, &why) != 0)
            say(s, "the figure is drawn, but the store cannot remember it: %s", why.msg);
        rc = output_flush(s->out, &told, e);
    }
    strbuf_free(&told);
    strbuf_free(&notes);
    figure_source_free(&src);
    free(again);
    free(name);
    return rc;
}

static const param own[] = {
    {.name = "output", .kind = PARAM_PATH, .value = "FILE",
     .help = "the file to write; its extension says the format"},
    {.name = NULL},
};
static const param *const *extra(void)
{
    static const param *tables[3];
    tables[0] = figure_source_params;
    tables[1] = figure_all_params();
    return tables;
}
static const char *const examples[] = {
    "plot score_grid --metric induction --store heads.db -o induction.png",
    "a square for each head, layer by layer",
    "plot head_map --head L1H3 --store heads.db -o L1H3.png", "the attention of one head, token by token",
    "plot head_grid --store heads.db --width double -o heads.pdf", "all stored maps as thumbnails",
    "plot score_grid --facet sink,induction --store heads.db -o both.svg", "two metrics side by side",
    "plot divergence_matrix --metric jsd_layers --order clustered --store heads.db -o alike.png",
    "which heads attend alike",
    "plot needle_grid --store needles.db -o needles.pdf", "recall by context length and depth",
    "plot layer_curve --metric entropy --run 3,5 --labels small,large --store heads.db -o entropy.svg",
    "two runs as two lines with their bands",
    NULL,
};
static const char *const complete[] = {"figures", NULL};

const command command_plot = {
    .name = "plot", .group = "figure", .usage = "RECIPE",
    .summary = "draw a figure of stored rows into a file",
    .help = "Draws from the store alone: the model is not needed any more. `list figures` shows the "
            "recipes. head_map needs a stored map (`run ... --maps L1H3`), score_grid the values of a "
            "metric, needle_grid a run of `needle` (--metric recall, success, rouge1 or token_recall; with --head "
            "the retrieval score of that head). head_grid draws the stored maps of many heads as thumbnails (`run ... --maps "
            "all`; --head chooses), received_map the values of received, divergence_matrix those of jsd, jsd_layers, "
            "row_cosine, layer_similarity or composition_* (--layer, --order clustered). --facet puts several runs, heads or "
            "metrics side by side with one colour scale. A --theme FILE has lines `option = value`; what is given "
            "on the command line wins. Charts (score_curve, layer_curve, "
            "position_curve, norm_profile, ablation_bars, sparsity_curve) take several runs side by side, --run 3,5, and the "
            "mean over all prompts of a run unless --prompt names one; ablation_bars draws runs of `ablate`. "
            "Prints the name of the file; without -o it is made of recipe, head or metric, and run. "
            "The file says inside which commands made it and the SHA-256 of the model.",
    .examples = examples, .params = own, .min_args = 1, .max_args = 1,
    .complete = complete, .extra_params = extra,
    .run = run, .no_table = true,
};
