/* The parts of the PyTorch reader: two containers (zip archives, and the older plain stream), one pickle
 * machine, one way from its values to tensors. */
#ifndef ATTNSCOPE_MODEL_READERS_TORCH_H
#define ATTNSCOPE_MODEL_READERS_TORCH_H

#include "model/checkpoint.h"
#include "model/readers/pickle.h"

/* The stream that torch.save wrote before 1.6, and writes with _use_new_zipfile_serialization=False: read its
 * pickles into p, find its storages, and give the object that was saved. */
int torch_read_stream(pickle_value *root, pickle *p, const mapfile *f, err *e);

/* Add the tensors of the state dict in root: root itself, or what it has under one of the usual names.
 * Storages must have been found.  Contiguous tensors become views into them, others are gathered. */
int torch_add_tensors(checkpoint *c, int file, const pickle *p, const pickle_value *root, err *e);

#endif
