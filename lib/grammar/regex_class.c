/* regex_class.c - sets of characters, and those that have a name. */
#include "grammar/regex.h"

#include <stdlib.h>
#include <utf8proc.h>

enum { LAST = 0x10ffff };

void char_set_add(struct char_set *s, uint32_t lo, uint32_t hi)
{
    GROW(s->v, s->cap, s->n + 1);
    s->v[s->n++] = (struct char_range){lo, hi};
}

void char_set_join(struct char_set *s, const struct char_set *more)
{
    for (size_t i = 0; i < more->n; i++)
        char_set_add(s, more->v[i].lo, more->v[i].hi);
}

static int by_start(const void *a, const void *b)
{
    const struct char_range *x = a, *y = b;
    return x->lo < y->lo ? -1 : x->lo > y->lo;
}

void char_set_sort(struct char_set *s)
{
    size_t n = 0;
    if (s->n)
        qsort(s->v, s->n, sizeof *s->v, by_start);
    for (size_t i = 0; i < s->n; i++) {
        struct char_range r = s->v[i];
        if (n && r.lo <= s->v[n - 1].hi + 1) {
            if (r.hi > s->v[n - 1].hi)
                s->v[n - 1].hi = r.hi;
        } else {
            s->v[n++] = r;
        }
    }
    s->n = n;
}

void char_set_invert(struct char_set *s)
{
    struct char_set out = {0};
    uint32_t from = 0;
    for (size_t i = 0; i < s->n; i++) {
        if (s->v[i].lo > from)
            char_set_add(&out, from, s->v[i].lo - 1);
        from = s->v[i].hi + 1;
    }
    if (from <= LAST)
        char_set_add(&out, from, LAST);
    free(s->v);
    *s = out;
}

/* As ECMAScript has them: \d and \w are ASCII. */
bool char_set_letter(struct char_set *s, char letter)
{
    static const struct char_range digits[] = {{'0', '9'}},
                                   word[] = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}},
                                   space[] = {{9, 13},          {' ', ' '},
                                              {0xa0, 0xa0},     {0x1680, 0x1680},
                                              {0x2000, 0x200a}, {0x2028, 0x2029},
                                              {0x202f, 0x202f}, {0x205f, 0x205f},
                                              {0x3000, 0x3000}, {0xfeff, 0xfeff}};
    const struct char_range *from;
    struct char_set own = {0};
    size_t n;
    switch (letter | 32) {
    case 'd': from = digits, n = 1; break;
    case 'w': from = word, n = 4; break;
    case 's': from = space, n = sizeof space / sizeof *space; break;
    default: return false;
    }
    for (size_t i = 0; i < n; i++)
        char_set_add(&own, from[i].lo, from[i].hi);
    if (!(letter & 32))
        char_set_invert(&own);
    char_set_join(s, &own);
    free(own.v);
    return true;
}

/* General categories by their short names, in the order of utf8proc's numbers; long names of
 * those that people use. */
bool char_set_property(struct char_set *s, struct str name)
{
    static const char *const longs[][2] = {{"Letter", "L"},
                                           {"Lowercase_Letter", "Ll"},
                                           {"Uppercase_Letter", "Lu"},
                                           {"Mark", "M"},
                                           {"Number", "N"},
                                           {"Decimal_Number", "Nd"},
                                           {"digit", "Nd"},
                                           {"Punctuation", "P"},
                                           {"punct", "P"},
                                           {"Symbol", "S"},
                                           {"Separator", "Z"},
                                           {"Space_Separator", "Zs"},
                                           {"Other", "C"},
                                           {"Control", "Cc"},
                                           {"cntrl", "Cc"},
                                           {"Currency_Symbol", "Sc"},
                                           {"Math_Symbol", "Sm"}};
    char key[3] = "";
    bool found = false;
    for (size_t i = 0; i < sizeof longs / sizeof *longs; i++)
        if (str_is(name, longs[i][0]))
            name = str_of(longs[i][1]);
    if (name.n < 1 || name.n > 2)
        return false;
    memcpy(key, name.p, name.n);
    uint32_t from = 0;
    bool in = false;
    for (uint32_t c = 0; c <= LAST + 1; c++) {
        const char *cat = c <= LAST ? utf8proc_category_string((utf8proc_int32_t)c) : "";
        bool is = c <= LAST && cat[0] == key[0] && (!key[1] || cat[1] == key[1]);
        if (is && !in)
            from = c;
        if (!is && in)
            char_set_add(s, from, c - 1);
        in = is;
        found |= is;
    }
    return found;
}
