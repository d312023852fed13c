/* chat_priv.h - a chat template with what it is always given; shared by opening and rendering.
 */
#ifndef CHAT_PRIV_H
#define CHAT_PRIV_H

#include "text/chat.h"

/* A special token or a --template-arg. */
struct chat_var {
    char *name;
    struct buf json;
};

struct chat {
    struct jinja *plain, *with_tools; /* the second where the model has one for tools */
    struct chat_var *vars;            /* in order of rank: a later one of that name wins */
    size_t n_vars, cap_vars;
    struct jinja_time now;
    char date[32];
    bool uses_date;
    uint64_t source_hash;
    struct buf source; /* of all templates */
    struct buf turn_end;
};

void chat_find_turn_end(struct chat *c);

#endif
