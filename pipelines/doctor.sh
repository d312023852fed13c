#!/usr/bin/env bash
# doctor.sh [MODEL] - says what this machine has for building and running, line by line.
# Exit status 69 when something that the build needs is missing.
set -u
model=${1:-data/models/router}
bad=0

ok() { printf 'ok       %s\n' "$*"; }
left_out() { printf 'left out %s\n' "$*"; }
missing() {
    printf 'MISSING  %s\n' "$*"
    bad=1
}
# header package
header() {
    if echo "#include <$1>" | ${CC:-gcc} -DPCRE2_CODE_UNIT_WIDTH=8 -E - >/dev/null 2>&1; then
        ok "$1"
    else
        missing "$1: make deps, or apt-get install $2"
    fi
}
# command package
tool() {
    if command -v "$1" >/dev/null; then ok "$1"; else left_out "$1 (tests need it: apt-get install $2)"; fi
}

if command -v "${CC:-gcc}" >/dev/null; then ok "$(${CC:-gcc} --version | head -1)"; else missing "gcc: apt-get install gcc"; fi
header jansson.h libjansson-dev
header pcre2.h libpcre2-dev
header utf8proc.h libutf8proc-dev
tool bats bats
tool jq jq
tool shellcheck shellcheck
tool mandoc mandoc

flags=$(grep -m1 -oE '^flags.*' /proc/cpuinfo)
isa=$(for f in amx_bf16 avx512_bf16 avx512f avx2 fma; do [[ " $flags " == *" $f "* ]] && printf ' %s' "$f"; done)
ok "cores: $(nproc), memory: $(awk '/MemAvailable/ { printf "%.1f GiB free", $2 / 1048576 }' /proc/meminfo), instruction sets:${isa:- none that has kernels}"
if command -v nvidia-smi >/dev/null; then
    nvidia-smi --query-gpu=index,name,memory.total,driver_version --format=csv,noheader | sed 's/^/found    GPU /'
fi
left_out "cuda: this version has no CUDA backend; gpu-infer runs on the CPU"
left_out "mpi: this version has no train-step; nothing else needs MPI"

if [ -x bin/gpu-infer ]; then
    if [ -e "$model/config.json" ] && answer=$(echo '{"prompt":"hello"}' | bin/gpu-infer -q -m "$model" --max-tokens 1 2>&1); then
        ok "one record through $model: ${answer:0:60}…"
    else
        missing "$model does not answer: ${answer:-no config.json there}"
    fi
else
    left_out "bin/gpu-infer: not built yet (make)"
fi
[ "$bad" = 0 ] || exit 69
