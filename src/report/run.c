/* run.c - what a run left in its folder. */
#include "report/run.h"

#include "base/file.h"
#include "metrics/metrics.h"
#include "rec/field.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { FILE_MAX = 256 << 20, RECORD_MAX = 256 << 20, TEXT_MAX = 400 };

/* ---- looking into JSON ---------------------------------------------------- */

struct json_iter items(struct str json)
{
    return json_iter(json.n && json_kind(json) == JSON_ARRAY ? json : STR("[]"));
}

struct json_iter members(struct str json)
{
    return json_iter(json.n && json_kind(json) == JSON_OBJECT ? json : STR("{}"));
}

size_t count_of(struct json_iter it)
{
    struct str item;
    size_t n = 0;
    while (json_next(&it, NULL, &item))
        n++;
    return n;
}

struct str in_json(struct str json, const char *path)
{
    char name[256];
    while (*path) {
        size_t n = strcspn(path, ".");
        struct str inner;
        if (n >= sizeof name || !json.n || json_kind(json) != JSON_OBJECT)
            return (struct str){NULL, 0};
        memcpy(name, path, n);
        name[n] = 0;
        if (!json_get(json, name, &inner))
            return (struct str){NULL, 0};
        json = inner;
        path += n + (path[n] == '.');
    }
    return json;
}

double number_in(struct str json, const char *path)
{
    double v;
    struct str at = in_json(json, path);
    return at.n && json_number(at, &v) ? v : NAN;
}

const char *text_in(struct buf *out, struct str json, const char *path)
{
    struct str at = in_json(json, path);
    buf_clear(out);
    if (at.n && json_kind(at) == JSON_STRING)
        json_decode(out, at);
    buf_putc(out, 0);
    return out->p;
}

/* ---- records -------------------------------------------------------------- */

/* A file of results, with the fields that score looked at. */
struct results {
    char *path;
    int fd;
    struct rec_reader *in;
    struct rec rec;
    struct field *gold, *pred[2], *group, *text, *id;
    char *names[3];
    size_t n_pred;
    struct buf gold_text, answer, folded[2], other;
    bool has_gold, right, failed;
};

static int results_open(struct results *f, const struct run *run, const char *text,
                        struct err *e)
{
    struct buf b = {0};
    *f = (struct results){.fd = -1};
    buf_printf(&b, "%s/results.jsonl", run->dir);
    buf_putc(&b, 0);
    f->path = b.p;
    f->names[0] = xstrdup(text_in(&f->other, run->score, "gold"));
    f->names[1] = xstrdup(text_in(&f->other, run->score, "pred"));
    f->names[2] = xstrdup(text_in(&f->other, run->score, "group"));
    f->gold = field_new(*f->names[0] ? f->names[0] : "label");
    bool given = *f->names[1] && !strchr(f->names[1], ','); /* else score's default, in words */
    f->pred[f->n_pred++] = field_new(given ? f->names[1] : "response.label");
    if (!given)
        f->pred[f->n_pred++] = field_new("response.text");
    f->group = *f->names[2] ? field_new(f->names[2]) : NULL;
    f->text = field_new(text);
    f->id = field_new("id");
    f->fd = file_open_input(f->path, e);
    f->in = f->fd < 0 ? NULL : rec_reader_new(f->fd, f->path, RECORD_MAX);
    return f->fd < 0 ? -1 : 0;
}

static void results_close(struct results *f)
{
    if (f->in)
        rec_reader_free(f->in);
    if (f->fd >= 0)
        close(f->fd);
    rec_release(&f->rec);
    field_free(f->gold);
    for (size_t i = 0; i < f->n_pred; i++)
        field_free(f->pred[i]);
    field_free(f->group);
    field_free(f->text);
    field_free(f->id);
    for (int i = 0; i < 3; i++)
        free(f->names[i]);
    free(f->path);
    buf_release(&f->gold_text);
    buf_release(&f->answer);
    buf_release(&f->folded[0]);
    buf_release(&f->folded[1]);
    buf_release(&f->other);
}

/* 1 with the next record's gold label and answer in hand, 0 at the end, -1. */
static int results_next(struct results *f, struct err *e)
{
    int rc = rec_read(f->in, &f->rec, e);
    if (rc <= 0)
        return rc;
    buf_clear(&f->answer);
    f->failed = f->rec.fault || rec_is_error(&f->rec);
    f->has_gold = !f->rec.fault && field_text(f->gold, &f->rec, &f->gold_text);
    for (size_t i = 0; !f->failed && i < f->n_pred; i++)
        if (field_text(f->pred[i], &f->rec, &f->answer))
            break;
    buf_clear(&f->folded[0]);
    buf_clear(&f->folded[1]);
    text_fold(&f->folded[0], buf_str(&f->gold_text));
    text_fold(&f->folded[1], buf_str(&f->answer));
    f->right = f->has_gold && !f->failed &&
               str_eq(buf_str(&f->folded[0]), buf_str(&f->folded[1]));
    return 1;
}

/* A copy cut to what a page shows, never inside a character. */
static char *shown(struct str s)
{
    size_t n = s.n < TEXT_MAX ? s.n : TEXT_MAX;
    while (n < s.n && n && ((unsigned char)s.p[n] & 0xc0) == 0x80)
        n--;
    char *copy = xmalloc_n(n + sizeof "…", 1);
    if (n)
        memcpy(copy, s.p, n);
    strcpy(copy + n, n < s.n ? "…" : "");
    return copy;
}

static char *shown_text(struct results *f)
{
    if (!f->rec.fault && field_text(f->text, &f->rec, &f->other))
        return shown(buf_str(&f->other));
    return shown(f->rec.line);
}

static char *shown_field(struct results *f, const struct field *field)
{
    if (!field || f->rec.fault || !field_text(field, &f->rec, &f->other))
        return xstrdup("");
    return shown(buf_str(&f->other));
}

/* The probability of the record's answer; NaN without scores. */
static double confidence(struct results *f)
{
    const struct json_member *response = rec_find(&f->rec, "response");
    struct str scores = response ? in_json(response->value, "scores") : STR(""), item;
    for (struct json_iter it = items(scores); json_next(&it, NULL, &item);) {
        text_in(&f->other, item, "label");
        if (str_is(buf_str(&f->answer), f->other.p))
            return number_in(item, "prob");
    }
    return NAN;
}

/* ---- mistakes and errors -------------------------------------------------- */

static void mistake_release(struct mistake *m)
{
    free(m->id);
    free(m->text);
    free(m->gold);
    free(m->answer);
    free(m->group);
}

/* Keeps the surest ones, the earlier of equals first. */
static void keep_mistake(struct run *r, struct results *f)
{
    double sure = confidence(f), rank = isnan(sure) ? -1 : sure;
    size_t at = r->mistakes;
    r->wrong++;
    for (; at; at--) {
        double before = r->mistake[at - 1].confidence;
        if ((isnan(before) ? -1 : before) >= rank)
            break;
    }
    if (at == MISTAKES_MAX)
        return;
    if (r->mistakes == MISTAKES_MAX)
        mistake_release(&r->mistake[--r->mistakes]);
    memmove(r->mistake + at + 1, r->mistake + at, (r->mistakes - at) * sizeof *r->mistake);
    r->mistakes++;
    r->mistake[at] = (struct mistake){
        .confidence = sure,
        .line = f->rec.number,
        .id = shown_field(f, f->id),
        .text = shown_text(f),
        .gold = shown(buf_str(&f->gold_text)),
        .answer = shown(buf_str(&f->answer)),
        .group = shown_field(f, f->group),
    };
}

static void count_error(struct run *r, struct results *f)
{
    struct buf name = {0}, message = {0};
    const struct json_member *error = f->rec.fault ? NULL : rec_find(&f->rec, "error");
    size_t i = 0;
    if (error) {
        buf_printf(&name, "%s: ", text_in(&message, error->value, "stage"));
        buf_puts(&name, text_in(&message, error->value, "type"));
        text_in(&message, error->value, "message");
    } else {
        buf_printf(&name, "results: %s", f->rec.fault);
        buf_puts(&message, f->rec.message);
        buf_putc(&message, 0);
    }
    while (i < r->kinds && !str_is(buf_str(&name), r->kind[i].name))
        i++;
    if (i < ERROR_KINDS_MAX) {
        if (i == r->kinds) {
            r->kind[i].name = shown(buf_str(&name));
            r->kind[i].message = shown(str_of(message.p));
            r->kinds++;
        }
        r->kind[i].count++;
    }
    buf_release(&name);
    buf_release(&message);
}

static int read_results(struct run *r, const char *text, struct err *e)
{
    struct results f;
    int rc = results_open(&f, r, text, e);
    while (rc >= 0 && (rc = results_next(&f, e)) > 0) {
        if (f.failed)
            count_error(r, &f);
        else if (f.has_gold && !f.right)
            keep_mistake(r, &f);
    }
    results_close(&f);
    return rc;
}

/* ---- the folder ----------------------------------------------------------- */

static bool is_there(const char *dir, const char *name, struct buf *path)
{
    buf_clear(path);
    buf_printf(path, "%s/%s", dir, name);
    buf_putc(path, 0);
    return access(path->p, F_OK) == 0;
}

/* A JSON document of the folder, if it is there. */
static int read_json(struct buf *text, struct str *json, const char *dir, const char *name,
                     struct err *e)
{
    struct buf path = {0};
    int rc = 0;
    if (is_there(dir, name, &path) && (rc = file_read(text, path.p, FILE_MAX, e)) == 0) {
        struct json_fault fault = {0};
        *json = buf_str(text);
        while (json->n && strchr(" \t\r\n", json->p[json->n - 1]))
            json->n--;
        if (json_check(json->p, json->n, NULL, &fault) < 0)
            rc = err_set(e, EXIT_DATA, "%s: not JSON: %s", path.p, fault.what);
    }
    buf_release(&path);
    return rc;
}

int run_load(struct run *r, const char *dir, const char *text, struct err *e)
{
    struct buf path = {0};
    *r = (struct run){.dir = dir};
    r->mistake = xcalloc(MISTAKES_MAX + 1, sizeof *r->mistake);
    r->kind = xcalloc(ERROR_KINDS_MAX, sizeof *r->kind);
    int rc = read_json(&r->metrics_text, &r->metrics, dir, "metrics.json", e);
    if (rc == 0)
        rc = read_json(&r->manifest_text, &r->manifest, dir, "manifest.json", e);
    r->score = in_json(r->metrics, "score");
    if (rc == 0 && is_there(dir, "results.jsonl", &path))
        rc = read_results(r, text, e);
    if (rc == 0 && is_there(dir, "steps.jsonl", &path))
        rc = file_read(&r->steps_text, path.p, FILE_MAX, e);
    if (rc == 0 && !r->metrics.n && !r->steps_text.n)
        rc = err_set(e, EXIT_NOINPUT,
                     "%s: no metrics.json and no steps.jsonl; give the folder of a run", dir);
    buf_release(&path);
    return rc;
}

void run_release(struct run *r)
{
    for (size_t i = 0; i < r->mistakes; i++)
        mistake_release(&r->mistake[i]);
    for (size_t i = 0; i < r->kinds; i++) {
        free(r->kind[i].name);
        free(r->kind[i].message);
    }
    free(r->mistake);
    free(r->kind);
    buf_release(&r->metrics_text);
    buf_release(&r->manifest_text);
    buf_release(&r->steps_text);
}

/* ---- two runs ------------------------------------------------------------- */

static int compare_record(struct comparison *c, struct results *a, struct results *b,
                          struct err *e)
{
    if (!str_eq(buf_str(&a->folded[0]), buf_str(&b->folded[0])) || a->has_gold != b->has_gold)
        return err_set(e, EXIT_DATA,
                       "%s:%llu: another gold label than in the first run; both must have the "
                       "same records in the same order",
                       b->path, (unsigned long long)b->rec.number);
    c->records++;
    if (a->has_gold)
        ++*(a->right ? (b->right ? &c->both : &c->only_first)
                     : (b->right ? &c->only_second : &c->neither));
    if (str_eq(buf_str(&a->folded[1]), buf_str(&b->folded[1])))
        return 0;
    if (c->differing++ < MISTAKES_MAX)
        c->difference[c->differences++] = (struct difference){
            .line = a->rec.number,
            .text = shown_text(a),
            .gold = shown(buf_str(&a->gold_text)),
            .first = shown(buf_str(&a->answer)),
            .second = shown(buf_str(&b->answer)),
        };
    return 0;
}

int run_compare(struct comparison *c, const struct run *a, const struct run *b,
                const char *text, struct err *e)
{
    struct results first, second;
    *c = (struct comparison){.difference = xcalloc(MISTAKES_MAX, sizeof *c->difference)};
    int rc = results_open(&first, a, text, e), more = 0;
    if (results_open(&second, b, text, e) < 0)
        rc = -1;
    while (rc >= 0 && (rc = results_next(&first, e)) >= 0) {
        more = results_next(&second, e);
        if (more < 0 || (rc == 0 && more == 0))
            break;
        if (rc != more)
            more = err_set(e, EXIT_DATA, "%s and %s have not the same number of records",
                           first.path, second.path);
        if (more < 0 || (rc = compare_record(c, &first, &second, e)) < 0)
            break;
    }
    results_close(&first);
    results_close(&second);
    return rc < 0 || more < 0 ? -1 : 0;
}

void comparison_release(struct comparison *c)
{
    for (size_t i = 0; i < c->differences; i++) {
        free(c->difference[i].text);
        free(c->difference[i].gold);
        free(c->difference[i].first);
        free(c->difference[i].second);
    }
    free(c->difference);
}
