/* resume.h - -o FILE: answers that survive a kill.
 *
 * While a run goes on its answers stand in FILE.part, locked, with FILE.key beside it; at the
 * end FILE.part is synced and renamed.  Another call with an equal key goes on with either.
 */
#ifndef RESUME_H
#define RESUME_H

#include "base/buf.h"
#include "base/error.h"
#include "rec/seqset.h"

#include <stdint.h>

struct answers {
    char *path, *part, *key;
    int fd;
    struct seqset done; /* what earlier calls have answered */
    uint64_t n;         /* how many answers they left */
};

/* Opens and locks FILE.part, drops a torn last line, and reads which _seq are in it.  key: this
 * call's.  Returns -1 with
 *   EXIT_USAGE: the key differs (the text says in what), or the answers have no _seq;
 *   EXIT_AGAIN: another process is writing it, or only the instruction set differs;
 *   EXIT_DATA: the file holds something that is no answer;  EXIT_IO. */
int answers_open(struct answers *a, const char *path, const char *key,
                 struct err *e) MUST_CHECK;
/* Syncs FILE.part and gives it its final name. */
int answers_commit(struct answers *a, struct err *e) MUST_CHECK;
void answers_release(struct answers *a);

/* FILE.key, to be freed. */
char *answers_key_name(const char *path);

#endif
