/* value.c - any JSON value, and the one way in which a given value is written. */
#include "grammar/net.h"

#include "base/num.h"
#include "rec/json.h"

/* Spaces behind a line end, and calls that are open before values have no parts: what cannot go
 * on for ever. */
enum { INDENT_MAX = 16, DEPTH_MAX = 96 };

/* Nothing, a space, or a line end and an indent. */
static uint32_t blanks_rule(struct net *t)
{
    uint32_t indent = NET_RETURN;
    for (int i = 0; i < INDENT_MAX; i++)
        indent = net_split(t, net_byte(t, ' ', ' ', indent), NET_RETURN);
    uint32_t line = net_byte(t, '\n', '\n', indent);
    return net_split(t, NET_RETURN, net_split(t, net_byte(t, ' ', ' ', NET_RETURN), line));
}

static uint32_t string_rule(struct net *t)
{
    uint32_t again = net_jump(t), end = net_byte(t, '"', '"', NET_RETURN);
    net_set(t, again, net_split(t, net_any(t, true, again), end));
    return net_byte(t, '"', '"', again);
}

/* open item (, item)* close, or nothing between open and close. */
static uint32_t list_rule(struct net *t, char open, char close, uint32_t item_rule,
                          uint32_t blank)
{
    uint32_t end = net_byte(t, (unsigned char)close, (unsigned char)close, NET_RETURN);
    uint32_t behind = net_jump(t), item = net_call(t, item_rule, behind);
    uint32_t comma = net_byte(t, ',', ',', net_call(t, blank, item));
    net_set(t, behind, net_call(t, blank, net_split(t, comma, end)));
    uint32_t first = net_call(t, blank, net_split(t, item, end));
    return net_byte(t, (unsigned char)open, (unsigned char)open, first);
}

struct net_values net_values(struct net *t, bool blanks)
{
    const struct decimal none = {0};
    struct net_values v;
    uint32_t blank = blanks ? blanks_rule(t) : NET_RETURN;
    v.value = net_jump(t);
    v.string = string_rule(t);
    uint32_t to_value = net_call(t, v.value, NET_RETURN);
    uint32_t colon = net_byte(t, ':', ':', net_call(t, blank, to_value));
    v.object = list_rule(t, '{', '}', net_call(t, v.string, net_call(t, blank, colon)), blank);
    v.array = list_rule(t, '[', ']', v.value, blank);
    uint32_t parts = net_depth(t, DEPTH_MAX, net_split(t, v.object, v.array));
    uint32_t all = net_split(t, v.string, net_number(t, false, &none, &none, NET_RETURN));
    all = net_split(t, all, net_text(t, STR("true"), NET_RETURN));
    all = net_split(t, all, net_text(t, STR("false"), NET_RETURN));
    all = net_split(t, all, net_text(t, STR("null"), NET_RETURN));
    net_set(t, v.value, net_split(t, all, parts));
    return v;
}

/* ---- one spelling --------------------------------------------------------------------- */

static void spell_text(struct buf *out, struct str s)
{
    static const char letters[] = "\b\f\n\r\t\"\\", names[] = "bfnrt\"\\";
    buf_putc(out, '"');
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        const char *at = c ? strchr(letters, c) : NULL;
        if (at)
            buf_printf(out, "\\%c", names[at - letters]);
        else if (c < 0x20)
            buf_printf(out, "\\u%04x", c);
        else
            buf_putc(out, (char)c);
    }
    buf_putc(out, '"');
}

/* Digits with a point where it is needed; numbers with large exponents as they are. */
static void spell_number(struct buf *out, struct str json)
{
    struct decimal d;
    if (decimal_read(&d, json) && d.whole.n <= 64 && d.part.n <= 32) {
        if (d.negative)
            buf_putc(out, '-');
        buf_addstr(out, d.whole.n ? buf_str(&d.whole) : STR("0"));
        if (d.part.n)
            buf_putc(out, '.');
        buf_addstr(out, buf_str(&d.part));
    } else {
        buf_addstr(out, json);
    }
    decimal_release(&d);
}

static int spell_parts(struct buf *out, struct str json, bool object)
{
    struct json_iter it = json_iter(json);
    struct str key, item;
    bool first = true;
    buf_putc(out, object ? '{' : '[');
    while (json_next(&it, &key, &item)) {
        if (!first)
            buf_putc(out, ',');
        first = false;
        if (object && json_spell(out, key) < 0)
            return -1;
        if (object)
            buf_putc(out, ':');
        if (json_spell(out, item) < 0)
            return -1;
    }
    buf_putc(out, object ? '}' : ']');
    return 0;
}

int json_spell(struct buf *out, struct str json)
{
    struct buf text = {0};
    int rc = 0;
    switch (json_kind(json)) {
    case JSON_STRING:
        rc = json_decode(&text, json) ? 0 : -1;
        spell_text(out, buf_str(&text));
        break;
    case JSON_NUMBER: spell_number(out, json); break;
    case JSON_OBJECT: return spell_parts(out, json, true);
    case JSON_ARRAY: return spell_parts(out, json, false);
    default: buf_addstr(out, json); break;
    }
    buf_release(&text);
    return rc;
}
