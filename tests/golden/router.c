/* router.c - the trained message classifier: prompts, answers and label scores of 400 records,
 * through the same functions as gpu-infer.
 */
#include "golden.h"

#include "infer/infer.h"
#include "rec/rec.h"
#include "text/chat.h"
#include "text/prompt.h"

#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

enum { CASES_MAX = 1000, LABELS = 4, NEW_TOKENS = 8, REF_CASES = 4 };

/* Absolute; between two orders of summation in f32 less than 1e-4 was seen. */
static const double LABEL_TOLERANCE = 5e-3;
/* Rounding to bf16 moves logits by a few tenths at most: texts may differ below this margin. */
static const double BF16_MARGIN = 0.5;

static const char *const labels[LABELS] = {"billing", "technical", "shipping", "account"};

struct golden_case {
    char id[32];
    struct ids prompt, want_prompt, want_output;
    struct buf text, want_text;        /* of the prompt */
    struct buf want_answer, want_bf16; /* texts */
    struct ids scored_prompt, scored[LABELS];
    struct infer_choice choices[LABELS];
    double want_logprob[LABELS], min_margin;
    char want_label[32];
};

static struct golden_case cases[CASES_MAX];
static int n_cases;

static const char *folder;
static struct tokenizer *tokenizer;
static struct tokenizer_work *work;
static struct ckpt *ckpt;
static struct model_eos eos;

/* ---- what is expected ----------------------------------------------------------- */

static struct str member(struct str object, const char *name)
{
    struct str value;
    if (!json_get(object, name, &value)) {
        fprintf(stderr, "router: no member %s\n", name);
        exit(1);
    }
    return value;
}

static void read_ids(struct ids *out, struct str array)
{
    struct json_iter it = json_iter(array);
    struct str item;
    int64_t id;
    while (json_next(&it, NULL, &item))
        if (json_int(item, &id))
            ids_add(out, (int32_t)id);
}

static void read_word(char *out, size_t size, struct str raw)
{
    snprintf(out, size, "%.*s", (int)raw.n - 2, raw.p + 1);
}

static void read_expected(struct golden_case *c, struct str line)
{
    struct str f32 = member(line, "f32"), logprobs = member(f32, "label_logprob");
    read_word(c->id, sizeof c->id, member(line, "id"));
    json_decode(&c->want_text, member(line, "prompt_text"));
    read_ids(&c->want_prompt, member(line, "prompt_ids"));
    read_ids(&c->want_output, member(f32, "output_ids"));
    json_decode(&c->want_answer, member(f32, "text"));
    json_decode(&c->want_bf16, member(member(line, "bf16"), "text"));
    read_word(c->want_label, sizeof c->want_label, member(f32, "label_argmax"));
    if (!json_number(member(f32, "min_margin"), &c->min_margin))
        exit(1);
    for (int i = 0; i < LABELS; i++)
        if (!json_number(member(logprobs, labels[i]), &c->want_logprob[i]))
            exit(1);
}

static void make_prompt(struct golden_case *c, const struct chat *chat, struct str line)
{
    struct err e = {0};
    struct str texts[LABELS];
    int32_t end = tokenizer_id(tokenizer, STR("<|im_end|>"));
    for (int i = 0; i < LABELS; i++)
        texts[i] = str_of(labels[i]);
    if (chat_render(chat, member(line, "messages"), (struct str){0}, (struct str){0}, true,
                    &c->text, &e) < 0 ||
        prompt_encode(tokenizer, work, buf_str(&c->text), false, &c->prompt, &e) < 0 ||
        prompt_encode(tokenizer, work, buf_str(&c->text), false, &c->scored_prompt, &e) < 0 ||
        labels_encode(tokenizer, work, buf_str(&c->text), false, texts, LABELS, end,
                      &c->scored_prompt, c->scored, &e) < 0) {
        fprintf(stderr, "router: %s: %s\n", c->id, e.text);
        exit(1);
    }
    for (int i = 0; i < LABELS; i++)
        c->choices[i] = (struct infer_choice){c->scored[i].v, (int32_t)c->scored[i].n};
}

/* Calls take() for each line of a file. */
static void each_line(const char *name, void (*take)(int i, struct str line, void *arg),
                      void *arg)
{
    char path[4096];
    struct rec rec = {0};
    struct err e = {0};
    int got, n = 0;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_RDONLY);
    struct rec_reader *in = rec_reader_new(fd, path, 1 << 24);
    while (fd >= 0 && n < CASES_MAX && (got = rec_read(in, &rec, &e)) > 0 && !rec.fault)
        take(n++, rec.line, arg);
    rec_release(&rec);
    rec_reader_free(in);
    if (fd >= 0)
        close(fd);
}

static void take_expected(int i, struct str line, void *arg)
{
    (void)arg;
    read_expected(&cases[i], line);
    n_cases = i + 1;
}

static void take_test(int i, struct str line, void *arg)
{
    if (i < n_cases)
        make_prompt(&cases[i], arg, line);
}

/* ---- what comes out ---------------------------------------------------------------- */

static bool same_ids(const struct ids *want, const int32_t *v, size_t n)
{
    return want->n == n && memcmp(want->v, v, n * sizeof *v) == 0;
}

static void check_prompts(void)
{
    struct golden_count c = {.kind = "router/prompt"};
    for (int i = 0; i < n_cases; i++) {
        struct golden_case *k = &cases[i];
        if (!str_eq(buf_str(&k->text), buf_str(&k->want_text)))
            golden_fail(&c, "%s: prompt text differs", k->id);
        else if (!same_ids(&k->want_prompt, k->prompt.v, k->prompt.n))
            golden_fail(&c, "%s: prompt tokens differ", k->id);
        else
            c.passed++;
    }
    golden_report(&c);
}

struct counts {
    struct golden_count answers, scores;
    bool f32;
};

static void check_answer(struct golden_count *c, const struct golden_case *k, bool f32,
                         const struct infer_answer *a)
{
    struct buf text = {0};
    const struct buf *want = f32 ? &k->want_answer : &k->want_bf16;
    tokenizer_decode(tokenizer, work, a->ids, (size_t)a->n, true, &text);
    bool good = str_eq(buf_str(&text), buf_str(want)) || (!f32 && k->min_margin < BF16_MARGIN);
    if (f32 && !same_ids(&k->want_output, a->ids, (size_t)a->n))
        good = false;
    if (good)
        c->passed++;
    else
        golden_fail(c, "%s: '%s', not '%s'", k->id, text.p ? text.p : "",
                    want->p ? want->p : "");
    buf_release(&text);
}

static void check_scores(struct golden_count *c, const struct golden_case *k,
                         const struct infer_answer *a)
{
    double worst = 0;
    for (int i = 0; i < LABELS; i++)
        worst = fmax(worst, fabs(a->choice_logprobs[i] - k->want_logprob[i]));
    if (worst <= LABEL_TOLERANCE && !strcmp(labels[a->best], k->want_label))
        c->passed++;
    else
        golden_fail(c, "%s: best '%s', not '%s'; log-probabilities differ by %g", k->id,
                    labels[a->best], k->want_label, worst);
}

static void done(void *arg, const struct infer_request *r, const struct infer_answer *a)
{
    struct counts *c = arg;
    if (a->finish != INFER_CHOICE)
        check_answer(&c->answers, r->owner, c->f32, a);
    else if (c->f32)
        check_scores(&c->scores, r->owner, a);
}

static void add(struct infer *f, struct golden_case *k, bool score)
{
    struct err e = {0};
    const struct ids *prompt = score ? &k->scored_prompt : &k->prompt;
    struct infer_request r = {.prompt = prompt->v,
                              .n_prompt = (int32_t)prompt->n,
                              .max_tokens = NEW_TOKENS,
                              .stop = eos.ids,
                              .n_stop = eos.n,
                              .owner = k};
    if (score) {
        r.choices = k->choices;
        r.n_choices = LABELS;
    }
    if (infer_add(f, &r, &e) < 0) {
        fprintf(stderr, "router: %s: %s\n", k->id, e.text);
        exit(1);
    }
}

/* Generates and scores the first n cases on a device. */
static void run(const char *device, enum dtype dtype, int n)
{
    char answers[40], scores[40];
    struct err e = {0};
    struct counts c = {.f32 = dtype == DT_F32};
    const struct dev_ops *ops = dev_find(device);
    snprintf(answers, sizeof answers, "router/%s-%s", device, c.f32 ? "f32" : "bf16");
    snprintf(scores, sizeof scores, "router/%s-labels", device);
    c.answers.kind = answers;
    c.scores.kind = scores;
    struct dev *dev = ops ? ops->open(&(struct dev_config){.threads = 2}, &e) : NULL;
    struct model_config mc = {dtype, 256, 64, 64 << 20, 0};
    struct model *m = dev ? model_open(dev, ckpt, &mc, &e) : NULL;
    if (!m) {
        printf("router on %s skipped: %s\n", device, ops ? e.text : "not in this build");
        c.answers.skipped++;
        golden_report(&c.answers);
        return;
    }
    struct infer *f = infer_new(m, &(struct infer_config){256, 64, 32, true});
    int next = 0, end = c.f32 ? 2 * n : n;
    while (next < end || infer_in_flight(f)) {
        for (; next < end && infer_has_room(f); next++)
            add(f, &cases[next % n], next >= n);
        if (infer_step(f, done, &c, &e) < 0) {
            fprintf(stderr, "router: %s\n", e.text);
            exit(1);
        }
    }
    golden_report(&c.answers);
    if (c.f32)
        golden_report(&c.scores);
    infer_free(f);
    model_close(m);
    ops->close(dev);
}

static void release_cases(void)
{
    for (int i = 0; i < n_cases; i++) {
        struct golden_case *c = &cases[i];
        struct ids *lists[] = {&c->prompt, &c->want_prompt, &c->want_output, &c->scored_prompt};
        struct buf *texts[] = {&c->text, &c->want_text, &c->want_answer, &c->want_bf16};
        for (int k = 0; k < 4; k++) {
            ids_release(lists[k]);
            buf_release(texts[k]);
            ids_release(&c->scored[k]);
        }
    }
}

int main(int argc, char **argv)
{
    char path[4096], model[4200];
    struct err e = {0};
    snprintf(path, sizeof path, "%s/router", argc > 1 ? argv[1] : "");
    folder = path;
    if (!golden_have(path)) {
        printf("%s is missing\n", path);
        golden_report(&(struct golden_count){.kind = "router", .skipped = 1});
        return golden_done();
    }
    snprintf(model, sizeof model, "%s/model", path);
    struct chat *chat = chat_open(&(struct chat_options){.dir = model}, &e);
    tokenizer = chat ? tokenizer_load(model, &e) : NULL;
    ckpt = tokenizer ? ckpt_open(model, &e) : NULL;
    if (!ckpt || model_eos(ckpt, &eos, &e) < 0) {
        fprintf(stderr, "router: %s\n", e.text);
        return 1;
    }
    work = tokenizer_work_new(tokenizer);
    each_line("expected.jsonl", take_expected, NULL);
    each_line("test.jsonl", take_test, chat);
    check_prompts();
    run("cpu", DT_F32, n_cases);
    run("cpu", DT_BF16, n_cases);
    run("ref", DT_F32, REF_CASES < n_cases ? REF_CASES : n_cases);
    release_cases();
    tokenizer_work_free(work);
    tokenizer_free(tokenizer);
    chat_free(chat);
    ckpt_close(ckpt);
    return golden_done();
}
