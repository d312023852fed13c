/* merge.c - --merge: an adapter into the model that it goes with, as a model directory.
 *
 * Before the directory gets its name the written model is opened again and compared with the
 * base and the adapter beside it, on a sample of prompts.
 */
#include "train-step/merge.h"

#include "base/file.h"
#include "base/hash.h"
#include "base/num.h"
#include "dev/choose.h"
#include "model/merge.h"
#include "model/model.h"
#include "rec/input.h"
#include "text/chat.h"
#include "text/prompt.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

enum { SAMPLE_MAX = 32, RANDOM_PROMPTS = 4, RANDOM_TOKENS = 48 };

/* Where all that the adapter changes is stored as f32, rounding is what stays; what is stored
 * in 16 bits is rounded to 8 or 11 of them, weight by weight. */
static const double BOUND_F32 = 1e-3, BOUND_16 = 1;

static const char *const built_in[] = {
    "The quick brown fox jumps over the lazy dog. What does the fox do next?",
    "My invoice shows two charges for the same order; please refund one of them.",
    "def mean(values):\n    return sum(values) / len(values)\n\nprint(mean([1, 2, 3]))\n",
    "Die Lieferung kam zu sp\303\244t an, und der Karton war besch\303\244digt.",
};

struct sample {
    const char *dir;
    struct tokenizer *tokenizer; /* NULL: the model has none */
    struct tokenizer_work *work;
    struct chat *chat; /* opened with the first record that needs it */
    int32_t vocab;
    struct merge_prompt v[SAMPLE_MAX];
    size_t n;
};

/* ---- prompts ---------------------------------------------------------------- */

static void add(struct sample *s, const int32_t *ids, size_t n)
{
    if (s->n == SAMPLE_MAX || !n)
        return;
    n = n < MERGE_TOKENS ? n : MERGE_TOKENS;
    int32_t *copy = xmalloc_n(n, sizeof *copy);
    memcpy(copy, ids, n * sizeof *copy);
    s->v[s->n++] = (struct merge_prompt){copy, (int32_t)n};
}

static int add_text(struct sample *s, struct str text, bool raw, struct err *e)
{
    struct ids ids = {0};
    if (!s->tokenizer)
        return err_set(e, EXIT_CONFIG, "%s has no tokenizer; give records with tokens", s->dir);
    int rc = prompt_encode(s->tokenizer, s->work, text, raw, &ids, e);
    for (size_t i = 0; rc == 0 && i < ids.n; i++)
        if (ids.v[i] >= s->vocab)
            rc = err_set(e, EXIT_CONFIG, "%s: the tokenizer gives id %d, beyond the model's",
                         s->dir, (int)ids.v[i]);
    if (rc == 0)
        add(s, ids.v, ids.n);
    ids_release(&ids);
    return rc;
}

static int add_messages(struct sample *s, struct str messages, struct err *e)
{
    struct buf text = {0};
    if (!s->chat && !(s->chat = chat_open(&(struct chat_options){.dir = s->dir}, e)))
        return -1;
    int rc = chat_render(s->chat, messages, (struct str){0}, (struct str){0}, false, &text, e);
    if (rc == 0)
        rc = add_text(s, buf_str(&text), false, e);
    buf_release(&text);
    return rc;
}

static int add_tokens(struct sample *s, struct str value, struct err *e)
{
    struct ids ids = {0};
    struct json_iter it = json_iter(value);
    struct str item;
    int64_t id;
    int rc = 0;
    while (rc == 0 && json_next(&it, NULL, &item)) {
        if (!json_int(item, &id) || id < 0 || id >= s->vocab)
            rc = err_set(e, EXIT_DATA, "field \"tokens\" must be ids from 0 to %d",
                         (int)s->vocab - 1);
        else
            ids_add(&ids, (int32_t)id);
    }
    if (rc == 0)
        add(s, ids.v, ids.n);
    ids_release(&ids);
    return rc;
}

static int add_record(struct sample *s, const struct rec *rec, struct err *e)
{
    const struct json_member *tokens = rec_find(rec, "tokens"),
                             *messages = rec_find(rec, "messages"),
                             *prompt = rec_find(rec, "prompt");
    if (tokens && json_kind(tokens->value) == JSON_ARRAY)
        return add_tokens(s, tokens->value, e);
    if (messages && json_kind(messages->value) == JSON_ARRAY)
        return add_messages(s, messages->value, e);
    if (!prompt || json_kind(prompt->value) != JSON_STRING)
        return err_set(e, EXIT_DATA, "none of messages, prompt and tokens is there");
    struct buf text = {0};
    json_decode(&text, prompt->value);
    int rc = add_text(s, buf_str(&text), true, e);
    buf_release(&text);
    return rc;
}

static void read_sample(struct sample *s, char **files)
{
    struct err e;
    struct rec rec = {0};
    struct rec_input *in = rec_input_new(files, 16 << 20);
    int k = rec_input_probe(in, &e);
    if (k < 0)
        die_err(&e);
    while (s->n < SAMPLE_MAX && (k = rec_input_read(in, &rec, &e)) > 0) {
        rec_parse(&rec);
        if (rec.fault)
            die(EXIT_DATA, "%s", rec.message);
        if (add_record(s, &rec, &e) < 0) {
            err_prefix(&e, "%s:%llu", rec.file, (unsigned long long)rec.number);
            die_err(&e);
        }
    }
    if (k < 0)
        die_err(&e);
    rec_release(&rec);
    rec_input_free(in);
}

/* Texts where there is a tokenizer; and ids from all over the vocabulary. */
static void make_sample(struct sample *s)
{
    struct err e;
    for (size_t i = 0; s->tokenizer && i < sizeof built_in / sizeof *built_in; i++)
        if (add_text(s, str_of(built_in[i]), true, &e) < 0)
            die_err(&e);
    for (int i = 0; i < RANDOM_PROMPTS; i++) {
        int32_t ids[RANDOM_TOKENS];
        uint64_t x = HASH_SEED + (uint64_t)i;
        for (int t = 0; t < RANDOM_TOKENS; t++) {
            x = hash_bytes(x, &t, sizeof t);
            ids[t] = (int32_t)((x >> 20) % (uint64_t)s->vocab);
        }
        add(s, ids, RANDOM_TOKENS);
    }
}

static void open_sample(struct sample *s, const char *dir, int32_t vocab, char **files)
{
    struct err e = {0};
    *s = (struct sample){.dir = dir, .vocab = vocab};
    s->tokenizer = tokenizer_load(dir, &e);
    if (!s->tokenizer && e.status != EXIT_NOINPUT)
        die_err(&e);
    if (s->tokenizer)
        s->work = tokenizer_work_new(s->tokenizer);
    if (files[0])
        read_sample(s, files);
    else
        make_sample(s);
    if (!s->n)
        die(EXIT_DATA, "the sample has no prompt");
}

static void close_sample(struct sample *s)
{
    for (size_t i = 0; i < s->n; i++)
        free((int32_t *)(uintptr_t)s->v[i].ids);
    if (s->work)
        tokenizer_work_free(s->work);
    tokenizer_free(s->tokenizer);
    chat_free(s->chat);
}

/* ---- writing and comparing -------------------------------------------------- */

struct merging {
    const struct options *o;
    struct ckpt *base;
    struct peft *adapter;
    struct merge *merge;
    struct save *save;
    struct sample sample;
    int64_t changed;
    bool all_f32; /* of what is changed */
};

_Noreturn static void fail(struct merging *g, const struct err *e)
{
    if (g->save)
        save_abandon(g->save);
    die_err(e);
}

static void write_model(struct merging *g)
{
    struct err e;
    struct save_tensor t;
    g->all_f32 = true;
    for (size_t i = 0; i < ckpt_count(g->base); i++) {
        if (merge_tensor(g->merge, i, &t)) {
            g->changed++;
            g->all_f32 = g->all_f32 && t.dtype == CKPT_F32;
        }
        save_tensor(g->save, "model", &t);
    }
    if (save_copy_model(g->save, g->o->model, &e) < 0 || save_write(g->save, &e) < 0)
        fail(g, &e);
}

static double difference(const float *a, const float *b, int64_t n)
{
    double worst = 0;
    for (int64_t i = 0; i < n; i++) {
        double d = fabs((double)a[i] - (double)b[i]);
        if (!(d <= worst)) /* NaN too */
            worst = isnan(d) ? INFINITY : d;
    }
    return worst;
}

/* One model after the other, so that memory holds one. */
static double compare(struct merging *g, struct dev *d)
{
    struct err e;
    const struct sample *s = &g->sample;
    float *apart = merge_logits(d, g->base, g->adapter, s->v, s->n, &e);
    struct ckpt *written = apart ? ckpt_open(save_part(g->save), &e) : NULL;
    float *merged = written ? merge_logits(d, written, NULL, s->v, s->n, &e) : NULL;
    if (!merged)
        fail(g, &e);
    double worst = difference(apart, merged, merge_logits_count(s->vocab, s->v, s->n));
    ckpt_close(written);
    free(apart);
    free(merged);
    return worst;
}

static void tell(const struct merging *g, double worst, double bound)
{
    struct err e;
    struct out out;
    struct buf b = {0};
    buf_puts(&b, "{\"merged\":");
    json_quote(&b, str_of(g->o->output));
    buf_printf(&b, ",\"tensors\":%lld,\"prompts\":%zu,\"max_logit_difference\":",
               (long long)g->changed, g->sample.n);
    num_put_double(&b, worst);
    buf_puts(&b, ",\"bound\":");
    num_put_double(&b, bound);
    buf_puts(&b, "}\n");
    out_open(&out, STDOUT_FILENO, "<stdout>");
    if (out_write(&out, b.p, b.n, &e) < 0 || out_close(&out, &e) < 0)
        die_err(&e);
    buf_release(&b);
}

/* Whatever can be wrong before a file is written. */
static struct dev *open_all(struct merging *g, char **files)
{
    struct err e;
    const struct options *o = g->o;
    struct dev *d;
    if (!(g->base = ckpt_open(o->model, &e)) || !(g->adapter = peft_open(o->merge, &e)) ||
        !(g->merge = merge_open(g->base, g->adapter, &e)) ||
        !(d = device_open(o->device, (int)o->threads, options_isa(o), &e)))
        die_err(&e);
    open_sample(&g->sample, o->model, merge_vocab(g->merge), files);
    if (!(g->save = save_open(o->output, &e)))
        die_err(&e);
    return d;
}

int merge_main(const struct options *o, char **files)
{
    struct err e;
    struct merging g = {.o = o};
    struct dev *d = open_all(&g, files);
    write_model(&g);
    double worst = compare(&g, d), bound = o->merge_bound;
    if (!o->merge_bound_given)
        bound = g.all_f32 ? BOUND_F32 : BOUND_16;
    bool fits = worst <= bound;
    if (!fits)
        save_abandon(g.save);
    else if (save_commit(g.save, &e) < 0)
        die_err(&e);
    tell(&g, worst, bound);
    if (!fits)
        warn("%s: merged and unmerged logits differ by %.3g, more than %.3g (--merge-bound); "
             "nothing is written",
             o->output, worst, bound);
    else if (!o->quiet)
        warn("%s: %lld tensors changed, logits within %.3g on %zu prompts", o->output,
             (long long)g.changed, worst, g.sample.n);
    close_sample(&g.sample);
    merge_close(g.merge);
    peft_close(g.adapter);
    ckpt_close(g.base);
    d->ops->close(d);
    return fits ? EXIT_OK : EXIT_VERDICT;
}
