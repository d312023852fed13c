/* merge.h - --merge: an adapter into the model that it goes with, as a model directory. */
#ifndef TRAIN_STEP_MERGE_H
#define TRAIN_STEP_MERGE_H

#include "train-step/options.h"

/* Merges o->merge into o->model as o->output; `files` hold the sample's records, none: built-in
 * prompts.  Ends the process where something fails; else its status: EXIT_VERDICT where the two
 * are too far apart, and then nothing is written. */
int merge_main(const struct options *o, char **files);

#endif
