#!/usr/bin/env bash
# job.sh BENCH BIN - the job: records with a common instruction of ~300 tokens and ~40 of their
# own, answered with 8 tokens, by wall clock, start included; and the stages of an answer.
#
# Models of random weights in SHAPES are made once, in BENCH/models; the embedded router has its
# real data.  RECORDS (default 60) records, RUNS (1) runs, medians.  With PEERS=1 bench/peers.sh
# runs the same ids through llama.cpp and transformers where PEERS_PYTHON has them.
set -euo pipefail
bench=$1 bin=$2
records=${RECORDS:-60} runs=${RUNS:-1} cores=${CORES:-$(nproc)} shapes=${SHAPES-smollm2-135m}
material=${MATERIAL:-none} python=${PEERS_PYTHON:-} peers=${PEERS:-0}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
export PATH=$bin:$PATH LC_ALL=C

median() { sort -g | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
row() { printf '%-48s %12s %12s %8s\n' "$@"; }
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.3g", a / b }'; }
# rate N COMMAND...: records/s of a command that answers N, the median of the runs.
rate() {
    local n=$1 i from
    shift
    for ((i = 0; i < runs; i++)); do
        from=$EPOCHREALTIME
        "$@" > "$tmp/out"
        awk -v n="$n" -v a="$from" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.4g\n", n / (b - a) }'
    done | median
}
answer() { gpu-infer -q -m "$model" --max-tokens 8 --ignore-eos "$@" "$tmp/job"; }
# A process per core, one thread each.
processes() {
    local k
    for ((k = 0; k < cores; k++)); do
        shard -q -n "$cores" -k "$k" "$tmp/job" |
            gpu-infer -q -m "$model" -d "cpu:$k/$cores" --max-tokens 8 --ignore-eos "$@" > "$tmp/part-$k" &
    done
    wait
    gather "$tmp"/part-* 2> /dev/null
}
# peer NAME ARGS...: a figure of bench/peers.sh, or nothing where it cannot run.
peer() {
    [ "$peers" = 1 ] && [ -n "$python" ] || return 0
    OMP_NUM_THREADS=$cores PEERS_PYTHON=$python bench/peers.sh "$@" 2> "$tmp/why" ||
        { echo "bench/job.sh: $1 is skipped: $(tail -1 "$tmp/why")" >&2; }
}
against() { # against NAME OURS PEER_ARGS...: a row beside a peer
    local name=$1 ours=$2 theirs
    shift 2
    theirs=$(peer "$@")
    row "$name" "$ours" "${theirs:--}" "$(if [ -n "$theirs" ]; then ratio "$ours" "$theirs"; else echo -; fi)"
}

stages() {
    local name value
    declare -A v
    while read -r name value; do v[$name]=$value; done < <("$bench/stages" "$model" "$cores")
    row "$shape: prefill, of bare products, tokens/s" "${v[prefill]}" "${v[products]}" "$(ratio "${v[prefill]}" "${v[products]}")"
    against "$shape: decode of 1 row, tokens/s" "${v[decode1]}" decode "$tmp/model.bf16.gguf" "$cores" 1
    against "$shape: decode of 16 rows, tokens/s" "${v[decode16]}" decode "$tmp/model.bf16.gguf" "$cores" 16
    if [ -x "$bench/bandwidth" ]; then
        read -r value < <("$bench/bandwidth" "$cores")
        v[read]=$(awk -v t="${v[decode1]}" -v w="${v[weights]}" 'BEGIN { printf "%.3g", t * w }')
        row "$shape: decode of 1 row, of a read loop, GB/s" "${v[read]}" "$value" "$(ratio "${v[read]}" "$value")"
    fi
    row "$shape: scoring 77 labels, records/s" "${v[scoring]}" - -
}

echo "$(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2), $cores cores, load $(cut -d' ' -f1-3 /proc/loadavg), $records records, $runs runs"
row "" ours other ratio
for shape in $shapes; do
    model=$bench/models/$shape
    case $shape in qwen*) tokenizer=qwen2.5 ;; *) tokenizer=gpt2 ;; esac
    tokenizer=$material/tokenizers/$tokenizer
    [ -d "$tokenizer" ] || tokenizer=data/models/router
    if [ ! -e "$model/config.json" ]; then
        mkdir -p "$bench/models"
        "$bench/make_model" "$shape" "$model" "$tokenizer"
    fi
    "$bench/make_job" "$model" "$records" 290 32 > "$tmp/job"
    render-prompt -q --chat "$model" "$tmp/job" | jq -c '{text: .prompt}' | tokenize -q -m "$model" | jq -c .tokens > "$tmp/ids"
    [ "$peers" != 1 ] || [ -z "$python" ] || PEERS_PYTHON=$python bench/peers.sh convert "$model" "$tmp/model" || peers=0
    one=$(rate "$records" answer -d cpu)
    all=$(rate "$records" processes)
    row "$shape: job, one process of $cores threads, records/s" "$one" - -
    row "$shape: job, $cores processes of one thread, records/s" "$all" - -
    alone=$(rate "$records" answer -d "cpu:0/$cores")
    row "$shape: $cores processes over one on one core" "$all" "$alone" "$(ratio "$all" "$alone")"
    ours=$(awk -v a="$one" -v b="$all" 'BEGIN { print a > b ? a : b }')
    if [ "$peers" = 1 ]; then
        against "$shape: job, beside llama.cpp bf16, shared prefix" "$ours" llama "$tmp/model.bf16.gguf" "$tmp/ids" "$cores"
        against "$shape: job, beside llama.cpp Q8_0, shared prefix" "$ours" llama "$tmp/model.q8_0.gguf" "$tmp/ids" "$cores"
        against "$shape: job, beside transformers, prefix cache" "$ours" torch "$model" "$tmp/ids" "$cores" cache
        against "$shape: job, beside transformers, generate" "$ours" torch "$model" "$tmp/ids" "$cores" plain
    fi
    if [ -x "$bench/rss" ]; then
        : > "$tmp/kib"
        "$bench/rss" "$tmp/kib" "$bin/gpu-infer" -q -m "$model" --kv-memory 100M --max-tokens 8 --ignore-eos "$tmp/job" > "$tmp/out"
        bytes=$(stat -c %s "$model/model.safetensors")
        row "$shape: peak RSS, beside 1.15 weights + KV + 100, MB" "$(awk '{ printf "%.0f", $1 * 1024e-6 }' "$tmp/kib")" \
            "$(awk -v b="$bytes" 'BEGIN { printf "%.0f", 1.15e-6 * b + 104.9 + 100 }')" -
    fi
    first=$(head -1 "$tmp/job" > "$tmp/one"; from=$EPOCHREALTIME; gpu-infer -q -m "$model" --max-tokens 1 "$tmp/one" > "$tmp/out"
        awk -v a="$from" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.3f", b - a }')
    row "$shape: exec to first answer, s" "$first" - -
    stages
    row "$shape: render and tokenise, records/s of CPU time" \
        "$("$bench/tok_bench" prompts "$model" "$tmp/job" 1 | awk '{ printf "%.4g", $1 }')" - -
done

model=data/models/router
shard -q data/unified.jsonl | render-prompt -q -t data/templates/combined_v1.json -s combined_optimized > "$tmp/job"
row "router: unified, $cores threads, records/s" "$(rate 1009 answer -d cpu)" - -
row "router: unified, $cores processes, records/s" "$(rate 1009 processes)" - -
head -1 "$tmp/job" > "$tmp/one"
from=$EPOCHREALTIME
gpu-infer -q -m "$model" "$tmp/one" > "$tmp/out"
row "router: exec to first answer, s" "$(awk -v a="$from" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.3f", b - a }')" - -
