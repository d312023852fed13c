#!/usr/bin/env bats
# add-a-model.bats - docs/add-a-model.md, followed: one file, one line, make, and the family runs.

load helpers

# The first block of that kind in the page.
block() { # block LANGUAGE
    awk -v begin="\`\`\`$1" '!on && $0 == begin { on = 1; next } on && /^```$/ { exit } on' \
        "$BATS_TEST_DIRNAME/../docs/add-a-model.md"
}

# The embedded model as one of the new family: other names of tensors (as long as the old ones, so
# that the header keeps its length) and another config.json.
toy_model() { # toy_model DIR
    local router=$BATS_TEST_DIRNAME/../data/models/router
    cp -r "$router" "$1"
    LC_ALL=C sed 's/self_attn/attention/g' "$router/model.safetensors" > "$1/model.safetensors"
    cat > "$1/config.json" <<-'END'
	{"model_type":"toy","hidden_size":128,"intermediate_size":352,"num_hidden_layers":4,
	 "num_attention_heads":4,"num_key_value_heads":2,"vocab_size":900,"rms_norm_eps":1e-5,
	 "tie_word_embeddings":true,"activation":"gelu_tanh","logit_cap":30.0,"toy_version":2}
	END
}

@test "add a model: the page's file and line make a family that runs" {
    local root=$BATS_TEST_DIRNAME/.. tree=$BATS_TEST_TMPDIR/tree
    toy_model "$BATS_TEST_TMPDIR/toy"
    cd "$BATS_TEST_TMPDIR" || return
    echo '{"messages":[{"role":"user","content":"The invoice is wrong."}]}' > in
    run gpu-infer -q -m toy in
    [ "$status" -eq 78 ]
    [[ "$output" == *'model_type "toy" is not known; there are '*llama* ]]

    # A copy of the tree, with what is built of it, so that only what must be is built again.
    mkdir -p "$tree/build/release"
    cp -r "$root"/{Makefile,lib,src,pipelines} "$tree"
    cp -a "$root"/build/release/{lib,src,avx2,avx512,flags,found,lib.a} "$tree/build/release" || true
    find "$tree"/{lib,src} -type f -exec touch -d 2000-01-01 {} +

    block c > "$tree/lib/model/arch_toy.c"
    block def >> "$tree/lib/model/archs.def"
    # The warnings as they were, so that the flags are the same.
    unset MAKEFLAGS MFLAGS MAKELEVEL
    run make -s -C "$tree" WERROR="$(grep -c -- -Werror "$tree/build/release/flags" || true)" bin/gpu-infer
    tail -20 <<< "$output"
    [ "$status" -eq 0 ]

    PATH=$tree/bin:$PATH
    gpu-infer -q -m toy --choices billing,shipping in > out
    [ "$(jq -r '.response.finish_reason' out)" = choice ]
    gpu-infer -q -m "$root/data/models/router" --choices billing,shipping in > llama
    [ "$(jq -c .response.scores out)" != "$(jq -c .response.scores llama)" ]

    # Its row looks at every field.
    sed -i 's/"toy_version":2/"toy_moods":2/' toy/config.json
    run gpu-infer -q -m toy in
    [ "$status" -eq 78 ]
    [[ "$output" == *'"toy_moods": 2 is not known'* ]]
}
