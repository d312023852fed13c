/* number.c - numbers between bounds, as texts of digits. */
#include "grammar/net.h"

#include "rec/json.h"

#include <stdlib.h>

/* Digits before and behind the point that are written, so that a run of digits has an end;
 * bounds may have a few more. */
enum { WHOLE_MAX = 64, PART_MAX = 20, DIGITS_MAX = 400 };

/* ---- decimals ---------------------------------------------------------------------- */

static void trim_left(struct buf *b)
{
    size_t n = 0;
    while (n < b->n && b->p[n] == '0')
        n++;
    if (n)
        memmove(b->p, b->p + n, b->n - n);
    b->n -= n;
}

static void trim_right(struct buf *b)
{
    while (b->n && b->p[b->n - 1] == '0')
        b->n--;
}

/* The digits with the point after the first `whole` of them, which may be before or behind all.
 */
static bool place_point(struct decimal *d, const struct buf *digits, int64_t whole)
{
    if (whole > DIGITS_MAX || whole < -DIGITS_MAX || digits->n > DIGITS_MAX)
        return false;
    for (int64_t i = whole < 0 ? whole : 0; i < (int64_t)digits->n || i < whole; i++) {
        char c = i >= 0 && i < (int64_t)digits->n ? digits->p[i] : '0';
        buf_putc(i < whole ? &d->whole : &d->part, c);
    }
    trim_left(&d->whole);
    trim_right(&d->part);
    return true;
}

bool decimal_read(struct decimal *d, struct str json)
{
    struct buf digits = {0};
    const char *p = json.p, *end = json.p + json.n;
    int64_t whole = 0, exponent = 0;
    bool negative_exponent = false, point = false;
    *d = (struct decimal){.given = true};
    if (p < end && *p == '-')
        d->negative = *p++ == '-';
    for (; p < end && (*p == '.' || (*p >= '0' && *p <= '9')); p++) {
        point |= *p == '.';
        if (*p != '.') {
            buf_putc(&digits, *p);
            whole += !point;
        }
    }
    if (p < end) { /* e or E */
        p++;
        if (p < end && (*p == '-' || *p == '+'))
            negative_exponent = *p++ == '-';
        for (; p < end; p++)
            exponent = exponent < 100000 ? exponent * 10 + (*p - '0') : exponent;
    }
    bool good = place_point(d, &digits, whole + (negative_exponent ? -exponent : exponent));
    buf_release(&digits);
    if (!d->whole.n && !d->part.n)
        d->negative = false;
    return good;
}

void decimal_release(struct decimal *d)
{
    buf_release(&d->whole);
    buf_release(&d->part);
    *d = (struct decimal){0};
}

static int compare_digits(const struct decimal *a, const struct decimal *b)
{
    if (a->whole.n != b->whole.n)
        return a->whole.n < b->whole.n ? -1 : 1;
    int c = a->whole.n ? memcmp(a->whole.p, b->whole.p, a->whole.n) : 0;
    size_t n = a->part.n < b->part.n ? a->part.n : b->part.n;
    if (!c && n)
        c = memcmp(a->part.p, b->part.p, n);
    return c ? c : a->part.n < b->part.n ? -1 : a->part.n > b->part.n;
}

int decimal_compare(const struct decimal *a, const struct decimal *b)
{
    if (a->negative != b->negative)
        return a->negative ? -1 : 1;
    return a->negative ? -compare_digits(a, b) : compare_digits(a, b);
}

/* ---- digits compared as they are written -------------------------------------------- */

/* Numbers of one sign, by their digits: at least low, at most high. */
struct range {
    struct net *net;
    const struct decimal *low, *high; /* NULL: no bound */
    bool integer;
    uint32_t next;
    uint32_t whole[WHOLE_MAX + 2][3][3], part[PART_MAX + 2][3][3]; /* what was made, + 1 */
};

enum { LESS, SAME, MORE };

/* How the digits so far compare, one digit later. */
static int after(int so_far, const struct buf *bound, size_t at, char digit)
{
    char b = at < bound->n ? bound->p[at] : '0';
    return so_far != SAME ? so_far : digit < b ? LESS : digit > b ? MORE : SAME;
}

/* How the digit c at a place makes both compare, and the last digit of which that is true too.
 */
static char alike(const struct buf *low_digits, const struct buf *high_digits, size_t at,
                  const int so_far[2], char c, int now[2])
{
    char last = c;
    for (char k = c; k <= '9'; k++) {
        int l = low_digits ? after(so_far[0], low_digits, at, k) : so_far[0];
        int h = high_digits ? after(so_far[1], high_digits, at, k) : so_far[1];
        if (k > c && (l != now[0] || h != now[1]))
            break;
        now[0] = l;
        now[1] = h;
        last = k;
    }
    return last;
}

static bool holds(const struct range *r, int low, int high)
{
    return !(r->low && (low == LESS || (low == SAME && r->low->exclusive))) &&
           !(r->high && (high == MORE || (high == SAME && r->high->exclusive)));
}

/* How a number that ends here compares: digits of the bound that are left make it larger. */
static int at_end(int so_far, const struct decimal *bound, size_t digits)
{
    return bound && so_far == SAME && digits < bound->part.n ? LESS : so_far;
}

static uint32_t put_part(struct range *r, size_t n, int low, int high)
{
    uint32_t *made = &r->part[n][low][high];
    if (*made)
        return *made - 1;
    uint32_t all = NET_DEAD;
    if (n && holds(r, at_end(low, r->low, n), at_end(high, r->high, n)))
        all = r->next;
    for (char c = '0', last; n < PART_MAX && c <= '9'; c = (char)(last + 1)) {
        int so_far[2] = {low, high}, now[2];
        last = alike(r->low ? &r->low->part : NULL, r->high ? &r->high->part : NULL, n, so_far,
                     c, now);
        all = net_split(r->net,
                        net_byte(r->net, (unsigned char)c, (unsigned char)last,
                                 put_part(r, n + 1, now[0], now[1])),
                        all);
    }
    *made = all + 1;
    return all;
}

/* How n digits compare with a bound of other length. */
static int at_point(int so_far, const struct decimal *bound, size_t n)
{
    if (!bound || n == bound->whole.n)
        return so_far;
    return n < bound->whole.n ? LESS : MORE;
}

/* Behind the whole digits; zero counts as none of them. */
static uint32_t put_point(struct range *r, size_t n, int low, int high)
{
    uint32_t all = NET_DEAD;
    low = at_point(low, r->low, n);
    high = at_point(high, r->high, n);
    if (holds(r, at_end(low, r->low, 0), at_end(high, r->high, 0)))
        all = r->next;
    if (!r->integer)
        all = net_split(r->net, net_byte(r->net, '.', '.', put_part(r, 0, low, high)), all);
    return all;
}

static uint32_t put_whole(struct range *r, size_t n, int low, int high)
{
    uint32_t *made = &r->whole[n][low][high];
    if (*made)
        return *made - 1;
    uint32_t all = n ? put_point(r, n, low, high) : NET_DEAD;
    for (char c = n ? '0' : '1', last; n < WHOLE_MAX && c <= '9'; c = (char)(last + 1)) {
        int so_far[2] = {low, high}, now[2];
        last = alike(r->low ? &r->low->whole : NULL, r->high ? &r->high->whole : NULL, n,
                     so_far, c, now);
        all = net_split(r->net,
                        net_byte(r->net, (unsigned char)c, (unsigned char)last,
                                 put_whole(r, n + 1, now[0], now[1])),
                        all);
    }
    *made = all + 1;
    return all;
}

/* Digits of a number of one sign, low <= it <= high. */
static uint32_t put_digits(struct net *t, bool integer, const struct decimal *low,
                           const struct decimal *high, uint32_t next)
{
    struct range *r = xcalloc(1, sizeof *r);
    *r = (struct range){.net = t, .low = low, .high = high, .integer = integer, .next = next};
    uint32_t zero = net_byte(t, '0', '0', put_point(r, 0, SAME, SAME));
    uint32_t all = net_split(t, zero, put_whole(r, 0, SAME, SAME));
    free(r);
    return all;
}

/* ---- numbers --------------------------------------------------------------------------- */

/* D.DDDe±NNN below 1e308, behind the sign: only where there is no bound. */
static uint32_t put_scientific(struct net *t, uint32_t next)
{
    struct err e = {0};
    return net_regex(
        t, STR("[1-9](\\.[0-9]{1,20})?[eE][+-]?([0-9]|[1-9][0-9]|[12][0-9][0-9]|30[0-7])"),
        false, false, next, &e);
}

uint32_t net_number(struct net *t, bool integer, const struct decimal *low,
                    const struct decimal *high, uint32_t next)
{
    struct decimal zero = {.given = true, .exclusive = true};
    uint32_t positive = NET_DEAD, negative = NET_DEAD;
    const struct decimal *l = low->given ? low : NULL, *h = high->given ? high : NULL;
    if (!h || !h->negative)
        positive = put_digits(t, integer, l && !l->negative ? l : NULL, h, next);
    /* Below zero the bounds change places; there is no -0. */
    if (!l || l->negative)
        negative = put_digits(t, integer, h && h->negative ? h : &zero, l, next);
    if (!integer && !l && !h) {
        uint32_t s = put_scientific(t, next);
        positive = net_split(t, positive, s);
        negative = net_split(t, negative, s);
    }
    return net_split(t, positive, net_byte(t, '-', '-', negative));
}
