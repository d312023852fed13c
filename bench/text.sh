#!/usr/bin/env bash
# text.sh BENCH BIN - speed of the tokenizer, one thread, beside the tokenizers package of
# PEERS_PYTHON: the same texts, by turns, RUNS times; medians, and ours over theirs.
#
# Time is processor time of the process on both sides.  Prose is the messages of
# MATERIAL/datasets, twenty to a text; code is this project's own sources, one file a text.
set -euo pipefail
bench=$1 bin=$2
material=${MATERIAL:?} runs=${RUNS:-7} python=${PEERS_PYTHON:-}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

median() { sort -g | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a / b }'; }
row() { printf '%-36s %12s %12s %8s\n' "$@"; }

# Prints as tok_bench does.  encode_batch_fast leaves out the offsets that nobody here needs.
peer() { # peer load DIR N | peer encode DIR FILE N
    TOKENIZERS_PARALLELISM=false RAYON_NUM_THREADS=1 "$python" - "$@" << 'END'
import json, sys, time
from tokenizers import Tokenizer
what, path = sys.argv[1], sys.argv[2] + "/tokenizer.json"
begin = time.process_time()
t = Tokenizer.from_file(path)
if what == "load":
    print(time.process_time() - begin)
else:
    t.no_truncation()
    t.no_padding()
    texts = [json.loads(line)["text"] for line in open(sys.argv[3], encoding="utf-8")]
    size = sum(len(x.encode()) for x in texts)
    for i in range(int(sys.argv[4])):
        begin = time.process_time()
        out = t.encode_batch_fast(texts, add_special_tokens=False)
        seconds = time.process_time() - begin
        print(1e-6 * size / seconds, sum(len(x.ids) for x in out))
END
}

compare() { # compare NAME ARGS...: what both sides print for these arguments
    local name=$1 i ours theirs=- over=-
    shift
    : > "$tmp/ours"
    : > "$tmp/theirs"
    for ((i = 0; i < runs; i++)); do
        "$bench/tok_bench" "$@" | tail -1 >> "$tmp/ours"
        [ -z "$python" ] || peer "$@" | tail -1 >> "$tmp/theirs"
    done
    # Both must have made as many tokens, or the figures mean nothing.
    if [ -n "$python" ] && [ "$1" = encode ] &&
        [ "$(awk '{ print $2 }' "$tmp/ours" "$tmp/theirs" | sort -u | wc -l)" -ne 1 ]; then
        echo "bench/text.sh: $name: the two sides differ in tokens" >&2
        exit 1
    fi
    ours=$(median < "$tmp/ours")
    if [ -n "$python" ]; then
        theirs=$(median < "$tmp/theirs")
        over=$(ratio "$ours" "$theirs")
        theirs=$(printf '%.4g' "$theirs")
    fi
    row "$name" "$(printf '%.4g' "$ours")" "$theirs" "$over"
}

[ -d "$material/tokenizers" ] || { echo "bench/text.sh: skipped: no $material/tokenizers"; exit 0; }
[ -n "$python" ] || echo "bench/text.sh: the peer is skipped: PEERS_PYTHON is not set"
cat "$material"/datasets/{sms_spam,banking77_test,clinc150_test}.jsonl |
    jq -nc '[inputs.text] | _nwise(20) | {text: join("\n")}' > "$tmp/prose"
find lib src tests bench -name '*.[ch]' | LC_ALL=C sort | xargs -n 1 jq -Rsc '{text: .}' > "$tmp/code"

echo "$(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2), load $(cut -d' ' -f1-3 /proc/loadavg), $runs runs"
[ -z "$python" ] || "$python" -c 'import tokenizers; print("tokenizers", tokenizers.__version__)'
row "" ours theirs ratio
for name in qwen2.5 gpt-oss; do
    for kind in prose code; do
        compare "$name $kind, first pass, MB/s" encode "$material/tokenizers/$name" "$tmp/$kind" 1
        compare "$name $kind, again, MB/s" encode "$material/tokenizers/$name" "$tmp/$kind" 2
    done
done
compare "llama3 load, s" load "$material/tokenizers/llama3" 1

# The job's own way: records with one constant beginning, rendered and encoded.
many() { local i; for ((i = 0; i < 20; i++)); do cat data/unified.jsonl; done; }
render() { "$bin/render-prompt" -q -t data/templates/combined_v1.json -s combined_optimized "$@"; }
many | render > "$tmp/messages"
for ((i = 0; i < runs; i++)); do
    "$bench/tok_bench" prompts "$material/tokenizers/qwen3" "$tmp/messages" 1
done | median | { read -r rate; row "qwen3 prompts, records/s" "$rate" - -; }

# The same as a pipe of two tools, each second of either counted, loading too.
many > "$tmp/records"
TIMEFORMAT='%U %S'
for ((i = 0; i < runs; i++)); do
    { time { render --chat "$material/tokenizers/qwen3" "$tmp/records" |
        "$bin/tokenize" -q -m "$material/tokenizers/qwen3" --field prompt > "$tmp/tokens"; }; } 2>&1
done | awk -v n="$(wc -l < "$tmp/records")" '{ printf "%.0f\n", n / ($1 + $2) }' | median |
    { read -r rate; row "render-prompt | tokenize, records/s" "$rate" - -; }

# One million bytes that give no pattern anything to split at.
worst() { # worst KIND
    case $1 in
    word) printf 'abcdefghijklmnopqrstuvwxyz%.0s' {1..38462} | head -c 1000000 ;;
    letter) head -c 1000000 /dev/zero | tr '\0' a ;;
    blanks) head -c 1000000 /dev/zero | tr '\0' ' ' ;;
    marks) printf '\u0301%.0s' {1..500000} ;;
    esac | jq -Rsc '{text: .}'
}
for kind in word letter blanks marks; do
    worst $kind > "$tmp/$kind"
    for name in qwen2.5 gpt-oss llama2; do
        for ((i = 0; i < runs; i++)); do
            "$bench/tok_bench" encode "$material/tokenizers/$name" "$tmp/$kind" 1
        done | median | { read -r rate; row "$name 1 MB of $kind, s" "$(ratio 1 "$rate")" - -; }
    done
done
