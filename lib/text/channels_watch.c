/* channels_watch.c - whether an answer that is being made is at its text. */
#include "text/channels_priv.h"

/* The header's channel is `final`, whatever stands behind the word. */
static bool is_final(struct channels_watch *w)
{
    struct buf b = {0};
    tokenizer_decode(w->c->tokenizer, w->work, w->name.v, w->name.n, true, &b);
    size_t n = 0;
    while (n < b.n && (unsigned char)b.p[n] > ' ')
        n++;
    bool final = str_eq((struct str){b.p, n}, STR("final"));
    buf_release(&b);
    return final;
}

static void take_harmony(struct channels_watch *w, int32_t id)
{
    const struct channels *c = w->c;
    if (id == c->start || (id == c->channel && w->place != WATCH_HEADER)) {
        w->place = WATCH_HEADER;
        w->in_name = id == c->channel; /* its <|start|> was left out */
        w->name.n = 0;
        w->final = false;
    } else if (id == c->channel && !w->in_name) {
        w->in_name = true;
    } else if (id == c->message) {
        w->final = w->place == WATCH_HEADER && w->in_name && is_final(w);
        w->place = WATCH_BODY;
    } else if (id == c->end || id == c->ret || id == c->call) {
        w->place = WATCH_BETWEEN;
    } else if (w->place == WATCH_HEADER && w->in_name) {
        ids_add(&w->name, id);
    }
}

void channels_watch_begin(struct channels_watch *w, const struct channels *c,
                          struct tokenizer_work *work, const int32_t *prompt, size_t n)
{
    *w = (struct channels_watch){.c = c, .work = work};
    if (c->kind == CHANNELS_TAGS) {
        int32_t tag = channels_last_tag(c, prompt, n);
        w->place = tag == c->open ? WATCH_BODY : WATCH_PLAIN;
        w->begins = tag < 0;
    } else if (c->kind == CHANNELS_HARMONY) {
        size_t from = n; /* the message that the prompt leaves open */
        while (from && prompt[from - 1] != c->start)
            from--;
        for (size_t i = from ? from - 1 : n; i < n; i++)
            take_harmony(w, prompt[i]);
    }
}

void channels_watch_take(struct channels_watch *w, int32_t id)
{
    if (w->c->kind == CHANNELS_HARMONY)
        take_harmony(w, id);
    if (w->c->kind == CHANNELS_TAGS && (id == w->c->open || id == w->c->close))
        w->place = id == w->c->open ? WATCH_BODY : WATCH_PLAIN;
    w->begins = false;
}

bool channels_watch_text(const struct channels_watch *w)
{
    return w->place == WATCH_PLAIN || (w->place == WATCH_BODY && w->final);
}

int32_t channels_watch_opener(const struct channels_watch *w)
{
    return w->begins ? w->c->open : -1;
}

void channels_watch_release(struct channels_watch *w)
{
    ids_release(&w->name);
}
