#!/usr/bin/env bats
# Every block of docs/cookbook.md, as it stands.

setup() {
    tree=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
    cd "$BATS_TEST_TMPDIR"
    ln -s "$tree/data" data
    export PATH=$tree/bin:$PATH
}

# recipe N: the blocks under "## N.", behind the ones that all build on.
recipe() {
    awk -v n="$1" '
        /^## / { at = $2 + 0 }
        /^```/ { inside = /^```sh$/; next }
        inside && (at == 0 || at == n)' "$tree/docs/cookbook.md" > "recipe$1"
    [ "$(wc -l < "recipe$1")" -gt 3 ]
    bash -euo pipefail "recipe$1" > said 2> err || { cat err; false; }
}

@test "cookbook: twelve recipes, each of them tested here" {
    [ "$(grep -cE '^## [0-9]+\.' "$tree/docs/cookbook.md")" -eq 12 ]
    [ "$(grep -cE '^    recipe [0-9]+' "$BATS_TEST_FILENAME")" -eq 12 ]
}

@test "cookbook: a CSV file" {
    recipe 1
    [ "$(sed -n 3p out.csv)" = "18,Where is my parcel?,shipping" ]
    [ "$(wc -l < out.csv)" -eq 3 ]
}

@test "cookbook: what failed" {
    recipe 2
    [ "$(wc -l < errors.jsonl)" -eq 2 ]
    [ "$(tail -1 said)" -eq 2 ]
    grep -q missing_field said
}

@test "cookbook: the failed ones again" {
    recipe 3
    [ "$(jq -r .response.label mended.jsonl | wc -l)" -eq 3 ]
    [ "$(jq -r 'select(.id == "x") | .response.label' mended.jsonl)" = shipping ]
    [ "$(jq -r .id mended.jsonl | tail -1)" = x ]
}

@test "cookbook: majority vote" {
    recipe 4
    [ "$(wc -l < majority.jsonl)" -eq 20 ]
    [ "$(jq -s 'map(.votes | add) | unique' -c majority.jsonl)" = "[5]" ]
}

@test "cookbook: few-shot from a file" {
    recipe 5
    [ "$(jq -s 'map(select(.response.label)) | length' few.jsonl)" -eq 20 ]
}

@test "cookbook: the uncertain ones again" {
    recipe 6
    [ "$(wc -l < merged.jsonl)" -eq 60 ]
    [ "$(jq -s 'map(select(.error)) | length' merged.jsonl)" -eq 0 ]
}

@test "cookbook: two prompts" {
    recipe 7
    grep -q '"p":' said
}

@test "cookbook: a fair threshold" {
    recipe 8
    [ "$(jq '.groups | length' said)" -ge 2 ]
    [ "$(jq '[.groups[].fpr] | max <= 0.05' said)" = true ]
}

@test "cookbook: each text once" {
    recipe 9
    [ "$(jq -s 'map(select(.label_found)) | length' joined.jsonl)" -eq 50 ]
}

@test "cookbook: tokens" {
    recipe 10
    [ "$(jq .records said)" -eq 100 ]
    [ "$(jq '.tokens > 1000' said)" = true ]
}

@test "cookbook: a held-out set" {
    recipe 11
    [ "$(cat test.jsonl train.jsonl | jq -r .id | sort -u | wc -l)" -eq "$(wc -l < data/unified.jsonl)" ]
}

@test "cookbook: every core, and after a crash" {
    recipe 12
    [ "$(wc -l < done.jsonl)" -eq 40 ]
}

@test "tutorial: every block of millrace(7), in order" {
    for f in Makefile pipelines src lib bin build; do ln -s "$tree/$f" .; done
    awk '/^\.Ed/ { show = 0 } show { gsub(/\\e/, "\\"); print } /^\.Bd -literal/ { show = 1 }' \
        "$tree/man/millrace.7" > tutorial
    [ "$(wc -l < tutorial)" -gt 20 ]
    bash -eu tutorial > said 2> err || { cat err; false; }
    grep -q 'shipping$' said
    [ "$(wc -l < errors.jsonl)" -eq 1 ]
    [ -s run/unified/results.jsonl ]
}
