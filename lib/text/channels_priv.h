/* channels_priv.h - what opening a model's channels finds, and splitting and forcing use. */
#ifndef CHANNELS_PRIV_H
#define CHANNELS_PRIV_H

#include "text/channels.h"

/* A text that prompts end with, and its ids. */
struct channels_form {
    struct buf text;
    struct ids ids;
};

/* As the template ends a prompt by itself, and with thinking asked for. */
enum { CHANNELS_STARTS = 2 };

struct channels {
    const struct tokenizer *tokenizer;
    enum channels_kind kind;
    /* tags */
    int32_t open, close;
    const char *title; /* what stands behind `open` and is no thought; NULL: nothing */
    /* harmony */
    int32_t start, channel, message, end, ret, call;

    struct channels_form starts[CHANNELS_STARTS];
    struct channels_form
        final; /* what they become; empty: the final channel cannot be forced */
};

/* What the last added token of the prompt says: thinking has begun, or is over; -1. */
int32_t channels_last_tag(const struct channels *c, const int32_t *prompt, size_t n);

#endif
