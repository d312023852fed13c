#!/usr/bin/env bash
# doctor.sh [MODEL] - says what this machine has for building and running, line by line.
# Each line is `ok`, `missing` with the command that mends it (exit status 69), `left out` for what
# nothing here needs, or `note` for what may surprise.
set -u
model=${1:-data/models/router}
run=${RUN:-run}
bad=0

ok() { printf 'ok        %s\n' "$*"; }
note() { printf 'note      %s\n' "$*"; }
left_out() { printf 'left out  %s\n' "$*"; }
missing() {
    printf 'missing   %s\n' "$*"
    bad=1
}
have() { command -v "$1" > /dev/null 2>&1; }

# ---- what builds and tests it --------------------------------------------------------------------

# header package
header() {
    if echo "#include <$1>" | ${CC:-gcc} -DPCRE2_CODE_UNIT_WIDTH=8 -E - > /dev/null 2>&1; then
        ok "$1 $(dpkg-query -W -f '${Version}' "$2" 2> /dev/null)"
    else
        missing "$1: make deps, or apt-get install $2"
    fi
}
# command package
tested_by() {
    if have "$1"; then ok "$1"; else left_out "$1: tests need it; apt-get install $2"; fi
}

if have "${CC:-gcc}"; then ok "$(${CC:-gcc} --version | head -1)"; else missing "gcc: apt-get install gcc"; fi
header jansson.h libjansson-dev
header pcre2.h libpcre2-dev
header utf8proc.h libutf8proc-dev
tested_by bats bats
tested_by jq jq
tested_by shellcheck shellcheck
tested_by mandoc mandoc

# ---- the machine ---------------------------------------------------------------------------------

gib() { awk -v b="$1" 'BEGIN { printf "%.1f GiB", b / 1073741824 }'; }
free_memory=$(awk '/MemAvailable/ { printf "%.0f", $2 * 1024 }' /proc/meminfo)

flags=" $(grep -m1 -oE '^flags.*' /proc/cpuinfo) "
isa=
for f in amx_bf16 amx_int8 avx512_bf16 avx512_vnni avx512f avx2 fma f16c; do
    [[ $flags == *" $f "* ]] && isa+=" $f"
done
case $isa in
*avx2*fma*) ok "CPU: $(nproc) cores that this process may use, instruction sets:$isa" ;;
*) missing "CPU: no AVX2 with FMA; use a machine that has them (x86-64-v3)" ;;
esac
if [ -x "${BANDWIDTH:-}" ]; then
    ok "memory: $(gib "$free_memory") free, read at $("$BANDWIDTH" 1) GB/s by one core, $("$BANDWIDTH" "$(nproc)") by all"
else
    ok "memory: $(gib "$free_memory") free"
fi

if have nvidia-smi && gpus=$(nvidia-smi --query-gpu=index,name,memory.total,driver_version --format=csv,noheader 2> /dev/null); then
    while IFS= read -r line; do ok "GPU $line"; done <<< "$gpus"
    [ -z "${CUDA_VISIBLE_DEVICES+set}" ] || note "this process may see CUDA_VISIBLE_DEVICES=$CUDA_VISIBLE_DEVICES"
else
    left_out "GPU: none that a driver shows (nvidia-smi); gpu-infer runs on the CPU"
fi
nvcc=$(command -v nvcc || ls /usr/local/cuda/bin/nvcc 2> /dev/null)
if [ -n "$nvcc" ]; then ok "$("$nvcc" --version | grep release)"; else left_out "nvcc: only a build for GPUs needs it"; fi
nccl=$(find /usr/include /usr/local/cuda/include -maxdepth 1 -name nccl.h 2> /dev/null | head -1)
if [ -n "$nccl" ]; then ok "NCCL $(awk '/define NCCL_(MAJOR|MINOR|PATCH)/ { printf "%s%s", n++ ? "." : "", $3 }' "$nccl")"; else left_out "NCCL: only training on several GPUs needs it"; fi
if have mpirun; then ok "$(mpirun --version | head -1)"; else left_out "mpirun: only train-step with several ranks needs it; apt-get install openmpi-bin libopenmpi-dev"; fi
if have sbatch; then ok "$(sbatch --version), $(sinfo -h -o %D 2> /dev/null | head -1 || echo no) nodes"; else left_out "Slurm: only LAUNCH=slurm needs it"; fi

# ---- the model and a record ----------------------------------------------------------------------

model_need() {
    local bytes
    bytes=$(find -L "$model" -maxdepth 1 -name '*.safetensors' -printf '%s\n' | awk '{ n += $1 } END { printf "%.0f", n }')
    local need=$((bytes + bytes / 6 + (1 << 30)))
    if [ "$need" -le "$free_memory" ]; then
        ok "$model: $(gib "$bytes") of weights; $(gib "$need") with keys, values and packing, of $(gib "$free_memory") free"
    else
        missing "$model needs about $(gib "$need") of memory, $(gib "$free_memory") are free; use a smaller model or machine"
    fi
}

check_disk() {
    local at=$run free
    while [ ! -d "$at" ]; do at=$(dirname "$at"); done
    free=$(df -PB1 "$at" | awk 'NR == 2 { print $4 }')
    if [ "$free" -ge $((1 << 30)) ]; then
        ok "disk: $(gib "$free") free for $run"
    else
        missing "disk: $(gib "$free") free for $run; make room, or give RUN= another disk"
    fi
}

# One record through each step; the first that fails says why.
trial() {
    local record='{"_seq":0,"messages":[{"role":"user","content":"hello, world"}]}' text answer
    if ! text=$(bin/render-prompt -q --chat "$model" <<< "$record" 2>&1); then
        missing "$model: the chat template fails: ${text##*$'\n'}"
    elif ! ids=$(bin/tokenize -m "$model" <<< "$text" 2>&1); then
        missing "$model: the tokenizer fails: ${ids##*$'\n'}"
    else
        ok "$model: chat template and tokenizer"
        if answer=$(bin/gpu-infer -q -m "$model" --max-tokens 1 <<< "$record" 2>&1) && [[ $answer == *'"response"'* ]]; then
            ok "$model: one record answered"
        else
            missing "$model does not answer: ${answer##*$'\n'}"
        fi
    fi
}

check_disk
if [ ! -e "$model/config.json" ]; then
    missing "$model: no config.json there; give MODEL=DIR, a model in Hugging Face layout"
else
    model_need
    if [ -x bin/gpu-infer ]; then trial; else missing "bin/gpu-infer: not built; make"; fi
fi
[ "$bad" = 0 ] || exit 69
