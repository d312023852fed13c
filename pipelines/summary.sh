#!/usr/bin/env bash
# summary.sh RUN-FOLDER - the screen that ends `make run`: what came out, how fast, and where it is.
set -eu -o pipefail
dir=$1

cat "$dir/metrics.txt"
# Each shard says how many records it answered and in how many seconds, of its last call.
awk -v RS=, '/"records":/ { sub(/.*:/, ""); n = $0 + 0; all += n }
    /"seconds":/ { sub(/.*:/, ""); if ($0 + 0 > most) most = $0 + 0 }
    END { if (all && most) printf "\n%d records answered in %.2f s by this call, %.1f records/s\n", all, most, all / most }' \
    "$dir"/times-*.json 2>/dev/null || true
printf 'answers  %s\n' "$dir/results.jsonl"
[ ! -s "$dir/errors.jsonl" ] || printf 'errors   %s (%s)\n' "$dir/errors.jsonl" "$(wc -l < "$dir/errors.jsonl")"
printf 'metrics  %s\n' "$dir/metrics.json"
