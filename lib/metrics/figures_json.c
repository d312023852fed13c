/* figures_json.c - figures as a JSON object. */
#include "metrics/metrics.h"

#include "base/num.h"
#include "rec/json.h"

static void put_count(struct buf *b, const char *name, uint64_t v)
{
    buf_printf(b, ",\"%s\":%llu", name, (unsigned long long)v);
}

static void put_real(struct buf *b, const char *name, double v)
{
    buf_printf(b, ",\"%s\":", name);
    num_put_double(b, v);
}

static void put_prf(struct buf *b, const struct prf *p)
{
    buf_puts(b, "\"precision\":");
    num_put_double(b, p->precision);
    put_real(b, "recall", p->recall);
    put_real(b, "f1", p->f1);
}

static void put_rates(struct buf *b, const struct rates *r, bool counts)
{
    if (counts) {
        put_count(b, "tp", r->tp);
        put_count(b, "fp", r->fp);
        put_count(b, "tn", r->tn);
        put_count(b, "fn", r->fn);
    }
    put_real(b, "fpr", r->fpr);
    put_real(b, "fnr", r->fnr);
}

/* Without braces, so that the whole set can go on after it. */
static void put_group(struct buf *b, const struct group_figures *g, bool counts)
{
    buf_printf(b, "\"n\":%llu", (unsigned long long)g->n);
    put_count(b, "correct", g->correct);
    put_real(b, "accuracy", g->accuracy);
    put_rates(b, &g->rates, counts);
}

static void put_labels(struct buf *b, const struct figures *f)
{
    buf_puts(b, ",\"per_label\":{");
    for (size_t i = 0; i < f->n_labels; i++) {
        const struct label_figures *l = &f->label[i];
        if (i)
            buf_putc(b, ',');
        json_quote(b, l->name);
        buf_puts(b, ":{");
        put_prf(b, &l->prf);
        put_count(b, "support", l->support);
        put_count(b, "predicted", l->predicted);
        buf_putc(b, '}');
    }
    buf_puts(b, "},\"macro\":{");
    put_prf(b, &f->macro);
    buf_puts(b, "},\"weighted\":{");
    put_prf(b, &f->weighted);
    buf_putc(b, '}');
}

static void put_confusion(struct buf *b, const struct figures *f)
{
    buf_puts(b, ",\"confusion\":[");
    for (size_t i = 0; i < f->width; i++) {
        buf_puts(b, i ? ",[" : "[");
        for (size_t j = 0; j < f->width; j++)
            buf_printf(b, "%s%llu", j ? "," : "",
                       (unsigned long long)f->confusion[i * f->width + j]);
        buf_putc(b, ']');
    }
    buf_putc(b, ']');
}

void figures_put_json(struct buf *out, const struct figures *f)
{
    bool counts = f->positive >= 0;
    buf_putc(out, '{');
    put_group(out, &f->all, counts);
    if (counts) {
        buf_puts(out, ",\"positive\":{");
        put_prf(out, &f->label[f->positive].prf);
        buf_putc(out, '}');
    }
    put_labels(out, f);
    put_confusion(out, f);
    buf_puts(out, ",\"groups\":{");
    for (size_t g = 0; g < f->n_groups; g++) {
        if (g)
            buf_putc(out, ',');
        json_quote(out, f->group[g].name);
        buf_puts(out, ":{");
        put_group(out, &f->group[g], counts);
        buf_putc(out, '}');
    }
    buf_puts(out, "},\"gap\":{\"accuracy\":");
    num_put_double(out, f->gap.accuracy);
    put_real(out, "fpr", f->gap.fpr);
    put_real(out, "fnr", f->gap.fnr);
    buf_puts(out, "}}");
}
