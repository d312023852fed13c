/* marks.c - the members of ours in a line that is no record.
 *
 * A line that was cut, garbled or grown too long on its way is still some record's place in the
 * stream.  Our tools put these members behind the user's, and inside a string their quotes
 * would have backslashes, so the last one of a name is ours.
 */
#include "rec/reader.h"
#include "rec/scan.h"

/* p stands behind the name's first quote; returns the value's first byte, NULL if the member
 * has another name. */
static const char *value_of(const char *p, const char *end, const char *name)
{
    size_t n = strlen(name);
    if ((size_t)(end - p) <= n || memcmp(p, name, n) || p[n] != '"')
        return NULL;
    p = json_skip_blanks(p + n + 1, end);
    return p < end && *p == ':' ? json_skip_blanks(p + 1, end) : NULL;
}

static bool ends_member(const char *p, const char *end)
{
    p = json_skip_blanks(p, end);
    return p < end && (*p == ',' || *p == '}');
}

static void find_number(const char *p, const char *end, const char *name, bool *has,
                        uint64_t *out)
{
    int64_t v;
    const char *q = p = value_of(p, end, name);
    while (q && q < end && *q >= '0' && *q <= '9')
        q++;
    if (q && q > p && ends_member(q, end) && json_int((struct str){p, (size_t)(q - p)}, &v)) {
        *has = true;
        *out = (uint64_t)v;
    }
}

void rec_marks_find(struct rec_marks *m, struct str text)
{
    const char *p = text.p, *end = p + text.n;
    for (; p < end && (p = memchr(p, '"', (size_t)(end - p))); p++) {
        const char *v;
        if (end - p < 2 || p[1] != '_' || (p > text.p && p[-1] == '\\'))
            continue;
        find_number(p + 1, end, "_seq", &m->has_seq, &m->seq);
        find_number(p + 1, end, "_shard", &m->has_shard, &m->shard);
        v = value_of(p + 1, end, "_last");
        if (v && end - v > 4 && !memcmp(v, "true", 4) && ends_member(v + 4, end))
            m->last = true;
    }
}

void rec_marks_put(struct buf *out, const struct rec_marks *m)
{
    if (m->has_seq)
        rec_member_uint(out, "_seq", m->seq);
    if (m->has_shard)
        rec_member_uint(out, "_shard", m->shard);
    if (m->last) {
        rec_member(out, "_last");
        buf_puts(out, "true");
    }
}
