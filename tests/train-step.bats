#!/usr/bin/env bats
# train-step.bats - training runs of a tiny model, on one rank and on several.

load helpers

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    MODEL=$BATS_TEST_DIRNAME/../data/models/router
    export MODEL
    unset SHARD SHARDS
    set -o pipefail
    jq -c '.hidden_size = 32 | .intermediate_size = 48 | .num_hidden_layers = 2 | .num_attention_heads = 2
        | .num_key_value_heads = 1 | .torch_dtype = "float32"' "$MODEL/config.json" > tiny.json
}

# N training records, of different lengths.
lessons() { # lessons N
    awk -v n="$1" 'BEGIN {
        split("billing technical shipping account", w)
        for (i = 0; i < n; i++) {
            text = "The " w[i % 4 + 1] " is wrong."
            for (k = 0; k < i * 5 % 7; k++) text = text " Order " i * 37 % 1000 " again."
            printf "{\"id\":%d,\"messages\":[{\"role\":\"user\",\"content\":\"%s\"},{\"role\":\"assistant\",\"content\":\"%s\"}]}\n",
                i, text, w[i % 4 + 1]
        }
    }'
}

# A tiny model from scratch; small enough for the plain backend.
learn() { # learn OUT [OPTION...]
    train-step -q -m "$MODEL" --init tiny.json -o "$1" --dtype f32 -d cpu --lr 3e-3 --batch 5 --shuffle 1 "${@:2}"
}
ranks() { # ranks N OUT [OPTION...]
    mpirun --allow-run-as-root --oversubscribe -n "$1" train-step -q -m "$MODEL" --init tiny.json -o "$2" \
        --dtype f32 --lr 3e-3 --batch 5 --shuffle 1 "${@:3}"
}
# The same in the background, as one process that can be sent a signal.
begin() { # begin OUT [OPTION...]
    train-step -q -m "$MODEL" --init tiny.json -o "$1" --dtype f32 -d cpu --lr 3e-3 --batch 5 --shuffle 1 "${@:2}" &
}
need_mpi() {
    command -v mpirun > /dev/null || skip "no mpirun here"
}
same() { # same OUT OUT: weights, metrics, and optimizer at the end
    cmp "$1/model.safetensors" "$2/model.safetensors"
    cmp "$1/metrics.jsonl" "$2/metrics.jsonl"
    local last
    last=$(ls -d "$1".ckpt/step-* | tail -1)
    cmp "$last/moments.safetensors" "$2.ckpt/$(basename "$last")/moments.safetensors"
}

# ---- records --------------------------------------------------------------------

@test "train-step: a metrics record a step, and a model that gpu-infer runs" {
    lessons 12 > in
    learn out --epochs 2 in > metrics
    [ "$(wc -l < metrics)" -eq 6 ]
    [ "$(jq -c 'keys_unsorted' metrics | sort -u)" = '["step","epoch","loss","lr","grad_norm","tokens","tokens_per_s","seconds"]' ]
    [ "$(jq -r .epoch metrics | tail -1)" = 2 ]
    cmp <(jq -c 'del(.tokens_per_s, .seconds)' metrics) <(jq -c . out/metrics.jsonl)
    jq -e '.steps == 6 and .records == 12 and .key.batch == 5' out/training.json
    lessons 2 | jq -c '{messages: .messages[:1]}' | gpu-infer -q -m out --max-tokens 4 | jq -e .response.text
}

@test "train-step: --show-mask shows the answer and its end token, and nothing else" {
    lessons 3 > in
    train-step -m "$MODEL" --show-mask in > masks
    [ "$(wc -l < masks)" -eq 3 ]
    jq -c '.mask as $m | {tokens: [range($m.tokens | length) | select($m.loss[.] == 1) | $m.tokens[.]]}' masks |
        tokenize -q -m "$MODEL" --decode | jq -r .text > learned
    [ "$(cat learned)" = "$(printf '%s<|im_end|>\n' billing technical shipping)" ]
}

@test "train-step: prompt and completion are learned, with the end token behind" {
    echo '{"prompt":"Say it: ","completion":"yes"}' | train-step -m "$MODEL" --show-mask > masks
    [ "$(jq -c '.mask.tokens[-1], .mask.loss[-1]' masks | tr '\n' ' ')" = "3 1 " ]
}

@test "train-step: a bad record stops with 65 before the first step, and names file and line" {
    lessons 4 > in
    for bad in 'not json' '{"id":1}' '{"messages":[{"role":"user","content":"x"}]}' '{"messages":[]}' \
        '{"error":{"stage":"s","type":"t","message":"m"}}' '{"messages":7}' '{"prompt":"x","completion":7}'; do
        sed "3s/.*/$bad/" in > bad
        run bash -c '"$@" 2>&1 > stdout' -- train-step -q -m "$MODEL" --init tiny.json -o out bad
        [ "$status" -eq 65 ]
        [ "${#lines[@]}" -eq 1 ]
        [[ "$output" == "train-step: bad:3: "* ]]
        [ ! -s stdout ]
        [ ! -e out ]
    done
}

@test "train-step: a target that the context cuts off is refused" {
    lessons 4 > in
    refuses 65 train-step -m "$MODEL" --init tiny.json --context 30 -o out in
    [[ "$output" == *"exceed the context of 30"* ]]
}

@test "train-step: text that the template drops is refused" {
    echo '{"messages":[{"role":"user","content":"x"},{"role":"assistant","content":"yes"}]}' > in
    cat > drop.jinja << 'END'
{%- for m in messages %}<|im_start|>{{ m.role }}
{{ m.content if m.role != 'user' else '' }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}
END
    refuses 65 train-step -m "$MODEL" --init tiny.json --chat-template drop.jinja -o out in
    [[ "$output" == *"drops text of message 0"* ]]
}

@test "train-step: --skip-bad goes on without them and keeps them" {
    lessons 6 | sed '3s/.*/not json/; 5s/"assistant"/"user"/' > in
    learn out --skip-bad bad.jsonl in > /dev/null
    [ "$(jq -c '.error.type' bad.jsonl | tr '\n' ' ')" = '"bad_json" "template_error" ' ]
    jq -e '.records == 4 and .skipped == 2' out/training.json
}

@test "train-step: no final newline, a blank line, a NUL byte, a huge line" {
    { lessons 3; echo; lessons 1 | tr -d '\n'; } > in
    [ "$(train-step -m "$MODEL" --show-mask in | wc -l)" -eq 4 ]
    printf '{"a":"\0"}\n' > nul
    refuses 65 train-step -m "$MODEL" --show-mask nul
    { printf '{"x":"'; head -c 20000000 /dev/zero | tr '\0' x; echo '"}'; } > huge
    refuses 65 train-step -m "$MODEL" --show-mask huge
}

@test "train-step: empty input is refused" {
    refuses 65 train-step -m "$MODEL" --init tiny.json -o out
}

@test "train-step: wrong options and missing inputs" {
    refuses 64 train-step --nonsense
    refuses 64 train-step -o out
    refuses 64 train-step -m "$MODEL"
    refuses 64 train-step -m "$MODEL" -o out --every soon
    refuses 64 train-step -m "$MODEL" -o out --lora r=0
    refuses 64 train-step -m "$MODEL" -o out --lora nonsense
    refuses 64 train-step -m "$MODEL" -o out --patience 3
    refuses 66 train-step -m "$MODEL" -o out missing.jsonl
    refuses 66 train-step -m missing -o out
    refuses 64 train-step -m "$MODEL" -o out --init tiny.json --lora r=4
}

@test "train-step: a full disk and a reader that leaves" {
    lessons 12 > in
    run bash -c 'train-step -q -m "$MODEL" --init tiny.json --dtype f32 -o out in > /dev/full'
    [ "$status" -eq 74 ]
    run bash -c '{ train-step -q -m "$MODEL" --init tiny.json --dtype f32 -o out2 --batch 1 --epochs 40 in; echo $? >&3; } 3> status | head -1 > /dev/null'
    [ "$(cat status)" -eq 141 ]
}

# ---- the course -------------------------------------------------------------------

@test "train-step: the same command again does nothing, another one is refused" {
    lessons 6 > in
    learn out in > /dev/null
    before=$(stat -c %Y.%i out/model.safetensors)
    learn out in > again
    [ ! -s again ]
    [ "$before" = "$(stat -c %Y.%i out/model.safetensors)" ]
    run learn out --epochs 3 in
    [ "$status" -eq 64 ]
    [[ "$output" == *"epochs was 1.0 and is 3.0"* ]]
    mkdir other
    run learn other in
    [ "$status" -eq 64 ]
}

@test "train-step: stdin is the same as a file, and the order is the seed's" {
    lessons 12 > in
    learn a in > /dev/null
    learn b < in > /dev/null
    same a b
    learn c --shuffle 2 in > /dev/null
    ! cmp -s a/model.safetensors c/model.safetensors
}

@test "train-step: any micro-batch and any memory give the same bytes" {
    lessons 13 > in
    learn a --epochs 2 in > /dev/null
    learn b --epochs 2 --micro-tokens 90 --memory 0 in > /dev/null
    same a b
    learn c --epochs 2 --micro-tokens 160 --threads 1 in > /dev/null
    same a c
}

@test "train-step: a loss that is not finite stops with step and lines, and keeps the checkpoint" {
    lessons 8 > in
    run bash -c 'train-step -q -m "$MODEL" --init tiny.json --dtype f32 -o out --lr 1000 --clip 0 --epochs 200 --batch 4 --schedule constant --every 1 --eps 0 --beta1 0 in 2> err > /dev/null'
    [ "$status" -eq 65 ]
    [[ "$(cat err)" =~ step\ [0-9]+:\ the\ (loss|gradient)\ is\ not\ finite\;\ records\ at\ lines\ [0-9] ]]
    [ ! -e out ]
    [ "$(ls -d out.ckpt/step-* | wc -l)" -ge 1 ]
}

@test "train-step: --dry-run, --overfit-one-batch" {
    lessons 8 > in
    train-step -m "$MODEL" --init tiny.json --dtype f32 --dry-run --epochs 3 --batch 4 in > plan
    jq -es '.[-1] | .steps == 6 and .records == 8 and .bytes > 0' plan
    [ "$(jq -s '.[-1].trainable' plan)" -eq "$(jq -s '[.[:-1][].n] | add' plan)" ]
    train-step -m "$MODEL" --init tiny.json --dtype f32 --overfit-one-batch --batch 4 --lr 1e-2 in > metrics
    run bash -c 'train-step -q -m "$MODEL" --init tiny.json --dtype f32 --overfit-one-batch --batch 4 --lr 1e-6 --steps 3 in > /dev/null'
    [ "$status" -eq 1 ]
}

@test "train-step: evaluation, the best weights, early stopping" {
    lessons 16 > in
    learn out --epochs 40 --lr 1e-2 --schedule constant --eval in --eval-every 4 --choices billing,technical,shipping,account \
        --patience 2 --min-delta 0.001 in > metrics
    jq -es '[.[] | select(.eval_loss)] | .[0].best and (.[-1].best | not) and (.[-2].best | not) and all(.eval_records == 16)' metrics
    jq -e '.eval_accuracy >= 0.75 and .steps < 160 and .best_step < .steps' out/training.json
    [ "$(jq -r .best_step out/training.json)" -eq "$(jq -rs '[.[] | select(.best)][-1].step' metrics)" ]
    lessons 16 | jq -c '{id, messages: .messages[:1], label: .messages[1].content}' |
        gpu-infer -q -m out --choices billing,technical,shipping,account > answers
    [ "$(jq -s '(map(select(.label == .response.label)) | length) / 16' answers)" = "$(jq .eval_accuracy out/training.json)" ]
}

@test "train-step: PEFT reads the adapter, and says what gpu-infer says" {
    [ -n "${PEERS_PYTHON:-}" ] && "$PEERS_PYTHON" -c 'import peft, transformers' 2> /dev/null || skip "PEERS_PYTHON with peft is not given"
    lessons 12 > in
    train-step -q -m "$MODEL" -o tuned --dtype f32 --lora r=4,alpha=8 --batch 4 --lr 5e-3 in > /dev/null
    lessons 4 | jq -c '{messages: .messages[:1]}' > ask
    gpu-infer -q -m "$MODEL" --adapter tuned --dtype f32 --max-tokens 8 --ignore-eos < ask | jq -r .response.text > ours
    "$PEERS_PYTHON" - "$MODEL" tuned ask > theirs << 'END'
import json, sys, torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer
t = AutoTokenizer.from_pretrained(sys.argv[2])
m = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.float32), sys.argv[2])
torch.set_num_threads(1)
for line in open(sys.argv[3]):
    x = t.apply_chat_template(json.loads(line)["messages"], add_generation_prompt=True, return_tensors="pt", return_dict=False)
    for _ in range(8):
        x = torch.cat([x, m(input_ids=x).logits[:, -1:].argmax(-1)], 1)
    print(t.decode(x[0, -8:], skip_special_tokens=True))
END
    cmp ours theirs
}

# ---- kills ------------------------------------------------------------------------

@test "train-step: SIGTERM saves, ends with 75, and the same command goes on to the same bytes" {
    lessons 20 > in
    learn whole --epochs 60 in > /dev/null
    begin out --epochs 60 in > first
    until [ -s first ]; do sleep 0.02; done
    kill -TERM $!
    wait $! && rc=0 || rc=$?
    [ "$rc" -eq 75 ]
    [ ! -e out ]
    learn out --epochs 60 in > second
    [ "$(wc -l < first)" -gt 0 ]
    [ "$(cat first second | wc -l)" -eq 240 ]
    same whole out
}

@test "train-step: kills at random moments end in the same bytes" {
    lessons 20 > in
    learn whole --epochs 6 --eval in --eval-every 5 --every 1 in > /dev/null
    "$RELIABILITY/train-kill" "${TRAIN_KILLS:-5}" 1 train-step -q -m "$MODEL" --init tiny.json -o out --dtype f32 -d cpu --lr 3e-3 --batch 5 \
        --shuffle 1 --epochs 6 --eval in --eval-every 5 --every 1 in
    same whole out
}

# ---- ranks ------------------------------------------------------------------------

@test "train-step: collective calls, on 1, 2, 3 and 4 ranks" {
    need_mpi
    for n in 1 2 3 4; do
        mpirun --allow-run-as-root --oversubscribe -n "$n" "$RELIABILITY/../unit/comm"
    done
}

@test "train-step: 1, 2 and 4 ranks give the same bytes" {
    need_mpi
    lessons 13 > in
    learn one --epochs 2 --eval in in > /dev/null
    for n in 2 4; do
        ranks "$n" "r$n" --epochs 2 --eval in < in > "m$n"
        same one "r$n"
        [ "$(wc -l < "m$n")" -eq "$(wc -l < one/metrics.jsonl)" ]
    done
}

@test "train-step: three ranks need --fast-reduce" {
    need_mpi
    lessons 13 > in
    run ranks 3 out in
    [ "$status" -eq 64 ]
    ranks 3 out --fast-reduce in > /dev/null
    learn one in > /dev/null
    jq -es '(.[0].loss - .[1].loss) | fabs < 1e-4' one/training.json out/training.json
}

@test "train-step: a run of 4 ranks goes on with 2, and with 1" {
    need_mpi
    lessons 20 > in
    learn whole --epochs 40 --every 1 in > /dev/null
    for n in 4 2; do
        export PIDS=m$n.pid
        mpirun --allow-run-as-root --oversubscribe -n "$n" sh -c 'echo $$ > "$PIDS"; exec train-step "$@"' -- -q -m "$MODEL" \
            --init tiny.json -o out --dtype f32 --lr 3e-3 --batch 5 --shuffle 1 --epochs 40 --every 1 in > "m$n" 2> /dev/null &
        until [ "$(wc -l < "m$n")" -ge 4 ]; do sleep 0.05; done
        kill -KILL "$(cat "$PIDS")"
        ! wait $!
        [ ! -e out ]
    done
    learn out --epochs 40 --every 1 in > /dev/null
    same whole out
}

@test "train-step: a rank that dies, or hangs, ends all others with 75 within 5 seconds" {
    need_mpi
    "$BATS_TEST_DIRNAME/train-ranks.sh" 2 1
}

# ---- all of it ----------------------------------------------------------------------

@test "train-step: the manual page's examples run" {
    mkdir -p data/templates
    ln -s "$BATS_TEST_DIRNAME/../data/models" data/models
    ln -s "$BATS_TEST_DIRNAME/../data/unified.jsonl" data/unified.jsonl
    cp "$BATS_TEST_DIRNAME/../data/templates/combined_v1.json" data/templates/
    runs_examples train-step
}
