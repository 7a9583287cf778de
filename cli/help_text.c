/* Laying out help: wrapping, options, and the texts about the program as a whole. */
#include <string.h>
#include <unistd.h>
#include "base/text_width.h"
#include "cli/help.h"
#include "cli/terminal.h"

#define NARROWEST_FIT 20 /* columns */

const program_option program_options[] = {
    {"-c COMMANDS", "run commands of the command language; may be given several times"},
    {"-f FILE", "run a script; - is standard input"},
    {"--keep-going", "go on after a command that failed; the exit status is that of the first failure"},
    {"--store FILE", "database of results (see the setting store)"},
    {"--threads N", "worker threads (see the setting threads)"},
    {"--SETTING VALUE", "give any other setting a value: --precision, --isa, --format, --color"},
    {"--no-color", "the same as --color never"},
    {"--no-hash-cache", "read every weight file for its digest (see the setting hash-cache)"},
    {"--no-config", "leave the configuration file out (`help configuration`)"},
    {"-q, --quiet", "no progress and no notes on standard error"},
    {"-h, --help", "the commands at a glance"},
    {"--version", "print the version"},
    {NULL, NULL},
};

const help_topic help_topics[] = {
    {"language", "Command language",
     "A command is a verb, then words and options in any order: `verb [word] [--option value] [--flag] "
     "[--no-flag]`; `--option=value` is the same as `--option value`; `--` ends the options. A newline or "
     "`;` ends a command. `#` at the start of a word opens a comment.\n"
     "\n"
     "  'text'      everything as it is\n"
     "  \"text\"      with \\n \\t \\r \\\" \\\\ \\$ \\xHH \\u{HEX}\n"
     "  $NAME       the value of a variable, also within double quotes: ${NAME};\n"
     "              ${NAME:-TEXT} with another where there is none, ${env:NAME}\n"
     "              of the environment, $1 to $9 of a script's arguments\n"
     "  \\c          the character c itself; before a newline: the line goes on\n"
     "  @FILE       one word: the content of FILE, byte for byte\n"
     "  @@text      the word @text\n"
     "  <<END       one word: the lines that follow, up to a line END\n"
     "\n"
     "`let` makes variables; the session gives $last, $model and $store. A $ before anything that is no name stays as it is, "
     "and so does one in single quotes and here-documents. `alias` gives a name to the beginning of a command.\n"
     "\n"
     "A script, `-c` and the shell speak this language. The words of `attnscope VERB ...` have been split by "
     "the system's shell and are taken as they are: no @FILE, no variables, no aliases, no here-documents. At the prompt, and "
     "only there, a verb may be shortened as long as it stays unique, and a line may begin with !! (the line before), !12 (that "
     "of this number in `history`) or !run (the newest that begins so); what follows is put behind it."},
    {"configuration", "Configuration",
     "The shell begins with the lines of $XDG_CONFIG_HOME/attnscope/config (~/.config without it), or of the file that "
     "ATTNSCOPE_CONFIG names. They are those that can be typed:\n"
     "\n"
     "  # colours hurt\n"
     "  set color never\n"
     "  set store /data/heads.db\n"
     "  alias t = top sink --n 5\n"
     "  let m = /models/lantern-3m\n"
     "\n"
     "`set`, `alias` and `let` write there with --save and leave what else is there as it is; `set --unset NAME --save`, "
     "`unalias --save` and `unlet --save` take lines away. `list settings` says where each value comes from. A line that "
     "cannot be read is told with its number and left out.\n"
     "\n"
     "So that a script gives the same everywhere, commands and scripts (anything but the shell) take from it only the "
     "settings that change no results: threads, quiet, hash-cache, and, in a terminal, color, graphics and plain. The options "
     "before the verb go before the file; `--no-config` leaves it out."},
    {"output", "Output",
     "Results go to standard output, everything else to standard error. Tables are aligned for reading, with "
     "units in the header and four significant digits. In a terminal that is too narrow units go below the names, then digits "
     "and text are shortened, and at last each row is a block of lines; what goes to a file or a pipe never is. "
     "`--json` writes JSON Lines: one object a line, whose first member \"schema\" tells what it is. `--csv` "
     "(RFC 4180, lines end in LF, an empty field is NULL: for numpy, pandas, R) and `--tsv` (\\t \\n \\r \\\\ for what "
     "cannot stand in a field, nothing is quoted: for cut and awk) begin with a header. These three carry full precision. "
     "`--output FILE` writes to a file, which appears under its name only when it is complete.\n"
     "\n"
     "In the shell, what is longer than the screen goes through a pager: $PAGER, or less -FRX. `set pager COMMAND` takes "
     "another, `set pager off` none; scripts and `-c` never use one.\n"
     "\n"
     "For screen readers: `--plain`, or `set plain on`, writes tables as lines of `name: value`, tells progress in words "
     "every few seconds, and leaves out colours, hints and the pager. A dumb terminal (TERM=dumb) and NO_COLOR leave out "
     "what they cannot show or do not want.\n"
     "\n"
     "A step that takes more than half a second shows its progress when standard error is a terminal. A "
     "reader that closes the pipe early, as `head` does, ends the program quietly with status 0."},
    {"shell", "The shell",
     "  Tab          finishes a word, a second Tab lists what fits: commands,\n"
     "               options and their values, models, heads of the loaded model,\n"
     "               runs, metrics, and in sql keywords, tables and columns\n"
     "  ?            where a word may begin: what may stand there\n"
     "  Alt-h        the same, anywhere\n"
     "  Up, Down     lines of the history that begin like this one\n"
     "  Ctrl-R       a line of the history that holds what is typed\n"
     "  Ctrl-C       drops the line, or stops the command\n"
     "  Ctrl-D       leaves, on an empty line\n"
     "\n"
     "The dim text behind the cursor says what comes next and is no part of the line; `set hints off` leaves it out. Keys "
     "follow ~/.inputrc (GNU Readline), which may bind others to the same: a section $if attnscope holds for this program "
     "alone. Several lines that are pasted run when Enter is pressed. A command goes on in the next line behind a backslash, "
     "in open quotes, and in a here-document."},
    {"models", "Models by name",
     "MODEL is a folder or file, or the name of a model in the search path. `list models` shows what is found, in this "
     "order:\n"
     "\n"
     "  the current folder\n"
     "  ATTNSCOPE_MODELS      folders apart by colons\n"
     "  examples/models       here, and as installed\n"
     "  the cache of Hugging Face's hub: HF_HUB_CACHE, HF_HOME/hub,\n"
     "                        XDG_CACHE_HOME/huggingface/hub or ~/.cache/...\n"
     "\n"
     "A model is a folder with config.json and weights, or a .gguf file, whose ending may be left out; one of the hub is "
     "called organisation/name, or by its name alone. Nothing is fetched."},
    {"json", "JSON",
     "`--json` (or `set format json`) writes JSON Lines: UTF-8, one object a line. Its first member, \"schema\", names what it "
     "is: attnscope.value/1 is a value, attnscope.run/1 a run. `list schemas` says for each which members it has, of which type, "
     "in which unit, what they mean, and whether they may be null or missing; members that depend on what was asked for "
     "(columns of a statement, options of a sweep) stand there as *.\n"
     "\n"
     "Members keep their name and meaning as long as the number behind the slash stays; new ones may be added. Numbers have full "
     "precision: read back they are the same. There is no NaN and no infinity: a value that does not exist is not there, or "
     "null.\n"
     "\n"
     "  attnscope run MODEL --prompt TEXT --json | jq -c 'select(.metric==\"sink\")'\n"
     "  attnscope list schemas --csv"},
    {"inputs", "Inputs and heads",
     "What a prompt is made of depends on the model; `info` shows its stacks. A missing or superfluous input is an "
     "error.\n"
     "\n"
     "  decoder, encoder    --prompt, --prompt-file or --ids\n"
     "  encoder-decoder     --source (or --prompt), and --target for the\n"
     "                      decoder's side: it is put behind the start token\n"
     "                      and loses its last token, as in training; without\n"
     "                      it the decoder runs on the start token alone\n"
     "  speech (Whisper)    --audio FILE.wav or --features FILE.npy;\n"
     "                      --target (or --prompt)\n"
     "  image tower         --image FILE or --pixels FILE.npy\n"
     "  images and text     both: the image takes the places of one <image> in\n"
     "                      the text, or goes behind BOS\n"
     "\n"
     "Text goes through the model's own tokenizer; pictures and sound through the steps and numbers of its "
     "preprocessor_config.json. Ids (--ids, --source-ids, --target-ids) and .npy files are taken as they are.\n"
     "\n"
     "`run --prompts FILE.jsonl` runs many: every line is an object with text (or ids), and optionally label, source, "
     "source_ids, target, target_ids, image, pixels, audio, features. Paths are relative to the file. All lines are "
     "checked before the first is run; each is stored when it is complete.\n"
     "\n"
     "Heads: L3H7 of the stack that gives the logits (of an encoder or image tower that stands alone: there), enc.L3H7 "
     "of the encoder, cross.L3H7 of the attention from decoder to encoder, vis.L3H7 of the image tower before a decoder. "
     "`all` means all of them, cross.all those of one kind. Metrics are left out where they make no sense: positions "
     "cannot be compared across texts, so prev_token, self, distance, induction and duplicate_token are not measured in "
     "cross attention; patches and audio frames are no tokens that could repeat; nll needs a model that predicts the "
     "next token."},
    {"heads", "Choosing heads", head_help},
    {"proof", "Proving a model",
     "`verify` holds a run against arrays that another program made of the same model and input. To prove your own "
     "model at your own length with Hugging Face's transformers (eager attention, float32):\n"
     "\n"
     "  python3 examples/reference/make_reference.py MODEL ref.npz \\\n"
     "      --text \"the prompt that matters\"\n"
     "  attnscope verify MODEL ref.npz\n"
     "\n"
     "The script takes --ids, --target, --image and --audio like `dump`, and --inputs FILE.npz repeats the inputs of "
     "another file: what attnscope read of a picture or a text goes through `dump` into transformers.\n"
     "\n"
     "  attnscope dump MODEL --image cat.jpg -o ours.npz\n"
     "  python3 examples/reference/make_reference.py MODEL ref.npz \\\n"
     "      --inputs ours.npz\n"
     "  attnscope verify MODEL ref.npz\n"
     "\n"
     "The last line of `verify` says how many arrays lie within the gates; the exit status is 4 when one does not. "
     "Memory: the script holds every attention map, 4 bytes x layers x heads x tokens squared; attnscope does not."},
    {"exit-status", "Exit status",
     "  0    done\n"
     "  1    the command failed for a reason of its own, as when a file cannot\n"
     "       be opened for writing\n"
     "  2    wrong words: unknown command or option, value out of range\n"
     "  3    an input file is missing, damaged or not supported\n"
     "  4    verify or compare found a difference\n"
     "  5    out of memory or disk space\n"
     "  130  interrupted (Ctrl-C, SIGTERM, SIGHUP)\n"
     "\n"
     "A script ends at the first command that fails, with its status, unless `--keep-going` is given. Ctrl-C "
     "ends the running command cleanly: nothing half-written stays behind. A second Ctrl-C in batch ends the "
     "program at once. In the shell Ctrl-C keeps the shell."},
    {"environment", "Environment",
     "  NO_COLOR          when set and not empty: no colours\n"
     "  TERM, COLORTERM   dumb: no colours; truecolor or 24bit: all of them\n"
     "  COLUMNS, LINES    size, where the terminal does not tell\n"
     "  ATTNSCOPE_ISA     the best instruction set to use: c, avx2, avx512, avx512bf16, amx\n"
     "  ATTNSCOPE_CONFIG  the configuration file\n"
     "  XDG_CONFIG_HOME   where it is looked for otherwise\n"
     "  ATTNSCOPE_MODELS  folders with models, apart by colons (help models)\n"
     "  PAGER             program for long output in the shell\n"
     "  XDG_STATE_HOME    where the shell keeps its history\n"
     "  XDG_CACHE_HOME    where digests of weight files are kept\n"},
    {"files", "Files",
     "  $XDG_CONFIG_HOME/attnscope/config   settings, aliases and variables\n"
     "                                      (default ~/.config)\n"
     "  $XDG_STATE_HOME/attnscope/history   lines typed in the shell\n"
     "                                      (default ~/.local/state)\n"
     "  $XDG_CACHE_HOME/attnscope/          digests of weight files\n"
     "                                      (default ~/.cache)\n"
     "\n"
     "Nothing else is written unless a command names it."},
    {NULL, NULL, NULL},
};

const help_topic *help_find_topic(const char *name)
{
    for (const help_topic *t = help_topics; t->name; t++) {
        if (!strcmp(t->name, name))
            return t;
    }
    return NULL;
}

void help_option(strbuf *b, const param *row)
{
    bool on = row->kind == PARAM_BOOL && row->def && !strcmp(row->def, "true");
    strbuf_printf(b, "--%s%s", on ? "[no-]" : "", row->name);
    if (row->kind != PARAM_BOOL)
        strbuf_printf(b, " %s", row->value ? row->value : "VALUE");
}

/* Long lists are written with blanks, where lines can be broken. */
static void put_default(strbuf *b, const char *def)
{
    enum { LONG = 40 };
    bool list = strlen(def) > LONG && !strchr(def, ' ');
    for (const char *c = def; *c; c++)
        strbuf_printf(b, "%c%s", *c, list && *c == ',' ? " " : "");
}

void help_option_text(strbuf *b, const param *row)
{
    strbuf_puts(b, row->help ? row->help : "");
    if (row->choices) {
        strbuf_puts(b, " (");
        for (int i = 0; row->choices[i]; i++) {
            if (i)
                strbuf_puts(b, row->choices[i + 1] ? ", " : " or ");
            strbuf_puts(b, row->choices[i]);
        }
        if (row->def && row->kind != PARAM_BOOL)
            strbuf_printf(b, "; default %s", row->def);
        strbuf_putc(b, ')');
    } else if (row->def && *row->def && row->kind != PARAM_BOOL) {
        strbuf_puts(b, " (default ");
        put_default(b, row->def);
        strbuf_putc(b, ')');
    } else if (row->kind == PARAM_BOOL && row->def && !strcmp(row->def, "true")) {
        strbuf_puts(b, " (on by default)");
    }
}

bool help_shadowed(const param *const *tables, int t, const param *row)
{
    for (int i = 0; i < t; i++) {
        for (const param *r = tables[i]; r->name; r++) {
            if (!strcmp(r->name, row->name))
                return true;
        }
    }
    return false;
}

static void put_blanks(strbuf *b, int n)
{
    for (; n > 0; n--)
        strbuf_putc(b, ' ');
}

/* Words of one paragraph from column `at` on. */
static int put_words(strbuf *b, const char *s, size_t n, int indent, int at, int width)
{
    for (size_t i = 0; i < n;) {
        if (s[i] == ' ') {
            i++;
            continue;
        }
        size_t len = strcspn(s + i, " \n");
        if (len > n - i)
            len = n - i;
        int columns = text_columns(s + i, len);
        if (at > indent && at + 1 + columns > width) {
            strbuf_putc(b, '\n');
            put_blanks(b, indent);
            at = indent;
        } else if (at > indent) {
            strbuf_putc(b, ' ');
            at++;
        }
        strbuf_add(b, s + i, len);
        at += columns;
        i += len;
    }
    return at;
}

void help_wrap(strbuf *b, const char *text, int indent, int width)
{
    int at = -1; /* column within a paragraph; -1: none is open */
    while (*text) {
        size_t len = strcspn(text, "\n");
        if (len == 0 || text[0] == ' ') {
            if (at >= 0)
                strbuf_putc(b, '\n');
            at = -1;
            if (len) {
                put_blanks(b, indent);
                strbuf_add(b, text, len);
            }
            strbuf_putc(b, '\n');
        } else {
            if (at < 0) {
                put_blanks(b, indent);
                at = indent;
            }
            at = put_words(b, text, len, indent, at, width);
        }
        text += len + (text[len] == '\n');
    }
    if (at >= 0)
        strbuf_putc(b, '\n');
}

/* Where the text of an entry begins: behind a label and two blanks or more.  lead: there is none, or too far right. */
static size_t entry_text(const char *line, size_t len, int lead, int width)
{
    for (size_t i = (size_t)lead; lead && i + 2 < len; i++) {
        if (line[i] != ' ' || line[i + 1] != ' ' || line[i - 1] == '.')
            continue;
        i += strspn(line + i, " ");
        return i < len && text_columns(line, i) < width / 2 ? i : (size_t)lead;
    }
    return (size_t)lead;
}

void help_fit(strbuf *b, const char *text, int fd)
{
    int width = isatty(fd) ? terminal_size(fd).columns : 0;
    while (*text) {
        size_t len = strcspn(text, "\n");
        int lead = (int)strspn(text, " ");
        if (width >= NARROWEST_FIT && text_columns(text, len) > width && lead < width / 2) {
            size_t from = entry_text(text, len, lead, width);
            int column = text_columns(text, from);
            strbuf_add(b, text, from);
            put_words(b, text + from, len - from, column, column, width);
        } else {
            strbuf_add(b, text, len);
        }
        strbuf_putc(b, '\n');
        text += len + (text[len] == '\n');
    }
}

void help_entry(strbuf *b, const char *label, const char *text, int indent, int column, int width)
{
    int at = indent + text_columns(label, strlen(label));
    put_blanks(b, indent);
    strbuf_puts(b, label);
    if (at >= column || (indent && at + 1 == column)) { /* two blanks at least stand before the text of a list's row */
        strbuf_putc(b, '\n');
        at = 0;
    }
    put_blanks(b, column - at);
    put_words(b, text, strlen(text), column, column, width);
    strbuf_putc(b, '\n');
}
