#!/usr/bin/env bash
# config.sh [FILE] - writes config.mk, which make reads before anything else.
#
# What the environment gives (GPUS, DTYPE, MODEL, RUN, LAUNCH, NODES, as `make config GPUS=4` hands
# them on) is taken; FILE, or ACCELERATE in the environment, is an Accelerate configuration to
# import; what is left is asked on a terminal, with the present value as the answer of Enter.
set -eu -o pipefail
out=${CONFIG:-config.mk}
import=${1:-${ACCELERATE:-}}
names=(GPUS DTYPE MODEL RUN LAUNCH NODES)
declare -A value=([GPUS]=auto [DTYPE]=auto [MODEL]=data/models/router [RUN]=run [LAUNCH]=local [NODES]=1)
declare -A what=(
    [GPUS]='devices, a process each; auto: as the machine and the model suggest'
    [DTYPE]='precision: auto, f32 or bf16'
    [MODEL]='model directory'
    [RUN]='folder of the runs'
    [LAUNCH]='launcher: local or slurm'
    [NODES]='machines'
)

fail() {
    echo "make config: $1" >&2
    exit "${2:-64}"
}
said() { echo "make config: $1" >&2; }

# ---- what was there, and what an Accelerate file says --------------------------------------------

read_present() {
    local name
    [ -e "$out" ] || return 0
    for name in "${names[@]}"; do
        local was
        was=$(sed -n "s/^$name ?= //p" "$out" | tail -1)
        [ -z "$was" ] || value[$name]=$was
    done
}

# became KEY VALUE WHAT
became() { printf '  %-30s %-16s %s\n' "$1" "$2" "$3" >&2; }

import_precision() {
    case $2 in
    no) value[DTYPE]=f32 ;;
    bf16) value[DTYPE]=bf16 ;;
    fp16 | fp8) value[DTYPE]=bf16 ;;
    *) fail "$import: mixed_precision: '$2' is not known; no, fp16, bf16 or fp8" 65 ;;
    esac
    local note=
    case $2 in fp16 | fp8) note=" (there is no $2 here; bf16 needs no loss scaling)" ;; esac
    became "$1" "$2" "DTYPE=${value[DTYPE]}$note"
}

import_distributed() {
    case $2 in
    NO | MULTI_GPU | MULTI_CPU | MULTI_XPU | MULTI_HPU) became "$1" "$2" "a process per device, always" ;;
    DEEPSPEED | FSDP | MEGATRON_LM | TP | XLA | TPU) became "$1" "$2" "no meaning here: every device holds the whole model" ;;
    *) fail "$import: distributed_type: '$2' is not known" 65 ;;
    esac
}

import_key() {
    case $1 in
    compute_environment)
        [ "$2" = LOCAL_MACHINE ] || fail "$import: compute_environment: '$2' cannot be imported; LOCAL_MACHINE can" 65
        became "$1" "$2" "LAUNCH=${value[LAUNCH]}"
        ;;
    distributed_type) import_distributed "$1" "$2" ;;
    num_processes | num_machines)
        [[ $2 =~ ^[1-9][0-9]{0,3}$ ]] || fail "$import: $1: '$2' is not a number of 1 to 9999" 65
        ;;
    mixed_precision) import_precision "$1" "$2" ;;
    gpu_ids) became "$1" "$2" "$([ "$2" = all ] && echo 'all that the process may see' || echo "set CUDA_VISIBLE_DEVICES=$2")" ;;
    use_cpu) became "$1" "$2" 'gpu-infer takes a GPU where there is one; -d cpu in INFER= forbids it' ;;
    main_process_ip | main_process_port | machine_rank | rdzv_backend | same_network | main_training_function)
        became "$1" "$2" 'no meaning here: shards do not talk to each other, ranks find each other through MPI'
        ;;
    *) became "$1" "$2" 'no meaning here' ;;
    esac
}

# Only the top level has settings; what is indented belongs to a key that is named as a whole.
import_accelerate() {
    local line key text processes=1 machines=1
    [ -r "$import" ] || fail "$import: cannot be read; give the path of a default_config.yaml" 66
    grep -q '^compute_environment:' "$import" || fail "$import: no compute_environment in it; is it an Accelerate configuration?" 65
    said "$import: what each setting became"
    while IFS= read -r line || [ -n "$line" ]; do
        line=${line%$'\r'}
        [[ $line =~ ^([A-Za-z_][A-Za-z0-9_]*):[[:space:]]*(.*)$ ]] || continue
        key=${BASH_REMATCH[1]} text=${BASH_REMATCH[2]}
        text=${text%%[[:space:]]#*}
        text=${text%"${text##*[![:space:]]}"}
        text=${text#[\'\"]}
        text=${text%[\'\"]}
        [ "$key" != num_processes ] || processes=$text
        [ "$key" != num_machines ] || machines=$text
        import_key "$key" "${text:-(a block)}"
    done < "$import"
    [ $((processes % machines)) = 0 ] || fail "$import: num_processes: $processes do not divide among $machines machines" 65
    value[GPUS]=$((processes / machines)) value[NODES]=$machines
    [ "$machines" = 1 ] || value[LAUNCH]=slurm
    became num_processes "$processes" "GPUS=${value[GPUS]}, on each machine"
    became num_machines "$machines" "NODES=$machines, LAUNCH=${value[LAUNCH]}"
}

# ---- answers -------------------------------------------------------------------------------------

# Says what is wrong with a value, or nothing.
wrong() {
    case $1 in
    GPUS) [[ $2 =~ ^(auto|[1-9][0-9]{0,3})$ ]] || echo "must be 1 to 9999, or auto" ;;
    NODES) [[ $2 =~ ^[1-9][0-9]{0,3}$ ]] || echo "must be 1 to 9999" ;;
    DTYPE) [[ $2 =~ ^(auto|f32|bf16)$ ]] || echo "must be auto, f32 or bf16" ;;
    LAUNCH) [[ $2 =~ ^(local|slurm)$ ]] || echo "must be local or slurm" ;;
    MODEL) [ -e "$2/config.json" ] || echo "no config.json in it; give a model directory in Hugging Face layout" ;;
    RUN) [[ $2 =~ ^[A-Za-z0-9._/+@,-]+$ ]] || echo "use a plain path without blanks" ;;
    esac
}

ask() {
    local answer fault
    while :; do
        read -r -p "$1, ${what[$1]} [${value[$1]}]: " answer || fail "no answer for $1"
        answer=${answer:-${value[$1]}}
        fault=$(wrong "$1" "$answer")
        [ -n "$fault" ] || break
        echo "  $1: '$answer': $fault"
    done
    value[$1]=$answer
}

read_present
[ -z "$import" ] || import_accelerate
given=0
for name in "${names[@]}"; do
    if [ -n "${!name:-}" ]; then
        value[$name]=${!name}
        given=1
    fi
done
if [ -z "$import" ] && [ "$given" = 0 ]; then
    [ -t 0 ] || fail "nothing given, and no terminal to ask on; make config GPUS=4 MODEL=DIR, or ACCELERATE=FILE"
    for name in "${names[@]}"; do ask "$name"; done
fi
for name in "${names[@]}"; do
    fault=$(wrong "$name" "${value[$name]}")
    [ -z "$fault" ] || fail "$name: '${value[$name]}': $fault"
done
{
    echo "# Written by make config; a variable on make's command line goes before it."
    for name in "${names[@]}"; do
        # auto is what make does where nothing is said.
        [ "${value[$name]}" = auto ] || printf '%s ?= %s\n' "$name" "${value[$name]}"
    done
} > "$out.part"
mv "$out.part" "$out"
said "$out:$(for name in "${names[@]}"; do printf ' %s=%s' "$name" "${value[$name]}"; done)"
