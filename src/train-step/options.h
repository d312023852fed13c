/* options.h - train-step's command line. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include "base/args.h"
#include "train/trainer.h"

enum { DTYPE_AUTO, DTYPE_F32, DTYPE_BF16 };
enum { SCHEDULE_COSINE, SCHEDULE_LINEAR, SCHEDULE_CONSTANT };

struct options {
    const char *model, *init, *output, *device;
    int64_t threads;
    int isa, dtype, save_dtype;

    const char *chat_template, *date, *skip_bad;
    struct arg_list template_args;
    int64_t max_record, context, pack;
    bool show_mask;

    const char *merge;
    double merge_bound;
    bool merge_bound_given;

    const char *lora;
    double epochs;
    int64_t steps, batch, shuffle, seed;
    bool shuffle_given;

    double lr, weight_decay, beta1, beta2, eps, clip, warmup;
    int schedule;

    int64_t micro_tokens, memory;
    bool fast_reduce;

    const char *every;
    int64_t every_steps;
    double every_seconds;
    int64_t keep;

    const char *eval, *choices;
    int64_t eval_every, patience;
    double min_delta;

    bool dry_run, overfit, progress, quiet;
};

/* Returns the operands. */
char **options_parse(struct options *o, int argc, char **argv);
const char *options_isa(const struct options *o);

/* --lora's words, parted. */
struct lora_words {
    struct train_lora lora;
    char *text;
    const char *targets[64], *parameters[64], *save[64];
};
/* Ends the process where they are wrong; NULL where there is no --lora. */
struct lora_words *options_lora(const struct options *o);
void lora_words_free(struct lora_words *w);

#endif
