/* tok_added.c - added tokens: reading them, and finding them in text. */
#include "text/tok.h"

#include "rec/json.h"

/* ---- the trie --------------------------------------------------------------- */

static uint32_t trie_step(const struct tok_trie *tr, uint32_t at, unsigned char byte)
{
    if (at == 0)
        return tr->root[byte];
    for (at = tr->nodes[at].child; at && tr->nodes[at].byte != byte;)
        at = tr->nodes[at].sibling;
    return at;
}

/* Adds added[index].  Of two with the same bytes the later one counts; the reference draws
 * lots. */
static void trie_add(struct tok_trie *tr, const struct tok_added *added, int32_t index)
{
    struct str s = added[index].shown;
    uint32_t at = 0;
    if (tr->n == 0)
        tr->n = 1;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char byte = (unsigned char)s.p[i];
        uint32_t next = trie_step(tr, at, byte);
        if (!next) {
            GROW(tr->nodes, tr->cap, tr->n + 1);
            next = (uint32_t)tr->n++;
            tr->nodes[next] = (struct trie_node){.added = -1, .byte = byte};
            if (at == 0) {
                tr->root[byte] = next;
            } else {
                tr->nodes[next].sibling = tr->nodes[at].child;
                tr->nodes[at].child = next;
            }
        }
        at = next;
    }
    tr->nodes[at].added = index;
}

/* The longest added token that begins at or after `from`, at the leftmost place where one does.
 * *looked is raised to behind the last byte that this depends on. */
static int32_t trie_search(const struct tok_trie *tr, struct str s, size_t from, size_t *start,
                           size_t *end, size_t *looked)
{
    for (size_t i = from; i < s.n; i++) {
        uint32_t at = tr->root[(unsigned char)s.p[i]];
        int32_t found = -1;
        size_t k = i + 1;
        for (; at; k++) {
            if (tr->nodes[at].added >= 0) {
                found = tr->nodes[at].added;
                *end = k;
            }
            at = k < s.n ? trie_step(tr, at, (unsigned char)s.p[k]) : 0;
        }
        if (k > *looked)
            *looked = k;
        if (found >= 0) {
            *start = i;
            return found;
        }
    }
    return -1;
}

/* ---- finding ---------------------------------------------------------------- */

struct added_iter added_iter(const struct tok_trie *trie, struct str text)
{
    return (struct added_iter){.trie = trie, .text = text, .held = -1};
}

/* True if the token at [start, end) does not touch a word on either side. */
static bool stands_alone(struct str s, size_t start, size_t end)
{
    uint32_t c;
    if (start > 0) {
        tok_last_char(s.p, start, &c);
        if (tok_is_word(c))
            return false;
    }
    if (end == s.n)
        return true;
    tok_char(s.p + end, &c);
    return !tok_is_word(c);
}

/* Takes in the blanks beside the token that its flags ask for; those before `taken` are an
 * earlier token's.  False where that leaves nothing: the token was blanks itself. */
static bool widen(const struct tok_added *a, struct str s, size_t taken, size_t *start,
                  size_t *end)
{
    uint32_t c;
    while (a->lstrip && *start > taken) {
        size_t n = tok_last_char(s.p, *start, &c);
        if (!tok_is_space(c))
            break;
        *start -= n;
    }
    if (a->lstrip && *start < taken)
        *start = taken;
    while (a->rstrip && *end < s.n) {
        size_t n = tok_char(s.p + *end, &c);
        if (!tok_is_space(c))
            break;
        *end += n;
    }
    return *start < *end;
}

/* The character at `at`, or that there is none, has decided something. */
static void look_behind(struct added_iter *it, size_t at)
{
    uint32_t c;
    at += at < it->text.n ? tok_char(it->text.p + at, &c) : 1;
    if (at > it->looked)
        it->looked = at;
}

bool added_next(struct added_iter *it, const struct tokenizer *t, struct str *part,
                int32_t *added)
{
    while (it->held < 0) {
        size_t start, end;
        int32_t k = it->trie->n
                        ? trie_search(it->trie, it->text, it->search, &start, &end, &it->looked)
                        : -1;
        if (k < 0) { /* what is left */
            if (it->pos >= it->text.n)
                return false;
            *part = (struct str){it->text.p + it->pos, it->text.n - it->pos};
            *added = -1;
            it->pos = it->search = it->text.n;
            return true;
        }
        it->search = end; /* matches never overlap; what blanks it takes does not matter here */
        const struct tok_added *a = &t->added[k];
        bool taken = !a->single_word || stands_alone(it->text, start, end);
        if (taken)
            taken = widen(a, it->text, it->pos, &start, &end);
        if (a->single_word || a->rstrip)
            look_behind(it, end);
        if (!taken)
            continue;
        it->held = k;
        it->held_start = start;
        it->held_end = end;
    }
    if (it->pos < it->held_start) {
        *part = (struct str){it->text.p + it->pos, it->held_start - it->pos};
        *added = -1;
        it->pos = it->held_start;
        return true;
    }
    *part = (struct str){it->text.p + it->held_start, it->held_end - it->held_start};
    *added = it->held;
    it->pos = it->held_end;
    it->held = -1;
    return true;
}

/* ---- reading ---------------------------------------------------------------- */

/* The form in which a normalized token stands in normalized text. */
static int normalized_form(struct tokenizer *t, struct tokenizer_work *w, struct tok_added *a,
                           struct err *e)
{
    struct str s = a->content;
    bool first = true;
    a->shown = s;
    if (!a->normalized)
        return 0;
    if (tok_normalize(t, w, &s, &first, e) < 0)
        return -1;
    if (str_eq(s, a->content))
        return 0;
    char *p = tok_alloc(&t->arena, s.n);
    if (s.n)
        memcpy(p, s.p, s.n);
    a->shown = (struct str){p, s.n};
    return 0;
}

/* The id is the model's where it knows the token, else the next free one behind the model's,
 * whatever the file says: the reference does so too. */
static int add_token(struct tokenizer *t, struct tok_added a, struct err *e)
{
    a.id = tok_find_any(t, a.content);
    if (a.id < 0) {
        if (tok_put(t, (int64_t)t->next_added, a.content, e) < 0)
            return -1;
        a.id = (int32_t)t->next_added++;
    }
    uint32_t had = t->tokens[a.id].added;
    if (had) { /* the later one counts */
        a.special |= t->added[had - 1].special;
        t->added[had - 1] = a;
        return 0;
    }
    GROW(t->added, t->cap_added, t->n_added + 1);
    t->added[t->n_added++] = a;
    t->tokens[a.id].added = (uint32_t)t->n_added;
    return 0;
}

static int parse_one(struct tokenizer *t, struct str json, struct err *e)
{
    struct tok_added a = {0};
    int64_t id;
    if (tok_get_int(json, "id", UINT32_MAX, &id, e) < 0 ||
        tok_get_text(&t->arena, json, "content", &a.content, e) < 0 ||
        tok_get_bool(json, "single_word", TOK_REQUIRED, &a.single_word, e) < 0 ||
        tok_get_bool(json, "lstrip", TOK_REQUIRED, &a.lstrip, e) < 0 ||
        tok_get_bool(json, "rstrip", TOK_REQUIRED, &a.rstrip, e) < 0 ||
        tok_get_bool(json, "normalized", TOK_REQUIRED, &a.normalized, e) < 0 ||
        tok_get_bool(json, "special", TOK_REQUIRED, &a.special, e) < 0)
        return -1;
    if (a.content.n > TOK_ADDED_MAX)
        return err_set(e, EXIT_CONFIG, "content of more than %d bytes", TOK_ADDED_MAX);
    return a.content.n ? add_token(t, a, e) : 0;
}

/* Decoding leaves out what has the content of a special token, which is not always the special
 * token itself: of a normalized one only the normalized form is looked at. */
static void mark_special(struct tokenizer *t)
{
    for (size_t i = 0; i < t->n_added; i++)
        t->tokens[t->added[i].id].special = t->added[i].special;
    for (size_t i = 0; i < t->n_added; i++) {
        const struct tok_added *a = &t->added[i];
        int32_t same = tok_find_any(t, a->shown);
        t->tokens[a->id].shown = a->shown;
        t->tokens[a->id].skip = same >= 0 && t->tokens[same].special;
    }
}

int tok_parse_added(struct tokenizer *t, struct str json, struct err *e)
{
    t->next_added = t->n_model;
    if (json.n == 0)
        return 0;
    struct json_iter it = json_iter(json);
    struct str item;
    if (json_kind(json) != JSON_ARRAY)
        return err_set(e, EXIT_CONFIG, "an array is needed");
    for (size_t i = 0; json_next(&it, NULL, &item); i++)
        if (parse_one(t, item, e) < 0)
            return err_prefix(e, "[%zu]", i);
    struct tokenizer_work *w = tokenizer_work_new(t);
    int rc = 0;
    for (size_t i = 0; i < t->n_added && rc == 0; i++) {
        struct tok_added *a = &t->added[i];
        rc = normalized_form(t, w, a, e);
        if (rc == 0 && a->shown.n == 0)
            rc = err_set(e, EXIT_CONFIG, "\"%.*s\" is empty when normalized",
                         (int)(a->content.n < 80 ? a->content.n : 80), a->content.p);
        else if (rc == 0)
            trie_add(a->normalized ? &t->normalized : &t->raw, t->added, (int32_t)i);
    }
    tokenizer_work_free(w);
    mark_special(t);
    return rc;
}
