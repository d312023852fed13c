#!/usr/bin/env bats
# contract.bats - what millrace-records(7) promises of every tool, or of a whole pipe.

load helpers

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    MODEL=$BATS_TEST_DIRNAME/../data/models/router
    T=$BATS_TEST_DIRNAME/../data/templates/combined_v1.json
    export MODEL T
    unset SHARD SHARDS
    records 3 > data.jsonl
    shard -q data.jsonl > dealt.jsonl
    # Every tool, with what it cannot do without.
    tools=(shard gather "sample -n 2" "render-prompt -t $T -s combined_optimized" "gpu-infer -m $MODEL"
        "tokenize -m $MODEL" score)
}

# ---- descriptors and files -------------------------------------------------------

@test "contract: a closed standard input or output is an error, a closed standard error is not" {
    for t in "${tools[@]}"; do
        run bash -c "$t -q <&- 2>&1"
        [ "$status" -eq 74 ] || { echo "$t: $status: $output"; return 1; }
        run bash -c "$t dealt.jsonl 2>&1 >&-"
        [ "$status" -eq 74 ] || { echo "$t: $status: $output"; return 1; }
        bash -c "$t -q dealt.jsonl" > want
        bash -c "$t dealt.jsonl 2>&-" > got
        cmp got want
    done
}

@test "contract: messages never go into a file that is written" {
    gather -o all.jsonl dealt.jsonl 2>&-
    cmp all.jsonl data.jsonl
    shard -n 2 -o 'p-%d' data.jsonl 2>&- >&-
    cat p-0 p-1 | gather -q | cmp - data.jsonl
    gpu-infer -m "$MODEL" -o answers dealt.jsonl 2>&-
    [ "$(jq -c ._seq answers | tr -d '\n')" = 012 ]
}

@test "contract: -o leaves a FIFO, a device, a link to a descriptor where they are" {
    mkfifo fifo
    ln -s /proc/self/fd/1 link
    for t in "gather -q" "gpu-infer -q -m $MODEL"; do
        $t dealt.jsonl > want
        $t -o link dealt.jsonl > got
        cmp got want
        [ -L link ]
        cat fifo > got &
        $t -o fifo dealt.jsonl
        wait $!
        cmp got want
        [ -p fifo ]
        [ "$(echo fifo* link*)" = "fifo link" ]
        # shellcheck disable=SC2086 # a command and its options
        refuses 74 $t -o . dealt.jsonl
    done
    : > got
    score -q -o link --json dealt.jsonl >> got
    [ "$(wc -l < got)" -eq 2 ]
    [ -L link ]
}
