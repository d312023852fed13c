/* engine.c - opening what answers records, cheap things first. */
#include "gpu-infer/engine.h"

#include "dev/choose.h"

#include <string.h>

/* Rows of one forward that go through the head, and the default of --kv-memory. */
enum { HEAD_ROWS = 256, KV_BYTES = 1 << 30 };

/* What ends an answer in the model's channels, where its files do not name it. */
static void add_stops(struct engine *g)
{
    int32_t ids[CHANNELS_STOPS_MAX];
    size_t n = g->channels ? channels_stops(g->channels, ids) : 0;
    for (size_t i = 0; i < n; i++) {
        int k = 0;
        while (k < g->eos.n && g->eos.ids[k] != ids[i])
            k++;
        if (k == g->eos.n && (size_t)k < sizeof g->eos.ids / sizeof *g->eos.ids)
            g->eos.ids[g->eos.n++] = ids[i];
    }
}

/* A directory without a tokenizer is for records with token ids, one without a template for
 * texts; only a damaged one is an error here. */
static int open_text(struct engine *g, const struct options *o, const char *date, struct err *e)
{
    struct err none = {0};
    g->tokenizer = tokenizer_load(o->model, &none);
    if (!g->tokenizer && none.status != EXIT_NOINPUT) {
        *e = none;
        return -1;
    }
    const struct chat_options c = {
        .dir = o->model,
        .template_file = o->template_file,
        .args = o->template_args.items,
        .n_args = o->template_args.n,
        .date = o->date ? o->date : date,
    };
    none = (struct err){0};
    g->chat = chat_open(&c, &none);
    if (!g->chat && (o->template_file || none.status != EXIT_NOINPUT)) {
        *e = none;
        return -1;
    }
    if (g->tokenizer)
        g->channels = channels_new(g->tokenizer, g->chat);
    add_stops(g);
    return 0;
}

/* The special token that begins what the template writes behind an answer. */
static int32_t turn_end(const struct engine *g)
{
    int32_t id = -1;
    struct str text = g->chat ? chat_turn_end(g->chat) : STR("");
    if (!text.n || !g->tokenizer)
        return -1;
    struct ids ids = {0};
    struct tokenizer_work *w = tokenizer_work_new(g->tokenizer);
    if (tokenizer_encode(g->tokenizer, w, text, false, &ids, NULL) == 0 && ids.n &&
        tokenizer_is_special(g->tokenizer, ids.v[0]))
        id = ids.v[0];
    tokenizer_work_free(w);
    ids_release(&ids);
    return id;
}

static int set_choices_end(struct engine *g, const struct options *o, struct err *e)
{
    int64_t id;
    g->choices_end = -1;
    if (!strcmp(o->choices_end, "auto")) {
        g->choices_end = turn_end(g);
        if (g->choices_end < 0 && g->eos.n)
            g->choices_end = g->eos.ids[0];
    } else if (strcmp(o->choices_end, "none")) {
        if (!parse_int(o->choices_end, &id) || id < 0 || id > INT32_MAX)
            return err_set(e, EXIT_USAGE,
                           "--choices-end: must be auto, none or a token id, not '%s'",
                           o->choices_end);
        g->choices_end = (int32_t)id;
    }
    return 0;
}

int engine_open(struct engine *g, const struct options *o, const char *date, struct err *e)
{
    *g = (struct engine){0};
    if (!(g->ckpt = ckpt_open(o->model, e)) ||
        adapters_open(&g->adapters, &o->adapters, e) < 0 ||
        model_eos(g->ckpt, &g->eos, e) < 0 || open_text(g, o, date, e) < 0 ||
        set_choices_end(g, o, e) < 0)
        return -1;
    g->defaults = params_defaults(o, ckpt_generation(g->ckpt), &g->lists);
    g->dtype = o->dtype == DTYPE_F32    ? DT_F32
               : o->dtype == DTYPE_BF16 ? DT_BF16
                                        : model_auto_dtype(g->ckpt);
    if (!(g->dev = device_open(o->device, (int)o->threads, options_isa(o), e)))
        return -1;
    g->dev->ops->info(g->dev, &g->device);
    return 0;
}

int engine_load(struct engine *g, const struct options *o, struct err *e)
{
    int32_t batch = (int32_t)o->batch_tokens;
    int32_t rows = batch < HEAD_ROWS ? batch : HEAD_ROWS;
    const struct model_config c = {
        .dtype = g->dtype,
        .batch_tokens = batch,
        .head_rows = rows,
        .kv_bytes = o->kv_memory ? o->kv_memory : KV_BYTES,
        .sequences = (int32_t)o->max_requests,
    };
    if (!(g->model = model_open(g->dev, g->ckpt, &c, e)) ||
        adapters_load(&g->adapters, g->model, e) < 0)
        return -1;
    model_info(g->model, &g->info);
    if (g->choices_end >= g->info.vocab && !strcmp(o->choices_end, "auto"))
        g->choices_end = -1;
    if (g->choices_end >= g->info.vocab)
        return err_set(e, EXIT_USAGE, "--choices-end: the model's ids are 0 to %d, not %d",
                       (int)g->info.vocab - 1, (int)g->choices_end);
    g->infer = infer_new(g->model, &(struct infer_config){batch, rows, (int32_t)o->max_requests,
                                                          o->prefix_cache == PREFIX_CACHE_ON});
    return 0;
}

void engine_close(struct engine *g)
{
    infer_free(g->infer);
    if (g->model)
        model_close(g->model);
    if (g->dev)
        g->dev->ops->close(g->dev);
    channels_free(g->channels);
    tokenizer_free(g->tokenizer);
    chat_free(g->chat);
    param_lists_free(&g->lists);
    adapters_close(&g->adapters);
    if (g->ckpt)
        ckpt_close(g->ckpt);
}
