# render-prompt.bats - messages and prompts from records.

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    cat > t.json <<'END'
{"strategies": {
  "short": {"description": "one line", "system_prompt": "Sort {it}.", "user_template": "Text: {text}\n",
            "parameters": {"max_tokens" : 8, "temperature": 0.70}},
  "raw": {"user_template": "{text}"}}}
END
    echo '{"strategies": {"only": {"user_template": "{text}/{tone}"}}}' > one.json
    # shellcheck disable=SC2016
    echo '{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}{% if reasoning_effort %}({{ reasoning_effort }}){% endif %}{% if tools %}[{{ tools | length }}]{% endif %}{{ word }}{% if add_generation_prompt %}<assistant>{% endif %}' > c.jinja
}

@test "render-prompt: adds messages and params, every other byte as it came" {
    run bash -c "printf '%s' '{ \"text\":\"\\u00e9 {x}\" , \"n\":1.10,\"id\":12345678901234567890,\"e\":1e400 }' |
        render-prompt -q -t t.json -s short"
    [ "$status" -eq 0 ]
    [ "$output" = '{ "text":"\u00e9 {x}" , "n":1.10,"id":12345678901234567890,"e":1e400 ,"messages":[{"role":"system","content":"Sort {it}."},{"role":"user","content":"Text: é {x}\n"}],"params":{"max_tokens":8,"temperature":0.70}}' ]
}

@test "render-prompt: a strategy without system prompt and parameters adds a user turn alone" {
    run bash -c "echo '{\"text\":\"a\"}' | render-prompt -q -t t.json -s raw"
    [ "$output" = '{"text":"a","messages":[{"role":"user","content":"a"}]}' ]
}

@test "render-prompt: --list prints names and descriptions" {
    run render-prompt -t t.json --list
    [ "$status" -eq 0 ]
    [ "$output" = $'short\tone line\nraw' ]
}

@test "render-prompt: an unknown strategy names those that exist" {
    run render-prompt -t t.json -s long < /dev/null
    [ "$status" -eq 64 ]
    [ "$output" = 'render-prompt: t.json: no strategy "long"; there are short, raw' ]
    run render-prompt -t t.json < /dev/null
    [ "$status" -eq 64 ]
    [[ "$output" == *"choose one with -s: short, raw" ]]
}

@test "render-prompt: --set gives a field that the record lacks, or has" {
    run bash -c "echo '{\"text\":\"a\",\"tone\":\"b\"}' | render-prompt -q -t one.json --set tone=x=y"
    [ "$output" = '{"text":"a","tone":"b","messages":[{"role":"user","content":"a/x=y"}]}' ]
    run render-prompt -t one.json --set tone < /dev/null
    [ "$status" -eq 64 ]
}

@test "render-prompt: an unknown placeholder is an error record that names the fields there are" {
    run bash -c "echo '{\"text\":\"a\",\"id\":7}' | render-prompt -q -t one.json"
    [ "$status" -eq 0 ]
    [ "$output" = '{"text":"a","id":7,"error":{"stage":"render-prompt","type":"missing_field","message":"field \"tone\" missing; the record has text, id"}}' ]
    run bash -c "echo '{\"text\":null,\"tone\":1}' | render-prompt -q -t one.json"
    [[ "$output" == *'"type":"missing_field"'*'is null'* ]]
}

@test "render-prompt: a text that is no Unicode is an error record" {
    run bash -c "echo '{\"text\":\"\\ud800\"}' | render-prompt -q -t t.json -s raw"
    [[ "$output" == *'"type":"bad_text"'* ]]
}

@test "render-prompt: a template that does not parse ends the run with strategy, line and column" {
    printf '%s\n' '{"strategies": {"s": {"user_template": "a\n {text"}}}' > bad.json
    run render-prompt -t bad.json < /dev/null
    [ "$status" -eq 78 ]
    [[ "$output" == 'render-prompt: bad.json: strategy "s": user_template, line 2, column 2: '* ]]
    echo '{"strategies": ' > bad.json
    run render-prompt -t bad.json < /dev/null
    [ "$status" -eq 78 ]
}

@test "render-prompt: --target adds the assistant's turn" {
    run bash -c "echo '{\"text\":\"a\",\"label\":\"spam\"}' | render-prompt -q -t t.json -s raw --target label"
    [ "$output" = '{"text":"a","label":"spam","messages":[{"role":"user","content":"a"},{"role":"assistant","content":"spam"}]}' ]
    run bash -c "echo '{\"text\":\"a\"}' | render-prompt -q -t t.json -s raw --target label"
    [ "$status" -eq 0 ]
    [[ "$output" == *'"type":"missing_field"'*'\"label\"'* ]]
}

@test "render-prompt: members of ours that a record has already are errors, unless --overwrite" {
    for m in messages params; do
        run bash -c "echo '{\"text\":\"a\",\"$m\":[]}' | render-prompt -q -t t.json -s short"
        [[ "$output" == *'"type":"reserved_member"'*"$m"* ]]
    done
    run bash -c "echo '{\"messages\":[], \"text\":\"a\",\"params\":{\"x\":1},\"z\":1}' | render-prompt -q -t t.json -s short --overwrite"
    [ "$output" = '{ "text":"a","z":1,"messages":[{"role":"system","content":"Sort {it}."},{"role":"user","content":"Text: a\n"}],"params":{"max_tokens":8,"temperature":0.70}}' ]
    run bash -c "echo '{\"text\":\"a\",\"params\":{\"x\":1}}' | render-prompt -q -t t.json -s raw --overwrite"
    [ "$output" = '{"text":"a","params":{"x":1},"messages":[{"role":"user","content":"a"}]}' ]
}

@test "render-prompt: a null of our names is no member of ours" {
    run bash -c "echo '{\"messages\":null,\"text\":\"a\",\"params\":null}' | render-prompt -q -t t.json -s raw"
    [ "$output" = '{"text":"a","params":null,"messages":[{"role":"user","content":"a"}]}' ]
    run bash -c "echo '{\"messages\":[],\"prompt\":null}' | render-prompt -q --chat-template c.jinja"
    [ "$output" = '{"messages":[],"prompt":"<assistant>"}' ]
    run bash -c "echo '{\"messages\":null}' | render-prompt -q --chat-template c.jinja"
    [[ "$output" == *'"type":"missing_field"'* ]]
}

@test "render-prompt: --date is what strftime_now says" {
    echo '{{ strftime_now("%d %b %Y %H:%M:%S") }}' > c.jinja
    run bash -c "echo '{\"messages\":[]}' | render-prompt -q --chat-template c.jinja --date 2024-02-29T23:59:58"
    [[ "$output" == *'"prompt":"29 Feb 2024 23:59:58"}' ]]
    run render-prompt --chat-template c.jinja --date 2023-02-29 < /dev/null
    [ "$status" -eq 64 ]
    [[ "$output" == *"YYYY-MM-DDTHH:MM:SS"* ]]
}

@test "render-prompt: a template without end stops with its name, line and column" {
    printf '%s\n' 'a' '{% for i in range(99999) %}' '  {% for k in range(99999) %}{% endfor %}' '{% endfor %}' > c.jinja
    run bash -c "echo '{\"messages\":[]}' | render-prompt -q --strict --chat-template c.jinja"
    [ "$status" -eq 65 ]
    [[ "$output" == "render-prompt: <stdin>:1: c.jinja:3:"*"steps"* ]]
    [ "${#lines[@]}" -eq 1 ]
}

@test "render-prompt: --chat-template adds the prompt from the record's own messages" {
    run bash -c "echo '{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"tools\":[{},{}],\"chat_template_kwargs\":{\"word\":\"W\"}}' |
        render-prompt -q --chat-template c.jinja"
    [ "$status" -eq 0 ]
    [ "$output" = '{"messages":[{"role":"user","content":"hi"}],"tools":[{},{}],"chat_template_kwargs":{"word":"W"},"prompt":"<user>hi[2]W<assistant>"}' ]
    run bash -c "echo '{\"text\":\"a\"}' | render-prompt -q --chat-template c.jinja"
    [[ "$output" == *'"type":"missing_field"'*'\"messages\"'* ]]
    run bash -c "echo '{\"messages\":\"a\"}' | render-prompt -q --chat-template c.jinja"
    [[ "$output" == *'"type":"bad_field"'* ]]
    run bash -c "echo '{\"messages\":[],\"prompt\":\"a\"}' | render-prompt -q --chat-template c.jinja"
    [[ "$output" == *'"type":"reserved_member"'*prompt* ]]
}

@test "render-prompt: -t and --chat-template add messages, params, then prompt" {
    run bash -c "echo '{\"text\":\"a\"}' | render-prompt -q -t t.json -s short --chat-template c.jinja --reasoning low --template-arg word=w"
    [ "$status" -eq 0 ]
    [[ "$output" == *'],"params":{"max_tokens":8,"temperature":0.70},"prompt":"<system>Sort {it}.<user>Text: a\n(low)w<assistant>"}' ]]
}

@test "render-prompt: a chat template that refuses the messages makes an error record" {
    echo '{{ raise_exception("no system turn") }}' > c.jinja
    run bash -c "echo '{\"text\":\"a\"}' | render-prompt -q -t t.json -s raw --chat-template c.jinja"
    [ "$status" -eq 0 ]
    [[ "$output" == '{"text":"a","error":{"stage":"render-prompt","type":"template_error"'*'no system turn'* ]]
}

@test "render-prompt: records that failed before pass as they are" {
    line='{"text":"a", "error":{"stage":"shard","type":"bad_json","message":"m"}}'
    run bash -c "echo '$line' | render-prompt -t t.json -s raw"
    [ "${lines[0]}" = "$line" ]
    [ "${lines[1]}" = "render-prompt: 1 records, 0 errors, 1 failed before" ]
    run bash -c "echo '{\"text\":\"a\",\"error\":\"mine\"}' | render-prompt -q -t t.json -s raw"
    [[ "$output" == *'"error":"mine","messages":'* ]]
}

@test "render-prompt: not JSON on line 3 names line 3, and the run goes on" {
    printf '{"text":"a"}\n\nnope\n{"text":"b"}\n[1]\n' > in.jsonl
    run render-prompt -t t.json -s raw in.jsonl
    [ "$status" -eq 0 ]
    [ "${#lines[@]}" -eq 5 ]
    [[ "${lines[1]}" == '{"error":{"stage":"render-prompt","type":"bad_json","message":"in.jsonl:3: '*'"input":"nope"}}' ]]
    [[ "${lines[2]}" == *'"content":"b"'* ]]
    [[ "${lines[3]}" == *'"type":"not_object"'* ]]
    [ "${lines[4]}" = "render-prompt: 4 records, 2 errors" ]
}

@test "render-prompt: --strict stops at the first bad record with its place, what was before is there" {
    printf '{"text":"a"}\n{"x":1}\n{"text":"b"}\n' > in.jsonl
    run render-prompt -t t.json -s raw --strict in.jsonl
    [ "$status" -eq 65 ]
    [ "${#lines[@]}" -eq 2 ]
    [[ "$output" == *'"content":"a"'*'render-prompt: in.jsonl:2: field "text" missing; the record has x' ]]
    echo nope > in.jsonl
    run render-prompt -t t.json -s raw --strict in.jsonl
    [ "$status" -eq 65 ]
    [[ "$output" == "render-prompt: in.jsonl:1: "* ]]
}

@test "render-prompt: empty input makes empty output" {
    run bash -c "render-prompt -q -t t.json -s raw < /dev/null"
    [ "$status" -eq 0 ]
    [ -z "$output" ]
}

@test "render-prompt: a file without a final newline, and CRLF, lose nothing" {
    run bash -c "printf '{\"text\":\"a\"}\r\n{\"text\":\"b\"}' | render-prompt -q -t t.json -s raw | od -c | grep -c '[\\]r'"
    [ "$output" = 0 ]
    run bash -c "printf '{\"text\":\"a\"}\r\n{\"text\":\"b\"}' | render-prompt -q -t t.json -s raw | wc -l"
    [ "$output" -eq 2 ]
}

@test "render-prompt: one huge line" {
    run bash -c "{ printf '{\"text\":\"'; head -c 3000000 /dev/zero | tr '\\0' x; echo '\"}'; } |
        render-prompt -q -t t.json -s raw | wc -c"
    [ "$output" -eq $((2 * 3000000 + 54)) ]
    run bash -c "{ printf '{\"text\":\"'; head -c 3000000 /dev/zero | tr '\\0' x; echo '\"}'; echo '{\"text\":\"b\"}'; } |
        render-prompt -q -t t.json -s raw --max-record 1M"
    [ "${#lines[@]}" -eq 2 ]
    [[ "${lines[0]}" == *'"type":"too_long"'* ]]
    [[ "${lines[1]}" == *'"content":"b"'* ]]
}

@test "render-prompt: NUL bytes: escaped ones are text, raw ones are no JSON" {
    run bash -c "echo '{\"text\":\"a\\u0000b\"}' | render-prompt -q -t t.json -s raw"
    [ "$output" = '{"text":"a\u0000b","messages":[{"role":"user","content":"a\u0000b"}]}' ]
    run bash -c "printf '{\"text\":\"a\\0b\"}\n' | render-prompt -q -t t.json -s raw"
    [[ "$output" == *'"type":"bad_json"'* ]]
}

@test "render-prompt: order is kept, N in = N out, over files and stdin" {
    for i in $(seq 1 500); do echo "{\"text\":\"$i\"}"; done > a.jsonl
    echo '{"text":"z"}' > z.jsonl
    run bash -c "echo '{\"text\":\"stdin\"}' | render-prompt -q -t t.json -s raw a.jsonl - z.jsonl"
    [ "$status" -eq 0 ]
    [ "${#lines[@]}" -eq 502 ]
    [[ "${lines[499]}" == *'"content":"500"'* ]]
    [[ "${lines[500]}" == *'"content":"stdin"'* ]]
    [[ "${lines[501]}" == *'"content":"z"'* ]]
}

@test "render-prompt: a record goes out before the next one comes in" {
    run bash -c '(echo "{\"text\":\"a\"}"; sleep 20) | render-prompt -q -t t.json -s raw | (read -t 10 -r line; echo "$line"; kill $$)'
    [[ "$output" == *'"content":"a"'* ]]
}

@test "render-prompt: a full disk is an error" {
    run bash -c "echo '{\"text\":\"a\"}' | render-prompt -q -t t.json -s raw > /dev/full"
    [ "$status" -eq 74 ]
    [ "$output" = "render-prompt: write <stdout>: No space left on device" ]
    run bash -c "render-prompt -t t.json --list > /dev/full"
    [ "$status" -eq 74 ]
}

@test "render-prompt: a reader that goes away ends it quietly" {
    run bash -c "yes '{\"text\":\"a\"}' | render-prompt -t t.json -s raw | head -1; echo \${PIPESTATUS[1]}"
    [ "${#lines[@]}" -eq 2 ]
    [ "${lines[1]}" -eq 141 ]
}

@test "render-prompt: missing files exit 66" {
    run render-prompt -t t.json -s raw nope.jsonl
    [ "$status" -eq 66 ]
    [ "$output" = "render-prompt: open nope.jsonl: No such file or directory" ]
    run render-prompt -t nope.json < /dev/null
    [ "$status" -eq 66 ]
}

@test "render-prompt: usage errors exit 64 with one line" {
    for words in "--foo" "-t" "" "--list" "-s raw" "--set a=b" "--target x" "--date 2025-01-01" \
        "--reasoning high" "-t t.json --reasoning loud" "-t t.json --max-record x" \
        "-t t.json -s raw --target label --chat-template c.jinja"; do
        # shellcheck disable=SC2086
        run render-prompt $words < /dev/null
        echo "$words: $status: $output"
        [ "$status" -eq 64 ]
        [ "${#lines[@]}" -eq 1 ]
    done
}

@test "render-prompt: --help and --version" {
    run render-prompt --help
    [ "$status" -eq 0 ]
    [[ "$output" == "usage: render-prompt "*"--max-record SIZE       longest line taken [16M]"* ]]
    run render-prompt --version
    [ "$status" -eq 0 ]
    [[ "$output" == "render-prompt "[0-9]* ]]
}

@test "render-prompt: --chat DIR takes the template and special tokens of a model directory" {
    run bash -c "echo '{\"text\":\"a\"}' | render-prompt -q -t t.json -s raw --chat '$BATS_TEST_DIRNAME/../data/models/router'"
    [ "$status" -eq 0 ]
    [[ "$output" == *'"prompt":"<|bos|>'*'<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n"}' ]]
    run render-prompt --chat . < /dev/null
    [ "$status" -eq 78 ]
    [ "${#lines[@]}" -eq 1 ]
}

@test "render-prompt: the manual page's examples run" {
    ln -s "$BATS_TEST_DIRNAME/../data" data
    awk '/^\.Sh/ { on = /EXAMPLES/ } /^\.Ed/ { show = 0 } on && show { gsub(/\\e/, "\\"); print } /^\.Bd/ { show = 1 }' \
        "$BATS_TEST_DIRNAME/../man/render-prompt.1" > examples.sh
    run bash -eu -o pipefail examples.sh
    echo "$output"
    [ "$status" -eq 0 ]
    [[ "$output" == *combined_optimized* ]]
    [ "$(wc -l < train.jsonl)" -eq "$(wc -l < data/unified.jsonl)" ]
}

@test "render-prompt: --show-mask tells what training learns" {
    model=$BATS_TEST_DIRNAME/../data/models/router
    echo '{"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"billing"}]}' > in
    render-prompt -q --chat "$model" --show-mask in > out
    jq -e '(.mask.tokens | length) == (.mask.loss | length) and has("prompt") == false and
        ([.mask.tokens, .mask.loss] | transpose | map(select(.[1] == 1)[0])) == [69,414,292,3]' out
    echo '{"text":"Hi","label":"billing"}' | render-prompt -q -t t.json -s raw --target label --chat "$model" --show-mask > made
    [ "$(jq -c '.mask' made)" = "$(jq -c '.mask' out)" ]
    run bash -c "echo '{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}' | render-prompt -q --chat '$model' --show-mask"
    [ "$status" -eq 0 ]
    [[ "$output" == *'"type":"template_error","message":"the last message is not the assistant'* ]]
    run bash -c "echo '{\"mask\":1,\"messages\":[]}' | render-prompt -q --chat '$model' --show-mask"
    [[ "$output" == *'"type":"reserved_member"'* ]]
    for options in "--show-mask -t t.json -s raw" "--show-mask --chat-template c.jinja"; do
        run bash -c "render-prompt $options < /dev/null"
        [ "$status" -eq 64 ]
        [[ "$output" == *"--chat DIR"* ]]
    done
    run render-prompt --chat . --chat-template c.jinja --show-mask < /dev/null
    [ "$status" -eq 78 ]
    [[ "$output" == *tokenizer.json* ]]
}

@test "render-prompt: --show-mask on a terminal is for the eye" {
    command -v script > /dev/null || skip "no script(1)"
    model=$BATS_TEST_DIRNAME/../data/models/router
    printf '%s\n' '{"messages":[{"role":"user","content":"\u001b[31m\u0007"},{"role":"assistant","content":"billing"}]}' > in
    show() { env "$@" TERM=xterm script -qec "render-prompt -q --chat '$model' --show-mask in" /dev/null; }
    run show -u NO_COLOR
    [[ "$output" == *"in:1: 4 of "*" tokens"* ]]
    [[ "$output" == *$'\033[1;32mbilling<|im_end|>\033[0m'* ]]
    [[ "$output" == *'^[[31m^G<|im_end|>'* ]]
    run show NO_COLOR=1
    [[ "$output" == *'[[billing<|im_end|>]]'* ]]
    [[ "$output" != *$'\033'* ]]
}
