/* model_params.c - the parameters that a model's generation_config.json suggests. */
#include "gpu-infer/params.h"

#include <jansson.h>

void params_of_model(struct params *p, const json_t *generation)
{
    const json_t *v = json_object_get(generation, "max_new_tokens");
    if (json_is_integer(v) && json_integer_value(v) >= 0 && json_integer_value(v) <= INT32_MAX)
        p->max_tokens = json_integer_value(v);
    /* Without it the rest is there for those who ask to sample. */
    if (!json_is_true(json_object_get(generation, "do_sample")))
        return;
    v = json_object_get(generation, "temperature");
    if (json_is_number(v) && json_number_value(v) >= 0)
        p->temperature = json_number_value(v);
    v = json_object_get(generation, "top_p");
    if (json_is_number(v) && json_number_value(v) >= 0 && json_number_value(v) <= 1)
        p->top_p = json_number_value(v);
    v = json_object_get(generation, "top_k");
    if (json_is_integer(v) && json_integer_value(v) >= 0 && json_integer_value(v) <= INT32_MAX)
        p->top_k = json_integer_value(v);
    v = json_object_get(generation, "min_p");
    if (json_is_number(v) && json_number_value(v) >= 0 && json_number_value(v) <= 1)
        p->min_p = json_number_value(v);
    v = json_object_get(generation, "repetition_penalty");
    if (json_is_number(v) && json_number_value(v) >= .001 && json_number_value(v) <= 1000)
        p->repetition_penalty = json_number_value(v);
}
