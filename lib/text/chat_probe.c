/* chat_probe.c - what a chat template writes around an answer, found by rendering probes. */
#include "text/chat_priv.h"

#include <string.h>

#define ASKED "millrace7asked"
#define PROBE "millrace7probe"
#define NEXT "millrace7next"
#define TURN(role, content) "{\"role\":\"" role "\",\"content\":" content "}"
#define PART(text) "[{\"type\":\"text\",\"text\":\"" text "\"}]"

/* Some templates take contents as lists of parts only. */
static const char *const questions[] = {
    "[" TURN("user", "\"" ASKED "\"") "]",
    "[" TURN("user", PART(ASKED)) "]",
};
static const char *const answers[] = {
    "[" TURN("user", "\"" ASKED "\"") "," TURN("assistant", "\"" PROBE "\"") "]",
    "[" TURN("user", PART(ASKED)) "," TURN("assistant", PART(PROBE)) "]",
};
/* Some close an answer only where the conversation goes on. */
static const char *const further[] = {
    "[" TURN("user", "\"" ASKED "\"") "," TURN("assistant", "\"" PROBE "\"") "," TURN(
        "user", "\"" NEXT "\"") "]",
    "[" TURN("user", PART(ASKED)) "," TURN("assistant", PART(PROBE)) "," TURN("user",
                                                                              PART(NEXT)) "]",
};

/* Where the last `word` of the text begins; SIZE_MAX: nowhere. */
static size_t find_last(const struct buf *text, const char *word)
{
    size_t at = SIZE_MAX;
    for (const char *p = text->p; p && (p = strstr(p, word)); p++)
        at = (size_t)(p - text->p);
    return at;
}

static bool render(const struct chat *c, const char *messages, struct str kwargs,
                   bool generation, struct buf *text)
{
    buf_clear(text);
    return chat_render(c, str_of(messages), (struct str){0}, kwargs, generation, text, NULL) ==
           0;
}

/* What stands behind the probe, up to the next question where there is one; false where the
 * template does not write the probe. */
static bool take_turn_end(struct chat *c, const char *messages)
{
    struct buf text = {0};
    size_t at = SIZE_MAX;
    if (render(c, messages, (struct str){0}, false, &text))
        at = find_last(&text, PROBE);
    if (at != SIZE_MAX) {
        at += strlen(PROBE);
        const char *next = strstr(text.p + at, NEXT);
        buf_add(&c->turn_end, text.p + at, next ? (size_t)(next - text.p) - at : text.n - at);
    }
    buf_release(&text);
    return at != SIZE_MAX;
}

void chat_find_turn_end(struct chat *c)
{
    size_t i = 0;
    while (i < 2 && !take_turn_end(c, answers[i]))
        i++;
    if (i < 2 && !c->turn_end.n)
        take_turn_end(c, further[i]);
}

bool chat_answer_start(const struct chat *c, struct buf *out)
{
    struct buf text = {0};
    size_t at = SIZE_MAX, asked = SIZE_MAX;
    for (size_t i = 0; i < 2 && at == SIZE_MAX; i++)
        if (render(c, answers[i], (struct str){0}, false, &text)) {
            at = find_last(&text, PROBE);
            asked = find_last(&text, ASKED);
        }
    bool found = at != SIZE_MAX && asked != SIZE_MAX && asked < at;
    if (found) {
        asked += strlen(ASKED);
        buf_add(out, text.p + asked, at - asked);
    }
    buf_release(&text);
    return found;
}

/* Where what the template adds begins; templates that add it always begin it behind the last
 * turn. */
static size_t find_added(const struct buf *with, const struct buf *without)
{
    if (with->n < without->n || memcmp(with->p, without->p, without->n))
        return SIZE_MAX;
    if (with->n > without->n)
        return without->n;
    size_t at = find_last(with, ASKED);
    return at == SIZE_MAX ? at : at + strlen(ASKED);
}

bool chat_generation_prompt(const struct chat *c, struct str kwargs, struct buf *out)
{
    struct buf with = {0}, without = {0};
    size_t before = out->n;
    for (size_t i = 0; i < 2 && out->n == before; i++) {
        if (!render(c, questions[i], kwargs, true, &with) ||
            !render(c, questions[i], kwargs, false, &without) || !without.n)
            continue;
        size_t at = find_added(&with, &without);
        if (at != SIZE_MAX)
            buf_add(out, with.p + at, with.n - at);
    }
    buf_release(&with);
    buf_release(&without);
    return out->n > before;
}
