#!/usr/bin/env bats
# train-step-merge.bats - an adapter merged into its model, and when it is not.

# shellcheck disable=SC2154 # run --separate-stderr sets stderr
bats_require_minimum_version 1.5.0
load helpers

# A tiny model from scratch and an adapter of it, once for all tests.
setup_file() {
    cd "$BATS_FILE_TMPDIR" || return
    unset SHARD SHARDS
    local router=$BATS_TEST_DIRNAME/../data/models/router
    jq -c '.hidden_size = 32 | .intermediate_size = 48 | .num_hidden_layers = 2 | .num_attention_heads = 2
        | .num_key_value_heads = 1 | .torch_dtype = "float32"' "$router/config.json" > tiny.json
    for w in billing technical shipping account; do
        printf '{"messages":[{"role":"user","content":"The %s is wrong."},{"role":"assistant","content":"%s"}]}\n' $w $w
    done > lessons
    train-step -q -m "$router" --init tiny.json -o base --dtype f32 -d cpu --lr 1e-2 --epochs 4 --batch 2 lessons > /dev/null || return 0
    train-step -q -m base -o adapter --lora r=4,alpha=16 -d cpu --lr 3e-2 --epochs 4 --batch 2 lessons > /dev/null
    jq -c '{messages: .messages[:1]}' lessons > asked
}
setup() {
    cd "$BATS_TEST_TMPDIR" || return
    unset SHARD SHARDS
    set -o pipefail
    B=$BATS_FILE_TMPDIR
    [ -d "$B/adapter" ] || skip "this build cannot train on a CPU"
    merge=(train-step -m "$B/base" --merge "$B/adapter" -d cpu)
}
nothing_written() { # nothing_written OUT
    [ ! -e "$1" ] && [ ! -e "$1.part" ]
}

@test "train-step --merge: the model answers as the base with its adapter" {
    run --separate-stderr "${merge[@]}" -o merged
    [ "$status" -eq 0 ]
    jq -e '.merged == "merged" and .tensors > 0 and .prompts == 8 and .max_logit_difference <= .bound and .bound == 0.001' <<< "$output"
    [[ "$stderr" == "train-step: merged: "*" tensors changed, logits within "* ]]
    [ ! -e merged.part ]
    cmp "$B/base/config.json" merged/config.json
    cmp "$B/base/tokenizer.json" merged/tokenizer.json
    [ "$(stat -c %s merged/model.safetensors)" -eq "$(stat -c %s "$B/base/model.safetensors")" ]
    gpu-infer -q -m merged --max-tokens 8 "$B/asked" > a
    gpu-infer -q -m "$B/base" --adapter "$B/adapter" --max-tokens 8 "$B/asked" > b
    cmp a b
    run cmp -s "$B/base/model.safetensors" merged/model.safetensors
    [ "$status" -eq 1 ]
}

@test "train-step --merge: the same bytes twice" {
    "${merge[@]}" -q -o one > /dev/null
    "${merge[@]}" -q -o two > /dev/null
    cmp one/model.safetensors two/model.safetensors
}

@test "train-step --merge: a sample of one's own: messages, prompt, tokens" {
    printf '%s\n' '{"prompt":"The bill"}' '{"tokens":[1,2,3]}' > sample
    head -1 "$B/lessons" >> sample
    run --separate-stderr "${merge[@]}" -o out sample
    [ "$status" -eq 0 ]
    [ "$(jq .prompts <<< "$output")" = 3 ]
}

@test "train-step --merge: beyond the bound nothing is written" {
    run --separate-stderr "${merge[@]}" -o out --merge-bound 0
    [ "$status" -eq 1 ]
    [ "$(wc -l <<< "$stderr")" -eq 1 ]
    [[ "$stderr" == "train-step: out: merged and unmerged logits differ by "*"nothing is written" ]]
    jq -e '.max_logit_difference > .bound' <<< "$output"
    nothing_written out
}

@test "train-step --merge: what is there stays there" {
    mkdir out && echo precious > out/file
    run --separate-stderr "${merge[@]}" -o out
    [ "$status" -eq 64 ]
    [ "$(cat out/file)" = precious ]
    run "${merge[@]}" -o out2 "$B/absent.jsonl"
    [ "$status" -eq 66 ]
    nothing_written out2
}

@test "train-step --merge: records that cannot be used are named" {
    printf '%s\n' '{"prompt":"a"}' '{"text":"b"}' > sample
    run --separate-stderr "${merge[@]}" -o out sample
    [ "$status" -eq 65 ]
    [ "$stderr" = "train-step: sample:2: none of messages, prompt and tokens is there" ]
    echo '{"tokens":[1,999999]}' > sample
    run --separate-stderr "${merge[@]}" -o out sample
    [ "$status" -eq 65 ]
    : > sample
    run --separate-stderr "${merge[@]}" -o out sample
    [ "$status" -eq 65 ]
    nothing_written out
}

@test "train-step --merge: an adapter of another model is refused" {
    run --separate-stderr train-step -m "$BATS_TEST_DIRNAME/../data/models/router" --merge "$B/adapter" -o out
    [ "$status" -eq 78 ]
    [[ "$stderr" == *"this model and adapter_config.json make it"* ]]
    run --separate-stderr train-step -m "$B/base" --merge "$B/base" -o out
    [ "$status" -eq 78 ]
    [[ "$stderr" == *"it holds a model, not an adapter" ]]
    nothing_written out
}

@test "train-step --merge: a base in bf16 stays one" {
    [ -d "$B/base" ]
    train-step -q -m "$BATS_TEST_DIRNAME/../data/models/router" -o small --lora r=2 -d cpu --steps 1 "$B/lessons" > /dev/null
    run --separate-stderr train-step -m "$BATS_TEST_DIRNAME/../data/models/router" --merge small -o out
    [ "$status" -eq 0 ]
    [ "$(jq .bound <<< "$output")" = 1 ]
    [ "$(stat -c %s out/model.safetensors)" -le "$(stat -c %s "$BATS_TEST_DIRNAME/../data/models/router/model.safetensors")" ]
}

@test "train-step --merge: goes with no training" {
    run --separate-stderr "${merge[@]}" -o out --lora r=4
    [ "$status" -eq 64 ]
    run --separate-stderr train-step -m "$B/base" -o out --merge-bound 1 "$B/lessons"
    [ "$status" -eq 64 ]
    run "${merge[@]}" -o "$BATS_TEST_TMPDIR/no/such/out"
    [ "$status" -eq 74 ]
}
