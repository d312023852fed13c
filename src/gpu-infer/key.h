/* key.h - what the answers of a run depend on, kept beside its file, so that another call goes
 * on with it only where it would give the same answers.
 */
#ifndef KEY_H
#define KEY_H

#include "gpu-infer/engine.h"

/* The key of this call as JSON, to be freed. */
char *key_text(const struct engine *g, const struct options *o);

#endif
