/* params.c - generation parameters: a record's before flags, flags before the model's. */
#include "gpu-infer/params.h"

#include "gpu-infer/options.h"
#include "rec/json.h"

#include <stdlib.h>

enum { LABELS_MAX = 4096 };

/* ---- labels ----------------------------------------------------------------- */

void labels_free(struct labels *l)
{
    for (size_t i = 0; i < l->n; i++) {
        buf_release(&l->v[i].json);
        buf_release(&l->v[i].text);
        ids_release(&l->v[i].ids);
    }
    free(l->v);
    *l = (struct labels){0};
}

static int bad(const char **type, struct err *e, const char *what)
{
    *type = "bad_parameter";
    return err_set(e, EXIT_DATA, "%s", what);
}

static int label_read(struct label *l, struct str json, const char **type, struct err *e)
{
    buf_addstr(&l->json, json);
    l->is_text = json_kind(json) == JSON_STRING;
    if (l->is_text) {
        if (!json_decode(&l->text, json))
            return bad(type, e, "choices: a label is no Unicode text");
        return 0;
    }
    if (json_kind(json) != JSON_ARRAY)
        return bad(type, e, "choices: must be texts or arrays of token ids");
    struct json_iter it = json_iter(json);
    struct str item;
    while (json_next(&it, NULL, &item)) {
        int64_t id;
        if (!json_int(item, &id) || id < 0 || id > INT32_MAX)
            return bad(type, e, "choices: a token id must be a whole number >= 0");
        ids_add(&l->ids, (int32_t)id);
    }
    return l->ids.n ? 0 : bad(type, e, "choices: an array of token ids is empty");
}

static bool same_label(const struct label *a, const struct label *b)
{
    if (a->is_text != b->is_text)
        return false;
    if (a->is_text)
        return str_eq(buf_str(&a->text), buf_str(&b->text));
    return a->ids.n == b->ids.n && !memcmp(a->ids.v, b->ids.v, a->ids.n * sizeof *a->ids.v);
}

/* Reads an array of choices; labels that are there twice could share one probability. */
static int labels_read(struct labels *l, struct str json, const char **type, struct err *e)
{
    size_t cap = 0;
    if (json_kind(json) != JSON_ARRAY)
        return bad(type, e, "choices: must be an array");
    struct json_iter it = json_iter(json);
    struct str item;
    while (json_next(&it, NULL, &item)) {
        if (l->n == LABELS_MAX)
            return bad(type, e, "choices: more than 4096 labels");
        GROW(l->v, cap, l->n + 1);
        l->v[l->n] = (struct label){0};
        if (label_read(&l->v[l->n++], item, type, e) < 0)
            return -1;
        for (size_t i = 0; i + 1 < l->n; i++)
            if (same_label(&l->v[i], &l->v[l->n - 1]))
                return bad(type, e, "choices: a label is there twice");
    }
    for (size_t i = 1; i < l->n; i++)
        if (l->v[i].is_text != l->v[0].is_text)
            return bad(type, e, "choices: either all are texts or all are arrays of token ids");
    return l->n ? 0 : bad(type, e, "choices: must name a label");
}

/* --choices a,b,c */
static void labels_of_flag(struct labels *l, const char *list)
{
    struct buf json = {0};
    struct err e = {0};
    const char *type;
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
    if (labels_read(l, buf_str(&json), &type, &e) < 0)
        die(EXIT_USAGE, "--%s", e.text);
    buf_release(&json);
}

/* ---- defaults ---------------------------------------------------------------- */

struct params params_defaults(const struct options *o, const json_t *generation,
                              struct labels *labels)
{
    struct params p = {.max_tokens = o->max_tokens,
                       .top_k = o->top_k,
                       .seed = o->seed,
                       .temperature = o->temperature,
                       .top_p = o->top_p,
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
    if (o->reasoning_given)
        p.reasoning = CHAT_REASONING_LOW + (enum chat_reasoning)o->reasoning;
    if (o->choices) {
        labels_of_flag(labels, o->choices);
        p.labels = labels;
    }
    return p;
}

/* ---- a record's params -------------------------------------------------------- */

enum kind { INT, REAL, BOOL, REASONING, CHOICES };

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
    {"logprobs", BOOL, offsetof(struct params, logprobs), 0, 0},
    {"prompt_logprobs", BOOL, offsetof(struct params, prompt_logprobs), 0, 0},
    {"reasoning_effort", REASONING, offsetof(struct params, reasoning), 0, 0},
    {"choices", CHOICES, 0, 0, 0},
};

/* Known elsewhere; honoured by doing nothing where they have the value beside them, or null. */
static const struct {
    const char *name, *neutral;
} others[] = {
    {"frequency_penalty", "0"},
    {"presence_penalty", "0"},
    {"repetition_penalty", "1"},
    {"length_penalty", "1"},
    {"min_p", "0"},
    {"min_tokens", "0"},
    {"n", "1"},
    {"best_of", "1"},
    {"num_beams", "1"},
    {"top_logprobs", "0"},
    {"stop", "[]"},
    {"stop_token_ids", "[]"},
    {"bad_words", "[]"},
    {"logit_bias", "{}"},
    {"response_format", "text"},
    {"stream", "false"},
    {"do_sample", ""},
    {"model", ""},
    {"tools", "[]"},
    {"tool_choice", "none"},
    {"guided_choice", "[]"},
    {"guided_regex", ""},
    {"guided_json", ""},
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

static int set(struct params *p, const struct known *k, struct str value, const char **type,
               struct err *e)
{
    char *to = (char *)p + k->offset;
    int64_t i;
    double x;
    enum json_kind kind = json_kind(value);
    *type = "bad_parameter";
    switch (k->kind) {
    case INT:
        if (!json_int(value, &i) || (double)i < k->min || (double)i > k->max)
            return err_set(e, EXIT_DATA, "params.%s must be a whole number from %.15g to %.15g",
                           k->name, k->min, k->max);
        memcpy(to, &i, sizeof i);
        return 0;
    case REAL:
        if (!json_number(value, &x) || x < k->min || x > k->max)
            return err_set(e, EXIT_DATA, "params.%s must be a number from %.15g to %.15g",
                           k->name, k->min, k->max);
        memcpy(to, &x, sizeof x);
        return 0;
    case BOOL:
        if (kind != JSON_TRUE && kind != JSON_FALSE)
            return err_set(e, EXIT_DATA, "params.%s must be true or false", k->name);
        *(bool *)to = kind == JSON_TRUE;
        return 0;
    case REASONING: return set_reasoning(p, value, e);
    case CHOICES: break;
    }
    return 0;
}

static int read_one(struct params *p, struct labels *own, struct str key, struct str value,
                    struct params_told *told, const char **type, struct err *e)
{
    for (size_t i = 0; i < sizeof honoured / sizeof *honoured; i++) {
        if (!json_key_is(key, honoured[i].name))
            continue;
        if (json_kind(value) == JSON_NULL)
            return 0;
        if (honoured[i].kind != CHOICES)
            return set(p, &honoured[i], value, type, e);
        labels_free(own);
        p->labels = own;
        return labels_read(own, value, type, e);
    }
    if (not_honoured(key, value, told))
        return 0;
    *type = "unknown_parameter";
    return err_set(e, EXIT_DATA, "params.%.*s is not known", (int)(key.n > 66 ? 64 : key.n - 2),
                   key.p + 1);
}

int params_read(struct params *p, struct labels *own, struct str json, struct params_told *told,
                const char **type, struct err *e)
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
    return 0;
}
