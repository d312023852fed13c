/* heartbeat.h - ranks that watch each other, beside whatever they wait for.
 *
 * A thread of each rank sends a sign of life to all others and ends the process with EXIT_AGAIN
 * when one of them is gone, silent for HEARTBEAT_SILENCE seconds, or was not seen that long
 * after the start.  Among ranks of one host it goes over sockets that have no file, from the
 * first moment of the process on; over several hosts over UDP, once MPI has carried the
 * addresses: until then only the start as a whole has a limit.
 */
#ifndef HEARTBEAT_H
#define HEARTBEAT_H

#include "base/error.h"

#include <netinet/in.h>

enum { HEARTBEAT_SILENCE = 4, HEARTBEAT_START = 60 }; /* seconds */

struct heartbeat;

struct heartbeat_address {
    struct sockaddr_in6 at;
};

/* By what the launcher left in the environment. */
struct heartbeat *heartbeat_start(struct err *e);
void heartbeat_started(struct heartbeat *h); /* all ranks are there */
int heartbeat_open_network(struct heartbeat *h, struct heartbeat_address *mine, struct err *e);
void heartbeat_use_network(struct heartbeat *h, const struct heartbeat_address *all);
/* Nobody is missed from now on; what is left may take HEARTBEAT_SILENCE seconds. */
void heartbeat_leave(struct heartbeat *h);
void heartbeat_stop(struct heartbeat *h);

#endif
