#!/usr/bin/env bats
# sample.bats - drawing records at random.

load helpers

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    export TMPDIR=$BATS_TEST_TMPDIR
    records 60 > data.jsonl
}

# How many of each label, "A:N B:N".
labels() {
    jq -r .label | sort | uniq -c | awk '{ printf "%s:%d ", $2, $1 }'
}

@test "sample: N records, in input order, bytes untouched" {
    sample -n 20 data.jsonl > got 2> err
    [ "$(wc -l < got)" -eq 20 ]
    [ "$(cat err)" = "sample: 20 of 60 records" ]
    [ "$(grep -c -x -F -f got data.jsonl)" -eq 20 ]
    jq .id got | sort -n -c
    printf '{ "a":1.10}\r\n{"a":1e400 }' | sample -q | cmp - <(printf '{ "a":1.10}\n{"a":1e400 }\n')
}

@test "sample: the same seed draws the same, another another, whatever way it comes" {
    sample -q -n 9 data.jsonl > a
    cat data.jsonl | sample -q -n 9 --seed 0 | cmp - a
    sample -q -n 9 < data.jsonl | cmp - a
    sample -q -n 9 <(head -30 data.jsonl) <(tail -30 data.jsonl) | cmp - a
    sample -q -n 9 --seed 1 data.jsonl > b
    run cmp -s a b
    [ "$status" -eq 1 ]
    # pinned: a seed means the same in every version
    [ "$(jq -s -c 'map(.id)' a)" = "[3,9,10,19,22,29,30,41,54]" ]
}

@test "sample: every record is as likely as any other" {
    for seed in $(seq 200); do sample -q -n 6 --seed "$seed" data.jsonl; done | jq .id | sort -n | uniq -c > counts
    [ "$(wc -l < counts)" -eq 60 ]
    # each of 60 is expected 20 times; 5 standard deviations (4.2) around that
    awk '$1 < 1 || $1 > 41 { exit 1 }' counts
}

@test "sample: --by draws in proportion, at least one of each" {
    { seq 90 | sed 's/.*/{"label":"a"}/'
      seq 9 | sed 's/.*/{"label":"b"}/'
      echo '{"label":"c"}'; } > skewed
    [ "$(sample -q -n 10 --by label skewed | labels)" = "a:8 b:1 c:1 " ]
    [ "$(sample -q -n 50 --by label skewed | labels)" = "a:44 b:5 c:1 " ]
    [ "$(sample -q -n 3 --by label skewed | labels)" = "a:1 b:1 c:1 " ]
    [ "$(sample -q -n 100 --by label skewed | labels)" = "a:90 b:9 c:1 " ]
    [ "$(sample -n 10 --by label skewed 2>&1 > /dev/null)" = "sample: 10 of 100 records, 3 strata" ]
    refuses 64 sample -n 2 --by label skewed
    [[ "$output" == *"ask for 3 or more" ]]
}

@test "sample: the remainder goes to the largest stratum" {
    printf '{"label":"%s"}\n' a a a b b b c c c d d d d > even
    # 3 * 7 / 13 = 1.6 -> 2 and 4 * 7 / 13 = 2.2 -> 2 make 8, one too many
    [ "$(sample -q -n 7 --by label even | labels)" = "a:2 b:2 c:2 d:1 " ]
}

@test "sample: several fields, missing fields, null, values of any kind" {
    printf '%s\n' '{"a":1,"b":"x"}' '{"a":1,"b":"y"}' '{"a":"1","b":"x"}' '{"a":1}' '{"a":1,"b":null}' \
        '{"a":[1],"b":{}}' '{"r":{"a":true}}' > odd
    [ "$(sample --by a,b -n 100 odd 2>&1 > /dev/null)" = "sample: 7 of 7 records, 5 strata" ]
    [ "$(sample --by a -n 100 odd 2>&1 > /dev/null)" = "sample: 7 of 7 records, 3 strata" ]
    [ "$(sample --by r.a -n 100 odd 2>&1 > /dev/null)" = "sample: 7 of 7 records, 2 strata" ]
    [ "$(sample --by none -n 2 odd 2>&1 > /dev/null)" = "sample: 2 of 7 records, 1 strata" ]
}

@test "sample: a JSON array gives lines" {
    jq -s . data.jsonl > data.json
    sample -q -n 9 data.json | jq -c . | cmp - <(sample -q -n 9 data.jsonl | jq -c .)
}

@test "sample: empty input, more than there are" {
    run sample -q /dev/null
    [ "$status" -eq 0 ]
    [ -z "$output" ]
    run sample -q --by label /dev/null
    [ "$status" -eq 0 ]
    sample -q -n 1000 data.jsonl | cmp - data.jsonl
    head -c -1 data.jsonl | sample -q -n 1000 --by label | cmp - data.jsonl
}

@test "sample: a line that is no record ends it with 65, naming the line" {
    printf '{}\n{}\nnope\n' > bad
    refuses 65 sample bad
    [ "$output" = "sample: bad:3: expected true, false or null at byte 2" ]
    printf '{}\n{"a\0":1}\n' > nul
    refuses 65 sample nul
    { printf '{"a":"'; head -c 2000000 /dev/zero | tr '\0' x; printf '"}\n{}\n'; } > long
    [ "$(sample -q long | wc -c)" -eq 2000012 ]
    refuses 65 sample --max-record 1M long
    [[ "$output" == "sample: long:1: "* ]]
}

@test "sample: wrong options, a missing file, a full disk, a reader that leaves" {
    refuses 64 sample --cuont 3
    refuses 64 sample -n 0 data.jsonl
    refuses 64 sample --by , data.jsonl
    refuses 66 sample none.jsonl
    run bash -c 'sample -q data.jsonl > /dev/full'
    [ "$status" -eq 74 ]
    records 20000 > big.jsonl
    quits_quietly "sample -q -n 20000 big.jsonl"
}

@test "sample: help, version and the manual's examples" {
    sample --help | grep -q 'how many records \[100\]'
    [[ "$(sample --version)" == "sample "* ]]
    runs_examples sample
}
