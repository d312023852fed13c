#!/usr/bin/env bats
# decode.bats - shapes, samples, penalties, batch files, scored texts.

load helpers

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    MODEL=$BATS_TEST_DIRNAME/../data/models/router
    export MODEL
    unset SHARD SHARDS
    set -o pipefail
}

infer() { gpu-infer -q -m "$MODEL" "$@"; }

# A record with messages and params.
ask() { # ask TEXT PARAMS
    printf '{"messages":[{"role":"system","content":"You route customer messages."},{"role":"user","content":"%s"}],"params":%s}\n' "$1" "$2"
}

schema='{"type":"object","properties":{"topic":{"enum":["billing","technical","shipping"]},"sure":{"type":"number","minimum":0,"maximum":1},"words":{"type":"array","items":{"type":"string","maxLength":8},"maxItems":3}},"required":["topic","sure"],"additionalProperties":false}'

@test "decode: answers fit a schema, whatever is drawn, and the bits do not depend on company" {
    for i in $(seq 12); do
        ask "message $i" "{\"temperature\":1.5,\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"schema\":$schema}}}"
    done > in
    infer --max-tokens 120 < in > out
    [ "$(wc -l < out)" -eq 12 ]
    jq -e 'select(.response.finish_reason == "stop") | .response | (.text | fromjson) == .parsed and
        (.parsed | (.topic | IN("billing", "technical", "shipping")) and .sure >= 0 and .sure <= 1 and
        ((keys - ["sure", "topic", "words"]) == []) and ((.words // []) | length <= 3 and all(length <= 8)))' out > all
    [ "$(grep -c true all)" -ge 8 ]
    [ "$(grep -c false all || true)" -eq 0 ]
    for flags in "--max-requests 1" "--max-requests 5 --batch-tokens 7" "--prefix-cache off --threads 1"; do
        # shellcheck disable=SC2086
        infer --max-tokens 120 $flags < in | cmp - out
    done
}

@test "decode: scaffolds are filled in with the tokenizer's own tokens" {
    ask x '{}' | infer --max-tokens 60 --json-schema <(echo "$schema") --return-tokens > out
    prefix='{\"topic\":\"'
    [[ "$(jq -r .response.text out)" == '{"topic":"'* ]]
    echo "{\"text\":\"$prefix\"}" | tokenize -q -m "$MODEL" > ids
    # All but the last token, which may reach further.
    jq -n -e --slurpfile out out --slurpfile ids ids \
        '$ids[0].tokens[:-1] as $p | $out[0].response.tokens[:$p | length] == $p'
    # Log-probabilities of filled in tokens are the model's, and change nothing.
    ask x '{}' | infer --max-tokens 60 --json-schema <(echo "$schema") --return-tokens --logprobs > asked
    jq -e '.response.logprobs | length > 5 and all(. < 0 or . == 0) and (map(select(. < 0)) | length > 5)' asked
    [ "$(jq -c .response.tokens asked)" = "$(jq -c .response.tokens out)" ]
}

@test "decode: regular expressions, fixed texts, JSON objects" {
    for i in 1 2 3 4; do ask "$i" '{"regex":"(a|bc){2,4} \\d{3}","temperature":3}'; done | infer --max-tokens 40 |
        jq -e '.response | .finish_reason == "stop" and (.text | test("^(a|bc){2,4} [0-9]{3}$"))'
    ask x '{"guided_choice":["zebra","zoo"],"max_tokens":20}' | infer | jq -e '.response.text | IN("zebra", "zoo")'
    ask x '{"guided_json":{"const":{"a":[1,"b"]}},"max_tokens":30}' | infer | jq -e '.response.text == "{\"a\":[1,\"b\"]}"'
    ask x '{"response_format":{"type":"json_object"}}' | infer --max-tokens 300 --temperature 2 |
        jq -e '.response | .finish_reason == "length" or (.text | fromjson | type == "object")'
    # A limit is said.
    ask x '{"regex":"[a-z]{40}"}' | infer --max-tokens 3 | jq -e '.response.finish_reason == "length"'
    ask x '{"guided_json":{"multipleOf":3}}' | infer | jq -e '.error.message | test("multipleOf")'
    refuses 64 gpu-infer -m "$MODEL" --regex a --json-object
}

@test "decode: stop texts across token borders, stop ids, biases, penalties" {
    ask "My parcel is late" '{}' | infer > plain
    text=$(jq -r .response.text plain)
    [ "${#text}" -gt 4 ]
    cut=${text:2:2}
    ask "My parcel is late" "{\"stop\":[\"$cut\",\"never\"]}" | infer > out
    [ "$(jq -r .response.text out)" = "${text%%"$cut"*}" ]
    [ "$(jq -r .response.finish_reason out)" = stop ]
    ask "My parcel is late" '{}' | infer --stop "$cut" | jq -c .response.text | cmp - <(jq -c .response.text out)
    first=$(ask "My parcel is late" '{"return_tokens":true}' | infer | jq '.response.tokens[0]')
    ask "My parcel is late" "{\"stop_token_ids\":[$first]}" | infer | jq -e '.response | .text == "" and .finish_reason == "stop"'
    ask "My parcel is late" "{\"logit_bias\":{\"$first\":-100},\"return_tokens\":true}" | infer |
        jq -e --argjson first "$first" '.response.tokens | index($first) == null'
    ask "x" '{"frequency_penalty":100,"ignore_eos":true,"max_tokens":40,"return_tokens":true}' | infer |
        jq -e '.response.tokens | length == (unique | length)'
}

@test "decode: n samples, each with its own draws, the first as without n" {
    ask "hello there" '{"temperature":2,"max_tokens":12,"n":4}' | infer > four
    ask "hello there" '{"temperature":2,"max_tokens":12}' | infer > one
    jq -e '.response | (.samples | length) == 4 and .text == .samples[0].text and
        ([.samples[].text] | unique | length) > 1 and
        .usage.completion_tokens == ([.samples[].usage.completion_tokens] | add)' four
    [ "$(jq -c .response.text one)" = "$(jq -c .response.text four)" ]
    for i in 1 2 3; do ask "hello $i" '{"temperature":2,"max_tokens":12,"n":3}'; done > in
    infer < in > out
    infer --max-requests 2 --batch-tokens 9 < in | cmp - out
}

@test "decode: the likeliest tokens of each place" {
    ask "hello" '{"top_logprobs":3,"logprobs":true}' | infer |
        jq -e '.response | (.top_logprobs | length) == (.logprobs | length) and
            all(.top_logprobs[]; length == 3 and .[0].logprob >= .[1].logprob) and
            .top_logprobs[0][0].logprob == .logprobs[0]'
}

@test "decode: batch files: a line for each, in order, with status codes" {
    {
        echo '{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"model":"m","messages":[{"role":"user","content":"x"}],"max_tokens":3,"logprobs":true,"top_logprobs":2}}'
        echo '{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"messages":[{"role":"user","content":"x"}]}}'
        echo nope
        echo
        echo '{"custom_id":"g","method":"GET","url":"/v1/completions","body":{"prompt":"x"}}'
        echo '{"custom_id":"u","method":"POST","url":"/v1/embeddings","body":{}}'
        echo '{"custom_id":"p","method":"POST","url":"/v1/completions","body":{"prompt":[5,6],"n":2,"max_tokens":2,"logprobs":1}}'
        echo '{"custom_id":"h","method":"POST","url":"/v1/completions","body":{"prompt":"x","heat":1}}'
        echo '{"custom_id":"s","method":"POST","url":"/v1/chat/completions","body":{"messages":[{"role":"user","content":"x"}],"stream":true}}'
    } > in
    infer --openai < in > out
    [ "$(jq -c '[.custom_id, .response.status_code]' out | tr -d '\n')" = \
        '["a",200]["a",400][null,400]["g",405]["u",404]["p",200]["h",400]["s",400]' ]
    jq -e -s 'all(.[]; (.error == null) == (.response.status_code == 200) and (.error == null) == (.response.body != null))' out
    jq -e -s '.[0].response.body | .object == "chat.completion" and .model == "m" and
        (.choices[0] | .message.role == "assistant" and (.logprobs.content | length) == 3 and
        (.logprobs.content[0].top_logprobs | length) == 2) and
        .usage.total_tokens == .usage.prompt_tokens + .usage.completion_tokens' out
    jq -e -s '.[5].response.body | .object == "text_completion" and (.choices | map(.index)) == [0, 1] and
        (.choices[0].logprobs.tokens | length) == .usage.completion_tokens / 2' out
    # Numbers of shard stay, so that gather can put them together.
    infer --openai <<< '{"custom_id":"q","method":"POST","url":"/v1/completions","body":{"prompt":"x","max_tokens":1},"_seq":0,"_last":true}' |
        jq -e '._seq == 0 and ._last == true'
}

@test "decode: a given text is scored, and the perplexity of all of them" {
    echo '{"prompt":"My parcel is late","c":"shipping"}' > in
    gpu-infer -m "$MODEL" --score-completion c --logprobs --metrics m < in > out 2> err
    jq -e '.response | .finish_reason == "scored" and .text == "shipping" and
        ((.logprobs | add) - .logprob | fabs) < 1e-5 and .usage.completion_tokens == (.logprobs | length)' out
    grep -q perplexity err
    jq -n -e --slurpfile m m --slurpfile out out \
        '($m[0].perplexity | log) + $out[0].response.logprob / $m[0].scored_tokens | fabs < 1e-4'
    infer --score-completion none < in | jq -e '.error.type == "missing_field"'
}
