/* Members of the objects of --json, and the table of both (cli/json_schemas.h). */
#include "cli/json_schemas.h"

#include <string.h>
#include "base/strbuf.h"

const json_field json_fields[] = {
    {"*", NULL, "what was asked for names the member: a column of the statement, an option of the sweep, a metric, a score, a gamma"},
    {"above_median", NULL, "value over the median of all heads"},
    {"absent", NULL, "whether it may be missing"},
    {"accuracy", NULL, "share of the next tokens that the model's most likely token is"},
    {"accuracy_change", NULL, "against the model as it is, paired"},
    {"accuracy_high", NULL, "upper end of the 95 % interval of accuracy"},
    {"accuracy_low", NULL, "lower end of it"},
    {"activation", NULL, "share of the trials that count with a score above 0"},
    {"agree", NULL, "cases that agree"},
    {"alias", NULL, "name of the alias"},
    {"and", NULL, "the other one of the nearest pair"},
    {"answer", NULL, "tokens that were wanted, as text"},
    {"array", NULL, "its name in the reference"},
    {"assumed", NULL, "what the configuration leaves out and was taken for granted"},
    {"attention", NULL, "kinds of attention; of a model: the attention of its layers"},
    {"best_gamma", NULL, "gamma of the lowest loss"},
    {"bos", NULL, "id of the beginning-of-text token"},
    {"by", NULL, "how time and memory were found: units that were tried, or an estimate"},
    {"bytes", "bytes", "size in the file, or on disk"},
    {"bytes_after", "bytes", "size of the store afterwards"},
    {"bytes_before", "bytes", "size of the store before"},
    {"cases", NULL, "cases in the file"},
    {"cell", NULL, "number of the cell in its sweep"},
    {"change", NULL, "difference to the model as it is, paired"},
    {"change_high", NULL, "upper end of the 95 % interval of the change"},
    {"change_low", NULL, "lower end of it"},
    {"check", NULL, "what was checked"},
    {"checkpoint", NULL, "path as given"},
    {"cite", NULL, "keys of works, comma-separated: `explain NAME --bib` has them"},
    {"cluster", NULL, "number of the group that the head was put in"},
    {"clusters", NULL, "number of groups"},
    {"command", NULL, "the command: its name, or the line that can be typed again"},
    {"compared", NULL, "comparisons of ids, pieces and texts"},
    {"computed", NULL, "stored in no file: made from another tensor"},
    {"condition", NULL, "model as it is, without the heads, without random heads"},
    {"context", "tokens", "longest text that the model was made for"},
    {"cophenetic_r", NULL, "how well the tree keeps the distances"},
    {"copy_offset", "tokens", "from the token looked at to the one written"},
    {"cost", NULL, "what measuring it costs"},
    {"count", NULL, "number of values below the key"},
    {"cpu", NULL, "processor"},
    {"created", NULL, "time, UTC"},
    {"decoded", NULL, "text of the ids"},
    {"decoding", NULL, "how it goes on behind a prompt"},
    {"definition", NULL, "formula with all that it leaves open"},
    {"depth", "%", "place of the needle in the text"},
    {"detail", NULL, "first of what was found"},
    {"deviation", NULL, "largest deviation"},
    {"differences", NULL, "one line each"},
    {"distance", NULL, "between the two of the nearest pair"},
    {"domain", NULL, "of the texts"},
    {"done", NULL, "runs that are complete"},
    {"dropped", NULL, "number of sublayers left out"},
    {"dtype", NULL, "type of the weights"},
    {"duplicate", NULL, "weight on earlier copies of the token"},
    {"edit", NULL, "name of the edit"},
    {"edits", NULL, "edits of the run, in order"},
    {"effective", NULL, "whether the best gamma is above or below 1 beyond chance"},
    {"elements", NULL, "number of values"},
    {"eos", NULL, "id of the end-of-text token"},
    {"exact", NULL, "1 when the answer came word for word"},
    {"example", NULL, "command line"},
    {"facts", NULL, "facts compared"},
    {"facts_changed", NULL, "facts that differ"},
    {"family", NULL, "family of models"},
    {"far", NULL, "distance to the farthest"},
    {"farthest", NULL, "head, or pair, that is least alike"},
    {"features", NULL, "instruction sets of the processor"},
    {"field", NULL, "which field of the explanation"},
    {"figure", NULL, "name of the figure"},
    {"file", NULL, "index of the file that holds it"},
    {"finished", NULL, "time, UTC"},
    {"first", NULL, "value of the first model or run; of a list: its first head"},
    {"first_head", NULL, "where the first difference is"},
    {"first_metric", NULL, "where the first difference is"},
    {"first_now", NULL, "the value now"},
    {"first_position", NULL, "where the first difference is"},
    {"first_prompt", NULL, "where the first difference is"},
    {"first_then", NULL, "the value then"},
    {"format", NULL, "format of the checkpoint"},
    {"formula", NULL, "in one line of plain text"},
    {"found", NULL, "number of faults"},
    {"from", NULL, "where it comes from: default, command line, file, session"},
    {"gate", NULL, "largest deviation that is let pass"},
    {"generated", NULL, "what the model wrote"},
    {"gguf_architectures", NULL, "names in GGUF files"},
    {"group", NULL, "group in help"},
    {"head", NULL, "head, as L3H7 or its number"},
    {"heads", NULL, "heads: their number, or a list"},
    {"high", NULL, "upper end of the 95 % bootstrap interval of the mean"},
    {"identical", NULL, "1 when no row differs"},
    {"ids", NULL, "token ids"},
    {"ignored", NULL, "keys of the configuration that change nothing"},
    {"importance", NULL, "1 - similarity"},
    {"in_use", NULL, "yes or no"},
    {"induction", NULL, "weight on the token after the earlier copy"},
    {"inf", NULL, "values that are infinite"},
    {"influence", NULL, "relative rise of the loss without the heads"},
    {"inputs", NULL, "files and texts that the run read"},
    {"isa", NULL, "instruction set"},
    {"key", NULL, "name of the key; of mqar: weight on the key"},
    {"kind", NULL, "attention: self, enc, cross, vis; of an explanation: metric, edit, figure, term, work"},
    {"kv_heads", NULL, "key/value heads of a layer"},
    {"label", NULL, "label of the prompt"},
    {"labels", NULL, "names that the head earned, comma-separated"},
    {"largest_head", NULL, "where the largest difference is"},
    {"largest_metric", NULL, "where the largest difference is"},
    {"largest_now", NULL, "the value now"},
    {"largest_position", NULL, "where the largest difference is"},
    {"largest_prompt", NULL, "where the largest difference is"},
    {"largest_then", NULL, "the value then"},
    {"layer", NULL, "layer, from 0; null: not of a layer"},
    {"layers", NULL, "number of layers"},
    {"length", "tokens", "length of the text"},
    {"low", NULL, "lower end of the 95 % bootstrap interval of the mean"},
    {"maps", NULL, "stored attention maps: number, or list"},
    {"maps_changed", NULL, "maps that differ"},
    {"max", NULL, "largest value"},
    {"max_abs", NULL, "largest absolute difference"},
    {"mean", NULL, "mean over the prompts, or over all others"},
    {"meaning", NULL, "what it is"},
    {"measure", NULL, "what is measured"},
    {"member", NULL, "name of the member"},
    {"memory", "bytes", "memory that a cell needs"},
    {"message", NULL, "why a run did not end well"},
    {"metric", NULL, "name of the metric"},
    {"metrics", NULL, "metrics: names, or their number"},
    {"min", NULL, "smallest value"},
    {"missing_mass", NULL, "what is done with rows that do not sum to 1"},
    {"mlp", NULL, "width of the MLP"},
    {"model", NULL, "name of the model, or its path"},
    {"model_types", NULL, "names in config.json"},
    {"models", NULL, "models: their number, or what was removed"},
    {"n", NULL, "number of prompts, texts or trials behind the mean"},
    {"n_accuracy", NULL, "tokens that accuracy is a share of"},
    {"name", NULL, "name"},
    {"nan", NULL, "values that are no numbers"},
    {"near", NULL, "distance to the nearest"},
    {"nearest", NULL, "head, or pair, that is most alike"},
    {"needs", NULL, "what must be stored for it"},
    {"new", NULL, "units done now"},
    {"nll", "nats", "mean loss a token"},
    {"nll_change", "nats", "against the model as it is, paired"},
    {"nll_high", "nats", "upper end of the 95 % interval"},
    {"nll_low", "nats", "lower end of it"},
    {"nll_masked", "nats", "mean loss without the heads"},
    {"nmse", NULL, "squared error over the squares of the reference"},
    {"norm", NULL, "length of the head's output"},
    {"norm_without", NULL, "the same without the part of the prompt"},
    {"null", NULL, "whether it may be null"},
    {"number", NULL, "number of the checkpoint, in the order given"},
    {"of", NULL, "heads or layers; of a schema: its name"},
    {"operator", NULL, "how scores become weights"},
    {"options", NULL, "options of its own"},
    {"order", NULL, "place in the clustered order"},
    {"outlier", NULL, "1 when far above the other heads"},
    {"parameters", NULL, "number of weights"},
    {"path", NULL, "path as opened"},
    {"per_element", "ns", "time for each weight"},
    {"place", NULL, "layer, head or position that was looked at"},
    {"plain", "s", "time of a run without metrics"},
    {"policy", NULL, "what the tokenizer added, and why"},
    {"pooled", NULL, "recovery over all pairs: sums before the ratio"},
    {"position", NULL, "position that the value belongs to; what it counts says the metric"},
    {"position_is", NULL, "what positions count"},
    {"precision", NULL, "arithmetic of the run"},
    {"predicted", NULL, "most likely token, as text"},
    {"predicted_id", NULL, "its id"},
    {"previous", NULL, "weight on the previous token"},
    {"probability", NULL, "of the token"},
    {"problem", NULL, "why a cell cannot be run"},
    {"processors", NULL, "processors that may be used"},
    {"prompt", NULL, "number of the prompt, or its text"},
    {"prompt_ids", NULL, "ids of the prompt"},
    {"prompts", NULL, "prompts: their number, or a list"},
    {"prompts_changed", NULL, "prompts that differ"},
    {"prompts_missing", NULL, "prompts without a partner"},
    {"range", NULL, "values that it can have"},
    {"rank", NULL, "place in the order, or in a sorted list; of lens: number of tokens that are more likely"},
    {"ratio", NULL, "time with over time without"},
    {"reader", NULL, "name of the reader"},
    {"reading", NULL, "how to read it"},
    {"reads", NULL, "the head whose output it reads"},
    {"recall", NULL, "share of the answer's tokens that came"},
    {"reference", NULL, "file of the reference"},
    {"relative", NULL, "value over the length of the output"},
    {"repeated", NULL, "run that was repeated"},
    {"retrieval", NULL, "retrieval score"},
    {"rms", NULL, "root mean square"},
    {"rouge1", NULL, "ROUGE-1 recall of the answer"},
    {"rows_changed", NULL, "rows that a statement changed"},
    {"run", NULL, "number of the run in the store"},
    {"runs", NULL, "number of runs"},
    {"same_units", NULL, "units that were there already"},
    {"scores", NULL, "heads of the list that have a score"},
    {"sd", NULL, "standard deviation over the prompts"},
    {"second", NULL, "value of the second model or run"},
    {"seconds", "s", "time"},
    {"seed", NULL, "seed of random choices"},
    {"selected", NULL, "yes or no"},
    {"set", NULL, "score by the set of tokens, each once"},
    {"setting", NULL, "name of the setting"},
    {"settings", NULL, "options that the values depend on"},
    {"sha256", NULL, "SHA-256 of the content, hexadecimal"},
    {"shape", NULL, "dimensions"},
    {"shows", NULL, "what the example shows"},
    {"similarity", NULL, "cosine of the stream before and after"},
    {"sites", NULL, "places of values that nothing refers to any more"},
    {"source", NULL, "source: of a definition, of a list, or weight on the token to be copied"},
    {"stacks", NULL, "encoder, decoder, image tower"},
    {"started", NULL, "time, UTC"},
    {"status", NULL, "running, done, failed, cancelled; of a sweep: done or part"},
    {"std", NULL, "standard deviation of the values"},
    {"steps", NULL, "tokens written"},
    {"stopped", NULL, "why it stopped"},
    {"store", NULL, "file of the store"},
    {"stress", NULL, "how badly two dimensions keep the distances"},
    {"success", NULL, "1 when the trial counts"},
    {"summary", NULL, "one line"},
    {"sweep", NULL, "number or name of the sweep"},
    {"temperature", NULL, "temperature of sampling; 0: the most likely token"},
    {"text", NULL, "text"},
    {"texts", NULL, "number of texts"},
    {"there", NULL, "units that were there before"},
    {"threads", NULL, "worker threads"},
    {"tied", NULL, "unembedding is the embedding"},
    {"token", NULL, "token, as text"},
    {"token_recall", NULL, "share of the answer's distinct tokens that came"},
    {"tokenizer", NULL, "what the tokenizer is"},
    {"tokenizer_sha256", NULL, "SHA-256 of the tokenizer's file"},
    {"tokens", NULL, "tokens: their number, or one object each"},
    {"top", NULL, "share of the sequences in which the head looks there most"},
    {"topic", NULL, "what is explained"},
    {"traps", NULL, "where it misleads"},
    {"trial", NULL, "number of the trial"},
    {"type", NULL, "type of the value"},
    {"unit", NULL, "unit of the values"},
    {"units", NULL, "units of work: prompts, trials, cells"},
    {"units_wanted", NULL, "units that the run is to have"},
    {"usable", NULL, "yes or no"},
    {"usage", NULL, "words behind the verb"},
    {"validated", NULL, "what the definition was held against"},
    {"value", NULL, "value"},
    {"values", NULL, "values: their number, a list, or options of an edit"},
    {"values_changed", NULL, "values that differ"},
    {"values_of", NULL, "head, layer, logits or weights"},
    {"variable", NULL, "name of the variable"},
    {"verb", NULL, "command that made the run"},
    {"verdict", NULL, "ok, or what is wrong"},
    {"version", NULL, "version of the program"},
    {"vhd", NULL, "distance of the head's outputs with and without the part of the prompt"},
    {"vocabulary", NULL, "number of token ids"},
    {"what", NULL, "what was patched or dropped"},
    {"width", NULL, "width of the stream"},
    {"x", NULL, "place in the plane of the clusters"},
    {"y", NULL, "place in the plane of the clusters"},
    {"zero", NULL, "values that are 0"},
    {NULL, NULL, NULL},
};

const json_field *json_field_find(const char *name, size_t n)
{
    for (const json_field *f = json_fields; f->name; f++) {
        if (strlen(f->name) == n && !memcmp(f->name, name, n))
            return f;
    }
    return NULL;
}

/* "r" as "number", "il" as "integer or list" */
static void put_type(strbuf *b, const char *type, size_t n)
{
    static const struct { char letter; const char *word; } words[] = {
        {'i', "integer"}, {'r', "number"}, {'t', "text"}, {'b', "true or false"}, {'l', "list"}, {'m', "object"}};
    size_t from = b->len;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (memchr(type, words[i].letter, n))
            strbuf_printf(b, "%s%s", b->len > from ? " or " : "", words[i].word);
}

enum { OF, MEMBER, TYPE, NULLABLE, ABSENT, UNIT, MEANING, FROM, N_COLUMN };

/* item: "layer:i?" of n bytes */
static int put_member(table *t, const json_schema *s, const char *item, size_t n, err *e)
{
    size_t name = strcspn(item, ":"), letters = strspn(item + name + 1, "irtblm");
    const json_field *f = json_field_find(item, name);
    const char *texts[N_COLUMN] = {s->name, NULL, NULL, memchr(item, '?', n) ? "yes" : "no", memchr(item, '~', n) ? "yes" : "no",
                                   f ? f->unit : NULL, f ? f->meaning : "", s->from};
    strbuf type = {0};
    cell *row = table_row(t, e);
    int rc = row ? table_text(t, &row[MEMBER], item, name, e) : ERR_RESOURCE;
    put_type(&type, item + name + 1, letters);
    texts[TYPE] = strbuf_str(&type);
    if (!rc && type.failed)
        rc = err_nomem(e, "types");
    for (int i = 0; i < N_COLUMN && !rc; i++)
        if (texts[i])
            rc = table_text(t, &row[i], texts[i], strlen(texts[i]), e);
    strbuf_free(&type);
    return rc;
}

int json_schema_table(table **out, err *e)
{
    static const char *const columns[N_COLUMN] = {"of", "member", "type", "null", "absent", "unit", "meaning", "from"};
    int rc = table_new(out, N_COLUMN, columns, e);
    for (const json_schema *s = json_schemas; s->name && !rc; s++) {
        for (const char *at = s->fields; *at && !rc;) {
            size_t n = strcspn(at, " ");
            rc = put_member(*out, s, at, n, e);
            at += n + strspn(at + n, " ");
        }
    }
    return rc;
}
