/* run: prompts through a model, its attention measured. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/ring.h"
#include "base/cancel.h"
#include "base/clock.h"
#include "base/mem.h"
#include "cli/builtin_prompts.h"
#include "cli/chat_input.h"
#include "cli/edit_select.h"
#include "cli/experiment.h"
#include "cli/export_rows.h"
#include "cli/head_rule.h"
#include "cli/json_line.h"
#include "cli/metric_select.h"
#include "cli/output.h"
#include "cli/rank_units.h"
#include "cli/run_next.h"
#include "cli/run_summary.h"
#include "cli/terminal.h"
#include "compute/kernels.h"

typedef struct job {
    session *s;
    const command_args *a;
    loaded_model *lm;
    prompt_request *request; /* [n_request] */
    int64_t n_request;
    prompt_rules rules;
    prompt_input in;         /* the one prompt, when there is only one */
    input_lengths *lengths;  /* [n_request] */
    int64_t n_token, n_cut;  /* of all prompts: of the stack that gives the logits; cut off */
    int64_t n_sound_cut;     /* prompts whose sound is longer than the model hears */
    double most_seconds;     /* that it hears */
    metric_choice metrics;
    analysis_request measured;
    head_id *maps;
    int n_map;
    edit_choice edits;
    store *st;
    int64_t run;
    double begun;            /* the first prompt */
    bool split;              /* the sequence is shared out over the ranks */
    bool share;              /* the prompts are */
    uint64_t ring_bytes;     /* of keys and values that this rank has sent for the last prompt */
} job;

static const param *const *extra(void)
{
    static const param *tables[11];
    tables[0] = prompt_params;
    tables[1] = prompts_params;
    tables[2] = builtin_params;
    tables[3] = chat_params;
    tables[4] = precision_params;
    tables[5] = config_params;
    tables[6] = tokenizer_params;
    tables[7] = metric_choice_params();
    tables[8] = edit_option_params;
    tables[9] = resume_params;
    return tables;
}

static char *settings_json(const job *j, err *e)
{
    const params *p = j->a->p;
    strbuf b = {0};
    json_line_begin(&b, NULL);
    metric_put_settings(&b, &j->metrics, p);
    json_line_bool(&b, "special", params_bool(p, "special"));
    if (params_bool(p, "builtin"))
        json_line_bool(&b, "builtin", true);
    if (j->rules.truncate)
        json_line_int(&b, "truncate", j->rules.truncate);
    if (j->n_map) {
        json_line_text(&b, "maps", params_str(p, "maps"));
        json_line_int(&b, "map-limit", params_int(p, "map-limit"));
    }
    strbuf_putc(&b, '}');
    return strbuf_take(&b, e);
}

static int read_requests(job *j, err *e)
{
    const params *p = j->a->p;
    j->rules = prompt_rules_for(p, j->lm);
    if ((params_str(p, "prompts") || params_bool(p, "builtin")) && chat_from_file(p)) {
        err_set(e, ERR_USAGE, "--%s excludes --chat-file", params_str(p, "prompts") ? "prompts" : "builtin");
        return err_hint(e, "write the conversations into lines of a file for --prompts, as \"messages\"");
    }
    return prompt_requests_chosen(&j->request, &j->n_request, p, false, e);
}

static analysis_request request_of(const job *j)
{
    return (analysis_request){
        .metrics = j->metrics.list, .n_metric = j->metrics.n, .p = j->a->p, .maps = j->maps,
        .n_map = j->n_map,
        .map_limit = params_int(j->a->p, "map-limit"), .tok = j->lm->tok,
    };
}

static int make_input(prompt_input *out, const job *j, int64_t i, err *e)
{
    int rc = prompt_make_chat(out, j->lm, &j->request[i], &j->rules, j->a->p, e);
    if (rc && j->request[i].where[0])
        err_prefix(e, "%s", j->request[i].where);
    return rc;
}

/* Every prompt is read and held against the model before anything is written; a single one is kept. */
static int check_prompts(job *j, err *e)
{
    const analysis_request req = request_of(j);
    j->lengths = mem_array((size_t)j->n_request, sizeof *j->lengths, e);
    int rc = j->lengths ? 0 : ERR_RESOURCE;
    for (int64_t i = 0; i < j->n_request && !rc; i++) {
        prompt_input in;
        rc = make_input(&in, j, i, e);
        if (rc)
            break;
        rc = analyse_check(j->lm->rt, j->lm->m, &in.in, &req, e);
        if (!rc && j->split)
            rc = analyse_split_check(j->lm->m, &in.in, &req, e);
        if (rc && j->request[i].where[0])
            err_prefix(e, "%s", j->request[i].where);
        if (!rc)
            rc = cancel_check(e);
        if (input_measure(&j->lengths[i], j->lm->m, &in.in, NULL) == 0)
            j->n_token += j->lengths[i].main;
        j->n_cut += in.n_cut;
        if (sound_is_cut(&in)) {
            j->n_sound_cut++;
            j->most_seconds = in.most_seconds;
        }
        progress_step(&j->s->prog, "reading prompts", (double)i, (double)j->n_request);
        if (!rc && j->n_request == 1)
            j->in = in;
        else
            prompt_free(&in);
    }
    return rc;
}

/* Under mpirun the ranks work on a prompt together. */
static int check_split(const job *j, err *e)
{
    if (params_bool(j->a->p, "split-sequence") && ranks_size() == 1) {
        err_set(e, ERR_USAGE, "--split-sequence needs several processes");
        return err_hint(e, "start them with mpirun -n N attnscope run ..., in a build with MPI");
    }
    if (j->split && j->edits.plan) {
        err_set(e, ERR_USAGE, "edits cannot be made while the sequence is split over ranks");
        return err_hint(e, "run it without mpirun");
    }
    return 0;
}

/* Everything that can be wrong with the words is found before the store is touched. */
static int prepare(job *j, err *e)
{
    const char *maps = params_str(j->a->p, "maps");
    int rc = metric_choose(&j->metrics, params_str(j->a->p, "metrics"), e);
    if (!rc)
        rc = metric_check_params(&j->metrics, j->a->p, e);
    if (!rc)
        rc = choose_model(j->s, j->a, false, &j->lm, e);
    if (!rc)
        rc = read_requests(j, e);
    if (!rc && j->split && j->n_request > 1 && !params_bool(j->a->p, "split-sequence")) {
        j->split = false;
        j->share = true;
    }
    if (!rc)
        rc = metric_fit(&j->metrics, j->lm->m, e);
    if (!rc)
        rc = metric_need(&j->metrics, j->a->p, j->lm->tok, e);
    if (!rc && maps && *maps)
        rc = head_select_named(&j->maps, &j->n_map, j->s, j->lm->m, maps, e);
    if (!rc)
        rc = head_choice_note(j->s, "maps", maps, j->maps, j->n_map, e);
    if (!rc && j->metrics.n == 0 && j->n_map == 0) {
        err_set(e, ERR_USAGE, "nothing to measure");
        rc = err_hint(e, "name metrics (--metrics sink,entropy) or maps (--maps L1H3)");
    }
    if (!rc)
        rc = choose_model(j->s, j->a, true, &j->lm, e);
    if (!rc)
        rc = edit_choose(&j->edits, j->s, j->a, j->lm, e);
    if (!rc)
        rc = check_split(j, e);
    if (!rc)
        rc = check_prompts(j, e);
    if (!rc && j->metrics.left.len)
        say_once(j->s, "not measured, as it makes no sense for %s or nothing was named for it: %s", j->lm->m->name,
                 strbuf_str(&j->metrics.left));
    return rc;
}

/* Does this rank read what the first one reads?  Files may differ from machine to machine. */
static int same_prompt(const prompt_input *in, err *e)
{
    uint64_t hash = 14695981039346656037u, first; /* FNV-1a */
    for (int64_t i = 0; i < in->in.n; i++)
        hash = (hash ^ (uint32_t)in->in.ids[i]) * 1099511628211u;
    first = hash;
    ranks_broadcast(&first, sizeof first, 0);
    return first == hash ? 0 : err_set(e, ERR_INPUT, "the prompt is another than that of rank 0");
}

/* The first rank says which prompt is next (-1: none), and all work on it; the others keep nothing. */
static int measure_together(job *j, const prompt_input *in, const result_sink *out, const progress *p,
                            int rc, err *e)
{
    const analysis_request req = request_of(j);
    rc = ranks_agree(rc, e);
    if (!rc)
        rc = ranks_agree(same_prompt(in, e), e);
    return rc ? rc : analyse_split(j->lm->rt, j->lm->m, &in->in, &req, out, p, &j->ring_bytes, e);
}

static int follow(job *j, err *e)
{
    int rc = 0;
    for (int64_t i;;) {
        ranks_broadcast(&i, sizeof i, 0);
        if (i < 0)
            return rc;
        prompt_input in = {0};
        bool only = j->n_request == 1;
        rc = only ? 0 : make_input(&in, j, i, e);
        rc = measure_together(j, only ? &j->in : &in, NULL, NULL, rc, e);
        prompt_free(&in);
    }
}

static int measure_prompt(void *ud, experiment *x, int64_t i, err *e)
{
    job *j = ud;
    prompt_input in = {0};
    bool only = j->n_request == 1;
    j->begun = j->begun > 0 ? j->begun : clock_seconds();
    if (j->split)
        ranks_broadcast(&i, sizeof i, 0);
    int rc = only ? 0 : make_input(&in, j, i, e);
    const prompt_input *use = only ? &j->in : &in;
    if (!rc)
        rc = experiment_prompt(x, use, params_str(j->a->p, "label"), e);
    if (j->split)
        rc = measure_together(j, use, experiment_sink(x), experiment_progress(x), rc, e);
    else if (!rc)
        rc = experiment_measure(x, &use->in, &j->measured, e);
    prompt_free(&in);
    return rc;
}

/* Several prompts may pass together, unless ranks or a single one have the run to themselves. */
static int input_of(void *ud, int64_t i, prompt_input *in, const analysis_request **request, err *e)
{
    job *j = ud;
    *in = (prompt_input){0};
    if (j->split || j->n_request == 1)
        return 0;
    j->begun = j->begun > 0 ? j->begun : clock_seconds();
    *request = &j->measured;
    return make_input(in, j, i, e);
}

static int lengths_of(void *ud, int64_t i, input_lengths *n, const analysis_request **request, err *e)
{
    const job *j = ud;
    (void)e;
    *n = j->lengths[i];
    *request = &j->measured;
    return 0;
}

static int measure(job *j, err *e)
{
    const params *p = j->a->p;
    const char *file = params_str(p, "prompt-file");
    const given_tokens *g = &j->request[0].prompt;
    /* no NUL in a word */
    bool text = file && strcmp(file, "-") == 0 && g->text && strlen(g->text) == g->text_len;
    bool lines = command_format(j->s, j->a) == FORMAT_JSON && !params_given(p, "resume");
    char *settings = settings_json(j, e);
    j->measured = request_of(j);
    const experiment_plan plan = {
        .s = j->s, .a = j->a, .lm = j->lm, .verb = "run", .settings = settings,
        .edits = edit_choice_json(&j->edits),
        .seed = NO_INDEX, .n_unit = j->n_request, .unit = measure_prompt, .input = input_of, .lengths = lengths_of,
        .ud = j,
        .what = "prompt",
        .lines = lines ? j->s->out : NULL, .stdin_text = text ? g->text : NULL,
    };
    int rc = settings ? experiment_run(&plan, &j->run, e) : e->code;
    free(settings);
    return rc ? rc : session_store(j->s, &j->st, e);
}

/* Row by row: a run may have more values than memory. */
static int print_values(const job *j, err *e)
{
    const export_form form = {.format = command_format(j->s, j->a), .terminal = terminal_output(j->s),
                              .header = true};
    int64_t n;
    return export_rows(j->s->out, j->st, j->run, form, &n, &j->s->prog, e);
}

/* "12 tokens (nothing added)" or "5 prompts, 230 tokens". */
static void put_prompts(strbuf *b, const job *j)
{
    if (j->n_request == 1)
        prompt_describe(b, &j->in, j->lm);
    else
        strbuf_printf(b, "%" PRId64 " prompts, %" PRId64 " %s", j->n_request, j->n_token,
                      j->lm->m->main->embed.kind == EMBED_TOKENS ? "tokens" : "positions");
    if (j->n_request > 1 && j->n_sound_cut)
        strbuf_printf(b, ", the first %g s of %" PRId64 " longer sound%s", j->most_seconds, j->n_sound_cut,
                      j->n_sound_cut == 1 ? "" : "s");
}

static int print_summary(const job *j, err *e)
{
    strbuf b = {0};
    strbuf_printf(&b, "run %" PRId64 ": ", j->run);
    strbuf_put_visible(&b, j->lm->m->name, strlen(j->lm->m->name));
    strbuf_puts(&b, ", ");
    put_prompts(&b, j);
    strbuf_printf(&b, ", %s, %s, %d thread%s, %.2f s\n", precision_name(j->lm->rt_precision),
                  kernels_get()->isa,
                  runtime_threads(j->lm->rt), runtime_threads(j->lm->rt) == 1 ? "" : "s",
                  j->begun > 0 ? clock_seconds() - j->begun : 0);
    int rc = output_prose(j->s, &b, e);
    strbuf_free(&b);
    if (!rc)
        rc = run_summary(j->s, j->a, j->st, j->run, j->metrics.list, j->metrics.n, e);
    if (!rc && j->split)
        say(j->s, "split over %d processes: each sent %.3g KiB of keys and values a layer", ranks_size(),
            (double)j->ring_bytes / 1024 / j->lm->m->main->n_layer);
    if (!rc && j->edits.plan)
        say(j->s, "under edits: %s", edit_choice_json(&j->edits));
    if (!rc && params_row(j->a->p, "sink-threshold"))
        rc = sink_rate(j->s, j->st, j->run, params_real(j->a->p, "sink-threshold"), e);
    return rc;
}

static int report(job *j, err *e)
{
    output_format format = command_format(j->s, j->a);
    if (j->n_cut)
        say(j->s, "truncated: the last %" PRId64 " tokens were left out", j->n_cut);
    if (format != FORMAT_TABLE) {
        strbuf b = {0};
        put_prompts(&b, j);
        say(j->s, "run %" PRId64 ": %s", j->run, strbuf_str(&b));
        strbuf_free(&b);
    }
    switch (format) {
    case FORMAT_JSON: /* printed while it was made, but for a run that was taken up again */
        return params_given(j->a->p, "resume") ? print_values(j, e) : 0;
    case FORMAT_CSV:
    case FORMAT_TSV:
        return print_values(j, e);
    case FORMAT_TABLE:
        break;
    }
    int rc = print_summary(j, e);
    if (!rc)
        run_next(j->s, j->st, j->run, &(run_kept){j->lm->m->main->kind, j->metrics.n ? j->metrics.list[0]->name : NULL, j->maps,
                                                  j->n_map});
    return rc;
}

extern const command command_run;

static int run(session *s, const command_args *a, err *e)
{
    const bool together = ranks_size() > 1 && !s->part && !s->alone;
    job j = {.s = s, .a = a, .split = together};
    int rc = prepare(&j, e);
    if (together)
        rc = ranks_agree(rc, e);
    if (!rc && j.share) {
        rc = rank_units_run(s, &command_run, a, e);
    } else if (!rc && j.split && ranks_rank() > 0) {
        rc = follow(&j, e);
    } else if (!rc) {
        int64_t none = -1;
        rc = measure(&j, e);
        if (j.split)
            ranks_broadcast(&none, sizeof none, 0);
        if (!rc)
            rc = report(&j, e);
    }
    edit_choice_free(&j.edits);
    prompt_free(&j.in);
    prompt_requests_free(j.request, j.n_request);
    strbuf_free(&j.metrics.left);
    free(j.maps);
    free(j.lengths);
    return rc;
}

static const param own[] = {
    {.name = "metrics", .kind = PARAM_LIST, .value = "LIST", .complete = "metrics",
     .help = "what to measure; `list metrics` explains each"},
    {.name = "maps", .kind = PARAM_STR, .value = "HEADS", .complete = "heads",
     .help = "heads whose attention map is stored: L1H3,L2H*, L0-2, enc.L0H1, all, \"top 4 by induction\" (`help heads`)"},
    {.name = "map-limit", .kind = PARAM_INT, .def = "1024", .value = "N", .max = 1e9,
     .help = "pool stored maps above N cells a side (mean); 0: never"},
    {.name = "split-sequence", .kind = PARAM_BOOL,
     .help = "under mpirun: all processes work on one prompt, each on its share of the positions"},
    {.name = "label", .kind = PARAM_STR, .value = "TEXT",
     .help = "your name for the prompt, kept with the run (a line of --prompts has its own)"},
    {.name = NULL},
};
static const char *const examples[] = {
    "run examples/models/lantern-3m --prompt \"The old man lit the lantern.\"",
    "all default metrics, a line each",
    "run examples/models/lantern-3m --ids 0,17,42,17,42 --metrics induction,prev_token --json",
    "one JSON object a value",
    "run examples/models/lantern-3m --prompt \"Once more, once more.\" --maps L1H3",
    "also keep the attention map of a head",
    "run models/t5-small --source \"translate English to German: A lamp.\" --target \"Eine Lampe.\" --maps"
    " cross.all",
    "an encoder-decoder, with the maps of its cross attention",
    "run models/vit-base --image cat.jpg --metrics sink,entropy", "an image",
    "run models/gpt2 --prompts stories.jsonl --store stories.db", "many prompts, a JSON object a line",
    "run examples/models/lantern-3m --prompt \"A lamp.\" --edit \"zero L1H3; scale_first 0.5 L2\"",
    "under edits: heads taken out, attention to the first token halved",
    "run examples/models/lantern-3m --prompt \"A lamp.\" --dry-run", "only what it will take: time, and memory",
    NULL,
};
static const char *const complete[] = {"models", NULL};

const command command_run = {
    .name = "run", .group = "measure", .usage = "[MODEL]",
    .summary = "run a prompt and measure every attention head",
    .help = "Runs the prompt once and measures while attention is at hand; nothing of the size of tokens x "
            "tokens is kept unless --maps asks for it. Every value, the exact command, model and tokenizer "
            "hashes, precision and program version go to the store: in memory, or the file named with "
            "--store. --prompt follows the tokenizer's own policy (BOS and the like) and says which; --ids "
            "adds nothing. Models with an encoder or an image tower take --source, --target, --audio or"
            " --image; "
            "all their attention is measured: L1H3 in the decoder (in an encoder or image tower that stands"
            " alone, "
            "there), enc.L1H3 in the encoder, cross.L1H3 from decoder to encoder, vis.L1H3 in the image"
            " tower. "
            "--prompts runs every line of a file, --builtin the prompts that come with the program. Prints a line for each "
            "metric: the mean over heads and the heads "
            "with the highest and lowest values. --json prints every value instead, one object a line, --csv"
            " a table "
            "of all values. Under mpirun one prompt is split over the processes: metrics of weights and"
            " logits alone; the prompts of a file are shared out, unless --split-sequence is given.\n\n"
            "--dry-run runs no prompt and stores nothing: it counts the operations of each from the model's shapes, measures for "
            "some tenths of a second how fast products of these weights and attention over these heads go here, with and "
            "without what the metrics see, and prints time and memory. Reading files from disk, maps, metrics of the residual "
            "stream, and the tables printed in the end are not counted. Before a run that takes longer than 30 s (5 s at a "
            "terminal) the same is said in a line.",
    .examples = examples, .params = own, .min_args = 0, .max_args = 1,
    .complete = complete, .extra_params = extra, .run = run, .all_ranks = true,
};
