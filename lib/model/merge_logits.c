/* merge_logits.c - the logits of some prompts, to tell how far two models are apart. */
#include "model/decoder.h"
#include "model/merge.h"

#include <stdlib.h>

static int32_t rows_of(const struct merge_prompt *p)
{
    return p->n < MERGE_ROWS ? p->n : MERGE_ROWS;
}

int64_t merge_logits_count(int32_t vocab, const struct merge_prompt *v, size_t n)
{
    int64_t rows = 0;
    for (size_t i = 0; i < n; i++)
        rows += rows_of(&v[i]);
    return rows * vocab;
}

/* Memory for one prompt's keys and values. */
static int64_t kv_bytes(const struct ckpt *c, struct err *e)
{
    struct spec s;
    if (spec_read(&s, ckpt_config(c), e) < 0)
        return -1;
    int64_t bytes = (int64_t)s.layers * s.kv_heads * 2 * s.head_dim * (int64_t)sizeof(float) *
                    (MERGE_TOKENS + KV_PAGE);
    spec_release(&s);
    return bytes;
}

/* A prompt in one piece. */
static int run(struct model *m, const struct model_info *info, int32_t adapter,
               const struct merge_prompt *p, float *out, struct err *e)
{
    int32_t pos[MERGE_TOKENS], rows[MERGE_ROWS], n = rows_of(p);
    int32_t pages[MERGE_TOKENS / KV_PAGE];
    bool far = info->far_after && p->n > info->far_after;
    for (int32_t i = 0; i < p->n; i++)
        pos[i] = i;
    for (int32_t i = 0; i < n; i++)
        rows[i] = p->n - n + i;
    for (int32_t i = 0; i < MERGE_TOKENS / KV_PAGE; i++)
        pages[i] = i;
    struct span span = {0, p->n, 0, 0};
    struct batch b = {.ids = p->ids,
                      .pos = pos,
                      .tokens = p->n,
                      .spans = &span,
                      .n_spans = 1,
                      .pages = pages,
                      .n_pages = (p->n + KV_PAGE - 1) / KV_PAGE,
                      .adapters = &adapter,
                      .far = far ? &far : NULL,
                      .rows = rows,
                      .n_rows = n};
    return model_forward(m, &b, e) < 0 ? -1 : model_logits(m, 0, n, out, e);
}

float *merge_logits(struct dev *d, const struct ckpt *c, const struct peft *p,
                    const struct merge_prompt *v, size_t n, struct err *e)
{
    struct model_info info;
    struct model_config config = {.dtype = DT_F32,
                                  .batch_tokens = MERGE_TOKENS,
                                  .head_rows = MERGE_ROWS,
                                  .kv_bytes = kv_bytes(c, e)};
    struct model *m = config.kv_bytes < 0 ? NULL : model_open(d, c, &config, e);
    int32_t adapter = !m ? -1 : p ? model_load_adapter(m, p, e) : 0;
    if (adapter < 0) {
        model_close(m);
        return NULL;
    }
    model_info(m, &info);
    float *out = xmalloc_n((size_t)merge_logits_count(info.vocab, v, n), sizeof *out);
    float *at = out;
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++) {
        rc = run(m, &info, adapter, &v[i], at, e);
        at += (int64_t)rows_of(&v[i]) * info.vocab;
    }
    model_close(m);
    if (rc == 0)
        return out;
    free(out);
    return NULL;
}
