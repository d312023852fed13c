#!/usr/bin/env bats
# tokenize.bats - token ids of text and back, on the embedded model's tokenizer.

setup() {
    cd "$BATS_TEST_TMPDIR" || exit 1
    model=$BATS_TEST_DIRNAME/../data/models/router
    printf '%s\n' '{"id":1,"text":"my parcel is late"}' '{"id":2,"text":""}' \
        '{"id":3,"text":"<|im_start|>user\nHé 👍<|im_end|>"}' > in.jsonl
}

tokenize_q() {
    tokenize -q -m "$model" "$@"
}

@test "tokenize: adds ids behind the record's own bytes" {
    tokenize -m "$model" in.jsonl > out 2> err
    [ "$(cut -c -39 out | head -1)" = '{"id":1,"text":"my parcel is late","tok' ]
    [ "$(jq -c .tokens out | head -2 | tail -1)" = "[]" ]
    [ "$(jq -c '.tokens[0], .tokens[-1]' out | tail -2 | paste -sd,)" = "2,3" ]
    n=$(jq -s 'map(.tokens | length) | add' out)
    [ "$(cat err)" = "tokenize: 3 records, $n tokens, 0 errors" ]
}

@test "tokenize: decoding gives the text back" {
    tokenize_q in.jsonl | jq -c 'del(.text)' > ids
    run tokenize_q --decode ids
    [ "$status" -eq 0 ]
    [ "$(jq -c .text <<< "$output")" = "$(jq -c .text in.jsonl)" ]
    [[ "${lines[0]}" == '{"id":1,"tokens":['*'],"text":"my parcel is late"}' ]]
    run tokenize_q --decode --skip-special ids
    [ "$(jq -r .text <<< "${lines[2]}")" = $'user\nHé 👍' ]
}

@test "tokenize: --field names the member that holds the text" {
    echo '{"text":"other","prompt":"shipping"}' > in
    [ "$(tokenize -q -m "$model" --field prompt in | jq -c .tokens)" = "$(echo '{"text":"shipping"}' | tokenize -q -m "$model" | jq -c .tokens)" ]
    run bash -c "echo '{\"text\":\"a\"}' | tokenize -q -m '$model' --field prompt"
    [ "$status" -eq 0 ]
    [[ "$output" == *'"type":"missing_field","message":"field \"prompt\" missing"'* ]]
    run tokenize -m "$model" --field x --decode < /dev/null
    [ "$status" -eq 64 ]
}

@test "tokenize: --special adds what the post-processor does" {
    mkdir m
    jq -c '.post_processor = {"type":"BertProcessing","cls":["<|bos|>",1],"sep":["<|im_end|>",3]}' \
        "$model/tokenizer.json" > m/tokenizer.json
    plain=$(tokenize -q -m m in.jsonl | jq -c '.tokens' | head -1)
    [ "$(tokenize -q -m m --special in.jsonl | jq -c '.tokens' | head -1)" = "[1,${plain:1:-1},3]" ]
}

@test "tokenize: broken bytes and unknown ids when decoding" {
    c3=$(jq '.model.vocab["Ã"]' "$model/tokenizer.json") # the byte C3
    echo "{\"tokens\":[$c3,999999]}" > d.jsonl
    [ "$(tokenize_q --decode d.jsonl | jq -r .text)" = "�" ]
}

@test "tokenize: bad records become error records in their place" {
    cat > bad.jsonl <<'EOF'
{"id":1}
{"id":2,"text":7}
{"id":3,"text":"\ud800"}
{"id":4,"text":"a","tokens":[1]}
{"id":5,"error":{"stage":"x","type":"y","message":"z"},"text":"a"}
{"id":6,"text":
{"id":7,"text":"a"}
EOF
    tokenize -m "$model" bad.jsonl > out 2> err
    # jq would stop at the lone surrogate.
    [ "$(grep -oE '"type":"[a-z_]+"' out | cut -d'"' -f4 | paste -sd,)" = "missing_field,bad_field,bad_text,reserved_member,y,bad_json" ]
    [[ "$(sed -n 7p out)" == '{"id":7,"text":"a","tokens":['*']}' ]]
    [ "$(sed -n 5p out)" = "$(sed -n 5p bad.jsonl)" ]
    [[ "$(sed -n 1p out)" == '{"id":1,"error":{"stage":"tokenize","type":"missing_field",'* ]]
    [[ "$(cat err)" == "tokenize: 7 records, "*" tokens, 5 errors, 1 failed before" ]]
    printf '%s\n' '{"tokens":"a"}' '{"tokens":[1,-2]}' '{"tokens":[1.5]}' '{"tokens":[3000000000]}' '{"x":0}' > ids.jsonl
    run tokenize_q --decode ids.jsonl
    [ "$(jq -r .error.type <<< "$output" | paste -sd,)" = "bad_field,bad_field,bad_field,bad_field,missing_field" ]
}

@test "tokenize: --overwrite replaces the member" {
    echo '{"tokens":[1],"text":"a","n":1.10}' > o.jsonl
    run tokenize_q --overwrite o.jsonl
    [[ "$output" == '{"text":"a","n":1.10,"tokens":['*']}' ]]
    [ "$(jq -c .tokens <<< "$output")" != "[1]" ]
    run tokenize_q --overwrite --decode <<< '{"text":"a","tokens":[2,3]}'
    [ "$output" = '{"tokens":[2,3],"text":"<|im_start|><|im_end|>"}' ]
}

@test "tokenize: a null is no text, and no tokens of ours" {
    run tokenize_q <<< '{"text":null}'
    [[ "$output" == *'"type":"missing_field"'* ]]
    run tokenize_q <<< '{"text":"","tokens":null}'
    [ "$output" = '{"text":"","tokens":[]}' ]
}

@test "tokenize: --strict stops at the first bad record and names it" {
    sed -i '3s/.*/{"id":3}/' in.jsonl
    run tokenize_q --strict in.jsonl
    [ "$status" -eq 65 ]
    [ "${#lines[@]}" -eq 3 ]
    [ "${lines[2]}" = 'tokenize: in.jsonl:3: field "text" missing' ]
    sed -i '3s/.*/{"id":/' in.jsonl
    run tokenize_q --strict in.jsonl
    [ "$status" -eq 65 ]
    [[ "${lines[2]}" == 'tokenize: in.jsonl:3: '* ]]
}

@test "tokenize: not JSON on line 3 names line 3" {
    sed -i '3s/.*/{"id":/' in.jsonl
    run tokenize_q in.jsonl
    [ "$status" -eq 0 ]
    [[ "$(jq -r .error.message <<< "${lines[2]}")" == *"in.jsonl:3: "* ]]
    [ "$(jq -r .error.input <<< "${lines[2]}")" = '{"id":' ]
}

@test "tokenize: the record's bytes are kept" {
    printf '%s\n' '{ "n" : 12345678901234567890, "f":1.10,"big":1e400,"e":"\u00e9/\/","text":"a" }' > k.jsonl
    run tokenize_q k.jsonl
    [[ "$output" == '{ "n" : 12345678901234567890, "f":1.10,"big":1e400,"e":"\u00e9/\/","text":"a" ,"tokens":['*']}' ]]
}

@test "tokenize: N in, N out, in order, from files and stdin" {
    for i in $(seq 500); do echo "{\"i\":$i,\"text\":\"record $i of 500\"}"; done > n.jsonl
    [ "$(tokenize_q n.jsonl | jq .i | paste -sd,)" = "$(seq 500 | paste -sd,)" ]
    [ "$(tokenize_q n.jsonl - < in.jsonl | wc -l)" -eq 503 ]
    cmp <(tokenize_q < n.jsonl) <(tokenize_q n.jsonl)
}

@test "tokenize: empty input, blank lines, no final newline, CRLF, BOM" {
    run tokenize_q < /dev/null
    [ "$status" -eq 0 ]
    [ -z "$output" ]
    printf '\xef\xbb\xbf{"text":"a"}\r\n\n{"text":"b"}' > b.jsonl
    [ "$(tokenize_q b.jsonl | jq -r .text | paste -sd,)" = "a,b" ]
}

@test "tokenize: one huge line, and one over --max-record" {
    { printf '{"text":"'; head -c 1000000 /dev/zero | tr '\0' x; printf '"}\n'; } > h.jsonl
    tokenize_q h.jsonl > out
    [ "$(jq '.tokens | length > 1000' out)" = true ]
    cat in.jsonl >> h.jsonl
    run tokenize_q --max-record 100K h.jsonl
    [ "$status" -eq 0 ]
    [ "$(jq -r '.error.type // "-"' <<< "$output" | paste -sd,)" = "too_long,-,-,-" ]
}

@test "tokenize: a NUL byte makes a bad record, an escaped one is text" {
    printf '{"text":"a\0b"}\n{"text":"a\\u0000b"}\n' > z.jsonl
    run tokenize_q z.jsonl
    [ "$(jq -r '.error.type // "-"' <<< "$output" | paste -sd,)" = "bad_json,-" ]
    tokenize_q z.jsonl | tail -1 | jq -c 'del(.text)' | tokenize_q --decode > back
    [ "$(jq -c .text back)" = '"a\u0000b"' ]
}

@test "tokenize: answers at once what has come" {
    run bash -c '{ echo "{\"text\":\"a\"}"; sleep 30; } | tokenize -q -m "$1" | head -1' _ "$model"
    [ "$status" -eq 0 ]
    [[ "$output" == '{"text":"a","tokens":['*']}' ]]
}

@test "tokenize: a full disk exits 74" {
    run bash -c 'tokenize -q -m "$1" in.jsonl > /dev/full' _ "$model"
    [ "$status" -eq 74 ]
    [[ "$output" == "tokenize: "*"stdout"* ]]
}

@test "tokenize: a reader that goes away is quiet" {
    run bash -c 'set -o pipefail; (sleep 0.2; tokenize -q -m "$1" in.jsonl) | true' _ "$model"
    [ "$status" -eq 141 ]
    [ -z "$output" ]
}

@test "tokenize: a missing file exits 66" {
    run tokenize_q no-such.jsonl
    [ "$status" -eq 66 ]
    [[ "$output" == "tokenize: "*"no-such.jsonl"* ]]
}

@test "tokenize: a bad model directory exits 78 and says why" {
    run tokenize -m no-such-model in.jsonl
    [ "$status" -eq 78 ]
    [ "${#lines[@]}" -eq 1 ]
    mkdir m
    echo '{"model":{"type":"Unigram","vocab":[]}}' > m/tokenizer.json
    run tokenize -m m in.jsonl
    [ "$status" -eq 78 ]
    [ "$output" = "tokenize: m/tokenizer.json: model: type Unigram is not supported, only BPE is" ]
    head -c 1000 "$model/tokenizer.json" > m/tokenizer.json
    run tokenize -m m in.jsonl
    [ "$status" -eq 78 ]
    [ "${#lines[@]}" -eq 1 ]
}

@test "tokenize: a wrong option exits 64 with one line" {
    for words in "--nope" "" "--special --decode -m x" "--skip-special -m x" "--max-record 0 -m x"; do
        # shellcheck disable=SC2086
        run tokenize $words in.jsonl
        [ "$status" -eq 64 ]
        [ "${#lines[@]}" -eq 1 ]
    done
}

@test "tokenize: the manual page has every option, and its examples run" {
    page=$BATS_TEST_DIRNAME/../man/tokenize.1
    for option in $(tokenize --help | grep -oE '^ +(-., )?--[a-z-]+' | grep -oE -- '-[a-z-]+$'); do
        grep -qE "^\.It .*Fl ${option#-}( |\$)" "$page"
    done
    cd "$BATS_TEST_DIRNAME/.."
    cp "$BATS_TEST_TMPDIR/in.jsonl" "$BATS_TEST_TMPDIR/data.jsonl"
    sed -n '/^\.Bd/,/^\.Ed/p' "$page" | grep -v '^\.' | sed "s|data.jsonl|$BATS_TEST_TMPDIR/data.jsonl|" > "$BATS_TEST_TMPDIR/examples"
    run bash -eu -o pipefail "$BATS_TEST_TMPDIR/examples"
    [ "$status" -eq 0 ]
}
