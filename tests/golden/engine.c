/* engine.c - the prompts of every model of the reference, all in flight at once: the tokens and
 * log-probabilities that the reference gives for each alone; and where a model has other rotary
 * positions for long sequences, answers that grow into them.
 */
#include "session.h"

#include "infer/infer.h"

#include <dirent.h>

enum { PROMPTS = 6, TURNS = 3, REQUESTS = PROMPTS + TURNS, GREEDY = 24 };

/* As for one model alone (golden/README.md 1.2). */
static const double TOKEN = 1e-3;

struct company {
    struct golden_count *count;
    const char *name;
    struct model *m;
    json_t *want[PROMPTS];
    struct infer_request r[REQUESTS];
    int32_t ids[REQUESTS][GREEDY];
    float logprobs[REQUESTS][GREEDY];
    double worst;
};

static void done(void *arg, const struct infer_request *r, const struct infer_answer *a)
{
    struct company *c = arg;
    int32_t i = *(int32_t *)r->owner;
    memcpy(c->ids[i], a->ids, (size_t)a->n * sizeof *a->ids);
    memcpy(c->logprobs[i], a->logprobs, (size_t)a->n * sizeof *a->logprobs);
    if (i >= PROMPTS)
        return;
    const json_t *want = json_object_get(c->want[i], "token_logprobs");
    for (int32_t t = 0; a->prompt_logprobs && t + 1 < r->n_prompt; t++)
        c->worst = fmax(c->worst, fabs((double)a->prompt_logprobs[t] - number_at(want, t)));
}

static void check_prompt(struct company *c, int32_t i)
{
    int32_t n, wrong = 0;
    int32_t *greedy = ids_of(json_object_get(c->want[i], "greedy_ids"), &n);
    for (int32_t t = 0; t < n && t < GREEDY; t++)
        wrong += greedy[t] != c->ids[i][t];
    free(greedy);
    if (wrong || n != GREEDY)
        golden_fail(c->count, "%s p%d: %d of %d greedy ids differ", c->name, (int)i, (int)wrong,
                    (int)n);
    else
        c->count->passed++;
}

/* Each answer of request i is the likeliest behind all before it, computed from nothing in one
 * piece with the positions that a sequence of that length has: the same bits. */
static void check_turn(struct company *c, int32_t i, int32_t far_after)
{
    const struct infer_request *r = &c->r[i];
    static const bool far[2] = {true, true};
    int32_t all[1024], id, wrong = 0;
    float logprob;
    struct err e = {0};
    memcpy(all, r->prompt, (size_t)r->n_prompt * sizeof *all);
    memcpy(all + r->n_prompt, c->ids[i], GREEDY * sizeof *all);
    for (int32_t t = 0; t < GREEDY; t++) {
        int32_t n = r->n_prompt + t;
        struct batch extra = {.far = n > far_after ? far : NULL};
        if (session_step(c->m, all, 0, n, &extra, &e) < 0 ||
            model_argmax(c->m, n - 1, 1, &id, &logprob, &e) < 0)
            die_err(&e);
        wrong += id != c->ids[i][t] || logprob != c->logprobs[i][t];
    }
    if (wrong)
        golden_fail(c->count, "%s: %d of %d tokens around position %d differ", c->name,
                    (int)wrong, GREEDY, (int)far_after);
    else
        c->count->passed++;
}

static void run(struct company *c, const struct infer_config *config)
{
    struct err e = {0};
    struct model_info info;
    static int32_t numbers[REQUESTS];
    int32_t *ids[PROMPTS], n = PROMPTS;
    model_info(c->m, &info);
    for (int32_t i = 0; i < PROMPTS; i++) {
        ids[i] = ids_of(json_object_get(c->want[i], "input_ids"), &c->r[i].n_prompt);
        c->r[i].prompt = ids[i];
        c->r[i].prompt_logprobs = i % 2 == 1 || !config->prefix_cache;
    }
    /* the longest prompt's beginning, so that its answer crosses the line at different places
     */
    for (int32_t i = 0; i < TURNS && info.far_after && c->r[5].n_prompt > info.far_after; i++) {
        c->r[n].prompt = ids[5];
        c->r[n++].n_prompt = info.far_after - 10 * i;
    }
    struct infer *f = infer_new(c->m, config);
    for (int32_t i = 0; i < n; i++) {
        numbers[i] = i;
        c->r[i].owner = &numbers[i];
        c->r[i].max_tokens = GREEDY;
        c->r[i].top_p = 1;
        if (infer_add(f, &c->r[i], &e) < 0)
            die_err(&e);
    }
    while (infer_in_flight(f))
        if (infer_step(f, done, c, &e) < 0)
            die_err(&e);
    infer_free(f);
    for (int32_t i = 0; i < PROMPTS; i++)
        check_prompt(c, i);
    if (c->worst > TOKEN)
        golden_fail(c->count, "%s: a log-probability is %g off", c->name, c->worst);
    for (int32_t i = PROMPTS; i < n; i++)
        check_turn(c, i, info.far_after);
    for (int32_t i = 0; i < PROMPTS; i++)
        free(ids[i]);
}

static void run_model(struct golden_count *count, const char *golden, const char *name,
                      const struct backend *b)
{
    char dir[4600], records[4600];
    struct err e = {0};
    static struct company c;
    snprintf(dir, sizeof dir, "%s/models/%s", golden, name);
    snprintf(records, sizeof records, "%s/golden/%s.jsonl", golden, name);
    struct ckpt *ckpt = ckpt_open(dir, &e);
    struct dev *d = backend_open(b);
    c = (struct company){.count = count, .name = name};
    if (ckpt && d)
        c.m = session_open(d, ckpt, DT_F32, &e);
    FILE *in = fopen(records, "r");
    for (int i = 0; in && i < PROMPTS; i++)
        c.want[i] = next_record(in);
    if (in)
        fclose(in);
    static const struct infer_config configs[] = {{24, 10, REQUESTS, true},
                                                  {512, 64, REQUESTS, false}};
    for (int i = 0; c.m && c.want[PROMPTS - 1] && i < 2; i++)
        run(&c, &configs[i]);
    if (c.m && c.want[PROMPTS - 1])
        printf("golden/engine: %s on %s: log-probabilities within %.2g\n", name, b->name,
               c.worst);
    else if (d && e.status)
        golden_fail(count, "%s: %s", name, e.text);
    for (int i = 0; i < PROMPTS; i++)
        json_decref(c.want[i]);
    model_close(c.m);
    if (d)
        d->ops->close(d);
    if (ckpt)
        ckpt_close(ckpt);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

int main(int argc, char **argv)
{
    struct golden_count count = {.kind = "engine"};
    char dir[4096];
    struct dirent **list;
    snprintf(dir, sizeof dir, "%s/models", argc > 1 ? argv[1] : "");
    int n = scandir(dir, &list, NULL, by_name);
    if (n < 0) {
        printf("golden/engine: no %s: skipped\n", dir);
        count.skipped++;
    }
    /* ref takes too long for all of it, and is compared with the others in golden/models */
    for (int i = 0; i < n; i++) {
        for (int b = 1; *list[i]->d_name != '.' && b < BACKENDS; b++)
            run_model(&count, argv[1], list[i]->d_name, &backends[b]);
        free(list[i]);
    }
    if (n >= 0)
        free(list);
    golden_report(&count);
    return golden_done();
}
