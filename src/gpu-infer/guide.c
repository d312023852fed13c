/* guide.c - what steers an answer while it is made. */
#include "gpu-infer/guide.h"

#include "text/channels.h"

#include <stdlib.h>

/* Bytes that are filled in at once, and the fewest for which that is tried. */
enum { FORCED_MAX = 4096, FORCED_LEAST = 2, SAMPLES = 4 };

struct guide {
    const struct task *task;
    const struct engine *engine;
    struct tokenizer_work *work;
    struct channels_watch watch;
    bool watched;        /* the model has channels */
    bool behind_thought; /* line ends between a thought and the answer are no part of it */
    bool strips;         /* the first token of a text loses its space */

    struct buf text; /* of the answer so far, in its final channel */
    struct ids ids;  /* its tokens */
    uint32_t state;  /* of the constraint */

    uint64_t *set; /* scratch: ids that may come */
    struct ids forced;
    struct buf certain;
};

static struct constraint *shape_of(const struct guide *g)
{
    return g->task->constraint;
}

static bool in_text(const struct guide *g)
{
    return !g->watched || channels_watch_text(&g->watch);
}

static void begin_text(struct guide *g)
{
    buf_clear(&g->text);
    g->ids.n = 0;
    if (shape_of(g))
        g->state = grammar_start(shape_of(g)->grammar);
}

struct guide *guide_new(const struct task *t, const struct engine *e,
                        struct tokenizer_work *work)
{
    bool stops = t->params.stop && t->params.stop->n;
    if ((!t->constraint && !stops) || t->n_choices)
        return NULL;
    struct guide *g = xcalloc(1, sizeof *g);
    g->task = t;
    g->engine = e;
    g->work = work;
    g->strips = tokenizer_strips_first(e->tokenizer);
    g->watched = e->channels && channels_kind(e->channels) != CHANNELS_NONE;
    if (g->watched)
        channels_watch_begin(&g->watch, e->channels, work, t->prompt.v, t->prompt.n);
    if (t->constraint)
        g->set = xcalloc((size_t)e->info.vocab / 64 + 1, sizeof *g->set);
    begin_text(g);
    return g;
}

void guide_free(struct guide *g)
{
    if (!g)
        return;
    if (shape_of(g))
        constraint_measure(shape_of(g));
    channels_watch_release(&g->watch);
    buf_release(&g->text);
    buf_release(&g->certain);
    ids_release(&g->ids);
    ids_release(&g->forced);
    free(g->set);
    free(g);
}

/* ---- which ids may come ------------------------------------------------------------------ */

static void set_id(struct guide *g, int32_t id, bool on)
{
    uint64_t bit = UINT64_C(1) << id % 64;
    if (id < 0 || id >= g->engine->info.vocab)
        return;
    if (on)
        g->set[id / 64] |= bit;
    else
        g->set[id / 64] &= ~bit;
}

static void set_stops(struct guide *g, bool on)
{
    const struct task *t = g->task;
    for (size_t i = 0; i < t->stop.n; i++)
        set_id(g, t->stop.v[i], on);
}

static bool is_line_ends(struct str s)
{
    size_t n = 0;
    while (n < s.n && s.p[n] == '\n')
        n++;
    return s.n && n == s.n;
}

static void add_line_ends(struct guide *g)
{
    for (int32_t id = 0; id < g->engine->info.vocab; id++)
        if (is_line_ends(vocab_bytes(g->task->vocab, id)))
            set_id(g, id, true);
}

/* In thought anything may come but the end. */
static const uint64_t *allow_thought(struct guide *g)
{
    memset(g->set, 0xff, ((size_t)g->engine->info.vocab / 64 + 1) * sizeof *g->set);
    set_stops(g, false);
    return g->set;
}

static const uint64_t *allowed(void *state)
{
    struct guide *g = state;
    struct constraint *c = shape_of(g);
    if (!in_text(g))
        return allow_thought(g);
    const uint64_t *set = masks_of(c->masks, g->state);
    int32_t opener = g->watched ? channels_watch_opener(&g->watch) : -1;
    bool ends = grammar_accepts(c->grammar, g->state), first = !g->ids.n;
    if (!ends && opener < 0 && !(first && (g->strips || g->behind_thought)))
        return set;
    memcpy(g->set, set, vocab_words(g->task->vocab) * sizeof *set);
    if (ends)
        set_stops(g, true);
    set_id(g, opener, true);
    if (first && g->strips)
        masks_add_behind(c->masks, g->state, ' ', g->set);
    if (first && g->behind_thought)
        add_line_ends(g);
    return g->set;
}

/* ---- what comes for certain ----------------------------------------------------------------
 */

static int count_bytes(const struct byte_set *s, unsigned char *first)
{
    int n = 0;
    for (int i = 3; i >= 0; i--) {
        if (s->bits[i])
            *first = (unsigned char)(64 * i + __builtin_ctzll(s->bits[i]));
        n += __builtin_popcountll(s->bits[i]);
    }
    return n;
}

/* Appends to the text what must follow; returns the state behind it. */
static uint32_t add_certain(struct guide *g, struct buf *out)
{
    struct grammar *x = shape_of(g)->grammar;
    uint32_t state = g->state;
    size_t from = out->n;
    unsigned char byte = 0;
    while (out->n - from < FORCED_MAX && !grammar_accepts(x, state)) {
        struct byte_set next = grammar_next(x, state);
        if (count_bytes(&next, &byte) != 1)
            break;
        buf_putc(out, (char)byte);
        state = grammar_step(x, state, byte);
    }
    return state;
}

static bool encode(struct guide *g, const struct buf *text, struct ids *out)
{
    out->n = 0;
    return tokenizer_encode(g->engine->tokenizer, g->work, buf_str(text), false, out, NULL) ==
           0;
}

/* Leaves of g->forced what the tokenizer would give whatever follows: the last token may reach
 * further, and so may others with some of the bytes that can come. */
static void keep_stable(struct guide *g, uint32_t state)
{
    struct byte_set next = grammar_next(shape_of(g)->grammar, state);
    struct ids other = {0};
    int tried = 0;
    g->forced.n -= g->forced.n > 0;
    for (unsigned b = 0x20; b < 0x7f && tried < SAMPLES; b++) {
        size_t same = 0;
        if (!(next.bits[b / 64] >> b % 64 & 1))
            continue;
        tried++;
        buf_putc(&g->certain, (char)b);
        if (!encode(g, &g->certain, &other))
            other.n = 0;
        g->certain.n--;
        while (same < g->forced.n && same < other.n && g->forced.v[same] == other.v[same])
            same++;
        g->forced.n = same;
    }
    ids_release(&other);
}

/* The ids are the text's, byte for byte, and begin with those that are there. */
static bool are_the_text(const struct guide *g)
{
    size_t at = 0;
    if (g->forced.n <= g->ids.n ||
        (g->ids.n && memcmp(g->forced.v, g->ids.v, g->ids.n * sizeof *g->ids.v) != 0))
        return false;
    for (size_t i = 0; i < g->forced.n; i++) {
        struct str s = vocab_bytes(g->task->vocab, g->forced.v[i]);
        if (!s.n)
            return false;
        if (!i && g->strips && s.p[0] == ' ')
            s = (struct str){s.p + 1, s.n - 1};
        if (s.n > g->certain.n - at || (s.n && memcmp(s.p, g->certain.p + at, s.n) != 0))
            return false;
        at += s.n;
    }
    return true;
}

static int32_t forced(void *state, const int32_t **ids)
{
    struct guide *g = state;
    if (!in_text(g) || (g->watched && channels_watch_opener(&g->watch) >= 0) ||
        (g->behind_thought && !g->ids.n))
        return 0;
    buf_clear(&g->certain);
    buf_addstr(&g->certain, buf_str(&g->text));
    uint32_t end = add_certain(g, &g->certain);
    struct byte_set next = grammar_next(shape_of(g)->grammar, end);
    unsigned char byte;
    bool whole = grammar_accepts(shape_of(g)->grammar, end) && !count_bytes(&next, &byte);
    if (g->certain.n - g->text.n < FORCED_LEAST || !encode(g, &g->certain, &g->forced))
        return 0;
    if (!whole)
        keep_stable(g, end);
    if (!are_the_text(g))
        return 0;
    *ids = g->forced.v + g->ids.n;
    return (int32_t)(g->forced.n - g->ids.n);
}

/* ---- what has come
 * ---------------------------------------------------------------------------- */

/* A stop text ends among the bytes behind `from`. */
static bool has_stop(const struct guide *g, size_t from)
{
    const struct texts *stops = g->task->params.stop;
    for (size_t i = 0; stops && i < stops->n; i++) {
        const struct buf *s = &stops->v[i];
        size_t at = from >= s->n ? from - s->n + 1 : 0;
        if (memmem(g->text.p + at, g->text.n - at, s->p, s->n))
            return true;
    }
    return false;
}

static enum infer_next take_text(struct guide *g, int32_t id, struct str bytes)
{
    struct constraint *c = shape_of(g);
    size_t from = g->text.n;
    if (!g->ids.n && g->strips && bytes.n && bytes.p[0] == ' ')
        bytes = (struct str){bytes.p + 1, bytes.n - 1};
    ids_add(&g->ids, id);
    buf_addstr(&g->text, bytes);
    if (has_stop(g, from))
        return INFER_ENDS;
    if (!c)
        return INFER_GO_ON;
    struct byte_set next = {{0}};
    unsigned char byte;
    g->state = grammar_walk(c->grammar, g->state, bytes);
    if (g->state != GRAMMAR_DEAD)
        next = grammar_next(c->grammar, g->state);
    return count_bytes(&next, &byte) ? INFER_GO_ON : INFER_ENDS;
}

static enum infer_next take(void *state, int32_t id)
{
    struct guide *g = state;
    struct str bytes = vocab_bytes(g->task->vocab, id);
    bool was = in_text(g);
    if (g->watched) {
        channels_watch_take(&g->watch, id);
        if (in_text(g) != was || tokenizer_is_added(g->engine->tokenizer, id)) {
            g->behind_thought = !was && channels_kind(g->engine->channels) == CHANNELS_TAGS;
            begin_text(g);
            return INFER_GO_ON;
        }
    }
    if (!was)
        return INFER_GO_ON;
    if (g->behind_thought && !g->ids.n && is_line_ends(bytes))
        return INFER_GO_ON;
    return take_text(g, id, bytes);
}

const struct infer_guide *guide_calls(const struct guide *g)
{
    static const struct infer_guide shape = {allowed, forced, take}, stops = {NULL, NULL, take};
    return g->task->constraint ? &shape : &stops;
}

void guide_cut(const struct task *t, struct buf *text)
{
    const struct texts *stops = t->params.stop;
    for (size_t i = 0; stops && i < stops->n; i++) {
        const char *at = text->n ? memmem(text->p, text->n, stops->v[i].p, stops->v[i].n)
                                 : NULL;
        if (at)
            text->n = (size_t)(at - text->p);
    }
}
