#!/usr/bin/env bats

setup() {
    data="$BATS_TEST_DIRNAME/../data"
    cd "$BATS_TEST_TMPDIR"
}

@test "data: the generator writes unified.jsonl again, byte for byte" {
    LC_ALL=C awk -f "$data/generate.awk" > again.jsonl
    cmp again.jsonl "$data/unified.jsonl"
}

@test "data: 1,009 records, ids in order, no text twice" {
    [ "$(wc -l < "$data/unified.jsonl")" -eq 1009 ]
    jq -r .id "$data/unified.jsonl" > ids
    seq -f 'u-%04.0f' 1009 | cmp - ids
    [ -z "$(jq -c .text "$data/unified.jsonl" | sort | uniq -d)" ]
    [ "$(jq -c keys_unsorted "$data/unified.jsonl" | sort -u)" = '["id","text","label","channel","kind"]' ]
}

@test "data: every label in every channel, none rare" {
    jq -r '[.channel,.label] | @tsv' "$data/unified.jsonl" | sort | uniq -c > cells
    [ "$(wc -l < cells)" -eq 16 ]
    [ "$(sort -n cells | head -1 | awk '{ print ($1 >= 15) }')" -eq 1 ]
    [ "$(jq -r .label "$data/unified.jsonl" | sort -u | tr '\n' ' ')" = "account billing shipping technical " ]
    [ "$(jq -r .channel "$data/unified.jsonl" | sort -u | tr '\n' ' ')" = "chat email form phone " ]
    jq -r .label "$data/unified.jsonl" | sort | uniq -c | awk '$1 < 150 { exit 1 }'
}

@test "data: texts with line ends, quotes and letters beyond ASCII occur" {
    grep -q '"text":"[^"]*\\n' "$data/unified.jsonl"
    grep -q '"text":"[^"]*\\"' "$data/unified.jsonl"
    LC_ALL=C grep -q "$(printf '\303')" "$data/unified.jsonl"
}

@test "data: the canned sets are what sample draws" {
    sample -q -n 50 --by channel,label --seed 42 "$data/unified.jsonl" | cmp - "$data/canned_50_quick.jsonl"
    sample -q -n 100 --by channel,label --seed 42 "$data/unified.jsonl" | cmp - "$data/canned_100_stratified.jsonl"
    [ "$(wc -l < "$data/canned_50_quick.jsonl")" -eq 50 ]
    [ "$(wc -l < "$data/canned_100_stratified.jsonl")" -eq 100 ]
    [ "$(jq -r '.channel + .label' "$data/canned_50_quick.jsonl" | sort -u | wc -l)" -eq 16 ]
}

@test "data: the templates have their strategies, with and without choices" {
    [ "$(jq -c '.strategies | keys' "$data/templates/router_v1.json")" = '["baseline","few_shot","terse"]' ]
    jq -e '.strategies.combined_optimized.parameters.choices | length == 4' "$data/templates/combined_v1.json"
    jq -e '.strategies.combined_conservative.parameters | has("choices") | not' "$data/templates/combined_v1.json"
    jq -e '[.strategies[] | .name as $n | .parameters | .temperature == 0 and .max_tokens > 0] | all' "$data"/templates/*.json
    jq -e '.strategies | to_entries | all(.key == .value.name)' "$data"/templates/*.json
}
