/* adapter.c - adapter_config.json over the tensors of an adapter; what loads also runs. */
#include "fuzz.h"

#include "ckpt/peft.h"
#include "model/model.h"
#include "tiny_model.h"

/* q_proj and v_proj of two layers, rank 2. */
static void put_tensors(void)
{
    struct tiny_model t = TINY_MODEL;
    struct tiny_writer w = {.t = &t, .state = 1};
    struct buf file = {0};
    char name[128];
    for (int l = 0; l < 2; l++) {
        for (int i = 0; i < 2; i++) {
            const char *module = i ? "v_proj" : "q_proj";
            snprintf(name, sizeof name,
                     "base_model.model.model.layers.%d.self_attn.%s.lora_A.weight", l, module);
            tiny_tensor(&w, name, 2, 64, 0, 1);
            snprintf(name, sizeof name,
                     "base_model.model.model.layers.%d.self_attn.%s.lora_B.weight", l, module);
            tiny_tensor(&w, name, i ? 32 : 64, 2, 0, 1);
        }
    }
    buf_putc(&w.header, '}');
    for (int i = 0; i < 8; i++)
        buf_putc(&file, (char)((uint64_t)w.header.n >> 8 * i & 255));
    buf_addstr(&file, buf_str(&w.header));
    buf_addstr(&file, buf_str(&w.data));
    fuzz_file("adapter_model.safetensors", buf_str(&file));
    buf_release(&file);
    buf_release(&w.header);
    buf_release(&w.data);
}

static void forward(struct model *m, int32_t adapter)
{
    static const int32_t ids[] = {1, 2, 3}, pos[] = {0, 1, 2}, page[] = {0}, row[] = {2};
    struct span span = {0, 3, 0, 0};
    struct batch b = {ids, pos, 3, .spans = &span, .n_spans = 1, .pages = page, .n_pages = 1};
    struct err e;
    int32_t best;
    float p;
    b.adapters = &adapter;
    b.rows = row;
    b.n_rows = 1;
    HOLDS(model_forward(m, &b, &e) == 0 && model_argmax(m, 0, 1, &best, &p, &e) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static struct dev *dev;
    static struct ckpt *base;
    struct tiny_model t = TINY_MODEL;
    struct dev_config dc = {.threads = 1};
    struct model_config mc = {DT_F32, 4, 1, 1 << 20, 1};
    struct err e = {0};
    if (!dev) {
        tiny_model_write(fuzz_path("base"), &t);
        put_tensors();
        base = ckpt_open(fuzz_path("base"), &e);
        dev = dev_find("ref")->open(&dc, &e);
        if (!base || !dev)
            die_err(&e);
    }
    fuzz_file("adapter_config.json", fuzz_input(p, n));
    struct peft *a = peft_open(fuzz_dir(), &e);
    struct model *m = a ? model_open(dev, base, &mc, &e) : NULL;
    int32_t number = m ? model_load_adapter(m, a, &e) : -1;
    if (number > 0)
        forward(m, number);
    else
        HOLDS(e.status == EXIT_CONFIG && *e.text && !strchr(e.text, '\n'));
    model_close(m);
    peft_close(a);
    return 0;
}
