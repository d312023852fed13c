#!/usr/bin/env bash
# train-ranks.sh TIMES SEED - ranks that are killed, or stopped so that they hang, TIMES each, at
# random moments from the start on: the others must end with 75 and all of it within 5 seconds.
#
# Each rank runs under a shell that outlives it, so that the launcher sees no death and the
# ranks' own heartbeat has to; what the launcher does by itself is tested by the way.
set -u -o pipefail
times=$1
RANDOM=$2
MODEL=${MODEL:-$(dirname "$0")/../data/models/router}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp" || exit 71

jq -c '.hidden_size = 32 | .intermediate_size = 48 | .num_hidden_layers = 2 | .num_attention_heads = 2
    | .num_key_value_heads = 1 | .torch_dtype = "float32"' "$MODEL/config.json" > tiny.json
for i in $(seq 20); do
    echo "{\"messages\":[{\"role\":\"user\",\"content\":\"order $i\"},{\"role\":\"assistant\",\"content\":\"shipping\"}]}"
done > in
cat > rank.sh << 'END'
#!/bin/bash
# Status and time of this rank, once it ends; the shell itself stays until all are to end.
train-step -q -m "$MODEL" --init tiny.json --dtype f32 -o out --batch 4 --epochs 100000 in > /dev/null 2>> err &
echo $! > "pid.$OMPI_COMM_WORLD_RANK"
wait $!
echo "$? $(date +%s.%N)" > "ended.$OMPI_COMM_WORLD_RANK.part"
mv "ended.$OMPI_COMM_WORLD_RANK.part" "ended.$OMPI_COMM_WORLD_RANK"
until [ -e end ]; do sleep 0.05; done
END
chmod +x rank.sh
export MODEL

one() { # one SIGNAL
    rm -rf out out.ckpt pid.* ended.* end err
    local victim=$((RANDOM % 4)) delay begin took bad=0 r pid
    delay=$(awk -v r="$RANDOM" 'BEGIN { printf "%.3f", r / 32768 * 2.5 }')
    mpirun --allow-run-as-root --oversubscribe -n 4 ./rank.sh > /dev/null 2>&1 &
    local launcher=$!
    until [ -s "pid.$victim" ]; do sleep 0.01; done
    sleep "$delay"
    pid=$(cat "pid.$victim")
    kill "-$1" "$pid" 2> /dev/null
    begin=$(date +%s.%N)
    for r in 0 1 2 3; do
        [ "$r" != "$victim" ] || continue
        for ((i = 0; i < 160; i++)); do [ ! -e "ended.$r" ] || break; sleep 0.05; done
        read -r status at < <(cat "ended.$r" 2> /dev/null || echo "none 0")
        took=$(awk -v a="$at" -v b="$begin" 'BEGIN { printf "%.2f", a - b }')
        if [ "$status" != 75 ] || awk -v t="$took" 'BEGIN { exit !(t > 5) }'; then
            echo "train-ranks.sh: SIG$1 of rank $victim after $delay s: rank $r ended with $status after $took s" >&2
            bad=1
        fi
    done
    kill -KILL "$pid" 2> /dev/null
    touch end
    wait "$launcher"
    return $bad
}

failed=0
for ((n = 0; n < times; n++)); do
    for signal in KILL STOP; do one $signal || failed=$((failed + 1)); done
done
echo "$((2 * times)) ranks killed or stopped, $failed times the others did not end with 75 within 5 s"
[ "$failed" -eq 0 ]
