/* names.c - texts to small numbers, equal after trimming and case folding. */
#include "metrics/metrics.h"

#include "base/hash.h"

#include <stdlib.h>
#include <utf8proc.h>

struct name {
    struct str text, key; /* owned; the same bytes where the names are not folded */
    uint64_t hash;
};

struct names {
    bool fold;
    struct name *v;
    size_t n, cap;
    uint32_t *slot; /* id + 1, 0: free; `slots` is a power of two */
    size_t slots;
    struct buf key; /* of the text in hand */
};

/* ---- folding -------------------------------------------------------------- */

static bool blank(int32_t c)
{
    if (c < 0x80)
        return c == ' ' || (c >= '\t' && c <= '\r');
    if (c == 0x85 || c == 0xfeff)
        return true;
    utf8proc_category_t k = utf8proc_category(c);
    return k == UTF8PROC_CATEGORY_ZS || k == UTF8PROC_CATEGORY_ZL || k == UTF8PROC_CATEGORY_ZP;
}

/* Length of the character at p; bytes that are no UTF-8 count as characters that are no blanks.
 */
static size_t char_at(const char *p, size_t n, int32_t *c)
{
    utf8proc_ssize_t k = utf8proc_iterate((const utf8proc_uint8_t *)p, (utf8proc_ssize_t)n, c);
    if (k > 0)
        return (size_t)k;
    *c = 0;
    return 1;
}

static struct str trim(struct str s)
{
    int32_t c;
    while (s.n) {
        size_t k = char_at(s.p, s.n, &c);
        if (!blank(c))
            break;
        s.p += k;
        s.n -= k;
    }
    while (s.n) {
        size_t at = s.n - 1;
        while (at > 0 && s.n - at < 4 && ((unsigned char)s.p[at] & 0xc0) == 0x80)
            at--;
        char_at(s.p + at, s.n - at, &c);
        if (!blank(c))
            break;
        s.n = at;
    }
    return s;
}

static bool ascii(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] >= 0x80)
            return false;
    return true;
}

static void fold_trimmed(struct buf *out, struct str s)
{
    utf8proc_uint8_t *folded = NULL;
    utf8proc_ssize_t n = -1;
    if (!ascii(s))
        n = utf8proc_map((const utf8proc_uint8_t *)s.p, (utf8proc_ssize_t)s.n, &folded,
                         UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_CASEFOLD);
    if (n >= 0) {
        buf_add(out, folded, (size_t)n);
    } else {
        for (size_t i = 0; i < s.n; i++)
            buf_putc(out, s.p[i] >= 'A' && s.p[i] <= 'Z' ? (char)(s.p[i] + 32) : s.p[i]);
    }
    free(folded);
}

void text_fold(struct buf *out, struct str text)
{
    fold_trimmed(out, trim(text));
}

/* ---- the table ------------------------------------------------------------ */

struct names *names_new(bool fold)
{
    struct names *n = xcalloc(1, sizeof *n);
    n->fold = fold;
    n->slots = 64;
    n->slot = xcalloc(n->slots, sizeof *n->slot);
    return n;
}

void names_free(struct names *n)
{
    if (!n)
        return;
    for (size_t i = 0; i < n->n; i++)
        free((void *)(uintptr_t)n->v[i].text.p);
    free(n->v);
    free(n->slot);
    buf_release(&n->key);
    free(n);
}

size_t names_count(const struct names *n)
{
    return n->n;
}

struct str names_text(const struct names *n, uint32_t id)
{
    return n->v[id].text;
}

static size_t slot_of(const struct names *n, struct str key, uint64_t hash)
{
    size_t i = hash & (n->slots - 1);
    for (; n->slot[i]; i = (i + 1) & (n->slots - 1)) {
        const struct name *v = &n->v[n->slot[i] - 1];
        if (v->hash == hash && str_eq(v->key, key))
            break;
    }
    return i;
}

static struct str key_of(struct names *n, struct str text)
{
    if (!n->fold)
        return text;
    buf_clear(&n->key);
    text_fold(&n->key, text);
    return buf_str(&n->key);
}

int64_t names_find(struct names *n, struct str text)
{
    struct str key = key_of(n, text);
    return (int64_t)n->slot[slot_of(n, key, hash_bytes(HASH_SEED, key.p, key.n))] - 1;
}

static void grow_slots(struct names *n)
{
    free(n->slot);
    n->slots *= 2;
    n->slot = xcalloc(n->slots, sizeof *n->slot);
    for (size_t i = 0; i < n->n; i++)
        n->slot[slot_of(n, n->v[i].key, n->v[i].hash)] = (uint32_t)i + 1;
}

/* One allocation holds the text and, behind it, the key. */
static struct name name_of(struct str text, struct str key, uint64_t hash)
{
    char *p = xmalloc(text.n + key.n + 1);
    if (text.n)
        memcpy(p, text.p, text.n);
    if (key.n)
        memcpy(p + text.n, key.p, key.n);
    return (struct name){{p, text.n}, {p + text.n, key.n}, hash};
}

uint32_t names_add(struct names *n, struct str text)
{
    struct str key = key_of(n, text);
    uint64_t hash = hash_bytes(HASH_SEED, key.p, key.n);
    size_t at = slot_of(n, key, hash);
    if (n->slot[at])
        return n->slot[at] - 1;
    GROW(n->v, n->cap, n->n + 1);
    n->v[n->n] = name_of(n->fold ? trim(text) : text, key, hash);
    uint32_t id = (uint32_t)n->n++;
    n->slot[at] = id + 1;
    if (n->n * 2 > n->slots)
        grow_slots(n);
    return id;
}
