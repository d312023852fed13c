#!/usr/bin/env bash
# fault.sh LIBRARY TREE STRIDE [INFER] - the n-th read, write, fsync, rename, close, mmap, malloc
# of each tool fails, for n = 1, 1 + STRIDE, ... until one run meets no fault.  With INFER, so many
# seeded n for each call of gpu-infer.
#
# A run that met a fault ends with 0 and the right bytes, or says why in one line, with a status
# for it; what stands under the output's name is what was there before, or whole.
set -u -o pipefail
lib=$1 tree=$2 stride=$3 infer=${4:-0}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
export TMPDIR=$dir
awk 'BEGIN { for (i = 0; i < 40; i++) printf "{\"id\":%d,\"label\":\"%d\",\"text\":\"record %d\"}\n", i, i % 3, i }' > data
shard -q data > dealt
tac dealt > back
sed 's/}$/,"response":{"text":"1","label":"1"}}/' data > answered
RANDOM=42
passed=0 failed=0

# status 0: no fault was met
try() { # try NAME FAULT COMMAND...: one run
    local name=$1 fault=$2 rc lines
    shift 2
    rm -f hit out.part out.key out.part.key
    echo old > out
    [ "$name" != gpu-infer ] || rm -f out
    [ ! -s out ] || cp out before
    timeout 60 env FAULT="$fault" FAULT_HIT="$dir/hit" LD_PRELOAD="$lib" "$@" > stdout 2> stderr
    rc=$?
    [ -e hit ] || return 0
    lines=$(wc -l < stderr)
    local why=
    case $rc in
        0) same "$name" || why="ends with 0 and other bytes" ;;
        66 | 71 | 74 | 78) [ "$lines" = 1 ] || why="status $rc with $lines lines on stderr" ;;
        *) why="status $rc: $(head -c 200 stderr)" ;;
    esac
    if [ -z "$why" ] && [ -e out ] && [ "$(cat out)" != old ] && ! same "$name"; then why="leaves part of a file under its name"; fi
    case $fault in *:4 | *:short) [ "$rc" = 0 ] || [ "${fault%%:*}" = close ] || [ "${fault%%:*}" = fsync ] || [ "${fault%%:*}" = rename ] || why="status $rc: $(head -c 200 stderr)" ;; esac
    if [ -z "$why" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "fault: $name: $fault: $why"
    fi
    return 1
}
same() { # the output is that of a run without faults
    if [ -e "want-$1" ]; then cmp -s out "want-$1"; else cmp -s stdout "says-$1"; fi
}
kinds=(read:5 read:4 read:short write:5 write:28 write:4 write:short fsync:5 rename:5 close:5 close:28 mmap:12 malloc:12)

every() { # every NAME COMMAND...
    local name=$1 kind n
    shift
    echo old > out
    "$@" > "says-$name" 2> stderr || { echo "fault: $name: fails without a fault: $(cat stderr)"; failed=$((failed + 1)); return; }
    [ "$(cat out)" = old ] || mv out "want-$name"
    for kind in "${kinds[@]}"; do
        for ((n = 1; n < 100000; n += stride)); do
            try "$name" "${kind%:*}:$n:${kind#*:}" "$@" && break
        done
    done
}
every shard shard -q -n 1 -o out data
every shard-pipe shard -q --deal contiguous -n 3 data
every shard-shuffle shard -q --shuffle 1 --deal size -n 3 data
every gather gather -q -o out dealt
every gather-back gather -q -o out back
every sample sample -q -n 7 --by label data
every render-prompt render-prompt -q -t "$tree/data/templates/router_v1.json" -s terse dealt
every score score -q --gold label -o out answered
every tokenize tokenize -q -m "$tree/data/models/router" data

if [ "$infer" -gt 0 ]; then
    head -3 "$tree/data/unified.jsonl" | shard -q | render-prompt -q -t "$tree/data/templates/combined_v1.json" -s combined_optimized > asked
    cmd=(gpu-infer -q -m "$tree/data/models/router" --date 2026-01-01 -o out asked)
    rm -f out
    "${cmd[@]}" && mv out want-gpu-infer
    rm -f out*
    for kind in "${kinds[@]}"; do
        for ((i = 0; i < infer; i++)); do
            case $kind in malloc*) n=$((RANDOM % 20000 + 1)) ;; *) n=$((RANDOM % 24 + 1)) ;; esac
            try gpu-infer "${kind%:*}:$n:${kind#*:}" "${cmd[@]}"
        done
    done
fi
echo "fault: $passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
