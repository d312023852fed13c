/* arch_phi3.c - Phi 3 and 4: q, k, v and gate, up stored as one; long contexts by factors. */
#include "model/arch.h"

#include <math.h>
#include <string.h>

/* A divisor for each frequency. */
static double *read_factors(struct fields *f, const char *name, int32_t n)
{
    const json_t *list = fields_array(f, name);
    double *v = xcalloc((size_t)n, sizeof *v);
    if (json_array_size(list) != (size_t)n)
        fields_refuse(f, name, "a list of half as many numbers as are rotated");
    for (int32_t i = 0; i < n; i++) {
        v[i] = json_number_value(json_array_get(list, (size_t)i));
        if (!(v[i] > 0) || !isfinite(v[i]))
            fields_refuse(f, name, "a list of numbers > 0");
    }
    return v;
}

/* One set of factors for sequences up to the first training's positions, one for longer ones.
 */
static void read_longrope(struct fields *f, struct spec *s, struct fields *top, double theta)
{
    int32_t original = fields_int(top, "original_max_position_embeddings", 0, 2, INT32_MAX / 2);
    original = fields_int(f, "original_max_position_embeddings", original, 2, INT32_MAX / 2);
    double scale = original ? (double)s->context / original : 1;
    double attention = scale > 1 ? sqrt(1 + log(scale) / log(original)) : 1;
    if (!original)
        fields_refuse(f, "original_max_position_embeddings", "given");
    for (int i = 0; i < 2; i++)
        s->rope[i] = (struct rope_spec){
            .kind = ROPE_FACTORS,
            .theta = theta,
            .factors = read_factors(f, i ? "long_factor" : "short_factor", s->rotary / 2),
            .attention_factor = attention,
        };
    s->ropes = 2;
    s->long_after = original;
}

static bool is_longrope(const json_t *object)
{
    const char *type = json_string_value(json_object_get(object, "rope_type"));
    if (!type)
        type = json_string_value(json_object_get(object, "type"));
    return type && (!strcmp(type, "longrope") || !strcmp(type, "su"));
}

static void read_rope(struct fields *f, struct spec *s)
{
    static const char *const spellings[] = {"rope_parameters", "rope_scaling"};
    static const char *const known[] = {"type", "rope_type", NULL};
    struct fields sub;
    for (int i = 0; i < 2; i++) {
        if (!is_longrope(json_object_get(f->object, spellings[i])) ||
            !fields_object(f, spellings[i], &sub))
            continue;
        double theta = fields_positive(f, "rope_theta", 10000);
        fields_ignore(&sub, known);
        arch_rope_part(&sub, s);
        read_longrope(&sub, s, f, fields_positive(&sub, "rope_theta", theta));
        (void)!fields_done(&sub); /* what fails here has failed f */
        return;
    }
    (void)fields_int(f, "original_max_position_embeddings", 0, 0, INT32_MAX);
    arch_rope(f, s, 10000);
}

void arch_phi3(struct fields *f, struct spec *s)
{
    static const char *const unused[] = {"embd_pdrop", "resid_pdrop", NULL};
    s->eps = 1e-5f;
    s->context = 4096;
    arch_common(f, s);
    fields_only_text(f, "hidden_act", "silu");
    fields_only_bool(f, "attention_bias", false);
    fields_only_bool(f, "mlp_bias", false);
    fields_only_bool(f, "lm_head_bias", false);
    (void)fields_int(f, "full_attn_mod", 1, 1, 1);
    (void)fields_int(f, "interpolate_factor", 1, 1, 1);
    fields_ignore(f, unused);
    s->names.qkv = "self_attn.qkv_proj";
    s->names.gate_up = "mlp.gate_up_proj";
    const json_t *p = json_object_get(json_object_get(f->object, "rope_parameters"),
                                      "partial_rotary_factor");
    double part = fields_positive(f, "partial_rotary_factor",
                                  json_is_number(p) ? json_number_value(p) : 1);
    if (!(part > 0 && part <= 1))
        fields_refuse(f, "partial_rotary_factor", "larger than 0 and at most 1");
    else
        s->rotary = (int32_t)(s->head_dim * part);
    read_rope(f, s);
    arch_slide_all(f, s, arch_window(f, 0));
}
