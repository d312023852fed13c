#!/usr/bin/env bats
# gpu-infer-adapters.bats - LoRA adapters beside the embedded model.

load helpers

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    MODEL=$BATS_TEST_DIRNAME/../data/models/router
    export MODEL
    unset SHARD SHARDS
    set -o pipefail
}

infer() {
    gpu-infer -q -m "$MODEL" --choices billing,technical,shipping,account "$@"
}

# Prompts that begin with the same pages, every third without an adapter, the others by turns with
# one of two.
prompts() { # prompts N
    awk -v n="$1" 'BEGIN {
        split(",\"adapter\":\"a\" ,\"adapter\":\"b\"", with, " ")
        for (i = 0; i < 40; i++) same = same "a customer writes to us that "
        for (i = 0; i < n; i++)
            printf "{\"_seq\":%d,\"prompt\":\"%smy parcel number %d is late\"%s}\n", i, same, i * 7, i % 3 ? with[i % 3] : "" }'
}

scores() { jq -c '[.response.scores[].logprob]'; }

@test "gpu-infer: an adapter for all records, or for those that name it" {
    adapter one '='
    adapter two '>'
    prompts 12 | infer --adapter a=one --adapter b=two > mixed
    [ "$(jq -c 'select(.error)' mixed | wc -l)" -eq 0 ]
    # The same bytes alone: the base model, and each adapter for all.
    prompts 12 | jq -c 'select(.adapter == null)' | infer | cmp - <(jq -c . mixed | jq -c 'select(.adapter == null)')
    prompts 12 | jq -c 'select(.adapter == "a")' | infer --adapter a=one | cmp - <(jq -c 'select(.adapter == "a")' mixed)
    prompts 12 | jq -c 'select(.adapter == "b") | del(.adapter)' | infer --adapter two | scores |
        cmp - <(jq -c 'select(.adapter == "b")' mixed | scores)
    # They differ from each other, and null names none.
    p='{"prompt":"my parcel is late"'
    base=$(infer <<< "$p}" | scores)
    one=$(infer --adapter one <<< "$p}" | scores)
    [ "$base" != "$one" ]
    [ "$one" = "$(infer --adapter one <<< "$p,\"adapter\":null}" | scores)" ]
    [ "$one" != "$(infer --adapter one --adapter big=two <<< "$p,\"adapter\":\"big\"}" | scores)" ]
    [ "$one" = "$(infer --adapter one --adapter big=two <<< "$p}" | scores)" ]
}

@test "gpu-infer: adapters in small batches and generated text give the same bytes" {
    adapter one '='
    adapter two '>'
    prompts 20 | gpu-infer -q -m "$MODEL" --adapter a=one --adapter b=two --logprobs --ignore-eos > want
    prompts 20 | gpu-infer -q -m "$MODEL" --adapter b=two --adapter a=one --logprobs --ignore-eos --batch-tokens 5 --max-requests 3 | cmp - want
    prompts 20 | gpu-infer -q -m "$MODEL" --adapter b=two --adapter a=one --logprobs --ignore-eos --prefix-cache off | cmp - want
    prompts 20 | gpu-infer -q -m "$MODEL" --adapter b=two --adapter a=one --logprobs --ignore-eos --threads 2 | cmp - want
}

@test "gpu-infer: an adapter's name that is not known, or no name" {
    adapter one '='
    p='{"prompt":"a","adapter":'
    run infer --adapter a=one --adapter b=one <<< "$p\"c\"}"
    [ "$status" -eq 0 ]
    jq -e '.error | .type == "unknown_adapter" and (.message | test("\"c\".*a, b"))' <<< "$output"
    run infer --adapter one <<< "$p\"one\"}"
    jq -e '.error | .type == "unknown_adapter" and (.message | test("NAME=DIR"))' <<< "$output"
    run infer --adapter a=one <<< "$p 5}"
    jq -e '.error.type == "bad_field"' <<< "$output"
    run infer --strict --adapter a=one <<< "$p\"c\"}"
    [ "$status" -eq 65 ]
}

@test "gpu-infer: adapters that cannot be used are refused by name" {
    adapter one '='
    refuses 66 gpu-infer -m "$MODEL" --adapter nowhere
    refuses 64 gpu-infer -m "$MODEL" --adapter one --adapter one
    refuses 64 gpu-infer -m "$MODEL" --adapter a=one --adapter a=one
    refuses 64 gpu-infer -m "$MODEL" --adapter =one
    refuses 64 gpu-infer -m "$MODEL" --adapter a=
    refuses 78 gpu-infer -m "$MODEL" --adapter "$MODEL"
    adapter dora '=' '"use_dora":true'
    refuses 78 gpu-infer -m "$MODEL" --adapter dora
    [[ "$output" == *use_dora* ]]
    adapter other '=' '"rank_pattern":{"q_proj":2}'
    refuses 78 gpu-infer -m "$MODEL" --adapter x=other
    [[ "$output" == *other*lora_A*"[1, 128]"*"[2, 128]"* ]]
    adapter wide '=' '"modules_to_save":["lm_head"]'
    refuses 78 gpu-infer -m "$MODEL" --adapter wide
    [[ "$output" == *lm_head*missing* ]]
    truncate -s -1 one/adapter_model.safetensors
    refuses 78 gpu-infer -m "$MODEL" --adapter one
}

@test "gpu-infer: a path with an equals sign is a path" {
    adapter 'x=y' '='
    run infer --adapter ./x=y <<< '{"prompt":"a parcel"}'
    [ "$status" -eq 0 ]
    run infer --adapter n=x=y <<< '{"prompt":"a parcel","adapter":"n"}'
    [ "$status" -eq 0 ]
    jq -e .response.label <<< "$output"
}

@test "gpu-infer: a run goes on with the same adapters alone" {
    adapter one '='
    adapter two '>'
    prompts 3 | infer --adapter a=one --adapter b=two -o out
    jq -e '.adapters | keys == ["a", "b"] and .a != .b' out.key
    prompts 3 | infer --adapter b=two --adapter a=one -o out # in another order: the same
    for other in 'a=one' 'a=one --adapter b=one' 'a=two --adapter b=one' 'one --adapter a=one --adapter b=two'; do
        # shellcheck disable=SC2086 # words
        run bash -c '"$@" 2>&1 >/dev/null < /dev/null' -- gpu-infer -q -m "$MODEL" --choices billing,technical,shipping,account -o out --adapter $other
        [ "$status" -eq 64 ]
        [[ "$output" == *adapter*" was "*" and is "* ]]
    done
    # The numbers count, not the name of the folder or its dates.
    cp -r one three
    prompts 3 | infer --adapter a=three --adapter b=two -o out
    printf '!' | dd of=three/adapter_model.safetensors bs=1 seek=$(($(wc -c < three/adapter_model.safetensors) - 1)) conv=notrunc 2> /dev/null
    run bash -c '"$@" < /dev/null' -- gpu-infer -q -m "$MODEL" --choices billing,technical,shipping,account -o out --adapter a=three --adapter b=two
    [ "$status" -eq 64 ]
}
