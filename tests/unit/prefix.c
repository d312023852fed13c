/* prefix.c - prompts that share pages: the answers of thousands of random schedules over random
 * trees of prompts, and how much is computed.
 */
#include "infer/prefix.h"

#include "stand_in.h"

/* ---- requests ------------------------------------------------------------------ */

enum { REQUESTS = 150, STEMS = 4, PROMPT_MAX = 110, LABELS = 40, LABEL_MAX = 40 };

static int32_t stems[STEMS][PROMPT_MAX], prompts[REQUESTS][PROMPT_MAX];
static int32_t label_ids[LABELS][LABEL_MAX];
static struct infer_choice labels[LABELS];
static struct infer_request requests[REQUESTS];
static struct expected expected[REQUESTS];
static const int32_t stop_ids[] = {7, 11};

static uint64_t chance;

static int32_t below(int32_t n)
{
    chance = hash_bytes(chance, &n, sizeof n);
    return (int32_t)(chance >> 33) % n;
}

static void fill(int32_t *ids, int32_t n)
{
    for (int32_t i = 0; i < n; i++)
        ids[i] = below(VOCAB);
}

/* A stem up to some place, often the edge of a page, and a tail of its own. */
static int32_t make_prompt(int32_t *ids)
{
    int32_t same = below(2) ? below(PROMPT_MAX) : KV_PAGE * below(4);
    int32_t n = same + below(PROMPT_MAX - same) / (1 + below(8));
    n = n ? n : 1;
    memcpy(ids, stems[below(STEMS)], PROMPT_MAX * sizeof *ids);
    fill(ids + same, n - same > 0 ? n - same : 0);
    return n;
}

static void make_requests(void)
{
    for (int i = 0; i < STEMS; i++)
        fill(stems[i], PROMPT_MAX);
    /* One has another's first page, one its second page behind a first of its own. */
    memcpy(stems[1], stems[0], KV_PAGE * sizeof **stems);
    memcpy(stems[2] + KV_PAGE, stems[0] + KV_PAGE, KV_PAGE * sizeof **stems);
    for (int i = 0; i < LABELS; i++) {
        labels[i] = (struct infer_choice){label_ids[i], 1 + below(below(3) ? 5 : LABEL_MAX)};
        fill(label_ids[i], labels[i].n);
        /* Some begin like another one, some are its beginning, or equal to it. */
        if (i % 6)
            memcpy(label_ids[i], label_ids[i - 1 - below(i % 6)],
                   (size_t)below(below(2) ? 4 : LABEL_MAX) * sizeof **label_ids);
    }
    for (int i = 0; i < REQUESTS; i++) {
        struct infer_request *r = &requests[i];
        *r = (struct infer_request){.prompt = prompts[i],
                                    .n_prompt = make_prompt(prompts[i]),
                                    .adapter = below(4) ? 0 : 1,
                                    .max_tokens = below(6),
                                    .top_p = 1,
                                    .temperature = below(2) ? 0 : .8,
                                    .stop = stop_ids,
                                    .n_stop = 2 * below(2),
                                    .source = (uint64_t)i,
                                    .choices_mean = below(2),
                                    .prompt_logprobs = below(8) == 0,
                                    .owner = &expected[i]};
        if (below(3) == 0) {
            r->n_choices = 1 + below(CHOICES);
            r->choices = labels + below(LABELS - CHOICES);
        }
        expect(r, &expected[i]);
    }
}

/* Another label before i has token t and those before it, and goes on behind it. */
static bool has_node(const struct infer_request *r, int32_t i, int32_t t)
{
    for (int32_t k = 0; k < i; k++)
        if (r->choices[k].n - 1 > t &&
            !memcmp(r->choices[k].ids, r->choices[i].ids, (size_t)(t + 1) * sizeof(int32_t)))
            return true;
    return false;
}

/* Tokens whose keys and values the request needs, however they come about: without sharing each
 * is computed once, but for labels that memory holds one at a time. */
static void tokens_of(const struct infer_request *r, const struct expected *x, int64_t *least,
                      int64_t *most)
{
    int64_t n = r->n_prompt + (x->n ? x->n - 1 : 0);
    *least += n + x->again;
    *most += n + x->again;
    for (int32_t i = 0; i < r->n_choices; i++)
        for (int32_t t = 0; t < r->choices[i].n - 1; t++) {
            *least += !has_node(r, i, t);
            *most += 1;
        }
}

static int32_t pages_of(const struct infer_request *r)
{
    int32_t most = r->max_tokens;
    for (int32_t i = 0; i < r->n_choices; i++)
        most = r->choices[i].n > most ? r->choices[i].n : most;
    return (r->n_prompt + most) / KV_PAGE + 3;
}

/* ---- random schedules ------------------------------------------------------------ */

static int64_t cached_in_all, least_in_all;

static void run_random(void)
{
    static const int32_t tokens[] = {3, 33, 64, 512}, rows[] = {1, 4, ROWS_MAX};
    static struct model m;
    int32_t pages = 0, n = 1 + below(24), next = 0, finished = 0;
    int32_t chosen[24];
    int64_t least = 0, most = 0;
    for (int32_t i = 0; i < n; i++) {
        const struct infer_request *r = &requests[chosen[i] = below(REQUESTS)];
        pages = pages_of(r) > pages ? pages_of(r) : pages;
        tokens_of(r, r->owner, &least, &most);
    }
    pages += below(2) ? below(4) : below(100); /* often hardly enough for one */
    struct infer_config c = {tokens[below(4)], rows[below(3)], 1 + below(12), below(8) > 0};
    struct err e = {0};
    struct infer_stats s;
    m = (struct model){.pages = pages, .head_rows = c.head_rows, .far_after = far_after};
    memset(m.slot, -1, sizeof m.slot);
    struct infer *f = infer_new(&m, &c);
    int64_t steps = 0;
    while (next < n || infer_in_flight(f)) {
        for (int32_t k = below(4) ? below(8) : n; k > 0 && next < n && infer_has_room(f); k--)
            if (infer_add(f, &requests[chosen[next++]], &e) < 0)
                CHECK_MSG(false, "%s", e.text);
        if (infer_step(f, check_answer, &finished, &e) < 0)
            CHECK_MSG(false, "%s", e.text);
        CHECK(steps++ < 100000);
    }
    infer_stats(f, &s);
    CHECK(finished == n);
    CHECK(c.prefix_cache || s.cached_tokens == 0);
    int64_t got = s.computed_tokens + s.cached_tokens;
    CHECK_MSG(got >= least && got <= most, "%d tokens, not %d to %d", (int)got, (int)least,
              (int)most);
    least_in_all += got == least && least < most;
    cached_in_all += s.cached_tokens;
    infer_free(f);
}

static void test_schedules(int32_t after)
{
    chance = 99;
    far_after = after;
    cached_in_all = least_in_all = 0;
    make_requests();
    for (int i = 0; i < 1200; i++)
        run_random();
    CHECK(cached_in_all > 0 && least_in_all > 0);
    far_after = 0;
}

/* ---- how much is computed --------------------------------------------------------- */

/* Runs requests to the end, all of them at once; what came from the cache. */
static int64_t cached_by(struct infer *f, const struct infer_request *r, int n)
{
    struct infer_stats before, after;
    struct err e = {0};
    infer_stats(f, &before);
    for (int i = 0; i < n; i++)
        CHECK(infer_add(f, &r[i], &e) == 0);
    while (infer_in_flight(f))
        CHECK(infer_step(f, check_answer, NULL, &e) == 0);
    infer_stats(f, &after);
    CHECK(after.computed_tokens - before.computed_tokens + after.cached_tokens -
              before.cached_tokens ==
          after.prompt_tokens - before.prompt_tokens);
    return after.cached_tokens - before.cached_tokens;
}

/* One token is asked for: only prompts are computed. */
static struct infer_request *prompt(int number, int stem, int32_t n, int32_t adapter)
{
    struct infer_request *r = &requests[number];
    *r = (struct infer_request){.prompt = stems[stem],
                                .n_prompt = n,
                                .adapter = adapter,
                                .max_tokens = 1,
                                .source = (uint64_t)number,
                                .owner = &expected[number]};
    expect(r, &expected[number]);
    return r;
}

static void test_counts(void)
{
    static struct model m = {.pages = 30, .head_rows = 16};
    struct infer *f = infer_new(&m, &(struct infer_config){512, 16, 16, true});
    struct infer_request same[16];
    for (int i = 0; i < STEMS; i++)
        fill(stems[i], PROMPT_MAX);
    /* Added together, the prefix is computed once; three full pages of 100 tokens. */
    for (int i = 0; i < 16; i++)
        same[i] = *prompt(i, 0, 100, 0);
    CHECK(cached_by(f, same, 16) == 15 * 96);
    CHECK(cached_by(f, prompt(0, 0, 97, 0), 1) == 96);
    /* The last token is computed, though its page is known. */
    CHECK(cached_by(f, prompt(0, 0, 96, 0), 1) == 95);
    CHECK(cached_by(f, prompt(0, 0, 33, 0), 1) == 32);
    CHECK(cached_by(f, prompt(0, 0, 32, 0), 1) == 31);
    /* Another adapter has other keys and values; both stay. */
    CHECK(cached_by(f, prompt(0, 0, 100, 1), 1) == 0);
    CHECK(cached_by(f, prompt(0, 0, 100, 1), 1) == 96);
    CHECK(cached_by(f, prompt(0, 0, 100, 0), 1) == 96);
    /* A request for all rows computes them, and others have its pages. */
    struct infer_request *r = prompt(0, 1, 100, 0);
    r->prompt_logprobs = true;
    CHECK(cached_by(f, r, 1) == 0);
    CHECK(cached_by(f, r, 1) == 0);
    CHECK(cached_by(f, prompt(0, 1, 100, 0), 1) == 96);
    /* The same page behind another one is another page. */
    memcpy(stems[2] + KV_PAGE, stems[0] + KV_PAGE, 2 * KV_PAGE * sizeof **stems);
    CHECK(cached_by(f, prompt(0, 2, 100, 0), 1) == 0);
    infer_free(f);
}

/* What prompts have in common does not end with a page: its beginning is copied. */
static void test_stems(void)
{
    static struct model m = {.pages = 60, .head_rows = 16};
    struct infer *f = infer_new(&m, &(struct infer_config){512, 16, 16, true});
    for (int i = 0; i < STEMS; i++)
        fill(stems[i], PROMPT_MAX);
    for (int i = 1; i < STEMS; i++)
        memcpy(stems[i], stems[0], (size_t)(30 + 15 * i) * sizeof **stems);
    for (int i = 1; i < STEMS; i++)
        stems[i][30 + 15 * i] = (stems[0][30 + 15 * i] + 1) % VOCAB;
    CHECK(cached_by(f, prompt(0, 0, 110, 0), 1) == 0);
    CHECK(cached_by(f, prompt(0, 1, 110, 0), 1) == 45);
    CHECK(cached_by(f, prompt(0, 2, 110, 0), 1) == 60);
    CHECK(cached_by(f, prompt(0, 3, 110, 0), 1) == 75);
    CHECK(cached_by(f, prompt(0, 1, 50, 0), 1) == 49);
    CHECK(cached_by(f, prompt(0, 1, 110, 1), 1) == 0);
    /* The beginning that many have in common is found whatever came last, and waited for. */
    struct infer_request many[STEMS];
    for (int i = 0; i < STEMS; i++) {
        fill(stems[i], PROMPT_MAX);
        if (i)
            memcpy(stems[i], stems[0], 50 * sizeof **stems);
        stems[i][50] = i;
        many[i] = *prompt(i, i, 60, 0);
    }
    CHECK(cached_by(f, many, STEMS) == (STEMS - 1) * 50);
    infer_free(f);
    for (int i = 0; i < STEMS; i++)
        fill(stems[i], PROMPT_MAX);
}

/* Eight pages: two prompts of four pages each, the last of which nobody else can use. */
static void test_eviction(void)
{
    static struct model m = {.pages = 8, .head_rows = 4};
    struct infer *f = infer_new(&m, &(struct infer_config){64, 4, 4, true});
    CHECK(cached_by(f, prompt(0, 0, 99, 0), 1) == 0);
    CHECK(cached_by(f, prompt(0, 1, 99, 0), 1) == 0);
    CHECK(cached_by(f, prompt(0, 0, 99, 0), 1) == 96);
    /* Six pages are known and two are free: two of what was not used for longest go, its end
     * first. */
    CHECK(cached_by(f, prompt(0, 3, 99, 0), 1) == 0);
    CHECK(cached_by(f, prompt(0, 0, 99, 0), 1) == 96);
    CHECK(cached_by(f, prompt(0, 1, 99, 0), 1) == 32);
    infer_free(f);
}

/* Two requests fit only because they share. */
static void test_admission(void)
{
    static struct model m = {.pages = 5, .head_rows = 4};
    struct infer *f = infer_new(&m, &(struct infer_config){512, 4, 4, true});
    struct infer_stats s;
    struct infer_request two[] = {*prompt(0, 0, 100, 0), *prompt(1, 0, 101, 0)};
    CHECK(cached_by(f, two, 2) == 100);
    infer_stats(f, &s);
    CHECK(s.forwards == 2);
    infer_free(f);
}

/* Whatever was in flight or waiting is given back. */
static void test_failure(void)
{
    static struct model m = {.pages = 8, .head_rows = 4, .fails = true};
    struct infer *f = infer_new(&m, &(struct infer_config){512, 4, 4, true});
    struct err e = {0};
    for (int i = 0; i < 4; i++)
        CHECK(infer_add(f, prompt(i, 0, 100, 0), &e) == 0);
    CHECK(infer_step(f, check_answer, NULL, &e) < 0);
    infer_free(f);
}

/* The hash only finds the list: ids and parents decide. */
static void test_keys(void)
{
    struct pages p;
    pages_init(&p, 2);
    p.n_buckets = 1;
    int32_t ids[2][KV_PAGE] = {{1}, {2}}, first = pages_take(&p), second = pages_take(&p);
    prefix_put(&p, first, prefix_root(0), ids[0], KV_PAGE);
    prefix_put(&p, second, first, ids[0], KV_PAGE);
    CHECK(prefix_find(&p, prefix_root(0), ids[0]) == first);
    CHECK(prefix_find(&p, first, ids[0]) == second);
    CHECK(prefix_find(&p, second, ids[0]) == -1);
    CHECK(prefix_find(&p, first, ids[1]) == -1);
    CHECK(prefix_find(&p, prefix_root(1), ids[0]) == -1);
    pages_drop(&p, second); /* never filled: gone */
    CHECK(prefix_find(&p, first, ids[0]) == -1);
    prefix_filled(&p, first);
    pages_drop(&p, first);
    CHECK(prefix_find(&p, prefix_root(0), ids[0]) == first && pages_available(&p) == 2);
    CHECK(pages_take(&p) == second && pages_take(&p) == first);
    CHECK(prefix_find(&p, prefix_root(0), ids[0]) == -1);
    pages_release(&p);
}

int main(void)
{
    test_keys();
    test_schedules(0);
    test_schedules(67);
    test_counts();
    test_stems();
    test_eviction();
    test_admission();
    test_failure();
    return unit_done("prefix");
}
