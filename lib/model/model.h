/* model.h - a decoder on a device: token ids in, log-probabilities out.
 *
 * One forward for every architecture, driven by the row of the table that its config.json's
 * model_type selects (archs.def).  Knows nothing of text, records or requests.
 */
#ifndef MODEL_H
#define MODEL_H

#include "ckpt/ckpt.h"
#include "dev/dev.h"

struct model;

struct model_config {
    enum dtype dtype;     /* DT_F32, or DT_BF16: weights, keys and values, and where the device
                             multiplies bf16 (dev_info) also what enters a product, are rounded
                             to bf16 (not where experts are chosen); sums and the residual
                             stream stay f32 */
    int32_t batch_tokens; /* most tokens of one forward */
    int32_t head_rows;    /* most rows of one forward that go through the head */
    int64_t kv_bytes;     /* memory for keys and values; at least one page is made */
    int32_t sequences;    /* no more of it than so many whole contexts need; 0: no such bound */
};

struct model_info {
    const char *type; /* model_type */
    int32_t vocab;
    int32_t context; /* tokens that a sequence may have */
    /* Where not 0: sequences of more tokens than this are computed with other rotary positions
     * from their first token on (longrope's long factors), and marked in `batch.far`. */
    int32_t far_after;
    int32_t pages; /* KV pages there are */
    int64_t page_bytes, weight_bytes, params;
};

/* "auto": bf16 for a bf16 checkpoint, f32 for f32 and f16 ones. */
enum dtype model_auto_dtype(const struct ckpt *c);

/* Loads the weights onto the device.  EXIT_CONFIG names what the architecture's row does not
 * know, what is missing, surplus or of another shape.  The checkpoint may be closed afterwards.
 */
struct model *model_open(struct dev *d, const struct ckpt *c, const struct model_config *cfg,
                         struct err *e);
void model_close(struct model *m);
void model_info(const struct model *m, struct model_info *out);

/* Adds a LoRA adapter, applied unmerged, beside the model's own weights and those of other
 * adapters.  Returns its number for batch.adapters, 1 for the first; -1: EXIT_CONFIG names what
 * of the adapter cannot be honoured or does not fit this model, and the model is as it was.
 * Not between a forward and the head on its rows.  p may be closed afterwards. */
struct peft;
int32_t model_load_adapter(struct model *m, const struct peft *p, struct err *e) MUST_CHECK;

/* The ids that end an answer: generation_config's eos_token_id, else config's. */
struct model_eos {
    int32_t ids[16];
    int n;
};
int model_eos(const struct ckpt *c, struct model_eos *out, struct err *e) MUST_CHECK;

/* One call: sequences' next tokens laid end to end. */
struct batch {
    const int32_t *ids, *pos; /* [tokens]: id, absolute position */
    int32_t tokens;
    const struct span *spans; /* cover the tokens in order; see dev.h */
    int32_t n_spans;
    const int32_t *pages; /* page lists, n_pages in all; a page that is written belongs to one
                             span alone, one that is only read may stand in several */
    int32_t n_pages;
    /* Tokens whose keys and values also go to the same positions of other page lists: what
     * sequences have in common is computed once.  At most batch_tokens of them. */
    const struct span *copies;
    int32_t n_copies;
    const int32_t *adapters; /* [n_spans]: numbers of model_load_adapter(), 0: none; or NULL:
                                none for all.  A page's keys and values are its adapter's. */
    const bool *far;         /* [n_spans], or NULL: none is; see model_info.far_after */
    const int32_t *rows;     /* token indices whose final states are kept for the head */
    int32_t n_rows;
    /* Where not NULL, called with the embedding output (i = 0), the residual stream after layer
     * i (1..L-1) and the final norm's output of all tokens (i = L), as f32 [tokens, width]: for
     * tests. */
    void (*tap)(void *arg, int i, const float *x, int64_t tokens, int64_t width);
    void *tap_arg;
};

/* Runs the batch; keys and values are stored, the chosen rows' states are kept until the next
 * call.  -1: EXIT_AGAIN and the like from the device. */
int model_forward(struct model *m, const struct batch *b, struct err *e) MUST_CHECK;

/* On the kept rows, r0 <= r < r0 + n; natural logarithms.  Results are in host memory on
 * return. */
int model_logprob(struct model *m, int32_t r0, int32_t n, const int32_t *ids, float *out,
                  struct err *e) MUST_CHECK;
int model_argmax(struct model *m, int32_t r0, int32_t n, int32_t *ids, float *logprob,
                 struct err *e) MUST_CHECK;
int model_logits(struct model *m, int32_t r0, int32_t n, float *out, struct err *e) MUST_CHECK;

void model_copy_page(struct model *m, int32_t to, int32_t from);

#endif
