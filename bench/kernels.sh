#!/usr/bin/env bash
# kernels.sh BENCH BIN - matrix products, GFLOP/s (int8: GOP/s), beside the better of oneDNN and
# OpenBLAS (Debian's libdnnl-dev and libopenblas-dev, opened at run time; PEERS=1).
#
# Without PEERS: the shapes of a small model, one thread, hot weights, the machine's best
# instruction set.  With it: every set, one and two threads, hot and cold.  ISAS, DTYPES, SHAPES
# (KxN), ROWS, THREADS, HEAT and SECONDS_EACH (of one figure, in five tries) narrow or widen that.
# One thread is timed by its processor time, two by the clock.
set -euo pipefail
bench=$1
peers=${PEERS:-0}
if [ "$peers" = 1 ]; then
    isas=${ISAS:-avx512-bf16 avx512 avx2}
    rows=${ROWS:-1 4 8 16 32 64 128 256 512} threads=${THREADS:-1 2} heat=${HEAT:-hot cold}
else
    isas=${ISAS:--}
    rows=${ROWS:-1 16 256} threads=${THREADS:-1} heat=${HEAT:-hot}
fi
shapes=${SHAPES:-896x4864 4864x896 576x1536 4096x4096}
dtypes=${DTYPES:-f32 bf16 int8}
seconds=${SECONDS_EACH:-0.05}
read -ra rows <<< "$rows"
declare -A onednn_isa=([avx2]=AVX2 [avx512]=AVX512_CORE [avx512-bf16]=AVX512_CORE_BF16 [-]=ALL)
declare -A openblas_isa=([avx2]=Haswell [avx512]=SkylakeX [avx512-bf16]=SkylakeX [-]=SkylakeX)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

peer() { # peer ISA DTYPE K N THREADS HEAT: each library's lines, in $tmp/LIB
    local isa=$1 lib
    shift
    for lib in onednn openblas; do
        DNNL_MAX_CPU_ISA=${onednn_isa[$isa]} OPENBLAS_CORETYPE=${openblas_isa[$isa]} \
            OMP_WAIT_POLICY=passive \
            "$bench/kernel_bench" $lib - "$@" "$seconds" "${rows[@]}" > "$tmp/$lib" 2> "$tmp/word" ||
            sed 's/^kernel_bench: //' "$tmp/word" >> "$tmp/skipped"
    done
}

one() { # one ISA DTYPE K N THREADS HEAT: a row for each number of rows
    : > "$tmp/onednn"
    : > "$tmp/openblas"
    "$bench/kernel_bench" ours "$@" "$seconds" "${rows[@]}" > "$tmp/ours" 2> "$tmp/word" ||
        { sed 's/^kernel_bench: //' "$tmp/word" >> "$tmp/skipped"; return; }
    [ "$peers" != 1 ] || peer "$@"
    awk -v name="${1/#-/best}" -v t="$2" -v shape="${3}x$4" -v n="$5" -v heat="$6" '
        FILENAME ~ /ours$/ { ours[$1] = $2; order[++count] = $1; next }
        $2 > best[$1] { best[$1] = $2; who[$1] = FILENAME ~ /onednn$/ ? "oneDNN" : "OpenBLAS" }
        END {
            for (i = 1; i <= count; i++) {
                r = order[i]
                printf "%-12s %-5s %-10s %sT %-4s %5d rows %9.1f %9s %6s %s\n", name, t, shape, n,
                    heat, r, ours[r], best[r] ? best[r] : "-",
                    best[r] ? sprintf("%.2f", ours[r] / best[r]) : "-", who[r]
            }
        }' "$tmp/ours" "$tmp/onednn" "$tmp/openblas"
}

echo "products, GFLOP/s:$(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2), load $(cut -d' ' -f1-3 /proc/loadavg)"
for isa in $isas; do
    for dtype in $dtypes; do
        for shape in $shapes; do
            for n in $threads; do
                for h in $heat; do
                    one "${isa/best/-}" "$dtype" "${shape%x*}" "${shape#*x}" "$n" "$h"
                done
            done
        done
    done
done
[ ! -s "$tmp/skipped" ] || sort "$tmp/skipped" | uniq -c | awk '{ n = $1; $1 = ""; print "kernels.sh:" $0 " (" n " times)" }'
