/* jinja_text.c - values as text: str() and repr() of Python, and JSON as json.dumps writes it.
 */
#include "text/jinja_run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Shortest digits that read back the same, laid out as Python does: an exponent from 1e16 on
 * and below 1e-4, otherwise at least one digit behind the point. */
void jj_put_float(struct buf *b, double f)
{
    char s[40], digits[24];
    if (isnan(f) || isinf(f)) {
        buf_puts(b, isnan(f) ? "nan" : f < 0 ? "-inf" : "inf");
        return;
    }
    for (int n = 0; n <= 16; n++) {
        snprintf(s, sizeof s, "%.*e", n, f);
        if (strtod(s, NULL) == f)
            break;
    }
    const char *p = s;
    if (*p == '-')
        buf_putc(b, *p++);
    int n = 0, exponent = atoi(strchr(p, 'e') + 1);
    for (; *p != 'e'; p++)
        if (*p != '.')
            digits[n++] = *p;
    digits[n] = 0;
    if (exponent < -4 || exponent >= 16) {
        buf_printf(b, "%c%s%se%c%02d", digits[0], n > 1 ? "." : "", digits + 1,
                   exponent < 0 ? '-' : '+', abs(exponent));
    } else if (exponent < 0) {
        buf_puts(b, "0.");
        for (int i = -1; i > exponent; i--)
            buf_putc(b, '0');
        buf_puts(b, digits);
    } else {
        for (int i = 0; i <= exponent || i < n; i++) {
            if (i == exponent + 1)
                buf_putc(b, '.');
            buf_putc(b, i < n ? digits[i] : '0');
        }
        if (n <= exponent + 1)
            buf_puts(b, ".0");
    }
}

/* ---- repr ---- */

static void put_quoted(struct buf *b, struct str s)
{
    bool single = s.n && memchr(s.p, '\'', s.n), twice = s.n && memchr(s.p, '"', s.n);
    char quote = single && !twice ? '"' : '\'';
    buf_putc(b, quote);
    for (const char *p = s.p, *end = s.p + s.n; p < end;) {
        const char *plain = p;
        while (p < end && *p >= ' ' && *p < 0x7f && *p != quote && *p != '\\')
            p++;
        buf_add(b, plain, (size_t)(p - plain));
        if (p == end)
            break;
        size_t len;
        uint32_t c = jj_char(p, end, &len);
        if (c == '\n' || c == '\r' || c == '\t')
            buf_puts(b, c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t");
        else if (c == (unsigned char)quote || c == '\\')
            buf_add(b, (char[]){'\\', (char)c}, 2);
        else if (jj_is_printable(c))
            buf_add(b, p, len);
        else
            buf_printf(b, c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x", c);
        p += len;
    }
    buf_putc(b, quote);
}

static void put_items(struct jj *j, struct buf *b, const struct jj_seq *s, char open,
                      char close)
{
    buf_putc(b, open);
    for (size_t i = 0; i < s->n; i++) {
        if (i)
            buf_puts(b, ", ");
        jj_put_repr(j, b, s->v[i]);
    }
    if (open == '(' && s->n == 1)
        buf_putc(b, ',');
    buf_putc(b, close);
}

static void put_entries(struct jj *j, struct buf *b, const struct jj_dict *d)
{
    buf_putc(b, '{');
    for (size_t i = 0; i < d->n; i++) {
        if (i)
            buf_puts(b, ", ");
        jj_put_repr(j, b, d->e[i].key);
        buf_puts(b, ": ");
        jj_put_repr(j, b, d->e[i].value);
    }
    buf_putc(b, '}');
}

static void put_view(struct jj *j, struct buf *b, struct jj_val v)
{
    static const char *const names[] = {"dict_keys(", "dict_values(", "dict_items("};
    struct jj_val list = jj_to_list(j, v);
    buf_puts(b, names[v.view->kind]);
    put_items(j, b, list.seq, '[', ']');
    buf_putc(b, ')');
}

static void put_other(struct jj *j, struct buf *b, struct jj_val v)
{
    const struct jj_range *r;
    switch (v.t) {
    case T_RANGE:
        r = v.range;
        buf_printf(b, "range(%lld, %lld", (long long)r->start, (long long)r->stop);
        if (r->step != 1)
            buf_printf(b, ", %lld", (long long)r->step);
        buf_putc(b, ')');
        break;
    case T_VIEW: put_view(j, b, v); break;
    case T_NAMESPACE:
        buf_puts(b, "<Namespace ");
        put_entries(j, b, v.d);
        buf_putc(b, '>');
        break;
    case T_MACRO:
        if (v.macro->def->name)
            buf_printf(b, "<Macro '%.*s'>", (int)v.macro->def->name->s.n,
                       v.macro->def->name->s.p);
        else
            buf_puts(b, "<Macro anonymous>");
        break;
    case T_LOOP:
        buf_printf(b, "<LoopContext %lld/%lld>", (long long)v.loop->index0 + 1,
                   (long long)jj_length(j, v));
        break;
    default: jj_fail(j, "a %s has no text", jj_type_name(v));
    }
}

void jj_put_repr(struct jj *j, struct buf *b, struct jj_val v)
{
    jj_step(j, 1);
    jj_push(j);
    jj_check_size(j, b->n);
    switch (v.t) {
    case T_MISSING:
    case T_UNDEF: buf_puts(b, "Undefined"); break;
    case T_NONE: buf_puts(b, "None"); break;
    case T_BOOL: buf_puts(b, v.b ? "True" : "False"); break;
    case T_INT: buf_printf(b, "%lld", (long long)v.i); break;
    case T_BIG: buf_add(b, v.s->p, v.s->n); break;
    case T_FLOAT: jj_put_float(b, v.f); break;
    case T_STR:
        jj_step(j, v.s->n / 16);
        if (v.s->markup)
            buf_puts(b, "Markup(");
        put_quoted(b, jj_bytes(v));
        if (v.s->markup)
            buf_putc(b, ')');
        break;
    case T_LIST: put_items(j, b, v.seq, '[', ']'); break;
    case T_TUPLE: put_items(j, b, v.seq, '(', ')'); break;
    case T_DICT: put_entries(j, b, v.d); break;
    default: put_other(j, b, v);
    }
    j->depth--;
}

void jj_put_str(struct jj *j, struct buf *b, struct jj_val v)
{
    if (v.t == T_STR)
        buf_addstr(b, jj_bytes(v));
    else if (v.t != T_UNDEF && v.t != T_MISSING)
        jj_put_repr(j, b, v);
}

struct jj_val jj_str(struct jj *j, struct jj_val v)
{
    if (v.t == T_STR)
        return v;
    buf_clear(&j->scratch);
    jj_put_str(j, &j->scratch, v);
    return jj_scratch_text(j);
}

void jj_put_escaped(struct buf *b, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        switch (s.p[i]) {
        case '&': buf_puts(b, "&amp;"); break;
        case '<': buf_puts(b, "&lt;"); break;
        case '>': buf_puts(b, "&gt;"); break;
        case '"': buf_puts(b, "&#34;"); break;
        case '\'': buf_puts(b, "&#39;"); break;
        default: buf_putc(b, s.p[i]);
        }
    }
}

/* ---- JSON ---- */

static void put_json_char(struct buf *b, uint32_t c, bool ascii)
{
    static const char from[] = "\"\\\n\r\t\f\b", to[] = "\"\\nrtfb";
    const char *known = c && c < 0x80 ? strchr(from, (int)c) : NULL;
    if (known)
        buf_add(b, (char[]){'\\', to[known - from]}, 2);
    else if (c >= 0x10000 && ascii)
        buf_printf(b, "\\u%04x\\u%04x", 0xd7c0 + (c >> 10), 0xdc00 + (c & 0x3ff));
    else if (c < 0x20 || (c >= 0x7f && ascii && c != 0x7f))
        buf_printf(b, "\\u%04x", c);
    else
        buf_put_utf8(b, c);
}

static void put_json_string(struct buf *b, struct str s, bool ascii)
{
    buf_putc(b, '"');
    const char *p = s.p, *end = s.p + s.n;
    while (p < end) {
        const char *q = p;
        while (q < end && (unsigned char)*q >= 0x20 && *q != '"' && *q != '\\' &&
               (!ascii || !(*q & 0x80)))
            q++;
        buf_add(b, p, (size_t)(q - p));
        if (q == end)
            break;
        size_t len;
        put_json_char(b, jj_char(q, end, &len), ascii);
        p = q + len;
    }
    buf_putc(b, '"');
}

struct json_out {
    struct jj *j;
    struct buf *b;
    const struct jj_json_style *style;
    int level;
};

static void put_json(struct json_out *o, struct jj_val v);

static void put_break(struct json_out *o)
{
    if (!o->style->indent.p)
        return;
    buf_putc(o->b, '\n');
    for (int i = 0; i < o->level; i++)
        buf_addstr(o->b, o->style->indent);
}

static void put_json_list(struct json_out *o, const struct jj_seq *s)
{
    buf_putc(o->b, '[');
    o->level++;
    for (size_t i = 0; i < s->n; i++) {
        if (i)
            buf_addstr(o->b, o->style->item);
        put_break(o);
        put_json(o, s->v[i]);
    }
    o->level--;
    if (s->n)
        put_break(o);
    buf_putc(o->b, ']');
}

static void put_json_number(struct buf *b, struct jj_val v)
{
    if (v.t == T_BIG)
        buf_add(b, v.s->p, v.s->n);
    else if (v.t == T_INT)
        buf_printf(b, "%lld", (long long)v.i);
    else if (isnan(v.f) || isinf(v.f))
        buf_puts(b, isnan(v.f) ? "NaN" : v.f < 0 ? "-Infinity" : "Infinity");
    else
        jj_put_float(b, v.f);
}

static void put_json_key(struct json_out *o, struct jj_val key)
{
    switch (key.t) {
    case T_STR: put_json_string(o->b, jj_bytes(key), o->style->ascii); return;
    case T_NONE: buf_puts(o->b, "\"null\""); return;
    case T_BOOL: buf_puts(o->b, key.b ? "\"true\"" : "\"false\""); return;
    case T_INT:
    case T_BIG:
    case T_FLOAT:
        buf_putc(o->b, '"');
        put_json_number(o->b, key);
        buf_putc(o->b, '"');
        return;
    default: jj_fail(o->j, "JSON cannot have a %s as a key", jj_type_name(key));
    }
}

static struct jj_val sorted_keys(struct jj *j, const struct jj_dict *d)
{
    struct jj_val list = jj_seq(j, T_LIST, d->n), keys = jj_seq(j, T_LIST, d->n);
    for (size_t i = 0; i < d->n; i++)
        list.seq->v[i] = keys.seq->v[i] = d->e[i].key;
    return jj_sorted(j, list, keys.seq->v, false);
}

static void put_json_dict(struct json_out *o, const struct jj_dict *d)
{
    struct jj_val order = o->style->sort ? sorted_keys(o->j, d) : jj_none();
    buf_putc(o->b, '{');
    o->level++;
    for (size_t i = 0; i < d->n; i++) {
        struct jj_val key = o->style->sort ? order.seq->v[i] : d->e[i].key;
        if (i)
            buf_addstr(o->b, o->style->item);
        put_break(o);
        put_json_key(o, key);
        buf_addstr(o->b, o->style->key);
        put_json(o, o->style->sort ? *jj_dict_get(o->j, d, key) : d->e[i].value);
    }
    o->level--;
    if (d->n)
        put_break(o);
    buf_putc(o->b, '}');
}

static void put_json(struct json_out *o, struct jj_val v)
{
    jj_step(o->j, 1);
    jj_push(o->j);
    jj_check_size(o->j, o->b->n);
    switch (v.t) {
    case T_NONE: buf_puts(o->b, "null"); break;
    case T_BOOL: buf_puts(o->b, v.b ? "true" : "false"); break;
    case T_INT:
    case T_BIG:
    case T_FLOAT: put_json_number(o->b, v); break;
    case T_STR:
        jj_step(o->j, v.s->n / 16);
        put_json_string(o->b, jj_bytes(v), o->style->ascii);
        break;
    case T_LIST:
    case T_TUPLE: put_json_list(o, v.seq); break;
    case T_DICT: put_json_dict(o, v.d); break;
    default:
        jj_fail(o->j, "JSON cannot hold a%s %s", v.t == T_UNDEF ? "n" : "", jj_type_name(v));
    }
    o->j->depth--;
}

void jj_put_json(struct jj *j, struct buf *b, struct jj_val v, const struct jj_json_style *s)
{
    struct json_out o = {j, b, s, 0};
    put_json(&o, v);
}
