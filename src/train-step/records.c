/* records.c - the records, read on one rank and given to all. */
#include "train-step/records.h"

#include "base/file.h"
#include "text/mask_show.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int open_wording(struct wording *w, const struct source *s, const struct options *o,
                        const char *date, struct err *e)
{
    const struct chat_options c = {.dir = o->model,
                                   .template_file = o->chat_template,
                                   .args = o->template_args.items,
                                   .n_args = o->template_args.n,
                                   .date = o->date ? o->date : date};
    if (wording_open(w, o->model, &c, s->eos, e) < 0)
        return -1;
    w->vocab = s->vocab;
    w->context = s->context;
    return 0;
}

/* ---- labels ------------------------------------------------------------------------- */

/* "a,b,c" */
static void take_words(struct buf *labels, const char *words)
{
    for (; *words; words += strcspn(words, ",")) {
        words += *words == ',';
        buf_add(labels, words, strcspn(words, ","));
        buf_putc(labels, 0);
    }
}

/* The texts of the first record's params.choices. */
static int take_choices(struct buf *labels, const struct rec *rec)
{
    const struct json_member *m = rec_find(rec, "params");
    struct str list, item;
    if (!m || json_kind(m->value) != JSON_OBJECT || !json_get(m->value, "choices", &list) ||
        json_kind(list) != JSON_ARRAY)
        return 0;
    for (struct json_iter it = json_iter(list); json_next(&it, NULL, &item);) {
        if (json_kind(item) != JSON_STRING) {
            buf_clear(labels);
            return 0;
        }
        json_decode(labels, item);
        buf_putc(labels, 0);
    }
    return 0;
}

static int find_labels(struct buf *labels, const struct options *o, struct err *e)
{
    struct rec rec = {0};
    if (o->choices) {
        take_words(labels, o->choices);
        return 0;
    }
    int fd = file_open_input(o->eval, e);
    if (fd < 0)
        return -1;
    struct rec_reader *in = rec_reader_new(fd, o->eval, (size_t)o->max_record);
    int got = rec_read(in, &rec, e);
    if (got > 0 && !rec.fault)
        got = take_choices(labels, &rec);
    rec_release(&rec);
    rec_reader_free(in);
    if (fd)
        close(fd);
    return got < 0 ? -1 : 0;
}

static struct str *split_labels(const struct buf *labels, size_t *n)
{
    struct str *v = NULL;
    size_t cap = 0;
    *n = 0;
    for (size_t at = 0; at < labels->n; at += v[*n - 1].n + 1) {
        GROW(v, cap, *n + 1);
        v[(*n)++] = str_of(labels->p + at);
    }
    return v;
}

/* ---- reading ------------------------------------------------------------------------- */

static int read_eval(struct records *r, struct wording *w, const struct options *o,
                     struct err *e)
{
    char *path = xstrdup(o->eval), *files[] = {path, NULL};
    size_t n = 0;
    struct str *labels = NULL;
    int rc = find_labels(&r->labels, o, e);
    if (rc == 0)
        labels = split_labels(&r->labels, &n);
    const struct data_options d = {
        .files = files, .max_record = o->max_record, .labels = labels, .n_labels = n};
    if (rc == 0)
        rc = data_read(&r->eval, w, &d, e);
    free(labels);
    free(path);
    return rc;
}

int records_read(struct records *r, const struct source *s, const struct options *o,
                 char **files, const char *date, struct err *e)
{
    struct wording w = {0};
    const struct data_options d = {
        .files = files, .skip_bad = o->skip_bad, .max_record = o->max_record};
    *r = (struct records){0};
    int rc = open_wording(&w, s, o, date, e);
    if (rc == 0)
        rc = data_read(&r->train, &w, &d, e);
    if (rc == 0 && o->eval)
        rc = read_eval(r, &w, o, e);
    if (rc == 0 && w.chat) {
        r->template = chat_hash(w.chat);
        if (chat_uses_date(w.chat))
            snprintf(r->date, sizeof r->date, "%s", chat_date(w.chat));
    }
    wording_close(&w);
    return rc;
}

/* ---- sharing --------------------------------------------------------------------------- */

static int share_data(struct data *d, struct comm *c, struct err *e)
{
    struct data head = *d;
    if (comm_bcast(c, 0, &head, sizeof head, e) < 0)
        return -1;
    size_t rows = head.n_labels ? head.n / head.n_labels : 0;
    if (c->rank) {
        head.tokens = xmalloc_n(head.n_tokens + 1, sizeof *head.tokens);
        head.v = xmalloc_n(head.n + 1, sizeof *head.v);
        head.right = xmalloc_n(rows + 1, sizeof *head.right);
        *d = head;
    }
    if (comm_bcast(c, 0, d->tokens, (int64_t)(d->n_tokens * sizeof *d->tokens), e) < 0 ||
        comm_bcast(c, 0, d->v, (int64_t)(d->n * sizeof *d->v), e) < 0)
        return -1;
    return comm_bcast(c, 0, d->right, (int64_t)(rows * sizeof *d->right), e);
}

int records_share(struct records *r, struct comm *c, struct err *e)
{
    if (share_data(&r->train, c, e) < 0 || share_data(&r->eval, c, e) < 0)
        return -1;
    return 0;
}

void records_release(struct records *r)
{
    data_release(&r->train);
    data_release(&r->eval);
    buf_release(&r->labels);
}

/* ---- showing ----------------------------------------------------------------------------- */

int records_show(const struct source *s, const struct options *o, char **files, struct err *e)
{
    struct wording w = {0};
    struct data d = {0};
    struct mask m = {0};
    struct buf b = {0};
    struct out out;
    bool colour;
    const struct data_options from = {
        .files = files, .skip_bad = o->skip_bad, .max_record = o->max_record};
    out_open(&out, 1, "<stdout>");
    int rc = open_wording(&w, s, o, NULL, e);
    if (rc == 0)
        rc = data_read(&d, &w, &from, e);
    bool eyes = show_is_terminal(&colour);
    for (size_t i = 0; i < d.n && rc == 0; i++) {
        m.tokens.n = 0;
        for (int32_t k = 0; k < d.v[i].n; k++)
            ids_add(&m.tokens, 0);
        GROW(m.loss, m.cap, m.tokens.n);
        data_get(&d, i, m.tokens.v, m.loss);
        buf_clear(&b);
        if (eyes) {
            show_text(&b, &m, w.tokenizer, w.work, colour, *files ? *files : "<stdin>",
                      d.v[i].line);
        } else {
            buf_printf(&b, "{\"line\":%llu,\"mask\":", (unsigned long long)d.v[i].line);
            show_json(&b, &m);
            buf_puts(&b, "}\n");
        }
        rc = out_write(&out, b.p, b.n, e);
    }
    if (rc == 0)
        rc = out_flush(&out, e);
    wording_close(&w);
    data_release(&d);
    mask_release(&m);
    buf_release(&b);
    buf_release(&out.buf);
    return rc;
}
