/* vocab.c - the tree of a vocabulary's bytes. */
#include "grammar/vocab.h"

#include <stdlib.h>

enum { TOKEN_MAX = UINT16_MAX };

struct vocab *vocab_new(int32_t n)
{
    struct vocab *v = xcalloc(1, sizeof *v);
    v->n = n;
    v->from = xcalloc((size_t)n + 1, sizeof *v->from);
    v->length = xcalloc((size_t)n + 1, sizeof *v->length);
    return v;
}

void vocab_free(struct vocab *v)
{
    if (!v)
        return;
    buf_release(&v->bytes);
    free(v->from);
    free(v->length);
    free(v->v);
    free(v->ids);
    free(v);
}

void vocab_add(struct vocab *v, int32_t id, struct str bytes)
{
    if (id < 0 || id >= v->n || bytes.n > TOKEN_MAX)
        return;
    v->from[id] = v->bytes.n;
    v->length[id] = (uint32_t)bytes.n;
    buf_addstr(&v->bytes, bytes);
}

int32_t vocab_size(const struct vocab *v)
{
    return v->n;
}

struct str vocab_bytes(const struct vocab *v, int32_t id)
{
    if (id < 0 || id >= v->n || !v->length[id])
        return (struct str){0};
    return (struct str){v->bytes.p + v->from[id], v->length[id]};
}

size_t vocab_words(const struct vocab *v)
{
    return ((size_t)v->n + 63) / 64;
}

static int by_bytes(const void *a, const void *b, void *arg)
{
    const struct vocab *v = arg;
    struct str x = vocab_bytes(v, *(const int32_t *)a), y = vocab_bytes(v, *(const int32_t *)b);
    int c = memcmp(x.p, y.p, x.n < y.n ? x.n : y.n);
    if (c || x.n != y.n)
        return c ? c : x.n < y.n ? -1 : 1;
    return *(const int32_t *)a < *(const int32_t *)b ? -1 : 1;
}

static uint32_t put_node(struct vocab *v, uint32_t parent, uint32_t first, uint8_t byte)
{
    GROW(v->v, v->cap_nodes, v->n_nodes + 1);
    uint16_t depth = v->n_nodes ? (uint16_t)(v->v[parent].depth + 1) : 0;
    v->v[v->n_nodes] = (struct vocab_node){0, first, parent, depth, byte};
    if (depth > v->depth)
        v->depth = depth;
    return v->n_nodes++;
}

void vocab_build(struct vocab *v)
{
    v->ids = xcalloc((size_t)v->n + 1, sizeof *v->ids);
    for (int32_t i = 0; i < v->n; i++)
        if (v->length[i])
            v->ids[v->n_ids++] = i;
    qsort_r(v->ids, (size_t)v->n_ids, sizeof *v->ids, by_bytes, v);
    uint32_t at = put_node(v, 0, 0, 0);
    struct str last = {0};
    for (int32_t i = 0; i < v->n_ids; i++) {
        struct str s = vocab_bytes(v, v->ids[i]);
        size_t same = 0;
        while (same < last.n && same < s.n && last.p[same] == s.p[same])
            same++;
        for (; v->v[at].depth > same; at = v->v[at].parent)
            v->v[at].skip = v->n_nodes;
        for (size_t k = same; k < s.n; k++)
            at = put_node(v, at, (uint32_t)i, (uint8_t)s.p[k]);
        last = s;
    }
    for (;; at = v->v[at].parent) {
        v->v[at].skip = v->n_nodes;
        if (!at)
            break;
    }
    put_node(v, 0, (uint32_t)v->n_ids, 0);
    v->n_nodes--;
}
