#!/usr/bin/env bash
# profile.sh BENCH BIN - where the processor time of the job goes, function by function, as perf
# samples it: MODEL where it is given, else a model of random weights; RECORDS records (40).
set -euo pipefail
bench=$1 bin=$2 model=${MODEL:-} material=${MATERIAL:-none}
command -v perf > /dev/null || { echo "make profile: perf is missing; install linux-perf" >&2; exit 69; }
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
if [ -z "$model" ]; then
    model=$bench/models/smollm2-135m tokenizer=$material/tokenizers/gpt2
    [ -d "$tokenizer" ] || tokenizer=data/models/router
    mkdir -p "$bench/models"
    [ -e "$model/config.json" ] || "$bench/make_model" smollm2-135m "$model" "$tokenizer"
fi
"$bench/make_job" "$model" "${RECORDS:-40}" 290 32 > "$tmp/job"
perf record -q -e cpu-clock -F 499 -o "$tmp/perf" -- "$bin/gpu-infer" -m "$model" --threads 1 \
    --max-tokens 8 --ignore-eos "$tmp/job" > "$tmp/out"
perf report -q -i "$tmp/perf" --stdio --sort comm,dso,symbol --percent-limit 0.5 2> /dev/null | sed '/^$/d'
