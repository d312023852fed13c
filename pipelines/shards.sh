#!/usr/bin/env bash
# shards.sh MODEL - how many gpu-infer processes to run side by side here: one per GPU; without one,
# one per core with one thread each, since small products lose by being shared among threads, as
# long as each has memory for its own copy of the weights.
set -eu
gpus=$(nvidia-smi -L 2> /dev/null | grep -c '^GPU' || true)
[ "${gpus:-0}" -eq 0 ] || { echo "$gpus"; exit 0; }
cores=$(nproc)
weights=$(find -L "$1" -maxdepth 1 -name "*.safetensors" -printf "%s\n" 2> /dev/null | awk "{ n += \$1 } END { printf \"%.0f\", n }")
free=$(awk '$1 == "MemAvailable:" { printf "%.0f", $2 * 1024 }' /proc/meminfo)
# Weights, keys and values, and as much again of what is being computed.
fit=$((${free:-0} / (weights * 5 / 4 + (2 << 30))))
# Beyond this a product is large enough for several threads.
[ "$weights" -le $((4 << 30)) ] || fit=1
n=$((fit < cores ? fit : cores))
echo $((n < 1 ? 1 : n))
