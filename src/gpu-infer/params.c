/* params.c - generation parameters: a record's before flags, flags before the model's. */
#include "gpu-infer/params.h"

#include "base/file.h"
#include "gpu-infer/options.h"
#include "infer/infer.h"
#include "rec/json.h"

#include <stdlib.h>

/* ---- defaults ---------------------------------------------------------------- */

/* --choices a,b,c */
static void labels_of_flag(struct labels *l, const char *list)
{
    struct buf json = {0};
    struct err e = {0};
    buf_putc(&json, '[');
    for (const char *p = list;; p++) {
        size_t n = strcspn(p, ",");
        if (!utf8_check(p, n))
            die(EXIT_USAGE, "--choices: must be UTF-8");
        json_quote(&json, (struct str){p, n});
        p += n;
        if (!*p)
            break;
        buf_putc(&json, ',');
    }
    buf_putc(&json, ']');
    if (labels_read(l, buf_str(&json), &e) < 0)
        die(EXIT_USAGE, "--%s", e.text);
    buf_release(&json);
}

static void stops_of_flag(struct texts *t, const struct arg_list *list)
{
    if (list->n > STOPS_MAX)
        die(EXIT_USAGE, "--stop: more than %d", STOPS_MAX);
    for (size_t i = 0; i < list->n; i++) {
        struct buf text = {0};
        if (!*list->items[i] || !utf8_check(list->items[i], strlen(list->items[i])))
            die(EXIT_USAGE, "--stop: must be UTF-8 and not empty");
        buf_puts(&text, list->items[i]);
        GROW(t->v, t->cap, t->n + 1);
        t->v[t->n++] = text;
    }
}

enum { SCHEMA_MAX = 16 << 20 };

static void shape_of_flags(struct shape *s, const struct options *o)
{
    struct err e = {0};
    struct json_fault fault;
    if ((o->regex != NULL) + (o->json_schema != NULL) + o->json_object > 1)
        die(EXIT_USAGE, "only one of --regex, --json-schema and --json-object can be given");
    if (o->json_object)
        s->kind = SHAPE_OBJECT;
    if (o->regex) {
        s->kind = SHAPE_REGEX;
        buf_puts(&s->text, o->regex);
        if (!utf8_check(s->text.p, s->text.n))
            die(EXIT_USAGE, "--regex: must be UTF-8");
    }
    if (o->json_schema) {
        s->kind = SHAPE_SCHEMA;
        if (file_read(&s->text, o->json_schema, SCHEMA_MAX, &e) < 0)
            die_err(&e);
        if (json_check(s->text.p, s->text.n, NULL, &fault) < 0)
            die(EXIT_USAGE, "--json-schema: %s: %s at byte %zu", o->json_schema, fault.what,
                fault.at);
        while (s->text.n && strchr(" \t\r\n", s->text.p[s->text.n - 1]))
            s->text.n--;
        size_t n = strspn(s->text.p, " \t\r\n");
        memmove(s->text.p, s->text.p + n, s->text.n -= n);
    }
}

static void lists_of_flags(struct params *p, const struct options *o, struct param_lists *own)
{
    if (o->choices) {
        labels_of_flag(&own->labels, o->choices);
        p->labels = &own->labels;
    }
    if (o->stop.n) {
        stops_of_flag(&own->stop, &o->stop);
        p->stop = &own->stop;
    }
    shape_of_flags(&own->shape, o);
    if (own->shape.kind != SHAPE_FREE)
        p->shape = &own->shape;
}

struct params params_defaults(const struct options *o, const json_t *generation,
                              struct param_lists *own)
{
    struct params p = {.max_tokens = o->max_tokens,
                       .top_k = o->top_k,
                       .seed = o->seed,
                       .n = o->samples,
                       .top_logprobs = o->top_logprobs,
                       .temperature = o->temperature,
                       .top_p = o->top_p,
                       .min_p = o->min_p,
                       .repetition_penalty = o->repetition_penalty,
                       .frequency_penalty = o->frequency_penalty,
                       .presence_penalty = o->presence_penalty,
                       .ignore_eos = o->ignore_eos,
                       .return_tokens = o->return_tokens,
                       .logprobs = o->logprobs,
                       .prompt_logprobs = o->prompt_logprobs,
                       .reasoning = CHAT_REASONING_UNSET};
    struct params model = p;
    if (generation)
        params_of_model(&model, generation);
    if (!o->max_tokens_given)
        p.max_tokens = model.max_tokens;
    if (!o->temperature_given)
        p.temperature = model.temperature;
    if (!o->top_p_given)
        p.top_p = model.top_p;
    if (!o->top_k_given)
        p.top_k = model.top_k;
    if (!o->min_p_given)
        p.min_p = model.min_p;
    if (!o->repetition_penalty_given)
        p.repetition_penalty = model.repetition_penalty;
    if (o->reasoning_given)
        p.reasoning = CHAT_REASONING_LOW + (enum chat_reasoning)o->reasoning;
    lists_of_flags(&p, o, own);
    return p;
}

/* ---- a record's params -------------------------------------------------------- */

enum kind {
    INT,
    REAL,
    BOOL,
    LOGPROBS, /* true, false, or how many of the likeliest */
    REASONING,
    CHOICES,
    STOP,
    STOP_IDS,
    BIAS,
    FORMAT,
    REGEX,
    SCHEMA,
    TEXTS,
};

static const struct known {
    const char *name;
    enum kind kind;
    size_t offset; /* in struct params */
    double min, max;
} honoured[] = {
    {"max_tokens", INT, offsetof(struct params, max_tokens), 0, INT32_MAX},
    {"max_completion_tokens", INT, offsetof(struct params, max_tokens), 0, INT32_MAX},
    {"max_new_tokens", INT, offsetof(struct params, max_tokens), 0, INT32_MAX},
    {"temperature", REAL, offsetof(struct params, temperature), 0, 1e6},
    {"top_p", REAL, offsetof(struct params, top_p), 0, 1},
    {"top_k", INT, offsetof(struct params, top_k), -1, INT32_MAX},
    {"seed", INT, offsetof(struct params, seed), (double)INT64_MIN, (double)INT64_MAX},
    {"ignore_eos", BOOL, offsetof(struct params, ignore_eos), 0, 0},
    {"return_tokens", BOOL, offsetof(struct params, return_tokens), 0, 0},
    {"logprobs", LOGPROBS, 0, 0, INFER_TOP_MAX},
    {"top_logprobs", INT, offsetof(struct params, top_logprobs), 0, INFER_TOP_MAX},
    {"min_p", REAL, offsetof(struct params, min_p), 0, 1},
    {"repetition_penalty", REAL, offsetof(struct params, repetition_penalty), .001, 1000},
    {"frequency_penalty", REAL, offsetof(struct params, frequency_penalty), -100, 100},
    {"presence_penalty", REAL, offsetof(struct params, presence_penalty), -100, 100},
    {"n", INT, offsetof(struct params, n), 1, SAMPLES_MAX},
    {"prompt_logprobs", BOOL, offsetof(struct params, prompt_logprobs), 0, 0},
    {"reasoning_effort", REASONING, offsetof(struct params, reasoning), 0, 0},
    {"choices", CHOICES, 0, 0, 0},
    {"stop", STOP, 0, 0, 0},
    {"stop_token_ids", STOP_IDS, 0, 0, 0},
    {"logit_bias", BIAS, 0, 0, 0},
    {"response_format", FORMAT, 0, 0, 0},
    {"regex", REGEX, 0, 0, 0},
    {"guided_regex", REGEX, 0, 0, 0},
    {"guided_json", SCHEMA, 0, 0, 0},
    {"guided_choice", TEXTS, 0, 0, 0},
};

/* Known elsewhere; honoured by doing nothing where they have the value beside them, or null. */
static const struct {
    const char *name, *neutral;
} others[] = {
    {"length_penalty", "1"},
    {"min_tokens", "0"},
    {"best_of", "1"},
    {"num_beams", "1"},
    {"bad_words", "[]"},
    {"stream", "false"},
    {"do_sample", ""},
    {"model", "*"},
    {"tools", "[]"},
    {"tool_choice", "none"},
    {"parallel_tool_calls", "*"},
    {"stream_options", "*"},
    {"service_tier", "*"},
    {"prompt_cache_key", "*"},
    {"safety_identifier", "*"},
    {"echo", "false"},
    {"suffix", ""},
    {"modalities", ""},
    {"functions", "[]"},
    {"function_call", "none"},
    {"guided_grammar", ""},
    {"user", "*"},
    {"metadata", "*"},
    {"store", "*"},
};
_Static_assert(sizeof others / sizeof *others <= 64, "a bit of struct params_told each");

static bool is_neutral(struct str value, const char *neutral)
{
    double x;
    struct str first, type;
    struct json_iter it;
    if (*neutral == '*') /* no bearing on the answer */
        return true;
    switch (json_kind(value)) {
    case JSON_NULL: return true;
    case JSON_FALSE: return !strcmp(neutral, "false");
    case JSON_NUMBER: return json_number(value, &x) && *neutral && x == strtod(neutral, NULL);
    case JSON_STRING: return *neutral && json_key_is(value, neutral);
    case JSON_OBJECT:
        if (!strcmp(neutral, "text") && json_get(value, "type", &type))
            return json_kind(type) == JSON_STRING && json_key_is(type, neutral);
        break;
    default: break;
    }
    it = json_iter(value);
    return (*neutral == '[' || *neutral == '{') && !json_next(&it, NULL, &first);
}

/* True if the name is one of those that others take; says once where it asks for something. */
static bool not_honoured(struct str key, struct str value, struct params_told *told)
{
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (!json_key_is(key, others[i].name))
            continue;
        if (!is_neutral(value, others[i].neutral) && !(told->mask >> i & 1)) {
            told->mask |= UINT64_C(1) << i;
            warn("params.%s is not supported and left out", others[i].name);
        }
        return true;
    }
    return false;
}

static int set_reasoning(struct params *p, struct str value, struct err *e)
{
    enum chat_reasoning level = chat_reasoning_level(value);
    if (level == CHAT_REASONING_UNSET)
        return err_set(e, EXIT_DATA,
                       "params.reasoning_effort must be low, medium, high or none");
    p->reasoning = level;
    return 0;
}

static int set_logprobs(struct params *p, struct str value, struct err *e)
{
    int64_t n;
    enum json_kind kind = json_kind(value);
    if (kind == JSON_TRUE || kind == JSON_FALSE) {
        p->logprobs = kind == JSON_TRUE;
        return 0;
    }
    if (!json_int(value, &n) || n < 0 || n > INFER_TOP_MAX)
        return err_set(e, EXIT_DATA, "params.logprobs must be true, false, or from 0 to %d",
                       INFER_TOP_MAX);
    p->logprobs = true;
    p->top_logprobs = n;
    return 0;
}

static int set_number(struct params *p, const struct known *k, struct str value, struct err *e)
{
    char *to = (char *)p + k->offset;
    int64_t i;
    double x;
    if (k->kind == INT) {
        if (!json_int(value, &i) || (double)i < k->min || (double)i > k->max)
            return err_set(e, EXIT_DATA, "params.%s must be a whole number from %.15g to %.15g",
                           k->name, k->min, k->max);
        memcpy(to, &i, sizeof i);
    } else {
        if (!json_number(value, &x) || x < k->min || x > k->max)
            return err_set(e, EXIT_DATA, "params.%s must be a number from %.15g to %.15g",
                           k->name, k->min, k->max);
        memcpy(to, &x, sizeof x);
    }
    return 0;
}

/* What a record says of a list goes in the place of what was said before. */
static int set_list(struct params *p, struct param_lists *own, const struct known *k,
                    struct str value, struct err *e)
{
    switch (k->kind) {
    case CHOICES:
        labels_free(&own->labels);
        p->labels = &own->labels;
        return labels_read(&own->labels, value, e);
    case STOP: p->stop = &own->stop; return texts_read(&own->stop, value, e);
    case STOP_IDS: p->stop_ids = &own->stop_ids; return stop_ids_read(&own->stop_ids, value, e);
    case BIAS: p->bias = &own->bias; return biases_read(&own->bias, value, e);
    case FORMAT: p->shape = &own->shape; return shape_read_format(&own->shape, value, e);
    case REGEX: p->shape = &own->shape; return shape_read(&own->shape, SHAPE_REGEX, value, e);
    case SCHEMA: p->shape = &own->shape; return shape_read(&own->shape, SHAPE_SCHEMA, value, e);
    default: p->shape = &own->shape; return shape_read(&own->shape, SHAPE_CHOICES, value, e);
    }
}

static int set(struct params *p, struct param_lists *own, const struct known *k,
               struct str value, struct err *e)
{
    enum json_kind kind = json_kind(value);
    switch (k->kind) {
    case INT:
    case REAL: return set_number(p, k, value, e);
    case BOOL:
        if (kind != JSON_TRUE && kind != JSON_FALSE)
            return err_set(e, EXIT_DATA, "params.%s must be true or false", k->name);
        *(bool *)((char *)p + k->offset) = kind == JSON_TRUE;
        return 0;
    case LOGPROBS: return set_logprobs(p, value, e);
    case REASONING: return set_reasoning(p, value, e);
    default: return set_list(p, own, k, value, e);
    }
}

static int read_one(struct params *p, struct param_lists *own, struct str key, struct str value,
                    struct params_told *told, const char **type, struct err *e)
{
    for (size_t i = 0; i < sizeof honoured / sizeof *honoured; i++) {
        if (!json_key_is(key, honoured[i].name))
            continue;
        *type = "bad_parameter";
        return json_kind(value) == JSON_NULL ? 0 : set(p, own, &honoured[i], value, e);
    }
    if (not_honoured(key, value, told))
        return 0;
    *type = "unknown_parameter";
    return err_set(e, EXIT_DATA, "params.%.*s is not known", (int)(key.n > 66 ? 64 : key.n - 2),
                   key.p + 1);
}

int params_read(struct params *p, struct param_lists *own, struct str json,
                struct params_told *told, const char **type, struct err *e)
{
    if (json_kind(json) == JSON_NULL)
        return 0;
    if (json_kind(json) != JSON_OBJECT) {
        *type = "bad_field";
        return err_set(e, EXIT_DATA, "field \"params\" must be an object");
    }
    struct json_iter it = json_iter(json);
    struct str key, value;
    while (json_next(&it, &key, &value))
        if (read_one(p, own, key, value, told, type, e) < 0)
            return -1;
    if (p->top_k < 0)
        p->top_k = 0;
    if (p->shape && p->shape->kind == SHAPE_FREE)
        p->shape = NULL;
    return 0;
}
