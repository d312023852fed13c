#!/usr/bin/env bash
# train.sh BENCH BIN - speed and memory of fine-tuning a model of SmolLM2-135M's shape, bf16, rows
# of 256 tokens: LoRA and whole, one process on all cores and two ranks, beside a plain torch + PEFT
# loop of PEERS_PYTHON (PEERS=1).  Tokens a second of the median step but the first; peak memory of
# all processes together.
set -euo pipefail
bin=$2 python=${PEERS_PYTHON:-} steps=${STEPS:-4}
[ "${PEERS:-0}" = 1 ] || python=
here=$PWD tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
row() { printf '%-36s %12s %12s %8s\n' "$@"; }
over() { awk -v a="$1" -v b="$2" 'BEGIN { if (b > 0) printf "%.2f", a / b; else printf "-" }'; }

cat > "$tmp/config.json" << 'END'
{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "attention_bias": false,
 "mlp_bias": false, "vocab_size": 49152, "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30,
 "num_attention_heads": 9, "num_key_value_heads": 3, "max_position_embeddings": 2048, "rms_norm_eps": 1e-05,
 "tie_word_embeddings": true, "rope_theta": 10000.0, "bos_token_id": 1, "eos_token_id": 2,
 "initializer_range": 0.02, "torch_dtype": "bfloat16"}
END
# Rows of 256 tokens, all but the first of them targets: a prompt of one token, and a completion.
awk 'BEGIN { srand(1); for (i = 0; i < 64; i++) { printf "{\"prompt\":\"a\",\"completion\":\""
        for (k = 0; k < 254; k++) printf "%c", 97 + int(rand() * 26)
        print "\"}" } }' > "$tmp/rows.jsonl"
cat > "$tmp/tokenizer.json" << 'END'
{"version": "1.0", "added_tokens": [], "normalizer": null, "post_processor": null,
 "pre_tokenizer": null, "decoder": null, "model": {"type": "BPE", "unk_token": null, "merges": [], "vocab": {
END
awk 'BEGIN { for (i = 0; i < 26; i++) printf "%s\"%c\": %d", i ? ", " : "", 97 + i, i + 3; print "}}}" }' >> "$tmp/tokenizer.json"
model=$tmp/base
"$bin/train-step" -q -m "$tmp" --init "$tmp/config.json" -o "$model" --dtype f32 --save-dtype bf16 --steps 1 --batch 1 --lr 0 \
    --keep 0 "$tmp/rows.jsonl" > /dev/null

# Prints tokens a second, and the peak of the processes' resident memory together in MB.
watch() { # watch COMMAND...
    "$@" > "$tmp/out" 2> "$tmp/err" &
    local pid=$! peak=0 now
    while kill -0 $pid 2> /dev/null; do
        now=$({ ps -o rss= --ppid $pid; ps -o rss= -p $pid; } | awk '{ s += $1 } END { printf "%d", s / 1024 }')
        [ "$now" -le "$peak" ] || peak=$now
        sleep 0.2
    done
    wait $pid || { cat "$tmp/err" >&2; exit 1; }
    awk -F '"tokens_per_s":' 'NR > 1 { split($2, a, ","); print a[1] }' "$tmp/out" | sort -g |
        awk -v peak="$peak" '{ v[NR] = $1 } END { printf "%.0f %d\n", v[int((NR + 1) / 2)], peak }'
}
ours() { # ours RANKS BATCH [OPTION...]
    local launch=()
    [ "$1" -eq 1 ] || launch=(mpirun --oversubscribe --bind-to none -n "$1")
    [ "$1" -eq 1 ] || [ "$(id -u)" != 0 ] || launch+=(--allow-run-as-root)
    rm -rf "$tmp/o" "$tmp/o.ckpt"
    watch "${launch[@]}" "$bin/train-step" -q -m "$model" -o "$tmp/o" --dtype bf16 --steps "$steps" --batch "$2" --keep 0 \
        --every 1000 "${@:3}" "$tmp/rows.jsonl"
}
peer() { # peer lora|full: batch 4, torch's threads as it likes
    cd "$tmp" && watch "$python" - "$model" "$1" "$steps" << 'END'
import json, sys, time, torch
from transformers import AutoConfig, AutoModelForCausalLM
m = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.bfloat16)
if sys.argv[2] == "lora":
    from peft import LoraConfig, get_peft_model
    m = get_peft_model(m, LoraConfig(r=16, lora_alpha=32, target_modules=[
        "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]))
m.train()
o = torch.optim.AdamW([p for p in m.parameters() if p.requires_grad], lr=1e-4)
for step in range(int(sys.argv[3])):
    x = torch.randint(3, 29, (4, 256))
    begin = time.time()
    m(input_ids=x, labels=x).loss.backward()
    torch.nn.utils.clip_grad_norm_(m.parameters(), 1.0)
    o.step()
    o.zero_grad()
    print(json.dumps({"step": step, "tokens_per_s": 1024 / (time.time() - begin), "end": 0}).replace(" ", ""), flush=True)
END
    cd "$here"
}
has_peer=
[ -z "$python" ] || ! "$python" -c 'import torch, transformers, peft' 2> /dev/null || has_peer=1
[ -n "$has_peer" ] || echo "bench/train.sh: the peer is skipped: PEERS=1 and PEERS_PYTHON with torch, transformers and peft bring it"

echo "$(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2), load $(cut -d' ' -f1-3 /proc/loadavg), $steps steps"
[ -z "$has_peer" ] || "$python" -c 'import torch, transformers, peft; print("torch", torch.__version__, "transformers", transformers.__version__, "peft", peft.__version__)'
row "" ours theirs ratio
for kind in ${KINDS:-lora full}; do
    options=(--micro-tokens 1024)
    [ "$kind" = full ] && options+=(--fast-reduce) || options+=(--lora "r=16,alpha=32")
    read -r speed memory < <(ours 1 4 "${options[@]}")
    theirs=- used=-
    [ -z "$has_peer" ] || read -r theirs used < <(peer "$kind")
    row "$kind, tokens/s" "$speed" "$theirs" "$(over "$speed" "$theirs")"
    row "$kind, peak MB" "$memory" "$used" "$(over "$memory" "$used")"
    if [ "${RANKS:-1}" = 1 ] && command -v mpirun > /dev/null; then
        read -r one _ < <(ours 1 8 --threads 1 "${options[@]}")
        read -r two _ < <(ours 2 8 --threads 1 "${options[@]}")
        row "$kind, 1 and 2 ranks of one thread" "$one" "$two" "$(over "$two" "$one")"
    fi
done
