# helpers.bash - what the bats files of the tools share.  `load helpers` at the top of a file.
# shellcheck disable=SC2154 # bats sets status, output and lines

# Writes N records {"id":I,...} to standard output.
records() { # records N
    awk -v n="$1" 'BEGIN {
        for (i = 0; i < n; i++)
            printf "{\"id\":%d,\"label\":\"%d\",\"text\":\"record \\u00e9 %d\"}\n", i, i % 3, i * i }'
}

# Expects a status, and exactly one line on stderr, which begins with the tool's name.
refuses() { # refuses STATUS TOOL [ARG...]
    local want=$1 tool=$2
    run bash -c '"$@" 2>&1 >/dev/null < /dev/null' -- "${@:2}"
    [ "$status" -eq "$want" ]
    [ "${#lines[@]}" -eq 1 ]
    [[ "$output" == "$tool: "* ]]
}

# Runs the tool into a reader that leaves after one line: SIGPIPE, and not a word.
quits_quietly() { # quits_quietly COMMAND
    run bash -c "{ $1; } 2> err | head -1 > /dev/null; echo \${PIPESTATUS[0]}"
    [ "$output" -eq 141 ]
    [ ! -s err ]
}

# Runs the EXAMPLES of a manual page, each command line by itself, in the current folder.
runs_examples() { # runs_examples TOOL
    local page="$BATS_TEST_DIRNAME/../man/$1.1"
    awk '/^\.Sh/ { on = $2 == "EXAMPLES" } on && sub(/^\.Dl /, "")' "$page" > examples
    [ -s examples ]
    while IFS= read -r line; do
        run bash -o pipefail -c "$line" < /dev/null
        [ "$status" -eq 0 ] || { echo "$line: $status: $output"; return 1; }
    done < examples
}

# A LoRA adapter of rank 1 for q_proj and v_proj of the embedded model, every number of which has
# the bytes of one letter: a later letter is a larger number.  Given members change its
# configuration.
adapter() { # adapter DIR LETTER [MEMBERS]
    mkdir -p "$1"
    printf '{"peft_type":"LORA","r":1,"lora_alpha":2,"target_modules":["q_proj","v_proj"]%s}\n' "${3:+,$3}" > "$1/adapter_config.json"
    awk -v letter="$2" -v data="$1/data" 'function put(name, rows, cols,    i) {
            printf "%s\"base_model.model.model.layers.%s.weight\":{\"dtype\":\"F32\",\"shape\":[%d,%d],\"data_offsets\":[%d,%d]}",
                at ? "," : "{", name, rows, cols, at, at + 4 * rows * cols
            at += 4 * rows * cols
            for (i = 0; i < rows * cols; i++) printf "%s%s%s%s", letter, letter, letter, letter > data
        }
        BEGIN {
            for (i = 0; i < 4; i++) {
                put(i ".self_attn.q_proj.lora_A", 1, 128); put(i ".self_attn.q_proj.lora_B", 128, 1)
                put(i ".self_attn.v_proj.lora_A", 1, 128); put(i ".self_attn.v_proj.lora_B", 64, 1)
            }
            printf "}"
        }' > "$1/header"
    local n
    n=$(printf '\\x%02x\\x%02x' $(($(wc -c < "$1/header") & 255)) $(($(wc -c < "$1/header") >> 8)))
    { printf '%b\0\0\0\0\0\0' "$n"; cat "$1/header" "$1/data"; } > "$1/adapter_model.safetensors"
    rm "$1/header" "$1/data"
}
