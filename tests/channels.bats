#!/usr/bin/env bats
# channels.bats - thought and answer of a reasoning model, through gpu-infer and render-prompt.
#
# The embedded model answers "billing" with the ids 69 414 292 3; giving some of its ids the names
# of marks makes it speak in channels.

load helpers

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    ROUTER=$BATS_TEST_DIRNAME/../data/models/router
    set -o pipefail
    cp -r "$ROUTER" m
    # shellcheck disable=SC2016 # jinja
    CHATML='{% for m in messages %}<|im_start|>{{ m.role }}
{{ m.content }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
'
    asked='{"messages":[{"role":"user","content":"Why was I charged twice?"}]}'
}

# Gives ids of the model's vocabulary names, and makes added tokens of them.
mark() { # mark ID NAME ...
    jq -c --argjson new "$(printf '%s\n' "$@" | jq -Rnc '[inputs] | [_nwise(2)] | map({id: (.[0] | tonumber), content: .[1]})')" '
        reduce $new[] as $t (.; .model.vocab |= with_entries(if .value == $t.id then .key = $t.content else . end)) |
        .model.merges = [] | [$new[].id] as $ids |
        .added_tokens |= (map(select(.id as $id | $ids | index($id) | not)) +
            [$new[] | . + {single_word: false, lstrip: false, rstrip: false, normalized: false, special: (.content | startswith("<|"))}])' \
        "$ROUTER/tokenizer.json" > m/tokenizer.json
}

# The ids of a prompt to which the model answers "billing".
billing() {
    local system='You route customer messages. Answer with exactly one word: billing, technical, shipping or account.'
    jq -nc --arg s "$system" '{messages: [{role: "system", content: $s}, {role: "user", content: "Why was I charged twice on my invoice?"}]}' |
        render-prompt -q --chat "$ROUTER" | jq -c '{text: .prompt}' | tokenize -q -m "$ROUTER" | jq -c .tokens
}

infer() {
    gpu-infer -q -m m "$@"
}

@test "channels: what stands before a closing tag is reasoning, by id" {
    mark 414 '</think>' 500 '<think>'
    ids=$(billing)
    infer --return-tokens <<< "{\"tokens\":$ids}" > out
    jq -e '.response | .tokens == [69,414,292,3] and .finish_reason == "stop" and
        .usage.completion_tokens == 4' out
    echo '{"tokens":[69]}{"tokens":[292]}' | sed 's/}{/}\n{/' | tokenize -q -m m --decode > parts
    [ "$(jq -c '[.response.reasoning, .response.text]' out)" = "$(jq -sc 'map(.text)' parts)" ]
}

@test "channels: without a final channel finish_reason is no_final" {
    mark 414 '</think>' 500 '<think>'
    ids=$(billing)
    jq -c '{tokens: (. + [500])}' <<< "$ids" | infer --max-tokens 1 --return-tokens > torn
    jq -e '.response | .finish_reason == "no_final" and .text == "" and
        (.reasoning | length) > 0 and .usage.completion_tokens == 1' torn
    # Closed, and then nothing: empty is missing too.
    mark 292 '</think>' 500 '<think>'
    infer <<< "{\"tokens\":$ids}" > empty
    jq -e '.response | .finish_reason == "no_final" and .text == "" and (.reasoning | length) > 0' empty
    # A model that has tags and does not use them has answered.
    mark 400 '</think>' 500 '<think>'
    infer <<< "{\"tokens\":$ids}" > plain
    jq -e '.response | .finish_reason == "stop" and (.text | length) > 0 and has("reasoning") == false' plain
}

@test "channels: labels are scored behind the final channel's header" {
    mark 401 '<think>' 402 '</think>'
    echo "$CHATML<think>
{% endif %}" > m/chat_template.jinja
    infer --choices billing,account <<< "$asked" > messages
    render-prompt -q --chat m <<< "$asked" > prompt
    jq -e '.prompt | endswith("assistant\n<think>\n")' prompt
    infer --choices billing,account < prompt > by-prompt
    jq -c '.prompt |= sub("<think>\n$"; "<think>\n\n</think>\n\n")' prompt > written
    infer --choices billing,account < written > by-hand
    jq -c '{text: .prompt}' prompt | tokenize -q -m m | jq -c '{tokens}' | infer --choices billing,account > by-ids
    for f in by-prompt by-hand by-ids; do
        [ "$(jq -c .response.usage $f)" = "$(jq -c .response.usage messages)" ]
    done
    for f in by-prompt by-hand; do
        [ "$(jq -c .response.scores $f)" = "$(jq -c .response.scores messages)" ]
    done
    # Nothing else is touched: a prompt of another form, a template without thought.
    jq -c '.prompt += "So"' prompt > other
    [ "$(infer --choices billing,account < other | jq .response.usage.prompt_tokens)" -eq \
        "$(jq -c '{text: .prompt}' other | tokenize -q -m m | jq '.tokens | length')" ]
    echo "$CHATML{% endif %}" > m/chat_template.jinja
    render-prompt -q --chat m <<< "$asked" | jq -c '{text: .prompt}' | tokenize -q -m m > plain
    [ "$(infer --choices billing,account <<< "$asked" | jq .response.usage.prompt_tokens)" -eq "$(jq '.tokens | length' plain)" ]
}

@test "channels: harmony: final and other messages, the end tokens, the forced header" {
    mark 2 '<|start|>' 401 '<|channel|>' 402 '<|message|>' 403 '<|end|>' 292 '<|return|>'
    echo '{% for m in messages %}<|start|>{{ m.role }}<|message|>{{ m.content }}<|end|>{% endfor %}{% if add_generation_prompt %}<|start|>assistant{% endif %}<|channel|>' |
        sed 's/<|channel|>$/{% if false %}<|channel|>{% endif %}/' > m/chat_template.jinja
    ids=$(billing)
    # <|return|> ends an answer although no file of the model says so; what came was no message.
    infer --return-tokens <<< "{\"tokens\":$ids}" > out
    jq -e '.response | .tokens == [69,414,292] and .finish_reason == "no_final" and .text == ""' out
    final=$(tokenize -q -m m <<< '{"text":"<|channel|>final<|message|>"}' | jq -c .tokens)
    thought=$(tokenize -q -m m <<< '{"text":"<|channel|>analysis<|message|>"}' | jq -c .tokens)
    jq -c "{tokens: (. + $final)}" <<< "$ids" | infer --max-tokens 3 > in-final
    jq -c "{tokens: (. + $thought)}" <<< "$ids" | infer --max-tokens 3 > in-thought
    jq -e '.response | (.text | length) > 0 and .finish_reason != "no_final" and (has("reasoning") | not)' in-final
    jq -e '.response | .text == "" and .finish_reason == "no_final" and (.reasoning | length) > 0' in-thought
    infer --choices a,b <<< "$asked" > forced
    render-prompt -q --chat m <<< "$asked" | jq -c '.prompt += "<|channel|>final<|message|>"' > written
    infer --choices a,b < written > by-hand
    [ "$(jq -c .response forced)" = "$(jq -c .response by-hand)" ]
}

@test "channels: no reasoning: by flag, by params, by the template's own variable" {
    mark 401 '<think>' 402 '</think>'
    echo "$CHATML{% if enable_thinking is defined and not enable_thinking %}<think>

</think>

{% endif %}{% endif %}" > m/chat_template.jinja
    count() { jq .response.usage.prompt_tokens; }
    plain=$(infer --max-tokens 1 <<< "$asked" | count)
    none=$(infer --max-tokens 1 --template-arg enable_thinking=false <<< "$asked" | count)
    [ "$none" -gt "$plain" ]
    [ "$(infer --max-tokens 1 --reasoning none <<< "$asked" | count)" -eq "$none" ]
    [ "$(jq -c '.params = {reasoning_effort: "none"}' <<< "$asked" | infer --max-tokens 1 | count)" -eq "$none" ]
    [ "$(jq -c '.chat_template_kwargs = {enable_thinking: false}' <<< "$asked" | infer --max-tokens 1 | count)" -eq "$none" ]
    [ "$(render-prompt -q --chat m <<< "$asked" | infer --max-tokens 1 --reasoning none | count)" -eq "$none" ]
    [ "$(render-prompt -q --chat m --reasoning none <<< "$asked" | infer --max-tokens 1 | count)" -eq "$none" ]
    # A record goes before the flag.
    [ "$(jq -c '.params = {reasoning_effort: "high"}' <<< "$asked" | infer --max-tokens 1 --reasoning none | count)" -eq "$plain" ]
    run infer <<< '{"prompt":"a","params":{"reasoning_effort":"much"}}'
    [ "$status" -eq 0 ]
    [[ "$output" == *'"type":"bad_parameter"'*'low, medium, high or none'* ]]
    [ "$(infer --reasoning none --print-key | jq .reasoning)" != "$(infer --print-key | jq .reasoning)" ]
}
