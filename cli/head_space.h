/* The heads that there are, of a loaded model or of the model of a stored run: what selections choose among. */
#ifndef ATTNSCOPE_CLI_HEAD_SPACE_H
#define ATTNSCOPE_CLI_HEAD_SPACE_H

#include "db/store.h"
#include "model/model.h"

enum { HEAD_KINDS = ATTN_VISION + 1 };
typedef struct head_space {
    char name[80];             /* of the model */
    char path[200];            /* of the model, for commands that hints show */
    attn_kind main;            /* of names without a kind */
    bool layers;               /* of layers: head of each is NO_INDEX */
    head_id *head;             /* [n] by kind, layer and head */
    int n;
    int n_layer[HEAD_KINDS];   /* 0: no attention of that kind */
    int *first[HEAD_KINDS];    /* [n_layer + 1] where the heads of a layer begin; a layer may have none */
} head_space;

/* Free with head_space_free in any case. */
int head_space_of_model(head_space *out, const model *m, err *e);
/* Layers of the stacks of m that can be edited. */
int head_space_layers(head_space *out, const model *m, err *e);
/* Of the model that a run was made with: its recorded attention plan, and the heads that the run has values or maps of. */
int head_space_of_run(head_space *out, store *st, int64_t run, err *e);
void head_space_free(head_space *x);

/* Index of a head in x->head, -1: it is not there. */
int head_space_find(const head_space *x, head_id h);

#endif
