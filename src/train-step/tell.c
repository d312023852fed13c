/* tell.c - --dry-run: what would be trained. */
#include "train-step/tell.h"

#include "base/file.h"

int tell_plan(struct trainer *t, const struct data *d, int64_t steps, struct err *e)
{
    struct buf b = {0};
    struct out out;
    struct trainer_info info;
    size_t n;
    const struct train_tensor *v = trainer_tensors(t, &n);
    trainer_info(t, &info);
    for (size_t i = 0; i < n; i++) {
        buf_puts(&b, "{\"tensor\":");
        json_quote(&b, str_of(v[i].name));
        buf_puts(&b, ",\"shape\":[");
        for (int k = 0; k < v[i].nd; k++)
            buf_printf(&b, "%s%lld", k ? "," : "", (long long)v[i].shape[k]);
        buf_printf(&b, "],\"n\":%lld,\"decay\":%s}\n", (long long)v[i].n,
                   v[i].decay ? "true" : "false");
    }
    buf_printf(
        &b,
        "{\"trainable\":%lld,\"params\":%lld,\"tensors\":%zu,\"records\":%zu,"
        "\"skipped\":%zu,\"tokens\":%zu,\"targets\":%lld,\"steps\":%lld,\"bytes\":%lld}\n",
        (long long)info.trainable, (long long)info.params, n, d->n, d->skipped, d->n_tokens,
        (long long)d->targets, (long long)steps, (long long)info.bytes);
    out_open(&out, 1, "<stdout>");
    int rc = out_write(&out, b.p, b.n, e);
    if (rc == 0)
        rc = out_flush(&out, e);
    buf_release(&b);
    buf_release(&out.buf);
    return rc;
}
