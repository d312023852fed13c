#!/usr/bin/env bash
# metrics.sh RUN-FOLDER GOLD [GROUP] - writes metrics.json (what was right, and how long each shard
# took) and metrics.txt (the same figures as a table).
set -eu -o pipefail
dir=$1 gold=$2 group=${3:-}

score -q --bootstrap 1000 --gold "$gold" ${group:+--group "$group"} -o "$dir/score.json" "$dir/results.jsonl" > "$dir/metrics.txt"
shopt -s nullglob
{
    printf '{"score":%s,"shards":[' "$(< "$dir/score.json")"
    comma=
    for times in "$dir"/times-*.json; do
        printf '%s%s' "$comma" "$(< "$times")"
        comma=,
    done
    echo ']}'
} > "$dir/metrics.json.part"
mv "$dir/metrics.json.part" "$dir/metrics.json"
rm "$dir/score.json"
