/* mask_start.c - where in a conversation begins what the model is to add.
 *
 * Behind the prompt for the last turn, where the conversation begins with that.  Many templates
 * write more into the prompt than into the conversation (that a thought begins or is over), or
 * other blanks: then it is where the two part, if they do so behind the words that make the
 * assistant speak.  It is never behind the place where the text begins to depend on what the
 * assistant says, which two other answers show.
 */
#include "text/mask_priv.h"

#include <string.h>

struct start {
    const struct chat *chat;
    struct str before, text, tools, kwargs;
    struct buf prompt, other;
};

/* How far two texts are the same, in whole characters. */
static size_t same_part(struct str a, struct str b)
{
    size_t n = 0;
    while (n < a.n && n < b.n && a.p[n] == b.p[n])
        n++;
    while (n && n < a.n && ((unsigned char)a.p[n] & 0xc0) == 0x80)
        n--;
    return n;
}

static size_t skip_blanks(struct str s, size_t at)
{
    while (at < s.n && memchr(" \n\t\r", s.p[at], 4))
        at++;
    return at;
}

/* Where in the text ends what the prompt has too, but for blanks.  SIZE_MAX where they part
 * before the prompt has said anything behind the turns that end at `asked`. */
static size_t find_parting(struct str text, struct str prompt, size_t asked)
{
    size_t i = 0, k = 0, next_i, next_k;
    for (;; i = next_i + 1, k = next_k + 1) {
        next_i = skip_blanks(prompt, i);
        next_k = skip_blanks(text, k);
        if (next_i == prompt.n || next_k == text.n || prompt.p[next_i] != text.p[next_k])
            break;
    }
    if (next_i < prompt.n && i <= skip_blanks(prompt, asked))
        return SIZE_MAX;
    if (next_i > i) /* blanks that the prompt ends with are not the model's to add */
        k = next_k;
    while (k && k < text.n && ((unsigned char)text.p[k] & 0xc0) == 0x80)
        k--;
    return k;
}

/* The conversation with another last turn: false where the template does not write what is said
 * there. */
static bool render_other(struct start *s, const char *said, bool parts)
{
    struct buf messages = {0};
    buf_add(&messages, s->before.p, s->before.n - 1);
    buf_printf(&messages, "%s{\"role\":\"assistant\",\"content\":%s\"%s\"%s}]",
               s->before.n > 2 ? "," : "", parts ? "[{\"type\":\"text\",\"text\":" : "", said,
               parts ? "}]" : "");
    buf_clear(&s->other);
    bool good = chat_render(s->chat, buf_str(&messages), s->tools, s->kwargs, false, &s->other,
                            NULL) == 0 &&
                s->other.n && memmem(s->other.p, s->other.n, said, strlen(said));
    buf_release(&messages);
    return good;
}

/* Where the text begins to depend on what the assistant says.  The answer may begin as one of
 * the others does, but not as both. */
static int find_answer(struct start *s, size_t *at, struct err *e)
{
    static const char *const said[] = {"millrace7", "7millrace"};
    for (int parts = 0; parts < 2; parts++) {
        size_t k = 0;
        for (*at = s->text.n; k < 2 && render_other(s, said[k], parts); k++) {
            size_t same = same_part(s->text, buf_str(&s->other));
            *at = same < *at ? same : *at;
        }
        if (k == 2)
            return 0;
    }
    return err_set(e, EXIT_DATA,
                   "the chat template neither begins the conversation with the prompt for its "
                   "last turn nor writes what is said there, so what the model is to add "
                   "cannot be told");
}

static int find_start(struct start *s, size_t *from, struct err *e)
{
    bool asks = chat_render(s->chat, s->before, s->tools, s->kwargs, true, &s->prompt, NULL) ==
                0;
    *from = s->prompt.n;
    if (asks && *from < s->text.n && (!*from || !memcmp(s->prompt.p, s->text.p, *from)))
        return 0;
    if (find_answer(s, from, e) < 0)
        return -1;
    buf_clear(&s->other);
    if (!asks ||
        chat_render(s->chat, s->before, s->tools, s->kwargs, false, &s->other, NULL) < 0)
        return 0;
    struct str prompt = buf_str(&s->prompt);
    size_t parting = find_parting(s->text, prompt, same_part(prompt, buf_str(&s->other)));
    if (parting < *from)
        *from = parting;
    return 0;
}

int mask_find_start(const struct chat *c, struct str before, struct str text, struct str tools,
                    struct str kwargs, size_t *from, struct err *e)
{
    struct start s = {.chat = c, .before = before, .text = text, .tools = tools};
    s.kwargs = kwargs;
    int rc = find_start(&s, from, e);
    buf_release(&s.prompt);
    buf_release(&s.other);
    return rc;
}
