/* append.c - looking at members, adding some behind the last one, taking some out. */
#include "rec/rec.h"

#include "base/num.h"
#include "rec/scan.h"

/* ---- looking -------------------------------------------------------------- */

const struct json_member *rec_find(const struct rec *rec, const char *name)
{
    for (size_t i = rec->members.n; i-- > 0;)
        if (json_key_is(rec->members.v[i].key, name))
            return &rec->members.v[i];
    return NULL;
}

bool rec_is_error(const struct rec *rec)
{
    struct str stage, type;
    const struct json_member *m = rec_find(rec, "error");
    return m && json_kind(m->value) == JSON_OBJECT && json_get(m->value, "stage", &stage) &&
           json_get(m->value, "type", &type) && json_kind(stage) == JSON_STRING &&
           json_kind(type) == JSON_STRING;
}

int rec_index(const struct rec *rec, const char *name, uint64_t *out)
{
    int64_t v;
    const struct json_member *m = rec_find(rec, name);
    if (!m)
        return 0;
    if (!json_int(m->value, &v) || v < 0)
        return -1;
    *out = (uint64_t)v;
    return 1;
}

/* ---- appending ------------------------------------------------------------ */

/* Blanks behind the closing brace belong behind it again.  Until rec_end() they wait at the
 * front of the buffer, parted from the record by a NUL, which no record can hold. */
void rec_begin_line(struct buf *out, struct str line)
{
    size_t n = line.n;
    while (n && line.p[n - 1] != '}')
        n--;
    buf_clear(out);
    buf_reserve(out, line.n + 64);
    if (n < line.n) {
        buf_add(out, line.p + n, line.n - n);
        buf_putc(out, 0);
    }
    buf_add(out, line.p, n ? n - 1 : 0);
}

void rec_begin(struct buf *out, const struct rec *rec)
{
    rec_begin_line(out, rec->line);
}

void rec_member(struct buf *out, const char *name)
{
    size_t n = out->n;
    while (n && json_is_blank(out->p[n - 1]))
        n--;
    if (n && out->p[n - 1] != '{')
        buf_putc(out, ',');
    json_quote(out, str_of(name));
    buf_putc(out, ':');
}

void rec_member_uint(struct buf *out, const char *name, uint64_t value)
{
    char digits[20], *p = digits + sizeof digits;
    do
        *--p = (char)('0' + value % 10);
    while (value /= 10);
    rec_member(out, name);
    buf_add(out, p, (size_t)(digits + sizeof digits - p));
}

void rec_member_real(struct buf *out, const char *name, double value)
{
    rec_member(out, name);
    num_put_double(out, value);
}

void rec_end(struct buf *out)
{
    buf_putc(out, '}');
    if (json_is_blank(out->p[0])) {
        size_t blanks = strspn(out->p, " \t\r\n");
        if (blanks < out->n && !out->p[blanks]) {
            buf_reserve(out, blanks);
            buf_add(out, out->p, blanks);
            out->n -= blanks + 1;
            memmove(out->p, out->p + blanks + 1, out->n);
        }
    }
    buf_putc(out, '\n');
}

/* ---- taking out ----------------------------------------------------------- */

static const char *comma_before(const char *p)
{
    while (p[-1] != ',')
        p--;
    return p - 1;
}

/* A member goes with the comma in front of it, or, where all before it went, with the one
 * behind it. */
void rec_without(struct buf *out, const struct rec *rec,
                 bool (*drop)(const struct json_member *m, size_t index, void *arg), void *arg)
{
    const struct json_members *ms = &rec->members;
    const char *done = rec->line.p, *end = done + rec->line.n;
    bool kept_one = false;
    buf_clear(out);
    buf_reserve(out, rec->line.n);
    for (size_t i = 0; i < ms->n; i++) {
        if (!drop(&ms->v[i], i, arg)) {
            kept_one = true;
            continue;
        }
        const char *from = ms->v[i].key.p, *to = ms->v[i].value.p + ms->v[i].value.n;
        if (kept_one)
            from = comma_before(from);
        else if (i + 1 < ms->n)
            to = comma_before(ms->v[i + 1].key.p) + 1;
        buf_add(out, done, (size_t)(from - done));
        done = to;
    }
    buf_add(out, done, (size_t)(end - done));
}

void rec_begin_without(struct buf *out, struct buf *scratch, const struct rec *rec,
                       bool (*drop)(const struct json_member *m, size_t index, void *arg),
                       void *arg)
{
    size_t i = 0;
    while (i < rec->members.n && !drop(&rec->members.v[i], i, arg))
        i++;
    if (i == rec->members.n) {
        rec_begin(out, rec);
        return;
    }
    rec_without(scratch, rec, drop, arg);
    rec_begin_line(out, buf_str(scratch));
}
