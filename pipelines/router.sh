#!/usr/bin/env bash
# router.sh OUT - trains the embedded message router from scratch on generated messages, and says
# how well it does on 2,000 that it has not seen; status 1 where that is under 99.5 %.
#
# Most of its prompts are the strategy "baseline"; the rest are those of the other strategies that
# ship, so that it answers behind them too.  Everything is seeded: on one instruction set the same
# bytes come out.
set -eu -o pipefail
out=$1
labels=billing,technical,shipping,account
config=data/models/router
work=$out.data
mkdir -p "$work"

LC_ALL=C awk -v N=26000 -v SEED=7 -v TRAIN=1 -f data/generate.awk > "$work/all.jsonl"
head -24000 "$work/all.jsonl" > "$work/train.jsonl"
tail -2000 "$work/all.jsonl" > "$work/held-out.jsonl"

# Record i is written by the strategy that is i's, in the order of the records.
say() { # say TEMPLATE STRATEGY: those records of train.jsonl whose number ends in one of DIGITS
    awk -v digits="$3" 'index(digits, NR % 10) { print }' "$work/train.jsonl" |
        render-prompt -q -t "data/templates/$1.json" -s "$2" --target label
}
{
    say router_v1 baseline 0123456
    say combined_v1 combined_optimized 7
    say combined_v1 combined_conservative 8
    say router_v1 terse 9 | awk 'NR % 2'
    say router_v1 few_shot 9 | awk 'NR % 2 == 0'
} > "$work/messages.jsonl"

train-step -q -m "$config" --init "$config/config.json" -o "$out" --dtype f32 --save-dtype bf16 \
    --shuffle 1 --seed 1 --epochs 2.5 --batch 32 --lr 3e-3 --warmup 0.05 --weight-decay 0.1 --beta2 0.98 \
    --micro-tokens 2048 --keep 0 "$work/messages.jsonl" > "$work/metrics.jsonl"

render-prompt -q -t data/templates/router_v1.json -s baseline "$work/held-out.jsonl" |
    gpu-infer -q -m "$out" --choices "$labels" > "$work/answers.jsonl"
awk -F '"label":"' '{ split($2, gold, "\""); split($3, got, "\""); right += gold[1] == got[1] }
    END { printf "router: %d of %d right on messages that it has not seen: %.4f\n", right, NR, right / NR
          exit right / NR < 0.995 }' "$work/answers.jsonl"
