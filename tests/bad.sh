#!/usr/bin/env bash
# bad.sh TREE [LONG] - bad records of every kind, at the first, a middle, the last and every tenth
# place of 40: as many come out as went in, those and no others are error records, with the
# right stage and type, and the answers beside them are those of a clean run.
#
# A stub stands for the model but where the model itself must refuse; with LONG the model answers
# all of them, and lines of a gigabyte, a million brackets and a million keys go through too.
set -u -o pipefail
tree=$1 long=${2:-}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
export LC_ALL=C
N=40
passed=0 failed=0
T=$tree/data/templates/combined_v1.json M=$tree/data/models/router

repeat() { head -c "$2" /dev/zero | tr '\0' "$1"; } # repeat CHARACTER COUNT
keys() { awk -v n="$1" 'BEGIN { printf "{"; for (i = 0; i < n; i++) printf "\"k%d\":%d,", i, i; printf "\"text\":\"many\"}" }'; }

# NAME STAGE TYPE COMMAND: what a line is, and what becomes of it; "-": it is answered.
kinds=(
    "cut-off shard bad_json printf '{\"id\":1,\"text\":\"x\"'"
    "cut-in-a-string shard bad_json printf '{\"text\":\"x'"
    "single-quotes shard bad_json printf \"{'text':'x'}\""
    "comma-behind shard bad_json printf '{\"text\":\"x\",}'"
    "comma-missing shard bad_json printf '{\"a\":1 \"text\":\"x\"}'"
    "colon-missing shard bad_json printf '{\"text\" \"x\"}'"
    "key-without-quotes shard bad_json printf '{text:\"x\"}'"
    "not-a-number shard bad_json printf '{\"text\":NaN}'"
    "leading-zero shard bad_json printf '{\"text\":01}'"
    "plus-sign shard bad_json printf '{\"text\":+1}'"
    "hexadecimal shard bad_json printf '{\"text\":0x1f}'"
    "wrong-word shard bad_json printf '{\"text\":True}'"
    "two-values shard bad_json printf '{\"text\":\"x\"} {\"text\":\"y\"}'"
    "comment shard bad_json printf '{\"text\":\"x\"} // so'"
    "wrong-escape shard bad_json printf '{\"text\":\"\\\\x41\"}'"
    "half-an-escape shard bad_json printf '{\"text\":\"\\\\u12\"}'"
    "raw-tab shard bad_json printf '{\"text\":\"a\\tb\"}'"
    "raw-nul shard bad_json printf '{\"text\":\"a\\0b\"}'"
    "wrong-bracket shard bad_json printf '{\"text\":[1}'"
    "prose shard bad_json printf 'Traceback (most recent call last):'"
    "too-deep shard bad_json deep 129"
    "bare-array shard not_object printf '[1,2]'"
    "bare-number shard not_object printf '5'"
    "bare-string shard not_object printf '\"text\"'"
    "bare-null shard not_object printf 'null'"
    "latin-1 shard bad_utf8 printf '{\"text\":\"caf\\xe9\"}'"
    "overlong shard bad_utf8 printf '{\"text\":\"\\xc0\\x80\"}'"
    "raw-surrogate shard bad_utf8 printf '{\"text\":\"\\xed\\xa0\\x80\"}'"
    "cut-character shard bad_utf8 printf '{\"text\":\"\\xe2\\x82\"}'"
    "utf-16 shard bad_utf8 printf '\\xff\\xfe{\\0\"\\0a\\0\"\\0:\\0001\\0}\\0'"
    "utf-16-without-mark shard bad_json printf '{\\0\"\\0a\\0\"\\0:\\0001\\0}\\0'"
    "too-long shard too_long long_line 40000"
    "has-seq shard reserved_member printf '{\"text\":\"x\",\"_seq\":0}'"
    "has-escaped-last shard reserved_member printf '{\"text\":\"x\",\"\\\\u005flast\":true}'"
    "field-missing render-prompt missing_field printf '{\"id\":1}'"
    "field-null render-prompt missing_field printf '{\"text\":null}'"
    "empty-object render-prompt missing_field printf '{}'"
    "half-a-surrogate-pair render-prompt bad_text printf '{\"text\":\"\\\\ud83d\"}'"
    "has-messages render-prompt reserved_member printf '{\"text\":\"x\",\"messages\":[]}'"
    "has-params render-prompt reserved_member printf '{\"text\":\"x\",\"params\":{}}'"
    "has-response gpu-infer reserved_member printf '{\"text\":\"x\",\"response\":{}}'"
    "over-the-context gpu-infer context_length wordy"
    "adapter-unknown gpu-infer unknown_adapter printf '{\"text\":\"x\",\"adapter\":\"none\"}'"
    "adapter-a-number gpu-infer bad_field printf '{\"text\":\"x\",\"adapter\":7}'"
    "tools-a-text gpu-infer bad_field printf '{\"text\":\"x\",\"tools\":\"hammer\"}'"
    "template-args-a-list gpu-infer bad_field printf '{\"text\":\"x\",\"chat_template_kwargs\":[]}'"
    "empty-text - - printf '{\"text\":\"\"}'"
    "double-key - - printf '{\"text\":\"a\",\"text\":\"b\"}'"
    "text-a-number - - printf '{\"text\":12345678901234567890}'"
    "text-an-object - - printf '{\"text\":{\"a\":[1.10]}}'"
    "crlf - - printf '{\"text\":\"x\"}\\r'"
    "blanks-around - - printf ' \\t{ \"text\" : \"x\" } '"
    "as-deep-as-may-be - - deep 128"
    "many-keys - - keys 1000"
    "four-byte-characters - - printf '{\"text\":\"\\xf0\\x9f\\x98\\x80\\xf4\\x8f\\xbf\\xbf\"}'"
    "escaped-nul - - printf '{\"text\":\"a\\\\u0000b\"}'"
)
deep() { printf '{"text":"x","a":'; repeat '[' $(($1 - 1)); repeat ']' $(($1 - 1)); printf '}'; }
long_line() { printf '{"text":"'; repeat a "$1"; printf '"}'; }
wordy() { printf '{"text":"'; for ((i = 0; i < 900; i++)); do printf 'zq%d ' $i; done; printf '"}'; }

stub() { sed '/"error":{"stage":/!s/}\([ \t]*\)$/,"response":{"text":"t"}}\1/'; }
# What became of each record; not by jq, which takes no half surrogate pairs.
fates() { sed -e 's/.*"error":{"stage":"\([a-z-]*\)","type":"\([a-z_0-9]*\)".*/\1 \2/;t' -e 's/.*"response":{.*/answered/;t' -e 's/.*/neither/'; }
ask() { gpu-infer -q -m "$M" --max-tokens 2; }
pipe() { # pipe WORKER FILE
    shard -q --max-record 32K "$2" | render-prompt -q -t "$T" -s combined_optimized | $1 | gather -q
}

# Puts the line `bad` at a place, and gives sed's words for it.
mix() { # mix PLACE
    local k
    case $1 in
    first) cat bad; tail -n +2 good; at=1 ;;
    middle) head -n 17 good; cat bad; tail -n +19 good; at=18 ;;
    last) head -n $((N - 1)) good; head -c -1 bad; at=$N ;; # and no last line end
    tenth) for k in 0 10 20 30; do cat bad; sed -n "$((k + 2)),$((k + 10))p" good; done; at='1~10' ;;
    esac > in
}
tell() { failed=$((failed + 1)); echo "bad: $1"; }

check() { # check NAME STAGE TYPE WORKER
    local place want count k
    for place in first middle last tenth; do
        mix $place
        count=1
        [ $place != tenth ] || count=4
        if ! pipe "$4" in > out 2> err; then tell "$1, $place: $(head -c 300 err)"; continue; fi
        if [ "$(wc -l < out)" != $N ]; then tell "$1, $place: $(wc -l < out) records"; continue; fi
        if ! cmp -s <(sed "${at}d" out) <(sed "${at}d" "clean-$4"); then tell "$1, $place: the neighbours differ"; continue; fi
        want=
        for ((k = 0; k < count; k++)); do want+="$2 $3;"; done
        [ "$2" != - ] || want=${want//- -/answered}
        if [ "$(sed -n "${at}p" out | fates | tr '\n' ';')" != "$want" ]; then
            tell "$1, $place: not $want but $(sed -n "${at}p" out | head -c 300)"
            continue
        fi
        passed=$((passed + 1))
    done
}

head -n $N "$tree/data/unified.jsonl" > good
pipe stub good > clean-stub
pipe ask good > clean-ask
for k in "${kinds[@]}"; do
    read -r name stage type make <<< "$k"
    { eval "$make"; echo; } > bad
    worker=stub
    [ -z "$long" ] && [ "$stage" != gpu-infer ] || worker=ask
    check "$name" "$stage" "$type" $worker
done

# At the beginning of a file a byte order mark is skipped, elsewhere it is no JSON.
printf '\xef\xbb\xbf{"text":"x"}\n' > bad
for place in first middle; do
    mix $place
    got=$(pipe stub in | sed -n "${at}p" | jq -r '.error.type')
    if [ "$place $got" = "first null" ] || [ "$place $got" = "middle bad_json" ]; then passed=$((passed + 1)); else tell "byte order mark, $place: $got"; fi
done

# Lines that do not fit into memory, between two that do.
big() { # big NAME TYPE COMMAND
    local got
    got=$({ head -1 good; eval "$3"; echo; tail -1 good; } | { ulimit -v 1000000; shard -q --max-record "${4:-16M}"; } | stub | gather -q | jq -rc '[.error.type, .response.text] | map(. // "-") | join(" ")' | paste -sd,)
    if [ "$got" = "- t,$2,- t" ]; then passed=$((passed + 1)); else tell "$1: $got"; fi
}
if [ -n "$long" ]; then
    big "a line of a gigabyte" "too_long -" "long_line 1000000000"
    big "a million brackets" "bad_json -" "deep 1000000"
    big "a million keys" "- t" "keys 1000000" 32M
else
    big "a line of twenty megabytes" "too_long -" "long_line 20000000"
    big "ten thousand brackets" "bad_json -" "deep 10000"
fi
echo "bad: $passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
