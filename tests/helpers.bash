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
