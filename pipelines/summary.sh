#!/usr/bin/env bash
# summary.sh RUN-FOLDER - the screen that ends `make run`: what came out, how fast, and where it is.
set -eu -o pipefail
dir=$1

cat "$dir/metrics.txt"
# The shards ran side by side: the slowest one's time is the run's.
awk '/"records":/ { all += $2 } /"seconds_total":/ { if ($2 + 0 > most) most = $2 + 0 }
    END { if (all) printf "\nlast answered %d records in %.2f s: %.1f records/s\n", all, most, all / most }' "$dir"/times-*.json
printf 'answers  %s\n' "$dir/results.jsonl"
[ ! -s "$dir/errors.jsonl" ] || printf 'errors   %s (%s)\n' "$dir/errors.jsonl" "$(wc -l < "$dir/errors.jsonl")"
printf 'metrics  %s\n' "$dir/metrics.json"
[ ! -e "$dir/report.html" ] || printf 'report   %s\n' "$dir/report.html"
