/* company.c - the same bits alone and in company: answers, log-probabilities and label scores
 * of a random model with long sums, whatever runs beside them, however it is cut, in whatever
 * order they come, and whether what prompts have in common is computed once or by each.
 */
#include "unit.h"

#include "infer/infer.h"
#include "tiny_model.h"

#include <string.h>
#include <unistd.h>

enum { REQUESTS = 33, CHOICES = 4, TOKENS = 6, VOCAB = 64, PROMPT_MAX = 100 };

static char root[] = "/tmp/millrace-company.XXXXXX";

static int32_t prompts[REQUESTS][PROMPT_MAX];
static int32_t labels[CHOICES][5];
static struct infer_choice choices[CHOICES];
static struct infer_request requests[REQUESTS];

/* All that an answer says, to be compared byte by byte. */
struct result {
    int32_t ids[TOKENS], n, best;
    float logprobs[TOKENS], prompt_logprobs[PROMPT_MAX];
    double scores[CHOICES];
};

static int32_t random_id(uint64_t *state)
{
    return (int32_t)((tiny_random(state) + 1) * VOCAB / 2) % VOCAB;
}

/* Three of four prompts begin with the same two pages, as far as they go. */
static void make_requests(void)
{
    uint64_t state = 7;
    for (int i = 0; i < CHOICES; i++) {
        for (int t = 0; t < 5; t++)
            labels[i][t] = random_id(&state);
        choices[i] = (struct infer_choice){labels[i], 1 + i};
    }
    for (int i = 0; i < REQUESTS; i++) {
        int32_t n = i == REQUESTS - 1 ? PROMPT_MAX : 1 + 3 * i;
        for (int t = 0; t < PROMPT_MAX; t++)
            prompts[i][t] = i && i % 4 && t < 2 * KV_PAGE ? prompts[0][t] : random_id(&state);
        requests[i] = (struct infer_request){.prompt = prompts[i],
                                             .n_prompt = n,
                                             .max_tokens = 1 + i % TOKENS,
                                             .temperature = i % 3 == 1 ? 0.9 : 0,
                                             .top_p = 0.95,
                                             .source = (uint64_t)i,
                                             .prompt_logprobs = i % 5 == 4};
        if (i % 3 == 2) {
            requests[i].choices = choices;
            requests[i].n_choices = CHOICES;
        }
    }
}

static void done(void *arg, const struct infer_request *r, const struct infer_answer *a)
{
    struct result *x = (struct result *)arg + (ptrdiff_t)r->source;
    x->n = a->n;
    x->best = a->best;
    for (int32_t i = 0; i < a->n; i++) {
        x->ids[i] = a->ids[i];
        x->logprobs[i] = a->logprobs[i];
    }
    for (int32_t i = 0; a->prompt_logprobs && i < r->n_prompt - 1; i++)
        x->prompt_logprobs[i] = a->prompt_logprobs[i];
    for (int32_t i = 0; i < r->n_choices; i++)
        x->scores[i] = a->choice_logprobs[i];
}

struct setting {
    int32_t batch_tokens, max_requests;
    int threads, stride; /* request number, number + stride, … come after one another */
    bool prefix_cache;
};

/* False where this machine lacks the device. */
static bool run(const char *isa, const struct ckpt *c, enum dtype dtype,
                const struct setting *s, struct result *out)
{
    struct err e = {0};
    const struct dev_ops *ops = dev_find("cpu");
    struct dev *d = ops ? ops->open(&(struct dev_config){.threads = s->threads, .isa = isa}, &e)
                        : NULL;
    if (!d)
        return false;
    int32_t rows = s->batch_tokens < 16 ? s->batch_tokens : 16;
    struct model *m = model_open(
        d, c, &(struct model_config){dtype, s->batch_tokens, rows, 64 << 20, 8}, &e);
    CHECK_MSG(m, "%s", e.text);
    if (!m)
        return false;
    struct infer *f = infer_new(
        m, &(struct infer_config){s->batch_tokens, rows, s->max_requests, s->prefix_cache});
    int next = 0;
    memset(out, 0, REQUESTS * sizeof *out);
    while (next < REQUESTS || infer_in_flight(f)) {
        for (; next < REQUESTS && infer_has_room(f); next++) {
            int i = next * s->stride % REQUESTS;
            CHECK(infer_add(f, &requests[i], &e) == 0);
        }
        CHECK(infer_step(f, done, out, &e) == 0);
    }
    struct infer_stats stats;
    infer_stats(f, &stats);
    CHECK(s->prefix_cache == (stats.cached_tokens > REQUESTS * KV_PAGE / 2));
    infer_free(f);
    model_close(m);
    ops->close(d);
    return true;
}

static void test_company(const struct ckpt *c, const char *isa, enum dtype dtype)
{
    static const struct setting alone = {512, 1, 1, 1, false};
    /* tokens of a forward, requests in flight, threads, order, prefix cache */
    static const struct setting together[] = {
        {512, REQUESTS, 2, REQUESTS - 1, true},
        {64, 7, 1, 1, true},
        {7, 2, 2, 7, true},
        {512, 1, 1, 5, true},
        {33, REQUESTS, 1, 1, false},
    };
    static struct result want[REQUESTS], got[REQUESTS];
    if (!run(isa, c, dtype, &alone, want)) {
        SKIP("cpu/%s is not on this machine", isa);
        return;
    }
    /* avx512 runs the source of avx2: it needs no more than the first setting. */
    size_t settings = strcmp(isa, "avx512") ? sizeof together / sizeof *together : 1;
    for (size_t k = 0; k < settings; k++) {
        run(isa, c, dtype, &together[k], got);
        for (int i = 0; i < REQUESTS; i++)
            CHECK_MSG(!memcmp(&want[i], &got[i], sizeof *got), "%s %s setting %zu request %d",
                      isa, dtype == DT_F32 ? "f32" : "bf16", k, i);
    }
}

static struct ckpt *make_model(void)
{
    char path[64];
    struct err e = {0};
    struct tiny_model t = TINY_MODEL;
    t.width = 4096;
    t.ffn = 32;
    t.layers = 1;
    t.vocab = VOCAB;
    t.context = 128;
    snprintf(path, sizeof path, "%s/model", root);
    tiny_model_write(path, &t);
    struct ckpt *c = ckpt_open(path, &e);
    CHECK_MSG(c, "%s", e.text);
    return c;
}

int main(void)
{
    if (!mkdtemp(root))
        return 1;
    struct ckpt *c = make_model();
    make_requests();
    if (c) {
        test_company(c, "avx2", DT_F32);
        test_company(c, "avx2", DT_BF16);
        test_company(c, "avx512", DT_F32);
        test_company(c, "avx512", DT_BF16);
        test_company(c, "avx512-bf16", DT_BF16);
        test_company(c, "amx-bf16", DT_BF16);
        ckpt_close(c);
    }
    char *command = xasprintf("rm -rf '%s'", root);
    CHECK(system(command) == 0);
    free(command);
    return unit_done("company");
}
