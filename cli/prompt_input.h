/* A prompt as a model takes it: texts through the tokenizer, pictures and sound through the checkpoint's own
 * preprocessing, or numbers that are ready. */
#ifndef ATTNSCOPE_CLI_PROMPT_INPUT_H
#define ATTNSCOPE_CLI_PROMPT_INPUT_H

#include "base/hash.h"
#include "cli/prompt_request.h"
#include "cli/session.h"
#include "db/store.h"

/* Tokens of one stack. */
typedef struct token_list {
    int32_t *ids;          /* [n]; NULL: none */
    int64_t n;
    bool *special;         /* [n] added or recognised special tokens */
    char *text;            /* what was tokenised (may hold NUL); NULL for raw ids */
    size_t text_len;
    char policy[160];      /* what was added, for the user */
} token_list;

/* A file that pixels or features come from. */
typedef struct media_file {
    const char *role;      /* "image", "pixels", "audio", "features"; NULL: none */
    char *path;
    sha256_hex sha256;
} media_file;

typedef struct prompt_input {
    model_input in;        /* what forward() takes: views into the members below */
    token_list main;       /* of the stack that gives the logits; empty for an image tower */
    token_list source;     /* of a text encoder */
    float *pixels, *features;
    media_file file;
    double frame_seconds;  /* of sound: from one position of the encoder to the next; 0: not known */
    double sound_seconds;  /* length of the sound file; 0: none was read */
    double most_seconds;   /* of it that the model hears: what is behind is cut off */
    char *label;           /* from the request */
    prompt_facts facts;    /* likewise; they go to the store with the prompt */
    int64_t n_cut;         /* tokens that were cut off */
} prompt_input;

/* The sound file is longer than what the model hears. */
static inline bool sound_is_cut(const prompt_input *in)
{
    return in->sound_seconds > in->most_seconds;
}

/* What options other than the prompt itself say. */
typedef struct prompt_rules {
    bool special;          /* the tokenizer adds its special tokens */
    int64_t truncate;      /* tokens of the prompt that are kept; 0: all */
} prompt_rules;
prompt_rules prompt_rules_of(const params *p);
/* The same for a command with builtin_params: of the built-in prompts, what is behind the model's context is cut off. */
prompt_rules prompt_rules_for(const params *p, const loaded_model *lm);

/* Make the input that q asks for.  What the model does not take, what it needs and is missing, ids outside the
 * vocabulary, and sequences longer than a context are refused (ERR_USAGE).
 *
 * Encoder-decoders: `prompt` is the source, the target follows the start token as in training.  Speech models:
 * `prompt` is the target.  Image and text (LLaVA): the one image token of the prompt is repeated for every place
 * that the image takes; without one, the image goes behind BOS. */
int prompt_make(prompt_input *out, const loaded_model *lm, const prompt_request *q, const prompt_rules *rules, err *e);
/* The same, after the prompt's text was put into the model's chat template where the options ask for that (messages of the
 * request are in any case)
 * (cli/chat_input.h); p must describe chat_params. */
int prompt_make_chat(prompt_input *out, const loaded_model *lm, const prompt_request *q, const prompt_rules *rules,
                     const params *p, err *e);
/* The same from the options alone: one prompt. */
int prompt_read(prompt_input *out, const loaded_model *lm, const params *p, err *e);
void prompt_free(prompt_input *in);

/* The prompt for users: its length, "12 tokens", "9 tokens, source of 40", "17 patches", and what was added. */
void prompt_describe(strbuf *out, const prompt_input *in, const loaded_model *lm);

/* Positions of all stacks as the store keeps them, and the unit begun with them and with the facts of the request.
 * label NULL: the request's. */
int prompt_store_begin(store *st, int64_t run, int64_t index, const prompt_input *in, const loaded_model *lm,
                       const char *label, err *e);

#endif
