/* patch: activations of one prompt in the run of another. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/experiments/path_patch.h"
#include "base/mem.h"
#include "cli/experiment.h"
#include "cli/head_rule.h"
#include "cli/hook_name.h"
#include "cli/json_line.h"
#include "cli/patch_pairs.h"
#include "cli/patch_table.h"

typedef struct job {
    session *s;
    const command_args *a;
    loaded_model *lm;
    pair_set pairs;
    patch_sweep sweep;
    patch_what whats[PATCH_WHATS];
    bool path;
    path_patch route;
    head_id *receivers;
    int n_layer;              /* layers of a pair */
    int64_t layer;            /* the only one that is swept; NO_INDEX: all */
    char metric[PATCH_WHATS][32];
    /* of the unit at hand */
    experiment *x;
    patch_base base;
} job;

static int index_of(const char *const *list, const char *word)
{
    for (int i = 0; list[i]; i++)
        if (strcmp(list[i], word) == 0)
            return i;
    return -1;
}

static int no_place(const char *word, err *e)
{
    err_set(e, ERR_USAGE, "--what %s is no activation that is patched", word);
    return err_hint(e, "write blocks.3.attn.hook_z, blocks.3.hook_resid_pre or the like, without brackets; "
                       "`help patch` lists them");
}

/* What a word means: one of ours, or a name of TransformerLens, "hook_z" (all layers are swept) or "blocks.3.attn.hook_z"
 * (*layer alone). */
static int read_what(const char **out, int64_t *layer, const char *word, err *e)
{
    hook_name name;
    const char *at = word;
    *layer = NO_INDEX;
    *out = word;
    if (strchr(word, '.')) {
        if (!hook_name_read(&name, &at) || *at || !name.at || !name.at->what || name.kind == ATTN_CROSS || name.head != NO_INDEX)
            return no_place(word, e);
        *layer = name.layer;
        *out = name.at->what;
        return 0;
    }
    for (const hook_point *x = hook_points; x->hook; x++)
        if (x->what && strcmp(strrchr(x->hook, '.') ? strrchr(x->hook, '.') + 1 : x->hook, word) == 0)
            *out = x->what;
    return 0;
}

static int choose_whats(job *j, err *e)
{
    const char *list = params_str(j->a->p, "what");
    char word[64];
    j->layer = NO_INDEX;
    for (bool first = true; *list; first = false) {
        size_t len = strcspn(list, ",");
        const char *name;
        int64_t layer;
        snprintf(word, sizeof word, "%.*s", (int)(len < sizeof word ? len : sizeof word - 1), list);
        int rc = read_what(&name, &layer, word, e);
        if (rc)
            return rc;
        if (!first && layer != j->layer) {
            err_set(e, ERR_USAGE, "--what names places of different layers");
            return err_hint(e, "give each layer a run of its own, or names without a layer, --what z,resid, for all");
        }
        j->layer = layer;
        int what = index_of(patch_what_names, name);
        list += len + (list[len] == ',');
        if (strcmp(word, "path") == 0) {
            j->path = true;
            continue;
        }
        bool twice = false;
        for (int i = 0; i < j->sweep.n_what; i++)
            twice |= (int)j->whats[i] == what;
        if (what >= 0 && !twice)
            j->whats[j->sweep.n_what++] = (patch_what)what;
    }
    if (j->path && j->sweep.n_what) {
        err_set(e, ERR_USAGE, "path is patched alone");
        return err_hint(e, "give --what path, and the other places in a run of their own");
    }
    return 0;
}

/* Options of the one form say nothing in the other. */
static int check_form(const job *j, err *e)
{
    static const char *const of_path[] = {"receivers", "input", "freeze", "everywhere", NULL};
    static const char *const of_sweep[] = {"by", "direction", NULL};
    const char *const *not = j->path ? of_sweep : of_path;
    for (int i = 0; not[i]; i++)
        if (params_given(j->a->p, not[i])) {
            err_set(e, ERR_USAGE, "--%s is %s --what path", not[i], j->path ? "not for" : "for");
            return err_hint(e, "leave it out");
        }
    return 0;
}

static int choose_receivers(job *j, err *e)
{
    const params *p = j->a->p;
    const char *list = params_str(p, "receivers"), *input = params_str(p, "input");
    bool logits = strcmp(list, "logits") == 0;
    int n = 0, rc = 0;
    if (logits) {
        if (params_given(p, "input")) {
            err_set(e, ERR_USAGE, "--input is for receivers that are heads");
            return err_hint(e, "name them: --receivers L9H9,L10H0");
        }
    } else {
        rc = head_select_named(&j->receivers, &n, j->s, j->lm->m, list, e);
    }
    if (!rc)
        rc = head_choice_note(j->s, "receivers", logits ? NULL : list, j->receivers, n, e);
    j->route = (path_patch){
        .r = j->lm->rt, .m = j->lm->m, .receivers = j->receivers, .n_receiver = n,
        .input = (patch_what)index_of(patch_what_names, input),
        .mode = (path_mode)index_of(path_mode_names, params_str(p, "freeze")),
        .everywhere = params_bool(p, "everywhere"), .score = j->sweep.score,
    };
    if (!rc)
        rc = path_patch_check(&j->route, e);
    if (!rc)
        j->n_layer = path_senders(&j->route);
    return rc;
}

static int choose_sweep(job *j, err *e)
{
    const char *by = params_str(j->a->p, "by");
    bool heads = false;
    j->sweep.r = j->lm->rt;
    j->sweep.m = j->lm->m;
    j->sweep.what = j->whats;
    for (int i = 0; i < j->sweep.n_what; i++)
        heads |= j->whats[i] >= PATCH_Z;
    j->sweep.by = by ? (patch_by)index_of(patch_by_names, by) : heads ? PATCH_BY_HEAD : PATCH_BY_POSITION;
    j->sweep.noise = strcmp(params_str(j->a->p, "direction"), "noise") == 0;
    j->n_layer = j->layer == NO_INDEX ? j->lm->m->main->n_run : 1;
    if (j->layer >= j->lm->m->main->n_run) {
        err_set(e, ERR_USAGE, "layer %" PRId64 " out of range (model has %d layers)", j->layer, j->lm->m->main->n_run);
        return err_hint(e, "layers count from 0");
    }
    return patch_sweep_check(&j->sweep, e);
}

/* Positions of several pairs are the same only when the prompts are as long. */
static int check_lengths(const job *j, err *e)
{
    if (j->path || j->sweep.by != PATCH_BY_POSITION)
        return 0;
    int64_t lo = INT64_MAX, hi = 0;
    for (int64_t i = 0; i < j->pairs.n; i++) {
        int64_t n = j->pairs.pair[i].p.n;
        lo = n < lo ? n : lo;
        hi = n > hi ? n : hi;
    }
    if (lo == hi)
        return 0;
    err_set(e, ERR_USAGE, "the prompts have %" PRId64 " to %" PRId64 " tokens: their positions do not match", lo, hi);
    return err_hint(e, "patch by head or by layer, or take prompts of one form (--template 1)");
}

static int prepare(job *j, err *e)
{
    const params *p = j->a->p;
    bool emit = params_given(p, "emit");
    j->sweep.score = (patch_score)index_of(patch_score_names, params_str(p, "metric"));
    int rc = choose_whats(j, e);
    if (!rc)
        rc = check_form(j, e);
    if (!rc)
        rc = choose_model(j->s, j->a, !emit, &j->lm, e);
    if (!rc && !emit)
        rc = patch_check_model(j->lm->m, e);
    if (!rc && j->path && !emit)
        rc = choose_receivers(j, e);
    else if (!rc)
        rc = choose_sweep(j, e);
    if (!rc)
        rc = pair_set_read(&j->pairs, p, j->lm->tok, !j->path && j->sweep.by == PATCH_BY_POSITION, e);
    if (!rc && !emit)
        rc = pair_set_tokens(&j->pairs, j->lm, p, j->sweep.score == SCORE_LOGIT_DIFF, e);
    if (!rc && !emit)
        rc = check_lengths(j, e);
    return rc;
}

static char *settings_json(const job *j, err *e)
{
    const params *p = j->a->p;
    strbuf b = {0};
    sha256_hex hash;
    if (pair_set_hash(hash, &j->pairs, e))
        return NULL;
    json_line_begin(&b, NULL);
    json_line_text(&b, "what", params_str(p, "what"));
    json_line_text(&b, "metric", patch_score_names[j->sweep.score]);
    if (j->path) {
        json_line_text(&b, "receivers", params_str(p, "receivers"));
        if (j->route.n_receiver)
            json_line_text(&b, "input", params_str(p, "input"));
        json_line_text(&b, "freeze", params_str(p, "freeze"));
        json_line_bool(&b, "everywhere", j->route.everywhere);
    } else {
        json_line_text(&b, "by", patch_by_names[j->sweep.by]);
        json_line_text(&b, "direction", j->sweep.noise ? "noise" : "denoise");
    }
    if (params_given(p, "task"))
        json_line_text(&b, "task", params_str(p, "task"));
    json_line_int(&b, "n", j->pairs.n);
    json_line_text(&b, "pairs", hash);
    strbuf_putc(&b, '}');
    return strbuf_take(&b, e);
}

/* ---- units: a layer of a pair ---- */

static int take_site(void *ud, const patch_site *at, err *e)
{
    job *j = ud;
    char raw[64];
    attn_kind kind = j->lm->m->main->kind;
    int slot = 0;
    while (!j->path && j->whats[slot] != at->what)
        slot++;
    double value = j->path ? path_effect(&j->base, at->score) : patch_recovery(&j->base, at->score);
    /* the sender's position is that of the logits, of another number in each pair */
    int64_t position = j->path ? NO_INDEX : at->position;
    patch_raw_name(raw, j->metric[slot], patch_score_names[j->sweep.score]);
    int rc = experiment_value(j->x, j->metric[slot], kind, at->layer, at->head, position, value, e);
    return rc ? rc : experiment_value(j->x, raw, kind, at->layer, at->head, position, at->score, e);
}

/* What stands against the clean prompt, once for each pair. */
static int keep_pair(const job *j, experiment *x, const pair_input *in, err *e)
{
    const token_list *other = &in->corrupted.main;
    const tokenizer *tok = j->lm->tok;
    int rc = other->text ? experiment_fact(x, "corrupted", other->text, other->text_len, e) : 0;
    for (int k = 0; tok && k < 2 && !rc; k++) {
        int32_t id = k == 0 ? in->p.answer : in->p.n_wrong ? in->p.wrong[0] : -1;
        token_text t = id >= 0 ? tokenizer_text(tok, id) : (token_text){NULL, 0};
        if (t.len)
            rc = experiment_fact(x, k == 0 ? "answer" : "wrong", t.s, t.len, e);
    }
    return rc;
}

static int do_unit(void *ud, experiment *x, int64_t i, err *e)
{
    job *j = ud;
    const pair_input *in = &j->pairs.pair[i / j->n_layer];
    const bool first = i % j->n_layer == 0;
    int layer = j->layer == NO_INDEX ? (int)(i % j->n_layer) : (int)j->layer;
    attn_kind kind = j->lm->m->main->kind;
    j->x = x;
    int rc = experiment_prompt(x, &in->clean, in->label, e);
    if (!rc && first)
        rc = keep_pair(j, x, in, e);
    if (!rc)
        rc = j->path ? path_patch_layer(&j->route, &in->p, layer, &j->base, take_site, j, experiment_progress(x), e)
                     : patch_sweep_layer(&j->sweep, &in->p, layer, &j->base, take_site, j, experiment_progress(x), e);
    if (!rc && first)
        rc = experiment_value(x, "patch_clean", kind, NO_INDEX, NO_INDEX, NO_INDEX, j->base.clean, e);
    if (!rc && first)
        rc = experiment_value(x, "patch_corrupted", kind, NO_INDEX, NO_INDEX, NO_INDEX, j->base.corrupted, e);
    if (rc && rc != ERR_CANCELLED && rc != ERR_RESOURCE && j->pairs.n > 1)
        err_prefix(e, "%s", in->label);
    patch_base_free(&j->base);
    return rc;
}

static int measure(job *j, err *e)
{
    const params *p = j->a->p;
    const char *names[PATCH_WHATS], *whats[PATCH_WHATS];
    int64_t run = 0, seed = params_int(p, "seed"), n_unit = j->pairs.n * j->n_layer;
    int n = j->path ? 1 : j->sweep.n_what;
    for (int i = 0; i < n; i++) {
        whats[i] = j->path ? "path" : patch_what_names[j->whats[i]];
        if (j->path)
            snprintf(j->metric[i], sizeof j->metric[i], "path_effect");
        else
            snprintf(j->metric[i], sizeof j->metric[i], "patch_%.20s", whats[i]);
        names[i] = j->metric[i];
    }
    char *settings = settings_json(j, e);
    const experiment_plan plan = {.s = j->s, .a = j->a, .lm = j->lm, .verb = "patch", .settings = settings, .seed = seed,
                                  .n_unit = n_unit, .unit = do_unit, .ud = j, .what = "layer"};
    store *st;
    int rc = settings ? experiment_run(&plan, &run, e) : e->code;
    free(settings);
    if (!rc)
        rc = session_store(j->s, &st, e);
    if (rc)
        return rc;
    const patch_report report = {
        .s = j->s, .a = j->a, .st = st, .run = run, .pairs = &j->pairs, .lm = j->lm, .metric = names, .what = whats,
        .n_metric = n, .score = patch_score_names[j->sweep.score], .neutral = !j->path && j->sweep.noise ? 1 : 0,
        .path = j->path, .seed = (uint64_t)seed,
    };
    return patch_print(&report, e);
}

static int emit(const job *j, err *e)
{
    const char *path = params_str(j->a->p, "emit");
    int rc = pair_set_write(&j->pairs, path, e);
    if (!rc)
        say(j->s, "wrote %s: %" PRId64 " pairs", path, j->pairs.n);
    return rc;
}

static int run(session *s, const command_args *a, err *e)
{
    job j = {.s = s, .a = a};
    int rc = prepare(&j, e);
    if (!rc)
        rc = params_given(a->p, "emit") ? emit(&j, e) : measure(&j, e);
    pair_set_free(&j.pairs);
    free(j.receivers);
    return rc;
}

static const char *const what_choices[] = {
    "resid", "attn_out", "mlp_out", "z", "q", "k", "v", "pattern", "path",
    "hook_resid_pre", "hook_attn_out", "hook_mlp_out", "hook_z", "hook_q", "hook_k", "hook_v", "hook_rot_q", "hook_rot_k",
    "hook_pattern", "blocks.*",
    NULL,
};
static const char *const direction_choices[] = {"denoise", "noise", NULL};
static const char *const input_choices[] = {"q", "k", "v", NULL};
static const param own[] = {
    {.name = "what", .kind = PARAM_LIST, .def = "resid", .value = "LIST", .choices = what_choices,
     .help = "which activation is replaced, also by its TransformerLens name, blocks.3.attn.hook_z for layer 3 alone; or path: "
             "from head to head"},
    {.name = "by", .kind = PARAM_ENUM, .value = "WAY", .choices = patch_by_names,
     .help = "one layer, position or head at a time; default: head where there are heads, else position"},
    {.name = "metric", .kind = PARAM_ENUM, .def = "logit_diff", .value = "SCORE", .choices = patch_score_names,
     .help = "logit of the answer less that of the wrong one, or KL divergence from the clean distribution in nats"},
    {.name = "direction", .kind = PARAM_ENUM, .def = "denoise", .value = "WAY", .choices = direction_choices,
     .help = "denoise: clean activations into the corrupted run; noise: the other way round"},
    {.name = "receivers", .kind = PARAM_STR, .def = "logits", .value = "HEADS", .complete = "heads",
     .help = "--what path: heads whose inputs carry the change, L9H9,L10H0 (`help heads`); or logits"},
    {.name = "input", .kind = PARAM_ENUM, .def = "q", .value = "PART", .choices = input_choices,
     .help = "--what path: which input of the receivers"},
    {.name = "freeze", .kind = PARAM_ENUM, .def = "heads", .value = "WHAT", .choices = path_mode_names,
     .help = "--what path: other heads stay as they were; mlps: MLPs too; direct: and the receivers' norm, so that the path is "
             "linear"},
    {.name = "everywhere", .kind = PARAM_BOOL,
     .help = "--what path: change the sender at all positions, not at that of the logits alone"},
    {.name = "top", .kind = PARAM_INT, .def = "20", .value = "N", .max = 1e9,
     .help = "places that the table shows, strongest first; 0: all, in order"},
    {.name = "emit", .kind = PARAM_PATH, .value = "FILE.jsonl", .help = "write the pairs as --pairs reads them, and stop"},
    {.name = NULL},
};
static const param *const *extra(void)
{
    static const param *const tables[] = {patch_pair_params, experiment_params, precision_params, config_params,
                                          tokenizer_params, NULL};
    return tables;
}
static const char *const examples[] = {
    "patch examples/models/lantern-3m --clean \"It was a dark night, and the old man\" --corrupted "
    "\"It was a cold night, and the old man\" --metric kl",
    "where the residual stream carries what differs, by layer and position",
    "patch examples/models/lantern-3m --clean \"It was a dark night, and the old man\" --corrupted "
    "\"It was a cold night, and the old man\" --metric kl --what z", "which heads carry it",
    "patch gpt2/ --task ioi --n 16 --what z,v --store heads.db", "which heads and values bring the right name back",
    "patch gpt2/ --task ioi --what path --receivers L9H9,L9H6 --input q", "which heads act by way of the queries of these two",
    "patch gpt2/ --task colored-objects --n 32 --emit pairs.jsonl", "the prompts as a file",
    NULL,
};
static const char *const complete[] = {"models", NULL};

const command command_patch = {
    .name = "patch", .group = "experiment", .usage = "[MODEL]",
    .summary = "replace activations of one prompt by those of another, and see what comes back",
    .help = "Activation patching. Two prompts of the same number of tokens, a clean one with its answer and a corrupted one "
            "with another; the corrupted prompt runs once for each place, and there, and only there, the clean prompt's "
            "activation is put in: the residual stream that a layer reads (resid), what attention or the MLP add to it "
            "(attn_out, mlp_out), head outputs (z), queries, keys, values (q, k, v: after RoPE; k and v by key/value head) or "
            "attention weights (pattern). The score is the logit difference of answer and wrong answer, or the KL divergence "
            "from the clean distribution. Shown is the recovery (m - m_corrupted) / (m_clean - m_corrupted): 1 as the clean "
            "prompt, 0 as the corrupted one, with --direction noise as well (there 1 is no effect).\n\n"
            "Path patching (--what path; Wang et al. 2211.00593, circuit_reuse) goes the other way round: on the clean prompt"
            " one "
            "head after another sends its corrupted output, at the position of the logits, while all other attention is frozen; "
            "what arrives at the receivers is put into a second run. Its effect is (m - m_clean) / (m_corrupted - m_clean): 0 "
            "none, 1 all of the corruption. Queries, keys and values are received as they are after RoPE; a key/value head is "
            "received with all heads that share it.\n\n"
            "Over several pairs: mean of the pairs' values with sd and a bootstrap 95 % interval, and `pooled`, the mean score "
            "normalised by the mean scores, as TransformerLens does it. `--task ioi-demo --bos` are the eight prompts of its "
            "demonstration; its stored figure for GPT-2 small, 3.5519 clean and -3.5519 corrupted, has not been checked here. "
            "A unit of the run is a layer of a pair, with two whole runs of its own and then runs from that layer on.",
    .examples = examples, .params = own, .min_args = 0, .max_args = 1, .complete = complete, .extra_params = extra, .run = run,
};
