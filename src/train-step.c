/* train-step.c - fine-tunes a model on chat records, on one rank or many. */
#include "base/hash.h"
#include "dev/choose.h"
#include "model/model.h"
#include "train-step/checkpoint.h"
#include "train-step/key.h"
#include "train-step/merge.h"
#include "train-step/metrics.h"
#include "train-step/options.h"
#include "train-step/order.h"
#include "train-step/records.h"
#include "train-step/result.h"
#include "train-step/schedule.h"
#include "train-step/step.h"
#include "train-step/tell.h"

#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct run {
    struct options o;
    char **files;
    struct lora_words *lora;
    struct comm *comm;
    struct source source;
    struct records records;
    struct dev *dev;
    enum dtype dtype;
    struct trainer *trainer;
    struct trainer_info info;
    struct stepper *stepper;
    struct order order;
    struct schedule schedule;
    struct checkpoints checkpoints; /* rank 0's */
    struct course course;
    struct metrics metrics;
    char *key;    /* rank 0's */
    double saved; /* when the last checkpoint was */
    double loss;  /* the last step's */
};

static volatile sig_atomic_t told_to_stop;

static void on_signal(int signal)
{
    (void)signal;
    told_to_stop = 1;
}

static bool is_main(const struct run *r)
{
    return r->comm->rank == 0;
}

/* All ranks end with the same status, and one of them says why. */
static _Noreturn void end_all(struct run *r, const struct err *why)
{
    if (is_main(r)) {
        metrics_break(&r->metrics);
        if (why->status)
            warn("%s", why->text);
    }
    comm_close(r->comm);
    exit(why->status);
}

static void agree(struct run *r, int rc, struct err *e)
{
    if (comm_agree(r->comm, rc, e) < 0)
        end_all(r, e);
}

/* ---- opening ------------------------------------------------------------------------- */

static char *earlier_date(const struct run *r)
{
    if (!r->o.output)
        return NULL;
    char *path = checkpoints_path(r->o.output, "key.json"), *date = key_date(path);
    free(path);
    return date;
}

static void read_records(struct run *r)
{
    struct err e = {0};
    int rc = source_open(&r->source, &r->o, &e);
    agree(r, rc, &e);
    if (is_main(r)) {
        char *date = earlier_date(r);
        rc = records_read(&r->records, &r->source, &r->o, r->files, date, &e);
        free(date);
    }
    agree(r, rc, &e);
    if (records_share(&r->records, r->comm, &e) < 0)
        die_err(&e);
}

/* Ranks of one host part its cores, unless the launcher has done that. */
static int open_device(struct run *r, struct err *e)
{
    const struct comm *c = r->comm;
    const char *name = r->o.device;
    char slice[64];
    cpu_set_t mine;
    CPU_ZERO(&mine);
    bool bound = sched_getaffinity(0, sizeof mine, &mine) == 0 &&
                 CPU_COUNT(&mine) < sysconf(_SC_NPROCESSORS_ONLN);
    if (c->local_size > 1 && !strcmp(name, "auto")) {
        snprintf(slice, sizeof slice, bound ? "cpu" : "cpu:%d/%d", c->local_rank,
                 c->local_size);
        name = slice;
    }
    r->dev = device_open(name, (int)r->o.threads, options_isa(&r->o), e);
    return r->dev ? 0 : -1;
}

static int longest(const struct data *d)
{
    int most = 0;
    for (size_t i = 0; i < d->n; i++)
        most = d->v[i].n > most ? d->v[i].n : most;
    return most;
}

static int open_trainer(struct run *r, struct err *e)
{
    int64_t tokens = r->o.micro_tokens;
    int one = longest(&r->records.train), other = longest(&r->records.eval);
    one = one > other ? one : other;
    tokens = tokens < one ? one : tokens;
    if (r->o.pack > tokens)
        tokens = r->o.pack;
    const struct trainer_options t = {
        .dtype = r->dtype,
        .lora = r->lora ? &r->lora->lora : NULL,
        .seed = (uint64_t)r->o.seed,
        .tokens = (int32_t)tokens,
        .memory = r->o.memory,
    };
    r->trainer = r->o.init ? trainer_init(r->dev, r->source.config, &t, e)
                           : trainer_open(r->dev, r->source.ckpt, &t, e);
    if (!r->trainer)
        return -1;
    trainer_info(r->trainer, &r->info);
    if (one > r->info.context)
        return err_set(e, EXIT_DATA, "a record has %d tokens; the model's context is %d", one,
                       (int)r->info.context);
    return 0;
}

static void plan(struct run *r)
{
    const struct options *o = &r->o;
    order_init(&r->order, r->records.train.n, (size_t)o->batch, o->shuffle_given,
               (uint64_t)o->shuffle);
    int64_t steps = o->steps;
    if (!steps)
        steps = (int64_t)ceil(o->epochs * (double)order_epoch_steps(&r->order));
    if (o->overfit && !o->steps)
        steps = 100;
    r->schedule = (struct schedule){.kind = o->schedule, .lr = o->lr, .steps = steps};
    r->schedule.warmup = (int64_t)(o->warmup < 1 ? ceil(o->warmup * (double)steps) : o->warmup);
}

static void open_model(struct run *r)
{
    struct err e = {0};
    r->dtype = r->o.dtype == DTYPE_F32    ? DT_F32
               : r->o.dtype == DTYPE_BF16 ? DT_BF16
               : r->source.ckpt           ? model_auto_dtype(r->source.ckpt)
                                          : DT_F32;
    r->lora = options_lora(&r->o);
    int rc = open_device(r, &e);
    if (rc == 0)
        rc = open_trainer(r, &e);
    agree(r, rc, &e);
    const struct step_options s = {.pack = r->o.pack, .fast_reduce = r->o.fast_reduce};
    r->stepper = stepper_new(r->trainer, r->comm, &r->records.train, &s, &e);
    agree(r, r->stepper ? 0 : -1, &e);
    plan(r);
}

/* ---- where an earlier call got to ----------------------------------------------------------
 */

static void make_key(struct run *r)
{
    struct dev_info info;
    r->dev->ops->info(r->dev, &info);
    const struct records *x = &r->records;
    const struct key_facts f = {
        .model = r->source.model,
        .template = x->template,
        .data = data_hash(&x->train),
        .eval = x->eval.n ? data_hash(&x->eval) : 0,
        .date = *x->date ? x->date : NULL,
        .device = info.name,
        .dtype = r->dtype == DT_F32 ? "f32" : "bf16",
        .ranks = r->comm->size,
    };
    r->key = key_text(&r->o, &f);
}

static void resume(struct run *r)
{
    struct err e = {0};
    int64_t there = 0;
    int rc = 0;
    if (is_main(r)) {
        make_key(r);
        rc = result_is_there(r->o.output, r->key, &e);
        there = rc > 0;
        if (rc == 0)
            rc = checkpoints_open(&r->checkpoints, r->o.output, r->key, r->o.keep, &e);
    }
    agree(r, rc < 0 ? -1 : 0, &e);
    if (comm_max(r->comm, &there, &e) < 0)
        die_err(&e);
    if (there) {
        if (is_main(r) && !r->o.quiet)
            warn("%s is there already, made by this very training", r->o.output);
        end_all(r, &(struct err){0});
    }
    int found = checkpoints_load(&r->checkpoints, r->comm, r->trainer, &r->course, &e);
    if (found < 0)
        end_all(r, &e);
    if (found && is_main(r) && !r->o.quiet)
        warn("going on behind step %lld of %lld", (long long)r->course.step,
             (long long)r->schedule.steps);
}

/* ---- the loop --------------------------------------------------------------------------- */

static void write_metrics(struct run *r, struct str line, const struct step_result *s)
{
    struct err e = {0};
    if (!is_main(r))
        return;
    if ((!r->o.overfit && checkpoints_metrics(&r->checkpoints, &r->course, line, &e) < 0) ||
        metrics_tell(&r->metrics, s, &e) < 0)
        die_err(&e);
}

static void one_step(struct run *r)
{
    struct err e = {0};
    struct step_result out;
    const uint32_t *records;
    uint64_t place;
    int64_t step = r->course.step;
    size_t n = order_step(&r->order, r->o.overfit ? 0 : step, &records, &place);
    const struct train_update u = {.lr = schedule_lr(&r->schedule, step),
                                   .beta1 = r->o.beta1,
                                   .beta2 = r->o.beta2,
                                   .eps = r->o.eps,
                                   .weight_decay = r->o.weight_decay,
                                   .max_norm = r->o.clip};
    r->metrics.step_began = metrics_now();
    if (stepper_run(r->stepper, records, n, place, &u, &out, &e) < 0) {
        if (e.status != EXIT_DATA)
            die_err(&e);
        err_prefix(&e, "step %lld", (long long)step + 1);
        end_all(r, &e);
    }
    r->course.step = step + 1;
    r->loss = out.loss;
    double epoch = r->o.overfit ? 0 : order_epochs(&r->order, step + 1);
    write_metrics(r, metrics_step(&r->metrics, step + 1, epoch, u.lr, &out), &out);
    if (is_main(r))
        metrics_progress(&r->metrics, step + 1, r->schedule.steps, out.loss);
}

/* The lowest sum of a record's labels is the most likely one; the first among equals. */
static double accuracy(const struct data *d, const double *nll)
{
    size_t right = 0, rows = d->n_labels ? d->n / d->n_labels : 0;
    for (size_t i = 0; i < rows; i++) {
        const double *v = nll + i * d->n_labels;
        size_t best = 0;
        for (size_t k = 1; k < d->n_labels; k++)
            best = v[k] < v[best] ? k : best;
        right += best == (size_t)d->right[i];
    }
    return rows ? (double)right / (double)rows : -1;
}

static double mean_loss(const struct data *d, const double *nll, int64_t *records)
{
    double sum = 0;
    int64_t targets = 0;
    size_t step = d->n_labels ? d->n_labels : 1;
    for (size_t i = 0; i < d->n; i += step) {
        size_t at = i + (d->n_labels ? (size_t)d->right[i / step] : 0);
        sum += nll[at];
        targets += d->v[at].targets;
    }
    *records = (int64_t)(d->n / step);
    return sum / (double)targets;
}

static void evaluate(struct run *r)
{
    const struct data *d = &r->records.eval;
    struct err e = {0};
    struct course *at = &r->course;
    int64_t records;
    double *nll = xcalloc(d->n, sizeof *nll);
    if (stepper_evaluate(r->stepper, d, nll, &e) < 0)
        die_err(&e);
    double loss = mean_loss(d, nll, &records), share = accuracy(d, nll);
    free(nll);
    bool best = isfinite(loss) && (at->best_step == 0 || loss < at->best_loss - r->o.min_delta);
    at->worse = best ? 0 : at->worse + 1;
    if (best) {
        at->best_loss = loss;
        at->best_accuracy = share;
        at->best_step = at->step;
    }
    at->stopped = r->o.patience && at->worse >= r->o.patience;
    write_metrics(r,
                  metrics_eval(&r->metrics, at->step, order_epochs(&r->order, at->step), loss,
                               share, records, best),
                  NULL);
    if (best && is_main(r) && checkpoints_save_best(&r->checkpoints, r->trainer, at, &e) < 0)
        die_err(&e);
}

static bool is_last(const struct run *r)
{
    return r->course.step >= r->schedule.steps || r->course.stopped;
}

static void save(struct run *r)
{
    struct err e = {0};
    if (is_main(r) && checkpoints_save(&r->checkpoints, r->trainer, &r->course, &e) < 0)
        die_err(&e);
    r->saved = metrics_now();
}

/* 0: go on; 1: a checkpoint is due; 2: one rank was told to stop. */
static int64_t due(struct run *r)
{
    struct err e = {0};
    int64_t what = 0;
    if (r->o.every_steps ? r->course.step % r->o.every_steps == 0
                         : metrics_now() - r->saved >= r->o.every_seconds)
        what = 1;
    if (told_to_stop)
        what = 2;
    if (comm_max(r->comm, &what, &e) < 0)
        die_err(&e);
    return what;
}

static void train(struct run *r)
{
    int64_t every = r->o.eval_every ? r->o.eval_every : order_epoch_steps(&r->order);
    struct sigaction act = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigaction(SIGTERM, &act, NULL);
    sigaction(SIGUSR1, &act, NULL);
    r->saved = metrics_now();
    while (!is_last(r)) {
        one_step(r);
        if (r->o.eval && (r->course.step % every == 0 || is_last(r)))
            evaluate(r);
        int64_t what = due(r);
        if (what || is_last(r))
            save(r);
        if (what == 2 && !is_last(r)) {
            if (is_main(r))
                metrics_break(&r->metrics);
            if (is_main(r))
                warn("told to stop behind step %lld; the same command goes on from there",
                     (long long)r->course.step);
            end_all(r, &(struct err){.status = EXIT_AGAIN});
        }
    }
}

/* ---- the end --------------------------------------------------------------------------------
 */

static void write_result(struct run *r)
{
    struct err e = {0};
    if (r->course.best_step && r->course.best_step != r->course.step &&
        checkpoints_load_best(&r->checkpoints, r->comm, r->trainer, &r->course, &e) < 0)
        end_all(r, &e);
    if (!is_main(r))
        return;
    const struct data *d = &r->records.train;
    const struct result_facts f = {
        .key = r->key,
        .steps = r->course.step,
        .epochs = order_epochs(&r->order, r->course.step),
        .records = (int64_t)d->n,
        .tokens = (int64_t)d->n_tokens,
        .targets = d->targets,
        .skipped = (int64_t)d->skipped,
        .trainable = r->info.trainable,
        .params = r->info.params,
        .loss = r->loss,
        .best_step = r->course.best_step,
        .eval_loss = r->course.best_loss,
        .eval_accuracy = r->course.best_step ? r->course.best_accuracy : -1,
        .dtype = r->o.save_dtype == DTYPE_F32    ? DT_F32
                 : r->o.save_dtype == DTYPE_BF16 ? DT_BF16
                                                 : r->dtype,
    };
    if (result_save(&r->o, r->checkpoints.dir, r->trainer, &f, &e) < 0)
        die_err(&e);
    checkpoints_finish(&r->checkpoints);
    metrics_break(&r->metrics);
    if (r->o.quiet)
        return;
    double seconds = metrics_now() - r->metrics.began;
    warn("%s: %lld steps, loss %.4f, %lld records, %lld tokens/s, %.1f s", r->o.output,
         (long long)f.steps, f.loss, (long long)f.records,
         (long long)((double)r->metrics.here / seconds), seconds);
}

/* The loss of one batch must vanish, or something is wrong with the data or the rates. */
static void overfit(struct run *r)
{
    double first = 0;
    while (r->course.step < r->schedule.steps) {
        one_step(r);
        first = r->course.step == 1 ? r->loss : first;
    }
    struct err e = {0};
    if (!(r->loss < 0.1 * first))
        err_set(&e, EXIT_VERDICT,
                "one batch alone: the loss went from %.4f to %.4f only; look at the records "
                "(--show-mask), or give a higher --lr or more --steps",
                first, r->loss);
    else if (is_main(r) && !r->o.quiet)
        warn("one batch alone: the loss went from %.4f to %.4f", first, r->loss);
    end_all(r, &e);
}

static void release(struct run *r)
{
    checkpoints_close(&r->checkpoints);
    stepper_free(r->stepper);
    order_release(&r->order);
    trainer_close(r->trainer);
    r->dev->ops->close(r->dev);
    records_release(&r->records);
    source_close(&r->source);
    metrics_release(&r->metrics);
    lora_words_free(r->lora);
    free(r->o.template_args.items);
    free(r->key);
}

static int show_mask(struct run *r)
{
    struct err e = {0};
    if (source_open(&r->source, &r->o, &e) < 0 ||
        records_show(&r->source, &r->o, r->files, &e) < 0)
        die_err(&e);
    source_close(&r->source);
    free(r->o.template_args.items);
    return EXIT_OK;
}

int main(int argc, char **argv)
{
    tool_name = "train-step";
    struct run r = {.checkpoints = {.lock = -1, .metrics = -1}};
    struct err e = {0};
    r.files = options_parse(&r.o, argc, argv);
    if (r.o.merge)
        return merge_main(&r.o, r.files);
    if (r.o.show_mask)
        return show_mask(&r);
    if (!(r.comm = comm_open(&e)))
        die_err(&e);
    metrics_begin(&r.metrics, r.o.progress, r.o.quiet);
    read_records(&r);
    open_model(&r);
    if (r.o.dry_run) {
        int rc = is_main(&r) ? tell_plan(r.trainer, &r.records.train, r.schedule.steps, &e) : 0;
        agree(&r, rc, &e);
    } else if (r.o.overfit) {
        overfit(&r);
    } else {
        resume(&r);
        train(&r);
        write_result(&r);
    }
    comm_close(r.comm);
    release(&r);
    return EXIT_OK;
}
