# run.bats - the main job as a user types it: make run, the pipes of the README, resuming.

setup() {
    cd "$BATS_TEST_DIRNAME/.." || exit 1
    T=$BATS_TEST_TMPDIR
    model=data/models/router
    command -v gather > /dev/null || { echo 'put the tools on the PATH'; return 1; }
    run_make all > /dev/null
    render=(render-prompt -q -t data/templates/combined_v1.json -s combined_optimized)
}

run_make() {
    # VARIANT's tools are on the PATH already; make must not build others.
    make --no-print-directory BIN="$(dirname "$(command -v gather)")" RUN="$T/run" "$@"
}

@test "run: answers the set, prints one screen, and does nothing the second time" {
    run run_make run
    [ "$status" -eq 0 ]
    [ "$(wc -l < "$T/run/canned_50_quick/results.jsonl")" -eq 50 ]
    [[ "$output" == *accuracy* && "$output" == *records/s* && "$output" == *"$T/run/canned_50_quick/results.jsonl"* ]]
    [ "${#lines[@]}" -le 40 ]
    jq -e '.score.records == 50 and (.shards | map(.records) | add) == 50' "$T/run/canned_50_quick/metrics.json"
    before=$(stat -c %Y.%i "$T"/run/canned_50_quick/{results,out-0}.jsonl)
    sleep 1
    run run_make run
    [ "$status" -eq 0 ]
    [ "$(stat -c %Y.%i "$T"/run/canned_50_quick/{results,out-0}.jsonl)" = "$before" ]
}

@test "run: the records come back with their own bytes first" {
    run_make run MAX=5
    while read -r want && read -r got <&3; do
        [ "${got:0:$((${#want} - 1))}" = "${want%\}}" ]
    done < data/canned_50_quick.jsonl 3< "$T/run/canned_50_quick/results.jsonl"
}

@test "run: the same bytes for 1, 2, 3 and 7 processes and by pipe" {
    shard -q --limit 60 data/unified.jsonl | "${render[@]}" | gpu-infer -q -m $model | gather -q > "$T/pipe.jsonl"
    for n in 1 2 3 7; do
        run_make run DATA=unified MAX=60 GPUS=$n RUN="$T/run$n" > "$T/log"
        cmp "$T/pipe.jsonl" "$T/run$n/unified/results.jsonl"
    done
}

@test "run: GPUS and MAX may change, and nothing is asked twice" {
    run_make run DATA=unified MAX=30 GPUS=2
    cp "$T/run/unified/results.jsonl" "$T/first"
    run_make run DATA=unified MAX=50 GPUS=3
    [ "$(cat "$T"/run/unified/out-*.jsonl | wc -l)" -eq 50 ]
    cmp "$T/first" <(head -30 "$T/run/unified/results.jsonl")
    run_make run DATA=unified MAX=20 GPUS=1
    cmp <(head -20 "$T/first") "$T/run/unified/results.jsonl"
    [ "$(cat "$T"/run/unified/out-*.jsonl | wc -l)" -eq 50 ]
}

@test "run: another template, strategy parameter or model under one name is refused" {
    run_make run MAX=5
    sed 's/"max_tokens": *[0-9]*/"max_tokens": 7/' data/templates/combined_v1.json > "$T/other.json"
    if cmp -s "$T/other.json" data/templates/combined_v1.json; then return 1; fi
    run run_make run MAX=5 TEMPLATE="$T/other.json" STRATEGY=combined_optimized RUN="$T/run"
    [ "$status" -eq 0 ] # a STRATEGY that was given makes another name
    run run_make run MAX=6 INFER="--seed 3"
    [ "$status" -ne 0 ]
    [[ "$output" == *"changed: seed"* && "$output" == *FRESH=1* ]]
    [ "$(wc -l < "$T/run/canned_50_quick/results.jsonl")" -eq 5 ]
    run run_make run MAX=6 INFER="--seed 3" FRESH=1
    [ "$status" -eq 0 ]
}

@test "run: any path, any fields, no gold" {
    mkdir -p "$T/zoë"
    printf '%s\n' '{"text":"my parcel is late","topic":"shipping"}' 'not json' > "$T/zoë/mine.jsonl"
    run run_make run DATA="$T/zoë/mine.jsonl" GOLD=topic
    [ "$status" -eq 0 ]
    [ "$(wc -l < "$T/run/mine/results.jsonl")" -eq 2 ]
    [ "$(wc -l < "$T/run/mine/errors.jsonl")" -eq 1 ]
    run run_make run DATA="$T/zoë/mine.jsonl" GOLD=absent
    [ "$status" -eq 0 ]
}

@test "run: a path with a blank, a missing set, a bad number are refused with what to do" {
    mkdir "$T/a b" && echo '{}' > "$T/a b/x.jsonl"
    run run_make run DATA="$T/a b/x.jsonl"
    [ "$status" -ne 0 ] && [[ "$output" == *"has a blank"* ]]
    run run_make run DATA=nosuch
    [ "$status" -ne 0 ] && [[ "$output" == *unified* ]]
    run run_make run GPUS=0
    [ "$status" -ne 0 ] && [[ "$output" == *"GPUS: must be"* ]]
    run run_make run MODEL="$T"
    [ "$status" -ne 0 ] && [[ "$output" == *config.json* ]]
}

@test "run: make -n prints lines that a user could type" {
    run_make -n run DATA=unified GPUS=2 MAX=8 > "$T/lines"
    grep -E '^shard .*\| render-prompt .*\| SHARD=1 SHARDS=2 gpu-infer ' "$T/lines"
    [ ! -e "$T/run/unified/out-0.jsonl" ]
}

@test "run: a killed worker is told, keeps what it answered, and the same command goes on" {
    run_make run DATA=unified MAX=200 RUN="$T/whole" > /dev/null
    run_make run DATA=unified MAX=200 GPUS=2 > "$T/log" 2>&1 &
    job=$!
    for _ in $(seq 200); do
        [ "$(cat "$T"/run/unified/out-0.jsonl.part 2>/dev/null | wc -l)" -gt 3 ] && break
        sleep 0.05
    done
    pkill -9 -f "gpu-infer .*$T/run/unified/out-0.jsonl" || true
    status=0
    wait $job || status=$?
    if [ "$status" -eq 0 ]; then skip "the worker was done before it could be killed"; fi
    [ ! -e "$T/run/unified/results.jsonl" ]
    run_make run DATA=unified MAX=200 GPUS=2
    cmp "$T/whole/unified/results.jsonl" "$T/run/unified/results.jsonl"
    [ "$(cat "$T"/run/unified/out-*.jsonl | wc -l)" -eq 200 ]
}

@test "pipe: a stage that dies is noticed by gather" {
    run bash -c "shard -q data/unified.jsonl | render-prompt -q -t data/templates/combined_v1.json -s combined_optimized |
        head -20 | gpu-infer -q -m $model | gather -q"
    [ "$status" -eq 1 ]
    [[ "$output" == *_last* ]]
}

@test "pipe: jq between the stages, tee to two workers, files from shard -o" {
    shard -q --limit 40 data/unified.jsonl | "${render[@]}" | gpu-infer -q -m $model | gather -q > "$T/want"
    shard -q --limit 40 data/unified.jsonl | jq -c . | "${render[@]}" | gpu-infer -q -m $model | jq -c . | gather -q > "$T/by-jq"
    cmp <(jq -c . "$T/want") <(jq -c . "$T/by-jq")
    shard -q -n 2 --limit 40 data/unified.jsonl | "${render[@]}" |
        tee >(gpu-infer -q -m $model -d cpu:0/2 --shard 0 > "$T/p0"; touch "$T/done0") \
            >(gpu-infer -q -m $model -d cpu:1/2 --shard 1 > "$T/p1"; touch "$T/done1") > /dev/null
    while ! [ -e "$T/done0" ] || ! [ -e "$T/done1" ]; do sleep 0.05; done
    gather -q "$T/p0" "$T/p1" | cmp - "$T/want"
    shard -q -n 3 --limit 40 -o "$T/part-%d.jsonl" data/unified.jsonl
    for k in 0 1 2; do "${render[@]}" "$T/part-$k.jsonl" | gpu-infer -q -m $model > "$T/o$k"; done
    gather -q "$T"/o? | cmp - "$T/want"
    for k in 0 1 2; do shard -q -n 3 -k $k --limit 40 data/unified.jsonl | "${render[@]}" | gpu-infer -q -m $model > "$T/o$k"; done
    gather -q "$T"/o? | cmp - "$T/want"
}

# Begins a run whose data come slowly, and waits until it is at work.
begin_slow() { # begin_slow ARGS...
    run_make run DATA=unified "$@" > "$T/slow.log" 2>&1 &
    job=$!
    for _ in $(seq 400); do
        if [ -s "$T/run/unified/out-0.jsonl.part" ]; then return 0; fi
        sleep 0.02
    done
    return 1
}

@test "run: after a kill another number of GPUS takes what all of them answered" {
    run_make run DATA=unified MAX=150 RUN="$T/whole" > /dev/null
    mkdir -p "$T/run/unified"
    # As a run with GPUS=3 leaves it whose third shard was killed, in the middle of a line; of one
    # killed between a line and its end, the next one answers the record again.
    run_make run DATA=unified MAX=150 GPUS=3 > /dev/null
    for k in 1 2; do mv "$T/run/unified/out-$k.jsonl" "$T/whole.$k"; done
    head -20 "$T/whole.1" > "$T/run/unified/out-1.jsonl.part"
    head -c 3000 "$T/whole.2" > "$T/run/unified/out-2.jsonl.part"
    sed -n 21p "$T/whole.1" | tr -d '\n' >> "$T/run/unified/out-1.jsonl.part"
    rm "$T/run/unified/results.jsonl"
    run run_make run DATA=unified MAX=150 GPUS=1
    [ "$status" -eq 0 ]
    cmp "$T/whole/unified/results.jsonl" "$T/run/unified/results.jsonl"
    # The times are those of the shards that ran.
    [ "$(jq '.shards | length' "$T/run/unified/metrics.json")" -eq 1 ]
}

@test "run: a second one at the same NAME is refused, and FRESH takes nothing away from the first" {
    begin_slow MAX=300 GPUS=2
    for args in "GPUS=3" "MAX=20" "FRESH=1"; do
        # shellcheck disable=SC2086
        run run_make run DATA=unified MAX=300 $args
        if ! kill -0 $job; then skip "the first one was done before the second began"; fi
        [ "$status" -ne 0 ]
        [[ "$output" == *"another one is at work in $T/run/unified"* ]]
    done
    run run_make shards DATA=unified MAX=300 GPUS=2
    [[ "$output" == *"another one is at work in $T/run/unified"* ]] || ! kill -0 $job
    wait $job
    [ "$(wc -l < "$T/run/unified/results.jsonl")" -eq 300 ]
    run_make run DATA=unified MAX=20
    [ "$(wc -l < "$T/run/unified/results.jsonl")" -eq 20 ]
}

@test "pipe: the README's two workers behind one tee have ended when gather begins" {
    awk '/^    shard -n 2 .*\|$/ { on = 1 } on { sub(/^    /, ""); print } /gather part-0/ { on = 0 }' README.md > "$T/workers"
    grep -q -- '--shard 1' "$T/workers"
    sed -i "s#\(part-[01].jsonl\)#$T/\1#g; s#> results.jsonl#> $T/results.jsonl#" "$T/workers"
    run bash -o pipefail "$T/workers"
    echo "$output"
    [ "$status" -eq 0 ]
    [ "$(wc -l < "$T/results.jsonl")" -eq "$(wc -l < data/unified.jsonl)" ]
}
