/* config.c - config.json over weights of each family: a whole one, or (where the first byte is
 * no brace) members that replace those of the family with that number.  What opens also runs.
 */
#include "fuzz.h"

#include "families.h"
#include "model/model.h"

/* The configuration with the members of `patch`; NULL where that is no object. */
static char *patched(const struct family *f, struct str patch)
{
    char *text = NULL;
    json_t *c = json_loads(f->config, 0, NULL), *p = json_loadb(patch.p, patch.n, 0, NULL);
    if (json_is_object(p) && json_object_update(c, p) == 0)
        text = json_dumps(c, 0);
    json_decref(c);
    json_decref(p);
    return text;
}

static const struct family *like(struct str config)
{
    for (int i = FAMILIES - 1; i > 0; i--) {
        const char *type = strstr(families[i].config, "\"model_type\"");
        size_t n = (size_t)(strchr(type, ',') - type);
        if (memmem(config.p, config.n, type, n))
            return &families[i];
    }
    return &families[0];
}

static void forward(struct model *m)
{
    static const int32_t ids[] = {1, 2, 3}, pos[] = {0, 1, 2}, page[] = {0}, row[] = {2};
    struct span span = {0, 3, 0, 0};
    struct batch b = {ids, pos, 3, .spans = &span, .n_spans = 1, .pages = page, .n_pages = 1};
    struct err e;
    int32_t best;
    float p;
    b.rows = row;
    b.n_rows = 1;
    HOLDS(model_forward(m, &b, &e) == 0 && model_argmax(m, 0, 1, &best, &p, &e) == 0);
}

static void open_dir(const char *dir, struct dev *dev)
{
    struct err e = {0};
    struct model_eos eos;
    struct model_config mc = {DT_F32, 4, 1, 1 << 20, 1};
    struct model_info info = {0};
    struct ckpt *c = ckpt_open(dir, &e);
    if (c && model_eos(c, &eos, &e) < 0)
        HOLDS(e.status == EXIT_CONFIG);
    struct model *m = c ? model_open(dev, c, &mc, &e) : NULL;
    if (m)
        model_info(m, &info);
    else
        HOLDS(e.status == EXIT_CONFIG && *e.text && !strchr(e.text, '\n'));
    if (info.context >= 3 && info.vocab > 3)
        forward(m);
    model_close(m);
    ckpt_close(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static struct dev *dev;
    struct str in = fuzz_input(p, n);
    struct dev_config dc = {.threads = 1};
    struct err e;
    for (int i = 0; !dev && i < FAMILIES; i++)
        family_write(fuzz_path(families[i].name), &families[i], NULL);
    if (!dev && !(dev = dev_find("ref")->open(&dc, &e)))
        die_err(&e);
    const struct family *f = like(in);
    char *text = NULL, name[128];
    if (n && *p != '{') {
        f = &families[*p % FAMILIES];
        text = patched(f, (struct str){in.p + 1, n - 1});
    }
    snprintf(name, sizeof name, "%s/config.json", f->name);
    fuzz_file(name, text ? str_of(text) : in);
    free(text);
    open_dir(fuzz_path(f->name), dev);
    return 0;
}
