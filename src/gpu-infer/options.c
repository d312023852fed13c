/* options.c - gpu-infer's command line. */
#include "gpu-infer/options.h"

#include "base/error.h"
#include "base/file.h"
#include "gpu-infer/params.h"
#include "infer/infer.h"

static const char *const isa_names[] = {NULL, "amx-bf16", "avx512-bf16", "avx512", "avx2"};

const char *options_isa(const struct options *o)
{
    return isa_names[o->isa];
}

static void set_defaults(struct options *o)
{
    *o = (struct options){
        .device = "auto",
        .batch_tokens = 512,
        .max_requests = 64,
        .max_tokens = 256,
        .top_p = 1,
        .repetition_penalty = 1,
        .samples = 1,
        .choices_end = "auto",
        .max_record = 16 << 20,
    };
}

/* clang-format off */
#define STRING(n, dest, meta, text) .kind = ARG_STRING, .name = n, .to = &o->dest, .metavar = meta, .help = text
#define FLAG(n, dest, text) .kind = ARG_FLAG, .name = n, .to = &o->dest, .help = text
#define INT(n, dest, lo, hi, text) .kind = ARG_INT, .name = n, .to = &o->dest, .metavar = "N", .help = text, .min = lo, .max = hi
#define REAL(n, dest, lo, hi, text) .kind = ARG_REAL, .name = n, .to = &o->dest, .metavar = "X", .help = text, .min = lo, .max = hi
#define CHOICE(n, dest, list, text) .kind = ARG_CHOICE, .name = n, .to = &o->dest, .metavar = list, .help = text
/* clang-format on */

/* lint: long, one table */
static char **parse(struct options *o, int argc, char **argv)
{
    const struct arg table[] = {
        {.kind = ARG_GROUP, .help = "model and device"},
        {STRING("model", model, "DIR", "model directory"), .letter = 'm'},
        {.kind = ARG_LIST,
         .name = "adapter",
         .to = &o->adapters,
         .metavar = "[NAME=]DIR",
         .help = "LoRA adapter, for all records or those that name it"},
        {STRING("device", device, "DEV", "auto, cpu, cpu:K/N, cuda:N or ref"), .letter = 'd'},
        {INT("threads", threads, 1, 1024, "CPU threads"), .fallback = "the cores of the slice"},
        {CHOICE("dtype", dtype, "auto|f32|bf16", "precision; auto is the checkpoint's")},
        {CHOICE("isa", isa, "auto|amx-bf16|avx512-bf16|avx512|avx2", "CPU instruction set")},
        {INT("batch-tokens", batch_tokens, 1, 1 << 20, "most tokens of one forward")},
        {INT("max-requests", max_requests, 1, 1 << 16, "most records in flight")},
        {.kind = ARG_SIZE,
         .name = "kv-memory",
         .to = &o->kv_memory,
         .metavar = "SIZE",
         .help = "memory for keys and values",
         .min = 1,
         .max = 0x1p50,
         .fallback = "as much as --max-requests can use, at most 1G"},

        {CHOICE("prefix-cache", prefix_cache, "on|off",
                "compute what prompts begin with once")},

        {.kind = ARG_GROUP, .help = "prompts"},
        {STRING("chat-template", template_file, "FILE", "instead of the model's own")},
        {.kind = ARG_LIST,
         .name = "template-arg",
         .to = &o->template_args,
         .metavar = "K=V",
         .help = "a variable of the chat template"},
        {STRING("date", date, "DATE", "the template's date, YYYY-MM-DD"), .fallback = "now"},
        {CHOICE("reasoning", reasoning, "low|medium|high|none",
                "how much to think; none: answer at once"),
         .fallback = "unset", .given = &o->reasoning_given},
        {CHOICE("truncate", truncate, "none|left|middle",
                "cut prompts over the context there; none: an error")},

        {.kind = ARG_GROUP, .help = "answers; a record's params go before these"},
        {INT("max-tokens", max_tokens, 0, INT32_MAX, "most tokens of an answer"),
         .given = &o->max_tokens_given},
        {REAL("temperature", temperature, 0, 1e6, "0 takes the likeliest token"),
         .given = &o->temperature_given},
        {REAL("top-p", top_p, 0, 1, "sample from the likeliest that sum to X"),
         .given = &o->top_p_given},
        {INT("top-k", top_k, 0, INT32_MAX, "sample from the N likeliest; 0: all"),
         .given = &o->top_k_given},
        {REAL("min-p", min_p, 0, 1, "leave out what is less likely than X of the likeliest"),
         .given = &o->min_p_given},
        {REAL("repetition-penalty", repetition_penalty, .001, 1000,
              "make ids of prompt and answer less likely"),
         .given = &o->repetition_penalty_given},
        {REAL("frequency-penalty", frequency_penalty, -100, 100,
              "taken off a logit for each time in the answer")},
        {REAL("presence-penalty", presence_penalty, -100, 100,
              "taken off a logit once it is in the answer")},
        {.kind = ARG_LIST,
         .name = "stop",
         .to = &o->stop,
         .metavar = "TEXT",
         .help = "end an answer before this text"},
        {INT("samples", samples, 1, SAMPLES_MAX, "answers of each record")},
        {FLAG("json-object", json_object, "answers are JSON objects")},
        {STRING("json-schema", json_schema, "FILE", "answers are JSON that fits the schema")},
        {STRING("regex", regex, "RE", "answers match the regular expression")},
        {INT("seed", seed, 0, (double)(INT64_C(1) << 53), "of the random draws")},
        {STRING("choices", choices, "A,B,...", "score these labels instead of generating")},
        {STRING("choices-end", choices_end, "auto|none|ID", "token behind a label")},
        {FLAG("choices-mean", choices_mean, "compare labels by log-probability per token")},
        {FLAG("ignore-eos", ignore_eos, "do not stop at the model's end tokens")},
        {FLAG("return-tokens", return_tokens, "add the ids that were generated")},
        {FLAG("logprobs", logprobs, "add their log-probabilities")},
        {INT("top-logprobs", top_logprobs, 0, INFER_TOP_MAX,
             "add the N likeliest of each place")},
        {FLAG("prompt-logprobs", prompt_logprobs, "add those of the prompt's tokens")},

        {.kind = ARG_GROUP, .help = "records"},
        {STRING("output", output, "FILE", "write there; goes on where a run was cut off"),
         .letter = 'o', .fallback = "stdout"},
        {INT("shard", shard, 0, (double)(INT64_C(1) << 53),
             "answer the records with _shard N alone"),
         .given = &o->shard_given, .fallback = "all"},
        {FLAG("openai", openai, "lines of an OpenAI batch file, in and out")},
        {STRING("score-completion", score_completion, "FIELD",
                "score the text in FIELD instead of generating")},
        {FLAG("overwrite", overwrite, "replace a record's own member response")},
        {FLAG("strict", strict, "stop at the first bad record")},
        {.kind = ARG_SIZE,
         .name = "max-record",
         .to = &o->max_record,
         .metavar = "SIZE",
         .help = "longest line taken",
         .min = 2,
         .max = 0x1p40},
        {STRING("metrics", metrics, "FILE", "write counts and times as JSON")},
        {FLAG("print-key", print_key, "print what the answers depend on, as JSON, and end")},
        {CHOICE("progress", progress, "auto|line|json",
                "auto: a line on a terminal; json: JSON lines on stderr")},
        {FLAG("quiet", quiet, "no summary"), .letter = 'q'},
    };
    const struct args a = {
        .usage = "-m DIR [OPTION...] [FILE...]",
        .about = "Answers records with a language model.",
        .table = table,
        .n = ARGS_COUNT(table),
        .max_files = -1,
        .help_on_tty = true,
    };
    return args_parse(&a, argc, argv);
}

char **options_parse(struct options *o, int argc, char **argv)
{
    set_defaults(o);
    char **files = parse(o, argc, argv);
    if (!o->model)
        die(EXIT_USAGE, "no model; give its directory with -m DIR");
    if (o->score_completion && (o->choices || o->openai))
        die(EXIT_USAGE, "--score-completion goes with neither --choices nor --openai");
    if (o->output && !*o->output)
        die(EXIT_USAGE, "--output: the name is empty");
    if (o->output && file_is_special(o->output)) {
        o->special = o->output;
        o->output = NULL;
    }
    return files;
}
