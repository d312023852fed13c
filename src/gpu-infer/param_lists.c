/* param_lists.c - parameters that are lists: labels, texts and ids that end an answer, biases,
 * and the shape of an answer.
 */
#include "gpu-infer/params.h"

#include "infer/sample.h"
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

static int bad(struct err *e, const char *what)
{
    return err_set(e, EXIT_DATA, "%s", what);
}

static int label_read(struct label *l, struct str json, struct err *e)
{
    buf_addstr(&l->json, json);
    l->is_text = json_kind(json) == JSON_STRING;
    if (l->is_text) {
        if (!json_decode(&l->text, json))
            return bad(e, "choices: a label is no Unicode text");
        return 0;
    }
    if (json_kind(json) != JSON_ARRAY)
        return bad(e, "choices: must be texts or arrays of token ids");
    struct json_iter it = json_iter(json);
    struct str item;
    while (json_next(&it, NULL, &item)) {
        int64_t id;
        if (!json_int(item, &id) || id < 0 || id > INT32_MAX)
            return bad(e, "choices: a token id must be a whole number >= 0");
        ids_add(&l->ids, (int32_t)id);
    }
    return l->ids.n ? 0 : bad(e, "choices: an array of token ids is empty");
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
int labels_read(struct labels *l, struct str json, struct err *e)
{
    size_t cap = 0;
    if (json_kind(json) != JSON_ARRAY)
        return bad(e, "choices: must be an array");
    struct json_iter it = json_iter(json);
    struct str item;
    while (json_next(&it, NULL, &item)) {
        if (l->n == LABELS_MAX)
            return bad(e, "choices: more than 4096 labels");
        GROW(l->v, cap, l->n + 1);
        l->v[l->n] = (struct label){0};
        if (label_read(&l->v[l->n++], item, e) < 0)
            return -1;
        for (size_t i = 0; i + 1 < l->n; i++)
            if (same_label(&l->v[i], &l->v[l->n - 1]))
                return bad(e, "choices: a label is there twice");
    }
    for (size_t i = 1; i < l->n; i++)
        if (l->v[i].is_text != l->v[0].is_text)
            return bad(e, "choices: either all are texts or all are arrays of token ids");
    return l->n ? 0 : bad(e, "choices: must name a label");
}

/* ---- what ends an answer ---------------------------------------------------------- */

static void texts_free(struct texts *t)
{
    for (size_t i = 0; i < t->n; i++)
        buf_release(&t->v[i]);
    free(t->v);
    *t = (struct texts){0};
}

static int add_text(struct texts *t, struct str json, struct err *e)
{
    struct buf text = {0};
    if (json_kind(json) != JSON_STRING || !json_decode(&text, json) || !text.n ||
        t->n == STOPS_MAX) {
        buf_release(&text);
        return err_set(e, EXIT_DATA,
                       "params.stop must be a text or up to %d of them, not empty", STOPS_MAX);
    }
    GROW(t->v, t->cap, t->n + 1);
    t->v[t->n++] = text;
    return 0;
}

int texts_read(struct texts *t, struct str json, struct err *e)
{
    struct str item;
    texts_free(t);
    if (json_kind(json) != JSON_ARRAY)
        return add_text(t, json, e);
    struct json_iter it = json_iter(json);
    while (json_next(&it, NULL, &item))
        if (add_text(t, item, e) < 0)
            return -1;
    return 0;
}

int stop_ids_read(struct ids *ids, struct str json, struct err *e)
{
    struct str item;
    int64_t id;
    ids->n = 0;
    if (json_kind(json) != JSON_ARRAY)
        return err_set(e, EXIT_DATA, "params.stop_token_ids must be an array of token ids");
    struct json_iter it = json_iter(json);
    while (json_next(&it, NULL, &item)) {
        if (!json_int(item, &id) || id < 0 || id > INT32_MAX)
            return err_set(e, EXIT_DATA, "params.stop_token_ids must be an array of token ids");
        ids_add(ids, (int32_t)id);
    }
    return 0;
}

/* ---- biases -------------------------------------------------------------------------- */

int biases_read(struct biases *b, struct str json, struct err *e)
{
    static const char what[] =
        "params.logit_bias must be an object of token ids and numbers from -100 to 100";
    struct str key, value;
    int64_t id;
    double bias;
    b->n = 0;
    if (json_kind(json) != JSON_OBJECT)
        return bad(e, what);
    struct json_iter it = json_iter(json);
    while (json_next(&it, &key, &value)) {
        struct str digits = {key.p + 1, key.n - 2};
        if (!json_int(digits, &id) || id < 0 || id > INT32_MAX || !json_number(value, &bias) ||
            bias < -100 || bias > 100)
            return bad(e, what);
        GROW(b->v, b->cap, b->n + 1);
        b->v[b->n++] = (struct sample_bias){(int32_t)id, (float)bias};
    }
    return 0;
}

/* ---- shapes --------------------------------------------------------------------------- */

int shape_read(struct shape *s, int kind, struct str json, struct err *e)
{
    struct str item;
    buf_clear(&s->text);
    s->kind = kind;
    switch (kind) {
    case SHAPE_REGEX:
        if (json_kind(json) != JSON_STRING || !json_decode(&s->text, json))
            return bad(e, "params.regex must be a text");
        return 0;
    case SHAPE_CHOICES: {
        size_t n = 0;
        if (json_kind(json) == JSON_ARRAY) {
            struct json_iter it = json_iter(json);
            while (json_next(&it, NULL, &item) && json_kind(item) == JSON_STRING)
                n++;
        }
        if (!n || json_kind(item) != JSON_STRING)
            return bad(e, "params.guided_choice must be an array of texts");
        break;
    }
    case SHAPE_SCHEMA:
        if (json_kind(json) == JSON_STRING) { /* the schema as a text */
            struct json_fault fault;
            if (!json_decode(&s->text, json) ||
                json_check(s->text.p, s->text.n, NULL, &fault) < 0)
                return bad(e, "params.guided_json must be a schema");
            return 0;
        }
        break;
    default: return 0;
    }
    buf_addstr(&s->text, json);
    return 0;
}

int shape_read_format(struct shape *s, struct str json, struct err *e)
{
    struct str type = json, inner, schema;
    bool object = json_kind(json) == JSON_OBJECT;
    buf_clear(&s->text);
    s->kind = SHAPE_FREE;
    if (object && !json_get(json, "type", &type))
        return bad(e, "params.response_format must have a type");
    if (json_kind(type) != JSON_STRING)
        return bad(e, "params.response_format must be an object with a type");
    if (json_key_is(type, "text"))
        return 0;
    if (json_key_is(type, "json_object"))
        return shape_read(s, SHAPE_OBJECT, json, e);
    if (!json_key_is(type, "json_schema"))
        return bad(e,
                   "params.response_format: the type must be text, json_object or json_schema");
    if (!object || !json_get(json, "json_schema", &inner) || json_kind(inner) != JSON_OBJECT ||
        !json_get(inner, "schema", &schema))
        return bad(e, "params.response_format must have json_schema.schema");
    return shape_read(s, SHAPE_SCHEMA, schema, e);
}

void param_lists_free(struct param_lists *l)
{
    labels_free(&l->labels);
    texts_free(&l->stop);
    ids_release(&l->stop_ids);
    free(l->bias.v);
    buf_release(&l->shape.text);
    *l = (struct param_lists){0};
}
