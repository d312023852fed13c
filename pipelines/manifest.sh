#!/usr/bin/env bash
# manifest.sh MANIFEST DATA TEMPLATE STRATEGY MODEL [gpu-infer options]
#
# Writes what a run's answers depend on to MANIFEST, or compares it with the one that is there:
# a difference ends with 64 (75 where only the instruction set differs) and names what changed.
set -eu -o pipefail
manifest=$1 data=$2 template=$3 strategy=$4 model=$5
shift 5

sha() { sha256sum -- "$1" | cut -d ' ' -f 1; }
key=$(gpu-infer -m "$model" "$@" --print-key)
new=$(printf '{\n"data":"%s",\n"data_sha256":"%s",\n"template":"%s",\n"template_sha256":"%s",\n"strategy":"%s",\n"model":"%s",\n%s\n' \
    "$data" "$(sha "$data")" "$template" "$(sha "$template")" "$strategy" "$model" "${key#\{}")

if [ ! -e "$manifest" ]; then
    printf '%s\n' "$new" > "$manifest.part"
    mv "$manifest.part" "$manifest"
    exit 0
fi
# One member a line, so that the lines that differ are the members that changed; a file that was
# only moved is the same file.
changed=$(diff <(grep -v -e '^"data":' -e '^"template":' -e '^"model":' "$manifest") \
    <(grep -v -e '^"data":' -e '^"template":' -e '^"model":' <<< "$new") | sed -n 's/^[<>] "\([^"]*\)":.*/\1/p' | sort -u | tr '\n' ' ') || true
[ -n "$changed" ] || exit 0
dir=$(dirname "$manifest")
if [ "$changed" = "isa " ]; then
    echo "make run: $dir was begun on another instruction set; run it there, or give INFER='--isa …', or start over with FRESH=1" >&2
    exit 75
fi
echo "make run: $dir holds answers made with other settings (changed: ${changed% }); start over with FRESH=1, or give another STRATEGY, MODEL or RUN" >&2
exit 64
