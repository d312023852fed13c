#!/usr/bin/env bash
# decode.sh BENCH BIN - what a shape costs for each token, beside what a token costs the model, at
# 16 sequences with a vocabulary of 150,000 (the tokenizer of MATERIAL/tokenizers/qwen3).
set -euo pipefail
bench=$1
material=${MATERIAL:?} runs=${RUNS:-5}
tokenizer=$material/tokenizers/qwen3
[ -f "$tokenizer/tokenizer.json" ] || { echo "bench/decode.sh: $tokenizer is missing; skipped"; exit 0; }

for ((i = 0; i < runs; i++)); do "$bench/shape_bench" "$tokenizer" 16; done | sort -t, -k3 |
    awk '{ line[NR] = $0 } END { print "shape, 16 sequences: " line[int((NR + 1) / 2)] }'
