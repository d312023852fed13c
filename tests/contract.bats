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

# ---- one bad record never stops a run ---------------------------------------------

# The members of ours in each record, by number and kind.
kinds() { # kinds FILE
    jq -c '[._seq, (.error | if . then .stage + " " + .type else "answered" end)] | join(" ")' "$1" | tr -d '"' | paste -sd,
}

@test "contract: a record that grows too long on its way keeps its place" {
    { cat data.jsonl; awk 'BEGIN { for (i = 0; i < 900; i++) printf "%s", (i ? "" : "{\"text\":\"") "0123456789"; print "\"}" }'; } > long-last
    { cat long-last; echo '{"text":"b"}'; } > long-inside
    local at
    for at in last inside; do
        shard -q --max-record 10K "long-$at" > dealt
        render-prompt -q -t "$T" -s combined_optimized --max-record 8K dealt | gpu-infer -q -m "$MODEL" > got
        [[ "$(kinds got)," == "0 answered,1 answered,2 answered,3 render-prompt too_long,"* ]]
        gather -q < got > /dev/null
        tokenize -q -m "$MODEL" --max-record 8K dealt | gather -q | jq -e -s '.[3].error.stage == "tokenize"'
        render-prompt -q -t "$T" -s combined_optimized dealt > asked
        gpu-infer -q -m "$MODEL" --max-record 12K -o "answers-$at" asked
        [[ "$(kinds "answers-$at")," == "0 answered,1 answered,2 answered,3 gpu-infer too_long,"* ]]
        gather -q "answers-$at" > /dev/null
        # It was answered: another call does not ask it again.
        gpu-infer -q -m "$MODEL" --max-record 12K -o "answers-$at" --metrics m asked
        jq -e '.records == 0' m
    done
}

@test "contract: a line that was garbled on its way keeps its number, and its shard" {
    shard -q -n 2 data.jsonl | sed '2s/"text":"/"text":"x"y/;3s/}$/}}/' > odd
    for k in 0 1; do gpu-infer -q -m "$MODEL" --shard $k odd > p$k; done
    [ "$(kinds p0)" = "0 gpu-infer missing_prompt,2 gpu-infer bad_json" ]
    [ "$(kinds p1)" = "1 gpu-infer bad_json" ]
    gather -q p0 p1 | jq -e -s 'length == 3'
    # The user's own text does not pass for ours.
    printf '%s\n' '{"text":"\",\"_seq\":7,\"", "x":{"_seq":8,"a":1},"_seq":0,"m":[{"c":"\"_seq\":9"}]} junk' '["_seq",1]' |
        tokenize -q -m "$MODEL" > got
    [ "$(kinds got)" = "0 tokenize bad_json, tokenize not_object" ]
}

# ---- signals, readers that stall, writers that never end ---------------------------

@test "contract: SIGTERM and SIGINT end every tool at once, in the middle of a line" {
    mkfifo in
    exec 7<> in
    local sig from pid rc
    for t in "${tools[@]}" "gather -o whole" "shard -n 2 -e cat" "gpu-infer -m $MODEL -o answers"; do
        for sig in TERM INT; do
            { cat dealt.jsonl; printf '{"text":"a'; } >&7
            # shellcheck disable=SC2086 # a command and its options
            env --default-signal=INT $t -q < in > out 3>&- 7>&- &
            pid=$!
            sleep 0.6
            from=$EPOCHREALTIME
            kill -$sig $pid
            rc=0
            wait $pid || rc=$?
            [ $rc -eq $((128 + $(kill -l $sig))) ] || { echo "$t: $sig: $rc"; return 1; }
            # A second, and some for a machine that is busy.
            awk -v a="$from" -v b="$EPOCHREALTIME" 'BEGIN { exit (b - a > 5) }' || { echo "$t: $sig: $from $EPOCHREALTIME"; return 1; }
            [ ! -e whole ] && [ ! -e answers ]
            # What went out are whole lines.
            [ -z "$(tail -c 1 out)" ]
            timeout 0.2 cat <&7 > /dev/null || true # what was not read
        done
    done
    exec 7>&-
    gpu-infer -q -m "$MODEL" -o answers dealt.jsonl
    [ "$(jq -c ._seq answers | tr -d '\n')" = 012 ]
}

@test "contract: a reader that stalls loses nothing" {
    records 4000 > many
    shard -q many | { sleep 1; gather -q; } | { sleep 1; cat; } | cmp - many
    shard -q -n 2 -e 'sleep 1; cat' many | { sleep 2; gather -q; } | cmp - many
    head -40 many | shard -q | render-prompt -q -t "$T" -s combined_optimized |
        { sleep 1; gpu-infer -q -m "$MODEL" --max-tokens 1; } | { sleep 1; gather -q; } | cut -d, -f1-3 | cmp - <(head -40 many | sed 's/}$//')
}
