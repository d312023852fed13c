/* figures_json.c - figures as a JSON object. */
#include "metrics/metrics.h"

#include "rec/rec.h"

static void put_prf(struct buf *b, const struct prf *p)
{
    rec_member_real(b, "precision", p->precision);
    rec_member_real(b, "recall", p->recall);
    rec_member_real(b, "f1", p->f1);
}

static void put_rates(struct buf *b, const struct rates *r, bool counts)
{
    if (counts) {
        rec_member_uint(b, "tp", r->tp);
        rec_member_uint(b, "fp", r->fp);
        rec_member_uint(b, "tn", r->tn);
        rec_member_uint(b, "fn", r->fn);
    }
    rec_member_real(b, "fpr", r->fpr);
    rec_member_real(b, "fnr", r->fnr);
}

/* Without braces, so that the whole set can go on after it. */
static void put_group(struct buf *b, const struct group_figures *g, bool counts)
{
    buf_printf(b, "\"n\":%llu", (unsigned long long)g->n);
    rec_member_uint(b, "correct", g->correct);
    rec_member_real(b, "accuracy", g->accuracy);
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
        rec_member_uint(b, "support", l->support);
        rec_member_uint(b, "predicted", l->predicted);
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
    buf_puts(out, "},\"gap\":{");
    rec_member_real(out, "accuracy", f->gap.accuracy);
    rec_member_real(out, "fpr", f->gap.fpr);
    rec_member_real(out, "fnr", f->gap.fnr);
    buf_puts(out, "}}");
}
