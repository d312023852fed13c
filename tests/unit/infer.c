/* infer.c - the scheduler over a stand-in for the model: the expected answers must be met
 * exactly for every size of batch, head, memory and company.
 */
#include "stand_in.h"

/* ---- a guide ------------------------------------------------------------------- */

/* Allows two ids of three, other ones from token to token; behind every id that 5 divides it
 * forces two or three; ends after a number of ids. */
struct guide {
    int32_t taken, last, ends;
    uint64_t allowed;
    int32_t forced[3];
};

static const uint64_t *guide_allowed(void *state)
{
    struct guide *g = state;
    g->allowed = 0;
    for (int i = 0; i < VOCAB; i++)
        if ((i + g->taken) % 3)
            g->allowed |= UINT64_C(1) << i;
    return &g->allowed;
}

static int32_t guide_forced(void *state, const int32_t **ids)
{
    struct guide *g = state;
    for (int i = 0; i < 3; i++)
        g->forced[i] = (g->last + 1 + i * 6) % VOCAB;
    *ids = g->forced;
    return g->last % 5 ? 0 : 2 + g->last % 2;
}

static enum infer_next guide_take(void *state, int32_t id)
{
    struct guide *g = state;
    g->last = id;
    return ++g->taken == g->ends ? INFER_ENDS : INFER_GO_ON;
}

static const struct infer_guide guide = {guide_allowed, guide_forced, guide_take};

/* ---- requests ------------------------------------------------------------------ */

enum { REQUESTS = 33, LONGEST = 90, LABELS = 5 };

static int32_t prompts[REQUESTS][CONTEXT];
static int32_t labels[LABELS][LONGEST];
static struct infer_choice choices[LABELS];
static const int32_t stop_ids[] = {7, 11};
static struct infer_request requests[REQUESTS];
static struct guide guides[REQUESTS];
static const struct sample_bias bias[] = {{3, 2.5f}, {4, -100}};
static struct expected expected[REQUESTS];

/* Some begin with what is forced, some end there. */
static void reset_guide(const struct infer_request *r)
{
    int i = (int)r->source;
    guides[i] = (struct guide){.last = i % 2 ? 1 : 10 * i, .ends = 1 + i * 5 % 31};
}

/* Lengths around the edges of a page and of the context, every kind of answer, the prompt's own
 * log-probabilities with some of each. */
static void make_requests(void)
{
    static const int32_t lengths[] = {1, 5, 31, 32, 33, 63, 64, 65, 100, 3, 96};
    static const int32_t label_lengths[LABELS] = {1, 3, 40, 2, LONGEST};
    uint64_t x = 12345;
    for (int32_t i = 0; i < LABELS; i++) {
        for (int32_t t = 0; t < label_lengths[i]; t++)
            labels[i][t] = (int32_t)((x = hash_bytes(x, &t, sizeof t)) % VOCAB);
        choices[i] = (struct infer_choice){labels[i], label_lengths[i]};
    }
    for (int32_t i = 0; i < REQUESTS; i++) {
        int32_t n = lengths[i % (int)(sizeof lengths / sizeof *lengths)];
        if (i == 9)
            n = CONTEXT - 2;
        for (int32_t t = 0; t < n; t++)
            prompts[i][t] = (int32_t)((x = hash_bytes(x, &t, sizeof t)) % VOCAB);
        struct infer_request *r = &requests[i];
        *r = (struct infer_request){.prompt = prompts[i],
                                    .n_prompt = n,
                                    .max_tokens = 1 + i % 40,
                                    .top_p = 1,
                                    .stop = stop_ids,
                                    .n_stop = i % 4 ? 2 : 0,
                                    .seed = 5,
                                    .source = (uint64_t)i,
                                    .prompt_logprobs = i % 5 == 0,
                                    .owner = &expected[i]};
        if (i % 3 == 1 && i != 9) {
            r->choices = choices + (i % 2);
            r->n_choices = LABELS - (i % 2);
        } else if (i % 3 == 2) {
            r->temperature = .8;
            r->top_k = 20;
            r->top_p = .9;
        }
        if (i == 6)
            r->max_tokens = 0;
        if (i % 7 == 3 || i % 7 == 4) {
            r->repetition_penalty = 1.3;
            r->frequency_penalty = .2;
            r->presence_penalty = -.1;
            r->bias = bias;
            r->n_bias = 2;
            r->min_p = .05;
        }
        if (i % 3 != 1 && i % 4) {
            r->guide = &guide;
            r->guide_state = &guides[i];
            r->logprobs = i % 2;
        }
        r->top_logprobs = i % 8 == 2 ? 3 : 0;
        reset_guide(r);
        expect(r, &expected[i]);
    }
}

/* Feeds all requests, in order or from the last to the first, as fast as they are taken. */
static void run(const struct infer_config *c, int32_t pages, bool reversed)
{
    static struct model m;
    m = (struct model){.pages = pages, .head_rows = c->head_rows, .far_after = far_after};
    struct err e = {0};
    struct infer *f = infer_new(&m, c);
    int next = 0, finished = 0;
    while (next < REQUESTS || infer_in_flight(f)) {
        while (next < REQUESTS && infer_has_room(f)) {
            int i = reversed ? REQUESTS - 1 - next : next;
            reset_guide(&requests[i]);
            if (infer_add(f, &requests[i], &e) < 0)
                CHECK_MSG(false, "request %d: %s", i, e.text);
            next++;
        }
        if (infer_step(f, check_answer, &finished, &e) < 0)
            CHECK_MSG(false, "%s", e.text);
    }
    CHECK(finished == REQUESTS);
    infer_free(f);
}

static void test_company(void)
{
    static const int32_t tokens[] = {1, 7, 64, 512}, company[] = {1, 2, 7, REQUESTS},
                         rows[] = {1, 3, ROWS_MAX}, pages[] = {7, 20, PAGES_MAX};
    for (int t = 0; t < 4; t++)
        for (int c = 0; c < 4; c++)
            for (int r = 0; r < 3; r++)
                for (int p = 0; p < 3; p++)
                    run(&(struct infer_config){tokens[t], rows[r], company[c], t % 2}, pages[p],
                        (t + c + r + p) % 2);
}

/* ---- refusals and failures --------------------------------------------------- */

static void test_refusals(void)
{
    static struct model m = {.pages = 3, .head_rows = 4};
    struct infer *f = infer_new(&m, &(struct infer_config){16, 4, 4, true});
    struct err e = {0};
    struct infer_request r = {.prompt = prompts[9], .n_prompt = CONTEXT, .max_tokens = 1};
    CHECK(infer_add(f, &r, &e) < 0 && e.status == EXIT_DATA);
    CHECK(strstr(e.text, "context of 200"));
    r.n_prompt = 96;
    CHECK(infer_add(f, &r, &e) == 0);
    r.max_tokens = 2;
    CHECK(infer_add(f, &r, &e) < 0 && strstr(e.text, "key-value memory"));
    /* 64 + 32 tokens fill the three pages: a label's last token is not stored. */
    struct infer_choice label = {labels[4], 33};
    r = (struct infer_request){
        .prompt = prompts[9], .n_prompt = 64, .choices = &label, .n_choices = 1};
    CHECK(infer_add(f, &r, &e) == 0);
    label.n = 34;
    CHECK(infer_add(f, &r, &e) < 0 && strstr(e.text, "key-value memory"));
    r = (struct infer_request){.max_tokens = 1};
    static const int32_t odd[] = {3, VOCAB}, negative[] = {-1};
    r.prompt = odd;
    r.n_prompt = 2;
    CHECK(infer_add(f, &r, &e) < 0 && strstr(e.text, "id 50"));
    r.prompt = negative;
    r.n_prompt = 1;
    CHECK(infer_add(f, &r, &e) < 0 && strstr(e.text, "id -1"));
    r.n_prompt = 0;
    CHECK(infer_add(f, &r, &e) < 0);
    CHECK(infer_in_flight(f) == 2);
    m.fails = true;
    CHECK(infer_step(f, check_answer, NULL, &e) < 0 && e.status == EXIT_AGAIN);
    infer_free(f);
}

int main(void)
{
    make_requests();
    test_company();
    far_after = 97; /* some begin beyond it, some answers get there, some labels */
    make_requests();
    test_company();
    far_after = 0;
    test_refusals();
    return unit_done("infer");
}
