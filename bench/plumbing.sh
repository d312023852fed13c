#!/usr/bin/env bash
# plumbing.sh BENCH BIN - how fast records go through the tools, and in how much memory.
#
# SCALE records (default 400,000; 10,000,000 are 2.5 GB) are written to a folder in memory, which
# goes away at the end; with the outputs it holds about twice as much.  RUNS times by turns, wall
# time, medians; MB/s count the bytes of the input, for render-prompt those of the output.
set -euo pipefail
bench=$1 bin=$2
scale=${SCALE:-400000} runs=${RUNS:-5}
tmp=$(mktemp -d -p /dev/shm 2> /dev/null || mktemp -d)
trap 'rm -rf "$tmp"' EXIT
export PATH=$bin:$PATH TMPDIR=$tmp LC_ALL=C
T=data/templates/combined_v1.json

median() { sort -g | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
row() { printf '%-44s %12s %12s %8s\n' "$@"; }
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a / b }'; }

generate() {
    awk -v n="$1" 'BEGIN {
        s = "the quick brown fox jumps over the lazy dog while the caf\303\251 is open \\\"late\\\", and so on until the message is as long as one is on average"
        for (i = 0; i < n; i++)
            printf "{\"id\":%d,\"label\":\"%s\",\"channel\":\"%s\",\"score\":%d.25,\"text\":\"message %d: %s, %d times\"}\n", i,
                i % 3 ? "spam" : "ham", i % 2 ? "mail" : "chat", i % 100, i * 7, s, i % 1000 }'
}

# Seconds of a command line, into $took.
timed() {
    local from=$EPOCHREALTIME
    eval "$1"
    took=$(awk -v a="$from" -v b="$EPOCHREALTIME" 'BEGIN { print b - a }')
}
compare() { # compare NAME BYTES OURS THEIRS: MB/s of both, by turns
    local name=$1 bytes=$2 i ours theirs=- over=-
    : > "$tmp/ours"; : > "$tmp/theirs"
    for ((i = 0; i < runs; i++)); do
        timed "$3"; echo "$took" >> "$tmp/ours"
        [ -z "$4" ] || { timed "$4"; echo "$took" >> "$tmp/theirs"; }
    done
    ours=$(median < "$tmp/ours" | awk -v b="$bytes" '{ printf "%.0f", b / $1 / 1e6 }')
    if [ -n "$4" ]; then
        theirs=$(median < "$tmp/theirs" | awk -v b="$bytes" '{ printf "%.0f", b / $1 / 1e6 }')
        over=$(ratio "$ours" "$theirs")
    fi
    row "$name" "$ours" "$theirs" "$over"
}
memory() { # memory NAME COMMAND...: KiB for 10,000 records and for all; the input stands for IN
    local name=$1 in i
    shift
    for in in few all; do
        : > "$tmp/kib"
        for ((i = 0; i < 5; i++)); do
            "$bench/rss" "$tmp/kib" "${@/#IN/$tmp/$in}" < "$tmp/$in" > /dev/null
        done
        median < "$tmp/kib" > "$tmp/kib-$in"
    done
    row "$name" "$(< "$tmp/kib-all")" "$(< "$tmp/kib-few")" "$(ratio "$(< "$tmp/kib-all")" "$(< "$tmp/kib-few")")"
}

generate "$scale" > "$tmp/all"
head -n 10000 "$tmp/all" > "$tmp/few"
head -n 40000 "$tmp/all" > "$tmp/part"
bytes=$(wc -c < "$tmp/all")
part=$(wc -c < "$tmp/part")
echo "$(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2), load $(cut -d' ' -f1-3 /proc/loadavg), $scale records, $bytes bytes, $runs runs"
split --version | head -1
jq --version

# What is timed must also be right.
shard -q "$tmp/all" | gather -q | cmp - "$tmp/all"

row "" ours peer ratio
compare "shard | gather > file : split -n r/4" "$bytes" "shard -q $tmp/all | gather -q > $tmp/out" \
    "split -n r/4 $tmp/all $tmp/x"
rm -f "$tmp"/x* "$tmp/out"
compare "shard | gather : cat | cat" "$bytes" "shard -q $tmp/all | gather -q > /dev/null" "cat $tmp/all | cat > /dev/null"
compare "shard | gather : jq -c ." "$part" "shard -q $tmp/part | gather -q > /dev/null" "jq -c . $tmp/part > /dev/null"
compare "shard alone" "$bytes" "shard -q $tmp/all > /dev/null" ""
rendered=$(render-prompt -q -t $T -s combined_optimized "$tmp/part" | wc -c)
compare "render-prompt, of its output" "$rendered" "render-prompt -q -t $T -s combined_optimized $tmp/part > /dev/null" ""

row "KiB of memory for so many records" "$scale" 10000 ratio
memory "shard" shard -q -n 4 IN
memory "shard --shuffle" shard -q --shuffle 1 IN
memory "render-prompt" render-prompt -q -t $T -s combined_optimized IN
memory "sample -n 100 --by label" sample -q -n 100 --by label IN
memory "score" score -q --gold label --pred channel IN
for f in few all; do
    shard -q "$tmp/$f" > "$tmp/dealt"
    mv "$tmp/dealt" "$tmp/$f"
done
memory "gather, of a file" gather -q IN
memory "gather, of standard input" gather -q
