#!/usr/bin/env bats
# security.bats - what SECURITY.md promises: who may touch what.

load helpers

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    TREE=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
    M=$TREE/data/models/router
    T=$TREE/data/templates/combined_v1.json
    export TMPDIR=$BATS_TEST_TMPDIR
    unset SHARD SHARDS
    records 4 > data.jsonl
}

# A pipe with a writer that waits: whoever opens it lets the writer go on, and is found out.
canary() {
    mkfifo canary
    timeout 120 sh -c 'echo secret > canary && touch opened' 2> /dev/null 3>&- &
    bird=$!
    C=$PWD/canary
}
silent() { # nobody has opened it
    sleep 0.1
    [ ! -e opened ] || return 1
    kill $bird
}

@test "security: a path in a record is text" {
    canary
    for member in "\"file\":\"$C\"" "\"adapter\":\"$C\"" "\"chat_template\":\"$C\"" "\"model\":\"$C\"" \
        "\"chat_template_kwargs\":{\"include\":\"$C\",\"date\":\"$C\"}" "\"tools\":[{\"type\":\"file\",\"path\":\"$C\"}]" \
        "\"params\":{\"choices\":[\"$C\",\"@$C\"]}" "\"params\":{\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"schema\":{\"\$ref\":\"file://$C\"}}}}" \
        "\"error\":{\"stage\":\"$C\",\"type\":\"$C\",\"input\":\"$C\"}" "\"response\":{\"text\":\"$C\",\"label\":\"$C\"}"; do
        printf '{"text":"%s","id":"%s","label":"@%s",%s}\n' "$C" "file://$C" "$C" "$member"
        printf '{"messages":[{"role":"user","content":"<%s>"},{"role":"user","content":[{"type":"image_url","image_url":{"url":"file://%s"}}]}],%s}\n' "$C" "$C" "$member"
    done > bad.jsonl
    n=$(wc -l < bad.jsonl)
    timeout 60 shard -q bad.jsonl | timeout 60 gather -q --errors e > /dev/null
    timeout 60 render-prompt -q -t "$T" -s combined_optimized bad.jsonl | timeout 60 gpu-infer -q -m "$M" --max-tokens 1 > out
    [ "$(wc -l < out)" -eq "$n" ]
    timeout 60 gpu-infer -q -m "$M" --max-tokens 1 --overwrite bad.jsonl > out
    [ "$(wc -l < out)" -eq "$n" ]
    timeout 60 tokenize -q -m "$M" bad.jsonl > /dev/null
    timeout 60 sample -q -n 3 --by text bad.jsonl > /dev/null
    timeout 60 score -q --gold label bad.jsonl > /dev/null || true
    silent
}

@test "security: a path in a template or a model's files is text, or is refused" {
    canary
    printf '{"strategies":{"s":{"system_prompt":"{%% include \\"%s\\" %%} {{ open(\\"%s\\") }}","user_template":"%s {text}","description":"%s"}}}' "$C" "$C" "$C" "$C" > strategies.json
    timeout 60 render-prompt -q -t strategies.json data.jsonl > /dev/null
    for source in "{% include '$C' %}" "{% import '$C' as x %}" "{% from '$C' import x %}" "{% extends '$C' %}" "{{ open('$C') }}" \
        "{{ ''.__class__.__mro__ }}" "{{ cycler.__init__.__globals__.os.popen('cat $C') }}" "{{ '$C' }}"; do
        printf '%s' "$source" > template
        echo '{"messages":[{"role":"user","content":"x"}]}' | timeout 60 render-prompt -q --chat-template template > out || true
        run grep secret out
        [ "$status" -ne 0 ]
    done
    cp -r "$M" model
    chmod -R u+w model
    jq --arg c "$C" '. + {_name_or_path: $c, auto_map: {AutoModel: $c, AutoConfig: ("file://" + $c)}}' "$M/config.json" > model/config.json
    jq --arg c "$C" '. + {name_or_path: $c, vocab_file: $c, merges_file: $c, tokenizer_file: $c, auto_map: {AutoTokenizer: [$c, null]}}' "$M/tokenizer_config.json" > model/tokenizer_config.json
    timeout 60 gpu-infer -q -m "$M" --max-tokens 1 <(echo '{"prompt":"x"}') > want
    timeout 60 gpu-infer -q -m model --max-tokens 1 <(echo '{"prompt":"x"}') | cmp - want
    printf '{"metadata":{},"weight_map":{"model.embed_tokens.weight":"%s"}}' "$C" > model/model.safetensors.index.json
    rm model/model.safetensors
    refuses 78 timeout 60 gpu-infer -q -m model data.jsonl || [[ "$output" == "gpu-infer: "* ]]
    silent
}

@test "security: nothing in a record or a file's name is a command" {
    # shellcheck disable=SC2016 # what must not be expanded
    for x in '$(touch pwned)' '`touch pwned`' "'; touch pwned; '" '|touch pwned' '&& touch pwned' '%d $(touch pwned)'; do
        jq -cn --arg x "$x" '{text: $x, label: $x, id: $x, ($x): $x}'
    done > "\$(touch pwned).jsonl"
    f="\$(touch pwned).jsonl"
    shard -q -n 2 -e 'cat' "$f" | gather -q -o "out \$(touch pwned)"
    cmp "$f" "out \$(touch pwned)"
    shard -q "$f" | render-prompt -q -t "$T" -s combined_optimized | gpu-infer -q -m "$M" --max-tokens 1 | gather -q > answers
    score -q --gold label answers > table || true
    run make -s -C "$TREE" run DATA="$PWD/$f" RUN="$PWD/run"
    [ "$status" -ne 0 ]
    cp "$f" plain.jsonl
    make -s -C "$TREE" run DATA="$PWD/plain.jsonl" RUN="$PWD/run" GROUP= > screen
    [ ! -e pwned ] && [ ! -e "$TREE/pwned" ]
}

@test "security: outputs have the user's umask" {
    for mask in 077 022 027; do
        rm -rf o && mkdir o
        (
            umask $mask
            shard -q -n 2 -o 'o/p-%d' data.jsonl
            gather -q --errors o/errors -o o/all o/p-0 o/p-1
            shard -q data.jsonl | render-prompt -q -t "$T" -s combined_optimized | gpu-infer -q -m "$M" --max-tokens 1 -o o/answers --metrics o/metrics
            score -q --gold label -o o/score o/answers > /dev/null
            make -s -C "$TREE" run DATA="$PWD/data.jsonl" RUN="$PWD/o/run" GROUP= > /dev/null
        )
        [ "$(find o -type f | wc -l)" -ge 16 ]
        [ "$(find o -type f -printf '%m\n' | sort -u)" = "$(printf '%o' $((0666 & ~0$mask)))" ]
        [ "$(find o/run -type d -printf '%m\n' | sort -u)" = "$(printf '%o' $((0777 & ~0$mask)))" ]
    done
}

@test "security: nothing is written through a symbolic link" {
    echo precious > victim
    shard -q data.jsonl > dealt
    for name in out out.part out.key.part; do
        ln -s "$PWD/victim" $name
        gather -q -o out dealt 2> /dev/null || true
        gather -q --errors out -o other dealt 2> /dev/null || true
        score -q --gold label -o out dealt > /dev/null 2>&1 || true
        shard -q -o out data.jsonl 2> /dev/null || true
        render-prompt -q -t "$T" -s combined_optimized dealt | gpu-infer -q -m "$M" --max-tokens 1 --metrics out -o out > /dev/null 2>&1 || true
        [ "$(cat victim)" = precious ]
        rm -f out out.part out.key out.key.part other
    done
    mkdir -p run/data
    ln -s "$PWD/victim" run/data/metrics.txt
    for goal in run shards prompts; do
        run make -s -C "$TREE" $goal DATA="$PWD/data.jsonl" RUN="$PWD/run" GROUP=
        [ "$status" -ne 0 ]
        [[ "$output" == *"run/data/metrics.txt is a symbolic link"* ]]
        [ "$(cat victim)" = precious ]
    done
}

@test "security: secrets of the environment reach no file" {
    export HF_TOKEN=sesame-1 AWS_SECRET_ACCESS_KEY=sesame-2 OPENAI_API_KEY=sesame-3
    make -s -C "$TREE" run DATA="$PWD/data.jsonl" RUN="$PWD/run" GROUP= > screen 2>&1
    gpu-infer -m "$M" --print-key > run/key
    [ -e run/data/manifest.json ]
    run grep -r sesame run screen
    [ "$status" -eq 1 ]
}
