#!/usr/bin/env bash
# bits.sh PROMPTS SHUFFLES - the same bytes in any company, by the tools themselves:
# batch sizes, chunks, processes, threads, orders, prefix cache, resume; generation and scoring;
# the router in bf16 and f32 and, where GOLDEN has them, a mixture of experts and MXFP4.
#
# Every setting's answers, put in order, must be those of records answered one by one.
set -u -o pipefail
shopt -s lastpipe # same() counts at the end of pipes
prompts=$1 shuffles=$2 golden=${GOLDEN:-none}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
export LC_ALL=C
passed=0 failed=0 skipped=0

# Prompts of token ids below VOCAB: stems in common, lengths around the edges of pages; every
# third is scored by labels with common beginnings, every fifth is sampled.
make_prompts() { # make_prompts N VOCAB
    awk -v n="$1" -v vocab="$2" 'function id() { return 4 + int(rand() * (vocab - 4)) }
    BEGIN {
        srand(5)
        for (s = 0; s < 4; s++) for (i = 0; i < 70; i++) stem[s, i] = id()
        for (r = 0; r < n; r++) {
            printf "{\"tokens\":["
            common = int(rand() * 70); own = 1 + int(rand() * 40); s = int(rand() * 4)
            for (i = 0; i < common; i++) printf "%d,", stem[s, i]
            for (i = 0; i < own; i++) printf "%d%s", id(), i < own - 1 ? "," : ""
            printf "],\"params\":{"
            if (r % 3 == 0) {
                printf "\"choices\":["
                a = id(); b = id()
                for (k = 0; k < 7; k++) printf "%s[%d,%d,%d]", k ? "," : "", k % 2 ? a : b, k < 4 ? b : id(), id()
                print "]}}"
            } else
                printf "\"max_tokens\":%d,\"temperature\":%s,\"ignore_eos\":true}}\n", 1 + r % 6, r % 5 ? "0" : "0.8"
        }
    }' | shard -q
}
infer() { gpu-infer -q -m "$model" --dtype "$dtype" --logprobs --return-tokens "$@"; }
# The answers of stdin must be those expected, whatever their order.
same() { # same NAME
    if sort -s -t: -k1,1 | cmp -s - "$tmp/want"; then passed=$((passed + 1)); else
        failed=$((failed + 1))
        echo "bits: $(basename "$model") $dtype: $1: other bytes"
    fi
}
# _seq in front, so that any order can be undone.
keyed() { sed -E 's/^.*"_seq":([0-9]+).*$/\1:&/'; }

resumed() {
    rm -f "$tmp"/cut*
    head -$((prompts / 2)) "$tmp/in" | infer -o "$tmp/cut" && infer -o "$tmp/cut" "$tmp/in" && cat "$tmp/cut"
}
shards() { # shards N: answers of N processes, one after the other
    local k
    for ((k = 0; k < $1; k++)); do
        awk -v n="$1" -v k="$k" 'NR % n == (k + 1) % n' "$tmp/in" | infer -d "cpu:$k/$1"
    done
}

try() { # try MODEL VOCAB DTYPE
    local batch chunk n i
    model=$1 dtype=$3
    make_prompts "$prompts" "$2" > "$tmp/in"
    infer --threads 1 --max-requests 1 --batch-tokens 512 --prefix-cache off "$tmp/in" | keyed | sort -s -t: -k1,1 > "$tmp/want"
    if [ "$(wc -l < "$tmp/want")" -ne "$prompts" ] || grep -q '"error"' "$tmp/want"; then
        failed=$((failed + 1))
        echo "bits: $model does not answer everything"
    fi
    for batch in ${BATCHES:-1 2 7 33 256}; do
        infer --max-requests "$batch" "$tmp/in" | keyed | same "$batch in flight"
    done
    for chunk in ${CHUNKS:-1 7 64 2048}; do
        infer --batch-tokens "$chunk" "$tmp/in" | keyed | same "$chunk tokens a forward"
    done
    for n in ${PROCESSES:-2 3 8}; do
        shards "$n" | keyed | same "$n processes"
    done
    infer --threads 1 "$tmp/in" | keyed | same "1 thread"
    infer --threads 2 "$tmp/in" | keyed | same "2 threads"
    infer --prefix-cache off "$tmp/in" | keyed | same "no prefix cache"
    infer --kv-memory 1M --max-requests 256 "$tmp/in" | keyed | same "little memory"
    resumed | keyed | same "resumed"
    for ((i = 0; i < shuffles; i++)); do
        shuf --random-source=<(yes $((i + 1))) "$tmp/in" | infer | keyed | same "shuffle $i"
    done
    if [ "$dtype" = f32 ]; then
        for n in avx2 avx512; do
            if gpu-infer -q -m "$model" --isa "$n" < /dev/null 2> "$tmp/why"; then
                infer --isa "$n" "$tmp/in" | keyed | same "f32 on $n"
            else
                skipped=$((skipped + 1))
            fi
        done
    fi
}

try data/models/router 900 bf16
try data/models/router 900 f32
# A model whose sums are of 4096 products and more.
if [ -n "${WIDE:-}" ]; then
    prompts=$(((prompts + 19) / 20)) shuffles=2 try "$WIDE" 900 bf16
else
    skipped=$((skipped + 1))
fi
for name in ${MODELS-qwen3moe-bf16 gptoss-mxfp4}; do
    dir=$golden/models/$name
    if [ -d "$dir/model" ]; then dir=$dir/model; fi
    if [ -e "$dir/config.json" ]; then
        try "$dir" "$(sed -nE 's/.*"vocab_size": *([0-9]+).*/\1/p' "$dir/config.json" | head -1)" bf16
    else
        skipped=$((skipped + 1))
    fi
done
echo "bits: $passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
