#!/usr/bin/env bats
# Setting up: make config, doctor, install, dist, and the completions.

setup() {
    tree=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
    cd "$BATS_TEST_TMPDIR"
    export CONFIG=$BATS_TEST_TMPDIR/config.mk
    unset GPUS DTYPE MODEL RUN LAUNCH NODES ACCELERATE
}

config() { (cd "$tree" && env "$@" pipelines/config.sh); }

@test "config: what is given is written, the rest has its default" {
    config GPUS=4 DTYPE=bf16
    grep -qx 'GPUS ?= 4' config.mk
    grep -qx 'DTYPE ?= bf16' config.mk
    grep -qx 'MODEL ?= data/models/router' config.mk
    config GPUS=2 # what was there stays
    grep -qx 'GPUS ?= 2' config.mk
    grep -qx 'DTYPE ?= bf16' config.mk
}

@test "config: a wrong value names itself, and nothing is written" {
    for bad in GPUS=0 GPUS=x DTYPE=f16 MODEL=/nowhere LAUNCH=pbs 'RUN=a b' NODES=-1; do
        run config "$bad"
        [ "$status" -eq 64 ]
        [[ "$output" == *"${bad%%=*}"* ]]
        [ "${#lines[@]}" -eq 1 ]
    done
    [ ! -e config.mk ]
    run config < /dev/null
    [ "$status" -eq 64 ]
    [[ "$output" == *"no terminal"* ]]
}

@test "config: asks on a terminal, and asks again after a wrong answer" {
    command -v script > /dev/null || skip "no script(1)"
    printf '%s\n' zero 3 '' '' '' slurm 2 |
        (cd "$tree" && script -qec pipelines/config.sh /dev/null) > said
    grep -qx 'GPUS ?= 3' config.mk
    grep -qx 'LAUNCH ?= slurm' config.mk
    grep -qx 'NODES ?= 2' config.mk
    grep -q "GPUS: 'zero': must be" said
}

@test "config: make takes its values, the command line goes before them" {
    printf 'RUN ?= elsewhere\n' > config.mk
    cd "$tree"
    # -f stands for `include`: the tree's own config.mk is not touched.
    run make -n -f "$CONFIG" -f Makefile run MAX=1
    [ "$status" -eq 0 ]
    [[ "$output" == *elsewhere/canned_50_quick* ]]
    run make -n -f "$CONFIG" -f Makefile run MAX=1 RUN=third DTYPE=f32
    [[ "$output" == *third/canned_50_quick* ]]
    [[ "$output" == *"--dtype f32"* ]]
}

@test "config: an Accelerate file, with what each setting became" {
    cat > default_config.yaml <<'END'
compute_environment: LOCAL_MACHINE
debug: false
distributed_type: MULTI_GPU
downcast_bf16: 'no'
fsdp_config:
  num_processes: 99
gpu_ids: 0,1
machine_rank: 0
mixed_precision: fp16   # as the old job had it
num_machines: 2
num_processes: 8
use_cpu: false
END
    run config ACCELERATE="$PWD/default_config.yaml"
    [ "$status" -eq 0 ]
    grep -qx 'GPUS ?= 4' config.mk
    grep -qx 'NODES ?= 2' config.mk
    grep -qx 'LAUNCH ?= slurm' config.mk
    grep -qx 'DTYPE ?= bf16' config.mk
    [[ "$output" == *"CUDA_VISIBLE_DEVICES=0,1"* ]]
    for key in debug distributed_type downcast_bf16 fsdp_config machine_rank mixed_precision use_cpu; do
        grep -q "^  $key " <<< "$output"
    done
}

@test "config: an Accelerate file that cannot be imported says why" {
    run config ACCELERATE=/nowhere.yaml
    [ "$status" -eq 66 ]
    echo 'a: b' > x.yaml
    run config ACCELERATE="$PWD/x.yaml"
    [ "$status" -eq 65 ]
    printf 'compute_environment: AMAZON_SAGEMAKER\n' > x.yaml
    run config ACCELERATE="$PWD/x.yaml"
    [ "$status" -eq 65 ]
    printf 'compute_environment: LOCAL_MACHINE\nnum_machines: 3\nnum_processes: 8\n' > x.yaml
    run config ACCELERATE="$PWD/x.yaml"
    [ "$status" -eq 65 ]
    [ ! -e config.mk ]
}

@test "doctor: ok with the embedded model, 69 and the cure without" {
    cd "$tree"
    run pipelines/doctor.sh
    [ "$status" -eq 0 ]
    [[ "$output" == *"one record answered"* ]]
    [ "$(grep -cvE '^(ok|note|left out)  ' <<< "$output")" -eq 0 ]
    run pipelines/doctor.sh /nowhere
    [ "$status" -eq 69 ]
    [[ "$output" == *"missing   /nowhere: no config.json there; give MODEL=DIR"* ]]
    run env CC=no-such-compiler pipelines/doctor.sh
    [ "$status" -eq 69 ]
    [[ "$output" == *"missing   gcc: apt-get install gcc"* ]]
}

@test "doctor: a broken tokenizer is named" {
    cp -r "$tree/data/models/router" broken
    echo '{}' > broken/tokenizer.json
    cd "$tree"
    run pipelines/doctor.sh "$BATS_TEST_TMPDIR/broken"
    [ "$status" -eq 69 ]
    [[ "$output" == *missing*tokenizer.json* ]]
}

@test "install: into an empty root, and it runs from there" {
    make -s -C "$tree" install DESTDIR="$PWD/at" PREFIX=/usr
    for tool in shard gather render-prompt gpu-infer; do [ -x "at/usr/bin/$tool" ]; done
    MANPATH=$PWD/at/usr/share/man
    [ -s "$MANPATH/man1/shard.1" ]
    [ -s "$MANPATH/man7/millrace-records.7" ]
    export PATH=$PWD/at/usr/bin:/usr/bin:/bin
    [ "$(command -v shard)" = "$PWD/at/usr/bin/shard" ]
    shard --limit 3 "$tree/data/canned_50_quick.jsonl" |
        render-prompt -t "$tree/data/templates/combined_v1.json" -s combined_optimized |
        gpu-infer -m "$tree/data/models/router" | gather > out
    [ "$(wc -l < out)" -eq 3 ]
}

@test "completion: bash offers options, words and files" {
    export PATH=$tree/bin:$PATH
    "$tree/pipelines/completion.sh" bash gpu-infer > c
    source ./c
    complete_line() {
        COMP_WORDS=("$@")
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        _gpu_infer
        printf '%s ' "${COMPREPLY[@]}"
    }
    [[ "$(complete_line gpu-infer --dt)" == "--dtype "* ]]
    [ "$(complete_line gpu-infer --dtype b)" = "bf16 " ]
    [ "$(complete_line gpu-infer --prefix-cache o)" = "on off " ]
    mkdir somewhere
    [ "$(complete_line gpu-infer -m some)" = "somewhere " ]
}

@test "completion: every option of every tool, in both shells" {
    export PATH=$tree/bin:$PATH
    for path in "$tree"/bin/*; do
        tool=${path##*/}
        "$tree/pipelines/completion.sh" bash "$tool" > b
        "$tree/pipelines/completion.sh" zsh "$tool" > z
        bash -n b
        "$tool" --help | grep -oE '^ +(-[A-Za-z], )?--[a-z0-9-]+' | grep -oE -- '--[a-z0-9-]+' > options
        [ -s options ]
        while read -r option; do
            grep -qE -- "${option}[ ']" b
            grep -qF -- "'${option}[" z
        done < options
        if command -v zsh > /dev/null; then zsh -n z; fi
    done
}

@test "dist: an archive of what is committed, that lists the Makefile" {
    git -C "$tree" rev-parse HEAD > /dev/null 2>&1 || skip "not a git checkout"
    make -s -C "$tree" dist
    archive=$(echo "$tree"/millrace-*.tar.gz)
    tar tzf "$archive" > list
    rm "$archive"
    grep -qE '^millrace-[0-9.]+/Makefile$' list
}
