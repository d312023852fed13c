/* step.c - one optimizer step over all ranks: units, gradient, its sum, the update.
 *
 * While the gradient is still being computed, a second thread sums the buckets that are
 * complete over the ranks: it is the only one that talks to them then.
 */
#include "train-step/step.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>

/* Records that share a row. */
struct row {
    size_t first, n; /* among the step's records */
};

struct stepper {
    struct trainer *trainer;
    struct comm *comm;
    const struct data *data;
    struct step_options o;

    struct row *rows;
    struct train_unit *units; /* this rank's */
    struct train_seq *seqs;
    int32_t *ids;
    float *weight;
    double *nll, *mine;
    size_t cap_rows, cap_units, cap_seqs, cap_ids, cap_weight, cap_nll, cap_mine;

    /* The sum. */
    const struct train_bucket *buckets;
    int n_buckets;
    float *scratch;
    pthread_t thread;
    bool threaded, stop;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int ready, summed; /* buckets complete here; and on all ranks */
    int64_t n_units;
    struct err error;
};

/* ---- the sum, beside the work ------------------------------------------------------- */

static int sum_bucket(struct stepper *s, int i, struct err *e)
{
    const struct train_bucket *b = &s->buckets[i];
    float *p = trainer_flat(s->trainer, TRAIN_GRADIENT) + b->at;
    if (s->o.fast_reduce)
        return comm_sum_fast(s->comm, p, b->n, e);
    return comm_sum_tree(s->comm, p, b->n, s->n_units, s->scratch, e);
}

static void *sum_buckets(void *arg)
{
    struct stepper *s = arg;
    pthread_mutex_lock(&s->lock);
    for (;;) {
        while (!s->stop && s->summed == s->ready)
            pthread_cond_wait(&s->changed, &s->lock);
        if (s->stop)
            break;
        int i = s->summed;
        pthread_mutex_unlock(&s->lock);
        struct err e = {0};
        int rc = sum_bucket(s, i, &e);
        pthread_mutex_lock(&s->lock);
        if (rc < 0 && !s->error.status)
            s->error = e;
        s->summed = i + 1;
        pthread_cond_broadcast(&s->changed);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

static void bucket_ready(void *arg, int i)
{
    struct stepper *s = arg;
    pthread_mutex_lock(&s->lock);
    s->ready = i + 1;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

static void begin_sum(struct stepper *s, int64_t units)
{
    pthread_mutex_lock(&s->lock);
    s->ready = s->summed = 0;
    s->n_units = units;
    s->error = (struct err){0};
    pthread_mutex_unlock(&s->lock);
}

static int end_sum(struct stepper *s, struct err *e)
{
    pthread_mutex_lock(&s->lock);
    while (s->summed < s->n_buckets)
        pthread_cond_wait(&s->changed, &s->lock);
    int rc = s->error.status ? -1 : 0;
    if (rc < 0)
        *e = s->error;
    pthread_mutex_unlock(&s->lock);
    return rc;
}

static int start_sums(struct stepper *s, struct err *e)
{
    const struct comm *c = s->comm;
    int64_t most = 0;
    if (c->size == 1)
        return 0;
    s->buckets = trainer_buckets(s->trainer, &s->n_buckets);
    for (int i = 0; i < s->n_buckets; i++)
        most = s->buckets[i].n > most ? s->buckets[i].n : most;
    s->scratch = xmalloc_n((size_t)comm_scratch(most) + 1, sizeof *s->scratch);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    errno = pthread_create(&s->thread, NULL, sum_buckets, s);
    if (errno)
        return err_set(e, EXIT_OS, "start a thread:");
    s->threaded = true;
    return 0;
}

struct stepper *stepper_new(struct trainer *t, struct comm *c, const struct data *d,
                            const struct step_options *o, struct err *e)
{
    struct stepper *s = xcalloc(1, sizeof *s);
    s->trainer = t;
    s->comm = c;
    s->data = d;
    s->o = *o;
    if (!o->fast_reduce && (c->size & (c->size - 1)))
        err_set(
            e, EXIT_USAGE,
            "%d ranks: equal bits need 1, 2, 4, 8, … of them; --fast-reduce takes any number",
            c->size);
    else if (start_sums(s, e) == 0)
        return s;
    free(s);
    return NULL;
}

void stepper_free(struct stepper *s)
{
    if (!s)
        return;
    if (s->threaded) {
        pthread_mutex_lock(&s->lock);
        s->stop = true;
        pthread_cond_broadcast(&s->changed);
        pthread_mutex_unlock(&s->lock);
        pthread_join(s->thread, NULL);
        pthread_mutex_destroy(&s->lock);
        pthread_cond_destroy(&s->changed);
    }
    free(s->scratch);
    free(s->rows);
    free(s->units);
    free(s->seqs);
    free(s->ids);
    free(s->weight);
    free(s->nll);
    free(s->mine);
    free(s);
}

/* ---- rows and units --------------------------------------------------------------------- */

/* Neighbours share a row as long as they fit. */
static size_t make_rows(struct stepper *s, const uint32_t *records, size_t n)
{
    size_t rows = 0;
    int64_t tokens = 0;
    for (size_t i = 0; i < n; i++) {
        int64_t more = s->data->v[records[i]].n;
        if (!rows || tokens + more > s->o.pack) {
            GROW(s->rows, s->cap_rows, rows + 1);
            s->rows[rows++] = (struct row){.first = i};
            tokens = 0;
        }
        s->rows[rows - 1].n++;
        tokens += more;
    }
    return rows;
}

static void add_seq(struct stepper *s, const struct data *d, size_t example, uint64_t key,
                    size_t seq, size_t token)
{
    const struct example *x = &d->v[example];
    const int32_t *t = d->tokens + x->first;
    s->seqs[seq] = (struct train_seq){.tokens = x->n, .key = key};
    for (int32_t k = 0; k < x->n; k++) {
        s->ids[token + (size_t)k] = t[k] & ~DATA_LOSS;
        s->weight[token + (size_t)k] = (t[k] & DATA_LOSS) != 0;
    }
}

static void reserve(struct stepper *s, size_t units, size_t seqs, size_t tokens)
{
    GROW(s->units, s->cap_units, units + 1);
    GROW(s->mine, s->cap_mine, units + 1);
    GROW(s->seqs, s->cap_seqs, seqs + 1);
    GROW(s->ids, s->cap_ids, tokens + 1);
    GROW(s->weight, s->cap_weight, tokens + 1);
}

/* Row u is rank u % size's.  Returns how many are this rank's. */
static int32_t make_units(struct stepper *s, const uint32_t *records, size_t rows,
                          uint64_t place)
{
    size_t step = (size_t)s->comm->size, units = 0, seqs = 0, tokens = 0;
    for (size_t u = (size_t)s->comm->rank; u < rows; u += step, units++)
        for (size_t i = 0; i < s->rows[u].n; i++, seqs++)
            tokens += (size_t)s->data->v[records[s->rows[u].first + i]].n;
    reserve(s, units, seqs, tokens);
    units = seqs = tokens = 0;
    for (size_t u = (size_t)s->comm->rank; u < rows; u += step, units++) {
        struct train_unit *unit = &s->units[units];
        *unit = (struct train_unit){.ids = s->ids + tokens,
                                    .weight = s->weight + tokens,
                                    .seqs = s->seqs + seqs,
                                    .n_seqs = (int32_t)s->rows[u].n};
        for (size_t i = 0; i < s->rows[u].n; i++, seqs++) {
            size_t at = s->rows[u].first + i;
            add_seq(s, s->data, records[at], place + at, seqs, tokens);
            tokens += (size_t)s->seqs[seqs].tokens;
            unit->tokens += s->seqs[seqs].tokens;
        }
    }
    return (int32_t)units;
}

/* ---- a step ---------------------------------------------------------------------------- */

static int bad_records(const struct stepper *s, const uint32_t *records, size_t n, size_t rows,
                       bool all, struct err *e)
{
    struct buf lines = {0};
    size_t named = 0;
    for (size_t u = 0; u < rows; u++) {
        if (!all && isfinite(s->nll[u]))
            continue;
        for (size_t i = 0; i < s->rows[u].n && s->rows[u].first + i < n; i++)
            if (named++ < 16)
                buf_printf(&lines, "%s%llu", lines.n ? ", " : "",
                           (unsigned long long)s->data->v[records[s->rows[u].first + i]].line);
    }
    err_set(e, EXIT_DATA, "the %s is not finite; records at line%s %s%s",
            all ? "gradient" : "loss", named == 1 ? "" : "s", lines.p,
            named > 16 ? " and others" : "");
    buf_release(&lines);
    return -1;
}

static int gradient(struct stepper *s, int32_t units, int64_t targets, struct err *e)
{
    const struct train_watch w = {bucket_ready, s};
    bool alone = s->comm->size == 1;
    if (units && trainer_gradient(s->trainer, s->units, units, (float)(1.0 / (double)targets),
                                  s->mine, alone ? NULL : &w, e) < 0)
        return -1;
    if (alone)
        return 0;
    if (!units && s->o.fast_reduce) {
        struct trainer_info info;
        trainer_info(s->trainer, &info);
        memset(trainer_flat(s->trainer, TRAIN_GRADIENT), 0, (size_t)info.gradient * 4);
    }
    bucket_ready(s, s->n_buckets - 1);
    return end_sum(s, e);
}

int stepper_run(struct stepper *s, const uint32_t *records, size_t n, uint64_t place,
                const struct train_update *u, struct step_result *out, struct err *e)
{
    size_t rows = make_rows(s, records, n);
    int64_t targets = 0, tokens = 0;
    for (size_t i = 0; i < n; i++) {
        targets += s->data->v[records[i]].targets;
        tokens += s->data->v[records[i]].n;
    }
    int32_t units = make_units(s, records, rows, place);
    if (s->comm->size > 1)
        begin_sum(s, (int64_t)rows);
    if (gradient(s, units, targets, e) < 0)
        return -1;
    GROW(s->nll, s->cap_nll, rows);
    for (int32_t i = 0; i < units; i++)
        s->nll[s->comm->rank + i * s->comm->size] = s->mine[i];
    if (comm_collect(s->comm, s->nll, (int64_t)rows, sizeof *s->nll, e) < 0)
        return -1;
    double sum = 0;
    for (size_t i = 0; i < rows; i++)
        sum += s->nll[i];
    *out = (struct step_result){.loss = sum / (double)targets, .tokens = tokens};
    if (!isfinite(sum))
        return bad_records(s, records, n, rows, false, e);
    if (trainer_apply(s->trainer, u, &out->norm, e) < 0)
        return e->status == EXIT_DATA ? bad_records(s, records, n, rows, true, e) : -1;
    return 0;
}

/* ---- evaluation ---------------------------------------------------------------------------
 */

enum { EVALUATED = 256 }; /* examples of a rank at a time */

static int evaluate_some(struct stepper *s, const struct data *d, size_t first, size_t n,
                         double *nll, struct err *e)
{
    size_t step = (size_t)s->comm->size, tokens = 0, units = 0;
    for (size_t i = first; i < first + n * step && i < d->n; i += step, units++)
        tokens += (size_t)d->v[i].n;
    if (!units)
        return 0;
    reserve(s, units, units, tokens);
    tokens = units = 0;
    for (size_t i = first; i < first + n * step && i < d->n; i += step, units++) {
        add_seq(s, d, i, 0, units, tokens);
        s->units[units] = (struct train_unit){.ids = s->ids + tokens,
                                              .weight = s->weight + tokens,
                                              .seqs = s->seqs + units,
                                              .tokens = d->v[i].n,
                                              .n_seqs = 1};
        tokens += (size_t)d->v[i].n;
    }
    if (trainer_evaluate(s->trainer, s->units, (int32_t)units, s->mine, NULL, e) < 0)
        return -1;
    for (size_t i = 0; i < units; i++)
        nll[first + i * step] = s->mine[i];
    return 0;
}

int stepper_evaluate(struct stepper *s, const struct data *d, double *nll, struct err *e)
{
    size_t step = (size_t)s->comm->size;
    for (size_t i = (size_t)s->comm->rank; i < d->n; i += EVALUATED * step)
        if (evaluate_some(s, d, i, EVALUATED, nll, e) < 0)
            return -1;
    return comm_collect(s->comm, nll, (int64_t)d->n, sizeof *nll, e);
}
