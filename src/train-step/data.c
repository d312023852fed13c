/* data.c - all records of a training or evaluation as tokens, the same on every rank. */
#include "train-step/data.h"

#include "base/hash.h"
#include "base/outfile.h"

#include <stdlib.h>
#include <unistd.h>

struct reading {
    struct data *d;
    struct wording *w;
    const struct data_options *o;
    struct outfile bad; /* with skip_bad */
    struct mask mask;
    struct buf line, answer;
};

void data_add(struct data *d, const struct mask *m, uint64_t line)
{
    struct example x = {.first = d->n_tokens, .n = (int32_t)m->tokens.n, .line = line};
    GROW(d->tokens, d->cap_tokens, d->n_tokens + m->tokens.n);
    for (size_t i = 0; i < m->tokens.n; i++) {
        x.targets += m->loss[i];
        d->tokens[d->n_tokens++] = m->tokens.v[i] | (m->loss[i] ? DATA_LOSS : 0);
    }
    GROW(d->v, d->cap, d->n + 1);
    d->v[d->n++] = x;
    d->targets += x.targets;
}

/* ---- one record ---------------------------------------------------------------- */

/* The record once with each label; which of them is right must be one of them. */
static int take_labels(struct reading *r, const struct rec *rec, const char **type,
                       struct err *e)
{
    const struct data_options *o = r->o;
    struct data *d = r->d;
    size_t right = o->n_labels, before = d->n, tokens = d->n_tokens;
    int64_t targets = d->targets;
    if (wording_answer(rec, &r->answer))
        for (right = 0; right < o->n_labels; right++)
            if (str_eq(o->labels[right], buf_str(&r->answer)))
                break;
    *type = "bad_field";
    if (right == o->n_labels)
        return err_set(e, EXIT_DATA, "the answer is none of the labels");
    for (size_t i = 0; i < o->n_labels; i++) {
        if (wording_read(r->w, rec, &o->labels[i], &r->mask, type, e) < 0) {
            d->n = before;
            d->n_tokens = tokens;
            d->targets = targets;
            return -1;
        }
        data_add(d, &r->mask, rec->number);
    }
    GROW(d->right, d->cap_right, before / o->n_labels + 1);
    d->right[before / o->n_labels] = (int32_t)right;
    return 0;
}

static int take(struct reading *r, const struct rec *rec, const char **type, struct err *e)
{
    if (r->o->n_labels)
        return take_labels(r, rec, type, e);
    if (wording_read(r->w, rec, NULL, &r->mask, type, e) < 0)
        return -1;
    data_add(r->d, &r->mask, rec->number);
    return 0;
}

/* Error records of an earlier stage cannot be learned either. */
static int take_record(struct reading *r, const struct rec *rec, struct err *e)
{
    const char *type = NULL;
    struct err why = {0};
    bool earlier = !rec->fault && rec_is_error(rec);
    if (!rec->fault && !earlier && take(r, rec, &type, &why) == 0)
        return 0;
    if (!r->o->skip_bad) {
        if (rec->fault)
            return err_set(e, EXIT_DATA, "%s; --skip-bad FILE goes on without", rec->message);
        return err_set(e, EXIT_DATA, "%s:%llu: %s; --skip-bad FILE goes on without", rec->file,
                       (unsigned long long)rec->number,
                       earlier ? "an error record of an earlier stage" : why.text);
    }
    r->d->skipped++;
    if (earlier) {
        buf_clear(&r->line);
        buf_addstr(&r->line, rec->line);
        buf_putc(&r->line, '\n');
    } else {
        rec_fail(&r->line, rec, tool_name, type, why.text);
    }
    return out_write(&r->bad.out, r->line.p, r->line.n, e);
}

/* ---- all records --------------------------------------------------------------- */

static int read_file(struct reading *r, const char *path, struct err *e)
{
    struct rec rec = {0};
    int fd = file_open_input(path, e), got;
    if (fd < 0)
        return -1;
    struct rec_reader *in = rec_reader_new(fd, file_label(path), (size_t)r->o->max_record);
    while ((got = rec_read(in, &rec, e)) > 0)
        if (take_record(r, &rec, e) < 0) {
            got = -1;
            break;
        }
    rec_release(&rec);
    rec_reader_free(in);
    if (fd)
        close(fd);
    return got;
}

int data_read(struct data *d, struct wording *w, const struct data_options *o, struct err *e)
{
    char dash[] = "-", *standard_input[] = {dash, NULL};
    struct reading r = {.d = d, .w = w, .o = o};
    int rc = 0;
    *d = (struct data){.n_labels = o->n_labels};
    if (o->skip_bad && outfile_open(&r.bad, o->skip_bad, e) < 0)
        return -1;
    for (char **f = o->files && *o->files ? o->files : standard_input; *f && rc == 0; f++)
        rc = read_file(&r, *f, e);
    if (o->skip_bad) {
        struct err close = {0};
        if (outfile_commit(&r.bad, &close) < 0 && rc == 0) {
            *e = close;
            rc = -1;
        }
    }
    if (rc == 0 && !d->n)
        rc = err_set(e, EXIT_DATA, "%s: no record to learn from",
                     o->files && *o->files ? file_label(*o->files) : "<stdin>");
    mask_release(&r.mask);
    buf_release(&r.line);
    buf_release(&r.answer);
    return rc;
}

void data_release(struct data *d)
{
    free(d->tokens);
    free(d->v);
    free(d->right);
    *d = (struct data){0};
}

uint64_t data_hash(const struct data *d)
{
    uint64_t h = HASH_SEED;
    for (size_t i = 0; i < d->n; i++) {
        h = hash_bytes(h, &d->v[i].n, sizeof d->v[i].n);
        h = hash_bytes(h, d->tokens + d->v[i].first, (size_t)d->v[i].n * sizeof *d->tokens);
    }
    return d->n_labels ? hash_bytes(h, d->right, d->n / d->n_labels * sizeof *d->right) : h;
}

void data_get(const struct data *d, size_t i, int32_t *ids, uint8_t *loss)
{
    const int32_t *t = d->tokens + d->v[i].first;
    for (int32_t k = 0; k < d->v[i].n; k++) {
        ids[k] = t[k] & ~DATA_LOSS;
        loss[k] = (t[k] & DATA_LOSS) != 0;
    }
}
