#!/usr/bin/env bats
# gpu-infer.bats - records answered by the embedded model.

load helpers

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    MODEL=$BATS_TEST_DIRNAME/../data/models/router
    export MODEL
    unset SHARD SHARDS
    set -o pipefail
}

# N records with messages, of different lengths, as a chain of tools would hand them over.
chats() { # chats N
    awk -v n="$1" -v first='{"role":"system","content":"You route customer messages. Answer with exactly one word: billing, technical, shipping or account."}' 'BEGIN {
        split("invoice parcel password refund subscription delivery", w)
        for (i = 0; i < n; i++) {
            text = "The " w[i % 6 + 1] " is wrong."
            for (k = 0; k < i * 5 % 17; k++) text = text " Order " i * 37 % 1000 " again."
            printf "{\"id\":%d,\"_seq\":%d,\"messages\":[%s,{\"role\":\"user\",\"content\":\"%s\"}]%s}\n",
                i, i, first, text, i == n - 1 ? ",\"_last\":true" : ""
        }
    }'
}

infer() {
    gpu-infer -q -m "$MODEL" "$@"
}

type_of() { # the error type of the record that is given
    infer <<< "$1" | jq -r '.error.type'
}

# ---- answers -------------------------------------------------------------------

@test "gpu-infer: answers in order, N in, N out, bytes of the record preserved" {
    chats 20 | jq -c '.n = 1' | sed 's/"n":1}/"n":12345678901234567890, "f":1.10,"s":"\\u00e9" }/' > in
    infer < in > out
    [ "$(wc -l < out)" -eq 20 ]
    [ "$(jq -c .id out | tr -d '\n')" = "$(jq -c .id in | tr -d '\n')" ]
    sed 's/,"response":{.*}}$/}/' out > stripped
    sed 's/ }$/}/' in | cmp - <(sed 's/ }$/}/' stripped)
    [ "$(jq -c 'select(.response.finish_reason == "stop") | select(.response.text | length > 0)' out | wc -l)" -eq 20 ]
}

@test "gpu-infer: text, finish_reason, usage, tokens, log-probabilities" {
    chats 1 | sed 's/The invoice is wrong./Hi, can you deliver the headphones to another address?/' |
        infer --return-tokens --logprobs --prompt-logprobs > out
    jq -e '.response | .text == "shipping" and .finish_reason == "stop" and
        .usage.completion_tokens == (.tokens | length) and .tokens[-1] == 3 and
        (.logprobs | length) == (.tokens | length) and (.logprobs | all(. <= 0)) and
        (.prompt_logprobs | length) == .usage.prompt_tokens - 1' out
    run infer --max-tokens 1 <<< '{"prompt":"a"}'
    jq -e '.response.finish_reason == "length" and .response.usage.completion_tokens == 1' <<< "$output"
    run infer --max-tokens 30 --ignore-eos <<< '{"prompt":"a"}'
    jq -e '.response.usage.completion_tokens == 30' <<< "$output"
}

@test "gpu-infer: labels are scored, normalised, in the order given" {
    chats 6 | infer --choices billing,technical,shipping,account > out
    jq -e '.response | .finish_reason == "choice" and .text == .label and
        [.scores[].label] == ["billing","technical","shipping","account"] and
        (([.scores[].prob] | add) - 1 | fabs) < 1e-6 and
        .label == (.scores | max_by(.logprob) | .label)' out
    # A label that begins another one is not better for being short: the end token is scored.
    chats 2 | tail -1 | jq -c '.params = {choices: ["ship", "shipping"]}' | infer > two
    jq -e '.response.label == "shipping" and (.response.scores | length) == 2' two
    # Token ids exactly as given; the same sequence by text has the end token behind it.
    chats 1 | jq -c '.params = {choices: [[69,414,292,3],[370,535,3]]}' | infer > ids
    chats 1 | jq -c '.params = {choices: ["billing","account"]}' | infer > text
    chats 1 | jq -c '.params = {choices: [[69,414,292],[370,535]]}' | infer > bare
    [ "$(jq -c '[.response.scores[].logprob]' ids)" = "$(jq -c '[.response.scores[].logprob]' text)" ]
    [ "$(jq -c '[.response.scores[].logprob]' bare)" = "$(chats 1 | infer --choices-end none --choices billing,account | jq -c '[.response.scores[].logprob]')" ]
    [ "$(jq -c '[.response.scores[].logprob]' bare)" != "$(jq -c '[.response.scores[].logprob]' ids)" ]
    chats 1 | infer --choices-end 3 --choices billing,account | jq -c '[.response.scores[].logprob]' |
        cmp - <(jq -c '[.response.scores[].logprob]' text)
}

@test "gpu-infer: labels by log-probability per token" {
    chats 4 | jq -c '.params = {choices: [[69,414,292,3],[370,535],[69,414,292],[69]]}' > in
    infer < in > sum
    infer --choices-mean < in > mean
    cmp <(jq -c '[.response.scores[].logprob]' sum) <(jq -c '[.response.scores[].logprob]' mean)
    jq -e '[.response.scores[].logprob] as [$a, $b, $c, $d] | [$a / 4, $b / 2, $c / 3, $d] as $m |
        ($m | map(exp) | add) as $all | [.response.scores[].prob] as $p |
        ([range(4) | $p[.] - ($m[.] | exp) / $all | fabs] | max < 1e-6) and
        .response.label == (.params.choices[$m | index(max)])' mean
}

@test "gpu-infer: many labels are one trie: each scored as it is alone" {
    chats 2 | jq -c '.params = {choices: [range(90) | "case \(. % 9) of kind \(.)"]}' > in
    infer < in > many
    infer --batch-tokens 40 --kv-memory 400K < in | cmp - many
    infer --batch-tokens 1 --max-requests 1 --prefix-cache off < in | cmp - many
    [ "$(jq -s '[.[].response.scores | length] | add' many)" -eq 180 ]
}

@test "gpu-infer: labels behind a prompt of token ids are scored as behind its text" {
    text='<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n'
    tokenize -q -m "$MODEL" <<< "{\"text\":\"$text\"}" | jq -c .tokens > tokens
    for c in '["ship","shipping"]' '["account one","account two"]' '["a","ab","abc"]' '["billing"]'; do
        for end in auto none 5; do
            infer --choices-end $end <<< "{\"prompt\":\"$text\",\"params\":{\"choices\":$c}}" | jq -c .response > want
            infer --choices-end $end <<< "{\"tokens\":$(cat tokens),\"params\":{\"choices\":$c}}" | jq -c .response | cmp - want
        done
    done
}

@test "gpu-infer: 151 labels in small batches give the same bytes" {
    list=$(seq -s, -f 'label %g' 151)
    chats 2 | infer --choices "$list" > want
    jq -e '.response.scores | length == 151' want
    chats 2 | infer --choices "$list" --batch-tokens 5 --kv-memory 256K | cmp - want
}

@test "gpu-infer: whichever of messages, prompt and tokens stands last is asked" {
    [ "$(infer --max-tokens 1 <<< '{"tokens":[5,6],"messages":null,"prompt":null}' | jq -c .response)" = "$(infer --max-tokens 1 <<< '{"tokens":[5,6]}' | jq -c .response)" ]
    long='"messages":[{"role":"user","content":"hello"}]'
    n() { infer --max-tokens 1 <<< "$1" | jq '.response.usage.prompt_tokens'; }
    [ "$(n '{"tokens":[1,2,3]}')" -eq 3 ]
    [ "$(n '{'"$long"',"tokens":[1,2,3]}')" -eq 3 ]
    [ "$(n '{"tokens":[1,2,3],'"$long"'}')" -gt 5 ]
    [ "$(n '{"tokens":[1,2,3],'"$long"',"prompt":"a"}')" -eq 1 ]
}

@test "gpu-infer: a prompt gets the tokenizer's BOS once" {
    cp -r "$MODEL" model
    jq '.post_processor = {type: "TemplateProcessing", pair: [],
        single: [{SpecialToken: {id: "<|bos|>", type_id: 0}}, {Sequence: {id: "A", type_id: 0}}],
        special_tokens: {"<|bos|>": {id: "<|bos|>", ids: [1], tokens: ["<|bos|>"]}}}' "$MODEL/tokenizer.json" > model/tokenizer.json
    ask() { gpu-infer -q -m model --max-tokens 1 "${@:2}" <<< "$1" | jq -c .response; }
    [ "$(ask '{"prompt":"hello"}')" = "$(ask '{"prompt":"<|bos|>hello"}')" ]
    [ "$(ask '{"prompt":"hello"}' | jq .usage.prompt_tokens)" -eq "$(infer --max-tokens 1 <<< '{"prompt":"<|bos|>hello"}' | jq .response.usage.prompt_tokens)" ]
    [ "$(ask '{"prompt":"hello"}' --choices a,b)" = "$(ask '{"prompt":"<|bos|>hello"}' --choices a,b)" ]
    [ "$(ask '{"messages":[{"role":"user","content":"a"}]}')" = "$(infer --max-tokens 1 <<< '{"messages":[{"role":"user","content":"a"}]}' | jq -c .response)" ]
}

@test "gpu-infer: a record's params go before flags, flags before the model's, that before ours" {
    n() { infer --ignore-eos "${@:2}" <<< "$1" | jq '.response.usage.completion_tokens'; }
    [ "$(n '{"prompt":"a"}')" -eq 8 ] # max_new_tokens of generation_config.json
    [ "$(n '{"prompt":"a"}' --max-tokens 5)" -eq 5 ]
    [ "$(n '{"prompt":"a","params":{"max_tokens":3}}' --max-tokens 5)" -eq 3 ]
    [ "$(n '{"prompt":"a","params":{"max_tokens":null}}' --max-tokens 5)" -eq 5 ]
    cp -r "$MODEL" model
    echo '{"eos_token_id":3}' > model/generation_config.json
    [ "$(gpu-infer -q -m model --ignore-eos <<< '{"prompt":"a"}' | jq .response.usage.completion_tokens)" -eq 256 ]
    # What a generation_config says of sampling counts where it samples.
    echo '{"eos_token_id":3,"do_sample":false,"temperature":50.0}' > model/generation_config.json
    greedy=$(gpu-infer -q -m model <<< '{"prompt":"a"}')
    [ "$greedy" = "$(gpu-infer -q -m model --temperature 0 <<< '{"prompt":"a"}')" ]
    echo '{"eos_token_id":3,"do_sample":true,"temperature":50.0}' > model/generation_config.json
    [ "$greedy" != "$(gpu-infer -q -m model <<< '{"prompt":"a"}')" ]
}

@test "gpu-infer: same seed, same bytes; another seed, others; drawn by _src, not by company" {
    chats 12 | infer --temperature 2 > a
    chats 12 | infer --temperature 2 --max-requests 1 | cmp - a
    chats 12 | tac | infer --temperature 2 | tac | cmp - a
    chats 12 | infer --temperature 2 --seed 1 > other
    run cmp -s other a
    [ "$status" -eq 1 ]
    chats 12 | infer --temperature 2 --top-k 1 > greedy
    chats 12 | infer | cmp - greedy
    chats 12 | infer --temperature 2 --top-p 0 | cmp - greedy
    infer --temperature 2 > reps << 'E'
{"prompt":"a","_seq":0,"_src":5,"_rep":0}
{"prompt":"a","_seq":1,"_src":5,"_rep":1}
{"prompt":"a","_seq":2,"_src":5,"_rep":0}
E
    [ "$(jq -c .response reps | sort -u | wc -l)" -eq 2 ]
}

@test "gpu-infer: the same bytes for any batch, company, threads and order" {
    chats 33 > in
    infer < in > want
    infer --choices billing,shipping,account < in > labels
    for o in '--batch-tokens 1' '--batch-tokens 7' '--batch-tokens 64' '--max-requests 1' \
        '--max-requests 2' '--max-requests 7 --batch-tokens 64' '--max-requests 33' \
        '--threads 1' '--threads 2 --batch-tokens 33' '--kv-memory 512K' '-d cpu:1/3'; do
        # shellcheck disable=SC2086 # an option and its value
        infer $o < in | cmp - want
        # shellcheck disable=SC2086
        infer $o --choices billing,shipping,account < in | cmp - labels
    done
    tac in | infer | tac | cmp - want
}

@test "gpu-infer: in f32 the same bytes on AVX2 and AVX-512, and the tokens of the plain device" {
    grep -q avx512f /proc/cpuinfo || skip "no AVX-512 here"
    chats 4 | infer --dtype f32 --isa avx512 --prompt-logprobs > a
    chats 4 | infer --dtype f32 --isa avx2 --prompt-logprobs | cmp - a
    ! grep -q avx512_bf16 /proc/cpuinfo || chats 4 | infer --dtype f32 --isa avx512-bf16 --prompt-logprobs | cmp - a
    [ "$(chats 4 | infer --dtype f32 -d ref | jq -c .response.text)" = "$(jq -c .response.text a)" ]
}

@test "gpu-infer: a model without a tokenizer takes tokens and gives tokens" {
    mkdir bare
    cp "$MODEL"/{config.json,generation_config.json,model.safetensors} bare
    gpu-infer -q -m bare --max-tokens 4 <<< '{"tokens":[1,2,86]}' > out
    jq -e '.response | (.tokens | length) == 4 and has("text") == false' out
    gpu-infer -q -m bare <<< '{"tokens":[1,2,86],"params":{"choices":[[5],[6,7]]}}' > out
    jq -e '.response | .label == .tokens and has("text") == false' out
    run bash -c "gpu-infer -q -m bare <<< '{\"prompt\":\"a\"}' 2> err | jq -r .error.type"
    [ "$output" = no_tokenizer ]
    [ "$(wc -l < err)" -eq 1 ]
    run bash -c "gpu-infer -q -m bare <<< '{\"tokens\":[1],\"params\":{\"choices\":[\"a\"]}}' | jq -r .error.type"
    [ "$output" = bad_parameter ]
}

@test "gpu-infer: a model without a chat template takes prompts" {
    mkdir bare
    cp "$MODEL"/{config.json,generation_config.json,model.safetensors,tokenizer.json} bare
    gpu-infer -q -m bare <<< '{"prompt":"hello"}' | jq -e '.response.text'
    run bash -c "gpu-infer -q -m bare <<< '{\"messages\":[]}' 2> err | jq -r .error.type"
    [ "$output" = no_template ]
    [ "$(wc -l < err)" -eq 1 ]
    echo '{{ messages[0].content }}' > t.jinja
    gpu-infer -q -m bare --chat-template t.jinja --max-tokens 1 <<< '{"messages":[{"role":"user","content":"aaa"}]}' |
        jq -e '.response.usage.prompt_tokens > 0'
}

# ---- a stream -------------------------------------------------------------------

@test "gpu-infer: an answer comes before the next record is there" {
    mkfifo in out
    infer < in > out &
    exec 7> in 8< out
    for i in 1 2 3; do
        printf '{"prompt":"a","i":%d}\n' $i >&7
        IFS= read -r -t 60 line <&8
        [ "$(jq .i <<< "$line")" -eq $i ]
    done
    exec 7>&-
    wait $!
    run read -r -t 5 -u 8
    [ "$status" -ne 0 ]
}

@test "gpu-infer: --shard answers its own records; those without one fail once" {
    chats 6 | jq -c '._shard = .id % 2' > in
    { cat in; echo '{"prompt":"a"}'; echo 'no json'; } > odd
    infer --shard 1 < odd > one
    [ "$(jq -c .id one | tr -d '\n')" = 135 ]
    infer --shard 0 < odd > zero
    [ "$(jq -c '.id // .error.type' zero | tr -d '\n')" = '024"bad_field""bad_json"' ]
}

@test "gpu-infer: a stream that was killed upstream is noticed by gather" {
    run bash -o pipefail -c "$(declare -f chats infer); chats 5 | head -3 | infer | gather -q 2> err"
    [ "$status" -eq 1 ]
    grep -q _last err
    run bash -o pipefail -c "$(declare -f chats infer); chats 5 | infer | gather -q | wc -l"
    [ "$status" -eq 0 ]
    [ "$output" -eq 5 ]
}

@test "gpu-infer: summary, metrics, and nothing else on stderr" {
    chats 3 > in
    echo '{}' >> in
    [[ "$(gpu-infer -m "$MODEL" --metrics m.json < in 2>&1 > out)" =~ ^gpu-infer:\ 4\ records,\ 1\ error,\ [0-9]+\ prompt\ tokens,\ [0-9]+\ cached,\ [0-9]+\ computed,\ [0-9]+\ generated,\ [0-9.]+\ s,\ [0-9.]+\ records/s,\ cpu/avx[0-9]+(-bf16)?\ bf16\ x[0-9]+$ ]]
    jq -e '.records == 4 and .errors == 1 and .prompt_tokens > 0 and .computed_tokens + .cached_tokens >= .prompt_tokens
        and .generated_tokens > 0 and .seconds_total >= .seconds_load and .dtype == "bf16" and .threads >= 1' m.json
    [ -z "$(infer < in 2>&1 > out)" ]
}

@test "gpu-infer: what prompts have in common is computed once, and no byte tells" {
    chats 40 > in
    for args in "--max-tokens 6" "--choices billing,technical,shipping" "--temperature 0.7 --logprobs --max-tokens 4"; do
        # shellcheck disable=SC2086
        infer $args --prefix-cache off --metrics off.json < in > want
        for more in "" "--batch-tokens 40 --max-requests 3" "--kv-memory 400K --max-requests 7"; do
            # shellcheck disable=SC2086
            infer $args $more --metrics on.json < in > out
            cmp want out
            # The system message alone is a full page.
            jq -se '.[0].cached_tokens == 0 and .[1].cached_tokens >= 32 * 30 and
                .[0].computed_tokens - .[1].computed_tokens == .[1].cached_tokens and
                .[0].prompt_tokens == .[1].prompt_tokens' off.json on.json
        done
    done
    infer --prompt-logprobs --max-tokens 1 --prefix-cache off < in > want
    infer --prompt-logprobs --max-tokens 1 < in | cmp want -
}

# ---- bad records ----------------------------------------------------------------

@test "gpu-infer: bad records become error records in their place" {
    [ "$(type_of '{"x":1}')" = missing_prompt ]
    [ "$(type_of '{"prompt":""}')" = missing_prompt ]
    [ "$(type_of '{"prompt":5}')" = bad_field ]
    [[ "$(infer <<< '{"prompt":"\ud800"}')" == *'"type":"bad_field"'* ]]
    [ "$(type_of '{"messages":{}}')" = bad_field ]
    [ "$(type_of '{"messages":[{"role":"nobody","content":"x"}]}')" = template_error ]
    [ "$(type_of '{"tokens":[1,-1]}')" = bad_field ]
    [ "$(type_of '{"tokens":[1,900]}')" = bad_field ]
    [ "$(type_of '{"tokens":[1,2.0]}')" = bad_field ]
    [ "$(type_of '{"prompt":"a","params":[]}')" = bad_field ]
    [ "$(type_of '{"prompt":"a","_seq":-1}')" = bad_field ]
    [ "$(type_of '{"prompt":"a","params":{"heat":1}}')" = unknown_parameter ]
    [ "$(type_of '{"prompt":"a","adapter":"x"}')" = unknown_adapter ]
    [ "$(type_of '{"prompt":"a","response":1}')" = reserved_member ]
    [ "$(type_of "{\"tokens\":[$(seq -s, 512 | tr -c '\n,' 1)]}")" = context_length ]
    [ "$(type_of "{\"tokens\":[$(seq -s, 511 | tr -c '\n,' 1)]}")" = null ]
    for p in '"temperature":-1' '"temperature":"x"' '"top_p":1.5' '"max_tokens":-1' '"max_tokens":1.5' \
        '"logprobs":-1' '"n":0' '"stop":[""]' '"logit_bias":{"x":1}' '"logit_bias":{"900":1}' '"min_p":2' \
        '"response_format":{"type":"xml"}' '"regex":"("' '"guided_json":{"not":{}}' '"guided_choice":[]' '"top_logprobs":101' '"choices":[]' '"choices":["a","a"]' '"choices":["a",[1]]' '"choices":[[900]]' '"choices":"a"' '"choices":[[]]'; do
        [ "$(type_of '{"prompt":"a","params":{'"$p"'}}')" = bad_parameter ]
    done
    [ "$(infer --overwrite <<< '{"prompt":"a","response":1}' | jq -r '.response.finish_reason')" != null ]
}

@test "gpu-infer: --truncate cuts prompts over the context, and says by how much" {
    # 512 tokens are the context; ids of 5 to 600, the record's own are the last ones.
    awk 'BEGIN {
        for (k = 0; k < 3; k++) {
            n = k == 1 ? 700 : 20
            printf "{\"id\":%d,\"tokens\":[1", k
            for (i = 1; i < n; i++) printf ",%d", 5 + i % 200
            printf "],\"params\":{\"max_tokens\":4,\"return_tokens\":true}}\n"
        } }' > long
    gpu-infer -q -m "$MODEL" long > none
    [ "$(jq -c '.error.type' none | tr '\n' ' ')" = 'null "context_length" null ' ]
    for how in left middle; do
        gpu-infer -q -m "$MODEL" --truncate $how long > $how
        [ "$(jq -c '[.response.truncated, .response.usage.prompt_tokens]' $how | tr '\n' ' ')" = "[null,20] [192,508] [null,20] " ]
        cmp <(sed -n '1p;3p' none) <(sed -n '1p;3p' $how)
    done
    # It is what the shortened prompt answers.
    for how in left middle; do
        jq -c --arg how $how 'select(.id == 1) | .tokens |=
            (if $how == "left" then .[-508:] else .[:254] + .[-254:] end)' long > short
        gpu-infer -q -m "$MODEL" short | jq -c .response.tokens > want
        jq -c 'select(.id == 1) | .response.tokens' $how | cmp - want
    done
    # Labels fit behind it.
    jq -c '.params = {choices: [[7, 8, 9], [10]]}' long > labels
    gpu-infer -q -m "$MODEL" --truncate left labels | jq -c '[.response.truncated, .response.label]' > got
    [ "$(jq -c '.[0]' got | tr '\n' ' ')" = "null 191 null " ]
    # A run that was begun without it is another one.
    shard -q long | gpu-infer -q -m "$MODEL" -o kept
    refuses 64 gpu-infer -q -m "$MODEL" --truncate left -o kept <(shard -q long)
}

@test "gpu-infer: a parameter that is not supported is named once, unless it asks for nothing" {
    printf '{"prompt":"a","params":{"bad_words":["x"],"best_of":2}}\n%.0s' 1 2 3 | infer 2> err > out
    [ "$(jq -r .response.finish_reason out | wc -l)" -eq 3 ]
    [ "$(cat err)" = "gpu-infer: params.bad_words is not supported and left out
gpu-infer: params.best_of is not supported and left out" ]
    infer 2> err > out <<< '{"prompt":"a","params":{"stop":[],"n":1,"frequency_penalty":0.0,"presence_penalty":null,"logit_bias":{},"response_format":{"type":"text"},"repetition_penalty":1}}'
    [ ! -s err ]
}

@test "gpu-infer: errors of earlier stages pass, neighbours are answered, --strict stops" {
    printf '%s\n' '{"prompt":"a","i":0}' '{"i":1,"error":{"stage":"render-prompt","type":"missing_field","message":"m"}}' 'nope' '{"prompt":"a","i":3}' > in
    infer < in > out
    [ "$(sed -n 2p out)" = "$(sed -n 2p in)" ]
    [ "$(sed -n 3p out | jq -r '[.error.stage,.error.type,.error.input] | join(" ")')" = "gpu-infer bad_json nope" ]
    [ "$(jq -c .i out | tr -d '\n')" = 01null3 ]
    run bash -c "$(declare -f infer); infer --strict < in 2>&1 > out"
    [ "$status" -eq 65 ]
    [[ "$output" == "gpu-infer: <stdin>:3: "* ]]
    [ "$(wc -l < out)" -eq 2 ]
    run bash -c "$(declare -f infer); { head -1 in; echo '{}'; } | infer --strict 2>&1 > out"
    [ "$status" -eq 65 ]
    [[ "$output" == "gpu-infer: <stdin>:2: "* ]]
}

@test "gpu-infer: empty input, no final newline, blank lines, a huge line, a NUL byte" {
    [ -z "$(infer < /dev/null)" ]
    [ "$(printf '\n{"prompt":"a"}\r\n\n{"prompt":"b"}' | infer | wc -l)" -eq 2 ]
    head -c 3000000 /dev/zero | tr '\0' x > x
    { printf '{"prompt":"'; cat x; printf '"}\n{"prompt":"a"}\n'; } > huge
    [ "$(infer < huge | jq -r '.error.type // "answered"' | tr '\n' ' ')" = "context_length answered " ]
    [ "$(infer --max-record 1M < huge | jq -r '.error.type // "answered"' | tr '\n' ' ')" = "too_long answered " ]
    [ "$(printf '{"prompt":"a\0"}\n{"prompt":"a"}\n' | infer | jq -r '.error.type // "answered"' | tr '\n' ' ')" = "bad_json answered " ]
    [ "$(printf '{"prompt":"a\\u0000b"}\n' | infer | jq -r '.error.type // "answered"')" = answered ]
}

# ---- refusals -------------------------------------------------------------------

@test "gpu-infer: wrong options end with 64 and one line" {
    refuses 64 gpu-infer
    refuses 64 gpu-infer -m "$MODEL" --no-such-option
    refuses 64 gpu-infer -m "$MODEL" --temperature warm
    refuses 64 gpu-infer -m "$MODEL" --top-p 2
    refuses 64 gpu-infer -m "$MODEL" -d gpu
    refuses 64 gpu-infer -m "$MODEL" -d cpu:2/2
    refuses 64 gpu-infer -m "$MODEL" -d cpu:x/2
    refuses 64 gpu-infer -m "$MODEL" --choices a,a
    refuses 64 gpu-infer -m "$MODEL" --choices-end maybe
    refuses 64 gpu-infer -m "$MODEL" --choices-end 900
    SHARD=2 SHARDS=2 refuses 64 gpu-infer -m "$MODEL"
    SHARD=1 SHARDS=2 infer <<< '{"prompt":"a"}'
}

@test "gpu-infer: what cannot be opened or used is told with its status" {
    refuses 66 gpu-infer -m "$MODEL" missing.jsonl
    refuses 66 gpu-infer -m missing
    refuses 69 gpu-infer -m "$MODEL" -d cuda:0
    mkdir broken
    cp "$MODEL"/* broken
    head -c 1000 "$MODEL/model.safetensors" > broken/model.safetensors
    refuses 78 gpu-infer -m broken
    cp "$MODEL"/* broken
    echo '{' > broken/tokenizer.json
    refuses 78 gpu-infer -m broken
    echo '{% if %}' > t.jinja
    refuses 78 gpu-infer -m "$MODEL" --chat-template t.jinja
}

@test "gpu-infer: a full disk is an error, a reader that leaves is not" {
    chats 3 > in
    run bash -c "gpu-infer -q -m '$MODEL' in 2>&1 > /dev/full"
    [ "$status" -eq 74 ]
    [[ "$output" == "gpu-infer: write <stdout>: "* ]]
    quits_quietly "yes '$(cat in)' | gpu-infer -q -m '$MODEL'"
}

# ---- -o ---------------------------------------------------------------------------

@test "gpu-infer: -o writes the same bytes, under its name only when all is there" {
    chats 8 > in
    infer < in > want
    infer -o out < in
    cmp out want
    [ ! -e out.part ]
    jq -e '.model and .template and .dtype == "bf16" and .device == "cpu" and .isa and .seed == 0' out.key
    # The same again asks nothing and changes nothing; more records go behind.
    infer -o out --metrics m.json < in
    cmp out want
    jq -e '.answered_before == 8 and .prompt_tokens == 0 and .records == 0' m.json
    chats 12 > in12
    infer -o out --metrics m.json < in12
    jq -e '.answered_before == 8 and .records == 4' m.json
    grep -v '"id":7,' out | cmp - <(infer < in12 | grep -v '"id":7,')
}

@test "gpu-infer: -o goes on after kill -9, to the byte, and asks nothing twice" {
    chats 40 > in
    infer < in > want
    mkfifo slow
    gpu-infer -q -m "$MODEL" -o out < slow &
    pid=$!
    exec 7> slow
    head -13 in >&7
    for _ in $(seq 600); do
        [ -e out.part ] && [ "$(wc -l < out.part)" -eq 13 ] && break
        sleep 0.1
    done
    kill -9 $pid
    wait $pid || true
    exec 7>&-
    [ ! -e out ]
    [ "$(wc -l < out.part)" -eq 13 ]
    printf '{"id":99,"_seq":99,"torn' >> out.part
    infer -o out --metrics m.json < in
    cmp out want
    jq -e '.answered_before == 13 and .records == 27' m.json
}

@test "gpu-infer: -o refuses another model, flag or template, and names it" {
    chats 3 > in
    infer -o out < in
    cp out before
    for o in '--max-tokens 9' '--temperature 1' '--seed 4' '--choices a,b' '--dtype f32' '--logprobs' '-d ref'; do
        # shellcheck disable=SC2086 # an option and its value
        run bash -c "$(declare -f infer); infer -o out $o < in 2>&1"
        [ "$status" -eq 64 ]
        [[ "$output" == "gpu-infer: out.key: "*" was "*" and is "* ]]
        cmp out before
        [ ! -e out.part ]
    done
    echo '{{ messages[0].content }}' > t.jinja
    run infer -o out --chat-template t.jinja < in
    [ "$status" -eq 64 ]
    # Speed may change.
    infer -o out --batch-tokens 9 --max-requests 3 --threads 1 < in
    cmp out before
    rm out.key
    run infer -o out < in
    [ "$status" -eq 64 ]
    cmp out before
}

@test "gpu-infer: -o on another instruction set: try again where it was begun" {
    grep -q avx512f /proc/cpuinfo || skip "no AVX-512 here"
    chats 2 > in
    infer --isa avx512 -o out < in
    run infer --isa avx2 -o out < in
    [ "$status" -eq 75 ]
    [[ "$output" == *'isa was "avx512" and is "avx2"'* ]]
}

@test "gpu-infer: -o is locked; a second process is told to try again" {
    mkfifo slow
    infer -o out < slow &
    exec 7> slow
    chats 1 >&7
    for _ in $(seq 600); do
        [ -s out.part ] && break
        sleep 0.1
    done
    run bash -c "$(declare -f infer); infer -o out < /dev/null 2>&1"
    [ "$status" -eq 75 ]
    [[ "$output" == *"out.part is being written by another process" ]]
    exec 7>&-
    wait $!
    [ "$(wc -l < out)" -eq 1 ]
}

@test "gpu-infer: -o cannot go on with records that have no _seq, and says so" {
    echo '{"prompt":"a"}' > in
    infer -o out < in
    run infer -o out < in
    [ "$status" -eq 64 ]
    [[ "$output" == *"without _seq"* ]]
    echo '{"prompt":"a","_seq":0}' | infer -o numbered
    run infer -o numbered < in
    [ "$status" -eq 64 ]
    [[ "$output" == *"without _seq"* ]]
}

@test "gpu-infer: without --date a run keeps the date that it was begun with" {
    echo '{{ strftime_now("%Y-%m-%d") }} {{ messages[0].content }}' > t.jinja
    chats 2 > in
    infer --chat-template t.jinja -o out --date 2001-02-03 < in
    cp out before
    infer --chat-template t.jinja -o out < in
    cmp out before
    run infer --chat-template t.jinja -o out --date 2001-02-04 < in
    [ "$status" -eq 64 ]
    [[ "$output" == *date* ]]
}

@test "gpu-infer: a message does not stand behind the progress line" {
    run bash -c "(echo '{\"prompt\":\"a\"}'; sleep 1; echo '{\"prompt\":\"a\"}'; echo bad) | gpu-infer -m '$MODEL' --progress line --strict 2>&1 > out"
    [ "$status" -eq 65 ]
    [[ "$output" == *" tokens/s "$'\n'"gpu-infer: <stdin>:3: "* ]]
}

@test "gpu-infer: help on stdout, the examples of the manual run" {
    run gpu-infer --help
    [ "$status" -eq 0 ]
    [[ "${lines[0]}" == "usage: gpu-infer "* ]]
    chats 3 > data.jsonl
    adapter german '='
    adapter french '>'
    runs_examples gpu-infer
}

@test "gpu-infer: a model that gives no numbers gives no answers" {
    cp -r "$MODEL" broken
    local n at i
    n=$(od -An -tu4 -N4 broken/model.safetensors)
    at=$(head -c $((8 + n)) broken/model.safetensors | tail -c "$n" | jq '."model.norm.weight".data_offsets[0]')
    for ((i = 0; i < 128; i++)); do printf '\300\177'; done |
        dd of=broken/model.safetensors bs=1 seek=$((8 + n + at)) conv=notrunc status=none
    for way in --max-tokens=4 --choices=billing,shipping '--temperature=1 --max-tokens=4'; do
        chats 2 > in
        # shellcheck disable=SC2086 # two options
        gpu-infer -q -m broken $way in > out
        [ "$(jq -r .error.type out | sort | uniq -c | tr -s ' ')" = " 2 not_a_number" ]
    done
}

@test "gpu-infer: progress for programs, the state on SIGUSR1, and a timeline" {
    feed() { for i in 1 2 3 4; do echo '{"prompt":"a"}'; sleep 0.4; done; }
    feed | gpu-infer -m "$MODEL" --max-tokens 1 --progress json --metrics m.json 2> err > out
    [ "$(grep -c '^{' err)" -ge 1 ]
    [ "$(grep '^{' err | tail -1 | jq -r 'select(.records >= 1 and .prompt_tokens >= 1) | .tool')" = gpu-infer ]
    [ "$(jq '.timeline | length >= 1 and (.[-1][1] <= 4)' m.json)" = true ]
    rm out
    (feed; sleep 0.2; feed) | gpu-infer -q -m "$MODEL" --max-tokens 1 2> err > out &
    pid=$!
    until [ -s out ]; do sleep 0.05; done
    kill -USR1 "$pid"
    wait "$pid"
    grep -qE '^gpu-infer: [0-9]+ records, 0 errors, ' err
    [ "$(wc -l < out)" -eq 8 ]
}
