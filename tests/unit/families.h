/* families.h - model directories as they are published, at a small size and with random
 * weights.
 *
 *     family_write(dir, &families[i], NULL);
 *
 * Configurations have the members of the published ones, with smaller numbers; tensors have the
 * published names; shards, index, and the files that lie beside them are there too.  None of it
 * is taken from the tables under test.
 */
#ifndef FAMILIES_H
#define FAMILIES_H

#include "tiny_model.h"

#include <jansson.h>

struct family {
    const char *name;   /* of the folder */
    const char *config; /* config.json */
    const char *generation;
    int eos[3], n_eos;
    const char *dtype;
    /* "NAME DIM DIM...;": '%' in a name stands for each layer, '#' for each expert; a dimension
     * is a number or one of the letters of family_dim().  A name may be followed by =OTHER (the
     * values of that tensor), a tensor by :DTYPE. */
    const char *tensors;
    int shards, first_shard; /* shards 1: model.safetensors */
};

/* ---- names ---------------------------------------------------------------- */

#define FAMILY_ATTENTION                          \
    "model.layers.%.self_attn.q_proj.weight Q C;" \
    "model.layers.%.self_attn.k_proj.weight K C;" \
    "model.layers.%.self_attn.v_proj.weight K C;" \
    "model.layers.%.self_attn.o_proj.weight C Q;"
#define FAMILY_QKV_BIAS                       \
    "model.layers.%.self_attn.q_proj.bias Q;" \
    "model.layers.%.self_attn.k_proj.bias K;" \
    "model.layers.%.self_attn.v_proj.bias K;"
#define FAMILY_QK_NORM                          \
    "model.layers.%.self_attn.q_norm.weight D;" \
    "model.layers.%.self_attn.k_norm.weight D;"
#define FAMILY_MLP                             \
    "model.layers.%.mlp.gate_proj.weight F C;" \
    "model.layers.%.mlp.up_proj.weight F C;"   \
    "model.layers.%.mlp.down_proj.weight C F;"
#define FAMILY_NORMS                           \
    "model.layers.%.input_layernorm.weight C;" \
    "model.layers.%.post_attention_layernorm.weight C;"
#define FAMILY_ENDS "model.embed_tokens.weight V C;model.norm.weight C;"
#define FAMILY_HEAD "lm_head.weight V C;"
#define FAMILY_GEMMA                                         \
    FAMILY_ENDS FAMILY_ATTENTION FAMILY_MLP FAMILY_NORMS     \
        "model.layers.%.pre_feedforward_layernorm.weight C;" \
        "model.layers.%.post_feedforward_layernorm.weight C;"
#define FAMILY_GPT_OSS                                                             \
    FAMILY_ENDS FAMILY_HEAD FAMILY_ATTENTION FAMILY_QKV_BIAS FAMILY_NORMS          \
        "model.layers.%.self_attn.o_proj.bias C;model.layers.%.self_attn.sinks H;" \
        "model.layers.%.mlp.router.weight E C;model.layers.%.mlp.router.bias E;"   \
        "model.layers.%.mlp.experts.gate_up_proj_bias E Y;"                        \
        "model.layers.%.mlp.experts.down_proj_bias E C;"

/* ---- the families --------------------------------------------------------- */

#define FAMILY_GPT_OSS_CONFIG                                                            \
    "{\"architectures\":[\"GptOssForCausalLM\"],\"attention_bias\":true,"                \
    "\"attention_dropout\":0.0,\"eos_token_id\":150,\"experts_per_token\":2,"            \
    "\"head_dim\":16,\"hidden_act\":\"silu\",\"hidden_size\":64,"                        \
    "\"initial_context_length\":64,\"initializer_range\":0.02,\"intermediate_size\":96," \
    "\"layer_types\":[\"sliding_attention\",\"full_attention\"],"                        \
    "\"max_position_embeddings\":2048,\"model_type\":\"gpt_oss\","                       \
    "\"num_attention_heads\":8,\"num_experts_per_tok\":2,\"num_hidden_layers\":2,"       \
    "\"num_key_value_heads\":2,\"num_local_experts\":4,\"output_router_logits\":false,"  \
    "\"pad_token_id\":149,\"rms_norm_eps\":1e-05,\"rope_scaling\":{\"beta_fast\":32.0,"  \
    "\"beta_slow\":1.0,\"factor\":32.0,\"original_max_position_embeddings\":64,"         \
    "\"rope_type\":\"yarn\",\"truncate\":false},\"rope_theta\":150000,"                  \
    "\"router_aux_loss_coef\":0.9,\"sliding_window\":16,\"swiglu_limit\":7.0,"           \
    "\"tie_word_embeddings\":false,\"transformers_version\":\"4.55.0.dev0\","            \
    "\"use_cache\":true,\"vocab_size\":160"
#define FAMILY_GPT_OSS_GENERATION                                              \
    "{\"bos_token_id\":148,\"do_sample\":true,\"eos_token_id\":[150,149,152]," \
    "\"pad_token_id\":149,\"transformers_version\":\"4.55.0.dev0\"}"

static const struct family families[] = {
    {"llama-3.2-instruct",
     "{\"architectures\":[\"LlamaForCausalLM\"],\"attention_bias\":false,"
     "\"attention_dropout\":0.0,\"bos_token_id\":128,\"eos_token_id\":[129,138,139],"
     "\"head_dim\":16,\"hidden_act\":\"silu\",\"hidden_size\":64,\"initializer_range\":0.02,"
     "\"intermediate_size\":128,\"max_position_embeddings\":2048,\"mlp_bias\":false,"
     "\"model_type\":\"llama\",\"num_attention_heads\":4,\"num_hidden_layers\":2,"
     "\"num_key_value_heads\":2,\"pretraining_tp\":1,\"rms_norm_eps\":1e-05,"
     "\"rope_scaling\":{\"factor\":32.0,\"high_freq_factor\":4.0,\"low_freq_factor\":1.0,"
     "\"original_max_position_embeddings\":128,\"rope_type\":\"llama3\"},"
     "\"rope_theta\":500000.0,\"tie_word_embeddings\":true,\"torch_dtype\":\"bfloat16\","
     "\"transformers_version\":\"4.45.0.dev0\",\"use_cache\":true,\"vocab_size\":144}",
     "{\"bos_token_id\":128,\"do_sample\":true,\"eos_token_id\":[129,138,139],"
     "\"temperature\":0.6,\"top_p\":0.9,\"transformers_version\":\"4.45.0.dev0\"}",
     {129, 138, 139},
     3,
     "BF16",
     FAMILY_ENDS FAMILY_ATTENTION FAMILY_MLP FAMILY_NORMS,
     1,
     1},
    {"llama-2-chat", /* with the buffers that its checkpoints carry */
     "{\"_name_or_path\":\"meta-llama/Llama-2-7b-chat-hf\","
     "\"architectures\":[\"LlamaForCausalLM\"],\"bos_token_id\":1,\"eos_token_id\":2,"
     "\"hidden_act\":\"silu\",\"hidden_size\":64,\"initializer_range\":0.02,"
     "\"intermediate_size\":172,\"max_position_embeddings\":512,\"model_type\":\"llama\","
     "\"num_attention_heads\":4,\"num_hidden_layers\":3,\"num_key_value_heads\":4,"
     "\"pretraining_tp\":1,\"rms_norm_eps\":1e-05,\"rope_scaling\":null,"
     "\"tie_word_embeddings\":false,\"torch_dtype\":\"float16\","
     "\"transformers_version\":\"4.32.0.dev0\",\"use_cache\":true,\"vocab_size\":160}",
     "{\"bos_token_id\":1,\"do_sample\":true,\"eos_token_id\":2,\"pad_token_id\":0,"
     "\"temperature\":0.6,\"max_length\":4096,\"top_p\":0.9,"
     "\"transformers_version\":\"4.32.0.dev0\"}",
     {2},
     1,
     "F16",
     FAMILY_ENDS FAMILY_HEAD FAMILY_ATTENTION FAMILY_MLP FAMILY_NORMS
     "model.layers.%.self_attn.rotary_emb.inv_freq R :F32;",
     2,
     1},
    {"mistral-7b-v0.1",
     "{\"architectures\":[\"MistralForCausalLM\"],\"bos_token_id\":1,\"eos_token_id\":2,"
     "\"hidden_act\":\"silu\",\"hidden_size\":64,\"initializer_range\":0.02,"
     "\"intermediate_size\":224,\"max_position_embeddings\":1024,"
     "\"model_type\":\"mistral\",\"num_attention_heads\":4,\"num_hidden_layers\":2,"
     "\"num_key_value_heads\":1,\"rms_norm_eps\":1e-05,\"rope_theta\":10000.0,"
     "\"sliding_window\":16,\"tie_word_embeddings\":false,\"torch_dtype\":\"bfloat16\","
     "\"transformers_version\":\"4.34.0.dev0\",\"use_cache\":true,\"vocab_size\":160}",
     "{\"_from_model_config\":true,\"bos_token_id\":1,\"eos_token_id\":2,"
     "\"transformers_version\":\"4.34.0.dev0\"}",
     {2},
     1,
     "BF16",
     FAMILY_ENDS FAMILY_HEAD FAMILY_ATTENTION FAMILY_MLP FAMILY_NORMS,
     2,
     1},
    {"qwen2.5-instruct",
     "{\"architectures\":[\"Qwen2ForCausalLM\"],\"attention_dropout\":0.0,"
     "\"bos_token_id\":143,\"eos_token_id\":145,\"hidden_act\":\"silu\","
     "\"hidden_size\":112,\"initializer_range\":0.02,\"intermediate_size\":152,"
     "\"max_position_embeddings\":1024,\"max_window_layers\":21,\"model_type\":\"qwen2\","
     "\"num_attention_heads\":7,\"num_hidden_layers\":2,\"num_key_value_heads\":1,"
     "\"rms_norm_eps\":1e-06,\"rope_theta\":1000000.0,\"sliding_window\":1024,"
     "\"tie_word_embeddings\":true,\"torch_dtype\":\"bfloat16\","
     "\"transformers_version\":\"4.43.1\",\"use_cache\":true,\"use_sliding_window\":false,"
     "\"vocab_size\":160}",
     "{\"bos_token_id\":143,\"pad_token_id\":143,\"do_sample\":true,"
     "\"eos_token_id\":[145,143],\"repetition_penalty\":1.1,\"temperature\":0.7,"
     "\"top_p\":0.8,\"top_k\":20,\"transformers_version\":\"4.37.0\"}",
     {145, 143},
     2,
     "BF16",
     FAMILY_ENDS FAMILY_ATTENTION FAMILY_QKV_BIAS FAMILY_MLP FAMILY_NORMS,
     1,
     1},
    {"qwen3-0.6b", /* stores its tied head once more */
     "{\"architectures\":[\"Qwen3ForCausalLM\"],\"attention_bias\":false,"
     "\"attention_dropout\":0.0,\"bos_token_id\":143,\"eos_token_id\":145,\"head_dim\":32,"
     "\"hidden_act\":\"silu\",\"hidden_size\":64,\"initializer_range\":0.02,"
     "\"intermediate_size\":96,\"max_position_embeddings\":1024,\"max_window_layers\":28,"
     "\"model_type\":\"qwen3\",\"num_attention_heads\":4,\"num_hidden_layers\":2,"
     "\"num_key_value_heads\":2,\"rms_norm_eps\":1e-06,\"rope_scaling\":null,"
     "\"rope_theta\":1000000,\"sliding_window\":null,\"tie_word_embeddings\":true,"
     "\"torch_dtype\":\"bfloat16\",\"transformers_version\":\"4.51.0\",\"use_cache\":true,"
     "\"use_sliding_window\":false,\"vocab_size\":160}",
     "{\"bos_token_id\":143,\"do_sample\":true,\"eos_token_id\":[145,143],"
     "\"pad_token_id\":143,\"temperature\":0.6,\"top_k\":20,\"top_p\":0.95,"
     "\"transformers_version\":\"4.51.0\"}",
     {145, 143},
     2,
     "BF16",
     FAMILY_ENDS "lm_head.weight=model.embed_tokens.weight V C;" FAMILY_ATTENTION FAMILY_QK_NORM
         FAMILY_MLP FAMILY_NORMS,
     1,
     1},
    {"qwen3-30b-a3b",
     "{\"architectures\":[\"Qwen3MoeForCausalLM\"],\"attention_bias\":false,"
     "\"attention_dropout\":0.0,\"bos_token_id\":143,\"decoder_sparse_step\":1,"
     "\"eos_token_id\":145,\"head_dim\":16,\"hidden_act\":\"silu\",\"hidden_size\":64,"
     "\"initializer_range\":0.02,\"intermediate_size\":192,"
     "\"max_position_embeddings\":1024,\"max_window_layers\":48,\"mlp_only_layers\":[],"
     "\"model_type\":\"qwen3_moe\",\"moe_intermediate_size\":48,\"norm_topk_prob\":true,"
     "\"num_attention_heads\":8,\"num_experts\":8,\"num_experts_per_tok\":2,"
     "\"num_hidden_layers\":2,\"num_key_value_heads\":2,\"output_router_logits\":false,"
     "\"rms_norm_eps\":1e-06,\"rope_scaling\":null,\"rope_theta\":1000000.0,"
     "\"router_aux_loss_coef\":0.001,\"sliding_window\":null,\"tie_word_embeddings\":false,"
     "\"torch_dtype\":\"bfloat16\",\"transformers_version\":\"4.51.0\",\"use_cache\":true,"
     "\"use_sliding_window\":false,\"vocab_size\":160}",
     "{\"bos_token_id\":143,\"do_sample\":true,\"eos_token_id\":[145,143],"
     "\"pad_token_id\":143,\"temperature\":0.6,\"top_k\":20,\"top_p\":0.95,"
     "\"transformers_version\":\"4.51.0\"}",
     {145, 143},
     2,
     "BF16",
     FAMILY_ENDS FAMILY_HEAD FAMILY_ATTENTION FAMILY_QK_NORM FAMILY_NORMS
     "model.layers.%.mlp.gate.weight E C;model.layers.%.mlp.experts.#.gate_proj.weight X C;"
     "model.layers.%.mlp.experts.#.up_proj.weight X C;"
     "model.layers.%.mlp.experts.#.down_proj.weight C X;",
     4,
     1},
    {"gemma-2-it",
     "{\"architectures\":[\"Gemma2ForCausalLM\"],\"attention_bias\":false,"
     "\"attention_dropout\":0.0,\"attn_logit_softcapping\":50.0,\"bos_token_id\":2,"
     "\"cache_implementation\":\"hybrid\",\"eos_token_id\":[1,107],"
     "\"final_logit_softcapping\":30.0,\"head_dim\":32,"
     "\"hidden_act\":\"gelu_pytorch_tanh\",\"hidden_activation\":\"gelu_pytorch_tanh\","
     "\"hidden_size\":96,\"initializer_range\":0.02,\"intermediate_size\":192,"
     "\"max_position_embeddings\":1024,\"model_type\":\"gemma2\",\"num_attention_heads\":4,"
     "\"num_hidden_layers\":2,\"num_key_value_heads\":2,\"pad_token_id\":0,"
     "\"query_pre_attn_scalar\":32,\"rms_norm_eps\":1e-06,\"rope_theta\":10000.0,"
     "\"sliding_window\":16,\"torch_dtype\":\"bfloat16\","
     "\"transformers_version\":\"4.42.4\",\"use_cache\":true,\"vocab_size\":160}",
     "{\"_from_model_config\":true,\"bos_token_id\":2,\"cache_implementation\":\"hybrid\","
     "\"eos_token_id\":[1,107],\"pad_token_id\":0,\"transformers_version\":\"4.42.4\"}",
     {1, 107},
     2,
     "BF16",
     FAMILY_GEMMA,
     2,
     1},
    {"gemma-3-1b-it",
     "{\"architectures\":[\"Gemma3ForCausalLM\"],\"attention_bias\":false,"
     "\"attention_dropout\":0.0,\"attn_logit_softcapping\":null,\"bos_token_id\":2,"
     "\"cache_implementation\":\"hybrid\",\"eos_token_id\":[1,106],"
     "\"final_logit_softcapping\":null,\"head_dim\":32,"
     "\"hidden_activation\":\"gelu_pytorch_tanh\",\"hidden_size\":64,"
     "\"initializer_range\":0.02,\"intermediate_size\":192,"
     "\"max_position_embeddings\":1024,\"model_type\":\"gemma3_text\","
     "\"num_attention_heads\":4,\"num_hidden_layers\":3,\"num_key_value_heads\":1,"
     "\"pad_token_id\":0,\"query_pre_attn_scalar\":32,\"rms_norm_eps\":1e-06,"
     "\"rope_local_base_freq\":10000,\"rope_scaling\":null,\"rope_theta\":1000000,"
     "\"sliding_window\":16,\"sliding_window_pattern\":2,\"torch_dtype\":\"bfloat16\","
     "\"transformers_version\":\"4.50.0.dev0\",\"use_cache\":true,\"vocab_size\":160}",
     "{\"bos_token_id\":2,\"cache_implementation\":\"hybrid\",\"do_sample\":true,"
     "\"eos_token_id\":[1,106],\"pad_token_id\":0,\"top_k\":64,\"top_p\":0.95,"
     "\"transformers_version\":\"4.50.0.dev0\"}",
     {1, 106},
     2,
     "BF16",
     FAMILY_GEMMA FAMILY_QK_NORM,
     1,
     1},
    {"phi-3-mini-4k-instruct",
     "{\"_name_or_path\":\"Phi-3-mini-4k-instruct\","
     "\"architectures\":[\"Phi3ForCausalLM\"],\"attention_dropout\":0.0,"
     "\"auto_map\":{\"AutoConfig\":\"configuration_phi3.Phi3Config\","
     "\"AutoModelForCausalLM\":\"modeling_phi3.Phi3ForCausalLM\"},\"bos_token_id\":1,"
     "\"embd_pdrop\":0.0,\"eos_token_id\":150,\"hidden_act\":\"silu\",\"hidden_size\":64,"
     "\"initializer_range\":0.02,\"intermediate_size\":160,"
     "\"max_position_embeddings\":1024,\"model_type\":\"phi3\",\"num_attention_heads\":4,"
     "\"num_hidden_layers\":2,\"num_key_value_heads\":4,"
     "\"original_max_position_embeddings\":1024,\"pad_token_id\":150,\"resid_pdrop\":0.0,"
     "\"rms_norm_eps\":1e-05,\"rope_scaling\":null,\"rope_theta\":10000.0,"
     "\"sliding_window\":16,\"tie_word_embeddings\":false,\"torch_dtype\":\"bfloat16\","
     "\"transformers_version\":\"4.40.2\",\"use_cache\":true,\"attention_bias\":false,"
     "\"vocab_size\":160}",
     "{\"_from_model_config\":true,\"bos_token_id\":1,\"eos_token_id\":[150,151,157],"
     "\"pad_token_id\":150,\"transformers_version\":\"4.40.2\"}",
     {150, 151, 157},
     3,
     "BF16",
     FAMILY_ENDS FAMILY_HEAD FAMILY_NORMS
     "model.layers.%.self_attn.qkv_proj.weight N C;model.layers.%.self_attn.o_proj.weight C Q;"
     "model.layers.%.mlp.gate_up_proj.weight U C;model.layers.%.mlp.down_proj.weight C F;",
     2,
     1},
    {"phi-4-mini-instruct", /* three quarters of a head are rotated; longrope; tied */
     "{\"architectures\":[\"Phi3ForCausalLM\"],\"attention_bias\":false,"
     "\"attention_dropout\":0.0,\"auto_map\":{\"AutoConfig\":"
     "\"configuration_phi3.Phi3Config\"},\"bos_token_id\":150,\"embd_pdrop\":0.0,"
     "\"eos_token_id\":150,\"full_attn_mod\":1,\"hidden_act\":\"silu\",\"hidden_size\":64,"
     "\"initializer_range\":0.02,\"intermediate_size\":160,\"interpolate_factor\":1,"
     "\"lm_head_bias\":false,\"max_position_embeddings\":512,\"mlp_bias\":false,"
     "\"model_type\":\"phi3\",\"num_attention_heads\":4,\"num_hidden_layers\":2,"
     "\"num_key_value_heads\":2,\"original_max_position_embeddings\":64,"
     "\"pad_token_id\":150,\"partial_rotary_factor\":0.75,\"resid_pdrop\":0.0,"
     "\"rms_norm_eps\":1e-05,\"rope_scaling\":{\"long_factor\":[1.0,1.2,1.5,2.0,3.0,4.0],"
     "\"short_factor\":[1.0,1.0,1.0,1.1,1.2,1.3],\"type\":\"longrope\"},"
     "\"rope_theta\":10000.0,\"sliding_window\":2048,\"tie_word_embeddings\":true,"
     "\"torch_dtype\":\"bfloat16\",\"transformers_version\":\"4.45.0\",\"use_cache\":true,"
     "\"vocab_size\":161}",
     "{\"_from_model_config\":true,\"bos_token_id\":150,\"eos_token_id\":[151,150],"
     "\"pad_token_id\":150,\"transformers_version\":\"4.45.0\"}",
     {151, 150},
     2,
     "BF16",
     FAMILY_ENDS FAMILY_NORMS
     "model.layers.%.self_attn.qkv_proj.weight N C;model.layers.%.self_attn.o_proj.weight C Q;"
     "model.layers.%.mlp.gate_up_proj.weight U C;model.layers.%.mlp.down_proj.weight C F;",
     2,
     1},
    {"olmo-2-1124",
     "{\"architectures\":[\"Olmo2ForCausalLM\"],\"attention_bias\":false,"
     "\"attention_dropout\":0.0,\"eos_token_id\":157,\"hidden_act\":\"silu\","
     "\"hidden_size\":64,\"initializer_range\":0.02,\"intermediate_size\":144,"
     "\"max_position_embeddings\":512,\"model_type\":\"olmo2\",\"num_attention_heads\":4,"
     "\"num_hidden_layers\":2,\"num_key_value_heads\":4,\"pad_token_id\":158,"
     "\"rms_norm_eps\":1e-06,\"rope_scaling\":null,\"rope_theta\":500000,"
     "\"tie_word_embeddings\":false,\"torch_dtype\":\"float32\","
     "\"transformers_version\":\"4.47.0.dev0\",\"use_cache\":false,\"vocab_size\":160}",
     "{\"_from_model_config\":true,\"eos_token_id\":157,\"pad_token_id\":158,"
     "\"transformers_version\":\"4.47.0.dev0\"}",
     {157},
     1,
     "F32",
     FAMILY_ENDS FAMILY_HEAD FAMILY_ATTENTION FAMILY_MLP
     "model.layers.%.self_attn.q_norm.weight Q;model.layers.%.self_attn.k_norm.weight K;"
     "model.layers.%.post_attention_layernorm.weight C;"
     "model.layers.%.post_feedforward_layernorm.weight C;",
     3,
     1},
    {"smollm3-3b",
     "{\"architectures\":[\"SmolLM3ForCausalLM\"],\"attention_bias\":false,"
     "\"attention_dropout\":0.0,\"bos_token_id\":null,\"eos_token_id\":152,"
     "\"hidden_act\":\"silu\",\"hidden_size\":64,\"initializer_range\":0.02,"
     "\"intermediate_size\":160,\"layer_types\":[\"full_attention\",\"full_attention\","
     "\"full_attention\",\"full_attention\"],\"max_position_embeddings\":1024,"
     "\"max_window_layers\":28,\"mlp_bias\":false,\"model_type\":\"smollm3\","
     "\"no_rope_layer_interval\":4,\"no_rope_layers\":[1,1,1,0],"
     "\"num_attention_heads\":4,\"num_hidden_layers\":4,\"num_key_value_heads\":1,"
     "\"pad_token_id\":144,\"pretraining_tp\":2,\"rms_norm_eps\":1e-06,"
     "\"rope_scaling\":null,\"rope_theta\":5000000.0,\"sliding_window\":null,"
     "\"torch_dtype\":\"bfloat16\",\"transformers_version\":\"4.54.0.dev0\","
     "\"use_cache\":false,\"use_sliding_window\":false,\"vocab_size\":160}",
     "{\"bos_token_id\":128,\"do_sample\":true,\"eos_token_id\":152,\"pad_token_id\":144,"
     "\"temperature\":0.6,\"top_p\":0.95,\"transformers_version\":\"4.54.0.dev0\"}",
     {152},
     1,
     "BF16",
     FAMILY_ENDS FAMILY_ATTENTION FAMILY_MLP FAMILY_NORMS,
     2,
     1},
    {"granite-3.1-instruct",
     "{\"architectures\":[\"GraniteForCausalLM\"],\"attention_bias\":false,"
     "\"attention_dropout\":0.1,\"attention_multiplier\":0.0625,\"bos_token_id\":0,"
     "\"embedding_multiplier\":12.0,\"eos_token_id\":0,\"hidden_act\":\"silu\","
     "\"hidden_size\":64,\"initializer_range\":0.02,\"intermediate_size\":128,"
     "\"logits_scaling\":8.0,\"max_position_embeddings\":1024,\"mlp_bias\":false,"
     "\"model_type\":\"granite\",\"num_attention_heads\":4,\"num_hidden_layers\":2,"
     "\"num_key_value_heads\":2,\"pad_token_id\":0,\"residual_multiplier\":0.22,"
     "\"rms_norm_eps\":1e-05,\"rope_scaling\":null,\"rope_theta\":5000000.0,"
     "\"tie_word_embeddings\":true,\"torch_dtype\":\"bfloat16\","
     "\"transformers_version\":\"4.47.0\",\"use_cache\":true,\"vocab_size\":155}",
     "{\"_from_model_config\":true,\"bos_token_id\":0,\"eos_token_id\":0,"
     "\"pad_token_id\":0,\"transformers_version\":\"4.47.0\"}",
     {0},
     1,
     "BF16",
     FAMILY_ENDS FAMILY_ATTENTION FAMILY_MLP FAMILY_NORMS,
     2,
     1},
    {"gpt-oss-bf16",
     FAMILY_GPT_OSS_CONFIG ",\"torch_dtype\":\"bfloat16\"}",
     FAMILY_GPT_OSS_GENERATION,
     {150, 149, 152},
     3,
     "BF16",
     FAMILY_GPT_OSS "model.layers.%.mlp.experts.gate_up_proj E C Y;"
                    "model.layers.%.mlp.experts.down_proj E X C;",
     2,
     1},
    {"gpt-oss-20b", /* shards are counted from 0 */
     FAMILY_GPT_OSS_CONFIG ",\"quantization_config\":{\"modules_to_not_convert\":["
                           "\"model.layers.*.self_attn\",\"model.layers.*.mlp.router\","
                           "\"model.embed_tokens\",\"lm_head\"],\"quant_method\":\"mxfp4\"}}",
     FAMILY_GPT_OSS_GENERATION,
     {150, 149, 152},
     3,
     "BF16",
     FAMILY_GPT_OSS "model.layers.%.mlp.experts.gate_up_proj_blocks E Y B 16 :U8;"
                    "model.layers.%.mlp.experts.gate_up_proj_scales E Y B :U8;"
                    "model.layers.%.mlp.experts.down_proj_blocks E C Z 16 :U8;"
                    "model.layers.%.mlp.experts.down_proj_scales E C Z :U8;",
     3,
     0},
};
enum { FAMILIES = sizeof families / sizeof *families };

/* ---- writing -------------------------------------------------------------- */

static inline int family_number(const json_t *config, const char *name, int fallback)
{
    const json_t *v = json_object_get(config, name);
    return json_is_integer(v) ? (int)json_integer_value(v) : fallback;
}

static inline int family_dim(const json_t *c, const char *dim)
{
    int heads = family_number(c, "num_attention_heads", 0),
        width = family_number(c, "hidden_size", 0);
    int kv = family_number(c, "num_key_value_heads", heads);
    int head = family_number(c, "head_dim", width / heads),
        ffn = family_number(c, "intermediate_size", 0);
    int expert = family_number(c, "moe_intermediate_size", ffn);
    switch (*dim) {
    case 'V': return family_number(c, "vocab_size", 0);
    case 'C': return width;
    case 'F': return ffn;
    case 'U': return 2 * ffn;
    case 'H': return heads;
    case 'D': return head;
    case 'R': return head / 2;
    case 'Q': return heads * head;
    case 'K': return kv * head;
    case 'N': return (heads + 2 * kv) * head;
    case 'E': return family_number(c, "num_experts", family_number(c, "num_local_experts", 0));
    case 'X': return expert;
    case 'Y': return 2 * expert;
    case 'B': return width / 32;
    case 'Z': return expert / 32;
    default: return atoi(dim);
    }
}

struct family_writer {
    const struct family *f;
    const json_t *config;
    struct buf header, data; /* of the shard at hand */
    struct buf map;          /* weight_map */
    size_t total, limit;     /* bytes written; bytes a shard */
    int shard;
    const char *dir;
};

static inline void family_shard_name(const struct family_writer *w, char *name, size_t cap)
{
    if (w->f->shards == 1)
        snprintf(name, cap, "model.safetensors");
    else
        snprintf(name, cap, "model-%05d-of-%05d.safetensors", w->shard,
                 w->f->shards - 1 + w->f->first_shard);
}

static inline void family_end_shard(struct family_writer *w)
{
    char name[64];
    struct buf file = {0};
    family_shard_name(w, name, sizeof name);
    buf_puts(&w->header, ",\"__metadata__\":{\"format\":\"pt\"}}");
    while (w->header.n % 8) /* as the reference writer pads it */
        buf_putc(&w->header, ' ');
    for (int i = 0; i < 8; i++)
        buf_putc(&file, (char)((uint64_t)w->header.n >> 8 * i & 255));
    buf_addstr(&file, buf_str(&w->header));
    buf_addstr(&file, buf_str(&w->data));
    tiny_file(w->dir, name, &file);
    buf_release(&file);
    buf_clear(&w->header);
    buf_clear(&w->data);
    w->shard++;
}

/* Values that keep activations near 1; the same for the same name. */
static inline void family_values(struct family_writer *w, const char *name, const char *dtype,
                                 int64_t n, int columns)
{
    struct tiny_model like = {.dtype = dtype};
    struct tiny_writer t = {.t = &like, .state = 1};
    bool norm = strstr(name, "norm") != NULL, scales = strstr(name, "_scales") != NULL;
    for (const char *p = name; *p; p++)
        t.state = t.state * 1099511628211u + (unsigned char)*p;
    for (int64_t i = 0; i < n; i++) {
        float x = tiny_random(&t.state);
        if (*dtype == 'U')
            buf_putc(&t.data, scales ? (char)(120 + (int)(3 * x)) : (char)(int)(127 * x));
        else
            tiny_put(&t, norm ? 1 + x / 8 : x * (columns < 2 ? 0.1f : 0.3f));
    }
    buf_addstr(&w->data, buf_str(&t.data));
    buf_release(&t.data);
}

/* "NAME[=OTHER] DIM...[ :DTYPE]" */
static inline void family_tensor(struct family_writer *w, char *spec)
{
    char *save = NULL, *name = strtok_r(spec, " ", &save), *alias = strchr(name, '=');
    const char *dtype = w->f->dtype;
    struct buf shape = {0};
    int64_t n = 1;
    int columns = 0;
    char shard[64];
    if (alias)
        *alias++ = 0;
    for (char *dim; (dim = strtok_r(NULL, " ", &save));) {
        if (*dim == ':') {
            dtype = dim + 1;
            break;
        }
        int size = family_dim(w->config, dim);
        buf_printf(&shape, "%s%d", columns++ ? "," : "", size);
        n *= size;
    }
    size_t bytes = (size_t)n * (*dtype == 'U' ? 1 : dtype[1] == '3' ? 4 : 2);
    if (w->data.n && w->data.n + bytes > w->limit &&
        w->shard + 1 < w->f->shards + w->f->first_shard)
        family_end_shard(w);
    family_shard_name(w, shard, sizeof shard);
    size_t from = w->data.n;
    family_values(w, alias ? alias : name, dtype, n, columns);
    buf_printf(&w->header,
               "%c\"%s\":{\"dtype\":\"%s\",\"shape\":[%s],\"data_offsets\":[%zu,%zu]}",
               w->header.n ? ',' : '{', name, dtype, shape.p, from, w->data.n);
    buf_printf(&w->map, "%s\"%s\":\"%s\"", w->map.n ? "," : "", name, shard);
    w->total += bytes;
    buf_release(&shape);
}

/* One for each layer and expert. */
static inline void family_expand(struct family_writer *w, const char *spec, size_t n)
{
    bool layers = memchr(spec, '%', n), experts = memchr(spec, '#', n);
    int L = layers ? family_number(w->config, "num_hidden_layers", 0) : 1;
    int E = experts ? family_dim(w->config, "E") : 1;
    for (int l = 0; l < L; l++) {
        for (int e = 0; e < E; e++) {
            struct buf one = {0};
            for (size_t i = 0; i < n; i++) {
                if (spec[i] == '%')
                    buf_printf(&one, "%d", l);
                else if (spec[i] == '#')
                    buf_printf(&one, "%d", e);
                else
                    buf_putc(&one, spec[i]);
            }
            family_tensor(w, one.p);
            buf_release(&one);
        }
    }
}

static inline void family_text(const char *dir, const char *name, const char *text)
{
    struct buf b = {0};
    buf_puts(&b, text);
    tiny_file(dir, name, &b);
    buf_release(&b);
}

/* What lies beside a model on the hub; nothing of it but the tokenizer is for us. */
static inline void family_extras(const char *dir)
{
    char sub[512];
    family_text(dir, "README.md", "---\nlicense: other\npipeline_tag: text-generation\n---\n");
    family_text(dir, ".gitattributes", "*.safetensors filter=lfs diff=lfs merge=lfs -text\n");
    family_text(dir, "LICENSE", "A license.\n");
    family_text(dir, "modeling_phi3.py", "raise SystemExit('never run')\n");
    family_text(dir, "pytorch_model.bin.index.json", "{\"weight_map\":{\"a\":\"../b.bin\"}}");
    family_text(dir, "consolidated.safetensors", "another layout of the same weights");
    family_text(dir, "tokenizer.model", "\nsentencepiece");
    snprintf(sub, sizeof sub, "%s/original", dir);
    (void)mkdir(sub, 0777);
    family_text(sub, "params.json", "{\"dim\":64,\"n_layers\":2}");
    family_text(sub, "consolidated.00.pth", "PK\003\004");
    family_text(dir, "tokenizer.json",
                "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"added_tokens\":[{"
                "\"id\":5,\"content\":\"<|im_end|>\",\"single_word\":false,\"lstrip\":false,"
                "\"rstrip\":false,\"normalized\":false,\"special\":true}],\"normalizer\":null,"
                "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false,"
                "\"trim_offsets\":true,\"use_regex\":true},\"post_processor\":null,"
                "\"decoder\":{\"type\":\"ByteLevel\"},\"model\":{\"type\":\"BPE\","
                "\"dropout\":null,\"unk_token\":null,\"continuing_subword_prefix\":null,"
                "\"end_of_word_suffix\":null,\"fuse_unk\":false,\"byte_fallback\":false,"
                "\"vocab\":{\"h\":0,\"i\":1,\"hi\":2,\"a\":3,\"b\":4},\"merges\":[\"h i\"]}}");
    family_text(dir, "tokenizer_config.json",
                "{\"added_tokens_decoder\":{\"5\":{\"content\":\"<|im_end|>\"}},"
                "\"bos_token\":null,\"chat_template\":\"{% for m in messages %}"
                "{{ m.content }}<|im_end|>{% endfor %}\",\"clean_up_tokenization_spaces\":"
                "false,\"eos_token\":\"<|im_end|>\",\"model_max_length\":1000000000,"
                "\"tokenizer_class\":\"PreTrainedTokenizerFast\"}");
    family_text(dir, "special_tokens_map.json", "{\"eos_token\":\"<|im_end|>\"}");
}

/* Writes the directory, which is made; config: in place of the family's own, or NULL. */
static inline void family_write(const char *dir, const struct family *f, const char *config)
{
    const char *text = config ? config : f->config;
    json_t *c = json_loads(text, 0, NULL);
    struct family_writer w = {.f = f, .config = c, .shard = f->first_shard, .dir = dir};
    struct buf index = {0};
    if (!c)
        abort();
    (void)mkdir(dir, 0777);
    /* About even: what all tensors have, over the number of shards. */
    w.limit = SIZE_MAX;
    for (int pass = f->shards == 1; pass < 2; pass++) {
        for (const char *p = f->tensors, *end; (end = strchr(p, ';')); p = end + 1)
            family_expand(&w, p, (size_t)(end - p));
        if (pass == 0) {
            w.limit = w.total / (size_t)f->shards + 1;
            w.total = 0;
            w.shard = f->first_shard;
            buf_clear(&w.header);
            buf_clear(&w.data);
            buf_clear(&w.map);
        }
    }
    family_end_shard(&w);
    if (f->shards > 1) {
        buf_printf(&index, "{\"metadata\":{\"total_size\":%zu},\"weight_map\":{%s}}\n", w.total,
                   w.map.p);
        tiny_file(dir, "model.safetensors.index.json", &index);
    }
    family_text(dir, "config.json", text);
    family_text(dir, "generation_config.json", f->generation);
    family_extras(dir);
    buf_release(&index);
    buf_release(&w.header);
    buf_release(&w.data);
    buf_release(&w.map);
    json_decref(c);
}

#endif
