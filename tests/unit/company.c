/* company.c - the same bits alone and in company: answers, log-probabilities and label scores
 * of a random model with long sums, whatever runs beside them and however it is cut.
 */
#include "unit.h"

#include "infer/infer.h"
#include "tiny_model.h"

#include <string.h>
#include <unistd.h>

enum { REQUESTS = 33, CHOICES = 4, TOKENS = 6, VOCAB = 64, PROMPT_MAX = 70 };

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

static void make_requests(void)
{
    uint64_t state = 7;
    for (int i = 0; i < CHOICES; i++) {
        for (int t = 0; t < 5; t++)
            labels[i][t] = (int32_t)((tiny_random(&state) + 1) * VOCAB / 2) % VOCAB;
        choices[i] = (struct infer_choice){labels[i], 1 + i};
    }
    for (int i = 0; i < REQUESTS; i++) {
        int32_t n = i == REQUESTS - 1 ? PROMPT_MAX : 1 + i;
        for (int t = 0; t < n; t++)
            prompts[i][t] = (int32_t)((tiny_random(&state) + 1) * VOCAB / 2) % VOCAB;
        requests[i] = (struct infer_request){.prompt = prompts[i],
                                             .n_prompt = n,
                                             .max_tokens = 1 + i % TOKENS,
                                             .temperature = i % 3 == 1 ? 0.9 : 0,
                                             .top_p = 0.95,
                                             .source = (uint64_t)i,
                                             .prompt_logprobs = i % 2};
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
    int threads;
    bool reversed;
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
        d, c, &(struct model_config){dtype, s->batch_tokens, rows, 64 << 20, s->max_requests},
        &e);
    CHECK_MSG(m, "%s", e.text);
    if (!m)
        return false;
    struct infer *f = infer_new(
        m, &(struct infer_config){s->batch_tokens, rows, s->max_requests, false});
    int next = 0;
    memset(out, 0, REQUESTS * sizeof *out);
    while (next < REQUESTS || infer_in_flight(f)) {
        for (; next < REQUESTS && infer_has_room(f); next++) {
            int i = s->reversed ? REQUESTS - 1 - next : next;
            CHECK(infer_add(f, &requests[i], &e) == 0);
        }
        CHECK(infer_step(f, done, out, &e) == 0);
    }
    infer_free(f);
    model_close(m);
    ops->close(d);
    return true;
}

static void test_company(const struct ckpt *c, const char *isa, enum dtype dtype)
{
    static const struct setting alone = {512, 1, 1, false}, together[] = {
                                                                {512, REQUESTS, 2, true},
                                                                {64, 7, 1, false},
                                                                {7, 2, 2, false},
                                                            };
    static struct result want[REQUESTS], got[REQUESTS];
    if (!run(isa, c, dtype, &alone, want)) {
        SKIP("cpu/%s is not on this machine", isa);
        return;
    }
    /* Both instruction sets run one source: the second needs no more than the first setting. */
    size_t settings = strcmp(isa, "avx2") ? 3 : 1;
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
        ckpt_close(c);
    }
    char *command = xasprintf("rm -rf '%s'", root);
    CHECK(system(command) == 0);
    free(command);
    return unit_done("company");
}
