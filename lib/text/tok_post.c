/* tok_post.c - reading the post-processor: the ids before and after a text. */
#include "text/tok.h"

#include "rec/json.h"

static int add_ids(int32_t *to, size_t *n, const int32_t *ids, size_t more, struct err *e)
{
    if (*n + more > TOK_SPECIALS_MAX)
        return err_set(e, EXIT_CONFIG, "more than %d special tokens", TOK_SPECIALS_MAX);
    if (more)
        memcpy(to + *n, ids, more * sizeof *ids);
    *n += more;
    return 0;
}

/* A second one in a sequence would wrap every part that the first has put there. */
static int set_ids(struct tokenizer *t, const int32_t *before, size_t n_before,
                   const int32_t *after, size_t n_after, struct err *e)
{
    if (t->n_before || t->n_after)
        return err_set(e, EXIT_CONFIG, "two steps that add tokens are not supported");
    if (add_ids(t->before, &t->n_before, before, n_before, e) < 0)
        return -1;
    return add_ids(t->after, &t->n_after, after, n_after, e);
}

static int check_id(const struct tokenizer *t, struct str value, int32_t *id, struct err *e)
{
    int64_t v;
    if (json_kind(value) != JSON_NUMBER || !json_int(value, &v) || v < 0 ||
        (size_t)v >= t->n_tokens || !t->tokens[v].used)
        return err_set(e, EXIT_CONFIG, "%.*s is no token's id",
                       (int)(value.n < 40 ? value.n : 40), value.p);
    *id = (int32_t)v;
    return 0;
}

/* The ids of special_tokens[name]. */
static int special_ids(struct tokenizer *t, struct str specials, struct str name, int32_t *to,
                       size_t *n, struct err *e)
{
    struct json_iter it = json_iter(specials);
    struct str key, value, text, list, item, found = {0};
    while (json_next(&it, &key, &value)) {
        if (tok_text(&t->arena, key, &text, e) < 0)
            return -1;
        if (str_eq(text, name))
            found = value;
    }
    if (found.n == 0)
        return err_set(e, EXIT_CONFIG, "\"%.*s\" is not in special_tokens",
                       (int)(name.n < 80 ? name.n : 80), name.p);
    if (json_kind(found) != JSON_OBJECT)
        return err_set(e, EXIT_CONFIG, "special_tokens must hold objects");
    if (tok_get_array(found, "ids", &list, e) < 0)
        return -1;
    it = json_iter(list);
    while (json_next(&it, NULL, &item)) {
        int32_t id;
        if (check_id(t, item, &id, e) < 0 || add_ids(to, n, &id, 1, e) < 0)
            return -1;
    }
    return 0;
}

static int parse_template(struct tokenizer *t, struct str json, struct err *e)
{
    int32_t ids[2][TOK_SPECIALS_MAX];
    size_t n[2] = {0, 0};
    int side = 0;
    struct str single, specials, piece, o, id;
    if (tok_get_array(json, "single", &single, e) < 0 ||
        tok_get_object(json, "special_tokens", &specials, e) < 0)
        return -1;
    struct json_iter it = json_iter(single);
    while (json_next(&it, NULL, &piece)) {
        bool text = tok_member(piece, "Sequence").n != 0;
        if (tok_get_object(piece, text ? "Sequence" : "SpecialToken", &o, e) < 0 ||
            tok_get_text(&t->arena, o, "id", &id, e) < 0)
            return -1;
        if (text) {
            if (!str_is(id, "A") || side++)
                return err_set(e, EXIT_CONFIG, "\"single\" must have sequence A once");
        } else if (special_ids(t, specials, id, ids[side], &n[side], e) < 0) {
            return -1;
        }
    }
    if (side == 0)
        return err_set(e, EXIT_CONFIG, "\"single\" must have sequence A once");
    return set_ids(t, ids[0], n[0], ids[1], n[1], e);
}

/* RobertaProcessing and BertProcessing: ["<s>", 0] before and ["</s>", 2] after. */
static int parse_pair(const struct tokenizer *t, struct str json, const char *name, int32_t *id,
                      struct err *e)
{
    struct str list, token, value = {0};
    if (tok_get_array(json, name, &list, e) < 0)
        return -1;
    struct json_iter it = json_iter(list);
    if (!json_next(&it, NULL, &token) || !json_next(&it, NULL, &value))
        return err_set(e, EXIT_CONFIG, "\"%s\" must be [TOKEN, ID]", name);
    return check_id(t, value, id, e) < 0 ? err_prefix(e, "\"%s\"", name) : 0;
}

int tok_parse_post(struct tokenizer *t, struct str json, struct err *e)
{
    struct str type;
    int32_t cls, sep;
    if (json.n == 0 || json_kind(json) == JSON_NULL)
        return 0;
    if (tok_get_type(&t->arena, json, &type, e) < 0)
        return -1;
    if (str_is(type, "Sequence"))
        return tok_parse_each(t, json, "processors", tok_parse_post, e);
    if (str_is(type, "ByteLevel"))
        return 0; /* moves offsets, which nobody asks for */
    if (str_is(type, "TemplateProcessing"))
        return parse_template(t, json, e);
    if (str_is(type, "RobertaProcessing") || str_is(type, "BertProcessing")) {
        if (parse_pair(t, json, "cls", &cls, e) < 0 || parse_pair(t, json, "sep", &sep, e) < 0)
            return -1;
        return set_ids(t, &cls, 1, &sep, 1, e);
    }
    return err_set(e, EXIT_CONFIG, "type %.*s is not supported",
                   (int)(type.n < 40 ? type.n : 40), type.p);
}
