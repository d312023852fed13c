/* options.c - train-step's command line. */
#include "train-step/options.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>

static const char *const isa_names[] = {NULL, "avx512", "avx2"};

const char *options_isa(const struct options *o)
{
    return isa_names[o->isa];
}

static void set_defaults(struct options *o)
{
    *o = (struct options){
        .device = "auto",
        .max_record = 16 << 20,
        .epochs = 1,
        .batch = 16,
        .lr = 2e-4,
        .weight_decay = 0.01,
        .beta1 = 0.9,
        .beta2 = 0.999,
        .eps = 1e-8,
        .clip = 1,
        .micro_tokens = 1024,
        .memory = 1 << 30,
        .every = "10m",
        .keep = 2,
    };
}

/* clang-format off */
#define STRING(n, dest, meta, text) .kind = ARG_STRING, .name = n, .to = &o->dest, .metavar = meta, .help = text
#define FLAG(n, dest, text) .kind = ARG_FLAG, .name = n, .to = &o->dest, .help = text
#define INT(n, dest, lo, hi, text) .kind = ARG_INT, .name = n, .to = &o->dest, .metavar = "N", .help = text, .min = lo, .max = hi
#define SIZE(n, dest, lo, text) .kind = ARG_SIZE, .name = n, .to = &o->dest, .metavar = "SIZE", .help = text, .min = lo, .max = 0x1p50
#define REAL(n, dest, lo, hi, text) .kind = ARG_REAL, .name = n, .to = &o->dest, .metavar = "X", .help = text, .min = lo, .max = hi
#define CHOICE(n, dest, list, text) .kind = ARG_CHOICE, .name = n, .to = &o->dest, .metavar = list, .help = text
/* clang-format on */

static char **parse(struct options *o, int argc, char **argv)
{
    const struct arg table[] = {
        {.kind = ARG_GROUP, .help = "model and device"},
        {STRING("model", model, "DIR", "model directory; with --init its tokenizer's"),
         .letter = 'm'},
        {STRING("output", output, "DIR", "the trained model, or adapter; DIR.ckpt beside it"),
         .letter = 'o'},
        {STRING("init", init, "FILE", "train from scratch by this config.json")},
        {STRING("lora", lora, "SPEC", "train an adapter: r=16,alpha=32,targets=q_proj:v_proj")},
        {STRING("device", device, "DEV", "auto, cpu, cpu:K/N, cuda:N or ref"), .letter = 'd'},
        {INT("threads", threads, 1, 1024, "CPU threads"), .fallback = "the cores of the rank"},
        {CHOICE("isa", isa, "auto|avx512|avx2", "CPU instruction set")},
        {CHOICE("dtype", dtype, "auto|f32|bf16", "precision; auto is the checkpoint's")},
        {CHOICE("save-dtype", save_dtype, "auto|f32|bf16", "of the result; auto is --dtype")},

        {.kind = ARG_GROUP, .help = "records"},
        {STRING("chat-template", chat_template, "FILE", "instead of the model's")},
        {.kind = ARG_LIST,
         .name = "template-arg",
         .to = &o->template_args,
         .metavar = "K=V",
         .help = "a variable of the chat template"},
        {STRING("date", date, "DATE", "the template's date, YYYY-MM-DD"), .fallback = "now"},
        {INT("context", context, 1, INT32_MAX, "most tokens of a record"),
         .fallback = "the model's"},
        {STRING("skip-bad", skip_bad, "FILE", "error records go there, instead of stopping")},
        {FLAG("show-mask", show_mask, "print the tokens that would be learned, and stop")},
        {SIZE("max-record", max_record, 2, "longest line taken")},

        {.kind = ARG_GROUP, .help = "course"},
        {REAL("epochs", epochs, 0, 1e6, "times through the records")},
        {INT("steps", steps, 1, INT64_MAX, "optimizer steps, instead of --epochs"),
         .fallback = "by --epochs"},
        {INT("batch", batch, 1, 1 << 24, "records of a step, over all ranks")},
        {INT("shuffle", shuffle, 0, 0, "seed of each epoch's order"),
         .given = &o->shuffle_given, .fallback = "the file's order"},
        {INT("seed", seed, 0, 0, "of first weights and dropout")},
        {REAL("lr", lr, 0, 1e3, "learning rate")},
        {CHOICE("schedule", schedule, "cosine|linear|constant", "of the learning rate")},
        {REAL("warmup", warmup, 0, 1e12, "steps of rising rate; below 1: their share")},
        {REAL("weight-decay", weight_decay, 0, 1e3, "of matrices")},
        {REAL("beta1", beta1, 0, 1, "AdamW's first moment")},
        {REAL("beta2", beta2, 0, 1, "AdamW's second moment")},
        {REAL("eps", eps, 0, 1, "AdamW's epsilon")},
        {REAL("clip", clip, 0, 1e12, "largest gradient norm; 0: any")},

        {.kind = ARG_GROUP, .help = "work"},
        {INT("pack", pack, 1, INT32_MAX, "records side by side up to N tokens"),
         .fallback = "each by itself"},
        {INT("micro-tokens", micro_tokens, 1, 1 << 24, "most tokens computed at once")},
        {SIZE("memory", memory, 0, "for activations; what does not fit is computed again")},
        {FLAG("fast-reduce", fast_reduce, "sums in any order: bits depend on the ranks")},

        {.kind = ARG_GROUP, .help = "checkpoints"},
        {STRING("every", every, "N|Nm", "a checkpoint every N steps, or N minutes")},
        {INT("keep", keep, 0, 1 << 20, "checkpoints that stay")},

        {.kind = ARG_GROUP, .help = "merging"},
        {STRING("merge", merge, "DIR", "write the model with this adapter in its weights")},
        {REAL("merge-bound", merge_bound, 0, 1e12, "largest difference of a logit"),
         .given = &o->merge_bound_given, .fallback = "0.001; 1 for weights of 16 bits"},

        {.kind = ARG_GROUP, .help = "watching"},
        {STRING("eval", eval, "FILE", "records to evaluate on")},
        {INT("eval-every", eval_every, 1, INT64_MAX, "steps between evaluations"),
         .fallback = "each epoch's end"},
        {STRING("choices", choices, "LIST", "labels for the accuracy"),
         .fallback = "the records' params.choices"},
        {INT("patience", patience, 1, INT64_MAX, "evaluations without a better one, to stop"),
         .fallback = "never"},
        {REAL("min-delta", min_delta, 0, 1e12, "how much better a better one is")},
        {FLAG("dry-run", dry_run, "print what would be trained, and stop")},
        {FLAG("overfit-one-batch", overfit,
              "train on one batch alone, to see the loss vanish")},
        {FLAG("progress", progress, "a progress line though stderr is no terminal")},
        {FLAG("quiet", quiet, "no progress, no summary"), .letter = 'q'},
    };
    const struct args a = {
        .usage = "-m DIR -o OUT [--lora SPEC] [FILE...]",
        .about = "Fine-tunes a model on chat records.",
        .table = table,
        .n = ARGS_COUNT(table),
        .max_files = -1,
        .help_on_tty = true,
    };
    return args_parse(&a, argc, argv);
}

/* "100", or "10m". */
static void parse_every(struct options *o)
{
    double v;
    size_t n = strlen(o->every);
    if (n && o->every[n - 1] == 'm') {
        char *text = xstrndup(o->every, n - 1);
        bool ok = parse_real(text, &v) && v > 0;
        free(text);
        o->every_seconds = ok ? v * 60 : 0;
        if (ok)
            return;
    } else if (parse_int(o->every, &o->every_steps) && o->every_steps > 0) {
        return;
    }
    die(EXIT_USAGE, "--every: must be a number of steps, or of minutes as in 10m, not '%s'",
        o->every);
}

static void check(const struct options *o)
{
    if (!o->model && !o->init)
        die(EXIT_USAGE, "which model? give -m DIR, or --init FILE to train from scratch");
    if (!o->output && !o->show_mask && !o->dry_run && !o->overfit)
        die(EXIT_USAGE, "where to? give -o DIR");
    if (o->merge && (o->init || o->lora))
        die(EXIT_USAGE, "--merge trains nothing; give it without --init and --lora");
    if (o->merge_bound_given && !o->merge)
        die(EXIT_USAGE, "--merge-bound goes with --merge");
    if (o->init && o->lora)
        die(EXIT_USAGE, "--lora changes a trained model; give it without --init");
    if (o->pack && o->context && o->pack < o->context)
        die(EXIT_USAGE, "--pack %lld is less than --context %lld", (long long)o->pack,
            (long long)o->context);
    const char *alone = o->eval_every ? "--eval-every"
                        : o->patience ? "--patience"
                        : o->choices  ? "--choices"
                                      : NULL;
    if (alone && !o->eval)
        die(EXIT_USAGE, "%s needs records to evaluate on; give --eval FILE", alone);
    if (o->beta1 >= 1 || o->beta2 >= 1)
        die(EXIT_USAGE, "--beta1 and --beta2 must be less than 1");
}

char **options_parse(struct options *o, int argc, char **argv)
{
    set_defaults(o);
    char **files = parse(o, argc, argv);
    check(o);
    parse_every(o);
    lora_words_free(options_lora(o)); /* told now rather than behind the records */
    return files;
}

/* ---- --lora ----------------------------------------------------------------------- */

static void take_list(char *value, const char **list, size_t *n, const char *key)
{
    for (char *next; value; value = next) {
        if ((next = strchr(value, ':')))
            *next++ = 0;
        if (*n == 64 || !*value)
            die(EXIT_USAGE, "--lora: %s: %s", key, *value ? "more than 64" : "an empty name");
        list[(*n)++] = value;
    }
}

static void take_pair(struct lora_words *w, const char *key, char *value)
{
    struct train_lora *l = &w->lora;
    int64_t rank;
    if (!strcmp(key, "rslora") && !value)
        l->rslora = true;
    else if (!value || !*value)
        die(EXIT_USAGE,
            "--lora: '%s' must be r=N, alpha=X, dropout=X, rslora, targets=A:B, "
            "parameters=A:B or save=A:B",
            key);
    else if (!strcmp(key, "r") && parse_int(value, &rank) && rank > 0 && rank <= 4096)
        l->rank = (int32_t)rank;
    else if (!strcmp(key, "alpha") && parse_real(value, &l->alpha) && l->alpha > 0)
        return;
    else if (!strcmp(key, "dropout") && parse_real(value, &l->dropout) && l->dropout >= 0 &&
             l->dropout < 1)
        return;
    else if (!strcmp(key, "targets"))
        take_list(value, w->targets, &l->n_targets, key);
    else if (!strcmp(key, "parameters"))
        take_list(value, w->parameters, &l->n_parameters, key);
    else if (!strcmp(key, "save"))
        take_list(value, w->save, &l->n_save, key);
    else
        die(EXIT_USAGE,
            "--lora: '%s=%s' is not known; it takes r=N, alpha=X, dropout=X, rslora, "
            "targets=A:B, parameters=A:B, save=A:B",
            key, value);
}

struct lora_words *options_lora(const struct options *o)
{
    if (!o->lora)
        return NULL;
    struct lora_words *w = xcalloc(1, sizeof *w);
    w->text = xstrdup(o->lora);
    w->lora = (struct train_lora){.rank = 16};
    for (char *p = w->text, *next; p; p = next) {
        if ((next = strchr(p, ',')))
            *next++ = 0;
        char *value = strchr(p, '=');
        if (value)
            *value++ = 0;
        take_pair(w, p, value);
    }
    if (!w->lora.alpha)
        w->lora.alpha = 2.0 * w->lora.rank;
    w->lora.targets = w->targets;
    w->lora.parameters = w->parameters;
    w->lora.save = w->save;
    return w;
}

void lora_words_free(struct lora_words *w)
{
    if (w)
        free(w->text);
    free(w);
}
