#!/usr/bin/env bash
# sweep.sh STEP - exactly once: 0 to 1003 records by STEP, 1 to 8 shards, a stub as the worker.
# For each pair three of the nine ways to deal take their turn; each case compares the bytes.
set -u -o pipefail
step=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
export TMPDIR=$dir
awk 'BEGIN { for (i = 0; i < 1003; i++)
    printf "{\"id\":%d,\"text\":\"%s\\u00e9\"}\n", i, substr("abcdefghijklmnopqrstuvwxyz", 1, i * 7 % 26) }' > all
stub() { sed 's/}$/,"response":{"text":"t"}}/'; }
work='sed -u "s/}\$/,\"response\":{\"text\":\"t\"}}/"'
stub < all > answers

one_stream() { shard -q -n "$2" in | stub | gather -q | cmp - want; }
each_shard() {
    for ((k = $2; k-- > 0; )); do shard -q -n "$2" -k $k in | stub; done | gather -q --expect "$1" | cmp - want
}
# shellcheck disable=SC2046 # names without blanks
files() {
    shard -q -n "$2" -o 'f-%d' in || return
    for ((k = 0; k < $2; k++)); do stub < f-$k > a-$k || return; done
    gather -q $(seq -f a-%.0f 0 $(($2 - 1))) | cmp - want
}
contiguous() { shard -q -n "$2" --deal contiguous < in | stub | gather -q | cmp - want; }
by_size() { shard -q -n "$2" --deal size < in | stub | gather -q | cmp - want; }
children() { shard -q -n "$2" --window $((1 + $1 % 9)) -e "$work" in | gather -q | cmp - want; }
numbered() { shard -q in | tac | shard -q -n "$2" --keep-seq | stub | gather -q | cmp - want; }
shuffled() { shard -q -n "$2" --shuffle "$1" in | stub | gather -q | sort | cmp - <(sort want); }
repeated() { shard -q -n "$2" --repeat 2 in | stub | gather -q | cmp - <(sed p want); }
modes=(one_stream each_shard files contiguous by_size children numbered shuffled repeated)

passed=0 failed=0 turn=0
for ((n = 0; n <= 1003; n += step)); do
    head -n "$n" all > in
    head -n "$n" answers > want
    for p in 1 2 3 4 5 6 7 8; do
        for _ in 1 2 3; do
            mode=${modes[turn++ % 9]}
            if $mode $n $p > /dev/null; then
                passed=$((passed + 1))
            else
                failed=$((failed + 1))
                echo "sweep: $mode, $n records, $p shards: not exactly once"
            fi
        done
    done
    turn=$((turn + 1)) # another three for the next number
done
echo "sweep: $passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
