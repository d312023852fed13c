/* tokenizer.c - loading tokenizer.json, and the way of a text through its parts. */
#include "text/tokenizer.h"

#include "text/tok.h"

#include "base/file.h"
#include "rec/json.h"

#include <stdlib.h>

enum { FILE_MAX = 1 << 28, JIT_STACK_MIN = 1 << 15, JIT_STACK_MAX = 1 << 28 };

/* ---- lists of ids ------------------------------------------------------------ */

void ids_add(struct ids *l, int32_t id)
{
    GROW(l->v, l->cap, l->n + 1);
    l->v[l->n++] = id;
}

void ids_append(struct ids *l, const int32_t *v, size_t n)
{
    if (n == 0)
        return;
    GROW(l->v, l->cap, l->n + n);
    memcpy(l->v + l->n, v, n * sizeof *v);
    l->n += n;
}

void ids_release(struct ids *l)
{
    free(l->v);
    *l = (struct ids){0};
}

/* ---- loading ------------------------------------------------------------------ */

static struct str top_member(const struct json_members *top, const char *name)
{
    for (size_t i = top->n; i-- > 0;)
        if (json_key_is(top->v[i].key, name))
            return top->v[i].value;
    return (struct str){NULL, 0};
}

/* Truncation and padding are left alone: they are set by the caller of the reference, too. */
static int parse_parts(struct tokenizer *t, const struct json_members *top, struct err *e)
{
    static const struct {
        const char *name;
        int (*parse)(struct tokenizer *, struct str, struct err *);
    } parts[] = {
        {"model", tok_parse_model},        {"normalizer", tok_parse_normalizer},
        {"added_tokens", tok_parse_added}, /* normalizes them */
        {"pre_tokenizer", tok_parse_pre},  {"post_processor", tok_parse_post}, /* names ids */
        {"decoder", tok_parse_decoder}};
    struct str version = top_member(top, "version");
    if (version.n && !str_eq(version, STR("\"1.0\"")))
        return err_set(e, EXIT_CONFIG, "\"version\" must be \"1.0\"");
    if (top_member(top, "model").n == 0)
        return err_set(e, EXIT_CONFIG, "\"model\" is missing");
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (parts[i].parse(t, top_member(top, parts[i].name), e) < 0)
            return err_prefix(e, "%s", parts[i].name);
    if (t->n_pres && t->pres[t->n_pres - 1].kind == PRE_BYTES) {
        t->n_pres--; /* done piece by piece, behind the cache */
        t->bytes = true;
    }
    return 0;
}

static int parse_file(struct tokenizer *t, struct err *e)
{
    struct json_members top = {0};
    struct json_fault fault;
    int rc;
    if (json_check(t->file.p, t->file.n, &top, &fault) < 0)
        rc = err_set(e, EXIT_CONFIG, "%s at byte %zu", fault.what, fault.at);
    else if (top.n == 0)
        rc = err_set(e, EXIT_CONFIG, "an object with a \"model\" is needed");
    else
        rc = parse_parts(t, &top, e);
    free(top.v);
    return rc;
}

struct tokenizer *tokenizer_load(const char *dir, struct err *e)
{
    struct tokenizer *t = xcalloc(1, sizeof *t);
    char *path = xasprintf("%s/tokenizer.json", dir);
    int rc = file_read_document(&t->file, path, FILE_MAX, e);
    if (rc == 0 && (rc = parse_file(t, e)) < 0)
        err_prefix(e, "%s", path);
    free(path);
    if (rc == 0)
        return t;
    tokenizer_free(t);
    return NULL;
}

void tokenizer_free(struct tokenizer *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->n_norms; i++)
        tok_pattern_release(&t->norms[i].pattern);
    for (size_t i = 0; i < t->n_pres; i++)
        tok_pattern_release(&t->pres[i].pattern);
    for (size_t i = 0; i < t->n_decs; i++)
        tok_pattern_release(&t->decs[i].pattern);
    free(t->raw.nodes);
    free(t->normalized.nodes);
    free(t->added);
    free(t->bpe.merges);
    free(t->slots);
    free(t->tokens);
    tok_arena_release(&t->arena);
    buf_release(&t->file);
    free(t);
}

struct tokenizer_work *tokenizer_work_new(const struct tokenizer *t)
{
    (void)t;
    struct tokenizer_work *w = xcalloc(1, sizeof *w);
    w->match = pcre2_match_data_create(1, NULL);
    w->match_context = pcre2_match_context_create(NULL);
    w->jit_stack = pcre2_jit_stack_create(JIT_STACK_MIN, JIT_STACK_MAX, NULL);
    uint32_t jit = 0;
    pcre2_config(PCRE2_CONFIG_JIT, &jit);
    if (!w->match || !w->match_context || (jit && !w->jit_stack))
        die(EXIT_OS, "out of memory");
    pcre2_jit_stack_assign(w->match_context, NULL, w->jit_stack);
    pcre2_set_match_limit(w->match_context, TOK_MATCH_LIMIT);
    w->cache = xcalloc(BPE_CACHE, sizeof *w->cache);
    return w;
}

void tokenizer_work_free(struct tokenizer_work *w)
{
    if (!w)
        return;
    pcre2_match_data_free(w->match);
    pcre2_match_context_free(w->match_context);
    pcre2_jit_stack_free(w->jit_stack);
    struct buf *bufs[] = {&w->norm,  &w->norm_other, &w->pre,      &w->pre_other,
                          &w->chars, &w->dec,        &w->dec_other};
    for (size_t i = 0; i < sizeof bufs / sizeof *bufs; i++)
        buf_release(bufs[i]);
    tok_kept_forget(w);
    free(w->pieces.v);
    free(w->pieces_other.v);
    free(w->spans);
    free(w->u32);
    free(w->u32_other);
    free(w->symbols);
    free(w->heap);
    free(w->cache);
    free(w->ends);
    free(w->ends_other);
    free(w);
}

/* ---- encoding ------------------------------------------------------------------ */

/* Text without added tokens, normalized already. */
static int encode_pieces(const struct tokenizer *t, struct tokenizer_work *w, struct str text,
                         bool first, struct ids *out, struct err *e)
{
    if (tok_pre_tokenize(t, w, &text, first, e) < 0)
        return -1;
    for (size_t i = 0; i < w->pieces.n; i++) {
        struct str piece = {text.p + w->pieces.v[i].at, w->pieces.v[i].n};
        if (tok_bpe_encode(t, w, piece, out, e) < 0)
            return -1;
    }
    return 0;
}

/* Text between added tokens that are looked for before normalizing. */
static int encode_raw(const struct tokenizer *t, struct tokenizer_work *w, struct str text,
                      bool first, struct ids *out, struct err *e)
{
    struct str part;
    int32_t added;
    if (tok_normalize(t, w, &text, &first, e) < 0)
        return -1;
    struct added_iter it = added_iter(&t->normalized, text);
    while (added_next(&it, t, &part, &added))
        if (added >= 0)
            ids_add(out, t->added[added].id);
        else if (encode_pieces(t, w, part, first && part.p == text.p, out, e) < 0)
            return -1;
    return 0;
}

int tokenizer_encode(const struct tokenizer *t, struct tokenizer_work *w, struct str text,
                     bool special, struct ids *out, struct err *e)
{
    struct str part;
    int32_t added;
    if (!utf8_check(text.p, text.n))
        return err_set(e, EXIT_DATA, "the text is not UTF-8");
    w->cpu_since = 0;
    if (special)
        ids_append(out, t->before, t->n_before);
    size_t first = out->n;
    struct added_iter it = added_iter(&t->raw, text);
    tok_kept_find(w, &it, out);
    while (added_next(&it, t, &part, &added))
        if (added >= 0) {
            ids_add(out, t->added[added].id);
            tok_kept_bound(w, &it, out->n - first);
        } else if (encode_raw(t, w, part, part.p == text.p, out, e) < 0) {
            return -1;
        }
    if (out->n > first)
        tok_kept_store(w, text, out->v + first);
    if (special)
        ids_append(out, t->after, t->n_after);
    return 0;
}

/* ---- looking -------------------------------------------------------------------- */

int32_t tokenizer_id(const struct tokenizer *t, struct str token)
{
    return tok_find_any(t, token);
}

struct str tokenizer_token(const struct tokenizer *t, int32_t id)
{
    if (id < 0 || (size_t)id >= t->n_tokens)
        return (struct str){NULL, 0};
    return t->tokens[id].text;
}

bool tokenizer_is_special(const struct tokenizer *t, int32_t id)
{
    return id >= 0 && (size_t)id < t->n_tokens && t->tokens[id].special;
}

bool tokenizer_is_added(const struct tokenizer *t, int32_t id)
{
    return id >= 0 && (size_t)id < t->n_tokens && t->tokens[id].added;
}

int32_t tokenizer_size(const struct tokenizer *t)
{
    return (int32_t)t->n_tokens;
}

int32_t tokenizer_bos(const struct tokenizer *t)
{
    return t->n_before ? t->before[0] : -1;
}
