#!/usr/bin/env bash
# metrics.sh RUN-FOLDER GOLD [GROUP] - writes metrics.json (what was right, and how long each shard
# took) and metrics.txt (the same figures as a table).
set -eu -o pipefail
dir=$1 gold=$2 group=${3:-}

score -q --gold "$gold" ${group:+--group "$group"} -o "$dir/score.json" "$dir/results.jsonl" > "$dir/metrics.txt"
shopt -s nullglob
times=("$dir"/times-*.json)
printf '{"score":%s,"shards":[%s]}\n' "$(< "$dir/score.json")" \
    "$([ ${#times[@]} = 0 ] || paste -sd, "${times[@]}")" > "$dir/metrics.json.part"
mv "$dir/metrics.json.part" "$dir/metrics.json"
rm "$dir/score.json"
