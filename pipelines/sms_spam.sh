#!/usr/bin/env bash
# sms_spam.sh DATASETS OUT - trains a spam filter from scratch on sms_spam.train_rest.jsonl and
# scores it on sms_spam.sample1000.jsonl; status 1 where accuracy is under 0.985 or F1(spam) under
# 0.955.  The tokenizer is the embedded router's.
set -eu -o pipefail
sets=$1 out=$2
[ -r "$sets/sms_spam.train_rest.jsonl" ] || { echo "sms_spam.sh: no $sets/sms_spam.train_rest.jsonl" >&2; exit 66; }
tokenizer=data/models/router
work=$out.data
mkdir -p "$work"
cat > "$work/template.json" << 'END'
{"strategies": {"spam": {"system_prompt": "spam or ham?", "user_template": "{text}"}}}
END
cat > "$work/config.json" << 'END'
{
  "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
  "attention_bias": false, "mlp_bias": false, "attention_dropout": 0.0, "rope_scaling": null,
  "vocab_size": 900, "hidden_size": 192, "intermediate_size": 512, "num_hidden_layers": 4,
  "num_attention_heads": 6, "num_key_value_heads": 6, "max_position_embeddings": 1024,
  "rms_norm_eps": 1e-05, "tie_word_embeddings": true, "rope_theta": 10000.0, "bos_token_id": 1,
  "eos_token_id": 3, "pad_token_id": 0, "initializer_range": 0.02, "torch_dtype": "float32"
}
END
render-prompt -q -t "$work/template.json" -s spam --target label "$sets/sms_spam.train_rest.jsonl" > "$work/lessons.jsonl"
train-step -q -m "$tokenizer" --init "$work/config.json" -o "$out" --dtype f32 --shuffle 1 --seed 1 \
    --epochs "${EPOCHS:-8}" --batch 16 --lr 1e-3 --warmup 0.05 --weight-decay 0.1 --beta2 0.98 \
    --micro-tokens 2048 --keep 0 "$work/lessons.jsonl" > "$work/metrics.jsonl"
render-prompt -q -t "$work/template.json" -s spam "$sets/sms_spam.sample1000.jsonl" |
    gpu-infer -q -m "$out" --choices ham,spam > "$work/answers.jsonl"
score --gold label --positive spam "$work/answers.jsonl"
awk -F '"label":"' '{ split($2, gold, "\""); split($3, got, "\""); right += gold[1] == got[1]
        tp += gold[1] == "spam" && got[1] == "spam"; p += got[1] == "spam"; g += gold[1] == "spam" }
    END { f1 = p + g ? 2 * tp / (p + g) : 0
          printf "sms_spam: accuracy %.4f, F1(spam) %.4f on %d messages held back\n", right / NR, f1, NR
          exit right / NR < 0.985 || f1 < 0.955 }' "$work/answers.jsonl"
