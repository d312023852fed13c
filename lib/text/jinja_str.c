/* jinja_str.c - immutable text: made, joined, cut by characters. */
#include "text/jinja_value.h"

#include <string.h>

/* A block with room behind the text that it holds: the string that ends at `used` can be
 * continued in place, once; strings that end before are shared with it unharmed. */
struct jj_tail {
    char *p;
    size_t used, cap;
};

size_t jj_count_chars(const char *p, size_t n)
{
    size_t chars = 0;
    for (size_t i = 0; i < n; i++)
        chars += ((unsigned char)p[i] & 0xc0) != 0x80;
    return chars;
}

struct str jj_bytes(struct jj_val s)
{
    return (struct str){s.s->p, s.s->n};
}

struct jj_val jj_text_counted(struct jj *j, const char *p, size_t n, size_t chars)
{
    struct jj_str *s = jj_alloc(j, sizeof *s);
    *s = (struct jj_str){.p = p, .n = n, .chars = chars};
    return (struct jj_val){.t = T_STR, .s = s};
}

struct jj_val jj_text_borrow(struct jj *j, const char *p, size_t n)
{
    return jj_text_counted(j, p, n, jj_count_chars(p, n));
}

struct jj_val jj_text(struct jj *j, const char *p, size_t n)
{
    char *copy = jj_alloc(j, n + 1);
    if (n)
        memcpy(copy, p, n);
    copy[n] = 0;
    jj_step(j, n / 64);
    return jj_text_borrow(j, copy, n);
}

struct jj_val jj_cstr(struct jj *j, const char *s)
{
    return jj_text_borrow(j, s, strlen(s));
}

struct jj_val jj_scratch_text(struct jj *j)
{
    return jj_text(j, j->scratch.p, j->scratch.n);
}

struct jj_val jj_as_markup(struct jj *j, struct jj_val v, bool markup)
{
    if (v.s->markup == markup)
        return v;
    struct jj_str *s = jj_alloc(j, sizeof *s);
    *s = *v.s;
    s->markup = markup;
    return (struct jj_val){.t = T_STR, .s = s};
}

static struct jj_tail *new_tail(struct jj *j, const struct jj_str *a, size_t more)
{
    struct jj_tail *t = jj_alloc(j, sizeof *t);
    size_t need = a->n + more;
    t->cap = need < 256 ? need : need * 2;
    t->p = jj_alloc(j, t->cap + 1);
    if (a->n)
        memcpy(t->p, a->p, a->n);
    t->used = a->n;
    jj_step(j, a->n / 64);
    return t;
}

struct jj_val jj_joined(struct jj *j, const struct jj_str *a, const struct jj_str *b)
{
    struct jj_tail *t = a->tail;
    if (!t || a->p + a->n != t->p + t->used || t->cap - t->used < b->n)
        t = new_tail(j, a, b->n);
    if (b->n)
        memcpy(t->p + t->used, b->p, b->n);
    t->used += b->n;
    jj_step(j, b->n / 64);
    struct jj_str *s = jj_alloc(j, sizeof *s);
    *s = (struct jj_str){t->p, a->n + b->n, a->chars + b->chars, t, a->markup};
    return (struct jj_val){.t = T_STR, .s = s};
}

size_t jj_byte_at(const struct jj_str *s, size_t chars)
{
    if (s->chars == s->n || chars == 0)
        return chars;
    if (chars >= s->chars)
        return s->n;
    size_t at = 0;
    if (chars > s->chars / 2) {
        at = s->n;
        for (size_t left = s->chars - chars; left;)
            left -= ((unsigned char)s->p[--at] & 0xc0) != 0x80;
        return at;
    }
    for (size_t seen = 0; at < s->n; at++) {
        seen += ((unsigned char)s->p[at] & 0xc0) != 0x80;
        if (seen > chars)
            break;
    }
    return at;
}

struct jj_val jj_substr(struct jj *j, const struct jj_str *s, size_t from, size_t to)
{
    size_t a = jj_byte_at(s, from), b = jj_byte_at(s, to);
    if (s->chars != s->n)
        jj_step(j, s->n / 64);
    struct jj_val v = jj_text_counted(j, s->p + a, b - a, to - from);
    return jj_as_markup(j, v, s->markup);
}

/* ---- search ---- */

const char *jj_find_last(struct str s, struct str part)
{
    if (part.n > s.n)
        return NULL;
    for (const char *p = s.p + (s.n - part.n);; p--) {
        if (!part.n || !memcmp(p, part.p, part.n))
            return p;
        if (p == s.p)
            return NULL;
    }
}

const char *jj_find_first(struct str s, struct str part)
{
    return part.n ? (s.n ? memmem(s.p, s.n, part.p, part.n) : NULL) : s.p;
}

/* ---- replace and join, which filters and methods share ---- */

static void replace_everywhere(struct jj *j, struct str s, struct str new, int64_t count)
{
    struct buf *b = &j->scratch;
    size_t i = 0;
    while (i <= s.n && count != 0) {
        buf_addstr(b, new);
        count -= count > 0;
        if (i == s.n)
            return;
        size_t len;
        jj_char(s.p + i, s.p + s.n, &len);
        buf_add(b, s.p + i, len);
        i += len;
        jj_step(j, 1);
    }
    buf_add(b, s.p + i, s.n - i);
}

struct jj_val jj_str_replace(struct jj *j, struct str s, struct str old, struct str new,
                             int64_t count)
{
    struct buf *b = &j->scratch;
    const char *p = s.p, *end = s.p + s.n;
    buf_clear(b);
    jj_step(j, s.n / 64);
    if (!old.n) {
        replace_everywhere(j, s, new, count);
        return jj_scratch_text(j);
    }
    while (p < end && count != 0) {
        const char *q = memmem(p, (size_t)(end - p), old.p, old.n);
        if (!q)
            break;
        buf_add(b, p, (size_t)(q - p));
        buf_addstr(b, new);
        p = q + old.n;
        count -= count > 0;
        jj_step(j, 1);
        jj_check_size(j, b->n);
    }
    buf_add(b, p, (size_t)(end - p));
    return jj_scratch_text(j);
}

struct jj_val jj_str_join(struct jj *j, struct jj_val sep, struct jj_val items, bool convert)
{
    struct jj_val list = jj_to_list(j, items);
    bool markup = !convert && sep.s->markup;
    buf_clear(&j->scratch);
    for (size_t i = 0; i < list.seq->n; i++) {
        struct jj_val v = list.seq->v[i];
        if (i)
            buf_addstr(&j->scratch, jj_bytes(sep));
        if (!convert && v.t != T_STR)
            jj_fail(j, "join takes strings; item %zu is a %s", i, jj_type_name(v));
        if (markup && !v.s->markup)
            jj_put_escaped(&j->scratch, jj_bytes(v));
        else
            jj_put_str(j, &j->scratch, v);
        jj_check_size(j, j->scratch.n);
    }
    return jj_as_markup(j, jj_scratch_text(j), markup);
}
