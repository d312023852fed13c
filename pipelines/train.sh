#!/usr/bin/env bash
# train.sh [OPTION...] - `make train`: records with answers, rendered, learned on GPUS ranks; what
# it does comes from the environment, more options go to train-step.
#
# Its status is train-step's.  What a launcher makes of a rank's death is 75: the same command
# goes on from the last checkpoint.
set -eu -o pipefail

data=${DATA:?}
case $data in */* | *.jsonl | *.json) ;; *) data=data/$data.jsonl ;; esac
[ -r "$data" ] || { echo "train.sh: $data cannot be read" >&2; exit 66; }
template=${TEMPLATE:-data/templates/combined_v1.json}
strategy=${STRATEGY:-}
[ -n "${TEMPLATE:-}$strategy" ] || strategy=combined_optimized
name=$(basename "$data" | sed 's/\.jsonl*$//')
out=${RUN:-run}/train-$name${STRATEGY:+-$STRATEGY}
[ -z "${FRESH:-}" ] || rm -rf "$out"
mkdir -p "$out"

# Records that are chats already stay as they are.
lessons() { # lessons FILE
    if head -1 "$1" | grep -qE '"(messages|completion)" *:'; then
        cat "$1"
    else
        render-prompt -q -t "$template" ${strategy:+-s "$strategy"} --target "${TARGET:-label}" "$1"
    fi
}
lessons "$data" > "$out/lessons.part"
mv "$out/lessons.part" "$out/lessons.jsonl"
options=(-m "${MODEL:?}" -o "$out/model" --epochs "${EPOCHS:-3}" --shuffle 1)
[ -z "${LORA:-}" ] || options+=(--lora "$LORA")
if [ -n "${EVAL:-}" ]; then
    lessons "$EVAL" > "$out/eval.jsonl"
    options+=(--eval "$out/eval.jsonl")
fi

ranks=${GPUS:-1} launch=()
if [ "$ranks" -gt 1 ] && [ "${LAUNCH:-local}" = slurm ]; then
    launch=(srun -K1 --mpi=pmix -n "$ranks")
elif [ "$ranks" -gt 1 ]; then
    command -v mpirun > /dev/null || { echo "train.sh: no mpirun here; run 'make deps', or GPUS=1" >&2; exit 69; }
    # Ranks part the cores themselves; a rank that is to stop has time to save.
    launch=(mpirun --oversubscribe --bind-to none --mca odls_base_sigkill_timeout 60 -n "$ranks")
    [ "$(id -u)" != 0 ] || launch+=(--allow-run-as-root)
fi
status=0
"${launch[@]}" train-step "${options[@]}" "$@" "$out/lessons.jsonl" > "$out/steps.jsonl" || status=$?
if [ ${#launch[@]} -gt 0 ] && { [ "$status" -eq 1 ] || [ "$status" -gt 78 ]; }; then status=75; fi
if [ "$status" -eq 0 ]; then
    # What this call printed begins where an earlier one stopped; the model has the whole course.
    cp "$out/model/metrics.jsonl" "$out/steps.jsonl"
    report -o "$out/report.html" "$out"
    tail -1 "$out/model/metrics.jsonl"
    [ -z "${LORA:-}" ] && use="-m $out/model" || use="-m $MODEL --adapter $out/model"
    printf 'model    %s (gpu-infer %s)\nreport   %s\n' "$out/model" "$use" "$out/report.html"
else
    echo "train.sh: train-step ended with status $status" >&2
fi
exit "$status"
