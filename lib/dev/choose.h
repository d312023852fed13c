/* choose.h - -d: which device, and which of the CPU's cores. */
#ifndef CHOOSE_H
#define CHOOSE_H

#include "dev/dev.h"

/* What `name` ("auto", "cpu", "cpu:K/N", "cuda:N", "ref") means here.  "auto" looks at SHARD
 * and SHARDS.  threads: 0, or how many the user wants; isa: NULL or a name.  On a slice of the
 * cores the process is bound to it.  EXIT_USAGE, EXIT_DEVICE. */
struct dev *device_open(const char *name, int threads, const char *isa, struct err *e);

#endif
