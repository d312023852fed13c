/* channels.c - which parts of an answer are thought, and which are the answer. */
#include "text/channels_priv.h"

#include <stdlib.h>

/* One splitting: `ids` hold the end of the prompt, of which nothing is given out, and what was
 * generated behind it. */
struct split {
    const struct channels *c;
    struct tokenizer_work *w;
    const int32_t *ids;
    size_t n, given;  /* ids[given…n) were generated */
    struct buf words; /* scratch */
    struct channels_answer *out;
};

static struct str decode(struct split *s, size_t from, size_t to)
{
    buf_clear(&s->words);
    if (from < to)
        tokenizer_decode(s->c->tokenizer, s->w, s->ids + from, to - from, true, &s->words);
    return buf_str(&s->words);
}

static struct str trim(struct str t, bool left, bool right)
{
    while (left && t.n && t.p[0] == '\n')
        t.p++, t.n--;
    while (right && t.n && t.p[t.n - 1] == '\n')
        t.n--;
    return t;
}

/* Adds a part; `to` is who it is addressed to, or empty. */
static void put(struct buf *b, struct str part, struct str to)
{
    if (!part.n && !to.n)
        return;
    if (b->n)
        buf_putc(b, '\n');
    if (to.n)
        buf_printf(b, "to=%.*s ", (int)to.n, to.p);
    buf_addstr(b, part);
}

/* ---- tags ------------------------------------------------------------------------------ */

int32_t channels_last_tag(const struct channels *c, const int32_t *prompt, size_t n)
{
    while (n && !tokenizer_is_added(c->tokenizer, prompt[n - 1]))
        n--;
    return n && (prompt[n - 1] == c->open || prompt[n - 1] == c->close) ? prompt[n - 1] : -1;
}

static void put_thought(struct split *s, size_t from, size_t to, bool begins)
{
    struct str t = decode(s, from, to), none = {0};
    size_t title = begins && s->c->title ? strlen(s->c->title) : 0;
    if (title && t.n >= title && !memcmp(t.p, s->c->title, title))
        t = (struct str){t.p + title, t.n - title};
    put(&s->out->reasoning, trim(t, true, true), none);
}

/* A closing tag ends a thought wherever that began: the first one may have been opened unseen.
 */
static void split_tags(struct split *s, int32_t tag)
{
    const struct channels *c = s->c;
    struct str none = {0};
    size_t from = 0;
    bool begins = false; /* the thought's first token is ours to give out */
    s->out->found = tag >= 0;
    for (size_t i = 0; i <= s->n; i++) {
        bool end = i == s->n;
        if (!end && s->ids[i] != c->open && s->ids[i] != c->close)
            continue;
        bool closes = !end && s->ids[i] == c->close;
        if (tag == c->open || (closes && !s->out->found))
            put_thought(s, from, i, begins);
        else
            put(&s->out->text, trim(decode(s, from, i), tag == c->close, false), none);
        if (end)
            break;
        begins = !closes && tag != c->open;
        tag = s->ids[i];
        s->out->found = true;
        from = i + 1;
    }
}

/* ---- harmony ----------------------------------------------------------------------------- */

enum place { PLAIN, HEADER, BODY, BETWEEN };

struct message {
    enum place place;
    size_t role, channel; /* where the header's parts begin; channel 0: it has none */
    size_t body;          /* where the text begins */
    bool final;
    struct buf to;
};

/* The word behind "to=" in a part of a header. */
static void find_recipient(struct message *m, struct str header)
{
    const char *p = memmem(header.p ? header.p : "", header.n, "to=", 3);
    size_t n = 0, left = p ? header.n - (size_t)(p + 3 - header.p) : 0;
    while (n < left && p[3 + n] > ' ')
        n++;
    if (n) {
        buf_clear(&m->to);
        buf_add(&m->to, p + 3, n);
    }
}

static void read_header(struct split *s, struct message *m, size_t end)
{
    size_t role_end = m->channel ? m->channel - 1 : end;
    buf_clear(&m->to);
    m->final = false;
    find_recipient(m, decode(s, m->role, role_end));
    if (!m->channel)
        return;
    struct str name = decode(s, m->channel, end);
    find_recipient(m, name);
    size_t n = 0;
    while (n < name.n && (unsigned char)name.p[n] > ' ')
        n++;
    m->final = str_eq((struct str){name.p, n}, STR("final"));
}

/* Gives out what stands from `from` to the marker at `to`.  A message that names no channel,
 * and what stands in none, is no answer. */
static void put_until(struct split *s, const struct message *m, size_t from, size_t to)
{
    if (from < s->given)
        from = s->given;
    if (from >= to && !(m->place == BODY && m->to.n && to > s->given))
        return;
    bool final = m->place == PLAIN || (m->place == BODY && m->final);
    struct str addressed = m->place == BODY && !final ? buf_str(&m->to) : (struct str){0};
    put(final ? &s->out->text : &s->out->reasoning, decode(s, from, to), addressed);
}

static bool is_end(const struct channels *c, int32_t id)
{
    return id == c->end || id == c->ret || id == c->call;
}

/* Takes the marker at i, if it is one. */
static void take_marker(struct split *s, struct message *m, size_t i)
{
    const struct channels *c = s->c;
    int32_t id = s->ids[i];
    bool header = m->place == HEADER;
    if (id != c->start && id != c->channel && id != c->message && !is_end(c, id))
        return;
    s->out->found = true;
    if (id == c->channel && header && !m->channel) {
        m->channel = i + 1;
        return;
    }
    if (id == c->message && header) {
        read_header(s, m, i);
        m->place = BODY;
        m->body = i + 1;
        return;
    }
    if (!header)
        put_until(s, m, m->body, i);
    m->role = m->body = i + 1;
    m->channel = 0;
    m->place = id == c->start     ? HEADER
               : id == c->channel ? HEADER
               : id == c->message ? BODY
                                  : BETWEEN;
    if (id == c->channel) /* its <|start|> was left out */
        m->channel = i + 1;
    if (id == c->message && !header) {
        m->final = false; /* a text without a header */
        buf_clear(&m->to);
    }
}

static void split_harmony(struct split *s)
{
    struct message m = {.place = PLAIN};
    for (size_t i = 0; i < s->n; i++)
        take_marker(s, &m, i);
    if (m.place == HEADER) /* cut off, or no header at all: it is told, not lost */
        m.body = m.role;
    put_until(s, &m, m.body, s->n);
    buf_release(&m.to);
}

/* ---- both ----------------------------------------------------------------------------------
 */

void channels_split(const struct channels *c, struct tokenizer_work *w, const int32_t *prompt,
                    size_t n_prompt, const int32_t *ids, size_t n, struct channels_answer *out)
{
    struct split s = {.c = c, .w = w, .ids = ids, .n = n, .out = out};
    struct ids both = {0};
    out->found = false;
    buf_clear(&out->text);
    buf_clear(&out->reasoning);
    if (c->kind == CHANNELS_HARMONY) {
        size_t from = n_prompt; /* the message that the prompt leaves open */
        while (from && prompt[from - 1] != c->start)
            from--;
        if (from) {
            ids_append(&both, prompt + from - 1, n_prompt - from + 1);
            s.given = both.n;
        }
        ids_append(&both, ids, n);
        s.ids = both.v;
        s.n = both.n;
        split_harmony(&s);
    } else if (c->kind == CHANNELS_TAGS) {
        split_tags(&s, channels_last_tag(c, prompt, n_prompt));
    } else {
        struct str none = {0};
        put(&out->text, decode(&s, 0, n), none);
    }
    ids_release(&both);
    buf_release(&s.words);
}

void channels_answer_release(struct channels_answer *a)
{
    buf_release(&a->text);
    buf_release(&a->reasoning);
    *a = (struct channels_answer){0};
}
