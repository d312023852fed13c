#!/usr/bin/env bash
# run.sh SECONDS MATERIAL FUZZER... - runs each libFuzzer program for so long, one after the other,
# from tests/fuzz/seeds/NAME, small files of MATERIAL, and what earlier runs found worth keeping
# (build/fuzz/corpus/NAME).  One line each; status 1 where one of them found something.
set -u -o pipefail
cd "$(dirname "$0")/../.." || exit 1
seconds=$1 material=$2
shift 2
status=0

# Files of a target's kind that are not its seeds: the project's own, then MATERIAL's.
others() {
    local m=$material
    case $1 in
    batch) set -- "$m"/batch/edge_cases.jsonl ;;
    adapter) set -- "$m"/conformance/peft/configs/* ;;
    chat) set -- data/models/*/tokenizer_config.json "$m"/tokenizers/*/tokenizer_config.json ;;
    config) set -- data/models/*/config.json ;;
    encode) set -- README.md "$m"/conformance/utf8/* ;;
    jinja) set -- "$m"/templates/templates/*.jinja ;;
    record | stream) set -- data/canned_50_quick.jsonl "$m"/conformance/jsonl/* "$m"/conformance/JSONTestSuite/test_parsing/* ;;
    safetensors) set -- "$m"/conformance/safetensors/malformed/* ;;
    strategy) set -- data/templates/*.json ;;
    tokenizer) set -- "$m"/conformance/tokenizer_json_malformed/* "$m"/tokenizers/*/tokenizer.json ;;
    *) return ;;
    esac
    find "$@" -maxdepth 0 -type f -size -65 2>/dev/null # under 32 KiB
}

for fuzzer; do
    name=${fuzzer##*/}
    home=${fuzzer%/*/*}
    corpus=$home/corpus/$name found=$home/findings
    mkdir -p "$corpus" "$found"
    others "$name" | while read -r f; do cp -f "$f" "$corpus/from-${f##*/}"; done
    chmod -R u+w "$corpus"
    dict=tests/fuzz/seeds/$name.dict
    [ -f "$dict" ] || dict=tests/fuzz/seeds/json.dict
    begin=$(find "$corpus" "tests/fuzz/seeds/$name" -type f | wc -l)
    longest=32768 rc=0
    [ "$name" != encode ] || longest=2048 # several times through three tokenizers
    "$fuzzer" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=$longest -dict="$dict" \
        -print_final_stats=1 -artifact_prefix="$found/$name-" "$corpus" "tests/fuzz/seeds/$name" \
        > "$home/$name.log" 2>&1 || rc=$?
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$home/$name.log")
    cover=$(grep -oE 'cov: [0-9]+ ft: [0-9]+' "$home/$name.log" | tail -1)
    echo "fuzz $name: ${runs:-0} executions in $seconds s, $begin inputs at the start, $(find "$corpus" -type f | wc -l) in the corpus, ${cover:-no coverage}"
    if [ "$rc" != 0 ]; then
        status=1
        echo "fuzz $name: found something (status $rc): $(grep -oE "$found/$name-[a-z]+-[0-9a-f]+" "$home/$name.log" | tail -1); see $home/$name.log"
    fi
done
exit $status
