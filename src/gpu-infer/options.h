/* options.h - gpu-infer's command line. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include "base/args.h"

struct options {
    /* model and device */
    const char *model, *device, *template_file, *date;
    struct arg_list template_args, adapters;
    int dtype, isa, reasoning, prefix_cache, truncate, progress;
    int64_t threads, batch_tokens, max_requests, kv_memory;

    /* parameters of the answer; *_given where the command line names them */
    int64_t max_tokens, top_k, seed, samples, top_logprobs;
    double temperature, top_p, min_p;
    double repetition_penalty, frequency_penalty, presence_penalty;
    const char *choices, *choices_end, *regex, *json_schema, *score_completion;
    struct arg_list stop;
    bool min_p_given, repetition_penalty_given, json_object;
    bool max_tokens_given, top_k_given, temperature_given, top_p_given, reasoning_given;
    bool choices_mean, ignore_eos, return_tokens, logprobs, prompt_logprobs;

    /* records */
    const char *output;  /* a file, which can be gone on with */
    const char *special; /* what else -o may name: a device, a FIFO */
    const char *metrics;
    int64_t shard, max_record;
    bool shard_given, overwrite, strict, openai, quiet, print_key;
};

enum { DTYPE_AUTO, DTYPE_F32, DTYPE_BF16 };
enum { PREFIX_CACHE_ON, PREFIX_CACHE_OFF };
enum { TRUNCATE_NONE, TRUNCATE_LEFT, TRUNCATE_MIDDLE };

/* Returns the input files; ends the process where an option is wrong. */
char **options_parse(struct options *o, int argc, char **argv);

/* The name of the chosen instruction set, NULL for the best one. */
const char *options_isa(const struct options *o);

#endif
