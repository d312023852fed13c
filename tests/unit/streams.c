/* streams.c - what shard, gather and sample rest on: sets, order, merging, drawing. */
#include "base/random.h"
#include "rec/draw.h"
#include "rec/merge.h"
#include "rec/order.h"
#include "rec/seqset.h"

#include "unit.h"

#include <stdlib.h>
#include <unistd.h>

static int file_of(const char *s)
{
    char path[] = "/tmp/streams-unit-XXXXXX";
    int fd = mkstemp(path);
    if (fd < 0 || write(fd, s, strlen(s)) != (ssize_t)strlen(s))
        abort();
    unlink(path);
    return fd;
}

static void test_seqset(void)
{
    struct seqset s = {0};
    static const uint64_t in[] = {0, 63, 64, 65535, 65536, 1 << 20, (UINT64_C(1) << 40) - 1};
    CHECK(!seqset_has(&s, 0));
    for (size_t i = 0; i < sizeof in / sizeof *in; i++)
        CHECK(seqset_add(&s, in[i]) && seqset_has(&s, in[i]));
    CHECK(!seqset_has(&s, 1) && !seqset_has(&s, 62) && !seqset_has(&s, 65537));
    CHECK(!seqset_has(&s, UINT64_MAX) && !seqset_add(&s, UINT64_C(1) << 40));
    seqset_release(&s);
}

/* ---- order ---------------------------------------------------------------- */

static bool put_is(const struct order_wrong *w, const char *want)
{
    struct buf b = {0};
    buf_puts(&b, "");
    order_put(&b, w);
    bool same = !strcmp(b.p, want);
    if (!same)
        fprintf(stderr, "got %s\n", b.p);
    buf_release(&b);
    return same;
}

static void test_order(void)
{
    struct order o = {0};
    CHECK(order_see(&o, 0, false) && !order_see(&o, 0, false) && order_see(&o, 3, true));
    CHECK(order_see(&o, 4, false) && order_see(&o, 5, true) && !order_see(&o, 5, false));
    CHECK(o.missing.count == 2 && put_is(&o.missing, "1-2"));
    CHECK(o.twice.count == 2 && put_is(&o.twice, "0, 5"));
    CHECK(o.has_last && o.last == 3 && o.behind.count == 2 && put_is(&o.behind, "4-5"));
    order_expect(&o, 6);
    CHECK(o.missing.count == 2);
    order_expect(&o, 10);
    CHECK(o.missing.count == 6 && put_is(&o.missing, "1-2, 6-9"));
    CHECK(put_is(&(struct order_wrong){0}, ""));
    o = (struct order){0};
    for (uint64_t i = 1; i < 100; i += 2)
        order_see(&o, i, false);
    CHECK(o.missing.count == 50 && put_is(&o.missing, "0, 2, 4, 6, 8, 10, 12, 14, ..."));
}

/* ---- merging -------------------------------------------------------------- */

/* The order of numbers that comes out of the files, "0 1 2", or the error's text. */
static const char *merged(struct buf *out, const char *const *files)
{
    struct merge *m = merge_new(64);
    struct err e;
    const struct rec *rec;
    uint64_t seq, own;
    int k = 0;
    buf_clear(out);
    for (; *files && k == 0; files++)
        k = merge_add(m, file_of(*files), "f", 1, &e);
    if (k == 0)
        while ((k = merge_next(m, &rec, &seq, &e)) > 0) {
            if (rec_index(rec, "_seq", &own) != 1 || own != seq)
                buf_puts(out, "!");
            buf_printf(out, "%d ", (int)seq);
        }
    if (k < 0)
        buf_puts(out, e.text);
    if (merge_torn(m))
        buf_printf(out, "torn %s", merge_torn(m));
    merge_free(m);
    return out->p ? out->p : "";
}

#define S(n) "{\"_seq\":" #n "}\n"
#define MERGED(want, ...) \
    CHECK(!strcmp(merged(&b, (const char *const[]){__VA_ARGS__, NULL}), want))

static void test_merge(void)
{
    struct buf b = {0};
    MERGED("", "");
    MERGED("", "", "\n\n");
    MERGED("0 1 2 ", S(0) S(1) S(2));
    MERGED("0 1 2 3 ", S(1) S(3), S(0) S(2));
    MERGED("0 1 2 3 4 ", S(3) S(4) S(0) S(2) "\n\r\n" S(1));
    MERGED("0 1 2 3 4 5 ", S(5) S(4) S(3) S(2) S(1) S(0));
    MERGED("0 0 1 1 1 ", S(0) S(1) S(1), S(0) S(1));
    MERGED("0 1 ", "\xef\xbb\xbf{\"_seq\":1}\r\n" S(0));
    MERGED("0 2 torn f:2: unexpected end of the text at byte 2", S(2) "{", S(0));
    MERGED("torn f:1: unexpected end of the text at byte 2", "{", "[");
    MERGED("f:2: unexpected end of the text at byte 2", S(2) "{\n" S(3));
    MERGED("f:1: no _seq; only records that shard has numbered can be put in order", "{}");
    MERGED("f:1: _seq is not a whole number", "{\"_seq\":0.5}");
    buf_release(&b);
}

/* Many records in an order that makes thousands of runs. */
static void test_merge_many(void)
{
    enum { N = 20000 };
    struct buf b = {0};
    for (int i = 0; i < N; i++)
        buf_printf(&b, "{\"_seq\":%d}\n", (int)((long long)i * 7919 % N));
    struct merge *m = merge_new(64);
    struct err e;
    const struct rec *rec;
    uint64_t seq, due = 0;
    CHECK(merge_add(m, file_of(b.p), "f", 1, &e) == 0);
    while (merge_next(m, &rec, &seq, &e) == 1 && seq == due)
        due++;
    CHECK(due == N);
    merge_free(m);
    buf_release(&b);
}

/* ---- drawing -------------------------------------------------------------- */

static void test_random(void)
{
    /* the first numbers of SplitMix64 from state 0, as published */
    uint64_t state = 0;
    CHECK(random_next(&state) == UINT64_C(0xe220a8397b1dcdaf));
    CHECK(random_next(&state) == UINT64_C(0x6e789e6aa1b965f4));
    CHECK(random_next(&state) == UINT64_C(0x06c45d188009454f));
    for (int i = 0; i < 1000; i++)
        if (random_below(&state, 7) > 6 || random_below(&state, 1) != 0)
            CHECK(!"in range");
    CHECK(random_below(&state, UINT64_MAX) < UINT64_MAX);
}

/* The shares of strata of these sizes, "a b c". */
static const char *shares(struct buf *out, const int *sizes, uint64_t n)
{
    struct draw d = {0};
    struct err e;
    uint64_t drawn = 0, sum = 0;
    buf_clear(out);
    for (int s = 0; sizes[s]; s++)
        for (int i = 0; i < sizes[s]; i++)
            draw_add(&d, (struct str){(const char *)&sizes[s], sizeof *sizes});
    if (draw_plan(&d, n, 1, &e) < 0) {
        buf_puts(out, "refused");
    } else {
        for (size_t i = 0; i < d.n; i++)
            drawn += draw_take(&d);
        for (size_t i = 0; i < d.n_strata; i++) {
            buf_printf(out, "%d ", (int)d.strata[i].share);
            sum += d.strata[i].share;
            if (d.strata[i].left || d.strata[i].need)
                buf_puts(out, "not all ");
        }
        if (drawn != sum || draw_take(&d))
            buf_puts(out, "other number");
    }
    draw_release(&d);
    return out->p;
}

#define SHARES(n, want, ...) CHECK(!strcmp(shares(&b, (const int[]){__VA_ARGS__, 0}, n), want))

static void test_draw(void)
{
    struct buf b = {0};
    SHARES(10, "5 3 2 ", 50, 30, 20);
    SHARES(10, "8 1 1 ", 1000, 2, 1);
    SHARES(3, "1 1 1 ", 1000, 2, 1);
    SHARES(2, "refused", 1000, 2, 1);
    SHARES(5000, "1000 2 1 ", 1000, 2, 1);
    SHARES(1002, "999 2 1 ", 1000, 2, 1);
    SHARES(4, "1 1 2 ", 4, 3, 5);
    SHARES(7, "7 ", 9);
    buf_release(&b);
}

/* Growing to many strata keeps each record with its own. */
static void test_many_strata(void)
{
    enum { N = 5000 };
    struct draw d = {0};
    struct err e;
    int wrong = 0;
    for (int i = 0; i < 3 * N; i++) {
        int key = i % N;
        draw_add(&d, (struct str){(const char *)&key, sizeof key});
    }
    CHECK(d.n_strata == N && draw_plan(&d, N, 0, &e) == 0);
    for (size_t i = 0; i < d.n_strata; i++)
        wrong += d.strata[i].size != 3 || d.strata[i].share != 1;
    CHECK(wrong == 0);
    draw_release(&d);
}

int main(void)
{
    test_seqset();
    test_order();
    test_merge();
    test_merge_many();
    test_random();
    test_draw();
    test_many_strata();
    return unit_done("streams");
}
